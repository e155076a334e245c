"""A simulated user of intelligent scissors: clicks on the border, where it is followed worst."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoiseg.errors import GeoisegError
from geoiseg.evaluate.dataset import LabelledObject, LabelledScene
from geoiseg.evaluate.metrics import boundary_iou, iou
from geoiseg.evaluate.protocol import (
    EvaluationOptions,
    ObjectScore,
    burned,
    compared_ground,
    outline_error,
)
from geoiseg.raster import Raster
from geoiseg.segment import LiveWire
from geoiseg.segment.livewire import enclosed, window_around

FIRST = 3
"""Clicks, evenly along the border, before anything is enclosed."""
OFF = 2.0
"""Standard deviation in pixels of a realistic click from the border."""
Path = NDArray[np.float64]


@dataclass(eq=False)
class Tracer:
    """Clicks on one border and the stretches between them, on one chip."""

    wire: LiveWire
    border: Any
    """The true border as a LinearRing, in pixels of the chip."""
    off: float
    """Pixels that clicks are off, one standard deviation."""
    rng: np.random.Generator
    at: list[float] = field(default_factory=list)
    """Where along the border the clicks are, in order."""
    clicks: list[tuple[float, float]] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)
    """From each click to the next; the last one back to the first."""

    def begin(self) -> None:
        """Click evenly along the border."""
        for n in range(FIRST):
            self.at.append(self.border.length * n / FIRST)
            self.clicks.append(self._click(self.at[-1]))
        self.paths = [self._path(n) for n in range(FIRST)]

    def click(self) -> None:
        """Click where the border is farthest from what was followed."""
        spots = np.linspace(0, self.border.length, 400, endpoint=False)
        places = shapely.line_interpolate_point(self.border, spots)
        followed = shapely.LineString(self.outline)
        worst = float(spots[int(shapely.distance(places, followed).argmax())])
        n = int(np.searchsorted(self.at, worst))
        self.at.insert(n, worst)
        self.clicks.insert(n, self._click(worst))
        self.paths.insert(n, np.empty((0, 2)))
        for one in {n, (n - 1) % len(self.clicks)}:
            self.paths[one] = self._path(one)

    @property
    def outline(self) -> Path:
        """``(k, 2)`` the closed border, in pixels of the chip."""
        return np.concatenate([*self.paths, self.paths[0][:1]])

    def _click(self, at: float) -> tuple[float, float]:
        place = shapely.get_coordinates(shapely.line_interpolate_point(self.border, at))[0]
        limit = np.array(self.wire.shape[::-1], np.float64)
        x, y = np.clip(place + self.rng.normal(0, 1, 2) * self.off, 0, limit)
        return float(x), float(y)

    def _path(self, n: int) -> Path:
        return self.wire.path(self.clicks[n], self.clicks[(n + 1) % len(self.clicks)])


def trace_scene(
    scene: LabelledScene, follows: str, options: EvaluationOptions
) -> Iterator[ObjectScore]:
    """Yield a score for each object of a scene."""
    for item in scene.objects:
        yield trace_object(scene.raster, item, follows, options)


def trace_object(
    raster: Raster, item: LabelledObject, follows: str, options: EvaluationOptions
) -> ObjectScore:
    """Return how well an object's outer border is followed, click by click.

    Before the third click nothing is enclosed, and the IoU is 0. Holes and smaller parts of the
    object are never clicked on, and count.

    Args:
        raster: The scene's raster.
        item: The object with its true outline.
        follows: What the border is followed along, one of ``WIRE_LEVELS``.
        options: Clicks, user, seed.
    """
    ground, valid = compared_ground(raster, item.geometry)
    truth = burned(item.geometry, ground) & valid
    started = time.perf_counter()
    tracer, grid = _tracer(raster, item, follows, options)
    ious: list[float] = [0.0] * (FIRST - 1)
    spent: list[float] = []
    errors: list[str] = []
    drawn: Any = None
    while len(ious) < options.max_clicks:
        if tracer.clicks:
            started = time.perf_counter()
            tracer.click()
        else:
            tracer.begin()
        spent.append((time.perf_counter() - started) * 1e3)
        try:
            drawn = enclosed(grid.to_crs(tracer.outline))
            ious.append(iou(burned(drawn, ground) & valid, truth, valid))
        except GeoisegError as error:
            errors.append(str(error))
            ious.append(ious[-1])
        if len(ious) >= 5 and options.stop_at is not None and max(ious) >= options.stop_at:
            break
    pixels = item.geometry.area / abs(raster.grid.transform.determinant)
    last = np.zeros_like(truth) if drawn is None else burned(drawn, ground) & valid
    return ObjectScore(
        scene=item.scene,
        number=item.number,
        family=item.family,
        pixels=round(pixels),
        ious=tuple((ious + ious[-1:] * options.max_clicks)[: options.max_clicks]),
        box_iou=float("nan"),
        boundary_iou=boundary_iou(last, truth, valid),
        boundary_metres=outline_error(drawn, item.geometry, raster.grid, ground),
        click_ms=tuple(spent[1:]),
        first_ms=spent[0] if spent else float("nan"),
        drawn=drawn,
        errors=tuple(errors),
    )


def _tracer(
    raster: Raster, item: LabelledObject, follows: str, options: EvaluationOptions
) -> tuple[Tracer, Any]:
    """Return a tracer without clicks, and the grid of its chip."""
    parts = shapely.get_parts(item.geometry)
    outer = max(parts, key=lambda part: part.area).exterior
    xy = raster.grid.to_pixel(shapely.get_coordinates(outer))
    limit = np.array(raster.grid.shape[::-1], np.float64)
    chip = raster.chip(*window_around(raster, np.clip(xy, 0, limit)))
    placed = chip.grid.to_pixel(shapely.get_coordinates(outer))
    border = shapely.LinearRing(placed)
    rng = np.random.default_rng([23, options.seed, item.number, *item.scene.encode()])
    off = OFF if options.user == "realistic" else 0.0
    return Tracer(LiveWire(chip.rgb, follows), border, off, rng), chip.grid
