"""What a review says of features: their states, and the columns that keep them."""

from __future__ import annotations

import geopandas as gpd

TO_CHECK, CHECKED, REJECTED = "to check", "checked", "rejected"
STATES = (TO_CHECK, CHECKED, REJECTED)
"""What a feature may be in a review; one that says nothing is to check."""
STATE, BY, AT = "review", "review_by", "review_at"
COLUMNS = (STATE, BY, AT)
"""Columns of the state, of who gave it, and of when (ISO 8601, UTC)."""


def without_rejected(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return the features that a review has not rejected.

    A column ``review`` that says something else than a review does is left alone.
    """
    if STATE not in frame or not frame[STATE].dropna().isin(STATES).all():
        return frame
    return frame[frame[STATE] != REJECTED]
