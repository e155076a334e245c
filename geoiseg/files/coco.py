"""COCO annotations as polygons on the ground."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import shapes

from geoiseg.errors import VectorError
from geoiseg.raster import Grid, as_crs, open_raster


def read_coco(path: Path, images: Path | None = None) -> gpd.GeoDataFrame:
    """Return the annotations of a COCO file as polygons with their class.

    Args:
        path: The JSON file.
        images: Folder of its images: those that have a place on the ground say it. By default what
            the file itself says, as geoiseg writes it, of each image.

    Returns:
        Columns ``label``, ``feature`` (the id that the pieces of one object share, if known),
        ``image``, ``geometry``, in the CRS of the first image; pieces of one object that was cut
        by chips are one again.

    Raises:
        VectorError: It is no COCO file, an image has no place on the ground or another size than
            its annotations say, or only some have a CRS.
    """
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        names = {one["id"]: str(one["name"]) for one in held["categories"]}
        pictures = {one["id"]: one for one in held["images"]}
        rows, found = [], []
        grids: dict[Any, Grid] = {}
        for one in held["annotations"]:
            picture = pictures[one["image_id"]]
            if picture["id"] not in grids:
                grids[picture["id"]] = _grid(picture, images)
            grid = grids[picture["id"]]
            shape = _polygon(one["segmentation"], (picture["height"], picture["width"]))
            if shape.is_empty:
                continue
            rows.append(
                {
                    "label": names[one["category_id"]],
                    "feature": one.get("feature"),
                    "image": picture["file_name"],
                    "source": picture.get("source"),
                }
            )
            first = next(iter(grids.values()))
            if (grid.crs is None) != (first.crs is None):
                raise VectorError(f"{path}: some images have a CRS, others have none")
            shape = shapely.transform(shape, grid.to_crs)
            found.append(shape if grid.crs == first.crs else first.bring(shape, grid.crs))
    except (LookupError, TypeError, ValueError, OSError, shapely.errors.GEOSException) as error:
        if isinstance(error, VectorError):
            raise
        reason = " ".join(str(error).split())
        raise VectorError(f"{path} is no file of COCO annotations: {reason}") from error
    if not found:
        raise VectorError(f"{path} has no annotation with an area")
    crs = next(iter(grids.values())).crs
    frame = gpd.GeoDataFrame(rows, geometry=np.array(found, object), crs=crs)
    return _joined(frame)


def _grid(picture: Mapping[str, Any], images: Path | None) -> Grid:
    """Return where an image lies.

    Raises:
        VectorError: Neither the file nor the image says it.
    """
    shape = (int(picture["height"]), int(picture["width"]))
    if picture.get("transform"):
        crs = as_crs(picture.get("crs"))
        return Grid(crs, Affine(*map(float, picture["transform"])), shape)
    name = str(picture["file_name"])
    if images is not None and (images / name).exists():
        with open_raster(images / name) as raster:
            if raster.grid.crs is not None:
                if raster.grid.shape != shape:
                    raise VectorError(
                        f"{name} is {raster.grid.width} x {raster.grid.height} pixels, its"
                        f" annotations are of {shape[1]} x {shape[0]}"
                    )
                return raster.grid
    raise VectorError(f"the image {name} has no place on the ground; give the folder of GeoTIFFs")


def _polygon(said: Any, shape: tuple[int, int]) -> Any:
    """Return a segmentation in pixels as a valid geometry."""
    if isinstance(said, Mapping):
        mask = _mask(said, shape)
        rings = [shapely.geometry.shape(one) for one, on in shapes(mask, mask=mask > 0) if on]
    else:
        rings = [shapely.Polygon(np.asarray(one, np.float64).reshape(-1, 2))
                 for one in said if len(one) >= 6]  # fmt: skip
    valid = [one if one.is_valid else shapely.make_valid(one, method="structure",
             keep_collapsed=False) for one in rings]  # fmt: skip
    return shapely.union_all(valid)


def _mask(said: Mapping[str, Any], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Return ``(y, x)`` the mask of run lengths, as numbers or in COCO's text."""
    counts = said["counts"]
    if isinstance(counts, (str, bytes)):
        counts = _unpacked(counts.encode() if isinstance(counts, str) else counts)
    runs = np.asarray(counts, np.int64)
    size = tuple(said["size"])
    if size != shape or runs.sum() != size[0] * size[1] or (runs < 0).any():
        raise ValueError("run lengths do not fit their image")
    flat = np.repeat(np.arange(len(runs)) % 2, runs).astype(np.uint8)
    return np.ascontiguousarray(flat.reshape(size, order="F"))


def _unpacked(text: bytes) -> list[int]:
    """Return the run lengths of COCO's text: five bits a letter, differences from the third on."""
    counts: list[int] = []
    at = 0
    while at < len(text):
        value, shift, more = 0, 0, True
        while more:
            letter = text[at] - 48
            value |= (letter & 0x1F) << shift
            more = bool(letter & 0x20)
            at, shift = at + 1, shift + 5
            if not more and letter & 0x10:
                value |= -1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    return counts


def _joined(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return annotations, the pieces of each feature made one."""
    known = frame["feature"].notna()
    parts = frame[known]
    if not len(parts):
        return frame
    keys = parts.groupby(["source", "feature", "label"], dropna=False, sort=False)
    rows = [{**group.iloc[0].drop("geometry").to_dict(),
             "geometry": shapely.union_all(group.geometry.to_numpy())}
            for _, group in keys]  # fmt: skip
    whole = gpd.GeoDataFrame(rows, crs=frame.crs)
    rest = frame[~known]
    return whole if not len(rest) else gpd.GeoDataFrame(
        [*whole.to_dict("records"), *rest.to_dict("records")], crs=frame.crs)  # fmt: skip
