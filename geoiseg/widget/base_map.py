"""A map's state as the page sees it: its tools, classes, models, and what it tells."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets
import traitlets

from geoiseg.errors import ExportError, GeoisegError, SessionError
from geoiseg.models import Model, get_model, model_names
from geoiseg.segment import Watch
from geoiseg.session.reviewing import not_rejected
from geoiseg.widget.by_hand import METHODS, HandTools
from geoiseg.widget.channel.actions import HAND_TOOLS, PICK, POINT, REGION, TOOLS, WIRE
from geoiseg.widget.channel.bridge import Bridge
from geoiseg.widget.channel.hand import Hand
from geoiseg.widget.channel.toolbar import Toolbar
from geoiseg.widget.drawing.labels import FIRST
from geoiseg.widget.training import Training
from geoiseg.widget.wire import WireTool
from geoiseg.widget.worker import Job, Urgency

BY_HAND = tuple(tool.name for tool in HAND_TOOLS)
"""Tools that correct an outline."""
PAINTING = 0.015
"""Seconds that the page gets to paint a new mask before it is told of anything else."""


class BaseMap(ipywidgets.VBox, Training):  # type: ignore[misc]
    """All of a map but how it is put together.

    What acts for the page knows a map as this.
    """

    tool = traitlets.Enum(
        [tool.name for tool in (*TOOLS, *HAND_TOOLS)], POINT, help="The tool in use."
    )
    label = traitlets.Unicode(FIRST, help="The class that accepted features get.")
    model = traitlets.Any(help="Name of the model in use; takes a Model object too.")

    brush = traitlets.Float(10.0, min=0, help="Width of the brush in metres on the ground.")

    bridge: Bridge
    hand: Hand
    hand_tools: HandTools
    toolbar: Toolbar
    wire: WireTool
    folder: Path
    """Where the page's Export button writes to."""
    _lock: threading.RLock
    _error: str
    _note: str
    _models: dict[str, Model]
    _own_files: set[Path]

    # -- requests --------------------------------------------------------------------

    def submit(self, run: Callable[[Watch], Any], urgency: Urgency) -> Job:
        """Have the worker do something that nobody waits for."""
        return self._worker.submit(run, urgency)

    def _ask(
        self, change: Callable[[Watch], Any], *, wait: bool, stoppable: bool = False,
        patient: bool = False,
    ) -> Any:  # fmt: skip
        self._clear_line()
        return super()._ask(change, wait=wait, stoppable=stoppable, patient=patient)

    def _clear_line(self) -> None:
        self._error = self._note = ""

    def _learn_speed(self) -> None:
        if self.session.outcome is not None:
            self.lookout.learn(self.session.outcome.milliseconds)
        if self.session.settled:
            self._say("The last clicks changed hardly anything: accept it, or draw a stroke")

    def _say(self, text: str) -> None:
        self._note = text

    def accept(self, label: str | None = None, *, wait: bool = True, **attributes: Any) -> int:
        """Keep the object in progress and return its id.

        It waits until the object is followed and sharpened, unless ``accept_waits`` is off.

        Args:
            label: Its class; by default the current one.
            wait: Whether to return only when it is done (and 0 otherwise).
            **attributes: The user's own columns.

        Raises:
            SessionError: There is no object, or an attribute has a reserved name.
            ExportError: It is accepted, but the project file could not be saved.
        """
        chosen = self.label if label is None else label

        def change(watch: Watch) -> int:
            self.finish_first(watch)
            self._selected, before = None, self.session.accepted
            number = self.session.accept_as_seen(chosen, **attributes)
            if number == self._at:  # else what was selected while it was saved stays so
                self._selected = number
            kept = f", saved to {self.session.project.name}" if self.session.project else ""
            fitted = self._fitted_note(number, before)
            self._note = f"Feature {number} accepted as {chosen}{kept}{fitted and f': {fitted}'}"
            return number

        waits = self.accept_waits
        return self._ask(change, wait=wait, stoppable=waits, patient=waits) or 0

    def edit(self, feature_id: int | None = None, *, wait: bool = True) -> None:
        """Take an accepted feature up again, by default the selected one.

        Raises:
            SessionError: There is no such feature, or none is selected.
        """
        label = self.feature(self._chosen(feature_id)).label
        if label in self._labels:
            self.label = label
        if self.tool in (PICK, REGION):
            self.tool = POINT
        super().edit(feature_id, wait=wait)

    def correct(self, what: str, *places: Any, wait: bool = True, **how: Any) -> Any:
        """Correct an outline by hand, e.g. ``m.correct("brush", [(x, y)], 5.0, feature=3)``.

        Args:
            what: A method of the session: ``move_vertex``, ``add_vertex``, ``delete_vertex``,
                ``brush``, ``erase``, ``cut_hole``, ``fill_hole``, ``move``, ``split``, ``merge``.
            *places: What it takes.
            wait: Whether to return only when it is done.
            **how: What else it takes.

        Raises:
            SessionError: There is no such correction, or nothing to correct.
            PromptError: It can not be done there.
        """
        if what not in METHODS:
            raise SessionError(f"{what!r} is none of {', '.join(METHODS)}")

        def change(_: Watch) -> Any:
            try:
                return getattr(self.session, what)(*places, **how)
            except GeoisegError:
                self.hand_tools.forget()
                raise

        return self._ask(change, wait=wait)

    @property
    def model_choices(self) -> list[str]:
        """Names of the models that were used here, and of the others that are ready.

        The page can choose no other: to the kernel a name may also be a path.
        """
        return list(dict.fromkeys((*self._models, *model_names())))

    def known_model(self, name: str) -> str | Model:
        """Return the model of that name that was used here before, or else the name."""
        return self._models.get(name, name)

    # -- files -----------------------------------------------------------------------

    def export_as(self, name: str, suffix: str) -> None:
        """Write the accepted features into ``m.folder``; what the page's button does.

        A file that this map has not written itself is never replaced.

        Raises:
            ExportError: There is such a file already.
        """
        path = self.folder / f"{name}.{suffix}"
        if path.parent != self.folder or (path.exists() and path not in self._own_files):
            raise ExportError(f"{path.name} exists in {self.folder}; choose another name")

        def change(_: Watch) -> None:
            self.session.export(path)
            self._own_files.add(path)
            all_, kept = self.session.accepted, not_rejected(self.session.accepted)
            rest = f"; {len(all_) - len(kept)} rejected left out" if len(kept) < len(all_) else ""
            self._note = f"{len(kept)} features written to {path}{rest}"

        self._ask(change, wait=False)

    # -- showing ---------------------------------------------------------------------

    def refresh(self) -> None:
        """Show the session as it is now."""
        if not hasattr(self, "lookout"):
            return
        with self._lock:
            frame, colour = self.frame, self._labels.colour(self.label)
            self._learn_labels()
            if self.scene.draw_mask(self.session, frame, colour):
                time.sleep(PAINTING)
            self.bridge.answered += 1
            self.scene.draw_prompts(self.session, frame)
            self.scene.draw_outline(self.session, frame, colour)
            self.scene.draw_hint(self.suggestion, frame, self.session.raster.grid.crs)
            self.scene.draw_candidates(self.session, frame)
            self.scene.draw_features(self.session, frame, self._labels, self.selected, self.hidden)
            if self.model != self.session.model.info.name:
                self.model = self.session.model
                self.lookout.forget()
            self.hand_tools.show()
            self.wire.show()
            self.show_review()
            self.bridge.tool = self.tool
            self.bridge.prompting = self.tool not in (PICK, REGION, WIRE, *BY_HAND)
            self.bridge.hover_ms = self.lookout.hover_ms
            self.toolbar.state = self._state()
        self._show_jobs()

    def _state(self) -> dict[str, Any]:
        session = self.session
        return {
            "tool": self.tool,
            "label": self.label,
            "labels": [list(item) for item in self._labels.items],
            "can_undo": session.can_undo,
            "can_redo": session.can_redo,
            "has_object": session.outcome is not None,
            "editing": session.editing,
            "selected": self.selected,
            "count": len(session.accepted),
            "model": session.model.info.name,
            "models": [[name, self._about(name)] for name in self.model_choices],
            "words": self.words_state(),
            "can_grow": session.goes_on,
            "can_sharpen": session.coarser(native=self._native),
            "detail": self.detail,
            "accept_waits": self.accept_waits,
            "simplify": self.simplify,
            "snap": self.snap,
            "shape": self.shape,
            "snap_unit": self._snap_unit,
            "preview": self.preview,
            "preview_possible": self.lookout.quick,
            "layers": [
                layer.describe(session.raster if layer is self.rasters.first else None)
                for layer in self.rasters
            ],
            "project": None if session.project is None else session.project.name,
            "folder": str(self.folder),
            "training": self.training_state(),
        }

    def show_training(self) -> None:
        """Show how far the training is."""
        if hasattr(self, "lookout"):
            self.toolbar.state = {**self.toolbar.state, "training": self.training_state()}

    def _about(self, name: str) -> str:
        known = self._models.get(name)
        return "" if known is None else known.info.description

    def show_error(self, text: str) -> None:
        """Show an error on the map in one line."""
        self._error = " ".join(text.split())
        self.bridge.answered += 1
        self._show_jobs()

    def _show_error(self, text: str) -> None:
        self.show_error(text)

    def _show_jobs(self) -> None:
        if not hasattr(self, "lookout"):
            return
        job = self._shown_job
        status: dict[str, Any] = {"error": self._error, "note": self._note}
        if job is not None:
            status |= {"phase": job.phase, "since": job.since}
        self.toolbar.status = status

    @traitlets.validate("model")
    def _check_model(self, proposal: Any) -> str:
        value = proposal["value"]
        model = self._models.get(value) if isinstance(value, str) else None
        model = get_model(value) if model is None else model
        self._models[model.info.name] = model
        return model.info.name

    @traitlets.observe("model")
    def _model_changed(self, change: Any) -> None:
        if change["new"] != self.session.model.info.name:
            try:
                self.use_model(self.known_model(change["new"]))
            finally:
                self.model = self.session.model.info.name

    @traitlets.observe("tool", "label", "brush")
    def _choice_changed(self, change: Any) -> None:
        if change["name"] == "label" and change["new"] and change["new"] not in self._labels:
            self._change_labels(self._labels.plus(change["new"]), wait=False)
        self.refresh()
