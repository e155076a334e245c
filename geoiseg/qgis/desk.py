"""All that the plugin adds to QGIS's window, and what its buttons and keys do."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

from qgis.core import (
    Qgis,
    QgsMapLayerProxyModel,
    QgsProject,
)
from qgis.gui import QgsMapLayerComboBox
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QAction, QLineEdit

from .answers import Answers
from .channel import Channel
from .chips import Chips
from .classes import classes, classes_of, colour_of, keep
from .credits import Credits
from .dock import Dock
from .doing import Doing
from .environment import chosen_python
from .finder import Finder
from .form import Form
from .journal import Journal
from .place import is_elsewhere
from .preferences import outline_options, prefer, preference
from .preview import Preview
from .rasters import first_raster, raster_of
from .reviewing import Reviewing
from .setting_up import SettingUp
from .shaping import Shaping
from .sketch import Sketch
from .target import (
    LABEL_FIELDS,
)
from .tool import REVIEWS, ObjectTool, Parts
from .words import tr
from .work import Mark, ObjectInProgress

MENU = "geoiseg"
SAYS_MORE = ("follow", "sharpen", "redo", "other", "other_back")
"""What is asked by whoever goes on with the object; undoing is, too."""


class Desk(Doing):
    """Tool bar, dock, map tool and what is drawn."""

    def __init__(self, iface: Any) -> None:
        self._iface = iface
        self._canvas = iface.mapCanvas()
        self.channel = Channel(chosen_python())
        self.work = ObjectInProgress(self.channel)
        self.finder = Finder(self.channel, self.work.source)
        self.preview = Preview(self.channel, self.work)
        self.answers = Answers(self.channel, self.work)
        self.shaping = Shaping(self.channel)
        self.journal = Journal()
        self.form = Form(iface.mainWindow())
        self._reshaped = ()
        self.tool = ObjectTool(
            self._canvas,
            Parts(
                self.work, self.finder, self.preview, self.answers, self.shaping, self.journal
            ),
            lambda: bool(preference("at_screen_scale")), lambda: bool(preference("hover")),
        )  # fmt: skip
        self.chips = Chips(self._canvas)
        self.chips.elsewhere = lambda: is_elsewhere(self.channel.python)
        self.credits = Credits()
        self.credits.changed.connect(self._about_layer)
        self.sketch = Sketch(self._canvas, self.work)
        self._waits_to_accept = self._finishes = self._begun = False
        self._failed = ()
        self.setting_up = SettingUp(iface, self.channel, self._settle_preferences)
        self.dock = Dock(iface.mainWindow())
        iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.dock)
        self.dock.hide()
        self.reviewing = Reviewing(iface, self.journal, self.say)
        self.reviewing.held = lambda: bool(self.work.marks)
        self.tool.reviews = lambda: self.reviewing.open
        self._fill_bar()
        self._connect()
        self._settle_preferences()
        self.count(0)
        self._refresh()

    def _connect(self) -> None:
        for source in (self.work, self.finder, self.answers, self.shaping):
            source.trouble.connect(lambda text: self.say(text, Qgis.MessageLevel.Warning))
        for source in (self.work, self.answers):
            source.note.connect(lambda text: self.say(text, Qgis.MessageLevel.Info))
        self.work.discarded.connect(self._discarded)
        self.finder.left_out.connect(self._left_out)
        self.answers.changed.connect(self._refresh)
        self.shaping.reshaped.connect(self._reshape)
        self.work.changed.connect(self._refresh)
        self.work.settled.connect(self._settled)
        self.work.told.connect(self._progress)
        self.finder.changed.connect(self._candidates)
        self.preview.changed.connect(lambda: self.sketch.show_preview(self.preview))
        self.tool.accept.connect(self.accept)
        self.tool.activated.connect(self._begin)
        self.tool.said.connect(self._key)
        self.tool.marked.connect(self._mark)
        self._canvas.mapCanvasRefreshed.connect(self._look)
        self.tool.mode_changed.connect(self.dock.show_mode)
        dock = self.dock
        dock.mode.connect(self.tool.set_mode)
        dock.look.connect(self.find)
        dock.asked.connect(self._asked)
        self.reviewing.kept.connect(self._refresh)
        dock.threshold.connect(self.finder.set_threshold)
        dock.label.connect(self.label.setText)
        dock.preview.setChecked(bool(preference("hover")))
        dock.hover.connect(self._hover)
        dock.outline.changed.connect(self.draw_as)
        dock.relisted.connect(self._relisted)
        self.label.textChanged.connect(lambda text: self.sketch.colour(colour_of(text.strip())))
        self.sketch.colour(colour_of(""))
        QgsProject.instance().layersRemoved.connect(self._look)
        QgsProject.instance().readProject.connect(self._read)

    def _fill_bar(self) -> None:
        self.bar = self._iface.addToolBar("geoiseg")
        self.bar.setObjectName("geoiseg")
        icon = QIcon(str(Path(__file__).parent / "icon.svg"))
        window = self._iface.mainWindow()
        self.action = QAction(icon, tr("Segment an object: click on it, or drag a box"), window)
        self.action.setCheckable(True)
        self.action.triggered.connect(lambda: self._canvas.setMapTool(self.tool))
        self.tool.setAction(self.action)
        self.bar.addAction(self.action)
        self.rasters = QgsMapLayerComboBox()
        self.rasters.setFilters(QgsMapLayerProxyModel.Filter.RasterLayer)
        self.rasters.setToolTip(tr("The raster to segment"))
        self.rasters.setMinimumWidth(140)
        self.rasters.layerChanged.connect(self._look)
        self.bar.addWidget(self.rasters)
        self.label = QLineEdit()
        self.label.setPlaceholderText(tr("class"))
        self.label.setToolTip(tr("Goes into the field label, class or name of accepted objects"))
        self.label.setMaximumWidth(140)
        self.bar.addWidget(self.label)
        self._actions: List[QAction] = []
        self._accept = self._button(tr("Accept"), tr("Accept the object (Enter)"), self.accept)
        back = tr("Take the last click back (Backspace)")
        self._undo = self._button(tr("Undo"), back, self.undo)
        self._discard = self._button(
            tr("Discard"), tr("Discard the object (Esc)"), self.work.discard
        )
        tip = tr("A temporary polygon layer to accept into")
        self._button(tr("New layer"), tip, self.make_layer)
        self._fill_menu(icon, window)

    def _fill_menu(self, icon: QIcon, window: Any) -> None:
        setup = QAction(icon, tr("Set up…"), window)
        setup.triggered.connect(self.setting_up.show)
        settings = QAction(icon, tr("Settings…"), window)
        settings.triggered.connect(self.configure)
        shown = self.dock.toggleViewAction()
        self.bar.addAction(shown)
        review = self.reviewing.panel.toggleViewAction()
        self._in_menu = [self.action, shown, review, setup, settings]
        for action in self._in_menu:
            self._iface.addPluginToMenu(MENU, action)

    def _button(self, title: str, tip: str, slot: Callable[[], Any]) -> QAction:
        action = QAction(title, self._iface.mainWindow())
        action.setToolTip(tip)
        action.triggered.connect(lambda *_: slot())  # without the state that Qt hands over
        self.bar.addAction(action)
        self._actions.append(action)
        return action

    def remove(self) -> None:
        """Take everything out of the window, and end the companion."""
        QgsProject.instance().layersRemoved.disconnect(self._look)
        QgsProject.instance().readProject.disconnect(self._read)
        if self._canvas.mapTool() is self.tool:
            self._canvas.unsetMapTool(self.tool)
        for action in self._in_menu:
            self._iface.removePluginMenu(MENU, action)
        self._canvas.mapCanvasRefreshed.disconnect(self._look)
        self.reviewing.remove()
        self.form.close()
        self.credits.clear()
        self.chips.clear()
        self.sketch.remove()
        self.setting_up.remove()
        self.channel.stop()
        self._iface.removeDockWidget(self.dock)
        self.dock.deleteLater()
        self._iface.mainWindow().removeToolBar(self.bar)
        self.bar.deleteLater()

    # -- what follows ----------------------------------------------------------------

    def _key(self, said: str) -> None:
        """Do what a key of the map tool asks for."""
        if said.isdigit():
            self._choose_class(int(said))
        elif said == "hover":
            self.dock.preview.toggle()
        else:
            self._asked(said)

    def _asked(self, what: str) -> None:
        """Do what a button of the dock, or a key, asks for."""
        known: Dict[str, Callable[[], Any]] = {
            "stop": self.tool.escape, "accept_all": self.accept_all, "like": self.find_like,
            "reject_all": self.finder.clear, "refine": self.refine,
            "follow": lambda: self.work.add(Mark("follow")),
            "sharpen": lambda: self.work.add(Mark("sharpen")),
            "undo": self.undo, "redo": self.work.redo,
            "review": lambda: self.reviewing.toggle(focus=not self._canvas.hasFocus()),
            "other": self.answers.turn, "other_back": lambda: self.answers.turn(-1),
        }  # fmt: skip
        if what in SAYS_MORE:
            self._go_on()
        if what in REVIEWS.values():
            self.reviewing.act(what)
        else:
            known[what]()

    def undo(self) -> None:
        """Take back what was done last: a click, or what was discarded, rejected or accepted."""
        self._go_on()
        if self.work.marks:
            self.work.undo()
        else:
            self.journal.undo()
        self._refresh()

    def _discarded(self, marks: Any) -> None:
        self.journal.add(lambda: self.work.restore(marks))
        self._refresh()

    def _left_out(self) -> None:
        search = self.finder.searches
        self.journal.add(self.finder.undo, lambda: self.finder.searches == search)

    def _relisted(self, before: Any) -> None:
        def back() -> None:
            keep(before)
            self.dock.list_classes()

        self.journal.add(back)

    def _choose_class(self, number: int) -> None:
        if not classes():  # those of the layer that is being edited, to begin with
            layer = self._iface.activeLayer()
            for field in LABEL_FIELDS:
                own = classes_of(layer, field)
                if own:
                    keep(own)
                    self.dock.list_classes()
                    break
        self.dock.choose_class(number)

    def _hover(self, on: bool) -> None:
        prefer("hover", on)
        self.preview.clear()

    def _read(self, *_: Any) -> None:
        self.dock.list_classes()

    def _begin(self) -> None:
        self.dock.show()
        if not self.channel.python:
            self.setting_up.show()
        if self.rasters.currentLayer() is None or not self._begun:
            first = first_raster(self._canvas.layers())
            if raster_of(self.rasters.currentLayer()) is None and first is not None:
                self.rasters.setLayer(first)
            self._begun = True
        self._look()
        if self.rasters.currentLayer() is None:
            self.say(tr("add a raster layer, and choose it"), Qgis.MessageLevel.Info)

    def _look(self, *_: Any) -> None:
        """Work on the raster that is chosen, once the tool is in use."""
        layer = self.rasters.currentLayer()
        drawn = layer is not None and raster_of(layer) is None
        if self.work.marks and drawn and self.work.raster is not None:
            return  # what the object was begun on stays, until a mark lies beyond it
        if self._canvas.mapTool() is self.tool or self.work.marks:
            self._with_raster(lambda: None, tell=False)

    def _settle_preferences(self) -> None:
        python = chosen_python()
        if python != self.channel.python:
            self.channel.part()
            self.channel.python = python
        self.work.model = preference("model")
        self.work.outline = outline_options()
        self.dock.outline.show_preferences()
        self.work.retry()

    def _candidates(self) -> None:
        finder = self.finder
        self.sketch.show_candidates(finder)
        there = sum(1 for _ in finder.open)
        self.dock.show_candidates(len(finder.shown), there, finder.threshold)
        self._refresh()

    def _progress(self, share: Any, text: str) -> None:
        self.dock.show_progress(busy=True, share=share)
        self.dock.state.setText(text)

    def _refresh(self) -> None:
        work = self.work
        self._accept.setEnabled(work.found is not None)
        self._undo.setEnabled(bool(work.marks) or self.journal.can_undo)
        self._discard.setEnabled(bool(work.marks))
        self.dock.follow.setEnabled(work.found is not None)
        self.dock.sharpen.setEnabled(work.found is not None)
        self.dock.other.setEnabled(work.found is not None)
        self.dock.show_progress(
            busy=work.busy or self.finder.busy or self.answers.busy or self.shaping.busy
        )
        self.dock.state.setText(plain_state(work, self.finder, self.answers))


def plain_state(work: ObjectInProgress, finder: Finder, answers: Answers) -> str:
    """Return what goes on, and what can be done next, in plain words."""
    if work.raster is None:
        return tr("Choose a raster layer in the tool bar.")
    if finder.busy:
        return tr("Looking for what you named…")
    if work.busy:
        return tr("Segmenting…")
    if work.found is None:
        if finder.any:
            return tr("Candidates are on the map: accept all, or click one to refine it.")
        return tr("Click on an object, or drag a box around it.")
    facts = work.found.facts
    words: List[Optional[str]] = [
        f"{facts['area_m2']:,.0f} m²" if facts.get("area_m2") else None,
        tr("score {score}", score=f"{facts['score']:.2f}") if facts.get("score") is not None
        else None,
        tr("answer {number} of {count}", number=answers.choice + 1, count=answers.count)
        if answers.count > 1 else None,
        tr("it goes on: F follows it") if facts.get("goes_on") else None,
        tr("seen from afar: D sharpens its border") if facts.get("coarse") else None,
        tr("more clicks will hardly change it") if facts.get("settled") else None,
    ]  # fmt: skip
    said = " · ".join(word for word in words if word)
    return f"{said}. {tr('Enter accepts; click what is missing, right click what is too much.')}"
