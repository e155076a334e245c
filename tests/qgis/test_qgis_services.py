"""Layers that are no files: tiles of a service, drawn by QGIS and segmented like any raster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import shapely

from tests.qgis.qgis_app import Qgis
from tests.qgis.test_qgis_parity import picture
from tests.qgis.tile_server import OWNER, TERMS, Tiles, serving

pytestmark = [pytest.mark.qgis, pytest.mark.slow]


@pytest.fixture(scope="module")
def qgis(tmp_path_factory: pytest.TempPathFactory) -> Qgis:
    return Qgis.made(tmp_path_factory.mktemp("qgis"))


@pytest.fixture
def tiles() -> Iterator[Tiles]:
    with serving(Tiles()) as served:
        yield served


def xyz(url: str) -> str:
    return f"type=xyz&url={url}/%7Bz%7D/%7Bx%7D/%7By%7D.png&zmax=19&zmin=0"


def test_tiles_of_a_service_are_segmented(qgis: Qgis, tiles: Tiles) -> None:
    x, y, r = tiles.x, tiles.y, tiles.radius
    near = [x - 3 * r, y - 3 * r, x + 3 * r, y + 3 * r]
    answer = qgis.drive(
        [
            {"do": "attribute", "text": "© the makers of tiles"},
            {"do": "activate"},
            {"do": "new_layer"},
            {"do": "click", "xy": [x, y]},
            {"do": "click", "xy": [x + 2 * r, y], "button": "right"},
            {"do": "tidy"},
            {"do": "picture", "path": picture(qgis.folder, "tiles.png"), "window": True},
            {"do": "key", "key": "enter"},
            {"do": "kill"},
            {"do": "rotate", "degrees": 30},
            {"do": "click", "xy": [x, y]},
            {"do": "key", "key": "esc"},
            {"do": "rotate", "degrees": 0},
            {"do": "canvas_crs", "crs": "EPSG:32631"},
            {"do": "click", "xy": [x, y]},
            {"do": "source", "source": xyz("http://mt1.google.com")},
            {"do": "click", "xy": [x, y]},
        ],
        raster=xyz(tiles.url), raster_provider="wms", canvas_crs="EPSG:3857", extent=near,
    )  # fmt: skip
    _, begun, _, one, two, _, _, accepted, _, _, turned, _, _, _, moved, _, refused = answer["seen"]
    truth = shapely.Point(x, y).buffer(r, quad_segs=64)
    assert begun["layer"].startswith("© the makers of tiles; drawn at ")
    for seen in (one, two, turned):
        found = shapely.from_wkt(seen["found"])
        assert found.intersection(truth).area / found.union(truth).area > 0.95
    assert one["raster"] == two["raster"]
    assert tiles.asked
    [feature] = accepted["features"]
    assert feature["source"] == "raster"
    assert moved["raster"] != turned["raster"]
    scale = (
        shapely.from_wkt(moved["found"]).area / truth.area
    )  # EPSG:3857 is larger than the ground
    assert 0.3 < scale < 0.6
    assert "the terms of mt1.google.com forbid" in refused["said"][-1]
    assert refused["found"] is None
    assert not Path(turned["raster"]).parent.exists()  # nothing stays behind


def test_a_service_that_is_out_of_order_is_told_in_a_line(qgis: Qgis, tiles: Tiles) -> None:
    tiles.broken = True
    steps: list[dict[str, Any]] = [{"do": "activate"}, {"do": "click", "xy": [tiles.x, tiles.y]}]
    near = [tiles.x - 300, tiles.y - 300, tiles.x + 300, tiles.y + 300]
    _, clicked = qgis.drive(
        steps, raster=xyz(tiles.url), raster_provider="wms", canvas_crs="EPSG:3857", extent=near
    )["seen"]
    assert clicked["found"] is None
    assert "\n" not in clicked["said"][-1]


SERVICES = {
    "wms": "contextualWMSLegend=0&crs=EPSG:3857&dpiMode=7&format=image/png&layers=disk&styles="
    "&url={url}/wms",
    "wmts": "crs=EPSG:3857&dpiMode=7&format=image/png&layers=disk&styles=default"
    "&tileMatrixSet=web&url={url}/wmts.xml",
}


def test_maps_of_wms_and_wmts_are_segmented(qgis: Qgis, tiles: Tiles) -> None:
    x, y, r = tiles.x, tiles.y, tiles.radius
    sources = {name: source.format(url=tiles.url) for name, source in SERVICES.items()}
    answer = qgis.drive(
        [
            {"do": "activate"},
            {"do": "new_layer"},
            {"do": "click", "xy": [x, y]},
            {"do": "tidy"},
            {"do": "picture", "path": picture(qgis.folder, "wms.png"), "window": True},
            {"do": "key", "key": "enter"},
            {"do": "source", "source": sources["wmts"]},
            {"do": "click", "xy": [x, y]},
        ],
        raster=sources["wms"], raster_provider="wms",
        canvas_crs="EPSG:3857", extent=[x - 3 * r, y - 3 * r, x + 3 * r, y + 3 * r],
    )  # fmt: skip
    _, _, wms, _, _, accepted, _, wmts = answer["seen"]
    truth = shapely.Point(x, y).buffer(r, quad_segs=64)
    for seen in (wms, wmts):
        found = shapely.from_wkt(seen["found"])
        assert found.intersection(truth).area / found.union(truth).area > 0.95
    assert wms["layer"].startswith(f"{OWNER}; {TERMS}; drawn at ")
    assert wmts["layer"].startswith(f"{OWNER}; drawn at ")
    assert len(accepted["features"]) == 1
    for beginning in ("/wms?", "/wmts/"):
        asked = [one for one in tiles.asked if one.startswith(beginning) and "Capab" not in one]
        assert asked, beginning
