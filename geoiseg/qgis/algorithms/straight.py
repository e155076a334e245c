"""Layers for the companion, which reads a GeoPackage with straight lines and nothing else.

QGIS itself can make one of any layer, but drops all columns where one is called ``fid`` and has
texts, or where two names differ by case alone.
"""

from __future__ import annotations

from typing import Any, List, Optional

from qgis.core import (
    QgsFeature,
    QgsField,
    QgsFields,
    QgsGeometry,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingUtils,
    QgsVectorFileWriter,
    QgsWkbTypes,
)

from ..words import tr  # noqa: TID252 - QGIS names the package
from .output import cannot_write


def is_ready(layer: Any, given: Any) -> bool:
    """Return whether the companion can read a layer's own file: a GeoPackage, all of it.

    Args:
        layer: The vector layer, or None.
        given: What the user gave for it: perhaps the selected features alone.
    """
    if layer is None or layer.isModified() or layer.subsetString():
        return False
    if QgsWkbTypes.isCurvedType(layer.wkbType()):
        return False
    chosen = isinstance(given, QgsProcessingFeatureSourceDefinition) and (
        given.selectedFeaturesOnly or given.featureLimit >= 0
        or getattr(given, "filterExpression", "")
    )  # fmt: skip
    path = layer.source()
    return layer.providerType() == "ogr" and path.lower().endswith(".gpkg") and not chosen


def straightened(source: Any, layer: Optional[Any], context: Any, feedback: Any) -> str:
    """Return a GeoPackage with the features of a source, each arc as many short lines.

    Args:
        source: The features.
        layer: The layer that they are of, if they are of one.
        context: Of the algorithm.
        feedback: Is told which columns get another name.

    Raises:
        QgsProcessingException: It can not be written.
    """
    path = QgsProcessingUtils.generateTempFilename("straight.gpkg")
    keys = [] if layer is None else layer.dataProvider().pkAttributeIndexes()
    taken = [n for n in range(source.fields().count()) if n not in keys]
    fields = QgsFields()
    names: List[str] = []
    for number in taken:
        field = QgsField(source.fields().at(number))
        name = _free(field.name(), names, source.fields().names())
        if name != field.name():
            feedback.pushInfo(
                tr(
                    "column {name} is {other} in a GeoPackage",
                    name=repr(field.name()),
                    other=repr(name),
                )
            )
        field.setName(name)
        names.append(name)
        fields.append(field)
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "GPKG"
    options.layerOptions = [f"FID={_free('fid', names)}", f"GEOMETRY_NAME={_free('geom', names)}"]
    kind = QgsWkbTypes.linearType(source.wkbType())
    writer = QgsVectorFileWriter.create(
        path, fields, kind, source.sourceCrs(), context.transformContext(), options
    )
    for feature in source.getFeatures():
        sent = QgsFeature(fields)
        sent.setAttributes([feature.attribute(number) for number in taken])
        if feature.hasGeometry():
            shape = feature.geometry()
            curved = QgsWkbTypes.isCurvedType(shape.wkbType())
            sent.setGeometry(QgsGeometry(shape.constGet().segmentize()) if curved else shape)
        writer.addFeature(sent)
    failed = writer.errorMessage() if writer.hasError() else ""
    del writer  # closes the file
    if failed:
        raise QgsProcessingException(cannot_write(path, failed))
    return path


def _free(name: str, taken: List[str], wanted: Optional[List[str]] = None) -> str:
    """Return a name, or the first with a number, that no other one is but for its case."""
    used = {one.lower() for one in taken}
    others = {one.lower() for one in wanted or []} - {name.lower()}
    chosen, number = name, 0
    while chosen.lower() in used or (number and chosen.lower() in others):
        number += 1
        chosen = f"{name}_{number}"
    return chosen
