"""Every column of the user's goes through every format: same value, type and order, or it is said.

What is in a file is read by those who made its format: SQLite, a JSON parser, pyarrow, GDAL.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet
import pyogrio
import pytest
import shapely

import geoiseg
from geoiseg.files import export_features, read_frame, read_layer
from geoiseg.files.vectors import geopackage, ogr
from tests.cli.test_cli import run
from tests.conftest import write_raster

FORMATS = ("gpkg", "geojson", "fgb", "parquet", "shp")
EAST = timezone(timedelta(hours=5, minutes=30))
BIG = 1234567890123456789
COLUMNS: dict[str, Any] = {
    "big": pd.array([BIG, None, -7], "Int64"),
    "whole": pd.array([1, None, 3], "Int32"),
    "small": pd.array([1, None, -3], "Int16"),
    "full": np.array([BIG, 2, 3], "int64"),
    "real": np.array([0.1, np.nan, -1.5e300]),
    "tiny": np.array([1e-14 / 3, np.nan, 1.0]),
    "half": np.array([0.5, np.nan, -1.5], "float32"),
    "truth": pd.array([True, None, False], "boolean"),
    "all_true": np.array([True, True, False]),
    "text": ["Łódź – 東京", None, ""],
    "digits": ["007", None, "1e5"],
    "day": [date(2024, 2, 29), None, date(1899, 12, 31)],
    "moment": [datetime(2024, 5, 1, 12, 30, 15, 250_000), None, datetime(1950, 1, 1)],
    "zoned": [datetime(2024, 5, 1, 12, tzinfo=EAST), None, datetime(2024, 11, 1, tzinfo=EAST)],
    "bytes": [b"\x00\xff", None, b"x"],
    "list": [["132794-18", "b"], None, []],
    "numbers": [[1, 2], None, [3]],
    "nested": [{"a": [1, {"b": None}]}, None, {"ü": True}],
    "decimal": [Decimal("1.10"), None, Decimal("-250.00")],
    "exact": [Decimal("0.1234567890123456789"), None, Decimal(3)],
    "clock": [time(12, 30), None, time(23, 59, 59)],
    "mixed": ["a", None, 1],
    "kind_of": pd.Categorical(["oak", None, "fir"]),
    "nothing": [None, None, None],
    "no_number": pd.array([None, None, None], "Int64"),
}
"""By what it is about: three values, of which one is missing."""
UTC_TIMES = [one and one.astimezone(UTC) for one in COLUMNS["zoned"]]
ISO = [one and one.isoformat() for one in COLUMNS["moment"]]
JSON = {name: [one if one is None else json.dumps(one, ensure_ascii=False) for one in COLUMNS[name]]
        for name in ("list", "numbers", "nested")}  # fmt: skip
HEX = ["00ff", None, "78"]
DECIMAL = {"decimal": [1.1, None, -250.0], "exact": ["0.1234567890123456789", None, "3"]}
CLOCK = ["12:30:00", None, "23:59:59"]
AS_TEXT = {**JSON, **DECIMAL, "clock": CLOCK, "mixed": ["a", None, "1"]}
"""What most formats have no type for, and what is written instead."""
TOLD: dict[str, dict[str, Any]] = {
    "gpkg": {**AS_TEXT, "zoned": UTC_TIMES},
    "geojson": {**{name: AS_TEXT[name] for name in ("decimal", "exact", "clock", "mixed")},
                "bytes": HEX},
    "fgb": {**AS_TEXT, "bytes": HEX,
            "day": [datetime(2024, 2, 29), None, datetime(1899, 12, 31)]},
    "parquet": {"nested": JSON["nested"], "mixed": AS_TEXT["mixed"]},
    "shp": {**AS_TEXT, "bytes": HEX, "big": [str(BIG), None, "-7"],
            "full": [str(BIG), "2", "3"], "moment": ISO,
            "zoned": [one and one.isoformat() for one in COLUMNS["zoned"]],
            "real": ["0.1", None, "-1.5e+300"], "tiny": COLUMNS["tiny"]},
}  # fmt: skip
"""What is written by format, where it is not what was given: one line says each."""
SQL = {"big": "INTEGER", "whole": "MEDIUMINT", "small": "SMALLINT", "full": "INTEGER",
       "real": "REAL", "tiny": "REAL", "half": "FLOAT", "truth": "BOOLEAN", "all_true": "BOOLEAN", "text": "TEXT",
       "digits": "TEXT", "day": "DATE", "moment": "DATETIME", "zoned": "DATETIME",
       "bytes": "BLOB", "list": "TEXT", "decimal": "REAL", "exact": "TEXT", "clock": "TEXT",
       "kind_of": "TEXT", "nothing": "TEXT", "no_number": "INTEGER"}  # fmt: skip


def table(columns: dict[str, Any], crs: str = "EPSG:4326") -> gpd.GeoDataFrame:
    shapes = [shapely.box(2 + n / 100, 48, 2.005 + n / 100, 48.005) for n in range(3)]
    rows = {"row": [0, 1, 2], **columns}
    return gpd.GeoDataFrame(rows, geometry=shapes, crs=crs)


def plain(value: Any) -> Any:
    """Return a value as Python has it, times without a zone as they are."""
    if isinstance(value, np.ndarray):
        return [plain(one) for one in value]
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, float) and np.isnan(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    return value.item() if isinstance(value, np.generic) else value


def stored(path: Path, layer: str = "features") -> dict[str, list[Any]]:
    """Return the columns of a file, in order, in the order of the rows that were given."""
    kind = path.suffix[1:]
    if kind == "gpkg":
        found = from_sqlite(path, layer)
    elif kind == "geojson":
        rows = [one["properties"] for one in json.loads(path.read_text())["features"]]
        found = {name: [row[name] for row in rows] for name in rows[0]}
    elif kind == "parquet":
        whole = pyarrow.parquet.read_table(path)
        geo = json.loads(whole.schema.metadata[b"geo"])
        place, about = geo["primary_column"], next(iter(geo["columns"].values()))
        box = "bbox" if "covering" in about else None
        left = [name for name in whole.column_names if name not in (place, box)]
        found = {name: [plain(one) for one in whole[name].to_pylist()] for name in left}
    else:
        meta, rows = pyogrio.read_arrow(path, read_geometry=False, datetime_as_string=True)
        found = {name: [plain(one) for one in rows[name].to_pylist()] for name in meta["fields"]}
    order = np.argsort(found["row"]) if "row" in found else range(len(next(iter(found.values()))))
    return {name: [values[n] for n in order] for name, values in found.items()}


def from_sqlite(path: Path, layer: str) -> dict[str, list[Any]]:
    with closing(sqlite3.connect(path)) as base:
        shape = base.execute("SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?",
                             (layer,)).fetchone()[0]  # fmt: skip
        about = base.execute(f'PRAGMA table_info("{layer}")').fetchall()
        kinds = {name: kind for _, name, kind, _, _, key in about if name != shape and not key}
        found = {}
        for name, kind in kinds.items():
            values = [one for (one,) in base.execute(f'SELECT "{name}" FROM "{layer}"')]
            found[name] = [
                one if one is None else READ.get(kind, lambda v: v)(one) for one in values
            ]
        return found


READ: dict[str, Any] = {
    "BOOLEAN": bool,
    "DATE": date.fromisoformat,
    "DATETIME": datetime.fromisoformat,
}


def given(name: str, kind: str) -> list[Any]:
    """Return what a column is to hold in a file."""
    values = TOLD[kind].get(name, COLUMNS[name])
    found = (
        [plain(one) for one in pd.Series(values)]
        if name in ("half", "tiny", "real")
        else list(map(plain, values))
    )
    if kind == "geojson":
        return [one.isoformat() if isinstance(one, (date, datetime)) else one for one in found]
    if kind == "shp" and name == "tiny":
        return [3e-15, None, 1.0]
    if kind == "shp":
        return [one or None if isinstance(one, str) else one for one in found]
    return found


def moments(values: list[Any]) -> list[Any]:
    """Return texts of times as times, whatever they leave out of zeros."""
    found = []
    for one in values:
        try:
            found.append(datetime.fromisoformat(one.replace("/", "-")) if len(one) > 9 else one)
        except (ValueError, AttributeError, TypeError):
            found.append(one)
    return found


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", COLUMNS)
def test_values_in_every_format(tmp_path: Path, caplog, name: str, kind: str) -> None:
    path = tmp_path / f"o.{kind}"
    export_features(table({name: COLUMNS[name]}), path, style=False)
    found = stored(path)
    assert list(found) == ["row", name]
    assert moments(found[name]) == moments(given(name, kind))
    told = [one.getMessage() for one in caplog.records]
    assert len(told) == (name in TOLD[kind])
    assert all(text.startswith(f"o.{kind}: {name} ") for text in told)


@pytest.mark.parametrize("name", COLUMNS)
def test_both_writers_of_a_geopackage_agree(tmp_path: Path, monkeypatch, name: str) -> None:
    frame = table({name: COLUMNS[name]})
    export_features(frame, tmp_path / "a.gpkg", style=False)
    monkeypatch.setattr("geoiseg.files.vectors._gdal", lambda: None)
    export_features(frame, tmp_path / "b.gpkg", style=False)
    assert from_sqlite(tmp_path / "a.gpkg", "features") == from_sqlite(
        tmp_path / "b.gpkg", "features"
    )
    kinds = []
    for file in ("a.gpkg", "b.gpkg"):
        with closing(sqlite3.connect(tmp_path / file)) as base:
            about = base.execute("PRAGMA table_info(features)").fetchall()
            kinds.append({column: kind for _, column, kind, *_ in about}[name])
    assert kinds[0].partition("(")[0] == kinds[1] == SQL.get(name, "TEXT")


@pytest.mark.parametrize("name", COLUMNS)
def test_both_readers_of_a_geopackage_agree(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.gpkg"
    export_features(table({name: COLUMNS[name]}), path, style=False)
    one, other = ogr.read_frame(path, "features", None), geopackage.read_frame(path, "features")
    assert [plain(v) for v in one[name]] == [plain(v) for v in other[name]]
    assert one[name].dtype.kind == other[name].dtype.kind


@pytest.mark.parametrize("kind", ["gpkg", "geojson", "fgb", "parquet"])
def test_what_is_read_is_written_again(tmp_path: Path, kind: str) -> None:
    """From file to file nothing changes any more: what had to was changed the first time."""
    first, second = tmp_path / f"a.{kind}", tmp_path / f"b.{kind}"
    columns = {name: values for name, values in COLUMNS.items() if name != "nothing"}
    export_features(table(columns), first, style=False)
    export_features(read_layer(first), second, style=False)
    one, other = stored(first), stored(second)
    assert list(one) == list(other)
    for name in one:
        assert moments(one[name]) == moments(other[name]), name


NAMES = ["Id", "ID", "id", "iD", "Name", "name", "NAME", "fid", "FID", "fid_1", "ogc_fid", "rowid",
         "geom", "Geom", "geometry", "geometry_1", "the_geom", "wkb_geometry", "shape", "step",
         "gsd", "kind", "definition", "object", "label", "Label", "positive", "score", "model",
         "weights", "source", "created", "updated", "boxes", "scribbles", "words", "pieces",
         "flags", "parts", "irregularity", "bbox", "type", "coordinates", "properties", "features",
         "length_m", "dates", "transect", "self", "class", "select", "order", "group", "index",
         "a b", "ä", "1st", "a-b", "x" * 70, "value.x", "%s", "{}", "'", "NULL"]  # fmt: skip
"""Names that we, a format, SQL, Python or pandas use, and strange ones."""
OURS = {"compactness", "irregularity", "parts", "flags"}


def named_table(names: list[str]) -> gpd.GeoDataFrame:
    """Return a table whose columns hold their own names."""
    columns = pd.DataFrame({name: [f"{name}:{row}" for row in range(3)] for name in names})
    shapes = table({}).geometry.rename("a place of our own")
    return gpd.GeoDataFrame(
        pd.concat([columns, shapes], axis=1), geometry=shapes.name, crs="EPSG:4326"
    )


def written_by_geojson(names: list[str], path: Path) -> Path:
    """Write a file as others do, with properties of these names."""
    frame = named_table(names)
    rows = [
        {"type": "Feature", "properties": {name: frame[name][n] for name in names},
         "geometry": json.loads(shapely.to_geojson(frame.geometry[n]))} for n in range(3)
    ]  # fmt: skip
    path.write_text(json.dumps({"type": "FeatureCollection", "features": rows}))
    return path


def assert_all_there(found: dict[str, list[Any]], names: list[str], rows: int = 3) -> None:
    """Make sure that every name's values are in a column, in the order of the names."""
    place = {min(map(str, values)): name for name, values in found.items()}  # of any order
    for name in names:
        assert f"{name}:0" in place, name
        values = sorted(found[place[f"{name}:0"]])
        assert values == [f"{name}:{row}" for row in range(rows)], name
    order = [list(found).index(place[f"{name}:0"]) for name in names]
    assert order == sorted(order)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("command", ["clean", "check"])
def test_names_through_commands(capsys, tmp_path: Path, command: str, kind: str) -> None:
    source = written_by_geojson(NAMES, tmp_path / "a.geojson")
    out = tmp_path / f"o.{kind}"
    code, _, err = run(capsys, command, source, out)
    assert code == 0, err
    found = stored(out)
    assert_all_there(found, NAMES)
    same = [name for name in NAMES if f"{name}:0" in found.get(name, ())]
    if kind in ("geojson", "fgb", "parquet"):
        assert set(NAMES) - set(same) <= (OURS if command == "check" else set())
    if kind == "gpkg":  # the first of each that differs by more than case
        first = {name.lower(): name for name in reversed(NAMES)}
        kept = set(first.values()) - (OURS if command == "check" else set())
        assert kept <= set(same)


@pytest.mark.parametrize("by_gdal", [True, False])
def test_names_by_both_writers(tmp_path: Path, monkeypatch, caplog, by_gdal: bool) -> None:
    if not by_gdal:
        monkeypatch.setattr("geoiseg.files.vectors._gdal", lambda: None)
    path = tmp_path / "o.gpkg"
    export_features(named_table(NAMES), path, style=False)
    assert_all_there(from_sqlite(path, "features"), NAMES)
    assert sum("is written as" in one.getMessage() for one in caplog.records) == 1
    back = read_frame(path, "features")
    assert_all_there({name: list(back[name]) for name in back if name != back.geometry.name}, NAMES)


@pytest.mark.parametrize("values", [(12, 5, 9), (7, 7, 7), ("a", "b", "c"), (None, 3, 1.5)])
@pytest.mark.parametrize("name", ["fid", "FID", "geom", "ogc_fid"])
def test_keys_of_the_users_are_no_keys_of_the_file(capsys, tmp_path: Path, name, values) -> None:
    frame = table({"crop": ["x", "y", "z"], name: list(values)})
    source, out = tmp_path / "a.geojson", tmp_path / "o.gpkg"
    export_features(frame, source, style=False)
    assert run(capsys, "clean", source, out)[0] == 0
    found = stored(out)
    assert found["crop"] == ["x", "y", "z"]
    assert found[name] == list(values)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bright field and what is around it, in metres."""
    pixels = np.full((3, 128, 128), 60, np.uint8)
    pixels[:, 40:90, 30:100] = 180
    pixels += np.random.default_rng(0).integers(0, 8, pixels.shape, dtype=np.uint8)
    path = tmp_path_factory.mktemp("scene") / "e.tif"
    return write_raster(path, pixels, crs="EPSG:32631")


def clicks(scene: Path, columns: dict[str, Any]) -> gpd.GeoDataFrame:
    """Return three clicks on the field, with columns."""
    grid = geoiseg.open_raster(scene).grid
    xy = grid.to_crs([(50.0, 60.0), (65.0, 65.0), (80.0, 70.0)])
    return gpd.GeoDataFrame(
        {"row": [0, 1, 2], **columns}, geometry=shapely.points(xy), crs=grid.crs
    )


def through(command: str, scene: Path, source: Path, out: Path) -> list[str]:
    if command == "segment":
        return ["segment", scene, source, out]
    return ["map", scene, out, "--prompts", source]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("command", ["segment", "map"])
def test_names_of_prompts(capsys, scene: Path, tmp_path: Path, command: str, kind: str) -> None:
    names = [name for name in NAMES if name not in ("object", "label")]
    values = {name: [f"{name}:{row}" for row in range(3)] for name in names if name != "geometry"}
    frame = clicks(scene, values).rename_geometry("place")
    frame["geometry"] = [f"geometry:{row}" for row in range(3)]
    source = tmp_path / "p.gpkg"
    export_features(frame, source, style=False)
    out = tmp_path / f"o.{kind}"
    code, _, err = run(capsys, *through(command, scene, source, out))
    assert code == 0, err
    found = stored(out)
    place = {str(values[0]): values for values in found.values()}
    for name in names:
        assert place.get(f"{name}:0") == [f"{name}:{row}" for row in range(3)], name
    if kind != "shp":
        assert [name for name in found if name in names]
    for name in (
        ()
        if kind == "shp"
        else ("fid", "geom", "kind", "step", "positive", "definition", "flags", "bbox")
    ):
        assert found[name] == [f"{name}:{row}" for row in range(3)]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("command", ["segment", "map"])
def test_values_of_prompts(capsys, scene: Path, tmp_path: Path, command: str, kind: str) -> None:
    """Through an object's attributes a column comes out as an export writes it at once."""
    frame = clicks(scene, COLUMNS)
    source, out, wanted = (tmp_path / name for name in ("p.gpkg", f"o.{kind}", f"w.{kind}"))
    export_features(frame, source, style=False)
    code, _, err = run(capsys, *through(command, scene, source, out))
    assert code == 0, err
    as_read = read_frame(source, "features").to_crs("EPSG:4326")
    export_features(as_read, wanted, style=False)
    found, expected = stored(out), stored(wanted)
    assert [name for name in found if name in expected] == list(expected)
    for name in expected:
        assert moments(found[name]) == moments(expected[name]), name
    if kind == "gpkg":
        assert sql_types(out) == {**sql_types(wanted)} | {
            name: kind for name, kind in sql_types(out).items() if name not in expected
        }


def sql_types(path: Path) -> dict[str, str]:
    with closing(sqlite3.connect(path)) as base:
        about = base.execute("PRAGMA table_info(features)").fetchall()
    return {name: kind for _, name, kind, *_ in about}


def test_values_through_a_project(scene: Path, tmp_path: Path) -> None:
    """Attributes, uploads and a saved project: what comes back is what was given."""
    session = geoiseg.Session(scene, "grabcut", project=tmp_path / "p.gpkg")
    session.add_point(*clicks(scene, {}).geometry[1].coords[0])
    attributes = {name: values[0] for name, values in COLUMNS.items() if name not in ("row",)}
    attributes |= {"fid": 33, "ID": 3, "Id": "x", "geom": "g", "Name": 1, "name": 2}
    session.accept("field", **attributes)
    back = geoiseg.Session.load(tmp_path / "p.gpkg")
    for one in (session, back):
        frame = one.features
        for name, value in attributes.items():
            assert plain(frame[name][0]) == plain(value), name
        assert [name for name in frame if name in attributes] == list(attributes)
    for kind in FORMATS:
        session.export(tmp_path / f"a.{kind}")
        back.export(tmp_path / f"b.{kind}")
        assert stored(tmp_path / f"a.{kind}") == stored(tmp_path / f"b.{kind}")


def test_rows_of_a_layer_become_features(scene: Path, tmp_path: Path) -> None:
    session = geoiseg.Session(scene, "grabcut", project=tmp_path / "p.gpkg")
    shapes = clicks(scene, COLUMNS).geometry.buffer(30)
    session.add_features(gpd.GeoDataFrame({"row": [0, 1, 2], **COLUMNS}, geometry=shapes))
    for one in (session, geoiseg.Session.load(tmp_path / "p.gpkg")):
        assert [name for name in one.features if name in COLUMNS] == list(COLUMNS)
        for name, values in COLUMNS.items():
            if name != "mixed":
                assert [plain(v) for v in one.features[name]] == [
                    plain(v) for v in pd.Series(values)
                ], name
        assert one.features["no_number"].dtype == "Int64"


def test_lines_keep_their_columns(capsys, tmp_path: Path) -> None:
    frame = table(COLUMNS, "EPSG:4326")
    frame["geometry"] = frame.geometry.boundary
    source, out, wanted = tmp_path / "a.gpkg", tmp_path / "o.gpkg", tmp_path / "w.gpkg"
    export_features(frame, source, style=False)
    code, _, err = run(capsys, "shoreline", source, out)
    assert (code, err) == (0, "")
    export_features(read_layer(source), wanted, style=False)
    found, expected = stored(out), stored(wanted)
    assert {name: found[name] for name in expected} == expected


def test_shores_keep_what_their_polygons_have_alike(capsys, caplog, tmp_path: Path) -> None:
    days = [date(2020, 1, 1), date(2020, 1, 1), date(2021, 1, 1)]
    columns = {
        "date": days,
        "sensor": ["S2", "S2", "L8"],
        "parcel": [1, 2, 3],
        "length_m": [5, 5, 6],
    }
    source, out = tmp_path / "a.gpkg", tmp_path / "o.gpkg"
    export_features(table(columns), source, style=False)
    assert run(capsys, "shoreline", source, out)[0] == 0
    assert "no column row, parcel" in caplog.text
    found = stored(out)
    assert found["date"] == days
    assert found["sensor"] == ["S2", "S2", "L8"]
    assert found["length_m_1"] == [5, 5, 6]


def test_a_column_of_our_name_is_no_column_of_ours(
    capsys, caplog, scene: Path, tmp_path: Path
) -> None:
    """Text where we would have signs, kinds, sizes and steps is the user's own."""
    frame = clicks(scene, {"kind": ["oak", "fir", None], "gsd": ["a", "b", "c"], "step": ["x", "y", "z"],
                           "positive": ["likely", "sure", None], "definition": ["{a", "{b", "c"],
                           "label": [5, 6, 7], "object": [1.5, 2.5, 3.5]})  # fmt: skip
    frame["geometry"] = frame.geometry.buffer(250)  # boxes
    source, out = tmp_path / "p.geojson", tmp_path / "o.gpkg"
    export_features(frame, source, style=False)
    code, _, err = run(capsys, "segment", scene, source, out)
    assert code == 0, err
    assert "step, kind, positive, gsd, definition: taken as columns of yours" in caplog.text
    found = stored(out)
    for name in ("kind", "step", "positive", "definition", "object"):
        assert found[name] == [plain(value) for value in frame[name]]
    assert found["gsd_1"] == list(frame["gsd"])
    assert found["label_1"] == [5, 6, 7]
    assert found["label"] == ["5", "6", "7"]
    assert len(caplog.records) == 2


def test_a_check_of_a_check_is_no_column_more(capsys, tmp_path: Path) -> None:
    export_features(table({"flags": ["a", "b", "c"]}), tmp_path / "a.gpkg", style=False)
    for source, out in (("a.gpkg", "b.gpkg"), ("b.gpkg", "c.gpkg")):
        assert run(capsys, "check", tmp_path / source, tmp_path / out)[0] == 0
    found = stored(tmp_path / "c.gpkg")
    assert found["flags_1"] == ["a", "b", "c"]
    assert list(found) == list(stored(tmp_path / "b.gpkg"))


def test_measures_of_somebody_elses_stay(capsys, tmp_path: Path) -> None:
    columns = {"area_m2": [5, 6, 7], "compactness": ["low", None, "high"]}
    export_features(table(columns), tmp_path / "a.gpkg", style=False)
    assert run(capsys, "clean", tmp_path / "a.gpkg", tmp_path / "b.gpkg")[0] == 0
    found = stored(tmp_path / "b.gpkg")
    assert {name: found[name] for name in columns} == columns


def test_whole_numbers_of_a_geoparquet_of_others(tmp_path: Path) -> None:
    """Without pandas' own notes in the file they came as real numbers."""
    path = tmp_path / "a.parquet"
    table({"big": COLUMNS["big"]}).to_parquet(path)
    whole = pyarrow.parquet.read_table(path)
    notes = {b"geo": whole.schema.metadata[b"geo"]}
    pyarrow.parquet.write_table(whole.replace_schema_metadata(notes), path)
    assert [plain(v) for v in read_layer(path)["big"]] == [BIG, None, -7]


def test_two_geometries_and_two_columns_of_one_name(tmp_path: Path, caplog) -> None:
    frame = table({"crop": ["a", "b", "c"]})
    frame["middle"] = gpd.points_from_xy([2.001, 2.011, 2.021], [48] * 3, crs=4326)
    frame.insert(1, "crop", [1, 2, 3], allow_duplicates=True)
    export_features(frame, tmp_path / "a.gpkg", style=False)
    found = stored(tmp_path / "a.gpkg")
    assert found["crop"] == [1, 2, 3]
    assert found["crop_1"] == ["a", "b", "c"]
    assert [text[:11] for text in found["middle"]] == ["POINT (2.00", "POINT (2.01", "POINT (2.02"]
    assert [one.levelno for one in caplog.records] == [logging.WARNING]
