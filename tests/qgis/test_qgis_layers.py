"""Real QGIS opens what is exported: every format and the project, and draws it in its colours."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import shapely
from PIL import Image

import geoiseg
from geoiseg.features.schema import Field, Schema
from geoiseg.files.export import export_features
from geoiseg.files.qgis_project import ProjectLayer, export_qgis_project
from geoiseg.files.styles import Style
from geoiseg.outline.coverage import CleanOptions
from geoiseg.outline.shoreline import boundary_lines
from tests.conftest import Disk, disk_pixels, missing, write_raster

pytestmark = pytest.mark.qgis

PYTHON = os.environ.get("GEOISEG_QGIS_PYTHON", "/usr/bin/python3")
CLASSES = (("disk", "#ff4081"), ("yard", "#00e676"))
SCHEMA = Schema({"*": [Field("crop"), Field("irrigated", "boolean"), Field("sown", "date"),
                       Field("trees", "integer"), Field("yield_t", "real")]})  # fmt: skip

LOOK = """
import json, sys
from qgis.core import (QgsApplication, QgsFeature, QgsFeatureRequest, QgsGeometry, QgsMapSettings,
                       QgsMapRendererParallelJob, QgsProject, QgsRectangle, QgsVectorLayer,
                       QgsWkbTypes, edit)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor

QgsApplication.setPrefixPath("/usr", True)
app = QgsApplication([], False)
app.initQgis()

def told(layer):
    renderer = layer.renderer()
    found = {"valid": layer.isValid(), "crs": layer.crs().authid(), "source": layer.source(),
             "renderer": renderer.type() if renderer else "", "name": layer.name()}
    if not isinstance(layer, QgsVectorLayer):
        enhancement = getattr(renderer, "redContrastEnhancement", None)
        if enhancement and enhancement():
            found["red"] = [enhancement().minimumValue(), enhancement().maximumValue()]
        found["bands"] = renderer.usesBands() if renderer else []
        return found
    shapes = [feature.geometry() for feature in layer.getFeatures()]
    found["count"] = layer.featureCount()
    found["type"] = QgsWkbTypes.displayString(layer.wkbType())
    found["fields"] = {field.name(): field.typeName() for field in layer.fields()}
    found["aliases"] = {field.name(): field.alias() for field in layer.fields() if field.alias()}
    found["geometry_valid"] = all(shape.isGeosValid() for shape in shapes)
    found["area"] = sum(shape.area() for shape in shapes)
    found["rows"] = [{key: str(value) for key, value in feature.attributeMap().items()}
                     if hasattr(feature, "attributeMap") else
                     {field.name(): str(feature[field.name()]) for field in layer.fields()}
                     for feature in layer.getFeatures()]
    if found["renderer"] == "categorizedSymbol":
        found["column"] = renderer.classAttribute()
        found["colours"] = {item.value(): item.symbol().color().name()
                            for item in renderer.categories()}
    return found

asked = json.load(sys.stdin)
out = {"layers": [told(QgsVectorLayer(path, "a", "ogr")) for path in asked.get("layers", [])]}
if asked.get("edit"):
    layer = QgsVectorLayer(asked["edit"], "a", "ogr")
    box = QgsRectangle(600000, 4600000, 600010, 4600010)
    feature = QgsFeature(layer.fields())
    feature.setGeometry(QgsGeometry.fromRect(box))
    with edit(layer):
        layer.addFeature(feature)
    near = list(layer.getFeatures(QgsFeatureRequest(box)))
    out["edited"] = [layer.isValid(), layer.featureCount(), len(near)]
if asked.get("project"):
    project = QgsProject.instance()
    out["read"] = project.read(asked["project"])
    layers = project.layerTreeRoot().layerOrder()
    out["crs"], out["wkt"] = project.crs().authid(), project.crs().toWkt()
    out["project"] = [told(layer) for layer in layers]
    view = project.viewSettings().defaultViewExtent()
    out["view"] = [view.xMinimum(), view.yMinimum(), view.xMaximum(), view.yMaximum()]
    settings = QgsMapSettings()
    settings.setLayers(layers)
    settings.setDestinationCrs(project.crs())
    settings.setExtent(view)
    settings.setOutputSize(QSize(400, 400))
    settings.setBackgroundColor(QColor("black"))
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    out["errors"] = [error.message for error in job.errors()]
    job.renderedImage().save(asked["picture"])
print("FOUND" + json.dumps(out))
"""


@pytest.fixture(scope="module")
def qgis(tmp_path_factory: pytest.TempPathFactory):
    """Return a function that shows files to PyQGIS in a process of its own."""
    home = tmp_path_factory.mktemp("qgis")
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "HOME": str(home),
                   "XDG_RUNTIME_DIR": str(home)}  # fmt: skip
    for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PROJ_LIB", "PROJ_DATA", "GDAL_DATA"):
        environment.pop(name, None)

    def run(code: str, said: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run([PYTHON, "-c", code], input=said, env=environment, text=True,
                              capture_output=True, timeout=300, check=False)  # fmt: skip

    try:
        there = run("import qgis.core").returncode == 0
    except OSError:
        there = False
    if not there:
        missing(f"{PYTHON} has no QGIS: apt install python3-qgis, or set GEOISEG_QGIS_PYTHON")

    def look(**asked: object) -> dict[str, object]:
        done = run(LOOK, json.dumps(asked))
        lines = [line for line in done.stdout.splitlines() if line.startswith("FOUND")]
        assert lines, done.stderr[-3000:]
        return json.loads(lines[0].removeprefix("FOUND"))

    return look


@pytest.fixture(scope="module")
def session(disk: Disk) -> geoiseg.Session:
    made = geoiseg.Session(disk.path, "grabcut")
    made.classes = CLASSES
    made.schema = SCHEMA
    made.add_point(*disk.centre)
    made.accept("disk", crop="żyto – 麦", irrigated=True, sown="2021-04-05", trees=3, yield_t=2.5)
    x, y = 500_010, 4_499_620
    yard = shapely.Polygon([(x, y), (x + 120, y), (x + 120, y + 90), (x, y + 90)],
                           [[(x + 30, y + 30), (x + 30, y + 60), (x + 60, y + 60), (x + 60, y + 30)]])  # fmt: skip
    made.add_features(gpd.GeoDataFrame({"label": ["yard"]}, geometry=[yard], crs="EPSG:32631"))
    return made


TYPES = {
    "gpkg": {"irrigated": "Boolean", "sown": "Date", "trees": "Integer64", "yield_t": "Real",
             "crop": "String", "area_m2": "Real", "id": "Integer64"},
    "fgb": {"irrigated": "Boolean", "sown": "DateTime", "trees": "Integer64", "yield_t": "Real",
            "crop": "String"},
    "shp": {"irrigated": "Integer64", "sown": "Date", "trees": "Integer64", "yield_t": "Real",
            "crop": "String"},
    "geojson": {"irrigated": "Boolean", "sown": "Date", "trees": "Integer", "yield_t": "Real",
                "crop": "String"},
}  # fmt: skip


@pytest.mark.parametrize("suffix", list(TYPES))
def test_qgis_opens_every_format(qgis, session, tmp_path: Path, suffix: str) -> None:
    path = session.export(tmp_path / f"fields.{suffix}")
    inside = f"{path}|layername=features" if suffix == "gpkg" else str(path)
    found = qgis(layers=[inside])["layers"][0]
    assert found["valid"]
    assert found["crs"] == ("EPSG:4326" if suffix == "geojson" else "EPSG:32631")
    assert found["count"] == 2
    assert found["geometry_valid"]
    assert {name: found["fields"].get(name) for name in TYPES[suffix]} == TYPES[suffix]
    if suffix != "geojson":
        assert found["type"] == "MultiPolygon"
        assert found["area"] == pytest.approx(session.features.area.sum(), rel=1e-9)
    assert found["column"] == "label"
    assert found["colours"] == {**dict(CLASSES), "": "#ffffff"}
    crops = {row["label"]: row["crop"] for row in found["rows"]}
    assert crops["disk"] == "żyto – 麦"
    if suffix == "shp":
        assert found["aliases"]["perim_m"] == "perimeter_m"


def test_qgis_opens_and_edits_what_is_written_without_gdal(
    qgis, session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_features(session.features[["label", "geometry"]].iloc[:0], tmp_path / "gdal.gpkg")
    monkeypatch.delattr("geoiseg.files.vectors.ogr")
    monkeypatch.setitem(sys.modules, "geoiseg.files.vectors.ogr", None)
    path = session.export(tmp_path / "größe 麦.gpkg", layer="łąki – 麦")
    own = "+proj=laea +lat_0=50.5 +lon_0=11 +x_0=4321000 +y_0=3210000 +ellps=GRS80 +units=m"
    shore = gpd.GeoDataFrame(
        {"label": ["a"]}, geometry=[shapely.LineString([(0, 0), (9, 9)])], crs=own
    )
    export_features(shore, tmp_path / "own.gpkg")
    export_features(session.features[["label", "geometry"]].iloc[:0], tmp_path / "empty.gpkg")
    monkeypatch.undo()
    names = [f"{path}|layername=łąki – 麦", *(f"{tmp_path / name}.gpkg|layername=features"
                                            for name in ("own", "empty", "gdal"))]  # fmt: skip
    found, line, empty, twin = qgis(layers=names)["layers"]
    assert found["valid"]
    assert found["crs"] == "EPSG:32631"
    assert found["type"] == "MultiPolygon"
    assert found["geometry_valid"]
    assert {name: found["fields"].get(name) for name in TYPES["gpkg"]} == TYPES["gpkg"]
    assert found["area"] == pytest.approx(session.features.area.sum(), rel=1e-9)
    assert found["colours"] == {**dict(CLASSES), "": "#ffffff"}
    rows = {row["label"]: row for row in found["rows"]}
    assert rows["disk"]["crop"] == "żyto – 麦"
    assert rows["disk"]["trees"] == "3"
    assert line["valid"]
    assert line["type"] == "LineString"
    assert empty["count"] == 0
    assert {key: empty[key] for key in ("type", "crs", "fields", "valid")} == {
        key: twin[key] for key in ("type", "crs", "fields", "valid")
    }
    assert qgis(edit=names[0])["edited"] == [True, 3, 1]
    assert len(pyogrio.read_dataframe(path, layer="łąki – 麦")) == 3
    with closing(sqlite3.connect(path)) as base:
        assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def share(picture: np.ndarray, colour: str) -> float:
    """Return the share of pixels whose hue is about that of a colour, or the colour itself."""
    wanted = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)], float)
    return float((np.abs(picture - wanted).max(axis=2) < 24).mean())


@pytest.mark.parametrize("suffix", [".qgz", ".qgs"])
def test_the_project_opens_raster_and_layers_together(
    qgis, session, tmp_path: Path, suffix
) -> None:
    old = tmp_path / "old"
    (old / "data").mkdir(parents=True)
    pixels, _ = disk_pixels()
    raster = write_raster(old / "data" / "scene.tif", pixels)
    place = old / f"all{suffix}"
    copy = geoiseg.Session(raster, "grabcut")
    copy.classes = CLASSES
    copy.add_features(session.features[["label", "geometry"]])
    copy.export(old / "data" / "fields.gpkg", project=place)
    new = tmp_path / "new"
    old.rename(new)  # paths are relative
    picture = tmp_path / "map.png"
    found = qgis(project=str(new / f"all{suffix}"), picture=str(picture))
    assert found["read"]
    assert found["crs"] == "EPSG:32631"
    assert [layer["valid"] for layer in found["project"]] == [True, True]
    assert [layer["name"] for layer in found["project"]] == ["fields", "scene"]
    vector, image = found["project"]
    assert vector["count"] == 2
    assert vector["colours"] == {**dict(CLASSES), "": "#ffffff"}
    assert image["renderer"] == "multibandcolor"
    assert image["bands"] == [1, 2, 3]
    assert image["red"] == [copy.raster.stretch.low[0], copy.raster.stretch.high[0]]
    assert found["view"] == pytest.approx(copy.raster.grid.bounds)
    assert not found["errors"]
    shown = np.asarray(Image.open(picture).convert("RGB"), float)
    for _, colour in CLASSES:
        assert share(shown, colour) > 5e-4, f"no outline of {colour}"
    corner = shown[5:40, 5:40].reshape(-1, 3).mean(axis=0)
    np.testing.assert_allclose(corner, [70, 90, 60], atol=12)  # the raster's ground
    inside = shown[340:360, 40:60].reshape(-1, 3).mean(axis=0)
    assert inside[1] > corner[1] + 30  # tinted by the class


def test_lines_and_any_crs(qgis, tmp_path: Path) -> None:
    own = "+proj=laea +lat_0=50.5 +lon_0=11 +x_0=4321000 +y_0=3210000 +ellps=GRS80 +units=m"
    shore = boundary_lines(shapely.box(4_000_000, 3_000_000, 4_000_400, 3_000_300), crs=own)
    frame = gpd.GeoDataFrame({"label": ["shore"] * len(shore)}, geometry=list(shore), crs=own)
    export_features(frame, tmp_path / "shore.gpkg", layer="shore",
                    style=Style((("shore", "#00b0ff"),), geometry="line"))  # fmt: skip
    export_features(frame, tmp_path / "rim.fgb")
    layers = [ProjectLayer(tmp_path / "shore.gpkg", "shore", "The shore"), tmp_path / "rim.fgb"]
    export_qgis_project(tmp_path / "p.qgz", layers)
    found = qgis(project=str(tmp_path / "p.qgz"), picture=str(tmp_path / "map.png"))
    assert [layer["name"] for layer in found["project"]] == ["The shore", "rim"]
    assert all(
        layer["valid"] and layer["type"].endswith("LineString") for layer in found["project"]
    )
    assert "Lambert_Azimuthal" in found["wkt"].replace(" ", "_")
    assert found["wkt"].count("50.5") == 1
    assert found["project"][0]["colours"]["shore"] == "#00b0ff"
    shown = np.asarray(Image.open(tmp_path / "map.png").convert("RGB"), float)
    assert share(shown, "#00b0ff") > 1e-3


def test_the_project_file_itself_opens_in_its_colours(qgis, session, tmp_path: Path) -> None:
    session.save(tmp_path / "work.gpkg")
    session.project = None
    found = qgis(layers=[f"{tmp_path / 'work.gpkg'}|layername=features"])["layers"][0]
    assert found["colours"] == {**dict(CLASSES), "": "#ffffff"}
    assert {"gpkg_contents"}.isdisjoint(
        name for name, _ in pyogrio.list_layers(tmp_path / "work.gpkg")
    )


def test_a_coverage_is_one_in_qgis_too(qgis, session, tmp_path: Path) -> None:
    x, y = 500_010, 4_499_620
    frame = gpd.GeoDataFrame({"label": ["a", "b"]}, geometry=[shapely.box(x, y, x + 52, y + 50),
                             shapely.box(x + 50, y, x + 100, y + 50)], crs="EPSG:32631")  # fmt: skip
    made = geoiseg.Session(session.raster, "grabcut")
    made.add_features(frame)
    made.export(tmp_path / "cover.gpkg", coverage=CleanOptions())
    found = qgis(layers=[f"{tmp_path / 'cover.gpkg'}|layername=features"])["layers"][0]
    assert found["area"] == pytest.approx(100 * 50)
    assert sum(float(row["area_m2"]) for row in found["rows"]) == pytest.approx(100 * 50)
    assert len(made.features) == 2
    assert made.features.area.sum() == pytest.approx(102 * 50)
