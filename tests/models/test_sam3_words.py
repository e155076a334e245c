"""SAM 3 LiteText: words against transformers' own model; no clicks; what is not known is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import needed

torch = needed("torch")
transformers = needed("transformers")

from geoiseg.errors import ModelError, WeightsError
from geoiseg.models.registry import get_model
from geoiseg.models.sam import load_sam
from geoiseg.words.engines import get_engine
from tests.small_sams import EXACT, PROMPTS, all_valid, picture, relative_error, small_lite_text

SHAPE = (100, 150)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lite")


@pytest.fixture(scope="module")
def theirs(folder: Path) -> Any:
    return small_lite_text(folder)


@pytest.fixture(scope="module")
def ours(folder: Path, theirs: Any) -> Any:
    return load_sam(folder, None, "lite", EXACT)


@pytest.mark.parametrize("boxes", [(), (((10.0, 12.5, 30.0, 40.0), True),)])
def test_words_find_what_the_library_finds(ours: Any, theirs: Any, folder: Path, boxes) -> None:
    if boxes:
        needed("torchvision")
    image = picture(SHAPE)
    embedding = ours.embed(image, all_valid(image))
    found = ours.concepts(embedding, "field", boxes, 0.0)
    tokenizer = transformers.CLIPTokenizer.from_pretrained(folder)
    text = tokenizer("field", padding="max_length", max_length=16, return_tensors="pt")
    asked: dict[str, Any] = {}
    if boxes:
        (x0, y0, x1, y1), _ = boxes[0]
        centre = [(x0 + x1) / 2 / SHAPE[1], (y0 + y1) / 2 / SHAPE[0]]
        size = [(x1 - x0) / SHAPE[1], (y1 - y0) / SHAPE[0]]
        asked["input_boxes"] = torch.tensor([[centre + size]], dtype=torch.float32)
        asked["input_boxes_labels"] = torch.tensor([[1]])
    values = torch.from_numpy(ours.pixel_values(image, all_valid(image)))[None]
    with torch.no_grad():
        out = theirs(pixel_values=values, **text, **asked)
    scores = (out.pred_logits.sigmoid() * out.presence_logits.sigmoid())[0].numpy()
    order = np.argsort(-scores, kind="stable")
    np.testing.assert_allclose(found.scores, scores[order], atol=1e-5)
    wanted = torch.nn.functional.interpolate(out.pred_masks.sigmoid(), SHAPE, mode="bilinear")
    probability = 1 / (1 + np.exp(-found.logits))
    assert relative_error(probability, wanted[0].numpy()[order]) < 1e-4


def test_words_matter_and_clicks_are_refused(ours: Any) -> None:
    assert ours.info.family == "sam3"
    assert ours.info.takes_text
    image = picture(SHAPE)
    embedding = ours.embed(image, all_valid(image))
    field, water = (ours.concepts(embedding, words, (), 0.0) for words in ("field", "water"))
    assert relative_error(field.scores, water.scores) > 1e-4
    with pytest.raises(ModelError, match="takes words and no clicks"):
        ours.decode(embedding, PROMPTS["point"])


def test_it_is_an_engine_of_words(folder: Path, theirs: Any) -> None:
    engine = get_engine(str(folder), get_model("region-growing"))
    assert engine.kind == "sam3"
    assert hasattr(engine, "like")


def test_a_kind_that_transformers_lacks_is_one_line(
    folder: Path, theirs: Any, tmp_path: Path
) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["model_type"] = "sam3_1_video"
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    with pytest.raises(WeightsError, match=r"'sam3_1_video', which transformers \S+ does not know"):
        load_sam(tmp_path, None, "x", EXACT)
