"""Rows that can not be used: the others are done, and each that was not is named."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import shapely

import geoiseg
from geoiseg.errors import NoDataError, PromptError
from geoiseg.features import checked
from geoiseg.files import rows_said
from geoiseg.files.vectors import read_frame
from geoiseg.files.vectors.geopackage import read_frame as read_without_gdal
from geoiseg.prompting import prompt_to_dict
from geoiseg.prompting.prompts import Point, Prompts, Scribble
from geoiseg.segment.embeddings import EmbeddingCache
from geoiseg.tiled.prompt_file import read_prompts
from geoiseg.widget.channel.uploads import read_layer as read_upload
from geoiseg.words.examples import around_places
from geoiseg.words.search import Searcher
from tests.cli.test_cli import run
from tests.conftest import UTM, Disk, disk_pixels, write_raster

BLANK = shapely.Polygon()


def collection(path: Path, rows: list[tuple[dict[str, Any], Any]]) -> Path:
    """Write GeoJSON in UTM of geometries, or of what a careless writer leaves as one."""
    features = [
        {
            "type": "Feature",
            "properties": about,
            "geometry": json.loads(shapely.to_geojson(shape))
            if isinstance(shape, shapely.Geometry)
            else shape,
        }
        for about, shape in rows
    ]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32631"}}
    whole = {"type": "FeatureCollection", "crs": crs, "features": features}
    path.write_text(json.dumps(whole))
    return path


def line(*xy: tuple[float, float]) -> dict[str, Any]:
    return {"type": "LineString", "coordinates": [list(place) for place in xy]}


# -- prompts ---------------------------------------------------------------------------


UNUSABLE: dict[str, tuple[dict[str, Any], Callable[[float, float], Any], str]] = {
    "no geometry": ({}, lambda x, y: None, "no geometry"),
    "an empty point": ({}, lambda x, y: {"type": "Point", "coordinates": []}, "no geometry"),
    "an empty polygon": ({}, lambda x, y: BLANK, "no geometry"),
    "a box of no width": ({}, lambda x, y: shapely.box(x, y, x, y + 40), "xmin < xmax"),
    "a box of no height": ({}, lambda x, y: shapely.box(x, y, x + 40, y), "xmin < xmax"),
    "a region of no area": (
        {"kind": "region"}, lambda x, y: shapely.Polygon([(x, y), (x + 9, y), (x, y)]), "area"
    ),
    "an odd kind": ({"kind": "star"}, lambda x, y: shapely.box(x, y, x + 9, y + 9), "box or reg"),
    "an odd sign": ({"positive": "maybe"}, shapely.Point, "1 or 0"),
    "an odd scale": ({"gsd": "fine"}, shapely.Point, "gsd is a number"),
    "an odd definition": ({"definition": "{"}, shapely.Point, "definition"),
    "another sort of shape": (
        {}, lambda x, y: shapely.GeometryCollection([shapely.Point(x, y).buffer(5)]), "kind"
    ),
    "a place off the raster": ({}, lambda x, y: shapely.Point(x + 1e5, y), "outside"),
    "a place that is nowhere": ({}, lambda x, y: shapely.Point(1e300, y), "row 2|outside"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNUSABLE)
@pytest.mark.parametrize("command", ["segment", "map"])
def test_the_good_rows_are_segmented_and_the_others_named(
    capsys, disk: Disk, tmp_path: Path, name: str, command: str
) -> None:
    more, shape, says = UNUSABLE[name]
    x, y = disk.centre
    bad = shape(x, y)
    if name == "another sort of shape":
        bad = shapely.GeometryCollection([shapely.GeometryCollection([shapely.Point(x, y)])])
        says = "can not be a prompt|kind"
    good = shapely.Point(x, y)
    # A column in which nothing makes sense would be the user's own.
    sense = {"kind": "point", "positive": "yes", "gsd": 2.0,
             "definition": json.dumps(prompt_to_dict(Point(x, y)))}  # fmt: skip
    right = {name: sense[name] for name in more if more != {"kind": "region"}}
    rows = [({"n": 1, **right}, good), ({"n": 2, **more}, bad), ({"n": 3, **right}, good)]
    prompts, out = collection(tmp_path / "p.geojson", rows), tmp_path / "o.gpkg"
    options = [disk.path, out, "--prompts", prompts] if command == "map" else [disk.path, prompts,
                                                                               out]  # fmt: skip
    code, text, err = run(capsys, command, *options, "-m", "grabcut")
    assert code == 1, "what was asked for is not all done"
    found = pyogrio.read_dataframe(out, layer="features")
    assert sorted(found["n"]) == [1, 3]
    truth = disk.truth.sum() * 4
    assert found.area.to_numpy() == pytest.approx(truth, rel=0.1)
    told = [said for said in (text + err).splitlines() if "object 2" in said]
    assert len(told) == 1
    assert any(part in told[0] for part in says.split("|"))
    assert "Warning" not in err


def test_an_object_is_made_of_its_other_rows_and_says_so(
    capsys, disk: Disk, tmp_path: Path
) -> None:
    x, y = disk.centre
    rows = [
        ({"object": "a"}, None),
        ({"object": "a"}, shapely.Point(x, y)),
        ({"object": "b"}, shapely.box(x, y, x, y + 9)),
        ({"object": "c"}, shapely.Point(x, y)),
    ]
    prompts, out = collection(tmp_path / "p.geojson", rows), tmp_path / "o.gpkg"
    code, text, err = run(capsys, "segment", disk.path, prompts, out, "-m", "grabcut")
    assert code == 1
    assert sorted(pyogrio.read_dataframe(out, layer="features")["object"]) == ["a", "c"]
    corners = f"({x:g}, {y:g}, {x:g}, {y + 9:g})"
    assert err.splitlines() == [
        "geoiseg: object a (rows 1, 2): without row 1: there is no geometry",
        f"geoiseg: object b (row 3): a box needs xmin < xmax and ymin < ymax, got {corners}",
    ]
    assert text.startswith("2 of 3 objects")
    _, text, err = run(capsys, "segment", disk.path, prompts, out, "-m", "grabcut", "--json")
    told = {row["object"]: (row["error"], row["left_out"]) for row in json.loads(text)["objects"]}
    assert told["a"] == (None, ["row 1: there is no geometry"])
    assert "a box needs" in told["b"][0]
    assert told["c"] == (None, [])


def test_no_row_is_dropped_for_want_of_a_step_or_an_object(disk: Disk, tmp_path: Path) -> None:
    x, y = disk.centre
    rows = [
        ({"object": "a", "step": 1}, shapely.Point(x, y)),
        ({"object": "a", "step": None}, shapely.Point(x + 4, y)),
        ({"object": None, "step": 1}, shapely.Point(x + 8, y)),
        ({"object": None, "step": 1}, shapely.Point(x + 12, y)),
    ]
    found = read_prompts(collection(tmp_path / "p.geojson", rows), UTM)
    places = [[prompt.x - x for step in item.steps for prompt in step.prompts] for item in found]
    assert places == [[0, 4], [8], [12]]
    assert [item.rows for item in found] == [(1, 2), (3,), (4,)]


def test_rows_of_a_table_without_numbers_are_named(tmp_path: Path) -> None:
    table = tmp_path / "p.csv"
    table.write_text("x,y\n500010,4499990\n,4499990\nfar,away\n500020,4499980\n")
    found = read_prompts(table, UTM)
    assert [len(item.steps) for item in found] == [1, 0, 0, 1]
    assert [item.faults for item in found[1:3]] == [
        ("row 2: there is no geometry",), ("row 3: there is no geometry",)
    ]  # fmt: skip
    table.write_text("x,y\n,\nfar,away\n")
    with pytest.raises(PromptError, match="no row has numbers in its x and y"):
        read_prompts(table, UTM)


def test_a_file_of_nothing_usable_is_one_error(capsys, disk: Disk, tmp_path: Path) -> None:
    prompts = collection(tmp_path / "p.geojson", [({}, shapely.box(0, 0, 0, 9)), ({}, None)])
    code, _, err = run(capsys, "segment", disk.path, prompts, tmp_path / "o.gpkg")
    assert code == 1
    assert err.count("\n") == 1
    assert "no row that can be used: row 1: a box needs" in err
    assert not (tmp_path / "o.gpkg").exists()


# -- a tap is a click ------------------------------------------------------------------


def strokes(x: float, y: float) -> dict[str, list[tuple[float, float]]]:
    return {
        "one vertex": [(x, y)],
        "the same vertex twice": [(x, y), (x, y)],
        "a shaky hand": [(x, y), (x + 0.9, y + 0.4), (x + 0.2, y)],
    }


@pytest.mark.parametrize("model", ["tiny", "grabcut", "superpixel-walk"])
def test_a_tap_with_the_pen_is_a_click(disk: Disk, model: str) -> None:
    session = geoiseg.Session(disk.path, model)
    session.add_point(*disk.centre)
    clicked = session.geometry
    for name, xy in strokes(*disk.centre).items():
        session.clear()
        session.add_scribble(xy)
        assert session.geometry.equals(clicked), name
    session.add_scribble([disk.outside], positive=False)
    session.undo()
    assert session.prompts.counts()["scribbles"] == 1, "it is kept as it was said"


def test_a_tap_off_the_object_is_a_click_off_it(disk: Disk) -> None:
    grid = geoiseg.open_raster(disk.path).grid
    x, y = disk.outside
    tapped = Prompts((Scribble(((x, y),), positive=False),)).to_pixel(grid)
    clicked = Prompts((Point(x, y, positive=False),)).to_pixel(grid)
    assert tapped.points.tolist() == clicked.points.tolist() == [[20, 20]]
    assert tapped.positive.tolist() == clicked.positive.tolist() == [False]
    assert tapped.scribbles == ()
    drawn = Prompts((Scribble(((x, y), (x + 8, y))),)).to_pixel(grid)
    assert len(drawn.points) == 0
    assert drawn.scribbles[0][0].tolist() == [[20, 20], [24, 20]]


def test_a_tap_in_a_file_is_a_click(capsys, disk: Disk, tmp_path: Path) -> None:
    """GeoJSON of a line of one vertex, which GEOS does not have."""
    x, y = disk.centre
    rows = [({"n": 1}, line((x, y))), ({"n": 2}, line((x, y), (x, y))),
            ({"n": 3}, shapely.Point(x, y))]  # fmt: skip
    prompts, out = collection(tmp_path / "p.geojson", rows), tmp_path / "o.gpkg"
    code, _, err = run(capsys, "segment", disk.path, prompts, out)
    assert (code, err) == (0, "")
    found = pyogrio.read_dataframe(out, layer="features")
    assert found["n"].tolist() == [1, 2, 3]
    assert found.geometry.iloc[0].equals(found.geometry.iloc[2])
    assert found.geometry.iloc[1].equals(found.geometry.iloc[2])


ODD = {
    "a line of one vertex": (line((3, 4)), shapely.Point(3, 4)),
    "an open ring": (
        {"type": "Polygon", "coordinates": [[[0, 0], [2, 0], [2, 2]]]},
        shapely.Polygon([(0, 0), (2, 0), (2, 2)]),
    ),
    "an empty point": ({"type": "Point", "coordinates": []}, None),
    "nothing": (None, None),
}


def test_shapes_that_geos_does_not_have_are_read_row_by_row(tmp_path: Path) -> None:
    rows = [({"name": name}, given) for name, (given, _) in ODD.items()]
    rows.append(({"name": "a good one"}, shapely.Point(1, 2)))
    path = collection(tmp_path / "p.geojson", rows)
    frame = read_frame(path)
    assert frame["name"].tolist() == [*ODD, "a good one"]
    assert frame.crs == UTM
    wanted = [*(shape for _, shape in ODD.values()), shapely.Point(1, 2)]
    for name, got, right in zip(frame["name"], frame.geometry, wanted, strict=True):
        assert got is None if right is None else got.equals(right), name


@pytest.mark.parametrize("z", [False, True])
def test_a_tap_in_a_geopackage_is_read_with_and_without_gdal(tmp_path: Path, z: bool) -> None:
    path = tmp_path / "p.gpkg"
    place = (3.0, 4.0, 5.0) if z else (3.0, 4.0)
    other = (7.0, 7.0, 7.0) if z else (7.0, 7.0)
    body = shapely.to_wkb(shapely.LineString([place, other]), flavor="iso")
    size = 8 * len(place)
    tap = body[:5] + (1).to_bytes(4, "little") + body[9 : 9 + size]
    about = {"driver": "GPKG", "crs": UTM, "geometry_type": "LineString" + " Z" * z}
    pyogrio.raw.write(
        path, np.array([tap, body], object), [np.array(["tap", "line"], object)], ["name"], **about
    )
    for read in (read_frame, read_without_gdal):
        frame = read(path)
        assert frame["name"].tolist() == ["tap", "line"]
        assert frame.geometry.iloc[0].equals(shapely.Point(3, 4))
        assert frame.geometry.iloc[1].geom_type == "LineString"


# -- no data under a click -------------------------------------------------------------


@pytest.fixture
def holed(tmp_path: Path) -> Path:
    """The disk, with a hole of nodata in its middle."""
    pixels, _ = disk_pixels()
    pixels = np.maximum(pixels, 1)
    pixels[:, 80:100, 90:110] = 0
    return write_raster(tmp_path / "holed.tif", pixels, nodata=0)


HOLE, ON, OFF = (500_200.0, 4_499_820.0), (500_160.0, 4_499_820.0), (500_040.0, 4_499_960.0)
"""Places in the hole, on the disk, and off it."""


def test_a_click_where_there_is_no_data_changes_nothing(holed: Path) -> None:
    session = geoiseg.Session(holed, "grabcut")
    session.add_point(*ON)
    before = session.geometry
    for act in (lambda: session.add_point(*HOLE), lambda: session.add_scribble([HOLE])):
        with pytest.raises(NoDataError, match="no data under the prompts"):
            act()
        assert session.geometry.equals(before)
        assert len(session.prompts) == 1
    with pytest.raises(NoDataError) as caught:
        session.add([Point(*ON), Point(*HOLE)])
    assert caught.value.prompts == (Point(*HOLE),)
    session.add_point(*HOLE, positive=False)
    assert len(session.prompts) == 2, "what is not the object may be anywhere"


def test_clicks_without_data_are_left_out_of_an_object_and_named(
    capsys, holed: Path, tmp_path: Path
) -> None:
    rows = [({"object": "a"}, shapely.Point(ON)), ({"object": "a"}, shapely.Point(HOLE)),
            ({"object": "b"}, shapely.Point(HOLE)), ({"object": "c"}, shapely.Point(ON))]  # fmt: skip
    prompts, out = collection(tmp_path / "p.geojson", rows), tmp_path / "o.gpkg"
    code, _, err = run(capsys, "segment", holed, prompts, out, "-m", "superpixel-walk")
    assert code == 1
    said = err.splitlines()
    assert said[0].startswith("geoiseg: object a (rows 1, 2): without row 2: there is no data")
    assert said[1].startswith("geoiseg: object b (row 3): there is no data")
    assert len(said) == 2
    found = pyogrio.read_dataframe(out, layer="features").set_index("object")
    assert sorted(found.index) == ["a", "c"]
    assert found.geometry["a"].equals(found.geometry["c"])


def test_places_without_data_teach_nothing(holed: Path, caplog) -> None:
    session = geoiseg.Session(holed)
    places = [(*ON, "disk"), (*OFF, "other")]
    xy = np.array([ON, HOLE, OFF])
    cells = around_places(Searcher(session.raster, EmbeddingCache()), xy, 0)
    assert [len(own) > 0 for own in cells] == [True, False, True]
    with caplog.at_level(logging.WARNING):
        known = session.teach([places[0], (*HOLE, "other"), places[1]])
    assert [record.getMessage() for record in caplog.records] == [
        f"place 2, other, has no data in {holed}: left out"
    ]
    assert known.labels == ("disk", "other")
    with pytest.raises(PromptError, match="no place of class 'other' has data"):
        session.teach([places[0], (*HOLE, "other")])


# -- layers ----------------------------------------------------------------------------


def square(left: float, side: float = 90) -> Any:
    return shapely.box(500_000 + left, 4_500_000, 500_000 + left + side, 4_500_000 + side)


def layer(path: Path, shapes: list[Any], **columns: Any) -> Path:
    frame = gpd.GeoDataFrame(columns, geometry=np.array(shapes, object), crs=UTM)
    pyogrio.write_dataframe(frame, path, driver="GPKG", geometry_type="Unknown")
    return path


@pytest.mark.parametrize("blank", [None, BLANK, shapely.MultiPolygon()])
def test_clean_names_rows_without_geometry(capsys, tmp_path: Path, blank: Any) -> None:
    given = layer(tmp_path / "in.gpkg", [blank, square(0), blank, square(200)], n=[1, 2, 3, 4])
    code, text, err = run(capsys, "clean", given, tmp_path / "out.gpkg")
    assert (code, err) == (0, "geoiseg: rows 1 and 3 have no geometry: left out\n")
    assert "2 of 4 features written" in text
    assert pyogrio.read_dataframe(tmp_path / "out.gpkg", layer="features")["n"].tolist() == [2, 4]
    _, text, _ = run(capsys, "clean", given, tmp_path / "out.gpkg", "--json")
    assert json.loads(text)["blank"] == [0, 2]


def test_clean_names_rows_that_lose_all_ground(capsys, tmp_path: Path) -> None:
    given = layer(tmp_path / "in.gpkg", [square(0), square(10, 20)], n=[1, 2])
    code, _, err = run(capsys, "clean", given, tmp_path / "out.gpkg")
    assert (code, err) == (0, "geoiseg: row 2 has no ground left: left out\n")


@pytest.mark.parametrize("suffix", ["gpkg", "shp", "geojson", "fgb", "parquet"])
def test_check_keeps_and_flags_rows_without_geometry(capsys, tmp_path: Path, suffix: str) -> None:
    given = layer(tmp_path / "in.gpkg", [square(0), None, BLANK], n=[1, 2, 3])
    out = tmp_path / f"out.{suffix}"
    code, text, err = run(capsys, "check", given, out)
    assert (code, err) == (0, "")
    assert "2 empty" in text
    found = gpd.read_parquet(out) if suffix == "parquet" else pyogrio.read_dataframe(out)
    flags = dict(zip(found["n"], found["flags"].fillna(""), strict=True))
    assert flags == {1: "", 2: "empty", 3: "empty"}


def test_shorelines_name_the_rows_they_are_not_drawn_of(capsys, tmp_path: Path) -> None:
    shapes = [square(0), None, square(200), shapely.Point(500_000, 4_500_000), square(400),
              shapely.LineString([(500_600, 4_500_000), (500_600, 4_500_050)])]  # fmt: skip
    dates = ["2001-01-01", "2001-01-01", None, "2001-01-01", " ", "2001-01-01"]
    given, out = layer(tmp_path / "in.gpkg", shapes, date=dates), tmp_path / "out.gpkg"
    code, text, err = run(capsys, "shoreline", given, out)
    assert code == 0, err
    assert err.splitlines() == [
        "geoiseg: row 2 has no geometry: left out",
        "geoiseg: row 4 has neither a polygon nor a line: left out",
        "geoiseg: rows 3 and 5 have no date in 'date': left out",
    ]
    lines = pyogrio.read_dataframe(out, layer="features")
    assert lines["date"].astype(str).str[:10].unique().tolist() == ["2001-01-01"]
    assert lines["length_m"].sum() == pytest.approx(4 * 90 + 50, rel=0.01)
    _, text, _ = run(capsys, "shoreline", given, out, "--json")
    assert len(json.loads(text)["left_out"]) == 3


def test_rates_need_dates_that_can_be_counted_with(capsys, tmp_path: Path) -> None:
    shores = [shapely.LineString([(500_000 + dx, 4_500_000), (500_000 + dx, 4_501_000)])
              for dx in (0, 10, 20)]  # fmt: skip
    given = layer(tmp_path / "in.gpkg", shores, date=["2001-01-01", "a while ago", "2011-01-01"])
    out = tmp_path / "out.gpkg"
    code, _, err = run(capsys, "shoreline", given, out, "--spacing", 100, "--side", "right")
    assert (code, err) == (0, "geoiseg: row 2 has what is no date in 'date': left out\n")
    assert pyogrio.read_dataframe(out, layer="features")["epr"].to_numpy() == pytest.approx(
        2.0, rel=0.01
    )


def test_a_layer_of_nothing_usable_is_one_error(capsys, tmp_path: Path) -> None:
    given = layer(tmp_path / "in.gpkg", [square(0), None], date=[None, None])
    code, _, err = run(capsys, "shoreline", given, tmp_path / "out.gpkg")
    assert code == 1
    assert (
        err == "geoiseg: no row can be used: row 2 has no geometry; row 1 has no date in 'date'\n"
    )


def test_evaluate_names_labels_that_are_no_objects(capsys, disk: Disk, tmp_path: Path) -> None:
    truth = shapely.Point(disk.centre).buffer(80)
    shapes = [None, truth, BLANK, shapely.Point(disk.centre), square(9000)]
    labels = layer(tmp_path / "labels.gpkg", shapes)
    given = ["evaluate", disk.path, "--labels", labels, "-m", "grabcut", "--clicks", 1, "--json"]
    code, text, err = run(capsys, *given)
    assert code == 0
    assert err.splitlines() == [
        "geoiseg: disk: rows 1 and 3 have no geometry: left out",
        "geoiseg: disk: row 4 has no polygon: left out",
        "geoiseg: disk: row 5 has no ground on the raster: left out",
    ]
    assert json.loads(text)["groups"][0]["objects"] == 1


def test_labels_that_lie_elsewhere_are_no_evaluation(capsys, disk: Disk, tmp_path: Path) -> None:
    labels = layer(tmp_path / "labels.gpkg", [square(9000), square(12_000)])
    code, text, err = run(capsys, "evaluate", disk.path, "--labels", labels, "-m", "grabcut")
    assert (code, text) == (1, "")
    assert err.splitlines()[-1].startswith("geoiseg: no label of ")
    assert "is its CRS right?" in err


def test_areas_and_examples_go_without_blank_rows(
    capsys, caplog, disk: Disk, tmp_path: Path
) -> None:
    x, y = disk.centre
    area = shapely.box(x - 90, y - 90, x + 90, y + 90)
    given = layer(tmp_path / "aoi.gpkg", [None, area, BLANK], positive=[1, 1, 1])
    for options in (["--aoi", given], ["--like", given]):
        caplog.clear()
        code, _, err = run(capsys, "map", disk.path, tmp_path / f"{options[0]}.gpkg", *options,
                           "-m", "superpixel-walk")  # fmt: skip
        assert "Traceback" not in err
        assert code == 0, err
        said = [record.getMessage() for record in caplog.records if "left out" in record.message]
        kind = "polygon" if options[0] == "--aoi" else "geometry"
        assert said == [f"aoi.gpkg: rows 1 and 3 have no {kind}: left out"]


def test_features_from_elsewhere_are_taken_over_row_by_row(disk: Disk, caplog) -> None:
    session = geoiseg.Session(disk.path)
    shapes = [None, square(50), BLANK, shapely.Point(1, 2), square(200)]
    frame = gpd.GeoDataFrame({"n": range(5)}, geometry=np.array(shapes, object), crs=UTM)
    assert session.add_features(frame) == [1, 2]
    assert session.features["n"].tolist() == [1, 4]
    assert session.left_out == ("rows 1 and 3 have no geometry", "row 4 has no polygon")
    assert [record.getMessage() for record in caplog.records if "left out" in record.message] == [
        "rows 1 and 3 have no geometry: left out", "row 4 has no polygon: left out"
    ]  # fmt: skip
    with pytest.raises(PromptError, match="row 1 of the layer is nothing"):
        session.add_features(frame.iloc[:1])
    assert len(session.features) == 2


def test_an_upload_is_taken_over_row_by_row(disk: Disk, tmp_path: Path) -> None:
    ring = {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}
    rows = [
        ({"n": 1}, None),
        ({"n": 2}, square(50)),
        ({"n": 3}, ring),
        ({"n": 4}, {"type": "Point"}),
    ]
    path = collection(tmp_path / "a.geojson", rows)
    shown = geoiseg.SegmentMap(disk.path, project=False)
    shown.add_features(read_upload("a.geojson", path.read_bytes()))
    assert shown.session.features["n"].tolist() == [2]
    assert "left out: rows 1, 3 and 4 have no geometry" in shown.toolbar.status["note"]


def test_rows_are_named_in_plain_words() -> None:
    assert rows_said([], "no date") == []
    assert rows_said([6], "no date") == ["row 7 has no date"]
    assert rows_said(np.array([0, 1, 4]), "no date") == ["rows 1, 2 and 5 have no date"]


def test_lists_where_a_date_or_a_number_is_meant_are_named(capsys, tmp_path: Path) -> None:
    square = shapely.box(5e5, 45e5, 5e5 + 100, 45e5 + 100)
    shores = collection(
        tmp_path / "shores.geojson",
        [({"date": "2019-05-01"}, square), ({"date": ["2020", "2021"]}, square)],
    )
    code, _, err = run(capsys, "shoreline", shores, tmp_path / "lines.gpkg")
    assert code == 0
    assert "row 2" in err
    assert "no date" in err
    place = shapely.Point(5e5, 45e5)
    marks = collection(
        tmp_path / "marks.geojson",
        [({"object": "a", "gsd": 2.0}, place), ({"object": "b", "gsd": [2, 3]}, place)],
    )
    objects = read_prompts(marks, UTM)
    assert [bool(item.steps) for item in objects] == [True, False]
    assert "gsd is a number of metres" in objects[1].faults[0]


def test_check_flags_what_has_no_finite_coordinates() -> None:
    good = shapely.box(0, 0, 10, 10)
    endless = shapely.Polygon([(0, 0), (10, 0), (np.nan, 10), (0, 10), (0, 0)])
    frame = gpd.GeoDataFrame(geometry=[good, endless], crs=UTM)
    found = checked(frame)
    assert found["flags"].tolist() == ["", "invalid"]
    assert found["irregularity"][0] == pytest.approx(1)
    assert np.isnan(found["irregularity"][1])
