"""How many clicks a model needs on objects that are drawn already: a long job."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from geoiseg.companion.fields import Fields
from geoiseg.companion.jobs import Told, becoming, heed, model_of, vectors_at
from geoiseg.errors import PromptError
from geoiseg.models import get_model
from geoiseg.raster import open_raster
from geoiseg.segment import Watch

TOLD = ("noc85", "noc90", "failed85", "iou1", "iou3", "iou5", "boundary_m", "click_ms")
"""Measures of all objects that are answered with, as ``geoiseg evaluate`` names them."""


def evaluate(fields: Fields, watch: Watch, tell: Told) -> dict[str, Any]:
    """Let a simulated user click on labelled objects; write what came of each.

    The output has the last outline of each object with its measures; its ``report`` is a page.
    """
    from geoiseg.evaluate.dataset import labelled
    from geoiseg.evaluate.protocol import EvaluationOptions, evaluate_object
    from geoiseg.evaluate.report import write_evaluation
    from geoiseg.evaluate.summary import as_text, summarise
    from geoiseg.evaluate.users import USERS
    from geoiseg.files import export_features

    raster, labels = fields.text("raster"), fields.path("labels")
    out, report = vectors_at(fields.path("out")), fields.path("report", None)
    bands, limit = fields.bands("bands") or None, fields.whole("limit", None)
    user, seed = fields.text("user", "centre"), fields.whole("seed", 0)
    clicks, gsd = fields.whole("clicks", 20), fields.number("gsd", None)
    name, running = model_of(fields)
    more = becoming(fields, out)
    fields.done()
    if user not in USERS:
        raise PromptError(f"the user is {' or '.join(USERS)}, got {user!r}")
    if clicks < 1 or (limit is not None and limit < 1):
        raise PromptError(f"clicks and limit are 1 at least, got {clicks} and {limit}")
    _check_outputs(out, report, raster, labels)
    tell(0.0, f"opening {raster}")
    options = EvaluationOptions(max_clicks=clicks, gsd=gsd, user=user, seed=seed)
    model = get_model(name, running)
    scene = labelled(open_raster(raster, bands), Path(raster).stem, labels, limit, seed)
    if not scene.objects:
        raise PromptError("no label is a polygon on the raster; is its CRS right?")
    scores = []
    for item in scene.objects:
        heed(watch)
        scores.append(evaluate_object(scene.raster, item, model, options))
        tell(len(scores) / len(scene.objects), f"{len(scores)} of {len(scene.objects)} objects")
    rows = summarise(scores, seed)
    if report is not None:
        write_evaluation(report, model.info.name, scores, [scene], rows, user)
    export_features(_layer(scene, scores), out, **more)
    measures = {key: _plain(rows[0].measures[key].value) for key in TOLD}
    return {
        "out": str(out), "objects": len(scores), **measures,
        "said": as_text(rows).splitlines(),
        "problems": [f"{line}: left out" for line in scene.left_out],
    }  # fmt: skip


def _check_outputs(out: Path, report: Path | None, *inputs: Any) -> None:
    """Make sure before the work that everything can be written, and nothing of it is read."""
    from geoiseg.files import check_apart, check_layer_free

    check_apart(out, *inputs)
    check_layer_free(out)
    check_apart(report, *inputs)


def _layer(scene: Any, scores: list[Any]) -> Any:
    """Return the last outline of each object, or the true one where nothing was drawn."""
    import geopandas as gpd

    from geoiseg.evaluate.summary import MEASURES

    names = ("noc85", "noc90", "iou1", "iou3", "iou5", "box_iou", "boundary_iou", "boundary_m")
    table: dict[str, list[Any]] = {
        "label": [one.family for one in scores],
        "number": [one.number for one in scores],
        "pixels": [one.pixels for one in scores],
        **{name: [_plain(MEASURES[name](one)) for one in scores] for name in names},
        "iou": [_plain(one.ious[-1]) for one in scores],
        "drawn": [one.drawn is not None for one in scores],
        "note": ["; ".join(one.errors) for one in scores],
    }
    shapes = [
        item.geometry if one.drawn is None else one.drawn
        for item, one in zip(scene.objects, scores, strict=True)
    ]
    return gpd.GeoDataFrame(table, geometry=shapes, crs=scene.raster.grid.crs)


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
