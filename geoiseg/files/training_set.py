"""Accepted features as a data set to train others' models on: chips, masks, COCO, YOLO.

Chips lie on a lattice and go to the splits in whole blocks of ground, never at random one by one:
neighbouring chips look alike, and a model that has seen one knows the other.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import cv2
import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize

from geoiseg.atomic import check_place
from geoiseg.errors import ExportError
from geoiseg.files.splits import SPLITS, planned
from geoiseg.raster import BoolArray, Grid, Raster, Window

Kind = Literal["coco", "yolo", "masks"]
Form = Literal["png", "tif", "npy"]
DATASET = "dataset.yaml"
MARK = "# made by geoiseg"
"""First line of that file, by which a data set is known as ours to replace."""
OURS = {"annotations", "images", "labels", "masks", DATASET}
"""All that we put into a folder."""
NODATA = 255
"""Class of pixels without data in masks."""


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """How a data set is cut and written."""

    kind: Kind = "coco"
    """``coco``: annotations as JSON; ``yolo``: polygons as text; ``masks``: class maps."""
    size: int = 512
    """Side of a chip in pixels."""
    form: Form = "png"
    """Of masks, and of chips with them: ``png``, ``tif`` with its place, or ``npy``. Chips for COCO
    and YOLO are PNG always."""
    splits: tuple[float, float, float] = (0.8, 0.1, 0.1)
    """Shares of ground for training, validation and test."""
    block: int = 2
    """Chips a side of the blocks that go to one split."""
    rle: bool = False
    """COCO: all objects as run lengths; else only those with holes, which polygons can not say."""
    empty: bool = False
    """Whether chips without any object are written, too."""
    least: float = 0.1
    """Share of an object, or of the chip that it fills, from which on it is in the annotations of
    a chip; class maps have all of it."""

    def __post_init__(self) -> None:
        for name, known in (("kind", Kind), ("form", Form)):
            if getattr(self, name) not in get_args(known):
                said = ", ".join(get_args(known))
                raise ExportError(f"{name} is one of {said}, got {getattr(self, name)!r}")
        if not 32 <= self.size <= 8192:
            raise ExportError(f"chips are 32 to 8192 pixels a side, got {self.size}")
        if self.block < 1 or min(self.splits) < 0 or abs(sum(self.splits) - 1) > 1e-6:
            raise ExportError(f"splits are three shares that make 1, got {self.splits}")


@dataclass(slots=True)
class Written:
    """What a data set holds."""

    folder: Path
    classes: tuple[str, ...]
    chips: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0))
    objects: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0))


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What a chip holds of an object."""

    number: int
    """Id of the feature."""
    category: int
    """Place of its class, from 0."""
    polygon: Any
    """In pixels of the chip."""
    area: float


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A raster with its features."""

    raster: Raster
    features: gpd.GeoDataFrame
    """In the raster's CRS, with ``id`` and ``label``."""


def write_training_set(
    sources: Sequence[Source], folder: Path, options: TrainingOptions | None = None,
    tell: Callable[[int, int], None] = lambda _done, _all: None,
) -> Written:  # fmt: skip
    """Write a data set into a folder, whole or not at all, and return what it holds.

    Args:
        sources: Rasters with their features.
        folder: Where to; one of ours that is there is replaced.
        options: How it is cut and written.
        tell: Told how many of all chips are done.

    Raises:
        ExportError: There are no features, the folder holds something else, or it can not be
            written.
        RasterError: A raster can not be read.
    """
    options = options or TrainingOptions()
    folder = folder.absolute()
    _check_folder(folder)
    classes = tuple(sorted({_class(name) for one in sources for name in one.features["label"]}))
    if not classes:
        raise ExportError("there is nothing to train on: accept a feature first")
    if options.kind == "masks" and len(classes) >= NODATA:
        raise ExportError(f"class maps hold {NODATA - 1} classes at most, got {len(classes)}")
    making = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(making, ignore_errors=True)
    try:
        written = Written(folder, classes)
        writer = _Writer(making, classes, options)
        plan = planned([(one.raster.grid, one.features.geometry.to_numpy()) for one in sources],
                       options)  # fmt: skip
        for count, (number, window, split) in enumerate(plan, 1):
            source = sources[number]
            parts = list(_parts(source, window, classes, options))
            if parts or options.empty:
                writer.chip(source, window, split, parts)
                written.chips[split] += 1
                written.objects[split] += len(parts)
            tell(count, len(plan))
        writer.finish()
        if folder.exists():
            shutil.rmtree(folder)
        making.rename(folder)
    except OSError as error:
        raise ExportError(f"can not write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return written


def _class(label: Any) -> str:
    """Return the class of a feature; one without any is an object."""
    return str(label or "object")


def _check_folder(folder: Path) -> None:
    if not folder.exists():
        check_place(folder)
    if folder.is_dir() and not _is_ours(folder):
        raise ExportError(f"{folder} holds something else; choose another folder")
    if folder == Path.cwd():  # it is put in place as a whole, and nobody can stand in it then
        raise ExportError("the data set is a folder of its own: give one that is not open here")
    if folder.exists() and not folder.is_dir():
        raise ExportError(f"{folder} is a file; a data set is a folder")


def _is_ours(folder: Path) -> bool:
    """Return whether a folder is empty, or holds a data set of ours and nothing else."""
    names = {one.name for one in folder.iterdir()}
    if not names:
        return True
    if DATASET not in names or not names <= OURS:
        return False
    with (folder / DATASET).open("rb") as handle:
        return handle.readline(80).strip() == MARK.encode()


def _parts(
    source: Source, window: Window, classes: Sequence[str], options: TrainingOptions
) -> Iterator[Part]:
    """Yield what a chip holds of each object."""
    grid = source.raster.grid.window(window)
    frame = shapely.box(0, 0, window.width, window.height)
    table = source.features
    for row in np.flatnonzero(table.intersects(grid.footprint).to_numpy()):
        shape = shapely.transform(table.geometry.iloc[row], grid.to_pixel)
        inside = shapely.intersection(shape, frame)
        polygons = [one for one in shapely.get_parts(inside)
                    if one.geom_type == "Polygon" and one.area >= 1]  # fmt: skip
        area = sum(one.area for one in polygons)
        share = 0.0 if options.kind == "masks" else options.least
        if polygons and area >= share * min(shape.area, frame.area):
            whole = polygons[0] if len(polygons) == 1 else shapely.MultiPolygon(polygons)
            category = classes.index(_class(table["label"].iloc[row]))
            yield Part(int(table["id"].iloc[row]), category, whole, area)


class _Writer:
    """Writes chips one by one, and what belongs to all of them at the end."""

    def __init__(self, folder: Path, classes: Sequence[str], options: TrainingOptions) -> None:
        self._folder, self._classes, self._options = folder, classes, options
        self._coco: dict[str, dict[str, list[Any]]] = {
            split: {"images": [], "annotations": []} for split in SPLITS
        }
        self._names: set[str] = set()

    def chip(self, source: Source, window: Window, split: str, parts: list[Part]) -> None:
        """Write a chip and what is known of it."""
        chip = source.raster.chip(window)
        stem = self._name(source.raster.name, window)
        form = self._options.form if self._options.kind == "masks" else "png"
        rgb = np.where(chip.valid[..., None], chip.rgb, np.uint8(0))
        self._save(self._folder / "images" / split / f"{stem}.{form}", rgb, chip.grid)
        if self._options.kind == "coco":
            self._annotate(source, stem, split, chip.grid, parts)
        elif self._options.kind == "yolo":
            lines = [line for part in parts for line in _yolo_lines(part, chip.grid.shape)]
            place = self._folder / "labels" / split / f"{stem}.txt"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        else:
            classes = _class_map(parts, chip.valid)
            self._save(self._folder / "masks" / split / f"{stem}.{form}", classes, chip.grid)

    def _name(self, raster: str, window: Window) -> str:
        stem = Path(raster.replace("\\", "/")).stem or "raster"
        stem = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in stem)
        name, number = f"{stem}_{window.row}_{window.col}", 1
        while name in self._names:
            number += 1
            name = f"{stem}-{number}_{window.row}_{window.col}"
        self._names.add(name)
        return name

    def _save(self, path: Path, data: NDArray[np.uint8], grid: Grid) -> None:
        """Write ``(y, x)`` or ``(y, x, 3)`` in the form of the path's suffix."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".npy":
            np.save(path, data)
        elif path.suffix == ".png":
            turned = data[..., ::-1] if data.ndim == 3 else data
            coded, text = cv2.imencode(".png", turned)
            if not coded:
                raise OSError(f"{path.name} can not be written as PNG")
            path.write_bytes(text.tobytes())
        else:
            import rasterio

            planes = np.moveaxis(data, -1, 0) if data.ndim == 3 else data[None]
            profile = {"driver": "GTiff", "count": len(planes), "dtype": "uint8", "crs": grid.crs,
                       "height": grid.height, "width": grid.width, "transform": grid.transform,
                       "compress": "deflate"}  # fmt: skip
            with rasterio.open(path, "w", **profile) as target:
                target.write(planes)

    def _annotate(
        self, source: Source, stem: str, split: str, grid: Grid, parts: list[Part]
    ) -> None:
        held = self._coco[split]
        number = len(held["images"]) + 1
        crs = None if grid.crs is None else grid.crs.to_wkt()
        held["images"].append({
            "id": number, "file_name": f"{split}/{stem}.png", "width": grid.width,
            "height": grid.height, "source": source.raster.name, "crs": crs,
            "transform": list(grid.transform)[:6],
        })  # fmt: skip
        for part in parts:
            x0, y0, x1, y1 = part.polygon.bounds
            held["annotations"].append({
                "id": len(held["annotations"]) + 1, "image_id": number,
                "category_id": part.category + 1, "iscrowd": 0, "area": part.area,
                "bbox": [x0, y0, x1 - x0, y1 - y0], "feature": part.number,
                "segmentation": _segmentation(part.polygon, grid.shape, rle=self._options.rle),
            })  # fmt: skip

    def finish(self) -> None:
        """Write what belongs to all chips."""
        names = dict(enumerate(self._classes))
        if self._options.kind == "coco":
            kinds = [{"id": n + 1, "name": name, "supercategory": ""} for n, name in names.items()]
            place = self._folder / "annotations"
            place.mkdir(parents=True)
            for split, held in self._coco.items():
                whole = {"info": {"description": "made by geoiseg"}, "licenses": [],
                         "categories": kinds, **held}  # fmt: skip
                text = json.dumps(whole, allow_nan=False)
                (place / f"instances_{split}.json").write_text(text, encoding="utf-8")
        if self._options.kind == "masks":
            names = {0: "background", **{n + 1: name for n, name in names.items()}}
        lines = [MARK, "path: .", *(f"{split}: images/{split}" for split in SPLITS), "names:"]
        lines += [f"  {number}: {json.dumps(name)}" for number, name in names.items()]
        if self._options.kind == "masks":
            lines += ["masks: masks", f"nodata: {NODATA}"]
        for split in SPLITS:  # whoever reads it expects all three
            (self._folder / "images" / split).mkdir(parents=True, exist_ok=True)
        (self._folder / DATASET).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _segmentation(polygon: Any, shape: tuple[int, int], *, rle: bool) -> Any:
    """Return an object as COCO has it: polygons, or run lengths where those can not say it."""
    parts = shapely.get_parts(polygon)
    if not rle and not any(len(part.interiors) for part in parts):
        return [shapely.get_coordinates(part.exterior)[:-1].round(3).ravel().tolist()
                for part in parts]  # fmt: skip
    return run_lengths(_burnt(polygon, shape))


def run_lengths(mask: BoolArray) -> dict[str, Any]:
    """Return ``(y, x)`` a mask as COCO's uncompressed run lengths: by columns, off first."""
    flat = mask.ravel(order="F")
    ends = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], ends, [flat.size]]))
    first = [0] if flat.size and flat[0] else []
    return {"size": list(mask.shape), "counts": [*first, *counts.tolist()]}


def _yolo_lines(part: Part, shape: tuple[int, int]) -> Iterator[str]:
    """Yield a line for each polygon of an object: class, then shares of width and height.

    A hole is joined to its border by a cut of no width.
    """
    scale = np.array([1 / shape[1], 1 / shape[0]])
    for polygon in shapely.get_parts(part.polygon):
        xy = np.clip(_one_ring(polygon) * scale, 0, 1)
        yield f"{part.category} " + " ".join(f"{value:.6f}" for value in xy.ravel())


def _one_ring(polygon: Any) -> NDArray[np.float64]:
    """Return ``(n, 2)`` a polygon as one ring, which goes into each hole and back."""
    ring = shapely.get_coordinates(polygon.exterior)[:-1]
    for hole in polygon.interiors:
        inner = shapely.get_coordinates(hole)[:-1]
        away = ((ring[:, None] - inner[None]) ** 2).sum(axis=2)
        at, to = np.unravel_index(int(away.argmin()), away.shape)
        around = np.concatenate([inner[to:], inner[: to + 1]])
        ring = np.concatenate([ring[: at + 1], around, ring[at:]])
    return np.asarray(ring, np.float64)


def _class_map(parts: list[Part], valid: BoolArray) -> NDArray[np.uint8]:
    """Return ``(y, x)`` the class of each pixel, from 1; 0 is none of them, 255 no data."""
    found = np.zeros(valid.shape, np.uint8)
    for part in sorted(parts, key=lambda one: -one.area):  # small ones are not painted over
        found[_burnt(part.polygon, valid.shape)] = part.category + 1
    found[~valid] = NODATA
    return found


def _burnt(polygon: Any, shape: tuple[int, int]) -> BoolArray:
    return np.asarray(rasterize([(polygon, 1)], out_shape=shape, dtype="uint8"), bool)
