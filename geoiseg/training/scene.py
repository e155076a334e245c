"""A labelled image: what all training material is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

UNKNOWN = -1
"""Object number of pixels whose label is not known: they count in no loss."""

Ids = NDArray[np.int16]


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """An image and the objects drawn on it."""

    name: str
    image: NDArray[np.uint8]
    """``(y, x, 3)``."""
    valid: NDArray[np.bool_]
    """``(y, x)`` True where there is data."""
    ids: Ids
    """``(y, x)`` object number, 0 for none, :data:`UNKNOWN` for not labelled; or the same at
    a half, a third ... of the image's resolution."""
    kinds: dict[int, str]
    """Kind of each object that may be a target, by number."""
    family: str = ""
    """What kind of scene it is, one of ``families.SHARES``."""
    place: str = ""
    """Where it lies; scenes of one place are never on both sides of a split."""
    present: NDArray[np.uint8] | None = None
    """``(y, x)`` classes that are there, as bits of ``classes.CLASSES``."""
    known: NDArray[np.uint8] | None = None
    """``(y, x)`` classes of which ``present`` says whether they are there, as bits."""
