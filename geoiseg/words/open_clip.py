"""CLIP from a checkpoint of open_clip: RemoteCLIP, GeoRSCLIP, and what else was made that way."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geoiseg.errors import WeightsError, require
from geoiseg.models.weights.catalogue import CATALOGUE, CHECKPOINTS
from geoiseg.models.weights.safe_load import load_state
from geoiseg.models.weights.store import file_hash, find, is_here
from geoiseg.words.ranking import ClipRanking

HEAD = 64
"""Channels of an attention head, in all of open_clip's plain vision transformers."""
ACTIVATION = "quick_gelu"
"""What OpenAI trained with; it is not written in a checkpoint."""
VOCABULARIES = ("clip-vit-b-32", "clip-vit-l-14")
"""Weights whose folder holds CLIP's vocabulary, which is the same for all."""

TOWERS = (("visual.transformer.", "vision_model.encoder."), ("transformer.", "text_model.encoder."))
OUTER = {
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.ln_pre.weight": "vision_model.pre_layrnorm.weight",
    "visual.ln_pre.bias": "vision_model.pre_layrnorm.bias",
    "visual.ln_post.weight": "vision_model.post_layernorm.weight",
    "visual.ln_post.bias": "vision_model.post_layernorm.bias",
    "visual.proj": "visual_projection.weight",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
    "text_projection": "text_projection.weight",
    "logit_scale": "logit_scale",
}
"""open_clip's names of what is outside the blocks, and transformers'."""
TURNED = ("visual.proj", "text_projection")
"""Matrices that stand the other way round."""
INNER = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
"""Likewise within a block."""
IGNORED = frozenset({"input_resolution", "context_length", "vocab_size", "attn_mask"})
"""Constants that OpenAI's files carry along."""
_BLOCK = re.compile(r"resblocks\.(\d+)\.(.+)\.(weight|bias)")
_JOINED = re.compile(r"resblocks\.(\d+)\.attn\.in_proj_(weight|bias)")


class OpenClipRanking(ClipRanking):
    """CLIP's ranking with the weights of a checkpoint of open_clip.

    The folder is that of the checkpoint, or the checkpoint itself. Its own vocabulary is taken
    where one lies beside it, else that of one of :data:`VOCABULARIES` that is here.
    """

    @staticmethod
    def digest(folder: Path) -> str:
        """Return the SHA-256 of the checkpoint."""
        return file_hash(checkpoint_in(folder))

    def _load(self, folder: Path) -> tuple[Any, Any]:
        path = checkpoint_in(folder)
        vocabulary = vocabulary_for(path)
        network = network_of(load_state(path), path)
        return network, processor_of(network, vocabulary)


def checkpoint_in(folder: Path) -> Path:
    """Return the checkpoint of a folder, or the file itself.

    Raises:
        WeightsError: There is none, or several.
    """
    if folder.is_file():
        return folder
    found = sorted(path for path in folder.glob("*") if path.suffix in CHECKPOINTS)
    if len(found) != 1:
        what = "several checkpoints" if found else "no checkpoint"
        raise WeightsError(f"{str(folder)!r} has {what}; give one: {', '.join(CHECKPOINTS)}")
    return found[0]


def vocabulary_for(path: Path) -> Path:
    """Return the folder with CLIP's vocabulary for a checkpoint.

    Raises:
        WeightsError: It is nowhere; the message says how to get it.
    """
    here = [path.parent, *(_folder(find(CATALOGUE[n])) for n in VOCABULARIES if _is_here(n))]
    for folder in here:
        if (folder / "tokenizer.json").is_file() or all(
            (folder / name).is_file() for name in ("vocab.json", "merges.txt")
        ):
            return folder
    raise WeightsError(
        f"{path.name} has no vocabulary, without which words mean nothing: put vocab.json and"
        f" merges.txt of CLIP into {path.parent}, or get them with: geoiseg models pull"
        f" {VOCABULARIES[0]} ({CATALOGUE[VOCABULARIES[0]].about})"
    )


def _is_here(name: str) -> bool:
    return is_here(CATALOGUE[name])


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def network_of(state: Mapping[str, Any], path: Path) -> Any:
    """Return transformers' ``CLIPModel`` with the weights of a checkpoint of open_clip.

    Args:
        state: Tensors by open_clip's names.
        path: Of the checkpoint, for messages.

    Raises:
        WeightsError: It is no CLIP with two plain transformers.
    """
    transformers = require("transformers", "text")
    state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    try:
        config = transformers.CLIPConfig(**configuration(state))
        tensors = renamed(state)
        network = transformers.CLIPModel(config)
        network.load_state_dict(tensors, assign=True)
    except KeyError as error:
        raise WeightsError(f"{path} is no CLIP of open_clip: it has no {error.args[0]}") from error
    except (RuntimeError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{path} is no CLIP with two transformers: {reason}") from error
    return network.eval()


def configuration(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``CLIPConfig`` takes, read off the shapes of a checkpoint's tensors.

    Raises:
        KeyError: A tensor is missing.
    """
    width, _, patch, _ = state["visual.conv1.weight"].shape
    cells = state["visual.positional_embedding"].shape[0] - 1
    words, text = state["token_embedding.weight"].shape
    joint = int(state["text_projection"].shape[1])
    return {
        "projection_dim": joint,
        "vision_config": {
            **_tower(state, "visual.transformer.", int(width)),
            "image_size": int(patch) * round(cells**0.5),
            "patch_size": int(patch),
            "projection_dim": joint,
        },
        "text_config": {
            **_tower(state, "transformer.", int(text)),
            "vocab_size": int(words),
            "max_position_embeddings": int(state["positional_embedding"].shape[0]),
            "projection_dim": joint,
            "bos_token_id": int(words) - 2,
            "eos_token_id": int(words) - 1,
            "pad_token_id": int(words) - 1,
        },
    }


def _tower(state: Mapping[str, Any], start: str, width: int) -> dict[str, Any]:
    blocks = {m[1] for n in state if n.startswith(start) and (m := _BLOCK.search(n))}
    return {
        "hidden_size": width,
        "intermediate_size": int(state[f"{start}resblocks.0.mlp.c_fc.weight"].shape[0]),
        "num_hidden_layers": len(blocks),
        "num_attention_heads": max(1, width // HEAD),
        "hidden_act": ACTIVATION,
    }


def renamed(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tensors by transformers' names, 32 bits each.

    Args:
        state: By open_clip's names.

    Raises:
        ValueError: A name is not one of a CLIP with two transformers.
    """
    found: dict[str, Any] = {}
    for name, tensor in state.items():
        if name in IGNORED:
            continue
        values = tensor.float()
        if name in OUTER:
            turned = values.t().contiguous() if name in TURNED else values
            found[OUTER[name]] = turned
            continue
        found |= _in_block(name, values)
    return found


def _in_block(name: str, values: Any) -> dict[str, Any]:
    """Return the tensors of a block that one of open_clip's stands for."""
    for theirs, ours in TOWERS:
        if not name.startswith(theirs):
            continue
        rest = name.removeprefix(theirs)
        if joined := _JOINED.fullmatch(rest):
            return {
                f"{ours}layers.{joined[1]}.self_attn.{part}_proj.{joined[2]}": piece.contiguous()
                for part, piece in zip("qkv", values.chunk(3), strict=True)
            }
        block = _BLOCK.fullmatch(rest)
        if block and block[2] in INNER:
            return {f"{ours}layers.{block[1]}.{INNER[block[2]]}.{block[3]}": values}
    raise ValueError(f"it has {name}, which such a CLIP has not")


def processor_of(network: Any, vocabulary: Path) -> Any:
    """Return what makes a network's inputs of images and words.

    Args:
        network: A ``CLIPModel``.
        vocabulary: Folder with CLIP's tokens.

    Raises:
        WeightsError: The vocabulary can not be read, or is not the network's.
    """
    transformers = require("transformers", "text")
    side = network.config.vision_config.image_size
    text = network.config.text_config
    try:
        tokenizer = transformers.CLIPTokenizer.from_pretrained(
            vocabulary, local_files_only=True, model_max_length=text.max_position_embeddings
        )
    except (OSError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{str(vocabulary)!r} has no readable vocabulary: {reason}") from error
    if len(tokenizer) != text.vocab_size or tokenizer.eos_token_id != text.eos_token_id:
        raise WeightsError(
            f"the vocabulary in {str(vocabulary)!r} has {len(tokenizer)} tokens, the network"
            f" {text.vocab_size}: it is of another model"
        )
    images = transformers.CLIPImageProcessor(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side}
    )
    return transformers.CLIPProcessor(images, tokenizer)
