"""Layers into a GeoPackage by SQLite alone, with a spatial index where SQLite has R-trees."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geoiseg.errors import VectorError
from geoiseg.files.vectors.blob import to_blobs
from geoiseg.files.vectors.columns import distinct, stored
from geoiseg.files.vectors.geopackage import quoted
from geoiseg.files.vectors.reference import crs_number, make_table

VERSION = "1.3"
"""The newest that QGIS 3.22 reads without a warning."""
APPLICATION_ID, USER_VERSION = 0x47504B47, 10300
"""``GPKG``, and the version as a number."""
TABLES = """
CREATE TABLE IF NOT EXISTS gpkg_contents (
  table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE,
  description TEXT DEFAULT '',
  last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER,
  CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id));
CREATE TABLE IF NOT EXISTS gpkg_geometry_columns (
  table_name TEXT NOT NULL, column_name TEXT NOT NULL, geometry_type_name TEXT NOT NULL,
  srs_id INTEGER NOT NULL, z TINYINT NOT NULL, m TINYINT NOT NULL,
  CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name),
  CONSTRAINT uk_gc_table_name UNIQUE (table_name),
  CONSTRAINT fk_gc_tn FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name),
  CONSTRAINT fk_gc_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys (srs_id));
CREATE TABLE IF NOT EXISTS gpkg_extensions (
  table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL, definition TEXT NOT NULL,
  scope TEXT NOT NULL, CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name))"""
REGISTERS = (
    "gpkg_extensions", "gpkg_geometry_columns", "gpkg_data_columns", "gpkg_ogr_contents",
    "gpkg_contents",
)  # fmt: skip
"""Tables that tell of layers, and forget one that is replaced."""
VECTORS = """SELECT 1 FROM gpkg_contents WHERE lower(table_name) = lower(?)
AND data_type IN ('features', 'attributes', 'aspatial')"""
"""Whether a name is that of a layer."""
INDEXED = ("gpkg_rtree_index", "http://www.geopackage.org/spec120/#extension_rtree", "write-only")
TRIGGERS = {
    "insert": """AFTER INSERT ON {layer} WHEN (NEW.{shape} NOTNULL AND NOT ST_IsEmpty(NEW.{shape}))
BEGIN INSERT OR REPLACE INTO {tree} VALUES ({box}); END""",
    "update1": """AFTER UPDATE OF {shape} ON {layer}
WHEN OLD.{key} = NEW.{key} AND (NEW.{shape} NOTNULL AND NOT ST_IsEmpty(NEW.{shape}))
BEGIN INSERT OR REPLACE INTO {tree} VALUES ({box}); END""",
    "update2": """AFTER UPDATE OF {shape} ON {layer}
WHEN OLD.{key} = NEW.{key} AND (NEW.{shape} ISNULL OR ST_IsEmpty(NEW.{shape}))
BEGIN DELETE FROM {tree} WHERE id = OLD.{key}; END""",
    "update3": """AFTER UPDATE ON {layer}
WHEN OLD.{key} != NEW.{key} AND (NEW.{shape} NOTNULL AND NOT ST_IsEmpty(NEW.{shape}))
BEGIN DELETE FROM {tree} WHERE id = OLD.{key};
INSERT OR REPLACE INTO {tree} VALUES ({box}); END""",
    "update4": """AFTER UPDATE ON {layer}
WHEN OLD.{key} != NEW.{key} AND (NEW.{shape} ISNULL OR ST_IsEmpty(NEW.{shape}))
BEGIN DELETE FROM {tree} WHERE id IN (OLD.{key}, NEW.{key}); END""",
    "delete": """AFTER DELETE ON {layer} WHEN OLD.{shape} NOT NULL
BEGIN DELETE FROM {tree} WHERE id = OLD.{key}; END""",
}
"""What keeps the index true, by functions that every GIS brings: annex F.3 of version 1.3."""
NAMES = ("Point", "LineString", "LineString", "Polygon", "MultiPoint", "MultiLineString",
         "MultiPolygon", "GeometryCollection")  # fmt: skip
"""Types of geometry by shapely's number."""
TO_MULTI = {0: shapely.multipoints, 1: shapely.multilinestrings, 3: shapely.multipolygons}


@dataclass(frozen=True, slots=True)
class _Form:
    """What a layer is like, by the first of its tables."""

    layer: str
    key: str
    shape: str | None
    """Name of the column of shapes."""
    type: str
    multi: bool
    crs: int
    columns: dict[str, str]
    """SQL type by column."""


def write_frames(
    frames: Iterable[pd.DataFrame],
    path: Path,
    layer: str | None = None,
    *,
    geometry_type: str | None = None,
    promote_to_multi: bool | None = None,
) -> int:
    """Write tables as one layer, all or nothing, and return how many rows there are."""
    try:
        with contextlib.closing(sqlite3.connect(path)) as base:
            base.isolation_level = None
            if not base.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                base.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                base.execute(f"PRAGMA user_version = {USER_VERSION}")
            base.execute("PRAGMA synchronous = OFF")  # ``atomic.written`` flushes the whole file
            base.execute("BEGIN")
            rows = _write(base, frames, layer or path.stem, geometry_type, promote_to_multi)
            base.execute("COMMIT")
    except (sqlite3.Error, OverflowError) as error:
        raise VectorError(" ".join(str(error).split())) from error
    return rows


def _write(
    base: sqlite3.Connection, frames: Iterable[pd.DataFrame], layer: str, kind: str | None,
    multi: bool | None,
) -> int:  # fmt: skip
    make_table(base)
    for table in TABLES.split(";"):
        base.execute(table)
    _forget(base, layer)
    form = None
    sides, dimensions = [], []
    for frame in frames:
        if form is None:
            form = _formed(base, frame, layer, kind, multi)
        boxes, flags = _add(base, form, frame)
        sides.append(boxes)
        dimensions.append(flags)
    if form is None:
        raise VectorError("there is no table to write")
    boxes = np.concatenate(sides)
    _register(base, form, boxes, np.concatenate(dimensions))
    if form.shape is not None:
        _index(base, form, boxes)
    found = base.execute(f"SELECT count(*) FROM {quoted(layer)}").fetchone()[0]  # noqa: S608
    if found != len(boxes):
        raise VectorError(f"only {found} of {len(boxes)} rows arrived")
    return int(found)


def _forget(base: sqlite3.Connection, layer: str) -> None:
    """Remove a layer and all that tells of it; styles stay, as GDAL leaves them.

    Raises:
        VectorError: What has this name is no layer: tiles, an index, a table of the file's own.
    """
    known = (
        "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND lower(name) = lower(?)"
    )
    if base.execute(known, (layer,)).fetchone() and not base.execute(VECTORS, (layer,)).fetchone():
        raise VectorError(f"there is a table {layer!r} that is no layer; choose another name")
    for register in REGISTERS:
        if not base.execute(known, (register,)).fetchone():
            continue
        if register == "gpkg_geometry_columns":
            query = (
                "SELECT column_name FROM gpkg_geometry_columns WHERE lower(table_name) = lower(?)"
            )
            for (shape,) in base.execute(query, (layer,)).fetchall():
                base.execute(f"DROP TABLE IF EXISTS {quoted(f'rtree_{layer}_{shape}')}")
        query = f"DELETE FROM {register} WHERE lower(table_name) = lower(?)"  # noqa: S608 - ours
        base.execute(query, (layer,))
    if base.execute(known, (layer,)).fetchone():
        base.execute(f"DROP TABLE {quoted(layer)}")


def _formed(
    base: sqlite3.Connection, frame: pd.DataFrame, layer: str, kind: str | None, multi: bool | None
) -> _Form:
    """Make the table of a layer."""
    placed = isinstance(frame, gpd.GeoDataFrame)
    names = [str(name) for name in frame.columns if not placed or name != frame.geometry.name]
    columns = {name: stored(frame[name])[0] for name in names}
    key = distinct(["fid"], names, cased=False)[0]
    shape = distinct(["geom"], names, cased=False)[0] if placed else None
    crs = crs_number(base, frame.crs) if placed else 0
    if placed:
        kind, multi = _type(np.asarray(frame.geometry.array, dtype=object), kind, multi)
    lines = [f"{quoted(key)} INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL"]
    if shape is not None:
        sql_type = "GEOMETRY" if kind in (None, "Unknown") else str(kind).upper()
        lines.append(f"{quoted(shape)} {sql_type}")
    lines += [f"{quoted(name)} {sql_type}" for name, sql_type in columns.items()]
    base.execute(f"CREATE TABLE {quoted(layer)} ({', '.join(lines)})")
    return _Form(layer, key, shape, kind or "Unknown", bool(multi), crs, columns)


def _type(shapes: NDArray[Any], kind: str | None, multi: bool | None) -> tuple[str, bool]:
    """Return the type of a layer of shapes, and whether all become multi-part."""
    if kind is not None:
        return kind.removesuffix(" Z"), bool(multi)
    ids = shapely.get_type_id(shapes)
    names = sorted({NAMES[number] for number in ids[ids >= 0].tolist()}, key=len)
    if len(names) == 1:
        single = not names[0].startswith(("Multi", "Geometry"))
        return (f"Multi{names[0]}" if multi and single else names[0]), bool(multi)
    if len(names) == 2 and names[1] == f"Multi{names[0]}" and multi is not False:
        return names[1], True
    return "Unknown", bool(multi)


def _add(base: sqlite3.Connection, form: _Form, frame: pd.DataFrame) -> tuple[Any, Any]:
    """Insert the rows of a table; return ``(n, 4)`` their bounds and ``(n, 2)`` has z, has m."""
    missing = [name for name in form.columns if name not in frame.columns]
    if missing:
        raise VectorError(f"a table has no column {missing[0]!r}")
    values: list[Any] = [stored(frame[name])[1] for name in form.columns]
    names = list(form.columns)
    shapes = np.full(len(frame), None, dtype=object)
    if form.shape is not None and isinstance(frame, gpd.GeoDataFrame):
        shapes = np.array(frame.geometry.array, dtype=object)
        if form.multi:
            shapes = _multi(shapes)
        values.insert(0, to_blobs(shapes, form.crs))
        names.insert(0, form.shape)
    said = ", ".join(map(quoted, names))
    marks = ", ".join("?" * len(names))
    if names:
        query = f"INSERT INTO {quoted(form.layer)} ({said}) VALUES ({marks})"  # noqa: S608
        base.executemany(query, zip(*values, strict=True))
    flags = np.stack([shapely.has_z(shapes), shapely.has_m(shapes)], axis=1)
    return shapely.bounds(shapes), flags[~shapely.is_missing(shapes)]


def _multi(shapes: NDArray[Any]) -> NDArray[Any]:
    made = shapes.copy()
    ids = shapely.get_type_id(shapes)
    for number, make in TO_MULTI.items():
        chosen = ids == number
        made[chosen] = make(shapes[chosen], indices=np.arange(int(chosen.sum())))
    return made


def _register(base: sqlite3.Connection, form: _Form, boxes: Any, flags: Any) -> None:
    """List a layer in the file's tables."""
    extent: list[float | None] = [None] * 4
    if np.isfinite(boxes).all(axis=1).any():
        extent = [
            *np.nanmin(boxes[:, :2], axis=0).tolist(),
            *np.nanmax(boxes[:, 2:], axis=0).tolist(),
        ]
    kind = "attributes" if form.shape is None else "features"
    base.execute(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier, min_x, min_y, max_x, max_y,"
        " srs_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (form.layer, kind, form.layer, *extent, form.crs),
    )
    if form.shape is None:
        return
    name = "GEOMETRY" if form.type == "Unknown" else form.type.upper()
    z, m = (0 if not len(one) or not one.any() else 1 if one.all() else 2 for one in flags.T)
    row = (form.layer, form.shape, name, form.crs, z, m)
    base.execute("INSERT INTO gpkg_geometry_columns VALUES (?, ?, ?, ?, ?, ?)", row)


def _index(base: sqlite3.Connection, form: _Form, boxes: Any) -> None:
    """Make the spatial index of a layer, if this SQLite can."""
    shape = str(form.shape)
    tree = f"rtree_{form.layer}_{shape}"
    try:
        base.execute(f"CREATE VIRTUAL TABLE {quoted(tree)} USING rtree(id, minx, maxx, miny, maxy)")
    except sqlite3.OperationalError as error:
        if "no such module" not in str(error):
            raise
        return
    there = np.flatnonzero(np.isfinite(boxes).all(axis=1))
    rows = zip((there + 1).tolist(), *boxes[there][:, [0, 2, 1, 3]].T.tolist(), strict=True)
    base.executemany(f"INSERT INTO {quoted(tree)} VALUES (?, ?, ?, ?, ?)", rows)  # noqa: S608
    sides = ", ".join(
        f"ST_{side}(NEW.{quoted(shape)})" for side in ("MinX", "MaxX", "MinY", "MaxY")
    )
    words = {
        "layer": quoted(form.layer), "shape": quoted(shape), "key": quoted(form.key),
        "tree": quoted(tree), "box": f"NEW.{quoted(form.key)}, {sides}",
    }  # fmt: skip
    for name, what in TRIGGERS.items():
        base.execute(f"CREATE TRIGGER {quoted(f'{tree}_{name}')} {what.format(**words)}")
    base.execute(
        "INSERT INTO gpkg_extensions VALUES (?, ?, ?, ?, ?)", (form.layer, shape, *INDEXED)
    )
