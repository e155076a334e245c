"""Extract shorelines, centre lines and their change: ``geoiseg shoreline``."""

from __future__ import annotations

from typing import Any, Dict

from qgis.core import (
    QgsProcessingException,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterField,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
    QgsProcessingParameterVectorLayer,
)

from ..rasters import raster_of  # noqa: TID252 - QGIS names the package
from ..words import tr  # noqa: TID252
from .base import LINES, POLYGONS, CompanionAlgorithm

SIDES = ["both", "left", "right"]
PICKS = ["nearest", "farthest"]
METHODS = ["otsu", "peaks", "half", "wet"]


class ExtractShoreline(CompanionAlgorithm):
    """The boundary of polygons as lines, or its change between dates along transects."""

    ID = "shoreline"
    TITLE = "Extract shoreline"
    GROUP = "outlines"
    GROUP_TITLE = "Outlines and shorelines"
    HELP = (
        "Draws the shorelines of polygons, without the raster's frame where the extent is"
        " given. With a field of dates there is one shoreline for each, and with a spacing the"
        " output has transects with their change: net movement (nsm_m), envelope (sce_m), end"
        " point rate (epr) and linear regression rate (lrr) in metres a year. The input may"
        " have lines already."
    )

    def initAlgorithm(self, configuration: Any = None) -> None:  # noqa: N802, ARG002
        """Define parameters and outputs."""
        shapes = [POLYGONS, LINES]
        polygons = [POLYGONS]
        anything = QgsProcessingParameterField.DataType.Any
        self.add(
            QgsProcessingParameterVectorLayer("INPUT", "Polygons or lines", shapes, None, True),
            "Or a raster, in which the line is drawn below a pixel.",
        )  # fmt: skip
        self.add_from_raster()
        self.add(
            QgsProcessingParameterVectorLayer("EXTENT", "Valid ground", polygons, None, True),
            "Polygons whose boundary is no shore.",
        )
        between = QgsProcessingParameterString("BETWEEN", "Between two classes", "", False, True)
        self.add(between, "Only the boundary between them, e.g. water,land.")
        self.add(
            QgsProcessingParameterField(
                "COLUMN", "Field of the class", None, "INPUT", anything, False, True
            ),
            "By default label.",
        )
        self.add_number(
            "MARGIN", "Metres within which lines count as the same", 0.0, least=0.0,
            text="About 1.5 pixels.",
        )  # fmt: skip
        self.add_number("DEVIATION", "Metres that smoothing may move the line", 0.0, least=0.0)
        self.add(QgsProcessingParameterBoolean("CENTRE", "Centre lines, for rivers", False))
        self.add(
            QgsProcessingParameterField(
                "DATE", "Field of the date", None, "INPUT", anything, False, True
            ),
            "By default date.",
        )
        self.add_transects()
        self.add(QgsProcessingParameterVectorDestination("OUTPUT", "Lines", LINES))
        self.add_result("LINES", "Lines")
        self.add_result("LENGTH_M", "Their length in metres")
        self.add_result("MEASURED", "Transects with a rate")
        self.add_result("THRESHOLD_FOUND", "Where water begins")

    def add_from_raster(self) -> None:
        """Add what draws the line in a raster."""
        raster = QgsProcessingParameterRasterLayer(
            "RASTER", "Raster instead of polygons", None, True
        )
        self.add(raster)
        index = QgsProcessingParameterString("INDEX", "Index that is high on water", "mndwi")
        self.add(index, "For example mndwi or ndwi, or a formula of bands.")
        named = QgsProcessingParameterString("BAND_NAMES", "Bands by name", "", False, True)
        self.add(named, "For example green=2,nir=4, or sensor=sentinel-2-l2a.", advanced=True)
        self.add_number("THRESHOLD", "Where water begins", None, advanced=True,
                        text="By default found near the border.")  # fmt: skip
        self.add_choice("METHOD", "How the threshold is found", METHODS, advanced=True)
        polygons = [POLYGONS]
        self.add(
            QgsProcessingParameterVectorLayer(
                "NEAR", "Polygons of the water", polygons, None, True
            ),
            "The line is looked for near their border alone.", advanced=True,
        )  # fmt: skip
        label = QgsProcessingParameterString("LABEL", "Class of the water", "", False, True)
        self.add(label, "Only polygons of this class.", advanced=True)
        self.add_number("REACH", "Pixels on either side of the border", 5, whole=True, least=1,
                        advanced=True)  # fmt: skip
        self.add_number("LEAST", "Metres of the shortest line", 0.0, least=0.0, advanced=True)
        taken = QgsProcessingParameterString("ON", "Date of the raster", "", False, True)
        self.add(taken, "For example 2024-05-17.", advanced=True)
        self.add(
            QgsProcessingParameterBoolean("APPEND", "Add to the lines of the output", False),
            "To collect the dates of several rasters.", advanced=True,
        )  # fmt: skip

    def add_transects(self) -> None:
        """Add what measures change."""
        lines = [LINES]
        self.add_number("SPACING", "Metres between transects", None, least=1e-6)
        self.add_number("LENGTH", "Metres that transects reach", None, least=1e-6,
                        text="By default ten times the spacing.")  # fmt: skip
        self.add_choice("SIDE", "Side of the baseline that counts positive", SIDES)
        self.add_choice("PICK", "Which of several crossings counts", PICKS)
        self.add(
            QgsProcessingParameterVectorLayer("BASELINE", "Baseline", lines, None, True),
            "Lines to cast transects from; by default the oldest shoreline.",
        )
        self.add(
            QgsProcessingParameterVectorLayer("TRANSECTS", "Transects", lines, None, True),
            "Instead of a spacing: those that are there, each from land to sea.", advanced=True,
        )  # fmt: skip
        self.add(
            QgsProcessingParameterFileDestination(
                "TABLE", "Table of distances", "CSV (*.csv)", None, True, False
            ),
            "Dates by transects.", advanced=True,
        )  # fmt: skip
        self.add(
            QgsProcessingParameterFile("TIDES", "Tides", extension="csv", optional=True),
            "A table of date and tide in metres, to correct distances.", advanced=True,
        )  # fmt: skip
        self.add_number("SLOPE", "Slope of the beach", None, least=1e-9, advanced=True,
                        text="Rise over run, e.g. 0.08.")  # fmt: skip
        self.add_number("TIDE_LEVEL", "Metres of the sea that distances are brought to", 0.0,
                        advanced=True)  # fmt: skip

    def processAlgorithm(self, parameters: Any, context: Any, feedback: Any) -> Dict[str, Any]:  # noqa: N802
        """Return the lines and their length, or the transects and how many have a rate."""
        out = self.parameterAsOutputLayer(parameters, "OUTPUT", context)
        table = self.parameterAsFileOutput(parameters, "TABLE", context)
        given: Dict[str, Any] = {
            **self.drawing(parameters, context, feedback),
            "column": self.parameterAsString(parameters, "COLUMN", context) or None,
            "date": self.parameterAsString(parameters, "DATE", context) or None,
            "append": self.parameterAsBoolean(parameters, "APPEND", context),
            "spacing": self.number(parameters, "SPACING", context),
            "length": self.number(parameters, "LENGTH", context),
            "side": self.parameterAsString(parameters, "SIDE", context),
            "pick": self.parameterAsString(parameters, "PICK", context),
            "baseline": self.source(parameters, "BASELINE", context, feedback),
            "transects": self.source(parameters, "TRANSECTS", context, feedback),
            "table": table or None,
            "tides": self.parameterAsFile(parameters, "TIDES", context) or None,
            "slope": self.number(parameters, "SLOPE", context),
            "tide_level": self.parameterAsDouble(parameters, "TIDE_LEVEL", context),
        }
        if given["append"] and not out.lower().endswith(".gpkg"):
            raise QgsProcessingException(tr("lines are added to a GeoPackage alone: use .gpkg"))
        result = self.carry_out_to(out, "shoreline", given, context, feedback)
        names = {"LINES": "lines", "LENGTH_M": "length_m", "MEASURED": "measured",
                 "THRESHOLD_FOUND": "threshold"}  # fmt: skip
        numbers = {name: result[key] for name, key in names.items() if key in result}
        if table:
            numbers["TABLE"] = table
        return {"OUTPUT": out, **numbers}

    def drawing(self, parameters: Any, context: Any, feedback: Any) -> Dict[str, Any]:
        """Return what the line is drawn of, and how."""
        raster = raster_of(self.parameterAsRasterLayer(parameters, "RASTER", context))
        source = self.source(parameters, "INPUT", context, feedback)
        if raster is None or source is not None:
            return {
                "input": source,
                "raster": None if raster is None else raster.path,
                "extent": self.source(parameters, "EXTENT", context, feedback),
                "between": self.words(parameters, "BETWEEN", context),
                "margin": self.parameterAsDouble(parameters, "MARGIN", context),
                "deviation": self.parameterAsDouble(parameters, "DEVIATION", context),
                "centre": self.parameterAsBoolean(parameters, "CENTRE", context),
            }
        return {
            "raster": raster.path,
            "bands": self.bands(parameters, context),
            "index": self.parameterAsString(parameters, "INDEX", context),
            "threshold": self.number(parameters, "THRESHOLD", context),
            "method": self.parameterAsString(parameters, "METHOD", context),
            "near": self.source(parameters, "NEAR", context, feedback),
            "label": self.parameterAsString(parameters, "LABEL", context) or None,
            "reach": self.parameterAsInt(parameters, "REACH", context),
            "least": self.parameterAsDouble(parameters, "LEAST", context),
            "on": self.parameterAsString(parameters, "ON", context) or None,
        }
