"""The command line, as a user runs it: output, files, exit codes, one line for a mistake."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import termios
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely

from geoiseg.cli import main
from geoiseg.cli.main import COMMANDS
from geoiseg.models import listing
from geoiseg.prompting.prompts import Box, Point, Region, Scribble
from geoiseg.tiled.prompt_file import read_prompts
from tests.conftest import Disk


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    """Return exit code, standard output and standard error."""
    try:
        main([str(argument) for argument in arguments])
        code = 0
    except SystemExit as done:
        code = done.code
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def prompts(disk: Disk, tmp_path: Path) -> Path:
    x, y = disk.centre
    rows = [
        ("a", 1, "disk", "Ana", shapely.Point(x, y)),
        ("a", 0, "disk", "Ana", shapely.Point(disk.outside)),
        ("b", None, "box", "Bo", shapely.box(x - 90, y - 90, x + 90, y + 90)),
        ("c", 1, "line", "Cy", shapely.LineString([(x - 20, y), (x + 20, y)])),
    ]
    frame = gpd.GeoDataFrame(
        rows, columns=["object", "positive", "label", "owner", "geometry"], crs="EPSG:32631"
    )
    path = tmp_path / "prompts.gpkg"
    frame.to_crs("EPSG:4326").to_file(path)
    return path


def test_segment_writes_the_objects(capsys, disk: Disk, prompts: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.gpkg"
    code, text, _ = run(capsys, "segment", disk.path, prompts, out, "-m", "grabcut")
    assert code == 0
    assert text == f"3 of 3 objects written to {out}\n"
    layer = pyogrio.read_dataframe(out)
    assert layer.crs == "EPSG:32631"
    assert list(layer["label"]) == ["disk", "box", "line"]
    assert list(layer["owner"]) == ["Ana", "Bo", "Cy"]
    assert list(layer["negative_points"]) == [1, 0, 0]
    assert layer.contains(shapely.Point(disk.centre)).all()


def test_segment_reports_as_json(capsys, disk: Disk, prompts: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.geojson"
    code, text, _ = run(capsys, "segment", disk.path, prompts, out, "-m", "grabcut", "--json",
                        "--gsd", 4, "--simplify", 1, "--project", tmp_path / "p.gpkg")  # fmt: skip
    assert code == 0
    report = json.loads(text)
    assert report["found"] == 3
    assert report["objects"][0]["object"] == "a"
    truth = disk.truth.sum() * 4
    assert report["objects"][0]["area_m2"] == pytest.approx(truth, rel=0.1)
    one = report["objects"][0]
    assert one["compactness"] == pytest.approx(4 * np.pi * one["area_m2"] / one["perimeter_m"] ** 2)
    assert set(report["objects"][0]["milliseconds"]) == {"read", "embed", "decode", "outline"}
    assert len(pyogrio.read_dataframe(out)) == 3
    project = pyogrio.read_dataframe(tmp_path / "p.gpkg", layer="features")
    assert project["gsd"].tolist() == pytest.approx([4] * 3, rel=1e-3)


def test_a_project_is_replayed(capsys, disk: Disk, prompts: Path, tmp_path: Path) -> None:
    first, again = tmp_path / "p.gpkg", tmp_path / "again.gpkg"
    run(
        capsys,
        "segment",
        disk.path,
        prompts,
        tmp_path / "o.shp",
        "-m",
        "grabcut",
        "--project",
        first,
    )
    code, _, _ = run(capsys, "segment", disk.path, first, again, "-m", "grabcut")
    assert code == 0
    one = pyogrio.read_dataframe(first, layer="features")
    other = pyogrio.read_dataframe(again)
    assert one.geometry.geom_equals(other.geometry).all()


def test_some_objects_at_fault_do_not_stop_the_others(capsys, disk: Disk, tmp_path: Path) -> None:
    points = [disk.centre, (0.0, 0.0)]
    frame = gpd.GeoDataFrame(geometry=[shapely.Point(p) for p in points], crs="EPSG:32631")
    frame.to_file(tmp_path / "p.geojson")
    out = tmp_path / "o.gpkg"
    code, text, err = run(
        capsys, "segment", disk.path, tmp_path / "p.geojson", out, "-m", "grabcut"
    )
    assert code == 1
    assert "1 of 2 objects" in text
    assert "object 2: the point at" in err
    assert "outside" in err
    assert len(pyogrio.read_dataframe(out)) == 1


def bad_cases(disk: Disk, prompts: Path, folder: Path) -> dict[str, tuple[list[object], str]]:
    text = folder / "text.tif"
    text.write_text("hello")
    table = folder / "table.csv"
    table.write_text("name,size\na,1\n")
    empty = folder / "empty.geojson"
    empty.write_text('{"type": "FeatureCollection", "features": []}')
    whole = disk.path.read_bytes()
    cut = folder / "cut.tif"
    cut.write_bytes(whole[: len(whole) // 2])
    nodata = folder / "nodata.tif"
    with rasterio.open(disk.path) as source:
        profile = {**source.profile, "nodata": 0}
        with rasterio.open(nodata, "w", **profile) as target:
            target.write(np.zeros((3, *source.shape), "uint8"))
    far = folder / "far.geojson"
    gpd.GeoDataFrame(geometry=[shapely.Point(100, 10)], crs="EPSG:4326").to_file(far)
    out = folder / "o.gpkg"
    return {
        "missing raster": ([folder / "no.tif", prompts, out], "does not exist"),
        "text as tif": ([text, prompts, out], "can not open"),
        "truncated": ([cut, prompts, out], "truncated or damaged"),
        "all nodata": ([nodata, prompts, out], "no data"),
        "missing prompts": ([disk.path, folder / "no.gpkg", out], "does not exist"),
        "prompts without geometry": ([disk.path, table, out], "has no geometry"),
        "no prompts": ([disk.path, empty, out], "has no rows"),
        "prompts outside": ([disk.path, far, out], "outside"),
        "prompts are no vectors": ([disk.path, text, out], "can not read prompts"),
        "unknown model": ([disk.path, prompts, out, "-m", "sum-vit-z"], "there is no model"),
        "unknown format": ([disk.path, prompts, folder / "o.xyz"], "no known format"),
        "unwritable": ([disk.path, prompts, folder / "no" / "o.gpkg"], "does not exist"),
        "unwritable device": ([disk.path, prompts, "/proc/o.gpkg"], "can not write"),
    }


CASES = ["missing raster", "text as tif", "truncated", "all nodata", "missing prompts",
         "prompts without geometry", "no prompts", "prompts outside", "prompts are no vectors",
         "unknown model", "unknown format", "unwritable", "unwritable device"]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_users_mistake_is_one_line(capsys, disk, prompts, tmp_path: Path, case: str) -> None:
    arguments, says = bad_cases(disk, prompts, tmp_path)[case]
    code, out, err = run(capsys, "segment", *arguments)
    assert code == 1
    assert not out
    *_, last = err.strip().splitlines()
    assert last.startswith("geoiseg: ")
    assert says in last
    assert "Traceback" not in err
    assert not (tmp_path / "o.gpkg").exists()


def test_every_case_is_tested(disk, prompts, tmp_path: Path) -> None:
    assert sorted(CASES) == sorted(bad_cases(disk, prompts, tmp_path))


@pytest.mark.parametrize(
    "arguments",
    [("segment",), ("nonsense",), ("info", "x.tif", "--bands", "1,2"), ("demo", "--size", "3"),
     ("segment", "a", "b", "c", "--gsd", "-1")],
)  # fmt: skip
def test_wrong_usage_is_two(capsys, arguments) -> None:
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert "Usage" in err


def test_info(capsys, disk: Disk) -> None:
    code, text, _ = run(capsys, "info", disk.path, "--json")
    facts = json.loads(text)
    assert code == 0
    assert (facts["width"], facts["height"], facts["crs"]) == (200, 200, "EPSG:32631")
    assert facts["bounds"] == [500_000, 4_499_600, 500_400, 4_500_000]
    code, text, _ = run(capsys, "info", disk.path)
    assert "EPSG:32631" in text


def test_models(capsys) -> None:
    code, text, _ = run(capsys, "models", "list", "--json")
    assert code == 0
    names = {model["name"]: model for model in json.loads(text)}
    assert {"grabcut", "graphcut", "random-walker", "region-growing"} <= set(names)
    assert sum(model["default"] for model in names.values()) == 1
    assert all(model["licence"] for model in names.values())
    assert run(capsys, "models")[1].startswith("* ")


def test_models_are_listed_where_a_file_is_missing(capsys, tmp_path, monkeypatch) -> None:
    here = Path(listing.__file__).with_name("tiny")
    shutil.copytree(here, tmp_path / "tiny", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    (tmp_path / "tiny" / "quick.onnx").unlink()
    monkeypatch.setattr(listing, "__file__", str(tmp_path / "listing.py"))
    code, text, _ = run(capsys, "models", "list")
    told = {line[2:].split()[0]: line for line in text.splitlines() if line[2:].strip()}
    assert code == 0
    assert told["tiny"].endswith("needs a new installation of geoiseg")
    assert told["tiny-1"].endswith("ready")


def test_version_and_help(capsys) -> None:
    from geoiseg import __version__

    assert run(capsys, "--version")[1] == f"geoiseg, version {__version__}\n"
    code, text, _ = run(capsys, "--help")
    assert code == 0
    assert "segment" in text
    assert "demo" in text
    said = text.partition("Commands:")[2].splitlines()[1:]
    assert [line.split()[0] for line in said] == list(COMMANDS)  # each on one line
    assert max(map(len, said)) < 80
    assert not any("..." in line for line in said)


def test_the_demo_on_a_made_scene(capsys, tmp_path: Path) -> None:
    code, text, _ = run(capsys, "demo", "--out", tmp_path / "d", "--size", 512)
    assert code == 0
    made = {file.name for file in (tmp_path / "d").iterdir()}
    assert made >= {"scene.tif", "objects.gpkg", "objects.shp", "objects.geojson", "mask.tif",
                    "picture.png", "report.html"}  # fmt: skip
    assert "IoU" in text
    features = pyogrio.read_dataframe(tmp_path / "d" / "objects.gpkg", layer="features")
    assert len(features) >= 5
    assert features.crs == "EPSG:32631"
    assert features.is_valid.all()
    assert "objects.gpkg" in (tmp_path / "d" / "report.html").read_text()


def test_the_demo_on_a_users_raster(capsys, disk: Disk, tmp_path: Path) -> None:
    code, _, _ = run(capsys, "demo", disk.path, "--out", tmp_path / "d", "-m", "grabcut")
    assert code == 0
    assert len(pyogrio.read_dataframe(tmp_path / "d" / "objects.gpkg", layer="features")) >= 1


def test_the_installed_command_exits_with_its_code(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "geoiseg", "info", tmp_path / "no.tif"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1


# -- prompts from files ----------------------------------------------------------------


def test_tables_with_coordinates(tmp_path: Path) -> None:
    table = tmp_path / "p.csv"
    table.write_text("object,x,y,positive,crop\n7,500010,4499990,1,rye\n7,500020,4499980,no,rye\n")
    (item,) = read_prompts(table, "EPSG:32631")
    assert item.name == "7"
    assert item.attributes == {
        "object": "7", "x": "500010", "y": "4499990", "positive": "1", "crop": "rye",
    }  # fmt: skip
    (step,) = item.steps
    assert step.prompts == (Point(500_010, 4_499_990), Point(500_020, 4_499_980, positive=False))
    table.write_text("lon,lat\n3,40.6\n")
    (item,) = read_prompts(table, "EPSG:32631")
    point = item.steps[0].prompts[0]
    assert (point.x, point.y) == pytest.approx((500_000, 4_494_400), abs=300)


def test_geometries_become_the_prompts_they_look_like(tmp_path: Path) -> None:
    square = shapely.box(0, 0, 4, 4)
    rows = [
        (None, square), ("region", square), ("box", square),
        (None, shapely.LineString([(0, 0), (1, 1)])),
        (None, shapely.MultiPoint([(1, 1), (2, 2)])),
        ("region", shapely.MultiPolygon([square, shapely.box(6, 6, 8, 8)])),
    ]  # fmt: skip
    frame = gpd.GeoDataFrame(rows, columns=["kind", "geometry"], crs="EPSG:32631")
    frame.to_file(tmp_path / "p.gpkg")
    kinds = [tuple(type(p) for s in item.steps for p in s.prompts)
             for item in read_prompts(tmp_path / "p.gpkg", "EPSG:32631")]  # fmt: skip
    assert kinds == [(Box,), (Region,), (Box,), (Scribble,), (Point, Point), (Region,)]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"kind": ["star", "box"]}, "box or region"),
        ({"positive": ["maybe", "yes"]}, "positive is 1 or 0"),
    ],
)
def test_rows_of_odd_columns_are_refused(tmp_path: Path, columns, says: str) -> None:
    frame = gpd.GeoDataFrame(columns, geometry=[shapely.box(0, 0, 1, 1)] * 2, crs="EPSG:32631")
    frame.to_file(tmp_path / "p.gpkg")
    wrong, right = read_prompts(tmp_path / "p.gpkg", "EPSG:32631")
    assert len(wrong.faults) == 1
    assert wrong.faults[0].startswith("row 1: ")
    assert says in wrong.faults[0]
    assert not right.faults
    assert right.steps


def test_an_interrupt_keeps_what_was_found(disk: Disk, tmp_path: Path) -> None:
    """A real interrupt of a real process in the middle of many objects."""
    x, y = disk.centre
    points = [shapely.Point(x + k % 7, y) for k in range(600)]
    gpd.GeoDataFrame(geometry=points, crs="EPSG:32631").to_file(tmp_path / "p.gpkg")
    out = tmp_path / "o.gpkg"
    ours, theirs = pty.openpty()  # on a terminal there is a progress bar to wait for
    termios.tcsetwinsize(theirs, (24, 80))
    child = subprocess.Popen(
        [sys.executable, "-m", "geoiseg", "segment", disk.path, tmp_path / "p.gpkg", out,
         "-m", "grabcut"],
        stderr=theirs, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    os.close(theirs)
    told = ""
    while not re.search(r"\s[1-9]\d*/600", told):
        told += os.read(ours, 1000).decode()
    child.send_signal(signal.SIGINT)
    text, _ = child.communicate(timeout=120)
    assert child.returncode == 1
    assert "stopped after" in os.read(ours, 10_000).decode()
    found = len(pyogrio.read_dataframe(out))
    assert 0 < found < 600
    assert f"{found} of 600 objects" in text
