"""Extract shorelines, centre lines and their change: ``geoiseg shoreline``."""

from __future__ import annotations

from typing import Any, Dict

from qgis.core import (
    QgsProcessingParameterBoolean,
    QgsProcessingParameterField,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
    QgsProcessingParameterVectorLayer,
)

from .base import LINES, POLYGONS, CompanionAlgorithm

SIDES = ["both", "left", "right"]
PICKS = ["nearest", "farthest"]


class ExtractShoreline(CompanionAlgorithm):
    """The boundary of polygons as lines, or its change between dates along transects."""

    ID = "shoreline"
    TITLE = "Extract shoreline"
    HELP = (
        "Draws the shorelines of polygons, without the raster's frame where the extent is"
        " given. With a field of dates there is one shoreline for each, and with a spacing the"
        " output has transects with their change: net movement (nsm_m), envelope (sce_m), end"
        " point rate (epr) and linear regression rate (lrr) in metres a year. The input may"
        " have lines already."
    )

    def initAlgorithm(self, configuration: Any = None) -> None:  # noqa: N802, ARG002
        """Define parameters and outputs."""
        shapes = [
            POLYGONS,
            LINES,
        ]
        polygons, lines = (
            [POLYGONS],
            [LINES],
        )
        anything = QgsProcessingParameterField.DataType.Any
        self.add(QgsProcessingParameterVectorLayer("INPUT", "Polygons or lines", shapes))
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
        self.add_number("SPACING", "Metres between transects", None, least=1e-6)
        self.add_number("LENGTH", "Metres that transects reach", None, least=1e-6,
                        text="By default ten times the spacing.")  # fmt: skip
        self.add_choice("SIDE", "Side of the baseline that counts positive", SIDES)
        self.add_choice("PICK", "Which of several crossings counts", PICKS)
        self.add(
            QgsProcessingParameterVectorLayer("BASELINE", "Baseline", lines, None, True),
            "Lines to cast transects from; by default the oldest shoreline.",
        )
        self.add(QgsProcessingParameterVectorDestination("OUTPUT", "Lines", LINES))
        self.add_result("LINES", "Lines")
        self.add_result("LENGTH_M", "Their length in metres")
        self.add_result("MEASURED", "Transects with a rate")

    def processAlgorithm(self, parameters: Any, context: Any, feedback: Any) -> Dict[str, Any]:  # noqa: N802
        """Return the lines and their length, or the transects and how many have a rate."""
        out = self.parameterAsOutputLayer(parameters, "OUTPUT", context)
        result = self.carry_out_to(
            out,
            "shoreline",
            {
                "input": self.source(parameters, "INPUT", context, feedback),
                "extent": self.source(parameters, "EXTENT", context, feedback),
                "between": self.words(parameters, "BETWEEN", context),
                "column": self.parameterAsString(parameters, "COLUMN", context) or None,
                "date": self.parameterAsString(parameters, "DATE", context) or None,
                "margin": self.parameterAsDouble(parameters, "MARGIN", context),
                "deviation": self.parameterAsDouble(parameters, "DEVIATION", context),
                "centre": self.parameterAsBoolean(parameters, "CENTRE", context),
                "spacing": self.number(parameters, "SPACING", context),
                "length": self.number(parameters, "LENGTH", context),
                "side": self.parameterAsString(parameters, "SIDE", context),
                "pick": self.parameterAsString(parameters, "PICK", context),
                "baseline": self.source(parameters, "BASELINE", context, feedback),
            },
            context,
            feedback,
        )
        names = {"LINES": "lines", "LENGTH_M": "length_m", "MEASURED": "measured"}
        numbers = {name: result[key] for name, key in names.items() if key in result}
        return {"OUTPUT": out, **numbers}
