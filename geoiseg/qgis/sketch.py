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

from .finder import Finder
from .preview import Preview
from .work import Mark, ObjectInProgress

LINE, FILL = QColor(255, 193, 7), QColor(255, 193, 7, 90)
ON, OFF, HINT = QColor(0, 150, 80), QColor(214, 40, 40), QColor(25, 118, 210)
FOUND = QColor(0, 176, 255)


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
        self.found = self._band(FOUND, 2)
        self.preview = self._band(HINT, 1)
        self.preview.setLineStyle(Qt.PenStyle.DashLine)
        work.changed.connect(self.redraw)
        canvas.destinationCrsChanged.connect(self.redraw)

    def _band(self, colour: QColor, width: int) -> QgsRubberBand:
        band = QgsRubberBand(self._canvas, QgsWkbTypes.GeometryType.PolygonGeometry)
        band.setStrokeColor(colour)
        band.setFillColor(QColor(colour.red(), colour.green(), colour.blue(), 50))
        band.setWidth(width)
        return band

    def colour(self, colour: QColor) -> None:
        """Show the object in progress in the colour of its class."""
        self.shape.setStrokeColor(colour)
        self.shape.setFillColor(QColor(colour.red(), colour.green(), colour.blue(), 90))
        self.shape.update()

    def show_preview(self, preview: Preview) -> None:
        """Show what a click under the mouse would give."""
        raster = self._work.raster
        if preview.shape is None or raster is None:
            self.preview.reset(QgsWkbTypes.GeometryType.PolygonGeometry)
        else:
            self.preview.setToGeometry(preview.shape, raster.crs)

    def show_candidates(self, finder: Finder) -> None:
        """Show what words or examples have found."""
        self.found.reset(QgsWkbTypes.GeometryType.PolygonGeometry)
        shown = finder.shown
        for number, one in enumerate(shown, 1):
            self.found.addGeometry(one.geometry, finder.crs, number == len(shown))

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
        for band in (self.shape, self.found, self.preview):
            self._canvas.scene().removeItem(band)

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
        elif mark.kind == "stroke":
            band = QgsRubberBand(self._canvas, QgsWkbTypes.GeometryType.LineGeometry)
            band.setColor(ON if mark.positive else OFF)
            band.setWidth(3)
            way = [QgsPointXY(x, y) for x, y in zip(mark.xy[::2], mark.xy[1::2])]
            band.setToGeometry(QgsGeometry.fromPolylineXY(way), mark.crs)
            self.marks.append(band)
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
