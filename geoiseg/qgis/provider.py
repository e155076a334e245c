"""The Processing provider: the algorithms, the commands of the same names."""

from __future__ import annotations

from pathlib import Path
from typing import List

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from .algorithms.clean import CleanCoverage
from .algorithms.evaluate import EvaluateModel
from .algorithms.map_raster import MapRaster
from .algorithms.refine import RefineOutlines
from .algorithms.segment import SegmentFromPrompts
from .algorithms.shoreline import ExtractShoreline

ALGORITHMS = (
    SegmentFromPrompts, MapRaster, RefineOutlines, EvaluateModel, CleanCoverage, ExtractShoreline,
)  # fmt: skip
FORMATS = ("gpkg", "shp", "geojson", "fgb")
"""Files that algorithms write."""


class GeoisegProvider(QgsProcessingProvider):
    """geoiseg's algorithms."""

    def id(self) -> str:
        """Return the first half of the algorithms' ids."""
        return "geoiseg"

    def name(self) -> str:
        """Return the name of the group."""
        return "geoiseg"

    def icon(self) -> QIcon:
        """Return the plugin's icon."""
        return QIcon(str(Path(__file__).parent / "icon.svg"))

    def loadAlgorithms(self) -> None:  # noqa: N802 - a name of QGIS
        """Make the algorithms known."""
        for algorithm in ALGORITHMS:
            self.addAlgorithm(algorithm())

    def supportsNonFileBasedOutput(self) -> bool:  # noqa: N802 - a name of QGIS
        """Return False: the companion writes files."""
        return False

    def supportedOutputVectorLayerExtensions(self) -> List[str]:  # noqa: N802 - a name of QGIS
        """Return the suffixes of files that can be written, the default first."""
        return list(FORMATS)

    def defaultVectorFileExtension(self, hasGeometry: bool = True) -> str:  # noqa: N802, N803, ARG002
        """Return the suffix of temporary outputs."""
        return FORMATS[0]
