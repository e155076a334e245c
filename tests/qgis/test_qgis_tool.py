"""The map tool in the whole QGIS, moved by mouse and keys; the companion killed under it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.features import rasterize

from geoiseg import Session, __version__
from tests.conftest import Disk
from tests.qgis.qgis_app import COMPANION, Qgis

pytestmark = [pytest.mark.qgis, pytest.mark.slow]


@pytest.fixture(scope="module")
def qgis(tmp_path_factory: pytest.TempPathFactory) -> Qgis:
    return Qgis.made(tmp_path_factory.mktemp("qgis"))


def iou(geometry: Any, truth: np.ndarray, transform: Any) -> float:
    found = rasterize([geometry], truth.shape, transform=transform).astype(bool)
    return float((found & truth).sum() / (found | truth).sum())


def empty_layer(path: Path, crs: str) -> Path:
    """Write a layer without features: text, a class, a score; polygons."""
    frame = gpd.GeoDataFrame(
        {"class": ["x"], "score": [0.5], "note": ["y"]}, geometry=[shapely.box(0, 0, 1, 1)], crs=crs
    )
    frame.to_file(path)
    return path


def test_clicks_become_a_feature_of_the_layer_being_edited(
    qgis: Qgis, disk: Disk, tmp_path: Path
) -> None:
    layer = empty_layer(tmp_path / "layer.gpkg", "EPSG:4326")
    answer = qgis.drive(
        [
            {"do": "activate"},
            {"do": "click", "xy": disk.centre},
            {"do": "click", "xy": disk.outside, "button": "right"},
            {"do": "click", "xy": (disk.centre[0] + 300, disk.centre[1]), "control": True},
            {"do": "key", "key": "backspace"},
            {"do": "key", "key": "z", "control": True},
            {"do": "key", "key": "y", "control": True},
            {"do": "label", "text": "pond"},
            {"do": "key", "key": "enter"},
            {"do": "save"},
        ],
        raster=str(disk.path), canvas_crs="EPSG:3857", layer=str(layer),
    )  # fmt: skip
    start, on, off, beside, back, undone, again, _, accepted, _ = answer["seen"]
    assert start["found"] is None
    assert start["features"][0]["class"] == "x"
    assert on["marks"] == [["point", True]]
    assert on["shown"] > 0
    assert off["marks"] == [["point", True], ["point", False]]
    assert len(beside["marks"]) == 2  # it is off the raster: refused, and all is as before
    assert "outside" in beside["said"][-1]
    assert beside["found"] == off["found"]
    assert back["marks"] == [["point", True]]
    assert back["found"] == on["found"]
    assert (undone["marks"], undone["found"], undone["shown"], undone["pins"]) == ([], None, 0, 0)
    assert again["found"] == on["found"]
    assert accepted["marks"] == []
    assert accepted["found"] is None
    assert accepted["foreign"] == []  # QGIS's own Python stays as it is
    assert len(accepted["features"]) == 2
    session = Session(disk.path)
    session.add_point(*disk.centre)
    # The mouse clicks on a pixel of the screen: what that moves is a tenth of a pixel of two metres.
    found = shapely.from_wkt(on["found"])
    assert found.hausdorff_distance(session.geometry) < 0.4
    written = gpd.read_file(layer)
    assert len(written) == 2
    new = written[written["class"] == "pond"].to_crs(32631)
    assert new["score"].item() == pytest.approx(on["facts"]["score"])
    assert new["note"].isna().all()
    assert new.geometry.is_valid.all()
    assert iou(new.geometry.item(), disk.truth, disk.transform) > 0.95
    assert shapely.hausdorff_distance(new.geometry.item(), session.geometry) < 0.4


def test_a_box_becomes_an_outline_without_stairs(qgis: Qgis, disk: Disk) -> None:
    x, y = disk.centre
    answer = qgis.drive(
        [
            {"do": "activate"},
            {"do": "key", "key": "enter"},
            {"do": "drag", "xy": (x - 100, y + 100), "to": (x + 100, y - 100)},
            {"do": "key", "key": "enter"},
            {"do": "new_layer"},
            {"do": "key", "key": "enter"},
            {"do": "canvas_crs", "crs": "EPSG:4326"},
            {"do": "drag", "xy": (x - 100, y + 100), "to": (x + 100, y - 100)},
            {"do": "click", "xy": (x, y)},
            {"do": "key", "key": "esc"},
            {"do": "settings", "python": COMPANION, "path": str(qgis.folder / "yes.png")},
            {"do": "settings", "python": "/usr/bin/python3", "path": str(qgis.folder / "no.png")},
            {"do": "unload"},
        ],
        raster=str(disk.path), canvas_crs="EPSG:32631",
    )  # fmt: skip
    _, nothing, drawn, refused, _, accepted, _, degrees, both, gone, yes, no = answer["seen"]
    assert yes["said"][-1].startswith(f"True: geoiseg {__version__} answers. Models: tiny, ")
    assert no["said"][-1].startswith("False: geoiseg can not be started with /usr/bin/python3")
    assert nothing["features"] == []
    assert drawn["marks"] == [["box", True]]
    assert "no polygon layer is being edited" in refused["said"][-1]
    assert refused["found"] == drawn["found"]  # what can not be accepted is not lost
    [feature] = accepted["features"]
    shape = shapely.from_wkt(feature["wkt"])
    assert feature["valid"]
    assert feature["model"] == "tiny"
    assert feature["source"] == "raster"
    assert feature["area_m2"] == pytest.approx(shape.area)
    places = shapely.get_coordinates(shape) - (500_000, 4_500_000)
    assert (places % 2).any(axis=1).mean() > 0.9, "between the pixels' corners"
    assert iou(shape, disk.truth, disk.transform) > 0.95
    assert iou(shapely.from_wkt(degrees["found"]), disk.truth, disk.transform) > 0.95
    assert both["marks"] == [["box", True], ["point", True]]
    assert (gone["marks"], gone["found"], len(gone["features"])) == ([], None, 1)
    assert not Path(f"/proc/{answer['last_pid']}").exists()


def test_the_process_dies_and_nothing_is_lost(qgis: Qgis, disk: Disk) -> None:
    x, y = disk.centre
    near = [[x, y], [x + 40, y + 10], [x - 30, y - 20]]
    steps: list[dict[str, Any]] = [
        {"do": "activate"},
        {"do": "new_layer"},
        {"do": "click", "xy": near[0]},
        {"do": "click", "xy": near[1]},
        {"do": "click", "xy": near[2]},
    ]
    end = [{"do": "key", "key": "enter"}]
    job = {"raster": str(disk.path), "canvas_crs": "EPSG:32631"}
    undisturbed = qgis.drive([*steps, *end], **job)["seen"]
    disturbed = qgis.drive(
        [
            *steps[:4],
            {"do": "kill"},  # between two clicks
            steps[4],
            {"do": "key", "key": "backspace"},
            {"do": "rush", "places": [near[2]]},
            {"do": "kill"},  # while it works on the last one
            {"do": "picture", "path": str(qgis.folder / "after.png")},
            *end,
        ],
        **job,
    )["seen"]
    assert [seen["sockets"] for seen in (undisturbed[4], disturbed[5])] == [[], []]
    calm, killed = undisturbed[4], disturbed[9]
    assert killed["starts"] == 3
    assert len({disturbed[3]["pid"], disturbed[5]["pid"], killed["pid"]}) == 3
    assert killed["marks"] == calm["marks"] == [["point", True]] * 3
    assert disturbed[5]["found"] == calm["found"]
    assert killed["found"] == calm["found"]
    assert any("started again and nothing is lost" in line for line in killed["said"])
    assert disturbed[-1]["features"][0]["wkt"] == undisturbed[-1]["features"][0]["wkt"]


@pytest.mark.realdata
def test_a_field_of_a_real_scene(qgis: Qgis, data: Path, tmp_path: Path) -> None:
    scene = data / "scenes" / "fields_naip_09"
    truth = gpd.read_file(scene / "labels.geojson")
    field = truth.loc[truth.to_crs(5070).area.idxmax()].geometry
    inside = field.representative_point()
    west, south, east, north = field.buffer(0.002).bounds
    answer = qgis.drive(
        [
            {"do": "activate"},
            {"do": "new_layer"},
            {"do": "click", "xy": [inside.x, inside.y]},
            {"do": "key", "key": "enter"},
            {"do": "drag", "xy": field.bounds[:2], "to": field.bounds[2:]},
            {"do": "key", "key": "enter"},
        ],
        raster=str(scene / "image.tif"), canvas_crs="EPSG:3857", extent=[west, south, east, north],
    )  # fmt: skip
    shapes = [shapely.from_wkt(feature["wkt"]) for feature in answer["seen"][-1]["features"]]
    assert len(shapes) == 2
    with rasterio.open(scene / "image.tif") as source:
        mask = rasterize([field], source.shape, transform=source.transform).astype(bool)
        found = [iou(shape, mask, source.transform) for shape in shapes]
    assert found[0] > 0.5
    assert found[1] > 0.7
