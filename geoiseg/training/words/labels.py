"""Which classes each pixel of a labelled scene may belong to.

Labels of different sources say different things: a Dubai mask names each pixel's class; an
outline of a field says ``field`` within and little beyond; buildings of OpenStreetMap say
``building`` within and ``not a building`` beyond. All become sets of classes, as bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import RasterError
from geoiseg.models.tiny.words import CLASSES
from geoiseg.training.procedural.canvas import Canvas
from geoiseg.training.procedural.land import add_buildings, add_fields, add_woods, lay_ground
from geoiseg.training.procedural.water import (
    add_braid,
    add_coast,
    add_lakes,
    add_river,
    add_roads,
)
from geoiseg.training.scenes import DUBAI_KINDS, Scene

Bits = NDArray[np.uint8]
"""``(y, x)``: bit ``c`` is set where class ``c`` is possible; 0 where nothing is known."""

EVERY = (1 << len(CLASSES)) - 1
DRAWN = (
    (add_fields, "field"),
    (add_woods, "vegetation"),
    (add_roads, "road"),
    (add_buildings, "building"),
    (add_river, "water"),
    (add_lakes, "water"),
    (add_coast, "water"),
    (add_braid, "water"),
)
"""What is painted into a procedural scene, in order, and its class."""
WATERS = tuple(number for number, (_, name) in enumerate(DRAWN) if name == "water")


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """An image with the classes that its pixels may have."""

    name: str
    image: NDArray[np.uint8]
    """``(y, x, 3)``."""
    valid: NDArray[np.bool_]
    bits: Bits


def bit(name: str) -> int:
    """Return the bit of a class."""
    return 1 << CLASSES.index(name)


def of_scene(scene: Scene, folder: Path) -> Labelled:
    """Return a scene with its classes.

    Args:
        scene: Read from ``folder``.
        folder: Data folder, for the class masks of Dubai.

    Raises:
        RasterError: The class mask is missing.
    """
    bits = np.zeros(scene.ids.shape, np.uint8)
    drawn = scene.ids > 0
    if (folder / "_dubai" / f"{scene.name}.jpg").exists():
        path = folder / "_dubai" / f"{scene.name}_cls.png"
        codes = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if codes is None:
            raise RasterError(f"cannot read {str(path)!r}")
        for code, kind in enumerate(DUBAI_KINDS):
            bits[codes == code] = bit(kind)
    elif scene.name.startswith("fields"):
        bits[:] = EVERY & ~bit("field")
        bits[drawn] = bit("field")
    else:
        bits[:] = EVERY & ~bit("field") & ~bit("building")
        bits[drawn] = bit("building")
    bits[~scene.valid] = 0
    return Labelled(scene.name, scene.image, scene.valid, bits)


def drawn(seed: int, size: int = 512) -> Labelled:
    """Return a procedural scene: a body of water, and some of all else."""
    rng = np.random.default_rng([seed, 113])
    canvas = Canvas.empty(rng, size)
    lay_ground(canvas, claim=False)
    bits = np.full((size, size), EVERY & ~bit("water") & ~bit("building"), np.uint8)
    water = int(rng.choice(WATERS))
    for number, (paint, name) in enumerate(DRAWN):
        wanted = number == water if number in WATERS else bool(rng.random() < 0.35)
        if not wanted:
            continue
        before, last = canvas.image.copy(), len(canvas.targets)
        paint(canvas)
        changed = (canvas.image != before).any(axis=2)
        bits[changed] = EVERY & ~bit("water") & ~bit("building")
        bits[canvas.ids > last] = bit(name)
    canvas.soften()
    return Labelled(f"procedural_{seed}", canvas.as_bytes(), canvas.ids >= 0, bits)
