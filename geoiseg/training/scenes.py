"""Labelled scenes read from disk.

Expected under the data folder: ``NAME/image.tif`` with ``NAME/labels.geojson`` (one
polygon per object, perhaps with a ``class``) and perhaps ``NAME/provenance.json`` (with a
``family``), and ``_dubai/*.jpg`` with ``*_cls.png`` class masks, whose connected parts make
objects. Scenes that ``training.packed`` wrote serve on a machine without GDAL.

An object may lie within another: an island and its town. A scene comes as several layers
then, one :class:`Scene` each, of one name and with the very same image.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import RasterError
from geoiseg.training.class_maps import COMPLETE, class_map, dubai_map
from geoiseg.training.families import HELD_OUT, family_of, kind_of, place_of
from geoiseg.training.packed import is_packed, read_packed, write_packed
from geoiseg.training.scene import UNKNOWN, Ids, Scene

DUBAI_KINDS = ("building", "land", "road", "vegetation", "water")
"""Classes of the masks in their order; a larger number is unlabelled."""
SMALLEST = 40
"""Objects of fewer pixels are no targets."""
OVERLAP = 0.1
"""Share of an object that may be covered by others of its layer, as outlines of neighbours do."""
WHOLE = 0.05
"""Least share of a picture's water, or land, for the other to be an object as a whole."""


def read_scenes(folder: Path, *, held_out: bool, named: str = "") -> Iterator[Scene]:
    """Yield the scenes of a data folder, in the order of their names, layer by layer.

    Args:
        folder: Data folder.
        held_out: Whether to yield the scenes of the places that are held out or all others.
        named: Regular expression that matches the beginning of their names.

    Raises:
        RasterError: There is no labelled scene.
    """
    rasters = sorted({path.parent for path in folder.glob("[!_]*/image.*")})
    photos = sorted(folder.glob("_dubai/*.jpg"))
    if not rasters and not photos:
        raise RasterError(f"no labelled scene in {str(folder)!r}; expected NAME/image.tif there")
    rasters = [path for path in rasters if re.match(named, path.name)]
    photos = [path for path in photos if re.match(named, path.stem)]
    for path in rasters:
        if (place_of(path.name) in HELD_OUT) == held_out:
            yield from read_packed(path) if is_packed(path) else _read_raster(path)
    for path in photos:
        if (place_of(path.stem) in HELD_OUT) == held_out:
            yield from _read_photo(path)


def pack_scenes(folder: Path, out: Path) -> None:
    """Write all scenes of a data folder in a form that needs no GDAL to be read.

    Args:
        folder: Data folder.
        out: Where to; what is there already is replaced.
    """
    for held_out in (False, True):
        scenes = read_scenes(folder, held_out=held_out)
        for name, layers in groupby(scenes, key=lambda scene: scene.name):
            write_packed(list(layers), out / name)


def _read_raster(folder: Path) -> Iterator[Scene]:
    import rasterio

    with rasterio.open(folder / "image.tif") as source:
        data = source.read((1, 2, 3))
        valid = source.dataset_mask() > 0
        transform = source.transform
    shapes = json.loads((folder / "labels.geojson").read_text())["features"]
    about = folder / "provenance.json"
    provenance = json.loads(about.read_text()) if about.exists() else {}
    family = family_of(folder.name, provenance)
    image = np.ascontiguousarray(data.transpose(1, 2, 0))
    image[~valid] = 0
    layers = _burned(shapes, family, transform, valid.shape)
    if family == "island":
        layers.append(_sea(layers, valid))
    drawn = COMPLETE if "Doodler" in str(provenance.get("label")) else family
    channels = _channels(folder.name, provenance)
    known = class_map(image, valid, drawn, _by_kind(layers), channels)
    for ids, kinds in layers:
        kept = _large(ids, kinds)
        facts = family, place_of(folder.name), known.present, known.known
        yield Scene(folder.name, image, valid, ids, kept, *facts)


def _channels(name: str, provenance: dict[str, Any]) -> str:
    """Return which bands the image shows, as :func:`class_map` wants it."""
    said = f"{name} {provenance.get('notes')}"
    if "ONE band" in said or "swir" in said.lower():
        return "other"
    return "nrg" if "FALSE COLOUR" in said else "rgb"


def _by_kind(layers: list[tuple[Ids, dict[int, str]]]) -> dict[str, NDArray[np.bool_]]:
    """Return where the objects of each kind lie; what lies within another comes later."""
    found: dict[str, NDArray[np.bool_]] = {}
    for ids, kinds in layers:
        numbers = {kind: [n for n in kinds if kinds[n] == kind] for kind in kinds.values()}
        for kind, own in numbers.items():
            where = np.isin(ids, own)
            found[kind] = found[kind] | where if kind in found else where
    return found


def _burned(
    shapes: list[dict[str, Any]], family: str, transform: Any, extent: tuple[int, ...]
) -> list[tuple[Ids, dict[int, str]]]:
    """Return the polygons as layers of object numbers, the largest objects first."""
    masks = [_one_burned(shape["geometry"], transform, extent) for shape in shapes]
    order = sorted(range(len(shapes)), key=lambda i: -int(masks[i][1].sum()))
    layers: list[tuple[Ids, dict[int, str]]] = [(np.zeros(extent, np.int16), {})]
    for index in order:
        window, mask = masks[index]
        area = int(mask.sum())
        free = [bool((ids[window][mask] > 0).sum() <= OVERLAP * area) for ids, _ in layers]
        if not any(free):
            layers.append((np.zeros(extent, np.int16), {}))
        ids, kinds = layers[free.index(True) if any(free) else -1]
        ids[window][mask] = index + 1
        kinds[index + 1] = kind_of(shapes[index]["properties"], family)
    return layers


def _one_burned(
    geometry: Any, transform: Any, extent: tuple[int, ...]
) -> tuple[tuple[slice, slice], NDArray[np.bool_]]:
    """Return the window that one polygon touches and its mask there."""
    from affine import Affine
    from rasterio.features import bounds, rasterize

    left, bottom, right, top = bounds(geometry)
    corners = [~transform @ (x, y) for x in (left, right) for y in (bottom, top)]
    columns, rows = ([float(corner[axis]) for corner in corners] for axis in (0, 1))
    x0, y0 = (max(0, int(np.floor(min(side)))) for side in (columns, rows))
    x1 = min(extent[1], int(np.ceil(max(columns))))
    y1 = min(extent[0], int(np.ceil(max(rows))))
    if x1 <= x0 or y1 <= y0:
        return (slice(0, 0), slice(0, 0)), np.zeros((0, 0), bool)
    moved = transform @ Affine.translation(x0, y0)
    mask = rasterize([(geometry, 1)], (y1 - y0, x1 - x0), transform=moved, dtype="uint8")
    return (slice(y0, y1), slice(x0, x1)), mask > 0


def _sea(
    layers: list[tuple[Ids, dict[int, str]]], valid: NDArray[np.bool_]
) -> tuple[Ids, dict[int, str]]:
    """Return the water around outlined land as a layer of its own."""
    dry = np.zeros(valid.shape, bool)
    for ids, _ in layers:
        dry |= ids > 0
    return _parts(~dry & valid, "water")


def _parts(mask: NDArray[np.bool_], kind: str) -> tuple[Ids, dict[int, str]]:
    """Return the connected parts of a mask that make up much of the picture."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    ids = np.zeros(mask.shape, np.int16)
    kinds: dict[int, str] = {}
    for part in range(1, count):
        if stats[part, cv2.CC_STAT_AREA] >= WHOLE * mask.size:
            kinds[len(kinds) + 1] = kind
            ids[parts == part] = len(kinds)
    return ids, kinds


def _read_photo(path: Path) -> Iterator[Scene]:
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
    valid = np.ones(classes.shape, bool)
    masks = {kind: classes == code for code, kind in enumerate(DUBAI_KINDS)}
    known = dubai_map(image, masks)
    about = "aerial", place_of(path.stem), known.present, known.known
    yield Scene(path.stem, image, valid, ids, kinds, *about)
    water = masks["water"]
    if WHOLE <= water.mean() <= 1 - WHOLE:
        # Land with all that stands on it is what one click on an island means.
        whole, named = _parts(~water & (ids != UNKNOWN), "land")
        whole[ids == UNKNOWN] = UNKNOWN
        if named:
            yield Scene(path.stem, image, valid, whole, named, *about)


def _large(ids: Ids, kinds: dict[int, str]) -> dict[int, str]:
    areas = np.bincount(ids[ids > 0].ravel(), minlength=max(kinds, default=0) + 1)
    return {number: kind for number, kind in kinds.items() if areas[number] >= SMALLEST}
