"""A click network as a model: chips and prompts in, masks out."""

from __future__ import annotations

import threading

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoiseg.errors import PromptError
from geoiseg.models.classic.answer import empty_masks, expected_iou
from geoiseg.models.clicks.looking import SURE, Onlooker, Said
from geoiseg.models.protocol import Embedding, Masks, ModelInfo
from geoiseg.models.sam.device import Place
from geoiseg.models.sam.frames import FILL, filled
from geoiseg.prompting import PixelPrompts, inside_box, points_along
from geoiseg.raster import BoolArray

STROKE_STEP = 24.0
"""Pixels of the chip between the clicks that stand for a scribble."""
STROKE_CLICKS = 8
"""Clicks at most that stand for a scribble: the networks were trained with few."""

Click = tuple[float, float, int]
"""Row, column and sign, counted from the centre of the first pixel."""


class ClickModel:
    """A network that is shown the clicks with the picture, so that nothing is ready before.

    Args:
        info: What to tell users of it.
        onlooker: The network, and how it looks at a chip.
        place: Where it runs, and in which format it computes.
    """

    def __init__(self, info: ModelInfo, onlooker: Onlooker, place: Place) -> None:
        self._info = info
        self.onlooker = onlooker
        self.place = place
        self._lock = threading.Lock()

    @property
    def info(self) -> ModelInfo:
        """Name, licence, chip size and weights of the model."""
        return self._info

    def embed(self, image: NDArray[np.uint8], valid: BoolArray) -> Embedding:
        """Return the chip itself, with the mean colour where there is no data.

        Args:
            image: ``(y, x, 3)`` uint8, stretched, any size.
            valid: ``(y, x)`` True where there is data.

        Raises:
            ModelError: The arrays are not an image and its validity.
        """
        shape = (valid.shape[0], valid.shape[1])
        seen = filled(image, valid, shape, np.array(FILL, np.uint8)).copy()
        return Embedding(self._info.identity, shape, {"image": seen, "valid": valid.copy()})

    def decode(
        self,
        embedding: Embedding,
        prompts: PixelPrompts,
        previous: NDArray[np.float32] | None = None,
    ) -> Masks:
        """Return one mask.

        A box is where to look, a click in its middle where there is no other, and a border that
        the mask does not cross; a scribble is clicks along it, and an outline the mask before.

        Args:
            embedding: What ``embed`` returned for this chip.
            prompts: All prompts so far, not only the latest.
            previous: ``(y, x)`` logits of the last mask, to be refined.

        Raises:
            PromptError: No prompt at all, or an outline of another shape.
            ModelError: The embedding is another model's.
        """
        embedding.check_made_by(self._info.identity)
        valid = embedding.arrays["valid"]
        said = self._said(prompts, embedding.shape, previous)
        if not said.positive and said.before is None:
            return empty_masks(embedding.shape)
        with self._lock, torch.inference_mode():
            image = torch.from_numpy(np.ascontiguousarray(embedding.arrays["image"]))
            picture = image.to(self.place.device).permute(2, 0, 1)[None].float() / 255
            with self._autocast():
                found = self.onlooker.look(picture, said)
            probability = found[0, 0].float().cpu().numpy()
        probability = np.where(valid, probability, 0).astype(np.float32)
        if prompts.box is not None:
            probability = np.where(inside_box(prompts.box, embedding.shape), probability, 0)
        kept = np.clip(probability, SURE, 1 - SURE)
        logits = np.log(kept / (1 - kept)) - self._shift
        score = expected_iou(probability, logits > 0, valid)
        return Masks(logits[None].astype(np.float32), np.array([score], np.float32))

    def _said(
        self, prompts: PixelPrompts, shape: tuple[int, int], previous: NDArray[np.float32] | None
    ) -> Said:
        """Return the prompts as the networks know them."""
        if not prompts:
            raise PromptError("no prompt: give a point, a box, a scribble or an outline")
        before = self._before(prompts, shape, previous)
        clicks = _clicks(prompts)
        if not any(sign > 0 for _, _, sign in clicks):
            if prompts.box is not None:
                x0, y0, x1, y1 = prompts.box
                clicks.append(((y0 + y1) / 2 - 0.5, (x0 + x1) / 2 - 0.5, 1))
            elif prompts.mask is not None and prompts.mask.any():
                clicks.append(_deepest(prompts.mask))
        box = None
        if prompts.box is not None:
            x0, y0, x1, y1 = prompts.box
            box = (max(0, y0), min(shape[0], y1), max(0, x0), min(shape[1], x1))
        return Said(tuple(clicks), before, box)

    def _before(
        self, prompts: PixelPrompts, shape: tuple[int, int], previous: NDArray[np.float32] | None
    ) -> Tensor | None:
        given = previous if previous is not None else prompts.mask
        if given is None:
            return None
        if given.shape != shape:
            raise PromptError(f"the chip is {shape}, the mask to refine {given.shape}")
        probability = (
            given.astype(np.float32) if previous is None
            else 1 / (1 + np.exp(-np.clip(previous + self._shift, -30, 30)))
        )  # fmt: skip
        tensor = torch.from_numpy(np.asarray(probability, np.float32))
        return tensor[None, None].to(self.place.device)

    @property
    def _shift(self) -> float:
        """Logit of the probability from which a pixel is the object's."""
        threshold = self.onlooker.habits.threshold
        return float(np.log(threshold / (1 - threshold)))

    def _autocast(self) -> torch.autocast:
        exact = self.place.precision == "fp32"
        return torch.autocast(self.place.device.type, self.place.dtype, enabled=not exact)


def _clicks(prompts: PixelPrompts) -> list[Click]:
    """Return strokes as clicks along them, then the clicks themselves, in order."""
    found: list[Click] = []
    for stroke, positive in prompts.scribbles:
        along = points_along(stroke, STROKE_STEP, STROKE_CLICKS)
        found += [(y - 0.5, x - 0.5, 1 if positive else -1) for x, y in along.tolist()]
    for (x, y), positive in zip(prompts.points, prompts.positive, strict=True):
        found.append((float(y) - 0.5, float(x) - 0.5, 1 if positive else -1))
    return found


def _deepest(mask: BoolArray) -> Click:
    """Return a click where a mask reaches farthest to all sides."""
    import cv2

    padded = np.pad(mask.astype(np.uint8), 1)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return float(row), float(column), 1
