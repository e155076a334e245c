"""Undo and redo over immutable states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

S = TypeVar("S")

LIMIT = 100
"""States that are kept to go back to."""


class History(Generic[S]):
    """A line of states of which one is present."""

    def __init__(self, state: S, limit: int = LIMIT) -> None:
        self._past: list[S] = []
        self._future: list[S] = []
        self._limit = limit
        self.present = state

    def push(self, state: S) -> None:
        """Make ``state`` present; what was undone before can not be redone any more."""
        self._past.append(self.present)
        del self._past[: -self._limit]
        self._future.clear()
        self.present = state

    def drop(self) -> None:
        """Go back one state for good: it was none to keep."""
        if self._past:
            self.present = self._past.pop()

    def revise(self, change: Callable[[S], S]) -> None:
        """Replace every state, those to go back and forward to as well."""
        self._past = [change(state) for state in self._past]
        self._future = [change(state) for state in self._future]
        self.present = change(self.present)

    def has(self, fits: Callable[[S], bool]) -> bool:
        """Return whether any state fits, the present one or one to go back or forward to."""
        return any(map(fits, (self.present, *self._past, *self._future)))

    def undo(self) -> bool:
        """Go back one state, and say whether there was one."""
        if not self._past:
            return False
        self._future.append(self.present)
        self.present = self._past.pop()
        return True

    def redo(self) -> bool:
        """Go forward one state, and say whether there was one."""
        if not self._future:
            return False
        self._past.append(self.present)
        self.present = self._future.pop()
        return True

    @property
    def can_undo(self) -> bool:
        """Whether there is a state to go back to."""
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        """Whether there is a state to go forward to."""
        return bool(self._future)
