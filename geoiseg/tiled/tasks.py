"""What is left to do of a run, task by task; what fails is done again in smaller parts."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from geoiseg.tiled.prompted import Group
from geoiseg.tiled.worker import Task

LAST = 8
"""One in so many tiles is done window by window, at the end, so that no worker waits long for
another."""
MOST = 256
"""Tiles to which this is done."""


class Backlog:
    """The tasks of a run.

    A tile that fails is done again window by window, so that what is damaged costs the
    windows that it lies in and no others.

    Args:
        tasks: Numbers of the windows of each tile, or of each group.
        attempts: How often a window or a group is tried alone before it is given up.
        groups: All groups, where there are prompts.
    """

    def __init__(
        self,
        tasks: Iterable[tuple[int, ...]],
        attempts: int,
        groups: Sequence[Group] | None = None,
    ) -> None:
        self._tasks = _fine_at_the_end([tuple(task) for task in tasks if task])
        self._attempts = attempts
        self._groups = groups
        self._tried: dict[int, int] = {}
        self.queue = deque(range(len(self._tasks)))
        """Tasks that nobody works on, by their number here."""

    def task(self, number: int) -> Task:
        """Return what a worker is to do."""
        numbers = self._tasks[number]
        return Task(numbers, None if self._groups is None else self._groups[numbers[0]])

    def again(self, number: int) -> bool:
        """Return whether a task that failed is tried again; if so, it is in the queue."""
        numbers = self._tasks[number]
        if len(numbers) > 1:
            self.queue.extend(range(len(self._tasks), len(self._tasks) + len(numbers)))
            self._tasks.extend((window,) for window in numbers)
            return True
        self._tried[number] = self.tried(number) + 1
        if self._tried[number] >= self._attempts:
            return False
        self.queue.append(number)
        return True

    def tried(self, number: int) -> int:
        """Return how often a task of one window or group has failed."""
        return self._tried.get(number, 0)


def _fine_at_the_end(tasks: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    large = len(tasks) - min(len(tasks) // LAST, MOST)
    return tasks[:large] + [(window,) for tile in tasks[large:] for window in tile]
