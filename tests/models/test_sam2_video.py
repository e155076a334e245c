"""The memory of SAM 2: the same as transformers' own, and objects carried by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely

import geoiseg
from tests.conftest import needed, write_raster

torch = needed("torch")
needed("transformers")

from geoiseg.errors import ModelError
from geoiseg.models import FollowingModel
from geoiseg.models.protocol import Embedding, Masks, ModelInfo
from geoiseg.models.sam.convert_sam2 import from_meta, sam2_video_config
from geoiseg.models.sam.loader import load_sam
from geoiseg.session import CarryOptions
from tests.small_sams import EXACT, HEADS, SIDE, all_valid, picture, shaken, small_sam2

WIDE = 128
"""Width of the small network; pointers to objects come in pieces of 64, two at least."""


def small_video(folder: Path) -> Any:
    """Save a SAM 2 with its memory into a folder, small but built as the real one."""
    from transformers import (
        Sam2HieraDetConfig,
        Sam2VideoConfig,
        Sam2VideoMaskDecoderConfig,
        Sam2VideoModel,
        Sam2VideoPromptEncoderConfig,
        Sam2VisionConfig,
    )

    backbone = Sam2HieraDetConfig(
        hidden_size=16, image_size=[SIDE, SIDE], blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[16, 32, 64, 128], num_attention_heads_per_stage=[1, 2, 4, 8],
        global_attention_blocks=[3], window_size_per_stage=[8, 4, 8, 4],
    )  # fmt: skip
    config = Sam2VideoConfig(
        vision_config=Sam2VisionConfig(
            backbone_config=backbone, backbone_channel_list=[128, 64, 32, 16],
            backbone_feature_sizes=[[64, 64], [32, 32], [16, 16]], fpn_hidden_size=WIDE,
        ),
        prompt_encoder_config=Sam2VideoPromptEncoderConfig(hidden_size=WIDE, image_size=SIDE),
        mask_decoder_config=Sam2VideoMaskDecoderConfig(
            **{**HEADS, "hidden_size": WIDE}, iou_head_hidden_dim=WIDE
        ),
        image_size=SIDE, memory_attention_hidden_size=WIDE, memory_attention_num_layers=2,
        memory_attention_feed_forward_hidden_size=128, memory_encoder_hidden_size=WIDE,
        memory_attention_rope_feat_sizes=[16, 16], mask_downsampler_embed_dim=WIDE,
        memory_fuser_embed_dim=WIDE, memory_fuser_intermediate_dim=128,
    )  # fmt: skip
    model = shaken(Sam2VideoModel(config))
    model.save_pretrained(folder)
    return model


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    folder = tmp_path_factory.mktemp("video")
    theirs = small_video(folder)
    return theirs, load_sam(folder, None, str(folder), EXACT)


def disc(x: float, y: float, radius: float, shape: tuple[int, int]) -> np.ndarray:
    rows, cols = np.mgrid[: shape[0], : shape[1]] + 0.5
    return np.hypot(cols - x, rows - y) < radius


def test_it_follows_as_the_library_does(both: tuple[Any, Any]) -> None:
    needed("torchvision")
    from transformers import Sam2VideoProcessor, Sam2VideoVideoProcessor
    from transformers.models.sam2.image_processing_sam2 import Sam2ImageProcessor

    theirs, ours = both
    assert isinstance(ours, FollowingModel)
    images = [picture((SIDE, SIDE), seed) for seed in range(3)]
    mask = disc(100, 120, 50, (SIDE, SIDE))
    found = ours.follow([(image, all_valid(image)) for image in images], mask)
    size = {"height": SIDE, "width": SIDE}
    kind = Sam2VideoProcessor(
        image_processor=Sam2ImageProcessor(size=size),
        video_processor=Sam2VideoVideoProcessor(size=size),
    )
    session = kind.init_video_session(video=[*images], dtype=torch.float32)
    kind.add_inputs_to_inference_session(session, 0, 1, input_masks=mask)
    theirs(inference_session=session, frame_idx=0)
    outs = list(theirs.propagate_in_video_iterator(session))
    assert len(found) == 2
    for one, out in zip(found, outs[1:], strict=True):
        wanted = torch.nn.functional.interpolate(
            out.pred_masks, (SIDE, SIDE), mode="bilinear", align_corners=False
        )[0, 0].numpy()
        assert np.abs(one.logits[0] - wanted).max() < 1e-2 * max(1.0, np.abs(wanted).max())
        said = torch.sigmoid(out.object_score_logits).item()
        assert one.scores[0] == pytest.approx(said, abs=1e-4)
    changed = ours.follow([(one, all_valid(one)) for one in images], disc(200, 60, 30, mask.shape))
    assert not np.allclose(changed[-1].logits, found[-1].logits)  # it is what it remembers
    short = ours.follow(
        [(images[0], all_valid(images[0])), (images[2], all_valid(images[2]))], mask
    )
    assert not np.allclose(short[-1].logits, found[-1].logits)
    with pytest.raises(ModelError, match="of one shape"):
        ours.follow([(images[0], all_valid(images[0]))], mask[:9])


def test_one_without_a_memory_is_no_follower(tmp_path: Path) -> None:
    small_sam2(tmp_path)
    assert not isinstance(load_sam(tmp_path, None, str(tmp_path), EXACT), FollowingModel)


def metas_memory() -> list[str]:
    """Return the names that Meta's code gives the tensors of the memory of SAM 2.1."""
    both = ("weight", "bias")
    names = ["maskmem_tpos_enc", "no_mem_embed", "no_mem_pos_enc", "no_obj_ptr"]
    names += ["no_obj_embed_spatial"]
    layers = [f"memory_attention.layers.{n}" for n in range(4)]
    parts = [f"{one}.{a}.{p}_proj" for one in layers for a in ("self_attn", "cross_attn_image")
             for p in ("q", "k", "v", "out")]  # fmt: skip
    parts += [f"{one}.{p}" for one in layers
              for p in ("linear1", "linear2", "norm1", "norm2", "norm3")]  # fmt: skip
    parts += ["memory_attention.norm", "mask_downsample", "obj_ptr_tpos_proj"]
    parts += [f"memory_encoder.mask_downsampler.encoder.{n}"
              for n in (0, 1, 3, 4, 6, 7, 9, 10, 12)]  # fmt: skip
    parts += ["memory_encoder.pix_feat_proj", "memory_encoder.out_proj"]
    parts += [f"obj_ptr_proj.layers.{n}" for n in range(3)]
    for n in range(2):
        fuser = f"memory_encoder.fuser.layers.{n}"
        parts += [f"{fuser}.{p}" for p in ("dwconv", "norm", "pwconv1", "pwconv2")]
        names.append(f"{fuser}.gamma")
    return [*names, *(f"{part}.{end}" for part in parts for end in both)]


def test_metas_names_are_those_of_the_real_network() -> None:
    from transformers import Sam2VideoConfig, Sam2VideoModel

    state = dict.fromkeys(metas_memory(), torch.zeros(1))
    state["obj_ptr_tpos_proj.weight"] = torch.zeros(1)
    config = sam2_video_config("sam2.1-hiera-tiny", state)
    with torch.device("meta"):
        network = Sam2VideoModel(Sam2VideoConfig.from_dict(config))
    images = ("vision_encoder", "prompt_encoder", "mask_decoder", "shared_image_embedding")
    wanted = {name for name in network.state_dict() if not name.startswith(images)}
    assert set(from_meta(state, memory=True)) == wanted
    early = sam2_video_config("sam2-hiera-tiny", {})
    assert not early["enable_occlusion_spatial_embedding"]
    assert not early["enable_temporal_pos_encoding_for_object_pointers"]


def test_objects_are_carried_by_the_networks_memory(both: tuple[Any, Any], tmp_path: Path) -> None:
    _, model = both
    paths = [
        write_raster(tmp_path / f"l_{year}.tif", picture((120, 140), year).transpose(2, 0, 1))
        for year in (2001, 2002)
    ]
    session = geoiseg.Session(paths[0], model)
    lake = shapely.Point(500_140, 4_499_880).buffer(60)
    session.add_features(gpd.GeoDataFrame({"label": ["lake"]}, geometry=[lake], crs=32631))
    carried = session.carry(paths[1])
    assert carried.drifts[0].how == "memory"
    colours = session.carry(paths[1], options=CarryOptions(how="colours"))
    assert colours.drifts[0].how == "colours"


class Bright:
    """Sees what is bright and touches where the object was: right where a lake shines."""

    def __init__(self) -> None:
        self.info = ModelInfo("bright", "classic", "Apache-2.0", "for tests", 256, "1")
        self.shown: list[int] = []

    def embed(self, image, valid):
        return Embedding("bright:1", valid.shape, {"image": image})

    def decode(self, embedding, prompts, previous=None):
        bright = embedding.arrays["image"].mean(2) > 130
        return Masks(np.where(bright, 8, -8).astype(np.float32)[None], np.array([0.9], np.float32))

    def follow(self, pictures, mask):
        self.shown.append(len(pictures))
        return [Masks(np.where(image.mean(2) > 130, 8, -8).astype(np.float32)[None],
                      np.array([0.8], np.float32)) for image, _ in pictures[1:]]  # fmt: skip


def test_forwards_and_backwards_the_outline_lies_where_the_object_is(tmp_path: Path) -> None:
    from affine import Affine

    y, x = np.mgrid[:120, :140] + 0.5
    paths, lakes = [], []
    for number, (year, corner) in enumerate([(2003, 0), (2002, 40), (2001, -20)]):
        east = 500_000 + 2 * corner  # rasters do not begin at one place
        middle = 70 + 3 * number
        there = np.hypot(x + corner - middle, y - 60) < 25
        image = np.where(there, 200, 60) + np.random.default_rng(year).normal(0, 3, (3, 120, 140))
        place = Affine(2, 0, east, 0, -2, 4_500_000)
        paths.append(write_raster(tmp_path / f"l_{year}.tif", image.clip(1, 255).astype(np.uint8),
                                  transform=place))  # fmt: skip
        lakes.append(shapely.Point(500_000 + 2 * middle, 4_499_880).buffer(50))
    model = Bright()
    session = geoiseg.Session(paths[0], model)
    session.add_features(gpd.GeoDataFrame({"label": ["lake"]}, geometry=[lakes[0]], crs=32631))
    at: Any = session
    for path, lake in zip(paths[1:], lakes[1:], strict=True):
        at = at.carry(path)
        [found] = at.session.accepted
        overlap = found.geometry.intersection(lake).area / found.geometry.union(lake).area
        assert overlap > 0.95
        assert at.drifts[0].how == "memory"
    assert model.shown == [2, 3]  # the second time it remembers the raster between
