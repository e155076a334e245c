"""Graphs of SAM 2, EdgeTAM, SAM 3's tracker and EfficientViT-SAM against their torch models."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import needed

torch = needed("torch")
needed("transformers")
needed("onnx")

from geoiseg.errors import WeightsError
from geoiseg.models.exported import export_model, load_exported
from geoiseg.models.exported.chips import made_chips
from geoiseg.models.exported.int8 import Int8
from geoiseg.models.options import ModelOptions
from geoiseg.models.protocol import Embedding
from geoiseg.models.registry import get_model
from geoiseg.models.sam import load_sam
from geoiseg.models.sam.squash import PlainSquash, Squash
from geoiseg.prompting.pixel import PixelPrompts
from tests.models.test_efficient_sams import saved_efficient_vit
from tests.small_sams import (
    EXACT,
    PROMPTS,
    all_valid,
    iou,
    picture,
    relative_error,
    small_edgetam,
    small_sam2,
    small_sam3,
)

ONNX = ModelOptions(device="cpu", backend="onnxruntime")
OPENVINO = ModelOptions(device="cpu", precision="fp32", backend="openvino")
MAKERS = {"sam2": small_sam2, "edgetam": small_edgetam, "sam3": small_sam3,
          "efficientvit-sam": saved_efficient_vit}  # fmt: skip
SHAPE = (90, 128)


class Pair:
    """A model in torch and the folder of its graphs."""

    def __init__(self, family: str, folder: Path) -> None:
        self.family = family
        path = folder / "weights"
        path.mkdir()
        made = MAKERS[family](path)
        self.path = made if isinstance(made, Path) else path
        self.graphs = folder / "graphs"
        export_model(self.path, self.graphs)
        self.truth: Any = load_sam(self.path, None, "small", EXACT)
        self.image = picture(SHAPE)


@pytest.fixture(scope="module", params=list(MAKERS))
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair(request.param, tmp_path_factory.mktemp(request.param))


def seen(model: Any, image: np.ndarray) -> Embedding:
    return model.embed(image, all_valid(image))


@pytest.mark.parametrize("options", [ONNX, OPENVINO], ids=["onnxruntime", "openvino"])
def test_features_agree(pair: Pair, options: ModelOptions) -> None:
    if options is OPENVINO:
        needed("openvino")
    ours = load_exported(pair.graphs, "x", options)
    assert type(ours.info.family) is str
    assert ours.info.family == pair.truth.info.family
    assert ours.info.chip_size == pair.truth.info.chip_size
    square = picture((ours.info.chip_size,) * 2)  # without scaling, of which there are two kinds
    found, wanted = (seen(model, square).arrays for model in (ours, pair.truth))
    for name, level in found.items():
        assert relative_error(level, wanted[name]) < 1e-5
    assert set(wanted) - set(found) <= {"backbone"}


@pytest.mark.parametrize("kind", PROMPTS)
def test_masks_agree(pair: Pair, kind: str) -> None:
    ours = load_exported(pair.graphs, "x", ONNX)
    features = seen(pair.truth, pair.image)
    mine = replace(features, model=f"{ours.info.name}:{ours.info.weights_hash}")
    wanted = pair.truth.decode(features, PROMPTS[kind])
    found = ours.decode(mine, PROMPTS[kind])
    assert found.logits.shape == wanted.logits.shape == (3 if kind == "point" else 1, *SHAPE)
    np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-4)
    assert relative_error(found.logits, wanted.logits) < 1e-4
    again = ours.decode(mine, PROMPTS[kind], wanted.logits[0])
    refined = pair.truth.decode(features, PROMPTS[kind], wanted.logits[0])
    assert relative_error(again.logits, refined.logits) < 1e-4
    # A random EdgeTAM's features are so large that a mask is nothing beside them.
    if kind != "point" and pair.family != "edgetam":
        assert relative_error(again.logits, wanted.logits) > 1e-3  # the mask before matters


def test_many_prompts_are_as_one_by_one(pair: Pair) -> None:
    ours = load_exported(pair.graphs, "x", ONNX)
    features = seen(ours, pair.image)
    grid = np.stack(np.meshgrid(np.arange(5) * 20 + 9, np.arange(4) * 20 + 9), -1).reshape(-1, 2)
    clicks = [PixelPrompts(xy[None].astype(float), np.array([True])) for xy in grid]
    prompts = [*clicks, *PROMPTS.values()]
    many = ours.decode_batch(features, prompts)
    assert np.bincount(many.prompts).tolist() == [3] * 20 + [3, 1, 1, 1]
    for number in (0, 17, 20, 21, 22, 23):
        alone = ours.decode_batch(features, [prompts[number]])
        here = many.prompts == number
        np.testing.assert_allclose(many.logits[here], alone.logits, atol=2e-4, rtol=1e-4)


# Calibration takes its time and is the same code for all.
@pytest.mark.parametrize(
    ("pair", "kind"), [*((family, "weights") for family in MAKERS), ("sam2", "static")],
    indirect=["pair"],
)  # fmt: skip
def test_int8_goes_the_same_way(pair: Pair, kind: str, tmp_path: Path) -> None:
    out, side = tmp_path / kind, pair.truth.info.chip_size
    chips = made_chips(side, 2)
    how = Int8(kind, chips, "made", least=0.0)  # random weights may be as unlike as they like
    export_model(pair.graphs, out, ONNX, how)
    card = json.loads((out / "card.json").read_text())
    assert card["int8"]["kind"] == kind
    assert 0 < card["int8"]["iou"] <= 1
    sizes = [sum(f.stat().st_size for f in one.glob("encoder.*")) for one in (out, pair.graphs)]
    assert sizes[0] < 0.75 * sizes[1]
    ours, truth = (load_exported(one, "x", ONNX) for one in (out, pair.graphs))
    image, valid = chips[1]
    found, wanted = (model.embed(image, valid).arrays for model in (ours, truth))
    last = list(wanted)[-1]
    error = relative_error(found[last], wanted[last])
    assert error > 0
    if pair.family != "edgetam":  # whose random layers make any rounding large
        assert error < (0.1 if kind == "weights" else 0.9)


def test_it_runs_without_torch(pair: Pair) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np\n"
        "from geoiseg.models.options import ModelOptions\n"
        "from geoiseg.models.protocol import PixelPrompts\n"
        "from geoiseg.models.registry import get_model\n"
        f"model = get_model({str(pair.graphs)!r}, ModelOptions(backend='onnxruntime'))\n"
        "chip = np.full((64, 80, 3), 90, np.uint8)\n"
        "features = model.embed(chip, np.ones((64, 80), bool))\n"
        "print(model.decode(features, PixelPrompts(box=(8, 8, 40, 40))).logits.shape)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "(1, 64, 80)\n", done.stderr


def test_a_chip_is_scaled_alike_without_torch() -> None:
    for shape in ((61, 47), (300, 200)):
        image = picture(shape)
        ours, torchs = (
            kind(shape, 128, masks=32).pixel_values(image) for kind in (PlainSquash, Squash)
        )
        assert np.abs(ours - torchs).max() < 1.5 / 255 / 0.22
        assert iou(ours[0] > 0, torchs[0] > 0) > 0.99


def test_a_frame_that_is_unknown_is_refused(pair: Pair, tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(pair.graphs, tmp_path / "copy"))
    card = json.loads((copy / "card.json").read_text())
    card["frame"] = "round"
    (copy / "card.json").write_text(json.dumps(card))
    with pytest.raises(WeightsError, match="frame 'round'"):
        get_model(copy, ONNX)
