"""What runs in a worker: tasks, with the raster and the model opened once per process."""

from __future__ import annotations

import os
import sys
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace

from geoiseg.models.options import ModelOptions
from geoiseg.models.protocol import Model
from geoiseg.models.registry import get_model
from geoiseg.tiled.prompted import Group, GroupJob, GroupResult, segment_group
from geoiseg.tiled.tile import TileJob, TileResult, segment_tile

KEPT = 4
"""Runs whose raster and model a process keeps open; a Dask worker may serve several."""

Result = TileResult | GroupResult

_lock = threading.Lock()
_kept: OrderedDict[str, tuple[TileJob | GroupJob, Model]] = OrderedDict()


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """All that a worker has to know of a run. Small, and sent with every task."""

    key: str
    """Names the run."""
    work: TileJob | GroupJob
    model: str | Model
    running: ModelOptions
    threads: int = 0
    """CPU threads that the model may use; 0 leaves it the choice."""


def run_task(job: Job, number: int, group: Group | None) -> Result:
    """Return the result of one tile or group.

    Args:
        job: The run.
        number: Of the tile or group.
        group: The objects, where prompts are given.

    Raises:
        GeoisegError: The pixels can not be read, or the model failed.
    """
    work, model = _prepared(job)
    result: Result
    if isinstance(work, GroupJob):
        if group is None:
            raise ValueError(f"group {number} came without its objects")
        result = segment_group(work, model, number, group)
    else:
        result = segment_tile(work, model, number)
    return replace(result, peak=peak_memory())


def _prepared(job: Job) -> tuple[TileJob | GroupJob, Model]:
    """Return the run with its raster and model as this process opened them first."""
    with _lock:
        if job.key not in _kept:
            if job.threads:
                limit_threads(job.threads)
            _kept[job.key] = (job.work, get_model(job.model, job.running))
            while len(_kept) > KEPT:
                _kept.popitem(last=False)
        return _kept[job.key]


def forget(key: str) -> None:
    """Let go of a run's raster and model."""
    with _lock:
        _kept.pop(key, None)


def limit_threads(threads: int) -> None:
    """Let the models and OpenCV of this process use so many threads, and no more."""
    import cv2

    os.environ["GEOISEG_THREADS"] = str(threads)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    cv2.setNumThreads(threads)


def peak_memory() -> int:
    """Return the most bytes that this process ever held; 0 where that is not known."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
