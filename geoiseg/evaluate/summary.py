"""Many objects' scores as one table: means by family and size with confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from geoiseg.evaluate.metrics import failed
from geoiseg.evaluate.protocol import ObjectScore, noc

RESAMPLES = 1000
"""Bootstrap samples, drawn over objects."""
SIZES = (("small", 32**2), ("medium", 96**2), ("large", math.inf))
"""Objects by area in pixels, as COCO divides them."""

MEASURES: dict[str, Callable[[ObjectScore], float]] = {
    "noc85": lambda one: noc(one, 0.85),
    "noc90": lambda one: noc(one, 0.90),
    "failed85": lambda one: failed(one.ious, 0.85, len(one.ious)),
    "iou1": lambda one: one.ious[0],
    "iou3": lambda one: one.ious[min(2, len(one.ious) - 1)],
    "iou5": lambda one: one.ious[min(4, len(one.ious) - 1)],
    "box_iou": lambda one: one.box_iou,
    "boundary_iou": lambda one: one.boundary_iou,
    "boundary_m": lambda one: one.boundary_metres[0],
    "boundary_m_p95": lambda one: one.boundary_metres[1],
    "click_ms": lambda one: float(np.median(one.click_ms)) if one.click_ms else math.nan,
    "first_ms": lambda one: one.first_ms,
}
"""What is averaged over objects; times by their median."""


@dataclass(frozen=True, slots=True)
class Value:
    """A mean (of times: a median) with its 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Row:
    """The measures of a group of objects."""

    group: str
    objects: int
    measures: dict[str, Value]


def summarise(scores: Sequence[ObjectScore], seed: int = 0) -> list[Row]:
    """Return a row for all objects, one for each family and one for each size."""
    rows = [_row("all", scores, seed)]
    families = {
        family: [one for one in scores if one.family == family]
        for family in sorted({one.family for one in scores})
    }
    rows.extend(_row(family, group, seed) for family, group in families.items())
    smallest = 0.0
    for name, largest in SIZES:
        group = [one for one in scores if smallest <= one.pixels < largest]
        smallest = largest
        if group:
            rows.append(_row(name, group, seed))
    return rows


def _row(group: str, scores: Sequence[ObjectScore], seed: int) -> Row:
    rng = np.random.default_rng(seed)
    draws = rng.integers(0, len(scores), (RESAMPLES, len(scores)))
    measures = {}
    for name, measure in MEASURES.items():
        values = np.array([measure(one) for one in scores], dtype=np.float64)
        measures[name] = _value(values, draws, name.endswith("_ms"))
    return Row(group, len(scores), measures)


def _value(values: Any, draws: Any, is_time: bool) -> Value:
    if np.isnan(values).all():
        return Value(math.nan, math.nan, math.nan)
    centre = np.nanmedian if is_time else np.nanmean
    with np.errstate(invalid="ignore"):
        again = np.array(
            [centre(values[draw]) for draw in draws if not np.isnan(values[draw]).all()]
        )
    low, high = np.percentile(again, [2.5, 97.5])
    return Value(float(centre(values)), float(low), float(high))


def as_text(rows: Sequence[Row]) -> str:
    """Return the rows as a table for a terminal."""
    names = ("noc85", "noc90", "failed85", "iou1", "iou3", "iou5", "box_iou", "boundary_iou",
             "boundary_m", "click_ms")  # fmt: skip
    heads = ("NoC@85", "NoC@90", "failed", "IoU@1", "IoU@3", "IoU@5", "box", "bIoU", "edge m", "ms")
    lines = ["  ".join(["group".ljust(10), "objects", *(head.rjust(7) for head in heads)])]
    for row in rows:
        cells = [f"{row.measures[name].value:7.2f}" for name in names]
        lines.append("  ".join([row.group[:10].ljust(10), f"{row.objects:7d}", *cells]))
    total = rows[0].measures["noc85"]
    lines.append(f"NoC@85 over all: {total.value:.2f} (95 %: {total.low:.2f} to {total.high:.2f})")
    return "\n".join(lines)


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the rows ready for JSON: value, low and high of each measure, NaN as None."""

    def plain(number: float) -> float | None:
        return None if math.isnan(number) else round(number, 5)

    return [
        {
            "group": row.group,
            "objects": row.objects,
            **{
                name: {"value": plain(v.value), "low": plain(v.low), "high": plain(v.high)}
                for name, v in row.measures.items()
            },
        }
        for row in rows
    ]
