"""A scene being painted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float32]


@dataclass(slots=True)
class Canvas:
    """Image and objects; painted over from the ground upwards."""

    rng: np.random.Generator
    """Source of all chance."""
    image: FloatArray
    """``(y, x, 3)`` in 0..255."""
    ids: NDArray[np.int16]
    """``(y, x)`` object number, 0 for none."""
    targets: list[int] = field(default_factory=list)
    """Object numbers that may be asked for."""
    wholes: NDArray[np.int16] | None = None
    """``(y, x)`` numbers of objects that hold others, each land with all that is on it."""
    classes: dict[int, str] = field(default_factory=dict)
    """Class of the objects of which it is known, by number."""

    @classmethod
    def empty(cls, rng: np.random.Generator, size: int) -> Canvas:
        """Return a black scene of ``size`` by ``size`` pixels without objects."""
        return cls(rng, np.zeros((size, size, 3), np.float32), np.zeros((size, size), np.int16))

    @property
    def size(self) -> int:
        """Rows and columns."""
        return int(self.ids.shape[0])

    def claim(self, mask: BoolArray) -> int:
        """Give the pixels a new object number, take them from what lay below, return it."""
        number = len(self.targets) + 1
        self.ids[mask] = number
        self.targets.append(number)
        return number

    def claim_parts(self, parts: NDArray[np.intp], smallest: int, kind: str) -> None:
        """Claim each numbered part, 0 for none, of at least so many pixels, as one kind."""
        areas = np.bincount(parts.ravel())
        areas[0] = 0
        large = np.flatnonzero(areas >= smallest)
        first = len(self.targets) + 1
        number = np.zeros(len(areas), np.int16)
        number[large] = np.arange(first, first + len(large))
        self.ids[parts > 0] = number[parts[parts > 0]]
        self.targets += range(first, first + len(large))
        self.classes.update(dict.fromkeys(range(first, first + len(large)), kind))

    def enclose(self, masks: list[BoolArray]) -> None:
        """Make each mask an object of the second layer, which what lies on it is part of."""
        if self.wholes is None:
            self.wholes = np.zeros_like(self.ids)
        for mask in masks:
            self.wholes[mask] = int(self.wholes.max()) + 1

    def release(self, mask: BoolArray) -> None:
        """Make the pixels part of no object."""
        self.ids[mask] = 0

    def paint(self, mask: BoolArray, colour: FloatArray, amplitude: float = 6.0) -> None:
        """Fill the pixels with a colour and a texture of some random kind."""
        texture = self.texture() * amplitude
        tint = self.rng.normal(1, 0.15, 3).astype(np.float32)
        self.image[mask] = colour + texture[mask, None] * tint

    def texture(self) -> FloatArray:
        """Return ``(y, x)`` of about unit spread: cloudy, grainy or in rows."""
        kind = self.rng.random()
        slope = self.rng.uniform(0.2, 1.2)
        smooth = fractal(self.rng, self.size, slope, int(self.rng.choice([2, 4, 8, 32])))
        if kind < 0.25:
            return smooth + 0.7 * stripes(self.rng, self.size)
        if kind < 0.6:
            grain = self.rng.normal(0, 1, self.ids.shape).astype(np.float32)
            return smooth + float(self.rng.uniform(0.1, 0.8)) * grain
        return smooth

    def soften(self) -> None:
        """Blur a little, as optics do, so that edges hold mixed pixels."""
        sigma = float(self.rng.uniform(0.3, 1.0))
        self.image = np.asarray(cv2.GaussianBlur(self.image, (0, 0), sigma), np.float32)

    def as_bytes(self) -> NDArray[np.uint8]:
        """Return the image as ``(y, x, 3)`` uint8."""
        return np.clip(np.rint(self.image), 0, 255).astype(np.uint8)


def fractal(
    rng: np.random.Generator, size: int, slope: float = 1.0, coarsest: int = 4
) -> FloatArray:
    """Return ``(size, size)`` noise of zero mean and unit spread.

    Args:
        rng: Source of chance.
        size: Rows and columns.
        slope: Weight of an octave as a power of its wavelength; large is smooth.
        coarsest: Cells along a side in the coarsest octave.
    """
    total: FloatArray = np.zeros((size, size), np.float32)
    cells = coarsest
    while cells < size:
        grid = rng.normal(0, 1, (cells + 2, cells + 2)).astype(np.float32)
        octave = cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)
        total += np.float32((coarsest / cells) ** slope) * octave
        cells *= 2
    total -= total.mean()
    return np.asarray(total / (total.std() + 1e-6))


def stripes(rng: np.random.Generator, size: int) -> FloatArray:
    """Return ``(size, size)`` rows in a random direction, as of a crop or a roof."""
    angle, wavelength = rng.uniform(0, np.pi), rng.uniform(2.5, 14)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    phase = (x * np.cos(angle) + y * np.sin(angle)) * (2 * np.pi / wavelength)
    return np.asarray(np.sin(phase), np.float32)


def components(mask: BoolArray, smallest: int) -> list[BoolArray]:
    """Return the 4-connected parts of at least ``smallest`` pixels, largest first."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=4
    )
    areas: NDArray[Any] = stats[:, cv2.CC_STAT_AREA]
    order = [int(i) for i in np.argsort(-areas) if i != 0 and areas[i] >= smallest and i < count]
    return [labels == i for i in order[:60]]
