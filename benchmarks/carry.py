"""Objects carried to other dates against objects clicked anew on each.

    $ python benchmarks/carry.py ../shared/data

The river Ucayali on five dates: clicks of a simulated user on 1985, and then none; against as many
clicks on each date. Areas and IoU are against the labels. Then lakes made to stay, move, grow and
vanish by known amounts, in other light and with noise: precision and recall of the flags. Then a
made coast that retreats by known metres: how far the carried line is from the true one, and clicks.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize

import geoiseg
from geoiseg.evaluate.simulated_user import next_click
from geoiseg.segment import EmbeddingCache
from geoiseg.segment.dates import burnt

YEARS = (1985, 1995, 2005, 2015, 2020)
Bool = NDArray[np.bool_]


def iou(one: Bool, other: Bool) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))


def clicked(path: Path, truth: Bool, most: int, goal: float) -> tuple[geoiseg.Session, int]:
    """Return a session with the object clicked, so often at most, and the number of clicks."""
    session = geoiseg.Session(path, cache=EmbeddingCache())
    grid, seen, done = session.raster.grid, np.zeros_like(truth), np.zeros_like(truth)
    count = 0
    while count < most and iou(seen, truth) < goal:
        click = next_click(truth, seen, done)
        if click is None:
            break
        x, y = click.xy_pixel
        done[int(y), int(x)] = True
        session.add_point(*grid.to_crs([(x, y)])[0].tolist(), positive=click.positive)
        seen, count = burnt(session.geometry, grid), count + 1
    session.sharpen()
    return session, count


def rivers(data: Path, most: int, goal: float) -> None:
    folders = [data / "scenes" / f"river_ucayali_{year}" for year in YEARS]
    grids = [geoiseg.open_raster(folder / "image.tif").grid for folder in folders]
    shapes = [max(gpd.read_file(folder / "labels.geojson").geometry, key=lambda one: one.area)
              for folder in folders]  # fmt: skip
    truths = [burnt(shape, grid) for shape, grid in zip(shapes, grids, strict=True)]
    by_hand = gpd.GeoDataFrame(geometry=shapes[:1], crs=grids[0].crs)
    drawn = geoiseg.Session(folders[0] / "image.tif", cache=EmbeddingCache())
    drawn.add_features(by_hand)
    first, clicks = clicked(folders[0] / "image.tif", truths[0], most, goal)
    first.accept()
    print("| first date | date | clicks there | IoU | area against label | seconds |")
    print("|---|---|---|---|---|---|")
    for name, start, made in (("drawn", drawn, 0), (f"{clicks} clicks", first, clicks)):
        seen = burnt(start.accepted[0].geometry, grids[0])
        _row(name, YEARS[0], made, seen, truths[0], 0.0)
        at = start
        for folder, grid, truth, year in zip(
            folders[1:], grids[1:], truths[1:], YEARS[1:], strict=True
        ):
            begun = time.perf_counter()
            at = at.carry(folder / "image.tif")
            found = at.session.accepted
            seen = burnt(found[0].geometry if found else None, grid)
            _row(name, year, 0, seen, truth, time.perf_counter() - begun)
    for folder, grid, truth, year in zip(
        folders[1:], grids[1:], truths[1:], YEARS[1:], strict=True
    ):
        begun = time.perf_counter()
        session, count = clicked(folder / "image.tif", truth, most, goal)
        seen = burnt(session.geometry, grid)
        _row("anew", year, count, seen, truth, time.perf_counter() - begun)


def _row(name: str, year: int, clicks: int, seen: Bool, truth: Bool, seconds: float) -> None:
    change = seen.sum() / truth.sum() - 1
    cells = (name, year, clicks, f"{iou(seen, truth):.3f}", f"{change:+.1%}", f"{seconds:.1f}")
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def made(folder: Path, rng: np.random.Generator, side: int = 6) -> None:
    """Print precision and recall of what is flagged among lakes of known fate."""
    room, size = 90, 90 * side
    grid = Affine(10, 0, 500_000, 0, -10, 4_500_000)
    y, x = np.mgrid[:size, :size]
    pattern = np.stack([100 + 15 * np.sin(x / 11 + k) + 12 * np.cos(y / 17 - k) for k in range(4)])
    before, after, fates = [], [], []
    for number in range(side * side):
        row, column = divmod(number, side)
        place = np.array([column + 0.5, row + 0.5]) * room + rng.uniform(-4, 4, 2)
        radius = rng.uniform(12, 18)
        fate = ("stays", "stays", "creeps", "moves", "grows", "vanishes")[number % 6]
        before.append(_disc(grid, place, radius))
        turn = rng.uniform(0, 2 * np.pi)
        step = {"moves": 1.1, "creeps": 0.2}.get(fate, 0.0) * radius
        there = place + step * np.array([np.cos(turn), np.sin(turn)])
        grown = radius * (1.35 if fate == "grows" else 1.0)
        after.append(None if fate == "vanishes" else _disc(grid, there, grown))
        fates.append(fate)
    paths = []
    for name, lakes, light in (("a", before, (1.0, 0.0)), ("b", after, (0.8, 25.0))):
        wet = rasterize([one for one in lakes if one is not None], (size, size), transform=grid)
        data = np.where(wet.astype(bool), np.array([25, 30, 50, 20.0])[:, None, None], pattern)
        data = data * light[0] + light[1] + rng.normal(0, 6, data.shape)
        paths.append(folder / f"{name}.tif")
        profile = {"driver": "GTiff", "width": size, "height": size, "count": 4, "dtype": "uint8",
                   "crs": "EPSG:32631", "transform": grid}  # fmt: skip
        with rasterio.open(paths[-1], "w", **profile) as target:
            target.write(np.clip(data, 1, 255).astype(np.uint8))
    session = geoiseg.Session(paths[0], cache=EmbeddingCache())
    session.add_features(gpd.GeoDataFrame(geometry=before, crs="EPSG:32631"))
    begun = time.perf_counter()
    carried = session.carry(paths[1])
    seconds = time.perf_counter() - begun
    wanted = {n for n, fate in enumerate(fates, 1) if fate in ("moves", "grows", "vanishes")}
    flagged = set(carried.queue)
    right = len(wanted & flagged)
    known = {one.id: one.geometry for one in carried.session.accepted}
    ious = [shapely.intersection(known[n], one).area / shapely.union(known[n], one).area
            for n, one in enumerate(after, 1) if one is not None and n in known]  # fmt: skip
    precision, recall = right / max(1, len(flagged)), right / max(1, len(wanted))
    print(f"\nmade lakes: {len(before)}, flagged {len(flagged)}, precision {precision:.2f},"
          f" recall {recall:.2f}, median IoU {np.median(ious):.3f},"
          f" {seconds / len(before):.2f} s each")  # fmt: skip


def coast(folder: Path, rng: np.random.Generator, most: int, goal: float) -> None:
    """Print how the line of a coast that retreats by known metres is carried, and clicked."""
    size, grid = 300, Affine(10, 0, 500_000, 0, -10, 4_500_000)
    y, x = np.mgrid[:size, :size] + 0.5
    print("\n| retreat in m | clicks there | line off by | anew: clicks | line off by |")
    print("|---|---|---|---|---|")
    at, clicks = None, 0
    for number, metres in enumerate((0.0, 8.0, 20.0, 45.0, 90.0)):
        edge = 150 + 12 * np.sin(y / 23) + 5 * np.cos(y / 9) - metres / 10
        share = np.clip(x - edge + 0.5, 0, 1)  # of water in a pixel
        wet, dry = (
            np.array([30, 45, 20.0])[:, None, None],
            np.array([120, 110, 150.0])[:, None, None],
        )
        data = share * wet + (1 - share) * (dry + 10 * np.sin(x / 7) + 8 * np.cos(y / 5))
        data = data * (1 - 0.05 * number) + 6 * number + rng.normal(0, 5, data.shape)
        path = folder / f"coast_{2000 + number}.tif"
        profile = {"driver": "GTiff", "width": size, "height": size, "count": 3, "dtype": "uint8",
                   "crs": "EPSG:32631", "transform": grid}  # fmt: skip
        with rasterio.open(path, "w", **profile) as target:
            target.write(np.clip(data, 1, 255).astype(np.uint8))
        true = shapely.LineString(
            [grid @ (float(150 + 12 * np.sin(v / 23) + 5 * np.cos(v / 9) - metres / 10), float(v))
             for v in np.arange(5, size - 5, 0.25)]
        )  # fmt: skip
        session, anew = clicked(path, share > 0.5, most, goal)
        if at is None:
            session.accept("sea")
            at, clicks = session, anew
            continue
        at = at.carry(path)
        lines = (at.session.accepted[0].geometry, session.geometry)
        off = [_off(line, true) for line in lines]
        print(f"| {metres:.0f} | 0 | {off[0]:.1f} m | {anew} | {off[1]:.1f} m |", flush=True)
    print(f"after {clicks} clicks on the first date; pixels of 10 m")


def _off(outline: shapely.Geometry, true: shapely.LineString) -> float:
    """Return the median distance in metres of places on the true line from an outline."""
    places = shapely.points(shapely.get_coordinates(true))
    return float(np.median(shapely.distance(places, outline.boundary)))


def _disc(grid: Affine, place: NDArray[np.float64], radius: float) -> shapely.Polygon:
    return shapely.Point(*(grid @ tuple(place))).buffer(radius * 10, 32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--clicks", type=int, default=15, help="most clicks on an object")
    parser.add_argument("--goal", type=float, default=0.9, help="IoU at which the user stops")
    parser.add_argument("--only", choices=["rivers", "lakes", "coast"])
    options = parser.parse_args()
    wanted = [options.only] if options.only else ["rivers", "lakes", "coast"]
    if "rivers" in wanted:
        rivers(options.data, options.clicks, options.goal)
    with tempfile.TemporaryDirectory() as folder:
        if "lakes" in wanted:
            made(Path(folder), np.random.default_rng(1))
        if "coast" in wanted:
            coast(Path(folder), np.random.default_rng(2), options.clicks, 0.97)


if __name__ == "__main__":
    main()
