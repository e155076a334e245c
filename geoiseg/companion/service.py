"""Requests from the pipe, done one after the other; a request can be called off at any time."""

from __future__ import annotations

import logging
import multiprocessing
import os
import platform
import queue
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from geoiseg.companion import PROTOCOL
from geoiseg.companion.fields import Fields
from geoiseg.companion.pipe import Pipe, RequestError
from geoiseg.errors import CancelledError, GeoisegError
from geoiseg.version import __version__

log = logging.getLogger(__name__)

Done = Callable[[Fields, Any, Callable[[float | None, str], None]], dict[str, Any]]


@dataclass(eq=False)
class Asked:
    """A request that is waiting or being done."""

    number: int
    what: str
    params: Any
    stopped: threading.Event = field(default_factory=threading.Event)


class Service:
    """Does what is asked, in one thread: one model, one raster, one order of things."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._waiting: queue.SimpleQueue[Asked] = queue.SimpleQueue()
        self._known: dict[int, Asked] = {}
        self._objects: Any = None
        self._finding: Any = None
        self._fitting: Any = None

    def run(self) -> int:
        """Serve until the other end is gone, and return the exit code."""
        threading.Thread(target=self._work, name="work", daemon=True).start()
        self._pipe.send(
            hello=PROTOCOL, version=__version__, python=platform.python_version(),
            executable=sys.executable, pid=os.getpid(),
        )  # fmt: skip
        for message in self._pipe.requests():
            if isinstance(message, RequestError):
                self._fail(0, message)
            else:
                self._take(message)
        return 0

    @property
    def busy(self) -> bool:
        """Whether anything is not answered yet."""
        return bool(self._known)

    def _take(self, message: dict[str, Any]) -> None:
        number, what = message.get("id"), message.get("do")
        if isinstance(number, bool) or not isinstance(number, int) or not isinstance(what, str):
            self._fail(0, RequestError(f"a request has id and do, got {message!r:.60}"))
        elif what == "cancel":
            asked = self._known.get(number)
            if asked is not None:
                asked.stopped.set()
        else:
            asked = Asked(number, what, message.get("params", {}))
            self._known[number] = asked
            self._waiting.put(asked)

    def _work(self) -> None:
        while True:
            asked = self._waiting.get()
            try:
                self._pipe.send(id=asked.number, result=self._answer(asked))
            except Exception as error:  # noqa: BLE001 - whatever it is, the asker is told
                self._fail(asked.number, error)
            finally:
                self._known.pop(asked.number, None)

    def _answer(self, asked: Asked) -> dict[str, Any]:
        from geoiseg.segment import Watch

        if asked.stopped.is_set():
            raise CancelledError("stopped")

        def tell(share: float | None, text: str) -> None:
            self._pipe.send(id=asked.number, progress=share, text=text)

        do = self._how(asked.what)
        return do(Fields(asked.params), Watch(cancelled=asked.stopped.is_set), tell)

    def _how(self, what: str) -> Done:
        """Return what does a request; libraries are loaded with the first that needs them."""
        if what == "models":
            return _models
        if what == "put":
            from geoiseg.companion.sent import SENT

            return SENT.put
        if what in JOBS:
            where, name = JOBS[what]
            job: Done = getattr(import_module(f"geoiseg.companion.{where}"), name)
            return job
        if what in OBJECTS:
            if self._objects is None:
                from geoiseg.companion.finding import Finding
                from geoiseg.companion.fitting import Fitting
                from geoiseg.companion.objects import Objects

                self._objects = Objects()
                self._finding = Finding(self._objects)
                self._fitting = Fitting(self._objects)
            objects, fitting = self._objects, self._fitting
            known: dict[str, Done] = {
                "open": objects.open, "object": objects.answer, "suggest": objects.suggest,
                "alternatives": objects.alternatives, "hover": objects.hover,
                "find": self._finding.find, "reshape": fitting.reshape, "fit": fitting.fit,
            }  # fmt: skip
            return known[what]
        raise RequestError(f"{what!r} is nothing that can be done here")

    def _fail(self, number: int, error: BaseException) -> None:
        if isinstance(error, (GeoisegError, OSError, MemoryError)):
            text = " ".join(str(error).split()) or type(error).__name__
        else:
            log.error("request %s failed", number, exc_info=error)
            text = f"{type(error).__name__}: {' '.join(str(error).split())}"
        self._pipe.send(id=number, error={"kind": type(error).__name__, "text": text})


OBJECTS = (
    "open", "object", "suggest", "alternatives", "hover", "find", "reshape", "fit",
)  # fmt: skip
"""What is asked about objects on rasters that stay open."""
JOBS = {
    "segment": ("jobs", "segment"), "map": ("jobs", "map_raster"), "refine": ("jobs", "refine"),
    "clean": ("jobs", "clean"), "shoreline": ("shorelines", "shoreline"),
    "evaluate": ("scoring", "evaluate"),
}  # fmt: skip
"""What does long jobs, by the names of the commands that do the same."""


def _models(fields: Fields, watch: Any, tell: Any) -> dict[str, Any]:  # noqa: ARG001
    """Return the names of the models that are ready here."""
    from geoiseg.models.listing import built_in, trained_here, with_weights

    fields.done()
    every = (*built_in(), *trained_here(), *with_weights())
    ready = [model.name for model in every if model.is_ready]
    return {"models": sorted(ready, key=lambda name: (name != "tiny", name))}


def _clear() -> None:
    """Remove what was sent."""
    sent = sys.modules.get("geoiseg.companion.sent")
    if sent is not None:
        sent.SENT.clear()


def serve() -> int:
    """Serve the process's own pipes; return when the other end is gone.

    What still runs then is of no use to anybody, so the process does not wait for it.
    """
    os.closerange(3, 256)  # what else the GIS has open is none of ours
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    code = Service(Pipe.standard()).run()
    _clear()
    for child in multiprocessing.active_children():
        child.terminate()
    sys.stderr.flush()
    os._exit(code)
