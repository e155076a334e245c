"""The accepted features: kept, refined, relabelled, deleted, taken over from elsewhere."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from geoiseg.errors import CancelledError, SessionError
from geoiseg.features import (
    Feature,
    Kinds,
    check_attribute_names,
    kinds_of,
    plain_value,
)
from geoiseg.features.kinds import joined
from geoiseg.files import polygon_rows
from geoiseg.outline import outline
from geoiseg.prompting import Prompts, Region, Text
from geoiseg.segment import Step, Watch
from geoiseg.session.covering import Covering
from geoiseg.session.project import foreign_features

if TYPE_CHECKING:
    from collections.abc import Mapping

    import geopandas as gpd

log = logging.getLogger(__name__)


class Accepting(Covering):
    """The object in progress becomes a feature among others."""

    left_out: tuple[str, ...] = ()
    """A line for each sort of rows that the last ``add_features`` could not take over."""

    @property
    def accepted(self) -> tuple[Feature, ...]:
        """The accepted objects with all their provenance."""
        return self._state.features

    @property
    def editing(self) -> int | None:
        """Id of the accepted feature that is being refined, if any."""
        return self._state.editing

    def accept(
        self, /, label: str | None = None, *, watch: Watch | Any = None, **attributes: Any
    ) -> int:
        """Keep the object in progress and return its id, followed and sharpened before.

        That takes seconds where it was seen from further away, and minutes where it is very large:
        a ``watch`` follows or stops it. ``session.detail = "seen"``, or :meth:`accept_as_seen`,
        takes what is there. With ``snap`` it takes over the borders of accepted features that are
        near; with a ``schema`` its attributes are read, completed and checked.

        Args:
            label: Class or name; when refining a feature, None keeps its label.
            watch: To follow or stop following and sharpening; stopped, nothing is accepted, the
                object is as far as it came, and accepted again it goes on from there,
                or follows it anew from the beginning.
            **attributes: The user's own columns. One called ``watch`` is one if it is no Watch.

        Raises:
            SessionError: There is no object, an attribute has a reserved name, the schema
                asks for another value, or other features have all of its ground.
            ExportError: It is accepted, but the project file could not be saved.
            CancelledError: ``watch`` asked to stop.
        """
        if watch is not None and not isinstance(watch, Watch):
            watch, attributes = None, {**attributes, "watch": watch}
        check_attribute_names(attributes)
        with self._lock:
            if self.detail == "native":
                self.finish(watch=watch)
                if watch is not None and watch.cancelled():
                    raise CancelledError("stopped: the object is as far as it came, not accepted")
            return self.accept_as_seen(label, **attributes)

    def accept_as_seen(self, /, label: str | None = None, **attributes: Any) -> int:
        """Keep the object in progress as it is, and return its id; else as :meth:`accept`."""
        check_attribute_names(attributes)
        with self._lock:
            state, geometry = self._state, self.geometry
            if state.outcome is None or geometry is None:
                raise SessionError("there is nothing to accept yet: add a point or a box first")
            plain = {name: plain_value(value) for name, value in attributes.items()}
            plain = {**_found_by(state.steps), **plain}
            old = None if state.editing is None else self._find(state.editing)
            others = tuple(other for other in state.features if other is not old)
            geometry, others = self._among(geometry, others)
            feature = self._feature(geometry, label, plain, old)
            features = tuple(sorted((*others, feature), key=lambda one: one.id))
            search = state.search
            if search is not None and state.picked is not None:
                search = replace(search, gone=search.gone | {state.picked})
            self._history.push(
                replace(state, steps=(), outcome=None, editing=None, features=features,
                        search=search, picked=None, kinds=self._kinds_with(attributes))
            )  # fmt: skip
            numbers = self._autosave(f"feature {feature.id} is accepted here but not in the file")
            return numbers.get(feature.id, feature.id)

    def _feature(
        self, geometry: Any, label: str | None, attributes: dict[str, Any], old: Feature | None
    ) -> Feature:
        outcome, info = self._state.outcome, self.model.info
        if outcome is None:
            raise SessionError("there is no object")
        options, plain = self._state.options, None
        if options.reshapes and outcome.drawn is None:  # what was drawn by hand is as it was drawn
            plain = outline(outcome.best, options.unshaped, outcome.told, self._in_sight(outcome))
        made: dict[str, Any] = {
            "geometry": geometry,
            "drawn": plain,
            "steps": self._state.steps,
            "score": outcome.mask.score,
            "model": info.name,
            "weights": info.weights_hash,
            "gsd": outcome.best.grid.pixel_size_metres(),
            "source": self.raster.name,
        }
        if old is None:
            number = max((feature.id for feature in self.accepted), default=0) + 1
            full = self.schema.completed(label or "", attributes)
            return Feature(id=number, label=label or "", attributes=full, **made)
        kept = old.label if label is None else label
        full = self.schema.completed(kept, {**old.attributes, **attributes})
        return old.changed(label=kept, attributes=full, **made)

    def edit(self, feature_id: int, *, watch: Watch | None = None) -> None:
        """Take an accepted feature up again; ``accept`` then replaces it.

        Its prompts come back one by one; an outline from elsewhere comes as a region.

        Args:
            feature_id: Of the feature.
            watch: To follow or stop that; stopped, all is as it was.

        Raises:
            SessionError: There is no such feature.
            CancelledError: ``watch`` asked to stop.
        """
        with self._lock:
            feature = self._find(feature_id)
            steps = feature.steps or (Step((Region(feature.geometry),), self.gsd),)
            outcome = self.segmenter.replay(steps, watch)
            self._history.push(
                replace(self._state, steps=steps, outcome=outcome, editing=feature_id)
            )

    def relabel(self, feature_id: int, /, label: str | None = None, **attributes: Any) -> None:
        """Change the label or attributes of an accepted feature.

        Raises:
            SessionError: There is no such feature, an attribute has a reserved name, or the
                schema asks for another value.
        """
        check_attribute_names(attributes)
        with self._lock:
            old = self._find(feature_id)
            plain = {name: plain_value(value) for name, value in attributes.items()}
            kept = old.label if label is None else label
            full = self.schema.completed(kept, {**old.attributes, **plain})
            new = old.changed(label=kept, attributes=full)
            self._replace_features(
                tuple(new if one is old else one for one in self.accepted),
                self._kinds_with(attributes),
            )

    def rename_label(self, old: str, new: str) -> int:
        """Give another label to all features that have ``old``, and return how many.

        The schema fills in defaults; what it requires may be missing and is flagged by
        ``check_features``.
        """
        with self._lock:
            changed = {one.id: self._renamed(one, new) for one in self.accepted if one.label == old}
            if changed:
                self._replace_features(tuple(changed.get(one.id, one) for one in self.accepted))
            return len(changed)

    def _renamed(self, feature: Feature, label: str) -> Feature:
        full = self.schema.completed(label, feature.attributes, lenient=True)
        return feature.changed(label=label, attributes=full)

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

        The schema fills in defaults; its other demands are flagged by ``check_features``.

        Rows without a polygon are left out, logged, and named in ``left_out``.

        Args:
            frame: Polygons in any CRS.
            label_column: Column with the labels, if there is one.

        Raises:
            PromptError: No row is a polygon, or the layer's CRS can not be used.
        """
        with self._lock:
            polygons, told = polygon_rows(frame)
            if len(polygons):
                frame = polygons
            for line in told if len(polygons) else ():
                log.warning("%s: left out", line)
            self.left_out = tuple(told)
            first = max((feature.id for feature in self.accepted), default=0) + 1
            source = self.raster
            theirs = None if source.grid.crs is None else frame.crs
            moved = [source.grid.bring(shape, theirs) for shape in frame.geometry]
            frame = frame.set_geometry(moved).set_crs(source.grid.crs, allow_override=True)
            found, kinds = foreign_features(frame, first, label_column)
            new = [
                replace(
                    one, attributes=self.schema.completed(one.label, one.attributes, lenient=True)
                )
                for one in found
            ]
            known = joined(self._state.kinds, kinds)
            numbers = self._replace_features((*self.accepted, *new), known)
            return [numbers.get(feature.id, feature.id) for feature in new]

    def know_kinds(self, kinds: Kinds) -> None:
        """Have the columns of a file keep its types in what is accepted from now on."""
        with self._lock:
            known = joined(self._state.kinds, kinds)
            self._history.present = replace(self._history.present, kinds=known)

    def _kinds_with(self, attributes: Mapping[str, Any]) -> Kinds:
        """Return the kinds of all columns, those of new ones among the attributes too."""
        return joined(self._state.kinds, kinds_of(attributes))

    def _replace_features(
        self, features: tuple[Feature, ...], kinds: Kinds | None = None
    ) -> Mapping[int, int]:
        ids = {feature.id for feature in features}
        state = self._state
        if state.editing is not None and state.editing not in ids:
            state = replace(state, steps=(), outcome=None, editing=None)
        known = state.kinds if kinds is None else kinds
        self._history.push(replace(state, features=features, kinds=known))
        return self._autosave("the change is made here but not in the file")

    def _find(self, feature_id: int) -> Feature:
        for feature in self._state.features:
            if feature.id == feature_id:
                return feature
        known = ", ".join(str(feature.id) for feature in self.accepted[:10]) or "none"
        raise SessionError(f"there is no feature {feature_id!r}; accepted are: {known}")


def _found_by(steps: tuple[Step, ...]) -> dict[str, Any]:
    """Return the columns that say what words an object was found by, if by any."""
    said = Prompts(tuple(item for step in steps for item in step.prompts)).of(Text)
    if not said:
        return {}
    text = said[-1]
    columns = {"words": text.text, "words_score": text.score, "words_engine": text.engine}
    return {**columns, "words_negative": text.negative} if text.negative else columns
