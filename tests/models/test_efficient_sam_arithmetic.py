"""EfficientSAM, all of it, against its arithmetic in double precision, one prompt at a time.

Written in NumPy from the paper and the layout of the published tensors: of ours it takes nothing
but the tensors and their names.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from tests.conftest import needed

torch = needed("torch")

from geoiseg.models.sam.efficient_sam import EfficientSam, EfficientSamShape
from geoiseg.models.weights.catalogue import CATALOGUE
from tests.models.by_hand import (
    Numbers,
    State,
    convolved,
    doubled,
    gelu,
    linear,
    normed,
    one_group,
    state_of,
)
from tests.small_sams import relative_error, shaken

SHAPE = EfficientSamShape(channels=48, depth=2, head=16, out=32, hidden=40, side=128)
GRID, PATCH, HEADS, POINTS = 8, 16, 8, 6


@pytest.fixture(scope="module")
def network() -> Any:
    return shaken(EfficientSam(SHAPE)).double().requires_grad_(requires_grad=False)


@pytest.fixture(scope="module")
def state(network: Any) -> State:
    return state_of(network)


def attention(q: Numbers, k: Numbers, v: Numbers, heads: int) -> Numbers:
    parts = []
    for asked, kept, fetched in zip(*(np.split(x, heads, axis=1) for x in (q, k, v)), strict=True):
        scores = asked @ kept.T / math.sqrt(asked.shape[1])
        parts.append(softmax(scores, axis=1) @ fetched)
    return np.concatenate(parts, axis=1)


def cubic(have: int, want: int) -> Numbers:
    """Return ``(want, have)`` weights of bicubic resampling (a = -0.75), the border repeated."""
    weights = np.zeros((want, have))
    for row in range(want):
        at = (row + 0.5) * have / want - 0.5
        for tap in range(math.floor(at) - 1, math.floor(at) + 3):
            d = abs(at - tap)
            near = 1.25 * d**3 - 2.25 * d**2 + 1
            far = -0.75 * (d**3 - 5 * d**2 + 8 * d - 4)
            weights[row, min(max(tap, 0), have - 1)] += near if d <= 1 else far
    return weights


def encoded(state: State, pixels: Numbers) -> Numbers:
    """Return ``(y, x, channel)`` features of ``(3, y, x)`` pixels."""
    kernel = state["image_encoder.patch_embed.proj.weight"]
    patches = pixels.reshape(3, GRID, PATCH, GRID, PATCH)
    x = np.einsum("cyixj,dcij->yxd", patches, kernel)
    x = x + state["image_encoder.patch_embed.proj.bias"]
    learned = state["image_encoder.pos_embed"][0, 1:].reshape(14, 14, -1)  # the first: a class
    grow = cubic(14, GRID)
    x = (x + np.einsum("ya,xb,abd->yxd", grow, grow, learned)).reshape(GRID**2, -1)
    for n in range(SHAPE.depth):
        block = f"image_encoder.blocks.{n}"
        qkv = linear(state, f"{block}.attn.qkv", normed(state, f"{block}.norm1", x, 1e-6))
        seen = attention(*np.split(qkv, 3, axis=1), heads=SHAPE.channels // SHAPE.head)
        x = x + linear(state, f"{block}.attn.proj", seen)
        wide = gelu(linear(state, f"{block}.mlp.fc1", normed(state, f"{block}.norm2", x, 1e-6)))
        x = x + linear(state, f"{block}.mlp.fc2", wide)
    x = convolved(state, "image_encoder.neck.0", x.reshape(GRID, GRID, -1))
    x = convolved(state, "image_encoder.neck.2", normed(state, "image_encoder.neck.1", x, 1e-6))
    return normed(state, "image_encoder.neck.3", x, 1e-6)


def where(state: State, xy: Numbers) -> Numbers:
    """Return the random Fourier features of positions in 0..1."""
    matrix = state["prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"]
    angle = 2 * np.pi * ((2 * xy - 1) @ matrix)
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=-1)


def prompted(state: State, said: list[tuple[float, float, int]]) -> Numbers:
    """Return the six tokens of a prompt."""
    kinds = {-1: "invalid_points", 1: "point_embeddings", 2: "bbox_top_left_embeddings",
             3: "bbox_bottom_right_embeddings"}  # fmt: skip
    tokens = []
    for x, y, label in (*said, *[(-1.0, -1.0, -1)] * (POINTS - len(said))):
        token = where(state, (np.array([x, y]) + 0.5) / SHAPE.side)
        if label in kinds:  # a click off the object is known by its place alone
            token = token + state[f"prompt_encoder.{kinds[label]}.weight"][0]
        tokens.append(token)
    return np.stack(tokens)


def looked(state: State, name: str, q: Numbers, k: Numbers, v: Numbers) -> Numbers:
    name = f"mask_decoder.transformer.{name}"
    parts = (linear(state, f"{name}.{of}_proj", x) for of, x in (("q", q), ("k", k), ("v", v)))
    return linear(state, f"{name}.out_proj", attention(*parts, heads=HEADS))


def perceived(state: State, name: str, x: Numbers, depth: int) -> Numbers:
    for n in range(depth):
        x = gelu(linear(state, f"{name}.layers.{n}.0", x))
    return linear(state, f"{name}.fc", x)


def decoded(state: State, features: Numbers, prompt: Numbers) -> tuple[Numbers, Numbers]:
    """Return ``(4, 4 * grid, 4 * grid)`` logits and four expected IoU."""
    steps = (np.arange(GRID) + 0.5) / GRID
    places = where(state, np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2))
    image = features.reshape(GRID**2, -1)
    own = [state["mask_decoder.iou_token.weight"], state["mask_decoder.mask_tokens.weight"]]
    start = tokens = np.concatenate([*own, prompt])
    for n in range(2):
        layer, norms = f"layers.{n}", f"mask_decoder.transformer.layers.{n}.norm"
        tokens = tokens + start if n else tokens
        tokens = tokens + looked(state, f"{layer}.self_attn", tokens, tokens, tokens)
        tokens = normed(state, f"{norms}1", tokens)
        across = f"{layer}.cross_attn_token_to_image"
        tokens = tokens + looked(state, across, tokens + start, image + places, image)
        tokens = normed(state, f"{norms}2", tokens)
        tokens = tokens + perceived(state, f"mask_decoder.transformer.{layer}.mlp", tokens, 1)
        tokens = normed(state, f"{norms}3", tokens)
        back = f"{layer}.cross_attn_image_to_token"
        image = image + looked(state, back, image + places, tokens + start, tokens)
        image = normed(state, f"{norms}4", image)
    last = looked(state, "final_attn_token_to_image", tokens + start, image + places, image)
    tokens = normed(state, "mask_decoder.transformer.norm_final_attn", tokens + last)

    large = image.reshape(GRID, GRID, -1)
    for n in range(2):
        layer = f"mask_decoder.final_output_upscaling_layers.{n}"
        large = doubled(state, f"{layer}.0", large)
        large = gelu(large if n else one_group(state, f"{layer}.1", large))
    heads = (perceived(state, f"mask_decoder.output_hypernetworks_mlps.{n}", tokens[1 + n], 2)
             for n in range(4))  # fmt: skip
    masks = np.stack([large @ head for head in heads])
    return masks, perceived(state, "mask_decoder.iou_prediction_head", tokens[0], 2)


def test_the_encoder_is_its_arithmetic(network: Any, state: State) -> None:
    pixels = np.random.default_rng(0).normal(size=(3, SHAPE.side, SHAPE.side))
    found = network.image_encoder(torch.from_numpy(pixels[None]))[0]
    wanted = encoded(state, pixels).transpose(2, 0, 1)
    assert relative_error(found.numpy(), wanted) < 1e-6  # places are laid out in float32


@pytest.mark.parametrize(
    "said",
    [
        [(30.25, 41.5, 1)],
        [(30.0, 41.0, 1), (120.5, 9.0, 0), (80.0, 110.0, 1)],
        [(17.0, 21.5, 2), (90.0, 104.0, 3)],
        [(30.0, 41.0, 1), (99.0, 12.0, 0), (17.0, 21.5, 2), (90.0, 104.0, 3)],
        [(20.0 * n, 7.0 * n, n % 2) for n in range(6)],
    ],
    ids=["point", "points", "box", "box and points", "six"],
)
def test_masks_and_their_quality_are_the_decoders_arithmetic(
    network: Any, state: State, said: list[tuple[float, float, int]]
) -> None:
    features = np.random.default_rng(1).normal(size=(GRID, GRID, SHAPE.out))
    image = torch.from_numpy(features.transpose(2, 0, 1)[None])
    of_said = np.array(said)
    other = of_said[:, :2] + 3.5  # of a second prompt, as in a batch
    xy = torch.from_numpy(np.stack([of_said[:, :2], other]))
    labels = torch.from_numpy(np.stack([of_said[:, 2]] * 2)).int()
    masks, quality = network.decode(image, xy, labels)
    for n, places in enumerate((of_said[:, :2], other)):
        prompt = [(x, y, label) for (x, y), (_, _, label) in zip(places, said, strict=True)]
        wanted, expected = decoded(state, features, prompted(state, prompt))
        assert relative_error(masks[n].numpy(), wanted) < 1e-10
        assert relative_error(quality[n].numpy(), expected) < 1e-10


@pytest.mark.parametrize(("size", "c"), [("ti", 192), ("s", 384)])
def test_parameters_counted_by_hand(size: str, c: int) -> None:
    def dense(have: int, give: int) -> int:
        return (have + 1) * give

    def cross(inner: int) -> int:
        return 3 * dense(256, inner) + dense(inner, 256)

    block = dense(c, 3 * c) + dense(c, c) + dense(c, 4 * c) + dense(4 * c, c) + 4 * c
    neck = c * 256 + 9 * 256 * 256 + 4 * 256
    encoder = dense(3 * 16 * 16, c) + (14 * 14 + 1) * c + 12 * block + neck
    layer = cross(256) + 2 * cross(128) + dense(256, 2048) + dense(2048, 256) + 8 * 256
    transformer = 2 * layer + cross(128) + 2 * 256
    upscaling = 4 * 256 * 64 + 64 + 2 * 64 + 4 * 64 * 32 + 32
    heads = 4 * (2 * dense(256, 256) + dense(256, 32)) + 2 * dense(256, 256) + dense(256, 4)
    tokens = (4 + 1 + 4) * 256  # kinds of points, the quality's, those of masks
    counted = encoder + transformer + upscaling + heads + tokens
    assert counted == CATALOGUE[f"efficient-sam-{size}"].parameters
