"""Accepted objects as values, and as the table a GIS reads."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import geopandas as gpd
import numpy as np

from geoiseg.errors import SessionError
from geoiseg.features.kinds import typed_column
from geoiseg.prompting import Prompts
from geoiseg.raster import as_crs, measure, measure_all
from geoiseg.segment import Step

FIXED_COLUMNS = (
    "id",
    "label",
    "area_m2",
    "perimeter_m",
    "compactness",
    "score",
    "model",
    "weights",
    "gsd",
    "positive_points",
    "negative_points",
    "boxes",
    "scribbles",
    "source",
    "created",
    "updated",
)
"""Columns of every table of features, before the user's own and the geometry."""
OUR_MEASURES = ("area_m2", "perimeter_m", "compactness")
"""Those that tell of the geometry."""
CUT_NAMES = {"perim_m": "perimeter_m", "compact": "compactness"}
"""What a Shapefile of ours, which has ``area_m2``, calls those with names too long for it."""

_UNUSABLE = re.compile(r'[\x00-\x1f"]')
"""What no name of a column may have."""


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True, slots=True, eq=False)
class Feature:
    """An accepted object with all that is needed to make it again."""

    id: int
    """Number within the session, from 1."""
    geometry: Any
    """Shapely Polygon or MultiPolygon in the raster's CRS."""
    label: str = ""
    """Class or name given by the user."""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """The user's own columns."""
    steps: tuple[Step, ...] = ()
    """What the user did, in order; empty for an outline from elsewhere."""
    score: float | None = None
    """The model's own estimate of the IoU, 0..1."""
    model: str = ""
    """Name of the model."""
    weights: str = ""
    """Hash of the model's weights, or the version of a weight-free engine."""
    gsd: float | None = None
    """Ground size in metres of the mask's pixels."""
    source: str = ""
    """Name of the raster."""
    created: str = field(default_factory=now)
    """When it was accepted, ISO 8601, UTC."""
    updated: str = field(default_factory=now)
    """When it was last changed, ISO 8601, UTC."""

    drawn: Any = None
    """Its geometry before holes, parts or its width were changed; None where that is it."""

    def __post_init__(self) -> None:
        taken = [name for name in self.attributes if name in (*FIXED_COLUMNS, "geometry")]
        if taken:
            raise SessionError(f"{taken[0]!r} is a column of geoiseg's own; rename the attribute")

    def changed(self, **values: Any) -> Feature:
        """Return the feature with other values and a new time of change.

        Another geometry was not drawn as the one before, unless ``drawn`` is given.
        """
        if "geometry" in values:
            values.setdefault("drawn", None)
        return replace(self, **values, updated=now())


def free_names(names: Iterable[Any]) -> dict[Any, str]:
    """Return names for the columns of a user's table that do not collide with geoiseg's own.

    What is not free, or can not be a name, gets the first of ``_1``, ``_2``... that is.
    """
    given = list(names)
    taken = {*FIXED_COLUMNS, "geometry"}
    wanted = {str(name) for name in given}
    chosen: dict[Any, str] = {}
    for name in given:
        base = _UNUSABLE.sub("_", str(name)) or "field"
        new, number = base, 0
        while new in taken or (new != name and new in wanted):
            number += 1
            new = f"{base}_{number}"
        chosen[name] = new
        taken.add(new)
    return chosen


def renamed_in_words(names: Mapping[Any, str]) -> str:
    """Return in words which columns got another name; none where all stay."""
    return "; ".join(f"column {a!r} is {b!r} here" for a, b in names.items() if str(a) != b)


def compactness(area: float, perimeter: float) -> float:
    """Return ``4 pi area / perimeter²``: 1 for a disk, less for all else (Polsby, Popper 1991)."""
    return 4 * math.pi * area / perimeter**2 if perimeter > 0 else math.nan


def has_our_measures(frame: gpd.GeoDataFrame) -> bool:
    """Return whether a table has measures of geoiseg's: a user's own ``area_m2`` is no such."""
    names = set(map(str, frame.columns))
    return "area_m2" in names and bool({"perimeter_m", "perim_m", "score"} & names)


def measured_anew(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return the features with geoiseg's own measures, where they have them, true.

    Files of older versions have area and perimeter, and no compactness: they get it.
    """
    if not has_our_measures(frame):
        return frame
    known = {name: name for name in OUR_MEASURES} | CUT_NAMES
    present = {name: measured for name, measured in known.items() if name in frame}
    shapes = np.asarray(frame.geometry.array, dtype=object)
    sizes = measure_all(shapes, frame.crs).tolist()
    found = np.array([(*size, compactness(*size)) for size in sizes]).reshape(-1, 3)
    renewed = frame.copy()
    for name, measured in present.items():
        renewed[name] = found[:, OUR_MEASURES.index(measured)]
    if {"area_m2", "perimeter_m"} <= present.keys() and "compactness" not in present:
        renewed.insert(renewed.columns.get_loc("perimeter_m") + 1, "compactness", found[:, 2])
    return renewed


def feature_row(feature: Feature, crs: Any) -> dict[str, Any]:
    """Return the values of a feature's columns by name, geometry left out."""
    area, perimeter = measure(feature.geometry, crs)
    prompts = Prompts(tuple(item for step in feature.steps for item in step.prompts))
    own = {
        "id": feature.id,
        "label": feature.label,
        "area_m2": area,
        "perimeter_m": perimeter,
        "compactness": compactness(area, perimeter),
        "score": math.nan if feature.score is None else feature.score,
        "model": feature.model,
        "weights": feature.weights,
        "gsd": math.nan if feature.gsd is None else feature.gsd,
        **prompts.counts(),
        "source": feature.source,
        "created": feature.created,
        "updated": feature.updated,
    }
    return {**own, **feature.attributes}


def to_frame(
    features: Iterable[Feature], crs: Any, kinds: Mapping[str, str] | None = None
) -> gpd.GeoDataFrame:
    """Return the features as a GeoDataFrame with a CRS, one row each.

    Columns: those of ``FIXED_COLUMNS``, the union of the users' own, ``geometry``.

    Args:
        features: In the order of the rows.
        crs: Their CRS.
        kinds: Types of the user's columns (see ``features.kinds``), in their order.
    """
    listed = list(features)
    rows = [feature_row(feature, crs) for feature in listed]
    known = kinds or {}
    own = dict.fromkeys(name for row in rows for name in row)
    names = dict.fromkeys([*FIXED_COLUMNS, *(name for name in known if name in own), *own])
    table: dict[str, Any] = {name: [row.get(name) for row in rows] for name in names}
    for name in [name for name in names if name not in FIXED_COLUMNS]:
        table[name] = typed_column(table[name], known.get(name))
    geometry = np.array([feature.geometry for feature in listed], dtype=object)
    frame = gpd.GeoDataFrame(table, geometry=geometry, crs=as_crs(crs))
    if not listed:
        whole = {"id", "positive_points", "negative_points", "boxes", "scribbles"}
        real = {"area_m2", "perimeter_m", "compactness", "score", "gsd"}
        kinds = {n: "int64" if n in whole else "float64" if n in real else "str" for n in names}
        frame = frame.astype(kinds)
    return frame


def check_attribute_names(names: Iterable[str]) -> None:
    """Make sure that names can be columns of a GIS layer.

    Raises:
        SessionError: A name is empty or has control characters or double quotes.
    """
    for name in names:
        if not name or _UNUSABLE.search(name):
            raise SessionError(f"{name!r} can not be the name of an attribute")
