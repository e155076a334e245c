"""Outputs in formats that the companion does not write: QGIS makes them of a GeoPackage."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import Any, Dict, Optional, Set

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsProcessingException,
    QgsProcessingUtils,
    QgsVectorFileWriter,
    QgsVectorLayer,
)

WRITTEN = (".gpkg", ".tif", ".parquet")
"""What the companion writes as it is asked for."""
GEOJSON = (".geojson", ".json")
PARTS = (".prj", ".cpg", ".qix", ".sbn", ".sbx")
"""Of a Shapefile: where a new one has none, those of the old one would tell wrong."""
LAYER = "features"
"""The layer of the companion's GeoPackage."""
MARK = "made by geoiseg"
"""In every style of geoiseg: what has no such mark is somebody's own and stays."""
STYLE = "SELECT styleQML FROM layer_styles WHERE f_table_name = ? AND useAsDefault"


class Output:
    """A vector file that is asked for, and what the companion writes for it.

    Raises:
        QgsProcessingException: Its suffix stands for no format, or there is no such folder.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.suffix = self.path.suffix.lower()
        self.driver: Optional[str] = None
        self.sent = path
        if self.suffix in WRITTEN:
            return
        self.driver = QgsVectorFileWriter.driverForExtension(self.suffix)
        if not self.driver:
            raise QgsProcessingException(f"{self.path.name!r} has no known format; e.g. .gpkg")
        if not self.path.parent.is_dir():
            raise QgsProcessingException(
                f"can not write {self.path.name}: there is no folder {self.path.parent}"
            )
        self.sent = QgsProcessingUtils.generateTempFilename("geoiseg.gpkg")

    @property
    def asked(self) -> Dict[str, Optional[str]]:
        """What the companion is told about it."""
        return {"out": self.sent, "becomes": self.suffix if self.driver else None}

    def finish(self, context: Any) -> None:
        """Turn what the companion wrote into what was asked for.

        Raises:
            QgsProcessingException: QGIS can not write it; an older file stays as it was.
        """
        if self.driver is None:
            return
        folder = Path(tempfile.mkdtemp(prefix=f".{self.path.name}.", dir=self.path.parent))
        try:
            self._convert(folder / self.path.name, context)
            made = sorted(folder.iterdir(), key=lambda file: file.name == self.path.name)
            if self.suffix == ".shp":
                self._forget({file.suffix for file in made})
            for file in made:  # the one that was asked for is the last
                file.replace(self.path.parent / file.name)
        except OSError as error:
            raise QgsProcessingException(f"can not write {self.path}: {error}") from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            with contextlib.suppress(OSError):
                Path(self.sent).unlink()

    def _forget(self, made: Set[str]) -> None:
        """Remove parts of an older Shapefile that the new one, made of these, does not have."""
        for suffix in PARTS:
            if suffix not in made:
                self.path.with_suffix(suffix).unlink(missing_ok=True)

    def _convert(self, target: Path, context: Any) -> None:
        layer = QgsVectorLayer(f"{self.sent}|layername={LAYER}", LAYER, "ogr")
        if not layer.isValid():
            raise QgsProcessingException(f"{self.sent} can not be read")
        options = QgsVectorFileWriter.SaveVectorOptions()
        options.driverName = self.driver
        options.fileEncoding = "UTF-8"
        # the layer's name is that of an XML element in GML
        options.layerName = LAYER if self.driver == "GML" else self.path.stem
        keys = layer.dataProvider().pkAttributeIndexes()
        options.attributes = [n for n in range(layer.fields().count()) if n not in keys]
        if self.suffix in GEOJSON:
            options.layerOptions = ["RFC7946=YES", "COORDINATE_PRECISION=9"]
            lonlat = QgsCoordinateReferenceSystem("EPSG:4326")
            options.ct = QgsCoordinateTransform(layer.crs(), lonlat, context.transformContext())
        elif self.driver == "CSV":
            options.layerOptions = ["GEOMETRY=AS_WKT"]
        result = QgsVectorFileWriter.writeAsVectorFormatV3(
            layer, str(target), context.transformContext(), options
        )
        if result[0] != QgsVectorFileWriter.WriterError.NoError:
            raise QgsProcessingException(f"can not write {self.path}: {result[1]}")
        style, beside = self._style(), self.path.with_suffix(".qml")
        if style and (not beside.exists() or MARK in beside.read_text("utf-8", "replace")):
            target.with_suffix(".qml").write_text(style, "utf-8")

    def _style(self) -> str:
        """Return the style that the companion gave its layer; empty where it gave none."""
        with contextlib.closing(sqlite3.connect(self.sent)) as base:
            try:
                row = base.execute(STYLE, (LAYER,)).fetchone()
            except sqlite3.Error:  # there is no table of styles
                row = None
        return str(row[0]) if row else ""
