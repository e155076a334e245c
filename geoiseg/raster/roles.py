"""Which band is what: found from what the user, the file and its companions say, in this order.

What nobody says stays unknown; nothing is concluded from the number of bands.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from geoiseg.errors import RasterError
from geoiseg.raster.facts import ALPHA, BandFacts, wavelength_in_name
from geoiseg.raster.sensors.catalogue import Sensor, SensorBand, coded_bands
from geoiseg.raster.spectrum import ROLES, SPECTRUM, Roles, role_at, role_named

log = logging.getLogger(__name__)

COLOURS = ("red", "green", "blue")
_KINDS = {"nir": "nir", "swir": "swir16", "pan": "pan", "coastal": "coastal", "yellow": "yellow",
          "rededge": "rededge1", "thermal": "thermal", "red": "red", "green": "green",
          "blue": "blue"}  # fmt: skip
"""GDAL's colour interpretations that say a role; those for radar and printing do not."""
USER = "you"


@dataclass(frozen=True, slots=True)
class Told:
    """What the user says about the bands."""

    roles: tuple[tuple[str, int], ...] = ()
    """``(role, number)``"""
    sensor: Sensor | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of the bands of a raster."""

    roles: Roles = field(default_factory=Roles)
    sources: Mapping[str, str] = field(default_factory=dict)
    """Where each role was found, by role."""
    wavelengths: Mapping[int, float] = field(default_factory=dict)
    """Centres in micrometres by number of band, where they are known."""


@dataclass(frozen=True, slots=True)
class _Claim:
    role: str
    number: int
    source: str
    distance: float = 0.0
    """How far a wavelength is from the middle of the role's range."""


def checked_roles(given: Mapping[str, int] | Iterable[tuple[str, int]], count: int) -> Told:
    """Return what a user says of bands.

    Raises:
        RasterError: There is no such role or band, or one has two.
    """
    pairs = list(given.items()) if isinstance(given, Mapping) else list(given)
    roles: dict[str, int] = {}
    for name, number in pairs:
        role = role_named(name) if isinstance(name, str) else None
        if role is None:
            raise RasterError(f"{name!r} is no role of a band; there are: {', '.join(ROLES)}")
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= count:
            raise RasterError(f"{role} is said to be band {number!r}, but there are 1 to {count}")
        if roles.get(role, number) != number:
            raise RasterError(
                f"bands {roles[role]} and {number} are both said to be {role}; name one of them"
            )
        twin = next((old for old, taken in roles.items() if taken == number and old != role), None)
        if twin is not None:
            raise RasterError(f"band {number} is said to be both {twin} and {role}; name one")
        roles[role] = number
    return Told(tuple(sorted(roles.items(), key=lambda pair: pair[1])))


def find_roles(facts: Sequence[BandFacts], told: Told, product: Sensor | None, name: str) -> Found:
    """Return the roles of bands, where each was found, and the wavelengths.

    Args:
        facts: What the source says of each band.
        told: What the user says.
        product: The sensor that the source's name or its companions tell.
        name: What to call the raster in messages.

    Raises:
        RasterError: The user's sensor does not fit the bands.
    """
    sensor = told.sensor or product
    bands = _sensor_bands(facts, told.sensor, product, name)
    roles: dict[str, _Claim] = {}
    taken: dict[int, _Claim] = {}
    for claims in (
        [_Claim(role, number, USER) for role, number in told.roles],
        _of_sensor(facts, bands, told.sensor),
        _said(facts, "common_name", "said_by"),
        _of_colours(facts, bands),
        _of_names(facts, bands),
        _of_wavelengths(facts),
        _said(facts, "item_role", "item"),
        _said(facts, "product_role", "product"),
        _of_sensor(facts, bands, product),
    ):
        for claim in _without_doubles(claims, roles, name):
            _take(claim, roles, taken, name)
    ordered = sorted(roles.values(), key=lambda claim: claim.number)
    known = Roles(tuple((claim.role, claim.number) for claim in ordered))
    sources = {claim.role: claim.source for claim in ordered}
    return Found(known, sources, _wavelengths(facts, bands if sensor else {}))


def _sensor_bands(
    facts: Sequence[BandFacts], told: Sensor | None, product: Sensor | None, name: str
) -> dict[int, SensorBand]:
    """Return which band of its sensor each band is: by its code, else by the usual order."""
    data = [one for one in facts if one.interpretation != ALPHA]
    names = {one.number: one.name for one in data if one.name}
    sensor = told or product
    found = coded_bands(names, sensor)
    if found or sensor is None:
        return found
    order = sensor.order(len(data))
    if order is None or (names and told is None):
        if told is not None:
            counts = " or ".join(str(len(one)) for one in told.orders)
            raise RasterError(
                f"{name} has {len(data)} bands without names, and {told.title} has {counts}:"
                " say which are which, e.g. bands={'nir': 4}, or --bands nir=4,red=3"
            )
        return {}
    placed = {one.number: sensor.band(code) for one, code in zip(data, order, strict=True)}
    return {number: band for number, band in placed.items() if band is not None}


def _of_sensor(
    facts: Sequence[BandFacts], bands: Mapping[int, SensorBand], sensor: Sensor | None
) -> list[_Claim]:
    if sensor is None:
        return []
    text = {one.number: one.name for one in facts}
    return [
        _Claim(band.role, number, f"{sensor.title} {text.get(number) or band.name}")
        for number, band in bands.items()
    ]


def _said(facts: Sequence[BandFacts], what: str, where: str) -> list[_Claim]:
    """Return what one of the fields of the facts says outright."""
    roles = [(one, role_named(getattr(one, what))) for one in facts]
    return [_Claim(role, one.number, getattr(one, where)) for one, role in roles if role]


def _of_colours(facts: Sequence[BandFacts], bands: Mapping[int, SensorBand]) -> list[_Claim]:
    """Return what colour interpretation says.

    Writers call the first three bands of bytes red, green and blue when nobody says what they
    are. Where the bands' own names say otherwise, those colours are for the screen.
    """
    claims = [
        _Claim(_KINDS[one.interpretation], one.number, "colour interpretation")
        for one in facts
        if one.interpretation in _KINDS
    ]
    named = {claim.number: claim.role for claim in _of_names(facts, bands)}
    if any(named.get(claim.number, claim.role) != claim.role for claim in claims):
        return [claim for claim in claims if named.get(claim.number) == claim.role]
    return claims


def _of_names(facts: Sequence[BandFacts], bands: Mapping[int, SensorBand]) -> list[_Claim]:
    claims = []
    for one in facts:
        band = bands.get(one.number)
        role = role_named(one.name) or (band.role if band is not None and one.name else None)
        if role is not None and one.interpretation != ALPHA:
            claims.append(_Claim(role, one.number, f"description {one.name!r}"))
    return claims


def _of_wavelengths(facts: Sequence[BandFacts]) -> list[_Claim]:
    """Return the band nearest to the middle of each role's range."""
    nearest: dict[str, _Claim] = {}
    for one in facts:
        centre = one.wavelength or wavelength_in_name(one.name)
        role = None if centre is None else role_at(centre)
        if centre is None or role is None:
            continue
        distance = abs(centre - sum(SPECTRUM[role]) / 2)
        if role not in nearest or distance < nearest[role].distance:
            source = f"wavelength {centre:.4g} µm"
            nearest[role] = _Claim(role, one.number, source, distance)
    return list(nearest.values())


def _without_doubles(claims: list[_Claim], roles: Mapping[str, _Claim], name: str) -> list[_Claim]:
    """Leave out roles that two bands claim alike."""
    kept = []
    for role in dict.fromkeys(claim.role for claim in claims):
        same = [claim for claim in claims if claim.role == role]
        if len(same) == 1:
            kept.append(same[0])
        elif role not in roles:
            numbers = " and ".join(str(claim.number) for claim in same)
            log.warning(
                "%s: bands %s are both %s by their %s: none is taken; say which, e.g."
                " bands={%r: %d}", name, numbers, role, same[0].source.partition(" ")[0],
                role, same[0].number,
            )  # fmt: skip
    return kept


def _take(claim: _Claim, roles: dict[str, _Claim], taken: dict[int, _Claim], name: str) -> None:
    """Note a claim, unless what was found earlier stands against it."""
    here = taken.get(claim.number)
    if here is None and claim.role not in roles:
        roles[claim.role] = taken[claim.number] = claim
        return
    if here is not None and here.source == USER and here.role != claim.role:
        log.warning(
            "%s: band %d is %s as you say, though its %s says %s; leave it out of bands= to go"
            " by the file", name, claim.number, here.role, claim.source, claim.role,
        )  # fmt: skip


def _wavelengths(facts: Sequence[BandFacts], bands: Mapping[int, SensorBand]) -> dict[int, float]:
    found = {}
    for one in facts:
        band = bands.get(one.number)
        centre = one.wavelength or wavelength_in_name(one.name) or (band and band.wavelength)
        if centre:
            found[one.number] = centre
    return found
