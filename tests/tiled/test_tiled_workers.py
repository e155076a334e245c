"""What a worker process is given: threads, memory, and its share of the last tiles."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator

import cv2
import pytest

from geoiseg.raster.readers.opening import GDAL_OPTIONS
from geoiseg.tiled.cluster import HUGE_PAGES, TUNABLES, huge_pages, local_cluster, plan_workers
from geoiseg.tiled.tasks import LAST, Backlog
from geoiseg.tiled.worker import hold_memory, limit_threads
from tests.conftest import needed


@pytest.fixture
def threads() -> Iterator[None]:
    before, read_with = cv2.getNumThreads(), GDAL_OPTIONS["GDAL_NUM_THREADS"]
    yield
    cv2.setNumThreads(before)
    GDAL_OPTIONS["GDAL_NUM_THREADS"] = read_with


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(("said", "given"), [("", 2), ("1", 1), ("8", 2), ("0", 2), ("x", 2)])
def test_a_worker_has_its_share_of_threads_or_fewer(
    monkeypatch: pytest.MonkeyPatch, said: str, given: int
) -> None:
    monkeypatch.setenv("GEOISEG_THREADS", said)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    limit_threads(2)
    assert os.environ["GEOISEG_THREADS"] == str(given)
    assert cv2.getNumThreads() == given
    assert GDAL_OPTIONS["GDAL_NUM_THREADS"] == str(given)


def faults(queue: multiprocessing.Queue[int], hold: bool) -> None:
    """Tell how many page faults it takes to use and free memory over and over."""
    import resource

    import numpy as np

    if hold:
        hold_memory()
    np.ones(4 << 20, np.uint8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(4 << 20, np.uint8)
    queue.put(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of the GNU C library")
def test_freed_memory_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "65536")  # as Dask has it
    spawn, found = multiprocessing.get_context("spawn"), []
    for hold in (False, True):
        queue: multiprocessing.Queue[int] = spawn.Queue()
        process = spawn.Process(target=faults, args=(queue, hold))
        process.start()
        found.append(queue.get(timeout=120))
        process.join()
    assert found[1] < 0.1 * found[0]


def test_large_pages_are_asked_for_only_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TUNABLES, raising=False)
    with huge_pages():
        assert os.environ[TUNABLES] == HUGE_PAGES
    assert TUNABLES not in os.environ
    monkeypatch.setenv(TUNABLES, "glibc.malloc.hugetlb=0")
    with huge_pages():
        assert os.environ[TUNABLES] == "glibc.malloc.hugetlb=0"


def test_no_worker_of_a_local_cluster_is_sampled() -> None:
    needed("distributed")

    def told(dask_worker: object) -> tuple[str | None, bool]:
        sampled = "profile" in getattr(dask_worker, "periodic_callbacks", {})
        return os.environ.get(TUNABLES), sampled

    with local_cluster(plan_workers("cpu", 1, ())) as client:
        assert list(client.run(told).values()) == [(HUGE_PAGES, False)]


def test_the_last_tiles_are_done_window_by_window() -> None:
    tiles = [tuple(range(4 * n, 4 * n + 4)) for n in range(2 * LAST)]
    backlog = Backlog(tiles, attempts=2)
    tasks = [backlog.task(number).numbers for number in backlog.queue]
    assert tasks[: len(tiles) - 2] == tiles[:-2]
    assert tasks[len(tiles) - 2 :] == [(window,) for tile in tiles[-2:] for window in tile]
    few = Backlog(tiles[: LAST - 1], attempts=2)
    assert [few.task(number).numbers for number in few.queue] == tiles[: LAST - 1]
