"""Segment from prompts: ``geoiseg segment``."""

from __future__ import annotations

from typing import Any, Dict

from qgis.core import (
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFile,
    QgsProcessingParameterVectorDestination,
    QgsProcessingParameterVectorLayer,
)

from .base import POLYGONS, VECTORS, CompanionAlgorithm

DETAILS = ["auto", "native", "seen"]


class SegmentFromPrompts(CompanionAlgorithm):
    """Points, boxes and lines of a layer become the outlines of the objects they mark."""

    ID = "segment"
    TITLE = "Segment from prompts"
    HELP = (
        "Outlines the objects that a layer marks on a raster. Points are clicks (field"
        " positive: 1 or 0), polygons are boxes, or with kind = region outlines to refine,"
        " lines are scribbles. Rows with the same value of object make one object; label and"
        " all other fields are carried over."
    )

    def initAlgorithm(self, configuration: Any = None) -> None:  # noqa: N802, ARG002
        """Define parameters and outputs."""
        self.add_raster()
        self.add(QgsProcessingParameterVectorLayer("PROMPTS", "Prompts", [VECTORS]))
        self.add_number("SIMPLIFY", "Simplify by so many pixels", 0.0, least=0.0, most=100.0)
        self.add_number("SMOOTH", "Rounds of smoothing", 0, whole=True, least=0, most=5)
        self.add(QgsProcessingParameterBoolean("SQUARE", "Make right angles, for buildings", False))
        self.add_number(
            "STRAIGHT", "Straight edges: pixels that outlines stray from them", 0.0, least=0.0,
            most=100.0, advanced=True, text="At any angle, for parcels; 1.5 to 3.",
        )  # fmt: skip
        self.add(QgsProcessingParameterBoolean("CONTOUR", "Outlines without stairs", True))
        self.add_number("HOLES", "Fill holes of fewer square metres", 0.0, least=0.0, advanced=True)
        self.add_number("PARTS", "Drop parts of fewer square metres", 0.0, least=0.0, advanced=True)
        self.add_number("GROW", "Move outlines outwards by metres", 0.0, advanced=True)
        self.add_number(
            "SNAP", "Metres within which neighbours share their border", 0.0, least=0.0,
            advanced=True,
        )  # fmt: skip
        self.add_choice(
            "DETAIL", "How fine borders are", DETAILS, advanced=True,
            text="As fine as the raster (native), as the model saw the object (seen), or native but"
            " for objects of a project, which are done as their steps say (auto).",
        )  # fmt: skip
        schema = QgsProcessingParameterFile(
            "SCHEMA", "Fields of each class", extension="json", optional=True
        )
        self.add(schema, advanced=True)
        self.add(QgsProcessingParameterVectorDestination("OUTPUT", "Objects", POLYGONS))
        self.add_result("FOUND", "Objects found")
        self.add_result("ASKED", "Objects asked for")

    def processAlgorithm(self, parameters: Any, context: Any, feedback: Any) -> Dict[str, Any]:  # noqa: N802
        """Return the layer of objects, and how many of those marked were found."""
        out = self.parameterAsOutputLayer(parameters, "OUTPUT", context)
        result = self.carry_out_to(
            out,
            "segment",
            {
                **self.raster(parameters, context),
                "prompts": self.source(parameters, "PROMPTS", context, feedback),
                "simplify": self.parameterAsDouble(parameters, "SIMPLIFY", context),
                "smooth": self.parameterAsInt(parameters, "SMOOTH", context),
                "square": self.parameterAsBoolean(parameters, "SQUARE", context),
                "straight": self.parameterAsDouble(parameters, "STRAIGHT", context),
                "line": "contour"
                if self.parameterAsBoolean(parameters, "CONTOUR", context)
                else "pixels",
                "holes": self.parameterAsDouble(parameters, "HOLES", context),
                "parts": self.parameterAsDouble(parameters, "PARTS", context),
                "grow": self.parameterAsDouble(parameters, "GROW", context),
                "snap": self.parameterAsDouble(parameters, "SNAP", context),
                "detail": self.parameterAsString(parameters, "DETAIL", context),
                "schema": self.parameterAsFile(parameters, "SCHEMA", context) or None,
            },
            context,
            feedback,
        )
        return {"OUTPUT": out, "FOUND": result["found"], "ASKED": result["objects"]}
