"""Accepted features as a clean coverage: all at once, or each as it is accepted."""

from __future__ import annotations

import logging
import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np

from geoiseg.errors import SessionError
from geoiseg.features import Feature, Kinds, QualityOptions, Schema, checked, to_frame
from geoiseg.outline.coverage import CleanOptions, Fitted, Report, clean, snap_to_neighbours
from geoiseg.session.choosing import Choosing

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)


class Covering(Choosing):
    """Accepted features share their borders, and say what their class is to say."""

    fitted: Fitted | None = None
    """What the last accepted feature took over from its neighbours; None without ``snap``."""
    _snap: float = 0.0
    _schema: Schema = Schema()

    @property
    def snap(self) -> float:
        """Metres within which an accepted feature takes over its neighbours' borders; 0 for none.

        In the units of the coordinates where the raster has no CRS.
        """
        return self._snap

    @snap.setter
    def snap(self, width: float) -> None:
        self._snap = checked_snap(width)

    @property
    def schema(self) -> Schema:
        """The fields of each class: ``accept`` fills in defaults and asks for what is required."""
        return self._schema

    @schema.setter
    def schema(self, schema: Schema | Mapping[str, Any]) -> None:
        chosen = schema if isinstance(schema, Schema) else Schema.from_dict(schema)
        self._schema = chosen

    def clean_features(self, options: CleanOptions | None = None) -> Report:
        """Make the accepted features a valid coverage: one step to undo.

        Features that lose all their ground are deleted; the report names their ids, and
        says what else was changed.

        Args:
            options: Rule and widths; by default only overlaps are resolved, by order.

        Raises:
            SessionError: There are no features.
            ExportError: They are clean, but the project file could not be saved.
        """
        with self._lock:
            before = self._state.features
            if not before:
                raise SessionError("there is nothing to clean yet: accept a feature first")
            frame = to_frame(before, self.raster.grid.crs).set_index("id")
            cleaned, report = clean(frame, options)
            shapes = dict(zip(cleaned.index, cleaned.geometry, strict=True))
            self._replace_features(
                tuple(_with(one, shapes[one.id]) for one in before if one.id in shapes)
            )
            return report

    def check_features(self, options: QualityOptions | None = None) -> gpd.GeoDataFrame:
        """Return the features with ``irregularity``, ``parts`` and ``flags``; see ``checked``.

        Nothing is changed; what the schema asks for and is missing is flagged too.
        """
        return checked(self.features, options, self._schema)

    @property
    def features(self) -> gpd.GeoDataFrame:
        """The accepted objects as a GeoDataFrame in the raster's CRS, typed as the schema says."""
        frame = to_frame(self._state.features, self.raster.grid.crs, self._state.kinds)
        return self._schema.typed(frame) if self._schema else frame

    def _among(self, geometry: Any, others: tuple[Feature, ...]) -> tuple[Any, tuple[Feature, ...]]:
        """Return a new geometry fitted in among others, and these with the vertices it needs.

        Raises:
            SessionError: The others have all of its ground.
        """
        self.fitted = None
        if not self._snap or not others:
            return geometry, others
        shapes = np.array([one.geometry for one in others], dtype=object)
        fitted = snap_to_neighbours(geometry, shapes, self._snap, self.raster.grid.crs)
        if fitted.geometry.is_empty:
            raise SessionError("accepted features have all of this ground already;"
                               " delete or refine one, or set snap to 0")  # fmt: skip
        self.fitted = fitted
        log.info("fitted in: %.1f m² taken off, %.1f m² filled", fitted.cut, fitted.filled)
        kept = (_with(one, shape) for one, shape in zip(others, fitted.neighbours, strict=True))
        return fitted.geometry, tuple(kept)

    @abstractmethod
    def _replace_features(
        self, features: tuple[Feature, ...], kinds: Kinds | None = None
    ) -> Mapping[int, int]:
        """Make these the accepted features, one step to undo, and return ids that are new."""


def checked_snap(width: Any) -> float:
    """Return a width that features can snap within.

    Raises:
        SessionError: It is no finite number from 0 on.
    """
    number = isinstance(width, (int, float)) and not isinstance(width, bool)
    if not (number and math.isfinite(width) and width >= 0):
        raise SessionError(f"snap is a length in metres, 0 for none; got {width!r}")
    return float(width)


def _with(feature: Feature, geometry: Any) -> Feature:
    """Return a feature with a geometry; the same where it has it already."""
    return (
        feature if geometry.equals_exact(feature.geometry) else feature.changed(geometry=geometry)
    )
