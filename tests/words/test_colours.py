"""What the colours of a scene add to the guess of a class."""

from __future__ import annotations

import numpy as np

from geoiseg.words.colours import told_by_colour


def scene(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture of a lake in two shades of land, and where the lake is."""
    y, x = np.mgrid[:120, :160]
    lake = np.hypot(x - 90, y - 60) < 38
    colour = np.where(lake[..., None], (30, 60, 80), np.where((x < 50)[..., None], (90, 120, 60),
                                                              (170, 150, 110)))  # fmt: skip
    noisy = colour + rng.normal(0, 4, colour.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), lake


def test_the_rest_of_a_colour_follows_most_of_it():
    rng = np.random.default_rng(0)
    rgb, lake = scene(rng)
    likely = np.where(lake, 0.9, 0.1).astype(np.float32)
    likely[40:80, 95:125] = 0.3  # a quarter of the lake is missed,
    likely[5:20, 20:40] = 0.7  # and some land taken for it
    told = told_by_colour(likely, rgb, np.ones(lake.shape, bool))
    assert ((likely > 0.5) != lake).mean() > 0.05
    assert ((told > 0.5) != lake).mean() < 0.01
    assert told.min() >= 0
    assert told.max() <= 1


def test_one_colour_all_over_tells_nothing_apart():
    rgb = np.full((40, 50, 3), 120, np.uint8)
    likely = np.linspace(0.2, 0.8, 50, dtype=np.float32)[None].repeat(40, 0)
    told = told_by_colour(likely, rgb, np.ones((40, 50), bool))
    np.testing.assert_array_equal(np.argsort(told[0], kind="stable"), np.arange(50))


def test_what_has_no_data_neither_tells_nor_changes():
    rng = np.random.default_rng(1)
    rgb, lake = scene(rng)
    likely = np.where(lake, 0.8, 0.2).astype(np.float32)
    valid = np.ones(lake.shape, bool)
    valid[:, :30] = False
    other = rgb.copy()
    other[:, :30] = 255
    told = told_by_colour(likely, rgb, valid)
    np.testing.assert_array_equal(told[:, :30], likely[:, :30])
    none = np.zeros_like(valid)
    np.testing.assert_array_equal(told_by_colour(likely, rgb, none), likely)
    again = told_by_colour(likely, other, valid)
    # Beyond the rim that the blurred colours see, too.
    assert np.abs(again[:, 32:] - told[:, 32:]).max() < 1e-6
