"""SAM-HQ: SAM's image encoder in torch, its finer mask decoder by transformers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from geoiseg.errors import WeightsError
from geoiseg.models.protocol import Model
from geoiseg.models.sam.adapter import SamModelAdapter
from geoiseg.models.sam.attention import fastest
from geoiseg.models.sam.convert_hq import ENCODER, decoder_config, decoder_of
from geoiseg.models.sam.device import Place
from geoiseg.models.sam.engine import SEVERAL, Arrays, Tokens
from geoiseg.models.sam.keys import meta_names
from geoiseg.models.sam.loader import Source
from geoiseg.models.sam.network import TINY
from geoiseg.models.sam.pretrained import Blueprint, build
from geoiseg.models.sam.sam2 import TransformersEngine, describe, place_of
from geoiseg.models.sam.tiny_vit import TinyShape, TinyVitEncoder
from geoiseg.models.sam.vit import VitEncoder, VitShape

Encoder = VitEncoder | TinyVitEncoder


def load_hq(source: Source) -> Model:
    """Return a SAM-HQ from its authors' ``.pth`` or from a folder with ``config.json``.

    Raises:
        WeightsError: The file is damaged, incomplete or of another architecture.
        ModelError: The device, precision or backend can not be had.
    """
    place = place_of(source)
    _, state = source.architecture, source.state
    where = repr(str(source.path))
    encoder = build_encoder(state, where)
    decoder = decoder_of(state)
    config = source.config or decoder_config(decoder, encoder.shape.side, where)
    if source.config:  # the image encoder is ours: transformers need not make one, too
        vision = {**config["vision_config"], "num_hidden_layers": 0, "global_attn_indexes": []}
        config = {**config, "vision_config": vision}
    model = build(Blueprint("SamHQModel", config, source.path, ENCODER[1]), decoder)
    model.vision_encoder = encoder
    engine = HqEngine(model, place)
    return SamModelAdapter(describe(source, "sam-hq", engine), engine)


def build_encoder(state: dict[str, Any], where: str) -> Encoder:
    """Return the image encoder whose weights are in ``state``, in float32 on the CPU.

    Args:
        state: Tensors by SAM-HQ's or transformers' names.
        where: Where they came from, for messages.

    Raises:
        WeightsError: Tensors are missing or of another shape.
    """
    prefix = ENCODER[0]
    encoder: Encoder
    try:
        tensors = meta_names({k: v for k, v in state.items() if k.startswith(ENCODER)})
        with torch.device("meta"):
            if TINY in tensors:
                encoder = TinyVitEncoder(TinyShape.of(tensors))
            else:
                encoder = VitEncoder(VitShape.of(tensors))
        own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
        encoder.load_state_dict(own, assign=True)
    except KeyError as error:
        raise WeightsError(f"{where} lacks the tensor {error.args[0]!r} of a SAM-HQ") from error
    except (RuntimeError, IndexError, ValueError, ZeroDivisionError) as error:
        reason = " ".join(str(error).split()).partition(": ")[2] or str(error)
        raise WeightsError(f"{where} does not hold a whole SAM-HQ: {reason[:200]}") from error
    encoder.float().eval().requires_grad_(requires_grad=False)
    return encoder.fuse() if isinstance(encoder, TinyVitEncoder) else encoder


class HqEngine(TransformersEngine):
    """Runs SAM-HQ, whose decoder sees an early layer of the image encoder, too.

    Args:
        model: A ``SamHQModel`` of transformers with one of our image encoders.
        place: Device, and format of the image encoder's weights.
    """

    def __init__(self, model: Any, place: Place) -> None:
        super().__init__(model, place)
        self.encoder: Encoder = model.vision_encoder.to(place.dtype)
        if isinstance(self.encoder, VitEncoder):
            self.encoder.attend = fastest(place.device, place.dtype)

    def autocast(self) -> Any:
        """Return a context that changes nothing: the weights are in the place's format."""
        return torch.autocast(self.place.device.type, enabled=False)

    def image_features(self, images: Tensor) -> dict[str, Tensor]:
        """Return ``image`` ``(n, channel, y, x)`` and ``early`` ``(n, y, x, channel)``."""
        caught: list[Tensor] = []
        hook = self._early_layer.register_forward_hook(lambda _, __, out: caught.append(out))
        try:
            image = self.encoder(images)
        finally:
            hook.remove()
        early = caught[0]
        if isinstance(self.encoder, TinyVitEncoder):
            early = early.permute(0, 2, 3, 1)
        return {"image": image.float(), "early": early.float()}

    @property
    def _early_layer(self) -> Any:
        """The first block that attends to the whole image; TinyViT's second stage."""
        if isinstance(self.encoder, TinyVitEncoder):
            return self.encoder.layers[1]
        return self.encoder.blocks[self.encoder.shape.globals_at[0]]

    def answer(self, features: Arrays, tokens: Tokens) -> Any:
        """Return what the model says.

        Args:
            features: Of the image and of the early layer.
            tokens: Prompts of one kind.
        """
        labels = tokens.labels[0]
        clicks, corners = (labels == 0) | (labels == 1), labels > 1
        asked: dict[str, Tensor] = {}
        if clicks.any():
            asked["input_points"] = self.tensor(tokens.xy[None, :, clicks])
            asked["input_labels"] = self.tensor(tokens.labels[None, :, clicks])
        if corners.any():
            asked["input_boxes"] = self.tensor(tokens.xy[:, corners].reshape(1, -1, 4))
        if tokens.masks is not None:
            asked["input_masks"] = self.tensor(tokens.masks[:, None])
        return self.model(
            image_embeddings=self.tensor(features["image"][None]),
            intermediate_embeddings=[self.tensor(features["early"][None])],
            multimask_output=tokens.which == SEVERAL,
            **asked,
        )
