"""The world is round: a place is a place, whichever way it is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from rasterio.warp import transform_geom

import geoiseg
from geoiseg.cli import main
from geoiseg.files import export_features
from geoiseg.outline.coverage import CleanOptions, clean
from geoiseg.prompting import Box, Point, Region, Scribble, localise
from geoiseg.raster import Grid, cut, gathered, measure, turn_of
from geoiseg.tiled.aoi import read_aoi
from tests.conftest import write_raster

ALONG_PIXELS = geoiseg.OutlineOptions(line="pixels")
GEOD = pyproj.Geod(ellps="WGS84")
FIELD = (30.0, 40.0, 100.0, 90.0)
STEP = 1e-4


def scene() -> np.ndarray:
    """Return a bright field at columns 30..100, rows 40..90."""
    pixels = np.full((3, 128, 128), 60, "uint8")
    pixels[:, 40:90, 30:100] = 180
    return pixels + np.random.default_rng(0).integers(0, 8, pixels.shape, dtype="uint8")


def lonlat(west: float) -> tuple[str, Affine]:
    return "EPSG:4326", Affine(STEP, 0, west, 0, -STEP, -16)


MERCATOR = pyproj.Transformer.from_crs(4326, 3857, always_xy=True).transform(179.995, -16)
UTM = pyproj.Transformer.from_crs(4326, 32701, always_xy=True).transform(179.995, -16)
RASTERS = {
    "from 179.995": lonlat(179.995),
    "from -180.005": lonlat(-180.005),
    "grads": ("EPSG:4807", Affine(STEP, 0, 197.3966, 0, -STEP, -17)),
    "Web Mercator": ("EPSG:3857", Affine(10, 0, MERCATOR[0], 0, -10, MERCATOR[1])),
    "Web Mercator, west": (
        "EPSG:3857", Affine(10, 0, MERCATOR[0] - turn_of(3857), 0, -10, MERCATOR[1])),
    "Pacific Mercator": ("EPSG:3832", Affine(10, 0, 3_339_000, 0, -10, -1_804_000)),
    "UTM 1": ("EPSG:32701", Affine(10, 0, UTM[0], 0, -10, UTM[1])),
}  # fmt: skip


def grid_of(name: str) -> Grid:
    crs, transform = RASTERS[name]
    return Grid(crs, transform, (128, 128))


def places(grid: Grid, xy_pixel: Any) -> np.ndarray:
    """Return longitude and latitude of pixels, within -180..180, by pyproj alone."""
    to = pyproj.Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
    x, y = to.transform(*grid.to_crs(xy_pixel).T)
    return np.column_stack([(x + 180) % 360 - 180, y])


WRITINGS = {
    "-180..180": lambda lon: lon,
    "0..360": lambda lon: lon % 360,
    "-360..0": lambda lon: lon % 360 - 360,
}


@pytest.mark.parametrize("writing", WRITINGS)
@pytest.mark.parametrize("name", RASTERS)
def test_prompts_lie_on_the_raster_however_they_are_written(name: str, writing: str) -> None:
    grid = grid_of(name)
    corners = [(30, 40), (100, 40), (100, 90), (30, 90), (30, 40)]
    there = places(grid, corners)
    there[:, 0] = WRITINGS[writing](there[:, 0])
    for at, wanted in zip(there, corners, strict=True):
        point = localise(Point(*at), "EPSG:4326", grid)
        np.testing.assert_allclose(grid.to_pixel([(point.x, point.y)]), [wanted], atol=5e-3)
    stroke = localise(Scribble(tuple(map(tuple, there))), "EPSG:4326", grid)
    np.testing.assert_allclose(grid.to_pixel(stroke.xy), corners, atol=5e-3)
    region = localise(Region(shapely.Polygon(there)), "EPSG:4326", grid)
    drawn = shapely.transform(region.polygon, grid.to_pixel)
    wanted = shapely.Polygon(corners)
    assert drawn.symmetric_difference(wanted).area < 1
    west, east = there[0, 0], there[1, 0]
    box = Box(west, there[2, 1], east + 360 * (east < west), there[0, 1])
    inside = grid.box_to_pixel(localise(box, "EPSG:4326", grid).corners, "EPSG:4326")
    tolerance = 2.5 if name == "UTM 1" else 5e-3  # the box is upright in degrees
    np.testing.assert_allclose(inside, FIELD, atol=tolerance)


@pytest.mark.parametrize("name", [name for name in RASTERS if name != "UTM 1"])
def test_the_rasters_own_coordinates_may_be_a_turn_away(name: str) -> None:
    grid = grid_of(name)
    turn = turn_of(grid.crs)
    shape = shapely.transform(shapely.box(*FIELD), grid.to_crs)
    x, y = grid.to_crs([(65, 65)])[0]
    for by in (-turn, 0, turn):
        moved = grid.bring(shapely.transform(shape, lambda xy, by=by: xy + (by, 0.0)))  # noqa: RUF005
        assert moved.hausdorff_distance(shape) < turn * 1e-12
        point = localise(Point(x + by, y), None, grid)
        assert point.x == pytest.approx(x, rel=1e-12)
        xmin, ymin, xmax, ymax = shape.bounds
        box = localise(Box(xmin + by, ymin, xmax + by, ymax), None, grid)
        np.testing.assert_allclose(box.corners, shape.bounds, rtol=1e-12)


@pytest.mark.parametrize("name", ["from 179.995", "grads", "Web Mercator", "UTM 1"])
def test_own_geojson_is_cut_at_180_and_comes_back(name: str, tmp_path: Path, monkeypatch) -> None:
    crs, transform = RASTERS[name]
    raster = write_raster(tmp_path / "a.tif", scene(), crs=crs, transform=transform)
    session = geoiseg.Session(raster, outline=ALONG_PIXELS)
    session.add_point(*session.raster.grid.to_crs([(65, 65)])[0])
    session.accept("field")
    given = session.geometry or session.features.geometry[0]
    found = shapely.transform(given, session.raster.grid.to_pixel)
    assert found.bounds == pytest.approx(FIELD, abs=1e-3)
    out = session.export(tmp_path / "o.geojson")
    (feature,) = json.loads(out.read_text())["features"]
    shape = shapely.geometry.shape(feature["geometry"])
    assert shape.geom_type == "MultiPolygon"
    assert shape.is_valid
    assert shape.bounds[0] == -180
    assert shape.bounds[2] == 180
    area = abs(GEOD.geometry_area_perimeter(shapely.orient_polygons(shape))[0])
    assert area == pytest.approx(feature["properties"]["area_m2"], rel=3e-3)
    again = geoiseg.Session(raster)
    again.add_region(shape, "EPSG:4326")
    kept = again.segmenter  # the region is where it was
    assert kept is not None
    region = again._state.steps[0].prompts[0].polygon
    back = shapely.transform(region, session.raster.grid.to_pixel)
    assert back.symmetric_difference(found).area < 1
    assert back.geom_type == "Polygon"
    monkeypatch.chdir(tmp_path)
    for prompts, kind in (("o.geojson", None), ("r.geojson", "region")):
        if kind:
            feature["properties"] = {"kind": kind}
            text = {"type": "FeatureCollection", "features": [feature]}
            Path(prompts).write_text(json.dumps(text))
        assert _run("segment", "a.tif", prompts, "again.gpkg") == 0
        drawn = gpd.read_file("again.gpkg").geometry[0]
        pixels = shapely.transform(drawn, session.raster.grid.to_pixel)
        assert pixels.symmetric_difference(found).area < 0.02 * found.area
    assert session.add_features(gpd.read_file(out)) == [2]
    twice = [
        shapely.transform(one, session.raster.grid.to_pixel) for one in session.features.geometry
    ]
    assert twice[1].symmetric_difference(twice[0]).area < 1
    area_of_interest = read_aoi(out, session.raster.grid)
    assert area_of_interest.symmetric_difference(found).area < 1


def _run(*arguments: Any) -> int:
    with pytest.raises(SystemExit) as done:
        main([str(one) for one in arguments])
        raise SystemExit(0)
    return int(done.value.code or 0)


def test_outlines_not_cut_at_all_are_read_the_short_way() -> None:
    """Many write -179.9 next to 179.9 and mean the short way."""
    grid = grid_of("from 179.995")
    careless = shapely.Polygon(
        [(179.998, -16.004), (-179.995, -16.004), (-179.995, -16.009), (179.998, -16.009)]
    )
    brought = shapely.transform(grid.bring(careless, "EPSG:4326"), grid.to_pixel)
    assert brought.symmetric_difference(shapely.box(*FIELD)).area < 1e-3
    world = Grid("EPSG:4326", Affine(1, 0, -180, 0, -1, 90), (180, 360))
    wide = shapely.box(-170, -40, 170, 40)
    assert world.bring(wide).equals(wide)
    all_of_it = shapely.box(-180, -90, 180, 90)
    assert world.bring(all_of_it).equals(all_of_it)


def test_what_crosses_the_edge_of_a_map_of_the_world_lies_on_both_ends() -> None:
    for west in (-180, 0, -90):
        world = Grid("EPSG:4326", Affine(1, 0, west, 0, -1, 90), (180, 360))
        edge = (west + 180) % 360 - 180
        shape = world.bring(shapely.box(edge - 5, 10, edge + 5, 20), "EPSG:4326")
        inside = shapely.transform(shape, world.to_pixel).intersection(shapely.box(0, 0, 360, 180))
        want = shapely.union_all([shapely.box(0, 70, 5, 80), shapely.box(355, 70, 360, 80)])
        assert inside.symmetric_difference(want).area < 1e-9


def test_a_pole_inside_a_box_is_inside_its_pixels() -> None:
    world = Grid("EPSG:4326", Affine(1, 0, -180, 0, -1, 90), (180, 360))
    x0, y0, x1, y1 = world.box_to_pixel((-1e6, -1e6, 1e6, 1e6), "EPSG:3413")
    assert (x0, y0, x1) == pytest.approx((0, 0, 360), abs=1e-6)
    lat = pyproj.Transformer.from_crs(3413, 4326, always_xy=True).transform(1e6, 1e6)[1]
    assert y1 == pytest.approx(90 - lat, abs=1e-6)
    cap = world.bring(shapely.Point(0, 0).buffer(1e6), "EPSG:3413")
    lat = pyproj.Transformer.from_crs(3413, 4326, always_xy=True).transform(1e6, 0)[1]
    cap = cap.intersection(world.footprint)
    assert cap.area == pytest.approx(360 * (90 - lat), rel=0.01)


POLAR = {"EPSG:3413": 1, "EPSG:3995": 1, "EPSG:3031": -1, "EPSG:3574": 1}


@pytest.mark.parametrize("crs", POLAR)
@pytest.mark.parametrize("middle", [(0, 0), (3e5, 2e5), (0, 9e5), (0, -9e5), (9e5, 9e5)], ids=str)
def test_outlines_at_a_pole_go_to_geojson_whole(crs: str, middle, tmp_path: Path) -> None:
    """GDAL's own cutting, and the area on the ground, are the oracles."""
    shape = shapely.Point(*middle).buffer(5e5, quad_segs=90)
    frame = gpd.GeoDataFrame({"label": ["ice"]}, geometry=[shape], crs=crs)
    export_features(frame, tmp_path / "o.geojson")
    drawn = gpd.read_file(tmp_path / "o.geojson").geometry[0]
    assert drawn.is_valid
    west, south, east, north = drawn.bounds
    assert np.abs([west, east]).max() <= 180
    assert np.abs([south, north]).max() <= 90
    if middle in ((0, 0), (3e5, 2e5)):
        assert (west, east) == pytest.approx((-180, 180))
        assert (north if POLAR[crs] > 0 else south) == pytest.approx(90 * POLAR[crs])
    true = measure(shape, crs)[0]
    assert measure(drawn, "EPSG:4326")[0] == pytest.approx(true, rel=2e-3)
    by_gdal = shapely.geometry.shape(
        transform_geom(crs, "EPSG:4326", shape.__geo_interface__, antimeridian_cutting=True)
    )
    if abs(measure(by_gdal, "EPSG:4326")[0] / true - 1) < 0.01:  # GDAL knows not all of them
        assert drawn.symmetric_difference(by_gdal).area < 0.02 * drawn.area


@pytest.mark.parametrize("crs", ["EPSG:3413", "EPSG:3031"])
def test_prompts_in_degrees_reach_a_polar_raster(crs: str, tmp_path: Path) -> None:
    grid = Grid(crs, Affine(100, 0, -6_400, 0, -100, 6_400), (128, 128))
    path = write_raster(tmp_path / "p.tif", scene(), crs=crs, transform=grid.transform)
    session = geoiseg.Session(path, outline=ALONG_PIXELS)
    there = places(session.raster.grid, [(65, 65), (70, 50)])
    for by in (0, 360, -360):
        session.clear()
        session.add_point(there[0, 0] + by, there[0, 1], crs="EPSG:4326")
        found = shapely.transform(session.geometry, session.raster.grid.to_pixel)
        assert found.bounds == pytest.approx(FIELD, abs=1e-6)
    session.accept("ice")
    out = session.export(tmp_path / "o.geojson")
    back = session.raster.grid.bring(gpd.read_file(out).geometry[0], "EPSG:4326")
    assert back.symmetric_difference(session.features.geometry[0]).area < 5e-3 * back.area


def test_cut_and_gathered_are_each_others_inverse() -> None:
    shapes = [shapely.box(lon, 0, lon + 1, 1) for lon in (178.5, 179.5, 180.5)]
    split = [cut(shape, "EPSG:4326") for shape in shapes]
    assert [one.geom_type for one in split] == ["Polygon", "MultiPolygon", "Polygon"]
    assert split[2].equals(shapely.box(-179.5, 0, -178.5, 1))
    whole = gathered(split, "EPSG:4326")
    by = round((whole[0].bounds[0] - 178.5) / 360) * 360
    for one, shape in zip(whole, shapes, strict=True):
        assert shapely.transform(one, lambda xy: xy - (by, 0)).equals(shape)
    around = [shapely.box(lon, 0, lon + 5, 1) for lon in range(-150, 150, 10)]
    assert gathered(around, "EPSG:4326").tolist() == around


def test_a_coverage_across_the_antimeridian_is_one() -> None:
    """The gap of 40 m at 180 degrees is closed as any other; the writing stays."""
    shapes = [shapely.box(179.99, 0, 179.9998, 0.01), shapely.box(-179.9998, 0, -179.99, 0.01)]
    frame = gpd.GeoDataFrame({"label": ["a", "b"]}, geometry=shapes, crs="EPSG:4326")
    cleaned, report = clean(frame, CleanOptions(gap=100))
    assert report.gaps.count == 1
    area, _ = GEOD.geometry_area_perimeter(shapely.box(179.99, 0, 180.01, 0.01))
    assert report.ground[2] == pytest.approx(area, rel=1e-3)
    bounds = shapely.bounds(cleaned.geometry.to_numpy())
    assert (np.abs(bounds[:, [0, 2]]) <= 180).all()
    assert measure(shapely.union_all(cleaned.geometry), "EPSG:4326")[0] == pytest.approx(
        area, rel=1e-3
    )


def test_no_shoreline_is_drawn_along_180_degrees(tmp_path: Path) -> None:
    lagoon = shapely.box(179.99, -16.01, 180.02, -16)
    frame = gpd.GeoDataFrame({"label": ["water"]}, geometry=[lagoon], crs="EPSG:4326")
    export_features(frame, tmp_path / "w.geojson")
    assert _run("shoreline", tmp_path / "w.geojson", tmp_path / "line.geojson") == 0
    lines = gpd.read_file(tmp_path / "line.geojson")
    want = GEOD.geometry_area_perimeter(lagoon)[1]
    assert lines["length_m"].sum() == pytest.approx(want, rel=1e-3)
    drawn = sum(GEOD.geometry_length(line) for line in lines.geometry)
    assert drawn == pytest.approx(want, rel=1e-3)
    xy = shapely.get_coordinates(lines.geometry.to_numpy())
    assert (np.abs(xy[:, 0]) <= 180).all()
