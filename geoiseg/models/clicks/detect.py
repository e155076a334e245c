"""Which click network a checkpoint is, told from the names and shapes of its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FAMILIES = ("ritm", "simpleclick", "focalclick", "cdnet", "dos")
"""How the names of their architectures begin."""
HRNETS = {(18, 48): "h18s", (18, 64): "h18", (32, 128): "h32"}
"""By width and width of object context."""
VITS = {160: "xt", 768: "b", 1024: "l", 1280: "h"}
"""By width."""
MIXES = {32: "b0", 64: "b3"}
"""By width of the first stage."""


def click_architecture(state: Mapping[str, Any]) -> str | None:
    """Return the name of a click network's architecture, or None where it is none.

    Args:
        state: Tensors, or anything with a ``shape``, by name.
    """
    if "patch_embed_coords.proj.weight" in state:
        size = VITS.get(_width(state, "patch_embed_coords.proj.weight") or 0)
        return size and f"simpleclick-vit-{size}"
    if "feature_extractor.FDM.t.weight" in state:
        return "cdnet-resnet34"
    if "conv1_1.weight" in state and "score_fr.weight" in state:
        return "dos-fcn8s"
    if "feature_extractor.backbone.patch_embed_side1.proj.weight" in state:
        width = _width(state, "feature_extractor.backbone.patch_embed1.proj.weight")
        size = MIXES.get(width or 0)
        return size and f"focalclick-segformer-{size}"
    size = _hrnet(state)
    if size is None:
        return None
    refined = any(name.startswith("refiner.") for name in state)
    return f"focalclick-hr{size.replace('h', 'net', 1)}" if refined else f"ritm-{size}"


def _hrnet(state: Mapping[str, Any]) -> str | None:
    width = _width(state, "feature_extractor.transition1.0.0.weight")
    context = _width(state, "feature_extractor.conv3x3_ocr.0.weight")
    return HRNETS.get((width or 0, (context or 0) // 2))


def _width(state: Mapping[str, Any], name: str) -> int | None:
    weight = state.get(name)
    return None if weight is None or not weight.shape else int(weight.shape[0])
