"""A session: prompts on a raster become a mask, masks become accepted features. No UI."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from geoiseg.embeddings import EmbeddingCache, default_cache
from geoiseg.errors import ExportError, ProjectError, PromptError, SessionError
from geoiseg.export import export_features
from geoiseg.features import Feature, check_attribute_names, plain_value, to_frame
from geoiseg.framing import check_inside, level_for_gsd
from geoiseg.grid import reproject_geometry
from geoiseg.growing import MOST_CHIPS
from geoiseg.history import History
from geoiseg.layers import Project, foreign_features, load_project, raster_path, save_project
from geoiseg.masks import Mask, touched_border
from geoiseg.models.protocol import Model
from geoiseg.models.registry import DEFAULT_MODEL, get_model
from geoiseg.outline import OutlineOptions, outline
from geoiseg.prompts import Box, Point, Prompt, Prompts, Region, Scribble, Text, localise
from geoiseg.readers import open_raster
from geoiseg.segmenter import Outcome, Segmenter, Step, Watch
from geoiseg.uncertainty import LookOptions, Suggestion, Uncertainty, look, suggest

if TYPE_CHECKING:
    import geopandas as gpd


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """All that undo goes back to."""

    model: Model
    """The model in use."""
    steps: tuple[Step, ...] = ()
    """What was done for the object in progress."""
    outcome: Outcome | None = None
    """The object in progress; None until something says where it is."""
    features: tuple[Feature, ...] = ()
    """Accepted objects, by id."""
    editing: int | None = None
    """Id of the accepted feature that is being refined."""
    options: OutlineOptions = field(default_factory=OutlineOptions)
    """How outlines are drawn."""


class Session:
    """Interactive segmentation of one raster with one model at a time.

    Every change can be undone. All methods may be called from any thread; one change is
    made at a time. A step that fails leaves everything as it was.
    """

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
            outline: How outlines are drawn; exactly along the pixels by default.
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

    # -- the object in progress ------------------------------------------------------

    def add_point(
        self, x: float, y: float, positive: bool = True, crs: Any = None, **how: Any
    ) -> None:
        """Say that a place is on the object, or off it.

        Args:
            x: Easting or longitude.
            y: Northing or latitude.
            positive: True where the place belongs to the object.
            crs: CRS of the coordinates where it is not the raster's.
            **how: ``watch`` (a Watch) to follow or stop the work.

        Raises:
            PromptError: The place is outside the raster, or has no data.
        """
        self.add([Point(float(x), float(y), bool(positive))], crs, **how)

    def add_box(
        self, xmin: float, ymin: float, xmax: float, ymax: float, crs: Any = None, **how: Any
    ) -> None:
        """Say that the object lies in a box, which is upright in ``crs``.

        Raises:
            PromptError: The box has no area or does not meet the raster.
        """
        self.add([Box(float(xmin), float(ymin), float(xmax), float(ymax))], crs, **how)

    def add_scribble(
        self,
        xy: Iterable[Sequence[float]],
        positive: bool = True,
        crs: Any = None,
        **how: Any,
    ) -> None:
        """Say that the places along a stroke are on the object, or off it.

        Raises:
            PromptError: The stroke has no vertex or is outside the raster.
        """
        vertices = tuple((float(x), float(y)) for x, y in xy)
        self.add([Scribble(vertices, bool(positive))], crs, **how)

    def add_region(self, polygon: Any, crs: Any = None, **how: Any) -> None:
        """Give an existing outline, a shapely Polygon or MultiPolygon, to refine.

        Raises:
            PromptError: It has no area or does not meet the raster.
        """
        self.add([Region(polygon)], crs, **how)

    def add_text(self, text: str, **how: Any) -> None:
        """Say in words what to look for.

        Raises:
            PromptError: The model takes no words, or the text is empty or too long.
        """
        self.add([Text(text)], None, **how)

    def add(
        self, prompts: Iterable[Prompt], crs: Any = None, *, watch: Watch | None = None
    ) -> None:
        """Give several prompts as one step.

        Raises:
            PromptError: There is none, or one of them can not be used.
            CancelledError: ``watch`` asked to stop.
        """
        raster = self.raster
        local = tuple(localise(prompt, crs, raster.grid.crs) for prompt in prompts)
        if not local:
            raise PromptError("give at least one prompt")
        for prompt in local:
            check_inside(prompt, raster.grid, raster.name)
            if isinstance(prompt, Text) and not self.model.info.takes_text:
                raise PromptError(f"the model {self.model.info.name} takes no words; click instead")
        with self._lock:
            state = self._state
            steps = (*state.steps, Step(local, self.gsd))
            self._history.push(replace(state, steps=steps, outcome=self._next(steps, watch)))

    def _next(self, steps: tuple[Step, ...], watch: Watch | None) -> Outcome | None:
        if not any(prompt.positive for step in steps for prompt in step.prompts):
            return None
        return self.segmenter.run(steps, self._state.outcome, watch)

    def grow(self, chips: int = 300, *, watch: Watch | None = None) -> bool:
        """Follow the object beyond the border of its chip until it ends: one step to undo.

        Args:
            chips: How many chips to look at, at most; called again, it goes on.
            watch: To follow or stop the work; stopped, the object is as before.

        Returns:
            Whether the object ends within the limit.

        Raises:
            SessionError: There is no object in progress, or ``chips`` is not positive.
            CancelledError: ``watch`` asked to stop.
        """
        if not 1 <= chips <= MOST_CHIPS:
            raise SessionError(f"chips is a number of chips to look at, got {chips}")
        with self._lock:
            state = self._state
            if state.outcome is None:
                raise SessionError("there is no object to follow yet: add a point or a box first")
            done = state.outcome.grown.chips if state.outcome.grown else 0
            steps = (*state.steps, Step((), state.steps[-1].gsd, grow=done + chips))
            outcome = self.segmenter.run(steps, state.outcome, watch)
            self._history.push(replace(state, steps=steps, outcome=outcome))
            return outcome.grown is None or not outcome.grown.full

    @property
    def goes_on(self) -> bool:
        """Whether the object meets its chip's border where the raster goes on: see ``grow``."""
        outcome = self.outcome
        if outcome is None or outcome.mask.is_empty:
            return False
        if outcome.grown is not None:
            return outcome.grown.full
        sides = outcome.frame.open_sides(self.raster.grid)
        return touched_border(outcome.mask.array, sides) > 0

    def clear(self) -> None:
        """Drop the object in progress; a feature being refined stays as it was."""
        with self._lock:
            if self._state.steps or self._state.editing is not None:
                self._history.push(replace(self._state, steps=(), outcome=None, editing=None))

    def undo(self) -> bool:
        """Go back one step, and say whether there was one."""
        return self._travel(self._history.undo)

    def redo(self) -> bool:
        """Go forward one step again, and say whether there was one."""
        return self._travel(self._history.redo)

    def _travel(self, move: Any) -> bool:
        with self._lock:
            before = self._state.features
            moved = bool(move())
            if self._state.features is not before:
                self._autosave("the change is undone here but not in the file")
            return moved

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to go back to."""
        return self._history.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to go forward to."""
        return self._history.can_redo

    @property
    def _state(self) -> State:
        return self._history.present

    @property
    def steps(self) -> tuple[Step, ...]:
        """What was done for the object in progress."""
        return self._state.steps

    @property
    def prompts(self) -> Prompts:
        """All that was said about the object in progress."""
        return Prompts(tuple(item for step in self._state.steps for item in step.prompts))

    @property
    def outcome(self) -> Outcome | None:
        """The object in progress with its chip, logits and timings."""
        return self._state.outcome

    @property
    def mask(self) -> Mask | None:
        """The object in progress as a mask on its chip's grid; None until it is prompted."""
        return None if self._state.outcome is None else self._state.outcome.mask

    @property
    def geometry(self) -> Any:
        """The object in progress as a shapely geometry in the raster's CRS, or None."""
        mask = self.mask
        return None if mask is None else outline(mask, self._state.options)

    # -- the next click --------------------------------------------------------------

    def uncertainty(
        self, options: LookOptions | None = None, *, watch: Watch | None = None
    ) -> Uncertainty:
        """Return how sure the model is of the object in progress, pixel by pixel.

        Args:
            options: How the prompts are varied to find out.
            watch: To follow or stop the work.

        Raises:
            SessionError: There is no object in progress.
        """
        outcome = self.outcome
        if outcome is None:
            raise SessionError("there is no object yet: add a point or a box first")
        if outcome.grown is not None:
            raise SessionError("an object that was followed beyond its chip is not looked at again")
        return look(self.segmenter, self.prompts, outcome, options, watch)

    def suggest_click(self, *, watch: Watch | None = None) -> Suggestion | None:
        """Return where a click would help most; None where none is likely to help enough.

        Whether the place is on the object is for the user to say.

        Raises:
            SessionError: There is no object in progress.
        """
        outcome, prompts = self.outcome, self.prompts
        seen = self.uncertainty(watch=watch)
        if outcome is None or seen.grid != outcome.mask.grid:  # it changed meanwhile
            return None
        return suggest(seen, outcome.mask.array, prompts.to_pixel(seen.grid))

    @property
    def settled(self) -> bool:
        """Whether the last clicks changed hardly anything: accept, or say it another way."""
        return self.outcome is not None and self.outcome.settled

    # -- model and outline -----------------------------------------------------------

    @property
    def model(self) -> Model:
        """The model in use."""
        return self._state.model

    @model.setter
    def model(self, model: str | Model) -> None:
        """Change the model; the object in progress is done again with it."""
        with self._lock:
            segmenter = replace(self.segmenter, model=get_model(model))
            if segmenter.model is not self.model:
                outcome = segmenter.replay(self._state.steps)
                self._history.push(replace(self._state, model=segmenter.model, outcome=outcome))

    @property
    def options(self) -> OutlineOptions:
        """How outlines are drawn."""
        return self._state.options

    @options.setter
    def options(self, options: OutlineOptions) -> None:
        with self._lock:
            self._history.push(replace(self._state, options=options))

    @property
    def segmenter(self) -> Segmenter:
        """The raster and model with their cache of embeddings."""
        return Segmenter(self.raster, self._state.model, self._cache)

    # -- accepted features -----------------------------------------------------------

    @property
    def accepted(self) -> tuple[Feature, ...]:
        """The accepted objects with all their provenance."""
        return self._state.features

    @property
    def features(self) -> gpd.GeoDataFrame:
        """The accepted objects as a GeoDataFrame in the raster's CRS."""
        return to_frame(self._state.features, self.raster.grid.crs)

    @property
    def editing(self) -> int | None:
        """Id of the accepted feature that is being refined, if any."""
        return self._state.editing

    def accept(self, label: str | None = None, **attributes: Any) -> int:
        """Keep the object in progress and return its id.

        Args:
            label: Class or name; when refining a feature, None keeps its label.
            **attributes: The user's own columns.

        Raises:
            SessionError: There is no object, or an attribute has a reserved name.
            ExportError: It is accepted, but the project file could not be saved.
        """
        check_attribute_names(attributes)
        with self._lock:
            state, geometry = self._state, self.geometry
            if state.outcome is None or geometry is None:
                raise SessionError("there is nothing to accept yet: add a point or a box first")
            plain = {name: plain_value(value) for name, value in attributes.items()}
            old = None if state.editing is None else self._find(state.editing)
            feature = self._feature(geometry, label, plain, old)
            others = tuple(other for other in state.features if other is not old)
            features = tuple(sorted((*others, feature), key=lambda one: one.id))
            self._history.push(
                replace(state, steps=(), outcome=None, editing=None, features=features)
            )
            self._autosave(f"feature {feature.id} is accepted here but not in the file")
            return feature.id

    def _feature(
        self, geometry: Any, label: str | None, attributes: dict[str, Any], old: Feature | None
    ) -> Feature:
        outcome, info = self._state.outcome, self.model.info
        if outcome is None:
            raise SessionError("there is no object")
        made: dict[str, Any] = {
            "geometry": geometry,
            "steps": self._state.steps,
            "score": outcome.mask.score,
            "model": info.name,
            "weights": info.weights_hash,
            "gsd": outcome.mask.grid.pixel_size_metres(),
            "source": self.raster.name,
        }
        if old is None:
            number = max((feature.id for feature in self.accepted), default=0) + 1
            return Feature(id=number, label=label or "", attributes=attributes, **made)
        kept_label = old.label if label is None else label
        return old.changed(label=kept_label, attributes={**old.attributes, **attributes}, **made)

    def edit(self, feature_id: int, *, watch: Watch | None = None) -> None:
        """Take an accepted feature up again; ``accept`` then replaces it.

        Its prompts come back one by one; an outline from elsewhere comes as a region.

        Raises:
            SessionError: There is no such feature.
        """
        with self._lock:
            feature = self._find(feature_id)
            steps = feature.steps or (Step((Region(feature.geometry),), self.gsd),)
            outcome = self.segmenter.replay(steps, watch)
            self._history.push(
                replace(self._state, steps=steps, outcome=outcome, editing=feature_id)
            )

    def relabel(self, feature_id: int, label: str | None = None, **attributes: Any) -> None:
        """Change the label or attributes of an accepted feature.

        Raises:
            SessionError: There is no such feature, or an attribute has a reserved name.
        """
        check_attribute_names(attributes)
        with self._lock:
            old = self._find(feature_id)
            plain = {name: plain_value(value) for name, value in attributes.items()}
            new = old.changed(
                label=old.label if label is None else label,
                attributes={**old.attributes, **plain},
            )
            self._replace_features(tuple(new if one is old else one for one in self.accepted))

    def rename_label(self, old: str, new: str) -> int:
        """Give another label to all features that have ``old``, and return how many."""
        with self._lock:
            changed = [one for one in self.accepted if one.label == old]
            if changed:
                self._replace_features(
                    tuple(
                        one.changed(label=new) if one.label == old else one for one in self.accepted
                    )
                )
            return len(changed)

    def delete(self, feature_id: int) -> None:
        """Remove an accepted feature.

        Raises:
            SessionError: There is no such feature.
        """
        with self._lock:
            gone = self._find(feature_id)
            self._replace_features(tuple(one for one in self.accepted if one is not gone))

    def add_features(self, frame: gpd.GeoDataFrame, label_column: str = "label") -> list[int]:
        """Take over polygons made elsewhere as accepted features, and return their ids.

        Args:
            frame: Polygons in any CRS; other geometries are refused.
            label_column: Column with the labels, if there is one.

        Raises:
            PromptError: A row is no polygon, or the layer's CRS can not be used.
        """
        with self._lock:
            first = max((feature.id for feature in self.accepted), default=0) + 1
            source = self.raster
            if frame.crs is not None and source.grid.crs is not None:
                moved = reproject_geometry(frame.geometry.values, frame.crs, source.grid.crs)
                frame = frame.set_geometry(moved).set_crs(source.grid.crs, allow_override=True)
            new = foreign_features(frame, first, label_column)
            self._replace_features((*self.accepted, *new))
            return [feature.id for feature in new]

    def _replace_features(self, features: tuple[Feature, ...]) -> None:
        ids = {feature.id for feature in features}
        state = self._state
        if state.editing is not None and state.editing not in ids:
            state = replace(state, steps=(), outcome=None, editing=None)
        self._history.push(replace(state, features=features))
        self._autosave("the change is made here but not in the file")

    def _find(self, feature_id: int) -> Feature:
        for feature in self._state.features:
            if feature.id == feature_id:
                return feature
        known = ", ".join(str(feature.id) for feature in self.accepted[:10]) or "none"
        raise SessionError(f"there is no feature {feature_id!r}; accepted are: {known}")

    # -- files -----------------------------------------------------------------------

    def save(self, path: str | Path | None = None) -> Path:
        """Write the project file, a GeoPackage; later changes are saved to it too.

        Raises:
            SessionError: No path was ever given.
            ExportError: It can not be written; an older file stays as it was.
        """
        with self._lock:
            target = self.project if path is None else Path(path)
            if target is None:
                raise SessionError("give a path to save to, e.g. session.save('fields.gpkg')")
            state = self._state
            save_project(
                Project(
                    raster=self.raster.name,
                    bands=self.raster.bands,
                    stretch=self.raster.stretch if self.raster.stretch_known else None,
                    crs=self.raster.grid.crs,
                    model=state.model.info.name,
                    weights=state.model.info.weights_hash,
                    gsd=self.gsd,
                    options=state.options,
                    features=state.features,
                    steps=state.steps,
                    classes=self.classes,
                ),
                target,
            )
            self.project = target
            return target

    def _autosave(self, consequence: str) -> None:
        if self.project is None:
            return
        try:
            self.save()
        except ExportError as error:
            raise ExportError(f"{error} ({consequence}; session.save(path) elsewhere)") from error

    @classmethod
    def load(
        cls,
        path: str | Path,
        raster: Any = None,
        model: str | Model | None = None,
        cache: EmbeddingCache | None = None,
    ) -> Self:
        """Return the session that was saved in a project file.

        Args:
            path: The GeoPackage.
            raster: The raster, where it is not where it was.
            model: Another model than the one it was saved with.
            cache: Where embeddings are kept; as in a new session.

        Raises:
            ProjectError: The file is no project of geoiseg, or of another CRS.
            RasterError: The raster can not be opened.
        """
        project = load_project(Path(path))
        if raster is None:
            place = raster_path(project.raster, Path(path))
            raster = open_raster(place, project.bands, project.stretch)
        session = cls(
            open_raster(raster),
            project.model if model is None else model,
            gsd=project.gsd,
            outline=project.options,
            cache=cache,
        )
        session.project, session.classes = Path(path), project.classes
        if project.crs != session.raster.grid.crs:
            raise ProjectError(f"{path} is of another CRS than {session.raster.name}")
        outcome = session.segmenter.replay(project.steps)
        session._history = History(
            replace(session._state, steps=project.steps, outcome=outcome, features=project.features)
        )
        return session

    def export(self, path: str | Path, **options: Any) -> Path:
        """Write the accepted features in the format of the path's suffix.

        ``.gpkg``, ``.shp``, ``.geojson``, ``.fgb``, ``.parquet``, and ``.tif`` for a mask
        as a cloud-optimised GeoTIFF.

        Raises:
            ExportError: It can not be written; an older file stays as it was.
        """
        return export_features(self.features, Path(path), grid=self.raster.grid, **options)
