"""How well the heads know classes on scenes that they were not fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoiseg.models import Model
from geoiseg.models.tiny.pixel_features import CELL
from geoiseg.models.tiny.words import CLASSES, Layers, chances
from geoiseg.training.scenes import read_scenes
from geoiseg.training.words.labels import Labelled, images, of_scene
from geoiseg.training.words.material import Places, views
from geoiseg.words.embedded import looked_at
from geoiseg.words.search import embedded_at

Figures = dict[str, dict[str, float]]


def figures(heads: Sequence[Layers], model: Model, folder: Path) -> Figures:
    """Return precision, recall and IoU of each class over all held-out scenes.

    A cell counts for a class where it is known whether it belongs to it. What lies between
    outlined fields counts as no field, though some of it is.

    Args:
        heads: The networks.
        model: ``tiny``.
        folder: Data folder.
    """
    rng = np.random.default_rng(1)
    counts = np.zeros((len(CLASSES), 3))
    for scene in images(read_scenes(folder, held_out=True)):
        for view in views(of_scene(scene), rng):
            counts += _counts(*_told(heads, model, view))
    found: Figures = {}
    for name, (both, only_said, only_true) in zip(CLASSES, counts.tolist(), strict=True):
        found[name] = {
            "precision": _share(both, both + only_said),
            "recall": _share(both, both + only_true),
            "iou": _share(both, both + only_said + only_true),
        }
    return found


def _told(
    heads: Sequence[Layers], model: Model, view: Labelled
) -> tuple[NDArray[np.intp], NDArray[np.uint8]]:
    """Return ``(n,)`` the likeliest class of the cells of a view, and those that are possible."""
    table = chances(
        heads, *looked_at(lambda times: embedded_at(model, view.image, view.valid, times), 1)
    )
    middle = view.bits[CELL // 2 :: CELL, CELL // 2 :: CELL]
    rows, columns = (min(a, b) for a, b in zip(table.shape[1:], middle.shape, strict=True))
    return (
        table[:, :rows, :columns].argmax(axis=0).ravel(),
        np.ascontiguousarray(middle[:rows, :columns]).ravel(),
    )


def _counts(said: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Return ``(class, 3)`` cells said and true, only said, only true."""
    allowed = Places(np.zeros((0, 0), np.float16), bits).allowed > 0
    known = allowed.sum(axis=1) == 1
    rows = []
    for number in range(len(CLASSES)):
        true = known & allowed[:, number]
        told = (known | ~allowed[:, number]) & (bits > 0)
        own = said == number
        rows.append([(own & true).sum(), (own & told & ~true).sum(), (~own & true).sum()])
    return np.array(rows, float)


def _share(part: float, whole: float) -> float:
    return round(part / whole, 3) if whole else 0.0
