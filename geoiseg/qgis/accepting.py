"""Accepting: fitted among neighbours, with attributes filled in, into the layer being edited."""

from __future__ import annotations

from datetime import date
from typing import Any, List, NamedTuple, Optional, Tuple

from qgis.core import Qgis, QgsProject, QgsSettings, QgsVectorLayer

from .finder import Finder
from .form import Form
from .journal import Journal, edit_of
from .preferences import preference
from .shaping import Fitted, Shaping
from .target import (
    Extra,
    TargetError,
    add_features,
    new_feature,
    replace_feature,
    target_layer,
)
from .words import tr
from .work import Found, Mark, ObjectInProgress

TODAY = "geoiseg/today"
"""Setting with the date, and how many objects were accepted on it."""


class Target(NamedTuple):
    """Where an object goes."""

    layer: QgsVectorLayer
    feature: Optional[int]
    """The one whose outline it becomes; None for a new one."""
    marks: Tuple[Mark, ...]
    """What the user did for it."""


class Accepting:
    """What the user accepts; the desk has the parts."""

    _iface: Any
    _waits_to_accept: bool
    _finishes: bool
    _failed: Tuple[Mark, ...]
    """Marks of an object that could not be finished."""
    work: ObjectInProgress
    finder: Finder
    shaping: Shaping
    journal: Journal
    form: Form
    dock: Any
    label: Any

    def say(self, text: str, level: Any) -> None:
        """Tell the user a line, and log it."""
        raise NotImplementedError

    def accept(self, *, as_it_is: bool = False) -> None:
        """Put the object into the layer being edited, once its outline is there.

        What was seen from afar, or goes on, is finished first; stopped, it is taken as it is, and
        also where finishing it has failed once.
        """
        if self.work.busy:
            self._waits_to_accept = True
            return
        found = self.work.found
        if found is None:
            text = tr("there is no object to accept: click on one first")
            self.say(text, Qgis.MessageLevel.Warning)
            return
        try:
            refined, layer = self._place_of_object()
        except TargetError as error:
            self.say(str(error), Qgis.MessageLevel.Warning)
            return
        as_it_is = as_it_is or self.work.marks == self._failed
        if not as_it_is and self.work.can_finish:
            self.work.add(Mark("sharpen"))
            self._waits_to_accept = self._finishes = self.work.busy
            return
        target, width = Target(layer, refined, self.work.marks), preference("snap")
        if width > 0:
            self.shaping.fit(layer, found, width, refined, lambda one: self._ask(target, one))
            self._refresh()
        else:
            self._ask(target, Fitted(found, {}))

    def _go_on(self) -> None:
        """Leave the object in progress: the user says more of it after all."""
        self._waits_to_accept = self._finishes = False

    def _settled(self, why: str) -> None:
        """Accept what waits for it, once it is answered, or stopped while it was finished.

        Args:
            why: Kind of what went wrong; empty where it was answered.
        """
        waits, finishes = self._waits_to_accept, self._finishes
        self._go_on()
        stopped = finishes and why == "CancelledError"
        if (
            finishes and why and not stopped and why != "SetupError"
        ):  # that is mended, and asked again
            self._failed = self.work.marks
        if waits and (not why or stopped) and self.work.found is not None:
            self.accept(as_it_is=finishes)

    def _refresh(self) -> None:
        raise NotImplementedError

    def _place_of_object(self) -> Tuple[Optional[int], QgsVectorLayer]:
        """Return the feature that the object replaces, or None, and the layer it goes into.

        Raises:
            TargetError: There is none, or it is not being edited.
        """
        feature = next((one.feature for one in self.work.marks if one.feature), None)
        if feature is None:
            return None, target_layer(self._iface.activeLayer())
        layer = QgsProject.instance().mapLayer(feature[0])
        if layer is None:
            raise TargetError(tr("the layer of the feature that was refined is gone: discard this"))
        if not layer.isEditable():
            raise TargetError(tr("toggle editing of {name} to accept into it", name=layer.name()))
        return feature[1], layer

    def _ask(self, target: Target, fitted: Fitted) -> None:
        """Ask for attributes where that is wanted, and then put the object into its layer."""
        if target.feature is not None or not preference("form"):
            self._put(target, fitted, None)
            return
        try:
            feature = new_feature(target.layer, fitted.found, *self._said())
        except TargetError as error:
            self.say(str(error), Qgis.MessageLevel.Warning)
            return
        self.form.ask(target.layer, feature, lambda values: self._put(target, fitted, values))

    def _said(self) -> Tuple[str, str]:
        """Return the class that is chosen, and the raster's name."""
        raster = self.work.raster
        return self.label.text().strip(), raster.name if raster else ""

    def _put(self, target: Target, fitted: Fitted, attributes: Optional[List[Any]]) -> None:
        extra = Extra(fitted.neighbours, attributes)
        try:
            if target.feature is not None:
                replace_feature(target.layer, target.feature, fitted.found, extra)
            else:
                add_features(target.layer, [fitted.found], *self._said(), extra)
        except TargetError as error:
            self.say(str(error), Qgis.MessageLevel.Warning)
            return
        self._keep(target.layer, 1, lambda: self.work.restore(target.marks))
        if self.work.marks == target.marks:  # what was begun meanwhile stays
            self.work.clear()

    def _keep(self, layer: QgsVectorLayer, many: int, then: Any) -> None:
        """Count what was accepted, and keep how it is undone."""
        self.count(many)

        def back() -> None:
            self.count(-many)
            then()

        entry = edit_of(layer, back)
        self.journal.add(entry.back, entry.stands)

    def accept_all(self) -> None:
        """Put all candidates that are shown into the layer, as one edit."""
        finder = self.finder
        shown, facts = finder.shown, finder.facts
        if not shown:
            return
        found = [Found(one.geometry, finder.crs, {**facts, "score": one.score}) for one in shown]
        label, source = self._said()
        try:
            layer = target_layer(self._iface.activeLayer())
            add_features(layer, found, label or finder.words, source)
        except TargetError as error:
            self.say(str(error), Qgis.MessageLevel.Warning)
            return
        search = finder.searches
        finder.take([one.number for one in shown], tell=False)
        self._keep(layer, len(found), lambda: finder.undo() if finder.searches == search else None)

    def count(self, more: int) -> None:
        """Count what was accepted today, and show it."""
        day, _, number = QgsSettings().value(TODAY, "", type=str).partition(" ")
        today = date.today().isoformat()
        count = max(0, (int(number) if day == today and number.isdigit() else 0) + more)
        if more:
            QgsSettings().setValue(TODAY, f"{today} {count}")
        self.dock.today.setText(tr("Accepted today: {count}", count=count))
