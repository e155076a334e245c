"""Click networks of the catalogue, as rows: what they are, where they are published, terms."""

from __future__ import annotations

from typing import NamedTuple

RITM_RELEASE = "https://github.com/saic-vul/ritm_interactive_segmentation/releases/download/v1.0"
RITM_PAGE = "https://github.com/SamsungLabs/ritm_interactive_segmentation"
SIMPLECLICK_PAGE = "https://github.com/uncbiag/SimpleClick"
CLICKSEG_PAGE = "https://github.com/alibaba/ClickSEG"

MAE_NOTICE = (
    "SimpleClick's authors publish these weights under MIT, but trained them on from those of MAE,"
    " which Meta licenses under CC BY-NC 4.0, for non-commercial use; read"
    " https://github.com/facebookresearch/mae."
)
MIX_NOTICE = (
    "FocalClick's authors publish these weights under MIT, but trained them on from those of"
    " SegFormer, whose NVIDIA Source Code License allows non-commercial use only; read"
    " https://github.com/NVlabs/SegFormer."
)
FROM_MAE, FROM_MIX = "MIT, from CC-BY-NC", "MIT, from NVIDIA-NC"


class ClickRow(NamedTuple):
    """A set of weights of a click network."""

    name: str
    """Also that of its architecture."""
    parameters: int
    """To the last one, with those that only training uses."""
    bytes: int
    """Of the file; rounded as published, or what its tensors take."""
    file: str
    page: str
    url: str = ""
    """Empty where the page hands it to people only, through a drive."""
    licence: str = "MIT"
    notice: str = ""


def _ritm(name: str, parameters: int, size: int, file: str) -> ClickRow:
    return ClickRow(name, parameters, size, file, RITM_PAGE, f"{RITM_RELEASE}/{file}")


CLICK_ROWS = (
    _ritm("ritm-h18s", 4_220_047, 17_300_000, "coco_lvis_h18s_itermask.pth"),
    _ritm("ritm-h18", 10_032_019, 40_700_000, "coco_lvis_h18_itermask.pth"),
    _ritm("ritm-h32", 30_951_363, 124_800_000, "coco_lvis_h32_itermask.pth"),
    ClickRow("simpleclick-vit-xt", 4_053_577, 16_300_000, "cocolvis_vit_xtiny.pth",
             SIMPLECLICK_PAGE),
    ClickRow("simpleclick-vit-b", 98_025_513, 392_200_000, "cocolvis_vit_base.pth",
             SIMPLECLICK_PAGE, licence=FROM_MAE, notice=MAE_NOTICE),
    ClickRow("simpleclick-vit-l", 324_206_377, 1_296_900_000, "cocolvis_vit_large.pth",
             SIMPLECLICK_PAGE, licence=FROM_MAE, notice=MAE_NOTICE),
    ClickRow("simpleclick-vit-h", 662_184_793, 2_648_900_000, "cocolvis_vit_huge.pth",
             SIMPLECLICK_PAGE, licence=FROM_MAE, notice=MAE_NOTICE),
    ClickRow("focalclick-hrnet18s-s1", 4_231_377, 17_390_000, "hrnet18s_S1_cclvs.pth",
             CLICKSEG_PAGE),
    ClickRow("focalclick-hrnet18s-s2", 4_231_377, 17_390_000, "hrnet18s_S2_cclvs.pth",
             CLICKSEG_PAGE),
    ClickRow("focalclick-hrnet32-s2", 30_967_813, 124_900_000, "hrnet32_S2_cclvs.pth",
             CLICKSEG_PAGE),
    ClickRow("focalclick-segformer-b0-s1", 3_740_773, 15_080_000, "segformerB0_S1_cclvs.pth",
             CLICKSEG_PAGE, licence=FROM_MIX, notice=MIX_NOTICE),
    ClickRow("focalclick-segformer-b0-s2", 3_740_773, 15_080_000, "segformerB0_S2_cclvs.pth",
             CLICKSEG_PAGE, licence=FROM_MIX, notice=MIX_NOTICE),
    ClickRow("focalclick-segformer-b3-s2", 45_687_941, 183_040_000, "segformerB3_S2_cclvs.pth",
             CLICKSEG_PAGE, licence=FROM_MIX, notice=MIX_NOTICE),
    ClickRow("cdnet-resnet34", 23_465_815, 94_080_000, "cdnet_resnet34_cclvs.pth",
             CLICKSEG_PAGE),
)  # fmt: skip
"""Sizes in the pages' MB are of 1024 kilobytes of 1024."""
