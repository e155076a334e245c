"""Columns under fiboa's names, of maps and of refined outlines."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import shapely
from click.testing import CliRunner

import geoiseg
from geoiseg.cli.main import cli
from geoiseg.errors import PromptError
from geoiseg.tiled import MapOptions
from geoiseg.tiled.fiboa import as_fiboa
from tests.mosaic import Mosaic, write_mosaic
from tests.tiled.test_dense import DenseFlood


@pytest.fixture
def field(tmp_path) -> Mosaic:
    truth = np.zeros((200, 200), np.int32)
    truth[40:120, 40:160] = 1
    return write_mosaic(tmp_path / "in.tif", truth)


@pytest.mark.parametrize("suffix", [".gpkg", ".parquet"])
def test_a_map_has_the_columns_of_fiboa(field, tmp_path, suffix):
    own, out = tmp_path / f"own{suffix}", tmp_path / f"out{suffix}"
    read = gpd.read_parquet if suffix == ".parquet" else gpd.read_file
    for path, columns in ((own, "geoiseg"), (out, "fiboa")):
        options = MapOptions(columns=columns, label="field")
        geoiseg.segment_raster(field.path, path, model=DenseFlood(), options=options)
    before, now = read(own), read(out)
    assert list(now.columns)[:5] == ["id", "label", "area", "perimeter", "determination_method"]
    assert now["id"].tolist() == ["1"]
    assert now["area"].tolist() == pytest.approx((before["area_m2"] / 1e4).tolist())
    assert now["perimeter"].tolist() == pytest.approx(before["perimeter_m"].tolist())
    assert now["determination_method"].tolist() == ["auto-imagery"]
    assert not {"area_m2", "perimeter_m"} & set(now.columns)
    assert now["score"].tolist() == before["score"].tolist()
    assert now.crs == before.crs
    assert now.geometry.geom_equals_exact(before.geometry, 0).all()


def test_refined_outlines_keep_their_ids_and_how_they_were_made_where_they_do_not_fit():
    shapes = [shapely.box(0, 0, 100, 100), shapely.box(200, 0, 250, 40)]
    table = gpd.GeoDataFrame(
        {"id": [1, 2], "label": ["", ""], "area_m2": [1e4, np.nan], "perimeter_m": [400.0, -1],
         "score": [0.9, 0.2], "id_1": ["de-7", "de-9"], "area": [3.0, 0.2],
         "determination_method": ["surveyed", "surveyed"], "fits": [True, False]},
        geometry=shapes, crs="EPSG:32631",
    )  # fmt: skip
    found = as_fiboa(table)
    assert found["id"].tolist() == ["de-7", "de-9"]
    assert found["area"].tolist()[0] == 1
    assert found[["area", "perimeter"]].iloc[1].isna().all()
    assert found["determination_method"].tolist() == ["auto-imagery", "surveyed"]
    assert "id_1" not in found
    without = as_fiboa(table.drop(columns="determination_method"))
    assert without["determination_method"].tolist() == ["auto-imagery", "unknown"]


def test_the_command_refines_into_the_columns_of_fiboa(field, tmp_path):
    drawn, out = tmp_path / "ftw.parquet", tmp_path / "out.parquet"
    grid = geoiseg.open_raster(field.path).grid
    shape = shapely.transform(shapely.box(42, 41, 161, 122), grid.to_crs)
    rows = {"id": ["be-1"], "area": [9.9], "crop": ["maize"]}
    gpd.GeoDataFrame(rows, geometry=[shape], crs=grid.crs).to_parquet(drawn)
    given = ["segment", str(field.path), str(drawn), str(out), "--refine", "--columns", "fiboa"]
    done = CliRunner().invoke(cli, [*given, "-m", "grabcut"])
    assert done.exit_code == 0, done.output
    found = gpd.read_parquet(out)
    assert found["id"].tolist() == ["be-1"]
    assert found["crop"].tolist() == ["maize"]
    assert found["area"].iloc[0] == pytest.approx(found.geometry.area.iloc[0] / 1e4, rel=1e-3)
    assert found["determination_method"].tolist() == ["auto-imagery"]


def test_a_raster_has_no_columns(field, tmp_path):
    with pytest.raises(PromptError, match=r"a \.tif has no columns"):
        geoiseg.segment_raster(
            field.path, tmp_path / "o.tif", model=DenseFlood(), options=MapOptions(columns="fiboa")
        )
    with pytest.raises(PromptError, match="columns are geoiseg or fiboa"):
        MapOptions(columns="ogc")
