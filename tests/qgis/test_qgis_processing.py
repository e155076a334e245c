"""Every algorithm in ``qgis_process``, on the disk and on real scenes."""

from __future__ import annotations

import json
import sqlite3
import struct
import sys
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely

from geoiseg.demo.scene import make_scene
from geoiseg.files.export import export_features
from geoiseg.files.vectors import geopackage_writer
from tests.conftest import Disk, disk_pixels, write_raster
from tests.qgis.qgis_app import Qgis

pytestmark = [pytest.mark.qgis, pytest.mark.slow]

ALGORITHMS = {
    "geoiseg:segment",
    "geoiseg:map",
    "geoiseg:refine",
    "geoiseg:evaluate",
    "geoiseg:clean",
    "geoiseg:shoreline",
}


@pytest.fixture(scope="module")
def qgis(tmp_path_factory: pytest.TempPathFactory) -> Qgis:
    return Qgis.made(tmp_path_factory.mktemp("qgis"))


def layer(path: Any) -> gpd.GeoDataFrame:
    return gpd.read_file(path, layer=0)


def test_lists_the_algorithms_with_all_parameters(qgis: Qgis) -> None:
    listed = json.loads(qgis.process("--json", "list").stdout)
    mine = listed["providers"]["geoiseg"]["algorithms"]
    assert set(mine) == ALGORITHMS
    wanted = {
        "geoiseg:segment": "RASTER MODEL GSD BANDS BAND_NAMES AUGMENT DEVICE PRECISION BACKEND PROMPTS SIMPLIFY SMOOTH SQUARE STRAIGHT CONTOUR HOLES PARTS GROW SNAP DETAIL SCHEMA OUTPUT",
        "geoiseg:map": "RASTER MODEL GSD BANDS BAND_NAMES AUGMENT DEVICE PRECISION BACKEND AOI LABEL TEXT LIKE NEGATIVE TAUGHT ENGINE THRESHOLD COVERAGE SIMPLIFY LABELS KEEP_EMBEDDINGS MIN_AREA MODE SPACING MIN_SCORE"
        " MIN_STABILITY MAX_HIDDEN SCALES BATCH WINDOW OVERLAP TILE WORKERS SCHEDULER RESUME QUICKLOOK OUTPUT",
        "geoiseg:refine": "RASTER MODEL GSD BANDS BAND_NAMES AUGMENT DEVICE PRECISION BACKEND INPUT MIN_SAME MAX_MOVED SIMPLIFY SMOOTH SQUARE STRAIGHT CONTOUR WORKERS RESUME OUTPUT",
        "geoiseg:clean": "INPUT RULE CLASSES COLUMN GAP SLIVER SIMPLIFY STRAIGHT SMOOTH SQUARE MAX_CHANGE OUTPUT",
        "geoiseg:shoreline": "INPUT EXTENT BETWEEN COLUMN MARGIN DEVIATION CENTRE DATE SPACING LENGTH SIDE PICK"
        " BASELINE OUTPUT RASTER INDEX BAND_NAMES THRESHOLD METHOD NEAR LABEL REACH LEAST ON APPEND"
        " TRANSECTS TABLE TIDES SLOPE TIDE_LEVEL",
        "geoiseg:evaluate": "RASTER MODEL GSD BANDS BAND_NAMES AUGMENT DEVICE PRECISION BACKEND LABELS"
        " CLICKS LIMIT USER SEED REPORT OUTPUT",
    }
    described = qgis.script("describe")
    assert set(described) == ALGORITHMS
    for name, parameters in wanted.items():
        told = described[name]
        assert set(told["names"]) == set(parameters.split())
        assert all(told["texts"])
        assert told["help"]
        assert told["group"] == mine[name]["group"]
    groups = {one["group"] for one in described.values()}
    assert groups == {"Objects of a raster", "Outlines and shorelines"}
    told = json.loads(qgis.process("--json", "help", "geoiseg:evaluate").stdout)
    assert set(told["parameters"]) == set(wanted["geoiseg:evaluate"].split())


def test_refines_outlines(qgis: Qgis, disk: Disk, tmp_path: Path) -> None:
    pixels = shapely.Point(disk.centre).buffer(np.sqrt(disk.truth.sum() * 4 / np.pi))
    gone = shapely.Point(disk.outside).buffer(30)
    drawn = gpd.GeoDataFrame(
        {"label": ["pond", "pond"], "owner": ["Zoë", "Ned"]},
        geometry=[shapely.affinity.translate(pixels, 10, -8), gone], crs="EPSG:32631",
    )  # fmt: skip
    drawn.to_file(tmp_path / "drawn.shp")
    out = tmp_path / "refined.gpkg"
    results = qgis.run(
        "geoiseg:refine", RASTER=str(disk.path), INPUT=str(tmp_path / "drawn.shp"), OUTPUT=str(out)
    )
    assert (results["OBJECTS"], results["FIT"]) == (2, 1)
    found = layer(out)
    assert found["owner"].tolist() == ["Zoë", "Ned"]
    assert found["fits"].tolist() == [True, False]
    both = found.geometry[0].intersection(pixels).area
    assert both > 0.93 * found.geometry[0].union(pixels).area
    assert found["moved_m"][0] > 3


def test_segments_from_prompts(qgis: Qgis, disk: Disk, tmp_path: Path) -> None:
    prompts = gpd.GeoDataFrame(
        {"label": ["pond", "pond"], "object": ["a", "a"], "positive": [1, 0], "owner": ["Zoë", None]},
        geometry=[shapely.Point(disk.centre), shapely.Point(disk.outside)], crs="EPSG:32631",
    ).to_crs(3857)  # fmt: skip
    prompts.to_file(tmp_path / "prompts.gpkg")
    out = tmp_path / "objects.gpkg"
    results = qgis.run(
        "geoiseg:segment", RASTER=str(disk.path), PROMPTS=str(tmp_path / "prompts.gpkg"), SIMPLIFY=1,
        OUTPUT=str(out),
    )  # fmt: skip
    assert (results["FOUND"], results["ASKED"]) == (1, 1)
    found = layer(out)
    assert found.crs == "EPSG:32631"
    assert found.loc[0, ["label", "owner"]].tolist() == ["pond", "Zoë"]
    assert found.geometry[0].area == pytest.approx(disk.truth.sum() * 4, rel=0.05)


def test_segments_neighbours_of_the_demo_scene(qgis: Qgis, tmp_path: Path) -> None:
    scene = make_scene(tmp_path / "scene.tif", 1024)
    fields = np.array([row.geometry for row in scene.truth if row.name not in ("sea", "lake")])
    largest = fields[np.argmax(shapely.area(fields))]
    near = fields[np.argsort(shapely.distance(fields, largest.centroid))[:2]]
    boxes = gpd.GeoDataFrame(geometry=shapely.box(*shapely.bounds(near).T), crs=scene.crs)
    boxes.to_file(tmp_path / "boxes.gpkg")
    out = tmp_path / "fields.gpkg"
    results = qgis.run(
        "geoiseg:segment", RASTER=str(scene.path), PROMPTS=str(tmp_path / "boxes.gpkg"), SNAP=16,
        OUTPUT=str(out),
    )  # fmt: skip
    assert results["FOUND"] == 2
    shapes = layer(out).geometry.to_numpy()
    shared = shapely.area(shapely.intersection(shapes, near))
    assert (shared / shapely.area(shapely.union(shapes, near)) > 0.6).all()
    assert shapely.intersection(*shapes).area == 0


def test_maps_cleans_and_draws_lines(qgis: Qgis, disk: Disk, tmp_path: Path) -> None:
    mapped, cleaned, lines = (tmp_path / name for name in ("m.gpkg", "c.geojson", "l.shp"))
    look = tmp_path / "look.png"
    results = qgis.run(
        "geoiseg:map", RASTER=str(disk.path), LABEL="thing", SPACING=50, SCALES="2,1",
        QUICKLOOK=str(look), OUTPUT=str(mapped),
    )  # fmt: skip
    assert results["FAILED"] == 0
    assert results["OBJECTS"] == len(layer(mapped)) > 0
    assert look.read_bytes().startswith(b"\x89PNG")
    results = qgis.run(
        "geoiseg:clean", INPUT=str(mapped), RULE="area", GAP=4, SIMPLIFY=1, OUTPUT=str(cleaned)
    )
    assert results["FEATURES"] == len(layer(cleaned)) > 0
    results = qgis.run("geoiseg:shoreline", INPUT=str(cleaned), DEVIATION=2, OUTPUT=str(lines))
    drawn = layer(lines)
    assert set(drawn.geom_type) <= {"LineString", "MultiLineString"}
    assert results["LENGTH_M"] == pytest.approx(drawn["length_m"].sum())


FIELDS = {
    "owner": ["Zoë 麦", "ß"],
    "visited": [date(2021, 4, 5), None],
    "long_name_of_a_field": [1, 2],
}


@pytest.mark.parametrize("suffix", ["shp", "geojson", "fgb", "gml"])
def test_any_format_in_and_out(qgis: Qgis, disk: Disk, tmp_path: Path, suffix: str) -> None:
    """QGIS turns layers into GeoPackages for the companion, and its answers into what is asked for."""
    x, y = disk.centre
    shapes = [shapely.Point(x, y).buffer(60), shapely.box(x + 90, y, x + 190, y + 60)]
    frame = gpd.GeoDataFrame(
        {"label": ["pond", "yard"], **FIELDS}, geometry=shapes, crs="EPSG:32631"
    )
    source, out = tmp_path / "in.fgb", tmp_path / f"out – 2.{suffix}"
    export_features(frame, source, style=False)
    results = qgis.run("geoiseg:clean", INPUT=str(source), OUTPUT=str(out))
    assert results["FEATURES"] == 2
    assert Path(results["OUTPUT"]) == out
    found = pyogrio.read_dataframe(out)
    kept = {"shp": "long_name_"}.get(suffix, "long_name_of_a_field")
    assert found.sort_values("label")["owner"].tolist() == ["Zoë 麦", "ß"]
    assert found.sort_values("label")[kept].tolist() == [1, 2]
    assert "fid" not in found
    assert found.crs == ("EPSG:4326" if suffix == "geojson" else "EPSG:32631")
    assert found.to_crs(frame.crs).area.sum() == pytest.approx(frame.area.sum(), rel=1e-4)
    style = out.with_suffix(".qml").read_text(encoding="utf-8")
    assert 'attr="label"' in style
    assert ('name="long_name_of_a_field"' in style) == (suffix == "shp")
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    out.with_suffix(".qml").write_text("<qgis>mine</qgis>")
    out.with_suffix(".qix").write_text("an index of the old rows")
    qgis.run("geoiseg:clean", INPUT=str(out), OUTPUT=str(out))
    assert out.with_suffix(".qml").read_text() == "<qgis>mine</qgis>"
    assert len(pyogrio.read_dataframe(out)) == 2
    assert out.with_suffix(".qix").exists() == (suffix != "shp")


def test_a_table_has_the_outlines_as_text(qgis: Qgis, disk: Disk, tmp_path: Path) -> None:
    x, y = disk.centre
    shapes = [shapely.Point(x, y).buffer(60), shapely.box(x + 90, y, x + 190, y + 60)]
    frame = gpd.GeoDataFrame({"label": ["pond", "yard"]}, geometry=shapes, crs="EPSG:32631")
    source, out = tmp_path / "in.gpkg", tmp_path / "out.csv"
    export_features(frame, source, style=False)
    qgis.run("geoiseg:clean", INPUT=str(source), OUTPUT=str(out))
    rows = pd.read_csv(out)
    assert sorted(rows["label"]) == ["pond", "yard"]
    drawn = shapely.from_wkt(rows["WKT"].to_numpy())
    assert shapely.area(drawn).sum() == pytest.approx(frame.area.sum(), rel=1e-4)


def test_arcs_become_straight_lines(qgis: Qgis, tmp_path: Path) -> None:
    """The companion's GeoPackages have no arcs; layers of QGIS do."""
    source, out = tmp_path / "in.gpkg", tmp_path / "out.gpkg"
    frame = gpd.GeoDataFrame(
        {"label": ["pond"]}, geometry=[shapely.box(0, -50, 100, 50)], crs="EPSG:32631"
    )
    geopackage_writer.write_frames([frame], source, "in")
    circle = struct.pack("<BII10d", 1, 8, 5, 0, 0, 50, 50, 100, 0, 50, -50, 0, 0)
    blob = struct.pack("<2sBBiBII", b"GP", 0, 1, 32631, 1, 10, 1) + circle
    with closing(sqlite3.connect(source)) as base, base:
        for (name,) in base.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall():
            base.execute(f'DROP TRIGGER "{name}"')
        base.execute('UPDATE "in" SET geom = ?', (blob,))
        base.execute("UPDATE gpkg_geometry_columns SET geometry_type_name = 'CURVEPOLYGON'")
    (tmp_path / "serve.py").write_text(
        "import runpy, sys\nsys.modules['pyogrio'] = None  # as in the plugin's own environment\n"
        "runpy.run_module('geoiseg.companion', run_name='__main__')\n"
    )
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I "{tmp_path / "serve.py"}"\n')
    python.chmod(0o755)
    done = qgis.process(
        "run", "geoiseg:clean", f"--INPUT={source}", f"--OUTPUT={out}", GEOISEG_PYTHON=str(python)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = pyogrio.read_dataframe(out, layer="features")
    assert found["label"].tolist() == ["pond"]
    assert found.area.tolist() == pytest.approx([np.pi * 50**2], rel=1e-3)


def test_an_unknown_format_is_refused_before_anything_is_done(
    qgis: Qgis, disk: Disk, tmp_path: Path
) -> None:
    frame = gpd.GeoDataFrame(geometry=[shapely.Point(disk.centre).buffer(60)], crs="EPSG:32631")
    export_features(frame, tmp_path / "in.gpkg")
    for name, words in (("o.xyz9", "has no known format"), ("no/o.fgb", "there is no folder")):
        done = qgis.process(
            "run", "geoiseg:clean", f"--INPUT={tmp_path / 'in.gpkg'}", f"--OUTPUT={tmp_path / name}"
        )
        assert done.returncode != 0
        assert words in done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr


def test_a_mistake_is_told_and_fails(qgis: Qgis, disk: Disk, tmp_path: Path) -> None:
    out = tmp_path / "never.gpkg"
    done = qgis.process(
        "run", "geoiseg:map", f"--RASTER={disk.path}", "--MODEL=nobody", f"--OUTPUT={out}"
    )
    assert done.returncode != 0
    assert "there is no model 'nobody'" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not out.exists()


@pytest.mark.parametrize("python", ["/usr/bin/python3", "/nowhere/python"])
def test_says_where_to_tell_what_is_missing(
    qgis: Qgis, disk: Disk, tmp_path: Path, python: str
) -> None:
    arguments = (f"--RASTER={disk.path}", f"--OUTPUT={tmp_path / 'never.gpkg'}")
    done = qgis.process("run", "geoiseg:map", *arguments, GEOISEG_PYTHON=python)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert f"{python}" in said
    assert "Plugins > geoiseg > Settings" in said


def disks(folder: Path) -> dict[str, Any]:
    """Return how to map a raster of nine disks in several tiles, quickly."""
    raster = write_raster(folder / "disks.tif", np.tile(disk_pixels()[0], (1, 3, 3)))
    return {
        "RASTER": str(raster), "OUTPUT": str(folder / "map.gpkg"), "WINDOW": 256, "TILE": 256,
        "OVERLAP": 64, "SPACING": 100, "SCALES": "2",
    }  # fmt: skip


def test_cancel_stops_the_companion_and_keeps_what_is_done(qgis: Qgis, tmp_path: Path) -> None:
    parameters = disks(tmp_path)
    stopped = qgis.script("cancel", json.dumps(parameters))
    assert not stopped["done"]
    assert stopped["started"] == 1
    assert stopped["left"] == []
    assert 0 < max(stopped["shares"]) < 100
    assert not Path(parameters["OUTPUT"]).exists()
    finished = qgis.script("finish", json.dumps({**parameters, "RESUME": True}))
    assert finished["done"]
    assert finished["results"]["OBJECTS"] == len(layer(parameters["OUTPUT"])) == 9
    first = next(share for share in finished["shares"] if share)
    assert first >= max(stopped["shares"])  # it goes on where it was
    assert finished["shares"][-1] == 100


def test_a_companion_that_dies_is_started_again(qgis: Qgis, tmp_path: Path) -> None:
    parameters = disks(tmp_path)
    done = qgis.script("kill", json.dumps(parameters))
    assert done["done"]
    assert "it goes on anew" in done["warned"][0]
    assert done["results"]["OBJECTS"] == len(layer(parameters["OUTPUT"])) == 9
    assert done["left"] == []


@pytest.mark.realdata
def test_every_algorithm_on_real_scenes(qgis: Qgis, data: Path, tmp_path: Path) -> None:
    fields = data / "scenes" / "fields_naip_09"
    truth = gpd.read_file(fields / "labels.geojson")
    largest = truth.loc[truth.to_crs(5070).area.nlargest(3).index].reset_index(drop=True)
    boxes = gpd.GeoDataFrame({"label": ["field"] * 3}, geometry=largest.envelope, crs=largest.crs)
    boxes.to_file(tmp_path / "boxes.geojson")
    found = tmp_path / "fields.gpkg"
    results = qgis.run(
        "geoiseg:segment", RASTER=str(fields / "image.tif"), PROMPTS=str(tmp_path / "boxes.geojson"),
        OUTPUT=str(found),
    )  # fmt: skip
    assert results["FOUND"] == 3
    shapes, wanted = layer(found).geometry.to_numpy(), largest.geometry.to_numpy()
    shared = shapely.area(shapely.intersection(shapes, wanted))
    assert (shared / shapely.area(shapely.union(shapes, wanted))).mean() > 0.7
    cleaned = tmp_path / "clean.gpkg"
    results = qgis.run(
        "geoiseg:clean",
        INPUT=str(fields / "labels.geojson"),
        GAP=5,
        SIMPLIFY=2,
        OUTPUT=str(cleaned),
    )
    assert results["FEATURES"] == len(truth)
    assert shapely.coverage_is_valid(shapely.get_parts(layer(cleaned).geometry.to_numpy()))
    coast = data / "scenes" / "coast_olinda_l7"
    lines = tmp_path / "coast.gpkg"
    results = qgis.run(
        "geoiseg:shoreline", INPUT=str(coast / "labels.geojson"), DEVIATION=30, OUTPUT=str(lines)
    )
    assert results["LENGTH_M"] > 5_000
    mapped = tmp_path / "mapped.gpkg"
    results = qgis.run(
        "geoiseg:map", RASTER=str(fields / "image.tif"), AOI=str(tmp_path / "boxes.geojson"),
        SPACING=128, SCALES=4, OUTPUT=str(mapped),
    )  # fmt: skip
    assert results["FAILED"] == 0
    assert layer(mapped).crs == "EPSG:4326"
    assert results["OBJECTS"] == len(layer(mapped)) > 0
    assert layer(mapped).geometry.is_valid.all()


@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "shp", "fgb"])
def test_every_column_goes_through_qgis(qgis: Qgis, tmp_path: Path, suffix: str) -> None:
    """Names that GDAL, SQLite and geoiseg use themselves, and types with gaps."""
    big = 1234567890123456789
    rows = [
        {"fid": "b", "geom": "q", "Id": 7, "id": "x", "name": "n", "Name": "N", "step": "s",
         "kind": "oak", "flag": True, "big": big, "day": "2024-02-29", "real": 0.1, "text": "Łódź"},
        {"fid": "a", "geom": "r", "Id": 3, "id": "y", "name": "m", "Name": "M", "step": "t",
         "kind": None, "flag": None, "big": None, "day": None, "real": None, "text": None},
    ]  # fmt: skip
    shapes = [shapely.box(2, 48, 2.001, 48.001), shapely.box(2.0009, 48, 2.002, 48.001)]
    features = [
        {"type": "Feature", "properties": row, "geometry": json.loads(shapely.to_geojson(shape))}
        for row, shape in zip(rows, shapes, strict=True)
    ]
    source, out = tmp_path / "a.geojson", tmp_path / f"o.{suffix}"
    source.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    qgis.run("geoiseg:clean", INPUT=str(source), OUTPUT=str(out))
    meta, table = pyogrio.read_arrow(out, layer="features" if suffix == "gpkg" else None)
    found = {name: table[name].to_pylist() for name in meta["fields"]}
    columns = [[str(one) for one in values if one is not None] for values in found.values()]
    for name in rows[0]:
        values = [str(row[name]) for row in rows if row[name] is not None]
        if name == "flag" and suffix != "gpkg":
            assert any(sorted(one) in (["True"], ["1"], ["1.0"], ["true"]) for one in columns)
            continue
        assert any(sorted(one)[: len(values)] == sorted(values) for one in columns) or (
            name == "day" and ["2024-02-29 00:00:00"] in columns
        ), (name, found)
