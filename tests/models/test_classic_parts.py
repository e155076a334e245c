"""The parts of the engines without weights against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from geoiseg.models.classic import prior
from geoiseg.models.classic.answer import expected_iou, to_masks
from geoiseg.models.classic.evidence import geodesic, sharpest_stop
from geoiseg.models.classic.graphcut import minimum_cut
from geoiseg.models.classic.merge_tree import MergeRule, build_tree, relate
from geoiseg.models.classic.seeds import draw_seeds
from geoiseg.models.classic.superpixels import SuperpixelGraph, build_graph
from geoiseg.models.classic.walk import SuperpixelWalk, centred, solve_walk
from geoiseg.prompting.pixel import PixelPrompts


def chain(contrast, colours=None):
    """Superpixels of one pixel in a row, with the given contrast between neighbours."""
    count = len(contrast) + 1
    colours = np.arange(count) if colours is None else np.asarray(colours)
    return SuperpixelGraph(
        image=np.zeros((1, count, 3), np.uint8),
        labels=np.arange(count, dtype=np.int32)[None],
        features=np.repeat(colours[:, None], 4, 1).astype(np.float32),
        centres=np.stack([np.arange(count) + 0.5, np.full(count, 0.5)], 1).astype(np.float32),
        sizes=np.ones(count, np.float32),
        edges=np.stack([np.arange(count - 1), np.arange(1, count)], 1).astype(np.int32),
        contrast=np.array(contrast, np.float32),
        border=np.ones(count - 1, np.float32),
    )


def at(count, *nodes):
    found = np.zeros(count, bool)
    found[list(nodes)] = True
    return found


def test_walk_between_two_ends_is_linear():
    fixed = np.array([1.0, np.nan, np.nan, np.nan, 0.0])
    found = solve_walk(chain([1] * 4), np.ones(4), np.full(5, 0.5), 1e-9, fixed)
    assert found == pytest.approx([1, 0.75, 0.5, 0.25, 0], abs=1e-6)


def test_walk_crosses_hard_edges_less():
    fixed = np.array([1.0, np.nan, np.nan, 0.0])
    found = solve_walk(chain([1] * 3), np.array([1, 0.01, 1]), np.full(4, 0.5), 1e-9, fixed)
    assert found[1] > 0.95
    assert found[2] < 0.05


def test_walk_with_a_strong_prior_is_the_prior():
    expected = np.array([0.9, 0.2, 0.7])
    found = solve_walk(chain([1, 1]), np.ones(2), expected, 1e6, np.full(3, np.nan))
    assert found == pytest.approx(expected, abs=1e-4)


def test_geodesic_adds_contrast_and_is_infinite_without_sources():
    graph = chain([1, 2, 4])
    assert geodesic(graph, at(4, 1)).tolist() == pytest.approx([1, 0, 2, 6])
    assert geodesic(graph, at(4, 0), 2.0).tolist() == pytest.approx([0, 1, 5, 21])
    assert np.isinf(geodesic(graph, at(4))).all()


def test_growth_stops_at_the_sharpest_outline():
    contrast = [0.1] * 10 + [9.0] + [0.1] * 89
    graph = chain(contrast)
    near = geodesic(graph, at(graph.count, 0))
    stop = sharpest_stop(graph, near)[0]
    assert near[10] < stop < near[11]


def test_minimum_cut_runs_through_the_weakest_link():
    graph = chain([0.1, 0.1, 3.0, 0.1, 0.1])
    inside = minimum_cut(graph, np.full(6, 0.5), at(6, 0), at(6, 5))
    assert inside.tolist() == [True, True, True, False, False, False]


def test_merge_tree_joins_the_alike_first():
    colours = [0, 0.1, 5, 5.2]
    graph = chain([0.1, 5, 0.2], colours)
    rule = MergeRule(size=0.0, edge=1.0)
    tree = build_tree(graph.features, graph.sizes, graph.edges, graph.contrast, graph.border, rule)
    assert tree.parent.tolist() == [4, 4, 5, 5, 6, 6, -1]
    assert tree.height[4:].tolist() == pytest.approx([0.1, 0.2, 5.0])
    assert tree.area[4:].tolist() == [2, 2, 4]
    assert tree.edge[[4, 5, 6]].tolist() == pytest.approx([5.0, 5.0, 0.0])
    found = relate(tree, at(4, 0))
    assert found.height.tolist() == pytest.approx([0, 0.1, 5, 5])
    assert found.area.tolist() == [1, 2, 4, 4]
    assert found.between[2:].tolist() == pytest.approx([5, 5])
    assert found.own[2:].tolist() == pytest.approx([5.0, 5.0])
    assert found.around[1] == pytest.approx(5.0)


def test_without_prompts_everything_is_far():
    graph = chain([1, 2])
    rule = MergeRule(size=0.0, edge=1.0)
    tree = build_tree(graph.features, graph.sizes, graph.edges, graph.contrast, graph.border, rule)
    found = relate(tree, at(3))
    assert (found.height == tree.height.max()).all()
    assert (found.area == 3).all()


def test_the_threshold_falls_for_unsure_objects():
    sizes = np.ones(10, np.float32)
    unsure = np.array([0.4] * 3 + [0.01] * 7)
    assert (centred(unsure, sizes) > 0.5).tolist() == [True] * 3 + [False] * 7
    sure = np.array([0.95] * 3 + [0.02] * 7)
    assert (centred(sure, sizes) > 0.5).tolist() == [True] * 3 + [False] * 7
    assert centred(np.zeros(0), np.zeros(0, np.float32)).size == 0


def test_expected_iou_by_hand():
    probability = np.array([[0.8, 0.6, 0.2, 0.9]], np.float32)
    mask = np.array([[True, True, False, False]])
    valid = np.array([[True, True, True, False]])
    assert expected_iou(probability, mask, valid) == pytest.approx(1.4 / 2.2)
    assert expected_iou(probability, mask & False, valid & False) == 0.0


def test_parts_without_a_prompt_go_and_pinholes_are_filled():
    valid = np.ones((40, 40), bool)
    probability = np.full((40, 40), 0.1, np.float32)
    probability[5:25, 5:25] = 0.9
    probability[14, 14] = 0.1
    probability[30:38, 30:38] = 0.9
    prompts = PixelPrompts(points=np.array([[10.5, 10.5]]), positive=np.array([True]))
    mask = to_masks(probability, draw_seeds(prompts, valid), valid).logits[0] > 0
    assert mask[14, 14]
    assert mask[5:25, 5:25].all()
    assert mask.sum() == 400


def test_a_hole_that_was_asked_for_stays():
    valid = np.ones((40, 40), bool)
    probability = np.full((40, 40), 0.9, np.float32)
    prompts = PixelPrompts(
        points=np.array([[10.5, 10.5], [20.5, 20.5]]), positive=np.array([True, False])
    )
    mask = to_masks(probability, draw_seeds(prompts, valid), valid).logits[0] > 0
    assert not mask[20, 20]
    assert mask.sum() == 1599


def test_later_prompts_on_a_pixel_win_and_points_beat_scribbles():
    valid = np.ones((5, 9), bool)
    stroke = np.array([[0.5, 2.5], [8.5, 2.5]])
    prompts = PixelPrompts(
        points=np.array([[4.5, 2.5], [6.5, 2.5], [6.2, 2.9]]),
        positive=np.array([True, True, False]),
        scribbles=((stroke, True), (stroke, False)),
    )
    seeds = draw_seeds(prompts, valid)
    assert np.argwhere(seeds.positive).tolist() == [[2, 4]]
    assert seeds.negative[2].sum() == 8


def test_superpixels_keep_to_the_data_and_are_connected():
    from scipy.ndimage import label

    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)
    valid = rng.random((60, 80)) > 0.2
    graph = build_graph(image, valid, 100)
    assert np.array_equal(graph.labels >= 0, valid)
    assert graph.sizes.sum() == valid.sum()
    assert all(label(graph.labels == node)[1] == 1 for node in range(graph.count))
    assert (graph.edges[:, 0] < graph.edges[:, 1]).all()
    assert graph.mean(np.indices(valid.shape)[1] + 0.5) == pytest.approx(
        graph.centres[:, 0], abs=1e-3
    )


def test_the_fitted_table_fits_the_inputs():
    table = prior.coefficients()
    assert {name: len(row) for name, row in table.items()} == {
        "click": 16,
        "clicks": 31,
        "box": 34,
        "box+clicks": 34,
    }
    assert sum(map(len, table.values())) == SuperpixelWalk.info.parameters
