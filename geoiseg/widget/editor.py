"""What can be done on a map, as methods: each is a request to the one worker."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoiseg.errors import SessionError
from geoiseg.features import Feature
from geoiseg.models import Model
from geoiseg.outline import OutlineOptions
from geoiseg.prompting import Point, Prompt, Scribble
from geoiseg.segment import Outcome, Suggestion, Watch
from geoiseg.widget.requests import Requests

if TYPE_CHECKING:
    import geopandas as gpd

    from geoiseg.segment import Mask


class Editor(Requests):
    """A session whose every change runs in the worker of the model's device.

    With ``wait=True`` (the default) a method returns when it is done and raises what went
    wrong; with ``wait=False`` it returns at once and errors appear on the map alone.
    """

    _selected: int | None = None
    _suggested: tuple[Outcome, Suggestion] | None = None

    # -- the object in progress ------------------------------------------------------

    def _scale(self) -> float | None:
        """Return the ground size of pixels to work at."""
        return self.session.gsd

    def _prompt(self, add: Callable[[Watch], None], gsd: float | None, *, wait: bool) -> None:
        scale = self._scale() if gsd is None else gsd

        def change(watch: Watch) -> None:
            before, self.session.gsd = self.session.gsd, scale
            try:
                add(watch)
            except BaseException:
                self.session.gsd = before
                raise
            self._learn_speed()
            self._prompted()

        self._ask(change, wait=wait, stoppable=True)

    def _learn_speed(self) -> None:
        """Take note of how long the last step took."""

    def _prompted(self) -> None:
        """Go on with the object as it is now."""

    def add_point(
        self, x: float, y: float, positive: bool = True, crs: Any = None,
        *, gsd: float | None = None, wait: bool = True,
    ) -> None:  # fmt: skip
        """Say that a place is on the object, or off it; like a click.

        Args:
            x: Easting or longitude.
            y: Northing or latitude.
            positive: True where the place belongs to the object.
            crs: CRS of the coordinates where it is not the raster's.
            gsd: Ground size of the pixels to work at; by default that of the screen's.
            wait: Whether to return only when it is done.

        Raises:
            PromptError: The place is outside the raster, or has no data.
        """
        said = [Point(float(x), float(y), bool(positive))]
        self._prompt(lambda watch: self._add(said, crs, watch), gsd, wait=wait)

    def add_box(
        self, xmin: float, ymin: float, xmax: float, ymax: float, crs: Any = None, **how: Any
    ) -> None:
        """Say that the object lies in a box, which is upright in ``crs``.

        Args:
            xmin: Least easting or longitude.
            ymin: Least northing or latitude.
            xmax: Greatest easting or longitude.
            ymax: Greatest northing or latitude.
            crs: CRS of the coordinates where it is not the raster's.
            **how: ``gsd`` and ``wait``, as ``add_point`` takes them.

        Raises:
            PromptError: The box has no area or does not meet the raster.
        """
        session, box = self.session, (xmin, ymin, xmax, ymax)
        gsd, wait = how.pop("gsd", None), how.pop("wait", True)
        self._prompt(lambda watch: session.add_box(*box, crs, watch=watch, **how), gsd, wait=wait)

    def add_scribble(
        self, xy: Iterable[Sequence[float]], positive: bool = True, crs: Any = None,
        *, gsd: float | None = None, wait: bool = True,
    ) -> None:  # fmt: skip
        """Say that the places along a stroke are on the object, or off it.

        Raises:
            PromptError: The stroke has no vertex or is outside the raster.
        """
        said = [Scribble(tuple((float(a), float(b)) for a, b in xy), bool(positive))]
        self._prompt(lambda watch: self._add(said, crs, watch), gsd, wait=wait)

    def _add(self, said: Iterable[Prompt], crs: Any, watch: Watch) -> None:
        """Give prompts to the session; the first answer is shown before it is followed."""
        self.session.add(said, crs, watch=watch, follow=False)

    def add_region(self, outline: Any, crs: Any = None, *, wait: bool = True) -> None:
        """Start from an outline: a shapely polygon, or the id of an accepted feature.

        Raises:
            PromptError: It has no area or does not meet the raster.
            SessionError: There is no such feature.
        """
        if isinstance(outline, int):
            outline, crs = self.feature(outline).geometry, None
        session = self.session
        self._prompt(lambda watch: session.add_region(outline, crs, watch=watch), None, wait=wait)

    def draw(self, outline: Any, crs: Any = None, *, tool: str = "draw", wait: bool = True) -> None:
        """Make a shapely polygon the object in progress, with all its vertices.

        Args:
            outline: Polygon or MultiPolygon.
            crs: Its CRS where it is not the raster's.
            tool: What it was drawn with, for the project file.
            wait: Whether to return only when it is done.

        Raises:
            PromptError: It has no area or does not meet the raster.
        """
        self._ask(lambda _: self.session.draw(outline, crs, tool=tool), wait=wait)

    def trace(self, clicks: Iterable[Sequence[float]], crs: Any = None, **how: Any) -> None:
        """Follow a border from click to click on it, and make what it encloses the object.

        Args:
            clicks: ``x, y`` in order, three or more.
            crs: CRS of the coordinates where it is not the raster's.
            **how: ``follows``, as ``Session.trace`` takes it, and ``wait``.

        Raises:
            PromptError: There are too few clicks, or one lies outside of the raster.
        """
        places, wait = list(clicks), how.pop("wait", True)
        self._ask(lambda _: self.session.trace(places, crs, **how), wait=wait)

    def undo(self, *, wait: bool = True) -> None:
        """Go back one step; what is being computed just now is that step."""
        if not self.stop():
            self._ask(lambda _: self.session.undo(), wait=wait)

    def redo(self, *, wait: bool = True) -> None:
        """Go forward one step again."""
        self._ask(lambda _: self.session.redo(), wait=wait)

    def cancel(self, *, wait: bool = True) -> None:
        """Stop the model; if it was idle, drop the object, the candidates or the selection."""
        if self.stop():
            return
        if self.busy or self.session.steps or self.session.editing is not None:
            self._ask(lambda _: self.session.clear(), wait=wait)
        elif self.session.search is not None:
            self._ask(lambda _: self.session.clear_search(), wait=wait)
        else:
            self.select(None)

    def grow(self, *, wait: bool = True) -> None:
        """Follow the object beyond the border of its chip until it ends; undone in one step.

        Raises:
            SessionError: There is no object in progress.
        """

        def change(watch: Watch) -> None:
            ended = self.session.grow(watch=watch)
            grown = self.session.outcome.grown if self.session.outcome else None
            chips = grown.chips if grown else 0
            more = "" if ended else "; it goes on: once more follows it further"
            self._say(f"Followed over {chips} chips{more}")

        self._ask(change, wait=wait, stoppable=True)

    # -- the next click --------------------------------------------------------------

    def suggest_click(self, *, wait: bool = True) -> Suggestion | None:
        """Show where a click would help most, and return it; None where none would.

        Whether the place is on the object is for the user to say.

        Raises:
            SessionError: There is no object in progress.
        """

        def ask(watch: Watch) -> Suggestion | None:
            outcome = self.session.outcome
            found = self.session.suggest_click(watch=watch)
            if found is None or outcome is None:
                self._say("No click is likely to help much: accept it, or draw a stroke")
            else:
                self._suggested = (outcome, found)
                self._say("Is the pulsing dot on the object? Click it, left for yes, right for no")
            return found

        found: Suggestion | None = self._ask(ask, wait=wait, stoppable=True)
        return found

    @property
    def suggestion(self) -> Suggestion | None:
        """The place that was proposed for the object as it is now, if any."""
        if self._suggested is None or self._suggested[0] is not self.session.outcome:
            return None
        return self._suggested[1]

    def _say(self, text: str) -> None:
        """Show a note."""

    # -- accepted features -----------------------------------------------------------

    def feature(self, feature_id: int) -> Feature:
        """Return an accepted feature with all its provenance.

        Raises:
            SessionError: There is no such feature.
        """
        for feature in self.session.accepted:
            if feature.id == feature_id:
                return feature
        raise SessionError(f"there is no feature {feature_id!r}")

    @property
    def selected(self) -> int | None:
        """Id of the feature that is selected or being refined, if any."""
        if self.session.editing is not None:
            return self.session.editing
        ids = {feature.id for feature in self.session.accepted}
        return self._selected if self._selected in ids else None

    def select(self, feature_id: int | None) -> None:
        """Select an accepted feature, or none.

        Raises:
            SessionError: There is no such feature.
        """
        self._selected = None if feature_id is None else self.feature(feature_id).id
        self._clear_line()
        self.refresh()

    def edit(self, feature_id: int | None = None, *, wait: bool = True) -> None:
        """Take an accepted feature up again, by default the selected one.

        Raises:
            SessionError: There is no such feature, or none is selected.
        """
        number = self._chosen(feature_id)

        def change(watch: Watch) -> None:
            self.session.edit(number, watch=watch)
            if self._selected == number:  # selected while it is refined, and not afterwards
                self._selected = None

        self._ask(change, wait=wait, stoppable=True)

    def delete(self, feature_id: int | None = None, *, wait: bool = True) -> None:
        """Remove an accepted feature, by default the selected one.

        Raises:
            SessionError: There is no such feature, or none is selected.
        """
        number = self._chosen(feature_id)
        self._ask(lambda _: self.session.delete(number), wait=wait)

    def relabel(
        self, feature_id: int | None = None, label: str | None = None, *, wait: bool = True
    ) -> None:
        """Change the class of an accepted feature, by default the selected one's.

        Raises:
            SessionError: There is no such feature, or none is selected.
        """
        number = self._chosen(feature_id)
        self._ask(lambda _: self.session.relabel(number, label), wait=wait)

    def _chosen(self, feature_id: int | None) -> int:
        number = self.selected if feature_id is None else feature_id
        if number is None:
            raise SessionError("select a feature first")
        return number

    def add_features(self, frame: gpd.GeoDataFrame, *, wait: bool = True) -> list[int]:
        """Take over polygons made elsewhere as accepted features, and return their ids.

        Raises:
            PromptError: No row is a polygon, or the layer's CRS can not be used.
        """

        def change(_: Watch) -> list[int]:
            ids = self.session.add_features(frame)
            if self.session.left_out:
                self._say(f"{len(ids)} taken over; left out: {'; '.join(self.session.left_out)}")
            return ids

        ids: list[int] = self._ask(change, wait=wait) or []
        return ids

    # -- the rest --------------------------------------------------------------------

    def use_model(self, model: str | Model, *, wait: bool = True) -> None:
        """Change the model; the object in progress is done again with it, unless that is stopped.

        Raises:
            UnknownModelError: There is no such model.
        """

        def change(watch: Watch) -> None:
            self.session.use_model(model, watch=watch)

        self._ask(change, wait=wait, stoppable=True)

    def use_outline(self, options: OutlineOptions, *, wait: bool = True) -> None:
        """Change how outlines are drawn."""

        def change(_: Watch) -> None:
            self.session.options = options

        self._ask(change, wait=wait)

    def save(self, path: str | Path | None = None, *, wait: bool = True) -> None:
        """Write the project file; later changes are saved to it too.

        Raises:
            SessionError: No path was ever given.
            ExportError: It can not be written; an older file stays as it was.
        """
        self._ask(lambda _: self.session.save(path), wait=wait)

    def export(self, path: str | Path, *, wait: bool = True, **options: Any) -> None:
        """Write the accepted features in the format of the path's suffix.

        Raises:
            ExportError: It can not be written; an older file stays as it was.
        """
        self._ask(lambda _: self.session.export(path, **options), wait=wait)

    @property
    def features(self) -> gpd.GeoDataFrame:
        """The accepted objects as a GeoDataFrame in the raster's CRS."""
        return self.session.features

    @property
    def mask(self) -> Mask | None:
        """The object in progress as a mask; None until it is prompted."""
        return self.session.mask

    @property
    def geometry(self) -> Any:
        """The object in progress as a shapely geometry in the raster's CRS, or None."""
        return self.session.geometry
