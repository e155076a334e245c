"""Random textures of the demonstration scene: fractal fields and tiles that repeat.

Everything takes its random generator as an argument, so that a seed gives one scene.
Arrays are float32 with mean about 0 and standard deviation about 1 unless said otherwise.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import require

Field = NDArray[np.float32]

TILE = 1024
"""Side of the repeating tiles, in pixels."""


def fractal(
    rng: np.random.Generator, side: int, cells: tuple[int, int], roughness: float = 0.5
) -> Field:
    """Return ``(side, side)`` fractal noise of mean 0 and standard deviation 1.

    Octaves of white noise are added while a small image is doubled by cubic interpolation.

    Args:
        rng: Source of randomness.
        side: Pixels on a side.
        cells: Lattice cells on a side of the first and of the last octave.
        roughness: Amplitude of an octave relative to the one before.
    """
    first, last = cells
    octaves = max(0, round(math.log2(last / first)))
    image: Field = rng.standard_normal((first, first), dtype=np.float32)
    for octave in range(1, octaves + 1):
        n = first << octave
        image = _resized(image, n)
        image += roughness**octave * rng.standard_normal((n, n), dtype=np.float32)
    image = _resized(image, side)
    image -= image.mean()
    image /= image.std() + 1e-9
    return np.asarray(image, dtype=np.float32)


def _resized(image: Field, side: int) -> Field:
    resized = cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.asarray(resized, dtype=np.float32)


def grain(rng: np.random.Generator, along: float, across: float) -> Field:
    """Return a ``(TILE, TILE)`` periodic noise stretched along x.

    White noise filtered by a Gaussian in the frequency domain, which wraps by construction.

    Args:
        rng: Source of randomness.
        along: Correlation length along x, pixels.
        across: Correlation length along y, pixels.
    """
    fft: Any = require("scipy.fft")
    spectrum = fft.rfft2(rng.standard_normal((TILE, TILE), dtype=np.float32))
    fx = (fft.rfftfreq(TILE)[None, :] * along).astype(np.float32)
    fy = (fft.fftfreq(TILE)[:, None] * across).astype(np.float32)
    kept = np.exp(-0.5 * math.pi**2 * fx**2) * np.exp(-0.5 * math.pi**2 * fy**2)
    spectrum.real *= kept
    spectrum.imag *= kept
    image = np.asarray(fft.irfft2(spectrum, s=(TILE, TILE)), dtype=np.float32)
    image /= image.std() + 1e-9
    return image


def skip_grain(rng: np.random.Generator) -> None:
    """Draw what `grain` would, so that whatever is drawn later stays the same."""
    rng.standard_normal((TILE, TILE), dtype=np.float32)


def waves(period: float, phase: float = 0.0) -> Field:
    """Return a ``(TILE, 1)`` sine across y that wraps; flat where the pixels are too coarse.

    Args:
        period: Wanted wavelength in pixels; the nearest that divides the tile is used.
        phase: Radians.
    """
    if period < 2.6:  # below this a sine turns into moire
        return np.zeros((TILE, 1), dtype=np.float32)
    cycles = max(1, round(TILE / period))
    angle = np.arange(TILE, dtype=np.float32)[:, None] * (2.0 * math.pi * cycles / TILE)
    return np.asarray(np.sin(angle + phase) * math.sqrt(2.0), dtype=np.float32)


def tramlines(spacing: float, gauge: float) -> Field:
    """Return a ``(TILE, 1)`` profile across y: 1 in the wheel tracks of a tractor, else 0.

    Args:
        spacing: Distance between passes, pixels.
        gauge: Distance between the two wheels, pixels.
    """
    profile = np.zeros((TILE, 1), dtype=np.float32)
    passes = max(1, round(TILE / spacing))
    centres = (np.arange(passes) + 0.5) * TILE / passes
    for wheel in (-gauge / 2, gauge / 2):
        at = np.floor(centres + wheel).astype(int) % TILE
        profile[at] = 1.0
    return profile


def crowns(
    rng: np.random.Generator, spacing: float, xy_sun: tuple[float, float]
) -> tuple[Field, Field]:
    """Return ``(shade, tint)``, two ``(TILE, TILE)`` periodic fields of tree crowns.

    ``shade`` is the light on rounded crowns (0 in the dark between them, about 1 on their
    sunny side); ``tint`` is one random number per crown in -1..1.

    Args:
        rng: Source of randomness.
        spacing: Mean distance between trees, pixels.
        xy_sun: Unit vector towards the sun in the picture, x right, y down.
    """
    margin = max(8, math.ceil(3 * spacing))
    count = max(2, round(TILE / max(spacing, 1.5)))
    step = TILE / count
    grid = (np.stack(np.meshgrid(np.arange(count), np.arange(count)), -1) + 0.5) * step
    grid += rng.uniform(-0.42, 0.42, grid.shape) * step
    at = np.floor(grid.reshape(-1, 2)).astype(int) % TILE
    seeds = np.full((TILE, TILE), 255, dtype=np.uint8)
    seeds[at[:, 1], at[:, 0]] = 0
    padded = np.pad(seeds, margin, mode="wrap")
    distance, owner = cv2.distanceTransformWithLabels(
        padded, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    inside = np.s_[margin : margin + TILE, margin : margin + TILE]
    number = rng.uniform(-1.0, 1.0, int(owner.max()) + 1).astype(np.float32)
    radius = step * (0.62 + 0.16 * number[owner])
    height = np.sqrt(np.clip(1.0 - (distance / radius) ** 2, 0.0, None)).astype(np.float32)
    lit = cv2.Sobel(height, cv2.CV_32F, 1, 0) * xy_sun[0]
    lit += cv2.Sobel(height, cv2.CV_32F, 0, 1) * xy_sun[1]
    # the gradient grows as crowns get fewer pixels; the light on them does not
    shade = 0.15 + 0.65 * height - 0.06 * step * np.clip(lit, -3.0, 3.0) / 2.5
    owners = owner[inside] % number.size
    return np.clip(shade[inside], 0.0, 1.4).astype(np.float32), number[owners]
