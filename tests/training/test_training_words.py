"""Which classes of words the pixels of labelled scenes may have."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from geoiseg.training.class_maps import bits as map_bits
from geoiseg.training.scene import Scene
from geoiseg.training.words.labels import (
    EVERY,
    Labelled,
    bit,
    images,
    landscape,
    of_scene,
)
from geoiseg.training.words.material import EVERY_HEAD, Shown, views


def scene(said, family=""):
    """A row of pixels, each with the classes known to be there and those known not to be."""
    known, present = np.zeros((1, len(said)), np.uint8), np.zeros((1, len(said)), np.uint8)
    for k, (yes, no) in enumerate(said):
        present[0, k] = map_bits(*yes.split())
        known[0, k] = present[0, k] | map_bits(*no.split())
    image, valid = np.zeros((1, len(said), 3), np.uint8), np.ones((1, len(said)), bool)
    ids = np.zeros((1, len(said)), np.int16)
    ids[0, 0] = 1
    return Scene("one", image, valid, ids, {1: "x"}, family, "here", present, known)


def test_what_is_not_ruled_out_is_possible():
    rest = "building road field tree grass bare snow"
    found = of_scene(
        scene([("water", rest), ("", "water"), ("", "tree"), ("", ""), ("", "tree grass")])
    )
    assert found.bits[0].tolist() == [
        bit("water"), EVERY & ~bit("water"), 0, 0, EVERY & ~bit("vegetation"),
    ]  # fmt: skip


def test_what_is_there_goes_before_what_may_be():
    found = of_scene(scene([("field", "water building road tree snow"), ("grass", "water")]))
    assert found.bits[0].tolist() == [bit("field"), bit("vegetation")]


def test_between_outlined_fields_there_is_none():
    found = of_scene(scene([("field", ""), ("", ""), ("", "water")], "field"))
    assert found.bits[0].tolist() == [
        bit("field"), EVERY & ~bit("field"), EVERY & ~bit("water"),
    ]  # fmt: skip


def test_each_head_is_shown_other_views():
    half = scene([("water", "")] * 200)
    tall = replace(
        half, image=np.zeros((200, 200, 3), np.uint8), valid=np.ones((200, 200), bool),
        ids=np.ones((200, 200), np.int16), known=half.known.repeat(200, 0),
        present=half.present.repeat(200, 0),
    )  # fmt: skip
    shown = of_scene(tall)
    rng = np.random.default_rng(0)
    counts = [len(list(views(shown, rng, head))) for head in (None, *EVERY_HEAD)]
    assert counts == [2, 4, 8, 4, 6]  # too small to be shown coarser
    dry = replace(shown, bits=np.where(shown.bits > 0, bit("land"), 0).astype(np.uint8))
    assert len(list(views(dry, rng, Shown(waters=3)))) == 4
    large = [cv2.resize(plane, (400, 400), interpolation=cv2.INTER_NEAREST)
             for plane in (shown.image, shown.valid.view(np.uint8), shown.bits)]  # fmt: skip
    coarse = list(views(Labelled("x", large[0], large[1] > 0, large[2]), rng, EVERY_HEAD[2]))
    assert min(max(one.bits.shape) for one in coarse) == 100
    assert len(coarse) == 6


def test_an_image_with_several_layers_is_shown_once():
    one, other = scene([("water", "")]), replace(scene([("field", "")]), name="two")
    assert [shown.name for shown in images([one, one, other])] == ["one", "two"]


def test_a_landscape_says_what_it_is_made_of():
    one, other = landscape(1, 1024), landscape(2, 1024)
    assert one.image.shape == (1024, 1024, 3)
    assert (one.image != other.image).any()
    there = {name: (one.bits == bit(name)) for name in ("water", "field", "vegetation", "road")}
    assert all(mask.any() for mask in there.values())
    assert not (one.bits == 0).any()
    for name, mask in there.items():
        colour = one.image[mask].mean(axis=0)
        if name == "water":
            assert colour[2] > colour[0]  # blue
        if name == "vegetation":
            assert colour[1] > max(colour[0], colour[2])
