"""Which product a file or folder is of, by the name that its maker gave it."""

from __future__ import annotations

import re
from pathlib import PurePath

from geoiseg.raster.sensors.catalogue import (
    HLS_L30,
    HLS_S30,
    LANDSAT_ETM,
    LANDSAT_OLI,
    LANDSAT_TM,
    NAIP,
    PLANETSCOPE,
    SENTINEL2_L1C,
    SENTINEL2_L2A,
    Sensor,
)

_PRODUCTS: tuple[tuple[re.Pattern[str], Sensor], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), sensor)
    for pattern, sensor in (
        (r"^S2[A-D]_MSIL1C_", SENTINEL2_L1C),
        (r"^S2[A-D]_MSIL2A_", SENTINEL2_L2A),
        (r"^T\d{2}[A-Z]{3}_\d{8}T\d{6}_(B\w\w|SCL)_\d\dm", SENTINEL2_L2A),
        (r"^T\d{2}[A-Z]{3}_\d{8}T\d{6}_B\w\w", SENTINEL2_L1C),
        (r"^L[CO]0[89]_L\w{3}_", LANDSAT_OLI),
        (r"^LE07_L\w{3}_", LANDSAT_ETM),
        (r"^L[TM]0[45]_L\w{3}_", LANDSAT_TM),
        (r"^HLS\.S30\.", HLS_S30),
        (r"^HLS\.L30\.", HLS_L30),
        (r"_3B_(udm2_)?AnalyticMS", PLANETSCOPE),
        (r"^m_\d{7}_[ns][ew]_\d{1,2}_", NAIP),
    )
)
_CODE = re.compile(r"[_.](?:(SR|ST)_)?(B\d{1,2}A?|SCL|QA_PIXEL|Fmask)(?:_\d\dm)?$", re.IGNORECASE)
_SPACECRAFT = {"8": LANDSAT_OLI, "9": LANDSAT_OLI, "7": LANDSAT_ETM, "4": LANDSAT_TM,
               "5": LANDSAT_TM}  # fmt: skip


def product_of(path: str) -> Sensor | None:
    """Return the sensor that the name of a file, or of a folder around it, tells; or None."""
    parts = PurePath(path.replace("\\", "/")).parts
    for name in reversed(parts[-6:]):
        for pattern, sensor in _PRODUCTS:
            if pattern.search(name):
                return sensor
    return None


def code_of(path: str) -> str:
    """Return the band that a file of one band is, as its name ends: ``B08``, ``SR_B5``; or ""."""
    stem = PurePath(path.replace("\\", "/")).name
    stem = re.sub(r"\.(tiff?|jp2|vrt|img)$", "", stem, flags=re.IGNORECASE)
    found = _CODE.search(stem)
    if found is None:
        return ""
    return f"{found[1]}_{found[2]}" if found[1] else found[2]


def landsat_of(spacecraft: str) -> Sensor | None:
    """Return the sensor of a Landsat by its name in a product's metadata: ``LANDSAT_8``."""
    return _SPACECRAFT.get(spacecraft.strip()[-1:])
