"""Which chips a view needs, so that they can be encoded before they are asked for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from geoiseg.errors import GeoreferenceError
from geoiseg.prompting import Frame, around, level_for_gsd
from geoiseg.raster import Grid
from geoiseg.widget.channel.messages import View
from geoiseg.widget.frame import MapFrame

MOST_CHIPS = 6
"""Chips encoded ahead for one view."""
SAMPLES = 7
"""Places looked at down and across the view."""
BEYOND = 1.3
"""The view with its neighbourhood, in sizes of the view."""


def chips_of_view(grid: Grid, frame: MapFrame, view: View, chip_size: int) -> list[Frame]:
    """Return the chips that clicks in a view would use, the middle one first.

    At most ``MOST_CHIPS``; none where the view is off the raster.
    """
    middle = ((view.south + view.north) / 2, (view.west + view.east) / 2)
    level = level_for_gsd(grid, frame.gsd(middle, view.zoom))
    chips: dict[Frame, None] = {}
    for at in _spread(view, middle):
        try:
            xy = frame.pixel(at)
        except GeoreferenceError:
            continue
        if grid.whole.contains(xy).all():
            x, y = xy[0].tolist()
            chips.setdefault(around(grid, level, chip_size, (x, y, x, y)))
    return list(chips)[:MOST_CHIPS]


def _spread(view: View, middle: tuple[float, float]) -> Iterator[tuple[float, float]]:
    """Yield places over the view and a little beyond, from the middle outwards."""
    steps = np.linspace(-0.5, 0.5, SAMPLES) * BEYOND
    height, width = view.north - view.south, view.east - view.west
    places = [(float(a), float(b)) for a in steps for b in steps]
    for down, across in sorted(places, key=lambda place: np.hypot(*place)):
        latitude = middle[0] + down * height
        if -90 < latitude < 90:
            yield latitude, middle[1] + across * width
