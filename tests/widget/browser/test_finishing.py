"""Objects that become sharp by themselves in a real browser; stopped, taken back, switched off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio

from tests.widget.browser.harness import UTM, MapPage, Server, lonlat

Open = Callable[..., MapPage]
CRS = "EPSG:32633"
SIZE = 1500
CODE = """
import probe
from geoiseg.widget.segment_map import SegmentMap
quick = probe.SlowModel()
quick.seconds = %s
m = SegmentMap('%s.tif', model=probe.PatientModel(), project=False)
m.model = quick
"""
BUSY, IDLE = (f"{no}document.querySelector('.geoiseg-map').dataset.phase" for no in ("", "!"))
"""Whether the page shows that something is going on, and that nothing is."""


def write_lake(path: Path) -> None:
    """Write a lake with small bays, much larger than a chip."""
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5 - SIZE / 2
    shore = SIZE * (
        0.3 + 0.03 * np.sin(5 * np.arctan2(y, x)) + 0.004 * np.sin(60 * np.arctan2(y, x))
    )
    water = np.hypot(y, x) < shore
    image = np.where(water, np.array([40, 60, 150])[:, None, None],
                     np.array([70, 110, 60])[:, None, None]).astype(np.float32)  # fmt: skip
    image += np.random.default_rng(1).normal(0, 3, image.shape)
    with rasterio.open(
        path, "w", driver="GTiff", width=SIZE, height=SIZE, count=3, dtype="uint8", crs=CRS,
        transform=UTM, tiled=True, compress="deflate",
    ) as target:  # fmt: skip
        target.write(np.clip(image, 1, 255).astype(np.uint8))


def test_a_click_becomes_sharp_by_itself(open_map: Open, voila: Server) -> None:
    write_lake(voila.folder / "sharp.tif")
    m = open_map(voila, CODE % (0.0, "sharp"), by_itself=True)
    middle = lonlat(UTM, CRS, SIZE / 2, SIZE / 2)
    m.click(*middle)
    sharp = m.until(lambda s: s["level"] == 0 and not s["finishing"], patience=60)
    assert "from nearby" in sharp["status"]["note"]
    radius = np.sqrt(sharp["area"] / np.pi) / 0.5
    assert abs(radius - SIZE * 0.3) < 6
    m.key("Control+z")
    coarse = m.until(lambda s: s["level"])
    assert coarse["vertices"] < sharp["vertices"]
    m.key("Control+z")
    m.until(lambda s: s["level"] is None)
    m.press("settings")
    m.page.get_by_label("Follow and sharpen by itself").uncheck()
    m.until(lambda s: s["detail"] == "seen")
    m.click(*middle)
    seen = m.until(lambda s: s["area"])
    assert seen["level"]
    assert not seen["finishing"]
    m.key("d")
    again = m.until(lambda s: s["level"] == 0 and not s["status"].get("phase"), patience=60)
    m.page.wait_for_function(IDLE)
    # One Esc, from the list of models, stops another model: object, list and panel stay.
    picker = m.page.get_by_label("Model", exact=True)
    if not picker.is_visible():
        m.press("settings")
    picker.select_option("patient")
    m.page.wait_for_function(BUSY)  # of the other model: nothing else was going on
    picker.press("Escape")
    m.page.wait_for_function(IDLE)
    kept = m.until(lambda s: not s["status"].get("phase"), patience=60)
    assert (kept["area"], kept["model"]) == (again["area"], "slow")
    m.page.wait_for_function("document.querySelector('[aria-label=Model]').value === 'slow'")


def test_esc_takes_what_is_there(open_map: Open, voila: Server) -> None:
    write_lake(voila.folder / "stopped.tif")
    m = open_map(voila, CODE % (0.25, "stopped"), by_itself=True)
    m.click(*lonlat(UTM, CRS, SIZE / 2, SIZE / 2))
    m.page.wait_for_function(
        "/(sharpening|following), chip [2-9]/.test(document.querySelector('.geoiseg-ui').innerText)",
        timeout=60_000,
    )
    assert m.state["area"], "the first answer is there"
    m.key("Escape")
    stopped = m.until(lambda s: not s["finishing"])
    assert stopped["area"]
    m.key("Enter")
    assert m.until(lambda s: s["features"])["features"][0]["area"] == stopped["area"]
