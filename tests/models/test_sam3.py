"""SAM 3: clicks against transformers' tracker, words and examples against its detector."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import needed

torch = needed("torch")
needed("transformers")

from geoiseg.errors import ModelError, PromptError, WeightsError
from geoiseg.models.options import ModelOptions
from geoiseg.models.protocol import BatchModel
from geoiseg.models.sam import load_sam
from geoiseg.models.sam.sam3 import tracker_of
from tests.small_sams import (
    EXACT,
    PROMPTS,
    SIDE_3,
    all_valid,
    assert_same_mask,
    assert_the_librarys_masks,
    picture,
    relative_error,
    small_sam3,
    squash_processor,
)

SHAPES = [(112, 112), (100, 150), (61, 47)]
EXAMPLES = [((10.0, 12.5, 30.0, 40.0), True), ((5.0, 5.0, 20.0, 21.0), False)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sam3")


@pytest.fixture(scope="module")
def theirs(folder: Path) -> Any:
    return small_sam3(folder)


@pytest.fixture(scope="module")
def ours(folder: Path, theirs: Any) -> Any:
    return load_sam(folder, None, "sam3", EXACT)


class Tracker:
    """The library's image encoder for videos, and its decoder for images.

    Its tracker for images adds what stands for a missing memory to a level of the pyramid
    that is then dropped; that for videos, like Meta's code, to the coarsest that is used.
    """

    def __init__(self, video: Any, folder: Path) -> None:
        from transformers import Sam3TrackerConfig, Sam3TrackerModel

        config = json.loads((folder / "config.json").read_text())["tracker_config"]
        self.video = video
        self.decoder = Sam3TrackerModel(Sam3TrackerConfig.from_dict(config)).eval()
        found = self.decoder.load_state_dict(tracker_of(video.state_dict()), strict=False)
        assert not found.missing_keys

    def features(self, pixel_values: Any) -> list[Any]:
        vision = self.video.detector_model.get_vision_features(pixel_values)
        levels, _ = self.video.get_vision_features_for_tracker(vision)
        levels[-1] = levels[-1] + self.decoder.no_memory_embedding
        sizes = self.decoder.backbone_feature_sizes
        return [
            level.permute(1, 2, 0).view(1, -1, *size)
            for level, size in zip(levels, sizes, strict=True)
        ]

    def __call__(self, pixel_values: Any, **asked: Any) -> Any:
        return self.decoder(image_embeddings=self.features(pixel_values), **asked)


@pytest.fixture(scope="module")
def tracker(theirs: Any, folder: Path) -> Tracker:
    return Tracker(theirs, folder)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", PROMPTS)
def test_masks_of_clicks_and_boxes_are_the_trackers(
    ours: Any, tracker: Tracker, shape: tuple[int, int], kind: str
) -> None:
    processor = squash_processor(SIDE_3, "Sam3Tracker")
    assert_the_librarys_masks(ours, tracker, processor, (shape, kind))


@pytest.mark.parametrize("shape", SHAPES)
def test_image_features_are_the_librarys(
    ours: Any, theirs: Any, tracker: Tracker, shape: tuple[int, int]
) -> None:
    image = picture(shape)
    processor = squash_processor(SIDE_3, "Sam3Tracker")
    values = processor(images=image, return_tensors="pt")["pixel_values"]
    arrays = ours.embed(image, all_valid(image)).arrays
    with torch.no_grad():
        wanted = tracker.features(values)
        backbone = theirs.detector_model.get_vision_features(values).last_hidden_state
    for name, level in zip(("fine", "middle", "coarse"), wanted, strict=True):
        assert relative_error(arrays[name], level[0].numpy()) < 1e-4
    flat = arrays["backbone"].reshape(len(arrays["backbone"]), -1).T
    assert relative_error(flat, backbone[0].numpy()) < 1e-4


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("words", "boxes"),
    [
        ("field", []),
        ("waterfield", []),
        ("field", EXAMPLES),
        (None, EXAMPLES),
        (None, EXAMPLES[:1]),
    ],
)
def test_concepts_are_the_detectors(
    ours: Any, theirs: Any, folder: Path, shape, words, boxes
) -> None:
    needed("torchvision")
    from transformers import CLIPTokenizer, Sam3ImageProcessor, Sam3Processor

    size = {"height": SIDE_3, "width": SIDE_3}
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    processor = Sam3Processor(Sam3ImageProcessor(size=size), tokenizer)
    image = picture(shape)
    asked: dict[str, Any] = {"text": words} if words else {}
    if boxes:
        asked["input_boxes"] = [[list(box) for box, _ in boxes]]
        asked["input_boxes_labels"] = [[int(positive) for _, positive in boxes]]
    inputs = processor(images=image, return_tensors="pt", **asked)
    inputs.pop("original_sizes")
    with torch.no_grad():
        out = theirs.detector_model(**inputs)
    scores = (out.pred_logits.sigmoid() * out.presence_logits.sigmoid())[0].sort().values
    threshold = float(scores[4:6].mean())  # so that some of the twelve are kept, some are not
    embedding = ours.embed(image, all_valid(image))
    found = ours.concepts(embedding, words, boxes, threshold)
    (wanted,) = processor.post_process_instance_segmentation(
        out, threshold=threshold, target_sizes=[shape]
    )
    order = wanted["scores"].argsort(descending=True)
    assert 1 < len(order) < 12
    np.testing.assert_allclose(found.scores, wanted["scores"][order], atol=1e-4)
    assert found.logits.shape == (len(order), *shape)
    agreed = [
        np.mean((logits > 0) == mask)
        for logits, mask in zip(found.logits, wanted["masks"][order].numpy() > 0, strict=True)
    ]
    assert min(agreed) > 0.997
    for level in (0.4, 0.6):
        (wanted,) = processor.post_process_instance_segmentation(
            out, threshold=threshold, mask_threshold=level, target_sizes=[shape]
        )
        masks = wanted["masks"][order].numpy() > 0
        at = np.log(level / (1 - level))
        assert np.mean((found.logits > at) == masks) > 0.997


def test_words_are_understood_once_and_matter(ours: Any) -> None:
    image = picture((112, 112))
    embedding = ours.embed(image, all_valid(image))
    field, water = (ours.concepts(embedding, words, (), 0.0) for words in ("field", "water"))
    assert np.abs(field.scores - water.scores).max() > 1e-6
    assert (np.diff(field.scores) <= 0).all()
    again = ours.concepts(embedding, " field ", (), 0.0)
    np.testing.assert_array_equal(again.logits, field.logits)
    none = ours.concepts(embedding, "field", (), 1.0)
    assert none.logits.shape == (0, 112, 112)


def test_what_is_asked_amiss_is_said_in_one_line(ours: Any) -> None:
    image = picture((112, 112))
    embedding = ours.embed(image, all_valid(image))
    with pytest.raises(PromptError, match="say what to look for"):
        ours.concepts(embedding, "  ")
    with pytest.raises(PromptError, match="x0 < x1"):
        ours.concepts(embedding, None, [((5.0, 5.0, 5.0, 9.0), True)])


def test_prompts_come_alone_and_together(ours: Any, theirs: Any) -> None:
    image = picture((112, 112))
    embedding = ours.embed(image, all_valid(image))
    assert isinstance(ours, BatchModel)
    assert ours.info.takes_text
    found = ours.decode_batch(embedding, [*PROMPTS.values()])
    assert found.prompts.tolist() == [0, 0, 0, 1, 2, 3]
    assert found.scale == 3.5
    for number, prompts in enumerate(PROMPTS.values()):
        alone = ours.decode(embedding, prompts)
        mine = found.logits[found.prompts == number]
        for one, other in zip(ours._frame((112, 112)).to_chip(mine), alone.logits, strict=True):
            assert_same_mask(one, other)
    before = ours.decode(embedding, PROMPTS["box"])
    after = ours.decode(embedding, PROMPTS["box"], before.logits[0])
    assert np.abs(after.logits - before.logits).max() > 1e-3


def test_the_shared_image_encoder_is_counted_once(ours: Any, theirs: Any) -> None:
    engine = ours.engine
    assert engine.detector.vision_encoder.backbone is engine.model.vision_encoder.backbone
    backbone = sum(p.numel() for p in engine.model.vision_encoder.backbone.parameters())
    both = sum(p.numel() for m in (engine.model, engine.detector) for p in m.parameters())
    assert ours.info.parameters == both - backbone


@pytest.mark.usefixtures("bf16")
def test_half_precision_is_close_and_says_so(folder: Path, ours: Any) -> None:
    rough = load_sam(folder, None, "sam3", ModelOptions(device="cpu", precision="bf16"))
    assert rough.info.weights_hash == ours.info.weights_hash + "+bf16"
    image = picture((112, 112))
    exact, close = (model.embed(image, all_valid(image)) for model in (ours, rough))
    for name, array in close.arrays.items():
        assert array.dtype == np.float16
        assert 0 < relative_error(array, exact.arrays[name]) < 2e-2
    one, two = (m.concepts(e, "field", EXAMPLES, 0.0) for m, e in ((rough, close), (ours, exact)))
    np.testing.assert_allclose(np.sort(one.scores), np.sort(two.scores), atol=0.05)


def saved(folder: Path, to: Path, config: dict[str, Any], state: dict[str, Any]) -> Path:
    from safetensors.torch import save_file

    to.mkdir()
    save_file(
        {name: tensor.contiguous() for name, tensor in state.items()}, to / "model.safetensors"
    )
    (to / "config.json").write_text(json.dumps(config))
    return to


def test_a_tracker_alone_takes_clicks_but_no_words(
    folder: Path, ours: Any, theirs: Any, tmp_path: Path
) -> None:
    config = json.loads((folder / "config.json").read_text())["tracker_config"]
    alone = saved(folder, tmp_path / "alone", config, tracker_of(theirs.state_dict()))
    model = load_sam(alone, None, "tracker", EXACT)
    assert not model.info.takes_text
    image = picture((112, 112))
    embedding, whole = (m.embed(image, all_valid(image)) for m in (model, ours))
    assert "backbone" not in embedding.arrays
    masks = [m.decode(e, PROMPTS["box"]).logits for m, e in ((model, embedding), (ours, whole))]
    np.testing.assert_allclose(masks[0], masks[1], atol=1e-5)
    with pytest.raises(ModelError, match="knows no words"):
        model.concepts(embedding, "field")


def test_what_is_no_sam3_is_refused_in_one_line(folder: Path, theirs: Any, tmp_path: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    state = theirs.state_dict()
    part = {name: tensor for name, tensor in state.items() if "text_projection" not in name}
    cases = {
        "text_projection": lambda: saved(folder, tmp_path / "part", config, part),
        "takes no clicks": lambda: saved(
            folder, tmp_path / "sight", {"model_type": "sam3_vision_model"}, {"a.b": torch.zeros(1)}
        ),
    }
    for message, make in cases.items():
        with pytest.raises(WeightsError, match=message) as error:
            load_sam(make(), None, "sam3", EXACT)
        assert "\n" not in str(error.value)
    torch.save({"detector.backbone.x": torch.zeros(1)}, tmp_path / "sam3.pt")
    with pytest.raises(WeightsError, match="Meta's own file of SAM 3") as error:
        load_sam(tmp_path / "sam3.pt", "sam3", "sam3", EXACT)
    whole = (folder / "model.safetensors").read_bytes()
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "config.json").write_text(json.dumps(config))
    (tmp_path / "cut" / "model.safetensors").write_bytes(whole[: len(whole) // 3])
    with pytest.raises(WeightsError) as error:
        load_sam(tmp_path / "cut", None, "sam3", EXACT)
    assert "\n" not in str(error.value)


def test_without_a_tokenizer_words_are_refused_but_not_clicks(
    folder: Path, theirs: Any, tmp_path: Path
) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    model = load_sam(tmp_path, None, "sam3", EXACT)
    image = picture((112, 112))
    embedding = model.embed(image, all_valid(image))
    assert model.decode(embedding, PROMPTS["box"]).logits.shape == (1, 112, 112)
    with pytest.raises(WeightsError, match=r"tokenizer\.json") as error:
        model.concepts(embedding, "field")
    assert "\n" not in str(error.value)
