"""Click networks: counts against published ones, blocks against others' implementations."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np
import pytest

from tests.conftest import needed

torch = needed("torch")
needed("timm")
needed("transformers")
needed("torchvision")

from torch import nn

from geoiseg.models.clicks import cdnet, dos, focalclick, mix_transformer, ritm, simpleclick
from geoiseg.models.clicks.hrnet import ObjectAttention, gathered
from geoiseg.models.clicks.maps import disks, distances
from geoiseg.models.weights.click_rows import CLICK_ROWS

BUILDERS = {
    **{f"ritm-{k}": partial(ritm.Ritm, v) for k, v in ritm.SIZES.items()},
    **{
        f"simpleclick-{k}": partial(simpleclick.SimpleClick, v)
        for k, v in simpleclick.SIZES.items()
    },
    "focalclick-hrnet18s-s1": partial(
        focalclick.FocalHrnet, focalclick.HRNETS["hrnet18s"], small=True
    ),
    "focalclick-hrnet18s-s2": partial(focalclick.FocalHrnet, focalclick.HRNETS["hrnet18s"]),
    "focalclick-hrnet32-s2": partial(focalclick.FocalHrnet, focalclick.HRNETS["hrnet32"]),
    "focalclick-segformer-b0-s1": partial(
        focalclick.FocalSegformer, mix_transformer.SIZES["segformer-b0"], small=True
    ),
    "focalclick-segformer-b0-s2": partial(
        focalclick.FocalSegformer, mix_transformer.SIZES["segformer-b0"]
    ),
    "focalclick-segformer-b3-s2": partial(
        focalclick.FocalSegformer, mix_transformer.SIZES["segformer-b3"]
    ),
    "cdnet-resnet34": cdnet.CDNet,
}
PUBLISHED_MILLIONS = {"ritm-h18s": 4.22, "ritm-h18": 10.03, "ritm-h32": 30.95}
"""As SimpleClick's paper gives them; of RITM's networks all parameters are used."""
PUBLISHED_MEBIBYTES = {
    "ritm-h18s": 16.5, "ritm-h18": 38.8, "ritm-h32": 119,
    "focalclick-hrnet18s-s1": 16.58, "focalclick-hrnet18s-s2": 16.58, "focalclick-hrnet32-s2": 119.11,
    "focalclick-segformer-b0-s1": 14.38, "focalclick-segformer-b0-s2": 14.38,
    "focalclick-segformer-b3-s2": 174.56, "cdnet-resnet34": 89.72,
}  # fmt: skip
"""Sizes of the files in the pages of RITM and ClickSEG."""


@cache
def empty(name: str) -> Any:
    with torch.device("meta"):
        return BUILDERS[name]()


def shaken(module: Any, seed: int = 0) -> Any:
    """Return it for inference, every weight and statistic different from what it starts with."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if not tensor.is_floating_point() or name.endswith("kernel"):
                continue
            noise = torch.randn(tensor.shape, generator=generator)
            if "running_var" in name:
                tensor.copy_(1 + 0.2 * noise.abs())
            elif tensor.ndim > 1:
                tensor.copy_(noise * (tensor[0].numel() ** -0.5))
            else:
                tensor.add_(0.1 * noise)
    return module.eval().requires_grad_(False)


def random(*shape: int, seed: int = 1) -> Any:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def near(ours: Any, theirs: Any, limit: float = 2e-5) -> None:
    ours, theirs = ours.detach(), theirs.detach()
    assert ours.shape == theirs.shape
    assert float((ours - theirs).abs().max()) <= limit * max(1.0, float(theirs.abs().max()))


@pytest.mark.parametrize("row", CLICK_ROWS, ids=lambda row: row.name)
def test_counts_and_sizes_are_the_published_ones(row: Any) -> None:
    network = empty(row.name)
    state = network.state_dict()
    assert sum(p.numel() for p in network.parameters()) == row.parameters
    tensors = sum(t.numel() * t.element_size() for t in state.values())
    assert tensors <= row.bytes * 1.001
    if row.name in PUBLISHED_MILLIONS:
        assert round(row.parameters / 1e6, 2) == PUBLISHED_MILLIONS[row.name]
    if row.name in PUBLISHED_MEBIBYTES:
        per_tensor = (PUBLISHED_MEBIBYTES[row.name] * 2**20 - tensors) / len(state)
        assert 0 < per_tensor < 600  # bytes of a name, a shape and the padding of the archive
        assert row.bytes == pytest.approx(PUBLISHED_MEBIBYTES[row.name] * 2**20, rel=3e-3)


def test_a_vision_transformer_counts_what_its_paper_counts() -> None:
    """The paper counts layers that run: neither the classifier, nor positions, nor finer heads."""
    for name, millions in (("vit-xt", 3.72), ("vit-b", 96.46), ("vit-l", 322.18)):
        network = empty(f"simpleclick-{name}")
        idle = ("backbone.head.", "backbone.fc_norm.", "backbone.pos_embed", "backbone.cls_token",
                "head.up_conv")  # fmt: skip
        used = sum(p.numel() for key, p in network.named_parameters() if not key.startswith(idle))
        assert used / 1e6 == pytest.approx(millions, abs=0.011)


def test_dos_counts_what_fcn_does() -> None:
    with torch.device("meta"):
        network = dos.Dos(21)
    fcn8s = 134_489_759  # as counted of VGG-16's and FCN-8s's shapes, 21 classes
    vgg = 14_714_688
    heads = 512 * 4096 * 49 + 4096 + 4096**2 + 4096
    scores = sum(21 * width + 21 for width in (4096, 256, 512)) + 21 * 21 * (16 + 256 + 16)
    assert vgg + heads + scores == fcn8s
    assert sum(p.numel() for p in network.parameters()) == fcn8s + 2 * 64 * 9


class Bilinear(nn.Module):
    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = int(scale)

    def forward(self, x: Any) -> Any:
        size = [side * self.scale for side in x.shape[2:]]
        return nn.functional.interpolate(x, size, mode="bilinear", align_corners=True)


@pytest.mark.parametrize(("size", "theirs"), [("h18s", "hrnet_w18_small_v2"), ("h18", "hrnet_w18")])
def test_the_trunk_is_hrnet(size: str, theirs: str) -> None:
    """Against timm's, whose branches grow by nearest neighbours where RITM's are bilinear."""
    import timm

    ours = shaken(ritm.Ritm(ritm.SIZES[size])).feature_extractor
    other = timm.create_model(theirs, pretrained=False).eval()
    for module in list(other.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Upsample):
                setattr(module, name, Bilinear(child.scale_factor))
    names = set(other.state_dict()) & set(ours.state_dict())
    trunk = {
        n for n in ours.state_dict() if not n.startswith(("conv3x3_ocr", "ocr_", "cls_", "aux_"))
    }
    assert names == trunk
    other.load_state_dict(ours.state_dict(), strict=False)
    image = random(1, 3, 96, 128)
    with torch.no_grad():
        x = torch.relu(other.bn1(other.conv1(image)))
        branches = other.stages(torch.relu(other.bn2(other.conv2(x))))
        size_ = branches[0].shape[2:]
        grown = [
            nn.functional.interpolate(b, size_, mode="bilinear", align_corners=True)
            for b in branches
        ]
        near(ours.trunk(image, torch.zeros(1, 64, 48, 64)), torch.cat(grown, 1))


def test_object_attention_is_its_formula() -> None:
    module = shaken(ObjectAttention(12, 5))
    pixels, scores = random(2, 12, 4, 6), random(2, 1, 4, 6, seed=2)
    objects = gathered(pixels, scores)
    weights = np.exp(scores.numpy().reshape(2, -1))
    weights /= weights.sum(1, keepdims=True)
    expected = np.einsum("np,ncp->nc", weights, pixels.numpy().reshape(2, 12, -1))
    assert np.allclose(objects[..., 0, 0].numpy(), expected, atol=1e-5)
    # One object: whatever is asked, the answer is that object's value.
    answer = module(pixels, objects)
    near(answer, module.f_up(module.f_down(objects)).expand_as(answer))


def test_blocks_of_the_transformer_are_timms() -> None:
    from timm.models.vision_transformer import Block

    ours = shaken(simpleclick.Block(64, 4))
    theirs = Block(64, 4, qkv_bias=True, norm_layer=partial(nn.LayerNorm, eps=1e-6)).eval()
    theirs.load_state_dict(ours.state_dict())
    x = random(2, 30, 64)
    near(ours(x), theirs(x))


def test_windows_attend_to_themselves_alone() -> None:
    size = simpleclick.VitSize(32, 8, 2, neck=(8, 8, 8, 8), head=8)
    network = shaken(simpleclick.PlainVit(size))
    image, added = random(1, 3, 448, 448), random(1, 28 * 28, 32, seed=3)
    rows, columns = np.divmod(np.arange(28 * 28), 28)
    window = torch.from_numpy(rows // 14 * 2 + columns // 14)
    x = network.patch_embed(image) + added + network.pos_embed[:, 1:]
    for number, block in enumerate(network.blocks, 1):
        if number % 2 == 0:
            x = block(x)
            continue
        out = torch.zeros_like(x)
        for which in range(4):
            out[:, window == which] = block(x[:, window == which])
        x = out
    near(network(image, added), x.transpose(1, 2).reshape(1, 32, 28, 28))
    parts = random(3, 28 * 28, 5)
    assert torch.equal(simpleclick.joined(simpleclick.cut(parts, 2), 2), parts)


def test_the_encoder_is_segformers() -> None:
    """Against transformers' own, with an entrance for clicks that adds nothing."""
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    ours = shaken(mix_transformer.SegFormer(mix_transformer.SIZES["segformer-b0"]))
    with torch.no_grad():
        ours.backbone.patch_embed_side1.norm.weight.zero_()
        ours.backbone.patch_embed_side1.norm.bias.zero_()
    config = SegformerConfig(decoder_hidden_size=256, num_labels=1, layer_norm_eps=1e-6,
                             attn_implementation="eager")  # fmt: skip
    theirs = SegformerForSemanticSegmentation(config).eval()
    found = theirs.load_state_dict(_as_transformers(ours.state_dict()), strict=False)
    assert not found.missing_keys
    assert all("side1" in name for name in found.unexpected_keys)
    for module in theirs.modules():  # their patches and reduced keys keep torch's own epsilon
        if isinstance(module, nn.LayerNorm):
            module.eps = 1e-6
    for module in ours.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = 1e-6
    image = random(1, 3, 128, 96)
    with torch.no_grad():
        logits, _ = ours(image, torch.zeros_like(image))
        near(logits, theirs(image).logits, 1e-4)


def _as_transformers(state: dict[str, Any]) -> dict[str, Any]:
    renamed: dict[str, Any] = {}
    for name, tensor in state.items():
        parts = name.split(".")
        if parts[0] == "decode_head":
            new = name.replace("linear_fuse.bn", "batch_norm").replace(
                "linear_fuse.conv", "linear_fuse"
            )
            new = new.replace("linear_pred", "classifier")
            for stage in range(1, 5):
                new = new.replace(f"linear_c{stage}", f"linear_projections.{stage - 1}")
            renamed[new] = tensor
            continue
        if "side1" in name:
            renamed[name] = tensor
            continue
        at = f"segformer.stages.{int(parts[1][-1]) - 1}"
        if parts[1].startswith("patch_embed"):
            inner = {"proj": "proj", "norm": "layer_norm"}[parts[2]]
            renamed[f"{at}.patch_embeddings.{inner}.{parts[3]}"] = tensor
        elif parts[1].startswith("norm"):
            renamed[f"{at}.layer_norm.{parts[2]}"] = tensor
        else:
            renamed |= _block(f"{at}.blocks.{parts[2]}", ".".join(parts[3:]), tensor)
    return renamed


def _block(at: str, rest: str, tensor: Any) -> dict[str, Any]:
    if rest.startswith("attn.kv."):
        halves = zip("kv", tensor.chunk(2), strict=True)
        return {f"{at}.attention.{part}_proj.{rest[8:]}": half for part, half in halves}
    for old, new in (
        ("norm1", "layernorm_before"),
        ("norm2", "layernorm_after"),
        ("attn.q", "attention.q_proj"),
        ("attn.proj", "attention.o_proj"),
        ("attn.sr", "attention.sequence_reduction.sequence_reduction"),
        ("attn.norm", "attention.sequence_reduction.layer_norm"),
    ):
        if rest.startswith(old):
            return {f"{at}.{rest.replace(old, new, 1)}": tensor}
    return {f"{at}.{rest}": tensor}


@pytest.mark.parametrize(
    "window", [(3.0, 40.5, 2.25, 30.0), (0.0, 64.0, 0.0, 48.0), (10.0, 13.0, 5.0, 9.0)]
)
def test_windows_are_taken_out_as_torchvision_does(
    window: tuple[float, float, float, float],
) -> None:
    from torchvision.ops import roi_align

    maps = random(1, 4, 64, 48)
    y0, y1, x0, x1 = window
    theirs = roi_align(maps, torch.tensor([[0, x0, y0, x1, y1]]), (16, 16), aligned=True)
    near(focalclick.taken_out(maps, window, (16, 16)), theirs, 1e-4)


def test_the_dilated_resnet_is_timms() -> None:
    import timm

    ours = shaken(cdnet.DilatedResnet())
    theirs = timm.create_model("resnet34", output_stride=8, pretrained=False).eval()
    missing, strange = theirs.load_state_dict(ours.state_dict(), strict=False)
    assert missing == ["fc.weight", "fc.bias"]
    assert not strange
    image = random(1, 3, 96, 64)
    near(ours(image, torch.zeros(1, 64, 48, 32))[1], theirs.forward_features(image), 1e-4)


def test_dos_is_vgg_and_keeps_the_size() -> None:
    import torchvision

    with torch.device("meta"):
        network = dos.Dos()
    vgg = torchvision.models.vgg16(weights=None).features
    shapes = [tuple(layer.weight.shape) for layer in vgg if isinstance(layer, nn.Conv2d)]
    ours = [
        tuple(getattr(network, f"conv{stage}_{number}").weight.shape)
        for stage, (_, count) in enumerate(dos.STAGES, 1)
        for number in range(1, count + 1)
    ]
    assert ours[0] == (64, 5, 3, 3)
    assert ours[1:] == shapes[1:]
    for rows, columns in ((60, 93), (128, 33)):
        image, clicks = (torch.zeros(1, 3, rows, columns), torch.ones(1, 2, 3))
        logits = network(image.to("meta"), clicks.to("meta"), image[:, :1])
        assert logits.shape == (1, 1, rows, columns)


def test_pixels_are_spread_from_clicks_along_what_looks_alike() -> None:
    image = torch.zeros(1, 3, 40, 40)
    image[..., 20:] = 1.0
    image += 0.01 * random(1, 3, 40, 40)
    clicks = torch.tensor([[[20.0, 10.0, 1.0], [20.0, 30.0, -1.0]]])
    spread = cdnet.PixelDiffusion()(image, torch.zeros(1, 1, 40, 40), disks(clicks, (40, 40), 5))
    assert spread.shape == (1, 1, 40, 40)
    assert (spread[..., 10:30, 2:18] >= 0).all()
    assert (spread[..., 10:30, 22:38] <= 0).all()
    assert spread[..., 20, 17] > 0 > spread[..., 20, 23]


def test_neighbours_are_the_ones_around() -> None:
    x = random(1, 1, 9, 9)
    found = cdnet.Neighbours(cdnet.AROUND)(x)
    assert found.shape == (1, 1, 32, 9, 9)
    at = x[0, 0]
    wanted = [at[3, 3], at[3, 4], at[3, 5], at[4, 3], at[4, 5], at[5, 3], at[5, 4], at[5, 5]]
    assert torch.allclose(found[0, 0, :8, 4, 4], torch.stack(wanted))
    assert torch.allclose(found[0, 0, 8, 4, 4], at[2, 2])
    difference = cdnet.Neighbours(cdnet.AROUND, difference=True)(x)
    assert torch.allclose(difference, x[:, :, None] - found, atol=1e-6)


def test_disks_and_distances_are_exact() -> None:
    clicks = torch.tensor([[[10.0, 12.0, 1.0], [3.0, 4.0, -1.0], [0.0, 0.0, 0.0]]])
    rows, columns = np.mgrid[:20, :30]
    positive = np.hypot(rows - 10, columns - 12)
    negative = np.hypot(rows - 3, columns - 4)
    drawn = disks(clicks, (20, 30), 5)[0].numpy()
    assert np.array_equal(drawn[0], positive <= 5)
    assert np.array_equal(drawn[1], negative <= 5)
    far = distances(clicks[:, :1], (20, 30), 255)[0].numpy()
    assert np.allclose(far[0], positive, atol=1e-4)
    assert (far[1] == 255).all()
