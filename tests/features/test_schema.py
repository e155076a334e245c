"""Schemas: typed fields with defaults, and quality flags that delete nothing."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import shapely
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import geoiseg
from geoiseg.cli.main import cli
from geoiseg.errors import GeoreferenceError, SessionError
from geoiseg.features.quality import QualityOptions, checked, irregularity, summary
from geoiseg.features.schema import Field, Schema, read_schema
from geoiseg.outline.coverage import CleanOptions
from tests.conftest import Disk

UTM = "EPSG:32631"
FARM = Schema(
    {
        "*": (Field("surveyed", "date"),),
        "field": (
            Field("crop", required=True, choices=("wheat", "maize")),
            Field("irrigated", "boolean", default=False),
            Field("rows", "integer"),
            Field("yield_t", "real"),
        ),
    }
)


def test_attributes_are_read_as_the_types_say() -> None:
    said = {"crop": "wheat", "rows": "12", "yield_t": 3, "surveyed": "2021-05-06T10:00", "own": 1}
    full = FARM.completed("field", said)
    assert full == {
        "crop": "wheat", "rows": 12, "yield_t": 3.0, "surveyed": "2021-05-06", "own": 1,
        "irrigated": False,
    }  # fmt: skip
    assert type(full["yield_t"]) is float
    assert FARM.completed("road", {"crop": "oats"}) == {"crop": "oats"}


@pytest.mark.parametrize(
    ("attributes", "match"),
    [
        ({}, "needs a value for 'crop'"),
        ({"crop": "oats"}, "one of wheat, maize; got 'oats'"),
        ({"crop": "wheat", "rows": 1.5}, "rows is of type integer, got 1.5"),
        ({"crop": "wheat", "irrigated": "perhaps"}, "irrigated is of type boolean"),
        ({"crop": "wheat", "surveyed": "soon"}, "surveyed is of type date"),
        ({"crop": "wheat", "yield_t": float("inf")}, "yield_t is of type real"),
    ],
)
def test_what_is_of_another_type_is_refused(attributes, match: str) -> None:
    with pytest.raises(SessionError, match=match):
        FARM.completed("field", attributes)
    assert FARM.faults("field", attributes)
    assert FARM.completed("field", attributes, lenient=True)["irrigated"] in (False, "perhaps")


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Field("area_m2"), "column of geoiseg's own"),
        (lambda: Field("a", "colour"), "the type of a field is one of"),
        (lambda: Field("a", "integer", default="x"), "a is of type integer"),
        (lambda: Schema({"b": (Field("a"), Field("a"))}), "twice"),
        (lambda: Schema({"b": (Field("a"),), "c": (Field("a", "real"),)}), "a column has one type"),
        (lambda: Schema.from_dict([1]), "lists of fields by class"),
        (lambda: Schema.from_dict({"b": [{"kind": "text"}]}), "is no field"),
        (lambda: Schema.from_dict({"b": 3}), "no list of fields"),
    ],
)
def test_what_is_no_schema(make, match: str) -> None:
    with pytest.raises(SessionError, match=match):
        make()


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12)))
def test_reading_twice_changes_nothing(value) -> None:
    for kind in ("text", "integer", "real", "boolean", "date"):
        one = Field("a", kind)
        try:
            read = one.read(value)
        except SessionError:
            continue
        assert one.read(read) == read


def test_a_schema_comes_back_from_json(tmp_path: Path) -> None:
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(FARM.to_dict()))
    assert read_schema(path) == FARM
    with pytest.raises(SessionError, match="can not read a schema"):
        read_schema(tmp_path / "none.json")


def test_a_session_fills_in_and_asks(disk: Disk, tmp_path: Path) -> None:
    session = geoiseg.Session(disk.path, "grabcut", project=tmp_path / "a.gpkg")
    session.schema = FARM
    session.add_point(*disk.centre)
    with pytest.raises(SessionError, match="needs a value for 'crop'"):
        session.accept("field")
    assert not session.accepted
    session.accept("field", crop="maize", surveyed="2020-02-03")
    frame = session.features
    assert list(frame.dtypes[["irrigated", "rows", "yield_t"]].astype(str)) == [
        "boolean", "Int64", "float64",
    ]  # fmt: skip
    assert frame.loc[0, "surveyed"] == date(2020, 2, 3)
    with pytest.raises(SessionError, match="rows is of type integer"):
        session.relabel(1, rows="many")
    session.relabel(1, rows="7")
    for suffix in ("gpkg", "shp"):
        named = {"layer": "x"} if suffix == "gpkg" else {}
        path = session.export(tmp_path / f"out.{suffix}", **named)
        info = pyogrio.read_info(path, **named)
        kinds = dict(zip(info["fields"], info["ogr_types"], strict=True))
        assert kinds["surveyed"] == "OFTDate"
        assert kinds["rows"] == "OFTInteger64"
        assert kinds["yield_t"] == "OFTReal"
    back = geoiseg.Session.load(tmp_path / "a.gpkg")
    assert back.schema == FARM
    assert back.accepted[0].attributes["rows"] == 7
    assert back.accepted[0].attributes["surveyed"] == "2020-02-03"
    assert back.features.loc[0, "surveyed"] == date(2020, 2, 3)


def test_outlines_from_elsewhere_are_flagged_not_refused(disk: Disk) -> None:
    session = geoiseg.Session(disk.path, "grabcut")
    session.schema = FARM
    box = shapely.box(500_010, 4_499_700, 500_050, 4_499_760)
    session.add_features(gpd.GeoDataFrame({"label": ["field"]}, geometry=[box], crs=UTM))
    assert session.accepted[0].attributes == {"irrigated": False}
    found = session.check_features(QualityOptions(min_area=1e6))
    assert list(found["flags"]) == ["small missing:crop"]
    assert len(session.features) == 1


def test_flags_say_what_is_doubtful() -> None:
    disk = shapely.Point(0, 0).buffer(100, quad_segs=64)
    comb = shapely.union_all([shapely.box(0, y, 100, y + 2) for y in range(0, 40, 4)]
                             + [shapely.box(0, 0, 2, 40)])  # fmt: skip
    two = shapely.MultiPolygon([shapely.box(0, 0, 50, 50), shapely.box(90, 0, 140, 50)])
    bow = shapely.Polygon([(0, 0), (90, 90), (90, 0), (0, 90)])
    shapes = [disk, comb, two, shapely.box(0, 0, 3, 3), bow, shapely.Polygon()]
    frame = gpd.GeoDataFrame({"n": range(6)}, geometry=shapes, crs=UTM)
    options = QualityOptions(min_area=10, max_irregularity=1.6, min_compactness=0.2)
    found = checked(frame, options)
    assert list(found["flags"]) == ["", "irregular thin", "parts", "small", "invalid", "empty"]
    assert found.loc[0, "compactness"] == pytest.approx(1, abs=1e-3)
    assert found.loc[3, "compactness"] == pytest.approx(np.pi / 4)
    assert found.loc[2, "parts"] == 2
    assert summary(found)["small"] == 1
    assert found.geometry.geom_equals_exact(frame.geometry, 0).all()
    assert list(checked(found, options)["flags"]) == list(found["flags"])
    with pytest.raises(GeoreferenceError, match="min_area is a limit"):
        QualityOptions(min_area=-1)


def test_measures_are_true_on_the_ellipsoid() -> None:
    utm = gpd.GeoSeries([shapely.Point(500_000, 6_500_000).buffer(500)], crs=UTM)
    lonlat = utm.to_crs("EPSG:4326")
    found = checked(gpd.GeoDataFrame(geometry=lonlat))
    assert found.loc[0, "compactness"] == pytest.approx(0.997, abs=0.005)
    assert irregularity(lonlat.to_numpy(), lonlat.crs)[0] == pytest.approx(1, abs=1e-9)


def test_check_from_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text(json.dumps(FARM.to_dict()))
    frame = gpd.GeoDataFrame(
        {"label": ["field", "field"], "crop": ["wheat", None], "rows": ["3", None]},
        geometry=[shapely.box(0, 0, 50, 50), shapely.box(60, 0, 61, 1)], crs=UTM,
    )  # fmt: skip
    frame.to_file(tmp_path / "in.gpkg")
    arguments = ["check", str(tmp_path / "in.gpkg"), str(tmp_path / "out.gpkg"), "--min-area", "9",
                 "--schema", str(tmp_path / "schema.json"), "--json"]  # fmt: skip
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert json.loads(done.stdout)["flags"] == {"small": 1, "missing:crop": 1}
    back = pyogrio.read_dataframe(tmp_path / "out.gpkg", layer="features")
    assert list(back["flags"].fillna("")) == ["", "small missing:crop"]
    info = pyogrio.read_info(tmp_path / "out.gpkg", layer="features")
    assert dict(zip(info["fields"], info["ogr_types"], strict=True))["rows"] == "OFTInteger64"


def two_fields(disk: Disk) -> geoiseg.Session:
    session = geoiseg.Session(disk.path, "grabcut")
    left = shapely.box(500_010, 4_499_700, 500_050, 4_499_760)
    right = shapely.box(500_048, 4_499_700, 500_090, 4_499_760)
    frame = gpd.GeoDataFrame({"label": ["a", "b"]}, geometry=[left, right], crs=UTM)
    session.add_features(frame)
    return session


def test_cleaning_is_one_step_to_undo(disk: Disk) -> None:
    session = two_fields(disk)
    before = session.features
    report = session.clean_features(CleanOptions(gap=1))
    assert report.overlaps.count == 1
    assert report.overlaps.area == pytest.approx(120)
    assert shapely.coverage_is_valid(session.features.geometry.to_numpy())
    assert session.features["area_m2"].sum() == pytest.approx(80 * 60)
    assert session.undo()
    assert session.features.geometry.geom_equals_exact(before.geometry, 0).all()
    assert session.redo()
    assert shapely.coverage_is_valid(session.features.geometry.to_numpy())
    with pytest.raises(SessionError, match="nothing to clean"):
        geoiseg.Session(disk.path, "grabcut").clean_features()


def test_what_loses_all_ground_is_deleted_and_comes_back(disk: Disk) -> None:
    session = two_fields(disk)
    inner = shapely.box(500_020, 4_499_710, 500_030, 4_499_720)
    session.add_features(gpd.GeoDataFrame(geometry=[inner], crs=UTM))
    assert session.clean_features().lost == (3,)
    assert [one.id for one in session.accepted] == [1, 2]
    session.undo()
    assert [one.id for one in session.accepted] == [1, 2, 3]


def test_a_new_feature_snaps_to_its_neighbours(disk: Disk, tmp_path: Path) -> None:
    plain = geoiseg.Session(disk.path, "grabcut")
    plain.add_point(*disk.centre)
    whole = plain.geometry
    east = whole.bounds[2]
    x, y = disk.centre
    session = geoiseg.Session(disk.path, "grabcut", project=tmp_path / "a.gpkg")
    session.snap = 12
    beside = shapely.box(x + 30, y - 200, east + 50, y + 200)
    session.add_features(gpd.GeoDataFrame(geometry=[beside], crs=UTM))
    session.add_point(*disk.centre)
    session.accept("disk")
    shapes = session.features.geometry.to_numpy()
    assert shapely.coverage_is_valid(shapes)
    assert shapely.intersection(*shapes).length > 50
    assert shapes[0].equals(beside)
    assert session.fitted.cut > 100
    assert shapes[1].area < whole.area
    session.undo()
    assert session.geometry.equals(whole)
    assert session.accepted[0].geometry.equals_exact(beside)
    assert geoiseg.Session.load(tmp_path / "a.gpkg").snap == 12
    with pytest.raises(SessionError, match="snap is a length"):
        session.snap = -1


def test_what_has_no_ground_left_is_not_accepted(disk: Disk) -> None:
    session = geoiseg.Session(disk.path, "grabcut")
    session.snap = 1
    everything = shapely.box(*session.raster.grid.bounds)
    session.add_features(gpd.GeoDataFrame(geometry=[everything], crs=UTM))
    session.add_point(*disk.centre)
    with pytest.raises(SessionError, match="have all of this ground"):
        session.accept()
    assert session.geometry is not None


def test_segment_with_a_schema_and_a_qgis_project(disk: Disk, tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text(json.dumps(FARM.to_dict()))
    places = [shapely.Point(*disk.centre), shapely.Point(*disk.outside)]
    prompts = gpd.GeoDataFrame(
        {"label": ["field", "field"], "crop": ["wheat", None], "rows": ["4", "5"]},
        geometry=places, crs=UTM,
    )  # fmt: skip
    prompts.to_file(tmp_path / "prompts.gpkg")
    arguments = ["segment", disk.path, tmp_path / "prompts.gpkg", tmp_path / "out.gpkg", "-m",
                 "grabcut", "--schema", tmp_path / "schema.json", "--qgis", tmp_path / "all.qgs",
                 "--snap", "4"]  # fmt: skip
    done = CliRunner().invoke(cli, [str(one) for one in arguments])
    assert done.exit_code == 1  # one of two
    assert "class 'field' needs a value for 'crop'" in done.stderr
    back = pyogrio.read_dataframe(tmp_path / "out.gpkg", layer="features")
    assert list(back["rows"]) == [4]
    assert list(back["irrigated"]) == [False]
    assert "./out.gpkg|layername=features" in (tmp_path / "all.qgs").read_text()


def test_qgis_project_from_the_command_line(disk: Disk, tmp_path: Path) -> None:
    frame = gpd.GeoDataFrame({"label": ["a"]}, geometry=[shapely.box(0, 0, 5, 5)], crs=UTM)
    frame.to_file(tmp_path / "in.gpkg", layer="mine")
    out = str(tmp_path / "p.qgs")
    said = CliRunner().invoke(cli, ["qgis-project", out, str(tmp_path / "in.gpkg"), "--raster",
                                    str(disk.path)], catch_exceptions=False)  # fmt: skip
    assert said.stdout.endswith("opens 2 layers\n")
    text = Path(out).read_text()
    assert "./in.gpkg|layername=mine" in text
    assert "EPSG:32631" in text
    for wrong, match in (
        (["qgis-project", str(tmp_path / "p.txt")], "ends in .qgz or .qgs"),
        (["qgis-project", out], "needs a raster or a layer"),
        (["qgis-project", out, str(tmp_path / "none.gpkg")], "can not be shown"),
    ):
        refused = CliRunner().invoke(cli, wrong)
        assert match in str(refused.exception)
