"""Tracing masks and label images against rasterio.features.shapes and shapely, as ratios.

    $ python benchmarks/bench_vectorize.py
    $ python benchmarks/bench_vectorize.py --size 1024 --runs 15 --json

Both sides make the same shapely polygons from the same array; runs alternate, and the
ratio is the median over the pairs, in CPU time of this process and in wall time. What was
made is freed outside the timed part. ``differ`` is the area, in pixels, by which the two
results differ (0 where every polygon is the same, vertices that only a coverage needs
aside); ``memory`` is the peak of what numpy and scipy allocate while tracing, as a
multiple of the array. A case below 4 times is marked.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
import rasterio
import rasterio.features
import scipy
import shapely
from affine import Affine
from numpy.typing import NDArray

from geoiseg.outline.vectorize import polygons_from_labels, polygons_from_mask

TRANSFORM = Affine(10, 0, 500_000, 0, -10, 4_500_000)
PIXEL_AREA = 100
GOAL = 4.0


@dataclass(frozen=True)
class Row:
    """One case's figures; times in milliseconds, medians."""

    case: str
    polygons: int
    vertices: int
    rasterio_ms: float
    geoiseg_ms: float
    cpu_ratio: float
    wall_ratio: float
    differ: float
    memory: float


def field(size: int, wavelength: int, seed: int = 0) -> NDArray[np.float32]:
    """Return a smooth random field with a little roughness, like a model's logits."""
    rng = np.random.default_rng(seed)
    knots = max(3, size // wavelength)
    smooth = cv2.resize(
        rng.normal(size=(knots, knots)), (size, size), interpolation=cv2.INTER_CUBIC
    )
    rough = rng.normal(size=(size // 8, size // 8)).astype(np.float32)
    bumps = cv2.resize(rough, (size, size), interpolation=cv2.INTER_CUBIC)
    return smooth.astype(np.float32) + bumps * np.float32(8 / wavelength)


def largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    _, parts, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=4)
    kept: NDArray[np.bool_] = parts == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()
    return kept


def parcels(size: int, count: int, seed: int = 0) -> NDArray[np.int32]:
    """Return labels of parcels that touch, every seventh left as background."""
    rng = np.random.default_rng(seed)
    seeds = np.ones((size, size), np.uint8)
    seeds[rng.integers(0, size, count), rng.integers(0, size, count)] = 0
    _, labels = cv2.distanceTransformWithLabels(
        seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    labels[labels % 7 == 0] = 0
    return labels


def cases(size: int) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield names and masks or label images of about that size."""
    speckle = np.random.default_rng(0).random((min(size, 2048),) * 2)
    if size <= 2048:
        yield f"{size} px, one object", largest(field(size, size // 3) > 0)
        yield f"{size} px, many objects", field(size, size // 25) > 0.75
        for density in (0.3, 0.5, 0.7):
            yield f"{size} px, speckle {density:.0%}", speckle < density
        yield f"{size} px, 50 parcels", parcels(size, 50)
        yield f"{size} px, 1000 parcels", parcels(size, 1000)
        yield f"{size} px, speckle of 4 labels", (speckle * 5).astype(np.uint8)
    else:
        yield f"{size} px, few objects", field(size, size // 4, seed=1) > 0.75
        yield f"{size} px, many objects", field(size, size // 50) > 0.75
        yield f"{size} px, 1200 parcels", parcels(size, 1200)
        yield f"{size} px, empty", np.zeros((size, size), np.bool_)


def theirs(image: NDArray[Any]) -> list[tuple[shapely.Polygon, int]]:
    values = image.view(np.uint8) if image.dtype == np.bool_ else image
    found = rasterio.features.shapes(values, mask=image != 0, transform=TRANSFORM)
    return [(shapely.geometry.shape(shape), int(value)) for shape, value in found]


def ours(image: NDArray[Any]) -> tuple[Any, Any]:
    if image.dtype == np.bool_:
        polygons = polygons_from_mask(image, TRANSFORM)
        return polygons, np.ones(len(polygons), int)
    return polygons_from_labels(image, TRANSFORM)


def difference(image: NDArray[Any]) -> float:
    """Return the area, in pixels, by which the two results differ."""
    geometries, ids = ours(image)
    parts, whole = shapely.get_parts(geometries, return_index=True)
    mine = {(label, key) for label, key in zip(ids[whole].tolist(), _keys(parts), strict=True)}
    expected = theirs(image)
    keys = _keys([polygon for polygon, _ in expected])
    other = {(label, key) for (_, label), key in zip(expected, keys, strict=True)}
    area = 0.0
    for label in {label for label, _ in mine ^ other}:
        one, two = (
            shapely.union_all([shapely.from_wkb(key) for own, key in side if own == label])
            for side in (mine - other, other - mine)
        )
        area += one.symmetric_difference(two).area
    return area / PIXEL_AREA


def _keys(polygons: Any) -> list[bytes]:
    straight = shapely.simplify(np.asarray(polygons, dtype=object), 0)
    return list(shapely.to_wkb(shapely.normalize(straight)))


def clocked(make: Callable[[NDArray[Any]], Any], image: NDArray[Any]) -> tuple[float, float]:
    """Return CPU and wall seconds of one run."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    made = make(image)
    seconds = time.process_time() - cpu, time.perf_counter() - wall
    del made
    return seconds


def measure(case: str, image: NDArray[Any], runs: int) -> Row:
    """Return all figures of one case."""
    polygons = shapely.get_parts(ours(image)[0])
    count, vertices = len(polygons), int(shapely.get_num_coordinates(polygons).sum())
    del polygons
    differ = difference(image)
    gc.collect()
    tracemalloc.start()
    clocked(ours, image)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    pairs = np.array([(clocked(theirs, image), clocked(ours, image)) for _ in range(runs)])
    cpu, wall = np.median(pairs[:, 0] / pairs[:, 1], axis=0)
    before, after = 1000 * np.median(pairs[:, :, 0], axis=0)
    return Row(case, count, vertices, before, after, cpu, wall, differ, peak / image.nbytes)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, action="append", help="pixels, default 1024 and 10000")
    parser.add_argument("--runs", type=int, default=5, help="pairs of runs for each case")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args(arguments)
    rows = []
    if not args.json:
        print(f"rasterio {rasterio.__version__}, shapely {shapely.__version__}", end=", ")
        print(f"numpy {np.__version__}, scipy {scipy.__version__}")
        print(
            f"{'':32}{'polygons':>9}{'vertices':>10}{'rasterio':>11}{'geoiseg':>10}"
            f"{'CPU':>8}{'wall':>8}{'differ':>8}{'memory':>8}"
        )
    for size in args.size or (1024, 10_000):
        for case, image in cases(size):
            row = measure(case, image, args.runs)
            rows.append(row)
            if not args.json:
                mark = "" if row.cpu_ratio >= GOAL else f"   below {GOAL:g} times"
                print(
                    f"{case:32}{row.polygons:9}{row.vertices:10}{row.rasterio_ms:8.1f} ms"
                    f"{row.geoiseg_ms:7.1f} ms{row.cpu_ratio:7.1f}x{row.wall_ratio:7.1f}x"
                    f"{row.differ:8g}{row.memory:7.1f}x{mark}",
                    flush=True,
                )
    if args.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
