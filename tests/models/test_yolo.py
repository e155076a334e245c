"""FastSAM and YOLO: tiny networks of random weights, in an environment that has ultralytics."""

from __future__ import annotations

import importlib.util
import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import geoiseg
from geoiseg.errors import MissingExtraError, ModelError, PromptError, WeightsError
from geoiseg.models import get_model
from geoiseg.models.options import ModelOptions
from geoiseg.models.yolo.checkpoint import check_plan
from geoiseg.prompting.pixel import PixelPrompts
from tests.conftest import UTM, Disk, needed, write_raster

HERE = importlib.util.find_spec("ultralytics") is not None
there = pytest.mark.skipif(not HERE, reason="ultralytics (AGPL-3.0) has an environment of its own")

SHAPE = (128, 160)


def clicks(*placed: tuple[float, float, bool]) -> PixelPrompts:
    xy = np.array([place[:2] for place in placed], float).reshape(-1, 2)
    return PixelPrompts(points=xy, positive=np.array([place[2] for place in placed], bool))


@pytest.mark.skipif(HERE, reason="ultralytics is here")
def test_without_ultralytics_its_extra_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingExtraError, match=r"pip install 'geoiseg\[yolo\]'"):
        get_model(f"yolo:{tmp_path / 'FastSAM-s.pt'}")


def test_nothing_else_imports_it() -> None:
    root = Path(geoiseg.__file__).parent
    named = [
        path for path in root.rglob("*.py") if "ultralytics" in path.read_text(encoding="utf-8")
    ]
    others = [path for path in named if path.parent.name != "yolo"]
    assert {path.name for path in others} <= {"registry.py", "safe_load.py"}
    for path in others:
        assert "import ultralytics" not in path.read_text(encoding="utf-8")


def branches(network: Any, name: str) -> list[Any]:
    """Return what a head says at each level; YOLO26 has two heads, and its caller asks for one."""
    head = network.model.model[-1]
    return [*getattr(head, name), *getattr(head, f"one2one_{name}", ())]


def made(path: Path, plan: str, classes: int) -> Any:
    """Write a network of random weights that finds something, and return it."""
    import torch
    from ultralytics import YOLO

    torch.manual_seed(0)
    network = YOLO(plan, task="segment")
    if classes == 1:  # FastSAM's one class is any object
        plan_of = dict(network.model.yaml, nc=1)
        file = path.with_suffix(".yaml")
        file.write_text(json.dumps(plan_of))
        network = YOLO(str(file), task="segment")
        network.model.names = {0: "object"}
    with torch.no_grad():
        for branch in branches(network, "cv3"):
            branch[-1].bias[:] = -12
            branch[-1].bias[:1] = 0.0
        for branch in branches(network, "cv2"):
            if len(branch[-1].bias) == 4:  # YOLO26 says distances outright: far enough for a box
                branch[-1].bias[:] = 7.0
    noise = np.random.default_rng(0).integers(0, 255, (*SHAPE, 3), dtype=np.uint8)
    side = 1024 if classes == 1 else 640
    (result,) = network.predict(noise, imgsz=side, retina_masks=True, verbose=False, device="cpu")
    if result.masks is None or not len(result.masks):  # by chance all masks are inside out
        with torch.no_grad():
            for branch in branches(network, "cv4"):
                branch[-1].weight.neg_()
                branch[-1].bias.neg_()
    if classes > 1:
        network.model.names = {n: "boat" if n == 0 else f"thing {n}" for n in range(classes)}
    network.save(str(path))
    return network


@pytest.fixture(scope="module", params=[("yolo11n-seg.yaml", 80), ("yolo26n-seg.yaml", 80),
                ("yolov8n-seg.yaml", 1)], ids=["yolo11", "yolo26", "fastsam"])  # fmt: skip
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("yolo") / "net.pt"
    made(path, *request.param)
    return path


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (*SHAPE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def noise(image: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("noise") / "noise.tif"
    return write_raster(path, image.transpose(2, 0, 1))


@there
def test_all_masks_are_ultralytics_own(checkpoint: Path, image: np.ndarray, caplog: Any) -> None:
    from ultralytics import YOLO

    with caplog.at_level(logging.WARNING):
        model: Any = get_model(f"yolo:{checkpoint}", ModelOptions("cpu"))
    if not any("AGPL-3.0" in record.message for record in caplog.records):
        assert "AGPL" in model.info.licence  # loaded, and said, by a test before
    embedding = model.embed(image, np.ones(SHAPE, bool))
    found = model.objects(embedding)
    theirs = YOLO(str(checkpoint))  # unpickled by ultralytics itself
    (result,) = theirs.predict(image[..., ::-1].copy(), imgsz=model.info.chip_size, conf=0.25, iou=0.7,
                               max_det=300, retina_masks=True, verbose=False, device="cpu")  # fmt: skip
    assert len(found.scores) == len(result.masks) > 0
    order = np.argsort(-result.boxes.conf.numpy(), kind="stable")
    assert np.allclose(found.scores, result.boxes.conf.numpy()[order], atol=2e-3)
    same = (found.masks == (result.masks.data.numpy()[order] > 0.5)).mean()
    assert same > 0.99
    assert set(found.labels) <= set(theirs.names.values())
    assert model.info.parameters == sum(p.numel() for p in theirs.model.parameters())


@there
def test_prompts_choose_among_the_masks(checkpoint: Path, image: np.ndarray) -> None:
    model: Any = get_model(f"yolo:{checkpoint}", ModelOptions("cpu"))
    embedding = model.embed(image, np.ones(SHAPE, bool))
    found = model.objects(embedding)
    mask = found.masks[0]
    rows, columns = np.nonzero(mask)
    middle = (float(columns[len(rows) // 2]) + 0.5, float(rows[len(rows) // 2]) + 0.5)
    clicked = model.decode(embedding, clicks((*middle, True)))
    assert (clicked.logits[:, int(middle[1]), int(middle[0])] > 0).all()
    areas = (clicked.logits > 0).sum(axis=(1, 2))
    assert (np.diff(areas) >= 0).all()  # the smallest first
    outlined = model.decode(embedding, PixelPrompts(mask=mask))
    assert np.array_equal(outlined.logits[0] > 0, mask)
    box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    boxed = model.decode(embedding, PixelPrompts(box=tuple(float(side) for side in box)))
    assert (boxed.logits[0] > 0).any()
    empty = ~found.masks.any(axis=0)
    if empty.any():
        row, column = np.argwhere(empty)[0]
        nothing = model.decode(embedding, clicks((column + 0.5, row + 0.5, True)))
        assert not (nothing.logits > 0).any()
        assert nothing.scores[0] == 0
    with pytest.raises(PromptError, match="no prompt"):
        model.decode(embedding, PixelPrompts())


@there
def test_a_session_on_a_georeferenced_raster(checkpoint: Path, disk: Disk) -> None:
    session = geoiseg.Session(disk.path, f"yolo:{checkpoint}")
    session.add_point(*disk.centre)
    assert session.mask is not None
    if session.geometry is not None and not session.geometry.is_empty:
        assert session.geometry.intersects(session.raster.grid.footprint)


@there
def test_words_are_classes_on_a_georeferenced_raster(checkpoint: Path, noise: Path) -> None:
    session = geoiseg.Session(noise, f"yolo:{checkpoint}")
    model: Any = session.model
    if len(model.classes) == 1:
        assert not model.info.takes_text  # "object" is no word: what words mean is CLIP's
        return
    assert model.classes[:2] == ("boat", "thing 1")
    found = session.add_text("Boat")
    assert found
    assert all(one.score >= 0.25 for one in found)
    for one in found:
        assert one.geometry.intersects(session.raster.grid.footprint)
    number = session.accept_candidate(found[0].number, label="boat")
    row = session.features.set_index("id").loc[number]
    assert row["label"] == "boat"
    assert row["words_engine"].startswith(f"yolo:{checkpoint}@")
    assert session.add_text("thing 1") == ()  # biased against it
    with pytest.raises(PromptError, match="80 classes by name, and 'lake' is none of them: boat"):
        session.add_text("lake")
    with pytest.raises(PromptError, match="takes words but no examples"):
        session.more_like("boat", engine=model.info.name)


@there
def test_a_map_by_a_class_is_labelled_with_it(
    checkpoint: Path, noise: Path, tmp_path: Path
) -> None:
    import geopandas as gpd
    from click.testing import CliRunner

    from geoiseg.cli.main import cli

    model: Any = get_model(f"yolo:{checkpoint}")
    out = tmp_path / "boats.gpkg"
    given = ["map", str(noise), str(out), "--model", model.info.name, "--text", "boat"]
    done = CliRunner().invoke(cli, given)
    if len(model.classes) == 1:  # its words are those of the engine that ships
        assert isinstance(done.exception, PromptError)
        assert "'boat' is not in the vocabulary" in str(done.exception)
        return
    assert done.exit_code == 0, done.output
    frame = gpd.read_file(out)
    assert set(frame["label"]) == {"boat"}
    assert frame.crs == UTM


@there
def test_everything_is_what_it_found(checkpoint: Path, image: np.ndarray) -> None:
    from geoiseg.tiled.automatic import View, find_objects
    from geoiseg.tiled.candidates import Placement
    from geoiseg.tiled.options import AutomaticOptions

    model: Any = get_model(f"yolo:{checkpoint}", ModelOptions("cpu"))
    valid = np.ones(SHAPE, bool)
    near = View(image, valid, Placement((1.0, 1.0), (0.0, 0.0)))
    options = AutomaticOptions.for_family("yolo", scales=(1,))
    labels, scores = find_objects(model, lambda _: near, valid, (0, 0), options)
    found = model.objects(model.embed(image, valid))
    assert len(scores) == labels.max() > 0
    assert set(scores.round(5)) <= set(found.scores.astype(float).round(5))
    union = found.masks.any(axis=0)
    assert (union | (labels == 0)).mean() > 0.95  # borders are smoothed


@there
def test_clip_ranks_what_it_finds(checkpoint: Path, noise: Path, tmp_path: Path) -> None:
    from tests.words.test_text_engines import save

    session = geoiseg.Session(noise, f"yolo:{checkpoint}")
    clip = save("clip", tmp_path / "clip")
    found = session.add_text("a", engine=str(clip), threshold=0.0)
    assert found
    for one in found:
        assert one.geometry.intersects(session.raster.grid.footprint)
        assert 0 < one.score < 1


@there
def test_a_file_that_runs_code_runs_none(tmp_path: Path) -> None:
    import torch

    class Evil:
        def __reduce__(self) -> Any:
            return (exec, ("raise SystemExit('run')",))

    path = tmp_path / "evil.pt"
    torch.save({"model": Evil()}, path)
    with pytest.raises(WeightsError, match=r"no (network|checkpoint) of ultralytics"):
        get_model(f"yolo:{path}")
    (tmp_path / "text.pt").write_text("no checkpoint")
    with pytest.raises(WeightsError, match="no checkpoint of ultralytics"):
        get_model(f"yolo:{tmp_path / 'text.pt'}")
    with pytest.raises(WeightsError, match="no file of weights"):
        get_model(f"yolo:{tmp_path / 'none.pt'}")
    with pytest.raises(ModelError, match="no choice of precision"):
        get_model(f"yolo:{path}", ModelOptions("cpu", "bf16"))


@pytest.mark.parametrize(
    "changed",
    [
        {"activation": "__import__('os').system('true')"},
        {"activation": "nn.ReLU(__import__('os').system('true'))"},
        {"activation": "nn.functional.torch.hub.load('a/b', 'c')"},
        {"activation": 7},
        {"head": [[-1, 1, "torch_safe_load", ["net.pt"]]]},
        {"head": [[-1, 1, "nn.functional", []]]},
        {"head": [[-1, 1, "nn.modules.os", []]]},
        {"head": [[-1, 1, "TorchVision", [3, "resnet18", "DEFAULT"]]]},
        {"head": "none"},
    ],
)
def test_a_plan_names_layers_and_nothing_that_runs(changed: dict[str, Any]) -> None:
    nn = needed("torch.nn")
    layers = {
        "backbone": [[-1, 1, "Conv", [64, 3, 2]]],
        "head": [[-1, 1, "nn.Upsample", [None, 2]]],
    }
    known = SimpleNamespace(Conv=nn.Conv2d, TorchVision=nn.Module, torch_safe_load=print)
    for activation in ("nn.SiLU()", "torch.nn.LeakyReLU(0.1, inplace=True)"):
        check_plan({**layers, "activation": activation}, known, Path("net.pt"))
    with pytest.raises(WeightsError, match=r"net\.pt (was refused|holds no network)"):
        check_plan({**layers, **changed}, known, Path("net.pt"))


@there
def test_a_plan_that_would_run_code_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    import torch

    ran = tmp_path / "ran"
    kept = torch.load(checkpoint, weights_only=False)
    for network in (kept.get("model"), kept.get("ema")):
        if network is not None:
            network.yaml["activation"] = f"open({str(ran)!r}, 'w').close() or torch.nn.SiLU()"
    torch.save(kept, tmp_path / "evil.pt")
    with pytest.raises(WeightsError, match="is no activation"):
        get_model(f"yolo:{tmp_path / 'evil.pt'}", ModelOptions("cpu"))
    assert not ran.exists()


@there
def test_by_its_plain_path_it_is_told_how(checkpoint: Path) -> None:
    with pytest.raises(WeightsError, match="give it as yolo:"):
        get_model(checkpoint, ModelOptions("cpu", "fp32"))
