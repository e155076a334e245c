"""SAM 2: our masks against transformers' own processor and model, and its files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import needed

torch = needed("torch")
needed("transformers")

from hypothesis import given, settings
from hypothesis import strategies as st

from geoiseg.errors import ModelError, PromptError, WeightsError
from geoiseg.models.options import ModelOptions
from geoiseg.models.protocol import BatchModel, Embedding
from geoiseg.models.sam import load_sam
from geoiseg.models.sam.convert_sam2 import from_meta, sam2_config
from geoiseg.models.sam.squash import Squash
from geoiseg.prompting.pixel import PixelPrompts
from tests.small_sams import (
    EXACT,
    PROMPTS,
    SIDE,
    all_valid,
    assert_same_mask,
    assert_the_librarys_masks,
    iou,
    library_inputs,
    picture,
    relative_error,
    sam2_parts,
    shaken,
    small_sam2,
    squash_processor,
)

SHAPES = [(256, 256), (200, 300), (310, 90), (61, 47)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sam2")


@pytest.fixture(scope="module")
def theirs(folder: Path) -> Any:
    return small_sam2(folder)


@pytest.fixture(scope="module")
def ours(folder: Path, theirs: Any) -> Any:
    return load_sam(folder, None, "small", EXACT)


@pytest.fixture(scope="module")
def processor() -> Any:
    return squash_processor()


@pytest.mark.parametrize("shape", SHAPES)
def test_image_features_are_the_librarys(ours: Any, theirs: Any, processor: Any, shape) -> None:
    image = picture(shape)
    inputs = library_inputs(processor, image, PROMPTS["point"])
    with torch.no_grad():
        wanted = theirs.get_image_embeddings(inputs["pixel_values"])
    arrays = ours.embed(image, all_valid(image)).arrays
    assert [array.dtype for array in arrays.values()] == [np.float32] * 3
    for name, level in zip(("fine", "middle", "coarse"), wanted, strict=True):
        assert relative_error(arrays[name], level[0].numpy()) < 1e-4


@pytest.mark.parametrize("kind", PROMPTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_masks_are_the_librarys(ours: Any, theirs: Any, processor: Any, shape, kind) -> None:
    assert_the_librarys_masks(ours, theirs, processor, (shape, kind))


def test_a_last_mask_is_handed_to_the_network(ours: Any, theirs: Any, processor: Any) -> None:
    image, prompts = picture((200, 300)), PROMPTS["points"]
    embedding = ours.embed(image, all_valid(image))
    before = ours.decode(embedding, prompts).logits[0]
    frame = ours.engine.frame((200, 300))
    inputs = library_inputs(processor, image, prompts)
    sizes = inputs.pop("original_sizes")
    given = torch.from_numpy(frame.mask_input(np.clip(before, -32, 32)))[None, None]
    with torch.no_grad():
        out = theirs(**inputs, input_masks=given, multimask_output=False)
    (wanted,) = processor.post_process_masks(list(out.pred_masks), sizes, binarize=False)
    found = ours.decode(embedding, prompts, before).logits[0]
    assert_same_mask(found, wanted[0, 0].numpy())
    assert np.abs(found - before).max() > 1e-3


def test_prompts_together_are_answered_as_one_by_one(ours: Any) -> None:
    image = picture((256, 256))
    embedding = ours.embed(image, all_valid(image))
    outline = PixelPrompts(mask=picture((256, 256), 5)[..., 0] > 128)
    together = [*PROMPTS.values(), outline, *PROMPTS.values()]
    assert isinstance(ours, BatchModel)
    found = ours.decode_batch(embedding, together)
    frame = ours.engine.frame((256, 256))
    assert found.scale == 4.0
    for number, prompts in enumerate(together):
        alone = ours.decode(embedding, prompts)
        mine = found.prompts == number
        np.testing.assert_allclose(found.scores[mine], alone.scores, atol=1e-5)
        np.testing.assert_allclose(frame.to_chip(found.logits[mine]), alone.logits, atol=1e-3)


@pytest.mark.parametrize("shape", [(200, 300), (310, 90)])
def test_batched_masks_lie_where_the_single_ones_do(ours: Any, shape: tuple[int, int]) -> None:
    image = picture(shape)
    embedding = ours.embed(image, all_valid(image))
    found = ours.decode_batch(embedding, [PROMPTS["box"], PROMPTS["points"]])
    for number, prompts in enumerate((PROMPTS["box"], PROMPTS["points"])):
        single = ours.decode(embedding, prompts).logits[0]
        whole = found.logits[number]
        for axis, length in enumerate(shape):
            at = (np.arange(length) + 0.5) / found.scale - 0.5
            low = np.arange(whole.shape[axis])
            lines = np.moveaxis(whole, axis, -1).reshape(-1, len(low))
            lines = np.stack([np.interp(at, low, line) for line in lines])
            rest = whole.shape[1 - axis]
            whole = np.moveaxis(lines.reshape(rest, length), -1, axis)
        level = np.median(single)
        assert iou(whole > level, single > level) > 0.8


@settings(max_examples=40, deadline=None)
@given(rows=st.integers(5, 700), columns=st.integers(5, 700), at=st.tuples(*[st.floats(0, 1)] * 2))
def test_frames_agree_on_where_things_are(rows: int, columns: int, at: tuple[float, float]) -> None:
    frame = Squash((rows, columns))
    xy = np.array(at) * (columns, rows)
    x, y = (frame.to_network(xy) + 0.5).tolist()  # the prompt encoder adds the half
    assert (x, y) == pytest.approx((at[0] * 1024, at[1] * 1024), abs=1e-3)
    centres = (np.arange(256, dtype=np.float32) + 0.5) * 4
    ramps = np.stack(np.broadcast_arrays(centres[None, :], centres[:, None]))
    whole, cropped = frame.to_chip(ramps), frame.crop(ramps)
    for axis, length in ((1, rows), (0, columns)):
        want = np.clip((np.arange(length) + 0.5) * 1024 / length, 2, 1022)
        got = whole[axis, :, 0] if axis else whole[axis, 0]
        np.testing.assert_allclose(got, want, atol=0.2)
        line = cropped[axis, :, 0] if axis else cropped[axis, 0]
        want = np.clip((np.arange(len(line)) + 0.5) * frame.low_scale * 1024 / length, 2, 1022)
        np.testing.assert_allclose(line, want, atol=1e-2)
    assert cropped.shape[1:] == frame.low
    assert (np.array(frame.low) * frame.low_scale >= np.array(frame.shape) - 1e-9).all()


def test_a_mask_prompt_lands_where_it_is() -> None:
    mask = np.zeros((200, 600), bool)
    mask[50:100, 300:450] = True
    low = Squash((200, 600)).mask_input(np.where(mask, 10.0, -10.0))
    v, u = np.nonzero(low > 0)
    assert (v.min(), v.max() + 1, u.min(), u.max() + 1) == (64, 128, 128, 192)


def test_pixels_without_data_do_not_matter(ours: Any) -> None:
    valid = np.ones((200, 300), bool)
    valid[:, 250:] = False
    image, other = picture((200, 300)), picture((200, 300))
    other[~valid] = 255
    one, two = ours.embed(image, valid), ours.embed(other, valid)
    np.testing.assert_array_equal(one.arrays["coarse"], two.arrays["coarse"])


@pytest.mark.usefixtures("bf16")
def test_half_precision_is_close_and_says_so(folder: Path, ours: Any) -> None:
    rough = load_sam(folder, None, "small", ModelOptions(device="cpu", precision="bf16"))
    assert rough.info.weights_hash == ours.info.weights_hash + "+bf16"
    image = picture((256, 256))
    exact, close = (model.embed(image, all_valid(image)) for model in (ours, rough))
    for name, array in close.arrays.items():
        assert array.dtype == np.float16
        assert 0 < relative_error(array, exact.arrays[name]) < 2e-2
    one, two = (m.decode(e, PROMPTS["box"]).logits[0] for m, e in ((rough, close), (ours, exact)))
    assert iou(one > np.median(two), two > np.median(two)) > 0.9
    with pytest.raises(ModelError, match="embed the chip again"):
        ours.decode(close, PROMPTS["box"])


def test_features_kept_in_half_precision_give_the_same_mask(ours: Any) -> None:
    image = picture((256, 256))
    embedding = ours.embed(image, all_valid(image))
    kept = {name: array.astype(np.float16) for name, array in embedding.arrays.items()}
    small = Embedding(embedding.model, embedding.shape, kept)
    one, two = (ours.decode(e, PROMPTS["both"]).logits[0] for e in (embedding, small))
    assert_same_mask(two, one)


def test_it_is_told_what_the_model_is(ours: Any, theirs: Any) -> None:
    info = ours.info
    assert (info.family, info.chip_size, info.takes_text) == ("sam2", SIDE, False)
    assert info.parameters == sum(p.numel() for p in theirs.parameters())
    with pytest.raises(PromptError):
        ours.decode(ours.embed(picture((64, 64)), np.ones((64, 64), bool)), PixelPrompts())


def test_a_video_models_folder_will_do(tmp_path: Path) -> None:
    """Meta's repositories on Hugging Face hold the tracker, of which images need a part."""
    from transformers import Sam2Model, Sam2VideoConfig, Sam2VideoModel

    config = Sam2VideoConfig(
        **sam2_parts(),
        image_size=SIDE,
        memory_attention_hidden_size=32,
        memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=32,
        memory_attention_rope_feat_sizes=[16, 16],
        memory_encoder_hidden_size=32,
        memory_encoder_output_channels=8,
        mask_downsampler_embed_dim=32,
        memory_fuser_embed_dim=32,
        memory_fuser_intermediate_dim=32,
        memory_fuser_num_layers=1,
    )
    shaken(Sam2VideoModel(config)).save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "sam2_video"
    wanted = Sam2Model.from_pretrained(tmp_path).eval()
    ours = load_sam(tmp_path, None, "video", EXACT)
    image = torch.randn(3, SIDE, SIDE)
    with torch.no_grad():
        features = wanted.get_image_embeddings(image[None])
    (found,) = ours.engine.encode([image.numpy()])
    assert relative_error(found["coarse"], features[-1][0].numpy()) < 1e-5


META = {
    "vision_encoder.backbone.": "image_encoder.trunk.",
    "vision_encoder.neck.": "image_encoder.neck.",
    "prompt_encoder.": "sam_prompt_encoder.",
    "mask_decoder.": "sam_mask_decoder.",
    "patch_embed.projection": "patch_embed.proj",
    "neck.convs.0.": "neck.convs.0.conv.",
    "neck.convs.1.": "neck.convs.1.conv.",
    "neck.convs.2.": "neck.convs.2.conv.",
    "neck.convs.3.": "neck.convs.3.conv.",
    "mlp.proj_in": "mlp.layers.0",
    "mlp.proj_out": "mlp.layers.1",
    "layer_norm_final_attn": "norm_final_attn",
    "upscale_conv1": "output_upscaling.0",
    "upscale_layer_norm": "output_upscaling.1",
    "upscale_conv2": "output_upscaling.3",
    "mask_embed.conv1": "mask_downscaling.0",
    "mask_embed.layer_norm1": "mask_downscaling.1",
    "mask_embed.conv2": "mask_downscaling.3",
    "mask_embed.layer_norm2": "mask_downscaling.4",
    "mask_embed.conv3": "mask_downscaling.6",
    ".layer_norm": ".norm",
    "o_proj": "out_proj",
    "no_memory_embedding": "no_mem_embed",
    "shared_embedding.positional_embedding": "pe_layer.positional_encoding_gaussian_matrix",
}
"""From transformers' names to Meta's, read off the latter's own checkpoints."""


def metas_state(model: Any) -> dict[str, Any]:
    """Return a model's tensors as Meta's code would save them, a tracker's memory included."""
    state = {"maskmem_tpos_enc": torch.zeros(7, 1, 1, 64), "no_mem_pos_enc": torch.zeros(1, 1, 256)}
    state["memory_encoder.out_proj.weight"] = torch.zeros(64, 256, 1, 1)
    for new_name, tensor in model.state_dict().items():
        name = str(new_name)
        if name == "shared_image_embedding.positional_embedding":
            continue
        if name == "prompt_encoder.point_embed.weight":
            for corner, row in enumerate(tensor):
                state[f"sam_prompt_encoder.point_embeddings.{corner}.weight"] = row[None].clone()
            continue
        pairs = list(META.items())
        if "hypernetworks" in name or "head." in name:
            pairs = [("layers.0", "layers.1"), ("proj_in", "layers.0"), ("proj_out", "layers.2")]
            pairs.append(("mask_decoder.", "sam_mask_decoder."))
        for new, old in pairs:
            name = name.replace(new, old)
        state[name] = tensor.clone()
    return state


def test_metas_own_checkpoint_becomes_the_same_model(tmp_path: Path) -> None:
    from transformers import Sam2Config, Sam2Model

    theirs = shaken(Sam2Model(Sam2Config(**sam2_config("sam2.1-hiera-tiny"))))
    state = theirs.state_dict()
    state["shared_image_embedding.positional_embedding"].copy_(
        state["prompt_encoder.shared_embedding.positional_embedding"]
    )
    meta = metas_state(theirs)
    assert "sam_mask_decoder.transformer.layers.1.cross_attn_image_to_token.out_proj.bias" in meta
    assert "image_encoder.trunk.blocks.3.mlp.layers.1.weight" in meta
    assert "sam_mask_decoder.pred_obj_score_head.layers.2.bias" in meta
    torch.save({"model": meta}, tmp_path / "sam2.1_hiera_tiny.pt")
    ours = load_sam(tmp_path / "sam2.1_hiera_tiny.pt", "sam2.1-hiera-tiny", "tiny", EXACT)
    found = ours.engine.model.state_dict()
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state)
    assert ours.info.parameters == sum(p.numel() for p in theirs.parameters())
    with pytest.raises(WeightsError, match="sam2-hiera-tiny, not of"):
        load_sam(tmp_path / "sam2.1_hiera_tiny.pt", "sam2.1-hiera-large", "large", EXACT)


MEMORY = 7.461
"""Millions of parameters of the tracker's memory, which published figures include."""


def test_every_size_of_metas_has_its_configuration() -> None:
    from transformers import Sam2Config, Sam2Model

    counts = {}
    for size in ("tiny", "small", "base-plus", "large"):
        with torch.device("meta"):
            model = Sam2Model(Sam2Config(**sam2_config(f"sam2-hiera-{size}")))
        names = set(model.state_dict())
        assert set(from_meta(metas_state(model))) == names
        counts[size] = sum(p.numel() for p in model.parameters()) / 1e6 + MEMORY
    wanted = {"tiny": 38.9, "small": 46, "base-plus": 80.8, "large": 224.4}
    assert counts == pytest.approx(wanted, abs=0.05)


def one_line(error: pytest.ExceptionInfo[WeightsError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    assert len(message) < 500
    return message


def damaged(folder: Path, to: Path, change: Any) -> Path:
    from safetensors.torch import load_file, save_file

    state = load_file(folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    change(state, config)
    to.mkdir()
    save_file(state, to / "model.safetensors")
    (to / "config.json").write_text(json.dumps(config))
    return to


def test_what_is_not_a_sam2_is_refused_in_one_line(
    folder: Path, theirs: Any, tmp_path: Path
) -> None:
    with pytest.raises(WeightsError) as error:
        load_sam(
            damaged(folder, tmp_path / "part", lambda s, c: s.pop("mask_decoder.iou_token.weight")),
            None,
            "part",
            EXACT,
        )
    assert "lacks 1 tensors of a Sam2Model" in one_line(error)
    assert "mask_decoder.iou_token.weight" in one_line(error)

    def narrow(state: dict[str, Any], config: dict[str, Any]) -> None:
        state["mask_decoder.conv_s0.weight"] = torch.zeros(3, 32, 1, 1)

    with pytest.raises(WeightsError, match="of another shape") as error:
        load_sam(damaged(folder, tmp_path / "shape", narrow), None, "shape", EXACT)
    assert "(3, 32, 1, 1)" in one_line(error)

    with pytest.raises(WeightsError) as error:
        load_sam(folder, "edgetam", "edgetam", EXACT)
    one_line(error)
    with pytest.raises(WeightsError) as error:
        load_sam(folder, "sam2.1-hiera-tiny", "tiny", EXACT)
    one_line(error)


def test_a_truncated_file_is_refused_in_one_line(folder: Path, theirs: Any, tmp_path: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError) as error:
        load_sam(tmp_path, None, "cut", EXACT)
    assert str(tmp_path) in one_line(error)


def test_a_configuration_that_makes_no_model_is_refused(
    folder: Path, theirs: Any, tmp_path: Path
) -> None:
    def strange(state: dict[str, Any], config: dict[str, Any]) -> None:
        config["vision_config"]["fpn_hidden_size"] = "many"

    with pytest.raises(WeightsError, match="makes no Sam2Model") as error:
        load_sam(damaged(folder, tmp_path / "strange", strange), None, "strange", EXACT)
    one_line(error)


def test_another_backend_is_refused(folder: Path, theirs: Any) -> None:
    with pytest.raises(ModelError, match="'torch'"):
        load_sam(folder, None, "small", ModelOptions(backend="segment-anything"))
