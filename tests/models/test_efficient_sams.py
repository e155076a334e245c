"""EfficientSAM and EfficientViT-SAM: counts, names, and blocks against independent ones."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import needed

torch = needed("torch")

from torch.nn import functional

from geoiseg.errors import ModelError, WeightsError
from geoiseg.models.options import ModelOptions
from geoiseg.models.sam import load_sam
from geoiseg.models.sam.efficient_sam import POINTS, EfficientSam, EfficientSamShape, filled_up
from geoiseg.models.sam.efficient_vit import (
    EfficientVitEncoder,
    EfficientVitShape,
    LinearAttention,
)
from geoiseg.models.sam.light import HalfFrame
from geoiseg.models.sam.network import Sam, with_eps
from geoiseg.models.weights.catalogue import CATALOGUE
from geoiseg.prompting.pixel import PixelPrompts
from tests.small_sams import (
    EXACT,
    PROMPTS,
    all_valid,
    iou,
    picture,
    relative_error,
    shaken,
)

NARROW = EfficientVitShape(widths=(8, 8, 16, 16, 32), depths=(1, 1, 1, 1, 1), neck=1, out=32)
SMALL = EfficientSamShape(channels=64, depth=2, out=32, hidden=64)
VITS = {"l0": EfficientVitShape(), "l1": EfficientVitShape(depths=(1, 1, 1, 6, 6), neck=8),
        "l2": EfficientVitShape(depths=(1, 2, 2, 8, 8), neck=12)}  # fmt: skip
PUBLISHED = {"l0": 34.8, "l1": 47.7, "l2": 61.3}
"""Millions of parameters, from the table on the authors' page."""


def statistics(model: Any) -> None:
    """Give batch norms something to do."""
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)


def saved_efficient_vit(folder: Path) -> Path:
    """Save a narrow EfficientViT-SAM as its authors do, and return the file."""
    torch.manual_seed(3)
    model = shaken(with_eps(Sam(EfficientVitEncoder(NARROW), 1024)))
    statistics(model)
    path = folder / "efficientvit_sam_own.pt"
    torch.save(model.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = saved_efficient_vit(tmp_path_factory.mktemp("vit"))
    return load_sam(path, None, "small", EXACT)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("efficient") / "efficient_sam.pt"
    torch.manual_seed(3)
    torch.save({"model": shaken(EfficientSam(SMALL)).state_dict()}, path)
    return path


@pytest.fixture(scope="module")
def small(file: Path) -> Any:
    return load_sam(file, None, "small", EXACT)


@pytest.mark.parametrize("size", VITS)
def test_efficient_vit_has_as_many_parameters_as_published(size: str) -> None:
    with torch.device("meta"):
        network = Sam(EfficientVitEncoder(VITS[size]), 1024)
    count = sum(int(p.numel()) for p in network.parameters())
    assert count / 1e6 == pytest.approx(PUBLISHED[size], abs=0.06)
    assert count == CATALOGUE[f"efficientvit-sam-{size}"].parameters
    assert EfficientVitShape.of(network.state_dict()) == VITS[size]


@pytest.mark.parametrize(("size", "channels", "millions"), [("ti", 192, 10.2), ("s", 384, 26.4)])
def test_efficient_sam_has_as_many_parameters_as_published(
    size: str, channels: int, millions: float
) -> None:
    shape = EfficientSamShape(channels=channels)
    with torch.device("meta"):
        network = EfficientSam(shape)
    count = sum(int(p.numel()) for p in network.parameters())
    assert count == CATALOGUE[f"efficient-sam-{size}"].parameters
    assert count / 1e6 == pytest.approx(millions, abs=0.1)
    assert EfficientSamShape.of(network.state_dict()) == shape


def test_the_backbone_is_timms() -> None:
    timm = needed("timm")
    with torch.no_grad():
        theirs = timm.create_model("efficientvit_l1", pretrained=False, num_classes=0)
        theirs.head = torch.nn.Identity()
        ours = EfficientVitEncoder(VITS["l1"]).backbone
        source, target = theirs.state_dict(), ours.state_dict()
        assert len(source) == len(target)
        shaken(ours)
        statistics(ours)
        # Both list their layers in the order in which they are run.
        pairs = list(zip(source, ours.state_dict().items(), strict=True))
        assert all(source[name].shape == value.shape for name, (_, value) in pairs)
        theirs.load_state_dict({name: value for name, (_, value) in pairs})
        theirs.eval()
        for module in theirs.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eps = 1e-6
            elif type(module).__name__ == "LiteMLA":
                module.eps = 1e-15
        pixels = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        wanted = theirs.forward_features(pixels)
        found = ours.eval()(pixels)[-1]
    assert relative_error(found.numpy(), wanted.numpy()) < 1e-4


def test_linear_attention_is_attention_by_its_formula() -> None:
    torch.manual_seed(0)
    layer = shaken(LinearAttention(64)).eval()
    statistics(layer)
    x = torch.randn(1, 64, 5, 6)
    with torch.no_grad():
        own = layer.qkv(x)
        both = torch.cat([own, layer.aggreg[0](own)], 1)
        seen = []
        for head in both[0].flatten(1).split(96):
            q, k, v = head[:32].relu(), head[32:64].relu(), head[64:]
            weights = q.T @ k  # every pixel with every other
            seen.append(((weights / weights.sum(1, keepdim=True).clamp(min=1e-12)) @ v.T).T)
        wanted = layer.proj(torch.cat(seen).reshape(1, -1, 5, 6))
        found = layer(x)
    assert relative_error(found.numpy(), wanted.numpy()) < 1e-4


def test_the_neck_sums_three_levels(vit: Any) -> None:
    encoder = vit.engine.network.image_encoder
    maps = [torch.randn(1, width, 512 // 2**n, 512 // 2**n)
            for n, width in enumerate(NARROW.widths, 1)]  # fmt: skip
    neck = encoder.neck
    with torch.no_grad():
        parts = [layer(maps[-1 - n]) for n, layer in enumerate(neck.input_ops)]
        laid = [functional.interpolate(part, (64, 64), mode="bicubic") for part in parts]
        middle = sum(laid)
        for block in neck.middle.op_list:
            middle = middle + block.main(middle)
        wanted = neck.output_ops[0](middle)
        found = neck(maps)
    assert parts[2].shape[-1] == 64  # which needs no growing
    assert relative_error(found.numpy(), wanted.numpy()) < 1e-5


def test_efficient_vit_answers_on_a_chip_of_any_shape(vit: Any) -> None:
    assert vit.info.family == "efficientvit-sam"
    assert vit.info.chip_size == 512
    for shape in ((120, 200), (512, 512)):
        image = picture(shape)
        frame = vit._frame(shape)
        assert isinstance(frame, HalfFrame)
        assert vit.pixel_values(image, all_valid(image)).shape == (3, 512, 512)
        embedding = vit.embed(image, all_valid(image))
        assert embedding.arrays["features"].shape == (32, 64, 64)
        masks = vit.decode(embedding, PROMPTS["point"])
        assert masks.logits.shape == (3, *shape)
    # Prompts lie in a square twice as large as the image: the corner is the corner.
    assert np.allclose(vit._frame((512, 512)).to_network(np.array([[512.0, 512.0]])), 1023.5)


def test_the_decoder_has_the_authors_small_number(vit: Any) -> None:
    norms = [m for m in vit.engine.network.modules() if isinstance(m, torch.nn.LayerNorm)]
    assert norms
    assert {norm.eps for norm in norms} == {1e-6}


# -- EfficientSAM ------------------------------------------------------------------------


def test_the_encoders_blocks_are_timms(small: Any) -> None:
    block_type = needed("timm.models.vision_transformer").Block
    ours = small.engine.network.image_encoder.blocks[0]
    norm = partial(torch.nn.LayerNorm, eps=1e-6)
    theirs = block_type(64, 1, qkv_bias=True, norm_layer=norm)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(1, 9, 64)
    with torch.no_grad():
        assert relative_error(ours(x).numpy(), theirs.eval()(x).numpy()) < 1e-5


def test_places_between_are_bicubic(small: Any) -> None:
    import cv2

    encoder = small.engine.network.image_encoder
    learned = encoder.pos_embed[0, 1:].reshape(14, 14, -1)
    assert torch.equal(encoder.places(14, 14)[0], learned.reshape(196, -1))
    laid = encoder.places(64, 64)[0].reshape(64, 64, -1).numpy()
    for channel in (0, 17):
        plane = np.ascontiguousarray(learned[..., channel].numpy())
        wanted = cv2.resize(plane, (64, 64), interpolation=cv2.INTER_CUBIC)
        np.testing.assert_allclose(laid[..., channel], wanted, atol=2e-3)


def test_prompts_are_filled_up_to_six_and_cut_down_to_six() -> None:
    xy = torch.arange(20.0).reshape(1, 10, 2)
    labels = torch.tensor([[1, 0, 1, 1, 1, 1, 1, 1, 2, 3]])
    kept, said = filled_up(xy, labels)
    assert kept.shape == (1, POINTS, 2)
    assert said.tolist() == [[1, 1, 1, 1, 2, 3]]
    assert kept[0, :, 0].tolist() == [0, 10, 12, 14, 16, 18]
    few, of_few = filled_up(xy[:, :2], torch.tensor([[1, -1]]))
    assert of_few.tolist() == [[1, -1, -1, -1, -1, -1]]
    assert few[0, 1:].unique().tolist() == [-1]


def test_the_decoders_first_layer_keeps_what_it_was_given(small: Any) -> None:
    layers = small.engine.network.mask_decoder.transformer.layers
    tokens, image = torch.randn(1, 5, 32), torch.randn(1, 16, 32)
    places, silent = torch.randn(1, 16, 32), torch.zeros(1, 5, 32)
    with torch.no_grad():
        first, second = (layer(tokens, image, silent, places) for layer in layers)
        attended = layers[0].self_attn(tokens, tokens, tokens)
        start = layers[0].norm1(tokens + attended)
        seen = layers[0].cross_attn_token_to_image(start, image + places, image)
        middle = layers[0].norm2(start + seen)
        wanted = layers[0].norm3(middle + layers[0].mlp(middle))
    assert relative_error(first[0].numpy(), wanted.numpy()) < 1e-5
    assert relative_error(second[0].numpy(), first[0].numpy()) > 1e-3


def test_efficient_sam_answers(small: Any) -> None:
    assert small.info.family == "efficient-sam"
    image = picture((200, 300))
    embedding = small.embed(image, all_valid(image))
    vague = small.decode(embedding, PROMPTS["point"])
    assert vague.logits.shape == (3, 200, 300)
    assert (np.diff(vague.scores) <= 0).all()
    clear = small.decode(embedding, PROMPTS["box"])
    assert clear.logits.shape == (1, 200, 300)
    # The mask before is nothing to it, and is no reason to fail.
    again = small.decode(embedding, PROMPTS["box"], vague.logits[0])
    assert np.array_equal(again.logits, clear.logits)
    together = small.decode_batch(embedding, [PROMPTS["box"], PROMPTS["point"], PROMPTS["both"]])
    assert np.bincount(together.prompts).tolist() == [1, 3, 1]
    many = PixelPrompts(np.linspace(20, 180, 18).reshape(9, 2), np.ones(9, bool))
    assert small.decode(embedding, many).logits.shape == (1, 200, 300)


def test_names_tell_what_it_is(file: Path, tmp_path: Path) -> None:
    state = torch.load(file, weights_only=True)["model"]
    state.pop("mask_decoder.iou_token.weight")
    broken = tmp_path / "broken.pt"
    torch.save(state, broken)
    with pytest.raises(WeightsError, match=r"holds no whole EfficientSAM.*iou_token"):
        load_sam(broken, None, "x", EXACT)
    with pytest.raises(WeightsError, match="not of sam-vit-b"):
        load_sam(file, "sam-vit-b", "x", EXACT).info  # noqa: B018
    with pytest.raises(ModelError, match="take 'torch'"):
        load_sam(file, None, "x", replace(EXACT, backend="openvino"))
    assert load_sam(file, None, "x", ModelOptions("cpu", "fp32")).info.parameters > 1e5


def test_masks_follow_the_prompt(vit: Any) -> None:
    image = picture((256, 256))
    embedding = vit.embed(image, all_valid(image))
    one, other = (
        vit.decode(embedding, PixelPrompts(box=box)).logits[0]
        for box in ((10.0, 10.0, 90.0, 90.0), (120.0, 130.0, 240.0, 250.0))
    )
    assert iou(one > np.median(one), other > np.median(other)) < 0.999
