"""What took SciPy and scikit-image before, against SciPy and scikit-image."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.stats import t as student
from skimage.measure import label
from skimage.segmentation import watershed

from geoiseg.outline.connected import components, parts_of
from geoiseg.outline.shoreline.student import interval, within
from geoiseg.outline.vectorize import rings
from geoiseg.outline.vectorize.corners import find_corners
from geoiseg.segment.flood import flooded

IMAGES = npst.arrays(np.int32, npst.array_shapes(min_dims=2, max_dims=2, max_side=12),
                     elements=st.integers(0, 3))  # fmt: skip


def in_order(numbers: Any) -> Any:
    """Return the numbers of sets, numbered anew in the order in which they are met."""
    _, first, inverse = np.unique(numbers, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def expected(count: int, one: Any, other: Any) -> Any:
    graph = coo_array((np.ones(len(one)), (one, other)), shape=(count, count))
    return in_order(connected_components(graph, directed=False)[1])


@given(st.data())
def test_components_are_those_of_scipy(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 30))
    nodes = npst.arrays(np.intp, data.draw(st.integers(0, 40)), elements=st.integers(0, count - 1))
    one = data.draw(nodes)
    other = np.array([data.draw(st.integers(0, count - 1)) for _ in one], np.intp)
    assert components(count, one, other).tolist() == expected(count, one, other).tolist()


@pytest.mark.parametrize("kind", ["path", "shuffled", "star", "sparse", "dense"])
def test_components_of_large_graphs(kind: str) -> None:
    count, rng = 20_000, np.random.default_rng(0)
    order = rng.permutation(count)
    one, other = {
        "path": (np.arange(count - 1), np.arange(1, count)),
        "shuffled": (order[:-1], order[1:]),
        "star": (np.full(count - 1, count - 1), np.arange(count - 1)),
        "sparse": tuple(rng.integers(0, count, (2, count // 3))),
        "dense": tuple(rng.integers(0, count, (2, count * 2))),
    }[kind]
    assert (components(count, one, other) == expected(count, one, other)).all()


@given(IMAGES)
@settings(max_examples=200)
def test_parts_are_those_of_scikit_image(labels: Any) -> None:
    assert (parts_of(labels) == label(labels, background=0, connectivity=1)).all()


@given(IMAGES)
@settings(max_examples=200)
def test_rings_are_the_same_without_scipy(image: Any) -> None:
    corners = find_corners(image)
    if len(corners.x):
        check_rings(image)


@pytest.mark.parametrize("kind", ["speckle", "labels", "snake"])
def test_large_rings_are_the_same_without_scipy(kind: str) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 3, (300, 200)).astype(np.int32)
    if kind == "labels":
        image = np.kron(image[:40, :30], np.ones((9, 9), np.int32))
    if kind == "snake":
        image = np.ones((301, 201), np.int32)
        image[1::4, 1:] = image[3::4, :-1] = 0
    check_rings(image)


def check_rings(image: Any) -> None:
    corners = find_corners(image)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rings, "FEW", 0)
        found = rings.trace_rings(image, corners)
        patch.setattr(rings, "FEW", image.size * 4)
        patch.setattr(rings, "GRAPHS", "scipy.not_loaded_yet")
        alone = rings.trace_rings(image, corners)
    for name in ("corner", "start", "label", "shell"):
        assert (getattr(found, name) == getattr(alone, name)).all(), name


@pytest.mark.parametrize("free", [1, 2, 3, 4, 5, 6, 7, 10, 31, 100, 1001])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.95, 0.999])
def test_intervals_are_those_of_scipy(share: float, free: int) -> None:
    assert interval(share, free) == pytest.approx(student.ppf((1 + share) / 2, free), rel=1e-9)
    angle = np.arctan(interval(share, free) / free**0.5)
    assert within(angle, free) == pytest.approx(share, rel=1e-12)


def blobs(seed: int) -> tuple[Any, Any, Any]:
    """Return depth, seeds and parts of a ragged mask: several seeds in a part, one, and none."""
    noise = np.random.default_rng(seed).normal(size=(40, 40)).astype(np.float32)
    mask = (cv2.resize(noise, (400, 300), interpolation=cv2.INTER_CUBIC) > 0).astype(np.uint8)
    depth = cv2.distanceTransform(np.pad(mask, 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    _, seeds = cv2.connectedComponents((depth > 4.5).astype(np.uint8), connectivity=8)
    _, parts = cv2.connectedComponents(mask, connectivity=4)
    return depth, seeds, parts


@pytest.mark.parametrize("seed", range(5))
def test_floods_as_the_watershed_of_scikit_image(seed: int) -> None:
    """But for pixels at which two floods arrive at the same time."""
    depth, seeds, parts = blobs(seed)
    found, wanted = flooded(depth, seeds, parts), watershed(-depth, seeds, mask=parts > 0)
    assert ((found == 0) == (wanted == 0)).all()
    assert (found[seeds > 0] == seeds[seeds > 0]).all()
    assert (found != wanted).sum() <= 5e-3 * (parts > 0).sum()
    alone = [p for p in range(1, parts.max() + 1) if len(np.unique(seeds[parts == p])) <= 2]
    whole = np.isin(parts, alone)
    assert (found[whole] == wanted[whole]).all()


def test_floods_nothing_where_nothing_is() -> None:
    nothing = np.zeros((4, 5), np.int32)
    assert not flooded(nothing.astype(np.float32), nothing, nothing).any()
    part = np.ones((4, 5), np.int32)
    assert not flooded(part.astype(np.float32), nothing, part).any()
    assert (flooded(part.astype(np.float32), np.eye(4, 5, dtype=np.int32), part) == 1).all()
