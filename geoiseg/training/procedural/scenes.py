"""Whole scenes from a seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from geoiseg.training.procedural.canvas import Canvas
from geoiseg.training.procedural.land import add_buildings, add_fields, add_woods, lay_ground
from geoiseg.training.procedural.shore import (
    add_delta,
    add_glare,
    add_harbour,
    add_islands,
    add_ships,
)
from geoiseg.training.procedural.town import add_terraces
from geoiseg.training.procedural.water import (
    add_braid,
    add_coast,
    add_lakes,
    add_river,
    add_roads,
)

Step = Callable[[Canvas], None]
RECIPES: tuple[tuple[float, tuple[tuple[float, Step], ...]], ...] = (
    (0.20, ((0.3, add_fields), (0.3, add_woods), (0.3, add_lakes), (1.0, add_river))),
    (0.06, ((0.3, add_fields), (0.5, add_woods), (1.0, add_braid))),
    (0.11, ((0.3, add_fields), (0.4, add_woods), (0.3, add_buildings), (1.0, add_coast))),
    (0.07, ((0.4, add_fields), (0.5, add_woods), (1.0, add_lakes), (0.3, add_roads))),
    (0.09, ((1.0, add_fields), (0.4, add_roads), (0.4, add_woods), (0.2, add_river))),
    (0.10, ((0.2, add_fields), (0.6, add_roads), (0.5, add_woods), (1.0, add_buildings))),
    (0.13, (
        (0.2, add_fields), (0.4, add_woods), (0.2, add_terraces), (0.2, add_buildings),
        (1.0, add_islands), (0.3, add_ships), (0.2, add_glare),
    )),
    (0.06, ((0.4, add_fields), (0.5, add_woods), (1.0, add_delta), (0.2, add_glare))),
    (0.09, (
        (0.5, add_terraces), (0.3, add_buildings), (0.2, add_woods), (1.0, add_harbour),
        (0.25, add_glare),
    )),
    (0.09, ((0.3, add_fields), (0.3, add_woods), (1.0, add_terraces), (0.3, add_roads))),
)  # fmt: skip
"""Share of each kind of scene, and the chance of every step of it, in order."""
DRAWN: dict[Step, str] = {
    add_fields: "field", add_woods: "tree", add_buildings: "building", add_roads: "road",
    add_river: "water", add_braid: "water", add_coast: "water", add_lakes: "water",
}  # fmt: skip
"""Class of what each step draws, where it does not say so itself."""


def make_scene(seed: int, size: int = 640) -> Canvas:
    """Return the scene of a seed, ``size`` by ``size`` pixels."""
    rng = np.random.default_rng([seed, 71])
    shares = np.array([share for share, _ in RECIPES])
    steps = RECIPES[int(rng.choice(len(RECIPES), p=shares / shares.sum()))][1]
    canvas = Canvas.empty(rng, size)
    lay_ground(canvas, claim=bool(rng.random() < 0.4))
    for chance, step in steps:
        if rng.random() < chance:
            last = len(canvas.targets)
            step(canvas)
            if step in DRAWN:
                canvas.classes.update(dict.fromkeys(canvas.targets[last:], DRAWN[step]))
    canvas.soften()
    return canvas
