"""GeoPackages by SQLite alone: the same rows as through GDAL, whoever writes and whoever reads."""

from __future__ import annotations

import shutil
import sqlite3
import struct
import subprocess
import sys
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pyproj
import pytest
import shapely
from geopandas.testing import assert_geodataframe_equal
from hypothesis import given, settings
from hypothesis import strategies as st

from geoiseg.companion import jobs
from geoiseg.companion.fields import Fields
from geoiseg.companion.shorelines import shoreline
from geoiseg.errors import VectorError
from geoiseg.files.vectors import geopackage, geopackage_writer, ogr
from geoiseg.segment import Watch
from tests.conftest import Disk

UTM = "EPSG:32631"
OWN = "+proj=laea +lat_0=50.5 +lon_0=11 +x_0=4321000 +y_0=3210000 +ellps=GRS80 +units=m"
NO_ID = pyproj.CRS(UTM).to_wkt("WKT1_GDAL").replace(',AUTHORITY["EPSG","32631"]]', "]")


def times(*texts: str | None) -> pd.Series:
    return pd.Series(pd.to_datetime(list(texts), format="ISO8601"))


def every_type() -> gpd.GeoDataFrame:
    """Return a table with a column of every type, values missing where there may be some."""
    columns: dict[str, Any] = {
        "whole": [2**40, -1, 0],
        "i32": np.array([1, -(2**31), 3], np.int32),
        "i16": np.array([1, 2, -3], np.int16),
        "i8": np.array([1, 2, -3], np.int8),
        "u8": np.array([1, 255, 3], np.uint8),
        "u16": np.array([1, 65535, 3], np.uint16),
        "u32": np.array([1, 2**32 - 1, 3], np.uint32),
        "some": pd.array([3, None, -4], "Int64"),
        "real": [1.5, np.nan, -1e300],
        "f32": np.array([0.1, np.nan, 3], np.float32),
        "truth": [True, False, True],
        "maybe": pd.array([True, None, False], "boolean"),
        "größe – 麦": ["żyto", None, "a \"b\" 'c'\n; --"],
        'q"uote': ["", " ", "x"],
        "none": [None, None, None],
        "naive": times("2020-01-02", None, "2021-01-01T03:04:05.678"),
        "utc": times("2020-01-02", None, "2021-01-01T03:04:05.678").dt.tz_localize("UTC"),
        "berlin": times("2020-01-02", None, "2021-01-01").dt.tz_localize("Europe/Berlin"),
    }
    shapes = [shapely.box(0, 0, 1, 1), None, shapely.box(5, 5, 9, 9)]
    return gpd.GeoDataFrame(columns, geometry=shapes, crs=UTM)


WRITERS = {"gdal": ogr, "sqlite": geopackage_writer}


def write(frame: pd.DataFrame, path: Path, by: str, layer: str = "features", **how: Any) -> int:
    if by == "gdal":
        return ogr.write_frames([frame], path, "GPKG", layer, **how)
    return geopackage_writer.write_frames([frame], path, layer, **how)


def both(path: Path, layer: str | None = None) -> tuple[Any, Any]:
    """Return what GDAL reads, and what SQLite does."""
    return ogr.read_frame(path, layer, None), geopackage.read_frame(path, layer)


def same(one: Any, other: Any) -> None:
    if isinstance(one, gpd.GeoDataFrame):
        assert_geodataframe_equal(one, other, check_less_precise=False)
        assert [shape is None for shape in one.geometry] == [s is None for s in other.geometry]
    else:
        pd.testing.assert_frame_equal(one, other)


@pytest.mark.parametrize("by", list(WRITERS))
def test_every_type_is_read_alike(tmp_path: Path, by: str) -> None:
    path = tmp_path / "a.gpkg"
    assert write(every_type(), path, by) == 3
    found, mine = both(path)
    same(found, mine)
    assert mine["größe – 麦"].tolist()[::2] == ["żyto", "a \"b\" 'c'\n; --"]
    assert mine["whole"].tolist() == [2**40, -1, 0]
    told, known = ogr.layer_info(path, "features"), geopackage.layer_info(path, "features")
    assert told == known


def test_both_write_the_same_values(tmp_path: Path) -> None:
    rows, types = [], []
    for by in WRITERS:
        write(every_type(), tmp_path / f"{by}.gpkg", by)
        with closing(sqlite3.connect(tmp_path / f"{by}.gpkg")) as base:
            rows.append(base.execute("SELECT * FROM features").fetchall())
            types.append([row[1:3] for row in base.execute("PRAGMA table_info(features)")])
            box = base.execute("SELECT min_x, min_y, max_x, max_y, srs_id FROM gpkg_contents")
            assert box.fetchall() == [(0, 0, 9, 9, 32631)]
            assert base.execute("PRAGMA application_id").fetchone() == (0x47504B47,)
            assert base.execute("PRAGMA user_version").fetchone() == (10300,)
            assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert types[0] == [*types[1]]
    assert rows[0] == rows[1]


SHAPES = {
    "points": ["POINT (1 2)", "POINT EMPTY"],
    "points z": ["POINT Z (1 2 3)", "POINT Z (0 0 0)"],
    "lines": ["LINESTRING (0 0, 1 1)", "LINESTRING EMPTY"],
    "both lines": ["LINESTRING (0 0, 1 1)", "MULTILINESTRING ((0 0, 1 1), (3 3, 4 4))"],
    "polygons": ["POLYGON ((0 0, 9 0, 9 9, 0 0), (5 2, 6 2, 6 3, 5 2))", "POLYGON EMPTY"],
    "both polygons": ["POLYGON ((0 0, 1 0, 1 1, 0 0))",
                      "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)), ((5 5, 6 5, 6 6, 5 5)))"],
    "polygons z": ["POLYGON Z ((0 0 1, 1 0 1, 1 1 1, 0 0 1))", "POLYGON Z ((0 0 1, 1 0 1, 1 1 1, 0 0 1))"],
    "multipoints": ["MULTIPOINT (0 0, 1 1)", "MULTIPOINT EMPTY"],
    "collections": ["GEOMETRYCOLLECTION (POINT (0 0))", "GEOMETRYCOLLECTION EMPTY"],
    "all kinds": ["POINT (1 2)", "POLYGON ((0 0, 1 0, 1 1, 0 0))"],
    "some z": ["POINT (1 2)", "POINT Z (0 0 0)"],
}  # fmt: skip


@pytest.mark.parametrize("multi", [None, True])
@pytest.mark.parametrize("kind", list(SHAPES))
def test_every_shape_is_read_alike(tmp_path: Path, kind: str, multi: bool | None) -> None:
    shapes = [*shapely.from_wkt(SHAPES[kind]), None]
    frame = gpd.GeoDataFrame({"n": range(3)}, geometry=shapes, crs="EPSG:4326")
    listed = []
    for by in WRITERS:
        path = tmp_path / f"{by}.gpkg"
        write(frame, path, by, promote_to_multi=multi)
        found, mine = both(path)
        same(found, mine)
        assert ogr.list_layers(path) == geopackage.list_layers(path)
        listed.append((found, ogr.list_layers(path)))
    same(listed[0][0], listed[1][0])
    assert listed[0][1] == listed[1][1]


@pytest.mark.parametrize("by", list(WRITERS))
@pytest.mark.parametrize(
    "crs",
    [None, UTM, "EPSG:4326", OWN, "OGC:CRS84", "ESRI:102008", NO_ID, "EPSG:4979", "EPSG:25832+5783"],
)  # fmt: skip
def test_every_crs_is_read_alike(tmp_path: Path, by: str, crs: Any) -> None:
    path = tmp_path / "a.gpkg"
    frame = gpd.GeoDataFrame({"n": [1]}, geometry=[shapely.Point(1, 2)], crs=crs)
    write(frame, path, by)
    write(frame, path, by, layer="again")
    found, mine = both(path)
    assert found.crs == mine.crs == frame.crs
    for said in (found, mine):
        assert (said.crs and said.crs.to_epsg()) == (frame.crs and frame.crs.to_epsg())
    with closing(sqlite3.connect(path)) as base:
        numbers = {row[0] for row in base.execute("SELECT srs_id FROM gpkg_geometry_columns")}
    assert len(numbers) == 1


def test_a_crs_that_is_undefined_is_none(tmp_path: Path) -> None:
    """A GIS gives layers without a CRS a number that stands for an undefined one."""
    path = tmp_path / "a.gpkg"
    frame = gpd.GeoDataFrame({"n": [1]}, geometry=[shapely.Point(1, 2)], crs="EPSG:4326")
    for number in (-1, 0):
        write(frame, path, "sqlite")
        with closing(sqlite3.connect(path)) as base, base:
            base.execute("UPDATE gpkg_contents SET srs_id = ?", (number,))
            base.execute("UPDATE gpkg_geometry_columns SET srs_id = ?", (number,))
        found, mine = both(path)
        assert found.crs is None
        assert mine.crs is None


@pytest.mark.parametrize("by", list(WRITERS))
def test_tables_empty_layers_and_dates(tmp_path: Path, by: str) -> None:
    path = tmp_path / "a.gpkg"
    dated = gpd.GeoDataFrame(
        {"sown": pd.Series([date(2021, 4, 5), None], dtype=object)},
        geometry=[shapely.Point(0, 0), shapely.Point(1, 1)], crs=UTM,
    )  # fmt: skip
    write(dated, path, by, "dated")
    empty = gpd.GeoDataFrame({"id": np.array([], "int64"), "t": np.array([], object)},
                             geometry=[], crs=UTM)  # fmt: skip
    write(empty, path, by, "empty", geometry_type="MultiPolygon", promote_to_multi=True)
    write(pd.DataFrame({"key": ["ä"], "value": [2.5]}), path, by, "plain")
    for layer in ("dated", "empty", "plain"):
        same(*both(path, layer))
        assert ogr.layer_info(path, layer) == geopackage.layer_info(path, layer)
    assert geopackage.layer_info(path, "dated").fields == {"sown": "datetime64[D]"}
    assert geopackage.list_layers(path) == ogr.list_layers(path)
    assert dict(geopackage.list_layers(path)) == {
        "dated": "Point", "empty": "MultiPolygon", "plain": None,
    }  # fmt: skip


def test_batches_are_one_layer(tmp_path: Path) -> None:
    parts = [every_type(), every_type(), every_type()[:1]]
    how = {"geometry_type": "MultiPolygon", "promote_to_multi": True}
    made = {by: tmp_path / f"{by}.gpkg" for by in WRITERS}
    assert ogr.write_frames(iter(parts), made["gdal"], "GPKG", "f", **how) == 7
    assert geopackage_writer.write_frames(iter(parts), made["sqlite"], "f", **how) == 7
    same(*(ogr.read_frame(path, "f", None) for path in made.values()))
    same(*both(made["sqlite"], "f"))


@pytest.mark.parametrize("by", list(WRITERS))
def test_a_layer_is_replaced_and_others_stay(tmp_path: Path, by: str) -> None:
    path = tmp_path / "a.gpkg"
    other = "sqlite" if by == "gdal" else "gdal"
    write(every_type(), path, other, "kept")
    write(every_type(), path, other, "changed")
    smaller = every_type()[["whole", "geometry"]].iloc[:1]
    write(smaller, path, by, "changed")
    same(*both(path, "kept"))
    same(*both(path, "changed"))
    assert len(geopackage.read_frame(path, "kept")) == 3
    assert len(geopackage.read_frame(path, "changed")) == 1
    with closing(sqlite3.connect(path)) as base:
        assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        trees = base.execute("SELECT count(*) FROM sqlite_master WHERE sql LIKE '%USING rtree%'")
        assert trees.fetchone() == (2,)


def test_gdal_searches_and_edits_what_sqlite_wrote(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    grid = [shapely.box(x, y, x + 1, y + 1) for x in range(50) for y in range(50)]
    frame = gpd.GeoDataFrame({"n": range(2500)}, geometry=grid, crs=UTM)
    write(frame, path, "sqlite")
    box = (10.2, 10.2, 12.8, 11.8)
    found = pyogrio.read_dataframe(path, bbox=box)
    assert sorted(found["n"]) == [
        n for n, one in enumerate(grid) if one.intersects(shapely.box(*box))
    ]
    far = gpd.GeoDataFrame({"n": [9999]}, geometry=[shapely.box(500, 500, 501, 501)], crs=UTM)
    pyogrio.write_dataframe(far, path, layer="features", append=True)  # the triggers are GDAL's own
    assert pyogrio.read_dataframe(path, bbox=(499, 499, 502, 502))["n"].tolist() == [9999]
    with closing(sqlite3.connect(path)) as base:
        count = base.execute('SELECT count(*) FROM "rtree_features_geom"').fetchone()
    assert count == (2501,)
    same(*both(path))


def test_columns_of_the_file_s_own_names_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    frame = gpd.GeoDataFrame({"fid": [7, 7], "GEOM": ["a", "b"]},
                             geometry=[shapely.Point(0, 0)] * 2, crs=UTM)  # fmt: skip
    write(frame, path, "sqlite")
    found, mine = both(path)
    same(found, mine)
    assert mine["fid"].tolist() == [7, 7]
    assert mine["GEOM"].tolist() == ["a", "b"]


def test_some_columns_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    write(every_type(), path, "gdal")
    for columns in ([], ["whole"], ["truth", "whole"]):
        same(ogr.read_frame(path, None, columns), geopackage.read_frame(path, None, columns))


def test_types_of_somebody_else_s(tmp_path: Path) -> None:
    """Views, types that are none of a GeoPackage's, and values of another type than declared."""
    path = tmp_path / "a.gpkg"
    write(every_type()[["whole", "geometry"]], path, "gdal")
    with closing(sqlite3.connect(path)) as base, base:
        base.execute("CREATE TABLE odd (a VARCHAR(20), b BIGINT, c TEXT(5), d DOUBLE, e BLOB)")
        base.execute(
            "INSERT INTO odd VALUES ('x', 2, 'y', 1.5, x'0102'), (NULL, 3, 'z', NULL, NULL)"
        )
        base.execute("INSERT INTO gpkg_contents (table_name, data_type, identifier)"
                     " VALUES ('odd', 'attributes', 'odd')")  # fmt: skip
    mine = geopackage.read_frame(path, "odd")
    assert mine["a"].tolist()[0] == "x"
    assert mine["b"].tolist() == [2, 3]
    assert mine["d"].tolist()[0] == 1.5
    assert mine["e"].tolist() == [b"\x01\x02", None]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no database at all, but long enough to be one", "not a database"),
        (b"", "no GeoPackage"),
        (None, "does not exist"),
    ],
)
def test_what_is_no_geopackage_is_told(tmp_path: Path, content: Any, words: str) -> None:
    path = tmp_path / "a.gpkg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(VectorError, match=words):
        geopackage.read_frame(path)
    with pytest.raises(VectorError, match=words):
        geopackage.list_layers(path)


def test_arcs_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    write(pd.DataFrame({"n": [1]}), path, "sqlite")
    arc = struct.pack("<2sBBiBII6d", b"GP", 0, 1, 32631, 1, 8, 3, 0, 0, 1, 1, 2, 0)
    with closing(sqlite3.connect(path)) as base, base:
        base.execute("ALTER TABLE features ADD COLUMN geom CURVE")
        base.execute("UPDATE features SET geom = ?", (arc,))
        base.execute("UPDATE gpkg_contents SET data_type = 'features', srs_id = 4326")
        base.execute(
            "INSERT INTO gpkg_geometry_columns VALUES ('features', 'geom', 'CURVE', 4326, 0, 0)"
        )
    assert ogr.read_frame(path, None, None).geometry[0].length == pytest.approx(np.pi, rel=1e-3)
    with pytest.raises(VectorError, match=r"has arcs|can not be read"):
        geopackage.read_frame(path)


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    write(every_type(), path, "sqlite")
    with pytest.raises(VectorError, match=r"no layer 'other'; there is: features"):
        geopackage.read_frame(path, "other")
    with closing(sqlite3.connect(path)) as base, base:
        for name in ("update1", "update2", "update3", "update4"):
            base.execute(f"DROP TRIGGER rtree_features_geom_{name}")
        base.execute("UPDATE features SET geom = x'00010203' WHERE fid = 2")
    with pytest.raises(VectorError, match="not stored as a GeoPackage has it"):
        geopackage.read_frame(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(VectorError):
        geopackage.read_frame(path)


def test_what_can_not_be_written_leaves_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    write(every_type(), path, "sqlite")
    before = geopackage.read_frame(path)
    twice = gpd.GeoDataFrame({"a": [1], "A": [2]}, geometry=[None], crs=UTM)
    with pytest.raises(VectorError, match="duplicate column name"):
        write(twice, path, "sqlite")
    huge = gpd.GeoDataFrame({"a": np.array([2**64 - 1], np.uint64)}, geometry=[None], crs=UTM)
    with pytest.raises(VectorError, match="too large"):
        write(huge, path, "sqlite")
    same(before, geopackage.read_frame(path))


@pytest.mark.parametrize("name", ["gpkg_contents", "rtree_features_geom", "Pixels", "notes"])
def test_what_is_no_layer_is_not_replaced(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.gpkg"
    write(every_type(), path, "sqlite")
    with closing(sqlite3.connect(path)) as base, base:
        base.execute("CREATE TABLE notes AS SELECT 5 AS mine")
        base.execute("CREATE TABLE pixels AS SELECT 5 AS mine")
        base.execute("INSERT INTO gpkg_contents (table_name, data_type) VALUES ('pixels', 'tiles')")
        before = list(base.iterdump())
    with pytest.raises(VectorError, match=f"a table '{name}' that is no layer"):
        write(every_type(), path, "sqlite", name)
    with closing(sqlite3.connect(path)) as base:
        assert list(base.iterdump()) == before


def test_a_file_that_a_gis_has_open_is_read(tmp_path: Path) -> None:
    """QGIS keeps a log beside a file while it is open; what is in the log counts."""
    path = tmp_path / "a.gpkg"
    write(every_type(), path, "sqlite")
    with closing(sqlite3.connect(path)) as held:
        held.execute("PRAGMA journal_mode = WAL")
        held.execute("DROP TRIGGER rtree_features_geom_delete")
        held.execute("DELETE FROM features WHERE fid = 3")
        held.commit()
        assert path.with_name("a.gpkg-wal").stat().st_size > 0
        assert len(geopackage.read_frame(path)) == 2


@pytest.mark.parametrize("ends", [False, True])
def test_a_file_that_is_half_written_is_not_read(tmp_path: Path, ends: bool) -> None:
    """Whoever writes is at it, or was cut short: the file holds part of a change."""
    path = tmp_path / "a.gpkg"
    grid = [shapely.Point(n, n) for n in range(3000)]
    write(gpd.GeoDataFrame({"t": ["x" * 300] * 3000}, geometry=grid, crs=UTM), path, "sqlite")
    with closing(sqlite3.connect(path)) as base:
        base.execute("PRAGMA cache_size = 10")  # so that the change does not wait in memory
        base.execute("DROP TRIGGER rtree_features_geom_update3")
        base.execute("DROP TRIGGER rtree_features_geom_update4")
        base.commit()
        base.execute("UPDATE features SET t = t || t")
        if ends:
            copy = tmp_path / "cut" / "a.gpkg"
            shutil.copytree(tmp_path, copy.parent)
            path, words = copy, "a.gpkg-journal has changes that are not in it yet"
        else:
            words = "locked"
        with pytest.raises(VectorError, match=words):
            geopackage.read_frame(path)


def test_a_log_is_not_needed_where_nothing_is_in_it(tmp_path: Path) -> None:
    """A file that keeps a log is read where nothing can be written."""
    path = tmp_path / "a.gpkg"
    write(every_type(), path, "sqlite")
    with closing(sqlite3.connect(path)) as base:
        base.execute("PRAGMA journal_mode = WAL")
    before = geopackage.read_frame(path)
    index, log = (tmp_path / f"a.gpkg-{end}" for end in ("shm", "wal"))
    index.unlink()
    index.symlink_to(tmp_path / "nowhere" / "index")  # so that no log can be read
    log.write_bytes(b"")
    same(before, geopackage.read_frame(path))
    log.write_bytes(b"some changes")
    with pytest.raises(VectorError, match="gpkg-wal has changes"):
        geopackage.read_frame(path)


def test_names_that_differ_in_case_alone(tmp_path: Path) -> None:
    """SQLite takes Ä and ä for two names, and a and A for one."""
    path = tmp_path / "a.gpkg"
    write(every_type(), path, "sqlite", "Äa")
    write(every_type()[:1], path, "sqlite", "äa")
    for layer, rows in (("Äa", 3), ("äa", 1), ("ÄA", 3)):
        assert len(geopackage.read_frame(path, layer)) == rows
        assert geopackage.layer_info(path, layer).features == rows


@pytest.mark.parametrize("value", [70_000, "no number"])
def test_a_value_of_another_type_is_told(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "a.gpkg"
    write(pd.DataFrame({"n": np.array([1], np.int16)}), path, "sqlite")
    with closing(sqlite3.connect(path)) as base, base:
        base.execute("UPDATE features SET n = ?", (value,))
    with pytest.raises(VectorError, match="column 'n' holds what is not of its type"):
        geopackage.read_frame(path)
    if value == 70_000:
        with pytest.raises(VectorError, match="out of bounds"):
            ogr.read_frame(path, None, None)


def test_a_crs_that_nobody_knows_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    write(every_type(), path, "sqlite")
    with closing(sqlite3.connect(path)) as base, base:
        base.execute("UPDATE gpkg_spatial_ref_sys SET organization = 'US', definition = 'ours'"
                     " WHERE srs_id = 32631")  # fmt: skip
    assert geopackage.read_frame(path).crs is None
    assert geopackage.layer_info(path, "features").crs is None


texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20)


@given(
    st.lists(st.tuples(st.none() | texts, st.none() | st.integers(-(2**63), 2**63 - 1),
                       st.floats(allow_infinity=False), st.none() | st.booleans()), max_size=6),
    texts.filter(lambda name: name.strip() and name.isprintable()),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_any_values_come_back(tmp_path_factory: Any, rows: list[Any], name: str) -> None:
    path = tmp_path_factory.mktemp("any") / "a.gpkg"
    frame = pd.DataFrame(rows, columns=["t", "i", "f", "b"], dtype=object)
    table = gpd.GeoDataFrame(
        frame.astype({"i": "Int64", "f": "float64", "b": "boolean"}),
        geometry=[shapely.Point(n, n) for n in range(len(frame))], crs=UTM,
    ).rename(columns={"t": f"t {name}"})  # fmt: skip
    geopackage_writer.write_frames([table], path, name)
    assert geopackage.list_layers(path)[0][0] == name
    back = geopackage.read_frame(path)
    assert [None if pd.isna(one) else one for one in back[f"t {name}"]] == list(frame["t"])
    same(*both(path, name))


WITHOUT = """
import sys
from pathlib import Path
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "pyogrio":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import geopandas, geoiseg, shapely
from geoiseg.errors import GeoisegError
from geoiseg.files.export import export_features
from geoiseg.tiled.prompt_file import read_prompts
from geoiseg.files.vector_file import read_layer
folder = Path(sys.argv[1])
frame = read_layer(folder / "in.gpkg")
export_features(frame, folder / "out.gpkg")
def told(do, *given):
    try:
        do(*given)
    except GeoisegError as error:
        print(error)
told(export_features, frame, folder / "out.shp")
told(export_features, frame, folder / "out.geojson")
told(read_layer, folder / "in.fgb")
told(read_prompts, folder / "in.fgb")
"""
"""Reads and writes with pyogrio as if it were not installed."""


def test_without_pyogrio_a_geopackage_goes_and_all_else_is_told(tmp_path: Path) -> None:
    frame = every_type()[["whole", "größe – 麦", "geometry"]]
    write(frame, tmp_path / "in.gpkg", "gdal")
    ogr.write_frames([frame.dropna(subset="geometry")], tmp_path / "in.fgb", "FlatGeobuf", None)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(tmp_path)], capture_output=True, text=True, check=True
    )
    say = "needs pyogrio: pip install pyogrio"
    assert done.stdout.splitlines() == [
        f"writing .shp {say}",
        f"writing .geojson {say}",
        f"can not read {tmp_path / 'in.fgb'}: reading .fgb {say}",
        f"reading .fgb {say}",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.fgb", "in.gpkg", "out.gpkg"]
    found, mine = both(tmp_path / "out.gpkg", "features")
    same(found, mine)
    assert found["größe – 麦"].tolist()[::2] == frame["größe – 麦"].tolist()[::2]
    shapes = frame.geometry.to_numpy()
    assert shapely.equals(found.geometry.to_numpy()[::2], shapes[::2]).all()


def test_jobs_write_the_same_with_and_without_pyogrio(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = disk.centre
    pond = shapely.Point(x, y).buffer(60)
    older = gpd.GeoDataFrame(
        {"label": ["pond", "pönd"], "date": ["2015-07-31", "2019-07-31"], "n": [1.5, None]},
        geometry=[pond, pond.buffer(9)], crs=UTM,
    )  # fmt: skip
    inputs = {
        "shores": older,
        "ground": older[["label", "geometry"]].iloc[:1].assign(geometry=[pond.buffer(200)]),
        "base": gpd.GeoDataFrame(geometry=[shapely.boundary(pond.buffer(-20))], crs=UTM).to_crs(3857),
        "clicks": gpd.GeoDataFrame(
            {"label": ["lake"], "seen": [date(2021, 4, 5)], "kind": ["box"]}, geometry=[pond], crs=UTM
        ),
    }  # fmt: skip
    for name, frame in inputs.items():
        write(frame, tmp_path / f"{name}.gpkg", "gdal", name)
    place = {name: str(tmp_path / f"{name}.gpkg") for name in inputs}
    raster = {"raster": str(disk.path)}
    asked: dict[str, tuple[Any, dict[str, Any]]] = {
        "clean": (jobs.clean, {"input": place["shores"]}),
        "lines": (shoreline, {"input": place["shores"], "extent": place["ground"]}),
        "rates": (shoreline, {"input": place["shores"], "baseline": place["base"],
                                   "spacing": 40, "length": 120}),
        "boxed": (jobs.segment, {**raster, "prompts": place["clicks"], "becomes": ".shp"}),
        "mapped": (jobs.map_raster, {**raster, "aoi": place["ground"], "spacing": 50,
                                     "scales": [2]}),
        "like": (jobs.map_raster, {**raster, "like": place["shores"]}),
    }  # fmt: skip
    for by in WRITERS:
        if by == "sqlite":
            monkeypatch.delattr("geoiseg.files.vectors.ogr")
            monkeypatch.setitem(sys.modules, "geoiseg.files.vectors.ogr", None)
        for name, (job, params) in asked.items():
            out = str(tmp_path / f"{name}_{by}.gpkg")
            job(Fields({**params, "out": out}), Watch(), lambda share, text: None)
    for name in asked:
        one, other = (tmp_path / f"{name}_{by}.gpkg" for by in WRITERS)
        found, mine = (ogr.read_frame(path, "features", None) for path in (one, other))
        changing = [column for column in ("created", "updated") if column in found]
        same(found.drop(columns=changing), mine.drop(columns=changing))
        assert len(found) > 0
        with closing(sqlite3.connect(one)) as base, closing(sqlite3.connect(other)) as twin:
            query = "SELECT name FROM sqlite_master WHERE name = 'layer_styles'"
            assert base.execute(query).fetchall() == twin.execute(query).fetchall()
            if base.execute(query).fetchall():
                query = "SELECT f_table_name, f_geometry_column, styleQML FROM layer_styles"
                assert base.execute(query).fetchall() == twin.execute(query).fetchall()
