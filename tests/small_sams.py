"""Small networks of SAM's kind with random weights, saved as transformers saves them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

SIDE = 256
"""Pixels along a side of the small networks' square; their masks have a quarter of it."""
HEADS: dict[str, Any] = {"hidden_size": 32, "mlp_dim": 64, "num_attention_heads": 4}


def shaken(model: Any, seed: int = 0) -> Any:
    """Return a model with weights of a size that makes its masks definite, not all noise."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, noise in model.named_buffers():
            if "positional_embedding" in name:
                noise.normal_()
        for name, weight in model.named_parameters():
            fan_in = weight[0].numel() if weight.ndim > 1 else 0
            if "embed" in name or "token" in name:
                weight.normal_(0, 0.7)
            elif fan_in:
                weight.normal_(0, 1.2 / fan_in**0.5)
            elif name.endswith("bias"):
                weight.normal_(0, 0.1)
            else:
                weight.uniform_(0.8, 1.2)
    return model.eval()


def sam2_parts() -> dict[str, Any]:
    from transformers import (
        Sam2HieraDetConfig,
        Sam2MaskDecoderConfig,
        Sam2PromptEncoderConfig,
        Sam2VisionConfig,
    )

    backbone = Sam2HieraDetConfig(
        hidden_size=16,
        image_size=[SIDE, SIDE],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[16, 32, 64, 128],
        num_attention_heads_per_stage=[1, 2, 4, 8],
        global_attention_blocks=[3],
        window_size_per_stage=[8, 4, 8, 4],
    )
    vision = Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[128, 64, 32, 16],
        backbone_feature_sizes=[[64, 64], [32, 32], [16, 16]],
        fpn_hidden_size=32,
    )
    return {
        "vision_config": vision,
        "prompt_encoder_config": Sam2PromptEncoderConfig(hidden_size=32, image_size=SIDE),
        "mask_decoder_config": Sam2MaskDecoderConfig(iou_head_hidden_dim=32, **HEADS),
    }


def small_sam2(folder: Path) -> Any:
    """Save a SAM 2 into a folder and return it."""
    from transformers import Sam2Config, Sam2Model

    model = shaken(Sam2Model(Sam2Config(**sam2_parts())))
    model.save_pretrained(folder)
    return model


def picture(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Return ``(y, x, 3)`` uint8: soft blobs and some noise."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.uniform(0, 255, (1, 3, 7, 9)).astype(np.float32))
    smooth = torch.nn.functional.interpolate(coarse, shape, mode="bicubic")[0].numpy()
    noisy = smooth + rng.normal(0, 6, smooth.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8).transpose(1, 2, 0)


def iou(one: np.ndarray, other: np.ndarray) -> float:
    """Return the IoU of two masks; 1 if both are empty."""
    union = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / union if union else 1.0


def relative_error(found: np.ndarray, wanted: np.ndarray) -> float:
    """Return the norm of the difference relative to the norm of what is wanted."""
    gap = np.linalg.norm(found.astype(np.float64) - wanted)
    return float(gap / np.linalg.norm(wanted.astype(np.float64)))


def assert_same_mask(logits: np.ndarray, wanted: np.ndarray) -> None:
    """Compare two masks, and their halves above the median: random masks may be nearly empty."""
    assert logits.shape == wanted.shape
    for level in (0.0, float(np.median(wanted))):
        assert iou(logits > level, wanted > level) > 0.995
