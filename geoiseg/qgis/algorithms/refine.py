"""Refine outlines that others drew: ``geoiseg segment --refine``."""

from __future__ import annotations

from typing import Any, Dict

from qgis.core import (
    QgsProcessingParameterBoolean,
    QgsProcessingParameterVectorDestination,
    QgsProcessingParameterVectorLayer,
)

from .base import POLYGONS, CompanionAlgorithm


class RefineOutlines(CompanionAlgorithm):
    """Polygons of a layer move to where the raster has their borders."""

    ID = "refine"
    TITLE = "Refine outlines"
    HELP = (
        "Moves the borders of polygons that others drew to where the raster has them. Each says"
        " how far its border moved, and whether it still fits; one that does not stays as it was"
        " drawn, with a note. All fields are carried over. The output is a GeoPackage."
    )

    def initAlgorithm(self, configuration: Any = None) -> None:  # noqa: N802, ARG002
        """Define parameters and outputs."""
        self.add_raster()
        polygons = [POLYGONS]
        self.add(QgsProcessingParameterVectorLayer("INPUT", "Polygons", polygons))
        self.add_number("MIN_SAME", "Least IoU with the outline drawn", 0.5, least=0.0, most=1.0)
        self.add_number(
            "MAX_MOVED", "Metres by which a border may move at most", None, least=0.0,
            text="By default any.",
        )  # fmt: skip
        self.add_number("SIMPLIFY", "Simplify by so many pixels", 0.0, least=0.0, most=100.0)
        self.add_number("SMOOTH", "Rounds of smoothing", 0, whole=True, least=0, most=5)
        self.add(QgsProcessingParameterBoolean("SQUARE", "Make right angles, for buildings", False))
        self.add_number(
            "STRAIGHT", "Straight edges: pixels that outlines stray from them", 0.0, least=0.0,
            most=100.0, advanced=True, text="At any angle, for parcels; 1.5 to 3.",
        )  # fmt: skip
        self.add(QgsProcessingParameterBoolean("CONTOUR", "Outlines without stairs", True))
        self.add_number("WORKERS", "Processes", 1, whole=True, least=1, advanced=True)
        self.add(QgsProcessingParameterBoolean("RESUME", "Resume an interrupted run", False))
        self.add(QgsProcessingParameterVectorDestination("OUTPUT", "Objects", POLYGONS))
        self.add_result("OBJECTS", "Objects")
        self.add_result("FIT", "Outlines that still fit")

    def processAlgorithm(self, parameters: Any, context: Any, feedback: Any) -> Dict[str, Any]:  # noqa: N802
        """Return the layer of outlines, how many there are, and how many still fit."""
        out = self.parameterAsOutputLayer(parameters, "OUTPUT", context)
        contour = self.parameterAsBoolean(parameters, "CONTOUR", context)
        result = self.carry_out(
            "refine",
            {
                **self.raster(parameters, context),
                "input": self.source(parameters, "INPUT", context, feedback),
                "min_same": self.parameterAsDouble(parameters, "MIN_SAME", context),
                "max_moved": self.number(parameters, "MAX_MOVED", context),
                "simplify": self.parameterAsDouble(parameters, "SIMPLIFY", context),
                "smooth": self.parameterAsInt(parameters, "SMOOTH", context),
                "square": self.parameterAsBoolean(parameters, "SQUARE", context),
                "straight": self.parameterAsDouble(parameters, "STRAIGHT", context),
                "line": "contour" if contour else "pixels",
                "workers": self.parameterAsInt(parameters, "WORKERS", context),
                "resume": self.parameterAsBoolean(parameters, "RESUME", context),
                "out": out,
            },
            feedback,
        )
        return {"OUTPUT": out, "OBJECTS": result["objects"], "FIT": result["fit"]}
