"""Maps take what was encoded before: by ``geoiseg embed --for-map``, or by another map."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from click.testing import CliRunner

import geoiseg
from geoiseg.cli.main import cli
from geoiseg.demo.scene import make_scene
from geoiseg.errors import PromptError
from geoiseg.models.tiny.model import TinyModel
from geoiseg.segment.embeddings import default_store
from geoiseg.tiled import AutomaticOptions, MapOptions
from geoiseg.tiled.encode import EmbedOptions, embed_raster
from tests.flood_model import FloodModel
from tests.mosaic import TRANSFORM, Mosaic, write_mosaic

OPTIONS = MapOptions(tile=256, window=128, overlap=32, min_area=1,
                     automatic=AutomaticOptions(spacing=8, scales=(4, 2, 1)))  # fmt: skip


@pytest.fixture
def small(tmp_path) -> Mosaic:
    truth = np.zeros((300, 300), np.int32)
    for number, (row, col) in enumerate(np.ndindex(5, 5), start=1):
        truth[row * 60 + 4 : row * 60 + 40, col * 60 + 4 : col * 60 + 50] = number
    return write_mosaic(tmp_path / "small.tif", truth)


def seen(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0


def entries() -> int:
    return sum(source.entries for source in default_store().usage())


def same(one: Path, other: Path) -> bool:
    first, second = gpd.read_file(one), gpd.read_file(other)
    alike = first.drop(columns="geometry").equals(second.drop(columns="geometry"))
    return alike and bool(first.normalize().geom_equals(second.normalize()).all())


@pytest.mark.parametrize("how", ["plain", "area", "coarse", "processes"])
def test_after_encoding_ahead_a_map_encodes_nothing(small, tmp_path, how):
    options, log, workers = OPTIONS, tmp_path / "log", None
    if how == "area":
        left, top = TRANSFORM @ (20, 20)
        right, bottom = TRANSFORM @ (150, 280)
        options = replace(options, aoi=shapely.box(left, bottom, right, top))
    elif how == "coarse":
        options = replace(options, gsd=2 * abs(TRANSFORM.a))
    elif how == "processes":
        workers = 2
    plain, out = tmp_path / "plain.gpkg", tmp_path / "out.gpkg"
    geoiseg.segment_raster(small.path, plain, model=FloodModel(0, log), options=options)
    without = seen(log)
    assert without > 3
    assert entries() == 0  # nothing is kept unasked
    summary = embed_raster(small.path, FloodModel(), EmbedOptions(for_map=options))
    assert summary.made == summary.chips > 2
    assert entries() == summary.made
    log.unlink()
    report = geoiseg.segment_raster(
        small.path, out, model=FloodModel(0, log), options=options, workers=workers
    )
    assert report.complete
    assert seen(log) == 0
    assert same(plain, out)


def test_a_map_keeps_what_it_encodes_when_told(small, tmp_path):
    log = tmp_path / "log"
    keeping = replace(OPTIONS, keep_embeddings=True)
    geoiseg.segment_raster(
        small.path, tmp_path / "a.gpkg", model=FloodModel(0, log), options=keeping
    )
    assert seen(log) == entries() > 0
    log.unlink()
    geoiseg.segment_raster(
        small.path, tmp_path / "b.gpkg", model=FloodModel(0, log), options=OPTIONS
    )
    assert seen(log) == 0
    assert same(tmp_path / "a.gpkg", tmp_path / "b.gpkg")


def test_workers_share_what_they_encode(small, tmp_path, monkeypatch):
    log, team = tmp_path / "log", tmp_path / "team"
    monkeypatch.setenv("GEOISEG_SHARED_EMBEDDINGS", team.as_uri())
    geoiseg.segment_raster(
        small.path, tmp_path / "a.gpkg", model=FloodModel(), workers=2,
        options=replace(OPTIONS, keep_embeddings=True),
    )  # fmt: skip
    monkeypatch.setenv("GEOISEG_HOME", str(tmp_path / "another"))
    geoiseg.segment_raster(
        small.path, tmp_path / "b.gpkg", model=FloodModel(0, log), options=OPTIONS
    )
    assert seen(log) == 0
    assert same(tmp_path / "a.gpkg", tmp_path / "b.gpkg")


def test_other_windows_or_weights_are_encoded(small, tmp_path):
    log = tmp_path / "log"
    embed_raster(small.path, FloodModel(), EmbedOptions(for_map=OPTIONS))
    other = replace(OPTIONS, overlap=64)
    geoiseg.segment_raster(small.path, tmp_path / "a.gpkg", model=FloodModel(0, log), options=other)
    assert seen(log) > 0
    log.unlink()
    newer = FloodModel(0, log)
    newer.info = replace(newer.info, weights_hash="2")
    geoiseg.segment_raster(small.path, tmp_path / "b.gpkg", model=newer, options=OPTIONS)
    assert seen(log) > 0


def test_a_wrong_store_does_not_fail_a_map(small, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("GEOISEG_SHARED_EMBEDDINGS", "nothing://there")
    report = geoiseg.segment_raster(
        small.path, tmp_path / "a.gpkg", model=FloodModel(), options=OPTIONS
    )
    assert report.complete
    assert "going on without kept embeddings" in caplog.text


def test_a_map_and_clicks_do_not_mix():
    for wrong in ({"levels": (0,)}, {"gsd": 2.0}, {"overlap": False}):
        with pytest.raises(PromptError, match="MapOptions"):
            EmbedOptions(for_map=MapOptions(), **wrong)


def test_the_commands_agree_on_the_windows(tmp_path, monkeypatch):
    scene = tmp_path / "scene.tif"
    make_scene(scene, 700)
    runner = CliRunner()
    made = runner.invoke(cli, ["embed", str(scene), "--for-map", "--yes"])
    assert made.exit_code == 0, made.output
    assert entries() > 0

    def never(*_: object) -> None:
        raise AssertionError("something was encoded")

    monkeypatch.setattr(TinyModel, "embed", never)
    done = runner.invoke(cli, ["map", str(scene), str(tmp_path / "out.gpkg")])
    assert done.exit_code == 0, done.output
    assert len(gpd.read_file(tmp_path / "out.gpkg")) > 3
    wrong = runner.invoke(cli, ["embed", str(scene), "--for-map", "--level", "0"])
    assert wrong.exit_code == 2
