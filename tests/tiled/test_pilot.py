"""Reductions of a large raster, chosen by a few places of it: what small and large objects ask
for, and one choice for all of a run."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from click.testing import CliRunner

import geoiseg
from geoiseg.cli.main import cli
from geoiseg.errors import CancelledError, LedgerError, ModelError, PromptError
from geoiseg.tiled import MapOptions, ledger_path, pilot, worker
from geoiseg.tiled.cluster import plan_workers
from geoiseg.tiled.drivers import Dask, Serial
from geoiseg.tiled.pilot import Place, chosen, places_for
from geoiseg.tiled.prepare import prepared
from geoiseg.tiled.run import _decided
from geoiseg.tiled.scales import Objects
from tests.mosaic import cut_off, write_mosaic
from tests.tiled.test_dense import FEW, DenseFlood


def objects(side: int, *scores: float) -> Objects:
    """Squares of so many cells a side, in a row."""
    labels = np.zeros((side, side * max(1, len(scores))), np.int32)
    for number in range(len(scores)):
        labels[:, number * side : (number + 1) * side] = number + 1
    return Objects(labels, np.array(scores))


def test_what_only_the_closest_look_finds_keeps_it():
    near = objects(8, *[0.6] * 10)
    none = Objects(np.zeros_like(near.labels), np.zeros(0))
    choice = chosen([Place({4: none, 2: none, 1: near}, 1)], (4, 2, 1))
    assert choice.scales == (1,)
    assert "without 1, 0% of the objects are expected" in choice.text()


def test_large_objects_that_half_the_resolution_tells_need_no_closer_look():
    half, quarter = objects(64, 0.8, 0.8), objects(64, 0.5, 0.5)
    choice = chosen([Place({4: quarter, 2: half, 1: half}, 1)], (4, 2, 1))
    assert choice.scales == (2,)


def test_a_look_from_afar_stays_where_it_makes_wholes_of_parts():
    parts = np.kron(np.arange(1, 17).reshape(4, 4), np.ones((16, 16), np.int32)).astype(np.int32)
    whole = np.ones_like(parts)
    near, far = Objects(parts, np.full(16, 0.4)), Objects(whole, np.array([0.8]))
    assert chosen([Place({2: far, 1: near}, 1)], (2, 1)).scales == (2,)
    # Beside it lie small ones that only the closer look finds.
    near = Objects(np.concatenate([parts, parts + 16]), np.repeat([0.4, 0.6], 16))
    far = Objects(np.concatenate([whole, 0 * whole]), far.scores)
    assert chosen([Place({2: far, 1: near}, 1)], (2, 1)).scales == (2, 1)


def test_a_raster_too_small_is_looked_at_at_all_reductions():
    assert places_for(4096**2) == 0
    assert places_for(10980**2) == 7
    assert places_for(10**12) == 8


@pytest.fixture
def small_places(monkeypatch):
    """Places small enough for the rasters of tests."""
    monkeypatch.setattr(pilot, "SIDE", 96)
    monkeypatch.setattr(pilot, "PART", 4)


def fields(path: Path, side: int) -> Path:
    """Fields side by side, so many pixels wide."""
    row, col = np.mgrid[:400, :400]
    truth = (1 + row // side * 20 + col // side).astype(np.int32)
    truth[(row % side > side - 6) | (col % side > side - 6)] = 0
    return write_mosaic(path, truth).path


@pytest.mark.usefixtures("small_places")
def test_all_of_a_run_keeps_to_one_choice(tmp_path, monkeypatch):
    raster = fields(tmp_path / "fields.tif", 48)
    given = {"model": DenseFlood(), "options": MapOptions(tile=256, **FEW)}
    whole = geoiseg.segment_raster(raster, tmp_path / "whole.gpkg", **given)
    assert whole.scales == (2,)
    assert whole.looked in whole.text()
    assert "by 4 places" in whole.looked

    def stopped(done: int, total: int, text: str) -> None:
        if done:
            raise CancelledError("enough")

    given["options"], out = MapOptions(tile=128, **FEW), tmp_path / "out.gpkg"
    with pytest.raises(CancelledError):
        geoiseg.segment_raster(raster, out, **given, progress=stopped)
    monkeypatch.setattr(pilot, "ENOUGH", 0.0)  # would be content with the coarsest
    told = geoiseg.segment_raster(raster, out, **given, resume=True)
    assert (told.scales, told.looked) == (whole.scales, whole.looked)
    one, other = gpd.read_file(out), gpd.read_file(tmp_path / "whole.gpkg")
    assert one.drop(columns="geometry").equals(other.drop(columns="geometry"))
    assert one.geometry.geom_equals_exact(other.geometry, 0).all()


@pytest.mark.usefixtures("small_places")
def test_dask_workers_look_at_the_places_and_choose_the_same(tmp_path):
    pytest.importorskip("distributed")
    raster = cut_off(fields(tmp_path / "fields.tif", 48), 2)
    here, log = DenseFlood(), tmp_path / "log"
    options = MapOptions(tile=256, **FEW)
    run = prepared(raster, tmp_path / "out.gpkg", DenseFlood(log=log), None, options, (Serial(), 0))
    alone = pilot.choose(run.job.work, run.numbers, pilot.looks_by(run.job.work, here))
    with Dask(None, 1, plan_workers("cpu", 1, ())) as driver:
        told = pilot.choose(run.job.work, run.numbers, driver.looks(run.job))
    assert told == alone
    assert "by 4 places" in told.why
    assert log.stat().st_size > 0  # its own model saw them


@pytest.mark.usefixtures("small_places")
def test_a_damaged_place_costs_its_windows_and_no_more(tmp_path):
    raster = cut_off(fields(tmp_path / "fields.tif", 48), 2)
    options = MapOptions(tile=256, **FEW)
    told = geoiseg.segment_raster(
        raster, tmp_path / "out.gpkg", model=DenseFlood(), options=options
    )
    assert "truncated or damaged" in told.failures[0].error
    assert 0 < len(told.failures) < told.windows
    assert told.objects
    assert "by 4 places" in told.looked


@pytest.mark.usefixtures("small_places")
@pytest.mark.parametrize("side", [400, 128])
def test_a_raster_where_little_is_found_is_looked_at_at_all_reductions(tmp_path, side):
    truth = np.zeros((400, 400), np.int32)
    truth[:side, :side] = 1
    raster = write_mosaic(tmp_path / "in.tif", truth).path
    score = 1.0 if side == 400 else 0.35
    options = MapOptions(mode="fast", automatic={"min_score": score}, **FEW)
    told = geoiseg.segment_raster(
        raster, tmp_path / "out.gpkg", model=DenseFlood(), options=options
    )
    assert bool(told.objects) == (side == 128)
    assert told.scales == (4, 2, 1)
    assert told.looked.endswith("too little was found at a few places to choose by")


@pytest.mark.usefixtures("small_places")
def test_a_worker_that_was_asked_about_places_maps_with_what_was_chosen(tmp_path):
    log = tmp_path / "log"
    run = prepared(fields(tmp_path / "fields.tif", 48), tmp_path / "out.gpkg", DenseFlood(log=log),
                   None, MapOptions(**FEW), (Serial(), 0))  # fmt: skip
    choice = pilot.choose(run.job.work, run.numbers,
                          lambda places: [worker.look_at_place(run.job, one) for one in places]
                          )  # fmt: skip
    assert choice.scales == (2,)
    decided = _decided(run, Serial(), resume=False)
    before = log.stat().st_size
    worker.run_task(decided.job, worker.Task((0,)))
    assert log.stat().st_size == before + 1
    for job in (run.job, decided.job):
        worker.forget(job.key)


@pytest.mark.usefixtures("small_places")
def test_a_run_that_can_not_begin_looks_at_no_place(tmp_path):
    raster, out, log = fields(tmp_path / "fields.tif", 48), tmp_path / "out.gpkg", tmp_path / "log"
    given = {"model": DenseFlood(log=log), "options": MapOptions(**FEW)}
    given["model"].unsendable = lambda: None
    with pytest.raises(ModelError, match="can not be sent to other processes"):
        geoiseg.segment_raster(raster, out, **given, workers=2)
    with closing(sqlite3.connect(ledger_path(out))) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LedgerError, match="in use by another run"):
            geoiseg.segment_raster(raster, out, **given, resume=True)
    with pytest.raises(LedgerError, match="holds an unfinished run"):
        geoiseg.segment_raster(raster, out, **given)
    assert not log.exists()


def test_reductions_that_are_given_are_kept_to(tmp_path):
    raster, out = fields(tmp_path / "fields.tif", 100), tmp_path / "out.gpkg"
    log = tmp_path / "log"
    given = MapOptions(mode="fast", automatic={"scales": (2,)}, **FEW)
    told = geoiseg.segment_raster(raster, out, model=DenseFlood(log=log), options=given)
    assert told.scales == (2,)
    assert "as they were given" in told.text()
    assert log.stat().st_size == told.windows
    found = gpd.read_file(out)
    assert len(found) == 16
    assert found.area.to_numpy() == pytest.approx(4 * 95**2, rel=0.1)
    with pytest.raises(PromptError, match="scales are of 1, 2, 4, 8 and 16"):
        geoiseg.segment_raster(
            raster, tmp_path / "3.gpkg", model=DenseFlood(),
            options=MapOptions(mode="fast", automatic={"scales": (3,)}),
        )  # fmt: skip
    said = CliRunner().invoke(
        cli, ["map", str(raster), str(tmp_path / "cli.gpkg"), "--mode", "fast", "--scales", "2"]
    )
    assert said.exit_code == 0, said.output
    assert "windows seen at reductions of 2: as they were given" in said.output
