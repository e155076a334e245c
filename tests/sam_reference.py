"""segment-anything's own network with random weights: what ours has to agree with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from geoiseg.models.options import ModelOptions
from tests.conftest import needed

torch = needed("torch")
EXACT = ModelOptions(device="cpu", precision="fp32")


@dataclass(frozen=True)
class Size:
    """A SAM that is small enough for a test, of the true architecture."""

    channels: int = 64
    depth: int = 3
    heads: int = 4
    grid: int = 16
    window: int = 6
    globals_at: tuple[int, ...] = (1,)
    hidden: int = 256


VIT_B = Size(768, 12, 12, 64, 14, (2, 5, 8, 11), 3072)
SLIM_77 = Size(168, 12, 12, 64, 14, (2, 5, 8, 11), 696)


def reference(size: Size = Size(), seed: int = 0) -> Any:
    """Return a ``segment_anything`` network whose every tensor does something."""
    needed("segment_anything")
    from segment_anything import modeling

    torch.manual_seed(seed)
    side = size.grid * 16
    encoder = modeling.ImageEncoderViT(
        img_size=side,
        embed_dim=size.channels,
        depth=size.depth,
        num_heads=size.heads,
        mlp_ratio=size.hidden / size.channels,
        out_chans=256,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
        use_rel_pos=True,
        window_size=size.window,
        global_attn_indexes=size.globals_at,
    )
    whole = (size.grid, size.grid)
    prompts = modeling.PromptEncoder(256, whole, (side, side), 16)
    transformer = modeling.TwoWayTransformer(depth=2, embedding_dim=256, num_heads=8, mlp_dim=2048)
    decoder = modeling.MaskDecoder(transformer_dim=256, transformer=transformer)
    network = modeling.Sam(encoder, prompts, decoder)
    stir(network)
    return network.eval()


def stir(network: Any) -> None:
    """Give weights that begin as zeros or ones values that matter."""
    with torch.no_grad():
        for name, tensor in network.named_parameters():
            if "rel_pos" in name or "pos_embed" in name or "attention_biases" in name:
                tensor.copy_(0.3 * torch.randn_like(tensor))
            elif tensor.ndim == 1 and name.endswith("weight"):
                tensor.copy_(1 + 0.1 * torch.randn_like(tensor))
            elif tensor.ndim == 1:
                tensor.add_(0.1 * torch.randn_like(tensor))
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(0.1 * torch.randn_like(buffer))
            elif name.endswith("running_var"):
                buffer.copy_(0.5 + torch.rand_like(buffer))


def saved(network: Any, folder: Path, name: str = "sam.pth") -> Path:
    """Write the weights as Meta publishes them."""
    path = folder / name
    torch.save(network.state_dict(), path)
    return path


def picture(shape: tuple[int, int], seed: int = 1) -> np.ndarray:
    """Return ``(y, x, 3)`` uint8 with large and small structures."""
    import cv2

    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (6, 5, 3), np.uint8)
    image = cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC).astype(int)
    return np.clip(image + random.integers(-20, 21, image.shape), 0, 255).astype(np.uint8)


def relative_error(ours: Any, theirs: Any) -> float:
    """Return the norm of the difference over the norm of the truth."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))


def iou(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the intersection over the union of two masks."""
    return float((ours & theirs).sum() / max(1, (ours | theirs).sum()))
