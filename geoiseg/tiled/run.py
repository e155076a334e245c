"""A whole raster from beginning to end, or from where an earlier run was interrupted."""

from __future__ import annotations

import hashlib
import pickle
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import shapely

from geoiseg.atomic import written
from geoiseg.errors import GeoisegError, ModelError, PromptError
from geoiseg.export import check_format, export_features, write_picture
from geoiseg.features import measure
from geoiseg.framing import level_for_gsd
from geoiseg.grid import Grid
from geoiseg.models.protocol import Model
from geoiseg.models.registry import DEFAULT_MODEL, get_model
from geoiseg.prompt_file import read_prompts
from geoiseg.readers import Raster, open_raster
from geoiseg.tiled.aoi import read_aoi, tiles_in
from geoiseg.tiled.assemble import number_objects, objects
from geoiseg.tiled.drivers import Driver, Outcome, Payload, Serial, choose_driver
from geoiseg.tiled.ledger import Ledger, ledger_path
from geoiseg.tiled.options import AutomaticOptions, MapOptions
from geoiseg.tiled.plan import TilePlan
from geoiseg.tiled.progress import Progress
from geoiseg.tiled.prompted import Group, GroupJob, GroupResult, grouped, items_frame
from geoiseg.tiled.quicklook import QuickLook
from geoiseg.tiled.report import FailedArea, MapReport, MissingObject
from geoiseg.tiled.tile import TileJob, TileResult
from geoiseg.tiled.worker import Job, forget, peak_memory
from geoiseg.tiled.writer import (
    Provenance,
    check_mapped_format,
    frames,
    write_gpkg,
    write_label_raster,
    write_parquet,
)


@dataclass(slots=True)
class Tally:
    """What was counted while tiles came back."""

    pixels: int = 0
    peak: int = 0
    area_m2: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A run that is ready to start: everything is open, and everything was checked."""

    raster: Raster
    model: Model
    out: Path
    options: MapOptions
    level: int
    plan: TilePlan
    numbers: Sequence[int]
    """Tiles or groups to do."""
    groups: tuple[Group, ...] | None
    """Where there are prompts."""
    job: Job

    @property
    def grid(self) -> Grid:
        """The grid of the pixels that are worked on."""
        return self.raster.grid.level(self.level)

    def payload(self, number: int) -> Group | None:
        """Return what a worker needs besides the number."""
        return None if self.groups is None else self.groups[number]

    def pixels(self, number: int) -> int:
        """Return how much of the raster a task stands for."""
        if self.groups is not None:
            return 0
        core = self.plan.core(number)
        return core.height * core.width

    def bounds(self, number: int) -> tuple[float, float, float, float]:
        """Return ``xmin, ymin, xmax, ymax`` in the raster's CRS of a tile's core or a group."""
        if self.groups is not None:
            return self.groups[number].bounds
        return self.grid.window(self.plan.core(number)).bounds


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
    progress: bool | None = None,
    quicklook: str | Path | None = None,
) -> MapReport:
    """Map a whole raster of any size to a file, and return what was done.

    Every finished tile is on disk beside the output at once (``OUT.ledger``), so that a run
    that was interrupted or killed is gone on with. A tile that fails is tried again, and
    then reported; the rest is written. The ledger goes when nothing is left to do.

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
        resume: Whether to go on with an interrupted run, and with its failed tiles.
        progress: Whether to show a bar; by default where there is a terminal.
        quicklook: A PNG to write, with the objects on the raster.

    Raises:
        GeoisegError: The raster, the prompts, the model or the options are at fault; the
            ledger is of a run with other parameters; the workers are gone.
    """
    started = time.perf_counter()
    options = options or MapOptions()
    driver, threads = choose_driver(scheduler, workers)
    run = _prepared(raster, Path(out), model, prompts, options, threads)
    if not isinstance(driver, Serial):
        _check_picklable(run.job, driver)
    try:
        with Ledger(ledger_path(run.out), _parameters(run, prompts), resume=resume) as ledger:
            ledger.forget_failures()
            tally = _work(run, driver, ledger, progress)
            look = None if quicklook is None else QuickLook(run.raster, run.level)
            count = _write(run, ledger, tally, look)
            if look is not None and quicklook is not None:
                write_picture(look.picture, Path(quicklook))
            report = _report(run, ledger, tally, count, time.perf_counter() - started)
            if not report.failures:
                ledger.remove()
    finally:
        forget(run.job.key)
    return report


def _prepared(
    source: Any,
    out: Path,
    model: str | Model,
    prompts: str | Path | None,
    options: MapOptions,
    threads: int,
) -> Run:
    """Return the run with everything opened and checked that can be."""
    suffix = check_mapped_format(out) if prompts is None else check_format(out)
    if not out.absolute().parent.is_dir():
        raise PromptError(f"can not write {out}: the folder {out.parent} does not exist")
    raster = open_raster(source)
    loaded = get_model(model, options.running)
    level = level_for_gsd(raster.grid, options.gsd)
    grid = raster.grid.level(level)
    plan = TilePlan(grid.shape, options.tile, options.overlap)
    aoi = read_aoi(options.aoi, grid)
    _ = raster.stretch  # found once, before workers ask for it
    groups = None
    work: TileJob | GroupJob
    if prompts is None:
        numbers: Sequence[int] = tiles_in(plan, aoi)
        work = TileJob(raster, level, plan, _automatic(options, loaded), options.min_area,
                       None if aoi is None else shapely.to_wkb(aoi), suffix == ".tif")  # fmt: skip
    else:
        said = read_prompts(Path(prompts), raster.grid.crs, options.gsd)
        groups = tuple(grouped(said, raster.grid, level, plan, aoi))
        numbers = range(len(groups))
        work = GroupJob(raster, options.gsd)
    job = Job(uuid.uuid4().hex, work, model if isinstance(model, str) else loaded,
              options.running, threads)  # fmt: skip
    return Run(raster, loaded, out, options, level, plan, numbers, groups, job)


def _automatic(options: MapOptions, model: Model) -> AutomaticOptions:
    return options.automatic or AutomaticOptions.for_family(model.info.family)


def _check_picklable(job: Job, driver: Driver) -> None:
    """Find out here, not in every worker, that something can not be sent."""
    if getattr(driver, "processes", True):
        try:
            pickle.dumps(job)
        except GeoisegError:
            raise
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            raise ModelError(
                f"{job.work.raster.name} or the model can not be sent to other processes: give"
                f" both by name or path ({error})"
            ) from error


def _parameters(run: Run, prompts: str | Path | None) -> dict[str, Any]:
    """Return, ready for JSON, all that decides the result."""
    info, stretch = run.model.info, run.raster.stretch
    values = run.options.deciding()
    work = run.job.work
    if isinstance(work, TileJob):
        values["automatic"] = repr(work.automatic)
        values["aoi"] = _digest(work.aoi)
        values["labels"] = work.keep_labels
    else:
        chosen = repr([group.positions for group in run.groups or ()])
        values["prompts"] = _digest(Path(str(prompts)).read_bytes() + chosen.encode())
        del values["automatic"]
    return {
        **values,
        "raster": run.raster.source_id,
        "bands": list(run.raster.bands),
        "stretch": [list(stretch.low), list(stretch.high)],
        "level": run.level,
        "model": f"{info.name}@{info.weights_hash}",
    }


def _digest(data: bytes | None) -> str:
    return "none" if data is None else hashlib.sha256(data).hexdigest()[:16]


def _work(run: Run, driver: Driver, ledger: Ledger, shown: bool | None) -> Tally:
    """Do all tasks that are not done, and return what was counted."""
    done = {number for number, state in ledger.states().items() if state == "done"}
    queue = deque(number for number in run.numbers if number not in done)
    tally, attempts = Tally(peak=peak_memory()), dict.fromkeys(queue, 0)
    finished, failed = len(run.numbers) - len(queue), 0
    before = sum(run.pixels(number) for number in done)
    total = sum(run.pixels(number) for number in run.numbers)
    payload: Payload = run.payload
    with Progress(total, before, shown) as bar:
        for outcome in driver.run(run.job, queue, payload):
            if outcome.result is None:
                attempts[outcome.number] += 1
                if attempts[outcome.number] < run.options.attempts:
                    queue.append(outcome.number)
                    continue
                failed += 1
                reason = _reason(outcome)
                ledger.fail(outcome.number, reason, attempts[outcome.number])
            else:
                finished += 1
                _keep(outcome.result, ledger)
                tally.peak = max(tally.peak, outcome.result.peak)
                tally.pixels += run.pixels(outcome.number)
            bar.tile(run.pixels(outcome.number), finished, failed)
    return tally


def _reason(outcome: Outcome) -> str:
    error = outcome.error
    text = " ".join(str(error).split()) or type(error).__name__
    return text if isinstance(error, GeoisegError) else f"{type(error).__name__}: {text}"


def _keep(result: TileResult | GroupResult, ledger: Ledger) -> None:
    if isinstance(result, TileResult):
        ledger.keep(result)
    else:
        ledger.keep_items(result.number, result.items, result.seconds)


def _write(run: Run, ledger: Ledger, tally: Tally, look: QuickLook | None) -> int:
    """Write what is in the ledger, and return the number of objects."""
    if run.groups is not None:
        return _write_prompted(run, ledger, tally)
    count = number_objects(ledger, run.plan, run.options.min_area)
    info = run.model.info
    about = Provenance(run.options.label, info.name, info.weights_hash,
                       run.grid.pixel_size_metres(), run.raster.name)  # fmt: skip
    found = objects(ledger)
    if look is not None:
        found = look.passing(found)
    suffix = run.out.suffix.lower()
    with written(run.out) as target:
        if suffix == ".tif":
            for item in found:
                moved = shapely.transform(item.geometry, run.grid.to_crs)
                tally.area_m2 += _positive(measure(moved, run.grid.crs)[0])
            write_label_raster(ledger, run.plan, run.grid, target, count)
            return count
        tables = (_counted(table, tally) for table in frames(found, run.grid, about))
        writer: Callable[..., int] = write_gpkg if suffix == ".gpkg" else write_parquet
        return writer(tables, target)


def _counted(table: Any, tally: Tally) -> Any:
    tally.area_m2 += float(table["area_m2"].sum())
    return table


def _positive(area: float) -> float:
    return area if area > 0 else 0.0


def _write_prompted(run: Run, ledger: Ledger, tally: Tally) -> int:
    frame = items_frame(ledger.items(), run.raster.grid.crs)
    if not len(frame):
        reason = next((item.error for item in ledger.items() if item.error), "every tile failed")
        raise PromptError(f"no object was found: {reason}")
    tally.area_m2 = float(frame["area_m2"].astype(float).sum())
    export_features(frame, run.out, grid=run.raster.grid)
    return len(frame)


def _report(run: Run, ledger: Ledger, tally: Tally, count: int, seconds: float) -> MapReport:
    failures = tuple(
        FailedArea(tile.number, run.bounds(tile.number), tile.error, tile.attempts)
        for tile in ledger.failures()
    )
    missing = tuple(MissingObject(i.name, i.error) for i in ledger.items() if i.error is not None)
    return MapReport(
        out=run.out,
        raster=run.raster.name,
        model=run.model.info.name,
        tiles=len(run.numbers),
        objects=count,
        area_m2=tally.area_m2,
        megapixels=tally.pixels / 1e6,
        seconds=seconds,
        peak_mb=max(tally.peak, peak_memory()) / 1e6,
        phases=ledger.seconds(),
        failures=failures,
        missing=missing,
    )
