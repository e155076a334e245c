"""Coordinate reference systems as a GeoPackage lists them."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import Any

import pyproj

UNDEFINED = (-1, 0, 99999)
"""Numbers that stand for no CRS; the last is GDAL's."""
UNDEFINED_WKT = 'LOCAL_CS["Undefined SRS",UNIT["unknown",1],AXIS["x",EAST],AXIS["y",NORTH]]'
NOBODY = "NONE"
"""Who lists a CRS that no authority does."""
FIRST_OWN = 100_000
"""From here on numbers are free for a CRS that no authority lists."""
TABLE = """
CREATE TABLE IF NOT EXISTS gpkg_spatial_ref_sys (
  srs_name TEXT NOT NULL, srs_id INTEGER NOT NULL PRIMARY KEY, organization TEXT NOT NULL,
  organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT)"""
EXTENSION = (
    "gpkg_spatial_ref_sys", "definition_12_063", "gpkg_crs_wkt",
    "http://www.geopackage.org/spec120/#extension_crs_wkt", "read-write",
)  # fmt: skip
"""What says that there is a column of definitions in WKT 2."""
INSERT = """
INSERT OR IGNORE INTO gpkg_spatial_ref_sys
  (srs_id, srs_name, organization, organization_coordsys_id, definition, description)
VALUES (?, ?, ?, ?, ?, ?)"""


def make_table(base: sqlite3.Connection) -> None:
    """Make the table of CRSs with the three that every file has, where there is none."""
    base.execute(TABLE)
    world = _wkt1(pyproj.CRS("EPSG:4326"))
    rows = [
        (-1, "Undefined Cartesian SRS", "NONE", -1, "undefined", "undefined Cartesian"),
        (0, "Undefined geographic SRS", "NONE", 0, "undefined", "undefined geographic"),
        (4326, "WGS 84 geodetic", "EPSG", 4326, world, "longitude and latitude in degrees"),
    ]
    if _by_wkt2(base):
        for number, name, *rest in rows:
            _insert(base, (number, name, *rest), pyproj.CRS("EPSG:4326") if number > 0 else None)
    else:
        base.executemany(INSERT, rows)


def crs_of(base: sqlite3.Connection, number: int) -> str | None:
    """Return what pyproj makes a CRS of, by its number in the file; None where it makes none."""
    if number in UNDEFINED:
        return None
    names = [row[1] for row in base.execute("PRAGMA table_info(gpkg_spatial_ref_sys)")]
    rows = base.execute("SELECT * FROM gpkg_spatial_ref_sys WHERE srs_id = ?", (number,))
    row = dict(zip(names, rows.fetchone() or (), strict=False))
    texts = [row.get("definition_12_063"), row.get("definition")]
    if str(row.get("organization")).upper() == "EPSG":
        texts.insert(0, f"EPSG:{row['organization_coordsys_id']}")  # PROJ's own list may be older
    for text in filter(None, texts):
        with contextlib.suppress(pyproj.exceptions.CRSError):
            pyproj.CRS(text)
            return str(text)
    return None


def crs_number(base: sqlite3.Connection, crs: Any) -> int:
    """Return the number of a CRS in the file, where it is listed from now on.

    Args:
        base: The file.
        crs: A pyproj CRS, or None.
    """
    if crs is None:
        none = UNDEFINED[-1]
        _insert(base, (none, "Undefined SRS", "GDAL", none, UNDEFINED_WKT, None), None)
        return none
    authority, code = _authority(crs)
    known = _known(base, crs, authority, code)
    if known is not None:
        return known
    text = _wkt1(crs)
    taken = {row[0] for row in base.execute("SELECT srs_id FROM gpkg_spatial_ref_sys")}
    free = max([FIRST_OWN - 1, *taken]) + 1
    number = free if authority == NOBODY or code in taken else code
    about = (authority, number if authority == NOBODY else code)
    if text is None and not _by_wkt2(base):
        base.execute("ALTER TABLE gpkg_spatial_ref_sys ADD COLUMN definition_12_063 TEXT NOT NULL"
                     " DEFAULT 'undefined'")  # fmt: skip
        base.execute("INSERT OR IGNORE INTO gpkg_extensions VALUES (?, ?, ?, ?, ?)", EXTENSION)
    _insert(base, (number, crs.name, *about, text or "undefined", None), crs)
    return number


def _known(base: sqlite3.Connection, crs: Any, authority: str, code: int) -> int | None:
    """Return the number of a CRS that the file lists already."""
    if authority != NOBODY:
        query = """SELECT srs_id FROM gpkg_spatial_ref_sys
            WHERE upper(organization) = ? AND organization_coordsys_id = ?"""
        row = base.execute(query, (authority, code)).fetchone()
        return None if row is None else int(row[0])
    query = "SELECT srs_id FROM gpkg_spatial_ref_sys WHERE srs_id >= ?"
    for (number,) in base.execute(query, (FIRST_OWN,)).fetchall():
        text = crs_of(base, number)
        if text is not None and pyproj.CRS(text) == crs:
            return int(number)
    return None


def _insert(base: sqlite3.Connection, row: tuple[Any, ...], crs: Any) -> None:
    if not _by_wkt2(base):
        base.execute(INSERT, row)
        return
    names = "description, definition_12_063)\nVALUES (?, ?, ?, ?, ?, ?, ?)"
    query = INSERT.replace("description)\nVALUES (?, ?, ?, ?, ?, ?)", names)
    base.execute(query, (*row, "undefined" if crs is None else crs.to_wkt("WKT2_2015")))


def _by_wkt2(base: sqlite3.Connection) -> bool:
    columns = base.execute("PRAGMA table_info(gpkg_spatial_ref_sys)")
    return any(row[1] == "definition_12_063" for row in columns)


def _authority(crs: Any) -> tuple[str, int]:
    """Return who lists a CRS under which number; the EPSG before all others."""
    code = crs.to_epsg()
    if code is not None:
        return "EPSG", int(code)
    found = crs.to_authority(min_confidence=100)
    if found and found[1].isdigit():
        return str(found[0]).upper(), int(found[1])
    return NOBODY, 0


def _wkt1(crs: Any) -> str | None:
    """Return a CRS in the older WKT, which has no words for some."""
    try:
        text = crs.to_wkt("WKT1_GDAL", output_axis_rule=True)
    except pyproj.exceptions.CRSError:
        return None
    return text or None
