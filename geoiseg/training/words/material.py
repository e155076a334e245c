"""Places to fit to: features of many views of the labelled scenes, with their classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from geoiseg.models import Model
from geoiseg.models.tiny.pixel_features import CELL, pixel_features
from geoiseg.models.tiny.words import CLASSES
from geoiseg.training.scenes import read_scenes
from geoiseg.training.words.labels import Labelled, bit, drawn, images, landscape, of_scene

LARGEST = 576
"""Side in pixels of a view; of a larger scene a part is shown."""
PLACES = 500
"""Places that are kept of a view, rare classes more often."""
PROCEDURAL = 70
"""Scenes made on the spot."""
LANDSCAPES, SIZES = 8, (1024, 2048)
"""Scenes like that of the demonstration, others than itself, and their sides in pixels."""
FINE_SCENE = 1200
"""A scene with a longer side is shown at a half and a quarter, others whole and at a half."""
WET = 0.02
"""Share of a scene's pixels from which on it is one with water."""
LEAST = 80
"""Least side in pixels of a scene that is shown coarser still."""
UNSURE, UNLABELLED = 0.3, 0.15
"""Weights of places of which only some classes can be ruled out; the latter is for what lies
between outlined fields, which may be a field that nobody outlined."""


@dataclass(frozen=True, slots=True)
class Shown:
    """How scenes are shown to one of the heads, so that each errs elsewhere."""

    gain: float = 0.15
    """Standard deviation of the logarithm of the gain of all bands."""
    band: float = 0.1
    """The same of each band's own."""
    gamma: float = 0.2
    """The same of the exponent."""
    waters: int = 1
    """How many times as often scenes with water are shown in other colours."""
    coarse: bool = False
    """Whether scenes are shown at half the coarsest scale besides."""


ALTERED = Shown(gain=0.3, band=0.15, gamma=0.4, coarse=True)
EVERY_HEAD = (Shown(), Shown(waters=3), ALTERED, replace(ALTERED, waters=2))
"""One for each head."""


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Some places of some views."""

    features: NDArray[np.float16]
    """``(n, f)``."""
    bits: NDArray[np.uint8]
    """``(n,)`` possible classes."""

    @property
    def allowed(self) -> NDArray[np.float32]:
        """``(n, classes)`` 1 where a class is possible."""
        table = (self.bits[:, None] >> np.arange(len(CLASSES), dtype=np.uint8)) & 1
        return table.astype(np.float32)

    @property
    def weights(self) -> NDArray[np.float32]:
        """``(n,)`` how much each counts: rare classes more, what is unsure less."""
        allowed = self.allowed
        known = allowed.sum(axis=1) == 1
        weights = np.full(len(allowed), UNSURE, np.float32)
        weights[~known & (allowed[:, CLASSES.index("building")] > 0)] = UNLABELLED
        for number in range(len(CLASSES)):
            own = known & (allowed[:, number] > 0)
            if own.any():
                weights[own] = np.sqrt(len(allowed) / len(CLASSES) / own.sum())
        return weights


def collect(model: Model, folder: Path, shown: Shown, rng: np.random.Generator) -> Places:
    """Return the places to fit to.

    Args:
        model: ``tiny``.
        folder: Data folder.
        shown: How scenes are.
        rng: Source of chance.
    """
    scenes = map(of_scene, images(read_scenes(folder, held_out=False)))
    made = chain(
        (drawn(seed) for seed in range(PROCEDURAL)),
        (landscape(1 + k, SIZES[k % len(SIZES)]) for k in range(LANDSCAPES)),
    )
    features, bits = [], []
    for scene in tqdm(chain(scenes, made), desc="scenes", disable=None):
        if not scene.bits.any():
            continue
        for view in views(scene, rng, shown):
            found, known = described(model, view)
            chosen = _chosen(known, rng)
            features.append(found[chosen].astype(np.float16))
            bits.append(known[chosen])
    return Places(np.concatenate(features), np.concatenate(bits))


def described(model: Model, view: Labelled) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return ``(n, f)`` features and ``(n,)`` possible classes of all cells of a view."""
    features = pixel_features(model.embed(view.image, view.valid))
    middle = view.bits[CELL // 2 :: CELL, CELL // 2 :: CELL]
    rows, columns = (min(a, b) for a, b in zip(features.shape[:2], middle.shape, strict=True))
    flat = features[:rows, :columns].reshape(-1, features.shape[2])
    return flat, np.ascontiguousarray(middle[:rows, :columns]).ravel()


def _chosen(bits: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.intp]:
    known = np.flatnonzero(bits)
    if not len(known):
        return known
    chance = 1 / np.sqrt(np.bincount(bits, minlength=256)[bits[known]])
    count = min(PLACES, len(known))
    return rng.choice(known, count, replace=False, p=chance / chance.sum())


def views(
    scene: Labelled, rng: np.random.Generator, shown: Shown | None = None
) -> Iterator[Labelled]:
    """Yield a scene at two scales, then at these in other colours, turned and a little scaled.

    Scenes with water come so several times, and all of them coarser once more, where ``shown`` says
    so. A procedural scene comes once, in other colours and turned.

    Args:
        scene: The scene.
        rng: Source of chance.
        shown: How it is changed; None for as it is alone.
    """
    if shown is not None and scene.name.startswith("procedural"):
        yield _turned(_part(scene, float(np.exp(rng.uniform(-0.7, 0.0))), rng), rng, shown)
        return
    scales = (0.5, 0.25) if max(scene.bits.shape) > FINE_SCENE else (1.0, 0.5)
    for scale in scales:
        yield _part(scene, scale, rng)
    if shown is None:
        return
    wet = float(np.mean(scene.bits == bit("water"))) > WET
    for scale in scales * (shown.waters if wet else 1):
        part = _part(scene, scale * float(np.exp(rng.uniform(-0.4, 0.3))), rng)
        yield _turned(part, rng, shown)
    coarser = scales[-1] / 2
    if shown.coarse and min(scene.bits.shape) * coarser >= LEAST:
        yield _part(scene, coarser, rng)
        part = _part(scene, coarser * float(np.exp(rng.uniform(-0.1, 0.4))), rng)
        yield _turned(part, rng, shown)


def _part(scene: Labelled, scale: float, rng: np.random.Generator) -> Labelled:
    """Return a scene at another scale, cut where it is too large."""
    size = [max(64, round(side * scale)) for side in scene.bits.shape]
    wide = (size[1], size[0])
    planes: list[NDArray[Any]] = [
        cv2.resize(scene.image, wide, interpolation=cv2.INTER_AREA),
        cv2.resize(scene.valid.view(np.uint8), wide, interpolation=cv2.INTER_NEAREST) > 0,
        cv2.resize(scene.bits, wide, interpolation=cv2.INTER_NEAREST),
    ]
    top, left = (int(rng.integers(0, max(1, side - LARGEST + 1))) for side in size)
    window = np.s_[top : top + LARGEST, left : left + LARGEST]
    image, valid, bits = (_whole(plane[window]) for plane in planes)
    return Labelled(scene.name, image, valid, bits)


def _whole(plane: NDArray[Any]) -> Any:
    return np.ascontiguousarray(plane)


def _turned(view: Labelled, rng: np.random.Generator, shown: Shown) -> Labelled:
    turns = int(rng.integers(4))
    planes = (_toned(view.image, rng, shown), view.valid, view.bits)
    image, valid, bits = (_whole(np.rot90(plane, turns)) for plane in planes)
    return Labelled(view.name, image, valid, bits)


def _toned(image: NDArray[np.uint8], rng: np.random.Generator, shown: Shown) -> NDArray[np.uint8]:
    """Return the image with other gain, offset and gamma; a third with bands exchanged."""
    x = image.astype(np.float32) / 255
    if rng.random() < 0.35:
        x = x[..., rng.permutation(3)]
    gain = np.exp(rng.normal(0, shown.gain)) * np.exp(rng.normal(0, shown.band, 3))
    x = np.clip(x * gain + rng.normal(0, 0.05) + rng.normal(0, 0.03, 3), 0, 1)
    x **= np.exp(rng.normal(0, shown.gamma))
    return np.asarray(np.rint(x * 255), np.uint8)


def class_bits() -> dict[str, int]:
    """Return the bit of each class by its name."""
    return {name: bit(name) for name in CLASSES}
