"""Layers that are no files: what the map shows of them, as a georeferenced picture by QGIS.

Tiles and maps of a service (XYZ, WMTS, WMS) and whatever else QGIS draws. A picture reaches a
little beyond the screen, is kept by extent and scale, and is segmented like any raster.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any, Callable, List, NamedTuple, Optional
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from qgis.core import (
    QgsCoordinateTransform,
    QgsCsException,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
)
from qgis.PyQt.QtCore import QObject, QSize, Qt, pyqtSignal
from qgis.PyQt.QtGui import QImage

from .place import mapped
from .preferences import preference
from .rasters import Raster, raster_of
from .words import tr
from .work import Mark

MARGIN = 0.25
"""Of the screen, on each side of it."""
LARGEST = 6000
"""Pixels across a picture, at most."""
KEPT = 8
"""Pictures that are kept."""
QUICK = 85
"""Qt's quality of a picture's file: packed lightly, for the click waits for it."""
SAME_SCALE = 0.01
"""How far two scales may differ to be the same."""
FORBIDDING = re.compile(r"(^|\.)(google|googleapis|gstatic)\.[a-z.]+$")
"""Hosts whose terms forbid to derive data from their pictures; see the settings."""


class Picture(NamedTuple):
    """A picture of a layer."""

    layer: str
    """Id and source of the layer."""
    extent: QgsRectangle
    step: float
    """Map units of a pixel."""
    raster: Raster


class ChipError(Exception):
    """A layer can not be rendered; the text says why and what to do."""


class Chips(QObject):
    """Makes pictures of layers that are no files, beside everything else.

    Args:
        canvas: QGIS's map.
    """

    ready = pyqtSignal()
    """What was asked for is there, or has failed."""
    _ready_to_use = pyqtSignal(object, object, object)

    def __init__(self, canvas: Any, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self._ready_to_use.connect(self._use)  # in the window's thread
        self._canvas = canvas
        self.elsewhere: Callable[[], bool] = lambda: False
        """Whether the companion is where files of this machine are not."""
        self._kept: List[Picture] = []
        self._folder: Optional[Path] = None
        self._count = 0
        self._job: Optional[QgsMapRendererParallelJob] = None
        self._then: List[Callable[[Optional[Raster], str], Any]] = []

    @property
    def busy(self) -> bool:
        """Whether a picture is being made."""
        return self._job is not None

    def give(
        self, layer: Any, places: List[QgsRectangle], then: Callable[[Optional[Raster], str], Any]
    ) -> None:
        """Call back with a raster that shows a layer where the map is, at its scale, or why not.

        Args:
            layer: The raster layer.
            places: Of the map's coordinates, that must be on the picture too.
            then: At once for a file or a picture that is kept, and later for a new one.
        """
        file = raster_of(layer)
        if file is not None and self.elsewhere():
            there = mapped(file.path, preference("paths"))
            file = file._replace(path=there) if there else None
        if file is not None:
            then(file, "")
            return
        try:
            settings = self._settings(layer, places)
        except ChipError as error:
            then(None, str(error))
            return
        kept = None if self._job is not None else self._known(layer, places)
        if kept is not None:
            then(kept, "")
            return
        self._then.append(then)
        if self._job is None:
            self._render(layer, settings)

    def made(self, raster: Raster) -> bool:
        """Return whether a raster is a picture that was made here."""
        return self._folder is not None and Path(raster.path).parent == self._folder

    def clear(self) -> None:
        """Forget everything, and remove the files."""
        job, self._job, self._then, self._kept = self._job, None, [], []
        if job is not None:
            job.cancelWithoutBlocking()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _known(self, layer: QgsRasterLayer, places: List[QgsRectangle]) -> Optional[Raster]:
        settings = self._canvas.mapSettings()
        crs, step = settings.destinationCrs(), settings.mapUnitsPerPixel()
        for one in reversed(self._kept):
            wanted = [settings.visibleExtent(), *places]
            if (one.layer == _name(layer) and one.raster.crs == crs
                    and abs(one.step / step - 1) < SAME_SCALE
                    and all(one.extent.contains(place) for place in wanted)):  # fmt: skip
                return one.raster
        return None

    def _settings(self, layer: Any, places: List[QgsRectangle]) -> QgsMapSettings:
        """Return what is to be rendered.

        Raises:
            ChipError: The layer can not be, or must not be.
        """
        if not isinstance(layer, QgsRasterLayer) or not layer.isValid():
            raise ChipError(tr("there is no raster to segment: choose a raster layer"))
        host = host_of(layer.source())
        if FORBIDDING.search(host) and not preference("terms_allow"):
            raise ChipError(
                tr("the terms of {host} forbid to derive data from its pictures: if you have"
                   " leave to, allow it in the settings", host=host)
            )  # fmt: skip
        canvas = self._canvas.mapSettings()
        step = canvas.mapUnitsPerPixel()
        extent = QgsRectangle(canvas.visibleExtent())
        extent.scale(1 + 2 * MARGIN)
        for place in places:
            near = QgsRectangle(place)
            near.grow(step * 64)
            extent.combineExtentWith(near)
        size = QSize(round(extent.width() / step), round(extent.height() / step))
        if max(size.width(), size.height()) > LARGEST:
            raise ChipError(tr("the object is too large for this scale: zoom out to go on with it"))
        extent.setXMaximum(extent.xMinimum() + size.width() * step)
        extent.setYMinimum(extent.yMaximum() - size.height() * step)
        settings = QgsMapSettings()
        settings.setLayers([layer])
        settings.setDestinationCrs(canvas.destinationCrs())
        settings.setTransformContext(QgsProject.instance().transformContext())
        settings.setOutputSize(size)
        settings.setExtent(extent)
        settings.setOutputDpi(canvas.outputDpi())
        settings.setBackgroundColor(Qt.GlobalColor.transparent)
        settings.setOutputImageFormat(QImage.Format.Format_ARGB32)
        return settings

    def _render(self, layer: QgsRasterLayer, settings: QgsMapSettings) -> None:
        job: Any = QgsMapRendererParallelJob(settings)
        self._job = job
        name, title = _name(layer), layer.name()
        job.finished.connect(lambda: self._rendered(job, name, title))
        job.start()

    def _rendered(self, job: Any, name: str, title: str) -> None:
        if self._job is None or job is not self._job:
            return
        failed = [one.message for one in job.errors()]
        if failed:
            why = tr("{name} can not be drawn: {why}", name=title, why=failed[0])
            self._end(None, why)
            return
        try:
            self._folder = self._folder or Path(tempfile.mkdtemp(prefix="geoiseg-"))
        except OSError as error:
            why = tr("can not write {name}: {why}", name=error.filename, why=error.strerror)
            self._end(None, why)
            return
        self._count += 1
        settings, place = job.mapSettings(), self._folder / f"{self._count}.png"
        image, text = job.renderedImage(), placed(settings)

        def write() -> None:
            why = _written(image, place, text)
            with contextlib.suppress(RuntimeError):  # the plugin was unloaded meanwhile
                self._ready_to_use.emit(job, place, (name, title, settings, why))

        threading.Thread(target=write, daemon=True).start()

    def _use(self, job: Any, place: Path, what: Any) -> None:
        """Keep a picture that is written, and hand it to those who wait for it."""
        name, title, settings, why = what
        if self._job is None or job is not self._job:
            return
        if why:
            self._end(None, why)
            return
        raster = Raster(str(place), [1, 2, 3], settings.destinationCrs(), title)
        step = settings.mapUnitsPerPixel()
        self._kept.append(Picture(name, settings.extent(), step, raster))
        for old in self._kept[:-KEPT]:
            self.forget(old.raster)
        self._kept = self._kept[-KEPT:]
        self._end(raster, "")

    def _end(self, raster: Optional[Raster], why: str) -> None:
        self._job = None
        waiting, self._then = self._then, []
        for then in waiting:
            then(raster, why)
        self.ready.emit()

    def forget(self, raster: Raster) -> None:
        """Remove the files of a picture."""
        for path in (Path(raster.path), Path(raster.path + ".aux.xml")):
            path.unlink(missing_ok=True)


def placed(settings: QgsMapSettings) -> str:
    """Return what says where a picture lies on Earth, for GDAL."""
    crs, extent = settings.destinationCrs(), settings.extent()
    step = settings.mapUnitsPerPixel()
    numbers = (extent.xMinimum(), step, 0.0, extent.yMaximum(), 0.0, -step)
    return (
        f"<PAMDataset><SRS>{escape(crs.toWkt())}</SRS>"
        f"<GeoTransform>{', '.join(map(repr, numbers))}</GeoTransform></PAMDataset>\n"
    )


def _written(image: QImage, place: Path, text: str) -> str:
    """Write a picture with its place on Earth; returns why it could not be, or nothing."""
    try:
        if not image.save(str(place), "PNG", QUICK):
            why = tr("the disk is full: make room, then try again")
            return tr("can not write {name}: {why}", name=place, why=why)
        place.with_name(f"{place.name}.aux.xml").write_text(text, "utf-8")
    except OSError as error:
        return tr("can not write {name}: {why}", name=error.filename, why=error.strerror)
    return ""


def host_of(source: str) -> str:
    """Return the host of a service, from the source of its layer; empty where it has none."""
    given = parse_qs(source).get("url", [source])[0]
    return (urlsplit(unquote(given)).hostname or "").lower()


def attribution_of(layer: Any) -> str:
    """Return whom a layer's pictures are by, as the layer says."""
    if layer is None:
        return ""
    said = [layer.attribution(), *layer.metadata().rights()]
    return next((text.strip() for text in said if text and text.strip()), "")


def within_map(mark: Mark, target: Any) -> Optional[QgsRectangle]:
    """Return the rectangle around a mark, in the CRS of the map; None where it has no place."""
    if mark.shape is not None:
        box = mark.shape.boundingBox()
    elif mark.xy:
        xs, ys = mark.xy[::2], mark.xy[1::2]
        box = QgsRectangle(min(xs), min(ys), max(xs), max(ys))
    else:
        return None
    context = QgsProject.instance().transformContext()
    try:
        move = QgsCoordinateTransform(mark.crs or target, target, context)
        return QgsRectangle(move.transformBoundingBox(box))
    except QgsCsException:
        return None


def _name(layer: QgsRasterLayer) -> str:
    return f"{layer.id()} {layer.source()}"
