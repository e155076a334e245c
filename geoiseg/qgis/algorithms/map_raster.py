"""Map a whole raster: ``geoiseg map``."""

from __future__ import annotations

from typing import Any, Dict

from qgis.core import (
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
    QgsProcessingParameterVectorLayer,
)

from .base import POLYGONS, CompanionAlgorithm

MODES = ["default", "fast", "best", "lattice"]
"""The first leaves the choice to the model."""


class MapRaster(CompanionAlgorithm):
    """All objects of a raster of any size, tile by tile, without seams."""

    ID = "map"
    TITLE = "Map raster"
    HELP = (
        "Finds the objects of a whole raster, of any size, and writes them to a GeoPackage."
        " What is done is kept beside the output until all is done: after an interruption,"
        " run it again with the same output and Resume."
    )

    def initAlgorithm(self, configuration: Any = None) -> None:  # noqa: N802, ARG002
        """Define parameters and outputs."""
        self.add_raster()
        polygons = [POLYGONS]
        self.add(QgsProcessingParameterVectorLayer("AOI", "Area of interest", polygons, None, True))
        self.add(QgsProcessingParameterString("LABEL", "Label of every object", "", False, True))
        self.add_number("MIN_AREA", "Least area of an object in pixels", 64, whole=True, least=1)
        self.add_choice(
            "MODE", "How objects are found", MODES,
            text="In one look at each window (fast), with what is in doubt asked for again (best),"
            " or point by point of a lattice; by default fast for models that can.",
        )  # fmt: skip
        self.add_number(
            "SPACING", "Pixels between the points asked", None, whole=True, least=4, most=4096,
            text="Fewer pixels find more, smaller objects, and take longer. By default 64.",
        )  # fmt: skip
        self.add_words()
        self.add_coverage()
        for name, title in (
            ("MIN_SCORE", "Least score"),
            ("MIN_STABILITY", "Least stability"),
            ("MAX_HIDDEN", "Share of a mask that better ones may cover"),
        ):
            self.add_number(name, title, None, least=0.0, most=1.0, advanced=True)
        scales = QgsProcessingParameterString("SCALES", "Reductions to look at", "", False, True)
        self.add(
            scales,
            "For large objects and small ones; by default what a few places of a large raster"
            " ask for (fast, best), else 4,2,1.",
            advanced=True,
        )
        for name, title, default in (
            ("BATCH", "Points that are asked together", None),
            ("WINDOW", "Pixels across that the model sees at once", None),
            ("OVERLAP", "Pixels that windows share", 128),
            ("TILE", "Pixels across that are done at a time", 1024),
        ):
            self.add_number(name, title, default, whole=True, least=0, advanced=True)
        self.add_number("WORKERS", "Processes", 1, whole=True, least=1, advanced=True)
        scheduler = QgsProcessingParameterString("SCHEDULER", "Scheduler", "", False, True)
        self.add(scheduler, "serial, threads, processes, dask, or tcp://host:port", advanced=True)
        self.add(QgsProcessingParameterBoolean("RESUME", "Resume an interrupted run", False))
        self.add(
            QgsProcessingParameterFileDestination(
                "QUICKLOOK", "Picture to look at", "PNG (*.png)", None, True, False
            ),
            advanced=True,
        )
        self.add(QgsProcessingParameterVectorDestination("OUTPUT", "Objects", POLYGONS))
        self.add_result("OBJECTS", "Objects")
        self.add_result("AREA", "Their area in square metres")
        self.add_result("FAILED", "Windows that failed")

    def add_coverage(self) -> None:
        """Add whether objects share their borders, and by which others they are judged."""
        coverage = QgsProcessingParameterBoolean("COVERAGE", "A coverage without gaps", False)
        self.add(coverage, "A partition of the objects' ground: no overlaps, borders shared.")
        self.add_number(
            "SIMPLIFY", "Pixels that borders of a coverage may move", 0.0, least=0.0, most=100.0,
            advanced=True, text="Both sides alike.",
        )  # fmt: skip
        shapes = [POLYGONS]
        self.add(
            QgsProcessingParameterVectorLayer("LABELS", "Drawn objects", shapes, None, True),
            "By which precision, recall, F1 and mAP are told in the log.", advanced=True,
        )  # fmt: skip
        self.add(
            QgsProcessingParameterBoolean("KEEP_EMBEDDINGS", "Keep what is encoded", False),
            "On disk, for the next run.", advanced=True,
        )  # fmt: skip

    def add_words(self) -> None:
        """Add what is looked for in words or by example."""
        text = QgsProcessingParameterString("TEXT", "Look for what words name", "", False, True)
        self.add(text, "For example water; by default all objects.")
        shapes = [POLYGONS]
        like = QgsProcessingParameterVectorLayer(
            "LIKE", "Look for objects like", shapes, None, True
        )
        self.add(like, "Polygons that are examples; with positive = 0, of what it is not.")
        negative = QgsProcessingParameterString("NEGATIVE", "Words for what not", "", False, True)
        self.add(negative, advanced=True)
        taught = QgsProcessingParameterFile("TAUGHT", "Project with a classifier", optional=True)
        self.add(taught, "The words then name one of its classes.", advanced=True)
        engine = QgsProcessingParameterString("ENGINE", "Engine of words", "", False, True)
        self.add(engine, "By default the one that ships.", advanced=True)
        self.add_number("THRESHOLD", "Least score of words and examples", None, advanced=True)

    def processAlgorithm(self, parameters: Any, context: Any, feedback: Any) -> Dict[str, Any]:  # noqa: N802
        """Return the layer of objects with their number and area, and the windows that failed."""
        out = self.parameterAsOutputLayer(parameters, "OUTPUT", context)
        mode = self.parameterAsString(parameters, "MODE", context)
        look = self.parameterAsFileOutput(parameters, "QUICKLOOK", context)
        result = self.carry_out(
            "map",
            {
                **self.raster(parameters, context),
                "aoi": self.source(parameters, "AOI", context, feedback),
                "text": self.parameterAsString(parameters, "TEXT", context),
                "like": self.source(parameters, "LIKE", context, feedback),
                "negative": self.parameterAsString(parameters, "NEGATIVE", context),
                "taught": self.parameterAsFile(parameters, "TAUGHT", context) or None,
                "engine": self.parameterAsString(parameters, "ENGINE", context),
                "threshold": self.number(parameters, "THRESHOLD", context),
                "label": self.parameterAsString(parameters, "LABEL", context),
                "min_area": self.parameterAsInt(parameters, "MIN_AREA", context),
                "mode": None if mode in ("", MODES[0]) else mode,
                "spacing": self.whole(parameters, "SPACING", context),
                "min_score": self.number(parameters, "MIN_SCORE", context),
                "min_stability": self.number(parameters, "MIN_STABILITY", context),
                "max_hidden": self.number(parameters, "MAX_HIDDEN", context),
                "scales": self.whole_words(parameters, "SCALES", context),
                "batch": self.whole(parameters, "BATCH", context),
                "window": self.whole(parameters, "WINDOW", context),
                "overlap": self.parameterAsInt(parameters, "OVERLAP", context),
                "tile": self.parameterAsInt(parameters, "TILE", context),
                "workers": self.parameterAsInt(parameters, "WORKERS", context),
                "scheduler": self.parameterAsString(parameters, "SCHEDULER", context) or None,
                "coverage": self.parameterAsBoolean(parameters, "COVERAGE", context),
                "simplify": self.parameterAsDouble(parameters, "SIMPLIFY", context),
                "labels": self.source(parameters, "LABELS", context, feedback),
                "keep_embeddings": self.parameterAsBoolean(parameters, "KEEP_EMBEDDINGS", context),
                "resume": self.parameterAsBoolean(parameters, "RESUME", context),
                "quicklook": look or None,
                "out": out,
            },
            feedback,
        )
        found = {"OUTPUT": out, "OBJECTS": result["objects"], "AREA": result["area_m2"]}
        if look:
            found["QUICKLOOK"] = look
        return {**found, "FAILED": result["failed"]}
