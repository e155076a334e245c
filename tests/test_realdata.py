"""Real scenes and odd files: the main job on each, checked against GDAL."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from rasterio.features import rasterize

import geoiseg
from geoiseg.cli import main
from geoiseg.errors import GeoisegError
from geoiseg.evaluate.dataset import scenes
from geoiseg.evaluate.protocol import EvaluationOptions, evaluate_scene
from geoiseg.models.tiny import closer
from geoiseg.models.tiny.model import TinyModel
from tests.conftest import data_folder

pytestmark = pytest.mark.realdata

SCENES = sorted(path.parent.name for path in data_folder().glob("scenes/*/labels.geojson"))
FORMATS = sorted(
    str(path.relative_to(data_folder())) for path in data_folder().glob("formats/*/*.tif")
)
REFUSED = {"formats/rasterio/corrupt.tif": "truncated or damaged",
           "formats/rasterio/all-nodata.tif": "no data"}  # fmt: skip


def test_the_data_is_there(data: Path) -> None:
    assert len(SCENES) >= 14
    assert len(FORMATS) >= 30


def prompts_of(scene: Path, target: Path, count: int = 3) -> gpd.GeoDataFrame:
    """Write clicks and boxes for the first objects, in longitude and latitude."""
    labels = gpd.read_file(scene / "labels.geojson")
    with rasterio.open(scene / "image.tif") as raster:
        labels = labels.to_crs(raster.crs)
    sizes = shapely.area(labels.geometry.to_numpy())
    largest = labels.iloc[np.argsort(-sizes)[:count]]
    rows = []
    for number, geometry in enumerate(largest.geometry, 1):
        rows.append((number, "point", geometry.representative_point()))
        rows.append((number, "box", shapely.box(*geometry.bounds)))
    frame = gpd.GeoDataFrame(rows, columns=["object", "kind", "geometry"], crs=labels.crs)
    frame.to_file(target)
    return largest


@pytest.mark.parametrize("name", SCENES)
def test_segment_on_every_scene(data: Path, tmp_path: Path, capsys, name: str) -> None:
    scene = data / "scenes" / name
    prompts_of(scene, tmp_path / "p.gpkg")
    out = tmp_path / "o.gpkg"
    main(["segment", str(scene / "image.tif"), str(tmp_path / "p.gpkg"), str(out), "--json",
          "--project", str(tmp_path / "project.gpkg")])  # fmt: skip
    report = json.loads(capsys.readouterr().out)
    layer = pyogrio.read_dataframe(out)
    with rasterio.open(scene / "image.tif") as raster:
        assert layer.crs == raster.crs
        inside = shapely.box(*raster.bounds)
    assert len(layer) == report["found"] >= 1
    assert layer.is_valid.all()
    assert layer.within(inside.buffer(1e-6 * inside.length)).all()
    session = geoiseg.Session.load(tmp_path / "project.gpkg")
    for feature in session.accepted:
        session.edit(feature.id)
        mask = session.mask
        burned = rasterize(
            [feature.geometry], out_shape=mask.grid.shape, transform=mask.grid.transform
        )
        np.testing.assert_array_equal(burned.astype(bool), mask.array)
        session.clear()
    wanted = session.features
    for suffix in ("shp", "geojson", "fgb"):
        back = pyogrio.read_dataframe(session.export(tmp_path / f"e.{suffix}"))
        assert len(back) == len(wanted)
        if suffix == "geojson":
            assert back.crs == "EPSG:4326"
            back = back.to_crs(wanted.crs)
        assert back.crs == wanted.crs
        rounded = 1e-5 if suffix == "geojson" else 1e-12  # degrees have nine decimal places
        np.testing.assert_allclose(back.area.sum(), wanted.area.sum(), rtol=rounded)


@pytest.mark.parametrize("name", FORMATS)
def test_every_odd_file_works_or_is_refused_in_one_line(data: Path, tmp_path, name: str) -> None:
    if name in REFUSED:
        with pytest.raises(GeoisegError, match=REFUSED[name]) as refused:
            click_somewhere(data / name)
        assert "\n" not in str(refused.value)
        return
    session, place = click_somewhere(data / name)
    session.accept("something")
    back = pyogrio.read_dataframe(session.export(tmp_path / "a.gpkg"))
    assert len(back) == 1
    assert back.geometry[0].intersects(shapely.Point(place))
    with rasterio.open(session.export(tmp_path / "a.tif")) as mask:
        burned = mask.read(1)
    grid = session.raster.grid
    assert burned.shape == grid.shape
    col, row = np.floor(grid.to_pixel([place])[0]).astype(int)
    assert burned[row, col] == 1


def click_somewhere(path: Path) -> tuple[geoiseg.Session, tuple[float, float]]:
    """Click on the middle one of the pixels with data, in map coordinates."""
    session = geoiseg.Session(str(path))
    grid = session.raster.grid
    _, valid = session.raster.read(grid.whole)
    rows, cols = np.nonzero(valid)
    pixel = (cols[len(cols) // 2], rows[len(rows) // 2]) if len(rows) else (0, 0)
    x, y = grid.to_crs([np.add(pixel, 0.5)])[0]
    session.add_point(float(x), float(y))
    return session, (float(x), float(y))


@pytest.mark.parametrize("name", ["formats/rasterio/rotated.tif", "formats/stars/geomatrix.tif",
                                  "formats/odc-geo/au-3577-rotated.tif"])  # fmt: skip
def test_map_coordinates_land_on_rasterios_pixel(data: Path, name: str) -> None:
    with rasterio.open(data / name) as dataset:
        transform, shape = dataset.transform, dataset.shape
    session = geoiseg.Session(str(data / name), "grabcut")
    row, col = shape[0] // 2, shape[1] // 2
    x, y = rasterio.transform.xy(transform, row, col)
    session.add_point(float(x), float(y))
    assert session.mask.array.shape == shape
    assert session.mask.array[row, col]
    np.testing.assert_allclose(session.mask.grid.transform, transform)


def test_small_lakes_are_found_with_fewer_clicks_enlarged(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = TinyModel(threads=1)
    options = EvaluationOptions(max_clicks=5, stop_at=None)
    (lakes,) = scenes(data / "scenes" / "river_ucayali_2015", limit=4)

    def found() -> float:
        return float(np.mean([s.ious for s in evaluate_scene(lakes, model, options)]))

    enlarged = found()
    monkeypatch.setattr(closer, "DEEP", 0.0)  # nothing is so thin
    assert enlarged > found() + 0.02
