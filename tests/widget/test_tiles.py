"""Map tiles against GDAL's own warper, and what a map does when things go wrong."""

from __future__ import annotations

import io
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

import geoiseg
from geoiseg.errors import GeoisegError, GeoreferenceError, RasterError
from geoiseg.raster.grid import Grid
from geoiseg.raster.image import Stretch
from geoiseg.widget.tiling.places import Bent, Straight
from geoiseg.widget.tiling.projection import WORLD, projection
from geoiseg.widget.tiling.tiles import TileRenderer
from geoiseg.widget.tiling.warp import Piece, find_places
from tests.conftest import write_raster

ROWS, COLS = 200, 240
TURN = Affine.rotation(30)
PLACES = {
    "utm": ("EPSG:32631", Affine(2, 0, 500_000, 0, -2, 4_500_000)),
    "rotated": ("EPSG:32631", Affine.translation(5e5, 4.5e6) @ TURN @ Affine.scale(2, -2)),
    "sheared": ("EPSG:25832", Affine(3, 1, 6e5, 0.5, -2, 5.6e6)),
    "south-up": ("EPSG:32733", Affine(10, 0, 5e5, 0, 10, 8e6)),
    "lonlat": ("EPSG:4326", Affine(1e-4, 0, 10, 0, -1e-4, 60)),
    "continent": ("EPSG:4326", Affine(0.2, 0, -20, 0, -0.2, 70)),
    "mercator": ("EPSG:3857", Affine(1.5, 0, -1e6, 0, -1.5, 6e6)),
    "albers": ("EPSG:3577", Affine(15_000, 0, -2e6, 0, -15_000, -1e6)),
    "polar": ("EPSG:3413", Affine(5_000, 0, -1.1e6, 0, -5_000, -8e5)),
    "nad83": ("EPSG:4269", Affine(1e-3, 0, -100, 0, -1e-3, 40)),
}

STRAIGHT_FROM = {"mercator": 0, "lonlat": 10, "continent": 10, "nad83": 10}
"""Zooms, of those tested, from which a tile's pixels are an even lattice in the raster."""


def smooth(seed: int = 0, rows: int = ROWS, cols: int = COLS) -> np.ndarray:
    """Return a ``(3, y, x)`` uint8 picture with shapes of some ten pixels."""
    noise = np.random.default_rng(seed).normal(0, 1, (rows, cols)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 5)
    grey = 50 + (soft - soft.min()) / (soft.max() - soft.min()) * 200
    # one hue: JPEG and WebP blur hues, and that is not what is tested here
    return np.stack([grey, grey * 0.8, grey * 0.6]).astype(np.uint8)


def checkers(seed: int = 0) -> np.ndarray:
    """Return ``(3, y, x)`` pixels that are black or white by chance."""
    grey = np.random.default_rng(seed).integers(0, 2, (1, ROWS, COLS)) * 255
    return np.repeat(grey, 3, axis=0).astype(np.uint8)


def decode(tile: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Return ``(y, x, 3)`` colours and ``(y, x)`` whether a tile shows anything there."""
    rgba = np.asarray(Image.open(io.BytesIO(tile)).convert("RGBA"))
    return rgba[..., :3], rgba[..., 3] > 127


def tile_at(lon: float, lat: float, z: int) -> tuple[int, int]:
    x = (lon + 180) / 360 * 2**z
    y = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * 2**z
    return math.floor(x), math.floor(y)


def middle_of(renderer: TileRenderer) -> tuple[float, float]:
    west, south, east, north = renderer.bounds_lonlat
    return (west + east) / 2, (south + north) / 2


def warped(
    path: Path, z: int, x: int, y: int, how: Resampling, size: int = 256
) -> tuple[np.ndarray, np.ndarray]:
    """Return what GDAL's warper, told to be exact, puts into a tile."""
    pixel = WORLD / size / 2**z
    transform = Affine(
        pixel, 0, x * size * pixel - WORLD / 2, 0, -pixel, WORLD / 2 - y * size * pixel
    )
    with (
        rasterio.open(path) as source,
        WarpedVRT(
            source, crs="EPSG:3857", transform=transform, width=size, height=size,
            resampling=how, add_alpha=True, tolerance=1e-3,
        ) as vrt,
    ):  # fmt: skip
        data = vrt.read()
    return np.moveaxis(data[:3], 0, -1), data[3] > 0


@pytest.fixture(scope="module", params=PLACES)
def placed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    crs, transform = PLACES[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    soft = write_raster(folder / "soft.tif", smooth(), crs=crs, transform=transform)
    hard = write_raster(folder / "hard.tif", checkers(), crs=crs, transform=transform)
    return soft, hard


def test_every_pixel_lies_where_gdal_puts_it(placed: tuple[Path, Path]) -> None:
    renderer = TileRenderer(geoiseg.open_raster(placed[1]))
    z = renderer.max_zoom + 3
    x, y = tile_at(*middle_of(renderer), z)
    tile, _ = renderer.render(z, x, y)
    assert tile is not None
    rgb, data = decode(tile)
    expected, known = warped(placed[1], z, x, y, Resampling.nearest)
    assert known.all()
    assert data.all()
    same = (rgb.mean(axis=2) > 127) == (expected.mean(axis=2) > 127)
    assert same.mean() > 0.985  # half a pixel of the raster would leave less than 0.8


@pytest.mark.parametrize("coarser", [0, 1, 2])
def test_a_tile_looks_as_gdal_warps_it(placed: tuple[Path, Path], coarser: int) -> None:
    renderer = TileRenderer(geoiseg.open_raster(placed[0]))
    z = renderer.max_zoom - coarser
    x, y = tile_at(*middle_of(renderer), z)
    tile, _ = renderer.render(z, x, y)
    assert tile is not None
    rgb, data = decode(tile)
    expected, known = warped(placed[0], z, x, y, Resampling.bilinear)
    assert (data == known).mean() > 0.99
    both = data & known
    difference = np.abs(rgb.astype(int) - expected)[both]
    assert difference.mean() < 4
    planes = [
        np.where(both, plane.mean(axis=2), 128).astype(np.float32) for plane in (rgb, expected)
    ]
    (dx, dy), _ = cv2.phaseCorrelate(*planes)
    assert math.hypot(dx, dy) < 0.2


def test_nothing_is_drawn_beside_the_raster(placed: tuple[Path, Path]) -> None:
    renderer = TileRenderer(geoiseg.open_raster(placed[0]))
    west, _, east, north = renderer.bounds_lonlat
    z = renderer.max_zoom
    outside = tile_at(east + 2 * (east - west), north, z)
    assert renderer.render(z, *outside) == (None, "")
    assert renderer.render(z, 0, -1) == (None, "")
    assert renderer.render(z, 0, 2**z) == (None, "")


def test_bounds_hold_the_whole_raster(placed: tuple[Path, Path]) -> None:
    raster = geoiseg.open_raster(placed[0])
    renderer = TileRenderer(raster)
    west, south, east, north = renderer.bounds_lonlat
    outline = np.asarray(renderer.raster_to_map(raster.grid.footprint).exterior.coords)
    slack = 1e-3 * max(east - west, north - south)
    assert outline[:, 0].min() == pytest.approx(west, abs=slack)
    assert outline[:, 0].max() == pytest.approx(east, abs=slack)
    assert outline[:, 1].min() == pytest.approx(south, abs=slack)
    assert outline[:, 1].max() == pytest.approx(north, abs=slack)


def test_interpolated_places_are_within_half_a_pixel(placed: tuple[Path, Path]) -> None:
    grid = geoiseg.open_raster(placed[0]).grid
    where = projection(grid)
    xmin, ymin, xmax, ymax = where.extent
    pixel = max(xmax - xmin, ymax - ymin) / 200
    places = find_places(Piece(xmin, ymax, (pixel, pixel), (200, 200)), grid, where)
    assert places is not None
    rows, cols = np.mgrid[:200:7, :200:7]
    mercator = np.column_stack(
        [xmin + (cols.ravel() + 0.5) * pixel, ymax - (rows.ravel() + 0.5) * pixel]
    )
    with np.errstate(all="ignore"):
        lon = np.degrees(mercator[:, 0] / 6378137)
        lat = np.degrees(np.arctan(np.sinh(mercator[:, 1] / 6378137)))
    exact = grid.to_pixel(where.to_crs(np.column_stack([lon, lat])))
    left, top = places.origin
    found = np.column_stack(
        [places.x[rows, cols].ravel() + left, places.y[rows, cols].ravel() + top]
    )
    error = np.hypot(*(found - exact).T) / places.scale
    assert np.nanmax(error) < 0.5


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("zoom", [18, 14, 10, 6, 3])
def test_an_even_lattice_is_used_only_where_it_is_right(name: str, zoom: int) -> None:
    crs, transform = PLACES[name]
    grid = Grid(crs, transform, (ROWS, COLS))
    where = projection(grid)
    xmin, ymin, xmax, ymax = where.extent
    pixel = WORLD / 256 / 2**zoom
    corner = (xmin + xmax) / 2 - 100 * pixel, (ymin + ymax) / 2 + 90 * pixel
    places = find_places(Piece(*corner, (pixel, pixel), (180, 200)), grid, where)
    assert places is not None
    assert isinstance(places, Straight) == (zoom >= STRAIGHT_FROM.get(name, 14))
    rows, cols = np.mgrid[:180, :200]
    mercator = np.column_stack(
        [corner[0] + (cols.ravel() + 0.5) * pixel, corner[1] - (rows.ravel() + 0.5) * pixel]
    )
    lonlat = np.degrees(mercator / 6378137)
    lonlat[:, 1] = np.degrees(np.arctan(np.sinh(mercator[:, 1] / 6378137)))
    exact = grid.to_pixel(where.to_crs(lonlat))
    found = np.column_stack([places.x.ravel(), places.y.ravel()]) + places.origin
    error = np.hypot(*(found - exact).T) / places.scale
    if isinstance(places, Straight):
        assert error.max() < 0.1
        assert places.reach(grid.shape) is not None
    image = np.random.default_rng(0).integers(0, 256, (ROWS, COLS, 4), dtype=np.uint8)
    image = cv2.GaussianBlur(image, (0, 0), 4)
    frame = ((1.0, 1.0), (0.0, 0.0))
    bent = Bent(places.x, places.y, places.origin, places.scale, places.box)
    seen, same = (each.sampled(image, frame, cv2.INTER_LINEAR) for each in (places, bent))
    assert np.abs(seen.astype(int) - same).max() <= 2
    assert (places.inside(grid.shape) == bent.inside(grid.shape)).all()


def test_a_pixel_of_the_raster_is_one_of_the_screen_at_most_at_the_native_zoom(
    placed: tuple[Path, Path],
) -> None:
    renderer = TileRenderer(geoiseg.open_raster(placed[0]))
    assert 0 <= renderer.min_zoom <= renderer.max_zoom <= 30
    grid = renderer.raster.grid
    xmin, ymin, xmax, ymax = projection(grid).extent
    size = WORLD / 256 / 2**renderer.max_zoom
    places = find_places(
        Piece((xmin + xmax) / 2, (ymin + ymax) / 2, (size, size), (32, 32)), grid, projection(grid)
    )
    assert places is not None
    assert 0.35 < places.scale <= 1.02


def test_tiles_join_without_a_seam(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", smooth(rows=900, cols=900))
    renderer = TileRenderer(geoiseg.open_raster(path), 512)
    z = renderer.max_zoom - 1
    x, y = tile_at(*middle_of(renderer), z)
    pair = [renderer.render(z, x + k, y)[0] for k in (-1, 0)]
    (left, known), (right, _) = (decode(tile) for tile in pair if tile)
    assert left.shape == (512, 512, 3)
    rows = known[:, -1]
    beside = np.abs(left[rows, -1].astype(int) - left[rows, -2]).mean()
    step = np.abs(left[rows, -1].astype(int) - right[rows, 0]).mean()
    assert step < 1.3 * beside


def test_nodata_is_transparent_and_does_not_darken_its_edge(tmp_path: Path) -> None:
    pixels = np.full((3, 256, 256), 180, dtype=np.uint8)
    pixels[:, 64:128, 64:128] = 0
    path = write_raster(tmp_path / "hole.tif", pixels, nodata=0)
    renderer = TileRenderer(geoiseg.open_raster(path, stretch=Stretch((0,) * 3, (255,) * 3)))
    z = renderer.max_zoom
    lon, lat = renderer.raster_to_map(geoiseg_point(renderer, 96, 96)).coords[0]
    tile, mime = renderer.render(z, *tile_at(lon, lat, z))
    assert mime == "image/webp"
    assert tile is not None
    rgb, data = decode(tile)
    assert 0 < data.mean() < 1
    assert rgb[data].min() > 150


def geoiseg_point(renderer: TileRenderer, x: float, y: float):
    import shapely

    return shapely.Point(renderer.raster.grid.to_crs([(x, y)])[0])


def test_opaque_tiles_are_jpeg_and_small(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", smooth(rows=1200, cols=1200))
    renderer = TileRenderer(geoiseg.open_raster(path))
    tile, mime = renderer.render(
        renderer.max_zoom, *tile_at(*middle_of(renderer), renderer.max_zoom)
    )
    assert mime == "image/jpeg"
    assert tile is not None
    assert tile[:2] == b"\xff\xd8"
    assert len(tile) < 40_000


def test_one_stretch_serves_every_tile(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(1000, 3000, 800), (800, 1)).astype(np.uint16)
    path = write_raster(tmp_path / "ramp.tif", ramp[None])
    raster = geoiseg.open_raster(path)
    renderer = TileRenderer(raster)
    z = renderer.max_zoom
    x, y = tile_at(*middle_of(renderer), z)
    rgb, data = decode(renderer.render(z, x, y)[0] or b"")
    pixel = WORLD / 256 / 2**z
    for col in (20, 120, 220):
        at = ((x * 256 + col + 0.5) * pixel - WORLD / 2) / WORLD * 360
        _, lat = middle_of(renderer)
        px = raster.grid.to_pixel([renderer.map_to_raster(at, lat)])[0, 0]
        low, high = raster.stretch.low[0], raster.stretch.high[0]
        expected = (1000 + 2000 * (px - 0.5) / 799 - low) / (high - low) * 255
        assert rgb[data[:, col], col].mean() == pytest.approx(np.clip(expected, 0, 255), abs=4)
    other = TileRenderer(raster, stretch=Stretch((0.0,), (60_000.0,)))
    dark, _ = decode(other.render(z, x, y)[0] or b"")
    assert dark.max() < 20


def test_overviews_are_what_is_read(tmp_path: Path) -> None:
    path = write_raster(
        tmp_path / "a.tif", smooth(rows=2048, cols=2048), tiled=True, blockxsize=256, blockysize=256
    )
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2, 4, 8], Resampling.average)
    # painted over after the overviews were made: whatever is red was read in full
    with rasterio.open(path, "r+") as dataset:
        red = np.zeros((3, 2048, 2048), dtype=np.uint8)
        red[0] = 255
        dataset.write(red)
    renderer = TileRenderer(geoiseg.open_raster(path, stretch=Stretch((0,) * 3, (255,) * 3)))
    z = renderer.max_zoom
    for zoom, is_red in ((z, True), (z - 2, False)):
        tile, _ = renderer.render(zoom, *tile_at(*middle_of(renderer), zoom))
        rgb, data = decode(tile or b"")
        assert ((rgb[data].astype(int)[:, 0] - rgb[data][:, 1]).mean() > 200) == is_red


def test_many_threads_draw_the_same_tiles(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", smooth(rows=1500, cols=1500))
    renderer = TileRenderer(geoiseg.open_raster(path))
    z = renderer.max_zoom
    x, y = tile_at(*middle_of(renderer), z)
    asked = [(z, x + i, y + j) for i in range(-2, 3) for j in range(-2, 3)]
    alone = [renderer.render(*tile) for tile in asked]
    fresh = TileRenderer(geoiseg.open_raster(path))
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda tile: fresh.render(*tile), asked * 3))
    assert together == alone * 3


def test_a_damaged_file_is_said_in_one_line(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", smooth(rows=600, cols=600), compress="deflate")
    content = path.read_bytes()
    path.write_bytes(content[:1000] + bytes(len(content) - 1000))
    with pytest.raises(GeoisegError) as caught:
        raster = geoiseg.open_raster(path, stretch=Stretch((0,) * 3, (255,) * 3))
        renderer = TileRenderer(raster)
        renderer.render(renderer.max_zoom, *tile_at(*middle_of(renderer), renderer.max_zoom))
    assert "a.tif" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unreasonable_requests_are_refused(disk) -> None:
    raster = geoiseg.open_raster(disk.path)
    renderer = TileRenderer(raster)
    for zoom in (-1, 31, 10**9):
        with pytest.raises(GeoreferenceError, match=str(zoom)):
            renderer.render(zoom, 0, 0)
    assert renderer.render(5, 10**12, 3)[0] is None
    with pytest.raises(RasterError, match="5000"):
        TileRenderer(raster, 5000)


@pytest.mark.parametrize(("left", "name"), [(-180.0, "usual"), (0.0, "from Greenwich")])
def test_a_world_raster_ends_where_the_map_does(tmp_path: Path, left: float, name: str) -> None:
    pixels = smooth(rows=180, cols=360)
    path = write_raster(
        tmp_path / "w.tif", pixels, crs="EPSG:4326", transform=Affine(1, 0, left, 0, -1, 90)
    )
    renderer = TileRenderer(geoiseg.open_raster(path))
    west, south, east, north = renderer.bounds_lonlat
    assert (west, east) == (left, left + 360)
    assert (south, north) == pytest.approx((-85.05113, 85.05113))
    tile, mime = renderer.render(0, 0, 0)
    assert mime == "image/jpeg"
    rgb, _ = decode(tile or b"")
    for lon, lat in ((-120.0, 30.0), (-1.0, 0.0), (60.0, -45.0), (179.0, 10.0)):
        col = int((lon - left) % 360)
        expected = pixels[:, 90 - round(lat) - 1 : 90 - round(lat) + 1, col : col + 1].mean(
            axis=(1, 2)
        )
        px = int((lon + 180) / 360 * 256)
        py = int((1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * 256)
        assert np.abs(rgb[py, px] - expected).max() < 25


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:4326", Affine(0.1, 0, 170, 0, -0.1, 0)),
        ("EPSG:3832", Affine(10_000, 0, 2.2e6, 0, -10_000, 0)),
        ("EPSG:32701", Affine(2_000, 0, 1e5, 0, -2_000, 8.5e6)),
    ],
)
def test_a_raster_across_the_antimeridian_is_one_piece(
    tmp_path: Path, crs: str, transform: Affine
) -> None:
    path = write_raster(tmp_path / "a.tif", smooth(), crs=crs, transform=transform)
    raster = geoiseg.open_raster(path)
    renderer = TileRenderer(raster)
    west, south, east, north = renderer.bounds_lonlat
    assert east - west < 60
    assert west < 180 < east or west < -180 < east
    z = renderer.max_zoom + 1
    lat = (south + north) / 2
    for lon in (179.5, -179.5):
        tile, _ = renderer.render(z, *tile_at(lon, lat, z))
        assert tile is not None
        rgb, data = decode(tile)
        px, py = ((lon + 180) / 360 * 2**z % 1) * 256, 0.0
        py = ((1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * 2**z % 1) * 256
        x, y = raster.grid.to_pixel([renderer.map_to_raster(lon, lat)])[0]
        with rasterio.open(path) as dataset:
            true = dataset.read()[:, int(y), int(x)]
        assert data[int(py), int(px)]
        assert np.abs(rgb[int(py), int(px)].astype(int) - true).max() < 25
    outline = renderer.raster_to_map(raster.grid.footprint)
    assert outline.is_valid
    assert outline.bounds == pytest.approx((west, south, east, north), abs=0.5)


def test_a_raster_over_the_pole_goes_all_around(tmp_path: Path) -> None:
    transform = Affine(20_000, 0, -2.4e6, 0, -20_000, 2.4e6)
    path = write_raster(
        tmp_path / "p.tif", smooth(rows=240, cols=240), crs="EPSG:3413", transform=transform
    )
    renderer = TileRenderer(geoiseg.open_raster(path))
    west, _, east, north = renderer.bounds_lonlat
    assert (west, east) == (-180, 180)
    assert north == pytest.approx(85.05113)
    for x in range(4):
        rgb, data = decode(renderer.render(2, x, 0)[0] or b"")
        expected, known = warped(path, 2, x, 0, Resampling.bilinear)
        assert (data == known).mean() > 0.97
        both = data & known
        assert np.abs(rgb.astype(int) - expected)[both].mean() < 8


@pytest.mark.realdata
def test_a_geostationary_disk_is_drawn_where_the_earth_is(data: Path) -> None:
    path = data / "formats" / "rasterio" / "goes.tif"
    renderer = TileRenderer(geoiseg.open_raster(path, stretch=Stretch((0.0,) * 3, (255.0,) * 3)))
    west, south, east, north = renderer.bounds_lonlat
    assert (west + east) / 2 == pytest.approx(-75, abs=1)
    assert north == pytest.approx(-south, abs=0.5)
    _, shown = decode(renderer.render(0, 0, 0)[0] or b"")
    _, known = warped(path, 0, 0, 0, Resampling.nearest)
    assert (shown == known).mean() > 0.99  # GDAL loses a few at the rim
    assert north > 75


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["odc-geo/au-gcp.tif", "odc-geo/au-3577-rotated.tif", "stars/geomatrix.tif",
                                  "rasterio/RGBA.uint16.tif", "rasterio/float_nan.tif", "rasterio/all-nodata.tif",
                                  "rasterio/world.byte.tif", "rasterio/test_esri_wkt.tif", "stars/lc.tif"])  # fmt: skip
def test_odd_files_are_drawn(data: Path, name: str) -> None:
    renderer = TileRenderer(geoiseg.open_raster(data / "formats" / name))
    west, south, east, north = renderer.bounds_lonlat
    assert -360 <= west < east <= 360
    assert -85.06 < south < north < 85.06
    z = renderer.max_zoom
    tile, _ = renderer.render(z, *tile_at(*middle_of(renderer), z))
    if name.endswith("all-nodata.tif"):
        assert tile is None
    else:
        assert tile is not None
        assert decode(tile)[1].any()
