"""The dense heads in 8-bit integers: what they read, what they say, and when they are taken."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import geoiseg
from geoiseg.demo.scene import make_scene
from geoiseg.errors import ModelError, WeightsError
from geoiseg.models import load_model
from geoiseg.models.tiny import quick
from geoiseg.models.tiny.filling import filled, without_weights
from geoiseg.models.tiny.graphs import Graphs
from geoiseg.models.tiny.model import TinyModel
from geoiseg.models.tiny.quick import (
    BANDS,
    EVEN,
    RAW,
    ROOM,
    STEP,
    ZERO,
    codes,
    multiplies_bytes,
)
from geoiseg.prompting import PixelPrompts
from geoiseg.raster import Window
from geoiseg.tiled import ledger_path
from tests.mosaic import write_mosaic

FOLDER = Path(quick.__file__).parent


@pytest.fixture
def picture() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    image = rng.integers(40, 80, (200, 160, 3)).astype(np.uint8)
    image[50:130, 30:110] += np.array([120, 90, 20], np.uint8)
    valid = np.ones(image.shape[:2], bool)
    valid[:40, :70] = False
    return image, valid


def test_codes_are_what_the_encoder_makes_of_the_pixels(picture):
    image, valid = picture
    found = {}
    for name, blocks in codes(image, valid, (224, 160)).items():
        assert blocks.shape == (1, 112, 80, 4 * ROOM[name])
        pixels = blocks.reshape(112, 80, 2, 2, -1).transpose(4, 0, 2, 1, 3).reshape(-1, 224, 160)
        found[name] = STEP[name] * (pixels.astype(float) - ZERO[name])
        assert not found[name][BANDS[name] :].any()
        found[name] = found[name][: BANDS[name]]
    x, seen = image.transpose(2, 0, 1) / 255, valid[None].astype(float)
    count = seen.sum() + 1
    centred = (x - ((x * seen).sum((1, 2)) / count)[:, None, None]) * seen
    spread = np.sqrt((centred**2).sum((1, 2)) / count + 0.03**2)[:, None, None]
    even = np.concatenate([4 * (2 * x - 1) * seen, np.clip(centred / spread, -4, 4), 4 * seen])
    assert np.abs(found[RAW][:, :200] - (image.transpose(2, 0, 1) - 127.0) / 128 * seen).max() == 0
    assert np.abs(found[EVEN][:, :200] - even).max() <= STEP[EVEN] / 2 + 1e-9
    assert not found[RAW][:, 200:].any()
    assert not found[EVEN][:, 200:].any()


def test_they_say_nearly_what_the_encoder_says(tmp_path, monkeypatch):
    chip = geoiseg.open_raster(make_scene(tmp_path / "scene.tif", 400).path).chip(
        Window(0, 0, 400, 380), 0
    )
    image, valid = chip.rgb, chip.valid
    model = TinyModel()
    exact = model.dense(model.embed(image, valid))
    monkeypatch.setattr(Graphs, "reads_bytes", True)
    said = model.read(image, valid)
    assert said.border.shape == exact.border.shape == (100, 95)
    pairs = [(said.border, exact.border), (said.interior, exact.interior),
             *((said.classes[name], exact.classes[name]) for name in exact.classes)]  # fmt: skip
    for one, other in pairs:
        assert 0 < np.abs(one - other).mean() < 0.05


def test_a_map_that_asks_besides_has_nearly_all_that_the_encoder_makes(picture, monkeypatch):
    model = TinyModel()
    exact = model.embed(*picture)
    monkeypatch.setattr(Graphs, "reads_bytes", False)
    same = model.embed_quickly(*picture)
    monkeypatch.setattr(Graphs, "reads_bytes", True)
    found = model.embed_quickly(*picture)
    assert found.model == exact.model
    assert found.arrays.keys() == exact.arrays.keys()
    for name, array in exact.arrays.items():
        np.testing.assert_array_equal(same.arrays[name], array)
        assert (found.arrays[name].shape, found.arrays[name].dtype) == (array.shape, array.dtype)
        moved = np.abs(found.arrays[name].astype(float) - array.astype(float)).mean()
        assert moved < 0.2 * np.abs(array.astype(float)).mean()
    asked = [PixelPrompts(points=np.array([[70.5, 90.5]]), positive=np.array([True]))]
    masks = [model.decode_batch(one, asked).logits[0] > 0 for one in (exact, found)]
    assert (masks[0] & masks[1]).sum() > 0.9 * (masks[0] | masks[1]).sum() > 900
    with pytest.raises(ModelError, match="an image is"):
        model.embed_quickly(picture[0][..., :2], picture[1])


def test_their_weights_are_the_encoder_s_and_ship_once():
    encoder, without = ((FOLDER / name).read_bytes() for name in ("encoder.onnx", quick.FILE))
    whole = filled(without, encoder)
    assert len(whole) > 5 * len(without)
    assert without_weights(whole, encoder) == without
    with pytest.raises(WeightsError, match="no weights for"):
        filled(without, (FOLDER / "first" / "encoder.onnx").read_bytes())


def test_they_are_taken_where_they_are_quicker_and_nobody_wants_more(tmp_path, monkeypatch):
    able, unable = tmp_path / "able", tmp_path / "unable"
    able.write_text("processor : 0\nflags\t\t: fpu sse2 avx512_vnni\n")
    unable.write_text("processor : 0\nflags\t\t: fpu sse2 avx2 no_avx_vnni\n")
    told = {}
    for path in (able, unable, tmp_path / "nowhere"):
        monkeypatch.setattr(quick, "CPUINFO", path)
        multiplies_bytes.cache_clear()
        told[path.name] = (TinyModel().info.reads_bytes,
                           load_model("tiny", precision="fp32").info.reads_bytes)  # fmt: skip
    multiplies_bytes.cache_clear()
    assert told == {"able": (True, False), "unable": (False, False), "nowhere": (False, False)}


def test_a_map_tells_at_its_start_that_they_are_not_there(tmp_path, monkeypatch):
    folder, out = tmp_path / "tiny", tmp_path / "out.gpkg"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("*.py", "first", "__pycache__"))
    raster = write_mosaic(tmp_path / "in.tif", np.ones((64, 64), np.int32)).path
    monkeypatch.setattr(Graphs, "reads_bytes", True)
    model = TinyModel(folder)
    (folder / quick.FILE).unlink()
    with pytest.raises(WeightsError, match=r"cannot read .*quick\.onnx': No such file"):
        geoiseg.segment_raster(raster, out, model=model)
    (folder / quick.FILE).write_bytes(b"no graph")
    with pytest.raises(WeightsError, match=r"quick\.onnx' has SHA-256 .* reinstall geoiseg"):
        geoiseg.segment_raster(raster, out, model=model)
    assert not out.exists()
    assert not ledger_path(out).exists()
