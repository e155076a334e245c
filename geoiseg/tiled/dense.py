"""All objects of a window in one look, by a model with dense heads: a label image."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.models import DenseModel, Embedding
from geoiseg.outline import parts_of
from geoiseg.raster import BoolArray
from geoiseg.segment import CutOptions, cut_objects, drawn
from geoiseg.tiled.automatic import View
from geoiseg.tiled.doubt import LEAST, asked_again
from geoiseg.tiled.options import DenseOptions

LEAST_PART = 0.1
"""Share of an object below which a part that hangs together with nothing is left out."""


def find_dense(
    model: DenseModel,
    seen: tuple[View, Embedding],
    allowed: BoolArray,
    options: DenseOptions,
    min_area: int = 1,
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Return ``(y, x)`` labels, 0 where there is no object, and each label's score.

    Args:
        model: Says what each cell of the window is.
        seen: The window with its surroundings at its own scale, and encoded.
        allowed: ``(y, x)`` of the window, True where there is data and objects are wanted.
        options: What passes for an object.
        min_area: Pixels below which an object that ends inside the window is left out.
    """
    view, embedding = seen
    maps = model.dense(embedding)
    ground = maps.interior * cells_of(view.valid, maps.interior.shape, maps.scale)
    least = min(LEAST, options.min_score) if options.best else options.min_score
    cut = cut_objects(maps, ground, CutOptions(min_score=least))
    labels = _on_window(drawn(cut.labels, maps.scale, view.rgb), view, allowed)
    found = in_parts(labels, cut.scores, min_area)
    if not options.best:
        return found
    return asked_again(model, seen, found, allowed, (options.min_score, min_area))


def cells_of(valid: BoolArray, shape: tuple[int, ...], scale: int) -> NDArray[np.float32]:
    """Return ``(v, u)`` the share of each cell where there is data."""
    rows, columns = (cells * scale - side for cells, side in zip(shape, valid.shape, strict=True))
    padded = np.pad(valid, ((0, rows), (0, columns)), mode="edge").astype(np.float32)
    size = (shape[1], shape[0])
    return np.asarray(cv2.resize(padded, size, interpolation=cv2.INTER_AREA), np.float32)


def _on_window(labels: NDArray[np.int32], view: View, allowed: BoolArray) -> NDArray[np.int32]:
    """Return the labels of the window's own pixels."""
    left, top = (-round(side) for side in view.place.corner)
    rows, columns = allowed.shape
    return np.where(allowed, labels[top : top + rows, left : left + columns], 0).astype(np.int32)


def in_parts(
    labels: NDArray[np.int32], scores: NDArray[np.float64], min_area: int
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Return labels of connected parts, from 1 on, and their scores.

    Args:
        labels: ``(y, x)``, 0 = background.
        scores: ``(n,)`` of the labels from 1 on.
        min_area: Pixels below which a part that does not reach the rim is left out.
    """
    parts = parts_of(labels)
    count = int(parts.max(initial=0)) + 1
    area = np.bincount(parts.ravel(), minlength=count)
    label = np.zeros(count, np.intp)
    label[parts.ravel()] = labels.ravel()
    whole = np.bincount(label, area)
    kept = (area >= min_area) & (area >= LEAST_PART * whole[label])
    for rim in (parts[0], parts[-1], parts[:, 0], parts[:, -1]):
        kept[rim] = True  # it may go on in the next window
    kept[0] = False
    number = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    return number[parts], scores[label[kept] - 1]
