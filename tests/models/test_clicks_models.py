"""Click networks as models: their files, zoom, mirror images, refinement, f-BRS, a session."""

from __future__ import annotations

import pickle
import sys
import types
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import Disk, needed

torch = needed("torch")

import geoiseg
from geoiseg.errors import ModelError, PromptError, UnknownModelError, WeightsError
from geoiseg.models import get_model
from geoiseg.models.clicks import cdnet, dos, focalclick, mix_transformer, ritm, simpleclick, zoom
from geoiseg.models.clicks.adapter import ClickModel
from geoiseg.models.clicks.detect import click_architecture
from geoiseg.models.clicks.fbrs import Optimised
from geoiseg.models.clicks.hrnet import HrnetSize
from geoiseg.models.clicks.load import build, fill
from geoiseg.models.clicks.looking import Onlooker, Said
from geoiseg.models.options import ModelOptions
from geoiseg.models.sam.device import Place
from geoiseg.models.weights.catalogue import CATALOGUE
from geoiseg.models.weights.click_rows import CLICK_ROWS
from geoiseg.models.weights.pull import PullOptions, pull
from geoiseg.models.weights.safe_load import load_settings, load_state
from geoiseg.prompting import PixelPrompts
from tests.models.test_clicks_networks import empty, shaken

EXACT = ModelOptions("cpu", "fp32", "auto")
CPU = Place(torch.device("cpu"), "fp32")


def saved(path: Path, network: Any, **settings: Any) -> Path:
    """Write a checkpoint as RITM's own code does."""
    params = {
        name: {"type": "builtin", "value": value, "specified": True}
        for name, value in settings.items()
    }
    config = {"class": "isegm.model.is_hrnet_model.HRNetModel", "params": params}
    torch.save({"state_dict": network.state_dict(), "config": config}, path)
    return path


@pytest.fixture(scope="module")
def small() -> Any:
    return shaken(ritm.Ritm(ritm.SIZES["h18s"]))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, small: Any) -> Path:
    return saved(tmp_path_factory.mktemp("ritm") / "coco_lvis_h18s_itermask.pth", small,
                 use_leaky_relu=True, use_disks=True, norm_radius=5, width=18)  # fmt: skip


def chip(shape: tuple[int, int] = (96, 128), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (*shape, 3), dtype=np.uint8)


def points(*clicks: tuple[float, float, bool]) -> PixelPrompts:
    xy = np.array([click[:2] for click in clicks], float).reshape(-1, 2)
    return PixelPrompts(points=xy, positive=np.array([click[2] for click in clicks], bool))


class Seen:
    """Stands in for a network and keeps what it was shown; says what lies near the clicks."""

    def __init__(self, habits: Any, reach: float = 12.0) -> None:
        self.habits = habits
        self.reach = reach
        self.shown: list[tuple[Any, Any, Any]] = []

    def __call__(self, image: Any, clicks: Any, before: Any) -> Any:
        self.shown.append((image, clicks, before))
        rows = torch.arange(image.shape[2]).view(1, -1, 1)
        columns = torch.arange(image.shape[3]).view(1, 1, -1)
        out = torch.full((len(image), *image.shape[2:]), -6.0)
        for number in range(clicks.shape[1]):
            row, column, sign = (clicks[:, number, part].view(-1, 1, 1) for part in range(3))
            near = (rows - row) ** 2 + (columns - column) ** 2 <= self.reach**2
            out = torch.where(near, 6.0 * sign, out)
        return out[:, None]


@pytest.mark.parametrize("row", CLICK_ROWS, ids=lambda row: row.name)
def test_every_architecture_is_told_from_its_tensors(row: Any) -> None:
    state = empty(row.name).state_dict()
    found = click_architecture(state)
    assert found is not None
    assert row.name.removesuffix("-s1").removesuffix("-s2") == found
    settings = {"pipeline_version": "s1"} if row.name.endswith("-s1") else {}
    built = build(found, settings, state)
    assert built.state_dict().keys() == state.keys()
    assert getattr(built, "small", False) == row.name.endswith("-s1")


def test_dos_is_told_and_built_with_its_classes() -> None:
    with torch.device("meta"):
        state = dos.Dos(21).state_dict()
    assert click_architecture(state) == "dos-fcn8s"
    assert build("dos-fcn8s", {}, state).state_dict().keys() == state.keys()
    assert click_architecture({"layer.weight": torch.zeros(2)}) is None


def test_a_checkpoint_by_its_path_is_the_network(checkpoint: Path, small: Any) -> None:
    model = get_model(checkpoint, EXACT)
    assert isinstance(model, ClickModel)
    assert model.info.family == "ritm"
    assert model.info.parameters == 4_220_047
    assert model.info.weights_hash
    image = chip()
    embedding = model.embed(image, np.ones(image.shape[:2], bool))
    masks = model.decode(embedding, points((40.5, 30.5, True)))
    picture = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    clicks, none = torch.tensor([[[30.0, 40.0, 1.0]]]), torch.zeros(1, 1, 96, 128)
    with torch.no_grad():
        straight = torch.sigmoid(small(picture, clicks, none))
        mirrored = torch.tensor([[[30.0, 87.0, 1.0]]])
        flipped = torch.sigmoid(small(picture.flip(3), mirrored, none)).flip(3)
    mean = (0.5 * (straight + flipped))[0, 0].numpy()
    expected = np.log(mean / (1 - mean)) - np.log(0.49 / 0.51)
    assert np.abs(masks.logits[0] - expected).max() < 1e-4


def test_mirrored_chips_give_mirrored_masks(checkpoint: Path) -> None:
    model = get_model(checkpoint, EXACT)
    image, valid = chip(), np.ones((96, 128), bool)
    there = model.decode(model.embed(image, valid), points((40.5, 30.5, True), (90.5, 50.5, False)))
    back = model.decode(
        model.embed(image[:, ::-1], valid), points((87.5, 30.5, True), (37.5, 50.5, False))
    )
    assert np.abs(there.logits - back.logits[..., ::-1]).max() < 1e-3


def test_what_was_published_with_it_is_read_safely(checkpoint: Path) -> None:
    assert load_settings(checkpoint)["norm_radius"] == 5
    assert len(load_state(checkpoint)) == 929


def test_simpleclicks_loss_is_put_aside_and_nothing_of_it_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its checkpoints hold the loss they were trained with, an object of the authors' own."""
    name = "isegm.model.modeling.transformer_helper.cross_entropy_loss"
    module = types.ModuleType(name)

    class CrossEntropyLoss(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cls_criterion = module.cross_entropy

    def cross_entropy() -> None:
        raise AssertionError("run")

    for thing in (CrossEntropyLoss, cross_entropy):
        thing.__module__, thing.__qualname__ = name, thing.__name__
        setattr(module, thing.__name__, thing)
    parts = name.split(".")
    for number in range(1, len(parts)):
        parent = ".".join(parts[:number])
        monkeypatch.setitem(sys.modules, parent, types.ModuleType(parent))
    monkeypatch.setitem(sys.modules, name, module)
    network = shaken(simpleclick.SimpleClick(simpleclick.SIZES["vit-xt"]))
    path = saved(tmp_path / "cocolvis_vit_xtiny.pth", network, norm_radius=5,
                 head_params={"loss_decode": CrossEntropyLoss(), "channels": 128})  # fmt: skip
    for number in range(1, len(parts) + 1):
        monkeypatch.delitem(sys.modules, ".".join(parts[:number]))
    assert len(load_state(path)) == len(network.state_dict())
    model = get_model(path, EXACT)
    assert model.info.family == "simpleclick"
    assert name not in sys.modules
    image = chip((60, 80))
    masks = model.decode(model.embed(image, np.ones((60, 80), bool)), points((40, 30, True)))
    assert masks.logits.shape == (1, 60, 80)


def test_any_other_class_is_still_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (print, ("run",))

    path = tmp_path / "evil.pth"
    torch.save({"state_dict": {"a": torch.zeros(1)}, "config": {"params": {"x": Evil()}}}, path)
    with pytest.raises(WeightsError, match=r"was refused: .*asks to run print"):
        load_settings(path)


def test_an_incomplete_or_a_strange_checkpoint_is_one_clear_line(
    tmp_path: Path, small: Any
) -> None:
    state = small.state_dict()
    with pytest.raises(WeightsError, match=r"lacks 1 tensors of a Ritm, the first is 'maps_tr"):
        fill(small, {k: v for k, v in state.items() if k != "maps_transform.3.scale"}, "'x'")
    with pytest.raises(WeightsError, match=r"has 1 tensors that a Ritm has not, .*'more'"):
        fill(small, {**state, "more": torch.zeros(1)}, "'x'")
    wrong = {**state, "maps_transform.3.scale": torch.zeros(2)}
    with pytest.raises(WeightsError, match=r"'maps_transform.3.scale' as \(2,\), not \(1,\)"):
        fill(small, wrong, "'x'")
    path = saved(tmp_path / "old.pth", small, use_disks=False)
    with pytest.raises(WeightsError, match="distance maps"):
        get_model(path, EXACT)
    path = saved(tmp_path / "odd.pth", small, norm_radius=None)
    with pytest.raises(WeightsError, match="this RITM was built in a way that is not known here"):
        get_model(path, EXACT)
    first = {k: v for k, v in state.items() if not k.startswith("maps_transform")}
    torch.save({**first, "rgb_conv.0.weight": torch.zeros(8, 5, 1, 1)}, tmp_path / "first.pth")
    with pytest.raises(WeightsError, match=r"not known here .*take its authors' published file"):
        get_model(tmp_path / "first.pth", EXACT)
    assert click_architecture({"patch_embed_coords.proj.weight": torch.tensor(1.0)}) is None


def test_options_that_it_has_not_are_refused(checkpoint: Path) -> None:
    with pytest.raises(ModelError, match="does not run"):
        get_model(checkpoint, ModelOptions("cpu", "fp32", "onnxruntime"))


def test_the_second_click_looks_closer(small: Any) -> None:
    seen = Seen(small.habits)
    onlooker = Onlooker(small, seen)
    image = torch.rand(1, 3, 400, 600)
    first = onlooker.look(image, Said(((200.0, 300.0, 1),)))
    assert seen.shown[-1][0].shape == (2, 3, 400, 600)  # both ways round
    assert float(first[0, 0, 200, 300]) > 0.9
    mask = (first > 0.49)[0, 0]
    onlooker.look(image, Said(((200.0, 300.0, 1), (205.0, 310.0, -1)), first))
    shown, clicks, before = seen.shown[-1]
    assert shown.shape == (2, 3, 400, 400)  # 200 pixels are the smallest window
    assert float(before.max()) > 0.9
    assert clicks[0, 0].tolist() == pytest.approx([400 * 100 / 201, 400 * 100 / 201, 1], abs=2.1)
    assert int(mask.sum()) == pytest.approx(np.pi * 12**2, rel=0.05)


def test_small_things_are_looked_at_again_where_the_paper_does() -> None:
    with torch.device("meta"):
        network = simpleclick.SimpleClick(simpleclick.SIZES["vit-xt"])
    seen = Seen(network.habits, reach=20)
    found = Onlooker(network, seen).look(torch.rand(1, 3, 900, 900), Said(((450.0, 450.0, 1),)))
    assert len(seen.shown) == 2
    assert all(shown[0].shape == (2, 3, 448, 448) for shown in seen.shown)
    assert float(found[0, 0, 450, 450]) > 0.9
    assert float(found[0, 0, 100, 100]) == 0


def test_windows() -> None:
    mask = np.zeros((100, 200), bool)
    mask[40:60, 90:110] = True
    assert zoom.bounds_of(mask) == (40, 60, 90, 110)
    assert zoom.of_object(mask, (), 10) == (36, 65, 86, 115)
    assert zoom.of_object(np.zeros((5, 5), bool), (), 1) is None
    window = zoom.of_object(mask, [(5.0, 190.0)], 10)
    assert window is not None
    assert window[0] == 0
    assert window[3] == 200
    assert zoom.overlap((0, 10, 0, 10), (0, 10, 5, 15)) == pytest.approx(1 / 3)
    assert zoom.overlap((0, 2, 0, 2), (5, 6, 5, 6)) == 0
    now = mask.copy()
    now[60:80, 100:104] = True
    close = zoom.focus(now, mask, (70.0, 102.0), (0, 100, 0, 200))
    assert close[0] < 70 < close[1]
    assert close[1] - close[0] < 40
    whole = zoom.focus(mask, np.zeros_like(mask), (50.0, 100.0), (0, 100, 0, 200))
    assert whole[0] <= 40
    assert whole[1] >= 60


@pytest.mark.parametrize(
    ("make", "side"),
    [
        (partial(focalclick.FocalHrnet, focalclick.HRNETS["hrnet18s"]), 256),
        (
            partial(focalclick.FocalSegformer, mix_transformer.SIZES["segformer-b0"], small=True),
            256,
        ),
        (cdnet.CDNet, 384),
    ],
)
def test_the_others_answer_in_place(make: Any, side: int) -> None:
    network = shaken(make())
    assert network.habits.side == side
    onlooker = Onlooker(network)
    image = torch.rand(1, 3, 70, 90)
    with torch.no_grad():
        first = onlooker.look(image, Said(((30.0, 40.0, 1),)))
        again = onlooker.look(image, Said(((30.0, 40.0, 1), (60.0, 80.0, -1)), first))
    for found in (first, again):
        assert found.shape == (1, 1, 70, 90)
        assert 0 <= float(found.min()) <= float(found.max()) <= 1
        assert torch.isfinite(found).all()


def test_focalclick_changes_nothing_far_from_the_eleventh_click(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = shaken(focalclick.FocalHrnet(focalclick.HRNETS["hrnet18s"]))
    before = torch.full((1, 1, 256, 256), 0.02)
    before[..., 20:236, 20:236] = 0.97
    logits = torch.where(before > 0.5, 5.0, -5.0).repeat(2, 1, 1, 1)
    logits[..., 30:50, 30:50] = -5.0
    logits[1:] = logits[:1].flip(3)
    features = torch.rand(2, 96, 64, 64)
    monkeypatch.setattr(network, "both", lambda *_: (logits, features))
    clicks = [(150.0, 150.0, 1)] * 10
    onlooker, image, window = Onlooker(network), torch.rand(1, 3, 256, 256), (0, 256, 0, 256)
    last = (40.0, 40.0, -1)
    with torch.no_grad():
        few = onlooker.within(image, Said((*clicks[1:], last), before), window)
        many = onlooker.within(image, Said((*clicks, last), before), window)
    near = torch.zeros(1, 1, 256, 256, dtype=torch.bool)
    near[..., : 40 + 62, : 40 + 62] = True  # 0.2 of the object to all sides, and some room
    assert torch.allclose(many[~near], before[~near], atol=1e-3)
    assert torch.allclose(few[~near], torch.sigmoid(logits[:1])[~near], atol=1e-3)
    assert (many - before)[..., 38:42, 38:42].abs().min() > 1e-3


@pytest.mark.parametrize("kind", ["a", "b", "c"])
def test_f_brs_brings_the_clicks_right(kind: str) -> None:
    small = shaken(ritm.Ritm(HrnetSize(4, 6, small=True)))
    image, before = torch.rand(1, 3, 96, 96), torch.zeros(1, 1, 96, 96)
    clicks = torch.tensor([[[20.0, 20.0, 1.0], [70.0, 70.0, -1.0]]])
    optimised = Optimised(small, kind)
    with torch.inference_mode():
        plain = small(image, clicks[:, :1], before)
        same = optimised(image, clicks[:, :1], before)
        assert torch.allclose(plain, same, atol=1e-5)  # one click: nothing to optimise
        begin = torch.sigmoid(small(image, clicks, before))[0, 0]
        end = torch.sigmoid(optimised(image, clicks, before))[0, 0]

    def loss(p: Any) -> float:
        return float((1 - p[19:22, 19:22]).pow(2).mean() + p[69:72, 69:72].pow(2).mean())

    assert loss(end) < loss(begin) - 0.01


def test_f_brs_by_name(checkpoint: Path, tmp_path: Path) -> None:
    model = get_model(f"{checkpoint}+f-brs-c", EXACT)
    assert model.info.name.endswith("+f-brs-c")
    image = chip((64, 64))
    embedding = model.embed(image, np.ones((64, 64), bool))
    masks = model.decode(embedding, points((20, 20, True), (50, 50, False)))
    assert masks.logits.shape == (1, 64, 64)
    other = saved(tmp_path / "cdnet.pth", shaken(cdnet.CDNet()))
    with pytest.raises(ModelError, match="RITM alone"):
        get_model(f"{other}+f-brs-a", EXACT)
    with pytest.raises(WeightsError, match="no model or file"):
        get_model("nothing+f-brs-a", EXACT)
    with pytest.raises(UnknownModelError):
        get_model("ritm-h18s+f-brs-d", EXACT)


def test_prompts_of_all_kinds(checkpoint: Path) -> None:
    model = get_model(checkpoint, EXACT)
    image, valid = chip(), np.ones((96, 128), bool)
    valid[:, :10] = False
    embedding = model.embed(image, valid)
    box = model.decode(embedding, PixelPrompts(box=(30.0, 20.0, 70.0, 60.0)))
    outside = np.ones((96, 128), bool)
    outside[20:60, 30:70] = False
    assert (box.logits[0][outside] < 0).all()
    stroke = np.array([[20.0, 20.0], [90.0, 60.0]])
    assert model.decode(embedding, PixelPrompts(scribbles=((stroke, True),))).logits.shape == (
        1,
        96,
        128,
    )
    outline = np.zeros((96, 128), bool)
    outline[30:60, 40:80] = True
    assert model.decode(embedding, PixelPrompts(mask=outline)).logits.shape == (1, 96, 128)
    masks = model.decode(embedding, points((60, 40, True)))
    assert (masks.logits[0][:, :10] < 0).all()
    nothing = model.decode(embedding, points((60, 40, False)))
    assert not (nothing.logits > 0).any()
    with pytest.raises(PromptError, match="no prompt"):
        model.decode(embedding, PixelPrompts())
    with pytest.raises(PromptError, match="mask to refine"):
        model.decode(embedding, points((60, 40, True)), np.zeros((5, 5), np.float32))


def test_a_session_on_a_georeferenced_raster(disk: Disk, checkpoint: Path) -> None:
    session = geoiseg.Session(disk.path, str(checkpoint))
    bounds = session.raster.grid.footprint.bounds
    x, y = (bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2
    session.add_point(x, y)
    session.add_point(bounds[0] + 0.1 * (bounds[2] - bounds[0]), y, positive=False)
    mask = session.mask
    assert mask is not None
    assert mask.array.dtype == bool
    if session.geometry is not None and not session.geometry.is_empty:
        assert session.geometry.bounds[0] >= bounds[0] - 1e-9


def test_the_catalogue_names_them_and_says_how_to_get_them() -> None:
    assert {row.name for row in CLICK_ROWS} <= set(CATALOGUE)
    assert CATALOGUE["ritm-h18"].files[0].url.startswith("https://github.com/saic-vul/ritm")
    with pytest.raises(WeightsError, match=r"on a drive.*cocolvis_vit_base.pth.*--from FILE"):
        pull(CATALOGUE["simpleclick-vit-b"], PullOptions(accepts=lambda _: True))
    with pytest.raises(WeightsError, match=r"geoiseg models pull cdnet-resnet34 --from FILE"):
        get_model("cdnet-resnet34", EXACT)


def test_a_model_travels_as_its_embedding_does(checkpoint: Path) -> None:
    model = get_model(checkpoint, EXACT)
    embedding = model.embed(chip(), np.ones((96, 128), bool))
    again = pickle.loads(pickle.dumps(embedding))
    one, two = (model.decode(e, points((40, 30, True))).logits for e in (embedding, again))
    assert np.array_equal(one, two)
