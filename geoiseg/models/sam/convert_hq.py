"""SAM-HQ's own checkpoints in the names and the configuration that transformers uses.

The names are those of ``convert_samhq_to_hf.py`` in
https://github.com/huggingface/transformers (Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from geoiseg.errors import WeightsError
from geoiseg.models.sam.convert_sam2 import HEADS, Rules, is_meta, renamed_by

RULES: Rules = (
    (r"^mask_decoder\.hf_token\.", "mask_decoder.hq_token."),
    (r"^mask_decoder\.hf_mlp\.layers\.0\.", "mask_decoder.hq_mask_mlp.proj_in."),
    (r"^mask_decoder\.hf_mlp\.layers\.1\.", "mask_decoder.hq_mask_mlp.layers.0."),
    (r"^mask_decoder\.hf_mlp\.layers\.2\.", "mask_decoder.hq_mask_mlp.proj_out."),
    (r"\.compress_vit_feat\.0\.", ".compress_vit_conv1."),
    (r"\.compress_vit_feat\.1\.", ".compress_vit_norm."),
    (r"\.compress_vit_feat\.3\.", ".compress_vit_conv2."),
    (r"\.embedding_encoder\.0\.", ".encoder_conv1."),
    (r"\.embedding_encoder\.1\.", ".encoder_norm."),
    (r"\.embedding_encoder\.3\.", ".encoder_conv2."),
    (r"\.embedding_maskfeature\.0\.", ".mask_conv1."),
    (r"\.embedding_maskfeature\.1\.", ".mask_norm."),
    (r"\.embedding_maskfeature\.3\.", ".mask_conv2."),
    (r"(mask_decoder\.transformer\..*)\bnorm", r"\1layer_norm"),
    *HEADS,
    (r"\.point_embeddings\.", ".point_embed."),
)
"""Each rule is tried on what the rules before it have made of a name."""
ENCODER = ("image_encoder.", "vision_encoder.")
"""How the names of the image encoder's tensors begin, by SAM-HQ's and by transformers' names."""
_POSITIONS = "prompt_encoder.shared_embedding.positional_embedding"
_SAME = "shared_image_embedding.positional_embedding"
_EARLY = "mask_decoder.compress_vit_conv1.weight"


def decoder_of(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tensors of prompt encoder and mask decoder by transformers' names.

    Args:
        state: All tensors of a checkpoint, by either names.
    """
    rules = RULES if is_meta(state) else ()
    ours = {
        renamed_by(rules, name): tensor
        for name, tensor in state.items()
        if name.startswith(("prompt_encoder.", "mask_decoder.", _SAME))
    }
    for one, other in ((_POSITIONS, _SAME), (_SAME, _POSITIONS)):
        if one in ours:
            ours.setdefault(other, ours[one])
    return ours


def decoder_config(decoder: Mapping[str, Any], side: int, where: str) -> dict[str, Any]:
    """Return what ``config.json`` would say of a SAM-HQ, with an image encoder of no blocks.

    Args:
        decoder: Tensors by transformers' names.
        side: Pixels along a side of the network's image.
        where: Where they came from, for messages.

    Raises:
        WeightsError: A tensor is missing that shows a size.
    """
    try:
        early = int(decoder[_EARLY].shape[0])
        hidden, features = (
            int(size) for size in (decoder[_POSITIONS].shape[1] * 2, decoder[_POSITIONS].shape[1])
        )
        wide = int(decoder["mask_decoder.transformer.layers.0.mlp.lin1.weight"].shape[0])
        estimate = int(decoder["mask_decoder.iou_prediction_head.proj_in.weight"].shape[0])
    except KeyError as error:
        raise WeightsError(f"{where} lacks the tensor {error.args[0]!r} of a SAM-HQ") from error
    return {
        "model_type": "sam_hq",
        "vision_config": {
            "num_hidden_layers": 0,
            "hidden_size": features * 2,
            "num_pos_feats": features,
            "output_channels": hidden,
            "image_size": side,
            "global_attn_indexes": [],
        },
        "prompt_encoder_config": {"hidden_size": hidden, "image_size": side},
        "mask_decoder_config": {
            "hidden_size": hidden,
            "vit_dim": early,
            "mlp_dim": wide,
            "iou_head_hidden_dim": estimate,
        },
    }
