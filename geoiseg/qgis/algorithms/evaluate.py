"""How many clicks a model needs: ``geoiseg evaluate``."""

from __future__ import annotations

from typing import Any, Dict

from qgis.core import (
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterVectorDestination,
    QgsProcessingParameterVectorLayer,
)

from .base import POLYGONS, USERS, CompanionAlgorithm


class EvaluateModel(CompanionAlgorithm):
    """A simulated user clicks on objects that are drawn already."""

    ID = "evaluate"
    TITLE = "Evaluate model"
    HELP = (
        "Lets a simulated user click on labelled objects of a raster, each click in the middle of"
        " the largest error, and tells how many clicks a model needs. The output has the last"
        " outline of each object with its measures; the log has the means."
    )

    def initAlgorithm(self, configuration: Any = None) -> None:  # noqa: N802, ARG002
        """Define parameters and outputs."""
        self.add_raster()
        self.add(QgsProcessingParameterVectorLayer("LABELS", "Drawn objects", [POLYGONS]))
        self.add_number("CLICKS", "Most clicks on an object", 20, whole=True, least=1)
        self.add_number(
            "LIMIT", "Most objects", None, whole=True, least=1,
            text="Chosen at random; by default all.",
        )  # fmt: skip
        self.add_choice(
            "USER", "Who clicks", USERS,
            text="In the exact middle, or near it and with mistakes, as people do.",
        )  # fmt: skip
        self.add_number(
            "SEED", "Seed", 0, whole=True, advanced=True,
            text="Another seed: other objects, other clicks.",
        )  # fmt: skip
        self.add(
            QgsProcessingParameterFileDestination(
                "REPORT", "Report", "HTML (*.html)", None, True, False
            ),
            "A page with the table, the curve, the best and the worst cases.",
        )
        self.add(QgsProcessingParameterVectorDestination("OUTPUT", "Objects", POLYGONS))
        self.add_result("OBJECTS", "Objects")
        self.add_result("NOC85", "Clicks to an IoU of 0.85")
        self.add_result("NOC90", "Clicks to an IoU of 0.90")
        self.add_result("FAILED85", "Share that never reaches 0.85")
        self.add_result("IOU1", "IoU after one click")
        self.add_result("IOU3", "IoU after three clicks")
        self.add_result("IOU5", "IoU after five clicks")

    def processAlgorithm(self, parameters: Any, context: Any, feedback: Any) -> Dict[str, Any]:  # noqa: N802
        """Return the layer of outlines, and the means of the measures."""
        out = self.parameterAsOutputLayer(parameters, "OUTPUT", context)
        report = self.parameterAsFileOutput(parameters, "REPORT", context)
        result = self.carry_out_to(
            out,
            "evaluate",
            {
                **self.raster(parameters, context),
                "labels": self.source(parameters, "LABELS", context, feedback),
                "clicks": self.parameterAsInt(parameters, "CLICKS", context),
                "limit": self.whole(parameters, "LIMIT", context),
                "user": self.parameterAsString(parameters, "USER", context),
                "seed": self.parameterAsInt(parameters, "SEED", context),
                "report": report or None,
            },
            context,
            feedback,
        )
        names = ("objects", "noc85", "noc90", "failed85", "iou1", "iou3", "iou5")
        found = {name.upper(): result[name] for name in names if result[name] is not None}
        if report:
            found["REPORT"] = report
        return {"OUTPUT": out, **found}
