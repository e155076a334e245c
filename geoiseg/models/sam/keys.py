"""Names of SAM's tensors: Hugging Face's into Meta's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")

NAMES = (
    ("vision_encoder.patch_embed.projection.", "image_encoder.patch_embed.proj."),
    ("vision_encoder.layers.", "image_encoder.blocks."),
    ("vision_encoder.", "image_encoder."),
    ("neck.conv1.", "neck.0."),
    ("neck.layer_norm1.", "neck.1."),
    ("neck.conv2.", "neck.2."),
    ("neck.layer_norm2.", "neck.3."),
    ("mask_embed.conv1.", "mask_downscaling.0."),
    ("mask_embed.layer_norm1.", "mask_downscaling.1."),
    ("mask_embed.conv2.", "mask_downscaling.3."),
    ("mask_embed.layer_norm2.", "mask_downscaling.4."),
    ("mask_embed.conv3.", "mask_downscaling.6."),
    ("prompt_encoder.point_embed.", "prompt_encoder.point_embeddings."),
    (
        "shared_embedding.positional_embedding",
        "pe_layer.positional_encoding_gaussian_matrix",
    ),
    ("upscale_conv1.", "output_upscaling.0."),
    ("upscale_layer_norm.", "output_upscaling.1."),
    ("upscale_conv2.", "output_upscaling.3."),
    (".layer_norm", ".norm"),
)
"""The inverse of the map in transformers' ``convert_sam_to_hf.py``."""
_HEAD = re.compile(r"(output_hypernetworks_mlps\.\d+|iou_prediction_head)\.(.*)")
_HEAD_LAYERS = {"proj_in": "layers.0", "layers.0": "layers.1", "proj_out": "layers.2"}
IGNORED = ("pixel_mean", "pixel_std", "image_encoder.norm_head.", "image_encoder.head.")
"""Tensors that the network does not use: constants, and TinyViT's classifier."""
SHARED = "shared_image_embedding.positional_embedding"


def meta_names(state: Mapping[str, T]) -> dict[str, T]:
    """Return the tensors under Meta's names, without those the network does not use.

    Args:
        state: By Meta's names or by Hugging Face's.
    """
    theirs = any(name.startswith("vision_encoder.") for name in state)
    renamed = {(_meta_name(name) if theirs else name): value for name, value in state.items()}
    return {name: value for name, value in renamed.items() if not name.startswith(IGNORED)}


def _meta_name(name: str) -> str:
    if name == SHARED:
        return "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
    for old, new in NAMES:
        name = name.replace(old, new)
    head = _HEAD.search(name)
    if head:
        layer, _, kind = head[2].rpartition(".")
        name = f"{name[: head.start()]}{head[1]}.{_HEAD_LAYERS.get(layer, layer)}.{kind}"
    return name
