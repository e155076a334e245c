"""The outlines of sessions: without stairs and exact, and as older projects have them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import shapely
from affine import Affine
from click.testing import CliRunner
from rasterio.features import rasterize

import geoiseg
from geoiseg.cli.main import cli
from geoiseg.files import read_frame
from geoiseg.outline.vectorize import contour_from_mask, geometry_from_mask
from geoiseg.session import line_of_project
from tests.conftest import Disk


def on_corners(geometry: shapely.Geometry, disk: Disk) -> bool:
    """Return whether every vertex is a corner of the raster's pixels."""
    xy = geoiseg.open_raster(disk.path).grid.to_pixel(shapely.get_coordinates(geometry))
    return bool(np.allclose(xy, np.rint(xy), atol=1e-6))


def saved(disk: Disk, path: Path, **how: object) -> geoiseg.Session:
    session = geoiseg.Session(disk.path, **how)
    session.add_point(*disk.centre)
    session.accept("disk")
    session.save(path)
    return session


def set_outline(path: Path, change) -> None:
    """Change what a project file says of its outlines."""
    with closing(sqlite3.connect(path)) as file, file:
        (text,) = file.execute("SELECT value FROM geoiseg WHERE key = 'outline'").fetchone()
        new = json.dumps(change(json.loads(text)))
        file.execute("UPDATE geoiseg SET value = ? WHERE key = 'outline'", (new,))


def test_the_model_says_where_between_two_pixels_the_outline_lies(disk: Disk) -> None:
    session = geoiseg.Session(disk.path)
    session.add_point(*disk.centre)
    mask, found = session.mask, session.geometry
    transform = mask.grid.transform
    burned = rasterize([found], mask.grid.shape, transform=transform)
    np.testing.assert_array_equal(burned.astype(bool), mask.array)
    assert not on_corners(found, disk)
    assert not found.equals(contour_from_mask(mask.array, transform))
    assert found.length < 0.95 * geometry_from_mask(mask.array, transform).length


def test_an_engine_that_only_says_yes_and_no_tells_no_place_between() -> None:
    mask = np.hypot(*(np.mgrid[:60, :60] - 29.3)) < 20
    sure = np.where(mask, 8.0, -8.0)
    found = contour_from_mask(mask, Affine.identity(), sure)
    assert found.equals(contour_from_mask(mask, Affine.identity()))


def test_what_was_followed_or_drawn_has_no_stairs_either(disk: Disk) -> None:
    session = geoiseg.Session(disk.path)
    session.add_region(shapely.Point(disk.centre).buffer(60.0))
    session.add_point(*disk.centre)
    session.grow(4)
    mask = session.mask
    assert not on_corners(session.geometry, disk)
    burned = rasterize([session.geometry], mask.grid.shape, transform=mask.grid.transform)
    np.testing.assert_array_equal(burned.astype(bool), mask.array)


@pytest.mark.parametrize("age", ["before there were lines", "while pixels were the default"])
def test_a_project_saved_before_goes_on_along_the_pixels(
    disk: Disk, tmp_path: Path, age: str
) -> None:
    path = tmp_path / "old.gpkg"
    old = saved(disk, path, outline=geoiseg.OutlineOptions(line="pixels"))
    if age == "before there were lines":
        kept = ("simplify", "smooth", "square", "max_area_change")
        set_outline(path, lambda told: {name: told[name] for name in kept})
    assert line_of_project(path) == "pixels"
    session = geoiseg.Session.load(path)
    session.edit(1)
    assert session.geometry.equals(old.accepted[0].geometry)
    assert on_corners(session.geometry, disk)


def test_a_new_project_comes_back_without_stairs(disk: Disk, tmp_path: Path) -> None:
    old = saved(disk, tmp_path / "new.gpkg")
    session = geoiseg.Session.load(tmp_path / "new.gpkg")
    assert line_of_project(tmp_path / "new.gpkg") == "contour"
    session.edit(1)
    assert session.geometry.equals(old.accepted[0].geometry)


@pytest.mark.parametrize(
    ("line", "asked", "corners"),
    [
        ("pixels", [], True),
        ("contour", [], False),
        ("pixels", ["--outline", "contour"], False),
        ("contour", ["--outline", "pixels"], True),
    ],
)
def test_segment_draws_a_projects_objects_as_the_project_does(
    disk: Disk, tmp_path: Path, line: str, asked: list[str], corners: bool
) -> None:
    path, out = tmp_path / "project.gpkg", tmp_path / "out.gpkg"
    saved(disk, path, outline=geoiseg.OutlineOptions(line=line))
    done = CliRunner().invoke(cli, ["segment", str(disk.path), str(path), str(out), *asked])
    assert done.exit_code == 0, done.output
    assert on_corners(read_frame(out).geometry.iloc[0], disk) == corners


def test_a_damaged_project_is_named_in_one_line(disk: Disk, tmp_path: Path) -> None:
    path = tmp_path / "project.gpkg"
    saved(disk, path)
    set_outline(path, lambda _: {"line": "wavy"})
    with pytest.raises(geoiseg.errors.ProjectError, match=r"damaged.*'wavy'"):
        line_of_project(path)
    (tmp_path / "points.geojson").write_text("{}")
    assert line_of_project(tmp_path / "points.geojson") is None
