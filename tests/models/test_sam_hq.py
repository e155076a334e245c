"""SAM-HQ: our masks against transformers' own processor and model, and its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import needed

torch = needed("torch")
needed("transformers")

from geoiseg.errors import WeightsError
from geoiseg.models.options import ModelOptions
from geoiseg.models.protocol import BatchModel
from geoiseg.models.sam import load_sam
from geoiseg.models.sam.keys import meta_names
from geoiseg.models.sam.tiny_vit import TinyVitEncoder
from geoiseg.prompting.pixel import PixelPrompts
from tests.small_sams import (
    EXACT,
    PROMPTS,
    SIDE,
    all_valid,
    assert_the_librarys_masks,
    picture,
    relative_error,
    shaken,
    small_hq,
)

META = {
    "hq_token": "hf_token",
    "hq_mask_mlp.layers.0": "hf_mlp.layers.1",
    "hq_mask_mlp.proj_in": "hf_mlp.layers.0",
    "hq_mask_mlp.proj_out": "hf_mlp.layers.2",
    "compress_vit_conv1": "compress_vit_feat.0",
    "compress_vit_norm": "compress_vit_feat.1",
    "compress_vit_conv2": "compress_vit_feat.3",
    "encoder_conv1": "embedding_encoder.0",
    "encoder_norm": "embedding_encoder.1",
    "encoder_conv2": "embedding_encoder.3",
    "mask_conv1": "embedding_maskfeature.0",
    "mask_norm": "embedding_maskfeature.1",
    "mask_conv2": "embedding_maskfeature.3",
}
"""From transformers' names to SAM-HQ's, as far as those are not SAM's."""


def authors_state(state: dict[str, Any]) -> dict[str, Any]:
    """Return tensors as SAM-HQ's own code would save them."""
    renamed = meta_names(state)
    names = {name: name for name in renamed}
    for new, old in META.items():
        for name, so_far in names.items():
            names[name] = so_far.replace(f"mask_decoder.{new}", f"mask_decoder.{old}")
    return {names[name]: tensor.clone() for name, tensor in renamed.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hq")


@pytest.fixture(scope="module")
def theirs(folder: Path) -> Any:
    return small_hq(folder)


@pytest.fixture(scope="module")
def ours(folder: Path, theirs: Any) -> Any:
    return load_sam(folder, None, "hq", EXACT)


@pytest.fixture(scope="module")
def processor() -> Any:
    needed("torchvision")
    from transformers import SamHQProcessor, SamImageProcessor

    pad = {"height": SIDE, "width": SIDE}
    return SamHQProcessor(SamImageProcessor(size={"longest_edge": SIDE}, pad_size=pad))


@pytest.mark.parametrize("shape", [(256, 256), (200, 300), (310, 90), (61, 47)])
@pytest.mark.parametrize("kind", PROMPTS)
def test_masks_are_the_librarys(ours: Any, theirs: Any, processor: Any, shape, kind: str) -> None:
    assert_the_librarys_masks(ours, theirs, processor, (shape, kind))


def test_image_features_are_the_librarys(ours: Any, theirs: Any) -> None:
    image = torch.randn(3, SIDE, SIDE)
    with torch.no_grad():
        wanted, early = theirs.get_image_embeddings(image[None])
    (found,) = ours.engine.encode([image.numpy()])
    assert relative_error(found["image"], wanted[0].numpy()) < 1e-5
    assert relative_error(found["early"], early[0][0].numpy()) < 1e-5


def test_a_last_mask_is_handed_to_the_network(ours: Any, theirs: Any) -> None:
    image = picture((256, 256))
    embedding = ours.embed(image, all_valid(image))
    previous = ours.decode(embedding, PROMPTS["box"]).logits[0]
    given = ours._frame((256, 256)).mask_input(np.clip(previous, -32, 32), -8.0)
    half = torch.tensor([[PROMPTS["box"].box]]) - 0.5
    with torch.no_grad():
        out = theirs(
            pixel_values=torch.from_numpy(ours._frame((256, 256)).pixel_values(image))[None],
            input_boxes=half,
            input_masks=torch.from_numpy(given)[None, None],
            multimask_output=False,
        )
    found = ours.decode(embedding, PROMPTS["box"], previous)
    np.testing.assert_allclose(found.scores, out.iou_scores[0, 0].clip(0, 1), atol=1e-4)
    assert np.abs(found.logits[0] - previous).max() > 1e-3


def test_prompts_together_are_answered_as_one_by_one(ours: Any) -> None:
    image = picture((256, 256))
    embedding = ours.embed(image, all_valid(image))
    outlines = [PixelPrompts(mask=picture((256, 256), n)[..., 0] > 128) for n in (5, 6)]
    together = [*PROMPTS.values(), *outlines, PROMPTS["point"]]
    assert isinstance(ours, BatchModel)
    found = ours.decode_batch(embedding, together)
    frame = ours._frame((256, 256))
    for number, prompts in enumerate(together):
        alone = ours.decode(embedding, prompts)
        mine = found.prompts == number
        np.testing.assert_allclose(found.scores[mine], alone.scores, atol=1e-4)
        np.testing.assert_allclose(frame.to_chip(found.logits[mine]), alone.logits, atol=1e-2)


@pytest.mark.usefixtures("bf16")
def test_half_precision_is_close_and_says_so(folder: Path, ours: Any) -> None:
    rough = load_sam(folder, None, "hq", ModelOptions(device="cpu", precision="bf16"))
    assert rough.info.weights_hash == ours.info.weights_hash + "+bf16"
    image = picture((256, 256))
    exact, close = (model.embed(image, all_valid(image)) for model in (ours, rough))
    for name, array in close.arrays.items():
        assert array.dtype == np.float16
        assert 0 < relative_error(array, exact.arrays[name]) < 2e-2
    assert rough.decode(close, PROMPTS["box"]).logits.dtype == np.float32


def test_the_authors_own_checkpoint_becomes_the_same_model(tmp_path: Path) -> None:
    from transformers import SamHQConfig, SamHQModel

    vision = {"num_hidden_layers": 2, "global_attn_indexes": [1], "image_size": SIDE}
    theirs = shaken(
        SamHQModel(SamHQConfig(vision_config=vision, prompt_encoder_config={"image_size": SIDE}))
    )
    theirs.shared_image_embedding = theirs.prompt_encoder.shared_embedding
    state = authors_state(theirs.state_dict())
    assert "mask_decoder.hf_mlp.layers.1.bias" in state
    assert "mask_decoder.embedding_maskfeature.3.weight" in state
    assert "mask_decoder.transformer.norm_final_attn.weight" in state
    assert not [name for name in state if "hq" in name or "proj_in" in name]
    torch.save(state, tmp_path / "sam_hq_vit_b.pth")
    ours = load_sam(tmp_path / "sam_hq_vit_b.pth", "sam-hq-vit-b", "hq", EXACT)
    own = ours.engine.model.state_dict()
    for name, tensor in theirs.state_dict().items():
        if not name.startswith("vision_encoder."):
            assert torch.equal(own[name], tensor), name
    image = torch.randn(3, SIDE, SIDE)
    with torch.no_grad():
        wanted, early = theirs.get_image_embeddings(image[None])
    (found,) = ours.engine.encode([image.numpy()])
    assert relative_error(found["image"], wanted[0].numpy()) < 1e-5
    assert relative_error(found["early"], early[0][0].numpy()) < 1e-5
    with pytest.raises(WeightsError, match="sam-hq-vit-b, not of sam-vit-b"):
        load_sam(tmp_path / "sam_hq_vit_b.pth", "sam-vit-b", "sam", EXACT)
    state.pop("mask_decoder.hf_token.weight")
    state.pop("image_encoder.blocks.1.attn.qkv.bias")
    torch.save(state, tmp_path / "part.pth")
    with pytest.raises(WeightsError) as error:
        load_sam(tmp_path / "part.pth", None, "hq", EXACT)
    assert "blocks.1.attn.qkv.bias" in str(error.value)
    assert "\n" not in str(error.value)


def test_the_light_one_has_mobile_sams_encoder(tmp_path: Path) -> None:
    from transformers import SamHQConfig, SamHQModel

    encoder = TinyVitEncoder().eval()
    config = SamHQConfig(
        vision_config={"num_hidden_layers": 0}, mask_decoder_config={"vit_dim": 160}
    )
    state = shaken(SamHQModel(config)).state_dict()
    heads = {k: v for k, v in state.items() if not k.startswith("vision_encoder.")}
    heads["vision_encoder."] = torch.zeros(1)  # so that the names are known for transformers'
    state = authors_state(heads)
    state.pop("image_encoder.")
    state |= {
        f"image_encoder.{name}": value.clone() for name, value in encoder.state_dict().items()
    }
    torch.save(state, tmp_path / "sam_hq_vit_tiny.pth")
    ours = load_sam(tmp_path / "sam_hq_vit_tiny.pth", "sam-hq-tiny", "sam-hq-tiny", EXACT)
    assert ours.info.licence == "Apache-2.0"
    image = picture((300, 400))
    embedding = ours.embed(image, all_valid(image))
    assert embedding.arrays["early"].shape == (64, 64, 160)
    values = torch.from_numpy(ours._frame((300, 400)).pixel_values(image))[None]
    with torch.no_grad():
        early = encoder.layers[1](encoder.layers[0](encoder.patch_embed(values)))
        whole = encoder(values)
    assert relative_error(embedding.arrays["early"], early[0].permute(1, 2, 0).numpy()) < 1e-4
    assert relative_error(embedding.arrays["image"], whole[0].numpy()) < 1e-4
    assert ours.decode(embedding, PROMPTS["box"]).logits.shape == (1, 300, 400)


def test_a_truncated_file_is_refused_in_one_line(folder: Path, theirs: Any, tmp_path: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError) as error:
        load_sam(tmp_path, None, "cut", EXACT)
    assert "\n" not in str(error.value)
