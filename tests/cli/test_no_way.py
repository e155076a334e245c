"""CRSs from which there is no way to others, and georeference that fits nothing: one line."""

from __future__ import annotations

import contextlib
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyproj
import pytest
import rasterio
import shapely
from rasterio.control import GroundControlPoint

from tests.cli.test_cli import run
from tests.conftest import UTM, disk_pixels, write_raster

DEGREES = 'UNIT["degree",0.0174532925199433]'
EARTH = (
    'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],'
    f'PRIMEM["Greenwich",0],{DEGREES}]'
)
NO_WAY = {
    "a method that nobody knows": f'PROJCS["odd",{EARTH},PROJECTION["Nobody_Knows"],'
    'PARAMETER["a",1],UNIT["metre",1]]',
    "a local one": 'LOCAL_CS["site",UNIT["metre",1]]',
    "heights alone": "EPSG:5773",
    "another body": 'GEOGCS["Moon",DATUM["D_Moon",SPHEROID["Moon",1737400,0]],'
    f'PRIMEM["Reference_Meridian",0],{DEGREES}]',
}


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """A click and a polygon in degrees, which lie on the raster of the tests."""
    middle = gpd.GeoDataFrame(
        {"date": ["2001-01-01"]}, geometry=[shapely.Point(500_200, 4_499_820)], crs=UTM
    )
    middle.to_crs(4326).to_file(tmp_path / "click.gpkg")
    middle.set_geometry(middle.buffer(80)).to_crs(4326).to_file(tmp_path / "area.gpkg")
    return tmp_path / "click.gpkg", tmp_path / "area.gpkg"


def one_line(capsys, *command: object) -> None:
    code, _, err = run(capsys, *command)
    assert code == 1, command
    said = [line for line in err.splitlines() if "left out" not in line]
    assert len(said) == 1, (command, err)
    assert said[0].startswith("geoiseg: ")


@pytest.mark.parametrize("name", NO_WAY)
def test_a_raster_in_a_crs_without_a_way(capsys, tmp_path: Path, places, name: str) -> None:
    click, area = places
    pixels, _ = disk_pixels()
    path = write_raster(tmp_path / "a.tif", pixels, crs=NO_WAY[name])
    out = tmp_path / "o.gpkg"
    if rasterio.open(path).crs is None:
        pytest.skip("GeoTIFF does not hold it")
    one_line(capsys, "segment", path, click, out, "-m", "region-growing")
    one_line(capsys, "map", path, out, "-m", "superpixel-walk", "--aoi", area)
    one_line(capsys, "map", path, out, "--like", area)
    one_line(capsys, "map", path, out, "-m", "region-growing", "--prompts", click)
    one_line(capsys, "evaluate", path, "--labels", area, "-m", "grabcut", "--clicks", 1)
    assert run(capsys, "info", path)[0] == 0
    code, _, err = run(capsys, "map", path, out, "-m", "superpixel-walk")
    assert code == 0, err
    assert len(gpd.read_file(out)) > 0, "what needs no other CRS is done"


@pytest.mark.parametrize("name", NO_WAY)
def test_layers_in_a_crs_without_a_way(capsys, tmp_path: Path, places, name: str) -> None:
    _, area = places
    pixels, _ = disk_pixels()
    path, out = write_raster(tmp_path / "a.tif", pixels), tmp_path / "o.gpkg"
    crs = pyproj.CRS(NO_WAY[name])
    shape = shapely.box(500_100, 4_499_700, 500_300, 4_499_900)
    layer, spot = tmp_path / "layer.gpkg", tmp_path / "spot.gpkg"
    with contextlib.suppress(UserWarning):
        gpd.GeoDataFrame({"date": ["2001-01-01"]}, geometry=[shape], crs=crs).to_file(layer)
        gpd.GeoDataFrame(geometry=[shape.centroid], crs=crs).to_file(spot)
    one_line(capsys, "segment", path, spot, out, "-m", "region-growing")
    one_line(capsys, "map", path, out, "-m", "superpixel-walk", "--aoi", layer)
    one_line(capsys, "evaluate", path, "--labels", layer, "-m", "grabcut", "--clicks", 1)
    one_line(capsys, "shoreline", area, out, "--spacing", 50, "--baseline", layer)
    for command in ("clean", "check", "shoreline"):
        code, _, err = run(capsys, command, layer, out)
        assert code == 0, err


@pytest.mark.parametrize(
    "places",
    [
        [(0, 0, 5e5, 5e6)], [(0, 0, 5e5, 5e6)] * 4,
        [(n, n, 5e5 + n, 5e6 - n) for n in (0, 10, 20, 30)],
        [(0, 0, 0, 0), (0, 64, 1e300, 0), (64, 0, 0, 1e300)],
        [(0, 0, float("nan"), 5e6), (0, 9, 5e5, 5e6), (9, 0, 5e5, 5e6)],
    ],
    ids=["one", "the same", "on a line", "huge", "nan"],
)  # fmt: skip
def test_control_points_that_fit_nothing(capsys, tmp_path: Path, places) -> None:
    path = tmp_path / "a.tif"
    points = [GroundControlPoint(*place) for place in places]
    with rasterio.open(path, "w", driver="GTiff", count=3, height=64, width=64, dtype="uint8",
                       gcps=points, crs=UTM) as target:  # fmt: skip
        target.write(np.full((3, 64, 64), 90, np.uint8))
    one_line(capsys, "info", path)


@pytest.mark.parametrize("transform", [(1e-320, 0, 0, 0, -1e-320, 0), (1e300, 0, 0, 0, -1e300, 0),
                                       (1e308, 0, 1e308, 0, -1, 0), (1, 1, 0, 1, 1, 0)])  # fmt: skip
def test_a_transform_that_leads_nowhere(capsys, tmp_path: Path, transform) -> None:
    pixels, _ = disk_pixels()
    path = write_raster(tmp_path / "a.tif", pixels, transform=rasterio.Affine(*transform))
    one_line(capsys, "info", path)
