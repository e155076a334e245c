"""Where a doubtful object is asked for: near enough to be sharp, on no more than it needs."""

from __future__ import annotations

import numpy as np
import pytest

from geoiseg.models import PartingModel, get_model
from geoiseg.prompting import PixelPrompts
from geoiseg.raster import Window
from geoiseg.tiled.candidates import Placement
from geoiseg.tiled.sighted import MOST, Sighted, pieces_for


def sight(factor: int, part: Window, view: tuple[int, int]) -> Sighted:
    """A part of a view of a window of 2048 pixels, whose corner is the view's."""
    corner = (float(part.col * factor), float(part.row * factor))
    reach = Window(-part.row, -part.col, *view)
    return Sighted(None, part.shape, Placement((factor, factor), corner), reach)


@pytest.fixture
def sights() -> list[Sighted]:
    halves = [Window(0, 0, 2048, 1056), Window(0, 992, 2048, 1056)]
    near = [sight(1, half, (2048, 2048)) for half in halves]
    return [sight(4, Window(0, 0, 512, 512), (512, 512)), *near,
            sight(2, Window(0, 0, 1024, 1024), (1024, 1024))]  # fmt: skip


def test_a_small_object_is_looked_at_closely_and_a_large_one_from_far(sights):
    small = list(pieces_for(Window(300, 1500, 90, 120), sights))
    assert [one.place.zoom[0] for one, _ in small] == [1, 2, 4]
    seen, piece = small[0]
    assert seen is sights[2]
    assert piece.row % 32 == piece.col % 32 == 0
    assert piece.shape == (160, 192)
    assert piece.col + 992 <= 1500 - 24 < 1500 + 120 + 24 <= piece.stop[1] + 992
    far = list(pieces_for(Window(300, 300, 600, 700), sights))
    assert [one.place.zoom[0] for one, _ in far] == [4]
    assert max(far[0][1].shape) <= MOST
    huge = list(pieces_for(Window(0, 0, 2048, 1900), sights))
    assert [piece for _, piece in huge] == [Window(0, 0, 512, 512)]


def test_what_lies_across_two_parts_is_seen_whole_from_further_away(sights):
    (first, piece), *_ = pieces_for(Window(0, 960, 50, 110), sights)
    assert first.place.zoom[0] == 2
    assert piece.row == 0


def test_an_answer_goes_on_where_it_touches_a_border_with_more_behind(sights):
    whole, part = sights[3], Window(0, 0, 192, 192)
    logits = np.full((96, 96), -1.0, np.float32)
    logits[0] = 1  # the upper border is the view's own
    assert not whole.goes_on(logits, part)
    logits[:, -1] = 1
    assert whole.goes_on(logits, part)
    assert not whole.goes_on(logits, Window(0, 832, 192, 192))


def test_on_a_part_tiny_answers_as_on_the_whole():
    rng = np.random.default_rng(3)
    picture = rng.integers(60, 90, (256, 320, 3)).astype(np.uint8)
    picture[70:150, 90:200] += 100
    model, seen = get_model("tiny"), np.ones((256, 320), bool)
    assert isinstance(model, PartingModel)
    whole = model.embed(picture, seen)
    window = Window(32, 64, 192, 192)
    part = model.part(whole, window)
    assert part.shape == (192, 192)
    point = np.array([[145.0, 110.0]])
    there = model.decode_batch(whole, [PixelPrompts(point, np.ones(1, bool))])
    here = model.decode_batch(part, [PixelPrompts(point - (64, 32), np.ones(1, bool))])
    one = here.logits[0] > 0
    other = there.logits[0][16:112, 32:128] > 0
    assert one.sum() > 0.9 * 40 * 55
    assert (one & other).sum() > 0.9 * (one | other).sum()
