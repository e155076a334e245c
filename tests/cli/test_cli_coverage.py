"""``geoiseg clean`` and ``geoiseg shoreline``, as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely

from tests.cli.test_cli import run

UTM = "EPSG:32631"
X, Y = 500_000, 4_500_000


def box(left: float, bottom: float, right: float, top: float) -> shapely.Polygon:
    return shapely.box(X + left, Y + bottom, X + right, Y + top)


@pytest.fixture
def fields(tmp_path: Path) -> Path:
    """Two fields that overlap by ten metres, and a third one two metres on."""
    frame = gpd.GeoDataFrame(
        {"label": ["a", "b", "b"], "score": [0.2, 0.9, 0.5], "area_m2": [1.0, 2.0, 3.0]},
        geometry=[box(0, 0, 100, 100), box(90, 0, 200, 100), box(202, 0, 300, 100)],
        crs=UTM,
    )
    path = tmp_path / "fields.gpkg"
    frame.to_file(path, layer="features")
    return path


@pytest.mark.parametrize("suffix", ["gpkg", "shp", "geojson", "fgb", "parquet"])
def test_clean_writes_every_format(capsys, fields: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"out.{suffix}"
    code, text, err = run(capsys, "clean", fields, out, "--rule", "score", "--gap", 3)
    assert (code, err) == (0, "")
    assert "1 overlaps resolved, 1 gaps closed" in text
    assert "3 of 3 features" in text
    back = gpd.read_parquet(out) if suffix == "parquet" else gpd.read_file(out)
    order = back.geometry.bounds["minx"].argsort()  # FlatGeobuf sorts its rows
    back = back.iloc[order]
    shapes = back.to_crs(UTM)
    assert shapes.area.tolist() == pytest.approx([9_000, 11_000, 9_998], rel=0.02)
    assert back["area_m2"].tolist() == pytest.approx(shapes.area.tolist(), rel=0.002)
    assert back["label"].tolist() == ["a", "b", "b"]
    if suffix != "geojson":  # nine decimals of a degree
        assert shapely.coverage_is_valid(np.asarray(back.geometry.array, dtype=object))


def test_clean_reports_as_json(capsys, fields: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.gpkg"
    options = ["--rule", "class", "--classes", "b,a", "--gap", 3, "--simplify", 1, "--smooth", 1]
    code, text, _ = run(capsys, "clean", fields, out, *options, "--json")
    facts = json.loads(text)
    assert code == 0
    assert facts["out"] == str(out)
    assert facts["overlaps"] == {"count": 1, "area_m2": pytest.approx(1000)}
    assert facts["gaps_closed"]["count"] == 1
    assert (facts["valid_before"], facts["valid_after"]) == (False, True)


@pytest.mark.parametrize(
    ("options", "code", "word"),
    [
        (["--rule", "class"], 1, "classes"),
        (["--rule", "score", "--column", "nothing"], 1, "nothing"),
        (["--gap", "-1"], 2, "gap"),
        (["--layer", "other"], 1, "other"),
    ],
)
def test_wrong_options_are_said_in_one_line(capsys, fields, tmp_path, options, code, word) -> None:
    done, _, err = run(capsys, "clean", fields, tmp_path / "out.gpkg", *options)
    assert done == code
    assert word in err
    assert code == 2 or err.count("\n") == 1
    assert not (tmp_path / "out.gpkg").exists()


def test_wrong_files_are_said_in_one_line(capsys, fields: Path, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("nothing")
    lines = tmp_path / "lines.gpkg"
    gpd.GeoDataFrame(geometry=[shapely.LineString([(0, 0), (1, 1)])], crs=UTM).to_file(lines)
    for command in ("clean", "shoreline"):
        for source, out in ((tmp_path / "no.gpkg", "a.gpkg"), (text, "a.gpkg"),
                            (fields, "a.xyz"), (fields, "a.tif")):  # fmt: skip
            code, _, err = run(capsys, command, source, tmp_path / out)
            assert code == 1
            assert err.count("\n") == 1
    code, _, err = run(capsys, "clean", lines, tmp_path / "a.gpkg")
    assert (code, err.count("\n")) == (1, 1)
    assert "LineString" in err


def seas(tmp_path: Path) -> tuple[Path, Path]:
    """Return seas of three dates, whose shore goes inland by two metres a year, and the extent."""
    rows = [(date, box(500 - back, 0, 1000, 800))
            for date, back in (("2000-01-01", 0), ("2010-01-01", 20), ("2020-01-01", 40))]  # fmt: skip
    frame = gpd.GeoDataFrame(rows, columns=["date", "geometry"], crs=UTM)
    sea, extent = tmp_path / "sea.gpkg", tmp_path / "extent.geojson"
    frame.to_file(sea)
    gpd.GeoDataFrame(geometry=[box(0, 0, 1000, 800)], crs=UTM).to_crs("EPSG:4326").to_file(extent)
    return sea, extent


def test_shoreline_draws_a_line_for_each_date(capsys, tmp_path: Path) -> None:
    sea, extent = seas(tmp_path)
    out = tmp_path / "shore.fgb"
    code, text, _ = run(capsys, "shoreline", sea, out, "--extent", extent, "--margin", 2)
    assert code == 0
    assert "3 lines of 2.4 km" in text
    back = gpd.read_file(out)
    assert set(back.geom_type) == {"LineString"}
    assert back.crs == UTM
    assert back["length_m"].tolist() == pytest.approx([800] * 3, abs=10)


def test_shoreline_measures_change(capsys, tmp_path: Path) -> None:
    sea, extent = seas(tmp_path)
    out = tmp_path / "change.gpkg"
    options = ["--extent", extent, "--margin", 2, "--spacing", 100, "--length", 200]
    code, text, _ = run(capsys, "shoreline", sea, out, *options, "--json")
    facts = json.loads(text)
    assert code == 0
    assert facts["measured"] == facts["transects"] == 8
    assert abs(facts["median_epr"]) == pytest.approx(2, rel=0.001)
    back = gpd.read_file(out)
    assert back["dates"].tolist() == [3] * 8
    assert back["lrr"].abs().to_numpy() == pytest.approx(2, rel=0.001)
    assert back["lr2"].to_numpy() == pytest.approx(1)
    assert back["nsm_m"].abs().to_numpy() == pytest.approx(40, rel=0.001)


def test_metres_that_are_called_degrees_have_no_change(capsys, tmp_path: Path) -> None:
    sea, _ = seas(tmp_path)
    frame = gpd.read_file(sea)
    wrong = tmp_path / "wrong.gpkg"
    frame.set_crs("EPSG:4326", allow_override=True).to_file(wrong)
    code, _, err = run(capsys, "shoreline", wrong, tmp_path / "out.gpkg", "--spacing", 100)
    assert (code, err.count("\n")) == (1, 1)
    assert "is EPSG:4326 its CRS?" in err


def test_shoreline_between_two_classes_and_centre_lines(capsys, tmp_path: Path) -> None:
    rows = [("river", box(0, 0, 1000, 60)), ("bank", box(0, 60, 1000, 100))]
    source = tmp_path / "classes.shp"
    gpd.GeoDataFrame(rows, columns=["label", "geometry"], crs=UTM).to_file(source)
    out = tmp_path / "lines.gpkg"
    code, _, _ = run(capsys, "shoreline", source, out, "--between", "river", "bank")
    assert code == 0
    assert (
        gpd.read_file(out).geometry[0].equals(shapely.LineString([(X, Y + 60), (X + 1000, Y + 60)]))
    )
    code, _, err = run(capsys, "shoreline", source, out, "--between", "river", "sea")
    assert code == 1
    assert "'sea'; there is: bank, river" in err
    river = tmp_path / "river.gpkg"
    gpd.GeoDataFrame(geometry=[box(0, 0, 1000, 60)], crs=UTM).to_file(river)
    code, _, _ = run(capsys, "shoreline", river, out, "--centre")
    middle = gpd.read_file(out).geometry[0]
    assert code == 0
    assert middle.hausdorff_distance(shapely.LineString([(X, Y + 30), (X + 1000, Y + 30)])) < 35
