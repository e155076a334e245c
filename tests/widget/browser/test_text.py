"""Words in a real browser: typed, thresholded, accepted, refined, and all of it undone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from geoiseg.training.words.labels import drawn
from tests.widget.browser.harness import MapPage, Server
from tests.words.test_text import SEED

Open = Callable[..., MapPage]
PLACE = Affine(0.5, 0, 500000, 0, -0.5, 5200000)
CODE = "from geoiseg.widget.segment_map import SegmentMap\nm = SegmentMap('{}', project=False)"


def lake(folder: Path) -> Path:
    """Write a made scene with water."""
    path = folder / "lake.tif"
    if not path.exists():
        image = np.maximum(drawn(SEED).image, 1).transpose(2, 0, 1)
        with rasterio.open(
            path, "w", driver="GTiff", width=image.shape[2], height=image.shape[1], count=3,
            crs="EPSG:32633", transform=PLACE, dtype="uint8",
        ) as target:  # fmt: skip
            target.write(image)
    return path


@pytest.fixture
def m(open_map: Open, voila: Server) -> MapPage:
    return open_map(voila, CODE.format(lake(voila.folder).name))


def ask(m: MapPage, text: str) -> None:
    m.page.locator(".gs-words input").fill(text)
    m.page.keyboard.press("Enter")


def outlines(m: MapPage) -> int:
    """Return how many candidates the page shows."""
    return m.page.evaluate(
        "() => [...document.querySelectorAll('.leaflet-overlay-pane path')]"
        ".filter(p => p.getAttribute('stroke').startsWith('hsl')"
        " && Number(p.getAttribute('stroke-opacity') ?? 1) > 0).length"
    )


def slide(m: MapPage, value: float, *, release: bool) -> None:
    """Move the threshold's slider, and let go of it or not."""
    m.page.locator(".gs-found input[type=range]").evaluate(
        "(slider, [value, release]) => { slider.value = value;"
        " slider.dispatchEvent(new Event('input', {bubbles: true}));"
        " if (release) slider.dispatchEvent(new Event('change', {bubbles: true})); }",
        [value, release],
    )


def test_type_slide_refine_accept_and_undo_it_all(m: MapPage) -> None:
    ask(m, "Wasser, Wald")
    state = m.until(lambda s: s["search"])
    scores = {number: score for number, score, _ in state["search"]["all"]}
    assert len(scores) > 2
    m.page.wait_for_selector(".gs-found:visible")
    m.page.wait_for_function(
        "n => document.querySelectorAll('.leaflet-overlay-pane path[stroke^=hsl]').length === n",
        arg=len(scores),
    )

    # the slider answers in the page, without the kernel
    least = sorted(scores.values())[len(scores) // 2]
    slide(m, least, release=False)
    value = round(least, 2)
    expected = sum(score >= value for score in scores.values())
    m.page.wait_for_timeout(100)
    assert outlines(m) == expected
    assert m.page.locator(".gs-found output").inner_text() == f"{expected} of {len(scores)}"
    assert m.state["search"]["threshold"] == state["search"]["threshold"]
    # let go, the kernel follows
    slide(m, least, release=True)
    state = m.until(lambda s: s["search"]["threshold"] == pytest.approx(value))
    assert len(state["search"]["shown"]) == expected

    # a click takes the candidate, a negative click refines it, Enter keeps it
    best = state["search"]["all"][0]
    m.click(*best[2])
    state = m.until(lambda s: s["mask_pixels"])
    picked = state["search"]["picked"]
    assert state["steps"] == [["text", True], ["region", True]]
    pixels = state["mask_pixels"]
    m.click(*best[2], button="right")
    state = m.until(lambda s: len(s["steps"]) == 3)
    assert state["steps"][-1] == ["point", False]
    assert state["mask_pixels"] != pixels
    m.key("Enter")
    state = m.until(lambda s: len(s["features"]) == 1)
    assert picked not in state["search"]["shown"]

    # accept all that is left, then undo everything
    left = len(state["search"]["shown"])
    if left:
        m.press("accept-found")
        m.until(lambda s: len(s["features"]) == 1 + left)
    for _ in range(12):
        if m.state["search"] is None:
            break
        before = m.state["answered"]
        m.key("Control+z")
        m.until(lambda s, before=before: s["answered"] > before)
    state = m.until(lambda s: s["search"] is None)
    assert state["features"] == []
    assert state["steps"] == []
    m.page.wait_for_selector(".gs-found", state="hidden")
    m.page.wait_for_function(
        "() => !document.querySelector('.leaflet-overlay-pane path[stroke^=hsl]')"
    )


def test_unknown_words_and_rejected_candidates(m: MapPage) -> None:
    ask(m, "giraffe")
    state = m.until(lambda s: "vocabulary" in s["status"].get("error", ""))
    assert "giraffe" in state["status"]["error"]
    assert state["search"] is None
    ask(m, "water -road")
    state = m.until(lambda s: s["search"] and s["search"]["shown"])
    number, _, place = next(c for c in state["search"]["all"] if c[0] in state["search"]["shown"])
    m.click(*place, button="right")
    state = m.until(lambda s: len(s["search"]["shown"]) < len(state["search"]["shown"]))
    assert number not in state["search"]["shown"] or len(state["search"]["shown"]) >= 1
    m.press("drop-found")
    m.until(lambda s: s["search"] is None)
