"""Holes, parts and width of accepted features change without a model, and come back."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine

import geoiseg
from geoiseg.errors import PromptError, SessionError
from geoiseg.models import get_model
from geoiseg.outline import reshape
from geoiseg.outline.reshaping import QUADRANT
from geoiseg.raster import Grid, measure
from tests.conftest import Disk


class Counted:
    """A model that says how often it was asked."""

    def __init__(self) -> None:
        self.model, self.asked = get_model("grabcut"), 0
        self.info = self.model.info

    def embed(self, image, valid):
        return self.model.embed(image, valid)

    def decode(self, embedding, prompts, previous=None):
        self.asked += 1
        return self.model.decode(embedding, prompts, previous)


def test_accepted_features_grow_shrink_and_come_back_unasked(disk: Disk) -> None:
    model = Counted()
    session = geoiseg.Session(disk.path, model)
    session.add_point(*disk.centre)
    session.accept("disk")
    asked, drawn = model.asked, session.accepted[0].geometry
    assert session.reshape(True, grow=6) == 1
    grown = session.accepted[0].geometry
    assert grown.area == pytest.approx(drawn.buffer(6, QUADRANT).area, rel=1e-3)
    assert session.reshape(True, grow=-6) == 1
    assert session.accepted[0].geometry.area == pytest.approx(
        drawn.buffer(-6, QUADRANT).area, rel=1e-3
    )
    assert session.reshape(True, grow=0) == 1
    assert session.accepted[0].geometry.equals(drawn)
    assert session.reshape(True, grow=0) == 0
    assert model.asked == asked
    session.undo()
    assert session.accepted[0].geometry.area == pytest.approx(
        drawn.buffer(-6, QUADRANT).area, rel=1e-3
    )
    session.undo()
    assert session.accepted[0].geometry.equals(grown)
    assert session.options.grow == 6


def test_what_was_accepted_grown_is_not_grown_twice(disk: Disk, tmp_path: Path) -> None:
    path = tmp_path / "kept.gpkg"
    session = geoiseg.Session(disk.path, "grabcut", project=path)
    session.add_point(*disk.centre)
    plain = session.geometry
    session.options = geoiseg.OutlineOptions(grow=4)
    session.accept("disk")
    again = geoiseg.Session.load(path)  # what was drawn is in the file
    again.reshape(True, grow=8)
    grown = again.accepted[0].geometry
    assert grown.area == pytest.approx(plain.buffer(8, QUADRANT).area, rel=1e-3)
    again.reshape(True, grow=0)
    assert again.accepted[0].geometry.equals(plain)


def test_what_another_program_changed_is_taken_as_it_is(disk: Disk, tmp_path: Path) -> None:
    path = tmp_path / "kept.gpkg"
    session = geoiseg.Session(disk.path, "grabcut", project=path)
    session.add_point(*disk.centre)
    session.accept("disk")
    session.reshape(True, grow=4)
    edited = shapely.Point(disk.centre).buffer(30)
    rows = gpd.read_file(path, layer="features")
    rows.geometry = [edited]
    rows.to_file(path, layer="features", driver="GPKG")
    again = geoiseg.Session.load(path)
    again.reshape(True, grow=0)
    assert again.accepted[0].geometry.area == pytest.approx(edited.area)


def test_features_from_elsewhere_change_only_when_named(disk: Disk) -> None:
    session = geoiseg.Session(disk.path, "grabcut")
    x, y = disk.centre
    ring = shapely.Point(x, y).buffer(60).difference(shapely.Point(x, y).buffer(10))
    islet = shapely.box(x + 80, y, x + 86, y + 6)
    frame = gpd.GeoDataFrame(geometry=[shapely.union(ring, islet)], crs=session.features.crs)
    (number,) = session.add_features(frame)
    assert session.reshape(True, holes=500, parts=100) == 0
    assert session.reshape([number]) == 1
    shape = session.accepted[0].geometry
    assert shape.area == pytest.approx(shapely.Point(x, y).buffer(60).area)
    with pytest.raises(SessionError, match="no feature 9"):
        session.reshape([9], holes=1)


def test_what_can_not_be_changes_nothing(disk: Disk) -> None:
    session = geoiseg.Session(disk.path, "grabcut")
    session.add_point(*disk.centre)
    session.accept("disk")
    before = session.accepted
    with pytest.raises(SessionError, match="nothing would be left of feature 1"):
        session.reshape(True, grow=-5000)
    with pytest.raises(PromptError, match="holes is 0 or more"):
        session.reshape(True, holes=-1)
    assert session.accepted == before
    assert session.options == geoiseg.OutlineOptions()


def test_metres_are_metres_far_up_north() -> None:
    step = 1e-4
    grid = Grid("EPSG:4326", Affine(step, 0, 20.0, 0, -step, 70.0), (400, 400))
    box = shapely.box(20.01, 69.98, 20.02, 69.985)
    area, perimeter = measure(box, grid.crs)
    grown, _ = measure(reshape(box, grid, grow=10), grid.crs)
    assert grown - area == pytest.approx(perimeter * 10 + np.pi * 100, rel=0.02)
