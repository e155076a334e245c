"""Which architecture a checkpoint is, told from its configuration or its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

VIT_WIDTHS = {768: "b", 1024: "l", 1280: "h"}
"""Channels of SAM's image encoders."""
SLIM_77_WIDTH = 168
"""The same where 77 % of them were pruned away."""
HIERA_SIZES = {
    (96, 12): "tiny",
    (96, 16): "small",
    (112, 24): "base-plus",
    (144, 48): "large",
}
"""Channels and blocks of SAM 2's image encoders."""
DETECTORS = ("sam3", "sam3_lite_text")
"""Types of SAM 3's detector alone, which takes words and no clicks."""
EFFICIENT_WIDTHS = {192: "ti", 384: "s"}
"""Channels of EfficientSAM's image encoders."""
NECKS = {4: "l0", 8: "l1", 12: "l2"}
"""Blocks in the necks of EfficientViT-SAM's image encoders."""


def architecture_of(  # noqa: PLR0911 - one a family
    config: Mapping[str, Any], state: Mapping[str, Any]
) -> str | None:
    """Return the name of an architecture, or None where it is none of the SAM family.

    Args:
        config: What ``config.json`` says; empty without one.
        state: Tensors, or anything with a ``shape``, by name.
    """
    kind = str(config.get("model_type", ""))
    if kind.startswith("edgetam"):
        return "edgetam"
    if kind in DETECTORS:
        return "sam3-words"
    if kind.startswith("sam3"):
        return "sam3"
    if kind.startswith("sam2"):
        return _sam2(state) or "sam2"
    if kind == "sam_hq":
        found = _from_names(state) or ""
        return found if found.startswith("sam-hq") else "sam-hq"
    if kind in {"", "sam"}:
        return _from_names(state)
    return None


def _from_names(state: Mapping[str, Any]) -> str | None:  # noqa: PLR0911 - one a family
    if _any(state, "detector.", "tracker.", "detector_model."):
        return "sam3"
    if any("spatial_perceiver." in name for name in state):
        return "edgetam"
    if _any(state, "image_encoder.trunk.", "vision_encoder.backbone."):
        return _sam2(state)
    if not _any(state, "mask_decoder."):
        return None
    light = _light(state)
    if light is not None:
        return light
    size = _size(state)
    if not _any(state, "mask_decoder.hf_", "mask_decoder.hq_"):
        return {"tiny": "mobile-sam", "slim-77": "slimsam-77", "slim": "slimsam"}.get(
            size or "", size and f"sam-{size}"
        )
    return f"sam-hq-{size}" if size == "tiny" or (size or "").startswith("vit") else None


def _light(state: Mapping[str, Any]) -> str | None:
    """Return the name of an EfficientSAM or EfficientViT-SAM; None for what is neither."""
    if "prompt_encoder.bbox_top_left_embeddings.weight" in state:
        width = _width(state, "image_encoder.patch_embed.proj")
        return f"efficient-sam-{EFFICIENT_WIDTHS.get(width or 0, 'own')}"
    if _any(state, "image_encoder.backbone.stages."):
        blocks = {
            name.split(".")[4] for name in state
            if name.startswith("image_encoder.neck.middle.op_list.")
        }  # fmt: skip
        return f"efficientvit-sam-{NECKS.get(len(blocks), 'own')}"
    return None


def _size(state: Mapping[str, Any]) -> str | None:
    """Return which image encoder of SAM's it is: ``tiny``, ``slim``, ``vit-b`` and so on."""
    if "image_encoder.patch_embed.seq.0.c.weight" in state:
        return "tiny"
    width = _width(state, "image_encoder.patch_embed.proj", "vision_encoder.patch_embed.projection")
    if width is None:
        return None
    if width in VIT_WIDTHS:
        return f"vit-{VIT_WIDTHS[width]}"
    return "slim-77" if width == SLIM_77_WIDTH else "slim"


def _sam2(state: Mapping[str, Any]) -> str | None:
    width = _width(
        state,
        "image_encoder.trunk.patch_embed.proj",
        "vision_encoder.backbone.patch_embed.projection",
    )
    blocks = {
        name.partition("blocks.")[2].partition(".")[0]
        for name in state
        if name.startswith(("image_encoder.trunk.blocks.", "vision_encoder.backbone.blocks."))
    }
    size = HIERA_SIZES.get((width or 0, len(blocks)))
    return None if size is None else f"sam2-hiera-{size}"


def _width(state: Mapping[str, Any], *layers: str) -> int | None:
    for layer in layers:
        weight = state.get(f"{layer}.weight")
        if weight is not None:
            return int(weight.shape[0])
    return None


def _any(state: Mapping[str, Any], *beginnings: str) -> bool:
    return any(name.startswith(beginnings) for name in state)
