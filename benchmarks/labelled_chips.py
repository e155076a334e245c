"""Chips cut around labelled objects, one object each, at a scale where the object fits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.features import rasterize
from rasterio.transform import Affine
from rasterio.windows import Window, from_bounds

SMALLEST_SHARE, LARGEST_SHARE = 0.20, 0.45
"""An object's longer side as a share of the chip's."""
MOST_ENLARGED = 2.0
"""Pixels are never enlarged more than this."""
SMALLEST_OBJECT = 64
"""Objects of fewer chip pixels are left out."""
DUBAI_CLASSES = ("building", "land", "road", "vegetation", "water")
SMALLEST_COMPONENT = 400
"""Connected components of a class mask with fewer pixels are left out."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledChip:
    """One object and its surroundings."""

    family: str
    scene: str
    index: int
    """Which label of the scene."""
    image: NDArray[np.uint8]
    valid: NDArray[np.bool_]
    truth: NDArray[np.bool_]


def labelled_chips(folder: Path, chip: int, per_scene: int, seed: int) -> Iterator[LabelledChip]:
    """Yield up to ``per_scene`` objects of each scene, of each class in Dubai, drawn at random."""
    for scene in sorted(path for path in folder.iterdir() if path.is_dir()):
        rng = np.random.default_rng([seed, *scene.name.encode()])
        if scene.name.startswith("_dubai"):
            yield from _class_chips(scene, chip, per_scene * len(DUBAI_CLASSES), rng)
        elif (scene / "labels.geojson").exists():
            yield from _raster_chips(scene, chip, per_scene, rng)


def family_of(scene: str) -> str:
    """Return the family that a scene's name begins with; rivers and coasts are water."""
    kind = scene.split("_", maxsplit=1)[0]
    return {"bldg": "buildings", "river": "water", "coast": "water"}.get(kind, kind)


def chip_scale(side: float, chip: int, raster_side: int) -> float:
    """Return chip pixels per raster pixel for an object of that longer side."""
    if side > LARGEST_SHARE * chip:
        return max(LARGEST_SHARE * chip / side, min(1.0, chip / raster_side))
    return min(max(SMALLEST_SHARE * chip / side, 1.0), MOST_ENLARGED)


def _span(centre: float, wanted: float, size: int) -> tuple[int, int]:
    """Return first pixel and length of a span of a raster around a centre, kept inside."""
    length = min(size, round(wanted))
    return int(np.clip(round(centre - length / 2), 0, size - length)), length


def _frame(
    box: tuple[float, float, float, float], chip: int, shape: tuple[int, int]
) -> tuple[Window, tuple[int, int]]:
    """Return the window of the raster and the chip's shape for an object's pixel box."""
    x0, y0, x1, y1 = box
    scale = chip_scale(max(x1 - x0, y1 - y0, 1.0), chip, max(shape))
    column, columns = _span((x0 + x1) / 2, chip / scale, shape[1])
    row, rows = _span((y0 + y1) / 2, chip / scale, shape[0])
    size = (max(1, min(chip, round(rows * scale))), max(1, min(chip, round(columns * scale))))
    return Window(column, row, columns, rows), size


def _raster_chips(
    scene: Path, chip: int, per_scene: int, rng: np.random.Generator
) -> Iterator[LabelledChip]:
    provenance = json.loads((scene / "provenance.json").read_text())
    labels = json.loads((scene / "labels.geojson").read_text())
    made = 0
    with rasterio.open(scene / "image.tif") as raster:
        bands = [band + 1 for band in provenance.get("rgb", (0, 1, 2))]
        for index in rng.permutation(len(labels["features"])):
            geometry = labels["features"][index]["geometry"]
            cut = _cut_raster(raster, bands, geometry, chip)
            if cut is None or made >= per_scene:
                continue
            made += 1
            yield LabelledChip(family_of(scene.name), scene.name, int(index), *cut)


def _cut_raster(
    raster: Any, bands: list[int], geometry: dict[str, Any], chip: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]] | None:
    bounds = from_bounds(*rasterio.features.bounds(geometry), transform=raster.transform)
    box = (
        bounds.col_off,
        bounds.row_off,
        bounds.col_off + bounds.width,
        bounds.row_off + bounds.height,
    )
    window, size = _frame(box, chip, raster.shape)
    finer = size[0] > window.height
    image = raster.read(
        bands,
        window=window,
        out_shape=(len(bands), *size),
        resampling=Resampling.bilinear if finer else Resampling.average,
    )
    valid = raster.dataset_mask(window=window, out_shape=size) > 0
    transform = raster.window_transform(window) * Affine.scale(
        window.width / size[1], window.height / size[0]
    )
    truth = rasterize([geometry], out_shape=size, transform=transform).astype(bool) & valid
    if np.count_nonzero(truth) < SMALLEST_OBJECT:
        return None
    return np.moveaxis(image, 0, 2).astype(np.uint8), valid, truth


def _class_chips(
    scene: Path, chip: int, per_scene: int, rng: np.random.Generator
) -> Iterator[LabelledChip]:
    """Yield connected components of class masks, the same number of each class if possible."""
    found: dict[int, list[tuple[Path, int, int]]] = {}
    for path in sorted(scene.glob("*_cls.png")):
        classes = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        for value in range(len(DUBAI_CLASSES)):
            _, _, stats, _ = cv2.connectedComponentsWithStats((classes == value).astype(np.uint8))
            large = np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] >= SMALLEST_COMPONENT) + 1
            found.setdefault(value, []).extend((path, value, int(part)) for part in large)
    queues = [[objects[i] for i in rng.permutation(len(objects))] for objects in found.values()]
    made = 0
    while made < per_scene and any(queues):
        for queue in queues:
            if queue and made < per_scene:
                path, value, part = queue.pop()
                yield _cut_class(scene.name, path, value, part, chip)
                made += 1


def _cut_class(scene: str, path: Path, value: int, part: int, chip: int) -> LabelledChip:
    classes = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    picture = cv2.imread(str(path).replace("_cls.png", ".jpg"), cv2.IMREAD_COLOR)
    if classes is None or picture is None:
        raise FileNotFoundError(f"{path} or its image can not be read")
    _, parts, stats, _ = cv2.connectedComponentsWithStats((classes == value).astype(np.uint8))
    x, y, width, height, _ = (float(v) for v in stats[part])
    window, size = _frame((x, y, x + width, y + height), chip, classes.shape[:2])
    rows, columns = (slice(a, b) for a, b in window.toranges())
    shrink = cv2.INTER_AREA if size[0] <= window.height else cv2.INTER_LINEAR
    image = cv2.resize(picture[rows, columns], size[::-1], interpolation=shrink)
    share = cv2.resize(
        (parts[rows, columns] == part).astype(np.float32), size[::-1], interpolation=shrink
    )
    return LabelledChip(
        f"dubai {DUBAI_CLASSES[value]}",
        scene,
        part,
        np.ascontiguousarray(image[:, :, ::-1], dtype=np.uint8),
        np.ones(size, bool),
        share > 0.5,
    )
