"""The panel's rows of bands: what is chosen there is painted on the page and reaches the model."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio

from tests.widget.browser.harness import PATIENCE, UTM, MapPage, Server, lonlat

Open = Callable[..., MapPage]
Fits = Callable[[tuple[int, int, int]], bool]
CRS = "EPSG:32633"
NAMES = ("B02", "B03", "B04", "B08", "B11")
SEA = (250.0, 300.0)
PLANTS = (900.0, 300.0)
SAND = (900.0, 750.0)
CODE = """
from geoiseg.widget.segment_map import SegmentMap
m = SegmentMap('bands.tif', project='bands.gpkg', classes=['water'])
"""


def write_bands(path: Path) -> Path:
    """Write a sea in the west, plants in the north-east and sand in the south-east.

    In blue, green and red, sea and plants are nearly alike; dark, as whole numbers of
    reflectances are, whose largest values are far from the type's.
    """
    places = {"sea": (420, 460, 300, 120, 60), "plants": (380, 480, 320, 3600, 1500),
              "sand": (1200, 1500, 1900, 2300, 2700)}  # fmt: skip
    data = np.zeros((5, 1000, 1200), np.float32)
    data[:, :, :500] = np.array(places["sea"])[:, None, None]
    data[:, :500, 500:] = np.array(places["plants"])[:, None, None]
    data[:, 500:, 500:] = np.array(places["sand"])[:, None, None]
    data += np.random.default_rng(4).normal(0, 8, data.shape)
    with rasterio.open(
        path, "w", driver="GTiff", width=1200, height=1000, count=5, dtype="uint16", crs=CRS,
        transform=UTM, nodata=0, tiled=True, photometric="MINISBLACK",
    ) as target:  # fmt: skip
        target.write(data.clip(1, 65535).astype(np.uint16))
        target.descriptions = NAMES
    return path


def shot(m: MapPage, name: str) -> None:
    if folder := os.environ.get("GEOISEG_SHOTS"):
        m.page.screenshot(path=Path(folder) / f"{name}.png")


class Panel:
    """The panel *Layers* of a map, and what the page shows at places of the scene."""

    def __init__(self, m: MapPage) -> None:
        self.m = m
        m.press("layers")

    def choose(self, label: str, value: str) -> None:
        self.m.page.get_by_label(label, exact=True).select_option(value)

    def layer(self, **wanted: object) -> dict[str, object]:
        """Return the layer as Python has it, once it is as wanted."""

        def fits(state: dict[str, object]) -> bool:
            about = state["layers"][0]  # type: ignore[index]
            return all(about[key] == value for key, value in wanted.items())

        return self.m.until(fits)["layers"][0]

    def sees(self, text: str) -> None:
        """Wait until the panel says which bands the model sees."""
        self.m.page.wait_for_selector(f".gs-segmented:visible >> text=The model sees: {text}")

    def shows(self, place: tuple[float, float], fits: Fits) -> tuple[int, int, int]:
        """Return the colour that the page shows at a place, once it fits."""
        x, y = self.m.at(*lonlat(UTM, CRS, *place))
        for _ in range(int(PATIENCE / 0.1)):
            colour = self.m.colour(x, y)
            if fits(colour):
                return colour
            self.m.page.wait_for_timeout(100)
        raise AssertionError(f"{place} never looked so; at last {colour}")


def test_bands_are_chosen_painted_and_segmented(open_map: Open, voila: Server) -> None:
    write_bands(voila.folder / "bands.tif")
    m = open_map(voila, CODE)
    panel = Panel(m)
    about = panel.layer(composite="natural", bands=[3, 2, 1])
    assert about["band_names"] == ["blue", "green", "red", "nir", "swir16"]
    panel.sees("red, green, blue (natural)")
    panel.shows(SAND, lambda one: min(one) > 100)  # a first look is never black
    shot(m, "bands-natural")

    panel.choose("Composite", "infrared")
    panel.layer(composite="infrared", bands=[4, 3, 2])
    panel.shows(PLANTS, lambda one: one[0] > 180 and one[1] < 90)  # plants are red
    panel.shows(SEA, lambda one: max(one) < 70)
    panel.sees("nir, red, green (infrared)")
    assert m.state["model_bands"] == [4, 3, 2]
    shot(m, "bands-infrared")

    panel.choose("Colour or grey", "one")
    panel.layer(bands=[4])
    panel.shows(PLANTS, lambda one: max(one) - min(one) < 8 and min(one) > 180)
    panel.choose("Colour or grey", "rgb")  # the picture of the file's own colours, not bands 1 to 3
    panel.layer(composite="natural", bands=[3, 2, 1])

    # what is looked at from here on is not what is segmented
    m.page.get_by_label("Segment what is seen").click()
    panel.layer(linked=False)
    index = m.page.get_by_label("Index or formula")
    index.fill("ndwi")
    index.press("Enter")
    panel.layer(bands=["ndwi"])
    panel.shows(SEA, lambda one: min(one) > 200)
    panel.shows(PLANTS, lambda one: max(one) < 60)
    panel.sees("red, green, blue (natural)")
    assert m.state["model_bands"] == [3, 2, 1]
    shot(m, "bands-ndwi")

    panel.choose("Colours", "viridis")  # violet where the index is low, yellow where it is high
    panel.layer(ramp="viridis", bands=["ndwi"])
    panel.shows(SEA, lambda one: one[0] > 180 and one[1] > 180 and one[2] < 120)
    panel.shows(PLANTS, lambda one: one[2] > one[1] + 40 and one[0] < 120)
    shot(m, "bands-viridis")

    index.fill("ndre")  # has no red edge
    index.press("Enter")
    m.page.wait_for_selector(".gs-error:visible >> text=ndre needs rededge1")
    assert panel.layer(ramp="viridis")["bands"] == ["ndwi"]
    shot(m, "bands-error")
    m.page.locator(".gs-error button:visible").click()
    m.page.wait_for_selector(".gs-error", state="hidden")

    m.page.get_by_label("Segment what is seen").click()
    panel.layer(linked=True, bands=["ndwi"])
    m.until(lambda state: state["model_bands"] == ["ndwi"])
    panel.sees("ndwi")


def test_a_project_opens_with_the_bands_that_it_was_made_in(open_map: Open, voila: Server) -> None:
    write_bands(voila.folder / "bands.tif")
    code = CODE.replace("bands.gpkg", "again.gpkg")
    m = open_map(voila, code)
    panel = Panel(m)
    panel.choose("Composite", "infrared")
    panel.layer(composite="infrared", bands=[4, 3, 2])
    panel.sees("nir, red, green (infrared)")
    m.click(*lonlat(UTM, CRS, *SEA))
    m.until(lambda state: state["area"])
    m.key("Enter")
    m.until(lambda state: len(state["features"]) == 1)
    again = Panel(open_map(voila, code))
    assert again.layer(bands=[4, 3, 2])["composite"] == "infrared"
    again.m.until(lambda state: len(state["features"]) == 1)
    again.sees("nir, red, green (infrared)")
    again.shows(PLANTS, lambda one: one[0] > 180 and one[1] < 90)


def test_contrast_is_set_of_the_view_the_raster_and_by_hand(open_map: Open, voila: Server) -> None:
    write_bands(voila.folder / "bands.tif")
    lon, lat = lonlat(UTM, CRS, *SEA)
    m = open_map(voila, CODE + f"m.map.center, m.map.zoom = ({lat}, {lon}), 19\n")
    panel = Panel(m)
    panel.layer(composite="natural")
    m.page.get_by_role("button", name="of the view").click()  # of which all is sea
    narrow = m.until(lambda state: state["layers"][0]["stretch"][1] < 600)["layers"][0]["stretch"]
    assert 200 < narrow[0] < narrow[1] < 520
    m.page.wait_for_function(
        "value => Number(document.querySelector('[aria-label=\"White at\"]').value) === value",
        arg=narrow[1],
    )
    m.page.get_by_role("button", name="of the raster").click()
    whole = m.until(lambda state: state["layers"][0]["stretch"][1] > 1500)["layers"][0]["stretch"]
    assert whole[1] < 2000  # the sand
    dim = panel.shows(SEA, lambda one: one[1] < 80)  # not the tiles before these
    white = m.page.get_by_label("White at")
    white.fill("700")
    white.press("Enter")
    m.until(lambda state: state["layers"][0]["stretch"][1] == 700)
    before = panel.shows(SEA, lambda one: dim[1] + 15 < one[1] < 140)
    gamma = m.page.get_by_label("Gamma", exact=True)
    gamma.evaluate("e => { e.value = 2; e.dispatchEvent(new Event('change')) }")
    panel.layer(gamma=2)
    panel.shows(SEA, lambda one: one[1] > before[1] + 15)
    shot(m, "bands-gamma")
