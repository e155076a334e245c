"""One worker thread per device: no model ever runs in a handler, and never two at once."""

from __future__ import annotations

import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from enum import IntEnum
from typing import Any

from geoiseg.errors import CancelledError, GeoisegError
from geoiseg.segment import Watch

log = logging.getLogger(__name__)


class Urgency(IntEnum):
    """What is done first."""

    ASKED = 0
    """The user waits for it."""
    PREVIEW = 1
    """It follows the cursor."""
    FINISHING = 2
    """The user has an answer, and this makes it finer."""
    IDLE = 3
    """It may be of use later."""


class Job:
    """A request with its number, what it is doing and how to stop it."""

    def __init__(self, number: int, run: Callable[[Watch], Any], notify: Callable[[Job], None]):
        self.number = number
        """Id of the request; later ones have greater ids."""
        self.phase = "waiting"
        """``waiting``, ``reading``, ``encoding``, ``decoding`` or ``done``."""
        self.since = time.time()
        """Seconds since the epoch at which it was asked for."""
        self.begun = False
        self.stoppable = False
        """Whether it looks, while it runs, if it was told to stop."""
        self.future: Future[Any] = Future()
        self._run = run
        self._notify = notify
        self._stop = threading.Event()

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop; its answer is not wanted any more."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Ask it to stop at the next phase; one that has not begun never will."""
        self._stop.set()

    def tell(self, phase: str) -> None:
        """Say what it is doing."""
        self.phase = phase
        self._notify(self)

    def execute(self) -> None:
        """Run it; whatever goes wrong is kept in its future."""
        try:
            self.begun = True
            if self.stopped:
                raise CancelledError("stopped before it began")
            watch = Watch(tell=self.tell, cancelled=self._stop.is_set)
            self.future.set_result(self._run(watch))
        except BaseException as error:
            if not isinstance(error, GeoisegError):
                log.exception("a request to the model failed")
            self.future.set_exception(error)
        finally:
            self.tell("done")


class Worker:
    """A thread that does one job after the other, the most urgent first."""

    def __init__(self, device: str) -> None:
        self._queue: queue.PriorityQueue[tuple[int, int, Job]] = queue.PriorityQueue()
        self._numbers = itertools.count(1)
        self.current: Job | None = None
        """What it is doing."""
        self._thread = threading.Thread(target=self._loop, name=f"geoiseg-{device}", daemon=True)
        self._thread.start()

    def _loop(self) -> None:
        while True:
            self._run(self._queue.get()[-1])

    def _run(self, job: Job) -> None:
        outer, self.current = self.current, job
        job.execute()
        self.current = outer

    def submit(
        self,
        run: Callable[[Watch], Any],
        urgency: Urgency = Urgency.ASKED,
        notify: Callable[[Job], None] = lambda _: None,
    ) -> Job:
        """Return a job that will run when its turn comes.

        Asked for in the worker's own thread, it runs at once: waiting for it there would
        wait for ever.
        """
        job = Job(next(self._numbers), run, notify)
        if self.is_current:
            self._run(job)
        else:
            self._queue.put((int(urgency), job.number, job))
        return job

    def later(
        self,
        run: Callable[[Watch], Any],
        urgency: Urgency,
        notify: Callable[[Job], None] = lambda _: None,
    ) -> Job:
        """Return a job that will run when its turn comes, even if asked for in this thread."""
        job = Job(next(self._numbers), run, notify)
        self._queue.put((int(urgency), job.number, job))
        return job

    def serve(self, urgency: Urgency) -> None:
        """Run what waits at an urgency and comes next; to be called amid a job that takes long."""
        while self.is_current:
            try:
                head = self._queue.get_nowait()
            except queue.Empty:
                return
            if head[0] != urgency:
                self._queue.put(head)
                return
            self._run(head[-1])

    @property
    def is_current(self) -> bool:
        """Whether the caller runs in the worker's thread."""
        return threading.current_thread() is self._thread


_workers: dict[str, Worker] = {}
_lock = threading.Lock()


def worker_for(device: str = "cpu") -> Worker:
    """Return the one worker of a device, which all maps share."""
    with _lock:
        if device not in _workers:
            _workers[device] = Worker(device)
        return _workers[device]
