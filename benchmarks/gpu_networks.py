"""Networks of the true architectures with random weights, on disk; small ones to try a script."""

from __future__ import annotations

from pathlib import Path
from typing import Any

VITS: dict[str, dict[str, Any]] = {
    "vit_b": {},
    "vit_h": {
        "channels": 1280, "hidden": 5120, "heads": 16, "depth": 32, "globals_at": (7, 15, 23, 31),
    },
}  # fmt: skip
SAM2 = {"sam2.1_tiny": "sam2.1-hiera-tiny", "sam2.1_large": "sam2.1-hiera-large"}
NETWORKS = (*VITS, *SAM2)
SMALL_VIT: dict[str, Any] = {
    "channels": 64, "hidden": 128, "heads": 4, "depth": 2, "globals_at": (1,), "window": 6,
    "grid": 16,
}  # fmt: skip
SMALL_SIDE = 256


def prepared(name: str, folder: Path, *, quick: bool) -> Path:
    """Write a network's weights and return the path by which it is a model.

    Args:
        name: One of :data:`NETWORKS`.
        folder: Where to; made.
        quick: Whether it is to be a small one of the same architecture.
    """
    import torch

    torch.manual_seed(0)
    folder.mkdir(parents=True)
    if name in SAM2:
        _sam2(SAM2[name], quick=quick).save_pretrained(folder)
        return folder
    from geoiseg.models.sam.network import Sam
    from geoiseg.models.sam.vit import VitEncoder, VitShape

    shape = VitShape(**(SMALL_VIT if quick else VITS[name]))
    path = folder / f"{name}.pth"
    torch.save(Sam(VitEncoder(shape), shape.side).state_dict(), path)
    return path


def _sam2(architecture: str, *, quick: bool) -> Any:
    from transformers import Sam2Config, Sam2Model

    from geoiseg.models.sam.convert_sam2 import sam2_config

    told = sam2_config(architecture)
    told.pop("model_type")
    if quick:
        told = _small_sam2()
    return Sam2Model(Sam2Config(**told)).eval()


def _small_sam2() -> dict[str, Any]:
    """Return what makes a SAM 2 small."""
    backbone = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 16,
        "image_size": [SMALL_SIDE, SMALL_SIDE],
        "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [16, 32, 64, 128],
        "num_attention_heads_per_stage": [1, 2, 4, 8],
        "global_attention_blocks": [3],
        "window_size_per_stage": [8, 4, 8, 4],
    }
    vision = {
        "backbone_config": backbone,
        "backbone_channel_list": [128, 64, 32, 16],
        "backbone_feature_sizes": [[64, 64], [32, 32], [16, 16]],
        "fpn_hidden_size": 32,
    }
    decoder = {"iou_head_hidden_dim": 32, "hidden_size": 32, "mlp_dim": 64,
               "num_attention_heads": 4}  # fmt: skip
    return {
        "vision_config": vision,
        "prompt_encoder_config": {"hidden_size": 32, "image_size": SMALL_SIDE},
        "mask_decoder_config": decoder,
    }
