"""SAM 2 and SAM 2.1, run by transformers."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoiseg.errors import ModelError
from geoiseg.models.protocol import Masks, Model, ModelInfo
from geoiseg.models.sam.adapter import SamModelAdapter
from geoiseg.models.sam.convert_sam2 import from_meta, is_meta, sam2_config
from geoiseg.models.sam.device import Place, choose_place, in_batches
from geoiseg.models.sam.engine import SEVERAL, Arrays, FloatArray, Tokens
from geoiseg.models.sam.loader import Source
from geoiseg.models.sam.meta import licence_of
from geoiseg.models.sam.pretrained import Blueprint, build
from geoiseg.models.sam.sam2_video import Memory, has_memory
from geoiseg.models.sam.squash import Squash
from geoiseg.raster import BoolArray

MAPS = ("fine", "middle", "coarse")
"""Names of an image's feature maps: at 1/4, 1/8 and 1/16 of the square."""
IMAGES_AT_ONCE = {"cuda": 8}
PROMPTS_AT_ONCE = {"cuda": 64}
"""By the kind of device; elsewhere few fit in the caches."""
_log = logging.getLogger(__name__)


def load_sam2(source: Source) -> Model:
    """Return a SAM 2 or SAM 2.1 from Meta's ``.pt`` or from a folder with ``config.json``.

    Raises:
        WeightsError: The file is damaged, incomplete or of another architecture.
        ModelError: The device, precision or backend can not be had.
    """
    place = place_of(source)
    architecture, state = source.architecture, source.state
    blueprint = Blueprint("Sam2Model", source.config or sam2_config(architecture), source.path)
    model = build(blueprint, from_meta(state) if is_meta(state) else state)
    engine = Sam2Engine(model, place)
    if has_memory(state):
        return FollowingAdapter(describe(source, "sam2", engine), engine, source)
    return SquashAdapter(describe(source, "sam2", engine), engine)


def place_of(source: Source) -> Place:
    """Return where and how exactly to run a model that only torch runs.

    Raises:
        ModelError: Another backend was asked for, or the device or precision is not there.
    """
    if source.options.backend not in {"auto", "torch"}:
        raise ModelError(
            f"backend {source.options.backend!r} does not run {source.name!r}; take 'torch'"
        )
    place = choose_place(source.options)
    _log.info("%s runs on %s", source.name, place)
    return place


def describe(
    source: Source, family: str, engine: TransformersEngine, *, takes_text: bool = False
) -> ModelInfo:
    """Return name, licence, size and weights of a model.

    Args:
        source: Where the weights came from.
        family: ``sam-hq``, ``sam2``, ``edgetam`` or ``sam3``.
        engine: What runs it.
        takes_text: Whether words say something to it.
    """
    return ModelInfo(
        name=source.name,
        family=family,
        licence=licence_of(source.name),
        description=f"{source.architecture}, by transformers, on {engine.place}",
        chip_size=engine.side,
        weights_hash=source.weights_hash + engine.place.suffix,
        parameters=engine.parameters,
        takes_text=takes_text,
    )


class TransformersEngine(ABC):
    """What all networks of SAM's kind in transformers have in common.

    Args:
        model: In float32; moved to the place.
        place: Device, and format the image encoder computes in. The decoder stays in float32.
    """

    def __init__(self, model: Any, place: Place) -> None:
        self.model = model.to(place.device)
        self.place = place
        self.side = int(model.prompt_encoder.input_image_size)

    @property
    def parameters(self) -> int:
        """Number of learned parameters."""
        return sum(int(weight.numel()) for weight in self.model.parameters())

    def encode(self, pixels: Sequence[FloatArray]) -> list[Arrays]:
        """Return the features of each image; float16 where they are computed in 16 bits.

        Args:
            pixels: Images as ``(3, side, side)`` float32, normalised.
        """
        size = IMAGES_AT_ONCE.get(self.place.device.type, 1)
        return in_batches(self._encode, pixels, size)

    def _encode(self, pixels: Sequence[FloatArray]) -> list[Arrays]:
        kept = torch.float32 if self.place.precision == "fp32" else torch.float16
        with torch.inference_mode():
            images = torch.from_numpy(np.stack(pixels)).to(self.place.device)
            with self.autocast():
                found = self.image_features(images)
            arrays = {name: levels.to(kept).cpu().numpy() for name, levels in found.items()}
        return [
            {name: levels[number] for name, levels in arrays.items()}
            for number in range(len(pixels))
        ]

    @abstractmethod
    def image_features(self, images: Tensor) -> dict[str, Tensor]:
        """Return ``(n, ...)`` features by name of ``(n, 3, side, side)`` images."""

    @abstractmethod
    def answer(self, features: Arrays, tokens: Tokens) -> Any:
        """Return what the model says to some prompts."""

    def decode(self, features: Arrays, tokens: Tokens) -> tuple[FloatArray, FloatArray]:
        """Return ``(n, m, v, u)`` logits and ``(n, m)`` expected IoU.

        Args:
            features: What ``encode`` returned for the image, in float32 or float16.
            tokens: Prompts of one kind.
        """
        # Transformers takes one mask to refine for all prompts on an image.
        size = PROMPTS_AT_ONCE.get(self.place.device.type, 8) if tokens.masks is None else 1
        answers = in_batches(
            lambda part: self._decode(features, tokens, part), range(len(tokens)), size
        )
        return np.stack([logits for logits, _ in answers]), np.stack([iou for _, iou in answers])

    def _decode(
        self, features: Arrays, tokens: Tokens, part: Sequence[int]
    ) -> list[tuple[FloatArray, FloatArray]]:
        with torch.inference_mode():
            out = self.answer(features, tokens[part[0] : part[-1] + 1])
            logits, quality = (
                both[0].float().cpu().numpy() for both in (out.pred_masks, out.iou_scores)
            )
        return list(zip(logits, quality, strict=True))

    def autocast(self) -> Any:
        """Return a context in which torch computes in the place's format."""
        exact = self.place.precision == "fp32"
        return torch.autocast(self.place.device.type, self.place.dtype, enabled=not exact)

    def tensor(self, array: Any) -> Tensor:
        """Return an array on the device, in float32 unless it is of integers."""
        given = np.array(array, np.int64 if array.dtype.kind in "iu" else np.float32)
        return torch.from_numpy(given).to(self.place.device)


class Sam2Engine(TransformersEngine):
    """Runs SAM 2, and what is built like it."""

    def __init__(self, model: Any, place: Place) -> None:
        super().__init__(model, place)
        self.masks = int(model.prompt_encoder.mask_input_size[0])

    def frame(self, shape: tuple[int, int]) -> Squash:
        """Return where a chip of ``shape`` lies in the network's square."""
        return Squash(shape, self.side, masks=self.masks)

    def image_features(self, images: Tensor) -> dict[str, Tensor]:
        """Return three maps ``(n, channel, y, x)``, finest first, ready for the decoder."""
        return self.maps(self.model.vision_encoder(images).fpn_hidden_states)

    def maps(self, pyramid: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return the image encoder's pyramid, finest first, as the decoder takes it.

        Levels beyond the third, which SAM 3 has, are not for the decoder.
        """
        with torch.autocast(self.place.device.type, enabled=False):
            fine, middle, coarse = (level.float() for level in pyramid[: len(MAPS)])
            decoder = self.model.mask_decoder
            no_memory = self.model.no_memory_embedding.reshape(1, -1, 1, 1)
            ready = decoder.conv_s0(fine), decoder.conv_s1(middle), coarse + no_memory
        return dict(zip(MAPS, ready, strict=True))

    def answer(self, features: Arrays, tokens: Tokens) -> Any:
        """Return what the model says; a box's corners are points to SAM 2.

        Args:
            features: The three maps of an image.
            tokens: Prompts of one kind.
        """
        said = tokens.labels[0] >= 0  # transformers adds the void point itself
        asked: dict[str, Tensor] = {}
        if tokens.masks is not None:
            asked["input_masks"] = self.tensor(tokens.masks[:, None])
        return self.model(
            image_embeddings=[self.tensor(features[name][None]) for name in MAPS],
            input_points=self.tensor(tokens.xy[None, :, said]),
            input_labels=self.tensor(tokens.labels[None, :, said]),
            multimask_output=tokens.which == SEVERAL,
            **asked,
        )


class SquashAdapter(SamModelAdapter):
    """A network that sees chips squashed into its square.

    Args:
        info: What to tell users of it.
        engine: What runs it.
    """

    engine: Sam2Engine

    def __init__(self, info: ModelInfo, engine: Sam2Engine) -> None:
        super().__init__(info, engine)

    def _frame(self, shape: tuple[int, ...]) -> Squash:
        return self.engine.frame((shape[0], shape[1]))


class FollowingAdapter(SquashAdapter):
    """A SAM 2 that also follows an object through pictures, by its memory of a video.

    Args:
        info: What to tell users of it.
        engine: What runs it.
        source: Where the memory's weights are; they are read with the first object.
    """

    def __init__(self, info: ModelInfo, engine: Sam2Engine, source: Source) -> None:
        super().__init__(info, engine)
        self._source = source

    @cached_property
    def _memory(self) -> Memory:
        return Memory(self._source, self.engine.model.vision_encoder, self.engine.place)

    def follow(
        self, pictures: Sequence[tuple[NDArray[np.uint8], BoolArray]], mask: BoolArray
    ) -> list[Masks]:
        """Return an object on each picture after the first one.

        Args:
            pictures: ``(y, x, 3)`` and ``(y, x)`` True where there is data, all of one shape.
            mask: ``(y, x)`` the object on the first one.

        Raises:
            ModelError: The pictures differ in shape, or there is no object.
            WeightsError: The memory's weights are damaged.
        """
        with self._lock:
            return self._memory.follow(pictures, mask)
