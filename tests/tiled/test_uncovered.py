"""Ground without an object is asked for, strictly first, and once coverage stalls less so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from geoiseg.raster import Window
from geoiseg.tiled import doubt
from geoiseg.tiled.candidates import Placement
from geoiseg.tiled.doubt import OPTIONS, asked_again
from geoiseg.tiled.sighted import Sighted
from geoiseg.tiled.uncovered import MOST, RELAXED, open_places, passes
from tests.flood_model import FloodModel


def test_objects_that_no_region_told_are_found_on_open_ground():
    truth = np.zeros((160, 160), np.int32)
    truth[10:70, 10:70], truth[90:150, 10:70], truth[10:150, 90:140] = 1, 2, 3
    picture = np.stack([truth * 80] * 3, axis=-1).astype(np.uint8)
    model, allowed = FloodModel(), np.ones(truth.shape, bool)
    here = Placement((1.0, 1.0), (0.0, 0.0))
    seen = Sighted(model.embed(picture, allowed), (160, 160), here, Window(0, 0, 160, 160))
    regions = np.where(truth == 1, 1, 0).astype(np.int32)
    found = regions, np.array([0.9])
    labels, scores = asked_again(model, [seen], found, (allowed, truth > 0), (0.35, 64))
    assert len(scores) == 3
    for number in (1, 2, 3):
        own = labels[truth == number]
        assert own.min() == own.max() > 0
    allowed = truth != 3
    labels, scores = asked_again(model, [seen], found, (allowed, truth > 0), (0.35, 64))
    assert len(scores) == 2


def test_relaxed_passes_take_what_was_answered_of_the_same_ground(monkeypatch):
    picture = np.zeros((160, 160, 3), np.uint8)
    ground = np.zeros((160, 160), bool)
    ground[20:80, 20:80] = ground[100:140, 20:140] = True
    asked = []

    class Unsure(FloodModel):
        """Says of everything that it is hardly likely."""

        def decode(self, embedding, prompts):
            asked.append(tuple(prompts.points[0]))
            masks = super().decode(embedding, prompts)
            return replace(masks, scores=np.full_like(masks.scores, 0.1))

    model, here = Unsure(), Placement((1.0, 1.0), (0.0, 0.0))
    allowed = np.ones(ground.shape, bool)
    seen = Sighted(model.embed(picture, allowed), (160, 160), here, Window(0, 0, 160, 160))
    found = np.zeros(ground.shape, np.int32), np.zeros(0)
    strictness = []
    looked_at = doubt.survivors

    def noted(said, xy, allowed, place, options):
        strictness.append(options.min_stability)
        return looked_at(said, xy, allowed, place, options)

    monkeypatch.setattr(doubt, "survivors", noted)
    _, scores = asked_again(model, [seen], found, (allowed, ground), (0.35, 64))
    assert len(scores) == 0
    assert strictness.count(OPTIONS.min_stability) == strictness.count(RELAXED) == len(asked) == 2


def test_thresholds_are_relaxed_only_where_a_pass_has_covered_hardly_more():
    ground = np.ones((100, 100), bool)
    covered = np.zeros_like(ground)
    asked = []

    def ask(place, how):
        asked.append((how.min_stability, place.area))
        half = np.zeros_like(place.mask)
        half[: len(half) // 2] = len(asked) < 3  # from the third time on nothing is found
        return [replace(place, mask=half)] if half.any() else []

    assert len(passes(ask, ground, covered, OPTIONS)) == 2
    strictness = [stability for stability, _ in asked]
    assert strictness == sorted(strictness, reverse=True)
    assert set(strictness) == {OPTIONS.min_stability, RELAXED}
    assert 0.5 < covered.mean() < 0.8
    assert passes(ask, np.zeros_like(ground), covered, OPTIONS) == []


def test_no_slivers_are_asked_for_and_only_so_many_places():
    ground = np.zeros((400, 400), bool)
    ground[:, 10:20] = True
    assert not open_places(ground)
    for row in range(0, 400, 40):
        for col in range(40, 400, 40):
            ground[row : row + 20 + col // 40, col : col + 30] = True
    places = open_places(ground)
    assert len(places) == MOST
    areas = [place.area for place in places]
    assert areas == sorted(areas, reverse=True)
    assert all(place.mask.sum() == place.area for place in places)
