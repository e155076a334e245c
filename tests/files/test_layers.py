"""Project files: everything comes back, replays to the same, and survives accidents."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely

import geoiseg
from geoiseg.atomic import written
from geoiseg.errors import ExportError, ProjectError, SessionError
from geoiseg.files.styles import Style
from geoiseg.outline.draw import OutlineOptions
from geoiseg.session.project import is_project
from geoiseg.tiled.prompt_file import read_prompts
from tests.conftest import Disk


def worked_session(disk: Disk, **options) -> geoiseg.Session:
    """Two accepted features, and a third object in progress."""
    session = geoiseg.Session(disk.path, "grabcut", **options)
    x, y = disk.centre
    session.add_point(x, y)
    session.add_point(*disk.outside, positive=False)
    session.accept("disk", owner="Ana", trees=3, tall=True, height=2.5)
    session.add_box(x - 90, y - 90, x + 90, y + 90)
    session.add_scribble([(x, y), (x + 20, y + 10)])
    session.accept("Straße – 道", trees=None)
    session.add_region(shapely.Point(x, y).buffer(50))
    return session


def test_everything_comes_back(disk: Disk, tmp_path: Path) -> None:
    session = worked_session(disk, gsd=2, outline=OutlineOptions(simplify=0.5, smooth=1))
    session.save(tmp_path / "a.gpkg")
    again = geoiseg.Session.load(tmp_path / "a.gpkg")
    pd.testing.assert_frame_equal(
        again.features.drop(columns="geometry"), session.features.drop(columns="geometry"),
        check_dtype=False,
    )  # fmt: skip
    for one, other in zip(session.features.geometry, again.features.geometry, strict=True):
        assert one.equals_exact(other, 0)
    assert [feature.steps for feature in again.accepted] == [f.steps for f in session.accepted]
    assert again.steps == session.steps
    np.testing.assert_array_equal(again.mask.array, session.mask.array)
    assert (again.gsd, again.options) == (session.gsd, session.options)
    assert again.raster.stretch == session.raster.stretch
    assert again.accepted[0].attributes == {"owner": "Ana", "trees": 3, "tall": True, "height": 2.5}


def test_a_feature_replays_to_the_same_outline(disk: Disk, tmp_path: Path) -> None:
    session = worked_session(disk)
    session.save(tmp_path / "a.gpkg")
    again = geoiseg.Session.load(tmp_path / "a.gpkg")
    for feature in again.accepted:
        again.edit(feature.id)
        assert again.geometry.equals(feature.geometry)


def test_the_prompts_layer_is_a_prompts_file(disk: Disk, tmp_path: Path) -> None:
    session = worked_session(disk)
    path = session.save(tmp_path / "a.gpkg")
    objects = read_prompts(path, session.raster.grid.crs)
    steps = {item.name: item.steps for item in objects}
    assert steps["1"] == session.accepted[0].steps
    assert steps["2"] == session.accepted[1].steps
    assert [item.label for item in objects[:2]] == ["disk", "Straße – 道"]


def test_classes_come_back_and_older_files_have_none(disk: Disk, tmp_path: Path) -> None:
    session = worked_session(disk)
    session.classes = (("Straße – 道", "#123456"), ("disk", "#ff0000"), ("unused", "#00ff00"))
    path = session.save(tmp_path / "a.gpkg")
    assert geoiseg.Session.load(path).classes == session.classes
    with contextlib.closing(sqlite3.connect(path)) as base, base:
        base.execute("delete from geoiseg where key = 'classes'")
    old = geoiseg.Session.load(path)
    assert old.classes == ()
    assert len(old.accepted) == 2
    old.classes = session.classes[:1]
    old.save()
    assert geoiseg.Session.load(path).classes == session.classes[:1]


def test_an_older_project_has_no_compactness_and_gets_it(disk: Disk, tmp_path: Path) -> None:
    path = worked_session(disk).save(tmp_path / "a.gpkg")
    with contextlib.closing(sqlite3.connect(path)) as base:
        for (trigger,) in base.execute("select name from sqlite_master where type='trigger'"):
            base.execute(f'drop trigger "{trigger}"')  # they call functions that SQLite lacks
        base.execute("alter table features drop column compactness")
        base.commit()
    assert "compactness" not in gpd.read_file(path, layer="features")
    again = geoiseg.Session.load(path)
    sizes = again.features
    assert sizes["compactness"].tolist() == pytest.approx(
        (4 * np.pi * sizes.area / sizes.length**2).tolist()
    )
    again.save()
    assert gpd.read_file(path, layer="features")["compactness"].notna().all()


@pytest.mark.parametrize(
    "classes", ["7", '"ab"', '[["a"]]', '[["a", 7]]', '[["a", "b", "c"]]', "[7]"]
)
def test_classes_that_are_none_make_a_damaged_file(
    disk: Disk, tmp_path: Path, classes: str
) -> None:
    path = worked_session(disk).save(tmp_path / "a.gpkg")
    with contextlib.closing(sqlite3.connect(path)) as base, base:
        base.execute("update geoiseg set value = ? where key = 'classes'", (classes,))
    with pytest.raises(ProjectError, match=r"a\.gpkg is damaged"):
        geoiseg.Session.load(path)


def test_later_changes_are_saved_too(disk: Disk, tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    session = geoiseg.Session(disk.path, "grabcut", project=path)
    assert not path.exists()
    session.add_point(*disk.centre)
    session.accept("disk")
    assert len(geoiseg.Session.load(path).features) == 1
    session.relabel(1, "plate")
    assert geoiseg.Session.load(path).features.loc[0, "label"] == "plate"
    session.delete(1)
    assert geoiseg.Session.load(path).features.empty
    session.undo()
    assert len(geoiseg.Session.load(path).features) == 1


def test_a_new_session_never_overwrites_an_old_project(disk: Disk, tmp_path: Path) -> None:
    path = worked_session(disk).save(tmp_path / "a.gpkg")
    with pytest.raises(SessionError, match=r"there already: go on with Session\.load"):
        geoiseg.Session(disk.path, "grabcut", project=path)
    assert len(geoiseg.Session.load(path).features) == 2


def test_gdal_sees_plain_layers(disk: Disk, tmp_path: Path) -> None:
    path = worked_session(disk).save(tmp_path / "a.gpkg")
    names = {name for name, _ in pyogrio.list_layers(path)}
    assert names - {"layer_styles"} == {"features", "prompts", "geoiseg"}
    features = pyogrio.read_dataframe(path, layer="features")
    assert features.crs == "EPSG:32631"
    assert features.is_valid.all()
    prompts = pyogrio.read_dataframe(path, layer="prompts")
    assert set(prompts["kind"]) == {"point", "box", "scribble", "region"}


def test_layers_and_styles_of_others_stay(disk: Disk, tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    session = worked_session(disk)
    session.save(path)
    mine = gpd.GeoDataFrame({"a": [1]}, geometry=[shapely.Point(1, 2)], crs="EPSG:32631")
    pyogrio.write_dataframe(mine, path, layer="mine")
    session.clear()
    session.delete(1)
    assert len(pyogrio.read_dataframe(path, layer="mine")) == 1
    assert len(pyogrio.read_dataframe(path, layer="features")) == 1


def test_a_raster_that_moved_with_its_project_is_found(disk: Disk, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    shutil.copy(disk.path, old / "disk.tif")
    session = geoiseg.Session(old / "disk.tif", "grabcut")
    session.add_point(*disk.centre)
    session.accept()
    session.save(old / "a.gpkg")
    old.rename(tmp_path / "new")
    assert len(geoiseg.Session.load(tmp_path / "new" / "a.gpkg").features) == 1
    (tmp_path / "new" / "disk.tif").unlink()
    with pytest.raises(ProjectError, match="not there any more"):
        geoiseg.Session.load(tmp_path / "new" / "a.gpkg")
    assert len(geoiseg.Session.load(tmp_path / "new" / "a.gpkg", disk.path).features) == 1


def test_what_is_no_project(disk: Disk, tmp_path: Path) -> None:
    text = tmp_path / "text.gpkg"
    text.write_text("no")
    plain = tmp_path / "plain.gpkg"
    mine = gpd.GeoDataFrame({"a": [1]}, geometry=[shapely.Point(1, 2)], crs="EPSG:32631")
    pyogrio.write_dataframe(mine, plain, layer="features")
    for path in (text, plain, tmp_path / "none.gpkg", disk.path):
        assert not is_project(path)
        with pytest.raises(ProjectError):
            geoiseg.Session.load(path)
    session = worked_session(disk)
    for path, says in [(text, "no GeoPackage"), (plain, "not ours"), (tmp_path / "a.shp", ".gpkg")]:
        with pytest.raises(ExportError, match=says):
            session.save(path)
    assert text.read_text() == "no"
    assert len(pyogrio.read_dataframe(plain)) == 1


def test_damaged_and_newer_projects_say_so(disk: Disk, tmp_path: Path) -> None:
    path = worked_session(disk).save(tmp_path / "a.gpkg")
    for change, says in [
        ("update geoiseg set value = '99' where key = 'format'", "newer; upgrade"),
        ("update geoiseg set value = '{' where key = 'bands'", "damaged"),
        ("update prompts set definition = 'x'", "damaged"),
        ("delete from geoiseg where key = 'model'", "damaged"),
    ]:
        broken = tmp_path / "b.gpkg"
        shutil.copy(path, broken)
        with sqlite3.connect(broken) as base:
            for trigger in base.execute("select name from sqlite_master where type='trigger'"):
                base.execute(f'drop trigger "{trigger[0]}"')
            base.execute(change)
        with pytest.raises(ProjectError, match=says) as caught:
            geoiseg.Session.load(broken)
        assert "\n" not in str(caught.value)


def test_a_project_of_another_crs_is_refused(disk: Disk, tmp_path: Path) -> None:
    from tests.conftest import disk_pixels, write_raster

    path = worked_session(disk).save(tmp_path / "a.gpkg")
    other = write_raster(tmp_path / "b.tif", disk_pixels()[0], crs="EPSG:32632")
    with pytest.raises(ProjectError, match="another CRS"):
        geoiseg.Session.load(path, other)


# -- accidents -------------------------------------------------------------------------


def test_a_failed_save_keeps_the_file_and_the_features(disk: Disk, tmp_path: Path) -> None:
    session = worked_session(disk)
    path = session.save(tmp_path / "a.gpkg")
    before = path.read_bytes()
    session.project = tmp_path / "gone" / "a.gpkg"
    session.clear()
    session.add_point(*disk.centre)
    with pytest.raises(ExportError, match=r"does not exist.*is accepted here but not in the file"):
        session.accept("third")
    assert len(session.features) == 3
    assert path.read_bytes() == before
    session.save(path)
    assert len(geoiseg.Session.load(path).features) == 3


def test_an_interrupted_write_leaves_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), written(path) as target:
        target.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with written(path) as target:
        target.write_text("new")
    assert path.read_text() == "new"
    with pytest.raises(ExportError, match="nothing was made"), written(path):
        pass
    with pytest.raises(ExportError, match="is a folder"), written(tmp_path):
        pass


def edited(path: Path, *, closes: bool) -> None:
    """Add a table as a GIS does that keeps a log beside the file, and is killed or lets go."""
    commands = "pragma journal_mode = wal; create table theirs as select 7 as mine;"
    end = "base.close()" if closes else "os._exit(0)"
    code = f"import os, sqlite3\nbase = sqlite3.connect({str(path)!r})\n"
    code += f"base.executescript({commands!r})\n{end}"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("closes", [True, False])
def test_what_a_gis_left_in_its_log_is_kept(disk: Disk, tmp_path: Path, closes: bool) -> None:
    path = tmp_path / "a.gpkg"
    session = worked_session(disk)
    session.save(path)
    edited(path, closes=closes)
    assert (tmp_path / "a.gpkg-wal").exists() is not closes
    session.accept("third")
    session.save(path)
    assert sorted(tmp_path.iterdir()) == [path]
    with contextlib.closing(sqlite3.connect(path)) as base:
        assert base.execute("pragma integrity_check").fetchone() == ("ok",)
        assert base.execute("select mine from theirs").fetchone() == (7,)
    assert len(geoiseg.Session.load(path).features) == 3


@pytest.mark.parametrize("keeps", ["wal", "delete"])
def test_a_file_that_a_gis_has_changes_to_is_not_replaced(
    disk: Disk, tmp_path: Path, keeps: str
) -> None:
    """Its log would be taken for that of the new file, and damage it."""
    path = tmp_path / "a.gpkg"
    session = worked_session(disk)
    session.save(path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as gis:
        gis.execute(f"pragma journal_mode = {keeps}")
        if keeps == "delete":
            gis.execute("begin")
        gis.execute("create table theirs as select 7 as mine")
        with pytest.raises(ExportError, match="another program has it open; close it there"):
            session.export(path, layer="exported")
        with pytest.raises(ExportError, match="another program has it open; close it there"):
            session.save(path)
        if keeps == "delete":
            gis.execute("commit")
        assert gis.execute("select mine from theirs").fetchone() == (7,)
        assert gis.execute("pragma integrity_check").fetchone() == ("ok",)
    session.save(path)
    with contextlib.closing(sqlite3.connect(path)) as base:
        assert base.execute("select mine from theirs").fetchone() == (7,)


def test_a_log_of_a_file_that_is_gone_is_nobody_s(disk: Disk, tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    session = worked_session(disk)
    session.save(path)
    edited(path, closes=False)
    path.unlink()
    session.save(path)
    assert len(geoiseg.Session.load(path).features) == 2
    with contextlib.closing(sqlite3.connect(path)) as base:
        assert base.execute("pragma integrity_check").fetchone() == ("ok",)


KILLED = """
import sys, shapely, geoiseg
session = geoiseg.Session(sys.argv[1], "grabcut", project=sys.argv[2])
x, y = float(sys.argv[3]), float(sys.argv[4])
while True:
    session.add_point(x, y)
    print(session.accept("disk"), flush=True)
"""


@pytest.mark.slow
def test_a_kill_in_the_middle_loses_nothing_accepted(disk: Disk, tmp_path: Path) -> None:
    """Killed at arbitrary moments of a loop that does little but save."""
    path = tmp_path / "a.gpkg"
    for delay in (0.0, 0.013, 0.029, 0.041):
        path.unlink(missing_ok=True)
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, disk.path, path, *map(str, disk.centre)],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        lines = [child.stdout.readline() for _ in range(3)]
        time.sleep(delay)
        os.kill(child.pid, signal.SIGKILL)
        rest, _ = child.communicate()
        printed = [int(line) for line in [*lines, *rest.splitlines()] if line.strip().isdigit()]
        assert len(geoiseg.Session.load(path).features) >= max(printed)


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="mounts a small tmpfs")
def test_a_full_disk_is_said_and_nothing_is_lost(disk: Disk, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", small],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("may not mount a tmpfs here")
    try:
        session = geoiseg.Session(disk.path, "grabcut", project=small / "a.gpkg")
        with pytest.raises(ExportError, match=r"can not (save|write)"):
            for _ in range(40):
                session.add_point(*disk.centre)
                session.accept("disk", note="x" * 20_000)
        accepted = len(session.features)
        saved = geoiseg.Session.load(small / "a.gpkg") if (small / "a.gpkg").exists() else None
        assert saved is None or len(saved.features) == accepted - 1
        assert {file.name for file in small.iterdir()} <= {"a.gpkg"}, "no debris"
        with (small / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
            while filler.write(bytes(4096)):
                pass
        for suffix in ("gpkg", "shp", "geojson", "fgb", "parquet", "tif"):
            with pytest.raises(ExportError, match="can not write"):
                session.export(small / f"b.{suffix}")
        assert {file.name for file in small.iterdir()} <= {"a.gpkg", "filler"}
        session.save(tmp_path / "b.gpkg")
        assert len(geoiseg.Session.load(tmp_path / "b.gpkg").features) == accepted
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_colour_that_is_none_does_not_keep_a_style_from_being_made():
    style = Style.of(["field", "lake"], [("field", "red;background:url(x)"), ("lake", "#123456")])
    colours = dict(style.classes)
    assert colours["lake"] == "#123456"
    assert re.fullmatch("#[0-9a-fA-F]{6}", colours["field"])
    assert "url" not in style.qml()
