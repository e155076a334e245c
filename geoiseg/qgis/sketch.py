"""What the map shows of the object in progress: its outline, the clicks, the boxes."""

from __future__ import annotations

from typing import Any, List

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsRectangle,
    QgsWkbTypes,
)
from qgis.gui import QgsMapCanvas, QgsRubberBand, QgsVertexMarker
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QColor

from .work import Mark, ObjectInProgress

LINE, FILL = QColor(255, 193, 7), QColor(255, 193, 7, 90)
ON, OFF, HINT = QColor(0, 150, 80), QColor(214, 40, 40), QColor(25, 118, 210)


class Sketch:
    """Draws the object in progress over a map canvas, whatever the canvas's CRS is."""

    def __init__(self, canvas: QgsMapCanvas, work: ObjectInProgress) -> None:
        self._canvas = canvas
        self._work = work
        self.shape = QgsRubberBand(canvas, QgsWkbTypes.GeometryType.PolygonGeometry)
        self.shape.setStrokeColor(LINE)
        self.shape.setFillColor(FILL)
        self.shape.setWidth(2)
        self.marks: List[Any] = []
        work.changed.connect(self.redraw)
        canvas.destinationCrsChanged.connect(self.redraw)

    def redraw(self) -> None:
        """Show the object as it is now."""
        self._wipe()
        work = self._work
        if work.found is not None:
            self.shape.setToGeometry(work.found.geometry, work.found.crs)
        else:
            self.shape.reset(QgsWkbTypes.GeometryType.PolygonGeometry)
        for mark in work.marks:
            self._draw(mark)
        if work.hint is not None and work.raster is not None:
            self._pin(work.hint, work.raster.crs, HINT, QgsVertexMarker.IconType.ICON_CIRCLE)

    def remove(self) -> None:
        """Take everything off the canvas."""
        self._wipe()
        self._work.changed.disconnect(self.redraw)
        self._canvas.destinationCrsChanged.disconnect(self.redraw)
        self._canvas.scene().removeItem(self.shape)

    def _wipe(self) -> None:
        for item in self.marks:
            self._canvas.scene().removeItem(item)
        self.marks = []

    def _draw(self, mark: Mark) -> None:
        if mark.kind == "point":
            kind = (
                QgsVertexMarker.IconType.ICON_CROSS
                if mark.positive
                else QgsVertexMarker.IconType.ICON_X
            )
            self._pin(QgsPointXY(*mark.xy), mark.crs, ON if mark.positive else OFF, kind)
        elif mark.kind == "box":
            band = QgsRubberBand(self._canvas, QgsWkbTypes.GeometryType.LineGeometry)
            band.setColor(ON)
            band.setLineStyle(Qt.PenStyle.DashLine)
            band.setToGeometry(QgsGeometry.fromRect(QgsRectangle(*mark.xy)), mark.crs)
            self.marks.append(band)

    def _pin(self, place: QgsPointXY, crs: Any, colour: QColor, kind: Any) -> None:
        canvas_crs: QgsCoordinateReferenceSystem = self._canvas.mapSettings().destinationCrs()
        context = QgsProject.instance().transformContext()
        try:
            moved = QgsCoordinateTransform(crs, canvas_crs, context).transform(place)
        except QgsCsException:
            return
        marker = QgsVertexMarker(self._canvas)
        marker.setCenter(moved)
        marker.setColor(colour)
        marker.setIconType(kind)
        marker.setIconSize(12)
        marker.setPenWidth(3)
        self.marks.append(marker)
