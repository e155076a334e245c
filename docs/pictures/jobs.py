"""Runs what the pages of `docs/jobs` say, and makes their pictures from what comes of it.

    python docs/pictures/jobs.py [OUT] [--only PAGE]

Every page is run in a folder with the scene that `geoiseg demo` makes, the same on a later date,
and a layer that somebody drew ten metres off. Nothing is drawn into a picture but what the
page's own commands wrote.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import shlex
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from PIL import Image
from rasterio.features import rasterize

import geoiseg
from geoiseg.cli import main as geoiseg_main
from geoiseg.demo.picture import PALETTE, Mark, Shape, draw
from geoiseg.demo.scene import Scene, make_scene

HERE = Path(__file__).parent
PAGES = HERE.parent / "jobs"
NAMES = ("coast", "fields", "buildings", "lakes", "script", "words", "next-year", "others")
SHRUNK = 40.0
"""Metres by which the lake's shore has moved on the later date."""
OFF = (8.0, -6.0)
"""Metres that the layer of others is off."""
DRAWN = ("field-45", "field-105", "field-144", "field-98", "field-73")
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$", re.M | re.S)


def prepare(folder: Path, size: int) -> Scene:
    """Write the files that the pages start from."""
    scene = make_scene(folder / "scene.tif", size)
    _later(scene, folder / "later.tif")
    drawn = [shapely.simplify(scene.truth_of(name), 6.0) for name in DRAWN]
    moved = [shapely.affinity.translate(one, *OFF) for one in drawn]
    rows = {"crop": ["unknown"] * len(DRAWN), "owner": list(DRAWN)}
    gpd.GeoDataFrame(rows, geometry=moved, crs=scene.crs).to_file(folder / "drawn.gpkg")
    return scene


def _later(scene: Scene, path: Path) -> None:
    """Write the scene a little brighter, with a lake that has fallen dry along its shore."""
    lake = scene.truth_of("lake")
    with rasterio.open(scene.path) as source:
        image, profile = source.read(), source.profile
        shape, transform = source.shape, source.transform
    dry = rasterize([lake.difference(lake.buffer(-SHRUNK))], shape, transform=transform) > 0
    noise = np.random.default_rng(1).normal(0, 5, image.shape)
    mud = np.array([176, 160, 126])[:, None, None] + noise
    seen = np.where(dry, mud, image * 1.06 + 4)
    with rasterio.open(path, "w", **profile) as target:
        target.write(np.clip(seen, 1, 254).astype(np.uint8))


def run(name: str, folder: Path) -> dict[str, Any]:
    """Run the blocks of a page one after the other and return what its Python left."""
    left: dict[str, Any] = {"__name__": name}
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    with contextlib.chdir(folder):
        for language, block in BLOCK.findall(text):
            if language == "python":
                exec(compile(block, f"{name}.md", "exec"), left)
            else:
                for line in block.strip().splitlines():
                    _shell(line)
    return left


def _shell(line: str) -> None:
    dollar, program, *arguments = shlex.split(line)
    if (dollar, program) != ("$", "geoiseg"):
        raise ValueError(f"a console block is lines of '$ geoiseg ...', not {line!r}")
    try:
        geoiseg_main(arguments)
    except SystemExit as done:
        if done.code:
            raise RuntimeError(f"{line} ended with {done.code}") from done


@dataclass(frozen=True)
class View:
    """What a picture shows."""

    layers: tuple[tuple[str, str | None], ...]
    """Files to draw, and what they are called; None for their own labels."""
    raster: str = "scene.tif"
    around: tuple[float, float, float, float] | None = None
    """Left, bottom, right and top in the CRS; None for the layers and some ground around them."""
    palette: tuple[int, ...] = tuple(range(len(PALETTE)))
    """The colours of its labels, in order of first appearance."""
    prompts: bool = True
    """Whether clicks, boxes and strokes of the page's session are shown."""
    size: int = 2048
    """Pixels on a side of the scene: those of `geoiseg demo`, but where it says otherwise."""


VIEWS = {
    "coast": View((("sea.gpkg", "sea"), ("shore.gpkg", "shoreline")), palette=(0, 7),
                  around=(584_000, 5_788_000, 586_400, 5_792_000)),
    "fields": View((("fields-export.gpkg", None),)),
    "buildings": View((("buildings.geojson", None),),
                      around=(585_890, 5_788_890, 586_070, 5_789_110), size=4096),
    "lakes": View((("lakes.geojson", None),)),
    "script": View((("scripted.geojson", None),)),
    "words": View((("woods.gpkg", "wood"),), prompts=False, palette=(1,),
                  around=(584_000, 5_788_000, 588_000, 5_792_000)),
    "next-year": View((("first.gpkg", "the first date"), ("dates.gpkg", "the later date")),
                      raster="later.tif", prompts=False, palette=(5, 1)),
    "others": View((("drawn.gpkg", "as drawn"), ("mended.gpkg", "moved to the image")),
                   prompts=False, palette=(5, 1), around=(585_750, 5_789_340, 586_400, 5_790_000)),
}  # fmt: skip


def picture(name: str, folder: Path, left: dict[str, Any], side: int = 900) -> Image.Image:
    """Return the picture of a page: the raster, what was said and what came of it."""
    view = VIEWS[name]
    raster = geoiseg.open_raster(folder / view.raster)
    shapes = list(_shapes(view, folder, raster))
    bounds = view.around or _around([geometry for _, geometry in shapes])
    shown = shapely.box(*bounds)
    shapes = [(label, shape) for label, shape in shapes if shape.intersects(shown)]
    x, y = raster.grid.to_pixel([bounds[:2], bounds[2:]]).T
    top, left_edge = max(0, int(min(y))), max(0, int(min(x)))
    window = (slice(top, int(max(y))), slice(left_edge, int(max(x))))
    chip = raster.chip(raster.grid.whole)
    seen = chip.rgb[window]
    times = side / max(seen.shape[:2])
    size = (round(seen.shape[1] * times), round(seen.shape[0] * times))
    way = Image.Resampling.LANCZOS if times < 1 else Image.Resampling.BICUBIC
    image = np.asarray(Image.fromarray(seen).resize(size, way))

    def placed(xy: Any) -> Any:
        return (raster.grid.to_pixel(xy) - (left_edge, top)) * times

    labels = dict.fromkeys(label for label, _ in shapes)
    colors = {label: PALETTE[one] for label, one in zip(labels, view.palette, strict=False)}
    drawn = [Shape(shapely.transform(one, placed), label, colors[label]) for label, one in shapes]
    marks = list(_marks(left, placed)) if view.prompts else []
    metres = raster.grid.pixel_size_metres()
    return Image.fromarray(draw(image, drawn, marks, metres / times if metres else None))


def _shapes(view: View, folder: Path, raster: geoiseg.Raster) -> Iterator[tuple[str, Any]]:
    for file, name in view.layers:
        layer = "features" if file == "first.gpkg" else None
        rows = gpd.read_file(folder / file, layer=layer).to_crs(raster.grid.crs)
        if "change" in rows:
            rows = rows[rows["change"] != "first"]
        for row in rows.itertuples():
            if row.geometry is not None:
                yield name or str(row.label), _area(row.geometry)


def _area(shape: Any) -> Any:
    """Return a line as a narrow area, which is what the picture draws."""
    return shape if shape.area else shape.buffer(3.0)


def _around(shapes: list[Any]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = shapely.total_bounds(np.array(shapes, dtype=object))
    room = 0.08 * max(x1 - x0, y1 - y0)
    return x0 - room, y0 - room, x1 + room, y1 + room


def _marks(left: dict[str, Any], placed: Any) -> Iterator[Mark]:
    for feature in left["session"].accepted:
        for step in feature.steps:
            for prompt in step.prompts:
                kind = type(prompt).__name__.lower()
                if kind == "box":
                    corners = np.reshape(prompt.corners, (2, 2))
                else:
                    corners = shapely.get_coordinates(prompt.geometry(None))
                xy = tuple((float(x), float(y)) for x, y in placed(corners))
                yield Mark(kind, xy, getattr(prompt, "positive", True))


def main() -> None:
    """Make all pictures, or one."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", nargs="?", type=Path, default=HERE / "jobs")
    parser.add_argument("--only", choices=NAMES)
    options = parser.parse_args()
    out = options.out.absolute()
    out.mkdir(exist_ok=True)
    wanted = [options.only] if options.only else NAMES
    for size in sorted({VIEWS[name].size for name in wanted}):
        with tempfile.TemporaryDirectory() as folder:
            prepare(Path(folder), size)
            for name in (one for one in wanted if VIEWS[one].size == size):
                left = run(name, Path(folder))
                made = picture(name, Path(folder), left)
                path = out / f"{name}.jpg"
                made.save(path, quality=82, optimize=True, progressive=True)
                print(f"{path.stat().st_size / 1024:6.0f} KiB  {name}")


if __name__ == "__main__":
    main()
