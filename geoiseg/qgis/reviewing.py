"""The review: one feature of the active layer after another is looked at, the doubtful first."""

from __future__ import annotations

from typing import Any, Callable, List, Optional

from qgis.core import (
    Qgis,
    QgsCoordinateTransform,
    QgsCsException,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QObject, Qt, pyqtSignal

from .journal import Journal, edit_of
from .review_layer import (
    NONE,
    is_polygons,
    places_of,
    who_and_when,
    why_not,
    write_state,
)
from .review_panel import ReviewPanel, Seen
from .review_queue import Queue
from .review_watch import ReviewedLayer
from .reviewed import CHECKED, REJECTED, STATES, TO_CHECK, Item, Wanted
from .target import TargetError, target_layer
from .words import tr

MARGIN = 1.0
"""Share of a feature's size that the map shows around it at each side."""


class Reviewing(QObject):
    """Keeps the queue as the layer is, and does what the panel asks.

    Args:
        iface: QGIS's window.
        journal: What Backspace undoes.
        say: Tells the user a line.
    """

    kept = pyqtSignal()
    """There is another state to undo."""

    def __init__(self, iface: Any, journal: Journal, say: Callable[[str, Any], None]) -> None:
        super().__init__()
        self._iface, self._journal, self._say = iface, journal, say
        self._canvas = iface.mapCanvas()
        self.held: Callable[[], bool] = lambda: False
        """Whether an object is in progress, which a review would leave behind."""
        self._watched = ReviewedLayer(self)
        self._watched.changed.connect(self._show)
        self._at: Optional[Item] = None
        self.panel = ReviewPanel(iface.mainWindow())
        self.panel.asked.connect(self.act)
        self.panel.filtered.connect(self.want)
        self.panel.visibilityChanged.connect(lambda *_: self._follow())
        iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.panel)
        self.panel.hide()
        iface.currentLayerChanged.connect(self._follow)

    @property
    def layer(self) -> Optional[QgsVectorLayer]:
        """The layer that is reviewed; None where there is none."""
        return self._watched.layer

    @property
    def queue(self) -> Queue:
        """The features of the layer, and which of them the review goes through."""
        return self._watched.queue

    @property
    def waits(self) -> bool:
        """Whether the panel does not show yet what has changed."""
        return self._watched.waits

    @property
    def open(self) -> bool:
        """Whether the panel is seen; behind another panel it is not, and keys do nothing."""
        return not self.panel.visibleRegion().isEmpty()

    def toggle(self, *, focus: bool = False) -> None:
        """Open the panel, or bring it before others; close it where it is seen.

        Args:
            focus: Whether the keys go to the panel then; else they stay with the map.
        """
        if self.open:
            self.panel.hide()
            self._canvas.setFocus()
            return
        self.panel.show()
        self.panel.raise_()
        self._follow()
        if focus:
            self.panel.buttons["next"].setFocus()

    def act(self, what: str) -> None:
        """Do what a button or a key of the review asks for."""
        if what == "close":
            self.toggle()
        elif self.held():
            text = tr("accept or discard the object in progress first, then go on")
            self._say(text, Qgis.MessageLevel.Warning)
        elif what in STATES:
            self.give(what)
        else:
            self.go(1 if what == "next" else -1)

    def want(self, wanted: Wanted) -> None:
        """Go through other features from now on."""
        self.queue.wanted = wanted
        self._show()

    def remove(self) -> None:
        """Take the panel out of the window."""
        self._iface.currentLayerChanged.disconnect(self._follow)
        self._watched.watch(None)
        self._iface.removeDockWidget(self.panel)
        self.panel.deleteLater()

    # -- what the user does ----------------------------------------------------------

    def go(self, step: int) -> None:
        """Select the feature after this one, or before it, and show it."""
        self._catch_up()
        if self.layer is not None:
            chosen = self._chosen()
            here = (chosen[-1] if step > 0 else chosen[0]) if chosen else self._last()
            self._go_to(self.queue.beside(here, step))

    def give(self, state: str) -> None:
        """Say what the selected features are, and go on; the state that they have is taken back."""
        self._catch_up()
        layer, chosen = self.layer, self._chosen()
        if layer is None:
            return
        if not chosen:
            self._say(
                tr("select a feature to review, or go to the next"), Qgis.MessageLevel.Warning
            )
            return
        again = state != TO_CHECK and all(one.state == state for one in chosen)
        try:
            done = write_state(layer, chosen, TO_CHECK if again else state)
        except TargetError as error:
            self._say(str(error), Qgis.MessageLevel.Warning)
            self._show()
            return
        if done:
            self._keep(layer, chosen)
        if again or state == TO_CHECK:
            self._show()
        else:
            self._catch_up()
            self._go_to(self.queue.beside(chosen[-1], 1))

    def _keep(self, layer: Any, chosen: List[Item]) -> None:
        """Keep how a state is taken back by Backspace, which goes back to the features, too."""

        def back() -> None:
            if layer == self.layer:
                fids = [one.fid for one in chosen]
                self._select(fids)
                self._zoom(fids)

        entry = edit_of(layer, back)
        self._journal.add(entry.back, entry.stands)
        self.kept.emit()

    def _chosen(self) -> List[Item]:
        """Return the features that are selected, the most doubtful first."""
        if self.layer is None:
            return []
        found = [self.queue.get(fid) for fid in self.layer.selectedFeatureIds()]
        return self.queue.sorted(one for one in found if one is not None)

    def _last(self) -> Optional[Item]:
        """Return the feature that the review came to last, also if it is gone."""
        return None if self._at is None else self.queue.get(self._at.fid) or self._at

    def _go_to(self, item: Optional[Item]) -> None:
        layer = self.layer
        if layer is None:
            return
        if item is None:
            layer.removeSelection()
            self._say(tr("nothing is left to review here"), Qgis.MessageLevel.Info)
        else:
            self._at = item
            self._select([item.fid])
            self._zoom([item.fid])
        self._show()

    def _select(self, fids: List[int]) -> None:
        if self.layer is not None:
            self.layer.selectByIds(fids)

    def _zoom(self, fids: List[int]) -> None:
        """Show features with some ground around them, and let them flash."""
        layer, box = self.layer, QgsRectangle()
        if layer is None:
            return
        box.setMinimal()
        for feature in layer.getFeatures(fids):
            if feature.hasGeometry() and not feature.geometry().isEmpty():
                box.combineExtentWith(feature.geometry().boundingBox())
        if box.isNull() or box.xMinimum() > box.xMaximum():
            return
        settings = self._canvas.mapSettings()
        context = QgsProject.instance().transformContext()
        move = QgsCoordinateTransform(layer.crs(), settings.destinationCrs(), context)
        try:
            seen = move.transformBoundingBox(box)
        except QgsCsException:
            text = tr("the feature has no place in the CRS of the map")
            self._say(text, Qgis.MessageLevel.Warning)
            return
        if seen.isEmpty():  # of no size: the scale stays
            self._canvas.setCenter(seen.center())
        else:
            seen.grow(MARGIN * max(seen.width(), seen.height()))
            self._canvas.setExtent(seen)
        self._canvas.refresh()
        self._canvas.flashFeatureIds(layer, fids)

    # -- the layer -------------------------------------------------------------------

    def _follow(self, *_: Any) -> None:
        """Review the active layer, or the only one edited; another one active leaves it there."""
        if self.panel.isHidden():
            self._begin(None)
            return
        active = self._iface.activeLayer()
        if not is_polygons(active):
            active = self.layer
        if active is None:
            try:
                active = target_layer(None)
            except TargetError:
                active = None
        if active is not self.layer:
            self._begin(active)
        self._show()

    def _begin(self, layer: Optional[QgsVectorLayer]) -> None:
        self._at = None
        self.queue.wanted = Wanted(self.queue.wanted.state)
        self._watched.watch(layer)

    def _catch_up(self) -> None:
        """Have the queue as the layer is, and drop what is wanted of columns that are gone."""
        self._watched.catch_up()
        if self.layer is None:
            return
        places, wanted = places_of(self.layer), self.queue.wanted
        if places.label == NONE:
            wanted = wanted._replace(label=None)
        if places.flags == NONE and places.fits == NONE:
            wanted = wanted._replace(flag=None)
        if not places.scores:
            wanted = wanted._replace(least=None, most=None)
        if wanted != self.queue.wanted:
            self.queue.wanted = wanted

    # -- what is shown ---------------------------------------------------------------

    def _show(self) -> None:
        if self.panel.isHidden():
            return
        self._catch_up()
        layer, queue = self.layer, self.queue
        if layer is None:
            text = tr("Choose a polygon layer in the list of layers: its features are reviewed.")
            self.panel.show_seen(Seen(about=text, wanted=queue.wanted))
            return
        chosen, places, counts = self._chosen(), places_of(layer), queue.counts()
        one = chosen[0] if len(chosen) == 1 else None
        flagged = places.flags != NONE or places.fits != NONE
        self.panel.show_seen(Seen(
            layer=layer.name(),
            place=None if one is None else queue.place(one),
            counts=(counts[TO_CHECK], counts[CHECKED], counts[REJECTED]),
            about=self._about(layer, chosen),
            hint=why_not(layer),
            state=_shared(chosen),
            wanted=queue.wanted,
            labels=None if places.label == NONE else queue.labels(),
            flags=queue.flags() if flagged else None,
            scored=bool(places.scores),
        ))  # fmt: skip

    def _about(self, layer: QgsVectorLayer, chosen: List[Item]) -> str:
        if not len(self.queue):
            return tr("The layer {name} has no features to review.", name=layer.name())
        if not chosen:
            return tr("Next goes to the most doubtful feature of {name}.", name=layer.name())
        if len(chosen) > 1:
            return tr("{count} features are selected; a state is given to all.", count=len(chosen))
        item = chosen[0]
        first = [f"{item.number} {item.label}".strip()]
        if item.score is not None:
            first.append(tr("score {score}", score=f"{item.score:.2f}"))
        who, when = who_and_when(layer, item.fid) if item.state != TO_CHECK else ("", "")
        said = ", ".join(part for part in (state_title(item.state), who, when[:10]) if part)
        return "\n".join(line for line in (", ".join(first), said, ", ".join(item.flags)) if line)


def _shared(chosen: List[Item]) -> str:
    """Return the state of what is chosen; that of the first that is reviewed where they differ."""
    states = [one.state for one in chosen]
    reviewed = [one for one in states if one != TO_CHECK]
    return (reviewed or states or [""])[0]


def state_title(state: str) -> str:
    """Return a state in the user's language."""
    titles = {TO_CHECK: tr("To check"), CHECKED: tr("Checked"), REJECTED: tr("Rejected")}
    return titles[state]
