"""A run that is ready to start: everything that can be is opened and checked before."""

from __future__ import annotations

import hashlib
import pickle
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import shapely

from geoiseg.atomic import check_place
from geoiseg.errors import GeoisegError, ModelError, PromptError
from geoiseg.files import check_apart, check_format, check_layer_free
from geoiseg.models import Model, QuickModel, ReadingModel, get_model
from geoiseg.prompting import level_for_gsd
from geoiseg.raster import Grid, Raster, open_raster
from geoiseg.tiled.aoi import read_aoi, windows_in
from geoiseg.tiled.drivers import Dask, Driver, Serial
from geoiseg.tiled.fingerprint import constants, prompted
from geoiseg.tiled.judged import Judge, read_labels
from geoiseg.tiled.ledger import CHOICE, CONSTANT, READING, ledger_path
from geoiseg.tiled.options import OWN_COLUMNS, SIDE, DenseOptions, MapOptions
from geoiseg.tiled.outline_file import read_outlines
from geoiseg.tiled.pilot import Choice
from geoiseg.tiled.plan import WindowPlan
from geoiseg.tiled.prompt_file import read_prompts
from geoiseg.tiled.prompted import Group, GroupJob, grouped
from geoiseg.tiled.window import WindowJob
from geoiseg.tiled.wording import Wording, read_wording
from geoiseg.tiled.worker import Job, StandIn
from geoiseg.tiled.writer import check_mapped_format


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Everything is open, and everything was checked."""

    raster: Raster
    model: Model
    out: Path
    options: MapOptions
    level: int
    plan: WindowPlan
    numbers: Sequence[int]
    """Windows or groups to do."""
    groups: tuple[Group, ...] | None
    """Where there are prompts."""
    job: Job
    judge: Judge | None = None
    """Where there are labels."""
    choice: Choice | None = None
    """At which reductions all objects are looked for by dense heads."""

    @property
    def grid(self) -> Grid:
        """The grid of the pixels that are worked on."""
        return self.raster.grid.level(self.level)

    @property
    def wording(self) -> Wording | None:
        """What is looked for in words or by example; None where it is all objects."""
        return self.job.work.words if isinstance(self.job.work, WindowJob) else None

    def tasks(self, numbers: Sequence[int]) -> list[tuple[int, ...]]:
        """Return windows by tiles, or groups one by one."""
        if self.groups is not None:
            return [(number,) for number in numbers]
        return self.plan.tiles(numbers, self.options.tile)

    def pixels(self, number: int) -> int:
        """Return how much of the raster a window stands for."""
        if self.groups is not None:
            return 0
        core = self.plan.core(number)
        return core.height * core.width

    def bounds(self, number: int) -> tuple[float, float, float, float]:
        """Return ``xmin, ymin, xmax, ymax`` in the raster's CRS of a window's core or a group."""
        if self.groups is not None:
            return self.groups[number].bounds
        return self.grid.window(self.plan.core(number)).bounds


def prepared(
    source: Any,
    out: Path,
    model: str | Model,
    prompts: str | Path | None,
    options: MapOptions,
    driving: tuple[Driver, int],
) -> Run:
    """Return the run with everything opened and checked that can be.

    ``driving`` is who does the tasks, and the CPU threads of each model.

    Raises:
        GeoisegError: The raster, the output, the model, the prompts or the options are at
            fault.
    """
    given = None if prompts is None else Path(prompts)
    suffix = check_mapped_format(out) if given is None else check_format(out)
    raster = _opened(source, out, given, options)
    driver, threads = driving
    loaded = _model(model, options, driver)
    level = level_for_gsd(raster.grid, options.gsd)
    grid = raster.grid.level(level)
    aoi = read_aoi(options.aoi, grid)
    _ = raster.stretch  # found once, before workers ask for it
    words = None if options.words is None else read_wording(options.words, raster, level, loaded)
    _check_together(options, given, suffix)
    judge = None if options.labels is None else Judge(read_labels(Path(options.labels), grid))
    side = options.side_for(loaded.info) if words is None else options.window_for(SIDE)
    plan = WindowPlan(grid.shape, side, options.overlap)
    groups: tuple[Group, ...] | None = None
    work: WindowJob | GroupJob
    if given is None:
        numbers: Sequence[int] = windows_in(plan, aoi)
        area = None if aoi is None else shapely.to_wkb(aoi)
        work = WindowJob(raster, level, plan, options.finding(loaded.info), options.min_area,
                         area, suffix == ".tif", words, options.keep_embeddings)  # fmt: skip
    else:
        groups = _groups(given, raster, level, aoi, options)
        numbers = range(len(groups))
        work = GroupJob(raster, options.gsd, options.refine, options.outline, options.sharpen)
    job = Job(uuid.uuid4().hex, work, model if isinstance(model, str) else loaded,
              options.running, threads)  # fmt: skip
    return Run(raster, loaded, out, options, level, plan, numbers, groups, job, judge)


def _opened(source: Any, out: Path, prompts: Path | None, options: MapOptions) -> Raster:
    """Return the raster, once it is sure that the output can be written and overwrites no input."""
    check_place(out)
    check_place(ledger_path(out))
    raster = open_raster(source)
    check_layer_free(out)
    look = options.words
    check_apart(
        out,
        raster.name,
        prompts,
        options.aoi,
        options.labels,
        look and look.like,
        look and look.project,
    )
    return raster


def _check_together(options: MapOptions, prompts: Path | None, suffix: str) -> None:
    """Make sure that what was asked for goes together.

    Raises:
        PromptError: It does not; the message says what to leave out.
    """
    if options.words is not None and prompts is not None:
        raise PromptError("give prompts, or words and examples, not both")
    if options.coverage and (prompts is not None or suffix == ".tif"):
        raise PromptError(
            "a coverage is of all objects, as .gpkg or .parquet; for prompts use geoiseg clean"
        )
    if options.refine is not None and prompts is None:
        raise PromptError("there are no outlines to refine: give a file of polygons as prompts")
    if options.labels is not None and prompts is not None:
        raise PromptError(
            "labels judge a map of all objects, or of words; leave them or prompts out"
        )
    if options.columns != OWN_COLUMNS and suffix == ".tif":
        raise PromptError("a .tif has no columns; leave columns out, or write .gpkg or .parquet")


def _groups(
    prompts: Path, raster: Raster, level: int, aoi: Any, options: MapOptions
) -> tuple[Group, ...]:
    """Return the objects of a file, those near each other together."""
    reads = read_prompts if options.refine is None else read_outlines
    said = reads(prompts, raster.grid, options.gsd)
    shape = raster.grid.level(level).shape
    tiles = WindowPlan(shape, max(options.tile, 2 * options.overlap), options.overlap)
    return tuple(grouped(said, raster.grid, level, tiles, aoi))


def _model(model: str | Model, options: MapOptions, driver: Driver) -> Model:
    """Return the model, or what workers with cards say of it: this process need not have one."""
    far = options.running.device.startswith("cuda") and options.words is None
    if far and isinstance(driver, Dask) and isinstance(model, str):
        return StandIn(driver.describe(model, options.running))
    return get_model(model, options.running)


def check_sendable(job: Job, driver: Driver) -> None:
    """Find out here, not in every worker, that something can not be sent.

    Raises:
        ModelError: The raster or the model can not be pickled.
    """
    if isinstance(driver, Serial) or not getattr(driver, "processes", True):
        return
    try:
        pickle.dumps(job)
    except GeoisegError:
        raise
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{job.work.raster.name} or the model can not be sent to other processes: give"
            f" both by name or path ({error})"
        ) from error


def parameters(run: Run, prompts: str | Path | None) -> dict[str, Any]:
    """Return, ready for JSON, all that decides the result."""
    info, stretch = run.model.info, run.raster.stretch
    values = run.options.deciding()
    work = run.job.work
    if isinstance(work, WindowJob):
        values["automatic"] = repr(work.automatic)
        values["aoi"] = _digest(work.aoi)
        values["labels"] = work.keep_labels
        values["window"] = run.plan.size
        values["words"] = _words(run)
        if run.choice is not None:
            values[CHOICE] = [list(run.choice.scales), run.choice.why]
        if by := reads_by(run):
            values[READING] = by
        known = constants(work.automatic, words=work.words is not None)
    else:
        known = prompted(info)
        chosen = repr([group.positions for group in run.groups or ()])
        values["prompts"] = _digest(_bytes_of(Path(str(prompts))) + chosen.encode())
        del values["automatic"]
    return {
        **values,
        **{CONSTANT + name: value for name, value in known.items()},
        "raster": run.raster.source_id,
        "bands": list(run.raster.asked),
        "stretch": [list(stretch.low), list(stretch.high)],
        "level": run.level,
        "model": f"{info.name}@{info.weights_hash}",
    }


def reads_by(run: Run) -> str:
    """Return by what windows are read in 8-bit integers, as not on every machine; else nothing."""
    work, info = run.job.work, run.model.info
    if not (isinstance(work, WindowJob) and isinstance(run.model, ReadingModel)):
        return ""
    how = work.automatic
    dense = isinstance(how, DenseOptions) and (isinstance(run.model, QuickModel) or not how.best)
    exact = work.words is not None or work.keep_embeddings or work.in_floats
    quick = dense and not exact and info.reads_bytes
    return f"8-bit integers by {info.bytes_hash[:16]}" if quick else ""


def _words(run: Run) -> dict[str, Any] | None:
    """Return what is looked for and by what, ready for JSON."""
    words = run.wording
    if words is None:
        return None
    engine = words.engine(run.model)
    how = "none" if words.how is None else _digest(pickle.dumps(words.how))
    by = {"by": words.by} if words.by else {}
    return {**asdict(words.options), "engine": f"{engine.name}@{engine.weights}", "how": how, **by}


def _bytes_of(path: Path) -> bytes:
    """Return what a vector file holds, in one file or several; of a virtual one its name.

    A file geodatabase is a folder; a Shapefile has its columns beside it; a path may lead into an
    archive.
    """
    for place in (path, *path.parents):
        if place.is_file():
            beside = place.with_suffix(".dbf") if place.suffix.lower() == ".shp" else place
            more = beside.read_bytes() if beside != place and beside.is_file() else b""
            return place.read_bytes() + more
        if place == path and place.is_dir():
            found = sorted(one for one in place.rglob("*") if one.is_file())
            return b"".join(one.name.encode() + one.read_bytes() for one in found)
    return str(path).encode()


def _digest(data: bytes | None) -> str:
    return "none" if data is None else hashlib.sha256(data).hexdigest()[:16]
