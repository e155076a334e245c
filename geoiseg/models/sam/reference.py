"""The same network run by segment-anything's own modules: the reference."""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from geoiseg.errors import ModelError, WeightsError, require
from geoiseg.models.sam.decoder import CORNER, PADDING
from geoiseg.models.sam.device import Place, in_batches
from geoiseg.models.sam.engine import SEVERAL, Arrays, FloatArray, Tokens
from geoiseg.models.sam.keys import meta_names
from geoiseg.models.sam.network import TINY, build_sam
from geoiseg.models.sam.vit import VitShape


def load_reference() -> Any:
    """Return the module ``segment_anything``.

    Raises:
        MissingExtraError: It or torchvision is not installed.
        ModelError: torchvision was built for another torch.
    """
    require("torchvision", "sam")
    try:
        return require("segment_anything", "sam")
    except (RuntimeError, AttributeError, OSError) as error:
        raise ModelError(_mismatch(error)) from error


def build_reference(state: Mapping[str, Tensor], where: str) -> Any:
    """Return a ``segment_anything.modeling.Sam`` with these weights.

    MobileSAM's encoder is not among segment-anything's modules; ours takes its place.

    Args:
        state: Tensors by Meta's, MobileSAM's or Hugging Face's names.
        where: Where they came from, for messages.

    Raises:
        WeightsError: Tensors are missing or of another shape.
    """
    load_reference()
    own = build_sam(state, where)
    tensors = meta_names(state)
    network = _skeleton(tensors, own.image_encoder)
    rest = {
        name: tensor
        for name, tensor in tensors.items()
        if TINY not in tensors or not name.startswith("image_encoder.")
    }
    try:
        found = network.load_state_dict(rest, strict=False)
    except RuntimeError as error:
        raise WeightsError(f"{where} does not fit segment-anything: {error}") from error
    missing = [name for name in found.missing_keys if TINY not in tensors or "image_" not in name]
    if missing or found.unexpected_keys:
        raise WeightsError(f"{where} lacks {[*missing, *found.unexpected_keys][0]!r}")
    return network.eval().requires_grad_(requires_grad=False)


def _skeleton(tensors: Mapping[str, Tensor], tiny: nn.Module) -> Any:
    modules = load_reference().modeling
    encoder, side = tiny, 1024
    if TINY not in tensors:
        shape = VitShape.of(tensors)
        side = shape.side
        encoder = modules.ImageEncoderViT(
            img_size=side,
            patch_size=shape.patch,
            embed_dim=shape.channels,
            depth=shape.depth,
            num_heads=shape.heads,
            mlp_ratio=shape.hidden / shape.channels,
            out_chans=shape.out,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=shape.window,
            global_attn_indexes=shape.globals_at,
        )
    grid = side // 16
    network = modules.Sam(
        encoder,
        modules.PromptEncoder(256, (grid, grid), (side, side), 16),
        modules.MaskDecoder(
            transformer_dim=256,
            transformer=modules.TwoWayTransformer(
                depth=2, embedding_dim=256, num_heads=8, mlp_dim=2048
            ),
        ),
    )
    network.image_encoder.img_size = side
    return network


class ReferenceEngine:
    """Runs segment-anything's modules.

    Args:
        network: A ``segment_anything.modeling.Sam``.
        place: Device, and format that autocast takes for the image encoder.
    """

    def __init__(self, network: Any, place: Place) -> None:
        self.network = network.to(place.device)
        self.place = place

    @property
    def side(self) -> int:
        """Pixels along a side of the image that the network takes."""
        return int(self.network.image_encoder.img_size)

    def encode(self, pixels: Sequence[FloatArray]) -> list[Arrays]:
        """Return ``features`` of each image as ``(256, y, x)`` float32."""
        return in_batches(self._encode, pixels, 1)

    def _encode(self, pixels: Sequence[FloatArray]) -> list[Arrays]:
        batch = torch.from_numpy(np.stack(pixels)).to(self.place.device)
        half = self.place.precision != "fp32"
        kind = self.place.device.type
        with torch.inference_mode(), torch.autocast(kind, self.place.dtype, enabled=half):
            features = self.network.image_encoder(batch)
        return [{"features": array} for array in features.float().cpu().numpy()]

    def decode(self, features: Arrays, tokens: Tokens) -> tuple[FloatArray, FloatArray]:
        """Return ``(n, m, side / 4, side / 4)`` logits and ``(n, m)`` expected IoU."""
        image = torch.from_numpy(np.array(features["features"][None], np.float32))
        image = image.to(self.place.device)
        answers = in_batches(lambda part: self._decode(image, tokens, part), range(len(tokens)), 8)
        return np.stack([logits for logits, _ in answers]), np.stack([iou for _, iou in answers])

    def _decode(
        self, image: Tensor, tokens: Tokens, part: Sequence[int]
    ) -> list[tuple[FloatArray, FloatArray]]:
        some = tokens[part[0] : part[-1] + 1]
        device = self.place.device
        points, boxes = _split(some, device)
        masks = None if some.masks is None else torch.from_numpy(some.masks[:, None]).to(device)
        prompts = self.network.prompt_encoder
        with torch.inference_mode():
            sparse, dense = prompts(points=points, boxes=boxes, masks=masks)
            logits, quality = self.network.mask_decoder(
                image_embeddings=image,
                image_pe=prompts.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=some.which == SEVERAL,
            )
        return list(zip(logits.cpu().numpy(), quality.cpu().numpy(), strict=True))


def _split(
    tokens: Tokens, device: torch.device
) -> tuple[tuple[Tensor, Tensor] | None, Tensor | None]:
    """Return points with labels, and boxes; segment-anything pads points by itself."""
    kinds = tokens.labels[0]
    clicks, corners = (kinds > PADDING) & (kinds < CORNER), kinds >= CORNER
    xy, labels = torch.from_numpy(tokens.xy).to(device), torch.from_numpy(tokens.labels).to(device)
    chosen = torch.from_numpy(clicks).to(device)
    points = (xy[:, chosen], labels[:, chosen]) if clicks.any() else None
    boxes = xy[:, torch.from_numpy(corners).to(device)].flatten(1) if corners.any() else None
    return points, boxes


def _mismatch(error: Exception) -> str:
    return (
        f"torchvision does not fit torch {torch.__version__} ({error}); install both from one"
        " place, or take backend='torch', which does without it"
    )
