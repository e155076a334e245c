"""The map tool: clicks, boxes and keys on the canvas become marks of the object in progress."""

from __future__ import annotations

from typing import Any, Callable, Optional

from qgis.core import QgsPointXY, QgsRectangle, QgsWkbTypes
from qgis.gui import QgsMapCanvas, QgsMapTool, QgsRubberBand
from qgis.PyQt.QtCore import QEvent, QObject, QPoint, QRect, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QApplication

from .rasters import ground_size
from .sketch import ON
from .work import Mark, ObjectInProgress

_ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class ObjectTool(QgsMapTool):
    """Left click: on the object; right or Ctrl click: off it; drag: a box around it.

    Enter accepts, Esc discards, Ctrl+Z or Backspace takes the last mark back, Ctrl+Y or
    Ctrl+Shift+Z puts it there again, F follows the object beyond its chip, D sharpens the
    border of one that was seen from afar, H asks where to click next.
    """

    accept = pyqtSignal()

    def __init__(
        self, canvas: QgsMapCanvas, work: ObjectInProgress, at_screen_scale: Callable[[], bool]
    ) -> None:
        super().__init__(canvas)
        self._work = work
        self._at_screen_scale = at_screen_scale
        self._pressed: Optional[QPoint] = None
        self._box: Optional[QgsRubberBand] = None
        self.setCursor(Qt.CursorShape.CrossCursor)

    # -- the mouse -------------------------------------------------------------------

    def canvasPressEvent(self, event: Any) -> None:  # noqa: N802 - a name of QGIS
        """Begin a click or a box."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._pressed = event.pos()

    def canvasMoveEvent(self, event: Any) -> None:  # noqa: N802 - a name of QGIS
        """Draw the box that is being dragged."""
        if self._pressed is None or not self._far(event.pos()):
            return
        if self._box is None:
            self._box = QgsRubberBand(self.canvas(), QgsWkbTypes.GeometryType.PolygonGeometry)
            self._box.setStrokeColor(ON)
            self._box.setFillColor(Qt.GlobalColor.transparent)
        self._box.setToCanvasRectangle(_between(self._pressed, event.pos()))

    def canvasReleaseEvent(self, event: Any) -> None:  # noqa: N802 - a name of QGIS
        """Make a mark of the click or the box."""
        pressed, self._pressed = self._pressed, None
        self._drop_box()
        if event.button() == Qt.MouseButton.RightButton:
            self._click(event.pos(), positive=False)
        elif event.button() == Qt.MouseButton.LeftButton and pressed is not None:
            off = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
            if self._far(event.pos(), pressed) and not off:
                corners = [self.toMapCoordinates(place) for place in (pressed, event.pos())]
                box = QgsRectangle(*corners)
                edges = (box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum())
                self._add("box", edges)
            else:
                self._click(event.pos(), positive=not off)

    def _far(self, place: QPoint, pressed: Optional[QPoint] = None) -> bool:
        start = pressed or self._pressed
        moved = (place - start).manhattanLength() if start is not None else 0
        return moved >= QApplication.startDragDistance()

    def _click(self, place: QPoint, positive: bool) -> None:
        at: QgsPointXY = self.toMapCoordinates(place)
        self._add("point", (at.x(), at.y()), positive)

    def _add(self, kind: str, xy: Any, positive: bool = True) -> None:
        crs = self.canvas().mapSettings().destinationCrs()
        scale = ground_size(self.canvas()) if self._at_screen_scale() else None
        self._work.add(Mark(kind, xy, positive, crs, scale))

    def _drop_box(self) -> None:
        if self._box is not None:
            self.canvas().scene().removeItem(self._box)
            self._box = None

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
        control = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if control and (key == Qt.Key.Key_Y or (shift and key == Qt.Key.Key_Z)):
            return work.redo if work.can_redo else None
        if (control and key == Qt.Key.Key_Z) or key == Qt.Key.Key_Backspace:
            return work.undo if work.marks else None
        if not work.marks or control:
            return None
        if key in _ENTER:
            return self.accept.emit
        keys = {
            Qt.Key.Key_Escape: work.clear,
            Qt.Key.Key_H: work.suggest,
            Qt.Key.Key_F: lambda: work.add(Mark("follow")),
            Qt.Key.Key_D: lambda: work.add(Mark("sharpen")),
        }
        return keys.get(key)

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Keep keys that mean something here from being shortcuts of QGIS at the same time."""
        if event.type() == QEvent.Type.ShortcutOverride and self._action(event) is not None:
            event.accept()
            return True
        return False

    def activate(self) -> None:
        """Begin to listen to the canvas."""
        super().activate()
        self.canvas().installEventFilter(self)

    def deactivate(self) -> None:
        """Stop listening; the object in progress stays."""
        self.canvas().removeEventFilter(self)
        self._pressed = None
        self._drop_box()
        super().deactivate()


def _between(one: QPoint, other: QPoint) -> Any:
    return QRect(one, other).normalized()
