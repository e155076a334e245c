"""The object in progress: what was clicked, and what the companion makes of it.

The clicks are kept here, in the order they were made, and sent together each time. So
undo is a shorter list, another raster or model the same list again, and a companion that
died and was started again needs to know nothing.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

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

FOLLOW_CHIPS = 300
"""Chips that an object is followed through at one keystroke."""
FURTHER = ("follow", "sharpen")
"""Marks that take an object further which is there."""


class Mark(NamedTuple):
    """One thing the user did on the map."""

    kind: str
    """``point``, ``box``, ``stroke``, ``outline``, ``follow``, ``sharpen`` or ``choose``."""
    xy: Tuple[float, ...] = ()
    """``x, y``, or ``xmin, ymin, xmax, ymax``, or of a stroke ``x, y`` of each vertex, in
    ``crs``."""
    positive: bool = True
    crs: Optional[QgsCoordinateReferenceSystem] = None
    """Of the canvas when it was drawn."""
    gsd: Optional[float] = None
    """Metres of a pixel to work at; None for the finest at which the object fits."""
    shape: Optional[QgsGeometry] = None
    """Of an ``outline`` that the object is, until more is said; in ``crs``."""
    feature: Optional[Tuple[str, int]] = None
    """Id of the layer and of the feature that the outline is of, which accepting changes."""
    choice: int = 0
    """Number from 0 of the answer that ``choose`` takes."""


class Found(NamedTuple):
    """What the companion answered."""

    geometry: QgsGeometry
    """In the coordinates of the raster layer."""
    crs: QgsCoordinateReferenceSystem
    facts: Dict[str, Any]
    """``score``, ``area_m2``, ``model`` and so on."""


class ObjectInProgress(QObject):
    """Marks on one raster, and the outline they stand for."""

    changed = pyqtSignal()
    """The marks or the outline are others than before."""
    trouble = pyqtSignal(str)
    """A line for the user: what was wrong, and what to do."""
    note = pyqtSignal(str)
    """A line for the user that is no error."""
    told = pyqtSignal(object, str)
    """How far what was asked is, as a share or None, and what is being done."""
    settled = pyqtSignal(str)
    """Nothing is asked any more: all is answered, or the kind of what went wrong."""
    discarded = pyqtSignal(object)
    """The marks of an object that the user has dropped."""

    def __init__(self, channel: Channel, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self.channel = channel
        self.model = "tiny"
        self.outline: Dict[str, Any] = {"simplify": 0.0, "smooth": 0, "square": False}
        self.raster: Optional[Raster] = None
        self.found: Optional[Found] = None
        self.hint: Optional[QgsPointXY] = None
        """Where a click would help most, in the raster's coordinates."""
        self._marks: List[Mark] = []
        self._undone: List[Mark] = []
        self._answered: List[Mark] = []
        self._asked = 0
        self._suggesting = 0
        self._opening = 0
        channel.answered.connect(self._take)
        channel.failed.connect(self._refused)
        channel.restarted.connect(self._back)
        channel.progressed.connect(self._tell)

    # -- what there is ---------------------------------------------------------------

    @property
    def marks(self) -> Tuple[Mark, ...]:
        """What the user did for the object, in order."""
        return tuple(self._marks)

    @property
    def can_redo(self) -> bool:
        """Whether a mark that was taken back can be put there again."""
        return bool(self._undone)

    @property
    def busy(self) -> bool:
        """Whether the outline is not yet that of the marks."""
        return bool(self._asked)

    @property
    def can_finish(self) -> bool:
        """Whether the object was seen from afar or goes on, and nobody said how far to go."""
        if self.found is None or not self._marks or self._marks[-1].kind in FURTHER:
            return False
        return bool(self.found.facts.get("coarse") or self.found.facts.get("goes_on"))

    # -- what is done ----------------------------------------------------------------

    def use(self, raster: Optional[Raster]) -> None:
        """Work on a raster from now on; the marks stay, and are looked at there."""
        if raster == self.raster:
            return
        self.raster = raster
        if raster is not None:
            self._opening = self.channel.ask("open", self.source())
        self._again()

    def add(self, mark: Mark) -> None:
        """Take another mark."""
        if self.raster is None:
            self.trouble.emit(tr("there is no raster to segment: choose a raster layer"))
            return
        if mark.kind in FURTHER and (self.found is None or self.busy):
            self.trouble.emit(tr("there is no object yet: click on one first"))
            return
        self._marks.append(mark)
        self._undone.clear()
        self._again()

    def undo(self) -> bool:
        """Take the last mark back, and say whether there was one."""
        if not self._marks:
            return False
        self._undone.append(self._marks.pop())
        self._again()
        return True

    def redo(self) -> bool:
        """Put the mark back that was taken last, and say whether there was one."""
        if not self._undone:
            return False
        self._marks.append(self._undone.pop())
        self._again()
        return True

    def stop(self) -> None:
        """Stop what is being done; the object is as it was before it."""
        if self._asked:
            self.channel.cancel(self._asked)
            self._refused(self._asked, "CancelledError", "")

    def asked_with(self, mark: Mark) -> Optional[Dict[str, Any]]:
        """Return what the companion would be asked with one more mark; None where it can not."""
        return self.asked([*self._marks, mark])

    def asked(self, marks: List[Mark]) -> Optional[Dict[str, Any]]:
        """Return what the companion would be asked with these marks; None where it can not."""
        try:
            steps = [self._step(one, n) for n, one in enumerate(marks)]
        except QgsCsException:
            return None
        return {**self.source(), **self.outline, "steps": steps}

    def choose(self, number: int) -> None:
        """Take one of the answers to the marks as the object, in the place of another one."""
        if self._marks and self._marks[-1].kind == "choose":
            self._marks.pop()
        gsd = self._marks[-1].gsd if self._marks else None
        self.add(Mark("choose", gsd=gsd, choice=number))

    def clear(self) -> None:
        """Drop the object; nobody brings it back."""
        self._marks, self._undone = [], []
        self._again()

    def discard(self) -> None:
        """Drop the object; :meth:`restore` brings it back."""
        marks = self.marks
        self.clear()
        if marks:
            self.discarded.emit(marks)

    def restore(self, marks: Tuple[Mark, ...]) -> None:
        """Take marks that were dropped as the object in progress."""
        self._marks, self._undone = list(marks), []
        if self.raster is not None:
            self._again()

    def draw_as(self, outline: Dict[str, Any]) -> None:
        """Draw outlines as options say from now on, that of the object in progress too."""
        if outline != self.outline:
            self.outline = outline
            self._again()

    def suggest(self) -> None:
        """Ask where a click would help most; the answer shows in :attr:`hint`."""
        if self.found is None or self.busy:
            self.trouble.emit(tr("there is no object yet: click on one first"))
            return
        steps = self._steps()
        if steps is not None:
            self._suggesting = self.channel.ask("suggest", {**self.source(), "steps": steps})

    def _again(self) -> None:
        """Ask for the outline of the marks as they are now; an older question lapses."""
        if self._asked:
            self.channel.cancel(self._asked)
        self._asked = self._suggesting = 0
        self.hint = None
        steps = self._steps() if self._marks and self.raster is not None else None
        if steps is None:
            self.found = None
            self._answered = []
            self.changed.emit()
            self.settled.emit("")
            return
        self._asked = self.channel.ask("object", {**self.source(), **self.outline, "steps": steps})
        self.changed.emit()

    def source(self) -> Dict[str, Any]:
        """Return what the companion is told about the raster and the model."""
        raster = self.raster
        if raster is None:
            return {}
        return {"raster": raster.path, "bands": raster.bands, "model": self.model}

    def _steps(self) -> Optional[List[Dict[str, Any]]]:
        try:
            return [self._step(mark, n) for n, mark in enumerate(self._marks)]
        except QgsCsException:
            self._marks.pop()
            self.trouble.emit(tr("that place has no coordinates in the raster's CRS"))
            return self._steps() if self._marks else None

    def _step(self, mark: Mark, place: int) -> Dict[str, Any]:
        if mark.kind == "follow":
            before = sum(other.kind == "follow" for other in self._marks[:place])
            return {"prompts": [], "grow": FOLLOW_CHIPS * (before + 1)}
        if mark.kind == "sharpen":
            return {"prompts": [], "finish": True}
        if mark.kind == "choose":
            return {"prompts": [], "choose": mark.choice, "gsd": mark.gsd}
        move = self._to_raster(mark)
        if mark.kind == "outline":
            shape = QgsGeometry(mark.shape)
            shape.transform(move)
            given = {"kind": "region", "wkb": bytes(shape.asWkb()).hex(), "given": True}
            return {"prompts": [given], "gsd": mark.gsd}
        if mark.kind == "stroke":
            way = [move.transform(QgsPointXY(x, y)) for x, y in zip(mark.xy[::2], mark.xy[1::2])]
            stroke = {"kind": "scribble", "xy": [[at.x(), at.y()] for at in way],
                      "positive": mark.positive}  # fmt: skip
            return {"prompts": [stroke], "gsd": mark.gsd}
        if mark.kind == "box":
            box = move.transformBoundingBox(QgsRectangle(*mark.xy))
            corners = [box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()]
            prompt: Dict[str, Any] = {"kind": "box", "box": corners}
        else:
            at = move.transform(QgsPointXY(*mark.xy))
            prompt = {"kind": "point", "xy": [at.x(), at.y()], "positive": mark.positive}
        return {"prompts": [prompt], "gsd": mark.gsd}

    def _to_raster(self, mark: Mark) -> QgsCoordinateTransform:
        context = QgsProject.instance().transformContext()
        target = self.raster.crs if self.raster is not None else QgsCoordinateReferenceSystem()
        return QgsCoordinateTransform(mark.crs or target, target, context)

    # -- what is answered ------------------------------------------------------------

    def _take(self, number: int, result: Dict[str, Any]) -> None:
        if number and number == self._suggesting:
            self._suggesting = 0
            place = result["at"]
            self.hint = QgsPointXY(*place) if place else None
            if place is None:
                self.note.emit(
                    tr("no click is likely to help much: accept, or click where it is wrong")
                )
            self.changed.emit()
        if not number or number != self._asked or self.raster is None:
            return
        self._asked = 0
        self._answered = list(self._marks)
        self.found = None
        if result["wkb"] is not None:
            shape = QgsGeometry()
            shape.fromWkb(QByteArray.fromHex(result["wkb"].encode()))
            self.found = Found(shape, self.raster.crs, result)
        elif any(mark.positive for mark in self._marks):
            self.trouble.emit(tr("nothing was found there: click elsewhere, or draw a box"))
        else:
            self.note.emit(tr("now click on the object, or draw a box around it"))
        self.changed.emit()
        self.settled.emit("")

    def _refused(self, number: int, kind: str, text: str) -> None:
        if number and number in (self._suggesting, self._opening):
            self._suggesting = 0 if number == self._suggesting else self._suggesting
            if kind not in ("CancelledError", "SetupError"):
                self.trouble.emit(text)
        if number != self._asked or not number:
            return
        self._asked = 0
        if kind == "SetupError":  # the marks are not at fault: they stay until it is mended
            asked_more = self.found is not None and self._marks != self._answered
            if asked_more and self._marks[-1].kind in FURTHER:
                self._marks.pop()  # what is there is neither followed nor sharpened
            self.trouble.emit(tr("{why}; see Set up and Settings in the menu", why=text))
        else:
            self._marks = list(self._answered)  # a step that fails leaves all as it was
            if kind == "CancelledError":
                self.note.emit(tr("stopped: the object is as it was"))
            else:
                self.trouble.emit(text)
        self.changed.emit()
        self.settled.emit(kind)

    def _back(self, reason: str) -> None:
        self.note.emit(
            tr("geoiseg had ended ({why}); it is started again and nothing is lost", why=reason)
        )

    def _tell(self, number: int, share: Any, text: str) -> None:
        if number and number == self._asked:
            self.told.emit(share, text)

    def retry(self) -> None:
        """Ask again, after the settings were changed."""
        self._again()
