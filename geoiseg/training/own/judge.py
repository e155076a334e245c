"""What a model of one's own brings on what was held out, and what it costs elsewhere."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from geoiseg.demo.scene import make_scene
from geoiseg.evaluate.dataset import LabelledObject
from geoiseg.evaluate.metrics import clicks_to, iou
from geoiseg.evaluate.protocol import EvaluationOptions, ObjectScore, evaluate_object
from geoiseg.evaluate.simulated_user import next_click
from geoiseg.models import Model
from geoiseg.raster import Raster, open_raster
from geoiseg.segment import EmbeddingCache
from geoiseg.segment.dates import burnt
from geoiseg.session import Session

CLICKS, GOAL = 10, 0.85
"""Clicks at most on each object that was held out, and the IoU at which they end."""
DEMO_SIZE, DEMO_SEED, DEMO_OBJECTS = 1024, 3, 30
"""Of the scene on which is measured what was forgotten, and how many of its objects at most."""
FORGIVEN = 0.03
"""Share of the IoU at the first click on old scenes that may be lost."""
DIFFERENCE = 0.01
"""IoU that makes a difference."""

Tell = Callable[[], object]
Objects = Sequence[tuple[Raster, float | None, LabelledObject]]
"""Rasters, metres per pixel to work at, and objects on them."""


@dataclass(frozen=True, slots=True)
class Score:
    """How clicking on some objects went, on average."""

    objects: int
    clicks: float
    """To :data:`GOAL`, at most :data:`CLICKS`."""
    iou1: float
    """IoU after one click."""
    iou3: float
    """IoU after three."""

    def as_dict(self) -> dict[str, Any]:
        """Return it for a card."""
        return {
            "objects": self.objects,
            "clicks_to_85": round(self.clicks, 2),
            "iou_1": round(self.iou1, 4),
            "iou_3": round(self.iou3, 4),
        }

    def helped(self, before: Score) -> bool:
        """Whether it is better than before where it counts, and nowhere much worse."""
        fewer = before.clicks - self.clicks
        more = self.iou1 - before.iou1
        return (fewer > 0.05 or more > DIFFERENCE) and fewer > -0.05 and more > -DIFFERENCE


def measured(model: Model, objects: Objects, tell: Tell = lambda: None) -> Score:
    """Return how a simulated user fares with a model in sessions, as users work."""
    options = [EvaluationOptions(CLICKS, GOAL, gsd=gsd) for _, gsd, _ in objects]
    found: list[ObjectScore] = []
    for (raster, _, item), how in zip(objects, options, strict=True):
        found.append(evaluate_object(raster, item, model, how))
        tell()
    ious = np.array([one.ious for one in found])
    clicks = [clicks_to(one.ious, GOAL, CLICKS) for one in found]
    return Score(len(found), float(np.mean(clicks)), float(ious[:, 0].mean()),
                 float(ious[:, 2].mean()))  # fmt: skip


def old_iou(model: Model, objects: Objects, tell: Tell = lambda: None) -> float:
    """Return the mean IoU at a click in the middle of objects that were known before."""
    found = []
    for raster, gsd, item in objects:
        truth = burnt(item.geometry, raster.grid)
        nothing = np.zeros_like(truth)
        middle = next_click(truth, nothing, nothing)
        session = Session(raster, model, gsd=gsd, cache=EmbeddingCache())
        if middle is not None:
            x, y = raster.grid.to_crs([middle.xy_pixel])[0]
            session.add_point(float(x), float(y))
        drawn = nothing if session.geometry is None else burnt(session.geometry, raster.grid)
        found.append(iou(drawn, truth))
        tell()
    return float(np.mean(found))


class OldScene:
    """The demo scene of another seed than the one that ``geoiseg demo`` shows, on disk."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="geoiseg-train-")
        path = Path(self._folder.name) / "scene.tif"
        rows = make_scene(path, DEMO_SIZE, DEMO_SEED).truth
        raster = open_raster(path)
        chosen = np.linspace(0, len(rows) - 1, min(DEMO_OBJECTS, len(rows))).astype(int)
        self.objects = [
            (raster, None, LabelledObject("demo", int(one), rows[one].kind, rows[one].geometry))
            for one in chosen
        ]
        """What to click on."""
        self._raster = raster

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._raster.close()
        self._folder.cleanup()
