"""A run is not gone on with by other constants of the code than it began with."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import geopandas as gpd
import numpy as np
import pytest
import shapely

import geoiseg
from geoiseg.errors import CancelledError, LedgerError
from geoiseg.models import Candidates, ModelOptions
from geoiseg.models.tiny import afar, between, careful, outputs
from geoiseg.segment import hierarchy, spectral
from geoiseg.tiled import AutomaticOptions, MapOptions, doubt, ledger_path
from geoiseg.tiled.fingerprint import constants, prompted
from geoiseg.tiled.options import DenseOptions
from tests.mosaic import TRANSFORM, write_mosaic
from tests.tiled.test_dense import DenseFlood


def stopped(done: int, total: int, text: str) -> None:
    if done:
        raise CancelledError("enough")


def test_other_weights_are_refused_in_one_line_that_names_them(tmp_path, monkeypatch):
    truth = np.zeros((200, 200), np.int32)
    truth[20:80, 20:180] = 1
    raster, out = write_mosaic(tmp_path / "in.tif", truth).path, tmp_path / "out.gpkg"
    options = MapOptions(window=128, overlap=32, tile=128)
    given = {"model": DenseFlood(), "options": options}
    with pytest.raises(CancelledError):
        geoiseg.segment_raster(raster, out, **given, progress=stopped)
    weights = hierarchy.WEIGHTS
    monkeypatch.setattr(hierarchy, "WEIGHTS", (*weights[:-1], weights[-1] + 0.1))
    with pytest.raises(LedgerError, match=r"another version of geoiseg, whose hierarchy.WEIGHTS"):
        geoiseg.segment_raster(raster, out, **given, resume=True)
    monkeypatch.undo()
    monkeypatch.setattr(doubt, "ODDS", (0.0, 1.0))  # says nothing about the fast mode
    assert geoiseg.segment_raster(raster, out, **given, resume=True).complete


class ReadingFlood(DenseFlood):
    """Reads windows in 8-bit integers by a graph with a hash, where it has one."""

    def __init__(self, bytes_hash: str = "") -> None:
        super().__init__()
        self.info = replace(self.info, bytes_hash=bytes_hash)
        self.reads = 0

    def read(self, image, valid):
        self.reads += 1
        return self.dense(self.embed(image, valid))


def test_what_was_read_in_bytes_is_gone_on_with_by_the_same_graph_alone(tmp_path):
    raster = write_mosaic(tmp_path / "in.tif", np.ones((200, 200), np.int32)).path
    out, options = tmp_path / "out.gpkg", MapOptions(window=128, overlap=32, tile=128)
    with pytest.raises(CancelledError):
        geoiseg.segment_raster(
            raster, out, model=ReadingFlood("one"), options=options, progress=stopped
        )
    exact = replace(options, running=ModelOptions(precision="fp32"))
    for model, asked, told in (
        (ReadingFlood(), options, "reads in 8-bit integers, which this one does not: go on with"),
        (ReadingFlood("two"), options, r"another version of geoiseg, whose reading is .* by one"),
        (ReadingFlood(), exact, "with running .*auto.* now it is .*fp32.*: give the same"),
    ):
        with pytest.raises(LedgerError, match=told):
            geoiseg.segment_raster(raster, out, model=model, options=asked, resume=True)
    model = ReadingFlood("one")
    assert geoiseg.segment_raster(raster, out, model=model, options=options, resume=True).complete
    assert model.reads > 1


def test_what_began_in_floats_goes_on_in_floats_on_any_cpu(tmp_path):
    raster = write_mosaic(tmp_path / "in.tif", np.ones((200, 200), np.int32)).path
    out, options = tmp_path / "out.gpkg", MapOptions(window=128, overlap=32, tile=128)
    with pytest.raises(CancelledError):
        geoiseg.segment_raster(raster, out, model=ReadingFlood(), options=options, progress=stopped)
    able = ReadingFlood("one")
    told = geoiseg.segment_raster(raster, out, model=able, options=options, resume=True)
    assert (told.complete, able.reads) == (True, 0)
    geoiseg.segment_raster(raster, out, model=able, options=options)
    assert able.reads > 1


class QuickFlood(ReadingFlood):
    """Also embeds in 8-bit integers."""

    def embed_quickly(self, image, valid):
        self.reads += 1
        return self.embed(image, valid)

    def decode_batch(self, embedding, prompts):
        said = [self.decode(embedding, one).logits[0] for one in prompts]
        return Candidates(np.stack(said), np.ones(len(said), np.float32), np.arange(len(said)), 1.0)


@pytest.mark.parametrize("model", [QuickFlood, ReadingFlood])
def test_a_map_that_asks_besides_goes_on_by_the_same_graph_where_it_embeds_by_one(tmp_path, model):
    raster = write_mosaic(tmp_path / "in.tif", np.ones((200, 200), np.int32)).path
    out, quick = tmp_path / "out.gpkg", model is QuickFlood
    given = {"options": MapOptions(window=128, overlap=32, tile=128, mode="best"), "resume": True}
    with pytest.raises(CancelledError):
        geoiseg.segment_raster(raster, out, model=model("one"), progress=stopped, **given)
    if quick:
        with pytest.raises(LedgerError, match=r"another version of geoiseg, whose reading is"):
            geoiseg.segment_raster(raster, out, model=model("two"), **given)
    able = model("one" if quick else "two")
    assert geoiseg.segment_raster(raster, out, model=able, **given).complete
    assert (able.reads > 0) == quick


def test_what_asks_besides_and_began_in_floats_goes_on_in_floats(tmp_path):
    raster = write_mosaic(tmp_path / "in.tif", np.ones((200, 200), np.int32)).path
    out, options = tmp_path / "out.gpkg", MapOptions(window=128, overlap=32, tile=128, mode="best")
    with pytest.raises(CancelledError):
        geoiseg.segment_raster(raster, out, model=QuickFlood(), options=options, progress=stopped)
    able = QuickFlood("one")
    told = geoiseg.segment_raster(raster, out, model=able, options=options, resume=True)
    assert (told.complete, able.reads) == (True, 0)


@pytest.mark.parametrize("left_out", ["constant %", "scales"])
def test_a_ledger_of_a_version_that_kept_less_is_refused(tmp_path, left_out):
    raster = write_mosaic(tmp_path / "in.tif", np.ones((200, 200), np.int32)).path
    out, options = tmp_path / "out.gpkg", MapOptions(window=128, overlap=32, tile=128)
    given = {"model": DenseFlood(), "options": options}
    with pytest.raises(CancelledError):
        geoiseg.segment_raster(raster, out, **given, progress=stopped)
    with sqlite3.connect(ledger_path(out)) as db:
        db.execute("DELETE FROM run WHERE name LIKE ?", (left_out,))
    db.close()
    with pytest.raises(LedgerError, match=r"another version of geoiseg.* remove it to begin anew"):
        geoiseg.segment_raster(raster, out, **given, resume=True)


def test_prompted_objects_are_not_gone_on_with_by_another_decoder(tmp_path, monkeypatch):
    raster = write_mosaic(tmp_path / "in.tif", np.ones((200, 200), np.int32)).path
    marks = tmp_path / "marks.gpkg"
    gpd.GeoDataFrame(geometry=[shapely.Point(TRANSFORM @ (50, 50))], crs="EPSG:32631").to_file(
        marks
    )

    def at_once(done: int, total: int, text: str) -> None:
        raise CancelledError("enough")

    given = (raster, tmp_path / "out.gpkg")
    with pytest.raises(CancelledError):
        geoiseg.segment_raster(*given, prompts=marks, progress=at_once)
    changed = (
        (afar, "WEIGHTS", (0.0,) * 6), (between, "FOUR", 5), (careful, "TURNED", 4),
        (outputs, "MODEST", (0.0, 0.0)), (spectral, "VERSION", 99),
    )  # fmt: skip
    for module, name, value in changed:
        monkeypatch.setattr(module, name, value)
        short = module.__name__.rpartition(".")[2]
        with pytest.raises(LedgerError, match=f"another version of geoiseg, whose {short}.{name}"):
            geoiseg.segment_raster(*given, prompts=marks, resume=True)
        monkeypatch.undo()
    with pytest.raises(CancelledError):
        geoiseg.segment_raster(*given, prompts=marks, progress=at_once, resume=True)
    assert set(prompted(DenseFlood().info)) == {"spectral.VERSION"}


def test_each_way_to_map_has_its_own_constants():
    fast, best = (constants(DenseOptions(best=best), words=False) for best in (False, True))
    assert {"hierarchy.WEIGHTS", "scales.SURE", "dense.SETTLED", "reading.PART"} <= set(fast)
    assert set(best) - set(fast) >= {"doubt.ODDS", "doubt.DOUBTFUL", "sighted.ROOM"}
    lattice = constants(AutomaticOptions(), words=False)
    assert "candidates.SPECK" in lattice
    assert not {"hierarchy.WEIGHTS", "automatic.SURE"} & set(lattice)
    assert "embedded.SHAPES" in constants(DenseOptions(), words=True)
