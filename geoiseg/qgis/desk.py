"""The tool bar: the map tool, its raster, the class of the next object, accept and undo."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, List, Optional

from qgis.core import Qgis, QgsMapLayerProxyModel, QgsProject
from qgis.gui import QgsMapLayerComboBox
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QAction, QLabel, QLineEdit, QPushButton

from .channel import Channel
from .dialog import SettingsDialog
from .environment import choose_python, chosen_python, log, own_home
from .preferences import preference
from .rasters import first_raster, raster_of
from .setup.runner import Setup, these_sources
from .setup.window import SetupWindow
from .sketch import Sketch
from .target import TargetError, add_feature, new_layer, target_layer
from .tool import ObjectTool
from .words import tr
from .work import ObjectInProgress

MENU = "geoiseg"


class Desk:
    """All that the plugin adds to QGIS's window."""

    def __init__(self, iface: Any) -> None:
        self._iface = iface
        self._canvas = iface.mapCanvas()
        self.channel = Channel(chosen_python())
        self.work = ObjectInProgress(self.channel)
        self.tool = ObjectTool(self._canvas, self.work, lambda: bool(preference("at_screen_scale")))
        self.sketch = Sketch(self._canvas, self.work)
        self.setup = Setup()
        self.setup.finished.connect(self._set_up)
        self.setup_window: Optional[SetupWindow] = None
        self._waits_to_accept = False
        self._fill_bar()
        self.work.trouble.connect(lambda text: self._say(text, Qgis.MessageLevel.Warning))
        self.work.note.connect(lambda text: self._say(text, Qgis.MessageLevel.Info))
        self.work.changed.connect(self._refresh)
        self.work.settled.connect(self._settled)
        self.tool.accept.connect(self.accept)
        self.tool.activated.connect(self._begin)
        QgsProject.instance().layersRemoved.connect(self._look)
        self._settle_preferences()
        self._refresh()
        QTimer.singleShot(0, self._offer)

    def _fill_bar(self) -> None:
        self.bar = self._iface.addToolBar("geoiseg")
        self.bar.setObjectName("geoiseg")
        icon = QIcon(str(Path(__file__).parent / "icon.svg"))
        window = self._iface.mainWindow()
        self.action = QAction(icon, "Segment an object: click on it, or drag a box", window)
        self.action.setCheckable(True)
        self.action.triggered.connect(lambda: self._canvas.setMapTool(self.tool))
        self.tool.setAction(self.action)
        self.bar.addAction(self.action)
        self.rasters = QgsMapLayerComboBox()
        self.rasters.setFilters(QgsMapLayerProxyModel.Filter.RasterLayer)
        self.rasters.setToolTip("The raster to segment")
        self.rasters.setMinimumWidth(140)
        self.rasters.layerChanged.connect(self._look)
        self.bar.addWidget(self.rasters)
        self.label = QLineEdit()
        self.label.setPlaceholderText("class")
        self.label.setToolTip("Goes into the field label, class or name of accepted objects")
        self.label.setMaximumWidth(140)
        self.bar.addWidget(self.label)
        self._actions: List[QAction] = []
        self._accept = self._button("Accept", "Accept the object (Enter)", self.accept)
        self._undo = self._button("Undo", "Take the last click back (Backspace)", self.work.undo)
        self._discard = self._button("Discard", "Discard the object (Esc)", self.work.clear)
        self._button("New layer", "A temporary polygon layer to accept into", self.make_layer)
        self._button("Settings…", "Where geoiseg is, and how the map tool works", self.configure)
        self.status = QLabel()
        self.bar.addWidget(self.status)
        setup = QAction(icon, tr("Set up…"), window)
        setup.triggered.connect(self.set_up)
        settings = QAction(icon, tr("Settings…"), window)
        settings.triggered.connect(self.configure)
        self._in_menu = [self.action, setup, settings]
        for action in self._in_menu:
            self._iface.addPluginToMenu(MENU, action)

    def _button(self, title: str, tip: str, slot: Callable[[], Any]) -> QAction:
        action = QAction(title, self._iface.mainWindow())
        action.setToolTip(tip)
        action.triggered.connect(lambda *_: slot())  # without the state that Qt hands over
        self.bar.addAction(action)
        self._actions.append(action)
        return action

    # -- what the user does ----------------------------------------------------------

    def accept(self) -> None:
        """Put the object into the layer being edited, once its outline is there."""
        if self.work.busy:
            self._waits_to_accept = True
            return
        found = self.work.found
        if found is None:
            self._say("there is no object to accept: click on one first", Qgis.MessageLevel.Warning)
            return
        raster = self.work.raster
        try:
            layer = target_layer(self._iface.activeLayer())
            add_feature(layer, found, self.label.text().strip(), raster.name if raster else "")
        except TargetError as error:
            self._say(str(error), Qgis.MessageLevel.Warning)
            return
        self.work.clear()

    def make_layer(self) -> None:
        """Make a temporary layer for objects, in the raster's CRS, and make it the active one."""
        raster = self.work.raster or raster_of(self.rasters.currentLayer())
        crs = raster.crs if raster is not None else self._canvas.mapSettings().destinationCrs()
        layer = new_layer(crs)
        QgsProject.instance().addMapLayer(layer)
        self._iface.setActiveLayer(layer)

    def configure(self) -> None:
        """Show the settings; what changes there is used from the next click on."""
        dialog = SettingsDialog(self._iface.mainWindow())
        if dialog.exec():
            self._settle_preferences()
            self.work.retry()

    def remove(self) -> None:
        """Take everything out of the window, and end the companion."""
        QgsProject.instance().layersRemoved.disconnect(self._look)
        if self._canvas.mapTool() is self.tool:
            self._canvas.unsetMapTool(self.tool)
        for action in self._in_menu:
            self._iface.removePluginMenu(MENU, action)
        self.sketch.remove()
        self.setup.stop()
        if self.setup_window is not None:
            self.setup_window.close()
        self.channel.stop()
        self._iface.mainWindow().removeToolBar(self.bar)
        self.bar.deleteLater()

    # -- setting up ------------------------------------------------------------------

    def set_up(self, *_: Any) -> SetupWindow:
        """Show the window with the one button, and return it."""
        if self.setup_window is None:
            self.setup_window = SetupWindow(self.setup, self.channel.stop, self._iface.mainWindow())
        self.setup_window.show()
        self.setup_window.raise_()
        return self.setup_window

    def _offer(self) -> None:
        """Offer to set geoiseg up where there is none, or an older one of the plugin's."""
        state = own_home().state(these_sources().stamp)
        if not chosen_python():
            text, title = tr("geoiseg is not set up yet: one button does it."), tr("Set up")
        elif state == "older" and str(own_home().python) == chosen_python():
            text, title = tr("This plugin brings another geoiseg than is set up."), tr("Update")
        else:
            return
        item = self._iface.messageBar().createMessage("geoiseg", text)
        button = QPushButton(title)
        button.clicked.connect(self.set_up)
        item.layout().addWidget(button)
        self._iface.messageBar().pushWidget(item, Qgis.MessageLevel.Info)

    def _set_up(self, _version: str, error: Any) -> None:
        if error is None:
            choose_python("")  # the one that was set up comes next
            self._settle_preferences()
            self.work.retry()

    # -- what follows ----------------------------------------------------------------

    def _begin(self) -> None:
        if not self.channel.python:
            self.set_up()
        if raster_of(self.rasters.currentLayer()) is None:
            self.rasters.setLayer(first_raster(self._canvas.layers()))
        self._look()
        if self.work.raster is None:
            self._say("add a raster layer of a local file, and choose it", Qgis.MessageLevel.Info)

    def _look(self, *_: Any) -> None:
        """Work on the raster that is chosen, once the tool is in use."""
        if self._canvas.mapTool() is self.tool or self.work.marks:
            self.work.use(raster_of(self.rasters.currentLayer()))

    def _settle_preferences(self) -> None:
        python = chosen_python()
        if python != self.channel.python:
            self.channel.part()
            self.channel.python = python
        self.work.model = preference("model")
        self.work.outline = {name: preference(name) for name in ("simplify", "smooth", "square")}

    def _settled(self) -> None:
        if self._waits_to_accept:
            self._waits_to_accept = False
            if self.work.found is not None:
                self.accept()

    def _refresh(self) -> None:
        work = self.work
        self._accept.setEnabled(work.found is not None)
        self._undo.setEnabled(bool(work.marks))
        self._discard.setEnabled(bool(work.marks))
        self.status.setText(_status(work))

    def _say(self, text: str, level: Any) -> None:
        log(text)
        self._iface.messageBar().pushMessage("geoiseg", text, level, 8)


def _status(work: ObjectInProgress) -> str:
    """Return a few words on the object in progress."""
    if work.busy:
        return " segmenting…"
    if work.found is None:
        return ""
    facts = work.found.facts
    words: List[Optional[str]] = [
        f"{facts['area_m2']:,.0f} m²" if facts.get("area_m2") else None,
        f"score {facts['score']:.2f}" if facts.get("score") is not None else None,
        "goes on: F follows it" if facts.get("goes_on") else None,
        "seen from afar: D sharpens its border" if facts.get("coarse") else None,
        "settled" if facts.get("settled") else None,
    ]
    return " " + " · ".join(word for word in words if word)
