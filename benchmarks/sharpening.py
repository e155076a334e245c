"""Borders of objects larger than a chip: as first seen, sharpened, and followed.

    $ python benchmarks/sharpening.py ../shared/data --model tiny

One click in the middle of each object that is larger than a chip: seconds to the first answer
and until it is sharp, IoU, and how far its border lies from the label's, in pixels of the raster
(median and 90th percentile; the raster's own edge is no border). ``grown`` is the same click at
the raster's own resolution, followed from chip to chip; ``finished`` is what ``accept`` keeps: one
or the other. ``three clicks`` is the best of up to three on seas and lakes, each more one in the
middle of what is most wrong as seen, finished. Lands are
left out: a click on a field does not say all land. ``along`` is the part of the label's border
that the first look came near, within the band that sharpening decides anew: its share of the
whole, how far it lay off as seen, and how far it lies off sharpened (90th percentiles).
``--border`` measures nothing but that, ``seen`` and ``sharpened``.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import geopandas as gpd
import numpy as np
from held_out import load
from numpy.typing import NDArray
from rasterio.features import rasterize

import geoiseg
from geoiseg.demo.scene import make_scene
from geoiseg.models import Model
from geoiseg.raster import Raster
from geoiseg.raster.readers import open_raster
from geoiseg.segment.coarse import BAND
from geoiseg.segment.embeddings import EmbeddingCache

PLACES = ("scenes/coastmb_*", "scenes/coast_*", "train/coast_s2_*", "train/islands_bm_*",
          "train/delta_*", "train/lake_*")  # fmt: skip
CLICKS, LARGER = 3, 512
"""Clicks at most, and pixels across of what is larger than a chip."""
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


def along(before: Bool, after: Bool, truth: Bool, near: float) -> tuple[float, float, float]:
    """Return the share of a border that was near before, and how far off it was and is there.

    Args:
        before: ``(y, x)`` the object as it was seen.
        after: ``(y, x)`` the object now.
        truth: ``(y, x)`` the object.
        near: Pixels.
    """
    at = border(truth)
    off = [cv2.distanceTransform((~border(one)).astype(np.uint8), cv2.DIST_L2, 5)[at]
           for one in (before, after)]  # fmt: skip
    here = off[0] <= near
    if not here.any():
        return 0.0, float("nan"), float("nan")
    return (float(here.mean()), *(float(np.percentile(one[here], 90)) for one in off))


def whole(session: geoiseg.Session) -> Bool:
    """Return ``(y, x)`` the object in progress on the raster's own grid."""
    grid = session.raster.grid
    mask = session.mask
    if mask is None or mask.is_empty:
        return np.zeros(grid.shape, bool)
    shape = session.geometry
    return rasterize([shape], grid.shape, transform=grid.transform) > 0


def middle(region: Bool) -> tuple[float, float]:
    """Return the column and row of the pixel that lies deepest in a region."""
    depth = cv2.distanceTransform(np.pad(region, 1).astype(np.uint8), cv2.DIST_L2, 5)
    row, col = np.unravel_index(int(depth[1:-1, 1:-1].argmax()), region.shape)
    return col + 0.5, row + 0.5


def clicked(session: geoiseg.Session, at: tuple[float, float], *, on: bool = True) -> float:
    """Click, and return the seconds it took."""
    start = time.perf_counter()
    session.add_point(*session.raster.grid.to_crs([at])[0], on)
    return time.perf_counter() - start


def timed(work: Callable[[], object]) -> float:
    """Do something, and return the seconds it took."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def of_object(
    raster: Raster, model: Model, truth: Bool, *, only_border: bool
) -> dict[str, tuple[float, ...]]:
    """Return seconds, IoU, median and 90th percentile of one object, however it was seen."""
    found = {}
    session = fresh(raster, model)
    first = clicked(session, middle(truth))
    seen, level = whole(session), session.outcome.level if session.outcome else 0
    found["seen"] = (first, *errors(seen, truth))
    more = timed(session.sharpen)
    sharp = whole(session)
    found["sharpened"] = (more, *errors(sharp, truth))
    if level:
        found["along"] = (float(level), *along(seen, sharp, truth, BAND * 2**level))
    if only_border:
        return found
    session = fresh(raster, model, gsd=raster.grid.pixel_size_metres())
    clicked(session, middle(truth))
    more = timed(session.grow)
    found["grown"] = (more, *errors(whole(session), truth))
    session = fresh(raster, model, follow=True)
    clicked(session, middle(truth))
    more = timed(lambda: session.finish(native=True))
    found["finished"] = (more, *errors(whole(session), truth))
    return found


def of_clicks(raster: Raster, model: Model, truth: Bool) -> tuple[float, ...]:
    """Return the clicks needed, IoU, median and 90th percentile of the best of three clicks."""
    session, best = fresh(raster, model, follow=True), (0.0, 0.0, np.nan, np.nan)
    at, on = middle(truth), True
    for number in range(1, CLICKS + 1):
        clicked(session, at, on=on)
        seen, first = whole(session), session.outcome
        session.finish(native=True)
        now = errors(whole(session), truth)
        best = max(best, (float(number), *now), key=lambda one: one[1])
        if session.outcome is not first:
            session.undo()
        wrong = seen != truth
        if now[0] >= 0.99 or not wrong.any():
            break
        missed, spilled = truth & ~seen, seen & ~truth
        deepest = [cv2.distanceTransform(np.pad(one, 1).astype(np.uint8), cv2.DIST_L2, 5).max()
                   for one in (missed, spilled)]  # fmt: skip
        on = deepest[0] >= deepest[1]
        at = middle(missed if on else spilled)
    return best


def fresh(
    raster: Raster, model: Model, gsd: float | None = None, *, follow: bool = False
) -> geoiseg.Session:
    """Return a session that has encoded nothing, and follows nothing by itself unless told to."""
    session = geoiseg.Session(raster, model, gsd=gsd, cache=EmbeddingCache())
    session.follow = follow
    return session


def objects(data: Path, scenes: int, most: int, demo: int) -> Iterator[tuple[str, Raster, Bool]]:
    """Yield the largest seas, lakes and islands of scenes that are larger than a chip."""
    for pattern in PLACES:
        for path in sorted(data.glob(f"{pattern}/image.tif"))[:scenes]:
            raster = open_raster(path)
            frame = gpd.read_file(path.parent / "labels.geojson").to_crs(raster.grid.crs)
            if "class" in frame:
                frame = frame[frame["class"] != "land"]  # nothing on land says that it is all of it
            for shape in sorted(frame.geometry, key=lambda one: -one.area)[:most]:
                yield path.parent.name, raster, burned(shape, raster)
    if demo:
        with tempfile.TemporaryDirectory() as folder:
            scene = make_scene(Path(folder) / "demo.tif", demo)
            raster = open_raster(scene.path)
            yield f"demo, {demo} px, sea", raster, burned(scene.truth_of("sea"), raster)


def burned(shape: Any, raster: Raster) -> Bool:
    """Return ``(y, x)`` a shape on a raster's own grid."""
    return rasterize([shape], raster.grid.shape, transform=raster.grid.transform) > 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--objects", type=int, default=1, help="Largest objects of a scene.")
    parser.add_argument("--scenes", type=int, default=99, help="First scenes of a family.")
    parser.add_argument("--border", action="store_true", help="Nothing but sharpened borders.")
    parser.add_argument("--demo", type=int, default=4096, help="Side of the demonstration scene.")
    given = parser.parse_args()
    rows: dict[str, list[tuple[float, ...]]] = {}
    model = load(given.model)
    for name, raster, truth in objects(given.data, given.scenes, given.objects, given.demo):
        y, x = np.nonzero(truth)
        if not len(y) or max(np.ptp(y), np.ptp(x)) < LARGER:
            continue
        found = of_object(raster, model, truth, only_border=given.border)
        if "islands" not in name and not given.border:
            found["three clicks"] = of_clicks(raster, model, truth)
        for way, one in found.items():
            rows.setdefault(way, []).append(one)
        print(f"{name:26}", *(
            f"along, level {one[0]:.0f} {one[1]:.0%} {one[2]:.1f} {one[3]:.1f} px |"
            if way == "along"
            else f"{way} {one[0]:.1f} IoU {one[1]:.3f} {one[2]:.1f} {one[3]:.1f} px |"
            for way, one in found.items()), flush=True)  # fmt: skip
    near = np.array(rows.pop("along", [(0.0,) * 4]))
    _, share, was, now = np.nanmedian(near, axis=0)
    print(f"along          half over {share:.0%} of the border, 90th percentile there half below "
          f"{was:.1f} px as seen, {now:.1f} px sharpened, {len(near)} objects")  # fmt: skip
    for way, found in rows.items():
        table = np.array(found)
        mean, half = np.nanmean(table, axis=0), np.nanmedian(table, axis=0)
        print(f"{way:14} {mean[0]:.2f} s (clicks)  IoU {mean[1]:.3f} (half over {half[1]:.3f}, "
              f"{np.mean(table[:, 1] >= 0.95):.0%} from .95)  median {mean[2]:.1f} px (half below"
              f" {half[2]:.1f}), 90th percentile {mean[3]:.1f} px (half below {half[3]:.1f}), "
              f"{len(found)} objects")  # fmt: skip


if __name__ == "__main__":
    main()
