"""Outlines that others drew move to the raster's borders, or say that they no longer fit."""

from __future__ import annotations

import zipfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from click.testing import CliRunner

import geoiseg
from geoiseg.cli.main import cli
from geoiseg.errors import PromptError
from geoiseg.raster import Grid
from geoiseg.tiled import MapOptions, RefineOptions
from geoiseg.tiled.options import RefineOptions as Fits
from geoiseg.tiled.outline_file import read_outlines
from geoiseg.tiled.refined import compared, distances

TRANSFORM = Affine(2, 0, 500_000, 0, -2, 4_500_000)
GRID = Grid("EPSG:32631", TRANSFORM, (300, 300))
FIELDS = [(20, 20, 110, 120), (130, 20, 240, 120), (40, 160, 120, 260)]
"""Left, top, right and bottom in pixels."""


def box(left: float, top: float, right: float, bottom: float) -> shapely.Polygon:
    return shapely.transform(shapely.box(left, top, right, bottom), GRID.to_crs)


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """Return a raster with three fields of a colour each on dark ground."""
    rng = np.random.default_rng(0)
    pixels = np.full((300, 300, 3), (60, 70, 50), np.float64)
    for (left, top, right, bottom), colour in zip(
        FIELDS, [(190, 170, 90), (120, 190, 80), (200, 120, 100)], strict=True
    ):
        pixels[top:bottom, left:right] = colour
    pixels = np.clip(pixels + rng.normal(0, 4, pixels.shape), 0, 255).astype(np.uint8)
    path = tmp_path / "scene.tif"
    with rasterio.open(path, "w", driver="GTiff", width=300, height=300, count=3, dtype="uint8",
                       crs="EPSG:32631", transform=TRANSFORM) as target:  # fmt: skip
        target.write(pixels.transpose(2, 0, 1))
    return path


@pytest.fixture
def outlines(tmp_path: Path) -> Path:
    """Return a GeoParquet of the fields, drawn a little off, one of them gone, one elsewhere."""
    shapes = [shapely.affinity.translate(box(*field), 8, -6) for field in FIELDS]
    shapes += [box(180, 200, 260, 280), box(900, 900, 950, 950), None]
    frame = gpd.GeoDataFrame(
        {"id": list("abcdef"), "fits": [1] * 6, "kind": ["maize"] * 6, "label": ["field"] * 6},
        geometry=shapes, crs="EPSG:32631",
    )  # fmt: skip
    path = tmp_path / "drawn.parquet"
    frame.to_crs("EPSG:4326").to_parquet(path)
    return path


def test_outlines_move_to_the_borders_and_those_that_are_gone_say_so(scene, outlines, tmp_path):
    out = tmp_path / "out.parquet"
    said = CliRunner().invoke(cli, ["segment", str(scene), str(outlines), str(out), "--refine"])
    assert said.exit_code == 1  # two rows can not be used
    assert "3 of 4 outlines still fit; their borders moved by" in said.output
    assert "object 5: the outline lies beside the raster" in said.output
    assert "object 6: there is no geometry" in said.output
    found = gpd.read_parquet(out)
    assert found["id_1"].tolist() == list("abcd")
    assert found["kind"].tolist() == ["maize"] * 4
    assert found["fits_1"].tolist() == [1] * 4
    assert found["label"].tolist() == ["field"] * 4
    assert found["fits"].tolist() == [True, True, True, False]
    for field, shape, moved in zip(FIELDS, found.geometry, found["moved_m"], strict=False):
        true = box(*field)
        assert shape.intersection(true).area / shape.union(true).area > 0.94
        assert 2 < moved < 10
    gone = found.iloc[3]
    assert gone.geometry.symmetric_difference(box(180, 200, 260, 280)).area < 1
    assert gone["note"]
    assert gone["area_m2"] == pytest.approx(6400 * 4, rel=1e-3)


def test_workers_find_the_same(scene, outlines, tmp_path):
    tables = []
    for workers in (1, 2):
        out = tmp_path / f"{workers}.gpkg"
        options = MapOptions(refine=RefineOptions(), tile=256)
        told = geoiseg.segment_raster(
            scene, out, prompts=outlines, workers=workers, options=options
        )
        assert told.refined.outlines == 4
        assert told.refined.fit == 3
        tables.append(gpd.read_file(out).drop(columns=["created", "updated"]))
    one, other = tables
    assert one.drop(columns="geometry").equals(other.drop(columns="geometry"))
    assert one.geometry.geom_equals_exact(other.geometry, 0).all()


@pytest.mark.parametrize("name", ["drawn.gdb", "drawn.shp", "drawn.zip/drawn.gpkg"])
def test_outlines_come_from_folders_and_archives(scene, tmp_path, name):
    place = tmp_path / name
    whole = tmp_path / "drawn.gpkg" if ".zip" in name else place
    driver = "OpenFileGDB" if name.endswith(".gdb") else None
    frame = gpd.GeoDataFrame({"crop": ["maize"]}, geometry=[box(*FIELDS[0])], crs="EPSG:32631")
    frame.to_file(whole, driver=driver)
    if whole != place:
        with zipfile.ZipFile(place.parent, "w") as archive:
            archive.write(whole, whole.name)
    out = tmp_path / "out.gpkg"
    told = geoiseg.segment_raster(scene, out, prompts=place, options=MapOptions(refine=Fits()))
    assert (told.refined.outlines, told.refined.fit) == (1, 1)
    assert gpd.read_file(out)["crop"].tolist() == ["maize"]


def test_without_a_crs_pixels_are_told(tmp_path):
    pixels = np.random.default_rng(0).integers(50, 60, (3, 100, 100), dtype=np.uint8)
    pixels[:, 20:60, 20:60] += 120
    path = tmp_path / "plain.png"
    with rasterio.open(
        path, "w", driver="PNG", width=100, height=100, count=3, dtype="uint8"
    ) as to:
        to.write(pixels)
    drawn = tmp_path / "drawn.gpkg"
    gpd.GeoDataFrame(geometry=[shapely.box(22, -61, 61, -22)]).to_file(drawn)
    options = MapOptions(refine=RefineOptions())
    told = geoiseg.segment_raster(path, tmp_path / "out.gpkg", prompts=drawn, options=options)
    assert "their borders moved by" in told.text()
    assert told.refined.text().endswith(" px")


def test_how_far_a_border_moved_is_measured_on_the_ground():
    old, new = box(20, 20, 60, 60), box(23, 20, 63, 60)
    found = compared(old, new, GRID, 0.9, RefineOptions())
    assert found.fits
    assert found.same == pytest.approx(37 / 43)
    moved = distances(*(shapely.transform(one, GRID.to_pixel) for one in (old, new)), (2.0, 2.0))
    assert moved.max() == pytest.approx(6)
    assert found.moved[1] == pytest.approx(6, rel=0.01)
    assert found.moved[0] == pytest.approx(moved.mean(), rel=0.05)


@pytest.mark.parametrize(
    ("options", "score", "why"),
    [
        (RefineOptions(min_same=0.9), 0.9, "shares 86% with the outline"),
        (RefineOptions(), 0.2, "expects an IoU of 0.20"),
        (RefineOptions(most=4), 0.9, "would move by 6.0 m"),
    ],
)
def test_an_outline_that_does_not_fit_stays_as_it_was(options, score, why):
    old, new = box(20, 20, 60, 60), box(23, 20, 63, 60)
    found = compared(old, new, GRID, score, options)
    assert not found.fits
    assert found.geometry is old
    assert why in found.note


def test_bad_input_is_said_in_one_line(scene, outlines, tmp_path):
    for given in ({"min_same": 2}, {"min_score": -1}, {"most": 0}):
        with pytest.raises(PromptError):
            Fits(**given)
    with pytest.raises(PromptError, match="there are no outlines to refine"):
        geoiseg.segment_raster(scene, tmp_path / "a.gpkg", options=MapOptions(refine=Fits()))
    points = tmp_path / "points.geojson"
    gpd.GeoDataFrame(geometry=[shapely.Point(3, 45)], crs="EPSG:4326").to_file(points)
    with pytest.raises(PromptError, match="row 1: a Point is no outline; give polygons"):
        read_outlines(points, GRID)
    for more, said in ((["--resume"], "--resume: of --refine"),
                       (["--refine", "--snap", "2"], "--snap: not with --refine")):  # fmt: skip
        given = ["segment", str(scene), str(outlines), str(tmp_path / "b.gpkg"), *more]
        result = CliRunner().invoke(cli, given)
        assert result.exit_code == 1
        assert said in str(result.exception) + result.output
