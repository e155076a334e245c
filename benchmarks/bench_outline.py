"""Masks to polygons through geoiseg beside ``rasterio.features.shapes`` and shapely.

Run: ``python -m pytest benchmarks/bench_outline.py --benchmark-only``. Compare the medians of a
group; ``bench_vectorize.py`` measures more cases, in pairs, and compares the results exactly.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from bench_vectorize import cases, ours, theirs

COUNT = len(list(cases(64)))


@cache
def images() -> list[tuple[str, Any]]:
    """Return the masks and label images of 1024 x 1024 pixels with their names."""
    return list(cases(1024))


@pytest.mark.parametrize("make", [theirs, ours], ids=["rasterio", "geoiseg"])
@pytest.mark.parametrize("case", range(COUNT))
def test_outline(benchmark: Any, case: int, make: Any) -> None:
    name, image = images()[case]
    benchmark.group = f"outline {name}"
    assert benchmark.pedantic(make, (image,), rounds=5, warmup_rounds=1) is not None
