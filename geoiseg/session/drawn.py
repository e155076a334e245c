"""What features were drawn as before they were reshaped, in a project file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import shapely

from geoiseg.features import Feature


def drawn_of(features: Iterable[Feature]) -> dict[str, list[str]]:
    """Return by id what was drawn, as hexadecimal WKB, and a hash of what became of it."""
    return {
        str(one.id): [shapely.to_wkb(one.drawn, hex=True), _hash(one.geometry)]
        for one in features
        if one.drawn is not None
    }


def as_drawn(features: tuple[Feature, ...], told: Mapping[str, Any]) -> tuple[Feature, ...]:
    """Return features with what they were drawn as; not where another program changed them.

    Args:
        features: Of a file.
        told: What ``drawn_of`` gave.
    """
    return tuple(_with_drawn(one, told.get(str(one.id))) for one in features)


def _with_drawn(feature: Feature, told: Any) -> Feature:
    if told is None:
        return feature
    wkb, became = told
    if became != _hash(feature.geometry):
        return feature
    return replace(feature, drawn=shapely.from_wkb(wkb))


def _hash(geometry: Any) -> str:
    return hashlib.sha256(shapely.to_wkb(geometry)).hexdigest()[:32]
