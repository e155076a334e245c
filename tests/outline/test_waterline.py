"""Shorelines below a pixel, tides, and tables of distances."""

from __future__ import annotations

from pathlib import Path

import cv2
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from click.testing import CliRunner

from geoiseg.cli.main import cli
from geoiseg.errors import GeoreferenceError, RasterError
from geoiseg.outline.shoreline import (
    WaterlineOptions,
    distances,
    read_tides,
    tide_at,
    tide_corrected,
    waterline,
)
from geoiseg.raster import open_raster

ROLES = {"green": 1, "nir": 2}
EAST, NORTH, PIXEL = 500_000.0, 4_500_000.0, 10.0


def disk(path: Path, size: int, radius: float, noise: float = 0.0) -> Path:
    """Write an island of land, a disk whose edge is mixed as a sensor mixes it."""
    y, x = np.mgrid[0:size, 0:size] + 0.5
    land = np.clip(radius - np.hypot(x - size / 2, y - size / 2) + 0.5, 0, 1)
    index = 0.4 - 0.8 * land  # of (green - nir) / (green + nir)
    index += np.random.default_rng(0).normal(0, noise, index.shape) if noise else 0
    green = 0.1 * (1 + index)
    place = rasterio.Affine(PIXEL, 0, EAST, 0, -PIXEL, NORTH)
    with rasterio.open(path, "w", driver="GTiff", dtype="float32", count=2, height=size, width=size,
                       crs="EPSG:32631", transform=place) as target:  # fmt: skip
        target.write(np.stack([green, 0.2 - green]).astype(np.float32))
    return path


@pytest.mark.parametrize("size", [300, 1500])
def test_the_line_lies_within_a_tenth_of_a_pixel_and_has_no_seams(tmp_path, size) -> None:
    radius = 0.37 * size
    found = waterline(
        open_raster(disk(tmp_path / "a.tif", size, radius), ROLES), WaterlineOptions("ndwi")
    )
    assert len(found.lines) == 1
    assert found.lines[0].is_ring
    middle = shapely.Point(EAST + size * PIXEL / 2, NORTH - size * PIXEL / 2)
    away = shapely.distance(shapely.points(shapely.get_coordinates(found.lines[0])), middle)
    assert np.abs(away / PIXEL - radius).max() < 0.1


def test_only_borders_of_the_water_asked_for_are_looked_at(tmp_path: Path) -> None:
    raster = open_raster(disk(tmp_path / "a.tif", 300, 90.0), ROLES)
    middle = shapely.Point(EAST + 1500, NORTH - 1500)
    ring = middle.buffer(1200) - middle.buffer(880)
    near = waterline(raster, WaterlineOptions("ndwi", reach=4), ring)
    assert shapely.length(near.lines).sum() == pytest.approx(2 * np.pi * 900, rel=0.02)
    with pytest.raises(GeoreferenceError, match="give a threshold"):
        waterline(raster, WaterlineOptions("ndwi"), shapely.box(0, 0, 10, 10))


def test_noise_is_said_and_bands_that_are_missing_are_named(tmp_path: Path) -> None:
    calm = waterline(
        open_raster(disk(tmp_path / "a.tif", 300, 90), ROLES), WaterlineOptions("ndwi")
    )
    loud = waterline(
        open_raster(disk(tmp_path / "b.tif", 300, 90, 0.04), ROLES), WaterlineOptions("ndwi")
    )
    assert calm.error_pixels < 0.03 < loud.error_pixels < 0.3
    with pytest.raises(RasterError, match="swir16"):
        waterline(open_raster(tmp_path / "a.tif", ROLES), WaterlineOptions("mndwi"))


def mixed_disk(path: Path, size: int, radius: float) -> Path:
    """Write an island in three bands, each mixed as a sensor mixes it, infrared twice as coarse."""
    y, x = np.mgrid[0:size, 0:size] + 0.5
    land = np.clip(radius - np.hypot(x - size / 2, y - size / 2) + 0.5, 0, 1)
    half = cv2.resize(land, (size // 2, size // 2), interpolation=cv2.INTER_AREA)
    coarse = cv2.resize(half, (size, size), interpolation=cv2.INTER_LINEAR)
    data = np.stack([0.06 + 0.03 * land, 0.02 + 0.26 * land, 0.01 + 0.21 * coarse])
    place = rasterio.Affine(PIXEL, 0, EAST, 0, -PIXEL, NORTH)
    with rasterio.open(path, "w", driver="GTiff", dtype="float32", count=3, height=size, width=size,
                       crs="EPSG:32631", transform=place) as target:  # fmt: skip
        target.write(data.astype(np.float32))
        target.descriptions = ("green", "nir", "swir16")
    return path


@pytest.mark.parametrize(("index", "least"), [("ndwi", 0.2), ("mndwi", 0.3)])
def test_half_water_is_where_the_coast_is(index: str, least: float, tmp_path: Path) -> None:
    raster = open_raster(mixed_disk(tmp_path / "a.tif", 300, 90.3))
    middle = shapely.Point(EAST + 1500, NORTH - 1500)
    off, said = {}, {}
    for method in ("half", "otsu"):
        found = waterline(raster, WaterlineOptions(index, method=method))
        points = shapely.points(shapely.get_coordinates(found.lines))
        off[method] = np.median(np.abs(shapely.distance(points, middle) / PIXEL - 90.3))
        said[method] = found.error_pixels
    assert off["half"] < least
    assert off["half"] < off["otsu"]
    assert said["half"] < said["otsu"]
    assert (
        0.5 * off["otsu"] < said["otsu"] < 2 * off["otsu"]
    )  # there is no noise: the threshold is off


def test_another_stretch_of_the_coast_would_have_another_threshold(tmp_path: Path) -> None:
    """What land is like changes along a coast: the error of the line knows."""
    size, said = 240, []
    for name, change in (("even", 0.0), ("uneven", 0.5)):
        y, x = np.mgrid[0:size, 0:size]
        land = np.clip(x - size / 2 + 0.3, 0, 1)
        index = 0.4 - land * (0.8 + change * np.sin(2 * np.pi * y / size))
        path = disk(tmp_path / f"{name}.tif", size, 50)
        with rasterio.open(path, "r+") as target:
            target.write(np.stack([0.1 * (1 + index), 0.1 * (1 - index)]).astype(np.float32))
        found = waterline(open_raster(path, ROLES), WaterlineOptions("ndwi", method="peaks"))
        said.append(found.threshold_error)
    assert said[0] < 0.02 < said[1] < 0.2
    fixed = waterline(open_raster(path, ROLES), WaterlineOptions("ndwi", threshold=0.0))
    assert fixed.threshold_error == 0


def test_half_water_needs_pure_pixels_and_a_line_in_a_band_is_midway(tmp_path: Path) -> None:
    raster = open_raster(mixed_disk(tmp_path / "a.tif", 300, 90.3))
    found = waterline(raster, WaterlineOptions("-nir", method="half", threshold=None))
    assert found.threshold == pytest.approx(-0.15, abs=0.005)
    small = open_raster(mixed_disk(tmp_path / "b.tif", 60, 2.6))  # no land without water beside it
    one, other = (waterline(small, WaterlineOptions("ndwi", method=name)) for name in
                  ("half", "otsu"))  # fmt: skip
    assert one.threshold == other.threshold


@pytest.mark.parametrize("index", ["ndwi", "mndwi"])
def test_the_wet_edge_lies_where_water_stops_being_clean(index: str, tmp_path: Path) -> None:
    """By whatever index it is looked for; and it is a threshold that can be given again."""
    path = mixed_disk(tmp_path / "a.tif", 300, 90.3)
    out = tmp_path / "shore.gpkg"
    given = ["shoreline", str(path), str(out), "--index", index, "--method", "wet"]
    run = CliRunner().invoke(cli, given)
    assert run.exit_code == 0, run.output
    table = gpd.read_file(out)
    assert list(table["index"]) == ["-max(nir,swir16)"]
    line, threshold = table.geometry[0], table["threshold"][0]
    assert threshold == pytest.approx(-(0.02**0.6 * 0.28**0.4), rel=0.01)
    away = shapely.distance(shapely.points(shapely.get_coordinates(line)),
                            shapely.Point(EAST + 1500, NORTH - 1500)) / PIXEL - 90.3  # fmt: skip
    assert away.min() > 0.2
    assert away.max() < 1.5
    again = waterline(open_raster(path), WaterlineOptions("-max(nir,swir16)", threshold=threshold))
    assert shapely.equals(shapely.normalize(again.lines[0]), shapely.normalize(line))


def test_the_wet_edge_needs_infrared_and_pure_pixels(tmp_path: Path) -> None:
    raster = open_raster(disk(tmp_path / "a.tif", 300, 90.0), {"green": 1, "red": 2})
    with pytest.raises(RasterError, match="nir"):
        waterline(raster, WaterlineOptions("(green-red)/(green+red)", method="wet"))
    small = open_raster(mixed_disk(tmp_path / "b.tif", 60, 2.6))
    one, other = (waterline(small, WaterlineOptions("ndwi", method=name)) for name in
                  ("wet", "otsu"))  # fmt: skip
    assert (one.index, one.threshold) == ("ndwi", other.threshold)


def test_tides_move_distances_by_height_over_slope(tmp_path: Path) -> None:
    path = tmp_path / "tides.csv"
    path.write_text(
        "date,tide\n2024-01-01T10:00,0.2\n2024-01-01T11:00,0.6\n2024-03-01T10:00,-0.5\n"
    )
    tides = read_tides(path)
    assert tide_at(tides, "2024-01-01T10:30") == pytest.approx(0.4)
    assert tide_at(tides, "2024-03-01") == pytest.approx(-0.5)
    with pytest.raises(GeoreferenceError, match="give the time"):
        tide_at(tides, "2024-01-01")
    with pytest.raises(GeoreferenceError, match="no rows around"):
        tide_at(tides, "2024-02-01T10:00")
    points = pd.DataFrame({
        "transect": ["a", "b", "a"], "distance_m": [10.0, 20.0, 12.0],
        "date": ["2024-01-01T10:30", "2024-01-01T10:30", "2024-03-01"],
    })  # fmt: skip
    moved = tide_corrected(points, tides, 0.1)
    assert moved["distance_m"].tolist() == pytest.approx([14, 24, 7])
    assert moved["measured_m"].tolist() == [10, 20, 12]
    table = distances(moved)
    assert table.index.tolist() == ["2024-01-01T10:30", "2024-03-01"]
    assert table["a"].tolist() == pytest.approx([14, 7])
    assert np.isnan(table.loc["2024-03-01", "b"])


def test_the_command_goes_from_two_rasters_to_a_table(tmp_path: Path) -> None:
    out, run = tmp_path / "shore.gpkg", CliRunner()
    for when, radius in (("2023-06-01", 80.0), ("2024-06-01", 83.5)):
        raster = disk(tmp_path / f"{when}.tif", 300, radius)
        done = run.invoke(cli, ["shoreline", str(raster), str(out), "--index", "ndwi", "--bands",
                                 "green=1,nir=2", "--on", when, "--append"])  # fmt: skip
        assert done.exit_code == 0, done.output
        assert "ndwi > " in done.output
    lines = gpd.read_file(out)
    assert lines["date"].astype(str).str[:10].tolist() == ["2023-06-01", "2024-06-01"]
    middle = (EAST + 1500, NORTH - 1500)
    ways = [shapely.LineString([middle, (middle[0] + 1400, middle[1])])]
    gpd.GeoDataFrame({"name": ["east"]}, geometry=ways, crs="EPSG:32631").to_file(
        tmp_path / "t.geojson"
    )
    done = run.invoke(cli, ["shoreline", str(out), str(tmp_path / "c.gpkg"), "--transects",
                             str(tmp_path / "t.geojson"), "--table", str(tmp_path / "d.csv")])  # fmt: skip
    assert done.exit_code == 0, done.output
    table = pd.read_csv(tmp_path / "d.csv", index_col="dates")
    # UTM shrinks what it draws by 1 part in 2,500 here.
    assert table["east"].tolist() == pytest.approx([800, 835], abs=1.5)
