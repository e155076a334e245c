"""Several sessions, kernels and a GIS on one project file: nothing of anybody is lost."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely

import geoiseg
from geoiseg.errors import CollisionError, ExportError
from tests.cli.test_cli import run
from tests.conftest import Disk

PLACES = [(0, 0, 30, 30), (60, 0, 90, 30), (120, 0, 150, 30), (180, 0, 210, 30)]


def polygons(disk: Disk, *labels: str) -> gpd.GeoDataFrame:
    x, y = disk.centre
    shapes = [shapely.box(x + a, y + b, x + c, y + d) for a, b, c, d in PLACES[: len(labels)]]
    return gpd.GeoDataFrame({"label": labels}, geometry=shapes, crs="EPSG:32631")


@pytest.fixture
def path(disk: Disk, tmp_path: Path) -> Path:
    made = geoiseg.Session(disk.path, "grabcut", project=tmp_path / "p.gpkg")
    made.add_features(polygons(disk, "one", "two"))
    return tmp_path / "p.gpkg"


def two(path: Path) -> tuple[geoiseg.Session, geoiseg.Session]:
    return geoiseg.Session.load(path), geoiseg.Session.load(path)


def labels(path: Path) -> dict[int, str]:
    return {one.id: one.label for one in geoiseg.Session.load(path).accepted}


def in_session(session: geoiseg.Session) -> dict[int, str]:
    return {one.id: one.label for one in session.accepted}


def test_new_features_of_both_are_kept_under_numbers_of_their_own(path: Path, disk: Disk) -> None:
    a, b = two(path)
    assert a.add_features(polygons(disk, "of a")) == [3]
    b.add_point(*disk.centre)
    assert b.accept("of b", crop="rye") == 4
    wanted = {1: "one", 2: "two", 3: "of a", 4: "of b"}
    assert labels(path) == in_session(b) == wanted
    a.relabel(1, "first")
    assert labels(path) == in_session(a) == {**wanted, 1: "first"}
    assert a.accepted[3].attributes == {"crop": "rye"}
    assert a.accepted[3].steps


def test_different_features_can_be_changed_by_both(path: Path) -> None:
    a, b = two(path)
    a.relabel(1, "a")
    b.relabel(2, "b", crop="rye")
    a.relabel(1, "again")
    assert labels(path) == {1: "again", 2: "b"}
    with pytest.raises(CollisionError):  # b has not seen it
        b.delete(1)
    assert in_session(b) == {1: "again", 2: "b"}
    b.delete(1)
    assert labels(path) == in_session(b) == {2: "b"}


def test_different_things_of_one_feature_can_be_changed_by_both(path: Path) -> None:
    a, b = two(path)
    a.relabel(1, "a")
    b.relabel(1, crop="rye")
    found = geoiseg.Session.load(path).accepted[0]
    assert (found.label, found.attributes) == ("a", {"crop": "rye"})


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (lambda s: s.relabel(1, "a"), lambda s: s.relabel(1, "b")),
        (lambda s: s.relabel(1, crop="rye"), lambda s: s.relabel(1, crop="oats")),
        (lambda s: s.relabel(1, "a"), lambda s: s.delete(1)),
        (lambda s: s.delete(1), lambda s: s.relabel(1, "b")),
        (lambda s: s.rename_label("one", "a"), lambda s: s.rename_label("one", "b")),
    ],
)
def test_what_collides_is_refused_and_stays(path: Path, first, second) -> None:
    a, b = two(path)
    first(a)
    before, seen = path.read_bytes(), a.features
    with pytest.raises(
        CollisionError, match=r"p\.gpkg: another session has changed feature 1"
    ) as said:
        second(b)
    assert "\n" not in str(said.value)
    assert path.read_bytes() == before
    assert in_session(b) == in_session(a)
    assert b.features.drop(columns="geometry").equals(seen.drop(columns="geometry"))
    b.relabel(2, "b goes on")  # and is not refused for ever
    assert labels(path) == {**in_session(a), 2: "b goes on"}
    if 1 in in_session(b):
        second(b)
        assert labels(path) == in_session(b) != in_session(a)


def test_both_delete_the_same(path: Path) -> None:
    a, b = two(path)
    a.delete(1)
    b.delete(1)
    assert labels(path) == {2: "two"}


def test_going_back_keeps_what_others_have_made(path: Path, disk: Disk) -> None:
    a, b = two(path)
    a.add_point(*disk.centre)
    a.accept("of a")
    b.add_features(polygons(disk, "of b"))
    a.relabel(1, "first")
    assert a.undo()
    assert a.undo()
    assert labels(path) == in_session(a) == {1: "one", 2: "two", 4: "of b"}
    assert a.redo()
    assert labels(path) == {1: "one", 2: "two", 3: "of a", 4: "of b"}


def test_going_back_over_what_another_has_changed_is_refused(path: Path, disk: Disk) -> None:
    a, _ = two(path)
    a.add_features(polygons(disk, "of a"))
    b = geoiseg.Session.load(path)
    b.relabel(3, "seen by b")
    with pytest.raises(CollisionError):
        a.undo()
    assert labels(path) == in_session(a) == {1: "one", 2: "two", 3: "seen by b"}


def test_sessions_that_begin_the_same_file_together(disk: Disk, tmp_path: Path) -> None:
    path = tmp_path / "new.gpkg"
    a, b = (geoiseg.Session(disk.path, "grabcut", project=path) for _ in range(2))
    a.add_features(polygons(disk, "of a"))
    assert b.add_features(polygons(disk, "of b")) == [2]
    assert labels(path) == {1: "of a", 2: "of b"}


def test_what_a_gis_has_changed_stays(path: Path, disk: Disk) -> None:
    session = geoiseg.Session.load(path)
    with closing(sqlite3.connect(path)) as base, base:
        base.create_function("ST_IsEmpty", 1, lambda _: 0)
        for name in ("ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY"):
            base.create_function(name, 1, lambda _: 0.0)
        base.execute("UPDATE features SET label = 'by a GIS' WHERE id = 2")
        base.execute(
            "INSERT INTO features (geom, label) SELECT geom, 'drawn' FROM features WHERE id = 1"
        )
        base.execute("ALTER TABLE features ADD COLUMN owner TEXT")
        base.execute("UPDATE features SET owner = 'Ana' WHERE id = 1")
    session.add_features(polygons(disk, "mine"))
    wanted = {1: "one", 2: "by a GIS", 3: "drawn", 4: "mine"}
    assert labels(path) == in_session(session) == wanted
    assert session.accepted[0].attributes == {"owner": "Ana"}


def test_an_object_in_progress_of_another_is_kept(path: Path, disk: Disk) -> None:
    a, b = two(path)
    a.add_point(*disk.centre)
    a.save()
    b.relabel(1, "b")
    assert geoiseg.Session.load(path).geometry.equals(a.geometry)
    assert labels(path)[1] == "b"


def test_settings_of_both_are_kept(path: Path) -> None:
    a, b = two(path)
    a.classes, a.snap = (("one", "#ff0000"), ("wood", "#00ff00")), 3.0
    a.save()
    b.classes = (("one", "#0000ff"),)
    b.schema = {"one": [{"name": "crop"}]}
    b.save()
    found = geoiseg.Session.load(path)
    assert found.classes == (("one", "#0000ff"), ("wood", "#00ff00"))
    assert found.snap == 3.0
    assert found.schema.to_dict()["one"][0]["name"] == "crop"
    a.schema = {"one": [{"name": "owner"}]}
    with pytest.raises(CollisionError, match="fields of 'one'"):
        a.save()
    assert geoiseg.Session.load(path).schema.to_dict() == found.schema.to_dict()


def test_values_of_all_types_are_no_change_by_themselves(path: Path) -> None:
    """What comes back from a file in another form than it went there is not taken for a change."""
    import datetime as dt
    from decimal import Decimal

    a, b = two(path)
    a.relabel(1, price=Decimal("1.10"), day=dt.date(2024, 2, 29), tags=["a", {"b": 1}], raw=b"\0",
              at=dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC), part=0.1, n=2**60, ok=True)  # fmt: skip
    b.relabel(2, price="later", ID=7)
    a.relabel(2, "two again")
    b.relabel(1, "one again", n=5)
    found = geoiseg.Session.load(path)
    assert in_session(found) == {1: "one again", 2: "two again"}
    assert found.accepted[0].attributes == {**a.accepted[0].attributes, "n": 5}
    assert found.accepted[1].attributes == {"price": "later", "ID": 7}


def test_the_project_of_another_session_is_not_written_over(path: Path, disk: Disk) -> None:
    other = geoiseg.Session(disk.path, "grabcut")
    other.add_features(polygons(disk, "mine"))
    before = path.read_bytes()
    with pytest.raises(ExportError, match="project of another session, with 2 features"):
        other.save(path)
    assert path.read_bytes() == before
    assert other.project is None


def test_a_session_that_has_all_of_it_may(disk: Disk, tmp_path: Path) -> None:
    """The same command once more is no loss."""
    prompts = polygons(disk, "one").assign(geometry=lambda f: f.geometry.buffer(20))
    prompts.to_file(tmp_path / "p.gpkg")
    command = ["segment", disk.path, tmp_path / "p.gpkg", tmp_path / "o.gpkg", "--model", "grabcut",
               "--project", tmp_path / "pr.gpkg"]  # fmt: skip
    for _ in range(2):
        done = subprocess.run([sys.executable, "-m", "geoiseg", *map(str, command)], check=False,
                              capture_output=True, text=True)  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert labels(tmp_path / "pr.gpkg") == {1: "one"}


def test_the_command_line_leaves_projects_alone(capsys, path: Path, disk: Disk) -> None:
    folder = path.parent
    polygons(disk, "x").assign(geometry=lambda f: f.geometry.buffer(20)).to_file(
        folder / "p.geojson"
    )
    before = path.read_bytes()
    for command in (
        ["segment", disk.path, folder / "p.geojson", path],
        ["map", disk.path, path],
        ["map", disk.path, path, "--prompts", folder / "p.geojson"],
        ["clean", path, path],
        ["check", path, path],
        ["shoreline", path, path],
    ):
        code, _, err = run(capsys, *command)
        assert code == 1, command
        assert len(err.strip().splitlines()) == 1
        assert path.read_bytes() == before
    code, _, err = run(capsys, "segment", disk.path, folder / "p.geojson", folder / "o.gpkg",
                       "--model", "grabcut", "--project", path)  # fmt: skip
    assert (code, path.read_bytes()) == (1, before)
    assert "another session" in err


MANY = """
import sys, geoiseg, shapely, geopandas as gpd
session = geoiseg.Session.load(sys.argv[1], model="grabcut")
for n in range(8):
    shape = shapely.box(500100 + n, 4499700, 500101 + n, 4499701)
    session.add_features(gpd.GeoDataFrame({"label": [f"{sys.argv[2]}{n}"]}, geometry=[shape], crs=32631))
"""


def test_kernels_at_the_same_time(path: Path) -> None:
    started = [subprocess.Popen([sys.executable, "-c", MANY, str(path), who]) for who in "abc"]
    assert [one.wait() for one in started] == [0, 0, 0]
    found = labels(path)
    assert sorted(found) == list(range(1, 27))
    assert set(found.values()) == {"one", "two"} | {f"{who}{n}" for who in "abc" for n in range(8)}
    assert [
        file.name for file in path.parent.iterdir() if "lock" in file.name or "tmp" in file.name
    ] == []


def test_the_map_goes_on_beside_another_session(path: Path, disk: Disk) -> None:
    shown = geoiseg.SegmentMap(disk.path, project=path, model="grabcut")
    other = geoiseg.Session.load(path)
    other.add_features(polygons(disk, "of another"))
    shown.relabel(1, "on the map")
    assert sorted(shown.features["label"]) == ["of another", "on the map", "two"]
    other.relabel(2, "by another")
    with pytest.raises(CollisionError):
        shown.relabel(2, "by the map")
    assert labels(path) == {1: "on the map", 2: "by another", 3: "of another"}
    assert np.array_equal(shown.features["label"], list(labels(path).values()))


def test_what_another_reshaped_can_be_given_back_here(path: Path) -> None:
    one, other = two(path)
    number = one.accepted[0].id
    plain = one.accepted[0].geometry
    other.reshape([number], grow=4)
    one.relabel(number, "ours")
    assert one.accepted[0].geometry.area > plain.area
    one.reshape([number], grow=0)
    assert one.accepted[0].geometry.equals(plain)
