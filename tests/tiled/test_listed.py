"""A model that lists what it has found is asked no grid of points."""

from __future__ import annotations

from typing import Any

import numpy as np

from geoiseg.models import Embedding
from geoiseg.models.protocol import ModelInfo
from geoiseg.tiled.automatic import View, find_objects
from geoiseg.tiled.candidates import Placement
from geoiseg.tiled.options import AutomaticOptions

AROUND = 40
"""Pixels of surroundings on each side of the window."""


def drawn(*box: int, side: int = 280) -> np.ndarray:
    mask = np.zeros((side, side), bool)
    top, bottom, left, right = box
    mask[top:bottom, left:right] = True
    return mask


class Listing:
    """Lists masks that were drawn, at any reduction that it is shown."""

    info = ModelInfo("drawn", "yolo", "none", "drawn by hand")

    def __init__(self, *listed: tuple[np.ndarray, float]) -> None:
        self.masks = np.stack([mask for mask, _ in listed])
        self.scores = np.array([score for _, score in listed], np.float32)

    def embed(self, image: Any, valid: Any) -> Embedding:
        return Embedding("drawn:", valid.shape, {})

    def decode(self, embedding: Embedding, prompts: Any, previous: Any = None) -> Any:
        raise AssertionError("a grid of points was asked")

    def listed(self, embedding: Embedding) -> Any:
        step = self.masks.shape[1] // embedding.shape[0]
        return self.masks[:, ::step, ::step], self.scores


class ByReduction(Listing):
    """Lists other masks at each reduction."""

    def __init__(self, **listed: list[tuple[np.ndarray, float]]) -> None:
        self.at = {int(name[1:]): Listing(*masks) for name, masks in listed.items()}

    def listed(self, embedding: Embedding) -> Any:
        return self.at[280 // embedding.shape[0]].listed(embedding)


def view(factor: int) -> View:
    rgb = np.zeros((280 // factor, 280 // factor, 3), np.uint8)
    place = Placement((float(factor), float(factor)), (-AROUND, -AROUND))
    return View(rgb, np.ones(rgb.shape[:2], bool), place)


def test_all_that_is_listed_is_there_once() -> None:
    large, small = drawn(60, 200, 60, 150), drawn(100, 120, 180, 200)  # between points of a grid
    across = drawn(2, 70, 200, 230)  # deepest outside of the window
    outside = drawn(0, 39, 0, 39)
    again, weak = drawn(62, 200, 60, 150), drawn(210, 235, 60, 90)
    model: Any = Listing(
        (large, 0.9), (again, 0.8), (small, 0.7), (across, 0.6), (outside, 0.5), (weak, 0.2)
    )
    options = AutomaticOptions.for_family("yolo", scales=(1, 2))
    allowed = np.ones((200, 200), bool)
    labels, scores = find_objects(model, view, allowed, (0, 0), options)
    assert scores.round(2).tolist() == [0.9, 0.7, 0.6]
    core = np.s_[AROUND:-AROUND, AROUND:-AROUND]
    for number, mask in enumerate((large, small, across), 1):
        own, wanted = labels == number, mask[core]
        assert (own & wanted).sum() > 0.95 * (own | wanted).sum()


def test_a_weak_mask_from_afar_takes_no_sure_ones_from_nearby() -> None:
    fine = [(drawn(60, 90, left, left + 30), 0.9) for left in (60, 100, 140)]
    both = (drawn(150, 200, 60, 180), 0.6)  # better from afar
    model: Any = ByReduction(
        x2=[(drawn(55, 95, 55, 175), 0.3), both], x1=[*fine, (drawn(150, 200, 60, 110), 0.4)]
    )
    options = AutomaticOptions.for_family("yolo", scales=(1, 2))
    labels, scores = find_objects(model, view, np.ones((200, 200), bool), (0, 0), options)
    assert scores.round(2).tolist() == [0.9, 0.9, 0.9, 0.6]
    core = np.s_[AROUND:-AROUND, AROUND:-AROUND]
    for number, (mask, _) in enumerate([*fine, both], 1):
        assert ((labels == number) == mask[core]).mean() > 0.99


def test_an_object_is_known_by_any_part_of_it_where_objects_are_wanted() -> None:
    lens = drawn(100, 110, 50, 150) | drawn(75, 135, 110, 150)  # deepest beyond the border at 100
    beyond = drawn(150, 190, 160, 220)
    model: Any = Listing((lens, 0.9), (beyond, 0.8))
    options = AutomaticOptions.for_family("yolo", scales=(1,))
    allowed = np.zeros((200, 200), bool)
    allowed[:, : 100 - AROUND] = True
    labels, scores = find_objects(model, view, allowed, (0, 0), options)
    assert scores.round(2).tolist() == [0.9]
    core = np.s_[AROUND:-AROUND, AROUND:-AROUND]
    np.testing.assert_array_equal(labels > 0, lens[core] & allowed)
