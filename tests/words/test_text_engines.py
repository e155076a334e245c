"""Engines of an open vocabulary: small networks of the true architecture, loaded for real.

Their weights are random, so what they find means nothing; that it is what transformers' own
post-processing finds, in the frame of the chip, does.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import geoiseg
from geoiseg.errors import GeoisegError, ModelError, PromptError, WeightsError
from geoiseg.models.registry import get_model, model_names, models
from geoiseg.models.weights.catalogue import CATALOGUE, WORD_FAMILIES
from geoiseg.prompting.framing import Frame
from geoiseg.raster.grid import Window
from geoiseg.segment.embeddings import EmbeddingCache
from geoiseg.words.engines import engine_names, get_engine
from geoiseg.words.view import View
from tests.conftest import disk_pixels, needed, write_raster

torch = needed("torch")
transformers = needed("transformers")
needed("torchvision")

LETTERS = [chr(c) for c in range(33, 127)]


def clip_tokenizer(folder: Path) -> Any:
    """Return a CLIP tokenizer that knows single letters."""
    tokens = [*LETTERS, *(f"{c}</w>" for c in LETTERS), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: n for n, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return transformers.CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"),
                                      model_max_length=32)  # fmt: skip


TEXT = {"vocab_size": 190, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "max_position_embeddings": 32, "bos_token_id": 188,
        "eos_token_id": 189, "pad_token_id": 189}  # fmt: skip
VISION = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4,
          "num_attention_heads": 4, "image_size": 64, "patch_size": 16}  # fmt: skip


def save(kind: str, folder: Path) -> Path:
    """Save a small network with random weights, and its processor, as on Hugging Face."""
    torch.manual_seed(3)
    folder.mkdir()
    if kind == "grounding-dino":
        network, processor = grounding_dino(folder)
    else:
        tokenizer = clip_tokenizer(folder)
        size = {"height": 64, "width": 64}
        if kind == "clip":
            config = transformers.CLIPConfig(text_config=TEXT, vision_config=VISION,
                                             projection_dim=16)  # fmt: skip
            network = transformers.CLIPModel(config)
            images = transformers.CLIPImageProcessor(size=size, crop_size=size)
            processor = transformers.CLIPProcessor(images, tokenizer)
        elif kind == "clipseg":
            config = transformers.CLIPSegConfig(
                text_config=TEXT, vision_config=VISION, projection_dim=16, extract_layers=[1, 2],
                reduce_dim=16, decoder_num_attention_heads=4, decoder_intermediate_size=32,
            )  # fmt: skip
            network = transformers.CLIPSegForImageSegmentation(config)
            images = transformers.ViTImageProcessor(size=size)
            processor = transformers.CLIPSegProcessor(images, tokenizer)
        else:
            config = transformers.Owlv2Config(text_config={**TEXT, "max_position_embeddings": 32},
                                              vision_config=VISION, projection_dim=32)  # fmt: skip
            network = transformers.Owlv2ForObjectDetection(config)
            images = transformers.Owlv2ImageProcessor(size=size)
            processor = transformers.Owlv2Processor(images, tokenizer)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.ndim > 1:
                weight.normal_(0, 0.5 / weight[0].numel() ** 0.5)
    network.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def grounding_dino(folder: Path) -> tuple[Any, Any]:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", ".", "?", "water", "field", "roof"]
    (folder / "vocab.txt").write_text("\n".join(words))
    tokenizer = transformers.BertTokenizerFast(str(folder / "vocab.txt"))
    config = transformers.GroundingDinoConfig(
        backbone_config=transformers.SwinConfig(
            image_size=64, embed_dim=16, depths=[1, 1, 1, 1], num_heads=[1, 2, 4, 4],
            window_size=4, out_features=["stage2", "stage3", "stage4"],
        ),
        text_config=transformers.BertConfig(
            vocab_size=len(words), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
            intermediate_size=48, max_position_embeddings=64,
        ).to_dict(),
        d_model=32, encoder_layers=2, decoder_layers=2, encoder_ffn_dim=48, decoder_ffn_dim=48,
        encoder_attention_heads=4, decoder_attention_heads=4, num_queries=12, max_text_len=64,
    )  # fmt: skip
    network = transformers.GroundingDinoForObjectDetection(config)
    images = transformers.GroundingDinoImageProcessor(
        size={"shortest_edge": 96, "longest_edge": 128}
    )
    return network, transformers.GroundingDinoProcessor(images, tokenizer)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("engines")
    return {kind: save(kind, root / kind) for kind in WORD_FAMILIES}


def chip(key: str = "a chip") -> View:
    pixels, _ = disk_pixels(160)
    rgb = np.ascontiguousarray(pixels.transpose(1, 2, 0)[:120])
    valid = np.ones(rgb.shape[:2], bool)
    return View(Frame(0, Window(0, 0, *valid.shape)), rgb, valid, key, 1, lambda _: None)


def engine_of(kind: str, folders: dict[str, Path]) -> Any:
    return get_engine(str(folders[kind]), get_model("grabcut"))


@pytest.mark.parametrize("kind", WORD_FAMILIES)
def test_objects_lie_on_the_chip_and_repeat(kind: str, folders: dict[str, Path], monkeypatch
                                            ) -> None:  # fmt: skip
    monkeypatch.setattr("geoiseg.words.pretrained.BOX_LEAST", 0.0)
    monkeypatch.setattr("geoiseg.words.pretrained.TEXT_LEAST", 0.0)
    engine, view = engine_of(kind, folders), chip()
    asked = engine.ask("water", "roof")
    assert "water" in asked.note
    assert "roof" in asked.note
    first = engine.find(view, "water", ())
    assert first or kind != "clip"  # random boxes may hold nothing
    for one in first:
        assert one.mask.shape == view.shape
        assert one.mask.dtype == bool
        assert one.mask.any()
        assert 0 <= one.score <= 1
    again = engine.find(view, "water", ())
    assert [one.score for one in again] == [one.score for one in first]


def test_owlv2_boxes_are_those_of_transformers(folders: dict[str, Path], monkeypatch) -> None:
    monkeypatch.setattr("geoiseg.words.pretrained.BOX_LEAST", 0.0)
    engine, view = engine_of("owlv2", folders), chip()
    asked: list[Any] = []
    monkeypatch.setattr(engine, "boxed", lambda *given: asked.append(given[1:]) or [])
    engine.find(view, "water", ["roof"])
    processor = transformers.Owlv2Processor.from_pretrained(folders["owlv2"])
    network = transformers.Owlv2ForObjectDetection.from_pretrained(folders["owlv2"]).eval()
    from PIL import Image

    given = processor(text=[["water", "roof"]], images=Image.fromarray(view.rgb),
                      return_tensors="pt")  # fmt: skip
    with torch.no_grad():
        outputs = network(**given)
    expected = processor.post_process_grounded_object_detection(
        outputs, threshold=0.0, target_sizes=[view.shape]
    )[0]
    own = expected["labels"] == 0
    boxes, scores = asked[0]
    np.testing.assert_allclose(boxes, expected["boxes"][own], atol=1e-3)
    np.testing.assert_allclose(scores, expected["scores"][own], atol=1e-5)


def test_grounding_dino_boxes_are_those_of_transformers(
    folders: dict[str, Path], monkeypatch
) -> None:
    monkeypatch.setattr("geoiseg.words.pretrained.BOX_LEAST", 0.0)
    monkeypatch.setattr("geoiseg.words.pretrained.TEXT_LEAST", 0.0)
    engine, view = engine_of("grounding-dino", folders), chip()
    asked: list[Any] = []
    monkeypatch.setattr(engine, "boxed", lambda *given: asked.append(given[1:]) or [])
    engine.find(view, "Water", ())
    folder = folders["grounding-dino"]
    processor = transformers.GroundingDinoProcessor.from_pretrained(folder)
    network = transformers.GroundingDinoForObjectDetection.from_pretrained(folder).eval()
    from PIL import Image

    given = processor(images=Image.fromarray(view.rgb), text="water.", return_tensors="pt")
    with torch.no_grad():
        outputs = network(**given)
    expected = processor.post_process_grounded_object_detection(
        outputs, given["input_ids"], threshold=0.0, text_threshold=0.0, target_sizes=[view.shape]
    )[0]
    boxes, scores = asked[0]
    assert len(boxes) == len(expected["boxes"])
    np.testing.assert_allclose(boxes, expected["boxes"], atol=1e-3)
    np.testing.assert_allclose(scores, expected["scores"], atol=1e-5)


def test_clipseg_heat_is_that_of_transformers(folders: dict[str, Path]) -> None:
    engine, view = engine_of("clipseg", folders), chip()
    heat = engine.heat(view, "water", ())
    processor = transformers.CLIPSegProcessor.from_pretrained(folders["clipseg"])
    network = transformers.CLIPSegForImageSegmentation.from_pretrained(folders["clipseg"]).eval()
    from PIL import Image

    given = processor(text=["water"], images=[Image.fromarray(view.rgb)], return_tensors="pt")
    with torch.no_grad():
        logits = network(**given).logits.reshape(1, 1, 64, 64)
    expected = torch.nn.functional.interpolate(logits, size=view.shape, mode="bilinear")
    np.testing.assert_allclose(heat, expected[0, 0].sigmoid(), atol=1e-4)
    assert (engine.heat(view, "water", ["field"]) <= heat + 1e-6).all()


def test_clip_scores_are_a_softmax_over_words_and_backgrounds(folders: dict[str, Path]) -> None:
    from geoiseg.words.ranking import BACKGROUND, crops_of

    engine, view = engine_of("clip", folders), chip()
    found = engine.find(view, "water", ["roof"])
    other = engine.find(view, "roof", ["water"])
    assert len(found) == len(other) > 0
    assert all(a.score + b.score < 1 for a, b in zip(found, other, strict=True))
    crops = crops_of(view.rgb, found[0].mask)
    assert all(crop.ndim == 3 and crop.size for crop in crops)
    network = transformers.CLIPModel.from_pretrained(folders["clip"]).eval()
    images = engine.image_features(crops)
    np.testing.assert_allclose(np.linalg.norm(images, axis=1), 1, atol=1e-5)
    image = images.mean(axis=0)
    image /= np.linalg.norm(image)
    texts = np.stack([engine.text_features(word) for word in ("water", "roof", *BACKGROUND)])
    logits = float(network.logit_scale.detach().exp()) * image @ texts.T
    shares = np.exp(logits - logits.max())
    assert found[0].score == pytest.approx(float(shares[0] / shares.sum()), abs=1e-4)


def test_another_word_encodes_no_image_again(folders: dict[str, Path], monkeypatch) -> None:
    engine, view = engine_of("clip", folders), chip("kept")
    engine.find(view, "water", ())
    monkeypatch.setattr(engine, "image_features", lambda _: pytest.fail("encoded again"))
    assert engine.find(view, "a field of wheat", ())


def test_a_session_finds_with_a_folder(folders: dict[str, Path], tmp_path: Path) -> None:
    pixels, _ = disk_pixels()
    raster = write_raster(tmp_path / "a.tif", pixels)
    session = geoiseg.Session(raster, "grabcut", cache=EmbeddingCache())
    found = session.add_text("water", "roof", threshold=0.0, engine=str(folders["clip"]))
    assert found
    bounds = session.raster.grid.bounds
    for one in found:
        xmin, ymin, xmax, ymax = one.geometry.bounds
        assert bounds[0] <= xmin < xmax <= bounds[2]
        assert bounds[1] <= ymin < ymax <= bounds[3]
    number = session.accept_candidate(found[0].number)
    row = session.features.set_index("id").loc[number]
    assert row["words_engine"].startswith(str(folders["clip"]))
    assert row["words_negative"] == "roof"


def test_what_is_missing_is_said_and_nothing_is_downloaded(tmp_path: Path) -> None:
    model = get_model("grabcut")
    listed = {model.name: model for model in models()}
    for name in engine_names()[1:]:
        assert listed[name].licence
        assert listed[name].source.startswith("https://")
        assert listed[name].bytes > 0
        assert name not in model_names()
        with pytest.raises(GeoisegError) as caught:
            get_engine(name, model)
        assert f"geoiseg models pull {name}" in str(caught.value)
        assert "\n" not in str(caught.value)
        if CATALOGUE[name].family in WORD_FAMILIES:
            with pytest.raises(ModelError, match="takes no clicks"):
                get_model(name)
    with pytest.raises(PromptError, match="known are: words, "):
        get_engine("nobody", model)
    with pytest.raises(WeightsError, match=r"config\.json"):
        get_engine(str(tmp_path), model)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelError, match="no engine for words"):
        get_engine(str(tmp_path), model)
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    with pytest.raises(WeightsError, match="safetensors"):
        get_engine(str(tmp_path), model)


@pytest.mark.weights
@pytest.mark.parametrize("name", [n for n in CATALOGUE if CATALOGUE[n].family in WORD_FAMILIES])
def test_real_weights_find_a_disk(name: str, tmp_path: Path, monkeypatch) -> None:
    place = os.environ.get("GEOISEG_WEIGHTS")
    folder = Path(place or ".") / name
    if not place or not folder.is_dir():
        pytest.skip(f"put the files of {name} into $GEOISEG_WEIGHTS/{name}")
    pixels, truth = disk_pixels()
    raster = write_raster(tmp_path / "a.tif", pixels)
    session = geoiseg.Session(raster, "tiny", cache=EmbeddingCache())
    found = session.add_text("a yellow disk", threshold=0.0, engine=str(folder))
    assert found
    place_of = session.raster.grid.to_crs([(100, 90)])[0]
    assert session.candidate_at(*place_of) is not None
    assert truth.any()
