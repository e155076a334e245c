"""Maps by dense heads: one look at each window, objects over many windows, whatever the tiles."""

from __future__ import annotations

import cv2
import geopandas as gpd
import numpy as np
import pytest
import shapely
from click.testing import CliRunner

import geoiseg
from geoiseg.cli.main import cli
from geoiseg.errors import PromptError
from geoiseg.models import DenseMaps, DenseModel, ModelInfo, get_model
from geoiseg.raster import Window
from geoiseg.tiled import AutomaticOptions, MapOptions
from geoiseg.tiled.candidates import Placement
from geoiseg.tiled.dense import cells_of, in_parts
from geoiseg.tiled.doubt import asked_again, expected
from geoiseg.tiled.sighted import Sighted
from tests.flood_model import FloodModel
from tests.mosaic import PIXEL, Mosaic, write_mosaic

CELL = 4
FEW = {"window": 128, "overlap": 32}


class DenseFlood(FloodModel):
    """Says besides, by cells of four pixels, where objects and their outlines are."""

    def __init__(self, **given: object) -> None:
        super().__init__(**given)
        self.info = ModelInfo("flood", "classic", "Apache-2.0", "", 256, "1", dense=True)

    def dense(self, embedding):
        parts = embedding.arrays["parts"].astype(np.float32)
        around = np.ones((3, 3), np.uint8)
        edge = cv2.dilate(parts, around) != cv2.erode(parts, around)
        rows, columns = (-(-side // CELL) for side in parts.shape)
        border, inside = (
            np.pad(plane, ((0, rows * CELL - parts.shape[0]), (0, columns * CELL - parts.shape[1])))
            .reshape(rows, CELL, columns, CELL)
            .any(axis=(1, 3))
            .astype(np.float32)
            for plane in (edge, parts > 0)
        )
        return DenseMaps(inside, border, {"field": inside}, CELL)


@pytest.fixture
def fields(tmp_path) -> Mosaic:
    """Nine windows with fields, and one field across them all."""
    truth = np.zeros((300, 300), np.int32)
    for number, (row, col) in enumerate(np.ndindex(5, 5), start=1):
        truth[row * 60 + 4 : row * 60 + 52, col * 60 + 4 : col * 60 + 50] = number
    truth[:, 130:170] = 99
    truth[:, 120:130] = truth[:, 170:180] = 0
    for number in range(5):  # what is left of the middle column would be slivers
        truth[number * 60 : number * 60 + 60, 124:130] = 0
    return write_mosaic(tmp_path / "fields.tif", truth)


def test_every_object_comes_out_once_whatever_the_tiles(fields, tmp_path):
    results = []
    for tile in (128, 256):
        out = tmp_path / f"{tile}.gpkg"
        told = geoiseg.segment_raster(
            fields.path, out, model=DenseFlood(), options=MapOptions(tile=tile, **FEW)
        )
        assert told.windows == 9
        results.append(gpd.read_file(out))
    one, other = results
    assert one.drop(columns="geometry").equals(other.drop(columns="geometry"))
    assert one.normalize().geom_equals(other.normalize()).all()
    numbers = np.unique(fields.truth)[1:]
    assert len(one) == len(numbers)
    wanted = sorted(fields.area(number) for number in numbers)
    assert sorted(one.area) == pytest.approx(wanted, rel=0.1)
    assert one.area.max() == pytest.approx(300 * 40 * PIXEL, rel=0.05)
    assert one["pieces"].max() >= 3


def test_each_window_is_looked_at_once_at_each_reduction(fields, tmp_path):
    log = tmp_path / "log"
    options = MapOptions(**FEW)
    geoiseg.segment_raster(
        fields.path, tmp_path / "out.gpkg", model=DenseFlood(log=log), options=options
    )
    assert log.stat().st_size == 27


def test_the_model_and_what_is_said_of_the_lattice_decide_the_mode():
    dense, other = DenseFlood().info, FloodModel().info
    assert type(MapOptions().finding(dense)).__name__ == "DenseOptions"
    assert MapOptions(automatic={"min_score": 0.7}).finding(dense).min_score == 0.7
    assert isinstance(MapOptions().finding(other), AutomaticOptions)
    for given in ({"spacing": 16}, AutomaticOptions(spacing=16)):
        assert MapOptions(automatic=given).finding(dense).spacing == 16
        with pytest.raises(PromptError, match="of the lattice of points"):
            MapOptions(automatic=given, mode="fast").finding(dense)
    assert isinstance(MapOptions(mode="lattice").finding(dense), AutomaticOptions)
    with pytest.raises(PromptError, match="flood has no dense heads"):
        MapOptions(mode="best").finding(other)
    with pytest.raises(PromptError, match="the mode is lattice, fast, best"):
        MapOptions(mode="slow")
    assert MapOptions().side_for(dense) == 2048
    assert MapOptions(mode="best").side_for(dense) == 2048
    assert MapOptions().side_for(other) == 256
    assert MapOptions(window=512).side_for(dense) == 512


def test_the_models_that_ship_say_what_they_are():
    tiny, first = get_model("tiny"), get_model("tiny-1")
    assert isinstance(tiny, DenseModel)
    assert tiny.info.dense
    assert not first.info.dense
    picture = np.zeros((50, 70, 3), np.uint8)
    picture[10:40, 20:60] = (200, 90, 60)
    seen = np.ones((50, 70), bool)
    maps = tiny.dense(tiny.embed(picture, seen))
    planes = [maps.interior, maps.border, *maps.classes.values()]
    assert {plane.shape for plane in planes} == {(13, 18)}
    assert all(0 <= plane.min() <= plane.max() <= 1 for plane in planes)
    assert list(maps.classes)[:4] == ["water", "building", "road", "field"]
    with pytest.raises(geoiseg.GeoisegError, match="has no dense heads"):
        first.dense(first.embed(picture, seen))


def test_the_command_says_why_a_mode_does_not_go(fields, tmp_path):
    out = str(tmp_path / "out.gpkg")
    given = ["map", str(fields.path), out, "-m", "tiny-1"]
    assert CliRunner().invoke(cli, [*given, "--mode", "slow"]).exit_code == 2
    wrong = CliRunner().invoke(cli, [*given, "--mode", "fast"])
    assert wrong.exit_code == 1
    assert "no dense heads" in str(wrong.exception) + wrong.output


def test_cells_without_data_are_no_ground():
    valid = np.ones((10, 9), bool)
    valid[:4, :2] = False
    valid[8:] = False
    share = cells_of(valid, (3, 3), 4)
    assert share[0].tolist() == [0.5, 1, 1]
    assert share[1].tolist() == [1, 1, 1]
    assert not share[2].any()


def test_parts_of_an_object_are_objects_and_crumbs_are_none():
    labels = np.zeros((20, 30), np.int32)
    labels[2:8, 2:12] = 2
    labels[12:18, 2:12] = 2
    labels[10, 5] = 2  # a crumb of it
    labels[5, 20] = 1  # too small
    labels[0, 20] = 1  # as small, but it may go on
    found, scores = in_parts(labels, np.array([0.5, 0.8]), 4)
    assert scores.tolist() == [0.5, 0.8, 0.8]
    assert np.bincount(found.ravel()).tolist() == [600 - 121, 1, 60, 60]


def test_what_is_in_doubt_is_asked_for_and_what_is_not_stays():
    truth = np.zeros((100, 120), np.int32)
    truth[10:40, 10:110] = 1
    truth[50:90, 10:110] = 2
    picture = np.stack([truth * 90] * 3, axis=-1).astype(np.uint8)
    regions = np.zeros_like(truth)
    regions[12:38, 12:50], regions[12:38, 60:100] = 1, 2  # two halves of the first, in doubt
    regions[52:70, 12:108] = 3  # a part of the second, and sure of it
    model, allowed = FloodModel(), np.ones(truth.shape, bool)
    embedding, place = model.embed(picture, allowed), Placement((1.0, 1.0), (0.0, 0.0))
    seen = Sighted(embedding, truth.shape, place, Window(0, 0, *truth.shape))
    scores = np.array([0.3, 0.5, 0.9])
    nowhere = np.zeros_like(allowed)
    labels, found = asked_again(model, [seen], (regions, scores), (allowed, nowhere), (0.35, 64))
    assert len(found) == 2
    assert sorted(found) == pytest.approx([expected(0.9), 0.9])
    assert len(set(labels[truth == 1])) == 1
    assert (labels[12:38, 12:108] > 0).all()
    assert not labels[75:, :].any()
    assert (labels[52:70, 12:108] == labels[60, 60]).all()


def test_the_report_says_how_good_a_map_is(fields, tmp_path):
    raster, out, labels = (tmp_path / name for name in ("fields.tif", "out.gpkg", "labels.gpkg"))
    told = geoiseg.segment_raster(raster, out, model=DenseFlood(), options=MapOptions(**FEW))
    assert told.quality is None
    assert "labels" not in told.text()
    mapped = gpd.read_file(out).to_crs("EPSG:4326")
    mapped.iloc[:-2].to_file(labels)
    options = MapOptions(labels=labels, **FEW)
    told = geoiseg.segment_raster(raster, tmp_path / "2.gpkg", model=DenseFlood(), options=options)
    assert (told.quality.labels, told.quality.judged) == (len(mapped) - 2,) * 2
    assert told.to_dict()["quality"]["f1"] == 1
    assert f"by {len(mapped) - 2} labels: precision 1.00, recall 1.00" in told.text()
    gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], crs="EPSG:32631").to_file(labels)
    with pytest.raises(PromptError, match="is its CRS right"):
        geoiseg.segment_raster(raster, tmp_path / "3.gpkg", model=DenseFlood(), options=options)


def test_best_maps_as_seamlessly_as_fast(fields, tmp_path):
    results = []
    for mode in ("fast", "best"):
        out = tmp_path / f"{mode}.gpkg"
        geoiseg.segment_raster(
            fields.path, out, model=DenseFlood(), options=MapOptions(mode=mode, **FEW)
        )
        results.append(gpd.read_file(out))
    fast, best = results
    assert len(best) == len(fast) == len(np.unique(fields.truth)) - 1
    assert best.area.max() == pytest.approx(300 * 40 * PIXEL, rel=0.05)
