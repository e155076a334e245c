"""Maps without gaps or overlaps, whose neighbours share their borders."""

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
from geoiseg.tiled.assemble import MappedObject
from geoiseg.tiled.filling import filled
from geoiseg.tiled.shared import sharing
from tests.mosaic import PIXEL, Mosaic, write_mosaic
from tests.tiled.test_dense import FEW, DenseFlood


@pytest.fixture
def quilt(tmp_path) -> Mosaic:
    """Fields side by side over nine windows, with a hole without data and slanted borders."""
    row, col = np.mgrid[:300, :300]
    truth = 1 + (row + col // 6) // 70 * 10 + (col + row // 9) // 64
    truth[140:200, 90:150] = 0
    return write_mosaic(tmp_path / "quilt.tif", truth.astype(np.int32))


@pytest.mark.parametrize("mode", ["fast", "best"])
@pytest.mark.parametrize("simplify", [0.0, 2.0])
def test_a_map_as_coverage_has_no_gap_and_no_overlap(quilt, tmp_path, mode, simplify):
    out = tmp_path / "out.gpkg"
    options = MapOptions(coverage=True, simplify=simplify, mode=mode, **FEW)
    geoiseg.segment_raster(quilt.path, out, model=DenseFlood(), options=options)
    found = gpd.read_file(out).geometry
    ground = (quilt.truth > 0).sum() * PIXEL
    whole = found.union_all()
    assert found.area.sum() == pytest.approx(whole.area, rel=1e-9)
    assert whole.area == pytest.approx(ground, rel=0.001 if not simplify else 0.01)
    assert len(shapely.get_parts(whole)) == 1
    assert len(whole.interiors if whole.geom_type == "Polygon" else whole.geoms[0].interiors) == 1
    parts = shapely.get_parts(found.array)
    assert shapely.coverage_is_valid(parts)
    assert len(found) >= len(np.unique(quilt.truth)) - 8
    if simplify:
        plain = tmp_path / "plain.gpkg"
        exact = MapOptions(coverage=True, mode=mode, **FEW)
        geoiseg.segment_raster(quilt.path, plain, model=DenseFlood(), options=exact)
        exact_points = shapely.get_num_coordinates(gpd.read_file(plain).geometry.array).sum()
        assert shapely.get_num_coordinates(found.array).sum() < 0.6 * exact_points


def test_ground_goes_to_the_object_that_reaches_it_first():
    labels = np.zeros((20, 30), np.int32)
    labels[5:15, 2:8], labels[5:15, 20:26] = 1, 2
    ground = np.zeros(labels.shape, bool)
    ground[4:16, 1:28] = True
    ground[17:19, 3:6] = True  # too small, and alone
    found, scores = filled((labels, np.array([0.5, 0.7])), ground, 12)
    assert scores.tolist() == [0.5, 0.7]
    assert ((found > 0) == (ground & (np.arange(20) < 17)[:, None])).all()
    assert (found[10, :14] <= 1).all()
    assert (found[10, 15:] != 1).all()
    alone, scores = filled((labels, np.array([0.5, 0.7])), ground, 6)
    assert scores.tolist() == [0.5, 0.7, 0]
    assert (alone[17:19, 3:6] == 3).all()


def test_neighbours_get_the_vertices_where_three_meet():
    shapes = [shapely.box(0, 0, 10, 20), shapely.box(10, 0, 20, 9), shapely.box(10, 9, 20, 20)]
    objects = [MappedObject(n, shape, 0.5, 1) for n, shape in enumerate(shapes, start=1)]
    found = list(sharing(objects, 0.0))
    assert [one.id for one in found] == [1, 2, 3]
    assert [10, 9] in shapely.get_coordinates(found[0].geometry).tolist()
    assert list(sharing([], 0.0)) == []


def test_what_goes_together_with_coverage(quilt, tmp_path):
    with pytest.raises(PromptError, match="simplify goes with coverage"):
        MapOptions(simplify=1)
    with pytest.raises(PromptError, match="needs dense heads"):
        MapOptions(coverage=True, mode="lattice").finding(DenseFlood().info)
    given = ["map", str(quilt.path), str(tmp_path / "out.tif"), "--coverage"]
    result = CliRunner().invoke(cli, given)
    assert result.exit_code == 1
    assert "a coverage is of all objects, as .gpkg or .parquet" in str(result.exception)
