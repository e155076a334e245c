"""Coordinates and overlays between map and raster, and rasters without a place or overviews."""

from __future__ import annotations

import io
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio.features
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rasterio.enums import Resampling
from rasterio.windows import Window

import geoiseg
from geoiseg.errors import GeoreferenceError
from geoiseg.raster.grid import Grid
from geoiseg.raster.image import Stretch
from geoiseg.segment.masks import Mask
from geoiseg.widget.frame import MapFrame
from geoiseg.widget.tiling import sketch
from geoiseg.widget.tiling.projection import projection
from geoiseg.widget.tiling.tiles import TileRenderer
from tests.conftest import write_raster
from tests.widget.test_tiles import PLACES, decode, middle_of, smooth, tile_at

PLAIN = Stretch((0,) * 3, (255,) * 3)


class OfGrid(geoiseg.Raster):
    """A raster that is nothing but its grid: for tests that read no pixel."""

    name = "grid"
    bands = (1,)
    count = 1
    dtype = "uint8"
    source_id = "grid"

    def __init__(self, grid: Grid) -> None:
        super().__init__(PLAIN)
        self.grid = grid

    def _read(self, level, window):
        raise AssertionError("no pixel is needed")

    def _samples(self):
        raise AssertionError("no pixel is needed")

    def _reopened(self, bands, stretch):
        raise AssertionError("no pixel is needed")


def flat_grids() -> st.SearchStrategy[Grid]:
    size = st.integers(1, 200_000)
    pixel = st.floats(1e-6, 1e6)
    turn = st.floats(-180, 180)
    sign = st.sampled_from([1, -1])
    return st.builds(
        lambda rows, cols, px, angle, s, x, y: Grid(
            None,
            Affine.translation(x * px, y * px) @ Affine.rotation(angle) @ Affine.scale(px, s * px),
            (rows, cols),
        ),
        size, size, pixel, turn, sign, st.floats(-1e6, 1e6), st.floats(-1e6, 1e6),
    )  # fmt: skip


@settings(deadline=None)
@given(flat_grids(), st.floats(0, 1), st.floats(0, 1))
def test_without_a_crs_map_and_raster_are_inverse(grid: Grid, u: float, v: float) -> None:
    renderer = TileRenderer(OfGrid(grid))
    place = grid.to_crs([(u * grid.width, v * grid.height)])[0]
    on_map = renderer.raster_to_map(shapely.Point(place))
    west, south, east, north = renderer.bounds_lonlat
    slack = 1e-9 * max(1.0, abs(east))
    assert west - slack <= on_map.x <= east + slack
    assert south - slack <= on_map.y <= north + slack
    back = renderer.map_to_raster(on_map.x, on_map.y)
    error = grid.to_pixel([back])[0] - (u * grid.width, v * grid.height)
    assert np.abs(error).max() < 1e-4


@settings(deadline=None)
@given(flat_grids())
def test_without_a_crs_pixels_are_square_and_upright(grid: Grid) -> None:
    where = projection(grid)
    middle = np.array([grid.width / 2, grid.height / 2])
    places = np.array([(0, 0), (1, 0), (0, 1)]) + middle
    corner, right, below = where.from_crs(grid.to_crs(places))
    mercator = [
        (math.radians(x), math.asinh(math.tan(math.radians(y)))) for x, y in (corner, right, below)
    ]
    along = np.subtract(mercator[1], mercator[0])
    down = np.subtract(mercator[2], mercator[0])
    assert np.hypot(*along) == pytest.approx(np.hypot(*down), rel=1e-3)
    assert along[0] * down[1] - along[1] * down[0] < 0  # rows run clockwise of columns


@pytest.mark.parametrize("name", PLACES)
@settings(deadline=None)
@given(u=st.floats(0, 1), v=st.floats(0, 1), turns=st.integers(-2, 2))
def test_map_and_raster_are_inverse(name: str, u: float, v: float, turns: int) -> None:
    crs, transform = PLACES[name]
    grid = Grid(crs, transform, (200, 240))
    renderer = TileRenderer(OfGrid(grid))
    place = grid.to_crs([(u * 240, v * 200)])[0]
    on_map = renderer.raster_to_map(shapely.Point(place))
    back = renderer.map_to_raster(on_map.x + 360 * turns, on_map.y)
    assert np.abs(grid.to_pixel([back])[0] - (u * 240, v * 200)).max() < 1e-3


def test_coordinates_come_one_by_one_or_all_at_once() -> None:
    crs, transform = PLACES["rotated"]
    renderer = TileRenderer(OfGrid(Grid(crs, transform, (200, 240))))
    lon, lat = middle_of(renderer)
    one = renderer.map_to_raster(lon, lat)
    assert [type(part) for part in one] == [float, float]
    x, y = renderer.map_to_raster([[lon, lon], [lon, lon]], lat)
    assert x.shape == y.shape == (2, 2)
    assert x[1, 1] == one[0]
    assert y[0, 1] == one[1]


@pytest.mark.parametrize("at", [(math.nan, 0.0), (0.0, math.inf)])
def test_a_place_must_be_finite(at: tuple[float, float]) -> None:
    renderer = TileRenderer(OfGrid(Grid("EPSG:32631", Affine.identity(), (10, 10))))
    with pytest.raises(GeoreferenceError, match="finite"):
        renderer.map_to_raster(*at)


def test_a_place_behind_the_earth_has_none_in_the_raster() -> None:
    geos = "+proj=geos +h=35785831 +lon_0=0 +sweep=y"
    grid = Grid(geos, Affine(1000, 0, -5e5, 0, -1000, 5e5), (1000, 1000))
    renderer = TileRenderer(OfGrid(grid))
    with pytest.raises(GeoreferenceError, match="no place"):
        renderer.map_to_raster(170.0, 0.0)


def test_edges_bend_where_the_projection_does() -> None:
    crs, transform = PLACES["albers"]
    grid = Grid(crs, transform, (200, 240))
    renderer = TileRenderer(OfGrid(grid))
    drawn = renderer.raster_to_map(grid.footprint)
    assert 20 < len(drawn.exterior.coords) < 3000
    corners = {tuple(np.round(xy, 6)) for xy in projection(grid).from_crs(grid.corners)}
    assert corners <= {tuple(np.round(xy, 6)) for xy in drawn.exterior.coords}
    # the middle of each drawn edge, straight on the map, is on the true outline
    xy = np.asarray(drawn.exterior.coords)
    y = np.arcsinh(np.tan(np.radians(xy[:, 1])))
    middle_y = np.degrees(np.arctan(np.sinh((y[1:] + y[:-1]) / 2)))
    middle_x = (xy[1:, 0] + xy[:-1, 0]) / 2
    px, py = grid.to_pixel(np.column_stack(renderer.map_to_raster(middle_x, middle_y))).T
    off = np.min([np.abs(px), np.abs(px - 240), np.abs(py), np.abs(py - 200)], axis=0)
    assert off.max() < 0.15


def test_straight_edges_get_no_vertices() -> None:
    crs, transform = PLACES["utm"]
    grid = Grid(crs, transform, (200, 240))
    drawn = TileRenderer(OfGrid(grid)).raster_to_map(grid.footprint)
    assert len(drawn.exterior.coords) == 5


def test_holes_and_parts_stay_what_they_are() -> None:
    crs, transform = PLACES["polar"]
    grid = Grid(crs, transform, (200, 240))
    square = shapely.box(20, 20, 120, 120) - shapely.box(50, 50, 80, 80)
    both = shapely.MultiPolygon([square, shapely.box(150, 30, 200, 60)])
    in_crs = shapely.transform(both, grid.to_crs)
    drawn = TileRenderer(OfGrid(grid)).raster_to_map(in_crs)
    assert drawn.geom_type == "MultiPolygon"
    assert [len(part.interiors) for part in drawn.geoms] == [1, 0]
    assert drawn.is_valid
    assert TileRenderer(OfGrid(grid)).raster_to_map(None) is None


def blob(grid: Grid, seed: int) -> Mask:
    rows, cols = np.mgrid[: grid.height, : grid.width]
    rng = np.random.default_rng(seed)
    centre = rng.uniform(0.3, 0.7, 2) * grid.shape
    far = np.hypot(rows - centre[0], cols - centre[1])
    ring = (far < min(grid.shape) * 0.25) & (far > min(grid.shape) * 0.08)
    return Mask(ring, grid)


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("seed", [0, 1])
def test_an_overlay_lies_on_its_mask(name: str, seed: int) -> None:
    crs, transform = PLACES[name]
    renderer = TileRenderer(OfGrid(Grid(crs, transform, (200, 240))))
    mask = blob(renderer.raster.grid, seed)
    png, ((south, west), (north, east)) = renderer.overlay(mask, "#12ab34")
    image = Image.open(io.BytesIO(png))
    assert image.mode == "P"
    rgba = np.asarray(image.convert("RGBA"))
    assert {tuple(pixel) for pixel in rgba[rgba[..., 3] > 0]} == {(0x12, 0xAB, 0x34, 255)}
    height, width = rgba.shape[:2]
    low, high = (math.asinh(math.tan(math.radians(lat))) for lat in (south, north))
    cols, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    lon = west + cols / width * (east - west)
    lat = np.degrees(np.arctan(np.sinh(high - rows / height * (high - low))))
    x, y = renderer.map_to_raster(lon, lat)
    xy = mask.grid.to_pixel(np.column_stack([x.ravel(), y.ravel()]))
    col, row = np.floor(xy).astype(int).T
    inside = (col >= 0) & (row >= 0) & (col < 240) & (row < 200)
    expected = np.zeros(col.size, dtype=bool)
    expected[inside] = mask.array[row[inside], col[inside]]
    assert (expected == (rgba[..., 3].ravel() > 0)).mean() > 0.998
    # nothing of the mask is left out: the picture's area is the mask's
    share = (rgba[..., 3] > 0).mean() * math.radians(east - west) * (high - low)
    assert share == pytest.approx(area_on_map(renderer, mask), rel=0.02)


def area_on_map(renderer: TileRenderer, mask: Mask) -> float:
    """Return a mask's area on a map whose width is 2 pi."""
    pixels = mask.array.astype(np.uint8)
    shapes = rasterio.features.shapes(pixels, mask=mask.array, transform=mask.grid.transform)
    outline = shapely.union_all([shapely.geometry.shape(shape) for shape, _ in shapes])
    lonlat = renderer.raster_to_map(outline)

    def on_map(xy: np.ndarray) -> np.ndarray:
        lon, lat = np.radians(xy).T
        return np.column_stack([lon, np.arcsinh(np.tan(lat))])

    return shapely.transform(lonlat, on_map).area


def test_an_empty_mask_draws_nothing() -> None:
    crs, transform = PLACES["utm"]
    grid = Grid(crs, transform, (20, 24))
    png, _ = TileRenderer(OfGrid(grid)).overlay(Mask(np.zeros((20, 24), bool), grid), "#ff0000")
    assert not np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))[..., 3].any()


@pytest.mark.parametrize("color", ["red", "#12345", "#gggggg", ""])
def test_a_colour_is_six_digits(color: str) -> None:
    crs, transform = PLACES["utm"]
    grid = Grid(crs, transform, (20, 24))
    with pytest.raises(GeoreferenceError, match="rrggbb"):
        TileRenderer(OfGrid(grid)).overlay(Mask(np.ones((20, 24), bool), grid), color)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_plain_picture_is_shown_pixel_by_pixel(tmp_path: Path) -> None:
    pixels = smooth(rows=300, cols=400)
    path = write_raster(tmp_path / "plain.tif", pixels, crs=None, transform=Affine.identity())
    renderer = TileRenderer(geoiseg.open_raster(path, stretch=PLAIN))
    assert renderer.flat
    assert renderer.max_zoom == 18
    west, _, _, north = renderer.bounds_lonlat
    x, y = tile_at(west + 1e-9, north - 1e-9, 18)
    picture = np.zeros((512, 768, 3), dtype=np.uint8)
    for row in range(2):
        for col in range(3):
            tile, _ = renderer.render(18, x + col, y + row)
            if tile:
                picture[row * 256 : row * 256 + 256, col * 256 : col * 256 + 256] = decode(tile)[0]
    left, top = 256 - 200 % 256, 256 - 150 % 256
    shown = picture[top % 256 : top % 256 + 300, left % 256 : left % 256 + 400]
    assert np.abs(shown.astype(int) - np.moveaxis(pixels, 0, -1)).mean() < 3


def test_a_crs_of_another_planet_is_shown_flat(tmp_path: Path) -> None:
    mars = 'GEOGCS["Mars",DATUM["D_Mars",SPHEROID["Mars",3396190,169.8]],PRIMEM["0",0],UNIT["degree",0.0174532925]]'
    path = write_raster(
        tmp_path / "m.tif", smooth(), crs=mars, transform=Affine(0.1, 0, 100, 0, -0.1, 20)
    )
    renderer = TileRenderer(geoiseg.open_raster(path))
    tile, _ = renderer.render(18, *tile_at(*middle_of(renderer), 18))
    assert tile is not None
    lon, lat = middle_of(renderer)
    assert renderer.map_to_raster(lon, lat) == pytest.approx((112, 10), abs=0.1)
    frame = MapFrame(renderer.raster.grid, renderer)
    assert frame.crs is None
    assert frame.xy((lat, lon)) == pytest.approx((112, 10), abs=0.1)
    metres = renderer.raster.grid.pixel_size_metres()
    assert frame.gsd((lat, lon), 18) == pytest.approx(metres, rel=0.01)


# -- large rasters without overviews -----------------------------------------------------


@pytest.fixture(scope="module")
def striped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raster without overviews whose left half is red and whose right half is green."""
    path = tmp_path_factory.mktemp("large") / "large.tif"
    pixels = np.zeros((3, 2048, 3072), dtype=np.uint8)
    pixels[0, :, :1536] = 200
    pixels[1, :, 1536:] = 200
    return write_raster(
        path, pixels, tiled=True, blockxsize=256, blockysize=256, compress="deflate"
    )


@pytest.mark.parametrize("whole", [True, False])
def test_without_overviews_zoomed_out_tiles_show_the_raster(
    striped: Path, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sketch, "READ_PIXELS", 1 << 20)
    monkeypatch.setattr("geoiseg.widget.tiling.tiles.READ_PIXELS", 1 << 20)
    monkeypatch.setattr(sketch, "THUMBNAIL_PIXELS", 1 << 30 if whole else 0)
    renderer = TileRenderer(geoiseg.open_raster(striped, stretch=PLAIN))
    assert (renderer.note is None) == whole
    z = renderer.min_zoom
    exact = TileRenderer(geoiseg.open_raster(striped, stretch=PLAIN))
    lon, lat = middle_of(renderer)
    for east in (-0.7, 0.7):
        west_, _, east_, _ = renderer.bounds_lonlat
        at = lon + east * (east_ - west_) / 2
        x, y = tile_at(at, lat, z)
        tile, _ = renderer.render(z, x, y)
        assert tile is not None
        rgb, data = decode(tile)
        col = int(((at + 180) / 360 * 2**z - x) * 256)
        row = int(((1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * 2**z - y) * 256)
        assert data[row, col]
        red, green, _ = rgb[row, col].astype(int)
        assert (red > 150) == (east < 0)
        assert (green > 150) == (east > 0)
        monkeypatch.setattr("geoiseg.widget.tiling.tiles.READ_PIXELS", 1 << 40)
        _, known = decode(exact.render(z, x, y)[0] or b"")
        monkeypatch.setattr("geoiseg.widget.tiling.tiles.READ_PIXELS", 1 << 20)
        assert (known == data).mean() > 0.98


def test_a_sketch_reads_a_bounded_part_and_each_sample_once(
    striped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sketch, "READ_PIXELS", 1 << 19)
    monkeypatch.setattr("geoiseg.widget.tiling.tiles.READ_PIXELS", 1 << 19)
    monkeypatch.setattr(sketch, "THUMBNAIL_PIXELS", 0)
    raster = geoiseg.open_raster(striped, stretch=PLAIN)
    read: list[int] = []
    fetch = raster._read
    monkeypatch.setattr(
        raster, "_read", lambda level, window: read.append(1) or fetch(level, window)
    )
    renderer = TileRenderer(raster)
    z = renderer.min_zoom
    asked = (z, *tile_at(*middle_of(renderer), z))
    first = renderer.render(*asked)
    assert 0 < sum(read) * 256 * 256 <= 4 * (1 << 19)
    count = sum(read)
    assert renderer.render(*asked) == first
    assert sum(read) == count


VIEWER = """
import math, re, sys
from pathlib import Path
import geoiseg
from geoiseg.widget.tiling.tiles import TileRenderer
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
before = peak()
renderer = TileRenderer(geoiseg.open_raster(sys.argv[1]))
west, south, east, north = renderer.bounds_lonlat
drawn = 0
for z in range(renderer.min_zoom, renderer.max_zoom + 1):
    for t in (0.02, 0.25, 0.5, 0.75, 0.97):
        lon, lat = west + t * (east - west), north + t * (south - north)
        x = int((lon + 180) / 360 * 2**z)
        y = int((1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * 2**z)
        drawn += renderer.render(z, x, y)[0] is not None
print(drawn, (peak() - before) // 1024)
"""


def write_huge(path: Path, overviews: bool) -> None:
    """Write a raster of 28,600 MiB that takes little space: most of its blocks are not there."""
    profile = {"nodata": 0, "tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate",
               "driver": "GTiff", "count": 3, "dtype": "uint8", "sparse_ok": True, "bigtiff": "yes"}  # fmt: skip
    transform = Affine(0.2, 0, 500_000, 0, -0.2, 4_500_000)
    with rasterio.open(
        path, "w", width=100_000, height=100_000, crs="EPSG:32631", transform=transform, **profile
    ) as dataset:
        for block in range(0, 190, 3):
            value = np.full((3, 512, 1536), 60 + block, dtype=np.uint8)
            dataset.write(value, window=Window(block * 512, block * 512, 1536, 512))
    if overviews:
        with rasterio.Env(SPARSE_OK_OVERVIEW="YES"), rasterio.open(path, "r+") as dataset:
            dataset.build_overviews([4, 16, 64, 256], Resampling.nearest)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("overviews", [False, True])
def test_memory_is_bounded_on_a_raster_100000_pixels_wide(tmp_path: Path, overviews: bool) -> None:
    path = tmp_path / "huge.tif"
    write_huge(path, overviews)
    command = [sys.executable, "-c", VIEWER, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    drawn, grown = map(int, done.stdout.split())
    print(f"overviews {overviews}: {drawn} tiles, {grown} MiB")
    assert drawn > 15
    assert grown < 350  # 128 MiB of it may be GDAL's cache of blocks; the raster is 28,600 MiB
