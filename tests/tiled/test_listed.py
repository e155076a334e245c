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


def test_all_that_is_listed_is_there_once() -> None:
    large, small = drawn(60, 200, 60, 150), drawn(100, 120, 180, 200)  # between points of a grid
    across = drawn(2, 70, 200, 230)  # deepest outside of the window
    outside = drawn(0, 39, 0, 39)
    again, weak = drawn(62, 200, 60, 150), drawn(210, 235, 60, 90)
    model: Any = Listing(
        (large, 0.9), (again, 0.8), (small, 0.7), (across, 0.6), (outside, 0.5), (weak, 0.2)
    )
    valid = np.ones((280, 280), bool)
    options = AutomaticOptions.for_family("yolo", scales=(1, 2))

    def view(factor: int) -> View:
        rgb = np.zeros((280 // factor, 280 // factor, 3), np.uint8)
        place = Placement((float(factor), float(factor)), (-AROUND, -AROUND))
        return View(rgb, valid[::factor, ::factor], place)

    allowed = np.ones((200, 200), bool)
    labels, scores = find_objects(model, view, allowed, (0, 0), options)
    assert scores.round(2).tolist() == [0.9, 0.7, 0.6]
    core = np.s_[AROUND:-AROUND, AROUND:-AROUND]
    for number, mask in enumerate((large, small, across), 1):
        own, wanted = labels == number, mask[core]
        assert (own & wanted).sum() > 0.95 * (own | wanted).sum()
