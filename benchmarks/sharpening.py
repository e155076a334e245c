"""Borders of objects larger than a chip: as first seen, sharpened, and followed.

    $ python benchmarks/sharpening.py ../shared/data --model tiny

One click in the middle of each object that is larger than a chip: seconds to the first answer
and until it is sharp, IoU, and how far its border lies from the label's, in pixels of the raster
(median and 90th percentile; the raster's own edge is no border).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import geopandas as gpd
import numpy as np
from held_out import load
from numpy.typing import NDArray
from rasterio.features import rasterize

import geoiseg
from geoiseg.raster.readers import open_raster
from geoiseg.segment.embeddings import EmbeddingCache

PLACES = ("scenes/coastmb_*", "scenes/coast_*", "train/coast_s2_algiers*", "train/islands_bm_*",
          "train/coast_s2_san_francisco*")  # fmt: skip
Bool = NDArray[np.bool_]


def border(mask: Bool) -> Bool:
    """Return the pixels on either side of a mask's border."""
    edge = np.zeros(mask.shape, bool)
    down, across = mask[1:] != mask[:-1], mask[:, 1:] != mask[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    return edge


def errors(found: Bool, truth: Bool) -> tuple[float, float, float]:
    """Return IoU, and median and 90th percentile of the distance from border to border."""
    iou = (found & truth).sum() / max(1, (found | truth).sum())
    ours, theirs = border(found), border(truth)
    if not ours.any() or not theirs.any():
        return float(iou), float("nan"), float("nan")
    far = cv2.distanceTransform((~theirs).astype(np.uint8), cv2.DIST_L2, 5)[ours]
    missed = cv2.distanceTransform((~ours).astype(np.uint8), cv2.DIST_L2, 5)[theirs]
    apart = np.concatenate([far, missed])
    return float(iou), float(np.median(apart)), float(np.percentile(apart, 90))


def whole(session: geoiseg.Session) -> Bool:
    """Return ``(y, x)`` the object in progress on the raster's own grid."""
    grid = session.raster.grid
    mask = session.mask
    if mask is None or mask.is_empty:
        return np.zeros(grid.shape, bool)
    shape = session.geometry
    return rasterize([shape], grid.shape, transform=grid.transform) > 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--objects", type=int, default=2, help="Largest objects of a scene.")
    given = parser.parse_args()
    rows: dict[str, list[tuple[float, ...]]] = {}
    model = load(given.model)
    for pattern in PLACES:
        for path in sorted(given.data.glob(f"{pattern}/image.tif")):
            raster = open_raster(path)
            frame = gpd.read_file(path.parent / "labels.geojson").to_crs(raster.grid.crs)
            shapes = sorted(frame.geometry, key=lambda one: -one.area)[: given.objects]
            for shape in shapes:
                truth = rasterize([shape], raster.grid.shape, transform=raster.grid.transform) > 0
                y, x = np.nonzero(truth)
                if not len(y) or max(np.ptp(y), np.ptp(x)) < 512:
                    continue
                depth = cv2.distanceTransform(np.pad(truth, 1).astype(np.uint8), cv2.DIST_L2, 5)
                row, col = np.unravel_index(int(depth[1:-1, 1:-1].argmax()), truth.shape)
                session = geoiseg.Session(raster, model, cache=EmbeddingCache())
                start = time.perf_counter()
                session.add_point(*raster.grid.to_crs([[col + 0.5, row + 0.5]])[0])
                first = time.perf_counter() - start
                seen = errors(whole(session), truth)
                rows.setdefault("seen", []).append((first, *seen))
                start = time.perf_counter()
                session.sharpen()
                sharp = errors(whole(session), truth)
                rows.setdefault("sharpened", []).append((time.perf_counter() - start, *sharp))
                chips = session.outcome.grown.chips if session.outcome.grown else 0
                lost = session.outcome.grown.lost if session.outcome.grown else 0
                print(f"{path.parent.name:28} {first:5.2f} s, "
                      f"IoU {seen[0]:.3f} {seen[1]:5.1f} {seen[2]:6.1f} px -> {chips:3} chips, "
                      f"{lost} lost, IoU {sharp[0]:.3f} {sharp[1]:5.1f} {sharp[2]:6.1f} px",
                      flush=True)  # fmt: skip
    for name, found in rows.items():
        mean = np.nanmean(np.array(found), axis=0)
        print(f"{name:10} {mean[0]:.2f} s  IoU {mean[1]:.3f}  median {mean[2]:.1f} px,"
              f" 90th percentile {mean[3]:.1f} px, {len(found)} objects")  # fmt: skip


if __name__ == "__main__":
    main()
