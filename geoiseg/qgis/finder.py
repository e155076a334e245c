"""What words or examples find: candidates on the map, kept, left out, or taken to be refined."""

from __future__ import annotations

from typing import Any, Callable, Dict, FrozenSet, List, NamedTuple, Optional, Set

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsRectangle,
)
from qgis.PyQt.QtCore import QByteArray, QObject, pyqtSignal

from .channel import Channel
from .rasters import Raster
from .words import tr


class Candidate(NamedTuple):
    """An object that was found."""

    number: int
    geometry: QgsGeometry
    """In the coordinates of the raster."""
    score: float


class Finder(QObject):
    """Candidates on one raster, and what became of them.

    Args:
        channel: The companion's.
        source: Returns what the companion is told about the raster.
    """

    changed = pyqtSignal()
    """What is shown is another set than before."""
    trouble = pyqtSignal(str)
    """A line for the user: what was wrong, and what to do."""
    left_out = pyqtSignal()
    """Candidates were left out, which :meth:`undo` takes back."""

    def __init__(
        self, channel: Channel, source: Callable[[], Dict[str, Any]],
        parent: Optional[QObject] = None,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self.channel = channel
        self._source = source
        self.crs = QgsCoordinateReferenceSystem()
        self.words = ""
        """What was looked for; the class of what is accepted."""
        self.facts: Dict[str, Any] = {}
        self.threshold = 0.0
        self.searches = 0
        """Counts what was found so far: candidates of an older search are gone."""
        self._all: List[Candidate] = []
        self._closed: List[FrozenSet[int]] = [frozenset()]
        self._taken: Set[int] = set()
        self._asked = 0
        self._pending_crs, self._pending_words = self.crs, ""
        channel.answered.connect(self._take)
        channel.failed.connect(self._refused)

    # -- what there is ---------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether something is being looked for."""
        return bool(self._asked)

    @property
    def open(self) -> List[Candidate]:
        """The candidates that are neither accepted nor left out."""
        return [one for one in self._all if one.number not in self._closed[-1]]

    @property
    def any(self) -> bool:
        """Whether there are candidates, shown or not."""
        return bool(self.open)

    @property
    def shown(self) -> List[Candidate]:
        """The open candidates at or above the threshold, best first."""
        return [one for one in self.open if one.score >= self.threshold]

    @property
    def can_undo(self) -> bool:
        """Whether a candidate that was left out can be brought back."""
        return len(self._closed) > 1

    def at(self, place: QgsPointXY, crs: QgsCoordinateReferenceSystem) -> Optional[Candidate]:
        """Return the smallest candidate shown at a place, or None."""
        if not self._all:
            return None
        context = QgsProject.instance().transformContext()
        try:
            here = QgsCoordinateTransform(crs, self.crs, context).transform(place)
        except QgsCsException:
            return None
        found = [one for one in self.shown if one.geometry.contains(here)]
        return min(found, key=lambda one: one.geometry.area()) if found else None

    # -- what is done ----------------------------------------------------------------

    def look(self, raster: Raster, words: str, within: Optional[QgsRectangle]) -> None:
        """Look for what words name, within a rectangle of the raster's coordinates."""
        self._ask(raster, words.strip(), within, {"text": words})

    def look_like(
        self, raster: Raster, shapes: List[QgsGeometry], words: str,
        within: Optional[QgsRectangle],
    ) -> None:  # fmt: skip
        """Look for more like outlines in the raster's coordinates, unlike what was rejected."""
        closed = self._closed[-1] if self.crs == raster.crs else frozenset()
        rejected = closed - self._taken
        unlike = [one.geometry for one in self._all if one.number in rejected][:20]
        like = [_hex(shape) for shape in shapes]
        asked = {"text": words, "like": like, "unlike": [_hex(shape) for shape in unlike]}
        self._ask(raster, words, within, asked)

    def _ask(
        self, raster: Raster, words: str, within: Optional[QgsRectangle], asked: Dict[str, Any]
    ) -> None:
        self.stop()
        self._pending_crs, self._pending_words = raster.crs, words
        if within is not None:
            asked["within"] = [within.xMinimum(), within.yMinimum(), within.xMaximum(),
                               within.yMaximum()]  # fmt: skip
        self._asked = self.channel.ask("find", {**self._source(), **asked})
        self.changed.emit()

    def stop(self) -> None:
        """Stop looking; what was found before stays."""
        if self._asked:
            self.channel.cancel(self._asked)
            self._asked = 0
            self.changed.emit()

    def set_threshold(self, value: float) -> None:
        """Show the candidates of at least so good a score."""
        if value != self.threshold:
            self.threshold = value
            self.changed.emit()

    def reject(self, numbers: List[int]) -> None:
        """Leave candidates out."""
        self._close(numbers)
        self.left_out.emit()

    def take(self, numbers: List[int], tell: bool = True) -> None:
        """Leave out candidates that become objects, and are no examples of what is not meant."""
        self._taken |= set(numbers)
        self._close(numbers)
        if tell:
            self.left_out.emit()

    def _close(self, numbers: List[int]) -> None:
        self._closed.append(self._closed[-1] | frozenset(numbers))
        self.changed.emit()

    def undo(self) -> None:
        """Bring back what was left out last."""
        if self.can_undo:
            self._closed.pop()
            self.changed.emit()

    def clear(self) -> None:
        """Leave all candidates out."""
        self.stop()
        if self.any:
            self.reject([one.number for one in self.open])

    def drop(self) -> None:
        """Drop all candidates; nobody brings them back."""
        self.stop()
        self.searches += 1
        self._all, self._closed, self._taken = [], [frozenset()], set()
        self.changed.emit()

    # -- what is answered ------------------------------------------------------------

    def _take(self, number: int, result: Dict[str, Any]) -> None:
        if not number or number != self._asked:
            return
        self._asked = 0
        self.searches += 1
        self._all, self._closed, self._taken = [], [frozenset()], set()
        for one in result["candidates"]:
            shape = QgsGeometry()
            shape.fromWkb(QByteArray.fromHex(one["wkb"].encode()))
            self._all.append(Candidate(one["number"], shape, one["score"]))
        self.crs, self.words = self._pending_crs, self._pending_words
        self.threshold = float(result["threshold"])
        self.facts = {"model": result["engine"], "gsd": result["gsd"]}
        if not self._all:
            self.trouble.emit(tr("nothing was found: try other words, or zoom in"))
        self.changed.emit()

    def _refused(self, number: int, kind: str, text: str) -> None:
        if not number or number != self._asked:
            return
        self._asked = 0
        if kind != "CancelledError":
            self.trouble.emit(text)
        self.changed.emit()


def _hex(shape: QgsGeometry) -> str:
    return bytes(shape.asWkb()).hex()
