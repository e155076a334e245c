"""EfficientSAM and EfficientViT-SAM in the catalogue: where they are published, how large."""

from __future__ import annotations

from typing import NamedTuple

EFFICIENT_SAM_PAGE = "https://github.com/yformer/EfficientSAM"
EFFICIENT_SAM_FILES = "https://raw.githubusercontent.com/yformer/EfficientSAM/main/weights"
EFFICIENT_VIT_PAGE = "https://huggingface.co/mit-han-lab/efficientvit-sam"


class LightRow(NamedTuple):
    """A set of weights, under Apache-2.0."""

    name: str
    family: str
    parameters: int
    """To the last one."""
    bytes: int
    """What its tensors take."""
    file: str
    page: str
    url: str = ""
    """Empty where the page has it in an archive."""


def _light(size: str, parameters: int, count: int) -> LightRow:
    file = f"efficientvit_sam_{size}.pt"
    return LightRow(f"efficientvit-sam-{size}", "efficientvit-sam", parameters, count, file,
                    EFFICIENT_VIT_PAGE, f"{EFFICIENT_VIT_PAGE}/resolve/main/{file}")  # fmt: skip


LIGHT_ROWS = (
    LightRow("efficient-sam-ti", "efficient-sam", 10_223_204, 40_900_000, "efficient_sam_vitt.pt",
             EFFICIENT_SAM_PAGE, f"{EFFICIENT_SAM_FILES}/efficient_sam_vitt.pt"),
    LightRow("efficient-sam-s", "efficient-sam", 26_413_028, 105_700_000, "efficient_sam_vits.pt",
             EFFICIENT_SAM_PAGE),
    _light("l0", 34_792_784, 139_300_000),
    _light("l1", 47_650_128, 190_800_000),
    _light("l2", 61_328_592, 245_600_000),
)  # fmt: skip
