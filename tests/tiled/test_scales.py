"""Several reductions of a window: who wins, what is spared, and parts that make a whole."""

from __future__ import annotations

import numpy as np
import pytest

from geoiseg.models import DenseMaps, ModelOptions, ReadingModel, get_model
from geoiseg.raster import Window
from geoiseg.tiled.candidates import Placement
from geoiseg.tiled.reading import CONTEXT, PART, parts, read_parts
from geoiseg.tiled.scales import Lattice, Objects, joined


def objects(rows: list[str], *scores: float) -> Objects:
    return Objects(np.array([[int(c) for c in row] for row in rows], np.int32), np.array(scores))


def test_one_large_object_beats_its_pieces_where_it_is_worth_more():
    near = objects(["112233", "112233"], 0.5, 0.5, 0.9)
    far = objects(["111100", "111100"], 0.9)
    found = joined(near, far)
    assert len(set(found.labels[:, :4].ravel())) == 1
    assert found.scores[found.labels[0, 0] - 1] == 0.9
    assert set(found.labels[:, 4:].ravel()) == {3}
    weak = joined(near, Objects(far.labels, np.array([0.4])))
    assert (weak.labels == near.labels).all()


def test_what_lies_mostly_elsewhere_keeps_its_ground():
    near = objects(["110222", "110222"], 0.5, 0.5)
    far = objects(["111100", "111100"], 0.9)
    found = joined(near, far).labels
    assert set(found[:, 3:].ravel()) == {2}
    assert len(set(found[:, :3].ravel())) == 1
    assert found[0, 0] > 2


def test_what_only_the_distant_look_sees_is_found():
    found = joined(objects(["0000"]), objects(["0110"], 0.5))
    assert found.labels.tolist() == [[0, 1, 1, 0]]
    assert found.scores.tolist() == [0.5]


def test_a_lattice_takes_planes_of_other_reductions():
    lattice = Lattice(Placement((1.0, 1.0), (-8.0, -8.0)), (4, 6), 4)
    plane = np.arange(12).reshape(3, 4)
    found = lattice.on(plane, Placement((2.0, 2.0), (-8.0, -8.0)), 4)
    assert (found == plane[:2, :3].repeat(2, axis=0).repeat(2, axis=1)).all()


@pytest.mark.parametrize("side", [40, PART, PART + 1, 3000])
def test_parts_cover_a_view_once_with_their_context(side):
    count = np.zeros((side, 70), int)
    for part, seen in parts(count.shape):
        count[part.slices] += 1
        assert seen.row == max(0, part.row - CONTEXT)
        assert seen.stop[0] == min(side, part.stop[0] + CONTEXT)
        assert part.height <= PART + CONTEXT
    assert (count == 1).all()


def said(window: Window) -> DenseMaps:
    """Return maps that tell where they are read: the cell's row in the view."""
    rows, columns = (-(-length // 4) for length in window.shape)
    row = np.repeat(np.arange(rows, dtype=np.float32)[:, None] + window.row // 4, columns, axis=1)
    return DenseMaps(row, row / 2, {}, 4)


def test_parts_are_put_where_they_belong_and_the_rest_is_as_known():
    valid = np.ones((PART * 2 + 1, 30), bool)
    whole = read_parts(said, valid, lambda _: True)
    assert whole.interior.shape == (577, 8)
    assert (whole.interior[:, 0] == np.arange(577)).all()
    assert (whole.border[:, 7] == np.arange(577) / 2).all()
    known = DenseMaps(np.full((577, 8), -1.0, np.float32), np.zeros((577, 8), np.float32), {}, 4)
    first = read_parts(said, valid, lambda part: part.row == 0, known).interior[:, 0]
    height = next(parts(valid.shape))[0].height // 4
    assert (first[:height] == np.arange(height)).all()
    assert (first[height:] == -1).all()


def test_in_floats_tiny_reads_what_it_would_say_of_the_embedding(rng_picture):
    tiny = get_model("tiny", ModelOptions(precision="fp32"))
    assert isinstance(tiny, ReadingModel)
    valid = np.ones(rng_picture.shape[:2], bool)
    valid[:9] = False
    read, asked = tiny.read(rng_picture, valid), tiny.dense(tiny.embed(rng_picture, valid))
    assert (read.interior == asked.interior).all()
    assert (read.border == asked.border).all()
    assert list(read.classes) == list(asked.classes)


@pytest.fixture
def rng_picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (70, 90, 3)).astype(np.uint8)
