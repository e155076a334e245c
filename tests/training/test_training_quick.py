"""The encoder in bytes over blocks of pixels: the same numbers as pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from geoiseg.models.tiny.quick import BANDS, EVEN, RAW, ROOM, codes
from geoiseg.training.quick import _planes
from geoiseg.training.quick_blocks import blocked


@pytest.mark.parametrize(("name", "before"), [(RAW, 0), (RAW, 1), (EVEN, 0), (EVEN, 1)])
def test_a_convolution_over_blocks_is_the_one_over_pixels(name, before):
    rng = np.random.default_rng(7)
    image = rng.integers(0, 256, (40, 58, 3)).astype(np.uint8)
    valid = rng.random((40, 58)) < 0.8
    blocks = codes(image, valid, (64, 64))[name]
    pixels = torch.from_numpy(_planes(blocks, name).astype(np.float64))
    weights = rng.normal(size=(5, BANDS[name], 3, 3))
    after = 1 - before
    wanted = functional.conv2d(
        functional.pad(pixels, (before, after, before, after)), torch.from_numpy(weights), stride=2
    )
    over = torch.from_numpy(blocked(weights, before, ROOM[name]))
    sides = functional.pad(
        torch.from_numpy(blocks.astype(np.float64)).permute(0, 3, 1, 2),
        (before, after, before, after),
    )
    found = functional.conv2d(sides, over)
    assert found.shape == wanted.shape == (1, 5, 32, 32)
    torch.testing.assert_close(found, wanted)
