"""Layers of arcs as layers of straight lines, which is all that the companion reads."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsGeometry,
    QgsProcessingException,
    QgsProcessingUtils,
    QgsVectorFileWriter,
    QgsWkbTypes,
)


def straightened(source: Any, context: Any) -> str:
    """Return a GeoPackage with the features of a source, each arc as many short lines.

    Raises:
        QgsProcessingException: It can not be written.
    """
    path = QgsProcessingUtils.generateTempFilename("straight.gpkg")
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "GPKG"
    kind = QgsWkbTypes.linearType(source.wkbType())
    writer = QgsVectorFileWriter.create(
        path, source.fields(), kind, source.sourceCrs(), context.transformContext(), options
    )
    for feature in source.getFeatures():
        if feature.hasGeometry():
            feature.setGeometry(QgsGeometry(feature.geometry().constGet().segmentize()))
        writer.addFeature(feature)
    failed = writer.errorMessage() if writer.hasError() else ""
    del writer  # closes the file
    if failed:
        raise QgsProcessingException(f"can not write {path}: {failed}")
    return path
