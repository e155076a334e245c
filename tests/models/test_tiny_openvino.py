"""The small network's encoder in OpenVINO says what it says in onnxruntime."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from geoiseg.errors import ModelError
from geoiseg.models import load_model
from geoiseg.models.tiny.graphs import Graphs
from tests.conftest import needed

needed("openvino")


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    rng = np.random.default_rng(5)
    image = rng.integers(40, 80, (200, 160, 3)).astype(np.uint8)
    image[50:130, 30:110] += 120
    return image


def test_in_fp32_it_reads_and_embeds_alike(picture):
    model, other = (
        load_model("tiny", backend=name, precision="fp32") for name in ("onnxruntime", "openvino")
    )
    seen = np.ones(picture.shape[:2], bool)
    one, two = model.read(picture, seen), other.read(picture, seen)
    assert np.abs(one.border - two.border).max() < 0.02
    assert np.abs(one.interior - two.interior).max() < 0.02
    assert list(one.classes) == list(two.classes)
    mine, theirs = model.embed(picture, seen), other.embed(picture, seen)
    assert mine.arrays.keys() == theirs.arrays.keys()
    for name, array in mine.arrays.items():
        assert array.shape == theirs.arrays[name].shape
        assert np.abs(array.astype(float) - theirs.arrays[name].astype(float)).max() < 0.1
    assert model.info == other.info


def test_in_bytes_it_reads_the_same_by_onnxruntime(picture, monkeypatch):
    monkeypatch.setattr(Graphs, "reads_bytes", True)
    seen = np.ones(picture.shape[:2], bool)
    one, two = (
        load_model("tiny", backend=name).read(picture, seen) for name in ("onnxruntime", "openvino")
    )
    np.testing.assert_array_equal(one.border, two.border)
    np.testing.assert_array_equal(one.interior, two.interior)


def test_threads_have_requests_of_their_own(picture):
    model = load_model("tiny", backend="openvino", precision="fp32")
    pictures = [np.ascontiguousarray(picture[::step]) for step in (1, -1)] * 2
    wanted = [model.read(one, np.ones(one.shape[:2], bool)).border for one in pictures]
    found: dict[int, np.ndarray] = {}

    def read(number: int) -> None:
        one = pictures[number]
        found[number] = model.read(one, np.ones(one.shape[:2], bool)).border

    threads = [threading.Thread(target=read, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.allclose(found[number], wanted[number]) for number in range(4))


def test_what_only_openvino_does_is_refused_without_it():
    with pytest.raises(ModelError, match="tiny has no choice of precision, got 'bf16'"):
        load_model("tiny", precision="bf16")
    with pytest.raises(ModelError, match="grabcut has no choice of backend"):
        load_model("grabcut", backend="openvino")
