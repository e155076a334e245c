"""Encoding a whole raster ahead, so that every click on it finds its chip encoded."""

from __future__ import annotations

import logging
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from geoiseg.errors import CacheError, RasterError
from geoiseg.models import DEFAULT_MODEL, Model, get_model
from geoiseg.prompting import Frame
from geoiseg.raster import Chip, open_raster
from geoiseg.segment import DiskStore, EmbeddingCache, RemoteStore, Segmenter, default_store
from geoiseg.segment.embeddings.settings import size_text
from geoiseg.tiled.encode.plan import EmbedOptions, chips_to_encode

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What encoding a raster will take, as far as the first chip tells."""

    chips: int
    """All that the options ask for."""
    missing: int
    """Those that are not kept yet."""
    nbytes: int
    """At most so many bytes for all chips together."""
    seconds: float
    """For those that are missing."""


@dataclass(frozen=True, slots=True)
class EmbedSummary:
    """What became of a raster's chips."""

    folder: Path | str
    """Where they are kept: a folder or a URL."""
    chips: int
    made: int = 0
    """Encoded now."""
    there: int = 0
    """Kept already, or made meanwhile by another process."""
    empty: int = 0
    """Without any data."""
    failed: int = 0
    """Whose pixels can not be read."""
    error: str = ""
    """The first reason."""
    nbytes: int = 0
    """Of the embeddings made now, in memory."""
    seconds: float = 0.0

    @property
    def done(self) -> int:
        """Chips that need no more work."""
        return self.made + self.there + self.empty + self.failed


def embed_raster(
    raster: Any,
    model: str | Model = DEFAULT_MODEL,
    options: EmbedOptions | None = None,
    *,
    store: DiskStore | RemoteStore | None = None,
    approve: Callable[[Estimate], bool] = lambda _: True,
    on_chip: Callable[[EmbedSummary], Any] = lambda _: None,
) -> EmbedSummary:
    """Return what became of a raster's chips, after encoding those that are not kept yet.

    Chips appear in the cache one by one: a run that was stopped goes on where it was, and
    several processes may encode one raster together.

    Args:
        raster: What ``open_raster`` takes, or what it returned; a file or URL.
        model: Name of a model, or a Model.
        options: Which chips.
        store: The cache; the user's own by default.
        approve: Asked once the first chip has told what the rest takes; False stops.
        on_chip: Told after each chip.

    Raises:
        CacheError: The cache is off, has not enough room, or can not be written to.
        PromptError: The options ask for nothing that there is.
        RasterError: The raster can not be opened.
    """
    store = store or default_store()
    if store is None:
        raise CacheError("GEOISEG_CACHE_LIMIT is off: nothing would be kept; unset it")
    work = _Work(
        Segmenter(open_raster(raster), get_model(model), EmbeddingCache(disk=store)),
        store,
        options or EmbedOptions(),
        on_chip,
    )
    return work.run(approve)


@dataclass(slots=True)
class _Work:
    """A raster being encoded."""

    segmenter: Segmenter
    store: DiskStore | RemoteStore
    options: EmbedOptions
    on_chip: Callable[[EmbedSummary], Any]
    summary: EmbedSummary = field(init=False)
    started: float = field(default_factory=time.perf_counter)

    def run(self, approve: Callable[[Estimate], bool]) -> EmbedSummary:
        raster, model = self.segmenter.raster, self.segmenter.model
        frames = chips_to_encode(raster.grid, model.info, self.options)
        if self.segmenter.key(frames[0]).origin is None:
            what = f"the model {model.info.name}" if raster.lasting else raster.name
            raise CacheError(f"{what} has no name that lasts, so nothing can be kept of it on disk")
        missing = [frame for frame in frames if not self.store.has(self.segmenter.key(frame))]
        # The first one tells what the others take, so it must not be a small one.
        missing.sort(key=lambda frame: -frame.window.height * frame.window.width)
        self.summary = EmbedSummary(self.store.folder, len(frames))
        self._add(there=len(frames) - len(missing))
        waiting = deque(missing)
        with ThreadPoolExecutor(self.options.workers, "geoiseg-read") as pool:
            try:
                took = self._first(waiting, pool)
                if took and waiting:
                    estimate = self._estimate(len(waiting), took)
                    self._check_room(estimate)
                    if not approve(estimate):
                        return self.summary
                self._rest(waiting, pool)
            finally:
                pool.shutdown(cancel_futures=True)
                self.store.flush()
        return self.summary

    def _first(self, waiting: deque[Frame], pool: ThreadPoolExecutor) -> float:
        """Encode chips until one of them tells how many seconds it takes; 0 if none does."""
        while waiting:
            frame, started = waiting.popleft(), time.perf_counter()
            self._finish(frame, pool.submit(self.segmenter.raster.chip, frame.window, frame.level))
            if self.summary.made:
                return time.perf_counter() - started
        return 0.0

    def _estimate(self, missing: int, seconds: float) -> Estimate:
        chips = self.summary.chips
        return Estimate(chips, missing, self.summary.nbytes * chips, seconds * missing)

    def _check_room(self, estimate: Estimate) -> None:
        each = estimate.nbytes // estimate.chips
        if estimate.nbytes > self.store.limit:
            raise CacheError(
                f"{estimate.chips} chips need up to {size_text(estimate.nbytes)}, but the cache"
                f" keeps {size_text(self.store.limit)}: choose levels or an area,"
                f" or set GEOISEG_CACHE_LIMIT"
            )
        if isinstance(self.store, RemoteStore):
            return
        free = shutil.disk_usage(self.store.folder).free
        if each * estimate.missing > free:
            raise CacheError(
                f"{estimate.missing} chips need up to {size_text(each * estimate.missing)}, but"
                f" {self.store.folder} has {size_text(free)} left: make room,"
                " or set GEOISEG_HOME to another disk"
            )

    def _rest(self, waiting: deque[Frame], pool: ThreadPoolExecutor) -> None:
        """Encode what is left; what other processes are at comes last."""
        claimed = deque[Frame]()
        for frame, chip in self._ahead(waiting, claimed, pool):
            self._finish(frame, chip)
        for frame in claimed:
            if self.store.has(self.segmenter.key(frame)):
                self._add(there=1)
            else:  # its owner is still at it, or did not live to finish it
                chip = pool.submit(self.segmenter.raster.chip, frame.window, frame.level)
                self._finish(frame, chip)

    def _ahead(
        self, waiting: deque[Frame], claimed: deque[Frame], pool: ThreadPoolExecutor
    ) -> Iterator[tuple[Frame, Future[Chip]]]:
        """Yield chips that are being read; keep a few reads ahead of the model."""
        reading = deque[tuple[Frame, Future[Chip]]]()
        try:
            while waiting or reading:
                while waiting and len(reading) <= self.options.workers:
                    frame = waiting.popleft()
                    key = self.segmenter.key(frame)
                    if self.store.has(key):
                        self._add(there=1)
                    elif not self.store.claim(key):
                        claimed.append(frame)
                    else:
                        read = self.segmenter.raster.chip
                        reading.append((frame, pool.submit(read, frame.window, frame.level)))
                if reading:
                    yield reading.popleft()
        finally:
            for frame, _ in reading:
                self.store.release(self.segmenter.key(frame))

    def _finish(self, frame: Frame, reading: Future[Chip]) -> None:
        """Encode and keep a chip once it is read."""
        key = self.segmenter.key(frame)
        try:
            chip = reading.result()
            if not chip.valid.any():
                self._add(empty=1)
                return
            embedding = self.segmenter.encode(chip)
            if not self.store.save(key, embedding):
                raise CacheError(
                    f"one embedding takes {size_text(embedding.nbytes)}, more than the cache"
                    f" keeps ({size_text(self.store.limit)}): set GEOISEG_CACHE_LIMIT"
                )
            self._add(made=1, nbytes=embedding.nbytes)
        except RasterError as error:
            log.debug("not encoded: %s", error)
            self._add(failed=1, error=str(error))
        finally:
            self.store.release(key)

    def _add(self, *, error: str = "", **numbers: int) -> None:
        sums = {name: getattr(self.summary, name) + number for name, number in numbers.items()}
        self.summary = replace(
            self.summary,
            error=self.summary.error or error,
            seconds=time.perf_counter() - self.started,
            **sums,
        )
        self.on_chip(self.summary)
