"""Accepting: an outline becomes a feature of the layer that is being edited."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from qgis.core import (
    QgsCoordinateTransform,
    QgsCsException,
    QgsExpressionContext,
    QgsExpressionContextUtils,
    QgsField,
    QgsGeometry,
    QgsMapLayer,
    QgsProject,
    QgsVectorLayer,
    QgsVectorLayerUtils,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QMetaType

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
        raise TargetError(f"several polygon layers are being edited ({names}): activate one")
    raise TargetError("no polygon layer is being edited: toggle editing on one, or make a new one")


def add_feature(layer: QgsVectorLayer, found: Found, label: str, source: str) -> List[int]:
    """Add an outline to a layer as one edit, in the layer's CRS, and return the features' ids.

    A layer of single polygons takes an outline of several parts as several features.

    Raises:
        TargetError: The outline has no place in the layer's CRS, or the layer refuses it.
    """
    shapes = _shapes(layer, found)
    values = _values(layer, {**found.facts, "source": source}, label)
    context = QgsExpressionContext(QgsExpressionContextUtils.globalProjectLayerScopes(layer))
    layer.beginEditCommand("Accept an object of geoiseg")
    ids = []
    for shape in shapes:
        feature = QgsVectorLayerUtils.createFeature(layer, shape, values, context)
        if not layer.addFeature(feature):
            layer.destroyEditCommand()
            raise TargetError(f"the layer {layer.name()!r} refuses the outline")
        ids.append(feature.id())
    layer.endEditCommand()
    layer.triggerRepaint()
    return ids


def _shapes(layer: QgsVectorLayer, found: Found) -> List[QgsGeometry]:
    shape = QgsGeometry(found.geometry)
    context = QgsProject.instance().transformContext()
    try:
        shape.transform(QgsCoordinateTransform(found.crs, layer.crs(), context))
    except QgsCsException as error:
        raise TargetError(f"the outline has no place in the CRS of {layer.name()!r}") from error
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
    layer.startEditing()
    return layer
