"""What the clicks may mean: a part, the whole, a group; Tab goes from one to the next."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from qgis.PyQt.QtCore import QObject, pyqtSignal

from .channel import Channel
from .words import tr
from .work import Mark, ObjectInProgress


class Answers(QObject):
    """The answers to the marks of the object in progress, asked for at the first Tab."""

    note = pyqtSignal(str)
    """A line for the user."""
    trouble = pyqtSignal(str)
    """A line for the user: what was wrong, and what to do."""
    changed = pyqtSignal()

    def __init__(
        self, channel: Channel, work: ObjectInProgress, parent: Optional[QObject] = None
    ) -> None:
        super().__init__(parent)
        self._channel = channel
        self._work = work
        self._asked = 0
        self._step = 1
        self._of: Tuple[Any, ...] = ()
        self.count = 0
        """How many answers there are; 0 while that is not known."""
        self.choice = 0
        channel.answered.connect(self._take)
        channel.failed.connect(self._refused)
        work.changed.connect(self._look)

    @property
    def busy(self) -> bool:
        """Whether the answers are asked for."""
        return bool(self._asked)

    def turn(self, step: int = 1) -> None:
        """Take the next answer, or the one before, as the object."""
        work = self._work
        if work.found is None or work.busy:
            self.trouble.emit(tr("there is no object yet: click on one first"))
            return
        if self._asked:
            return
        self._step = step
        if self.count and self._of == self._asked_of():
            self._choose()
            return
        asked = work.asked(self._said())
        if asked is not None:
            self._of, self.count = self._asked_of(), 0
            self._asked = self._channel.ask("alternatives", asked)
            self.changed.emit()

    def stop(self) -> None:
        """Stop asking; the object is as it was."""
        if self._asked:
            self._channel.cancel(self._asked)
            self._asked = 0
            self.changed.emit()

    def _said(self) -> List[Mark]:
        """Return the marks without the answer that was chosen last."""
        marks = list(self._work.marks)
        return marks[:-1] if marks and marks[-1].kind == "choose" else marks

    def _asked_of(self) -> Tuple[Any, ...]:
        work = self._work
        return (work.raster, work.model, *self._said())

    def _look(self) -> None:
        """Forget answers to other marks than those that are there now."""
        if (self._asked or self.count) and self._of != self._asked_of():
            self.count = 0
            self.stop()

    def _choose(self) -> None:
        if self.count < 2:
            self.note.emit(tr("there is no other answer: click where it is wrong"))
            return
        self.choice = (self.choice + self._step) % self.count
        self._work.choose(self.choice)

    def _take(self, number: int, result: Dict[str, Any]) -> None:
        if not number or number != self._asked:
            return
        self._asked = 0
        self.count, self.choice = len(result["answers"]), result["choice"] or 0
        last = self._work.marks[-1] if self._work.marks else None
        if last is not None and last.kind == "choose":
            self.choice = last.choice
        if not self.count:
            self.trouble.emit(tr("choose an answer before the object is followed or sharpened"))
        else:
            self._choose()
        self.changed.emit()

    def _refused(self, number: int, kind: str, text: str) -> None:
        if number and number == self._asked:
            self._asked = 0
            if kind != "CancelledError":
                self.trouble.emit(text)
            self.changed.emit()
