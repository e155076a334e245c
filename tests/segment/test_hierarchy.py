"""From borders and ground to objects: what is one, what is two, and where outlines run."""

from __future__ import annotations

import numpy as np
import pytest

from geoiseg.models import DenseMaps
from geoiseg.models.classic.merge_tree import MergeRule, build_tree
from geoiseg.segment import CutOptions, cut_objects, drawn
from geoiseg.segment.region_tree import region_tree

SIDE = 65
WALL = 32
"""Row and column of the walls between four fields."""


def maps(wall: float, gap: int = 0) -> tuple[DenseMaps, np.ndarray]:
    """Return four fields with strong borders but one upright wall, and a gap in that."""
    border = np.full((SIDE, SIDE), 0.02, np.float32)
    border[[0, WALL, -1]] = border[:, [0, -1]] = 0.95
    border[1:-1, WALL] = wall
    border[10 : 10 + gap, WALL] = 0.02
    interior = np.ones_like(border)
    return DenseMaps(interior, border, {}, 4), interior


@pytest.mark.parametrize(("wall", "fields"), [(0.95, 4), (0.05, 2)])
def test_a_border_divides_as_far_as_it_is_strong(wall: float, fields: int) -> None:
    said, ground = maps(wall)
    cut = cut_objects(said, ground)
    assert len(cut.scores) == fields
    assert (cut.scores > 0.5).all()
    inside = cut.labels[[8, 8, 56, 56], [8, 56, 8, 56]]
    assert (inside > 0).all()
    assert len(set(inside)) == fields
    assert (inside[0] == inside[1]) == (fields == 2)
    assert inside[0] != inside[2]


def test_a_gap_in_a_border_is_no_way_through() -> None:
    said, ground = maps(0.95, gap=3)
    labels = cut_objects(said, ground).labels
    assert len(set(labels[[8, 8, 56, 56], [8, 56, 8, 56]])) == 4


def test_what_is_no_ground_of_objects_is_left_out() -> None:
    said, ground = maps(0.95)
    ground[:, :WALL] = 0.1
    labels = cut_objects(said, ground).labels
    assert not labels[2:-2, 2 : WALL - 2].any()
    assert (labels[2 : WALL - 2, WALL + 2 : -2] > 0).all()


def test_a_score_that_nothing_reaches_leaves_nothing() -> None:
    said, ground = maps(0.95)
    cut = cut_objects(said, ground, CutOptions(min_score=1.0))
    assert not cut.labels.any()
    assert len(cut.scores) == 0


@pytest.mark.parametrize("border", [0.0, 1.0])
def test_a_chip_without_borders_or_of_nothing_else_is_no_mistake(border: float) -> None:
    flat = np.full((9, 7), border, np.float32)
    cut = cut_objects(DenseMaps(1 - flat, flat, {}, 4), 1 - flat)
    assert cut.labels.shape == (9, 7)
    assert cut.labels.max(initial=0) == len(cut.scores)


def test_outlines_go_where_the_colours_change() -> None:
    rgb = np.full((62, 90, 3), 60, np.uint8)
    rgb[:, 42:] = (180, 120, 60)
    rgb[::7, ::5] += 3  # noise
    cells = np.ones((16, 23), np.int32)
    cells[:, 10:] = 2  # 2 pixels beside the truth
    cells[3, 3] = 3  # all of it within reach of its own outline
    labels = drawn(cells, 4, rgb)
    assert labels.shape == (62, 90)
    assert (labels[:, :41] != 2).all()
    assert (labels[:, 43:] == 2).all()
    assert (labels == 3).sum() == 16


def test_the_tree_is_the_one_that_merging_by_borders_makes() -> None:
    rng = np.random.default_rng(1)
    count = 60
    pairs = np.array([(a, b) for a in range(count) for b in range(a) if rng.random() < 0.1])
    edges = np.sort(pairs, axis=1).astype(np.int32)
    strength = rng.random(len(edges)).astype(np.float32)
    length = rng.integers(1, 20, len(edges)).astype(np.float32)
    sizes = rng.integers(1, 99, count).astype(np.float32)
    rule = MergeRule(size=0.0, edge=1.0)
    old = build_tree(np.zeros((count, 1), np.float32), sizes, edges, strength, length, rule)
    new = region_tree(sizes, edges, strength, length)
    assert (new.parent == old.parent).all()
    assert (new.area == old.area).all()
    assert new.edge == pytest.approx(old.edge, abs=1e-6)
    assert new.height == pytest.approx(old.height, abs=1e-6)
    assert new.outline[:count].sum() == 2 * length.sum()
