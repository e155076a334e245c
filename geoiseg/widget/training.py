"""A model of one's own from the map, trained while clicks go on."""

from __future__ import annotations

import importlib
import logging
import threading
import time
from typing import Any

from geoiseg.errors import CancelledError, GeoisegError, SessionError, require
from geoiseg.models.naming import place_for_new
from geoiseg.widget.reviewing import Reviewing

log = logging.getLogger(__name__)

TOLD_EVERY = 0.4
"""Seconds between two looks at how far it is."""


class Training(Reviewing):
    """A map on which ``tiny`` learns from the accepted features, in a thread of its own."""

    _stop_training: threading.Event | None = None
    """Of the training that goes on; None where there is none."""
    _trained: dict[str, Any] = {}  # noqa: RUF012 - replaced whole, never changed
    """What the page shows of it: ``name``, ``what``, ``done``, ``whole``, ``said`` at its end."""

    def train(self, name: str, *, wait: bool = True, options: Any = None) -> Any:
        """Train ``tiny`` on the accepted features; the result is a model by name everywhere.

        Clicks go on meanwhile. What was stopped goes on where it was when it is begun again.

        Args:
            name: Of the model, e.g. ``roofs``; or a path with a slash in it.
            wait: Whether to return only when it is done.
            options: ``geoiseg.training.own.make.OwnOptions``; by default as ``geoiseg train``.

        Returns:
            With ``wait`` what came of it: ``before`` and ``after`` on features held out,
            ``written``; else None.

        Raises:
            SessionError: A training goes on already.
            ModelError: There are too few features, or the name can not be one.
            ExportError: There is such a model already.
            MissingExtraError: PyTorch is not installed.
        """
        folder = place_for_new(name)
        for module in ("torch", "onnx"):
            require(module, "train")
        making = importlib.import_module("geoiseg.training.own.make")
        material = importlib.import_module("geoiseg.training.own.material")
        if self._stop_training is not None:
            raise SessionError("a model is being trained: wait for it, or stop it first")
        making.check_free(folder)
        source = material.source_of(self.session)
        material.check_enough([source])
        stop = self._stop_training = threading.Event()
        found: list[Any] = []

        def run() -> None:
            try:
                tell = self._teller(name, stop)
                found.append(making.make_own([source], folder, options, tell))
            except BaseException as error:  # noqa: BLE001 - told on the map, raised to whoever waits
                found.append(error)
            finally:
                self._trained = {"name": name, "said": _said(name, found[0])}
                self._stop_training = None
                self.refresh()

        thread = threading.Thread(target=run, name="geoiseg-train", daemon=True)
        thread.start()
        if not wait:
            return None
        try:
            thread.join()
        except KeyboardInterrupt:
            stop.set()
            raise
        if isinstance(found[0], BaseException):
            raise found[0]
        return found[0]

    def stop_training(self) -> bool:
        """Stop the training, and say whether there was one; what it has learnt is kept."""
        stop = self._stop_training
        if stop is not None:
            stop.set()
        return stop is not None

    def _teller(self, name: str, stop: threading.Event) -> Any:
        """Return what is told how far a training is; it ends one that is to stop."""
        shown = 0.0

        def tell(what: str, done: int, whole: int) -> None:
            nonlocal shown
            if stop.is_set():
                raise CancelledError("the training is stopped; begun again, it goes on from there")
            if time.monotonic() - shown > TOLD_EVERY:
                shown = time.monotonic()
                self._trained = {"name": name, "what": what, "done": done, "whole": whole}
                self.show_training()

        return tell

    def show_training(self) -> None:
        """Show how far the training is."""

    def training_state(self) -> dict[str, Any]:
        """Return what the page shows of the training."""
        return {"running": self._stop_training is not None, **self._trained}


def _said(name: str, came: Any) -> str:
    """Return in a line what came of a training."""
    if isinstance(came, GeoisegError):
        return str(came)
    if isinstance(came, BaseException):
        log.error("training failed", exc_info=came)
        return f"{type(came).__name__}: {came}"
    clicks = f"{came.before.clicks:.1f} to {came.after.clicks:.1f} clicks"
    ious = f"IoU at the first {came.before.iou1:.2f} to {came.after.iou1:.2f}"
    said = f"on {came.before.objects} features held out: {clicks}, {ious}"
    if not came.written:
        return f"It did not help, and nothing was written; {said}"
    return f"{name} is in the list of models; {said}"
