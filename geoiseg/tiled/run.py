"""A whole raster from beginning to end, or from where an earlier run was interrupted."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Generator, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from geoiseg.atomic import check_place
from geoiseg.errors import GeoisegError
from geoiseg.files import check_apart
from geoiseg.models import DEFAULT_MODEL, Model, QuickModel, ReadingModel
from geoiseg.tiled.drivers import Dask, Driver, Outcome, choose_driver
from geoiseg.tiled.ledger import CHOICE, READING, Ledger, check_free, ledger_path, said_before
from geoiseg.tiled.options import DenseOptions, MapOptions
from geoiseg.tiled.output import Tally, report, write
from geoiseg.tiled.pilot import Choice, choose, looks_by
from geoiseg.tiled.prepare import Run, check_sendable, parameters, prepared, reads_by
from geoiseg.tiled.progress import Told, progress_of
from geoiseg.tiled.prompted import GroupResult
from geoiseg.tiled.report import MapReport
from geoiseg.tiled.tasks import Backlog
from geoiseg.tiled.window import WindowJob, WindowResult
from geoiseg.tiled.worker import Result, forget, peak_memory

CELL = 32
"""Side in pixels of what a model is shown to find out whether it can read."""


def segment_raster(  # noqa: PLR0913 - the public interface
    raster: Any,
    out: str | Path,
    *,
    model: str | Model = DEFAULT_MODEL,
    prompts: str | Path | None = None,
    scheduler: str | None = None,
    workers: int | None = None,
    options: MapOptions | None = None,
    resume: bool = False,
    progress: bool | Told | None = None,
    quicklook: str | Path | None = None,
) -> MapReport:
    """Map a whole raster of any size to a file, and return what was done.

    Every finished tile is on disk beside the output at once (``OUT.ledger``), so that a run
    that was interrupted or killed is gone on with. What fails is tried again, and then
    reported; the rest is written. The ledger goes when nothing is left to do.

    Args:
        raster: What ``open_raster`` takes, or what it returned.
        out: ``.gpkg``, ``.parquet`` or ``.tif`` (each pixel's object); with prompts, any
            format that ``Session.export`` writes.
        model: A name, a path of weights, or a Model; one that can be pickled where other
            processes are to use it.
        prompts: A vector file, an object a row; by default all objects are looked for.
        scheduler: ``serial``, ``threads``, ``processes``, ``dask`` (a cluster on this
            machine) or the address of a Dask scheduler; by default ``processes`` where more
            than one worker is asked for.
        workers: How many; by default one, or all that a cluster has.
        options: How the raster is cut and what is kept.
        resume: Whether to go on with an interrupted run, and with what failed in it.
        progress: Whether to show a bar; by default in a terminal and in a notebook. Or a
            callable that takes the pixels done, those of the whole run and a text in one
            line, first with what an earlier run has done and then after each tile. What it
            raises, ``CancelledError`` for one, ends the run; ``resume`` goes on from there.
        quicklook: A PNG to write, with the objects on the raster.

    Raises:
        GeoisegError: The raster, the prompts, the model or the options are at fault; the
            ledger is of a run with other parameters; the workers are gone.
        CancelledError: ``progress`` has raised it.
    """
    started = time.perf_counter()
    given = options or MapOptions()
    driver, threads = choose_driver(scheduler, workers, given.running.device)
    look = None if quicklook is None else Path(quicklook)
    if look is not None:
        check_place(look)
    with driver if isinstance(driver, Dask) else contextlib.nullcontext():
        run = prepared(raster, Path(out), model, prompts, given, (driver, threads))
        _check(run, driver, look, resume=resume)
        run = _decided(_reading(run, resume=resume), driver, resume=resume)
        try:
            with Ledger(ledger_path(run.out), parameters(run, prompts), resume=resume) as ledger:
                tally = _work(run, driver, ledger, progress)
                return _finished(run, ledger, tally, look, started)
        finally:
            forget(run.job.key)


def _check(run: Run, driver: Driver, look: Path | None, *, resume: bool) -> None:
    """Make sure that the run can begin, before a model looks at anything."""
    check_apart(look, run.raster.name)
    check_sendable(run.job, driver)
    check_free(ledger_path(run.out), resume=resume)


def _reading(run: Run, *, resume: bool) -> Run:
    """Return the run with what it reads windows in: what began in floats goes on so anywhere.

    Raises:
        WeightsError: What the model reads in 8-bit integers with is missing or damaged, which
            would else fail every window.
    """
    work, path = run.job.work, ledger_path(run.out)
    if not (reads_by(run) and isinstance(work, WindowJob) and isinstance(run.model, ReadingModel)):
        return run
    begun = resume and said_before(path, "format") is not None
    if begun and said_before(path, READING) is None:
        return replace(run, job=replace(run.job, work=replace(work, in_floats=True)))
    black = np.zeros((CELL, CELL, 3), np.uint8), np.ones((CELL, CELL), bool)
    asking = isinstance(work.automatic, DenseOptions) and work.automatic.best
    if asking and isinstance(run.model, QuickModel):
        run.model.embed_quickly(*black)
    else:
        run.model.read(*black)
    return run


def _decided(run: Run, driver: Driver, *, resume: bool) -> Run:
    """Return the run with the reductions at which it looks for all objects.

    What an earlier run has chosen stays, so that both parts go together. The job has another
    key then: a worker that was asked about places keeps what it was asked with.
    """
    work = run.job.work
    if not isinstance(work, WindowJob) or work.words is not None:
        return run
    if not isinstance(work.automatic, DenseOptions):
        return run
    path = ledger_path(run.out)
    before = said_before(path, CHOICE) if resume else None
    if run.options.scales_given:
        choice = Choice(work.automatic.scales, "as they were given")
    elif before is not None:
        choice = Choice(tuple(before[0]), before[1])
    elif resume and said_before(path, "format") is not None:
        choice = Choice(work.automatic.scales, "")  # of another run, which the ledger refuses
    else:
        look = looks_by(work, run.model)
        if isinstance(driver, Dask):
            look = driver.looks(run.job)
        choice = choose(work, run.numbers, look)
    finding = replace(work.automatic, scales=choice.scales)
    job = replace(run.job, key=uuid.uuid4().hex, work=replace(work, automatic=finding))
    return replace(run, job=job, choice=choice)


def _work(run: Run, driver: Driver, ledger: Ledger, told: bool | Told | None) -> Tally:
    """Do all tasks that are not done, those that failed among them, and return what was counted."""
    ledger.forget_failures()
    done = {number for number, state in ledger.states().items() if state == "done"}
    left = [number for number in run.numbers if number not in done]
    backlog = Backlog(run.tasks(left), run.options.attempts, run.groups)
    tally, finished, failed = Tally(peak=peak_memory()), len(run.numbers) - len(left), 0
    before, total = (sum(map(run.pixels, numbers)) for numbers in (done, run.numbers))
    # closed at once, so that who stops it waits for no worker
    running = cast("Generator[Outcome]", driver.run(run.job, backlog.queue, backlog.task))
    with contextlib.closing(running) as outcomes, progress_of(total, before, told) as shown:
        for outcome in outcomes:
            numbers = backlog.task(outcome.number).numbers
            pixels = sum(map(run.pixels, numbers))
            if outcome.result is not None:
                _keep(outcome.result, ledger)
                tally.peak = max(tally.peak, outcome.result.peak)
                tally.pixels += pixels
                finished += len(numbers)
            elif backlog.again(outcome.number):
                continue
            else:
                ledger.fail(numbers[0], _reason(outcome), backlog.tried(outcome.number))
                failed += 1
            shown.done(pixels, finished, failed)
    return tally


def _finished(
    run: Run, ledger: Ledger, tally: Tally, look: Path | None, started: float
) -> MapReport:
    """Write what was found, and return what was done; the ledger goes if nothing is left."""
    write(run, ledger, tally, look)
    told = report(run, ledger, tally, time.perf_counter() - started)
    if not told.failures:
        ledger.remove()
    return told


def _reason(outcome: Outcome) -> str:
    error = outcome.error
    text = " ".join(str(error).split()) or type(error).__name__
    return text if isinstance(error, GeoisegError) else f"{type(error).__name__}: {text}"


def _keep(result: Result, ledger: Ledger) -> None:
    ledger.keep(_windows(result.parts))
    for part in result.parts:
        if isinstance(part, GroupResult):
            ledger.keep_items(part.number, part.items, part.seconds)


def _windows(parts: Iterable[WindowResult | GroupResult]) -> list[WindowResult]:
    return [part for part in parts if isinstance(part, WindowResult)]
