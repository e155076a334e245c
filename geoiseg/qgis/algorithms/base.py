"""What the algorithms share: the companion, the files it reads, progress and cancel."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional

from qgis.core import (
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingException,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBand,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)
from qgis.PyQt.QtGui import QIcon

from ..channel import Channel, CompanionError  # noqa: TID252 - QGIS names the package
from ..environment import VARIABLE, chosen_python, own_python  # noqa: TID252
from ..place import is_elsewhere  # noqa: TID252
from ..rasters import raster_of  # noqa: TID252
from ..words import tr  # noqa: TID252
from .output import Output
from .straight import is_ready, straightened

POLYGONS = QgsProcessing.SourceType.TypeVectorPolygon
LINES = QgsProcessing.SourceType.TypeVectorLine
VECTORS = QgsProcessing.SourceType.TypeVectorAnyGeometry
READ = ["gpkg"]
"""Files that the companion opens as they are; QGIS copies all other layers to a GeoPackage."""
DEVICES = ["auto", "cpu", "cuda", "mps"]
PRECISIONS = ["auto", "fp32", "bf16", "fp16"]
AUGMENTS = ["none", "flip", "scale", "flip+scale"]
USERS = ["centre", "realistic"]
BACKENDS = ["auto", "torch", "segment-anything", "onnxruntime", "openvino"]


class CompanionAlgorithm(QgsProcessingAlgorithm):
    """An algorithm that the companion carries out, in a process of its own."""

    ID = ""
    """Second half of the id, after ``geoiseg:``."""
    TITLE = ""
    HELP = ""
    """What the algorithm does."""
    GROUP = "objects"
    GROUP_TITLE = "Objects of a raster"
    """Under which the toolbox lists it."""

    def name(self) -> str:
        """Return the second half of the id."""
        return self.ID

    def displayName(self) -> str:  # noqa: N802 - a name of QGIS
        """Return the title."""
        return tr(self.TITLE)

    def shortHelpString(self) -> str:  # noqa: N802 - a name of QGIS
        """Return what the algorithm does."""
        return tr(self.HELP)

    def groupId(self) -> str:  # noqa: N802 - a name of QGIS
        """Return the id of the group in the toolbox."""
        return self.GROUP

    def group(self) -> str:
        """Return the title of the group in the toolbox."""
        return tr(self.GROUP_TITLE)

    def createInstance(self) -> Any:  # noqa: N802 - a name of QGIS
        """Return another of the same kind."""
        return type(self)()

    def icon(self) -> QIcon:
        """Return the plugin's icon."""
        return QIcon(str(Path(__file__).parents[1] / "icon.svg"))

    # -- parameters ------------------------------------------------------------------

    def add(self, parameter: Any, text: str = "", advanced: bool = False) -> None:
        """Add a parameter with its explanation."""
        parameter.setDescription(tr(parameter.description()))
        if text:
            parameter.setHelp(tr(text))
        if advanced:
            flag = QgsProcessingParameterDefinition.Flag.FlagAdvanced
            parameter.setFlags(parameter.flags() | flag)
        self.addParameter(parameter)

    def add_number(self, name: str, title: str, default: Any, **how: Any) -> None:
        """Add a number; ``how``: ``least``, ``most``, ``whole``, ``advanced``, ``text``.

        One without a default is optional.
        """
        kind = QgsProcessingParameterNumber.Type.Integer if how.get("whole") else (
            QgsProcessingParameterNumber.Type.Double
        )  # fmt: skip
        number = QgsProcessingParameterNumber(name, title, kind, default, default is None)
        if "least" in how:
            number.setMinimum(how["least"])
        if "most" in how:
            number.setMaximum(how["most"])
        self.add(number, how.get("text", ""), how.get("advanced", False))

    def add_choice(self, name: str, title: str, choices: List[str], **how: Any) -> None:
        """Add a choice of words, the first by default; ``how``: ``advanced``, ``text``."""
        choice = QgsProcessingParameterEnum(name, title, choices, False, choices[0], False, True)
        self.add(choice, how.get("text", ""), how.get("advanced", False))

    def add_raster(self) -> None:
        """Add the raster, its bands, the model and how it runs."""
        self.add(QgsProcessingParameterRasterLayer("RASTER", "Raster"))
        self.add(
            QgsProcessingParameterString("MODEL", "Model", "tiny"),
            "A name in geoiseg models, the path of a checkpoint, or hf:organisation/name.",
        )
        self.add_number(
            "GSD", "Metres per pixel to work at", None, least=1e-6,
            text="By default the raster's own pixels, or the finest at which the object fits.",
        )  # fmt: skip
        bands = QgsProcessingParameterBand("BANDS", "Bands", None, "RASTER", True, True)
        self.add(bands, "One or three; by default the raster's red, green and blue.", advanced=True)
        named = QgsProcessingParameterString("BAND_NAMES", "Bands by name", "", False, True)
        self.add(
            named,
            "Instead of their numbers: roles, indices, formulas or a composite, as nir,red,ndwi or"
            " infrared; nir=4 says what a band is, sensor=landsat-8 what took the picture.",
            advanced=True,
        )
        self.add_choice(
            "AUGMENT", "Answer with the mean over views", AUGMENTS, advanced=True,
            text="Mirror images, other scales, or both: slower, and steadier.",
        )  # fmt: skip
        self.add_choice("DEVICE", "Device", DEVICES, advanced=True)
        self.add_choice("PRECISION", "Precision", PRECISIONS, advanced=True)
        self.add_choice("BACKEND", "Library that runs the model", BACKENDS, advanced=True)

    def add_result(self, name: str, title: str) -> None:
        """Add a number that the algorithm returns besides its layer."""
        self.addOutput(QgsProcessingOutputNumber(name, tr(title)))

    # -- what is sent ----------------------------------------------------------------

    def raster(self, parameters: Any, context: Any) -> Dict[str, Any]:
        """Return what the companion is told about the raster and the model."""
        layer = self.parameterAsRasterLayer(parameters, "RASTER", context)
        raster = raster_of(layer)
        if raster is None:
            raise QgsProcessingException(tr("RASTER is no raster file that GDAL opens"))
        return {
            "raster": raster.path,
            "bands": self.bands(parameters, context),
            "model": self.model(parameters, context),
            "gsd": self.number(parameters, "GSD", context),
            "device": self.parameterAsString(parameters, "DEVICE", context),
            "precision": self.parameterAsString(parameters, "PRECISION", context),
            "backend": self.parameterAsString(parameters, "BACKEND", context),
        }

    def model(self, parameters: Any, context: Any) -> str:
        """Return the model's name, with the views over which it answers."""
        name = str(self.parameterAsString(parameters, "MODEL", context))
        views = self.parameterAsString(parameters, "AUGMENT", context)
        return name if views in ("", AUGMENTS[0]) else f"{name}+{views}"

    def bands(self, parameters: Any, context: Any) -> List[Any]:
        """Return the bands to segment: by name where they are named, or else by number."""
        named = self.parameterAsString(parameters, "BAND_NAMES", context).strip()
        if named:
            return [named]
        return self.parameterAsInts(parameters, "BANDS", context) if parameters.get("BANDS") else []

    def number(self, parameters: Any, name: str, context: Any) -> Optional[float]:
        """Return an optional number."""
        if parameters.get(name) is None:
            return None
        return float(self.parameterAsDouble(parameters, name, context))

    def whole(self, parameters: Any, name: str, context: Any) -> Optional[int]:
        """Return an optional whole number."""
        value = self.number(parameters, name, context)
        return None if value is None else int(value)

    def words(self, parameters: Any, name: str, context: Any) -> List[str]:
        """Return what a text lists, separated by commas."""
        text = self.parameterAsString(parameters, name, context)
        return [word.strip() for word in text.split(",") if word.strip()]

    def whole_words(self, parameters: Any, name: str, context: Any) -> List[int]:
        """Return the whole numbers that a text lists, separated by commas."""
        words = self.words(parameters, name, context)
        try:
            return [int(word) for word in words]
        except ValueError as error:
            got = ",".join(words)
            text = tr("{name} are whole numbers, e.g. 4,2,1; got {got}", name=name, got=got)
            raise QgsProcessingException(text) from error

    def source(self, parameters: Any, name: str, context: Any, feedback: Any) -> Optional[str]:
        """Return a file with the features of a layer: those selected, filtered, edited."""
        if not parameters.get(name):
            return None
        layer = self.parameterAsVectorLayer(parameters, name, context)
        if not is_ready(layer, parameters[name]):
            features = self.parameterAsSource(parameters, name, context)
            if features is None:
                raise QgsProcessingException(self.invalidSourceError(parameters, name))
            return straightened(features, layer, context, feedback)
        path = self.parameterAsCompatibleSourceLayerPath(
            parameters, name, context, READ, "gpkg", feedback
        )
        if not path:
            raise QgsProcessingException(self.invalidSourceError(parameters, name))
        return str(path)

    # -- the companion ---------------------------------------------------------------

    def carry_out_to(
        self, out: str, job: str, params: Dict[str, Any], context: Any, feedback: Any
    ) -> Dict[str, Any]:
        """Return what the companion says about a job that writes a vector file of any format.

        Raises:
            QgsProcessingException: It failed, or the user stopped it.
        """
        output = Output(out)
        result = self.carry_out(job, {**params, **output.asked}, feedback)
        output.finish(context)
        return result

    def carry_out(self, job: str, params: Dict[str, Any], feedback: Any) -> Dict[str, Any]:
        """Return what the companion says about a finished job.

        Raises:
            QgsProcessingException: It failed, or the user stopped it.
        """
        python = chosen_python()
        if is_elsewhere(python):  # what goes in and out are files of this machine
            python = own_python()
            if not python:
                text = tr("Processing needs geoiseg on this machine: set it up")
                raise QgsProcessingException(text)
        if not python:
            text = tr("where geoiseg is, is not known; {where}", where=_where())
            raise QgsProcessingException(text)
        channel = Channel(python)
        channel.restarted.connect(
            lambda why: feedback.pushWarning(
                tr("geoiseg had ended ({why}); it goes on anew", why=why)
            )
        )
        said: List[str] = [""]

        def heed(share: Optional[float], text: str) -> bool:
            if share is not None:
                feedback.setProgress(100.0 * share)
            if text and text != said[0]:
                said[0] = text
                feedback.setProgressText(text)
            return not feedback.isCanceled()

        try:
            given = {name: value for name, value in params.items() if value is not None}
            result: Dict[str, Any] = channel.wait(channel.ask(job, given), heed)
        except CompanionError as error:
            hint = f"; {_where()}" if error.kind == "SetupError" else ""
            raise QgsProcessingException(f"{error}{hint}") from error
        finally:
            channel.stop()
        for line in result.get("said", []):
            feedback.pushInfo(line)
        for problem in result.get("problems", []):
            feedback.reportError(problem, False)
        return result


def _where() -> str:
    return tr("tell it in Plugins > geoiseg > Settings, or in {variable}", variable=VARIABLE)
