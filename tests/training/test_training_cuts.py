"""How maps choose their objects: fitted to the labels of scenes, and judged on others."""

from __future__ import annotations

import numpy as np
import pytest

from geoiseg.errors import GeoisegError
from geoiseg.models import DenseMaps
from geoiseg.segment import CutOptions, cut_of, regions
from geoiseg.training.constants import put
from geoiseg.training.cuts.fit import figures, fitted, weights_of
from geoiseg.training.cuts.views import Rows, Seen, View, rows_of

SIDE, WALL = 65, 32


def four_fields(seed: int = 0) -> Seen:
    """Return four fields with strong borders; three are drawn."""
    border = np.full((SIDE, SIDE), 0.02, np.float32)
    border[[0, WALL, -1]] = border[:, [0, WALL, -1]] = 0.95
    noise = np.random.default_rng(seed).random(border.shape).astype(np.float32)
    border = np.maximum(border, 0.3 * noise)
    ground = np.ones_like(border)
    truth = np.zeros((SIDE, SIDE), np.int32)
    truth[:WALL, :WALL], truth[:WALL, WALL:], truth[WALL:, :WALL] = 3, 4, 9
    maps = DenseMaps(ground, border, {}, 4)
    found = regions(maps, ground)
    assert found is not None
    pixels = np.zeros((SIDE * 4, SIDE * 4, 3), np.uint8)
    valid = np.ones(pixels.shape[:2], bool)
    view = View("four", "field", 1, pixels, valid, truth)
    return Seen(view, maps, ground, found, truth)


def test_what_an_iou_goes_by_is_found_again():
    rng = np.random.default_rng(0)
    looks = rng.normal(size=(4000, 2))
    odds = -0.5 + looks @ (1.5, -2.0)
    found = fitted(looks, 1 / (1 + np.exp(-odds)), np.ones(len(looks)))
    assert found == pytest.approx((-0.5, 1.5, -2.0), abs=1e-3)


def test_regions_are_compared_with_the_labels_that_suit_them_best():
    one = four_fields()
    rows = rows_of(one)
    assert rows.looks.shape == (len(rows.iou), 5)
    assert (rows.iou > 0.9).sum() >= 3
    assert (rows.iou <= 1).all()
    assert rows.area.max() == SIDE**2  # three quarters of all are labelled
    assert rows.iou[rows.area == SIDE**2].max() < 0.3


def test_families_count_alike_however_many_regions_they_have():
    many, few = (Rows(np.zeros((n, 5)), np.zeros(n), np.full(n, 9.0)) for n in (90, 10))
    weight = weights_of([("field", many), ("building", few), ("field", few)], 0.5)
    assert weight[:90].sum() + weight[100:].sum() == pytest.approx(1)
    assert weight[90:100].sum() == pytest.approx(1)


def test_figures_tell_good_weights_from_bad_ones():
    views = [four_fields(seed) for seed in range(3)]
    rows = [rows_of(one) for one in views]
    looks, iou = (np.concatenate([getattr(r, name) for r in rows]) for name in ("looks", "iou"))
    weights = fitted(looks, iou, weights_of([("field", r) for r in rows], 0.3))
    good = figures(views, weights, 0.3)
    assert good.f1 == good.ap50 == good.worth == 1
    assert good.by_family == {"field 1:1": 1}
    nothing = (-9.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    bad = figures(views, nothing, 0.3)
    assert bad.worth == 0
    cut = cut_of(views[0].regions, views[0].maps, views[0].ground, CutOptions(weights=weights))
    assert len(cut.scores) == 4


def test_what_is_fitted_is_put_into_the_source(tmp_path):
    path = tmp_path / "source.py"
    path.write_text('A = 1\nODDS = (-1.84, 3.25)\n"""Log-odds."""\n')
    put(path, "ODDS", (0.123, -4.0))
    assert path.read_text() == 'A = 1\nODDS = (0.12, -4)\n"""Log-odds."""\n'
    with pytest.raises(GeoisegError, match="sets WEIGHTS 0 times"):
        put(path, "WEIGHTS", (1.0,))
