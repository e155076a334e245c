"""A QGIS project that opens a raster and its layers together, written without QGIS.

Paths in it are relative to its folder, so that all may move together. The raster is shown
through the stretch that models see it through.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np

from geoiseg.atomic import check_place, written
from geoiseg.errors import ExportError, GeoreferenceError, VectorError
from geoiseg.files.export import LINES, style_of
from geoiseg.files.styles import DOCTYPE, MARK, QML_VERSION, Style
from geoiseg.files.vectors import layer_info, list_layers, read_frame
from geoiseg.raster import (
    Raster,
    as_crs,
    box_outline,
    composites_of,
    open_raster,
    part_name,
    reproject_xy,
)

log = logging.getLogger(__name__)

Bounds = tuple[float, float, float, float]
SUFFIXES = (".qgz", ".qgs")
LAYER_ID, RASTER_ID = "geoiseg_layer_", "geoiseg_raster"
"""QGIS takes no ids of ten characters and less, and makes up others."""
COLOURS = ("red", "green", "blue")


@dataclass(frozen=True, slots=True)
class ProjectLayer:
    """A vector file to show."""

    path: Path
    layer: str | None = None
    """Name within the file; the first by default."""
    title: str = ""
    """What to call it in QGIS; the layer's or file's name by default."""
    style: Style | None = None
    """Its colours; those that the file brings with it by default, else by ``label``."""


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    """A layer as the project lists it."""

    id: str
    title: str
    provider: str
    source: str
    crs: Any
    bounds: Bounds | None
    look: ET.Element
    """The renderer of vectors, the pipe of a raster."""


def export_qgis_project(
    path: Path, layers: Sequence[ProjectLayer | Path | str] = (), raster: Any = None
) -> Path:
    """Write a project file for QGIS 3.22 and newer, and return its path.

    Args:
        path: Ends in .qgz or .qgs.
        layers: Vector files, the uppermost first.
        raster: What ``open_raster`` takes, or what it returned. One that is in memory alone
            is left out, which is logged. Its CRS is the project's, its extent the first view.

    Raises:
        ExportError: The suffix is another, a layer can not be read, there is nothing to
            show, or the file can not be written.
        RasterError: The raster can not be opened.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ExportError(f"a QGIS project ends in .qgz or .qgs, got {path.name!r}")
    check_replaceable(path)
    folder = path.absolute().parent
    given = [one if isinstance(one, ProjectLayer) else ProjectLayer(Path(one)) for one in layers]
    entries = [_vector(one, number, folder) for number, one in enumerate(given, 1)]
    picture = None if raster is None else _raster(open_raster(raster), path)
    if picture is not None:
        entries.append(picture)
    if not entries:
        raise ExportError("a QGIS project needs a raster or a layer to show")
    document = _document(entries, picture or entries[0], path.stem)
    with written(path) as target:
        if path.suffix.lower() == ".qgs":
            target.write_text(document, encoding="utf-8")
        else:
            with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(f"{path.stem}.qgs", document)
    return path


def check_replaceable(path: Path | str | None) -> None:
    """Make sure that a QGIS project is none that somebody has made or changed in QGIS.

    Raises:
        ExportError: It is there, and has no mark of ours, which QGIS does not keep; or no file can
            have this place.
    """
    if path is None:
        return
    place = Path(path)
    check_place(place)
    if not place.is_file():
        return
    try:
        if zipfile.is_zipfile(place):
            with zipfile.ZipFile(place) as archive:
                texts = [archive.read(name) for name in archive.namelist() if name.endswith(".qgs")]
        else:
            texts = [place.read_bytes()]
    except (OSError, zipfile.BadZipFile) as error:
        raise ExportError(f"{place} is there and can not be read: {error}") from error
    if not any(MARK.encode() in text for text in texts):
        raise ExportError(f"{place} is a project of somebody's own; choose another name")


def _vector(given: ProjectLayer, number: int, folder: Path) -> _Entry:
    path = given.path
    try:
        if path.suffix.lower() == ".parquet":
            frame = gpd.read_parquet(path)
            name, crs, bounds = path.stem, frame.crs, frame.total_bounds
            lines = set(frame.geom_type.dropna()) <= LINES
        else:
            names = [one for one, kind in list_layers(path) if kind is not None]
            if given.layer is not None and given.layer not in names:
                raise ExportError(f"{path} has no layer {given.layer!r}; there is: "
                                  f"{', '.join(names)}")  # fmt: skip
            name = given.layer or names[0]
            info = layer_info(path, name)
            crs, bounds = info.crs, info.bounds
            lines = "Line" in str(info.geometry_type)
    except (VectorError, OSError, ValueError, IndexError) as error:
        reason = " ".join(str(error).split())
        raise ExportError(f"{path} can not be shown in a QGIS project: {reason}") from error
    inside = f"|layername={name}" if path.suffix.lower() in {".gpkg", ".sqlite"} else ""
    title = given.title or (path.stem if name in {"features", path.stem} else name)
    look = _look(given, name, "line" if lines else "polygon")
    usable = None if bounds is None or not np.isfinite(bounds).all() else tuple(map(float, bounds))
    source = _relative(path, folder) + inside
    return _Entry(f"{LAYER_ID}{number}", title, "ogr", source, as_crs(crs), usable, look)  # type: ignore[arg-type]


def _look(given: ProjectLayer, name: str, geometry: str) -> ET.Element:
    """Return the renderer of a layer: the one asked for, the file's own, or one by label."""
    if given.style is not None:
        return given.style.renderer()
    text = _own_style(given.path, name)
    if text:
        try:
            found = ET.fromstring(text[text.find("<qgis") :])  # noqa: S314 - a style of the user's own
        except ET.ParseError:
            log.warning("the style that %s brings can not be read", given.path)
        else:
            renderer = found.find("renderer-v2")
            if renderer is not None:
                return renderer
    return (_by_label(given.path, name) or Style((), "label", geometry)).renderer()


def _own_style(path: Path, layer: str) -> str:
    """Return the default style of a GeoPackage's layer, or the one beside the file."""
    if path.suffix.lower() == ".gpkg":
        query = "SELECT styleQML FROM layer_styles WHERE f_table_name = ? AND useAsDefault"
        try:
            with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as base:
                row = base.execute(query, (layer,)).fetchone()
        except (sqlite3.Error, UnicodeDecodeError):  # it has no table of styles
            row = None
        if row is not None:
            return str(row[0])
    beside = path.with_suffix(".qml")
    return beside.read_text(encoding="utf-8", errors="replace") if beside.is_file() else ""


def _by_label(path: Path, name: str) -> Style | None:
    if path.suffix.lower() == ".parquet":
        return style_of(gpd.read_parquet(path))
    if "label" not in layer_info(path, name).fields:
        return None
    return style_of(gpd.GeoDataFrame(read_frame(path, name, ["label"])))


def _raster(raster: Raster, project: Path) -> _Entry | None:
    folder, shown = project.absolute().parent, _drawable(raster)
    pipe = ET.Element("pipe")
    if raster.virtual is not None:  # QGIS opens no folder as one raster, but what stands for it
        beside = project.with_name(f"{project.stem}-bands.vrt")
        with written(beside) as target:
            target.write_text(_beside(raster.virtual, folder), encoding="utf-8")
        pipe.append(_raster_renderer(shown))
        title, source = Path(raster.name).stem, _relative(beside, folder)
        crs, bounds = raster.grid.crs, raster.grid.bounds
        return _Entry(RASTER_ID, title, "gdal", source, crs, bounds, pipe)
    name = raster.name
    remote = name.startswith(("/vsi", "http://", "https://"))
    part = part_name(name)
    if not remote and not Path(part.path).is_file():
        log.warning("%s is not a file: the QGIS project is without it", name)
        return None
    source = f"/vsicurl/{name}" if name.startswith("http") else name
    if part.before:  # QGIS takes no relative path inside a name
        source = part.at(Path(part.path).absolute().as_posix())
    elif not remote:
        source = _relative(Path(name), folder)
    pipe.append(_raster_renderer(shown))
    title = Path(part.path).stem
    return _Entry(RASTER_ID, title, "gdal", source, raster.grid.crs, raster.grid.bounds, pipe)


def _beside(virtual: str, folder: Path) -> str:
    """Return a virtual dataset with its files as seen from a folder, so that both can move."""
    root = ET.fromstring(virtual)  # noqa: S314 - made by ``geoiseg.raster``
    for source in root.iter("SourceFilename"):
        path = Path(source.text or "")
        if path.is_file():
            source.text = _relative(path, folder)
            source.set("relativeToVRT", "0" if Path(source.text).is_absolute() else "1")
    return ET.tostring(root, encoding="unicode")


def _drawable(raster: Raster) -> Raster:
    """Return a raster with bands that QGIS can draw: those of the file, where some are computed."""
    if all(isinstance(band, int) for band in raster.bands):
        return raster
    made = composites_of(raster.roles)
    bands = next(iter(made.values()), raster.plain.bands)
    log.warning("%s: QGIS shows bands %s, not %s, which are computed", raster.name, bands,
                raster.bands)  # fmt: skip
    return raster.plain.restyled(bands)


def _raster_renderer(raster: Raster) -> ET.Element:
    """Return the renderer that shows a raster's bands through its stretch."""
    limits = zip(raster.stretch.low, raster.stretch.high, strict=True)
    shared = {"opacity": "1", "alphaBand": "-1", "nodataColor": ""}
    if len(raster.bands) == 1:
        gray = {"type": "singlebandgray", "grayBand": str(raster.bands[0])}
        renderer = ET.Element("rasterrenderer", {**shared, **gray, "gradient": "BlackToWhite"})
        names = ["contrastEnhancement"]
    else:
        bands = {f"{colour}Band": str(band) for colour, band in zip(COLOURS, raster.bands,
                                                                    strict=True)}  # fmt: skip
        renderer = ET.Element("rasterrenderer", {**shared, "type": "multibandcolor", **bands})
        names = [f"{colour}ContrastEnhancement" for colour in COLOURS]
    _text(ET.SubElement(renderer, "minMaxOrigin"), limits="None", extent="WholeRaster")
    for name, (low, high) in zip(names, limits, strict=True):
        whole = {"minValue": repr(float(low)), "maxValue": repr(float(high))}
        _text(ET.SubElement(renderer, name), **whole, algorithm="StretchToMinimumMaximum")
    return renderer


def _relative(path: Path, folder: Path) -> str:
    """Return a path as seen from a folder; the whole path where there is no way."""
    try:
        way = os.path.relpath(path.absolute(), folder)
    except ValueError:  # another drive
        return path.absolute().as_posix()
    text = Path(way).as_posix()
    return text if text.startswith("..") else f"./{text}"


def _document(entries: Sequence[_Entry], first: _Entry, title: str) -> str:
    """Return the text of a project; the CRS and view are those of one entry."""
    root = ET.Element("qgis", version=QML_VERSION, projectname=title)
    root.append(ET.Comment(MARK))
    _text(root, title=title)
    ET.SubElement(root, "projectCrs").append(_crs(first.crs))
    tree = ET.SubElement(root, "layer-tree-group")
    canvas = ET.SubElement(root, "mapcanvas", name="theMapCanvas", annotationsVisible="1")
    listed = ET.SubElement(root, "projectlayers")
    order = ET.SubElement(root, "layerorder")
    for entry in entries:
        about = {"id": entry.id, "name": entry.title, "source": entry.source}
        shown = {"providerKey": entry.provider, "checked": "Qt::Checked", "expanded": "1"}
        ET.SubElement(tree, "layer-tree-layer", {**about, **shown})
        ET.SubElement(order, "layer", id=entry.id)
        listed.append(_map_layer(entry))
    view = _view(entries, first)
    if view is not None:
        _text(canvas, units="degrees" if first.crs is not None and first.crs.is_geographic
              else "meters")  # fmt: skip
        _box(canvas, "extent", view)
        ET.SubElement(canvas, "destinationsrs").append(_crs(first.crs))
        settings = ET.SubElement(root, "ProjectViewSettings", UseProjectFullExtent="0")
        sides = dict(zip(("xmin", "ymin", "xmax", "ymax"), map(repr, view), strict=True))
        ET.SubElement(settings, "DefaultViewExtent", sides).append(_crs(first.crs))
    properties = ET.SubElement(root, "properties")
    absolute = ET.SubElement(ET.SubElement(properties, "Paths"), "Absolute", type="bool")
    absolute.text = "false"
    used = ET.SubElement(properties, "SpatialRefSys")  # the CRS is not read without
    ET.SubElement(used, "ProjectionsEnabled", type="int").text = str(int(first.crs is not None))
    ET.indent(root)
    return DOCTYPE + ET.tostring(root, encoding="unicode")


def _map_layer(entry: _Entry) -> ET.Element:
    vector = entry.provider == "ogr"
    layer = ET.Element("maplayer", type="vector" if vector else "raster")
    if entry.bounds is not None:
        _box(layer, "extent", entry.bounds)
    _text(layer, id=entry.id, datasource=entry.source, layername=entry.title)
    ET.SubElement(layer, "srs").append(_crs(entry.crs))
    provider = ET.SubElement(layer, "provider")
    provider.text = entry.provider
    if vector:
        provider.set("encoding", "UTF-8")
    layer.append(entry.look)
    return layer


def _crs(crs: Any) -> ET.Element:
    """Return a CRS as QGIS writes it: by authority where it has one, and as WKT."""
    element = ET.Element("spatialrefsys")
    if crs is None:
        return element
    authority = crs.to_authority(min_confidence=100)
    number = authority[1] if authority and authority[1].isdigit() else "0"
    _text(
        element, wkt=crs.to_wkt(), srid=number, authid=":".join(authority) if authority else "",
        description=crs.name, geographicflag=str(crs.is_geographic).lower(),
    )  # fmt: skip
    return element


def _view(entries: Sequence[_Entry], first: _Entry) -> Bounds | None:
    """Return what to show at first in the project's CRS: the raster, else all layers."""
    if first.provider == "gdal" and first.bounds is not None:
        return first.bounds
    boxes = [np.array(box) for entry in entries if (box := _moved(entry, first.crs)) is not None]
    if not boxes:
        return None
    low, high = np.min(boxes, axis=0)[:2], np.max(boxes, axis=0)[2:]
    margin = max(float((high - low).max()), 1e-9) * 0.02
    (xmin, ymin), (xmax, ymax) = (low - margin).tolist(), (high + margin).tolist()
    return xmin, ymin, xmax, ymax


def _moved(entry: _Entry, crs: Any) -> Bounds | None:
    if entry.bounds is None or entry.crs is None or crs is None or entry.crs == crs:
        return entry.bounds
    try:
        xy = reproject_xy(box_outline(*entry.bounds), entry.crs, crs)
    except GeoreferenceError:
        return None
    (xmin, ymin), (xmax, ymax) = xy.min(axis=0).tolist(), xy.max(axis=0).tolist()
    return xmin, ymin, xmax, ymax


def _text(parent: ET.Element, **texts: str) -> None:
    for name, text in texts.items():
        ET.SubElement(parent, name).text = text


def _box(parent: ET.Element, name: str, bounds: Bounds) -> None:
    sides = ("xmin", "ymin", "xmax", "ymax")
    _text(ET.SubElement(parent, name), **dict(zip(sides, map(repr, bounds), strict=True)))
