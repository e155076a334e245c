"""One Dask worker per card, planned and started without one."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import geoiseg
from geoiseg.errors import ModelError
from geoiseg.models import registry
from geoiseg.models.options import ModelOptions
from geoiseg.tiled import AutomaticOptions, MapOptions
from geoiseg.tiled.cluster import WorkerPlan, plan_workers, visible_cards
from geoiseg.tiled.drivers import choose_driver
from geoiseg.tiled.worker import StandIn
from tests.conftest import needed
from tests.flood_model import FloodModel
from tests.mosaic import write_mosaic


def card(name: str) -> WorkerPlan:
    return WorkerPlan({"CUDA_VISIBLE_DEVICES": name}, {"GPU": 1})


def test_each_worker_has_a_card_of_its_own():
    assert plan_workers("cuda", None, ("0", "1", "3")) == [card("0"), card("1"), card("3")]
    assert plan_workers("cuda", 2, ("0", "1", "3")) == [card("0"), card("1")]
    assert plan_workers("cuda", 8, ("GPU-ab",)) == [card("GPU-ab")]
    assert plan_workers("cuda:1", 4, ("0", "1")) == [WorkerPlan({}, {"GPU": 1})]
    assert plan_workers("cpu", 3, ("0",)) == [WorkerPlan()] * 3
    assert len(plan_workers("auto", None, ())) == os.cpu_count()


@pytest.mark.parametrize(
    ("device", "cards"), [("cuda", ()), ("cuda:2", ("0", "1")), ("cuda:x", ("0",))]
)
def test_a_card_that_is_not_there_is_one_line(device, cards):
    with pytest.raises(ModelError, match=rf"'{device}' is not there: this machine has \d cards"):
        plan_workers(device, None, cards)


@pytest.mark.parametrize(
    ("value", "cards"),
    [("0,2", ("0", "2")), ("", ()), ("-1", ()), ("0,-1,2", ("0",)), (" GPU-a , 1", ("GPU-a", "1"))],
)
def test_cards_are_those_that_cuda_may_see(value, cards):
    assert visible_cards({"CUDA_VISIBLE_DEVICES": value}) == cards


class Noting(FloodModel):
    """Notes which card its process may see."""

    def embed(self, image, valid):
        self.log.with_name(f"card{os.environ.get('CUDA_VISIBLE_DEVICES')}").touch()
        return super().embed(image, valid)


def test_a_cluster_of_ones_own_uses_all_cards(tmp_path: Path, monkeypatch):
    needed("distributed")
    truth = np.zeros((300, 300), np.int32)
    for number, (row, col) in enumerate(np.ndindex(5, 5), start=1):
        truth[row * 60 + 4 : row * 60 + 40, col * 60 + 4 : col * 60 + 50] = number
    small = write_mosaic(tmp_path / "small.tif", truth)
    options = MapOptions(tile=128, window=128, overlap=32, min_area=1,
                         automatic=AutomaticOptions(spacing=8, scales=(1,)))  # fmt: skip
    plain = geoiseg.segment_raster(
        small.path, tmp_path / "plain.gpkg", model=FloodModel(), options=options
    )
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    report = geoiseg.segment_raster(
        small.path, tmp_path / "out.gpkg", model=Noting(0.05, tmp_path / "log"),
        options=replace(options, running=ModelOptions(device="cuda")), scheduler="dask",
    )  # fmt: skip
    assert report.complete
    assert report.objects == plain.objects
    assert sorted(path.name for path in tmp_path.glob("card*")) == ["card5", "card7"]


def test_the_head_asks_a_worker_about_the_model(monkeypatch):
    needed("distributed")
    monkeypatch.setattr(registry, "_loaded", {})
    driver, _ = choose_driver("dask", 1)
    with driver:
        info = driver.describe("tiny", ModelOptions())
        with pytest.raises(ModelError, match="no choice of device"):
            driver.describe("tiny", ModelOptions(device="cuda"))
    assert registry._loaded == {}
    assert info == registry.get_model("tiny").info
    with pytest.raises(ModelError, match="in the workers alone"):
        StandIn(info).embed(np.zeros((8, 8, 3), np.uint8), np.ones((8, 8), bool))
