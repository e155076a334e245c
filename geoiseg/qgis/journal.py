"""What can be undone beyond the clicks of the object in progress, the latest first."""

from __future__ import annotations

from typing import Any, Callable, List, NamedTuple

LONGEST = 200
"""Things that can be undone, at most."""


class Entry(NamedTuple):
    """Something that was done."""

    stands: Callable[[], bool]
    """Whether it is still what was done last, and nobody has undone it otherwise."""
    back: Callable[[], Any]
    """Undoes it."""


class Journal:
    """Things that were done with the map tool."""

    def __init__(self) -> None:
        self._entries: List[Entry] = []

    def add(self, back: Callable[[], Any], stands: Callable[[], bool] = lambda: True) -> None:
        """Keep how something is undone."""
        self._entries = [*self._entries, Entry(stands, back)][-LONGEST:]

    @property
    def can_undo(self) -> bool:
        """Whether there is something to undo; forgets what no longer stands."""
        while self._entries and not self._entries[-1].stands():
            self._entries.pop()
        return bool(self._entries)

    def undo(self) -> bool:
        """Undo what was done last, and say whether there was anything."""
        if not self.can_undo:
            return False
        self._entries.pop().back()
        return True


def edit_of(layer: Any, then: Callable[[], Any]) -> Entry:
    """Return how the latest edit of a layer is undone, as long as it is the latest.

    Args:
        layer: A vector layer that is being edited.
        then: Called after it is undone.
    """
    from qgis.PyQt import sip

    place, title = layer.undoStack().index(), layer.undoStack().undoText()

    def stands() -> bool:
        if sip.isdeleted(layer) or not layer.isEditable():
            return False
        stack = layer.undoStack()
        return bool(stack.index() == place and stack.undoText() == title)

    def back() -> None:
        layer.undoStack().undo()
        layer.triggerRepaint()
        then()

    return Entry(stands, back)
