"""What is peculiar to contours and regions; what all engines do is in test_classic_engines."""

from __future__ import annotations

import numpy as np
import pytest

from geoiseg.evaluate.metrics import iou
from geoiseg.models.classic.contours import ChanVese, GeodesicContour, start
from geoiseg.models.classic.graph_engine import node_seeds
from geoiseg.models.classic.regions import RegionMerging, SeededGrowing, Watershed, _Merging, sides
from geoiseg.models.classic.seeds import draw_seeds
from geoiseg.models.classic.superpixels import build_graph
from geoiseg.prompting.pixel import PixelPrompts
from tests.models.test_classic_engines import DISK, EVERYWHERE, ROWS, clicks, mask_of, painted


@pytest.fixture(scope="module")
def graph():
    return build_graph(painted(DISK), EVERYWHERE, 400)


def test_a_contour_starts_from_what_is_said(graph):
    box = (60.0, 40.0, 160.0, 140.0)
    boxed = start(graph, draw_seeds(PixelPrompts(box=box), EVERYWHERE), box)
    assert boxed.sum() == 100 * 100
    outline = DISK & (ROWS > 80)
    outlined = start(graph, draw_seeds(PixelPrompts(mask=outline), EVERYWHERE), None)
    assert np.array_equal(outlined, outline)
    clicked = start(graph, draw_seeds(clicks((110, 90, True)), EVERYWHERE), None)
    assert (clicked & DISK).sum() > 0.95 * DISK.sum()


@pytest.mark.parametrize("engine", [GeodesicContour(), ChanVese()])
def test_a_contour_comes_to_rest_at_the_edge(engine):
    wide = np.hypot(ROWS - 90, np.indices(DISK.shape)[1] + 0.5 - 110) < 58
    found = mask_of(engine, painted(DISK), PixelPrompts(mask=wide))
    assert iou(found, DISK) > 0.93 > iou(wide, DISK)


def test_chan_vese_finds_a_dark_thing_on_bright_ground():
    image = painted(DISK, inside=(60, 60, 60), outside=(200, 200, 190))
    found = mask_of(ChanVese(), image, PixelPrompts(box=(55, 35, 165, 145)))
    assert iou(found, DISK) > 0.9


def test_regions_are_never_merged_across_markers(graph):
    seeds = draw_seeds(clicks((110, 90, True), (20, 20, False)), EVERYWHERE)
    front, back = sides(graph, node_seeds(graph, seeds))
    assert front.any()
    assert back.any()
    assert not (front & back).any()
    signs = _Merging(graph, front, back).run()
    assert (signs[front] == 1).all()
    assert (signs[back] == -1).all()
    assert set(np.unique(signs)) == {-1, 1}  # all hang together, so each went to a side


def test_merging_goes_by_what_is_most_alike(graph):
    seeds = draw_seeds(clicks((110, 90, True), (20, 20, False)), EVERYWHERE)
    front, back = sides(graph, node_seeds(graph, seeds))
    merged = graph.paint((_Merging(graph, front, back).run() > 0).astype(float)) > 0.5
    assert iou(merged, DISK) > 0.9


@pytest.mark.parametrize("engine", [RegionMerging(), SeededGrowing(), Watershed()])
def test_markers_on_both_sides_part_what_looks_alike(engine):
    columns = np.indices(DISK.shape)[1] + 0.5
    band = (ROWS > 60) & (ROWS < 140)
    image = painted(band)
    image[:, 118:122] = painted(np.zeros_like(band))[:, 118:122]  # a gap in the middle
    left = band & (columns < 118)
    both = clicks((60, 100, True), (180, 100, False), (60, 20, False), (60, 180, False))
    found = mask_of(engine, image, both)
    assert iou(found, left) > 0.85


def test_the_watershed_meets_on_the_crest():
    found = mask_of(Watershed(), painted(DISK, noise=3.0), clicks((110, 90, True), (20, 20, False)))
    assert iou(found, DISK) > 0.95
