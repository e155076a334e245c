"""How far outlines lie from true borders: along pixels, without stairs, by the model's logits.

    $ python benchmarks/contours.py [--model NAME] [--objects N]

Fields of the demonstration are boxed on a scene of coarse pixels and held against the truth of
one of finer pixels. Prints the mean over the fields of the median and 90th percentile of the
distance from the outline to the true border, in coarse pixels, and the time of drawing as a
multiple of the time along pixels.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import shapely

import geoiseg
from geoiseg.demo.scene import make_scene
from geoiseg.outline.vectorize import contour_from_mask, geometry_from_mask
from geoiseg.segment import Outcome

COARSE, FINE = 1024, 2048
"""Pixels of the scene that is segmented, and of the one whose truth counts."""
FOUND = 0.8
"""Least IoU of a field that was found: the border of another one tells nothing."""
TURNS = 9
Drawing = Callable[[], Any]


def drawings(outcome: Outcome) -> dict[str, Drawing]:
    """Return how an object can be drawn, by name."""
    mask = outcome.mask
    array, transform, told = mask.array, mask.grid.transform, outcome.told
    return {
        "along pixels": lambda: geometry_from_mask(array, transform),
        "without stairs, by the mask": lambda: contour_from_mask(array, transform),
        "without stairs, by logits": lambda: contour_from_mask(array, transform, told),
    }


def off(shape: Any, truth: Any) -> tuple[float, float]:
    """Return median and 90th percentile of the distances from one border to another."""
    places = shapely.points(shapely.get_coordinates(shapely.segmentize(shape, 1.0)))
    border = truth.boundary
    shapely.prepare(border)
    apart = shapely.distance(border, places)
    return float(np.median(apart)), float(np.percentile(apart, 90))


def fields(folder: Path, model: str, count: int) -> Iterator[tuple[Outcome, Any]]:
    """Yield what a model makes of boxes around fields, with their true outlines."""
    truths = [row.geometry for row in make_scene(folder / "fine.tif", FINE).truth]
    coarse = make_scene(folder / "coarse.tif", COARSE)
    session = geoiseg.Session(coarse.path, model)
    boxed = [row.geometry for row in coarse.truth if row.label == "field"][:count]
    for one in boxed:
        truth = max(truths, key=lambda other: one.intersection(other).area)
        session.clear()
        session.add_box(*one.buffer(8).bounds)
        shape, outcome = session.geometry, session.outcome
        if shape is None or outcome is None:
            continue
        if shape.intersection(truth).area > FOUND * shape.union(truth).area:
            yield outcome, truth


def spent(drawing: Drawing) -> float:
    """Return the least time that drawing took, of a few."""
    least = np.inf
    for _ in range(TURNS):
        started = time.process_time()
        drawing()
        least = min(least, time.process_time() - started)
    return float(least)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--objects", type=int, default=25)
    given = parser.parse_args()
    rows: dict[str, list[tuple[float, float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for outcome, truth in fields(Path(folder), given.model, given.objects):
            pixel = outcome.mask.grid.pixel_size[0]
            ways = drawings(outcome)
            first = spent(ways["along pixels"])
            for name, drawing in ways.items():
                middle, most = off(drawing(), truth)
                times = spent(drawing) / first
                rows.setdefault(name, []).append((middle / pixel, most / pixel, times))
    for name, found in rows.items():
        middle, most, times = np.mean(found, axis=0)
        print(f"{name:28} {len(found)} fields  median {middle:.2f} px  90 % {most:.2f} px"
              f"  time x {times:.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
