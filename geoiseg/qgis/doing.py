"""What buttons and keys do: accept, refine, find, and the raster that it is done on."""

from __future__ import annotations

import errno
from datetime import date
from typing import Any, Callable, List, Optional, Tuple

from qgis.core import (
    Qgis,
    QgsCoordinateTransform,
    QgsCsException,
    QgsGeometry,
    QgsProject,
    QgsRectangle,
    QgsSettings,
    QgsVectorLayer,
    QgsWkbTypes,
)

from .channel import Channel
from .chips import Chips, attribution_of, within_map
from .dialog import SettingsDialog
from .dock import Dock
from .environment import log
from .finder import Finder
from .place import SENT, parcel
from .rasters import Raster, ground_size, raster_of
from .target import (
    LABEL_FIELDS,
    TargetError,
    add_features,
    new_layer,
    replace_feature,
    target_layer,
)
from .tool import ObjectTool
from .words import tr
from .work import Found, Mark, ObjectInProgress

TODAY = "geoiseg/today"
"""Setting with the date, and how many objects were accepted on it."""


class Doing:
    """What the user does; the desk has the parts."""

    _iface: Any
    _canvas: Any
    _waits_to_accept: bool
    channel: Channel
    work: ObjectInProgress
    finder: Finder
    tool: ObjectTool
    chips: Chips
    dock: Dock
    label: Any
    rasters: Any

    def _begin(self) -> None:
        raise NotImplementedError

    def _settle_preferences(self) -> None:
        raise NotImplementedError

    def accept(self) -> None:
        """Put the object into the layer being edited, once its outline is there."""
        if self.work.busy:
            self._waits_to_accept = True
            return
        found = self.work.found
        if found is None:
            text = tr("there is no object to accept: click on one first")
            self.say(text, Qgis.MessageLevel.Warning)
            return
        if self._into_layer([found]):
            self.work.clear()

    def _into_layer(self, listed: List[Found]) -> bool:
        """Put outlines into the layer being edited, and say whether that went well."""
        label, raster = self.label.text().strip(), self.work.raster
        name = raster.name if raster else ""
        try:
            refined = self._refined() if len(listed) == 1 else None
            if refined is not None:
                replace_feature(*refined, listed[0])
            else:
                layer = target_layer(self._iface.activeLayer())
                label = label or (self.finder.words if len(listed) > 1 else "")
                add_features(layer, listed, label, name)
        except TargetError as error:
            self.say(str(error), Qgis.MessageLevel.Warning)
            return False
        self._count(len(listed))
        return True

    def _refined(self) -> Optional[Tuple[QgsVectorLayer, int]]:
        """Return the feature whose outline the object is to become; None for a new one."""
        feature = next((one.feature for one in self.work.marks if one.feature), None)
        if feature is None:
            return None
        layer = QgsProject.instance().mapLayer(feature[0])
        if layer is None:
            raise TargetError(tr("the layer of the feature that was refined is gone: discard this"))
        if not layer.isEditable():
            raise TargetError(tr("toggle editing of {name} to accept into it", name=layer.name()))
        return layer, feature[1]

    def refine(self) -> None:
        """Take the selected feature of the active layer as the object in progress."""
        layer, chosen = self._selected()
        if len(chosen) != 1:
            text = tr("select one feature of a polygon layer to refine it")
            self.say(text, Qgis.MessageLevel.Warning)
            return
        self._canvas.setMapTool(self.tool)
        self.work.clear()
        shape, feature = QgsGeometry(chosen[0].geometry()), (layer.id(), chosen[0].id())
        self._mark(Mark("outline", (), True, layer.crs(), None, shape, feature))

    def find(self, words: str) -> None:
        """Look for what words name, in what the map shows of the raster."""
        self._canvas.setMapTool(self.tool)
        self._begin()

        def look() -> None:
            raster = self.work.raster
            if raster is not None:
                self.finder.look(raster, words, self._seen(raster))

        self._with_raster(look)

    def find_like(self) -> None:
        """Look for more like the selected features, in what the map shows of the raster."""
        layer, chosen = self._selected()
        self._begin()
        if not chosen:
            text = tr("select features of a polygon layer that are examples")
            self.say(text, Qgis.MessageLevel.Warning)
            return
        self._with_raster(lambda: self._look_like(layer, chosen))

    def _look_like(self, layer: QgsVectorLayer, chosen: List[Any]) -> None:
        raster = self.work.raster
        if raster is None:
            return
        context = QgsProject.instance().transformContext()
        move = QgsCoordinateTransform(layer.crs(), raster.crs, context)
        shapes = []
        for feature in chosen:
            shape = QgsGeometry(feature.geometry())
            try:
                shape.transform(move)
            except QgsCsException:
                continue
            shapes.append(shape)
        words = next((str(feature[name]) for feature in chosen[:1] for name in LABEL_FIELDS
                      if layer.fields().lookupField(name) >= 0 and feature[name]), "")  # fmt: skip
        self.finder.look_like(raster, shapes, words or layer.name(), self._seen(raster))

    def accept_all(self) -> None:
        """Put all candidates that are shown into the layer, as one edit."""
        shown = self.finder.shown
        facts = self.finder.facts
        found = [Found(one.geometry, self.finder.crs, {**facts, "score": one.score})
                 for one in shown]  # fmt: skip
        if found and self._into_layer(found):
            self.finder.close([one.number for one in shown], undoable=False)

    def make_layer(self) -> None:
        """Make a temporary layer for objects, in the raster's CRS, and make it the active one."""
        raster = self.work.raster or raster_of(self.rasters.currentLayer())
        crs = raster.crs if raster is not None else self._canvas.mapSettings().destinationCrs()
        layer = new_layer(crs)
        QgsProject.instance().addMapLayer(layer)
        self._iface.setActiveLayer(layer)

    def configure(self, *_: Any) -> None:
        """Show the settings; what changes there is used from the next click on."""
        dialog = SettingsDialog(self._iface.mainWindow())
        dialog.accepted.connect(self._settle_preferences)
        dialog.open()

    def _selected(self) -> Tuple[Any, List[Any]]:
        """Return the active polygon layer and its selected features."""
        layer = self._iface.activeLayer()
        if not isinstance(layer, QgsVectorLayer):
            return None, []
        if layer.geometryType() != QgsWkbTypes.GeometryType.PolygonGeometry:
            return layer, []
        return layer, [one for one in layer.selectedFeatures() if one.hasGeometry()]

    def _seen(self, raster: Raster) -> Optional[QgsRectangle]:
        """Return what the map shows, in the raster's coordinates; None for all of it."""
        settings = self._canvas.mapSettings()
        context = QgsProject.instance().transformContext()
        move = QgsCoordinateTransform(settings.destinationCrs(), raster.crs, context)
        try:
            seen = move.transformBoundingBox(settings.visibleExtent())
        except QgsCsException:
            return None
        layer = self.rasters.currentLayer()
        if raster_of(layer) is None:
            return seen
        within = seen.intersect(layer.extent())
        return None if within.isEmpty() else within

    def _mark(self, mark: Mark) -> None:
        """Take a mark, once the raster that it lies on is there."""
        self._with_raster(lambda: self.work.add(mark), mark)

    def _with_raster(
        self, then: Callable[[], Any], mark: Optional[Mark] = None, tell: bool = True
    ) -> None:
        """Do something once the raster of the chosen layer is there, also where it is rendered."""
        layer, crs = self.rasters.currentLayer(), self._canvas.mapSettings().destinationCrs()
        marks = [*self.work.marks, *([mark] if mark is not None else [])]
        places = [within_map(one, crs) for one in marks]

        def go_on(raster: Optional[Raster], why: str) -> None:
            if raster is not None and self.chips.made(raster) and self.chips.elsewhere():
                raster, why = self._sent(raster)
            if raster != self.work.raster:
                if self.finder.any and (raster is None or raster.crs != self.finder.crs):
                    self.finder.clear()
                self.work.use(raster)
            self._about_layer()
            if raster is not None or not why:
                then()
            elif tell:
                self.say(why, Qgis.MessageLevel.Warning)

        self.chips.give(layer, [one for one in places if one is not None], go_on)
        if self.chips.busy and tell:
            self.dock.state.setText(tr("Drawing what the map shows…"))

    def _sent(self, raster: Raster) -> Tuple[Optional[Raster], str]:
        """Return a picture as the other machine has it, to which it is sent, or why it is not."""
        try:
            sent = parcel(raster.path)
        except OSError as error:
            if error.errno == errno.EFBIG:
                text = tr("the object is too large for this scale: zoom out to go on with it")
                return None, text
            return None, tr("{name} can not be read", name=raster.path)
        for params in sent.puts:
            self.channel.put(params)
        return raster._replace(path=sent.raster), ""

    def _about_layer(self) -> None:
        """Show whom the pictures are by, and how fine they are."""
        layer, raster = self.rasters.currentLayer(), self.work.raster
        text = attribution_of(layer)
        if raster is not None and (raster_of(layer) is None or raster.path.startswith(SENT)):
            size = ground_size(self._canvas)
            step = tr("drawn at {size} m a pixel; zoom in for finer outlines",
                      size=f"{size:.3g}") if size else ""  # fmt: skip
            terms = tr("see that the service's terms allow you to trace its pictures")
            text = "; ".join(one for one in (text, step, terms) if one)
        self.dock.layer.setText(text)
        self.dock.layer.setVisible(bool(text))

    def _count(self, more: int) -> None:
        """Count what was accepted today."""
        day, _, number = QgsSettings().value(TODAY, "", type=str).partition(" ")
        today = date.today().isoformat()
        count = (int(number) if day == today and number.isdigit() else 0) + more
        QgsSettings().setValue(TODAY, f"{today} {count}")
        self.dock.today.setText(tr("Accepted today: {count}", count=count))

    def say(self, text: str, level: Any) -> None:
        """Tell the user a line, and log it."""
        log(text)
        self._iface.messageBar().pushMessage("geoiseg", text, level, 8)
