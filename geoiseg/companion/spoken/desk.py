"""What can be asked of geoiseg by name: a raster, objects on it, and files."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import shapely

from geoiseg.companion.spoken.picture import View, picture, view_of
from geoiseg.errors import ExportError, PromptError, SessionError
from geoiseg.features import Feature
from geoiseg.models import DEFAULT_MODEL
from geoiseg.models.registry import models
from geoiseg.raster import measure, open_raster, reproject_geometry
from geoiseg.session import Session, resumed
from geoiseg.session.reviewing import score_of, state_of

LISTED = 200
"""Objects that an answer lists, at most."""
PICTURE = "picture"
"""In the place of a CRS: places are pixels of the last picture, from its upper left corner."""


class Desk:
    """One session, asked for by words; every answer is plain, as JSON takes it."""

    def __init__(self) -> None:
        self._session: Session | None = None
        self._view: View | None = None
        self._written: set[Path] = set()
        self._lock = threading.RLock()

    @property
    def session(self) -> Session:
        """The session.

        Raises:
            SessionError: There is none yet.
        """
        if self._session is None:
            raise SessionError("no raster is open: call open_raster first")
        return self._session

    def open_raster(
        self, path: str, project: str | None = None, model: str | None = None,
        bands: Sequence[int | str] | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Open a raster to segment on; what was open before is left as it was saved.

        Args:
            path: File, folder or URL of a raster.
            project: GeoPackage that every accepted object is saved to; gone on with if it is there.
            model: Name of a model, by default the project's, or tiny.
            bands: One or three to see by: numbers, names, indices or formulas, or a composite such
                as infrared; by default the colours.
        """
        chosen, said = tuple(bands) if bands else None, ""
        if project is not None and Path(project).exists():
            shown = open_raster(path, chosen) if chosen else path
            session, said = resumed(project, shown, model)
        else:
            session = Session(open_raster(path, chosen), model or DEFAULT_MODEL, project=project)
        with self._lock:
            self._session, self._view = session, None
        return {**self.about(), "note": f"opened {said}"} if said else self.about()

    def about(self) -> dict[str, Any]:
        """Tell what is open: size, CRS, bounds, bands, model, project, and how many objects."""
        session = self.session
        grid = session.raster.grid
        lonlat = None if grid.crs is None else list(grid.footprint_in("EPSG:4326").bounds)
        return {
            "raster": session.raster.name,
            "width": grid.width,
            "height": grid.height,
            "crs": None if grid.crs is None else grid.crs.to_string(),
            "bounds": list(grid.bounds),
            "bounds_lonlat": lonlat,
            "pixel_size_m": grid.pixel_size_metres(),
            "bands": list(session.raster.bands),
            "model": session.model.info.name,
            "project": None if session.project is None else str(session.project),
            "objects": len(session.accepted),
            "classes": sorted({one.label for one in session.accepted}),
            "review": session.review_counts(),
        }

    def models(self) -> list[dict[str, Any]]:
        """List the models that are ready."""
        ready = [one for one in models() if one.is_ready]
        return [{"name": one.name, "family": one.family, "about": one.description} for one in ready]

    # -- the object in progress ------------------------------------------------------

    def add_point(
        self, x: float, y: float, positive: bool = True, crs: str | None = None
    ) -> dict[str, Any]:
        """Say that a place is on the object, or off it."""
        [(x, y)], where = self._places([(x, y)], crs)
        self.session.add_point(x, y, positive, where)
        return self.state()

    def add_box(
        self, xmin: float, ymin: float, xmax: float, ymax: float, crs: str | None = None
    ) -> dict[str, Any]:
        """Say that the object lies in a box."""
        (one, other), where = self._places([(xmin, ymin), (xmax, ymax)], crs)
        (west, east), (south, north) = sorted((one[0], other[0])), sorted((one[1], other[1]))
        self.session.add_box(west, south, east, north, where)
        return self.state()

    def add_stroke(
        self, places: Sequence[Sequence[float]], positive: bool = True, crs: str | None = None
    ) -> dict[str, Any]:
        """Say that all places along a line are on the object, or off it."""
        xy, where = self._places(places, crs)
        self.session.add_scribble(xy, positive, where)
        return self.state()

    def state(self) -> dict[str, Any]:
        """Tell of the object in progress: its outline's area, bounds and score, and what next."""
        session = self.session
        shape = session.geometry
        if shape is None:
            return {"object": None, "objects": len(session.accepted)}
        area, perimeter = measure(shape, session.raster.grid.crs)
        mask = session.mask
        return {
            "object": {
                "steps": len(session.steps),
                "score": None if mask is None else _plain(mask.score),
                "area_m2": _plain(area),
                "perimeter_m": _plain(perimeter),
                "bounds": list(shape.bounds),
                "goes_on_beyond": session.goes_on,
                "clicks_change_little": session.settled,
                "editing": session.editing,
            },
            "objects": len(session.accepted),
        }

    def suggest_click(self) -> dict[str, Any]:
        """Tell where a click would help most."""
        found = self.session.suggest_click()
        return {"at": None if found is None else [found.x, found.y]}

    def follow(self) -> dict[str, Any]:
        """Follow an object that goes on beyond the border of what was looked at."""
        self.session.grow()
        return self.state()

    def accept(
        self, label: str | None = None, attributes: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Keep the object in progress, with a class and further columns.

        Args:
            label: Its class; one that was taken up again keeps its own by default.
            attributes: Further columns.
        """
        columns = dict(attributes or {})
        if "label" in columns:
            raise PromptError("a column can not be called 'label': give the class as label")
        number = self.session.accept(label, **columns)
        return self.get_object(number)

    def cancel(self) -> dict[str, Any]:
        """Drop the object in progress."""
        self.session.clear()
        return self.state()

    def undo(self) -> dict[str, Any]:
        """Take back the last step, whatever it was."""
        return {"undone": self.session.undo(), **self.state()}

    def redo(self) -> dict[str, Any]:
        """Do again what was taken back."""
        return {"redone": self.session.redo(), **self.state()}

    # -- accepted objects ------------------------------------------------------------

    def find(
        self, words: str, label: str | None = None, least_score: float | None = None
    ) -> dict[str, Any]:
        """Accept all that words name, e.g. water, and list it; one step to undo."""
        session = self.session
        session.add_text(words, threshold=least_score)
        if not session.candidates:
            session.clear_search()
            raise PromptError(f"nothing was found for {words!r}: add a point or a box instead")
        numbers = session.accept_candidates(label=words if label is None else label)
        return {"found": len(numbers), "ids": list(numbers)[:LISTED]}

    def list_objects(
        self, label: str | None = None, state: str | None = None, doubtful_first: bool = False,
        start: int = 0, count: int = LISTED,
    ) -> dict[str, Any]:  # fmt: skip
        """List accepted objects with class, area, score, bounds, review and flags."""
        session = self.session
        wanted = session.queue(label=label, state=state)
        if not doubtful_first:
            wanted = sorted(wanted)
        known, flags = {one.id: one for one in session.accepted}, session.flags
        shown = wanted[max(0, start) : max(0, start) + max(1, min(LISTED, count))]
        rows = [self._row(known[number], flags.get(number, ())) for number in shown]
        return {"objects": rows, "whole": len(wanted)}

    def get_object(self, number: int, lonlat: bool = False) -> dict[str, Any]:
        """Return an accepted object with its outline as GeoJSON."""
        one = self._find(number)
        shape, crs = one.geometry, self.session.raster.grid.crs
        if lonlat:
            if crs is None:
                raise PromptError("the raster has no CRS, so there is no longitude and latitude")
            shape = reproject_geometry(shape, crs, "EPSG:4326")
        flags = self.session.flags.get(number, ())
        return {**self._row(one, flags), "geometry": shapely.geometry.mapping(shape)}

    def edit(self, number: int) -> dict[str, Any]:
        """Take an accepted object up again, to refine it with further prompts."""
        self.session.edit(number)
        return self.state()

    def relabel(
        self, number: int, label: str | None = None, attributes: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Change class and columns of an accepted object."""
        self.session.relabel(number, label, **dict(attributes or {}))
        return self.get_object(number)

    def delete(self, number: int) -> dict[str, Any]:
        """Remove an accepted object."""
        self.session.delete(number)
        return {"deleted": number, "objects": len(self.session.accepted)}

    def review(self, numbers: Sequence[int], state: str) -> dict[str, Any]:
        """Say that objects are checked, rejected or to check."""
        self.session.review(list(numbers), state)
        return self.session.review_counts()

    # -- files -----------------------------------------------------------------------

    def export(self, path: str, rejected: bool = False, replace: bool = False) -> dict[str, Any]:
        """Write the accepted objects: .gpkg, .geojson, .shp, .fgb, .parquet or .tif (a mask)."""
        target = Path(path).expanduser().absolute()
        with self._lock:
            if target.exists() and not replace and target not in self._written:
                raise ExportError(f"{target} exists; choose another name, or say replace")
            self.session.export(target, rejected=rejected)
            self._written.add(target)
        return {"path": str(target), "bytes": target.stat().st_size}

    def save(self, path: str | None = None) -> dict[str, Any]:
        """Write the project, from which everything can be gone on with."""
        return {"project": str(self.session.save(path))}

    def picture(
        self, bounds: Sequence[float] | None = None, width: int = 1024
    ) -> tuple[bytes, dict[str, Any]]:
        """Return the state as a PNG, and how its pixels lie on the ground."""
        view = view_of(self.session.raster, bounds, width)
        data = picture(self.session, view)
        with self._lock:
            self._view = view
        corners = view.to_crs([(0, 0), view.size]).tolist()
        return data, {
            "size": list(view.size),
            "upper_left": corners[0],
            "lower_right": corners[1],
            "crs": self.about()["crs"],
        }

    # --------------------------------------------------------------------------------

    def _places(self, places: Sequence[Sequence[float]], crs: str | None) -> tuple[Any, Any]:
        """Return places, and their CRS: None for the raster's."""
        xy = [(float(x), float(y)) for x, y in places]
        if crs != PICTURE:
            return xy, crs
        if self._view is None:
            raise PromptError("there is no picture yet: call picture first")
        return [tuple(place) for place in self._view.to_crs(xy).tolist()], None

    def _find(self, number: int) -> Feature:
        for one in self.session.accepted:
            if one.id == number:
                return one
        raise SessionError(f"there is no object {number}")

    def _row(self, one: Feature, flags: Sequence[str]) -> dict[str, Any]:
        area, _ = measure(one.geometry, self.session.raster.grid.crs)
        return {
            "id": one.id,
            "label": one.label,
            "area_m2": _plain(area),
            "score": score_of(one),
            "bounds": list(one.geometry.bounds),
            "review": state_of(one),
            "flags": list(flags),
            "attributes": {name: _said(value) for name, value in one.attributes.items()},
        }


def _plain(value: float | None) -> float | None:
    return None if value is None or value != value else float(value)  # noqa: PLR0124 - NaN


def _said(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)
