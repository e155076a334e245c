"""What buttons and keys do: accept, refine, find, and the raster that it is done on."""

from __future__ import annotations

import errno
from typing import Any, Callable, List, Optional, Tuple

from qgis.core import (
    Qgis,
    QgsCoordinateTransform,
    QgsCsException,
    QgsGeometry,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
    QgsWkbTypes,
)

from .accepting import Accepting
from .channel import Channel
from .chips import Chips, attribution_of, within_map
from .credits import Credits
from .dialog import SettingsDialog
from .environment import log
from .journal import edit_of
from .place import SENT, parcel
from .preferences import outline_options
from .rasters import Raster, ground_size, raster_of
from .shaping import Changed
from .target import LABEL_FIELDS, TargetError, change_outlines, new_layer
from .tool import ObjectTool
from .words import tr
from .work import Mark

RESHAPED = 500
"""Selected features that change their shape together, at most."""


class Doing(Accepting):
    """What the user does; the desk has the parts."""

    _canvas: Any
    _reshaped: Tuple[Any, ...]
    channel: Channel
    tool: ObjectTool
    chips: Chips
    credits: Credits
    rasters: Any

    def _begin(self) -> None:
        raise NotImplementedError

    def _settle_preferences(self) -> None:
        raise NotImplementedError

    def refine(self) -> None:
        """Take the selected feature of the active layer as the object in progress."""
        layer, chosen = self._selected()
        if len(chosen) != 1:
            text = tr("select one feature of a polygon layer to refine it")
            self.say(text, Qgis.MessageLevel.Warning)
            return
        self._canvas.setMapTool(self.tool)
        self.work.discard()
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

    def draw_as(self) -> None:
        """Draw outlines as the preferences say: of the object, or of selected features."""
        options = outline_options()
        self.work.draw_as(options)
        layer, chosen = self._selected()
        if self.work.marks or not chosen or not layer.isEditable():
            return

        def look() -> None:
            raster = self.work.raster
            if raster is not None:
                source = {**self.work.source(), **options}
                self.shaping.reshape(layer, chosen[:RESHAPED], source, raster.crs)

        self._with_raster(look, tell=False)

    def _reshape(self, changed: Changed) -> None:
        """Give features other outlines: one edit, in the place of the one just before."""
        layer, title = changed.layer, tr("Reshape features with geoiseg")
        stack, chosen = layer.undoStack(), sorted(changed.outlines)
        drawn = {
            number: self.shaping.drawn_as(layer.getFeature(number).geometry()) for number in chosen
        }
        again = self._reshaped == (layer.id(), chosen, stack.index())
        again = again and stack.undoText() == title
        if again:
            stack.undo()
        outlines = changed.outlines
        if not any(outline_options().values()):  # as they were, to the last digit
            outlines = {number: found._replace(geometry=drawn[number], crs=layer.crs())
                        for number, found in outlines.items()}  # fmt: skip
        try:
            change_outlines(layer, outlines, title)
        except TargetError as error:
            self.say(str(error), Qgis.MessageLevel.Warning)
            return
        for number in chosen:
            self.shaping.remember(layer.getFeature(number).geometry(), drawn[number])
        self._reshaped = (layer.id(), chosen, stack.index())
        if not again:
            entry = edit_of(layer, lambda: None)
            self.journal.add(entry.back, entry.stands)
        self._refresh()

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
        self._go_on()
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
                    self.finder.drop()
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
        text = attribution_of(layer) or self.credits.of(layer)
        if raster is not None and (raster_of(layer) is None or raster.path.startswith(SENT)):
            size = ground_size(self._canvas)
            step = tr("drawn at {size} m a pixel; zoom in for finer outlines",
                      size=f"{size:.3g}") if size else ""  # fmt: skip
            terms = tr("see that the service's terms allow you to trace its pictures")
            text = "; ".join(one for one in (text, step, terms) if one)
        self.dock.layer.setText(text)
        self.dock.layer.setVisible(bool(text))

    def say(self, text: str, level: Any) -> None:
        """Tell the user a line, and log it."""
        log(text)
        self._iface.messageBar().pushMessage("geoiseg", text, level, 8)
