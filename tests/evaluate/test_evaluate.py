"""Evaluation through a session: IoU on the object's own grid, whatever the session's level."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine

from geoiseg.cli import main
from geoiseg.errors import PromptError
from geoiseg.evaluate.dataset import scenes
from geoiseg.evaluate.protocol import EvaluationOptions, evaluate_object, noc, on_grid
from geoiseg.evaluate.summary import summarise
from geoiseg.models.protocol import Embedding, Masks, ModelInfo
from geoiseg.raster.grid import Grid
from geoiseg.segment.masks import Mask
from tests.conftest import disk_pixels, write_raster


class Bright:
    """Bright is object: right on the disk scene after one click."""

    info = ModelInfo("bright", "test", "Apache-2.0", "bright pixels", 256, "1")

    def embed(self, image, valid) -> Embedding:
        return Embedding("bright", valid.shape, {"l": image[..., 0].astype(np.float32) - 115})

    def decode(self, embedding, prompts, previous=None) -> Masks:
        return Masks(embedding.arrays["l"][None], np.array([0.9], np.float32))


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "plates_1"
    folder.mkdir()
    pixels, truth = disk_pixels(300)
    write_raster(folder / "image.tif", pixels)
    transform = Affine(2, 0, 500_000, 0, -2, 4_500_000)
    centre = shapely.Point(transform @ (150, 135))
    frame = gpd.GeoDataFrame(geometry=[centre.buffer(120)], crs="EPSG:32631").to_crs("EPSG:4326")
    frame.to_file(folder / "labels.geojson")
    assert truth.sum() == pytest.approx(np.pi * 60**2, rel=0.01)
    return tmp_path


def test_a_good_model_needs_one_click(dataset: Path) -> None:
    (scene,) = scenes(dataset)
    (item,) = scene.objects
    score = evaluate_object(scene.raster, item, Bright(), EvaluationOptions())
    assert item.family == "plates"
    assert noc(score, 0.85) == 1
    assert score.ious[0] > 0.95
    assert len(score.ious) == 20
    assert score.box_iou > 0.95
    assert score.boundary_iou > 0.9
    assert score.boundary_metres[0] < 2
    assert score.pixels == pytest.approx(np.pi * 60**2, rel=0.02)


def test_a_mask_beyond_the_compared_grid_is_wrong_all_the_same(tmp_path: Path) -> None:
    """A small object, and a model that calls the whole chip object."""

    class All(Bright):
        def decode(self, embedding, prompts, previous=None) -> Masks:
            return Masks(np.ones((1, *embedding.shape), np.float32), np.ones(1, np.float32))

    pixels, _ = disk_pixels(512)
    raster = write_raster(tmp_path / "a.tif", pixels)
    box = shapely.box(500_500, 4_499_440, 500_540, 4_499_480)
    gpd.GeoDataFrame(geometry=[box], crs="EPSG:32631").to_file(tmp_path / "l.gpkg")
    (scene,) = scenes(raster, tmp_path / "l.gpkg")
    score = evaluate_object(scene.raster, scene.objects[0], All(), EvaluationOptions(5, gsd=2))
    assert score.ious[0] == pytest.approx(20 * 20 / 256**2, rel=0.05)


def test_masks_are_sampled_at_pixel_centres() -> None:
    coarse = Grid("EPSG:32631", Affine(4, 0, 0, 0, -4, 0), (2, 2))
    mask = Mask(np.array([[True, False], [False, True]]), coarse)
    fine = Grid("EPSG:32631", Affine(2, 0, -2, 0, -2, 2), (6, 6))
    expected = np.zeros((6, 6), bool)
    expected[1:3, 1:3] = expected[3:5, 3:5] = True
    np.testing.assert_array_equal(on_grid(mask, fine), expected)


def test_intervals_hold_the_mean_and_groups_add_up(dataset: Path) -> None:
    (scene,) = scenes(dataset)
    score = evaluate_object(scene.raster, scene.objects[0], Bright(), EvaluationOptions())
    from dataclasses import replace

    bad = replace(score, ious=(0.1,) * 20, family="other", pixels=100)
    rows = {row.group: row for row in summarise([score, score, bad])}
    assert set(rows) == {"all", "plates", "other", "small", "large"}
    overall = rows["all"].measures["noc85"]
    assert overall.value == pytest.approx((1 + 1 + 20) / 3)
    assert overall.low <= overall.value <= overall.high
    assert rows["all"].measures["failed85"].value == pytest.approx(1 / 3)
    assert rows["other"].measures["iou5"].value == pytest.approx(0.1)


def test_the_command_reports(dataset: Path, capsys) -> None:
    page = dataset / "report.html"
    main(
        [
            "evaluate",
            str(dataset),
            "-m",
            "grabcut",
            "--clicks",
            "5",
            "--json",
            "--report",
            str(page),
        ]
    )
    document = json.loads(capsys.readouterr().out)
    assert document["model"] == "grabcut"
    assert document["groups"][0]["objects"] == 1
    assert document["groups"][0]["iou1"]["value"] > 0.5
    html = page.read_text()
    assert "<polyline" in html
    assert "NoC@85" in html


def test_a_folder_without_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match="no labelled scene"):
        list(scenes(tmp_path))


@pytest.mark.parametrize("user", ["centre", "realistic"])
def test_either_user_is_asked_and_named(dataset: Path, capsys, user: str, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    command = [
        "evaluate",
        str(dataset),
        "--model",
        "region-growing",
        "--user",
        user,
        "--clicks",
        "4",
    ]
    texts = []
    for _ in range(2):
        main([*command, "--json", "--report", str(report)])
        texts.append(json.loads(capsys.readouterr().out))
    assert texts[0]["user"] == user
    figures = [
        {k: v for k, v in group.items() if not k.endswith("ms")}
        for text in texts for group in text["groups"]
    ]  # fmt: skip
    assert figures[0] == figures[len(figures) // 2]
    assert ("wrongly" in report.read_text()) is (user == "realistic")


def test_a_realistic_user_draws_boxes_a_little_off(dataset: Path) -> None:
    (scene,) = scenes(dataset)
    drawn = [
        evaluate_object(scene.raster, scene.objects[0], Boxed(), EvaluationOptions(1, user=user))
        for user in ("centre", "realistic")
    ]
    assert drawn[0].box_iou == pytest.approx(np.pi / 4, abs=0.02)
    assert 0.6 < drawn[1].box_iou < 0.9
    assert drawn[1].box_iou != drawn[0].box_iou


class Boxed(Bright):
    """What lies in the box is object."""

    def decode(self, embedding, prompts, previous=None) -> Masks:
        logits = np.full(embedding.arrays["l"].shape, -9, np.float32)
        if prompts.box is not None:
            x0, y0, x1, y1 = (max(0, round(side)) for side in prompts.box)
            logits[y0:y1, x0:x1] = 9
        return Masks(logits[None], np.array([0.9], np.float32))


@pytest.mark.parametrize("user", ["centre", "realistic"])
def test_borders_are_followed_instead(dataset: Path, capsys, user: str) -> None:
    main(["evaluate", str(dataset), "--border", "pixel", "--clicks", "6", "--user", user, "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["model"] == "live-wire:pixel"
    every = told["groups"][0]
    assert every["iou1"]["value"] == 0  # nothing is enclosed by one click
    assert every["iou3"]["value"] > (0.9 if user == "centre" else 0.7)
    assert every["iou5"]["value"] > 0.85
    assert every["box_iou"]["value"] is None
    assert every["boundary_m"]["value"] < 12
    with pytest.raises(SystemExit):
        main(["evaluate", str(dataset), "--dataset", "sbd", "--border", "pixel"])
    for given in (["--model", "tiny"], ["--gsd", "2"], ["--augment", "flip"], ["--device", "cpu"]):
        with pytest.raises(SystemExit) as ended:
            main(["evaluate", str(dataset), "--border", "pixel", *given])
        assert ended.value.code == 2
        assert f"{given[0]} says nothing of borders" in capsys.readouterr().err
