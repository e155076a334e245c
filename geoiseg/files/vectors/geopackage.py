"""Layers of a GeoPackage by SQLite alone.

What is read is what the file's tables list: layers of features and plain tables, views too.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd

from geoiseg.errors import VectorError
from geoiseg.files.vectors.blob import from_blobs
from geoiseg.files.vectors.columns import distinct, loaded, type_of
from geoiseg.files.vectors.info import LayerInfo
from geoiseg.files.vectors.reference import crs_of

TYPES = {
    name.upper(): name
    for name in ("Point", "LineString", "Polygon", "MultiPoint", "MultiLineString",
                 "MultiPolygon", "GeometryCollection")
}  # fmt: skip
"""GDAL's names of the types of geometry; all others are ``Unknown``."""
LISTED = """
SELECT c.table_name, g.geometry_type_name, g.z FROM gpkg_contents c
LEFT JOIN gpkg_geometry_columns g ON lower(g.table_name) = lower(c.table_name)
WHERE c.data_type IN ('features', 'attributes', 'aspatial')
ORDER BY c.data_type <> 'features', c.rowid"""
GEOMETRY = """
SELECT column_name, geometry_type_name, srs_id, z FROM gpkg_geometry_columns
WHERE lower(table_name) = lower(?)"""


@dataclass(frozen=True, slots=True)
class _Layer:
    name: str
    geometry: str | None
    """Name of the column of shapes."""
    type: str | None
    crs: int
    columns: dict[str, str]
    """NumPy's name of the type by column; without the shapes and the key."""


def list_layers(path: Path) -> list[tuple[str, str | None]]:
    """Return name and geometry type of each layer."""
    with _opened(path) as base:
        return _listed(base)


def layer_info(path: Path, layer: str) -> LayerInfo:
    """Return what is known of a layer."""
    with _opened(path) as base:
        found = _layer(base, layer)
        name = quoted(found.name)
        count = base.execute(f"SELECT count(*) FROM {name}").fetchone()[0]  # noqa: S608 - quoted
        crs = crs_of(base, found.crs) if found.geometry else None
    bounds = None
    if found.geometry and count:
        frame = read_frame(path, layer, [])
        sides = frame.total_bounds
        bounds = tuple(sides.tolist()) if pd.notna(sides).all() else None
    kinds = {key: "object" if kind == "bytes" else kind for key, kind in found.columns.items()}
    return LayerInfo(crs, found.type, kinds, int(count), bounds)


def read_frame(
    path: Path, layer: str | None = None, columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return the rows of a layer."""
    with _opened(path) as base:
        if layer is None:
            names = [name for name, _ in _listed(base)]
            if not names:
                raise VectorError("it has no layer")
            layer = names[0]
        found = _layer(base, layer)
        kinds = {
            name: kind for name, kind in found.columns.items() if columns is None or name in columns
        }
        wanted = [*kinds, *([found.geometry] if found.geometry else [])]
        said = ", ".join(map(quoted, wanted)) or "1"
        rows = base.execute(f"SELECT {said} FROM {quoted(found.name)}").fetchall()  # noqa: S608
        crs = crs_of(base, found.crs) if found.geometry else None
    values = list(zip(*rows, strict=True)) if rows else [()] * len(wanted)
    table = pd.DataFrame(
        {name: _column(name, values[n], kind) for n, (name, kind) in enumerate(kinds.items())},
        index=pd.RangeIndex(len(rows)) if kinds or found.geometry else None,
    )
    if found.geometry is None:
        return table
    return with_shapes(table, from_blobs(values[len(kinds)]), crs)


def with_shapes(table: pd.DataFrame, shapes: Any, crs: Any) -> gpd.GeoDataFrame:
    """Return a table with its shapes, as ``geometry`` unless a column is called that already."""
    place = distinct(["geometry"], table.columns)[0]
    column = gpd.GeoSeries(shapes, index=table.index, crs=crs, name=place)
    return gpd.GeoDataFrame(pd.concat([table, column], axis=1), geometry=place, crs=crs)


def _column(name: str, values: Sequence[Any], kind: str) -> Any:
    try:
        return loaded(values, kind)
    except (ValueError, TypeError, OverflowError) as error:
        raise VectorError(f"column {name!r} holds what is not of its type: {error}") from error


def quoted(name: str) -> str:
    """Return a name as SQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Give a file to read from; what SQLite says of it becomes an error of ours."""
    if not path.is_file():
        raise VectorError(f"{path} does not exist")
    try:
        with contextlib.closing(_connected(path)) as base:
            known = "SELECT count(*) FROM sqlite_master WHERE name = 'gpkg_contents'"
            if not base.execute(known).fetchone()[0]:
                raise VectorError("it is no GeoPackage")
            yield base
    except (sqlite3.Error, OverflowError, UnicodeDecodeError) as error:
        raise VectorError(" ".join(str(error).split())) from error


def _connected(path: Path) -> sqlite3.Connection:
    """Return a connection that changes nothing.

    A file that keeps a log is read with it, for which SQLite has to write beside the file. Where
    it may not, the file is read as it is, unless a log says that this is not all.

    Raises:
        VectorError: The file is half-written, or its latest rows can not be seen.
    """
    place = path.absolute().as_uri()
    base = sqlite3.connect(f"{place}?mode=ro", uri=True)
    try:
        base.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.OperationalError as error:
        base.close()
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            raise
        for log in (path.with_name(path.name + end) for end in ("-journal", "-wal")):
            if log.exists() and log.stat().st_size:
                raise VectorError(
                    f"{log.name} has changes that are not in it yet; open and close it in a GIS"
                ) from error
        base = sqlite3.connect(f"{place}?mode=ro&immutable=1", uri=True)
    return base


def _listed(base: sqlite3.Connection) -> list[tuple[str, str | None]]:
    if _has(base, "gpkg_geometry_columns"):
        rows = base.execute(LISTED).fetchall()
        return [(name, None if kind is None else _type(kind, z)) for name, kind, z in rows]
    plain = "SELECT table_name FROM gpkg_contents WHERE data_type IN ('attributes', 'aspatial')"
    return [(name, None) for (name,) in base.execute(plain)]


def _has(base: sqlite3.Connection, table: str) -> bool:
    known = "SELECT count(*) FROM sqlite_master WHERE lower(name) = lower(?)"
    return bool(base.execute(known, (table,)).fetchone()[0])


def _type(kind: str, z: int) -> str:
    name = TYPES.get(kind.upper(), "Unknown")
    return f"{name} Z" if z and name != "Unknown" else name


def _layer(base: sqlite3.Connection, layer: str) -> _Layer:
    names = [name for name, _ in _listed(base)]
    alike = [name for name in names if name.lower() == layer.lower()]
    if not alike:
        raise VectorError(f"there is no layer {layer!r}; there is: {', '.join(names)}")
    name = layer if layer in alike else alike[0]
    place = None
    if _has(base, "gpkg_geometry_columns"):
        place = base.execute(GEOMETRY, (name,)).fetchone()
    column, kind, crs, z = place or (None, None, 0, 0)
    columns = {
        str(own): type_of(declared)
        for _, own, declared, _, _, key in base.execute(f"PRAGMA table_info({quoted(name)})")
        if not key and (column is None or own.lower() != column.lower())
    }
    return _Layer(name, column, None if kind is None else _type(kind, z), crs, columns)
