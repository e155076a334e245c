"""From a click to a polygon, without the time of a model.

Run: ``python -m pytest benchmarks/bench_click.py --benchmark-only``. The model is a threshold on
grey, so what is left is placing, reading or finding the chip, cleaning and outlining.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import geoiseg
from geoiseg.models.protocol import Embedding, Masks, ModelInfo
from geoiseg.segment.embeddings import EmbeddingCache


class Bright:
    """Pixels brighter than 100 are the object."""

    info = ModelInfo("bright", "benchmark", "Apache-2.0", "a threshold", 1024, "1")

    def embed(self, image: Any, valid: Any) -> Embedding:
        logits = image[..., 1].astype(np.float32) - 100
        return Embedding("bright", valid.shape, {"logits": logits})

    def decode(self, embedding: Embedding, prompts: Any, previous: Any = None) -> Masks:
        return Masks(embedding.arrays["logits"][None], np.array([1.0], np.float32))


@pytest.mark.parametrize("cached", [False, True], ids=["new place", "place seen before"])
def test_click_to_polygon(benchmark: Any, large_raster: Path, cached: bool) -> None:
    benchmark.group = "click to polygon, chip of 1024 px, model time excluded"
    raster = geoiseg.open_raster(large_raster)
    chip = raster.chip(raster.grid.level(5).whole, 5)
    row, col = (int(axis[0]) for axis in np.nonzero(chip.rgb[..., 1] > 150))
    x, y = chip.grid.to_crs([(col + 0.5, row + 0.5)])[0]
    session = geoiseg.Session(raster, Bright(), gsd=1, cache=EmbeddingCache())

    def click() -> Any:
        if not cached:
            session.segmenter.cache.clear()
        session.clear()
        session.add_point(float(x), float(y))
        return session.geometry

    assert benchmark(click).area > 0
