"""How tiny weighs the readings of a click is fitted to labelled scenes."""

from __future__ import annotations

import json

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely

from geoiseg.models.tiny import afar
from geoiseg.models.tiny.model import TinyModel
from geoiseg.training.readings import Clicked, Judged, best, clicked, fit, own, worth, worth_near


def made(seed):
    """Return a click whose right reading is the one that others agree with.

    Of every other click it is seen from further away alone.
    """
    rng = np.random.default_rng(seed)
    iou = rng.permutation([0.2, 0.5, 0.9])
    looks = rng.uniform(0.3, 0.9, (3, len(afar.LOOKS)))
    looks[:, -1] = 0.2 + 0.6 * iou
    every = Judged(looks, iou)
    if seed % 2:
        return Clicked("field", False, every, every)
    return Clicked("lake", True, Judged(looks[iou < 0.9], iou[iou < 0.9]), every)


def test_what_tells_the_right_reading_is_found():
    clicks = [made(seed) for seed in range(60)]
    weights = fit([(one.family, one.every) for one in clicks])
    assert len(weights) == 1 + len(afar.LOOKS)
    assert weights[-1] > max(abs(one) for one in weights[1:-1])
    assert worth(clicks, weights, weights) > 0.89
    assert worth_near(clicks, weights) == pytest.approx(0.7, abs=0.01), "0.5 of the lakes"
    assert own(clicks) < 0.7 < best(clicks)


def test_clicks_on_labelled_scenes_are_answered_and_judged(tmp_path):
    """Three roofs of 60 px; the file is laid out as training reads it."""
    folder = tmp_path / "bldg_here_1"
    folder.mkdir()
    image = np.full((3, 400, 400), 90, np.uint8)
    corners = ((60, 60), (60, 240), (250, 150))
    for row, col in corners:
        image[:, row : row + 60, col : col + 60] = np.array([170, 120, 110])[:, None, None]
    transform = rasterio.Affine(0.5, 0, 500_000, 0, -0.5, 4_000_000)
    with rasterio.open(
        folder / "image.tif", "w", driver="GTiff", width=400, height=400, count=3,
        dtype="uint8", crs="EPSG:32633", transform=transform,
    ) as target:  # fmt: skip
        target.write(image)
    roofs = [
        shapely.box(
            500_000 + col / 2, 4_000_000 - row / 2 - 30, 500_030 + col / 2, 4_000_000 - row / 2
        )
        for row, col in corners
    ]  # fmt: skip
    gpd.GeoDataFrame(geometry=roofs, crs="EPSG:32633").to_file(folder / "labels.geojson")
    (folder / "provenance.json").write_text(json.dumps({"family": "bldg"}))
    found = list(clicked(TinyModel(threads=1), tmp_path, 2, held_out=False))
    assert len(found) == 2
    for one in found:
        assert one.family == "building"
        assert one.deep, "a roof of 60 px is 30 px deep"
        for part in (one.near, one.every):
            assert part.looks.shape == (len(part.iou), len(afar.LOOKS))
        assert len(one.every.iou) > len(one.near.iou)
        assert one.every.iou.max() > 0.9
    assert worth(found, afar.WEIGHTS, afar.FURTHER_WEIGHTS) > 0.9
