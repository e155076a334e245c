"""Requests to the worker: asked for, shown while they run, stopped, their errors told."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from geoiseg.errors import CancelledError, GeoisegError, ModelError
from geoiseg.segment import Watch
from geoiseg.session import Session
from geoiseg.widget.worker import Job, Worker, worker_for

log = logging.getLogger(__name__)

SHOWN_AFTER = 0.2
"""Seconds after which the user is told what is going on; a flash helps nobody."""


class Requests:
    """A session that is changed in the worker of its model's device alone."""

    session: Session

    def _begin(self, session: Session) -> None:
        """Take a session; in place of ``__init__``, which belongs to the widget."""
        self.session = session
        self._asked: dict[int, Job] = {}
        self._asked_lock = threading.Lock()

    # -- what a face shows of it -----------------------------------------------------

    def _show_jobs(self) -> None:
        """Show what the worker is doing."""

    def _show_error(self, text: str) -> None:
        """Show an error in one line."""

    def _clear_line(self) -> None:
        """Take the last error or note away."""

    def refresh(self) -> None:
        """Show the session as it is now."""

    # -- requests --------------------------------------------------------------------

    @property
    def _worker(self) -> Worker:
        return worker_for(str(getattr(self.session.model, "device", "cpu")))

    @property
    def busy(self) -> bool:
        """Whether something that was asked for is not done yet."""
        return bool(self._asked)

    @property
    def _current_job(self) -> Job | None:
        jobs = list(self._asked.values())
        running = [job for job in jobs if job.phase not in ("waiting", "done")]
        return next(iter(running or jobs), None)

    def _ask(self, change: Callable[[Watch], Any], *, wait: bool, stoppable: bool = False) -> Any:
        """Run a change of the session in the worker, and return what it returns.

        One that is ``stoppable`` heeds its watch until just before it changes anything.
        """
        worker = self._worker
        job = worker.submit(
            lambda watch: self._perform(change, watch, worker.current), notify=self._heed
        )
        job.stoppable = stoppable
        with self._asked_lock:
            if job.phase != "done":
                self._asked[job.number] = job
        if not job.future.done():
            timer = threading.Timer(SHOWN_AFTER, self._show_long, [job])
            timer.daemon = True
            timer.start()
        return self._await(job) if wait else None

    def _show_long(self, job: Job) -> None:
        if job.number in self._asked:
            self._show_jobs()

    def _await(self, job: Job) -> Any:
        try:
            return job.future.result()
        except KeyboardInterrupt:
            job.stop()
            raise

    def _heed(self, job: Job) -> None:
        done = job.phase == "done"
        with self._asked_lock:
            if done:
                self._asked.pop(job.number, None)
        if done or time.time() - job.since > SHOWN_AFTER:
            self._show_jobs()

    def _perform(self, change: Callable[[Watch], Any], watch: Watch, job: Job | None) -> Any:
        try:
            result = change(watch)
            with self._asked_lock:  # the change is made: too late to stop it
                self._asked.pop(job.number if job else 0, None)
        except CancelledError:
            raise
        except GeoisegError as error:
            log.info("%s", error)
            self._show_error(str(error))
            raise
        except Exception as error:
            name = self.session.model.info.name
            log.exception("the model %s failed", name)
            reason = " ".join(str(error).split()) or type(error).__name__
            message = f"the model {name} failed: {type(error).__name__}: {reason}"
            self._show_error(message)
            raise ModelError(message) from error
        else:
            return result
        finally:
            self.refresh()

    def stop(self) -> bool:
        """Stop the model, and what waits for its answer; say whether it was at work."""
        with self._asked_lock:
            jobs = [job for job in self._asked.values() if job.stoppable or not job.begun]
            if not any(job.stoppable for job in jobs):
                jobs = []
            for job in jobs:
                job.stop()
                del self._asked[job.number]
        if jobs:
            self.refresh()
        return bool(jobs)
