"""How far shorelines drawn from an index lie from a coast that is known exactly.

    $ python benchmarks/waterline.py [--size 600] [--seeds 3]

A label on pixels has stairs, and no line can be nearer to it than those. Here the coast is a smooth
curve, and the bands are what a sensor makes of it: each pixel has the mean of what it covers, the
short-wave infrared in pixels of twice the side, all with noise. Printed in pixels of the raster:
the median distance of points on the line from the true coast, that of the edges of a label made
from the same bands (below Otsu's threshold in both infrared bands, as the labels of the scenes of
``bands.py``), the line's distance from that label, which is what can be measured on real scenes,
and the error that the command says of its own line.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize

from geoiseg.outline.shoreline import WaterlineOptions, shoreline_from_mask, waterline
from geoiseg.outline.shoreline.cut import METHODS
from geoiseg.raster import open_raster
from geoiseg.segment.parting import otsu

Floats = NDArray[np.float32]
FINER = 10
"""Parts of a pixel's side by which shares of water are counted."""
WATER = {"green": 0.06, "nir": 0.02, "swir16": 0.01}
LAND = {"green": 0.09, "nir": 0.28, "swir16": 0.22}
NOISE = 0.004
"""Standard deviation of a band's reflectance from pixel to pixel."""
PATCHES = 0.15
"""Standard deviation of land from place to place, as a share of its reflectance."""


def coast(size: int, rng: np.random.Generator) -> shapely.Geometry:
    """Return the water of a scene, in pixels: left of a bent line, and a lake."""
    y = np.linspace(-5, size + 5, 4 * size)
    x = np.full_like(y, size * 0.5)
    for waves in (1, 2, 5, 11):
        x += size * 0.12 / waves * np.sin(2 * np.pi * (waves * y / size + rng.random()))
    shore = np.column_stack([x, y])
    sea = shapely.Polygon([(-5, -5), *shore, (-5, size + 5)])
    lake = shapely.Point(size * 0.85, size * (0.3 + 0.4 * rng.random())).buffer(size * 0.06, 64)
    return shapely.union(sea, lake)


def share(water: shapely.Geometry, size: int) -> Floats:
    """Return ``(y, x)`` which share of each pixel is water."""
    place = Affine.scale(1 / FINER)
    fine = rasterize([water], (size * FINER, size * FINER), transform=place, dtype="uint8")
    return cv2.resize(fine.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)


def bands(water: Floats, rng: np.random.Generator) -> dict[str, Floats]:
    """Return ``(y, x)`` reflectances of each band; short-wave infrared is coarser."""
    size = water.shape[0]
    found = {}
    patches = cv2.GaussianBlur(rng.normal(0, 1, water.shape).astype(np.float32), (0, 0), 6)
    patches *= PATCHES / patches.std()
    for name, dark in WATER.items():
        whole = dark * water + LAND[name] * (1 - water) * (1 + patches)
        if name == "swir16":
            whole = cv2.resize(whole, (size // 2, size // 2), interpolation=cv2.INTER_AREA)
        whole = whole + rng.normal(0, NOISE, whole.shape).astype(np.float32)
        if name == "swir16":  # a 20 m band brought to 10 m, as folders of products are read
            whole = cv2.resize(whole, (size, size), interpolation=cv2.INTER_LINEAR)
        found[name] = np.clip(whole, 0, 1)
    return found


def written(path: Path, made: dict[str, Floats]) -> Path:
    size = len(made["green"])
    with rasterio.open(
        path, "w", driver="GTiff", width=size, height=size, count=len(made), dtype="uint16",
        crs="EPSG:32631", transform=Affine(10, 0, 500_000, 0, -10, 4_500_000),
    ) as target:  # fmt: skip
        target.write(np.rint(np.stack(list(made.values())) * 10_000).astype(np.uint16))
        target.descriptions = tuple(made)
        target.scales = (1e-4,) * len(made)
    return path


def apart(one: shapely.Geometry, other: shapely.Geometry, inside: shapely.Geometry) -> float:
    """Return the median distance of points along a line from another line."""
    line = shapely.segmentize(shapely.intersection(one, inside), 1.0)
    shapely.prepare(other)
    points = shapely.points(shapely.get_coordinates(line))
    return float(np.median(shapely.distance(points, other)))


def measured(size: int, seed: int, index: str, method: str, folder: Path) -> list[float]:
    rng = np.random.default_rng(seed)
    water = coast(size, rng)
    made = bands(share(water, size), rng)
    raster = open_raster(written(folder / "coast.tif", made))
    drawn = waterline(raster, WaterlineOptions(index, method=method))
    line = shapely.multilinestrings(shapely.transform(drawn.lines, raster.grid.to_pixel))
    dark = [made[name] < otsu(made[name].ravel()) for name in ("nir", "swir16")]
    label = shapely.union_all(shoreline_from_mask(dark[0] & dark[1], Affine.identity()))
    true, inside = shapely.boundary(water), shapely.box(2, 2, size - 2, size - 2)
    return [apart(line, true, inside), apart(label, true, inside), apart(label, line, inside),
            drawn.error_pixels]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=600, help="pixels on a side")
    parser.add_argument("--seeds", type=int, default=3, help="coasts")
    given = parser.parse_args()
    print("index  method  line to coast  label to coast  line to label  said")
    with tempfile.TemporaryDirectory() as folder:
        for index in ("mndwi", "ndwi"):
            for method in METHODS:
                rows = [measured(given.size, seed, index, method, Path(folder))
                        for seed in range(given.seeds)]  # fmt: skip
                values = "  ".join(f"{value:13.3f}" for value in np.mean(rows, axis=0))
                print(f"{index:<6} {method:<6} {values}", flush=True)


if __name__ == "__main__":
    main()
