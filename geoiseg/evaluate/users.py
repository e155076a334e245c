"""Kinds of simulated users: one who clicks in the exact middle, and one as people are.

Clicks in the exact middle flatter a model. People click near the middle of what they see,
the farther from it the larger the thing is, sometimes at its border, sometimes twice, and
now and then with the wrong sign; their boxes are a little off.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import PromptError
from geoiseg.evaluate.simulated_user import Click, Depths, error_depths, next_click
from geoiseg.raster import BoolArray

USERS = ("centre", "realistic")
"""Names that :func:`make_user` knows."""
NEAR, ANYWHERE, BORDER = 0.7, 0.16, 0.09
"""Shares of clicks near the middle of the largest error, anywhere in it, at its border; the
others go into some other error, as likely as it is large."""
TWICE, SLIP = 0.04, 0.015
"""Share of clicks that are doubled, a few pixels beside, and of those with the wrong sign."""
BOX = 0.03
"""Standard deviation of a box's edges as a share of its side."""


class User(Protocol):
    """Somebody who prompts until the mask is right."""

    def next(
        self, truth: BoolArray, mask: BoolArray, clicked: BoolArray, valid: BoolArray | None
    ) -> Click | None:
        """Return the next click, as :func:`next_click` takes its arguments; None when done."""

    def box(self, bounds: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        """Return the box drawn around an object with these bounds."""


def make_user(name: str, *seeds: int) -> User:
    """Return a user.

    Args:
        name: One of :data:`USERS`.
        seeds: Of the user's chance; the same ones make the same clicks on the same masks.

    Raises:
        PromptError: There is no such user.
    """
    if name not in USERS:
        raise PromptError(f"no user {name!r}; there are {', '.join(USERS)}")
    return CentreUser() if name == "centre" else RealisticUser(*seeds)


class CentreUser:
    """Clicks in the middle of the largest error, as published figures do."""

    def next(
        self, truth: BoolArray, mask: BoolArray, clicked: BoolArray, valid: BoolArray | None
    ) -> Click | None:
        """Return the click on the middle of the largest error."""
        return next_click(truth, mask, clicked, valid)

    def box(self, bounds: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        """Return the bounds themselves."""
        return bounds


class RealisticUser:
    """Clicks near the middle, not at it, and makes mistakes; all chance comes from the seeds."""

    def __init__(self, *seeds: int) -> None:
        self._rng = np.random.default_rng([17, *seeds])
        self._again: Click | None = None

    def next(
        self, truth: BoolArray, mask: BoolArray, clicked: BoolArray, valid: BoolArray | None
    ) -> Click | None:
        """Return a click in an error, rarely beside it or with the wrong sign."""
        if self._again is not None:
            doubled, self._again = self._beside(self._again, truth.shape), None
            return doubled
        depths = error_depths(truth, mask, clicked, valid)
        middle = next_click(truth, mask, clicked, valid)
        if middle is None:
            return None
        spot, positive = self._spot(depths, middle)
        if self._rng.random() < SLIP:
            positive = not positive
        click = Click((spot[1] + 0.5, spot[0] + 0.5), positive, middle.reach)
        if self._rng.random() < TWICE:
            self._again = click
        return click

    def box(self, bounds: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        """Return the bounds with each edge moved a little."""
        x0, y0, x1, y1 = bounds
        shift = self._rng.normal(0, BOX, 4) * (x1 - x0, y1 - y0, x1 - x0, y1 - y0)
        moved = np.array(bounds) + shift
        return float(moved[0]), float(moved[1]), float(moved[2]), float(moved[3])

    def _spot(self, depths: Depths, middle: Click) -> tuple[tuple[int, int], bool]:
        """Return row and column of a click, and its sign."""
        kind = self._rng.random()
        if kind > NEAR + ANYWHERE + BORDER:
            missed, wrong = depths
            row, column = self._one_of(np.maximum(missed, wrong) > 0)
            return (row, column), bool(missed[row, column] > 0)
        depth = depths[0] if middle.positive else depths[1]
        around = _connected(depth > 0, middle)
        if kind < NEAR:
            around &= depth >= self._rng.uniform(0.35, 0.95) * middle.reach
        elif kind > NEAR + ANYWHERE:
            around &= depth <= max(1.5, 0.15 * middle.reach)
        return self._one_of(around), middle.positive

    def _one_of(self, where: BoolArray) -> tuple[int, int]:
        rows, columns = np.nonzero(where)
        index = int(self._rng.integers(len(rows)))
        return int(rows[index]), int(columns[index])

    def _beside(self, click: Click, shape: tuple[int, ...]) -> Click:
        x, y = np.floor(np.array(click.xy_pixel) + self._rng.normal(0, 2, 2))
        inside = np.clip(x, 0, shape[1] - 1) + 0.5, np.clip(y, 0, shape[0] - 1) + 0.5
        return Click((float(inside[0]), float(inside[1])), click.positive, click.reach)


def _connected(where: BoolArray, middle: Click) -> NDArray[np.bool_]:
    """Return the part of an error that its middle lies in."""
    import cv2

    _, parts = cv2.connectedComponents(where.astype(np.uint8), connectivity=8)
    column, row = middle.xy_pixel
    return np.asarray(parts == parts[int(row), int(column)])
