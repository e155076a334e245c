"""Accepting: an outline becomes a feature of the layer that is being edited."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional

from qgis.core import (
    QgsCoordinateTransform,
    QgsCsException,
    QgsExpressionContext,
    QgsExpressionContextUtils,
    QgsFeature,
    QgsField,
    QgsGeometry,
    QgsMapLayer,
    QgsProject,
    QgsVectorLayer,
    QgsVectorLayerUtils,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QMetaType

from .classes import MADE, colour_layer
from .words import tr
from .work import Found

LABEL_FIELDS = ("label", "class", "name")
"""Fields that take the class; the first that the layer has."""
OWN_FIELDS = ("score", "area_m2", "perimeter_m", "compactness", "model", "gsd", "source")
"""Fields that take what the companion says, where the layer has them."""
NEW_FIELDS = (
    "label:string(80)", "score:double", "area_m2:double", "model:string(80)", "source:string(254)",
)  # fmt: skip
"""Fields of a new layer for outlines."""


class TargetError(Exception):
    """An outline can not go into a layer; the text says why and what to do."""


def takes_polygons(layer: Optional[QgsMapLayer]) -> bool:
    """Return whether a layer holds polygons and is being edited."""
    return (
        isinstance(layer, QgsVectorLayer)
        and layer.isEditable()
        and layer.geometryType() == QgsWkbTypes.GeometryType.PolygonGeometry
    )


def target_layer(active: Optional[QgsMapLayer]) -> QgsVectorLayer:
    """Return the layer that outlines go into: the active one, or else the only one edited.

    Raises:
        TargetError: No polygon layer is being edited, or several are.
    """
    if takes_polygons(active):
        return active
    edited = [
        layer for layer in QgsProject.instance().mapLayers().values() if takes_polygons(layer)
    ]
    if len(edited) == 1:
        return edited[0]
    if edited:
        names = ", ".join(sorted(layer.name() for layer in edited))
        raise TargetError(
            tr("several polygon layers are being edited ({names}): activate one", names=names)
        )
    raise TargetError(
        tr("no polygon layer is being edited: toggle editing on one, or make a new one")
    )


class Extra(NamedTuple):
    """What accepting changes besides adding outlines."""

    neighbours: Dict[int, QgsGeometry]
    """Outlines of other features, with vertices where the new ones meet them, by their ids."""
    attributes: Optional[List[Any]]
    """What was filled in, for each field of the layer."""


ALONE = Extra({}, None)
"""Nothing besides."""


def new_feature(layer: QgsVectorLayer, found: Found, label: str, source: str) -> QgsFeature:
    """Return the feature that an outline would become, its largest part first.

    Raises:
        TargetError: It has no place in the layer's CRS.
    """
    shape = max(_shapes(layer, found), key=lambda one: one.area())
    context = QgsExpressionContext(QgsExpressionContextUtils.globalProjectLayerScopes(layer))
    values = _values(layer, {**found.facts, "source": source}, label)
    return QgsVectorLayerUtils.createFeature(layer, shape, values, context)


def add_features(
    layer: QgsVectorLayer, listed: List[Found], label: str, source: str, extra: Extra = ALONE
) -> List[int]:
    """Add outlines to a layer as one edit, in the layer's CRS, and return the features' ids.

    A layer of single polygons takes an outline of several parts as several features.

    Raises:
        TargetError: One has no place in the layer's CRS, or the layer refuses it; none is added.
    """
    made = [(shape, _values(layer, {**found.facts, "source": source}, label))
            for found in listed for shape in _shapes(layer, found)]  # fmt: skip
    context = QgsExpressionContext(QgsExpressionContextUtils.globalProjectLayerScopes(layer))
    layer.beginEditCommand(tr("Accept an object of geoiseg"))
    ids = []
    for shape, values in made:
        feature = QgsVectorLayerUtils.createFeature(layer, shape, values, context)
        if extra.attributes is not None:
            feature.setAttributes(extra.attributes)
        if not layer.addFeature(feature):
            _refuse(layer)
        ids.append(feature.id())
    _meet(layer, extra)
    layer.endEditCommand()
    layer.triggerRepaint()
    return ids


def replace_feature(layer: QgsVectorLayer, number: int, found: Found, extra: Extra = ALONE) -> None:
    """Give a feature another outline, as one edit; its attributes stay.

    In a layer of single polygons further parts become features like it.

    Raises:
        TargetError: The feature is gone, or the layer refuses the outline.
    """
    layer.beginEditCommand(tr("Refine a feature with geoiseg"))
    try:
        _change(layer, number, found)
    except TargetError:
        layer.destroyEditCommand()
        raise
    _meet(layer, extra)
    layer.endEditCommand()
    layer.triggerRepaint()


def change_outlines(layer: QgsVectorLayer, outlines: Dict[int, Found], title: str) -> None:
    """Give features other outlines, all as one edit.

    Raises:
        TargetError: One is gone, or the layer refuses one; none is changed.
    """
    layer.beginEditCommand(title)
    try:
        for number, found in outlines.items():
            _change(layer, number, found)
    except TargetError:
        layer.destroyEditCommand()
        raise
    layer.endEditCommand()
    layer.triggerRepaint()


def _change(layer: QgsVectorLayer, number: int, found: Found) -> None:
    feature = layer.getFeature(number)
    if not feature.isValid():
        raise TargetError(tr("the feature that was refined is gone: discard this"))
    first, *others = sorted(_shapes(layer, found), key=lambda shape: -shape.area())
    facts = {name: found.facts.get(name) for name in ("area_m2", "perimeter_m", "compactness")}
    done = layer.changeGeometry(number, first)
    for index, value in _values(layer, facts, "").items():
        done = done and layer.changeAttributeValue(number, index, value)
    values = dict(enumerate(feature.attributes()))
    for shape in others:
        more = QgsVectorLayerUtils.createFeature(layer, shape, values)
        done = done and layer.addFeature(more)
    if not done:
        raise TargetError(tr("the layer {name} refuses the outline", name=layer.name()))


def _meet(layer: QgsVectorLayer, extra: Extra) -> None:
    """Give neighbours the vertices where a new outline meets them."""
    for number, shape in extra.neighbours.items():
        for part in shape.coerceToType(layer.wkbType())[:1]:
            layer.changeGeometry(number, part)


def _refuse(layer: QgsVectorLayer) -> None:
    layer.destroyEditCommand()
    raise TargetError(tr("the layer {name} refuses the outline", name=layer.name()))


def _shapes(layer: QgsVectorLayer, found: Found) -> List[QgsGeometry]:
    shape = QgsGeometry(found.geometry)
    context = QgsProject.instance().transformContext()
    try:
        shape.transform(QgsCoordinateTransform(found.crs, layer.crs(), context))
    except QgsCsException as error:
        line = tr("the outline has no place in the CRS of {name}", name=layer.name())
        raise TargetError(line) from error
    return list(shape.coerceToType(layer.wkbType()))


def _values(layer: QgsVectorLayer, facts: Dict[str, Any], label: str) -> Dict[int, Any]:
    """Return values by the index of the field, of a kind that the field takes."""
    fields = layer.fields()
    wanted: Dict[str, Any] = {name: facts.get(name) for name in OWN_FIELDS}
    if label:
        present = [name for name in LABEL_FIELDS if fields.lookupField(name) >= 0]
        wanted.update(dict.fromkeys(present[:1], label))
    values: Dict[int, Any] = {}
    for name, value in wanted.items():
        index = fields.lookupField(name)
        if index >= 0 and value is not None and _fits(fields.at(index), value):
            values[index] = value
    return values


def _fits(field: QgsField, value: Any) -> bool:
    texts = (QMetaType.Type.QString,)
    numbers = (QMetaType.Type.Double, QMetaType.Type.Int, QMetaType.Type.LongLong)
    return field.type() in (texts if isinstance(value, str) else numbers)


def new_layer(crs: Any) -> QgsVectorLayer:
    """Return a new temporary layer for outlines, in a CRS, being edited."""
    fields = "&".join(f"field={field}" for field in NEW_FIELDS)
    layer = QgsVectorLayer(f"MultiPolygon?{fields}", "objects", "memory")
    layer.setCrs(crs)
    layer.setCustomProperty(MADE, True)
    colour_layer(layer)
    layer.startEditing()
    return layer
