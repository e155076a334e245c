"""The map tool: clicks, boxes, strokes and keys on the canvas become marks of an object."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, NamedTuple, Optional

from qgis.core import QgsPointXY, QgsRectangle, QgsWkbTypes
from qgis.gui import QgsMapCanvas, QgsMapTool, QgsRubberBand
from qgis.PyQt.QtCore import QEvent, QObject, QPoint, QRect, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QApplication

from .answers import Answers
from .finder import Finder
from .journal import Journal
from .preview import Preview
from .rasters import ground_size
from .reviewed import CHECKED, REJECTED
from .shaping import Shaping
from .sketch import OFF, ON
from .work import Mark, ObjectInProgress

TAKEN = (Qt.Key.Key_Tab, Qt.Key.Key_Backtab, Qt.Key.Key_Backspace)
"""Keys that never reach the canvas: with the first two Qt goes to the next widget, and with the
last QGIS deletes the features that are selected."""
_ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
CLICK, CLICK_OFF, STROKE, STROKE_OFF = "click", "click_off", "stroke", "stroke_off"
MODES = {
    Qt.Key.Key_P: CLICK, Qt.Key.Key_B: CLICK, Qt.Key.Key_N: CLICK_OFF, Qt.Key.Key_S: STROKE,
    Qt.Key.Key_X: STROKE_OFF,
}  # fmt: skip
"""What the left mouse button does, by keys."""
REVIEWS = {
    Qt.Key.Key_Period: "next", Qt.Key.Key_Comma: "previous", Qt.Key.Key_Y: CHECKED,
    Qt.Key.Key_T: REJECTED,
}  # fmt: skip
"""What keys ask of the review while it is open."""
FOREIGN = Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.MetaModifier
"""With these a key opens a menu of QGIS's, and means nothing here."""
NEAR = 3
"""Pixels that the mouse moves before a preview is asked for anew, or a stroke has a vertex."""


class Parts(NamedTuple):
    """What the tool works on."""

    work: ObjectInProgress
    finder: Finder
    preview: Preview
    answers: Answers
    shaping: Shaping
    journal: Journal


class ObjectTool(QgsMapTool):
    """Left click: on the object; right or Ctrl click: off it; drag: a box, or a stroke.

    With candidates on the map, a click on one takes it as the object, a right click leaves it
    out. The keys are in the documentation and in the dock.
    """

    accept = pyqtSignal()
    said = pyqtSignal(str)
    """A key that the desk answers: ``refine``, ``like``, ``follow``, ``sharpen``, ``other``,
    ``undo``, ``redo``, ``hover``, ``review``, what the review does (``next``, ``previous``,
    ``checked``, ``rejected``), or the number of a class."""
    mode_changed = pyqtSignal(str)
    marked = pyqtSignal(object)
    """A :class:`~geoiseg.qgis.work.Mark` for the object."""

    def __init__(
        self, canvas: QgsMapCanvas, parts: Parts, at_screen_scale: Callable[[], bool],
        hovers: Callable[[], bool],
    ) -> None:  # fmt: skip
        super().__init__(canvas)
        self._work, self._finder, self._preview = parts.work, parts.finder, parts.preview
        self._parts = parts
        self._at_screen_scale = at_screen_scale
        self._hovers = hovers
        self.mode = CLICK
        self.reviews: Callable[[], bool] = lambda: False
        """Whether the review is open."""
        self._pressed: Optional[QPoint] = None
        self._way: List[QPoint] = []
        self._band: Optional[QgsRubberBand] = None
        self._hovered: Optional[QPoint] = None
        self.setCursor(Qt.CursorShape.CrossCursor)

    def set_mode(self, mode: str) -> None:
        """Choose what the left mouse button does."""
        self.mode = mode
        self._drop_band()
        self._preview.clear()
        self.mode_changed.emit(mode)

    # -- the mouse -------------------------------------------------------------------

    def canvasPressEvent(self, event: Any) -> None:  # noqa: N802 - a name of QGIS
        """Begin a click, a box or a stroke."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._pressed = event.pos()
            self._way = [event.pos()]
            self._preview.clear()

    def canvasMoveEvent(self, event: Any) -> None:  # noqa: N802 - a name of QGIS
        """Draw what is being dragged, or ask what a click here would give."""
        place = event.pos()
        if self._pressed is None:
            self._hover(place)
            return
        if self.mode in (STROKE, STROKE_OFF):
            if (place - self._way[-1]).manhattanLength() >= NEAR:
                self._way.append(place)
                self._draw_stroke()
        elif self._far(place):
            self._draw_box(place)

    def canvasReleaseEvent(self, event: Any) -> None:  # noqa: N802 - a name of QGIS
        """Make a mark of the click, the box or the stroke."""
        pressed, self._pressed = self._pressed, None
        self._drop_band()
        off = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        if event.button() == Qt.MouseButton.RightButton:
            self._click(event.pos(), positive=False)
        elif event.button() != Qt.MouseButton.LeftButton or pressed is None:
            return
        elif self.mode in (STROKE, STROKE_OFF) and len(self._way) > 1:
            way = [self.toMapCoordinates(place) for place in self._way]
            xy = tuple(value for at in way for value in (at.x(), at.y()))
            self._add("stroke", xy, self.mode == STROKE and not off)
        elif self._far(event.pos(), pressed) and not off and self.mode == CLICK:
            corners = [self.toMapCoordinates(place) for place in (pressed, event.pos())]
            box = QgsRectangle(*corners)
            edges = (box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum())
            self._add("box", edges)
        else:
            self._click(event.pos(), positive=not off and self.mode in (CLICK, STROKE))

    def _far(self, place: QPoint, pressed: Optional[QPoint] = None) -> bool:
        start = pressed or self._pressed
        moved = (place - start).manhattanLength() if start is not None else 0
        return moved >= QApplication.startDragDistance()

    def _click(self, place: QPoint, positive: bool) -> None:
        at: QgsPointXY = self.toMapCoordinates(place)
        crs = self.canvas().mapSettings().destinationCrs()
        found = None if self._work.marks else self._finder.at(at, crs)
        if found is not None and not positive:
            self._finder.reject([found.number])
        elif found is not None:
            shown = Mark("outline", (), True, self._finder.crs, self._scale(), found.geometry)
            self._finder.take([found.number])
            self.marked.emit(shown)
        else:
            self._add("point", (at.x(), at.y()), positive)

    def _add(self, kind: str, xy: Any, positive: bool = True) -> None:
        self.marked.emit(self._mark(kind, xy, positive))

    def _mark(self, kind: str, xy: Any, positive: bool = True) -> Mark:
        crs = self.canvas().mapSettings().destinationCrs()
        return Mark(kind, xy, positive, crs, self._scale())

    def _scale(self) -> Optional[float]:
        return ground_size(self.canvas()) if self._at_screen_scale() else None

    def _hover(self, place: QPoint) -> None:
        if not self._hovers() or self.mode not in (CLICK, CLICK_OFF) or self._finder.shown:
            return
        if self._hovered is None or (place - self._hovered).manhattanLength() >= NEAR:
            self._hovered = place
            at: QgsPointXY = self.toMapCoordinates(place)
            self._preview.look(self._mark("point", (at.x(), at.y()), self.mode == CLICK))

    def _draw_box(self, place: QPoint) -> None:
        if self._band is None:
            self._band = QgsRubberBand(self.canvas(), QgsWkbTypes.GeometryType.PolygonGeometry)
            self._band.setStrokeColor(ON)
            self._band.setFillColor(Qt.GlobalColor.transparent)
        start = self._pressed if self._pressed is not None else place
        self._band.setToCanvasRectangle(QRect(start, place).normalized())

    def _draw_stroke(self) -> None:
        if self._band is None:
            self._band = QgsRubberBand(self.canvas(), QgsWkbTypes.GeometryType.LineGeometry)
            self._band.setColor(ON if self.mode == STROKE else OFF)
            self._band.setWidth(3)
            self._band.addPoint(self.toMapCoordinates(self._way[0]))
        self._band.addPoint(self.toMapCoordinates(self._way[-1]))

    def _drop_band(self) -> None:
        if self._band is not None:
            self.canvas().scene().removeItem(self._band)
            self._band = None

    # -- the keyboard ----------------------------------------------------------------

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802 - a name of QGIS
        """Do what a key stands for; keys without a meaning here go on to QGIS."""
        action = self._action(event)
        if action is None:
            event.ignore()
            return
        action()
        event.accept()

    def _action(self, event: Any) -> Optional[Callable[[], Any]]:
        work, key = self._work, event.key()
        if event.modifiers() & FOREIGN:
            return None
        control = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if control and (key == Qt.Key.Key_Y or (shift and key == Qt.Key.Key_Z)):
            return (lambda: self.said.emit("redo")) if work.can_redo else None
        if (control and key == Qt.Key.Key_Z) or key == Qt.Key.Key_Backspace:
            return self._back()
        if control:
            return None
        if event.isAutoRepeat() and (key == Qt.Key.Key_I or (key in REVIEWS and self.reviews())):
            return lambda: None  # one press, one state
        return self._plain(key)

    def _back(self) -> Optional[Callable[[], Any]]:
        if self._work.marks or self._parts.journal.can_undo:
            return lambda: self.said.emit("undo")
        return None

    def _plain(self, key: int) -> Optional[Callable[[], Any]]:
        """Return what a key without Ctrl stands for."""
        work = self._work
        if key in MODES:
            return lambda: self.set_mode(MODES[key])
        if Qt.Key.Key_1 <= key <= Qt.Key.Key_9:
            return lambda: self.said.emit(chr(int(key)))
        keys: Dict[Any, Callable[[], Any]] = {
            Qt.Key.Key_E: lambda: self.said.emit("refine"),
            Qt.Key.Key_L: lambda: self.said.emit("like"),
            Qt.Key.Key_H: lambda: self.said.emit("hover"),
            Qt.Key.Key_I: lambda: self.said.emit("review"),
        }
        if key in REVIEWS and self.reviews():
            return lambda: self.said.emit(REVIEWS[key])
        if self.can_escape:
            keys[Qt.Key.Key_Escape] = self.escape
        if work.marks:
            for one in _ENTER:
                keys[one] = self.accept.emit
            keys[Qt.Key.Key_W] = work.suggest
            keys[Qt.Key.Key_F] = lambda: self.said.emit("follow")
            keys[Qt.Key.Key_D] = lambda: self.said.emit("sharpen")
        if work.found is not None:
            keys[Qt.Key.Key_Tab] = lambda: self.said.emit("other")
            keys[Qt.Key.Key_Backtab] = lambda: self.said.emit("other_back")
        return keys.get(key)

    @property
    def can_escape(self) -> bool:
        """Whether there is something to stop or to discard."""
        asking = (self._work, self._finder, self._parts.answers, self._parts.shaping)
        return bool(self._pressed is not None or any(one.busy for one in asking)
                    or self._work.marks or self._finder.any)  # fmt: skip

    def escape(self) -> None:
        """Stop what is drawn or computed; where nothing is, discard the object, then candidates."""
        if self._pressed is not None:
            self._pressed = None
            self._drop_band()
        elif self._work.busy:
            self._work.stop()
        elif self._finder.busy:
            self._finder.stop()
        elif self._parts.answers.busy or self._parts.shaping.busy:
            self._parts.answers.stop()
            self._parts.shaping.stop()
        elif self._work.marks:
            self._work.discard()
        else:
            self._finder.clear()

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Keep keys that mean something here from being shortcuts of QGIS at the same time."""
        if event.type() == QEvent.Type.ShortcutOverride and self._action(event) is not None:
            event.accept()
            return True
        if event.type() == QEvent.Type.KeyPress and event.key() in TAKEN:
            action = self._action(event)
            if action is not None:
                action()
            return action is not None or event.key() == Qt.Key.Key_Backspace
        if event.type() == QEvent.Type.Leave:
            self._hovered = None
            self._preview.clear()
        return False

    def activate(self) -> None:
        """Begin to listen to the canvas."""
        super().activate()
        self.canvas().installEventFilter(self)

    def deactivate(self) -> None:
        """Stop listening; the object in progress stays."""
        self.canvas().removeEventFilter(self)
        self._pressed = None
        self._drop_band()
        self._preview.clear()
        super().deactivate()
