"""What a click under the mouse would give, asked for while nothing else is."""

from __future__ import annotations

from typing import Any, Dict, Optional

from qgis.core import QgsGeometry
from qgis.PyQt.QtCore import QByteArray, QObject, pyqtSignal

from .channel import Channel
from .work import Mark, ObjectInProgress


class Preview(QObject):
    """One question at a time: the place where the mouse is once the one before is answered."""

    changed = pyqtSignal()

    def __init__(
        self, channel: Channel, work: ObjectInProgress, parent: Optional[QObject] = None
    ) -> None:
        super().__init__(parent)
        self._channel = channel
        self._work = work
        self.shape: Optional[QgsGeometry] = None
        """The outline, in the coordinates of the raster; None where there is none."""
        self.milliseconds: Dict[str, float] = {}
        self._asked = 0
        self._next: Optional[Mark] = None
        channel.answered.connect(self._take)
        channel.failed.connect(self._refused)
        work.changed.connect(self.clear)

    @property
    def busy(self) -> bool:
        """Whether an answer is waited for."""
        return bool(self._asked)

    def look(self, mark: Mark) -> None:
        """Ask what a click would give; the last of several places is the one that counts."""
        work = self._work
        if work.raster is None or work.busy or not self._channel.pid:
            return
        self._next = mark
        if not self._asked:
            self._ask()

    def clear(self) -> None:
        """Show none, not even one that is still being computed."""
        self._next = None
        if self._asked:
            self._channel.cancel(self._asked)
            self._asked = 0
        if self.shape is not None:
            self.shape = None
            self.changed.emit()

    def _ask(self) -> None:
        mark, self._next = self._next, None
        if mark is None:
            return
        asked = self._work.asked_with(mark)
        if asked is not None:
            self._asked = self._channel.ask("hover", asked)

    def _take(self, number: int, result: Dict[str, Any]) -> None:
        if not number or number != self._asked:
            return
        self._asked = 0
        self.shape = None
        self.milliseconds = result.get("milliseconds", {})
        if result["wkb"] is not None:
            self.shape = QgsGeometry()
            self.shape.fromWkb(QByteArray.fromHex(result["wkb"].encode()))
        self.changed.emit()
        self._ask()

    def _refused(self, number: int, *_: Any) -> None:
        if number and number == self._asked:
            self._asked = 0
            self.shape = None
            self.changed.emit()
            self._ask()
