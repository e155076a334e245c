"""How near to a label on pixels a waterline can come: by the label's choice, and by a rule.

    $ python benchmarks/waterline_rules.py ../shared/data/scenes [--only coast]

For each scene of ``bands.py``, the median distance in pixels from the label's edges to

- ``stairs``: the contour of the label itself, drawn below a pixel: what whole pixels cost;
- ``best``: the contour of any of ``INDICES`` at any threshold, both chosen by this very label;
- ``otsu`` and ``wet``: what ``waterline`` draws by MNDWI, by either method;
- the edge of clean water at each of ``SHARES`` of the way from water to land (``wet`` has
  ``SHARE``), and ``held out``: at the share that is best on the mean of all other places.

The dates of the Ucayali are one place. ``best`` is not a method: it says what no method by these
bands can be expected to beat.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
import shapely
from bands import Scene, scenes
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from skimage.measure import find_contours

from geoiseg.errors import RasterError
from geoiseg.outline.shoreline import WaterlineOptions, shoreline_from_mask, waterline
from geoiseg.outline.shoreline.mixture import PURE, pure
from geoiseg.outline.shoreline.wet import darkness, wet_edge
from geoiseg.raster import Raster, open_raster

Floats = NDArray[np.float32]
Bool = NDArray[np.bool_]
INDICES = (
    "mndwi", "ndwi", "(red-nir)/(red+nir)", "(red-swir16)/(red+swir16)",
    "(blue-swir16)/(blue+swir16)", "(green-max(nir,swir16))/(green+max(nir,swir16))",
    "(2*green-nir-swir16)/(2*green+nir+swir16)", "-nir", "-swir16", "-(nir+swir16)",
    "-max(nir,swir16)", "green-max(nir,swir16)",
)  # fmt: skip
SHARES = (0.3, 0.35, 0.4, 0.45, 0.5)
AROUND, FAR = 15, 10.0
"""Side in pixels of the square around the label's edges within which contours are looked for, and
the distance where there is none."""
POINTS, TRIES, ROUNDS = 2500, 9, 2
"""Points of the label's edges, and thresholds of each round, by which a best one is chosen."""


def points_of(scene: Scene) -> NDArray[np.float64]:
    edge = shapely.union_all(
        shoreline_from_mask(scene.water, rasterio.Affine.identity(), scene.known)
    )
    found: NDArray[np.float64] = shapely.get_coordinates(shapely.segmentize(edge, 1.0))
    return found


def around(kind: Bool, other: Bool, side: int) -> Bool:
    square = np.ones((side, side), np.uint8)
    both = [cv2.dilate(one.astype(np.uint8), square) > 0 for one in (kind, other)]
    return np.asarray(both[0] & both[1])


def apart(plane: Floats, level: float, near: Bool, points: NDArray[np.float64]) -> float:
    """Return the median distance from points to a contour, in pixels."""
    contours = find_contours(np.where(near, plane, np.nan).astype(float), level)
    if not contours:
        return FAR
    starts = np.concatenate([one[:-1] for one in contours])
    ways = np.concatenate([np.diff(one, axis=0) for one in contours])
    steps = np.linspace(0, 1, 8, endpoint=False)[:, None]
    on = (starts[:, None] + ways[:, None] * steps).reshape(-1, 2)[:, ::-1] + 0.5
    away, _ = cKDTree(on).query(points, distance_upper_bound=FAR)
    return float(np.median(np.minimum(away, FAR)))


def best(plane: Floats, near: Bool, points: NDArray[np.float64]) -> float:
    """Return the least distance of any threshold's contour."""
    low, high = np.percentile(plane[near], (1, 99)).tolist()
    least = FAR
    for _ in range(ROUNDS):
        levels = np.linspace(low, high, TRIES)
        found = [apart(plane, level, near, points) for level in levels]
        at = int(np.argmin(found))
        least = min(least, found[at])
        low, high = levels[max(at - 1, 0)], levels[min(at + 1, TRIES - 1)]
    return least


def drawn(raster: Raster, method: str, points: NDArray[np.float64]) -> tuple[float, float]:
    """Return the median distance to what ``waterline`` draws by MNDWI, and its threshold."""
    line = waterline(raster, WaterlineOptions(method=method))
    ours = shapely.multilinestrings(shapely.transform(line.lines, raster.grid.to_pixel))
    shapely.prepare(ours)
    return float(np.median(shapely.distance(shapely.points(points), ours))), line.threshold


def measured(scene: Scene) -> dict[str, Any]:
    raster = open_raster(scene.path, scene.roles)
    whole, points = raster.grid.whole, points_of(scene)
    near = around(scene.water, ~scene.water, AROUND)
    row: dict[str, Any] = {"stairs": apart(scene.water.astype(np.float32), 0.5, near, points)}
    row["otsu"], level = drawn(raster, "otsu", points)
    row["wet"], _ = drawn(raster, "wet", points)
    (values,), valid = raster.read_bands(whole, 0, ["mndwi"])
    kinds = [kind & valid for kind in (values > level, values <= level)]
    side = around(kinds[0], kinds[1], 2 * PURE + 1)
    sides = [(whole, pure(kinds[0], side), pure(kinds[1], side))]
    formula = darkness(raster)
    (values,), valid = raster.read_bands(whole, 0, [formula])
    for share in SHARES:
        edge = wet_edge(raster, formula, sides, 1, share)
        row[f"{share:g}"] = FAR if edge is None else apart(values, edge.value, near & valid, points)
    some = np.random.default_rng(0).permutation(points)[:POINTS]
    tried = {}
    for index in INDICES:
        try:
            (values,), valid = raster.read_bands(whole, 0, [index])
        except RasterError:
            continue  # the Ucayali has no blue
        tried[index] = best(values, near & valid, some)
    row["by"] = min(tried, key=lambda index: tried[index])
    row["best"] = tried[row["by"]]
    return row


def place_of(name: str) -> str:
    return "ucayali" if "ucayali" in name else name


def held_out(rows: dict[str, dict[str, Any]]) -> None:
    """Put into each row the share that suits other places, and what it gives here."""
    places: dict[str, list[list[float]]] = defaultdict(list)
    for name, row in rows.items():
        places[place_of(name)].append([row[f"{share:g}"] for share in SHARES])
    means = {place: np.mean(found, axis=0) for place, found in places.items()}
    for name, row in rows.items():
        others = [mean for place, mean in means.items() if place != place_of(name)]
        share = SHARES[int(np.argmin(np.mean(others, axis=0)))] if others else float("nan")
        row["share"] = share
        row["held out"] = row.get(f"{share:g}", float("nan"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("scenes", type=Path)
    parser.add_argument("--only", default="", help="scenes whose names begin so")
    given = parser.parse_args()
    rows = {}
    for scene in scenes(given.scenes):
        if scene.name.startswith(given.only):
            rows[scene.name] = measured(scene)
            print(f"{scene.name} ...", flush=True)
    held_out(rows)
    names = ("stairs", "best", "otsu", "wet", "held out", "share", *map("{:g}".format, SHARES))
    print(f"{'scene':<24}" + "".join(f"{name:>9}" for name in names) + "  best by")
    for scene_name, row in rows.items():
        print(f"{scene_name:<24}" + "".join(f"{row[name]:9.2f}" for name in names), row["by"])


if __name__ == "__main__":
    main()
