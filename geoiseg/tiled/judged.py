"""How good a map is by labels: precision, recall, F1, average precision, ground covered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from geoiseg.errors import PromptError, VectorError
from geoiseg.files import read_frame, there
from geoiseg.raster import Grid
from geoiseg.tiled.assemble import MappedObject

RIGHT = 0.5
"""IoU from which an object is right."""
STEPS = tuple(0.5 + 0.05 * step for step in range(10))
"""IoUs over which the second average precision is the mean, as COCO's."""
SIZES = (0, 10, 20, 50, 100, 200, 500)
"""Pixels across from which on a class of sizes begins."""
RECALLS = np.linspace(0, 1, 101)
"""At which the best precision is taken, as COCO's."""


@dataclass(frozen=True, slots=True)
class SizeClass:
    """Objects and labels of about one size, by the side of a square as large."""

    least: int
    """Pixels across."""
    below: int | None
    """None for no end."""
    labels: int
    found: int
    """Labels that have an object that is right."""
    objects: int
    """Judged."""
    right: int
    """Objects that are right."""

    def text(self) -> str:
        """Return it in a few words."""
        size = f"{self.least}+" if self.below is None else f"{self.least}-{self.below}"
        return (
            f"{size} px: {self.found} of {self.labels} found, {self.right} of {self.objects} right"
        )


@dataclass(frozen=True, slots=True)
class Quality:
    """Figures of a map by labels; all but the numbers are 0..1.

    Labels are seldom complete: only objects half of which lies on labelled ground are judged.
    """

    labels: int
    judged: int
    """Objects."""
    precision: float
    """Share of the judged objects that are right."""
    recall: float
    """Share of the labels that have an object that is right."""
    f1: float
    ap50: float
    """Average precision at an IoU of 0.5."""
    ap: float
    """Mean of the average precisions at IoUs from 0.5 to 0.95."""
    covered: float
    """Share of the labelled ground that objects cover."""
    sizes: tuple[SizeClass, ...] = ()
    """By size, small ones first; none without labels and objects."""

    def text(self) -> str:
        """Return the figures in a line, and by size in another."""
        told = (
            f"by {self.labels} labels: precision {self.precision:.2f}, recall {self.recall:.2f},"
            f" F1 {self.f1:.2f} at IoU 0.5; mAP {self.ap50:.2f} at 0.5, {self.ap:.2f} at"
            f" 0.5 to 0.95; {self.covered:.0%} of the labelled ground is covered"
        )
        by_size = "; ".join(one.text() for one in self.sizes)
        return f"{told}\nby size across: {by_size}" if by_size else told


def read_labels(path: Path, grid: Grid) -> NDArray[Any]:
    """Return ``(m,)`` the polygons of a vector file, in pixels of a grid; those on it.

    Raises:
        PromptError: There is no polygon, or none on the raster.
    """
    if not there(path):
        raise PromptError(f"{path} does not exist")
    try:
        frame = read_frame(path)
    except (VectorError, ValueError) as error:
        raise PromptError(f"can not read labels from {path}: {error}") from error
    if not isinstance(frame, gpd.GeoDataFrame):
        raise PromptError(f"{path} has no polygons to judge a map by")
    shapes = [shape for shape in frame.geometry if shape is not None and shape.area > 0]
    if frame.crs is not None and grid.crs is not None:
        shapes = [grid.bring(shape, frame.crs) for shape in shapes]
    pixels = [shapely.make_valid(shapely.transform(shape, grid.to_pixel)) for shape in shapes]
    inside = shapely.intersection(pixels, shapely.box(0, 0, grid.width, grid.height))
    labels = np.array([shape for shape in inside if shape.area > 0], object)
    if not len(labels):
        raise PromptError(f"no polygon of {path} lies on the raster; is its CRS right?")
    return labels


class Judge:
    """Looks at all objects that pass and compares them with labels.

    Args:
        labels: Polygons in pixels of the level.
    """

    def __init__(self, labels: NDArray[Any]) -> None:
        self._labels = labels
        self._found: list[Any] = []
        self._scores: list[float] = []

    def passing(self, objects: Iterable[MappedObject]) -> Iterator[MappedObject]:
        """Yield all objects, and remember them."""
        for one in objects:
            self._found.append(one.geometry)
            self._scores.append(one.score)
            yield one

    def quality(self) -> Quality:
        """Return the figures of what has passed."""
        return quality(np.array(self._found, object), np.array(self._scores), self._labels)


def quality(found: NDArray[Any], scores: NDArray[np.float64], labels: NDArray[Any]) -> Quality:
    """Return the figures of objects by labels.

    Args:
        found: ``(n,)`` polygons that do not overlap.
        scores: ``(n,)`` of each.
        labels: ``(m,)`` polygons, one each object, in the same CRS.
    """
    ground = shapely.union_all(labels)
    on = shapely.area(shapely.intersection(found, ground)) if len(found) else np.zeros(0)
    covered = float(on.sum() / ground.area) if ground.area else 0.0
    judged = on > 0.5 * shapely.area(found)
    found, scores = found[judged], scores[judged]
    one, other, iou = _overlaps(found, labels)
    matches = [_matched((one, other), iou, scores, len(labels), step) for step in STEPS]
    hits = [hit for hit, _ in matches]
    right = int(hits[0].sum())
    precision, recall = (right / count if count else 0.0 for count in (len(found), len(labels)))
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    averages = [_average(hit, scores, len(labels)) for hit in hits]
    return Quality(len(labels), len(found), precision, recall, f1, averages[0],
                   float(np.mean(averages)), min(1.0, covered),
                   _by_size((labels, matches[0][1]), (found, hits[0])))  # fmt: skip


def _by_size(
    labels: tuple[NDArray[Any], NDArray[np.bool_]], found: tuple[NDArray[Any], NDArray[np.bool_]]
) -> tuple[SizeClass, ...]:
    """Return how many labels were found and how many objects are right, size by size.

    Args:
        labels: ``(m,)`` polygons in pixels, and which have an object that is right.
        found: ``(n,)`` the judged objects, and which are right.
    """
    rows = []
    classes = [
        np.searchsorted(SIZES, np.sqrt(shapely.area(of)), "right") - 1 for of, _ in (labels, found)
    ]
    for number, least in enumerate(SIZES):
        here = [of == number for of in classes]
        counts = [(int(own.sum()), int(hit[own].sum()))
                  for own, (_, hit) in zip(here, (labels, found), strict=True)]  # fmt: skip
        below = SIZES[number + 1] if number + 1 < len(SIZES) else None
        if counts[0][0] or counts[1][0]:
            rows.append(SizeClass(least, below, *counts[0], *counts[1]))
    return tuple(rows)


def _overlaps(
    found: NDArray[Any], labels: NDArray[Any]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Return the pairs of objects and labels that meet, and the IoU of each."""
    one, other = shapely.STRtree(labels).query(found, predicate="intersects")
    both = shapely.area(shapely.intersection(found[one], labels[other]))
    whole = shapely.area(found[one]) + shapely.area(labels[other]) - both
    return one, other, both / np.maximum(whole, 1e-12)


def _matched(
    pairs: tuple[NDArray[np.intp], NDArray[np.intp]],
    iou: NDArray[np.float64],
    scores: NDArray[np.float64],
    labels: int,
    least: float,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return ``(n,)`` which objects match a label of their own, ``(m,)`` which labels match.

    The best scores choose first.
    """
    one, other = pairs
    hit, taken = np.zeros(len(scores), bool), np.zeros(labels, bool)
    for pair in np.lexsort((-iou, -scores[one])):
        if iou[pair] >= least and not hit[one[pair]] and not taken[other[pair]]:
            hit[one[pair]] = taken[other[pair]] = True
    return hit, taken


def _average(hit: NDArray[np.bool_], scores: NDArray[np.float64], labels: int) -> float:
    """Return the average precision of objects of which some match."""
    if not labels or not hit.any():
        return 0.0
    right = np.cumsum(hit[np.argsort(-scores, kind="stable")])
    precision = right / np.arange(1, len(right) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    place = np.searchsorted(right / labels, RECALLS)
    return float(np.where(place < len(best), best[np.minimum(place, len(best) - 1)], 0).mean())
