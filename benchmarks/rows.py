"""Buildings in rows made right-angled: each by itself, in rows, and by buildingregulariser.

    $ python benchmarks/rows.py

Eight rows of six made houses each, some with a wing, their outlines along pixels with the noise of
a model's mask: IoU with the true house, how many have right angles alone, vertices, how many
degrees houses are off the direction of their row, milliseconds. buildingregulariser is asked where
it is installed, with its own defaults and with a tolerance of two pixels.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import geopandas as gpd
import numpy as np
import shapely
from affine import Affine
from rasterio.features import rasterize
from shapely import affinity

from geoiseg.outline.vectorize import geometry_from_mask, regularize, regularize_together
from geoiseg.outline.vectorize.rows import direction_of, main_direction

ROWS, HOUSES, SIDE = 8, 6, 1100


def houses() -> list[Any]:
    """Return the true houses, in pixels, row after row."""
    rng, found = np.random.default_rng(0), []
    for row in range(ROWS):
        angle = rng.uniform(0, 90)
        for number in range(HOUSES):
            wide, high = rng.uniform(20, 34), rng.uniform(14, 22)
            house = shapely.box(0, 0, wide, high)
            if rng.random() < 0.4:
                house = house.difference(shapely.box(0, 0, wide * 0.4, high * 0.45))
            house = affinity.translate(house, number * 40, 0)
            house = affinity.rotate(house, angle, origin=(120, 10))
            found.append(affinity.translate(house, 150 + 300 * (row % 3), 150 + 300 * (row // 3)))
    return found


def seen(house: Any, rng: np.random.Generator) -> Any:
    """Return the outline along pixels of a house as a model may see it."""
    mask = (rasterize([house], (SIDE, SIDE)) > 0).astype(np.uint8)
    kernel = np.ones((3, 3), np.uint8)
    rim = cv2.dilate(mask, kernel) != cv2.erode(mask, kernel)
    unsure = mask + rim * rng.normal(0, 0.6, mask.shape)
    found = cv2.GaussianBlur(unsure.astype(np.float32), (0, 0), 1) > 0.5
    parts = shapely.get_parts(geometry_from_mask(found, Affine.identity()))
    return max(parts, key=lambda part: part.area)


def off_their_rows(shapes: Sequence[Any]) -> list[float]:
    """Return by how many degrees a house of each row is off its mean direction, at most."""
    most = []
    for row in range(ROWS):
        mine = shapes[HOUSES * row : HOUSES * (row + 1)]
        known = [direction_of(one) for one in mine]
        angles = np.array(
            [main_direction(a) if b is None else b for a, b in zip(mine, known, strict=True)]
        )
        turns = np.exp(4j * angles)
        off = np.angle(turns / turns.mean()) / 4
        most.append(float(np.degrees(np.abs(off).max())))
    return most


def main() -> None:
    truth, rng = houses(), np.random.default_rng(1)
    outlines = [seen(one, rng) for one in truth]

    def show(name: str, make: Callable[[], Sequence[Any]]) -> None:
        began = time.process_time()
        found = make()
        spent = (time.process_time() - began) * 1e3 / len(truth)
        iou = np.mean([a.intersection(b).area / a.union(b).area
                       for a, b in zip(found, truth, strict=True)])  # fmt: skip
        right = np.mean([direction_of(one) is not None for one in found])
        vertices = np.mean([len(one.exterior.coords) - 1 for one in found])
        off = off_their_rows(found)
        print(f"{name:44} IoU {iou:.3f}  right angles {right:4.0%}  {vertices:4.1f} vertices ",
              f"off the row {np.mean(off):.2f} (most {np.max(off):.2f}) degrees ",
              f"{spent:.1f} ms")  # fmt: skip

    show("along pixels", lambda: outlines)
    show("square, each by itself", lambda: [regularize(one) for one in outlines])
    show("square, in rows", lambda: regularize_together(outlines))
    try:
        from buildingregulariser import regularize_geodataframe
    except ImportError:
        return
    frame = gpd.GeoDataFrame(geometry=outlines, crs="EPSG:32631")
    plain = {"allow_circles": False, "num_cores": 1}
    for name, options in (
        ("its defaults", plain),
        ("neighbours aligned", {**plain, "neighbor_alignment": True}),
        ("2 px, aligned", {**plain, "neighbor_alignment": True, "parallel_threshold": 2,
                           "simplify_tolerance": 2.0, "allow_45_degree": False}),
    ):  # fmt: skip
        show(
            f"buildingregulariser, {name}",
            lambda given=options: list(regularize_geodataframe(frame.copy(), **given).geometry),
        )


if __name__ == "__main__":
    main()
