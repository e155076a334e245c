"""Small networks of SAM's kind with random weights, saved as transformers saves them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from geoiseg.models.options import ModelOptions
from geoiseg.prompting.pixel import PixelPrompts
from tests.conftest import needed

SIDE = 256
"""Pixels along a side of the small networks' square; their masks have a quarter of it."""
HEADS: dict[str, Any] = {"hidden_size": 32, "mlp_dim": 64, "num_attention_heads": 4}

EXACT = ModelOptions(device="cpu", precision="fp32")
PROMPTS = {
    "point": PixelPrompts(np.array([[20.25, 31.5]]), np.array([True])),
    "points": PixelPrompts(np.array([[20.0, 31.0], [35.5, 12.25]]), np.array([True, False])),
    "box": PixelPrompts(box=(7.0, 11.5, 40.0, 44.0)),
    "both": PixelPrompts(np.array([[20.0, 31.0]]), np.array([True]), box=(7.0, 11.5, 40.0, 44.0)),
}


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


def all_valid(image: np.ndarray) -> np.ndarray:
    return np.ones(image.shape[:2], bool)


def squash_processor(side: int = SIDE, kind: str = "Sam2") -> Any:
    """Return transformers' processor for networks with a square of ``side`` pixels."""
    needed("torchvision")
    import transformers

    size = {"height": side, "width": side}
    images = getattr(transformers, f"{kind.removesuffix('Tracker')}ImageProcessor")(size=size)
    return getattr(transformers, f"{kind}Processor")(images)


def library_inputs(processor: Any, image: np.ndarray, prompts: PixelPrompts) -> dict[str, Any]:
    """Ask the library for the same: it counts from the centre of a pixel of the square."""
    side = processor.target_size
    scale = np.array([side, side]) / image.shape[1::-1]
    if isinstance(processor.image_processor.size.get("longest_edge"), int):
        content = processor.image_processor._get_preprocess_shape(image.shape[:2], side)
        scale = np.array(content[::-1]) / image.shape[1::-1]
    half = 0.5 / scale
    asked: dict[str, Any] = {}
    if len(prompts.points):
        asked["input_points"] = [[(prompts.points - half).tolist()]]
        asked["input_labels"] = [[prompts.positive.astype(int).tolist()]]
    if prompts.box is not None:
        asked["input_boxes"] = [[(np.array(prompts.box) - np.tile(half, 2)).tolist()]]
    return dict(processor(images=image, return_tensors="pt", **asked))


def assert_the_librarys_masks(
    ours: Any, theirs: Any, processor: Any, case: tuple[tuple[int, int], str]
) -> None:
    """Compare what both make of the same pixels and prompts."""
    shape, kind = case
    image, prompts = picture(shape), PROMPTS[kind]
    inputs = library_inputs(processor, image, prompts)
    sizes = [inputs.pop("original_sizes")]
    if "reshaped_input_sizes" in inputs:
        sizes.append(inputs.pop("reshaped_input_sizes"))
        # Pillow and torchvision round differently: close, but random weights amplify it.
        values = torch.from_numpy(ours._frame(shape).pixel_values(image))[None]
        assert (values - inputs["pixel_values"]).abs().max() < 0.06
        inputs["pixel_values"] = values
    with torch.no_grad():
        out = theirs(**inputs, multimask_output=kind == "point")
    (wanted,) = processor.post_process_masks(list(out.pred_masks), *sizes, binarize=False)
    scores = out.iou_scores[0, 0].numpy()
    order = np.argsort(-scores)
    found = ours.decode(ours.embed(image, all_valid(image)), prompts)
    assert found.logits.shape == (3 if kind == "point" else 1, *shape)
    np.testing.assert_allclose(found.scores, np.clip(scores[order], 0, 1), atol=1e-4)
    for mine, reference in zip(found.logits, wanted[0].numpy()[order], strict=True):
        assert_same_mask(mine, reference)


def small_edgetam(folder: Path) -> Any:
    """Save an EdgeTAM with its true image encoder into a folder and return it."""
    from transformers import (
        EdgeTamConfig,
        EdgeTamMaskDecoderConfig,
        EdgeTamModel,
        EdgeTamPromptEncoderConfig,
        EdgeTamVisionConfig,
        TimmWrapperConfig,
    )

    layers = {"in_chans": 3, "features_only": True, "out_indices": [0, 1, 2, 3]}
    vision = EdgeTamVisionConfig(
        backbone_config=TimmWrapperConfig(architecture="repvit_m1", model_args=layers),
        backbone_feature_sizes=[[64, 64], [32, 32], [16, 16]],
        fpn_hidden_size=32,
    )
    config = EdgeTamConfig(
        vision_config=vision,
        prompt_encoder_config=EdgeTamPromptEncoderConfig(hidden_size=32, image_size=SIDE),
        mask_decoder_config=EdgeTamMaskDecoderConfig(iou_head_hidden_dim=32, **HEADS),
    )
    model = shaken(EdgeTamModel(config))
    model.save_pretrained(folder)
    return model


def small_hq(folder: Path) -> Any:
    """Save a SAM-HQ into a folder and return it."""
    from transformers import SamHQConfig, SamHQModel

    vision = {
        "hidden_size": 32,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "global_attn_indexes": [1, 3],
        "window_size": 6,
        "image_size": SIDE,
        "output_channels": 32,
        "num_pos_feats": 16,
    }
    config = SamHQConfig(
        vision_config=vision,
        prompt_encoder_config={"hidden_size": 32, "image_size": SIDE},
        mask_decoder_config={"iou_head_hidden_dim": 32, "vit_dim": 32, **HEADS},
    )
    model = shaken(SamHQModel(config))
    model.shared_image_embedding.positional_embedding.data.copy_(
        model.prompt_encoder.shared_embedding.positional_embedding
    )
    model.save_pretrained(folder)
    return model


SIDE_3 = 112
"""Pixels along a side of the small SAM 3's square: eight of its patches."""


def small_sam3(folder: Path) -> Any:
    """Save a SAM 3, with tracker and detector, and a tokenizer of few words; return it."""
    from transformers import Sam3VideoConfig, Sam3VideoModel

    vit = {
        "model_type": "sam3_vit_model",
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": SIDE_3,
        "patch_size": 14,
        "window_size": 4,
        "global_attn_indexes": [1],
        "pretrain_image_size": 56,
    }
    vision = {
        "model_type": "sam3_vision_model",
        "backbone_config": vit,
        "fpn_hidden_size": 32,
        "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
    }
    part = {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 64}
    text = {
        "model_type": "clip_text_model",
        "vocab_size": 600,
        "hidden_size": 32,
        "intermediate_size": 64,
        "projection_dim": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 32,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 1,
    }
    detector = {
        "model_type": "sam3",
        "vision_config": vision,
        "text_config": text,
        "geometry_encoder_config": {"num_layers": 1, **part},
        "detr_encoder_config": {"num_layers": 1, **part},
        "detr_decoder_config": {"num_layers": 2, "num_queries": 12, **part},
        "mask_decoder_config": {"hidden_size": 32, "num_attention_heads": 4},
    }
    tracker = {
        "model_type": "sam3_tracker_video",
        "vision_config": vision,
        "prompt_encoder_config": {"hidden_size": 32, "image_size": SIDE_3},
        "mask_decoder_config": {"iou_head_hidden_dim": 32, **HEADS},
        "image_size": SIDE_3,
        "memory_attention_hidden_size": 32,
        "memory_attention_num_layers": 1,
        "memory_attention_feed_forward_hidden_size": 32,
        "memory_encoder_hidden_size": 32,
        "memory_encoder_output_channels": 8,
        "mask_downsampler_embed_dim": 32,
        "memory_fuser_embed_dim": 32,
        "memory_fuser_intermediate_dim": 32,
        "memory_fuser_num_layers": 1,
    }
    config = Sam3VideoConfig(detector_config=detector, tracker_config=tracker)
    model = shaken(Sam3VideoModel(config))
    model.save_pretrained(folder)
    few_words(folder)
    return model


def small_lite_text(folder: Path) -> Any:
    """Save a SAM 3 LiteText, a detector with a light text encoder, and return it."""
    from transformers import Sam3LiteTextConfig, Sam3LiteTextModel

    vit = {
        "model_type": "sam3_vit_model", "hidden_size": 32, "intermediate_size": 64,
        "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": SIDE_3, "patch_size": 14,
        "window_size": 4, "global_attn_indexes": [1], "pretrain_image_size": 56,
    }  # fmt: skip
    vision = {
        "model_type": "sam3_vision_model", "backbone_config": vit, "fpn_hidden_size": 32,
        "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
    }  # fmt: skip
    part = {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 64}
    text = {
        "vocab_size": 600, "hidden_size": 32, "intermediate_size": 64, "projection_dim": 32,
        "num_hidden_layers": 3, "num_attention_heads": 2, "max_position_embeddings": 16,
    }  # fmt: skip
    config = Sam3LiteTextConfig(
        vision_config=vision,
        text_config=text,
        geometry_encoder_config={"num_layers": 1, **part},
        detr_encoder_config={"num_layers": 1, **part},
        detr_decoder_config={"num_layers": 2, "num_queries": 12, **part},
        mask_decoder_config={"hidden_size": 32, "num_attention_heads": 4},
    )
    model = shaken(Sam3LiteTextModel(config))
    model.save_pretrained(folder)
    few_words(folder)
    return model


def few_words(folder: Path) -> None:
    """Save a tokenizer of CLIP's kind that knows letters and a few words."""
    from transformers import CLIPTokenizer

    letters = [chr(n) for n in range(ord("a"), ord("z") + 1)]
    words = ["field", "water", "visual"]
    merges: list[tuple[str, str]] = []
    for word in words:
        parts = [*word[:-1], f"{word[-1]}</w>"]
        while len(parts) > 1:
            merges.append((parts[0], parts[1]))
            parts = [parts[0] + parts[1], *parts[2:]]
    names = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{c}</w>" for c in letters)]
    names += ["".join(pair) for pair in merges]
    vocabulary = {name: n for n, name in enumerate(dict.fromkeys(names))}
    CLIPTokenizer(vocab=vocabulary, merges=list(dict.fromkeys(merges))).save_pretrained(folder)
