"""What all bands bring on water: clicks, the word and the shoreline, against an index and colour.

    $ python benchmarks/bands.py ../shared/data/scenes [--per-scene 2] [--clicks 10] [--json FILE]

Scenes with more than three bands. Their labels follow from the near and short-wave infrared, so
that a threshold on an index is near the truth by construction: it is the bar to reach. The bands of
``river_ucayali_*`` have no names; what they are is given here, as a user would. Of ``coast_olinda``
likewise. A word is compared where the truth is known; clicks on objects of the class water, and
once on the largest of another class (``land``). Where there is short-wave infrared besides red,
green and blue, ``four`` does without it. The rivers' labels have bars of sand filled in, against
their own rule: those count as unknown, so that nobody clicks on them.

Clicks are counted twice: by the object as it is seen after each of them, from further away where it
leaves its chip, and (``kept``) by what ``accept`` keeps of it, followed and sharpened, as the map
does by itself. Along the open coast of Durban (``SURF``, drawn by eye) the label goes around the
breakers, whose foam it calls land: ``calm`` is the shoreline's error without them,
``wet`` that of the edge of clean water (``--method wet``). ``at edge`` is
how far a band has gone from pure water to pure land nearby where the label has its edges: a half,
were they where pixels are half water.
"""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import geopandas as gpd
import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize

import geoiseg
from geoiseg.evaluate.metrics import clicks_to, iou
from geoiseg.evaluate.simulated_user import next_click
from geoiseg.outline.shoreline.boundary import shoreline_from_mask
from geoiseg.outline.shoreline.mixture import pure
from geoiseg.outline.shoreline.waterline import WaterlineOptions, waterline
from geoiseg.raster import Raster, open_raster
from geoiseg.segment import EmbeddingCache
from geoiseg.segment.parting import otsu

Bool = NDArray[np.bool_]
ROLES = {
    "river_ucayali": {"swir16": 1, "nir": 2, "red": 3, "green": 4},
    "coast_olinda": {"blue": 1, "green": 2, "red": 3, "nir": 4, "swir16": 5, "swir22": 6},
}
"""What the bands are where the file does not say."""
SURF = {
    "coastmb_s2_durban": (
        ((472, 0), (490, 91), (527, 198), (560, 280), (610, 363), (692, 396), (684, 363),
         (626, 346), (585, 260), (560, 165), (535, 0)),
        ((784, 334), (754, 396), (754, 445), (725, 527), (626, 643), (527, 783), (462, 900),
         (535, 900), (577, 808), (659, 684), (742, 577), (783, 494), (791, 396), (804, 334)),
    ),
}  # fmt: skip
"""Pixels of the corners of areas where waves break."""
TARGET, CLUSTERS, SMALLEST = 0.85, 8, 400
AROUND = 21
"""Side in pixels of the square around the water's edges in which pure water and land are sought."""


@dataclass(frozen=True)
class Scene:
    """A scene with its water."""

    name: str
    path: Path
    shown: tuple[int, ...]
    """Bands that the model sees."""
    objects: tuple[Bool, ...]
    """``(y, x)`` of each labelled water."""
    known: Bool
    """``(y, x)`` True where the truth is known."""
    other: Bool | None = None
    """``(y, x)`` of the largest object that is no water."""

    @property
    def water(self) -> Bool:
        """``(y, x)`` all of the water."""
        return np.any(self.objects, axis=0)

    @property
    def roles(self) -> dict[str, int] | None:
        """What the bands are where the file does not say."""
        return next((r for start, r in ROLES.items() if self.name.startswith(start)), None)

    def raster(self, work: Path, which: str) -> Raster | None:
        """Return the scene with ``all`` of its bands, ``four`` or ``three``; None without such."""
        whole = open_raster(self.path, self.roles)
        if which == "all":
            return whole.restyled(self.shown)
        names = ("red", "green", "blue", "nir") if which == "four" else None
        if names and not all(name in whole.roles for name in (*names, "swir16")):
            return None
        bands = [whole.roles[name] for name in names] if names else list(self.shown)
        path = work / f"{self.name}-{which}.tif"
        if not path.exists():
            with rasterio.open(self.path) as source:
                profile = {**source.profile, "count": len(bands)}
                with rasterio.open(path, "w", **profile) as target:
                    target.write(source.read(bands))
        told = {name: n for n, name in enumerate(names, 1)} if names else None
        return open_raster(path, told).restyled((1, 2, 3))


def scenes(folder: Path) -> list[Scene]:
    found = []
    for path in sorted(folder.glob("*/image.tif")):
        name = path.parent.name
        with rasterio.open(path) as source:
            if source.count < 4:
                continue
            shape, transform, crs = source.shape, source.transform, source.crs
            data = source.dataset_mask() > 0
        labels = gpd.read_file(path.parent / "labels.geojson").to_crs(crs)
        about = json.loads((path.parent / "provenance.json").read_text())
        shown = about.get("rgb", (0, 1, 2))
        every = "class" not in labels
        own = labels if every else labels[labels["class"] == "water"]

        def burned(shapes: Any) -> Bool:
            return np.asarray(rasterize(shapes, shape, transform=transform) > 0)  # noqa: B023

        objects = tuple(burned([one]) for one in own.geometry)
        known = data if every else data & burned(list(labels.geometry))
        rule = re.search(r"MNDWI\(Green,SWIR1\)>([\d.]+)", about.get("label", ""))
        if rule:
            known = known & ~(np.any(objects, axis=0) & (_mndwi(path) <= float(rule[1])))
        others = [] if every else [burned([one]) for one in
                                   labels[labels["class"] != "water"].geometry]  # fmt: skip
        other = max(others, key=lambda one: int(one.sum()), default=None)
        found.append(Scene(name, path, tuple(band + 1 for band in shown), objects, known, other))
    return found


def _mndwi(path: Path) -> NDArray[np.float32]:
    raster = open_raster(path, ROLES["river_ucayali"])
    return raster.read_bands(raster.grid.whole, 0, ["mndwi"])[0][0]


def by_clicks(
    raster: Raster, truth: Bool, known: Bool, most: int, *, kept: bool = False
) -> list[float]:
    """Return the IoU after each click on one object, as it is seen or as it would be ``kept``."""
    session = geoiseg.Session(raster, cache=CACHE)
    grid = raster.grid
    mask, clicked, ious = np.zeros_like(truth), np.zeros_like(truth), []
    while len(ious) < most:
        click = next_click(truth, mask, clicked, known)
        if click is None:
            break
        x, y = click.xy_pixel
        clicked[int(y), int(x)] = True
        session.add_point(*grid.to_crs([[x, y]])[0].tolist(), positive=click.positive)
        if kept:
            session.finish()
        mask = _full(session.mask, grid)
        ious.append(iou(mask, truth, known))
        if len(ious) >= 3 and max(ious) >= TARGET:
            break
    return ious + [ious[-1] if ious else 0.0] * (most - len(ious))


CACHE = EmbeddingCache()


def _full(mask: Any, grid: Any) -> Bool:
    """Return a mask on the raster's own grid."""
    if mask is None:
        return np.zeros(grid.shape, bool)
    a = grid.to_pixel(mask.grid.to_crs([[0, 0], [mask.grid.width, mask.grid.height]]))
    (x0, y0), (x1, y1) = np.rint(a).astype(int).tolist()
    large = cv2.resize(mask.array.astype(np.uint8), (x1 - x0, y1 - y0),
                       interpolation=cv2.INTER_NEAREST)  # fmt: skip
    full = np.zeros(grid.shape, bool)
    rows, cols = min(y1, grid.height), min(x1, grid.width)
    full[y0:rows, x0:cols] = large[: rows - y0, : cols - x0] > 0
    return full


def by_word(raster: Raster) -> tuple[Bool, str]:
    """Return the water that the word finds, and by what."""
    session = geoiseg.Session(raster, cache=CACHE)
    found = [one.geometry for one in session.add_text("water")]
    assert session.search is not None
    shapes = found or [shapely.box(0, 0, 0, 0)]
    mask = rasterize(shapes, raster.grid.shape, transform=raster.grid.transform) > 0
    return np.asarray(mask), session.search.by or "the head"


def by_index(raster: Raster, index: str) -> Bool | None:
    """Return where an index is above the threshold that Otsu's method finds in all of it."""
    try:
        values, valid = raster.read_bands(raster.grid.whole, 0, [index])
    except geoiseg.GeoisegError:
        return None
    return (values[0] > otsu(values[0][valid])) & valid


def by_colour(raster: Raster, truth: Bool, known: Bool) -> Bool:
    """Return k-means clusters in Lab that are mostly water by the truth: colour at its best."""
    rgb = raster.chip(raster.grid.whole, 0).rgb
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB).reshape(-1, 3).astype(np.float32)
    rng = np.random.default_rng(0)
    cv2.setRNGSeed(0)
    some = lab[rng.choice(len(lab), min(20_000, len(lab)), replace=False)]
    until = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 30, 0.5)
    _, _, centres = cv2.kmeans(some, CLUSTERS, None, until, 3, cv2.KMEANS_PP_CENTERS)
    near = ((lab[:, None] - centres[None]) ** 2).sum(axis=2).argmin(axis=1).reshape(truth.shape)
    good = [k for k in range(CLUSTERS) if (truth & known)[near == k].sum() * 2
            > known[near == k].sum()]  # fmt: skip
    return np.isin(near, good)


def shore_error(raster: Raster, scene: Scene, method: str = "otsu") -> tuple[float, float, float]:
    """Return the median distance in pixels of the line to the label's edge, and its own error.

    The second is that without what lies in the surf.
    """
    index = "mndwi" if "swir16" in raster.roles else "ndwi"
    drawn = waterline(raster, WaterlineOptions(index=index, method=method))
    true = shoreline_from_mask(scene.water, rasterio.Affine.identity(), scene.known)
    edge = shapely.union_all(true)
    lines = shapely.transform(drawn.lines, raster.grid.to_pixel)
    points = shapely.points(shapely.get_coordinates(shapely.segmentize(edge, 1.0)))
    ours = shapely.multilinestrings(lines)
    shapely.prepare(ours)
    away = shapely.distance(points, ours)
    surf = shapely.union_all([shapely.Polygon(one) for one in SURF.get(scene.name, ())])
    calm = away[~shapely.intersects(surf, points)]
    return float(np.median(away)), float(np.median(calm)), drawn.error_pixels


def at_edges(raster: Raster, scene: Scene, band: str) -> float:
    """Return how far a band has gone from water to land at the label's edges, 0..1."""
    values, valid = raster.read_bands(raster.grid.whole, 0, [band])
    known = valid & scene.known
    water, land = scene.water & known, ~scene.water & known
    around = np.ones((AROUND, AROUND), np.uint8)
    near = (cv2.dilate(water.astype(np.uint8), around) > 0) & (
        cv2.dilate(land.astype(np.uint8), around) > 0
    )
    dark, bright = (float(np.median(values[0][pure(kind, near)])) for kind in (water, land))
    between = []
    for one, other in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1])):
        edge = (water[one] & land[other]) | (land[one] & water[other])
        between.append((values[0][one][edge] + values[0][other][edge]) / 2)
    return (float(np.median(np.concatenate(between))) - dark) / (bright - dark)


def measured(scene: Scene, work: Path, given: argparse.Namespace) -> dict[str, Any]:
    row: dict[str, Any] = {"scene": scene.name}
    full = scene.raster(work, "all")
    assert full is not None
    known, water = scene.known, scene.water
    large = sorted((one for one in scene.objects if one.sum() >= SMALLEST),
                   key=lambda one: -int(one.sum()))  # fmt: skip
    for name in ("three", "four", "all"):
        raster = scene.raster(work, name)
        if raster is None:
            continue
        mask, how = by_word(raster)
        row[f"word {name}"] = iou(mask, water, known)
        row[f"by {name}"] = how
        for kept in (False, True):
            runs = [by_clicks(raster, one, known, given.clicks, kept=kept)
                    for one in large[: given.per_scene]]  # fmt: skip
            if runs:
                seen = f"kept {name}" if kept else name
                row[f"IoU@1 {seen}"] = float(np.mean([run[0] for run in runs]))
                row[f"NoC@85 {seen}"] = float(
                    np.mean([clicks_to(np.array(run), TARGET, given.clicks) for run in runs])
                )
        if scene.other is not None:
            row[f"land {name}"] = by_clicks(raster, scene.other, known, 1)[0]
    for index in ("ndwi", "mndwi"):
        mask = by_index(full, index)
        row[f"{index} Otsu"] = float("nan") if mask is None else iou(mask, water, known)
    row["k-means"] = iou(by_colour(full, water, known), water, known)
    row["shore px"], row["calm px"], row["own px"] = shore_error(full, scene)
    row["wet px"], row["wet calm px"], _ = shore_error(full, scene, "wet")
    for band in ("nir", "swir16"):
        row[f"{band} at edge"] = at_edges(full, scene, band)
    return row


def main() -> None:
    import tempfile

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("scenes", type=Path)
    parser.add_argument("--per-scene", type=int, default=2, help="waters clicked on, largest first")
    parser.add_argument("--clicks", type=int, default=10, help="most clicks on one")
    parser.add_argument("--only", default="", help="scenes whose names begin so")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as work:
        for scene in scenes(given.scenes):
            if not scene.name.startswith(given.only):
                continue
            rows.append(measured(scene, Path(work), given))
            print("  ".join(f"{key} {value:.3f}" if isinstance(value, float) else f"{value}"
                            for key, value in rows[-1].items()), flush=True)  # fmt: skip
    names = list(dict.fromkeys(name for row in rows for name, value in row.items()
                               if isinstance(value, float)))  # fmt: skip
    means = {name: float(np.nanmean([row.get(name, np.nan) for row in rows])) for name in names}
    print("mean  " + "  ".join(f"{name} {value:.3f}" for name, value in means.items()))
    if given.json:
        given.json.write_text(json.dumps({"scenes": rows, "mean": means}, indent=1))


if __name__ == "__main__":
    main()
