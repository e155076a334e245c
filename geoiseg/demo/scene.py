"""A made-up aerial scene with known outlines: coast, lake, fields, and prompts to try on them.

The scene is 4096 m wide at any size, in UTM 31N. It shows no real place.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
import rasterio.features
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import Resampling

from geoiseg.demo.drawing import Land
from geoiseg.demo.paint import RGB, paint
from geoiseg.demo.parcels import EXTENT
from geoiseg.demo.plan import Plan, make_plan
from geoiseg.demo.prompting import PromptRow, TruthRow, suggest
from geoiseg.errors import ExportError, GeoreferenceError

CRS = "EPSG:32631"
ORIGIN = (584_000.0, 5_792_000.0)
"""Easting and northing of the upper left corner: off a coast that faces west."""

SMALLEST, LARGEST = 128, 8192
BLOCK = 512


@dataclass(frozen=True, slots=True)
class Scene:
    """A scene on disk and what is known about it."""

    path: Path
    """The GeoTIFF."""
    crs: str
    """CRS of the raster and of every geometry here."""
    truth: tuple[TruthRow, ...]
    """The sea, the lake and every field, exact to the pixel."""
    prompts: tuple[PromptRow, ...]
    """Clicks, boxes and scribbles that a user might make, in the order to make them."""

    def truth_of(self, name: str) -> shapely.Geometry:
        """Return the outline of one object.

        Raises:
            GeoreferenceError: The scene has no object of that name.
        """
        for row in self.truth:
            if row.name == name:
                return row.geometry
        names = ", ".join(row.name for row in self.truth[:4])
        raise GeoreferenceError(f"the scene has no object {name!r}; it has {names}, ...")


def scene_transform(size: int) -> Affine:
    """Return the affine transform of a scene of ``size`` pixels on a side."""
    pixel = EXTENT / size
    return Affine(pixel, 0.0, ORIGIN[0], 0.0, -pixel, ORIGIN[1])


def make_scene(path: str | os.PathLike[str], size: int = 4096, seed: int = 0) -> Scene:
    """Return a scene that was drawn by procedure and written as a tiled GeoTIFF.

    The file is uint8 RGB, JPEG-compressed, with internal overviews; it appears under its
    name only when it is complete. The same size and seed give the same pixels.

    Args:
        path: The GeoTIFF to write; an existing file is replaced.
        size: Pixels on a side, 128 to 8192; the ground is 4096 m wide for all.
        seed: Any integer of 0 or more; each makes another landscape.

    Raises:
        GeoreferenceError: The size or the seed is out of range.
        ExportError: The file can not be written.
    """
    if not SMALLEST <= size <= LARGEST:
        raise GeoreferenceError(
            f"a scene of {size} pixels can not be made; choose a size from {SMALLEST} to {LARGEST}"
        )
    if seed < 0:
        raise GeoreferenceError(f"the seed is {seed}; choose 0 or more")
    plan = make_plan(np.random.default_rng([seed, 1]), size)
    image, crops = paint(plan, np.random.default_rng([seed, 2]))
    target = Path(path)
    _write(target, image)
    truth = _truth(plan, crops)
    return Scene(target, CRS, truth, suggest(truth, plan, scene_transform(size)))


def _profile(size: int) -> dict[str, Any]:
    return {
        "driver": "GTiff",
        "width": size,
        "height": size,
        "count": 3,
        "dtype": "uint8",
        "crs": CRS,
        "transform": scene_transform(size),
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "interleave": "pixel",
        "photometric": "ycbcr",  # an eighth of lossless size, and what aerial surveys deliver
        "compress": "jpeg",
        "jpeg_quality": 92,
        "bigtiff": "if_safer",
        "num_threads": "all_cpus",
    }


def _write(path: Path, image: RGB) -> None:
    """Write a picture to a temporary sibling, add overviews and give it its name."""
    size = image.shape[0]
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=".tif", dir=path.parent)
    except OSError as error:
        raise ExportError(
            f"can not write {path}: {error.strerror}; choose another --out"
        ) from error
    os.close(handle)
    draft = Path(name)
    try:
        with rasterio.open(draft, "w", **_profile(size)) as dataset:
            dataset.write(np.moveaxis(image, -1, 0))
            dataset.update_tags(TIFFTAG_IMAGEDESCRIPTION="Made-up scene; it shows no real place")
        factors = [2**k for k in range(1, 8) if size >> (k - 1) > 256]
        options = {"JPEG_QUALITY_OVERVIEW": "92", "PHOTOMETRIC_OVERVIEW": "YCBCR"}
        with rasterio.Env(**options), rasterio.open(draft, "r+") as dataset:
            dataset.build_overviews(factors, Resampling.average)
        draft.chmod(0o666 & ~_umask())
        draft.replace(path)
    except (OSError, rasterio.errors.RasterioError) as error:
        raise ExportError(f"can not write {path}: {error}") from error
    finally:
        draft.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _outline(mask: NDArray[Any], transform: Affine) -> shapely.Geometry:
    """Return the (multi)polygon of the set pixels of a mask, vertices on pixel corners."""
    shapes = rasterio.features.shapes(mask, mask=mask > 0, connectivity=4, transform=transform)
    parts = [_polygon(geometry["coordinates"]) for geometry, _ in shapes]
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)


def _polygon(rings: list[list[tuple[float, float]]]) -> shapely.Polygon:
    shell, *holes = (shapely.linearrings(ring) for ring in rings)
    return shapely.polygons(shell, holes or None)


def _truth(plan: Plan, crops: dict[int, str]) -> tuple[TruthRow, ...]:
    """Return the outlines of sea, lake and fields, traced from the labels that were painted."""
    transform = scene_transform(plan.labels.shape[0])
    rows = []
    for name, land in (("sea", Land.SEA), ("lake", Land.LAKE)):
        mask = cv2.inRange(plan.labels, int(land), int(land))
        if mask.any():
            rows.append(TruthRow(name, name, name, _outline(mask, transform)))
    for number, (label, box) in enumerate(plan.field_boxes(), 1):
        mask = cv2.inRange(plan.labels[box], label, label)
        corner = transform @ Affine.translation(box[1].start, box[0].start)
        outline = _outline(mask, corner)
        rows.append(TruthRow(f"field-{number}", "field", crops[label], outline))
    return tuple(rows)
