"""Tiles as files: what a browser decodes is what was drawn, transparency included."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from geoiseg.widget.tiling.tile_file import encode


def picture(rows: int, cols: int) -> np.ndarray:
    """Return soft grey ``(y, x, 3)`` pixels: hues are blurred by JPEG and WebP."""
    y, x = np.mgrid[:rows, :cols]
    grey = 120 + 60 * np.sin(x / 17) + 50 * np.cos(y / 13)
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)


def decode(tile: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(tile)).convert("RGBA"))


@st.composite
def boxes(draw: st.DrawFn) -> tuple[slice, slice]:
    rows = sorted(draw(st.lists(st.integers(0, 96), min_size=2, max_size=2, unique=True)))
    cols = sorted(draw(st.lists(st.integers(0, 80), min_size=2, max_size=2, unique=True)))
    return slice(*rows), slice(*cols)


@settings(deadline=None, max_examples=200)
@given(boxes(), st.booleans())
def test_the_part_with_data_stays_where_it_is(box: tuple[slice, slice], holed: bool) -> None:
    rgb = picture(96, 80)
    data = np.zeros((96, 80), dtype=bool)
    data[box] = True
    if holed:
        data[40:50, 30:37] = False
    if not data.any():
        return
    tile, mime = encode(rgb, data)
    assert mime == ("image/jpeg" if data.all() else "image/webp")
    rgba = decode(tile)
    assert rgba.shape == (96, 80, 4)
    assert ((rgba[..., 3] == 255) == data).all()
    assert set(np.unique(rgba[..., 3])) <= {0, 255}
    off = np.abs(rgba[..., :3].astype(int) - rgb)[data]
    assert off.max() < 40
    assert off.mean() < 6  # a shift of two pixels would leave some ten


def test_other_decoders_than_pillow_read_a_framed_tile() -> None:
    rgb = picture(256, 256)
    data = np.zeros((256, 256), dtype=bool)
    data[101:180, 33:90] = True
    tile, _ = encode(rgb, data)
    done, frames = cv2.imdecodemulti(np.frombuffer(tile, np.uint8), cv2.IMREAD_UNCHANGED)
    if not done:
        pytest.skip("this OpenCV reads no animations")
    assert len(frames) == 1
    assert frames[0].shape == (256, 256, 4)
    assert ((frames[0][..., 3] > 0) == data).all()


def test_what_is_empty_takes_no_space() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    data = np.zeros((256, 256), dtype=bool)
    data[200:, 200:] = True
    tile, _ = encode(rgb, data)
    alone, _ = encode(np.ascontiguousarray(rgb[200:, 200:]), data[200:, 200:])
    assert len(tile) < 1.2 * len(alone)
    assert int.from_bytes(tile[4:8], "little") == len(tile) - 8
