"""The memory of SAM 2: an object shown on one picture is followed to the next ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geoiseg.errors import ModelError
from geoiseg.models.protocol import Masks
from geoiseg.models.sam.convert_sam2 import from_meta, is_meta, sam2_video_config
from geoiseg.models.sam.device import Place
from geoiseg.models.sam.loader import Source
from geoiseg.models.sam.pretrained import Blueprint, build
from geoiseg.models.sam.squash import Squash
from geoiseg.raster import BoolArray

MEMORY = ("memory_attention.", "memory_encoder.")
"""How the names of tensors begin without which nothing can be followed, Meta's and others'."""


def has_memory(state: Any) -> bool:
    """Return whether tensors are those of a video's tracker."""
    return all(any(name.startswith(part) for name in state) for part in MEMORY)


class Memory:
    """Follows an object through pictures of the same ground, in the order that they are given.

    Args:
        source: The checkpoint; its encoder is not loaded twice.
        encoder: That of the network for single pictures.
        place: Where to run.

    Raises:
        WeightsError: The checkpoint has no memory of this design.
    """

    def __init__(self, source: Source, encoder: Any, place: Place) -> None:
        state = source.state
        config = dict(source.config) or sam2_video_config(source.architecture, state)
        config["model_type"] = "sam2_video"
        blueprint = Blueprint("Sam2VideoModel", config, source.path)
        given = from_meta(state, memory=True) if is_meta(state) else state
        self._network = build(blueprint, given)
        self._network.vision_encoder = encoder
        self._network.to(place.device)
        self._place = place
        self._side = int(self._network.image_size)

    def follow(
        self, pictures: Sequence[tuple[NDArray[np.uint8], BoolArray]], mask: BoolArray
    ) -> list[Masks]:
        """Return an object on each picture after the first one, as one mask with its score.

        Args:
            pictures: ``(y, x, 3)`` and ``(y, x)`` True where there is data, all of one shape.
            mask: ``(y, x)`` the object on the first one.

        Raises:
            ModelError: The pictures differ in shape, or there is no object.
        """
        from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

        shapes = {valid.shape for _, valid in pictures} | {mask.shape}
        if len(shapes) != 1 or not mask.any():
            raise ModelError("an object is followed through pictures of one shape, from a mask")
        low = int(self._network.prompt_encoder.mask_input_size[0])
        frame = Squash((mask.shape[0], mask.shape[1]), self._side, masks=low)
        frames = torch.from_numpy(np.stack([frame.pixel_values(*one) for one in pictures]))
        session = Sam2VideoInferenceSession(
            video=frames, video_height=self._side, video_width=self._side,
            inference_device=self._place.device, inference_state_device=self._place.device,
            dtype=torch.float32,
        )  # fmt: skip
        number = session.obj_id_to_idx(1)
        session.add_mask_inputs(number, 0, self._squared(mask))
        session.obj_with_new_inputs.append(1)
        found = []
        with torch.inference_mode():
            for at in range(len(pictures)):
                out = self._network(inference_session=session, frame_idx=at)
                logits = out.pred_masks.float().cpu().numpy()[0]
                said = torch.sigmoid(out.object_score_logits.float()).item()
                found.append(Masks(frame.to_chip(logits), np.array([said], np.float32)))
        return found[1:]

    def _squared(self, mask: BoolArray) -> Any:
        """Return ``(1, 1, side, side)`` a mask on the network's square."""
        given = torch.from_numpy(mask.astype(np.float32))[None, None]
        size = (self._side, self._side)
        scaled = torch.nn.functional.interpolate(given, size, mode="bilinear", antialias=True)
        return (scaled > 0.5).float()
