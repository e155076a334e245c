"""Vector layers that come from the page: looked at before any library opens them."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoiseg.errors import MissingExtraError, PromptError
from geoiseg.widget.channel.messages import MAX_UPLOAD

if TYPE_CHECKING:
    import geopandas as gpd

SHAPEFILE_PARTS = frozenset({".shp", ".shx", ".dbf", ".prj", ".cpg"})
"""What is taken out of an archive; all else stays in it."""
MAX_UNPACKED = 8 * MAX_UPLOAD
"""Bytes of a Shapefile out of its archive."""


def read_layer(name: str, data: bytes) -> gpd.GeoDataFrame:
    """Return the polygons of an uploaded file, whose kind is told by its content.

    Args:
        name: What the file was called; for messages alone, never a path.
        data: A GeoPackage, GeoJSON, FlatGeobuf or a zipped Shapefile.

    Raises:
        PromptError: It is none of these, or is damaged.
    """
    try:
        if data[:16] == b"SQLite format 3\x00" and data[68:72] in (b"GPKG", b"GP10", b"GP11"):
            return _through_file(data, ".gpkg")
        if data[:3] == b"fgb":
            return _through_file(data, ".fgb")
        if data[:4] == b"PK\x03\x04":
            return _shapefile(data)
        if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{":
            return _geojson(data)
    except (PromptError, MissingExtraError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise PromptError(f"{name!r:.80} can not be read as a vector layer: {reason}") from error
    raise PromptError(f"{name!r:.80} is no GeoPackage, GeoJSON, FlatGeobuf or zipped Shapefile")


def _through_file(data: bytes, suffix: str) -> gpd.GeoDataFrame:
    from geoiseg.files import list_layers, read_frame

    with tempfile.TemporaryDirectory(prefix="geoiseg-") as folder:
        path = Path(folder) / f"layer{suffix}"
        path.write_bytes(data)
        layers = list_layers(path)
        polygons = [name for name, kind in layers if kind and "Polygon" in kind]
        with_place = polygons or [name for name, kind in layers if kind]
        if not with_place:
            raise PromptError("the file has no layer with geometries")
        return read_frame(path, with_place[0])


def _shapefile(data: bytes) -> gpd.GeoDataFrame:
    from geoiseg.files import read_frame

    with (
        zipfile.ZipFile(io.BytesIO(data)) as archive,
        tempfile.TemporaryDirectory(prefix="geoiseg-") as folder,
    ):
        members = [one for one in archive.infolist() if not one.is_dir()]
        shapes = [one for one in members if Path(one.filename).suffix.lower() == ".shp"]
        if len(shapes) != 1:
            raise PromptError(f"the archive must hold one Shapefile, it holds {len(shapes)}")
        stem = Path(shapes[0].filename).with_suffix("").as_posix()
        parts = [one for one in members if Path(one.filename).with_suffix("").as_posix() == stem]
        wanted = [one for one in parts if Path(one.filename).suffix.lower() in SHAPEFILE_PARTS]
        if sum(one.file_size for one in wanted) > MAX_UNPACKED:
            raise PromptError(f"the Shapefile is larger than {MAX_UNPACKED >> 20} MiB")
        for one in wanted:
            target = Path(folder) / f"layer{Path(one.filename).suffix.lower()}"
            target.write_bytes(archive.read(one))
        return read_frame(Path(folder) / "layer.shp")


def _geojson(data: bytes) -> gpd.GeoDataFrame:
    content = json.loads(data)
    kind = content.get("type")
    if kind == "FeatureCollection":
        features = content["features"]
    elif kind == "Feature":
        features = [content]
    elif kind in {"Polygon", "MultiPolygon"}:
        features = [{"type": "Feature", "properties": {}, "geometry": content}]
    else:
        raise PromptError(f"GeoJSON of type {kind!r:.40} has no polygons")
    for feature in features:
        feature.setdefault("properties", {})
        feature["properties"] = feature["properties"] or {}
        if _shape(feature.get("geometry")) is None:
            feature["geometry"] = None
    if all(feature["geometry"] is None for feature in features):
        raise PromptError("it has no geometry that can be read")
    told = {"crs": content["crs"]} if content.get("crs") else {}
    whole = {"type": "FeatureCollection", **told, "features": features}
    return _through_file(json.dumps(whole).encode(), ".geojson")


def _shape(geometry: Any) -> Any:
    """Return a geometry of GeoJSON; None where there is none, or none that makes sense."""
    import shapely.geometry

    try:
        return None if geometry is None else shapely.geometry.shape(geometry)
    except (shapely.errors.ShapelyError, LookupError, TypeError, ValueError, AttributeError):
        return None
