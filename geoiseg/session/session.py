"""A session: prompts on a raster become a mask, masks become accepted features. No UI."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from geoiseg.errors import ProjectError, SessionError
from geoiseg.features import QualityOptions, checked, measured_anew, without_rejected
from geoiseg.files import (
    check_apart,
    check_format,
    check_replaceable,
    export_features,
    export_qgis_project,
    style_of,
    write_review,
)
from geoiseg.models import DEFAULT_MODEL, Model, get_model, name_then
from geoiseg.outline import OutlineOptions
from geoiseg.outline.coverage import CleanOptions, clean
from geoiseg.prompting import level_for_gsd
from geoiseg.raster import open_raster
from geoiseg.segment import EmbeddingCache, Watch, default_cache
from geoiseg.session.core import State
from geoiseg.session.history import History
from geoiseg.session.project import Project, load_project
from geoiseg.session.resuming import Resuming, as_written, raster_of
from geoiseg.session.sharing import signature
from geoiseg.words import Searcher

if TYPE_CHECKING:
    from geoiseg.files.training_set import Written
    from geoiseg.session.carrying import Carried
    from geoiseg.session.learning import CarryOptions


class Session(Resuming):
    """Interactive segmentation of one raster with one model at a time.

    Every change can be undone. All methods may be called from any thread; one change is
    made at a time. A step that fails leaves everything as it was.
    """

    _own_model: tuple[Model, dict[str, Any]] | None = None

    def __init__(
        self,
        raster: Any,
        model: str | Model = DEFAULT_MODEL,
        *,
        gsd: float | None = None,
        outline: OutlineOptions | None = None,
        project: str | Path | None = None,
        cache: EmbeddingCache | None = None,
    ) -> None:
        """Make a session.

        Args:
            raster: What ``open_raster`` takes, or what it returned.
            model: Name of a model, or a Model.
            gsd: Ground size in metres of the pixels to work at; None finds the finest
                at which the object fits.
            outline: How outlines are drawn; without stairs by default.
            project: A GeoPackage that is saved after every change of the features; a
                new one, since an existing one comes back with ``Session.load``.
            cache: Where embeddings are kept; by default in memory and in the user's own
                folder, ``EmbeddingCache()`` keeps them in memory alone.

        Raises:
            SessionError: The project file is there already.
            RasterError: The raster can not be opened.
            UnknownModelError: There is no such model.
        """
        self.raster = open_raster(raster)
        self._cache = default_cache() if cache is None else cache
        self._searcher = Searcher(self.raster, self._cache)
        level_for_gsd(self.raster.grid, gsd)
        self.gsd = gsd
        if project is not None and Path(project).exists():
            raise SessionError(
                f"{project} is there already: go on with Session.load({str(project)!r}),"
                " or choose another name"
            )
        self.project = None if project is None else Path(project)
        self.classes: tuple[tuple[str, str], ...] = ()
        """``(name, colour)`` of each class, in order, for whoever shows the features; a
        colour is ``#rrggbb``. Kept by ``save`` and brought back by ``load``."""
        self._history = History(State(get_model(model), options=outline or OutlineOptions()))
        self._lock = threading.RLock()
        self._shared = {}
        if self.project is not None:
            self._begin_with(self.project, self._snapshot())

    def save(self, path: str | Path | None = None) -> Path:
        """Write the project file, a GeoPackage; later changes are saved to it too.

        What other sessions have changed there meanwhile is taken over, here too.

        Raises:
            SessionError: No path was ever given.
            CollisionError: Another session has changed there what this one has; it is left so.
            ExportError: It can not be written, or is a project of another session that would be
                lost; an older file stays as it was.
        """
        with self._lock:
            target = self.project if path is None else Path(path)
            if target is None:
                raise SessionError("give a path to save to, e.g. session.save('fields.gpkg')")
            self._save(target)
            self.project = target
            return target

    def _snapshot(self) -> Project:
        """Return all that a project file is to hold."""
        state = self._state
        return Project(
            raster=self.raster.name,
            bands=self.raster.asked,
            stretch=self.raster.stretch if self.raster.stretch_known else None,
            crs=self.raster.grid.crs,
            **self._model_to_save(),
            gsd=self.gsd,
            options=state.options,
            features=state.features,
            classes=self.classes,
            classifier=state.classifier,
            schema=self.schema,
            snap=self.snap,
            kinds=state.kinds,
            **self._progress_to_save(),
        )

    def stand_in_for(self, project: Project) -> None:
        """Have the project's own model named by its file, which could not be had for this one."""
        self._own_model = (self.model, {"model": project.model, "weights": project.weights})

    def _model_to_save(self) -> dict[str, Any]:
        info = self._state.model.info
        own = self._own_model
        if own is not None and own[0] is self._state.model and not self._state.steps:
            return own[1]
        return {"model": info.name, "weights": info.weights_hash}

    @classmethod
    def load(
        cls,
        path: str | Path,
        raster: Any = None,
        model: str | Model | None = None,
        cache: EmbeddingCache | None = None,
        *,
        watch: Watch | None = None,
        replay: bool = True,
    ) -> Self:
        """Return the session that was saved in a project file.

        An object in progress that was followed or sharpened comes back as it was saved, where
        neither raster nor model have changed; else it is done again, step by step.

        Args:
            path: The GeoPackage.
            raster: The raster, where it is not where it was.
            model: Another model than the one it was saved with.
            cache: Where embeddings are kept; as in a new session.
            watch: To follow or stop the object in progress being done again: stopped, all else
                is there, and the object is as with ``replay=False``.
            replay: Whether the object in progress is done again; else ``session.replay()`` does
                it later, and what was done for it is ``session.unreplayed``.

        Raises:
            ProjectError: The file is no project of geoiseg, or of another CRS.
            RasterError: The raster can not be opened.
        """
        seen = signature(Path(path))
        project = load_project(Path(path))
        session = cls(
            raster_of(project, Path(path), raster),
            name_then(project.model, project.weights) if model is None else model,
            gsd=project.gsd,
            outline=project.options,
            cache=cache,
        )
        session.project, session.classes = Path(path), project.classes
        session.schema, session.snap = project.schema, project.snap
        if project.crs != session.raster.grid.crs:
            raise ProjectError(f"{path} is of another CRS than {session.raster.name}")
        grid, features = session.raster.grid, project.features
        if grid.crs is None:
            features = tuple(
                replace(one, geometry=grid.bring(one.geometry), steps=as_written(one.steps, grid))
                for one in features
            )
        taught, kinds = project.classifier, project.kinds
        state = replace(session._state, features=features, classifier=taught, kinds=kinds)
        session._history = History(state)
        session._take_up(project, watch, replay=replay)
        session._begin_with(session.project, project, seen)
        return session

    def export(
        self,
        path: str | Path,
        *,
        coverage: CleanOptions | None = None,
        quality: QualityOptions | None = None,
        project: bool | str | Path = False,
        rejected: bool = False,
        **options: Any,
    ) -> Path:
        """Write the accepted features in the format of the path's suffix.

        ``.gpkg``, ``.shp``, ``.geojson``, ``.fgb``, ``.parquet``, and ``.tif`` for a mask
        as a cloud-optimised GeoTIFF. Vector files bring a style for QGIS, coloured by class.

        Args:
            path: Where to.
            coverage: Write them as a clean coverage; those of the session stay as they are.
            quality: Add the columns of ``check_features``.
            project: Also write a QGIS project with the raster and the file: at this path, or
                with True beside the file, as .qgz.
            rejected: Whether to write those, too, that a review has rejected.
            **options: As ``export_features`` takes.

        Raises:
            ExportError: It can not be written; an older file stays as it was.
        """
        target = Path(path)
        check_format(target)
        check_apart(target, self.raster.name)
        place = target.with_suffix(".qgz") if project is True else project or None
        check_replaceable(place)
        frame = self.features if rejected else without_rejected(self.features)
        if coverage is not None:
            frame = measured_anew(clean(frame, coverage)[0])
        if quality is not None:
            frame = checked(frame, quality, self.schema)
        options.setdefault("style", style_of(frame, self.classes) or False)
        export_features(frame, target, grid=self.raster.grid, **options)
        if place is not None:
            shown = [] if target.suffix.lower() == ".tif" else [target]
            export_qgis_project(Path(place), shown, self.raster)
        return target

    def carry(
        self, raster: Any, date: str = "", *, options: CarryOptions | None = None,
        watch: Watch | None = None,
    ) -> Carried:  # fmt: skip
        """Start the accepted features on another raster of the same ground, and draw them there.

        Each outline is drawn anew, by the object's colours in all bands or by the model, whichever
        finds it better here, and is told how far it drifted. This session stays as it is.

        Args:
            raster: What ``open_raster`` takes, or what it returned; any size and CRS.
            date: Of the raster, e.g. 2015-07-31; by default what its name says.
            options: How they are carried.
            watch: To follow or stop the work.

        Returns:
            Its ``session`` is on the other raster, ``features`` is a layer with what changed,
            ``queue`` names those to look at, and ``carry`` goes on to the next raster.

        Raises:
            SessionError: There are no features, or the rasters have no ground or bands in common.
            RasterError: A raster can not be read.
            CancelledError: ``watch`` asked to stop.
        """
        from geoiseg.session.carrying import Carrier
        from geoiseg.session.learning import CarryOptions

        with self._lock:
            carrier = Carrier.of(self, options or CarryOptions())
            before = {one.id: one.geometry for one in carrier.features.values()}
            return carrier.to(raster, before, date, watch)

    def export_training(self, folder: str | Path, **options: Any) -> Written:
        """Write the accepted features as a data set for training into a folder.

        Those that a review has rejected are left out.

        Args:
            folder: Where to; a data set that is there is replaced.
            **options: Of ``files.training_set.TrainingOptions``: ``kind`` (``coco``, ``yolo`` or
                ``masks``), ``size`` of a chip, ``form``, ``splits``, ``block``, ``rle``, ``empty``.

        Raises:
            ExportError: There are no features, an option is none, or it can not be written.
            RasterError: The raster can not be read.
        """
        from geoiseg.files.training_set import Source, TrainingOptions, write_training_set

        source = Source(self.raster, without_rejected(self.features))
        return write_training_set([source], Path(folder), TrainingOptions(**options))

    def to_html(self, path: str | Path) -> Path:
        """Write the accepted features as one page to send: picture, outlines, table, filter.

        It needs no other file and no network. Classes have their colours.

        Args:
            path: Ends in .html.

        Raises:
            ExportError: It can not be written; an older file stays as it was.
            RasterError: The raster can not be read.
        """
        check_apart(Path(path), self.raster.name)
        return write_review(Path(path), self.raster, self.features, dict(self.classes))
