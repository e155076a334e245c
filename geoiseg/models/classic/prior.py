"""What to expect of each superpixel before its neighbours are asked: a logistic model.

The coefficients were fitted by ``benchmarks/fit_prior.py`` to simulated clicks on aerial
images of fields, buildings and towns; they hold no image and no place. There is one set
for each situation, since a click in the middle of an object says other things than a box.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from geoiseg.models.classic.evidence import NodeArray, relation_features
from geoiseg.models.classic.merge_tree import MergeTree
from geoiseg.models.classic.superpixels import SuperpixelGraph
from geoiseg.raster import BoolArray

BOX_CORE = 0.4
"""Share of a box's half sides within which a box alone takes superpixels for the object."""
BOX_SURROUNDINGS = 1.6
"""Superpixels outside a box count as examples of the background up to so many half sides."""


@dataclass(frozen=True, slots=True, eq=False)
class Situation:
    """What is known of one object, per superpixel."""

    name: str
    """Which coefficients hold: ``click``, ``clicks``, ``box`` or ``box+clicks``."""
    front: BoolArray
    """``(n,)`` superpixels taken for the object."""
    back: BoolArray
    """``(n,)`` superpixels taken for background."""
    offset: NodeArray | None
    """``(n,)`` distance from the box's centre, 1 on its border; None without a box."""


def situation(
    graph: SuperpixelGraph,
    positive: BoolArray,
    negative: BoolArray,
    box: tuple[float, float, float, float] | None,
) -> Situation:
    """Return which examples of object and background the prompts give.

    Args:
        graph: The superpixels.
        positive: ``(n,)`` those that hold a positive prompt.
        negative: ``(n,)`` those that hold a negative prompt.
        box: ``x0, y0, x1, y1`` in continuous pixels.
    """
    if box is None:
        return Situation("clicks" if negative.any() else "click", positive, negative, None)
    centre = np.array([box[0] + box[2], box[1] + box[3]]) / 2
    half = np.maximum(np.array([box[2] - box[0], box[3] - box[1]]) / 2, 0.5)
    offset = np.abs((graph.centres - centre) / half).max(axis=1, initial=0).astype(float)
    back = negative | ((offset > 1) & (offset < BOX_SURROUNDINGS) & ~positive)
    if positive.any():
        return Situation("box+clicks", positive, back, offset)
    core = (offset <= max(BOX_CORE, float(offset.min(initial=np.inf)))) & ~negative
    return Situation("box", core, back & ~core, offset)


def describe(graph: SuperpixelGraph, trees: Sequence[MergeTree], known: Situation) -> NodeArray:
    """Return ``(n, f)`` the inputs of the logistic model in this situation."""
    parts = [relation_features(graph, trees, known.front)]
    if known.name != "click":
        parts.append(relation_features(graph, trees, known.back))
    if known.offset is not None:
        offset = np.minimum(known.offset, 2.0)[:, None]
        parts += [offset, offset**2, (offset > 1).astype(float)]
    return np.concatenate(parts, axis=1)


def expect(graph: SuperpixelGraph, trees: Sequence[MergeTree], known: Situation) -> NodeArray:
    """Return the ``(n,)`` probability of the object, each superpixel by itself."""
    bias, *weights = coefficients()[known.name]
    logit = bias + describe(graph, trees, known) @ np.array(weights)
    return np.asarray(1 / (1 + np.exp(-np.clip(logit, -30, 30))))


@cache
def coefficients() -> dict[str, list[float]]:
    """Return the constant and the weights of each situation by its name."""
    text = files("geoiseg.models.classic").joinpath("prior.json").read_text()
    table: dict[str, list[float]] = json.loads(text)
    return table
