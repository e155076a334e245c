"""Clean a coverage: ``geoiseg clean``."""

from __future__ import annotations

from typing import Any, Dict

from qgis.core import (
    QgsProcessingParameterBoolean,
    QgsProcessingParameterField,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
    QgsProcessingParameterVectorLayer,
)

from .base import POLYGONS, CompanionAlgorithm

RULES = ["order", "score", "area", "class"]


class CleanCoverage(CompanionAlgorithm):
    """Polygons without overlaps, gaps and slivers, that share their borders exactly."""

    ID = "clean"
    TITLE = "Clean coverage"
    GROUP = "outlines"
    GROUP_TITLE = "Outlines and shorelines"
    HELP = (
        "Makes polygons a clean coverage: overlaps are resolved by the rule, gaps and slivers"
        " below a width go to the neighbour of the longest border, shared borders become the"
        " same vertex by vertex, and all are simplified and smoothed together. Widths are"
        " metres on the ground in any CRS."
    )

    def initAlgorithm(self, configuration: Any = None) -> None:  # noqa: N802, ARG002
        """Define parameters and outputs."""
        polygons = [POLYGONS]
        self.add(QgsProcessingParameterVectorLayer("INPUT", "Polygons", polygons))
        self.add_choice(
            "RULE", "Who keeps an overlap", RULES,
            text="The earlier row, the higher score, the smaller area, or the class named first.",
        )  # fmt: skip
        classes = QgsProcessingParameterString("CLASSES", "Classes", "", False, True)
        self.add(classes, "For the rule class: the strongest first, e.g. building,field.")
        self.add(
            QgsProcessingParameterField(
                "COLUMN", "Field of the score or class", None, "INPUT",
                QgsProcessingParameterField.DataType.Any, False, True,
            ),
            "By default score or label.",
        )  # fmt: skip
        self.add_number("GAP", "Close gaps narrower than so many metres", 0.0, least=0.0)
        self.add_number(
            "SLIVER", "Give away detached parts narrower than so many metres", None, least=0.0,
            text="By default as the gaps.",
        )  # fmt: skip
        self.add_number("SIMPLIFY", "Metres that borders may move", 0.0, least=0.0)
        self.add_number(
            "STRAIGHT", "Straight edges: metres that borders stray from them", 0.0, least=0.0,
            advanced=True, text="At any angle, for parcels.",
        )  # fmt: skip
        self.add_number("SMOOTH", "Rounds of smoothing", 0, whole=True, least=0, most=5)
        self.add(QgsProcessingParameterBoolean("SQUARE", "Make right angles, for buildings", False))
        self.add_number(
            "MAX_CHANGE", "Share of each area that may change", 0.01, least=0.0, most=1.0,
            advanced=True,
        )  # fmt: skip
        self.add(QgsProcessingParameterVectorDestination("OUTPUT", "Coverage", POLYGONS))
        self.add_result("FEATURES", "Features")

    def processAlgorithm(self, parameters: Any, context: Any, feedback: Any) -> Dict[str, Any]:  # noqa: N802
        """Return the coverage and the number of its features."""
        out = self.parameterAsOutputLayer(parameters, "OUTPUT", context)
        result = self.carry_out_to(
            out,
            "clean",
            {
                "input": self.source(parameters, "INPUT", context, feedback),
                "rule": self.parameterAsString(parameters, "RULE", context),
                "classes": self.words(parameters, "CLASSES", context),
                "column": self.parameterAsString(parameters, "COLUMN", context) or None,
                "gap": self.parameterAsDouble(parameters, "GAP", context),
                "sliver": self.number(parameters, "SLIVER", context),
                "straight": self.parameterAsDouble(parameters, "STRAIGHT", context),
                "simplify": self.parameterAsDouble(parameters, "SIMPLIFY", context),
                "smooth": self.parameterAsInt(parameters, "SMOOTH", context),
                "square": self.parameterAsBoolean(parameters, "SQUARE", context),
                "max_change": self.parameterAsDouble(parameters, "MAX_CHANGE", context),
            },
            context,
            feedback,
        )
        feedback.pushInfo(result["report"])
        return {"OUTPUT": out, "FEATURES": result["features"]}
