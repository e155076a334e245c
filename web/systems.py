"""Makes ``geoiseg/web/page/systems.json``: what EPSG codes mean to proj4js.

Run ``npm run systems`` here. Only those are listed for which proj4js, asked here, says the same
as PROJ to 2 m about a place in the middle of where they are used: the others would be off by the
shift of their datum.
"""

from __future__ import annotations

import json
import subprocess
import warnings
from pathlib import Path
from typing import Any

import pyproj
from pyproj.aoi import AreaOfInterest
from pyproj.database import query_crs_info
from pyproj.enums import PJType
from pyproj.exceptions import CRSError, ProjError

HERE = Path(__file__).parent
TARGET = HERE.parent / "geoiseg" / "web" / "page" / "systems.json"
KNOWN = {"tmerc", "utm", "lcc", "merc", "laea", "aea", "stere", "longlat", "somerc", "omerc"}
LARGEST = 2.0
"""Metres that the two may differ."""
ASK = """
import proj4 from 'proj4';
let text = '';
for await (const piece of process.stdin) text += piece;
const told = JSON.parse(text).map(([code, definition, lon, lat]) => {
  try { return [code, ...proj4(definition).forward([lon, lat])]; } catch { return null; }
});
console.log(JSON.stringify(told.filter((one) => one)));
"""


def main() -> None:
    """Write the list."""
    warnings.simplefilter("ignore")
    found = {str(one.code): candidate(one) for one in listed()}
    asked = [[code, *one[:3]] for code, one in found.items() if one]
    done = subprocess.run(["node", "--input-type=module", "-e", ASK], cwd=HERE, text=True,
                          input=json.dumps(asked), check=True, capture_output=True)  # fmt: skip
    kept = {}
    for code, x, y in json.loads(done.stdout):
        definition, _, _, east, north, metre = found[code]
        if x is not None and max(abs(x - east), abs(y - north)) * metre <= LARGEST:
            kept[code] = definition
    TARGET.write_text(json.dumps(kept, indent=2) + "\n")
    print(f"{TARGET.name}: {len(kept)} of {len(found)} systems, {TARGET.stat().st_size:,} bytes")


def listed() -> list[Any]:
    """Return what PROJ knows of planes and of longitudes and latitudes."""
    kinds = [PJType.PROJECTED_CRS, PJType.GEOGRAPHIC_2D_CRS]
    return [one for one in query_crs_info("EPSG", kinds) if one.area_of_use]


def candidate(one: Any) -> tuple[str, float, float, float, float, float] | None:
    """Return definition, a place in degrees, where PROJ says it lies, and metres per unit."""
    crs = pyproj.CRS.from_epsg(one.code)
    try:
        definition = crs.to_proj4().replace(" +type=crs", "")
    except CRSError:
        return None
    words = dict(word.lstrip("+").partition("=")[::2] for word in definition.split())
    if words.get("proj") not in KNOWN or "axis" in words or words.get("pm", "0") != "0":
        return None
    west, south, east, north = one.area_of_use.bounds
    if west > east:
        east += 360
    lon, lat = (west + east) / 2, (south + north) / 2
    lon -= 360 * (lon > 180)
    area = AreaOfInterest(lon - 0.01, lat - 0.01, lon + 0.01, lat + 0.01)
    try:
        moving = pyproj.Transformer.from_crs(4326, crs, always_xy=True, area_of_interest=area)
        x, y = moving.transform(lon, lat, errcheck=True)
    except ProjError:
        return None
    metre = 111_000.0 if crs.is_geographic else crs.axis_info[0].unit_conversion_factor
    return definition, lon, lat, x, y, metre


if __name__ == "__main__":
    main()
