"""Prompts: what is accepted, how it gets into pixels, and how it is stored."""

from __future__ import annotations

import json
import math

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from rasterio.features import rasterize

from geoiseg.errors import PromptError
from geoiseg.prompting.framing import (
    Frame,
    around,
    check_inside,
    holds,
    level_for_gsd,
    oblong,
    place,
)
from geoiseg.prompting.prompts import (
    MAX_TEXT,
    Box,
    Point,
    Prompts,
    Region,
    Scribble,
    Text,
    localise,
    prompt_from_dict,
    prompt_to_dict,
)
from geoiseg.raster.grid import Grid, Window

UTM = pyproj.CRS("EPSG:32631")
GRID = Grid(UTM, Affine(2, 0, 500_000, 0, -2, 4_500_000), (3000, 4000))
SQUARE = shapely.box(500_100, 4_499_000, 500_300, 4_499_200)

ALL = [
    Point(500_010.123456789, 4_499_990.5, positive=False),
    Box(1.5, 2.5, 3.5, 4.75, "EPSG:4326"),
    Scribble(((1.0, 2.0), (3.0, 4.1)), positive=False),
    Region(SQUARE),
    Text("  a lake  "),
]


@pytest.mark.parametrize("prompt", ALL, ids=lambda prompt: prompt.kind)
def test_a_prompt_survives_json(prompt) -> None:
    again = prompt_from_dict(json.loads(json.dumps(prompt_to_dict(prompt))))
    assert again == prompt


@pytest.mark.parametrize(
    "data",
    [{}, {"kind": "star"}, {"kind": "point", "xy": [1]}, {"kind": "point", "xy": "ab"},
     {"kind": "region", "wkb": "zz"}, {"kind": "box", "box": [4, 4, 1, 1]}],
)  # fmt: skip
def test_what_is_no_prompt_is_refused(data) -> None:
    with pytest.raises(PromptError):
        prompt_from_dict(data)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Point(math.nan, 1), "finite"),
        (lambda: Box(1, 1, 1, 2), r"\(1, 1, 1, 2\)"),
        (lambda: Box(0, 0, math.inf, 2), "finite"),
        (lambda: Scribble(()), "at least one"),
        (lambda: Scribble(((0, math.nan),)), "finite"),
        (lambda: Region(shapely.Point(1, 2)), "POINT"),
        (lambda: Region(shapely.Polygon()), "empty"),
        (lambda: Region("POLYGON"), "shapely"),
        (lambda: Text("   "), "at least one word"),
        (lambda: Text("x" * (MAX_TEXT + 1)), "501"),
    ],
)
def test_malformed_prompts_say_what_they_got(make, says: str) -> None:
    with pytest.raises(PromptError, match=says):
        make()


def test_an_invalid_outline_is_mended() -> None:
    bow_tie = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    assert Region(bow_tie).polygon.is_valid
    assert Region(bow_tie).polygon.area == pytest.approx(50)


def test_all_prompts_into_pixels() -> None:
    prompts = Prompts(
        (
            Point(500_020, 4_499_960),
            Point(500_040, 4_499_980, positive=False),
            Box(500_000, 4_499_900, 500_100, 4_499_980),
            Box(500_050, 4_499_800, 500_200, 4_499_900),
            Scribble(((500_000, 4_500_000), (500_010, 4_499_990)), positive=False),
        )
    )
    pixel = prompts.to_pixel(GRID)
    np.testing.assert_allclose(pixel.points, [(10, 20), (20, 10)])
    np.testing.assert_array_equal(pixel.positive, [True, False])
    assert pixel.box == (0, 10, 100, 100), "the box around both boxes"
    np.testing.assert_allclose(pixel.scribbles[0][0], [(0, 0), (5, 5)])
    assert pixel.mask is None
    assert prompts.counts() == {
        "positive_points": 1, "negative_points": 1, "boxes": 2, "scribbles": 1,
    }  # fmt: skip


def test_an_outline_becomes_the_pixels_gdal_burns() -> None:
    part = GRID.window(Window(300, 0, 600, 400))
    pixel = Prompts((Region(SQUARE),)).to_pixel(part)
    expected = rasterize([SQUARE], out_shape=part.shape, transform=part.transform)
    np.testing.assert_array_equal(pixel.mask, expected.astype(bool))
    assert pixel.mask.sum() == 100 * 100


def test_prompts_from_another_crs_land_where_they_should() -> None:
    to_lonlat = pyproj.Transformer.from_crs(UTM, "EPSG:4326", always_xy=True)
    lon, lat = to_lonlat.transform(500_020, 4_499_960)
    point = localise(Point(lon, lat), "EPSG:4326", UTM)
    np.testing.assert_allclose(Prompts((point,)).to_pixel(GRID).points, [(10, 20)], atol=1e-6)
    stroke = localise(Scribble(((lon, lat), (lon, lat)), positive=False), "EPSG:4326", UTM)
    np.testing.assert_allclose(GRID.to_pixel(stroke.xy), [(10, 20), (10, 20)], atol=1e-6)
    lonlat_square = shapely.transform(SQUARE, to_lonlat.transform, interleaved=False)
    region = localise(Region(lonlat_square), "EPSG:4326", UTM)
    assert region.polygon.symmetric_difference(SQUARE).area < 0.01


def test_a_box_keeps_its_crs_until_it_is_in_pixels() -> None:
    box = localise(Box(3.0, 40.5, 3.02, 40.51), "EPSG:4326", UTM)
    assert box.crs == "EPSG:4326"
    pixel = Prompts((box,)).to_pixel(GRID)
    assert pixel.box == pytest.approx(GRID.box_to_pixel((3.0, 40.5, 3.02, 40.51), "EPSG:4326"))
    assert localise(Box(1, 2, 3, 4), UTM, UTM).crs is None


def test_a_crs_is_no_use_on_a_raster_without_one() -> None:
    with pytest.raises(PromptError, match="has no CRS"):
        localise(Point(3, 4), "EPSG:4326", None)
    assert localise(Point(3, 4), None, None) == Point(3, 4)


# -- where to look ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "inside"),
    [
        (Point(500_001, 4_499_999), True),
        (Point(508_000, 4_494_000), True),  # the far corner itself
        (Point(499_999, 4_499_999), False),
        (Box(499_000, 4_499_000, 500_100, 4_501_000), True),
        (Box(400_000, 4_499_000, 499_999, 4_501_000), False),
        (Scribble(((499_000, 4_499_000), (500_100, 4_499_000))), True),
        (Region(SQUARE), True),
        (Region(shapely.box(0, 0, 1, 1)), False),
        (Text("sea"), True),
    ],
)
def test_prompts_on_and_off_the_raster(prompt, inside: bool) -> None:
    if inside:
        check_inside(prompt, GRID, "scene.tif")
    else:
        with pytest.raises(PromptError, match=r"outside scene\.tif, whose bounds"):
            check_inside(prompt, GRID, "scene.tif")


def test_levels_by_ground_size() -> None:
    assert [level_for_gsd(GRID, gsd) for gsd in (None, 0.1, 2, 4.2, 8, 1e6)] == [0, 0, 0, 1, 2, 7]
    pixels = Grid(None, Affine.identity(), (4096, 4096))
    assert level_for_gsd(pixels, 4) == 2
    for bad in (0, -1, math.nan, math.inf):
        with pytest.raises(PromptError, match="gsd"):
            level_for_gsd(GRID, bad)


def test_a_point_is_looked_at_in_full_resolution() -> None:
    frame = place(GRID, Prompts((Point(504_000, 4_497_000),)), 512)
    assert frame.level == 0
    assert frame.window.shape == (512, 512)
    x, y = frame.grid(GRID).to_pixel([(504_000, 4_497_000)])[0]
    assert 128 <= x <= 384
    assert 128 <= y <= 384


def test_a_box_is_looked_at_where_it_fits() -> None:
    """3000 m are 1500 px: 375 px at level 2, 188 px (37 % of the chip) at level 3."""
    frame = place(GRID, Prompts((Box(501_000, 4_495_000, 504_000, 4_497_000),)), 512)
    assert frame.level == 3
    x0, y0, x1, y1 = frame.grid(GRID).box_to_pixel((501_000, 4_495_000, 504_000, 4_497_000))
    assert min(x0, y0) >= 0
    assert x1 <= frame.window.width
    assert y1 <= frame.window.height


def test_what_is_long_is_seen_as_closely_on_a_chip_as_long() -> None:
    """800 m are 400 px, more than half of a square chip's side: 800 px of a longer one."""
    clicks = Prompts((Point(504_000, 4_497_000), Point(504_800, 4_497_040)))
    assert place(GRID, clicks, 512).level == 1
    frame = place(GRID, clicks, 512, any_shape=True)
    assert frame.level == 0
    height, width = frame.window.shape
    assert width >= 800
    assert 256 <= height < 512
    assert height * width <= 1.25 * 512**2
    pixels = clicks.outline_pixels(frame.grid(GRID))
    assert (pixels >= (200, 100)).all()
    assert (pixels <= (width - 200, height - 100)).all()
    assert place(GRID, clicks, 512, 1, any_shape=True) == place(GRID, clicks, 512, 1)
    around_it = Prompts((Box(504_000, 4_497_000, 504_800, 4_497_040),))
    assert place(GRID, around_it, 512, any_shape=True) == place(GRID, around_it, 512)
    apart = Prompts((Point(504_000, 4_497_000), Point(505_600, 4_495_400)))  # 800 px both ways
    assert place(GRID, apart, 512, any_shape=True) == place(GRID, apart, 512)


def test_of_a_small_raster_a_longer_chip_shows_all() -> None:
    low = Grid(UTM, Affine(2, 0, 0, 0, -2, 0), (350, 700))
    assert oblong(low, 0, 512, (100, 20, 500, 330), 0.5) == Frame(0, Window(0, 0, 350, 700))
    square = Grid(UTM, Affine(2, 0, 0, 0, -2, 0), (900, 900))
    assert oblong(square, 0, 512, (100, 100, 500, 500), 0.5) is None


def test_longer_chips_lie_on_a_lattice_within_the_raster() -> None:
    for x in (0, 30, 900, 3000, 4000 - 400):
        frame = oblong(GRID, 0, 512, (x, 2000, x + 400, 2010), 0.5)
        assert frame is not None
        row, col = frame.window.row, frame.window.col
        assert row % 64 == 0
        assert col % 64 == 0 or frame.window.stop[1] == GRID.width
        assert GRID.whole.contains([(col, row), frame.window.stop[::-1]]).all()
        assert frame.window.col <= x
        assert frame.window.stop[1] >= x + 400


def test_neighbouring_clicks_share_a_chip() -> None:
    frames = {place(GRID, Prompts((Point(504_000 + d, 4_497_000),)), 512) for d in range(0, 60, 10)}
    assert len(frames) == 1


def test_words_alone_have_no_place() -> None:
    with pytest.raises(PromptError, match="where to look"):
        place(GRID, Prompts((Text("field"),)), 512)


def test_a_chip_holds_prompts_with_a_margin_only_inside_the_raster() -> None:
    frame = Frame(0, Window(0, 0, 512, 512))
    assert holds(frame, GRID, Prompts((Point(500_000, 4_500_000),)))
    assert not holds(frame, GRID, Prompts((Point(500_000 + 2 * 511, 4_500_000 - 20),)))
    assert frame.open_sides(GRID) == (False, True, True, False)


def test_a_box_as_large_as_a_tiny_raster() -> None:
    tiny = Grid(UTM, Affine(2, 0, 0, 0, -2, 0), (3, 5))
    frame = around(tiny, 0, 512, (0, 0, 5, 3))
    assert frame.window == Window(0, 0, 3, 5)
