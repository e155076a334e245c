"""What all bands bring on water: clicks, the word and the shoreline, against an index and colour.

    $ python benchmarks/bands.py ../shared/data/scenes [--per-scene 2] [--clicks 10] [--json FILE]

Scenes with more than three bands. Their labels follow from the near and short-wave infrared, so
that a threshold on an index is near the truth by construction: it is the bar to reach. The bands of
``river_ucayali_*`` have no names; what they are is given here, as a user would. Of ``coast_olinda``
likewise. A word is compared where the truth is known; clicks on objects of the class water.
"""

from __future__ import annotations

import argparse
import json
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
TARGET, CLUSTERS, SMALLEST = 0.85, 8, 400


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

    @property
    def water(self) -> Bool:
        """``(y, x)`` all of the water."""
        return np.any(self.objects, axis=0)

    def raster(self, work: Path, *, every: bool) -> Raster:
        """Return the scene with all of its bands, or a file with three alone."""
        roles = next((r for start, r in ROLES.items() if self.name.startswith(start)), None)
        if every:
            whole = open_raster(self.path, roles)
            return whole.restyled(self.shown)
        path = work / f"{self.name}.tif"
        if not path.exists():
            with rasterio.open(self.path) as source:
                profile = {**source.profile, "count": 3}
                with rasterio.open(path, "w", **profile) as target:
                    target.write(source.read(list(self.shown)))
        return open_raster(path)


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
        shown = json.loads((path.parent / "provenance.json").read_text()).get("rgb", (0, 1, 2))
        every = "class" not in labels
        own = labels if every else labels[labels["class"] == "water"]

        def burned(shapes: Any) -> Bool:
            return np.asarray(rasterize(shapes, shape, transform=transform) > 0)  # noqa: B023

        objects = tuple(burned([one]) for one in own.geometry)
        known = data if every else data & burned(list(labels.geometry))
        found.append(Scene(name, path, tuple(band + 1 for band in shown), objects, known))
    return found


def by_clicks(raster: Raster, truth: Bool, known: Bool, most: int) -> list[float]:
    """Return the IoU after each click on one object."""
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


def shore_error(raster: Raster, scene: Scene) -> tuple[float, float]:
    """Return the median distance in pixels of the line to the label's edge, and its own error."""
    index = "mndwi" if "swir16" in raster.roles else "ndwi"
    drawn = waterline(raster, WaterlineOptions(index=index))
    true = shoreline_from_mask(scene.water, rasterio.Affine.identity(), scene.known)
    edge = shapely.union_all(true)
    lines = shapely.transform(drawn.lines, raster.grid.to_pixel)
    points = shapely.get_coordinates(shapely.segmentize(edge, 1.0))
    ours = shapely.multilinestrings(lines)
    shapely.prepare(ours)
    away = shapely.distance(shapely.points(points), ours)
    return float(np.median(away)), drawn.error_pixels


def measured(scene: Scene, work: Path, given: argparse.Namespace) -> dict[str, Any]:
    row: dict[str, Any] = {"scene": scene.name}
    full = scene.raster(work, every=True)
    known, water = scene.known, scene.water
    for name, every in (("three", False), ("all", True)):
        raster = scene.raster(work, every=every)
        mask, how = by_word(raster)
        row[f"word {name}"] = iou(mask, water, known)
        row[f"by {name}"] = how
        large = [one for one in scene.objects if one.sum() >= SMALLEST]
        large.sort(key=lambda one: -int(one.sum()))
        runs = [by_clicks(raster, one, known, given.clicks) for one in large[: given.per_scene]]
        if runs:
            row[f"IoU@1 {name}"] = float(np.mean([run[0] for run in runs]))
            row[f"NoC@85 {name}"] = float(
                np.mean([clicks_to(np.array(run), TARGET, given.clicks) for run in runs])
            )
    for index in ("ndwi", "mndwi"):
        mask = by_index(full, index)
        row[f"{index} Otsu"] = float("nan") if mask is None else iou(mask, water, known)
    row["k-means"] = iou(by_colour(full, water, known), water, known)
    row["shore px"], row["own px"] = shore_error(full, scene)
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
    names = [name for name, value in rows[0].items() if isinstance(value, float)]
    means = {name: float(np.nanmean([row.get(name, np.nan) for row in rows])) for name in names}
    print("mean  " + "  ".join(f"{name} {value:.3f}" for name, value in means.items()))
    if given.json:
        given.json.write_text(json.dumps({"scenes": rows, "mean": means}, indent=1))


if __name__ == "__main__":
    main()
