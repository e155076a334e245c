"""Vector files: every format that GDAL has through pyogrio, and GeoPackage without it too.

pyogrio brings a GDAL of its own, a hundred megabytes of it. A GIS beside which geoiseg runs
reads and writes all formats itself, so there a GeoPackage is all that has to be exchanged: a
SQLite file, which Python reads and writes. All of geoiseg goes through these four functions;
what they return and write is the same either way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType

import pandas as pd

from geoiseg.errors import MissingExtraError
from geoiseg.files.vectors import geopackage, geopackage_writer
from geoiseg.files.vectors.info import LayerInfo

GPKG = "GPKG"
"""Name of GDAL's driver of the one format that needs no GDAL."""

__all__ = ["LayerInfo", "layer_info", "list_layers", "read_frame", "write_frames"]


def list_layers(path: Path) -> list[tuple[str, str | None]]:
    """Return name and geometry type of each layer; the type of a plain table is None.

    Raises:
        VectorError: The file can not be read.
        MissingExtraError: It is no GeoPackage, and pyogrio is not installed.
    """
    gdal = _gdal()
    found: list[tuple[str, str | None]]
    found = gdal.list_layers(path) if gdal else geopackage.list_layers(_readable(path))
    return found


def layer_info(path: Path, layer: str) -> LayerInfo:
    """Return what is known of a layer before it is read; errors as of :func:`list_layers`."""
    gdal = _gdal()
    found: LayerInfo
    found = gdal.layer_info(path, layer) if gdal else geopackage.layer_info(_readable(path), layer)
    return found


def read_frame(
    path: Path, layer: str | None = None, columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return the rows of a layer; a GeoDataFrame with ``geometry``, if it has any.

    Args:
        path: The file.
        layer: Name of the layer; the first by default.
        columns: Those to read besides the geometry; all by default.

    Raises:
        VectorError: The file can not be read, or has no such layer.
        MissingExtraError: It is no GeoPackage, and pyogrio is not installed.
    """
    gdal = _gdal()
    frame: pd.DataFrame
    if gdal:
        frame = gdal.read_frame(path, layer, columns)
    else:
        frame = geopackage.read_frame(_readable(path), layer, columns)
    return frame


def write_frames(
    frames: Iterable[pd.DataFrame],
    path: Path,
    driver: str = GPKG,
    layer: str | None = None,
    *,
    geometry_type: str | None = None,
    promote_to_multi: bool | None = None,
    **options: object,
) -> int:
    """Write tables of the same columns as one layer, and return how many rows there are.

    A layer of that name in a GeoPackage is replaced, its other layers stay.

    Args:
        frames: Written one after the other; one at least, with columns of one type each
            (see ``export.storable``).
        path: Where to.
        driver: GDAL's name of the format.
        layer: Name of the layer; that of the file by default.
        geometry_type: Of the layer, e.g. ``MultiPolygon``; by default that of the shapes in
            the first table, ``Unknown`` where they differ.
        promote_to_multi: Whether shapes of one part become multi-part; by default where both
            kinds are there.
        **options: What else pyogrio takes, for other formats.

    Raises:
        VectorError: It can not be written, or rows are missing in the file.
        MissingExtraError: It is no GeoPackage, and pyogrio is not installed.
    """
    gdal = _gdal()
    shapes = {"geometry_type": geometry_type, "promote_to_multi": promote_to_multi}
    rows: int
    if gdal:
        rows = gdal.write_frames(frames, path, driver, layer, **shapes, **options)
    elif driver == GPKG:
        rows = geopackage_writer.write_frames(
            frames, path, layer, geometry_type=geometry_type, promote_to_multi=promote_to_multi
        )
    else:
        raise _missing("writing", path)
    return rows


def _gdal() -> ModuleType | None:
    """Return the same functions by pyogrio; None where it is not installed."""
    try:
        from geoiseg.files.vectors import ogr
    except ModuleNotFoundError:
        return None
    return ogr


def _readable(path: Path) -> Path:
    if path.suffix.lower() != ".gpkg":
        raise _missing("reading", path)
    return path


def _missing(doing: str, path: Path) -> MissingExtraError:
    kind = path.suffix.lower() or path.name
    return MissingExtraError(f"{doing} {kind} needs pyogrio: pip install pyogrio")
