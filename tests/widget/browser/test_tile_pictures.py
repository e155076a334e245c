"""What Chromium shows of a tile that is encoded in part only."""

from __future__ import annotations

import base64
from typing import Any

import cv2
import numpy as np

from geoiseg.widget.tiling.tile_file import encode

PIXELS = """async (source) => {
  const image = new Image();
  image.src = source;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  return [canvas.width, [...context.getImageData(0, 0, canvas.width, canvas.height).data]];
}"""


def test_a_framed_tile_is_shown_where_it_belongs(chromium: Any) -> None:
    noise = np.random.default_rng(0).normal(0, 1, (256, 256)).astype(np.float32)
    grey = np.clip(cv2.GaussianBlur(noise, (0, 0), 6) * 1000 + 130, 20, 235).astype(np.uint8)
    rgb = np.repeat(grey[..., None], 3, axis=2)
    for box in ((slice(101, 180), slice(33, 256)), (slice(0, 57), slice(200, 201))):
        data = np.zeros((256, 256), dtype=bool)
        data[box] = True
        data[120:140, 60:80] = False
        tile, mime = encode(rgb, data)
        page = chromium.new_page()
        source = f"data:{mime};base64,{base64.b64encode(tile).decode()}"
        width, values = page.evaluate(PIXELS, source)
        page.close()
        shown = np.array(values, dtype=np.uint8).reshape(-1, width, 4)
        assert shown.shape == (256, 256, 4)
        assert ((shown[..., 3] == 255) == data).all()
        assert not shown[~data].any()
        off = np.abs(shown[..., :3].astype(int) - rgb)[data]
        assert off.mean() < 4
