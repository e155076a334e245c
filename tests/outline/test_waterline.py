"""Shorelines below a pixel, tides, and tables of distances."""

from __future__ import annotations

from pathlib import Path

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
    assert calm.error_pixels < 0.01 < loud.error_pixels < 0.3
    with pytest.raises(RasterError, match="swir16"):
        waterline(open_raster(tmp_path / "a.tif", ROLES), WaterlineOptions("mndwi"))


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
