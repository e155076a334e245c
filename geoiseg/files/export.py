"""Accepted features as files: every format a GIS reads, written whole or not at all."""

from __future__ import annotations

import codecs
import logging
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from geoiseg.atomic import why_failed, written
from geoiseg.errors import ExportError, GeoisegError, VectorError, require
from geoiseg.files.fitting import FORMS, fitted
from geoiseg.files.keeping import FEATURES, begin_with, check_layer_free
from geoiseg.files.label_raster import write_labels
from geoiseg.files.styles import Style, embed_style, write_sidecar
from geoiseg.files.vectors import list_layers, write_frames
from geoiseg.files.vectors.rows import blank_rows
from geoiseg.raster import Grid, cut

log = logging.getLogger(__name__)

LONLAT = "OGC:CRS84"
"""The CRS of GeoJSON."""
POLAR = 75.0
"""Degrees of latitude from which the edges of a plane bend between their ends."""
EDGES = 1000
"""Pieces that the outline of one feature is cut into there."""
LONGITUDE_DIGITS = 9
"""Decimal places of degrees: a tenth of a millimetre, finer than any raster's pixels."""
SHORT_NAMES = {
    "perimeter_m": "perim_m",
    "compactness": "compact",
    "positive_points": "pos_points",
    "negative_points": "neg_points",
}
"""Shapefile names of our own columns that are too long for it."""
POLYGONS = {"Polygon", "MultiPolygon"}
LINES = {"LineString", "MultiLineString"}
GEOJSON = (".geojson", ".json")
SHAPEFILE_TEXT = 254
"""Bytes of a Shapefile's text field."""


def export_features(
    frame: gpd.GeoDataFrame,
    path: Path,
    *,
    grid: Grid | None = None,
    style: Style | bool = True,
    **options: Any,
) -> Path:
    """Write features in the format of the path's suffix and return the path.

    Args:
        frame: What ``Session.features`` gives, or any polygons or lines: coverages,
            shorelines, transects.
        path: Ends in .gpkg, .shp, .geojson or .json, .fgb, .parquet or .tif. A GeoPackage
            that is there keeps its other layers.
        grid: The raster's grid; needed for .tif.
        style: How QGIS is to show it: as a .qml file beside the vector file, or inside a
            GeoPackage that has other layers too. By default coloured by ``label``, if that says
            anything; False for none. A style of somebody else's there stays.
        **options: ``layer`` and ``becomes`` (GeoPackage only): its name, and the suffix of what
            a GIS makes of it, such as ``.shp``; ``encoding`` (Shapefile only);
            ``extent`` (``"raster"`` or ``"features"``) and ``values`` (``"id"`` or
            ``"mask"``) for .tif.

    Raises:
        ExportError: The format is unknown, the CRS does not allow it, or the file can
            not be written; an older file stays as it was.
    """
    suffix = check_format(path)
    if suffix == ".gpkg":
        check_layer_free(path, options.get("layer", FEATURES))
    with written(path) as target:
        if suffix == ".tif":
            if grid is None:
                raise ExportError("a mask needs the raster's grid")
            write_labels(frame, grid, target, **options)
            return path
        try:
            begin_with(path, target)
            becomes = FORMS.get(options.get("becomes", ""))
            first, _, told = fitted(frame, becomes) if becomes else (frame, {}, [])
            table, renamed, changes = fitted(first, FORMS[suffix])
            changes = told + changes
            if changes:
                log.warning("%s: %s", path.name, "; ".join(changes))
            WRITERS[suffix](table, target, **options)
            chosen = style_of(frame) if style is True else style
            if isinstance(chosen, Style):
                shown = replace(chosen, column=renamed.get(chosen.column, chosen.column))
                _styled(table, target, path, shown, **options)
        except VectorError as error:
            raise _failed(path, target, error) from error
        except GeoisegError:
            raise
        except (sqlite3.Error, OSError, LookupError, RuntimeError, ValueError) as error:
            raise _failed(path, target, error) from error
    return path


def _failed(path: Path, target: Path, error: Exception) -> ExportError:
    return ExportError(f"can not write {path}: {why_failed(error, target)}")


def style_of(
    frame: gpd.GeoDataFrame, classes: Sequence[tuple[str, str]] = (), column: str = "label"
) -> Style | None:
    """Return a style of polygons or lines by a column; None where there is nothing to tell.

    Args:
        frame: The features.
        classes: ``(value, colour)`` of those that have a colour already.
        column: Column of the class.
    """
    if column not in frame:
        return None
    kinds = set(frame.geometry.geom_type.dropna().unique())
    lines = bool(kinds) and kinds <= LINES
    style = Style.of(frame[column], classes, column, "line" if lines else "polygon")
    return style if style.classes and (lines or kinds <= POLYGONS) else None


def _styled(
    frame: gpd.GeoDataFrame, target: Path, path: Path, style: Style, layer: str = "features",
    becomes: str = "", **_: Any,
) -> None:  # fmt: skip
    suffix = path.suffix.lower()
    if ".shp" in (suffix, becomes):
        names = short_names(frame.columns.drop(frame.geometry.name))
        aliases = {short: name for name, short in names.items() if short != name}
        style = replace(style, column=names.get(style.column, style.column), aliases=aliases)
    if suffix == ".gpkg" and (becomes or _shared(target, layer)):
        embed_style(target, layer, style)
    else:
        write_sidecar(target, path, style)


def _shared(path: Path, layer: str) -> bool:
    """Return whether a GeoPackage has other layers, or a table of styles already.

    A style beside a file is one for all its layers. One inside is a table that readers list as
    a layer, and warn of where there would be none else.
    """
    return any(name != layer for name, _ in list_layers(path))


def check_format(path: Path) -> str:
    """Return the suffix in lower case.

    Raises:
        ExportError: It stands for no format we write.
    """
    suffix = path.suffix.lower()
    if suffix not in WRITERS and suffix != ".tif":
        known = ", ".join([*WRITERS, ".tif"])
        raise ExportError(f"{path.name!r} has no known format; use one of {known}")
    return suffix


def write_picture(rgb: NDArray[np.uint8], path: Path) -> None:
    """Write a ``(y, x, 3)`` uint8 RGB picture as PNG.

    Raises:
        ExportError: It can not be written.
    """
    done, encoded = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    if not done:
        raise ExportError(f"a picture of shape {rgb.shape} can not be written")
    with written(path) as target:
        target.write_bytes(encoded.tobytes())


def _one_type(frame: gpd.GeoDataFrame) -> dict[str, Any]:
    """Return options that make every layer of one type, MultiPolygon when it is empty.

    Lines become MultiLineStrings only where some are.
    """
    kinds = set(frame.geometry.geom_type.dropna().unique())
    if kinds <= POLYGONS:
        return {"geometry_type": "MultiPolygon", "promote_to_multi": True}
    if kinds == LINES:
        return {"geometry_type": "MultiLineString", "promote_to_multi": True}
    return {}


def _write_gpkg(
    frame: gpd.GeoDataFrame, path: Path, layer: str = FEATURES, becomes: str = ""
) -> None:
    if becomes in GEOJSON:
        _check_lonlat(frame)
    if becomes == ".shp":
        frame = _for_shapefile(frame, "UTF-8")
    write_frames([frame], path, layer=layer, **_one_type(frame))


def _write_fgb(frame: gpd.GeoDataFrame, path: Path) -> None:
    blank = bool(len(blank_rows(frame)))  # which GDAL leaves out, or refuses, where it sorts
    how: dict[str, Any] = {"layer_options": {"SPATIAL_INDEX": "NO"}} if blank else {}
    write_frames([frame], path, "FlatGeobuf", **_one_type(frame), **how)


def _check_lonlat(frame: gpd.GeoDataFrame) -> None:
    if frame.crs is None:
        raise ExportError(
            "GeoJSON is in longitude and latitude, but the raster has no CRS;"
            " export to .gpkg or .shp instead"
        )


def _write_geojson(frame: gpd.GeoDataFrame, path: Path) -> None:
    _check_lonlat(frame)
    moved = frame.to_crs(LONLAT) if len(frame) else frame.set_crs(LONLAT, allow_override=True)
    polar = moved.geometry.bounds[["miny", "maxy"]].abs().max(axis=1).to_numpy() > POLAR
    if polar.any() and not (frame.crs.is_geographic or len(frame) == 0):
        moved = _fine(frame, polar).to_crs(LONLAT)
    shapes = [cut(shape, LONLAT) for shape in moved.geometry]
    moved = moved.set_geometry(gpd.GeoSeries(shapes, index=moved.index, crs=LONLAT))
    digits = {"RFC7946": "YES", "COORDINATE_PRECISION": LONGITUDE_DIGITS}
    write_frames([moved], path, "GeoJSON", layer_options=digits)


def _fine(frame: gpd.GeoDataFrame, rows: NDArray[np.bool_]) -> gpd.GeoDataFrame:
    """Return a table with the edges of some rows cut: near a pole no meridian is straight."""
    shapes = np.array(frame.geometry.array, dtype=object)
    steps = shapely.length(shapes[rows]) / EDGES
    shapes[rows] = shapely.segmentize(shapes[rows], np.maximum(steps, 1e-9))
    return frame.set_geometry(gpd.GeoSeries(shapes, index=frame.index, crs=frame.crs))


def _write_parquet(frame: gpd.GeoDataFrame, path: Path) -> None:
    require("pyarrow", "parquet")
    covering = bool(len(frame)) and "bbox" not in frame  # its own column of that name
    frame.to_parquet(path, index=False, write_covering_bbox=covering)


def _write_shapefile(frame: gpd.GeoDataFrame, path: Path, encoding: str = "UTF-8") -> None:
    stored = _for_shapefile(frame, encoding)
    write_frames([stored], path, "ESRI Shapefile", encoding=encoding, **_one_type(stored))


def _for_shapefile(frame: gpd.GeoDataFrame, encoding: str) -> gpd.GeoDataFrame:
    """Return a table with names, texts and types that a Shapefile takes.

    Raises:
        ExportError: A text can not be written in the encoding.
    """
    names = short_names(frame.columns.drop(frame.geometry.name))
    renamed = {old: new for old, new in names.items() if old != new}
    if renamed:
        pairs = ", ".join(f"{old} -> {new}" for old, new in renamed.items())
        log.warning("a Shapefile takes names of ten characters: %s", pairs)
    stored = frame.rename(columns=renamed)
    for name in stored.columns.drop(stored.geometry.name):
        column = stored[name]
        if column.dtype == "boolean":
            stored[name] = column.astype("Int64")
        texts = [value for value in column if isinstance(value, str)]
        _check_encoding(texts, name, encoding)
        if any(len(text.encode(encoding)) > SHAPEFILE_TEXT for text in texts):
            log.warning("a Shapefile takes %d bytes of text: %s is cut", SHAPEFILE_TEXT, name)
            stored[name] = column.map(lambda value: _cut(value, encoding))
    return stored


def _check_encoding(texts: list[str], name: str, encoding: str) -> None:
    """Make sure that all texts can be written.

    Raises:
        ExportError: The encoding is unknown, or lacks a character.
    """
    try:
        codecs.lookup(encoding)
        "".join(texts).encode(encoding)
    except LookupError as error:
        raise ExportError(f"{encoding!r} is no encoding; use e.g. UTF-8 or CP1252") from error
    except UnicodeEncodeError as error:
        lacking = str(error.object)[error.start]
        raise ExportError(f"{encoding} has no {lacking!r}, as in {name}; use UTF-8") from error


def _cut(value: Any, encoding: str) -> Any:
    if not isinstance(value, str):
        return value
    return value.encode(encoding)[:SHAPEFILE_TEXT].decode(encoding, errors="ignore")


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Return a distinct name of at most ten bytes for each name, in order."""
    short: dict[str, str] = {}
    for name in names:
        base = SHORT_NAMES.get(name, name).encode()[:10].decode(errors="ignore")
        candidate, number = base, 1
        while candidate.lower() in {taken.lower() for taken in short.values()}:
            tail = f"_{number}"
            candidate = base.encode()[: 10 - len(tail)].decode(errors="ignore") + tail
            number += 1
        short[name] = candidate
    return short


WRITERS: dict[str, Callable[..., None]] = {
    ".gpkg": _write_gpkg,
    ".shp": _write_shapefile,
    ".geojson": _write_geojson,
    ".json": _write_geojson,
    ".fgb": _write_fgb,
    ".parquet": _write_parquet,
}
