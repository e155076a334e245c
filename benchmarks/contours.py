"""How far outlines lie from true borders: along pixels, without stairs, by the model's logits.

    $ python benchmarks/contours.py [--model NAME] [--objects N]
    $ python benchmarks/contours.py --parcels

Fields of the demonstration are boxed on a scene of coarse pixels and held against the truth of
one of finer pixels. Prints the mean over the fields of the median and 90th percentile of the
distance from the outline to the true border, in coarse pixels, and the time of drawing as a
multiple of the time along pixels. With ``--parcels`` instead that multiple for label images of
parcels that share borders: the median of runs that alternate, in CPU time.
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
from bench_vectorize import TRANSFORM, clocked, parcels

import geoiseg
from geoiseg.demo.scene import make_scene
from geoiseg.outline.vectorize import (
    contour_from_mask,
    contours_from_labels,
    geometry_from_mask,
    polygons_from_labels,
)
from geoiseg.segment import Outcome

COARSE, FINE = 1024, 2048
"""Pixels of the scene that is segmented, and of the one whose truth counts."""
FOUND = 0.8
"""Least IoU of a field that was found: the border of another one tells nothing."""
TURNS = 9
PARCELS = ((1024, 50, 21), (1024, 1000, 21), (4096, 400, 7), (4096, 20_000, 5))
"""Side in pixels, how many, and in how many runs."""
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


def shared_borders() -> None:
    """Print what parcels take, along pixels and without stairs."""
    for side, count, runs in PARCELS:
        image = parcels(side, count)
        pairs = np.array([
            [clocked(lambda one, draw=draw: draw(one, TRANSFORM), image)[0]
             for draw in (polygons_from_labels, contours_from_labels)]
            for _ in range(runs)
        ])  # fmt: skip
        pixels, smooth = 1000 * np.median(pairs, axis=0)
        times = np.median(pairs[:, 1] / pairs[:, 0])
        print(f"{side:5} px, {count:5} parcels  along pixels {pixels:6.1f} ms"
              f"  without stairs {smooth:6.1f} ms  time x {times:.2f}", flush=True)  # fmt: skip


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--parcels", action="store_true", help="Label images instead.")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--objects", type=int, default=25)
    given = parser.parse_args()
    if given.parcels:
        shared_borders()
        return
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
