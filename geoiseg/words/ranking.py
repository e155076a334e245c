"""CLIP ranks the objects that a model finds by itself: any word, once the crops are encoded."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.models import Model
from geoiseg.raster import BoolArray
from geoiseg.words.objectwise import Found
from geoiseg.words.pretrained import Pretrained
from geoiseg.words.view import View

TEMPLATES = (
    "a satellite image of {}.",
    "an aerial photo of {}.",
    "a drone image of {} from above.",
    "an overhead view of {}.",
    "{} seen from the air.",
)
"""Ways to say what is seen from above; their features are averaged."""
BACKGROUND = ("bare ground", "something else", "a blurry image", "a shadow")
"""What an object may be as well, so that a score says more than a comparison."""
CONTEXT = 0.5
"""Share of an object's box that is shown around it."""
BATCH = 32
"""Crops encoded together."""
GREY = 124
"""What is not the object is painted in the grey that CLIP takes for nothing."""


class ClipRanking(Pretrained):
    """Objects of the session's model, each scored by its masked crop and its surroundings."""

    kind = "clip"
    threshold = 0.3

    def __init__(self, name: str, folder: Path, model: Model) -> None:
        super().__init__(name, folder, model)
        self._texts: dict[str, NDArray[np.float32]] = {}

    def find(self, view: View, text: str, others: Sequence[str]) -> list[Found]:
        """Return the objects of a chip with the probability that the text names them."""
        masks, images = self.kept("objects", view, lambda: self._objects(view))
        if not masks:
            return []
        words = [text, *others, *(name for name in BACKGROUND if name != text)]
        texts = np.stack([self.text_features(word) for word in words])
        scale = float(self._network.logit_scale.detach().exp())
        logits = scale * images @ texts.T
        logits -= logits.max(axis=1, keepdims=True)
        shares = np.exp(logits)
        shares /= shares.sum(axis=1, keepdims=True)
        return [Found(mask, float(share)) for mask, share in zip(masks, shares[:, 0], strict=True)]

    def text_features(self, word: str) -> NDArray[np.float32]:
        """Return the ``(d,)`` unit vector of a word, averaged over the templates."""
        if word not in self._texts:
            given = self._processor(
                text=[template.format(word) for template in TEMPLATES],
                return_tensors="pt", padding=True, truncation=True,
            )  # fmt: skip
            vectors = self._run(lambda: _tensor(self._network.get_text_features(**given))).numpy()
            self._texts[word] = _unit(_unit(vectors).mean(axis=0))
        return self._texts[word]

    def image_features(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Return ``(n, d)`` unit vectors of ``(y, x, 3)`` crops."""
        parts = [
            self._encoded(list(crops[start : start + BATCH]))
            for start in range(0, len(crops), BATCH)
        ]
        return _unit(np.concatenate(parts))

    def _encoded(self, crops: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
        given = self._processor(
            images=crops, return_tensors="pt", input_data_format="channels_last"
        )
        vectors = self._run(lambda: _tensor(self._network.get_image_features(**given)))
        return np.asarray(vectors.numpy(), np.float32)

    def _objects(self, view: View) -> tuple[list[BoolArray], NDArray[np.float32]]:
        """Return the objects that the model finds by itself, and what CLIP sees in each."""
        automatic = importlib.import_module("geoiseg.tiled.automatic")
        options = importlib.import_module("geoiseg.tiled.options").AutomaticOptions
        placement = importlib.import_module("geoiseg.tiled.candidates").Placement

        def shrunk(factor: int) -> Any:
            size = tuple(-(-side // factor) for side in view.shape[::-1])
            rgb = cv2.resize(view.rgb, size, interpolation=cv2.INTER_AREA)
            valid = cv2.resize(view.valid.view(np.uint8), size, interpolation=cv2.INTER_NEAREST)
            zoom = (view.shape[1] / size[0], view.shape[0] / size[1])
            return automatic.View(rgb, valid > 0, placement(zoom, (0.0, 0.0)))

        chosen = options.for_family(self._model.info.family)
        labels, _ = automatic.find_objects(self._model, shrunk, view.valid, (0, 0), chosen, 64)
        masks = [np.asarray(labels == n) for n in range(1, int(labels.max()) + 1)]
        if not masks:
            return [], np.zeros((0, 1), np.float32)
        crops = [crop for mask in masks for crop in crops_of(view.rgb, mask)]
        features = self.image_features(crops)
        both = _unit(features.reshape(len(masks), 2, -1).mean(axis=1))
        return masks, both


def crops_of(
    rgb: NDArray[np.uint8], mask: BoolArray
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return an object alone on grey, and the object with its surroundings.

    Args:
        rgb: ``(y, x, 3)``.
        mask: ``(y, x)`` of the object; not empty.
    """
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, bottom, left, right = rows[0], rows[-1] + 1, cols[0], cols[-1] + 1
    alone = np.where(mask[top:bottom, left:right, None], rgb[top:bottom, left:right], GREY)
    down, across = (int(CONTEXT * side) + 1 for side in (bottom - top, right - left))
    near = rgb[max(0, top - down) : bottom + down, max(0, left - across) : right + across]
    return alone.astype(np.uint8), np.ascontiguousarray(near)


def _tensor(output: Any) -> Any:
    """Return the features; newer versions of transformers wrap them."""
    return getattr(output, "pooler_output", output)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-8), np.float32)
