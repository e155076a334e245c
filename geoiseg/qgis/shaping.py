"""Outlines in another shape: features that are there already, and a new one among them."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsFeatureRequest,
    QgsGeometry,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QByteArray, QObject, pyqtSignal

from .channel import Channel
from .words import tr
from .work import Found

KEPT = 2000
"""Outlines whose shape before the first change is known, at most."""
NEIGHBOURS = 2000
"""Features that a new one is fitted in among, at most."""


class Changed(NamedTuple):
    """Features of a layer and their new outlines."""

    layer: QgsVectorLayer
    outlines: Dict[int, Found]


class Fitted(NamedTuple):
    """A new outline, and its neighbours with vertices more."""

    found: Found
    neighbours: Dict[int, QgsGeometry]
    """By the features' ids, in the layer's CRS."""


class Shaping(QObject):
    """Asks the companion for other shapes of outlines; one question of each kind at a time."""

    trouble = pyqtSignal(str)
    """A line for the user: what was wrong, and what to do."""
    reshaped = pyqtSignal(object)
    """:class:`Changed` features of a layer."""

    def __init__(self, channel: Channel, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self._channel = channel
        self._drawn: OrderedDict[bytes, QgsGeometry] = OrderedDict()
        self._reshaping = self._fitting = 0
        self._layer: Optional[QgsVectorLayer] = None
        self._crs = QgsCoordinateReferenceSystem()
        self._chosen: List[int] = []
        self._others: List[int] = []
        self._new: Optional[Found] = None
        self._then: Callable[[Fitted], Any] = lambda _fitted: None
        channel.answered.connect(self._take)
        channel.failed.connect(self._refused)

    @property
    def busy(self) -> bool:
        """Whether an answer is waited for."""
        return bool(self._reshaping or self._fitting)

    def stop(self) -> None:
        """Stop; everything is as it was."""
        for number in (self._reshaping, self._fitting):
            if number:
                self._channel.cancel(number)
        self._reshaping = self._fitting = 0

    def drawn_as(self, shape: QgsGeometry) -> QgsGeometry:
        """Return what an outline was before it was reshaped here; itself where it was not."""
        return self._drawn.get(bytes(shape.asWkb()), shape)

    def remember(self, now: QgsGeometry, drawn: QgsGeometry) -> None:
        """Keep what an outline was before it was reshaped."""
        key = bytes(now.asWkb())
        if key != bytes(drawn.asWkb()):
            self._drawn[key] = drawn
            while len(self._drawn) > KEPT:
                self._drawn.popitem(last=False)

    # -- features that are there -----------------------------------------------------

    def reshape(
        self, layer: QgsVectorLayer, features: List[Any], source: Dict[str, Any],
        crs: QgsCoordinateReferenceSystem,
    ) -> None:  # fmt: skip
        """Ask for features of a layer in another shape; an older question lapses.

        Args:
            layer: Of polygons, being edited.
            features: Of it.
            source: The raster and the options, as the companion is told.
            crs: Of the raster.
        """
        shapes = [QgsGeometry(self.drawn_as(one.geometry())) for one in features]
        try:
            for shape in shapes:
                shape.transform(_way(layer.crs(), crs))
        except QgsCsException:
            self.trouble.emit(tr("that place has no coordinates in the raster's CRS"))
            return
        if self._reshaping:
            self._channel.cancel(self._reshaping)
        self._layer, self._crs = layer, crs
        self._chosen = [one.id() for one in features]
        asked = {**source, "shapes": list(map(_hex, shapes))}
        self._reshaping = self._channel.ask("reshape", asked)

    def _changed(self, result: Dict[str, Any]) -> None:
        layer = self._layer
        if not _usable(layer):
            return
        answers = [one for one in result["outlines"] if one["wkb"] is not None]
        if len(answers) < len(self._chosen):
            self.trouble.emit(tr("nothing would be left of it: move the border inwards by less"))
            return
        outlines = {
            number: Found(_shape(facts["wkb"]), self._crs, facts)
            for number, facts in zip(self._chosen, answers)
        }
        self.reshaped.emit(Changed(layer, outlines))

    # -- a new one among its neighbours ----------------------------------------------

    def fit(
        self, layer: QgsVectorLayer, found: Found, width: float, but: Optional[int],
        then: Callable[[Fitted], Any],
    ) -> None:  # fmt: skip
        """Call back with an outline that shares the borders of features that are near.

        Args:
            layer: Of the features.
            found: The outline.
            width: Metres within which borders are shared.
            but: Id of a feature that is no neighbour: the one whose outline it is to be.
            then: Called once it is there.
        """
        shape = QgsGeometry(found.geometry)
        try:
            shape.transform(_way(found.crs, layer.crs()))
        except QgsCsException:
            self.trouble.emit(
                tr("the outline has no place in the CRS of {name}", name=layer.name())
            )
            return
        request = QgsFeatureRequest(around(shape.boundingBox(), layer.crs(), 2 * width))
        near = [one for one in layer.getFeatures(request.setLimit(NEIGHBOURS))
                if one.hasGeometry() and one.id() != but]  # fmt: skip
        self.stop()
        self._layer, self._then = layer, then
        self._new = Found(shape, layer.crs(), found.facts)
        self._others = [one.id() for one in near]
        crs = layer.crs().toWkt() if layer.crs().isValid() else None
        self._fitting = self._channel.ask(
            "fit", {"shape": _hex(shape), "neighbours": [_hex(one.geometry()) for one in near],
                    "width": width, "crs": crs}
        )  # fmt: skip

    def _fitted(self, result: Dict[str, Any]) -> None:
        new = self._new
        if new is None or not _usable(self._layer):
            self.trouble.emit(tr("the layer is gone, or is edited no longer: accept again"))
            return
        if result["wkb"] is None:
            self.trouble.emit(tr("the neighbours have all of its ground: nothing is left to add"))
            return
        theirs = {self._others[number]: _shape(wkb) for number, wkb in result["neighbours"]
                  if _is_plain(self._layer)}  # fmt: skip
        self._then(Fitted(new._replace(geometry=_shape(result["wkb"])), theirs))

    # -- what is answered ------------------------------------------------------------

    def _take(self, number: int, result: Dict[str, Any]) -> None:
        if number and number == self._reshaping:
            self._reshaping = 0
            self._changed(result)
        elif number and number == self._fitting:
            self._fitting = 0
            self._fitted(result)

    def _refused(self, number: int, kind: str, text: str) -> None:
        if number and number in (self._reshaping, self._fitting):
            self._reshaping = 0 if number == self._reshaping else self._reshaping
            self._fitting = 0 if number == self._fitting else self._fitting
            if kind != "CancelledError":
                self.trouble.emit(text)


def around(box: QgsRectangle, crs: QgsCoordinateReferenceSystem, metres: float) -> QgsRectangle:
    """Return a rectangle with at least so many metres of room on each side."""
    wider = QgsRectangle(box)
    if crs.isGeographic():
        farthest = min(89.0, max(abs(box.yMinimum()), abs(box.yMaximum())))
        wider.grow(metres / 111_000 / math.cos(math.radians(farthest)))
    else:
        wider.grow(metres * 4)  # a foot is a third of a metre
    return wider


def _usable(layer: Any) -> bool:
    from qgis.PyQt import sip

    return layer is not None and not sip.isdeleted(layer) and layer.isEditable()


def _is_plain(layer: Any) -> bool:
    """Return whether outlines have neither arcs nor heights, which an answer would lose."""
    kind = layer.wkbType()
    return not (QgsWkbTypes.isCurvedType(kind) or QgsWkbTypes.hasZ(kind) or QgsWkbTypes.hasM(kind))


def _way(
    source: QgsCoordinateReferenceSystem, target: QgsCoordinateReferenceSystem
) -> QgsCoordinateTransform:
    return QgsCoordinateTransform(source, target, QgsProject.instance().transformContext())


def _hex(shape: QgsGeometry) -> str:
    straight = QgsGeometry(shape)
    straight.convertToStraightSegment()
    return bytes(straight.asWkb()).hex()


def _shape(wkb: str) -> QgsGeometry:
    shape = QgsGeometry()
    shape.fromWkb(QByteArray.fromHex(wkb.encode()))
    return shape
