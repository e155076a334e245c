"""What runs in a worker: tasks, with the raster and the model opened once per process."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import multiprocessing
import os
import sys
import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import GeoisegError, ModelError
from geoiseg.models import Embedding, Masks, Model, ModelInfo, ModelOptions, get_model
from geoiseg.models.tiny.graphs import THREADS_VARIABLE, threads_wanted
from geoiseg.prompting import PixelPrompts
from geoiseg.raster import BoolArray, Window, limit_gdal_threads
from geoiseg.segment import EmbeddingCache, default_store
from geoiseg.tiled.pilot import Place, looked_at
from geoiseg.tiled.prompted import Group, GroupJob, GroupResult, segment_group
from geoiseg.tiled.window import WindowJob, WindowResult, segment_window

log = logging.getLogger(__name__)

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
MIB = 1 << 20

KEPT = 4
"""Runs whose raster and model a process keeps open; a Dask worker may serve several."""


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What a worker is sent: the windows of a tile, or a group of prompted objects."""

    numbers: tuple[int, ...]
    """Of the windows, or of the group alone, as the ledger has them."""
    group: Group | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What a worker sends back; no pixels of the raster."""

    parts: tuple[WindowResult | GroupResult, ...]
    peak: int = 0
    """Most bytes that the process ever held."""


_lock = threading.Lock()
_kept: OrderedDict[str, tuple[WindowJob | GroupJob, Model, EmbeddingCache]] = OrderedDict()


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """All that a worker has to know of a run. Small, and sent with every task."""

    key: str
    """Names the run."""
    work: WindowJob | GroupJob
    model: str | Model
    running: ModelOptions
    threads: int = 0
    """CPU threads that the model may use; 0 leaves it the choice."""


def run_task(job: Job, task: Task) -> Result:
    """Return the results of one tile or group.

    Args:
        job: The run.
        task: What to do.

    Raises:
        GeoisegError: The pixels can not be read, or the model failed.
    """
    work, model, cache = _prepared(job)
    if isinstance(work, GroupJob):
        if task.group is None:
            raise ValueError(f"group {task.numbers} came without its objects")
        group = segment_group(work, model, task.numbers[0], task.group)
        return Result((group,), peak_memory())
    windows = tuple(segment_window(work, model, number, cache) for number in task.numbers)
    if work.keep_embeddings and cache.disk is not None:
        cache.disk.flush()  # a worker may be ended as soon as its last task is done
    return Result(windows, peak_memory())


def _prepared(job: Job) -> tuple[WindowJob | GroupJob, Model, EmbeddingCache]:
    """Return the run with its raster, model and cache as this process opened them first."""
    with _lock:
        if job.key not in _kept:
            if job.threads:
                limit_threads(job.threads)
            if multiprocessing.parent_process() is not None:  # one that does nothing else
                hold_memory()
            _kept[job.key] = (job.work, get_model(job.model, job.running), _cache())
            while len(_kept) > KEPT:
                _kept.popitem(last=False)
        return _kept[job.key]


def look_at_place(job: Job, window: Window) -> Place | None:
    """Return what is found at a place, by which the reductions of a run are chosen.

    Args:
        job: The run, all objects by dense heads.
        window: Of the place.
    """
    work, model, cache = _prepared(job)
    if not isinstance(work, WindowJob):
        raise TypeError("prompted objects have their own reductions")
    return looked_at(work, model, window, cache)


def describe(model: str, running: ModelOptions) -> ModelInfo:
    """Return what a model that is loaded here says of itself."""
    return get_model(model, running).info


class StandIn:
    """What is known of a model that only workers load."""

    def __init__(self, info: ModelInfo) -> None:
        self.info = info

    def embed(self, image: NDArray[np.uint8], valid: BoolArray) -> Embedding:  # noqa: ARG002
        """Refuse: there is no model here."""
        raise ModelError(f"{self.info.name} is loaded in the workers alone")

    def decode(
        self,
        embedding: Embedding,  # noqa: ARG002
        prompts: PixelPrompts,  # noqa: ARG002
        previous: NDArray[np.float32] | None = None,  # noqa: ARG002
    ) -> Masks:
        """Refuse: there is no model here."""
        raise ModelError(f"{self.info.name} is loaded in the workers alone")


def _cache() -> EmbeddingCache:
    """Return the cache of this machine; no window comes twice, so none is kept in memory."""
    try:
        return EmbeddingCache(0, default_store())
    except GeoisegError as error:
        log.warning("%s; going on without kept embeddings", error)
        return EmbeddingCache(0)


def forget(key: str) -> None:
    """Let go of a run's raster and model."""
    with _lock:
        _kept.pop(key, None)


def limit_threads(threads: int) -> None:
    """Let the models, OpenCV and GDAL of this process use so many threads, and no more.

    ``GEOISEG_THREADS`` may ask for fewer.
    """
    import cv2

    allowed = min(threads, threads_wanted() or threads)
    os.environ[THREADS_VARIABLE] = str(allowed)
    os.environ.setdefault("OMP_NUM_THREADS", str(allowed))
    cv2.setNumThreads(allowed)
    limit_gdal_threads(allowed)


def hold_memory() -> None:
    """Have the C library keep what is freed for the next window.

    Dask has it give back all but 64 KiB at once, so that every array costs page faults; for
    two workers on one machine these cost more than twice those of one.
    """
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):  # another C library
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(M_MMAP_THRESHOLD, 32 * MIB)
        libc.mallopt(M_TRIM_THRESHOLD, 512 * MIB)
        libc.mallopt(M_TOP_PAD, 64 * MIB)


def peak_memory() -> int:
    """Return the most bytes that this process ever held; 0 where that is not known."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
