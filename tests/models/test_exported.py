"""Exported graphs, run by onnxruntime and OpenVINO, against segment-anything in torch."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geoiseg.cli import main
from geoiseg.errors import ExportError, ModelError, WeightsError
from geoiseg.models.exported import export_model, load_exported
from geoiseg.models.options import ModelOptions
from geoiseg.models.protocol import BatchModel, Embedding
from geoiseg.models.registry import get_model
from geoiseg.prompting.pixel import PixelPrompts
from tests.conftest import needed
from tests.sam_reference import (
    EXACT,
    iou,
    picture,
    reference,
    relative_error,
    saved,
)

needed("onnx")
ONNX = ModelOptions(device="cpu", backend="onnxruntime")
OPENVINO = ModelOptions(device="cpu", precision="fp32", backend="openvino")
CHIP = (200, 256)
CLICK = PixelPrompts(np.array([[100.0, 80.0]]), np.array([True]))
BOX = PixelPrompts(box=(40.0, 30.0, 180.0, 150.0))
CASES = {
    "click": CLICK,
    "clicks": PixelPrompts(np.array([[100.0, 80], [30, 150], [90, 90]]), np.array([True, False, True])),
    "box": BOX,
    "box and clicks": replace(CLICK, box=BOX.box),
    "box and outline": replace(BOX, mask=np.pad(np.ones((80, 90), bool), ((50, 70), (60, 106)))),
}  # fmt: skip


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(reference(), tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def folder(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("graphs") / "small"
    export_model(checkpoint, out)
    return out


@pytest.fixture(scope="module")
def truth(checkpoint: Path) -> Any:
    return get_model(checkpoint, replace(EXACT, backend="segment-anything"))


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return picture(CHIP)


def embedded(model: Any, image: np.ndarray) -> Embedding:
    return model.embed(image, np.ones(image.shape[:2], bool))


def names_model(embedding: Embedding, model: Any) -> Embedding:
    """Return the embedding as if a model had made it."""
    return replace(embedding, model=f"{model.info.name}:{model.info.weights_hash}")


def needs(options: ModelOptions) -> None:
    if options.backend == "openvino":
        needed("openvino")


@pytest.mark.parametrize("options", [ONNX, OPENVINO], ids=["onnxruntime", "openvino"])
def test_encoder_agrees_in_fp32(
    folder: Path, truth: Any, image: np.ndarray, options: ModelOptions
) -> None:
    needs(options)
    ours = embedded(load_exported(folder, "x", options), image).arrays["features"]
    wanted = embedded(truth, image).arrays["features"]
    assert ours.dtype == np.float32
    assert relative_error(ours, wanted) < 1e-5


def test_encoder_agrees_in_bf16(folder: Path, truth: Any, image: np.ndarray) -> None:
    openvino = needed("openvino")
    half = replace(OPENVINO, precision="bf16")
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        with pytest.raises(ModelError, match="bf16"):
            load_exported(folder, "x", half)
        return
    model = load_exported(folder, "x", half)
    found = embedded(model, image)
    assert 1e-5 < relative_error(found.arrays["features"], embedded(truth, image).arrays["features"]) < 2e-2  # fmt: skip
    assert model.info.weights_hash.endswith("+bf16")
    assert load_exported(folder, "x", replace(half, precision="auto")).info == model.info
    for prompts in CASES.values():
        logits = model.decode(found, prompts).logits[0]
        wanted = truth.decode(embedded(truth, image), prompts).logits
        level = np.median(wanted[0])
        # The mask of several that is thought best may be another one in bf16.
        assert max(iou(logits > level, one > level) for one in wanted) > 0.9


@pytest.mark.parametrize("case", list(CASES))
def test_masks_agree(folder: Path, truth: Any, image: np.ndarray, case: str) -> None:
    model = load_exported(folder, "x", ONNX)
    features = embedded(truth, image)
    wanted = truth.decode(features, CASES[case])
    found = model.decode(names_model(features, model), CASES[case])
    assert found.logits.shape == wanted.logits.shape == (len(wanted.scores), *CHIP)
    np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-4)
    assert relative_error(found.logits, wanted.logits) < 1e-4
    for ours, theirs in zip(found.logits, wanted.logits, strict=True):
        for level in (0, np.median(theirs)):
            assert iou(ours > level, theirs > level) > 0.995 or not (theirs > level).any()


def test_masks_agree_when_a_mask_is_refined(folder: Path, truth: Any, image: np.ndarray) -> None:
    model, features = load_exported(folder, "x", ONNX), embedded(truth, image)
    before = truth.decode(features, CLICK).logits[0]
    wanted = truth.decode(features, CASES["clicks"], before).logits
    found = model.decode(names_model(features, model), CASES["clicks"], before).logits
    assert relative_error(found, wanted) < 1e-4
    without = truth.decode(features, CASES["clicks"]).logits
    assert relative_error(without, wanted) > 1e-2  # so that it is known to matter


def test_many_prompts_are_as_one_by_one(folder: Path, image: np.ndarray) -> None:
    model = load_exported(folder, "x", ONNX)
    assert isinstance(model, BatchModel)
    features = embedded(model, image)
    grid = np.stack(np.meshgrid(np.arange(6) * 40 + 20, np.arange(4) * 45 + 20), -1).reshape(-1, 2)
    clicks = [PixelPrompts(xy[None].astype(float), np.array([True])) for xy in grid]
    prompts = [*clicks, *CASES.values()]
    many = model.decode_batch(features, prompts)
    assert np.bincount(many.prompts).tolist() == [3] * 24 + [3, 1, 1, 1, 1]
    for number in (0, 17, 23, 25, 26, 27, 28):
        alone = model.decode_batch(features, [prompts[number]])
        mine = many.prompts == number
        np.testing.assert_allclose(many.logits[mine], alone.logits, atol=2e-4)
        np.testing.assert_allclose(many.scores[mine], alone.scores, atol=1e-4)


def test_mobile_sam_is_exported(tmp_path: Path) -> None:
    torch = needed("torch")
    from geoiseg.models.exported.export import write_graphs
    from geoiseg.models.exported.runtimes import onnx_runner
    from geoiseg.models.sam.network import Sam
    from geoiseg.models.sam.tiny_vit import TinyShape, TinyVitEncoder
    from tests.sam_reference import stir

    torch.manual_seed(0)
    shape = TinyShape(side=256)
    sam = Sam(TinyVitEncoder(shape), 256)
    stir(sam)
    sam.eval().image_encoder.fuse()
    write_graphs(sam, tmp_path)
    pixels = torch.randn(1, 3, 256, 256)
    with torch.inference_mode():
        wanted = sam.encode(pixels).numpy()
    (found,) = onnx_runner(tmp_path / "encoder.onnx", "cpu")({"pixels": pixels.numpy()})
    assert relative_error(found, wanted) < 1e-5


def test_runs_without_torch(folder: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np\n"
        "from geoiseg.models.options import ModelOptions\n"
        "from geoiseg.models.protocol import PixelPrompts\n"
        "from geoiseg.models.registry import get_model\n"
        f"model = get_model({str(folder)!r}, ModelOptions(backend='onnxruntime'))\n"
        "chip = np.full((64, 80, 3), 90, np.uint8)\n"
        "features = model.embed(chip, np.ones((64, 80), bool))\n"
        "print(model.decode(features, PixelPrompts(box=(8, 8, 40, 40))).logits.shape)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "(1, 64, 80)\n", done.stderr


def test_the_card_tells_what_it_is(folder: Path, checkpoint: Path) -> None:
    card = json.loads((folder / "card.json").read_text())
    assert sorted(card["sha256"]) == ["decoder.onnx", "decoder.weights", "encoder.onnx", "encoder.weights"]  # fmt: skip
    model = load_exported(folder, "mine", ONNX)
    assert model.info.name == "mine"
    assert model.info.weights_hash == card["weights_hash"]
    assert model.info.weights_hash == get_model(checkpoint, EXACT).info.weights_hash
    assert model.info.parameters == card["parameters"] > 1e6
    assert model.info.chip_size == card["side"] == 256


def test_the_command_line_exports(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "graphs"
    main(["models", "export", str(checkpoint), str(out)])
    assert str(out) in capsys.readouterr().out
    assert get_model(out, ONNX).info.chip_size == 256
    with pytest.raises(SystemExit) as stopped:
        main(["models", "export", str(checkpoint), str(out)])
    assert stopped.value.code == 1
    assert "is there already" in capsys.readouterr().err
    assert [path.name for path in out.parent.iterdir()] == ["graphs"]


def test_a_damaged_export_is_refused(folder: Path, tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    weights = copy / "encoder.weights"
    data = bytearray(weights.read_bytes())
    data[1000] ^= 1
    weights.write_bytes(data)
    with pytest.raises(WeightsError, match=r"encoder\.weights.*export the model again"):
        load_exported(copy, "x", ONNX)
    (copy / "card.json").write_text('{"format": 99}')
    with pytest.raises(WeightsError, match="format 99"):
        load_exported(copy, "x", ONNX)
    (copy / "card.json").unlink()
    with pytest.raises(WeightsError, match=r"card\.json"):
        load_exported(copy, "x", ONNX)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (ModelOptions(backend="torch"), "onnxruntime or openvino"),
        (ModelOptions(backend="onnxruntime", precision="bf16"), "in fp32, not in bf16"),
        (ModelOptions(backend="openvino", device="cuda"), "runs on the CPU"),
        (ModelOptions(device="tpu"), "'tpu'"),
    ],
)
def test_impossible_options_are_refused(folder: Path, options: ModelOptions, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        load_exported(folder, "x", options)


def test_what_can_not_be_exported(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no model 'nothing'"):
        export_model("nothing", tmp_path / "out")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(ExportError, match="is there already"):
        export_model(checkpoint, tmp_path / "full")
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"
