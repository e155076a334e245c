"""Who does the tasks: this process, its threads, other processes, or a Dask cluster.

A driver takes numbers from a queue only as fast as results come back, so that neither it
nor a scheduler ever holds more than a few tasks per worker; what fails is put back by
whoever reads the outcomes, and is taken again.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from dataclasses import dataclass
from typing import Any, Protocol, Self

from geoiseg.errors import PromptError, WorkerError, require
from geoiseg.models import ModelInfo, ModelOptions
from geoiseg.raster import Window
from geoiseg.tiled.cluster import (
    GPU,
    WorkerPlan,
    huge_pages,
    local_cluster,
    plan_workers,
    visible_cards,
)
from geoiseg.tiled.pilot import Look, Place
from geoiseg.tiled.worker import Job, Result, Task, describe, look_at_place, run_task

AHEAD = 2
"""Tasks in flight for each worker: one that runs and one that waits for it."""
CRASHES = 3
"""How often a task may be running while its process dies before it is blamed."""
KINDS = ("serial", "threads", "processes", "dask")

Payload = Callable[[int], Task]
"""Gives the task of a number in the queue."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """How a task ended."""

    number: int
    result: Result | None = None
    error: BaseException | None = None


class Driver(Protocol):
    """What runs the tasks of a queue."""

    def run(self, job: Job, queue: deque[int], payload: Payload) -> Iterator[Outcome]:
        """Yield outcomes as they come, until the queue is empty and all are done."""
        ...


def choose_driver(
    scheduler: str | None, workers: int | None, device: str = "auto"
) -> tuple[Driver, int]:
    """Return a driver and the CPU threads that the model of each worker should use.

    Args:
        scheduler: ``serial``, ``threads``, ``processes``, ``dask`` (a cluster on this
            machine), or the address of a Dask scheduler; by default ``processes`` where more
            than one worker is asked for, else ``serial``.
        workers: How many; by default one, or all of a cluster's.
        device: Of the model; a Dask cluster that is made here has one worker per card.

    Raises:
        ModelError: A card is asked for that is not there.
        PromptError: No such scheduler or number of workers.
        MissingExtraError: Dask is not installed.
    """
    if workers is not None and workers < 1:
        raise PromptError(f"there is at least one worker, got {workers}")
    kind = scheduler or ("processes" if workers is not None and workers > 1 else "serial")
    if kind not in KINDS and "://" not in kind:
        raise PromptError(
            f"the scheduler is one of {', '.join(KINDS)} or an address such as"
            f" tcp://host:8786, got {kind!r}"
        )
    if kind == "serial":
        return Serial(), 0
    count = workers or os.cpu_count() or 1
    if kind == "threads":
        return Pool(count, processes=False), 0
    threads = max(1, (os.cpu_count() or 1) // count)
    if kind == "processes":
        return Pool(count, processes=True), threads
    require("distributed", "dask")
    if kind == "dask" and device.startswith("cuda"):
        plans = plan_workers(device, workers, visible_cards())
        return Dask(None, len(plans), plans), max(1, (os.cpu_count() or 1) // len(plans))
    if kind == "dask":
        return Dask(None, count, plan_workers(device, count, ())), threads
    return Dask(kind, workers), 0


class Serial:
    """One task after the other, here."""

    def run(self, job: Job, queue: deque[int], payload: Payload) -> Iterator[Outcome]:
        """Yield outcomes in the order of the queue."""
        while queue:
            number = queue.popleft()
            try:
                result = run_task(job, payload(number))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is reported
                yield Outcome(number, error=error)
            else:
                yield Outcome(number, result)


class Pool:
    """Threads or processes of this machine."""

    def __init__(self, workers: int, *, processes: bool) -> None:
        self.workers = workers
        self.processes = processes
        self._crashes: dict[int, int] = {}

    def _executor(self) -> Executor:
        if self.processes:
            spawn = multiprocessing.get_context("spawn")
            return ProcessPoolExecutor(self.workers, mp_context=spawn)
        return ThreadPoolExecutor(self.workers)

    @property
    def _room(self) -> int:
        """Tasks that may be in flight: one alone where another crash is to show whose it is."""
        suspected = max(self._crashes.values(), default=0) >= CRASHES - 1
        return 1 if suspected else AHEAD * self.workers

    def run(self, job: Job, queue: deque[int], payload: Payload) -> Iterator[Outcome]:
        """Yield outcomes as they come; a process that dies costs its tasks, no more."""
        with huge_pages() if self.processes else contextlib.nullcontext():
            yield from self._run(job, queue, payload)

    def _run(self, job: Job, queue: deque[int], payload: Payload) -> Iterator[Outcome]:
        executor = self._executor()
        flying: dict[Future[Result], int] = {}
        try:
            while queue or flying:
                while queue and len(flying) < self._room:
                    number = queue.popleft()
                    try:
                        future = executor.submit(run_task, job, payload(number))
                    except BrokenExecutor:
                        queue.appendleft(number)
                        break
                    flying[future] = number
                done = wait(flying, return_when=FIRST_COMPLETED).done
                broken = False
                for future in done:
                    number, error = flying.pop(future), future.exception()
                    if isinstance(error, BrokenExecutor):
                        broken = True
                        yield from self._crashed(number, queue)
                        continue
                    self._crashes.pop(number, None)
                    yield Outcome(number, None if error else future.result(), error)
                if broken:
                    for number in flying.values():
                        yield from self._crashed(number, queue)
                    flying.clear()
                    executor.shutdown(wait=False, cancel_futures=True)
                    executor = self._executor()
        finally:
            stop(executor)

    def _crashed(self, number: int, queue: deque[int]) -> Iterator[Outcome]:
        self._crashes[number] = self._crashes.get(number, 0) + 1
        if self._crashes[number] < CRASHES:
            queue.appendleft(number)
            return
        del self._crashes[number]
        reason = "the process that worked on it died each time; is there enough memory?"
        yield Outcome(number, error=WorkerError(reason))


def stop(executor: Executor) -> None:
    """Stop a pool at once, its processes included."""
    processes = dict(getattr(executor, "_processes", None) or {})
    executor.shutdown(wait=not processes, cancel_futures=True)
    for process in processes.values():
        with contextlib.suppress(OSError, ValueError):
            process.terminate()


class Dask:
    """A cluster: one made here for the run, or any that has an address."""

    def __init__(
        self, address: str | None, workers: int | None, plans: Sequence[WorkerPlan] = ()
    ) -> None:
        self.address = address
        self.workers = workers
        self.plans = plans
        self._open = contextlib.ExitStack()
        self._connected: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connected = None
        self._open.close()

    def _client(self) -> Any:
        if self._connected is None:
            self._connected = self._open.enter_context(self._connection())
        return self._connected

    def describe(self, job_model: str, running: ModelOptions) -> ModelInfo:
        """Return what a worker's model says of itself, so that none is loaded here.

        Raises:
            GeoisegError: The worker can not load it.
        """
        info: ModelInfo = self._asked(describe, running.device, job_model, running)
        return info

    def looks(self, job: Job) -> Look:
        """Return what looks at places of a run, all workers at a time.

        A place at which a worker dies is as good as none: its window says so later.
        """

        def look(windows: Sequence[Window]) -> list[Place | None]:
            client = self._client()
            able = max(1, self._cards(job.running.device, client) or self._threads(client))
            found: list[Place | None] = []
            for start in range(0, len(windows), able):
                found += self._looked(client, job, windows[start : start + able])
            return found

        return look

    def _looked(self, client: Any, job: Job, windows: Sequence[Window]) -> list[Place | None]:
        """Return what is seen at places, at all of them at a time."""
        distributed: Any = require("distributed", "dask")
        cards = {GPU: 1} if self._cards(job.running.device, client) else None
        asked = [client.submit(look_at_place, job, window, pure=False, resources=cards)
                 for window in windows]  # fmt: skip
        try:
            distributed.wait(asked)
            errors = [one.exception() for one in asked]
        except (distributed.client.CancelledError, OSError) as gone:
            raise WorkerError("the Dask scheduler is gone; nothing was done yet") from gone
        for error in errors:
            if error is not None and not isinstance(error, distributed.KilledWorker):
                raise error
        return [None if error else one.result()
                for one, error in zip(asked, errors, strict=True)]  # fmt: skip

    def _asked(self, question: Callable[..., Any], device: str, *given: Any) -> Any:
        """Return what a worker with the device of the run answers."""
        client = self._client()
        cards = {GPU: 1} if self._cards(device, client) else None
        return client.submit(question, *given, pure=False, resources=cards).result()

    @contextlib.contextmanager
    def _connection(self) -> Iterator[Any]:
        distributed: Any = require("distributed", "dask")
        if self.address is None:
            with local_cluster(self.plans) as client:
                yield client
            return
        try:
            client = distributed.Client(self.address, timeout="20s")
        except (OSError, ValueError) as error:
            raise WorkerError(
                f"there is no Dask scheduler at {self.address}: {error or 'no answer'};"
                " is it running?"
            ) from error
        with client:
            yield client

    def run(self, job: Job, queue: deque[int], payload: Payload) -> Iterator[Outcome]:
        """Yield outcomes as they come; Dask gives a dead worker's tasks to another."""
        distributed: Any = require("distributed", "dask")
        cancelled = distributed.client.CancelledError
        with self:
            client = self._client()
            flying: dict[Any, int] = {}
            cards = {GPU: 1} if self._cards(job.running.device, client) else None
            while queue or flying:
                able = self._cards(job.running.device, client) if cards else self._threads(client)
                room = AHEAD * max(1, able) - len(flying)
                for _ in range(min(room, len(queue))):
                    number = queue.popleft()
                    future = client.submit(
                        run_task, job, payload(number), pure=False, resources=cards
                    )
                    flying[future] = number
                try:
                    done = distributed.wait(list(flying), return_when="FIRST_COMPLETED").done
                    for future in done:
                        number = flying.pop(future)
                        error = future.exception()
                        yield Outcome(number, None if error else future.result(), error)
                        future.release()
                except (cancelled, OSError) as error:
                    raise WorkerError(
                        "the Dask scheduler is gone; what was done is kept, go on with --resume"
                    ) from error

    def _cards(self, device: str, client: Any) -> int:
        """Return how many GPUs the workers offer, where the model is to run on one."""
        if not device.startswith("cuda"):
            return 0
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        return int(sum(worker.get("resources", {}).get(GPU, 0) for worker in workers))

    def _threads(self, client: Any) -> int:
        """Return how many tasks the cluster can run at once, at most ``workers``."""
        known = int(sum(client.nthreads().values()))
        return min(known, self.workers) if self.workers else known
