"""Water and trees as objects: one as far as they hang together, but for clear outlines."""

from __future__ import annotations

import cv2
import geopandas as gpd
import numpy as np
import pytest
import shapely
from click.testing import CliRunner

from geoiseg.cli.main import cli
from geoiseg.demo.scene import make_scene
from geoiseg.words.embedded import SHAPES
from geoiseg.words.objects import find_objects, find_parted

SIDE = 160
EVERYWHERE = np.ones((SIDE, SIDE), bool)


def planes() -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((SIDE, SIDE), np.float32), np.zeros((SIDE, SIDE), np.float32)


def test_two_ponds_with_a_dam_between_are_two():
    likely, border = planes()
    likely[20:140, 20:140] = 0.95
    likely[20:140, 78:82], border[20:140, 77:83] = 0.6, 0.8  # thinner than the network is sure of
    blob, _ = find_objects(likely, EVERYWHERE, SHAPES["water"])
    assert blob.max() == 1
    labels, scores = find_parted(likely, border, EVERYWHERE, SHAPES["water"])
    assert len(scores) == 2
    assert len(set(labels[24:136, 24:76].ravel())) == len(set(labels[24:136, 85:136].ravel())) == 1
    assert labels[80, 40] != labels[80, 120]
    assert (labels > 0).sum() == (blob > 0).sum()  # no gap where the dam was


def test_a_lake_that_varies_and_a_narrow_river_stay_one():
    likely, border = planes()
    likely[20:140, 20:140] = 0.95
    border[20:140, 78:82] = 0.9  # a front of mud: surely water on both sides of it and on it
    labels, _ = find_parted(likely, border, EVERYWHERE, SHAPES["water"])
    assert labels.max() == 1
    likely, border = planes()
    likely[70:78], border[66:82] = 0.7, 0.8  # all of it lies on outlines
    likely[70:78, 60:66] = 0.5
    labels, _ = find_parted(likely, border, EVERYWHERE, SHAPES["water"])
    assert labels.max() == 1
    assert (labels[71:77] == 1).all()


def test_a_crown_on_a_lawn_is_a_tree_of_its_own():
    likely, border = planes()
    likely[:] = 0.9
    ring = np.zeros((SIDE, SIDE), np.uint8)
    cv2.circle(ring, (80, 80), 20, 1, 5)
    border[ring > 0] = 0.7
    border[98:104, 79:81] = 0  # the outline does not quite close
    labels, _ = find_parted(likely, border, EVERYWHERE, SHAPES["vegetation"])
    crown = labels[80, 80]
    assert crown != labels[10, 10]
    assert (labels == crown).sum() == pytest.approx(np.pi * 20**2, rel=0.25)
    assert (labels > 0).all()


def test_the_command_maps_words_as_objects(tmp_path):
    scene = make_scene(tmp_path / "in.tif", 448)
    for word in ("water", "tree"):
        out = tmp_path / f"{word}.gpkg"
        given = ["map", str(scene.path), str(out), "--text", word, "--threshold", "0.4"]
        done = CliRunner().invoke(cli, given)
        assert done.exit_code == 0, done.output
        found = gpd.read_file(out)
        assert set(found["label"]) == set(found["words"]) == {word}
        assert len(found) >= 2
        assert found.geometry.is_valid.all()
        area = shapely.area(shapely.union_all(found.geometry.to_numpy()))
        assert area == pytest.approx(found.area.sum())  # none lies on another
