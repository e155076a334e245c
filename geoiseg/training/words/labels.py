"""Which classes each pixel of a labelled scene may belong to.

What labels and colours say of the eight classes of ``class_maps`` becomes sets of the classes
of words, as bits: those that are not ruled out. Between outlined fields all but a field is
taken for possible: most that is not outlined there is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from geoiseg.demo.drawing import Land
from geoiseg.demo.paint import paint
from geoiseg.demo.plan import make_plan
from geoiseg.models.tiny.words import CLASSES
from geoiseg.training.class_maps import bits as map_bits
from geoiseg.training.procedural.canvas import Canvas
from geoiseg.training.procedural.land import add_buildings, add_fields, add_woods, lay_ground
from geoiseg.training.procedural.water import (
    add_braid,
    add_coast,
    add_lakes,
    add_river,
    add_roads,
)
from geoiseg.training.scene import Scene

Bits = NDArray[np.uint8]
"""``(y, x)``: bit ``c`` is set where class ``c`` is possible; 0 where nothing is known."""

EVERY = (1 << len(CLASSES)) - 1
MADE_OF = {"vegetation": "tree grass", "land": "bare snow"}
"""Classes of words that several classes of ``class_maps`` make; others have their names."""
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
LANDSCAPE = {
    Land.SEA: "water", Land.LAKE: "water", Land.STREAM: "water", Land.BEACH: "land",
    Land.ROAD: "road", Land.TRACK: "road", Land.BUILDING: "building", Land.WOOD: "vegetation",
    Land.LAWN: "vegetation", Land.GARDEN: "vegetation", Land.FIELD: "field",
}  # fmt: skip
"""Classes of the land cover of the demonstration's scenes; the rest is neither water nor house."""
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


def of_scene(scene: Scene) -> Labelled:
    """Return a scene with its classes; nothing is known of a scene without a map of them."""
    bits = np.zeros(scene.image.shape[:2], np.uint8)
    if scene.known is not None and scene.present is not None:
        absent, there = scene.known & ~scene.present, np.zeros_like(bits)
        for name in CLASSES:
            parts = map_bits(*MADE_OF.get(name, name).split())
            bits[(absent & parts) != parts] |= bit(name)
            there[scene.present & parts > 0] |= bit(name)
        # A field may be grass or bare: what is said to be there goes before what may be.
        bits = np.where(there > 0, there, bits)
        if scene.family == "field":
            bits[(bits == EVERY) & _apart(scene)] &= EVERY & ~bit("field")
    bits[(bits == EVERY) | ~scene.valid] = 0
    return Labelled(scene.name, scene.image, scene.valid, bits)


def images(scenes: Iterable[Scene]) -> Iterator[Scene]:
    """Yield the first layer of each scene: all layers share its image and its classes."""
    for _, layers in groupby(scenes, key=lambda scene: scene.name):
        yield next(layers)


def _apart(scene: Scene) -> NDArray[np.bool_]:
    """Return ``(y, x)`` True where no object is outlined."""
    step = round(scene.image.shape[0] / scene.ids.shape[0])
    apart = (scene.ids == 0).repeat(step, axis=0).repeat(step, axis=1)
    rows, columns = scene.image.shape[:2]
    missing = ((0, max(0, rows - apart.shape[0])), (0, max(0, columns - apart.shape[1])))
    return np.asarray(np.pad(apart, missing)[:rows, :columns])


def drawn(seed: int, size: int = 512) -> Labelled:
    """Return a procedural scene: a body of water, and some of all else."""
    rng = np.random.default_rng([seed, 113])
    canvas = Canvas.empty(rng, size)
    lay_ground(canvas, claim=False)
    bits = np.full((size, size), EVERY & ~bit("water") & ~bit("building"), np.uint8)
    water = int(rng.choice(WATERS))
    for number, (add, name) in enumerate(DRAWN):
        wanted = number == water if number in WATERS else bool(rng.random() < 0.35)
        if not wanted:
            continue
        before, last = canvas.image.copy(), len(canvas.targets)
        add(canvas)
        changed = (canvas.image != before).any(axis=2)
        bits[changed] = EVERY & ~bit("water") & ~bit("building")
        bits[canvas.ids > last] = bit(name)
    canvas.soften()
    return Labelled(f"procedural_{seed}", canvas.as_bytes(), canvas.ids >= 0, bits)


def landscape(seed: int, size: int) -> Labelled:
    """Return a scene like that of the demonstration: sea, fields, woods and houses side by side.

    Args:
        seed: From 1 on; 0 is the demonstration itself.
        size: Pixels on a side.
    """
    plan = make_plan(np.random.default_rng([seed, 1]), size)
    image, _ = paint(plan, np.random.default_rng([seed, 2]))
    bits = np.full((size, size), EVERY & ~bit("water") & ~bit("building"), np.uint8)
    cover = np.minimum(plan.labels, Land.FIELD)
    for land, name in LANDSCAPE.items():
        bits[cover == land] = bit(name)
    return Labelled(f"landscape_{seed}", image, np.ones((size, size), bool), bits)
