"""What a model looks at: overlapping windows of a raster, whose cores are its parts exactly.

The windows depend on the raster and the model only. A tile is some of them that are done
together: its size decides how much is in memory, and never what comes out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from geoiseg.errors import PromptError
from geoiseg.raster import Window


@dataclass(frozen=True, slots=True)
class Seam:
    """A border between the cores of two neighbours, and what both of them see around it."""

    first: int
    """Number of the upper or left window."""
    second: int
    """Number of the lower or right window."""
    band: Window
    """In pixels of the level: half an overlap to either side of the border, along the cores."""
    upright: bool
    """Whether the border runs along a column."""


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """Square windows of one pyramid level, numbered row by row.

    The last window of a row or column is moved back inside to its full size, so that all
    windows show the model as much as they can. A core ends amid the overlap of its window
    with the next; the cores cover each pixel exactly once.
    """

    shape: tuple[int, int]
    """Rows and columns of the level."""
    size: int
    """Side of a window in pixels."""
    overlap: int
    """Pixels that neighbours share, at least."""

    def __post_init__(self) -> None:
        if not 64 <= self.size <= 16384:
            raise PromptError(f"a window is 64 to 16384 pixels wide, got {self.size}")
        if not 2 <= self.overlap <= self.size // 2:
            raise PromptError(
                f"the overlap is 2 pixels to half a window ({self.size // 2}), got {self.overlap}"
            )
        if self.overlap % 2:
            raise PromptError(f"the overlap must be even, got {self.overlap}")

    def _count(self, axis: int) -> int:
        length, step = self.shape[axis], self.size - self.overlap
        return 1 if length <= self.size else -(-(length - self.size) // step) + 1

    @property
    def count(self) -> tuple[int, int]:
        """Windows down and across."""
        return self._count(0), self._count(1)

    def __len__(self) -> int:
        down, across = self.count
        return down * across

    def place(self, number: int) -> tuple[int, int]:
        """Return row and column of a window in the plan.

        Raises:
            PromptError: There is no window of that number.
        """
        if not 0 <= number < len(self):
            raise PromptError(f"there are {len(self)} windows, numbered from 0; got {number}")
        return divmod(number, self.count[1])

    def _span(self, index: int, axis: int) -> tuple[int, int]:
        """Return where a window starts and stops along an axis."""
        length = self.shape[axis]
        start = max(0, min(index * (self.size - self.overlap), length - self.size))
        return start, min(start + self.size, length)

    def _border(self, index: int, axis: int) -> int:
        """Return where the core of window ``index - 1`` ends and that of ``index`` starts."""
        if index == 0:
            return 0
        if index == self._count(axis):
            return self.shape[axis]
        return (self._span(index, axis)[0] + self._span(index - 1, axis)[1]) // 2

    def window(self, number: int) -> Window:
        """Return what is read for a window, in pixels of the level."""
        row, col = self.place(number)
        (top, bottom), (left, right) = self._span(row, 0), self._span(col, 1)
        return Window(top, left, bottom - top, right - left)

    def core(self, number: int) -> Window:
        """Return what a window answers for, in pixels of the level."""
        row, col = self.place(number)
        top, bottom = self._border(row, 0), self._border(row + 1, 0)
        left, right = self._border(col, 1), self._border(col + 1, 1)
        return Window(top, left, bottom - top, right - left)

    def seams_of(self, number: int) -> Iterator[Seam]:
        """Yield the borders that a window shares with others: right, lower, left, upper."""
        row, col = self.place(number)
        down, across = self.count
        if col + 1 < across:
            yield self._upright(number)
        if row + 1 < down:
            yield self._level(number)
        if col > 0:
            yield self._upright(number - 1)
        if row > 0:
            yield self._level(number - across)

    def seams_after(self, number: int) -> Iterator[Seam]:
        """Yield the borders of a window with its right and its lower neighbour."""
        return (seam for seam in self.seams_of(number) if seam.first == number)

    def _upright(self, number: int) -> Seam:
        core, half = self.core(number), self.overlap // 2
        band = Window(core.row, core.stop[1] - half, core.height, 2 * half)
        return Seam(number, number + 1, band, upright=True)

    def _level(self, number: int) -> Seam:
        core, half = self.core(number), self.overlap // 2
        band = Window(core.stop[0] - half, core.col, 2 * half, core.width)
        return Seam(number, number + self.count[1], band, upright=False)

    def windows_under(self, window: Window) -> Iterator[int]:
        """Yield the windows whose cores meet a window of the level, by number."""
        first = divmod(self.window_of(window.col, window.row), self.count[1])
        last = divmod(self.window_of(window.stop[1] - 1, window.stop[0] - 1), self.count[1])
        for row in range(first[0], last[0] + 1):
            for col in range(first[1], last[1] + 1):
                yield row * self.count[1] + col

    def window_of(self, x: float, y: float) -> int:
        """Return the number of the window whose core holds a place in pixels of the level.

        A place beyond the raster belongs to the nearest window.
        """
        return self._index(y, 0) * self.count[1] + self._index(x, 1)

    def _index(self, at: float, axis: int) -> int:
        """Return the place in its row or column of the window whose core holds a position."""
        last = self._count(axis) - 1
        index = max(0, min(last, int(at // (self.size - self.overlap))))
        while index < last and at >= self._border(index + 1, axis):
            index += 1
        while index > 0 and at < self._border(index, axis):
            index -= 1
        return index

    def tiles(self, numbers: Iterable[int], side: int) -> list[tuple[int, ...]]:
        """Return windows by tiles, a tile row by row: squares of windows, one at least.

        Args:
            numbers: Of the windows that are wanted.
            side: Of a tile in pixels, at most.
        """
        along = max(1, (side - self.overlap) // (self.size - self.overlap))
        found: dict[tuple[int, int], list[int]] = {}
        for number in numbers:
            row, col = self.place(number)
            found.setdefault((row // along, col // along), []).append(number)
        return [tuple(found[place]) for place in sorted(found)]
