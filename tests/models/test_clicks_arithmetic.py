"""Parts of click networks that nobody else has, against their arithmetic in double precision."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import softmax

from tests.conftest import needed

torch = needed("torch")

from geoiseg.models.clicks import cdnet, focalclick, simpleclick
from tests.models.by_hand import (
    Numbers,
    State,
    batch_normed,
    convolved,
    doubled,
    gelu,
    one_group,
    relu,
    resized,
    sigmoid,
    state_of,
)
from tests.models.test_clicks_networks import shaken


def given(*shape: int, seed: int) -> tuple[Numbers, Any]:
    """Return a random map as ``(y, x, channel)`` and as torch has it."""
    values = np.random.default_rng(seed).normal(size=shape)
    return values, torch.from_numpy(values.transpose(2, 0, 1)[None])


def same(found: Any, wanted: Numbers) -> None:
    np.testing.assert_allclose(found[0].numpy().transpose(1, 2, 0), wanted, rtol=0, atol=1e-10)


def test_simpleclicks_pyramid_and_head() -> None:
    channels = (8, 16, 24, 40)
    neck = shaken(simpleclick.SimpleFeaturePyramid(36, channels)).double()
    head = shaken(simpleclick.Head(channels, 12)).double()
    x, maps = given(6, 10, 36, seed=1)
    found = neck(maps)
    state = state_of(neck)
    fine = gelu(one_group(state, "down_4.1", doubled(state, "down_4.0", x)))
    fine = one_group(state, "down_4.4", doubled(state, "down_4.3", fine))
    fine = gelu(one_group(state, "down_4.6", convolved(state, "down_4.5", fine)))
    middle = one_group(state, "down_8.1", doubled(state, "down_8.0", x))
    middle = gelu(one_group(state, "down_8.3", convolved(state, "down_8.2", middle)))
    alike = gelu(one_group(state, "down_16.1", convolved(state, "down_16.0", x)))
    coarse = one_group(state, "down_32.1", convolved(state, "down_32.0", x, stride=2))
    coarse = gelu(one_group(state, "down_32.3", convolved(state, "down_32.2", coarse)))
    levels = (fine, middle, alike, coarse)
    for own, wanted in zip(found, levels, strict=True):
        same(own, wanted)
    assert [level.shape[:2] for level in levels] == [(24, 40), (12, 20), (6, 10), (3, 5)]

    state = state_of(head)
    narrowed = (relu(convolved(state, f"convs.{n}.conv", x)) for n, x in enumerate(levels))
    joined = np.concatenate([resized(x, (24, 40), corners=False) for x in narrowed], axis=2)
    fused = relu(convolved(state, "fusion_conv.conv", joined))
    same(head(found), convolved(state, "conv_seg", fused))


def test_focalclicks_refiner() -> None:
    refiner = shaken(focalclick.Refiner(10, gated=True, width=6)).double()
    state = state_of(refiner)
    (image, image_), (clicks, clicks_) = given(18, 26, 3, seed=1), given(18, 26, 2, seed=2)
    (features, features_), (coarse, coarse_) = given(5, 7, 10, seed=3), given(18, 26, 1, seed=4)

    def plain(name: str, x: Numbers, stride: int = 1) -> Numbers:
        return relu(
            batch_normed(state, f"{name}.norm", convolved(state, f"{name}.conv", x, stride))
        )

    def separable(name: str, x: Numbers) -> Numbers:
        x = convolved(state, f"{name}.conv1x1", convolved(state, f"{name}.conv3x3", x))
        return relu(batch_normed(state, f"{name}.norm", x))

    x = plain("image_conv1", np.concatenate([image, clicks, sigmoid(coarse)], axis=2), stride=2)
    x = separable("image_conv3", separable("image_conv2", x))
    assert x.shape == (9, 13, 6)
    x = x + resized(plain("refine_fusion", features), (9, 13), corners=True)
    x = separable("refine_fusion3", separable("refine_fusion2", x))
    finer = resized(convolved(state, "refine_pred", x), (18, 26), corners=True)
    border = sigmoid(resized(convolved(state, "refine_trimap", x), (18, 26), corners=True))
    wanted = finer * border + coarse * (1 - border)
    same(refiner(image_, clicks_, features_, coarse_), wanted)


class Backbone(torch.nn.Module):
    """Stands in for the trunk, which is held against timm's elsewhere."""

    def __init__(self, *maps: Any) -> None:
        super().__init__()
        self.maps = maps

    def forward(self, image: Any, added: Any) -> Any:
        return self.maps


def block(state: State, name: str, x: Numbers, hole: int = 1) -> Numbers:
    """Return a convolution without a bias, batch norm and ReLU in a row."""
    x = convolved(state, f"{name}.0", x, hole=hole)
    return relu(batch_normed(state, f"{name}.1", x))


def separable(state: State, name: str, x: Numbers) -> Numbers:
    x = convolved(state, f"{name}.body.1", convolved(state, f"{name}.body.0", x))
    return relu(batch_normed(state, f"{name}.body.2", x))


def surely_both(state: State, x: Numbers) -> None:
    """Set the gate's last layer so that some places are surely inside, some surely outside."""
    name = "FDM.gate_head_pos.layers.1"
    weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
    said = convolved(state, name, separable(state, "FDM.gate_head_pos.layers.0", x))
    weight *= 3 / said.std()  # the network's own: the arrays are its memory
    bias -= said.mean()
    bias *= 3 / said.std()


def diffused(state: State, x: Numbers, clicks: Numbers) -> Numbers:
    """Return features spread from the clicks of each sign, place by place."""
    shape, flat = x.shape, x.reshape(-1, x.shape[2])
    gate = separable(state, "FDM.gate_head_pos.layers.0", x)
    inside = sigmoid(convolved(state, "FDM.gate_head_pos.layers.1", gate)).reshape(-1)
    asked, told, spread = (flat @ state[f"FDM.{name}.weight"][:, :, 0, 0].T for name in "tpg")
    out = x
    for sign, (open_, back, norm) in enumerate(((inside, "z", "bn"), (1 - inside, "z2", "bn2"))):
        sure = open_ > 0.8
        assert 0 < sure.sum() < len(sure)
        weight = clicks[..., sign].reshape(-1) + sure
        seen = np.zeros_like(flat)
        for place, question in enumerate(asked):
            seen[place] = open_[place] * softmax(told @ question * weight) @ spread
        seen = convolved(state, f"FDM.{back}", seen.reshape(shape))
        out = out + batch_normed(state, f"FDM.{norm}", seen)
    return out


def test_cdnets_head_and_feature_diffusion() -> None:
    (fine, fine_), (coarse, coarse_) = given(11, 75, 64, seed=1), given(6, 38, 512, seed=2)
    lab = cdnet.DiffusedDeepLab()
    lab.backbone = Backbone(fine_, coarse_)
    lab = shaken(lab).double()
    state = state_of(lab)
    clicks, clicks_ = given(44, 300, 2, seed=3)
    clicks, clicks_ = (clicks > 1).astype(float), (clicks_ > 1).double()
    branches = [block(state, "aspp.concurent.0", coarse)]
    branches += [
        block(state, f"aspp.concurent.{n}", coarse, hole) for n, hole in enumerate((12, 24, 36), 1)
    ]
    mean = coarse.mean(axis=(0, 1), keepdims=True)
    mean = convolved(state, "aspp.concurent.4.gap.1", mean)
    mean = relu(batch_normed(state, "aspp.concurent.4.gap.2", mean))
    branches.append(np.broadcast_to(mean, branches[0].shape))
    x = block(state, "aspp.project", np.concatenate(branches, axis=2))
    surely_both(state, x)
    x = diffused(state, x, resized(clicks, (6, 38), corners=True))
    narrow = block(state, "skip_project.skip_project", fine)
    x = np.concatenate([resized(x, (11, 75), corners=True), narrow], axis=2)
    x = separable(state, "head.block.1", separable(state, "head.block.0", x))
    x = convolved(state, "head.block.2", x)
    found = lab(torch.zeros(1), torch.zeros(1), clicks_)
    same(found, x)

    head = shaken(cdnet.SeparableHead(1, cdnet.WIDTH, cdnet.WIDTH // 2, 2)).double()
    state = state_of(head)
    logits = separable(state, "layers.1", separable(state, "layers.0", x))
    same(head(found), convolved(state, "layers.2", logits))
