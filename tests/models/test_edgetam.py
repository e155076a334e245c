"""EdgeTAM: our masks against transformers' own processor and model, and its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import needed

torch = needed("torch")
needed("transformers")
needed("timm")

from geoiseg.errors import MissingExtraError, WeightsError
from geoiseg.models.protocol import BatchModel
from geoiseg.models.sam import load_sam
from geoiseg.models.sam.convert_sam2 import edgetam_config, from_meta
from geoiseg.prompting.pixel import PixelPrompts
from tests.small_sams import (
    EXACT,
    PROMPTS,
    SIDE,
    all_valid,
    assert_the_librarys_masks,
    picture,
    relative_error,
    small_edgetam,
    squash_processor,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("edgetam")


@pytest.fixture(scope="module")
def theirs(folder: Path) -> Any:
    return small_edgetam(folder)


@pytest.fixture(scope="module")
def ours(folder: Path, theirs: Any) -> Any:
    return load_sam(folder, None, "edge", EXACT)


@pytest.mark.parametrize("shape", [(256, 256), (200, 300)])
@pytest.mark.parametrize("kind", PROMPTS)
def test_masks_are_the_librarys(ours: Any, theirs: Any, shape: tuple[int, int], kind: str) -> None:
    assert_the_librarys_masks(ours, theirs, squash_processor(), (shape, kind))


def test_image_features_are_the_librarys(ours: Any, theirs: Any) -> None:
    image = picture((120, 250))
    values = squash_processor()(images=image, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        wanted = theirs.get_image_embeddings(values)
    arrays = ours.embed(image, all_valid(image)).arrays
    for name, level in zip(("fine", "middle", "coarse"), wanted, strict=True):
        assert relative_error(arrays[name], level[0].numpy()) < 1e-4


def test_prompts_come_alone_and_together(ours: Any) -> None:
    image = picture((256, 256))
    embedding = ours.embed(image, all_valid(image))
    assert isinstance(ours, BatchModel)
    found = ours.decode_batch(embedding, [*PROMPTS.values()])
    assert found.prompts.tolist() == [0, 0, 0, 1, 2, 3]
    again = ours.decode(embedding, PROMPTS["box"], ours.decode(embedding, PROMPTS["box"]).logits[0])
    np.testing.assert_allclose(
        ours.decode(embedding, PROMPTS["box"]).scores, found.scores[4:5], atol=1e-5
    )
    assert again.logits.shape == (1, 256, 256)
    stroke = PixelPrompts(scribbles=((np.array([[10.0, 10.0], [200.0, 120.0]]), True),))
    assert ours.decode(embedding, stroke).logits.shape == (1, 256, 256)


def test_it_is_told_what_the_model_is(ours: Any) -> None:
    assert (ours.info.family, ours.info.chip_size) == ("edgetam", SIDE)
    assert "edgetam" in ours.info.description


def test_metas_names_become_transformers(tmp_path: Path) -> None:
    """Meta's names, read off its checkpoint: a trunk around timm's RepViT, and SAM 2's heads."""
    from transformers import EdgeTamConfig, EdgeTamModel

    model = EdgeTamModel(EdgeTamConfig.from_dict(edgetam_config()))
    corners = [f"sam_prompt_encoder.point_embeddings.{n}.weight" for n in range(4)]
    pairs = {
        "image_encoder.trunk.body.stem.conv1.c.weight": "vision_encoder.backbone.timm_model.stem.conv1.c.weight",
        "image_encoder.trunk.body.stages_0.blocks.0.token_mixer.conv.bn.running_mean": "vision_encoder.backbone.timm_model.stages_0.blocks.0.token_mixer.conv.bn.running_mean",
        "image_encoder.neck.convs.3.conv.bias": "vision_encoder.neck.convs.3.bias",
        "sam_mask_decoder.transformer.layers.0.norm4.bias": "mask_decoder.transformer.layers.0.layer_norm4.bias",
    }
    state = model.state_dict()
    given = {old: state[new] for old, new in pairs.items()}
    given |= {name: torch.full((1, 256), float(n)) for n, name in enumerate(corners)}
    given["spatial_perceiver.latents"] = torch.zeros(1, 256)
    found = from_meta(given)
    assert set(found) == {*pairs.values(), "prompt_encoder.point_embed.weight"}
    assert found["prompt_encoder.point_embed.weight"][:, 0].tolist() == [0, 1, 2, 3]
    torch.save({"model": given}, tmp_path / "edgetam.pt")
    with pytest.raises(WeightsError, match="tensors of a EdgeTamModel") as error:
        load_sam(tmp_path / "edgetam.pt", None, "edge", EXACT)
    assert "\n" not in str(error.value)


def test_another_models_folder_is_refused(folder: Path, theirs: Any, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="edgetam, not of sam2-hiera-tiny") as error:
        load_sam(folder, "sam2-hiera-tiny", "tiny", EXACT)
    assert "\n" not in str(error.value)
    whole = (folder / "model.safetensors").read_bytes()
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes(whole[:5000])
    with pytest.raises(WeightsError) as error:
        load_sam(tmp_path, None, "cut", EXACT)
    assert "\n" not in str(error.value)


def test_without_timm_it_says_what_to_install(
    folder: Path, theirs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match="timm"):
        load_sam(folder, None, "edge", EXACT)
