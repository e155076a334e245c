"""What a pixel is by physics: indices of known bands, with thresholds found in the scene.

A threshold from a textbook is for clean reflectances of one place. Here it only says where to
look first: the pixels near the borders that it draws hold both kinds in like numbers, and where
Otsu's method (1979) parts those is the threshold of this scene (see ``segment.parting``).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import RasterError
from geoiseg.raster import BoolArray, Raster, Window
from geoiseg.segment.parting import near_border, parting_of

FloatArray = NDArray[np.float32]

VERSION = 2
"""Of how thresholds are found: 1 looks near the textbook's border alone."""
FEWEST = 200
"""Pixels near borders below which the textbook's threshold stays."""
REACH = 0.35
"""How far from the textbook's threshold the scene's may lie, where a condition does not say."""
SHARPNESS = 4.0
"""Log-odds of the middle of a kind: of a pixel that is as far from the threshold as it."""
WHOLE = 1 << 20
"""Pixels of the level that is looked at."""
COST = 1 << 24
"""Pixels decoded at most for it; beyond, windows spread over the raster are looked at."""
WINDOWS, SIDE = 4, 512
"""Windows along each side of the raster, and their size."""
KEPT = 64
"""Thresholds that are kept."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One side of one index."""

    index: str
    """Name or formula, as ``read_bands`` takes it."""
    prior: float
    """The textbook's threshold."""
    above: bool = True
    """Whether the kind lies above the threshold."""
    reach: float = REACH
    """How far from the textbook's threshold the scene's may lie."""
    starts: tuple[float, ...] = ()
    """Where else to look first, in units of the reach from the textbook's threshold: the border
    along which the two kinds are farthest apart counts."""


_STARTS = (-1.0, -0.5, 0.5, 1.0)
_MNDWI, _NDWI = Condition("mndwi", 0.0, starts=_STARTS), Condition("ndwi", 0.0, starts=_STARTS)
_DRY, _DRY_NIR = replace(_MNDWI, above=False), replace(_NDWI, above=False)
KINDS: dict[str, tuple[tuple[Condition, ...], ...]] = {
    "water": ((_MNDWI,), (_NDWI,)),
    "vegetation": ((Condition("ndvi", 0.3),),),
    "land": (
        (Condition("bsi", 0.0), Condition("ndvi", 0.3, above=False), _DRY),
        (Condition("ndvi", 0.2, above=False), _DRY_NIR),
    ),
    # Water has a high index of snow, too, but gives back no near infrared.
    "snow": ((Condition("ndsi", 0.4), Condition("ndwi", 0.25, above=False, reach=0.1)),),
    "burnt": ((Condition("nbr", 0.1, above=False), _DRY), ),
}  # fmt: skip
"""What holds of each kind, all of it; the first for which the bands are known is taken.

Thresholds: McFeeters (1996) and Xu (2006) for water, Tucker (1979) and common use for vegetation,
Rikimaru and Miyatake (1997) for bare soil, Dozier (1989) for snow, Key and Benson (2006) for burns.
"""
NEEDS = {
    "water": "green with near or short-wave infrared",
    "vegetation": "red and near infrared",
    "land": "red, green and near infrared",
    "snow": "green, near infrared and short-wave infrared",
    "burnt": "near infrared, both short-wave infrared bands and green",
}
"""Bands that each kind needs, for a message."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """Where two kinds part in a scene."""

    condition: Condition
    value: float
    half: float
    """Half the distance between the means of the two kinds."""
    worth: float = 0.0
    """How well they part; see ``Parting``."""

    @property
    def said(self) -> str:
        """What it says, for people."""
        sign = ">" if self.condition.above else "<"
        return f"{self.condition.index} {sign} {self.value:.3f}"

    def odds(self, values: FloatArray) -> FloatArray:
        """Return log-odds, within :data:`SHARPNESS`, that pixels lie on the kind's side."""
        gain = SHARPNESS / self.half * (1 if self.condition.above else -1)
        moved = (values - np.float32(self.value)) * np.float32(gain)
        return np.clip(moved, -SHARPNESS, SHARPNESS, out=moved)


def conditions_for(raster: Raster, kind: str) -> tuple[Condition, ...]:
    """Return what holds of a kind in the bands that are known; nothing where they are not."""
    for conditions in KINDS.get(kind, ()):
        try:
            raster.select([one.index for one in conditions])
        except RasterError:
            continue
        return conditions
    return ()


def thresholds_for(raster: Raster, kind: str, version: int = VERSION) -> tuple[Threshold, ...]:
    """Return the scene's thresholds of a kind; nothing where its bands are not known.

    They are found once for each raster, from an overview or from windows spread over it.

    Args:
        raster: With roles.
        kind: One of :data:`KINDS`.
        version: How they are found; see :data:`VERSION`.

    Raises:
        RasterError: The pixels can not be read.
    """
    conditions = conditions_for(raster, kind)
    if version < 2:
        conditions = tuple(replace(one, starts=()) for one in conditions)
    return tuple(_found(raster, one) for one in conditions)


def odds_of(
    raster: Raster, kind: str, window: Window, level: int, version: int = VERSION
) -> FloatArray | None:
    """Return ``(y, x)`` log-odds that pixels are of a kind; None where its bands are not known.

    0 where there is no data.

    Raises:
        RasterError: The pixels can not be read.
    """
    found = thresholds_for(raster, kind, version)
    if not found:
        return None
    values, valid = raster.read_bands(window, level, [one.condition.index for one in found])
    odds: FloatArray = np.minimum.reduce(
        [one.odds(plane) for one, plane in zip(found, values, strict=True)]
    )
    odds[~valid] = 0
    return odds


def said_of(raster: Raster, kind: str) -> str:
    """Return what is looked at for a kind and from which values on; empty without bands."""
    return " and ".join(one.said for one in thresholds_for(raster, kind))


_lock = threading.Lock()
_kept: OrderedDict[tuple[object, ...], Threshold] = OrderedDict()


def _found(raster: Raster, condition: Condition) -> Threshold:
    key = (raster.source_id, tuple(raster.roles.items()), condition)
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    pieces = _sampled(raster, condition)
    starts = [condition.prior + start * condition.reach for start in (0.0, *condition.starts)]
    tried = [
        parted(
            np.concatenate([near_border(one[0], valid, start) for one, valid in pieces]), condition
        )
        for start in starts
    ]
    found = max(tried, key=lambda one: one.worth)
    with _lock:
        _kept[key] = found
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    return found


def _sampled(raster: Raster, condition: Condition) -> list[tuple[FloatArray, BoolArray]]:
    """Return pieces of an index, ``(1, y, x)`` and ``(y, x)``, that stand for the raster."""
    grid = raster.grid
    level = next(k for k in range(64) if np.prod(grid.level(k).shape) <= WHOLE)
    index = [condition.index]
    if grid.height * grid.width / min(raster.overview_factor, 1 << level) ** 2 <= COST:
        return [raster.read_bands(grid.level(level).whole, level, index)]
    rows = np.linspace(0, grid.height - min(SIDE, grid.height), WINDOWS).astype(int)
    cols = np.linspace(0, grid.width - min(SIDE, grid.width), WINDOWS).astype(int)
    return [
        raster.read_bands(
            Window(int(row), int(col), min(SIDE, grid.height), min(SIDE, grid.width)), 0, index
        )
        for row in rows
        for col in cols
    ]


def parted(values: FloatArray, condition: Condition) -> Threshold:
    """Return where a sample of both kinds parts; the textbook's threshold where it is too small.

    Args:
        values: ``(n,)``.
        condition: Its prior bounds the search.
    """
    usual = Threshold(condition, condition.prior, 0.25)
    if len(values) < FEWEST:
        return usual
    low, high = condition.prior - condition.reach, condition.prior + condition.reach
    found = parting_of(values, (low, high))
    if found is None:
        return usual
    return Threshold(condition, found.value, max(found.half, 1e-3), found.worth)
