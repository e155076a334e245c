"""Image encoders in int8: smaller, their masks measured against fp32's, refused when unlike."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geoiseg.cli import main
from geoiseg.errors import ExportError
from geoiseg.models.exported import export_model, load_exported
from geoiseg.models.exported.agreement import agreement, places
from geoiseg.models.exported.chips import chips_of, made_chips
from geoiseg.models.exported.int8 import LEAST_IOU, Int8
from geoiseg.models.options import ModelOptions
from geoiseg.models.registry import get_model
from geoiseg.prompting.pixel import PixelPrompts
from geoiseg.raster import open_raster
from tests.conftest import needed
from tests.sam_reference import iou, reference, relative_error, saved

needed("onnx")
ONNX = ModelOptions(device="cpu", backend="onnxruntime")
OPENVINO = ModelOptions(device="cpu", precision="fp32", backend="openvino")


def network() -> Any:
    """Return a small SAM whose masks are definite: of either sign, each over half a chip."""
    import torch

    sam = reference()
    with torch.no_grad():
        for head in sam.mask_decoder.output_hypernetworks_mlps:
            head.layers[-1].bias.mul_(10)
    return sam


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(network(), tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def exact(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("graphs") / "fp32"
    export_model(checkpoint, out)
    return out


@pytest.fixture(scope="module")
def chips() -> Any:
    return made_chips(256)


@pytest.fixture(scope="module", params=["weights", "static"])
def folder(
    request: pytest.FixtureRequest,
    exact: Path,
    chips: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    out = tmp_path_factory.mktemp("graphs") / request.param
    export_model(exact, out, ONNX, Int8(request.param, chips, "chips of a test"))
    return out


def card_of(folder: Path) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((folder / "card.json").read_text())
    return card


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("encoder.*"))


def test_the_encoder_is_smaller_and_alike(folder: Path, exact: Path, chips: Any) -> None:
    assert size_of(folder) < 0.4 * size_of(exact)
    ours, truth = (load_exported(one, "x", ONNX) for one in (folder, exact))
    image, valid = chips[1]
    error = relative_error(
        *(model.embed(image, valid).arrays["features"] for model in (ours, truth))
    )
    assert 1e-4 < error < 0.1


def test_it_runs_in_openvino(folder: Path, chips: Any) -> None:
    needed("openvino")
    image, valid = chips[1]
    one, other = (
        load_exported(folder, "x", how).embed(image, valid).arrays["features"]
        for how in (OPENVINO, ONNX)
    )
    assert relative_error(one, other) < 0.05


def test_the_card_keeps_what_was_measured(folder: Path, exact: Path, chips: Any) -> None:
    noted = card_of(folder)["int8"]
    assert noted["kind"] == folder.name
    assert noted["origin"] == "chips of a test"
    assert noted["run"]["backend"] == "onnxruntime"
    assert LEAST_IOU <= noted["iou"] <= 1
    assert noted["worst"] <= noted["iou"]
    again = agreement(*(load_exported(one, "x", ONNX) for one in (exact, folder)), chips[1::2])
    assert (noted["iou"], noted["prompts"]) == (round(again.mean, 4), again.prompts)
    assert again.prompts > 16
    assert "int8" not in card_of(exact)


def test_it_is_another_model_than_fp32(folder: Path, exact: Path) -> None:
    ours, truth = (get_model(one, ONNX).info for one in (folder, exact))
    assert ours.weights_hash.startswith(truth.weights_hash + "+int8-")
    assert folder.name in ours.description


def test_a_model_agrees_with_itself(exact: Path, chips: Any) -> None:
    model = load_exported(exact, "x", ONNX)
    found = agreement(model, model, chips[:1])
    assert found.mean == found.worst == 1


def test_agreement_is_that_of_the_masks(folder: Path, exact: Path, chips: Any) -> None:
    image, valid = chips[1]
    xy = places(valid, 0)
    assert valid[tuple(xy[0, ::-1].astype(int))]
    masks = []
    for one in (exact, folder):
        model = load_exported(one, "x", ONNX)
        prompts = PixelPrompts(xy[:1], np.array([True]))
        masks.append(model.decode(model.embed(image, valid), prompts).logits[0] > 0)
    assert iou(*masks) > 0.9


def test_masks_that_differ_are_refused(exact: Path, chips: Any, tmp_path: Path) -> None:
    flat = [(np.full_like(image, 124), valid) for image, valid in chips]
    mixed = [flat[0], chips[1], flat[2], chips[3]]  # calibrated on nothing, tried on pictures
    out = tmp_path / "out"
    with pytest.raises(ExportError, match=r"IoU of 0\.\d{3} with those of fp32, less than 0\.97"):
        export_model(exact, out, ONNX, Int8("static", mixed, "flat chips"))
    assert list(tmp_path.iterdir()) == []


def test_what_can_not_be_int8(folder: Path, exact: Path, chips: Any, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="is int8 already"):
        export_model(folder, tmp_path / "out", ONNX, Int8("weights", chips))
    with pytest.raises(ExportError, match="one of weights, static"):
        Int8("int4", chips)
    with pytest.raises(ExportError, match="there are none"):
        Int8("static", [])
    assert Int8("static", chips[:1]).measuring == chips[:1]


def test_chips_of_a_raster_are_spread_and_have_data(tmp_path: Path) -> None:
    path = written(tmp_path / "scene.tif")
    with open_raster(path) as raster:
        chips = chips_of(raster, 140, 6)
        assert len(chips) == 6
        assert all(valid.all() and valid.shape == (140, 140) for _, valid in chips)
        assert len({image.tobytes() for image, _ in chips}) == 6
        few = chips_of(raster, 4096)
        assert [valid.shape for _, valid in few] == [(350, 350)] * 4
        whole = raster.chip(raster.grid.whole)
        assert sum(int(valid.sum()) for _, valid in few) == int(whole.valid.sum())
    empty = written(tmp_path / "empty.tif", empty=True)
    with open_raster(empty) as raster, pytest.raises(ExportError, match="has no data"):
        chips_of(raster, 256)


def written(path: Path, *, empty: bool = False) -> Path:
    """Write a raster of 700 pixels, half of it without data."""
    import rasterio
    from affine import Affine

    picture = np.concatenate([made_chips(700, 1)[0][0]]).transpose(2, 0, 1).clip(1)
    picture[:, :, : 700 if empty else 150] = 0
    profile = {"driver": "GTiff", "width": 700, "height": 700, "count": 3, "dtype": "uint8"}
    place = {"crs": "EPSG:32633", "transform": Affine(1, 0, 5e5, 0, -1, 5e6), "nodata": 0}
    with rasterio.open(path, "w", **profile, **place) as file:
        file.write(picture)
    return path


def test_the_command_line(
    checkpoint: Path, exact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene, out = written(tmp_path / "scene.tif"), tmp_path / "out"
    how = ["--int8", "static", "--raster", str(scene), "--backend", "onnxruntime"]
    main(["models", "export", str(exact), str(out), *how])
    said = capsys.readouterr().out
    noted = card_of(out)["int8"]
    assert f"{noted['iou']:.3f}" in said
    assert "prompts on scene.tif)" in said
    assert noted["origin"] == "scene.tif"
    assert noted["chips"] == 2
    main(["models", "export", str(checkpoint), str(tmp_path / "w"), "--int8", "weights", *how[4:]])
    assert "made pictures" in capsys.readouterr().out
    assert get_model(tmp_path / "w", replace(ONNX)).info.chip_size == 256


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--int8", "static"], "--raster FILE"),
        (["--raster", "x.tif"], "--raster is for --int8"),
    ],
)
def test_what_the_command_line_refuses(
    exact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], given: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["models", "export", str(exact), str(tmp_path / "out"), *given])
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err
