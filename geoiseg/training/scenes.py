"""Labelled scenes read from disk, and what is held out of training for validation.

Expected under the data folder: ``NAME/image.tif`` with ``NAME/labels.geojson`` (one
polygon per object), and ``_dubai/*.jpg`` with ``*_cls.png`` class masks, whose connected
parts make objects. ``NAME/image.jpg`` with ``ids.png`` and ``valid.png``, as
:func:`pack_scenes` writes them, serve on a machine without GDAL.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import RasterError

HELD_OUT = (
    "fields_naip_05", "fields_naip_14", "fields_naip_27", "fields_naip_31", "bldg_nairobi_b2",
    "t3_p001", "t3_p002", "t3_p003", "t3_p004", "t3_p005", "t3_p006", "t3_p007", "t3_p008",
    "t3_p009",
)  # fmt: skip
"""Scenes that validate and never train: four of fields, one of buildings, a tile of Dubai."""
DUBAI_KINDS = ("building", "land", "road", "vegetation", "water")
"""Classes of the masks in their order; a larger number is unlabelled."""
SMALLEST = 40
"""Objects of fewer pixels are no targets."""
UNKNOWN = -1
"""Object number of pixels whose label is not known: they count in no loss."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """An image and the objects drawn on it."""

    name: str
    image: NDArray[np.uint8]
    """``(y, x, 3)``."""
    valid: NDArray[np.bool_]
    """``(y, x)`` True where there is data."""
    ids: NDArray[np.int16]
    """``(y, x)`` object number, 0 for none, :data:`UNKNOWN` for not labelled."""
    kinds: dict[int, str]
    """Kind of each object that may be a target, by number."""


def read_scenes(folder: Path, *, held_out: bool) -> Iterator[Scene]:
    """Yield the scenes of a data folder, in the order of their names.

    Args:
        folder: Data folder.
        held_out: Whether to yield the scenes of :data:`HELD_OUT` or all others.

    Raises:
        RasterError: There is no labelled scene.
    """
    rasters = sorted({path.parent for path in folder.glob("[!_]*/image.*")})
    photos = sorted(folder.glob("_dubai/*.jpg"))
    if not rasters and not photos:
        raise RasterError(f"no labelled scene in {str(folder)!r}; expected NAME/image.tif there")
    for path in rasters:
        if (path.name in HELD_OUT) == held_out:
            yield _read_packed(path) if (path / "ids.png").exists() else _read_raster(path)
    for path in photos:
        if (path.stem in HELD_OUT) == held_out:
            yield _read_photo(path)


def _read_raster(folder: Path) -> Scene:
    import rasterio
    from rasterio.features import rasterize

    with rasterio.open(folder / "image.tif") as source:
        data = source.read((1, 2, 3))
        valid = source.dataset_mask() > 0
        shapes = json.loads((folder / "labels.geojson").read_text())["features"]
        numbered = [(shape["geometry"], i) for i, shape in enumerate(shapes, 1)]
        ids = rasterize(numbered, valid.shape, transform=source.transform, dtype="int16")
    image = np.ascontiguousarray(data.transpose(1, 2, 0))
    image[~valid] = 0
    return Scene(folder.name, image, valid, ids, _kinds_by_size(ids, _kind(folder.name)))


def pack_scenes(folder: Path, out: Path) -> None:
    """Write all scenes of a data folder in a form that needs no GDAL to be read.

    Args:
        folder: Data folder.
        out: Where to; what is there already is replaced.
    """
    for held_out in (False, True):
        for scene in read_scenes(folder, held_out=held_out):
            if (folder / scene.name).is_dir():
                place = out / scene.name
                place.mkdir(parents=True, exist_ok=True)
                bgr = np.ascontiguousarray(scene.image[..., ::-1])
                cv2.imwrite(str(place / "image.jpg"), bgr, [cv2.IMWRITE_JPEG_QUALITY, 93])
                cv2.imwrite(str(place / "ids.png"), scene.ids.astype(np.uint16))
                cv2.imwrite(str(place / "valid.png"), scene.valid.astype(np.uint8) * 255)
    for path in folder.glob("_dubai/*"):
        (out / "_dubai").mkdir(parents=True, exist_ok=True)
        shutil.copy(path, out / "_dubai" / path.name)


def _read_packed(folder: Path) -> Scene:
    bgr: NDArray[Any] | None = cv2.imread(str(folder / "image.jpg"))
    ids: NDArray[Any] | None = cv2.imread(str(folder / "ids.png"), cv2.IMREAD_UNCHANGED)
    seen: NDArray[Any] | None = cv2.imread(str(folder / "valid.png"), cv2.IMREAD_UNCHANGED)
    if bgr is None or ids is None or seen is None:
        raise RasterError(f"cannot read the packed scene {str(folder)!r}; pack it again")
    image, valid = np.ascontiguousarray(bgr[..., ::-1]), seen > 0
    image[~valid] = 0
    numbers = ids.astype(np.int16)
    return Scene(folder.name, image, valid, numbers, _kinds_by_size(numbers, _kind(folder.name)))


def _kind(name: str) -> str:
    return "field" if name.startswith("fields") else "building"


def _read_photo(path: Path) -> Scene:
    bgr: NDArray[Any] | None = cv2.imread(str(path))
    classes: NDArray[Any] | None = cv2.imread(str(path.with_name(path.stem + "_cls.png")), 0)
    if bgr is None or classes is None:
        raise RasterError(f"cannot read {path.name!r} and its class mask; are both there?")
    ids = np.where(classes < len(DUBAI_KINDS), 0, UNKNOWN).astype(np.int16)
    kinds: dict[int, str] = {}
    for code, kind in enumerate(DUBAI_KINDS):
        mask = (classes == code).astype(np.uint8)
        count, parts, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
        for part in range(1, count):
            if stats[part, cv2.CC_STAT_AREA] >= SMALLEST * 4:
                number = len(kinds) + 1
                kinds[number] = kind
                x, y, w, h = stats[part, :4]
                box = np.s_[y : y + h, x : x + w]
                ids[box][parts[box] == part] = number
    image = np.ascontiguousarray(bgr[..., ::-1])
    return Scene(path.stem, image, np.ones(classes.shape, bool), ids, kinds)


def _kinds_by_size(ids: NDArray[np.int16], kind: str) -> dict[int, str]:
    areas = np.bincount(ids[ids > 0].ravel())
    return {int(i): kind for i in np.flatnonzero(areas >= SMALLEST)}


def segment_scene(scene: Scene) -> Scene:
    """Return the same image with objects found by colour alone, at a random coarseness.

    Regions of one colour are what a user means as often as what a map legend names; they
    keep the network from believing that only fields and houses are objects.

    Source: graph-based segmentation of Felzenszwalb and Huttenlocher, 2004.
    """
    from skimage.segmentation import felzenszwalb

    rng = np.random.default_rng([len(scene.name), *scene.name.encode()])
    share = 0.5
    small = cv2.resize(scene.image, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    smooth = cv2.bilateralFilter(small, 5, 25, 3)
    coarse = float(np.exp(rng.uniform(np.log(80), np.log(900))))
    parts = felzenszwalb(smooth, scale=coarse, sigma=0.6, min_size=60) + 1
    areas = np.bincount(parts.ravel())
    keep = (areas >= 80) & (areas <= 0.2 * parts.size)
    keep[0] = False
    chosen = np.flatnonzero(keep)
    chosen = rng.permutation(chosen)[:4000]
    number = np.zeros(len(areas), np.int16)
    number[chosen] = np.arange(1, len(chosen) + 1)
    ids = cv2.resize(number[parts], scene.ids.shape[::-1], interpolation=cv2.INTER_NEAREST)
    ids = cv2.medianBlur(ids.astype(np.uint16), 5).astype(np.int16)
    kinds = {int(i): "segment" for i in range(1, len(chosen) + 1)}
    return Scene(scene.name, scene.image, scene.valid, ids, kinds)
