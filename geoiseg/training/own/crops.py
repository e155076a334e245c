"""Crops of rasters around features, and of ordinary places, with what is kept to learn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import shapely
import torch
from numpy.typing import NDArray
from rasterio.features import rasterize
from torch import Tensor

from geoiseg.models.tiny.inputs import encoder_inputs
from geoiseg.raster import Raster, Window
from geoiseg.training.scene import UNKNOWN
from geoiseg.training.simulate import Objects, objects_of

SIDE = 160
"""Of a crop, in pixels."""
COARSEST, FINEST = 1 / 32, 3.0
"""Least and greatest scale, crop pixels per pixel of the raster."""
SHARES = (0.12, 0.9)
"""Least and greatest extent of an object as a share of the crop's side."""
NATIVE = 0.4
"""Share of crops at about the raster's own resolution, where an object fits in there."""
Look = Callable[[Mapping[str, NDArray[np.float32]]], tuple[Tensor, ...]]
"""Gives the layers of one image from what the encoder reads."""
FEWEST = 16
"""Pixels of an object that a crop has to show."""


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A crop, its features, and the object in it."""

    layers: tuple[Tensor, ...]
    """What the part of the network that stays as it is says of the crop, each
    ``(channels, y, x)`` in half precision, see :class:`geoiseg.training.own.pupil.Pupil`."""
    valid: Tensor
    """``(1, y, x)`` 1 where there is data."""
    ids: Tensor
    """``(y, x)`` numbers of objects, 0 for none, ``UNKNOWN`` where nothing is known."""
    target: int
    """Number of the object that is meant."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Pixels of a crop before they are encoded."""

    image: NDArray[np.uint8]
    """``(y, x, 3)``."""
    valid: NDArray[np.bool_]
    """``(y, x)``."""
    ids: NDArray[np.int64]
    """``(y, x)``."""


class Cutter:
    """Cuts crops out of a raster with its features.

    Args:
        raster: The raster.
        shapes: Polygons in the raster's CRS.
        known: ``(n,)`` whether a crop may tell about each of them: what is held out is unknown.
    """

    def __init__(self, raster: Raster, shapes: Sequence[Any], known: Sequence[bool]) -> None:
        self._raster, self._known = raster, known
        self._shapes = [shapely.transform(shape, raster.grid.to_pixel) for shape in shapes]
        self._tree = shapely.STRtree(self._shapes)

    def around(
        self, number: int, rng: np.random.Generator, zoom: float | None = None, jitter: float = 1.0
    ) -> View:
        """Return a crop around a feature.

        Args:
            number: Its place, from 0; it has the number above in the crop.
            rng: Where the crop lies, and how large it shows the object.
            zoom: Crop pixels per pixel of the raster; None draws one.
            jitter: Share of the room around the object by which it is off the middle at most.
        """
        x0, y0, x1, y1 = self._shapes[number].bounds
        extent = self.extent(number)
        zoom = zoom or _zoom(extent, rng)
        slack = jitter * max(0.0, SIDE / zoom - extent) / 2
        off = rng.uniform(-slack, slack, 2)
        return self._view((x0 + x1) / 2 + off[0], (y0 + y1) / 2 + off[1], zoom)

    def extent(self, number: int) -> float:
        """Return the longer side of a feature in pixels of the raster."""
        x0, y0, x1, y1 = self._shapes[number].bounds
        return float(max(x1 - x0, y1 - y0, 1.0))

    def anywhere(self, rng: np.random.Generator) -> View:
        """Return a crop of a random place at a random scale."""
        rows, cols = self._raster.grid.shape
        coarse = max(1.0, min(rows, cols) / SIDE)
        zoom = float(2.0 ** rng.uniform(-min(3.0, np.log2(coarse)), 1.0))
        return self._view(rng.uniform(0, cols), rng.uniform(0, rows), zoom)

    def _view(self, x: float, y: float, zoom: float) -> View:
        rows, cols = self._raster.grid.shape
        side = SIDE / zoom
        left = float(np.clip(x - side / 2, 0, max(0.0, cols - side)))
        top = float(np.clip(y - side / 2, 0, max(0.0, rows - side)))
        level = max(0, int(np.floor(np.log2(1 / zoom))))
        size = 2**level
        grid = self._raster.grid.level(level)
        wanted = Window(int(top / size), int(left / size),
                        max(1, round(side / size)), max(1, round(side / size)))  # fmt: skip
        chip = self._raster.chip(wanted.intersection(grid.whole), level)
        scale = SIDE / wanted.height
        image, valid = _fitted(chip.rgb, scale), _fitted(chip.valid.astype(np.uint8), scale) > 0
        corner = np.array([wanted.col, wanted.row], np.float64) * size
        ids = self._burnt(corner, scale / size)
        return View(image, valid, ids)

    def _burnt(self, corner: NDArray[np.float64], zoom: float) -> NDArray[np.int64]:
        """Return ``(y, x)`` the features' numbers in a crop, from 1."""
        frame = shapely.box(*corner, *(corner + SIDE / zoom))
        found = np.sort(self._tree.query(frame, predicate="intersects"))
        rows = [
            (shapely.transform(self._shapes[one], lambda xy: (xy - corner) * zoom),
             int(one) + 1 if self._known[one] else UNKNOWN)
            for one in found
        ]  # fmt: skip
        if not rows:
            return np.zeros((SIDE, SIDE), np.int64)
        return np.asarray(rasterize(rows, out_shape=(SIDE, SIDE), dtype=np.int32), np.int64)


def _zoom(extent: float, rng: np.random.Generator) -> float:
    """Return a scale at which a crop shows an object that is ``extent`` pixels wide."""
    if rng.random() < NATIVE and 6 < extent < SIDE:
        return float(rng.uniform(0.8, 1.25))
    low, high = np.log(SHARES)
    share = float(np.exp(rng.uniform(low, high)))
    return float(np.clip(share * SIDE / max(extent, 1.0), COARSEST, FINEST))


def _fitted(values: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """Return pixels at another scale on a square of :data:`SIDE`, filled up with 0."""
    rows, cols = (max(1, min(SIDE, round(side * scale))) for side in values.shape[:2])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    how = how if values.ndim == 3 else cv2.INTER_NEAREST
    out = np.zeros((SIDE, SIDE, *values.shape[2:]), np.uint8)
    out[:rows, :cols] = cv2.resize(np.ascontiguousarray(values), (cols, rows), interpolation=how)
    return out


def varied(view: View, rng: np.random.Generator) -> View:
    """Return a crop turned, mirrored, and in slightly other light."""
    turns, mirrored = int(rng.integers(4)), bool(rng.random() < 0.5)

    def turned(values: NDArray[Any]) -> NDArray[Any]:
        one = np.rot90(values, turns)
        return np.ascontiguousarray(one[:, ::-1] if mirrored else one)

    light = view.image * rng.uniform(0.88, 1.12, 3) + rng.uniform(-10, 10)
    image = np.clip(light, 0, 255).astype(np.uint8)
    return View(turned(image), turned(view.valid), turned(view.ids))


def encoded(look: Look, view: View, target: int) -> Example:
    """Return a crop with what is kept of it."""
    found = look(encoder_inputs(view.image, view.valid, view.valid.shape))
    return Example(
        tuple(layer[0].half() for layer in found),
        torch.from_numpy(view.valid.astype(np.float32))[None],
        torch.from_numpy(view.ids),
        target,
    )


def batched(examples: Sequence[Example]) -> tuple[tuple[Tensor, ...], Objects]:
    """Return the layers and the objects of several crops."""
    each = zip(*(one.layers for one in examples), strict=True)
    layers = tuple(torch.stack(layer).float() for layer in each)
    ids = torch.stack([one.ids for one in examples])
    valid = torch.stack([one.valid for one in examples])
    target = torch.tensor([one.target for one in examples])
    return layers, objects_of(ids, valid, target, torch.zeros_like(target))
