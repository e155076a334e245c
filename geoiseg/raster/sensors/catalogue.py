"""Sensors whose bands have names or an order that everybody uses.

Centres of bands from the makers' handbooks: Sentinel-2A MSI, Landsat 4 to 9, HLS 2.0 and
PlanetScope's SuperDove.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from geoiseg.errors import RasterError
from geoiseg.raster.spectrum import QUALITY


@dataclass(frozen=True, slots=True)
class SensorBand:
    """One band of a sensor."""

    name: str
    """As its files and catalogues call it."""
    role: str
    wavelength: float | None
    """Centre in micrometres."""


@dataclass(frozen=True, slots=True)
class Sensor:
    """What is known of a sensor's products without looking into a file."""

    key: str
    title: str
    bands: tuple[SensorBand, ...]
    orders: tuple[tuple[str, ...], ...] = ()
    """Orders in which products stack bands without naming them, one for each number of bands."""
    scale: float = 1.0
    """By which whole numbers become reflectances, together with ``offset``."""
    offset: float = 0.0

    def band(self, name: str) -> SensorBand | None:
        """Return the band of a name as a file writes it: ``B08``, ``B8`` and ``SR_B8`` are one."""
        wanted = plain_name(name)
        return next((one for one in self.bands if plain_name(one.name) == wanted), None)

    def order(self, count: int) -> tuple[str, ...] | None:
        """Return the names of ``count`` bands in the order of the products that have so many."""
        return next((one for one in self.orders if len(one) == count), None)


_CODE = re.compile(r"^(?:sr_|st_|toa_)?b0?(\d{1,2})(a?)$", re.IGNORECASE)


def is_code(name: str) -> bool:
    """Return whether a name is a code of a band, as ``B08`` or ``SR_B5``."""
    return _CODE.match(name.strip()) is not None


def plain_name(name: str) -> str:
    """Return a band's name without the ways in which it is written: ``SR_B05`` as ``b5``."""
    found = _CODE.match(name.strip())
    if found:
        return f"b{int(found[1])}{found[2].lower()}"
    return name.strip().lower()


def _bands(*rows: tuple[str, str, float | None]) -> tuple[SensorBand, ...]:
    return tuple(SensorBand(*row) for row in rows)


_MSI = _bands(
    ("B01", "coastal", 0.4427), ("B02", "blue", 0.4924), ("B03", "green", 0.5598),
    ("B04", "red", 0.6646), ("B05", "rededge1", 0.7041), ("B06", "rededge2", 0.7405),
    ("B07", "rededge3", 0.7828), ("B08", "nir", 0.8328), ("B8A", "nir08", 0.8647),
    ("B09", "nir09", 0.9451), ("B10", "cirrus", 1.3735), ("B11", "swir16", 1.6137),
    ("B12", "swir22", 2.2024), ("SCL", QUALITY, None), ("Fmask", QUALITY, None),
)  # fmt: skip
_OLI = _bands(
    ("B1", "coastal", 0.443), ("B2", "blue", 0.482), ("B3", "green", 0.5615),
    ("B4", "red", 0.6545), ("B5", "nir08", 0.865), ("B6", "swir16", 1.6085),
    ("B7", "swir22", 2.2005), ("B8", "pan", 0.59), ("B9", "cirrus", 1.3735),
    ("B10", "thermal", 10.895), ("B11", "lwir12", 12.005), ("QA_PIXEL", QUALITY, None),
)  # fmt: skip
_TM = _bands(
    ("B1", "blue", 0.485), ("B2", "green", 0.57), ("B3", "red", 0.66), ("B4", "nir08", 0.83),
    ("B5", "swir16", 1.65), ("B6", "thermal", 11.45), ("B7", "swir22", 2.215),
    ("QA_PIXEL", QUALITY, None),
)  # fmt: skip
_ETM = (*_TM[:7], SensorBand("B8", "pan", 0.71), _TM[7])
_L30 = _bands(
    ("B01", "coastal", 0.443), ("B02", "blue", 0.482), ("B03", "green", 0.5615),
    ("B04", "red", 0.6545), ("B05", "nir08", 0.865), ("B06", "swir16", 1.6085),
    ("B07", "swir22", 2.2005), ("B09", "cirrus", 1.3735), ("B10", "thermal", 10.895),
    ("B11", "lwir12", 12.005), ("Fmask", QUALITY, None),
)  # fmt: skip
_PLANET = _bands(
    ("coastal_blue", "coastal", 0.443), ("blue", "blue", 0.49), ("green_i", "green05", 0.531),
    ("green", "green", 0.565), ("yellow", "yellow", 0.61), ("red", "red", 0.665),
    ("rededge", "rededge1", 0.705), ("nir", "nir", 0.865),
)  # fmt: skip
_NAIP = _bands(("red", "red", None), ("green", "green", None), ("blue", "blue", None),
               ("nir", "nir", None))  # fmt: skip


def _names(bands: tuple[SensorBand, ...], *left_out: str) -> tuple[str, ...]:
    return tuple(one.name for one in bands if one.role != QUALITY and one.name not in left_out)


SENTINEL2_L2A = Sensor("sentinel-2-l2a", "Sentinel-2 L2A", _MSI,
                       (_names(_MSI, "B10"), _names(_MSI)), 1e-4)  # fmt: skip
SENTINEL2_L1C = Sensor("sentinel-2-l1c", "Sentinel-2 L1C", _MSI, (_names(_MSI),), 1e-4)
LANDSAT_OLI = Sensor("landsat-8", "Landsat 8-9", _OLI,
                     (_names(_OLI, "B8", "B9", "B10", "B11"),))  # fmt: skip
LANDSAT_TM = Sensor("landsat-5", "Landsat 4-5", _TM, (_names(_TM), _names(_TM, "B6")))
LANDSAT_ETM = Sensor("landsat-7", "Landsat 7", _ETM,
                     (_names(_ETM), _names(_TM), _names(_TM, "B6")))  # fmt: skip
HLS_S30 = Sensor("hls-s30", "HLS S30", _MSI, (_names(_MSI),), 1e-4)
HLS_L30 = Sensor("hls-l30", "HLS L30", _L30, (_names(_L30),), 1e-4)
PLANETSCOPE = Sensor("planetscope", "PlanetScope", _PLANET,
                     (("blue", "green", "red", "nir"), _names(_PLANET)))  # fmt: skip
NAIP = Sensor("naip", "NAIP", _NAIP, (_names(_NAIP, "nir"), _names(_NAIP)))

SENSORS = {
    one.key: one
    for one in (SENTINEL2_L2A, SENTINEL2_L1C, LANDSAT_OLI, LANDSAT_ETM, LANDSAT_TM, HLS_S30,
                HLS_L30, PLANETSCOPE, NAIP)
}  # fmt: skip
"""Every sensor by its key."""
_OTHER_KEYS = {"landsat-9": "landsat-8", "landsat-4": "landsat-5", "sentinel-2": "sentinel-2-l2a"}


def sensor_named(name: str) -> Sensor:
    """Return the sensor of a key.

    Raises:
        RasterError: There is none of that name.
    """
    key = name.strip().lower().replace("_", "-")
    found = SENSORS.get(_OTHER_KEYS.get(key, key))
    if found is None:
        raise RasterError(f"there is no sensor {name!r}; known are: {', '.join(SENSORS)}")
    return found


_CODED = (SENTINEL2_L2A, HLS_L30, LANDSAT_OLI, LANDSAT_ETM)
"""Sensors whose bands go by numbers, which are not the same bands."""


def coded_bands(names: dict[int, str], sensor: Sensor | None = None) -> dict[int, SensorBand]:
    """Return what bands are by codes such as ``B08`` and ``SR_B5``.

    A code is believed where all sensors that have every code of the raster mean the same by it.
    Bands of flags, ``SCL`` and the like, are known by their names, and tell sensors apart, too.

    Args:
        names: Descriptions by number of band.
        sensor: The raster's, where that is known.
    """
    flags = {number: band for number, name in names.items() if (band := _flags_named(name))}
    codes = {number: name for number, name in names.items() if number in flags or is_code(name)}
    if sensor is not None:
        named = {number: sensor.band(name) for number, name in names.items()}
        return {number: band for number, band in named.items() if band is not None}
    fitting = [one for one in _CODED if _fits(one, codes.values())]
    found = dict(flags)
    for number, name in codes.items():
        meant = [band for one in fitting if (band := one.band(name)) is not None]
        if meant and len({band.role for band in meant}) == 1:
            found[number] = meant[0]
    return found


def _flags_named(name: str) -> SensorBand | None:
    """Return the band of flags that a name is of; None for all others."""
    bands = (one.band(name) for one in _CODED)
    return next((band for band in bands if band is not None and band.role == QUALITY), None)


def _fits(sensor: Sensor, codes: Iterable[str]) -> bool:
    """Return whether a sensor has all the codes, written as its files write them."""
    for code in codes:
        band = sensor.band(code)
        if band is None:
            return False
        padded = re.search(r"(?<![0-9])0\d", code) is not None
        surface = code.lower()[:3] in ("sr_", "st_")
        if surface and (code.lower()[:3] == "st_") != (band.role == "thermal"):
            return False
        landsat = sensor in (LANDSAT_OLI, LANDSAT_ETM)
        if (padded and landsat) or (surface and not landsat):
            return False
    return True
