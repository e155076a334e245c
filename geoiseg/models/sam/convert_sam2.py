"""Meta's own checkpoints of SAM 2, SAM 2.1 and EdgeTAM, in the names that transformers uses.

The names are those of ``convert_sam2_to_hf.py`` and ``convert_edgetam_to_hf.py`` in
https://github.com/huggingface/transformers (Apache-2.0).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Rules = tuple[tuple[str, str], ...]

HEADS: Rules = (
    (r"(_head|_mlps\.\d+)\.layers\.0\.", r"\1.proj_in."),
    (r"(_head|_mlps\.\d+)\.layers\.1\.", r"\1.layers.0."),
    (r"(_head|_mlps\.\d+)\.layers\.2\.", r"\1.proj_out."),
    (r"\.output_upscaling\.0\.", ".upscale_conv1."),
    (r"\.output_upscaling\.1\.", ".upscale_layer_norm."),
    (r"\.output_upscaling\.3\.", ".upscale_conv2."),
    (r"\.mask_downscaling\.0\.", ".mask_embed.conv1."),
    (r"\.mask_downscaling\.1\.", ".mask_embed.layer_norm1."),
    (r"\.mask_downscaling\.3\.", ".mask_embed.conv2."),
    (r"\.mask_downscaling\.4\.", ".mask_embed.layer_norm2."),
    (r"\.mask_downscaling\.6\.", ".mask_embed.conv3."),
    (r"\.pe_layer\.positional_encoding_gaussian_matrix$", ".shared_embedding.positional_embedding"),
)
"""What SAM 2 shares with SAM: prompt encoder and mask decoder."""
RULES: Rules = (
    (r"^sam_prompt_encoder\.", "prompt_encoder."),
    (r"^sam_mask_decoder\.", "mask_decoder."),
    (r"^image_encoder\.neck\.convs\.(\d+)\.conv\.", r"vision_encoder.neck.convs.\1."),
    (r"^image_encoder\.trunk\.body\.", "vision_encoder.backbone.timm_model."),
    (r"^image_encoder\.trunk\.", "vision_encoder.backbone."),
    (r"\.patch_embed\.proj\.", ".patch_embed.projection."),
    (r"(vision_encoder\.backbone\.blocks\.\d+)\.norm", r"\1.layer_norm"),
    (r"(mask_decoder\.transformer\..*)\bnorm", r"\1layer_norm"),
    (r"(mask_decoder\.transformer\..*)\.out_proj\.", r"\1.o_proj."),
    (r"\.mlp\.layers\.0\.", ".mlp.proj_in."),
    (r"\.mlp\.layers\.1\.", ".mlp.proj_out."),
    *HEADS,
    (r"^no_mem_embed$", "no_memory_embedding"),
)
"""Each rule is tried on what the rules before it have made of a name."""
ABOUT_IMAGES = ("vision_encoder.", "prompt_encoder.", "mask_decoder.", "no_memory_embedding")
"""What is needed for a single image; the rest is a video tracker's memory."""
MEMORY: Rules = (
    (r"^memory_encoder\.pix_feat_proj\.", "memory_encoder.feature_projection."),
    (r"^memory_encoder\.out_proj\.", "memory_encoder.projection."),
    (r"^memory_encoder\.fuser\.", "memory_encoder.memory_fuser."),
    (r"(memory_fuser\..*)\.dwconv\.", r"\1.depthwise_conv."),
    (r"(memory_fuser\..*)\.pwconv(\d)\.", r"\1.pointwise_conv\2."),
    (r"(memory_fuser\..*)\.norm\.", r"\1.layer_norm."),
    (r"(memory_fuser\..*)\.gamma$", r"\1.scale"),
    (r"(mask_downsampler)\.encoder\.12\.", r"\1.final_conv."),
    *((rf"(mask_downsampler)\.encoder\.{3 * n}\.", rf"\1.layers.{n}.conv.") for n in range(4)),
    *(
        (rf"(mask_downsampler)\.encoder\.{3 * n + 1}\.", rf"\1.layers.{n}.layer_norm.")
        for n in range(4)
    ),
    (r"^(memory_attention\..*)\bnorm(\d?)\.", r"\1layer_norm\2."),
    (r"^(memory_attention\..*)\.out_proj\.", r"\1.o_proj."),
    (r"^memory_attention\.norm\.", "memory_attention.layer_norm."),
    (r"^maskmem_tpos_enc$", "memory_temporal_positional_encoding"),
    (r"^no_mem_pos_enc$", "no_memory_positional_encoding"),
    (r"^no_obj_ptr$", "no_object_pointer"),
    (r"^no_obj_embed_spatial$", "occlusion_spatial_embedding_parameter"),
    (r"^obj_ptr_tpos_proj\.", "temporal_positional_encoding_projection_layer."),
    (r"^obj_ptr_proj\.layers\.0\.", "object_pointer_proj.proj_in."),
    (r"^obj_ptr_proj\.layers\.1\.", "object_pointer_proj.layers.0."),
    (r"^obj_ptr_proj\.layers\.2\.", "object_pointer_proj.proj_out."),
)
"""What a video's tracker has beside."""
_CORNERS = re.compile(r"^prompt_encoder\.point_embeddings\.(\d+)\.weight$")
_POSITIONS = "prompt_encoder.shared_embedding.positional_embedding"


def is_meta(state: Mapping[str, Any]) -> bool:
    """Return whether tensors have the names that Meta's code gives them."""
    return any(name.startswith("image_encoder.") for name in state)


def from_meta(state: Mapping[str, Any], *, memory: bool = False) -> dict[str, Any]:
    """Return the tensors of a SAM 2 by the names that transformers uses.

    Args:
        state: Tensors by the names of Meta's code.
        memory: Whether those of a video's tracker are wanted, too; else they are left out.
    """
    import torch

    renamed: dict[str, Any] = {}
    corners: dict[int, Any] = {}
    for name, tensor in state.items():
        new = renamed_by((*RULES, *MEMORY) if memory else RULES, name)
        if not memory and not new.startswith(ABOUT_IMAGES):
            continue
        corner = _CORNERS.match(new)
        if corner is None:
            renamed[new] = tensor
        else:
            corners[int(corner.group(1))] = tensor
    if corners:
        ordered = [corners[n] for n in sorted(corners)]
        renamed["prompt_encoder.point_embed.weight"] = torch.cat(ordered, dim=0)
    if _POSITIONS in renamed:
        renamed["shared_image_embedding.positional_embedding"] = renamed[_POSITIONS]
    return renamed


def renamed_by(rules: Rules, name: str) -> str:
    """Return a tensor's name after all rules."""
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def sam2_config(architecture: str) -> dict[str, Any]:
    """Return what ``config.json`` would say of one of Meta's SAM 2 models.

    Args:
        architecture: ``sam2-hiera-tiny`` and so on, or the same with ``sam2.1``.
    """
    backbone, channels = _HIERA[architecture.partition("hiera-")[2]]
    return {
        "model_type": "sam2",
        "vision_config": {
            "backbone_config": {"model_type": "sam2_hiera_det_model", **backbone},
            "backbone_channel_list": channels,
        },
    }


def sam2_video_config(architecture: str, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same with the memory of a video, which SAM 2.1 has more of than SAM 2.

    Args:
        architecture: As ``sam2_config`` takes it.
        state: Tensors by the names of Meta's code.
    """
    return {
        **sam2_config(architecture),
        "model_type": "sam2_video",
        "enable_occlusion_spatial_embedding": "no_obj_embed_spatial" in state,
        "enable_temporal_pos_encoding_for_object_pointers": "obj_ptr_tpos_proj.weight" in state,
    }


_HIERA: dict[str, tuple[dict[str, Any], list[int]]] = {
    "tiny": ({}, [768, 384, 192, 96]),
    "small": (
        {"blocks_per_stage": [1, 2, 11, 2], "global_attention_blocks": [7, 10, 13]},
        [768, 384, 192, 96],
    ),
    "base-plus": (
        {
            "hidden_size": 112,
            "embed_dim_per_stage": [112, 224, 448, 896],
            "num_attention_heads_per_stage": [2, 4, 8, 16],
            "blocks_per_stage": [2, 3, 16, 3],
            "global_attention_blocks": [12, 16, 20],
            "window_positional_embedding_background_size": [14, 14],
        },
        [896, 448, 224, 112],
    ),
    "large": (
        {
            "hidden_size": 144,
            "embed_dim_per_stage": [144, 288, 576, 1152],
            "num_attention_heads_per_stage": [2, 4, 8, 16],
            "blocks_per_stage": [2, 6, 36, 4],
            "global_attention_blocks": [23, 33, 43],
            "window_size_per_stage": [8, 4, 16, 8],
        },
        [1152, 576, 288, 144],
    ),
}
"""Where each size differs from transformers' defaults, and the channels of its stages."""


def edgetam_config() -> dict[str, Any]:
    """Return what ``config.json`` would say of Meta's EdgeTAM."""
    return {
        "model_type": "edgetam",
        "vision_config": {
            "backbone_config": {
                "model_type": "timm_wrapper",
                "architecture": "repvit_m1",
                "num_classes": 1000,
                "model_args": {"in_chans": 3, "features_only": True, "out_indices": [0, 1, 2, 3]},
            },
        },
    }
