"""Metres are metres: every measure against GeographicLib, in every kind of CRS."""

from __future__ import annotations

import math
from typing import Any

import geopandas as gpd
import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine

from geoiseg.features import Feature, QualityOptions, checked, to_frame
from geoiseg.outline import OutlineOptions, outline
from geoiseg.outline.coverage import clean
from geoiseg.outline.coverage.frame import Frame
from geoiseg.outline.shoreline import TransectOptions, crossings, rates, transects
from geoiseg.raster import Grid, measure, measure_all
from geoiseg.raster.ground import Ground
from geoiseg.segment import Mask

GEOD = pyproj.Geod(ellps="WGS84")
FEET = 1200 / 3937
PLACES: list[tuple[Any, tuple[float, float]]] = [
    ("EPSG:32631", (500_000, 5_000_000)),
    ("EPSG:4326", (25.0, 68.0)),
    ("EPSG:4979", (25.0, 68.0)),
    ("EPSG:4326+5773", (25.0, 68.0)),
    ("EPSG:4807", (2.0, 52.0)),
    ("EPSG:27572", (600_000, 2_400_000)),
    ("EPSG:3857", (500_000, 9_500_000)),
    ("EPSG:3857+3855", (500_000, 9_500_000)),
    ("EPSG:3395", (500_000, 9_500_000)),
    ("+proj=merc +ellps=WGS84 +towgs84=0,0,0,0,0,0,0 +units=m", (500_000, 6_500_000)),
    ("+proj=longlat +ellps=WGS84 +towgs84=1,2,3,0,0,0,0", (25.0, 68.0)),
    ("+proj=utm +zone=31 +ellps=WGS84 +towgs84=1,2,3,0,0,0,0", (500_000, 5_000_000)),
    ("+proj=merc +datum=WGS84 +units=us-ft", (1_500_000, 25_000_000)),
    ("EPSG:2263", (980_000, 200_000)),
    ("EPSG:2263+6360", (980_000, 200_000)),
    ("EPSG:7415", (155_000, 463_000)),
    ("EPSG:4087", (500_000, 7_500_000)),
    ("EPSG:32662", (500_000, 7_500_000)),
    ("EPSG:6933", (500_000, 6_500_000)),
    ("EPSG:3413", (-800_000, -900_000)),
    ("EPSG:3031", (-800_000, 2_900_000)),
    ("ESRI:54009", (500_000, 7_500_000)),
    ("ESRI:54008", (3_000_000, 7_000_000)),
    ("+proj=tmerc +lon_0=0 +datum=WGS84", (1_600_000, 5_000_000)),  # far outside its zone
]
"""CRSs of all kinds, and a place in each where planes are least like the ground."""


def truth(shape: Any, crs: Any) -> tuple[float, float]:
    """Return area and length by GeographicLib alone, of edges cut into 400 pieces each."""
    crs = pyproj.CRS(crs)
    flat = crs.sub_crs_list[0] if crs.is_compound else crs
    fine = shapely.segmentize(shape, shapely.length(shape) / 1600)
    to = pyproj.Transformer.from_crs(flat, "EPSG:4326", always_xy=True)
    lonlat = shapely.transform(fine, lambda xy: np.column_stack(to.transform(*xy.T)))
    area, _ = GEOD.geometry_area_perimeter(shapely.orient_polygons(lonlat))
    return abs(area), GEOD.geometry_length(shapely.boundary(lonlat))


def square(crs: Any, at: tuple[float, float], metres: float = 2_000.0) -> Any:
    x, y = at
    axis = pyproj.CRS(crs).axis_info[0]
    angle = axis.unit_name in {"degree", "grad"}
    side = metres / (axis.unit_conversion_factor * (6.4e6 if angle else 1))
    hole = shapely.box(x + side / 4, y + side / 4, x + side / 2, y + side / 2)
    return shapely.box(x, y, x + side, y + side).difference(hole)


@pytest.mark.parametrize(("crs", "at"), PLACES, ids=lambda value: str(value)[:30])
def test_areas_lengths_and_pixels_are_those_of_the_ellipsoid(crs, at) -> None:
    shape = square(crs, at)
    area, length = truth(shape, crs)
    assert measure(shape, crs) == pytest.approx((area, length), rel=0.011)
    ground = Ground.of(crs)
    assert ground is not None
    if not ground.is_true(shape.bounds):  # asked of the ellipsoid: as good as the oracle
        assert measure(shape, crs) == pytest.approx((area, length), rel=1e-3)
    line = shapely.LineString(shape.exterior.coords)
    assert measure(line, crs) == pytest.approx((0, truth(shapely.Polygon(line), crs)[1]), rel=0.011)
    xmin, ymin, xmax, ymax = shape.bounds
    grid = Grid(crs, Affine((xmax - xmin) / 100, 0, xmin, 0, (ymin - ymax) / 100, ymax), (100, 100))
    whole = truth(grid.footprint, crs)[0]
    wide, tall = grid.pixel_edges_metres() or (0, 0)
    assert grid.pixel_size_metres() == pytest.approx(math.sqrt(wide * tall))
    if crs != "ESRI:54008":  # sheared there: a pixel's edges do not make its area
        assert wide * tall == pytest.approx(whole / 1e4, rel=0.005)


@pytest.mark.parametrize(("crs", "at"), PLACES, ids=lambda value: str(value)[:30])
def test_all_that_tells_metres_tells_the_same(crs, at) -> None:
    shape = square(crs, at)
    area, length = truth(shape, crs)
    frame = to_frame([Feature(1, shape)], crs)
    assert frame["area_m2"][0] == pytest.approx(area, rel=0.011)
    assert frame["perimeter_m"][0] == pytest.approx(length, rel=0.011)
    for limit, flag in ((area * 0.98, ""), (area * 1.02, "small")):
        assert checked(frame, QualityOptions(min_area=limit))["flags"][0] == flag
    framed = Frame.of(np.array([shape]), crs, 0.0).into(np.array([shape]))
    assert shapely.length(framed)[0] == pytest.approx(length, rel=0.02)
    _, report = clean(frame[["geometry"]])
    assert report.ground[2] == pytest.approx(area, rel=0.011)


def test_a_whole_table_is_measured_as_each_of_its_rows() -> None:
    shapes = [square("EPSG:3857", (0, y)) for y in (0, 5e6, 1e7)]
    shapes += [None, shapely.Polygon()]
    alone = [measure(shape, "EPSG:3857") for shape in shapes]
    np.testing.assert_allclose(measure_all(shapes, "EPSG:3857"), alone)
    assert alone[0][0] == pytest.approx(truth(shapes[0], "EPSG:3857")[0], rel=1e-3)
    assert alone[2][0] == pytest.approx(truth(shapes[2], "EPSG:3857")[0], rel=1e-3)


@pytest.mark.parametrize(
    ("crs", "unit"),
    [
        ('LOCAL_CS["site",UNIT["metre",1]]', 1.0),
        ('LOCAL_CS["site",UNIT["US survey foot",0.3048006096012192]]', FEET),
        ('LOCAL_CS["picture",UNIT["unknown",1]]', None),
        ("EPSG:4978", None),
        (None, None),
    ],
    ids=str,
)
def test_planes_that_are_nowhere_on_earth(crs, unit) -> None:
    shape = shapely.box(0, 0, 30, 20)
    pixel = Grid(crs, Affine.scale(2, -2), (10, 10)).pixel_size_metres()
    if unit is None:
        assert np.isnan(measure(shape, crs)).all()
        assert pixel is None
    else:
        assert measure(shape, crs) == pytest.approx((600 * unit**2, 100 * unit))
        assert pixel == pytest.approx(2 * unit)


def test_around_a_pole_and_over_the_edge_of_the_map() -> None:
    cap = shapely.Point(0, 0).buffer(500_000, quad_segs=64)
    lat = pyproj.Transformer.from_crs(3413, 4326, always_xy=True).transform(0, 500_000)[1]
    disk = 2 * math.pi * 6_371_007.2**2 * (1 - math.sin(math.radians(lat)))
    assert measure(cap, "EPSG:3413")[0] == pytest.approx(disk, rel=0.01)
    sides = shapely.box(179.9, 0, 180.1, 0.1), shapely.box(-180.1, 0, -179.9, 0.1)
    assert measure(sides[0], "EPSG:4326") == pytest.approx(measure(sides[1], "EPSG:4326"))
    merc = shapely.box(20_037_508 - 5e4, 8e6, 20_037_508 + 5e4, 8.1e6)
    same = shapely.box(-5e4, 8e6, 5e4, 8.1e6)
    assert measure(merc, "EPSG:3857") == pytest.approx(measure(same, "EPSG:3857"), rel=1e-6)


@pytest.mark.parametrize("crs", ["EPSG:4087", "EPSG:4326", "EPSG:4807", "EPSG:3857+3855"])
def test_right_angles_are_right_on_the_ground(crs) -> None:
    """A building askew on the ground is made square there, not in the plane."""
    unit = {"EPSG:4326": 1 / 111_195, "EPSG:4807": 1 / 100_075}.get(crs, 1.0)
    y = {"EPSG:4326": 66.0, "EPSG:4807": 73.0, "EPSG:3857+3855": 1e7}.get(crs, 7_350_000.0)
    grid = Grid(crs, Affine(unit, 0, 10, 0, -unit, y), (240, 240))
    wide, tall = grid.pixel_edges_metres() or (0, 0)
    spin = math.radians(25)
    rows, cols = np.mgrid[:240, :240] + 0.5
    east, north = (cols - 120) * wide, (120 - rows) * tall
    along = east * math.cos(spin) + north * math.sin(spin)
    across = north * math.cos(spin) - east * math.sin(spin)
    half = 50 * min(wide, tall)
    mask = Mask((np.abs(along) < half * 1.5) & (np.abs(across) < half), grid, 1.0)
    drawn = outline(mask, OutlineOptions(square=True))
    to = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    corners = np.column_stack(to.transform(*shapely.get_coordinates(drawn).T))
    azimuth = np.array(GEOD.inv(*corners[:-1].T, *corners[1:].T)[0])
    turns = np.abs(np.diff(np.append(azimuth, azimuth[0]))) % 180
    assert len(corners) == 5
    np.testing.assert_allclose(turns, 90, atol=1.5)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:4087"])
def test_transects_are_metres_along_a_coast_from_the_equator_to_the_north(crs) -> None:
    to = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True)

    def coast(east: float) -> Any:
        lat = np.linspace(0, 60, 600)
        lon = 10 + np.degrees(east / (6.371e6 * np.cos(np.radians(lat))))
        return shapely.LineString(np.column_stack(to.transform(lon, lat)))

    ways = transects(coast(0), TransectOptions(100_000, 3_000, side="both"), crs)
    ends = np.array([shapely.get_coordinates(way) for way in ways.geometry])
    back = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    start, end = (np.column_stack(back.transform(*ends[:, k].T)) for k in (0, 1))
    np.testing.assert_allclose(GEOD.inv(*start.T, *end.T)[2], 6_000, rtol=0.01)
    middle = np.column_stack(back.transform(*ends.mean(axis=1).T))
    apart = GEOD.inv(*middle[:-1].T, *middle[1:].T)[2]
    np.testing.assert_allclose(apart, 100_000, rtol=0.01)
    dated = gpd.GeoDataFrame(
        {"date": ["2000-01-01", "2010-01-01"]}, geometry=[coast(-500), coast(-1_500)], crs=crs
    )
    moved = rates(ways, crossings(ways, dated))["nsm_m"].dropna()
    assert len(moved) >= len(ways) - 2
    np.testing.assert_allclose(moved, 1_000, rtol=0.02)
