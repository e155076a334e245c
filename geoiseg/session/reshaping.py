"""Holes, parts and the width of outlines, in ground units, without asking a model again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from geoiseg.errors import SessionError
from geoiseg.features import Feature
from geoiseg.outline import OutlineOptions, reshape
from geoiseg.session.likening import Likening


class Reshaping(Likening):
    """Outlines change their shape, those of accepted features too."""

    def reshape(
        self,
        accepted: bool | Iterable[int] = False,
        *,
        holes: float | None = None,
        parts: float | None = None,
        grow: float | None = None,
    ) -> int:
        """Fill holes, drop small parts, move borders: one step to undo, no model is asked.

        The object in progress and those to come change, as with ``options``. What an
        accepted feature was drawn as is kept: 0 gives it back. Borders that accepted features
        share move apart or over each other; ``clean_features`` brings them together again.

        Args:
            accepted: Whether accepted features change too that were segmented here; or the ids
                of those that are to, whatever made them.
            holes: Square metres below which holes are filled; None leaves it as it is.
            parts: Square metres below which parts are dropped, but never the largest.
            grow: Metres that borders move outwards; below 0 inwards.

        Returns:
            How many accepted features have another shape.

        Raises:
            PromptError: A number is out of its range.
            SessionError: There is no such feature, or nothing would be left of one.
            ExportError: It is done, but the project file could not be saved.
        """
        asked = {"holes": holes, "parts": parts, "grow": grow}
        values: dict[str, Any] = {
            name: float(value) for name, value in asked.items() if value is not None
        }
        with self._lock:
            options = replace(self._state.options, **values)
            features = self._state.features
            if accepted is not False:
                wanted = self._wanted(accepted)
                features = tuple(
                    self._reshaped(one, options) if one.id in wanted else one for one in features
                )
            many = sum(a is not b for a, b in zip(features, self._state.features, strict=True))
            if many or options != self._state.options:
                self._history.push(replace(self._state, options=options, features=features))
                if many:
                    self._autosave("the change is made here but not in the file")
            return many

    def _wanted(self, accepted: bool | Iterable[int]) -> frozenset[int]:
        """Return the ids of the features that are to change."""
        if isinstance(accepted, bool):
            return frozenset(one.id for one in self._state.features if one.steps)
        return frozenset(self._find(number).id for number in accepted)

    def _reshaped(self, feature: Feature, options: OutlineOptions) -> Feature:
        """Return a feature in another shape; the same where it has it already.

        Raises:
            SessionError: Nothing would be left of it.
        """
        drawn: Any = feature.geometry if feature.drawn is None else feature.drawn
        if not options.reshapes:
            return feature if drawn is feature.geometry else feature.changed(geometry=drawn)
        shape = reshape(
            drawn, self.raster.grid, holes=options.holes, parts=options.parts, grow=options.grow
        )
        if shape is None:
            raise SessionError(
                f"nothing would be left of feature {feature.id}: move borders inwards by less"
            )
        if shape.equals_exact(feature.geometry):
            return feature
        return feature.changed(geometry=shape, drawn=drawn)
