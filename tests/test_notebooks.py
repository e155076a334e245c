"""Every notebook runs from top to bottom and leaves the files that it promises."""

from __future__ import annotations

import json
import os
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from PIL import Image

from geoiseg.demo.scene import make_scene
from tests.conftest import needed

nbclient = needed("nbclient")
nbformat = needed("nbformat")

FOLDER = Path(__file__).parents[1] / "notebooks"
BOOKS = sorted(FOLDER.glob("*.ipynb"))
SIZE = 512


def test_all_six_are_there() -> None:
    assert [book.stem for book in BOOKS] == [
        "01-quick-start", "02-coastline", "03-fields", "04-scripting", "05-shores",
        "06-bands",
    ]  # fmt: skip


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)
def test_outputs_are_stripped(book: Path) -> None:
    content = json.loads(book.read_text(encoding="utf-8"))
    nbformat.validate(content)
    code = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    assert code
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert all("execution" not in cell["metadata"] for cell in content["cells"])
    assert content["cells"][0]["cell_type"] == "markdown"
    assert content["metadata"]["kernelspec"]["name"] == "python3"


def run(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Execute a notebook in an empty folder, and return what it printed."""
    monkeypatch.setenv("GEOISEG_NOTEBOOK_SIZE", str(SIZE))
    monkeypatch.setenv("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))
    monkeypatch.setenv("IPYTHONDIR", str(folder / "ipython"))
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(folder / "config"))
    book = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    resources = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(book, timeout=300, kernel_name="python3", resources=resources).execute()
    outputs = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    return [
        output["text"]
        for output in outputs
        if output.output_type == "stream" and output.name == "stdout"
    ]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory):
    return make_scene(tmp_path_factory.mktemp("scene") / "demo-scene.tif", SIZE)


def iou(a, b) -> float:
    return a.intersection(b).area / a.union(b).area


@pytest.mark.slow
def test_quick_start_ends_with_the_lake(
    tmp_path: Path, scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("01-quick-start", tmp_path, monkeypatch)
    lake = gpd.read_file(tmp_path / "lake.geojson").to_crs(scene.crs)
    assert list(lake["label"]) == ["lake"]
    assert iou(lake.geometry.iloc[0], scene.truth_of("lake")) > 0.8
    assert {"features", "prompts"} <= set(pyogrio.list_layers(tmp_path / "quick-start.gpkg")[:, 0])


@pytest.mark.slow
def test_coastline_ends_with_the_shoreline(
    tmp_path: Path, scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("02-coastline", tmp_path, monkeypatch)
    line = gpd.read_file(tmp_path / "coastline.gpkg", layer="shoreline")
    sea = gpd.read_file(tmp_path / "coastline.gpkg", layer="sea")
    assert line.crs == sea.crs == scene.crs
    truth = scene.truth_of("sea")
    assert iou(sea.geometry.iloc[0], truth) > 0.9
    assert set(line.geom_type) == {"LineString"}
    with rasterio.open(scene.path) as dataset:
        left, bottom, right, top = dataset.bounds
        pixel = dataset.res[0]
    west, south, east, north = line.total_bounds
    assert west > left + pixel
    assert east < right - pixel
    assert south >= bottom
    assert north <= top
    assert north - south > 0.95 * (top - bottom)  # the whole shore, from edge to edge
    away = np.array([truth.boundary.distance(part) for part in line.geometry])
    assert away.max() < 5 * pixel
    assert line.length.sum() == pytest.approx(line["length_m"].sum(), rel=1e-3)


@pytest.mark.slow
def test_fields_end_with_layer_and_mask(
    tmp_path: Path, scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("03-fields", tmp_path, monkeypatch)
    fields = gpd.read_file(tmp_path / "fields-export.gpkg").set_index("id")
    assert list(fields["label"]) == [
        "stubble",
        "stubble",
        "bare soil",
        "crop",
        "stubble",
        "bare soil",
    ]
    truth = [row.geometry for row in scene.truth if row.label == "field"]
    found = [max(iou(one, field) for field in truth) for one in fields.geometry]
    assert np.median(found) > 0.85
    with rasterio.open(tmp_path / "fields-mask.tif") as mask, rasterio.open(scene.path) as dataset:
        assert mask.transform == dataset.transform
        assert mask.shape == dataset.shape
        values = mask.read(1)
    assert len(set(np.unique(values)) - {0}) >= 3


@pytest.mark.slow
def test_scripting_ends_with_a_layer(
    tmp_path: Path, scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "".join(run("04-scripting", tmp_path, monkeypatch))
    rows = gpd.read_file(tmp_path / "scripted.geojson")
    assert list(rows["label"]) == ["lake", "field", "field", "field"]
    assert list(rows["name"].fillna("")) == ["", "north", "middle", "south"]
    assert "elsewhere: " in said
    assert "4 objects in" in said
    assert said.rstrip().endswith("scripted.geojson")


@pytest.mark.slow
def test_a_notebook_takes_the_users_own_file(
    tmp_path: Path, scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "demo-scene.tif"
    own.write_bytes(scene.path.read_bytes())
    before = own.stat().st_mtime_ns
    run("04-scripting", tmp_path, monkeypatch)
    assert own.stat().st_mtime_ns == before


def test_bands_end_with_a_coast_in_qgis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scene
) -> None:
    printed = "".join(run("06-bands", tmp_path, monkeypatch))
    assert "band 4: nir     by description 'B08'" in printed
    layer = gpd.read_file(tmp_path / "coast-from-bands.gpkg")
    assert layer["label"].tolist() == ["water"]
    assert iou(layer.geometry[0], scene.truth_of("sea")) > 0.95
    assert (tmp_path / "coast-from-bands.qgz").is_file()


@pytest.mark.slow
def test_shores_without_the_scenes_measure_a_known_shift(
    tmp_path: Path, scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEOISEG_TEST_DATA", str(tmp_path / "none"))
    said = "".join(run("05-shores", tmp_path, monkeypatch))
    assert said.splitlines()[0].startswith("no scenes there: set GEOISEG_TEST_DATA")
    change = gpd.read_file(tmp_path / "change.gpkg", layer="transects")
    assert change.crs == scene.crs
    seen = change.dropna(subset=["epr"])
    assert len(seen) > 5
    # The shore was moved east by 1.5 m a year, which a slanted transect sees less of.
    assert 0.5 < seen["epr"].abs().median() <= 1.6
    assert (seen["nsm_m"].abs() <= seen["sce_m"] + 1e-6).all()
    for name in ("shoreline.png", "change.png"):
        picture = np.asarray(Image.open(tmp_path / name))
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 100
    assert {file.name for file in tmp_path.glob("*.qgz")} == {"change.qgz", "shoreline.qgz"}


@pytest.mark.slow
@pytest.mark.realdata
def test_shores_of_olinda_and_the_ucayali(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEOISEG_TEST_DATA", str(data.resolve()))
    run("05-shores", tmp_path, monkeypatch)
    shore = gpd.read_file(tmp_path / "shoreline.gpkg", layer="shoreline")
    truth = gpd.read_file(data / "scenes" / "coast_olinda_l7" / "labels.geojson").to_crs(shore.crs)
    away = [truth.boundary[0].distance(shapely.Point(xy))
            for xy in shapely.get_coordinates(shapely.segmentize(shore.geometry[0], 50))]  # fmt: skip
    assert shore.length.max() > 8_000
    assert np.median(away) < 28.5  # a pixel
    change = gpd.read_file(tmp_path / "change.gpkg", layer="transects")
    assert (change["dates"] >= 3).mean() > 0.5
    assert change["epr"].abs().median() > 1
    rows = (tmp_path / "change-by-date.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["date", "1995", "2005", "2015", "2020"]
