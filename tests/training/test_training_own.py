"""A model of one's own: learnt from few features, measured on others, written whole or not at all."""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely

import geoiseg
from geoiseg.errors import CancelledError, ExportError, GeoisegError, ModelError, WeightsError
from geoiseg.home import home
from geoiseg.models import get_model
from geoiseg.models.tiny.graphs import Graphs
from geoiseg.models.tiny.inputs import encoder_inputs
from geoiseg.models.tiny.model import TinyModel
from tests.cli.test_cli import run
from tests.conftest import needed, write_raster

torch = needed("torch")
onnx = needed("onnx")

from geoiseg.evaluate.dataset import LabelledObject
from geoiseg.training.own import judge, make
from geoiseg.training.own.crops import SIDE, View, encoded
from geoiseg.training.own.graph import read_decoder, read_encoder, write_graph
from geoiseg.training.own.judge import OldScene, measured, old_iou
from geoiseg.training.own.learn import Course, LearnOptions, learn
from geoiseg.training.own.lessons import Amounts, read_lessons
from geoiseg.training.own.make import Own, OwnOptions, _not_forgetting, make_own, write_model
from geoiseg.training.own.material import Source, held_out, source_of
from geoiseg.training.own.pupil import looking, read_pupil
from geoiseg.training.own.unfinished import unfinished

TINY = Path(geoiseg.__file__).parent / "models" / "tiny"
LEARNT = 10
"""Features of the raster that are accepted; the others are looked at when all is done."""
QUICK = OwnOptions(crops=36, ordinary=20, learn=LearnOptions(steps=80, every=20))
BRIEF = OwnOptions(crops=8, ordinary=1, learn=LearnOptions(steps=1, batch=1, ordinary=1, gain=-1))


def rings(path: Path, seed: int = 0, count: int = 16, size: int = 480) -> list[shapely.Polygon]:
    """Write a raster of discs with a dark middle in a bright ring, and return their outlines."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] + 0.5
    ground = np.stack([95 + 6 * np.sin(x / 37 + k) + 5 * np.cos(y / 29) for k in range(3)])
    image = ground * np.array([0.9, 1.0, 0.8])[:, None, None]
    shapes, side = [], 4
    for number in range(count):
        middle = (np.array([number % side, number // side]) + 0.5) * size / side
        px, py = middle + rng.uniform(-12, 12, 2)
        radius = rng.uniform(22, 36)
        away = np.hypot(x - px, y - py)
        image = np.where(away < radius, np.array([205, 200, 190.0])[:, None, None], image)
        image = np.where(away < 0.6 * radius, np.array([45, 50, 60.0])[:, None, None], image)
        middle_there = shapely.Point(500_000 + 2 * px, 4_500_000 - 2 * py)
        shapes.append(middle_there.buffer(2 * radius, 64))
    image += rng.normal(0, 5, image.shape)
    write_raster(path, np.clip(image, 1, 255).astype(np.uint8))
    return shapes


def project(path: Path, count: int) -> tuple[geoiseg.Session, list[shapely.Polygon]]:
    """Return a session with so many of the rings accepted and saved, and the outlines of all."""
    shapes = rings(path.with_suffix(".tif"))
    session = geoiseg.Session(path.with_suffix(".tif"), project=path)
    frame = gpd.GeoDataFrame({"label": ["ring"] * count}, geometry=shapes[:count], crs=32631)
    session.add_features(frame)
    return session, shapes


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the command train on few crops, and learn nothing from them."""

    def briefly(sources, folder, options, tell):
        learn = dataclasses.replace(options.learn, rate=0.0, encoder_rate=0.0)
        brief = dataclasses.replace(options, crops=8, ordinary=1, learn=learn)
        return make_own(sources, folder, brief, tell)

    monkeypatch.setattr(make, "make_own", briefly)


@pytest.fixture(autouse=True, scope="module")
def small_old_scene() -> Iterator[None]:
    """Have what was forgotten measured on a few objects of a small scene."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judge, "DEMO_SIZE", 512)
        patch.setattr(judge, "DEMO_OBJECTS", 4)
        yield


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Have torch take one thread, so that these tests neither wait for others nor slow them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Own, Source, list[shapely.Polygon]]:
    place = tmp_path_factory.mktemp("own")
    session, shapes = project(place / "rings.gpkg", LEARNT)
    source = source_of(session)
    return make_own([source], place / "model", QUICK), source, shapes


@pytest.mark.parametrize(
    ("name", "read", "bias"),
    [("decoder", read_decoder, "head"), ("encoder", read_encoder, "trunk.blocks.15.project")],
)
def test_a_graph_goes_through_torch_and_back_unchanged(
    tmp_path: Path, name: str, read: Callable[[Path], torch.nn.Module], bias: str
) -> None:
    graph, again = TINY / f"{name}.onnx", tmp_path / "again.onnx"
    part = read(graph)
    write_graph(part, graph, again)
    assert onnx.load(again) == onnx.load(graph)
    with torch.no_grad():
        part.get_submodule(bias).bias += 0.5
    write_graph(part, graph, again)
    assert onnx.load(again) != onnx.load(graph)
    other = {"decoder": "encoder", "encoder": "decoder"}[name]
    with pytest.raises(WeightsError, match=f"no {name} that can go on learning"):
        read(TINY / f"{other}.onnx")


def test_what_is_kept_of_a_crop_gives_the_features_that_the_graph_does() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype(np.uint8)
    valid = np.ones((64, 96), bool)
    valid[:, :9] = False
    given = encoder_inputs(image, valid, valid.shape)
    told = Graphs(TINY, 1).encode(given)  # in half precision
    pupil = read_pupil(TINY, encoder=True)
    with torch.no_grad():
        said = pupil.features(looking(pupil, TINY)(given))
    for name, one in said._asdict().items():
        np.testing.assert_allclose(one.numpy(), told[name], 1e-3, 1e-4, err_msg=name)


def test_an_encoder_whose_last_stages_have_learnt_is_the_models_own() -> None:
    y, x = np.mgrid[:SIDE, :SIDE]
    disc = np.hypot(y - 80, x - 80) < 40
    image = np.where(disc[..., None], np.uint8(200), np.uint8([60, 90, 50]))
    view = View(image, np.ones((SIDE, SIDE), bool), disc.astype(np.int64))
    before = read_pupil(TINY, encoder=True)
    course = Course(before, LearnOptions(steps=2, every=1, batch=1, encoder_rate=1e-3, gain=-1))
    example = encoded(looking(before, TINY), view, 1)
    course.look([example])
    course.learn_from([example], [example])
    course.look([example])
    learnt = course.learnt().pupil
    was, now = before.encoder.state_dict(), learnt.encoder.state_dict()
    moved = {name for name, one in now.items() if not torch.equal(one, was[name])}
    assert {"trunk.blocks.8.look.weight", "laterals.0.conv.weight", "dense.1.bias"} <= moved
    kept = ("stem", "fine_key", "trunk.stem", *(f"trunk.blocks.{n}." for n in range(8)))
    assert not any(name.startswith(kept) for name in moved)

    place = home() / "own" / "discs"
    place.mkdir(parents=True)
    write_model(learnt, TINY, place)
    model, shipped = get_model("discs"), get_model("tiny")
    assert model.card["sha256"]["encoder.onnx"] != shipped.card["sha256"]["encoder.onnx"]
    assert not model.info.reads_bytes
    embedding = model.embed(view.image, view.valid)
    with torch.no_grad():
        said = learnt.features([layer[None].float() for layer in example.layers])
    p8, old = embedding.arrays["p8"], shipped.embed(view.image, view.valid).arrays["p8"]
    apart = np.abs(p8.astype(np.float32) - said.p8.numpy())  # the graph's weights are halves
    change = np.abs(p8.astype(np.float32) - old)
    assert change.max() > 0.1
    assert apart.max() < 0.5 * change.max()
    assert apart.mean() < 0.1 * change.mean()
    with pytest.raises(ModelError, match="made by 'discs:"):
        shipped.dense(embedding)


def test_features_that_tiny_gets_wrong_are_learnt_from_ten(trained) -> None:
    own, source, shapes = trained
    assert own.written
    assert own.features + own.before.objects == LEARNT
    assert own.after.iou1 > own.before.iou1 + 0.1
    assert own.after.clicks < own.before.clicks
    assert own.old[1] >= 0.97 * own.old[0]
    others = [
        (source.raster, None, LabelledObject("rings", number, "ring", shape))
        for number, shape in enumerate(shapes[LEARNT : LEARNT + 3])
    ]  # which played no part in the training
    before, after = measured(TinyModel(), others), measured(TinyModel(own.folder), others)
    assert after.iou1 > before.iou1 + 0.1
    assert after.clicks < before.clicks


def test_the_folder_is_a_model_with_a_card(trained) -> None:
    own, _, shapes = trained
    assert sorted(path.name for path in own.folder.iterdir()) == [
        "card.json", "decoder.onnx", "encoder.onnx",
    ]  # fmt: skip
    assert [path.name for path in own.folder.parent.glob(".*part*")] == []
    card = json.loads((own.folder / "card.json").read_text())
    assert card["began_from"]["weights_hash"] == get_model("tiny").info.weights_hash
    assert card["data"] == [{"raster": "rings.tif", "features": 10, "classes": {"ring": 10}}]
    assert card["licence"] == "Apache-2.0"
    assert card["held_out"]["after"]["iou_1"] > card["held_out"]["before"]["iou_1"]
    assert card["training"]["learn"]["steps"] == QUICK.learn.steps
    session = geoiseg.Session(own.folder.parent / "rings.tif", str(own.folder))
    middle = shapes[-1].centroid
    session.add_point(middle.x, middle.y)
    found = session.geometry
    assert found.intersection(shapes[-1]).area / found.union(shapes[-1]).area > 0.7
    session.accept("ring")
    saved = own.folder.parent / "with_own.gpkg"
    session.save(saved)
    assert geoiseg.Session.load(saved).model is get_model(str(own.folder))
    with pytest.raises(ModelError, match="runs with device cpu alone"):
        geoiseg.load_model(str(own.folder), device="cuda")


def test_a_name_is_a_model_everywhere(trained, capsys, tmp_path: Path) -> None:
    own, _, _ = trained
    from geoiseg.home import home
    from geoiseg.models import model_names

    kept = home() / "own" / "rings"
    kept.parent.mkdir(parents=True)
    for damaged, name in ((False, "rings"), (True, "odd")):
        folder = kept.with_name(name)
        folder.mkdir()
        for path in own.folder.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        if damaged:
            with (folder / "decoder.onnx").open("ab") as file:
                file.write(b"x")
    assert "rings" in model_names()
    assert get_model("rings").info.name == "rings"
    code, text, _ = run(capsys, "models")
    assert code == 0
    assert "\n  rings " in text
    with pytest.raises(WeightsError, match="its card says"):
        get_model("odd")
    code, _, err = run(capsys, "models", "bundle", "odd", tmp_path / "odd.zip")
    assert code == 1
    assert "damaged" in err


@pytest.mark.parametrize("suffix", ["zip", "tar"])
def test_a_bundle_takes_it_to_another_machine(trained, capsys, monkeypatch, tmp_path, suffix: str):
    own, _, _ = trained
    from geoiseg.home import home

    (home() / "own").mkdir(parents=True, exist_ok=True)
    shutil.copytree(own.folder, home() / "own" / "discs")
    bundle = tmp_path / f"discs.{suffix}"
    code, _, err = run(capsys, "models", "bundle", "discs", bundle)
    assert code == 0, err
    monkeypatch.setenv("GEOISEG_HOME", str(tmp_path / "elsewhere"))
    assert home() == tmp_path / "elsewhere"
    code, _, err = run(capsys, "models", "unbundle", bundle)
    assert code == 0, err
    assert get_model(str(home() / "own" / "discs")).info.weights_hash
    for path in own.folder.iterdir():
        assert (home() / "own" / "discs" / path.name).read_bytes() == path.read_bytes()
    code, _, err = run(capsys, "models", "unbundle", bundle)
    assert (code, "is here already" in err) == (0, True)
    (home() / "own" / "discs" / "card.json").write_text('{"family": "tiny-own"}')
    code, _, err = run(capsys, "models", "unbundle", bundle)
    assert (code, "--force" in err) == (1, True)
    code, _, err = run(capsys, "models", "unbundle", bundle, "--force")
    assert code == 0, err


def test_too_little_is_refused_and_says_how_much_more(capsys, tmp_path: Path) -> None:
    project(tmp_path / "few.gpkg", 5)
    code, _, err = run(capsys, "train", tmp_path / "few.gpkg", "--out", f"{tmp_path}/m")
    assert code == 1
    assert "5 features are too few to learn from: accept 3 more" in err
    for out, said in (
        ("tiny", "is a model already"),
        ("a+flip", "letters, digits"),
        ("", "letters"),
    ):
        code, _, err = run(capsys, "train", tmp_path / "few.gpkg", "--out", out)
        assert code == 2
        assert said in err
    (tmp_path / "m").mkdir()
    code, _, err = run(capsys, "train", tmp_path / "few.gpkg", "--out", f"{tmp_path}/m")
    assert code == 1
    assert "is there already" in err


def test_the_encoder_learns_where_that_is_asked_for(capsys, monkeypatch, tmp_path: Path) -> None:
    project(tmp_path / "rings.gpkg", 8)
    asked = []

    def noted(sources, folder, options, tell):
        asked.append(options.encoder)
        raise ModelError("that was all")

    monkeypatch.setattr(make, "make_own", noted)
    arguments = ["train", tmp_path / "rings.gpkg", "--out", f"{tmp_path}/m"]
    for more in ((), ("--encoder",)):
        assert run(capsys, *arguments, *more)[0] == 1
    assert asked == [False, True]


def test_what_was_learnt_for_nothing_is_not_written(capsys, quick, tmp_path: Path) -> None:
    project(tmp_path / "rings.gpkg", 8)
    arguments = [
        "train",
        tmp_path / "rings.gpkg",
        "--steps",
        1,
        "--encoder",
        "--out",
        f"{tmp_path}/m",
    ]
    code, text, err = run(capsys, *arguments)
    assert code == 1
    assert "clicks to IoU 0.85" in text
    assert "did not help on the others: nothing was written" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rings.gpkg", "rings.tif"]


def test_a_model_that_forgets_is_refused(tmp_path: Path) -> None:
    before, ruined = (read_pupil(TINY, encoder=False) for _ in range(2))
    with torch.no_grad():
        ruined.decoder.head.bias -= 50.0
    with pytest.raises(ModelError, match=r"forgets too much.*nothing was written"):
        _not_forgetting(before, ruined, TinyModel(), tmp_path, lambda *_: None)
    share, old, _ = _not_forgetting(before, before, TinyModel(), tmp_path, lambda *_: None)
    assert share == 1
    assert old[0] == old[1] > 0.5


KILLED = """
import os, signal, sys
from pathlib import Path
from geoiseg import Session
from geoiseg.training.own.learn import Course, LearnOptions, learn
from geoiseg.training.own.lessons import Amounts, read_lessons
from geoiseg.training.own.make import OwnOptions, make_own
from geoiseg.training.own.material import source_of

def stop(what, done, whole):
    if what.startswith("learning") and done == 3:
        os.kill(os.getpid(), signal.SIGKILL)

learn = LearnOptions(steps=4, batch=1, ordinary=1, every=2, gain=-1)
options = OwnOptions(crops=8, ordinary=1, learn=learn, encoder=True)
make_own([source_of(Session.load(sys.argv[1]))], Path(sys.argv[2]), options, stop)
"""


def test_killed_it_goes_on_where_it_was(tmp_path: Path) -> None:
    session, _ = project(tmp_path / "rings.gpkg", 8)
    before = {path.name for path in tmp_path.iterdir()}
    arguments = [str(tmp_path / "rings.gpkg"), str(tmp_path / "m")]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False)
    assert done.returncode == -signal.SIGKILL
    assert {path.name for path in tmp_path.iterdir()} == before | {".m.part"}
    told: list[int] = []

    def tell(what: str, done: int, whole: int) -> None:
        if what.startswith("learning"):
            told.append(done)
        if what == "clicking, before":
            raise ModelError("enough")

    learn = dataclasses.replace(BRIEF.learn, steps=4, every=2)
    options = dataclasses.replace(BRIEF, learn=learn, encoder=True)
    with pytest.raises(ModelError, match="enough"):
        make_own([source_of(session)], tmp_path / "m", options, tell)
    assert told == [3, 4]
    assert {path.name for path in tmp_path.iterdir()} == before


def test_two_trainings_of_one_name_do_not_meet(tmp_path: Path) -> None:
    with unfinished(tmp_path / "m", {"of": 1}) as first:
        first.keep({"step": 1})
        with pytest.raises(ExportError, match=r"another training is making .*m now"):  # noqa: SIM117
            with unfinished(tmp_path / "m", {"of": 2}):
                pass
        assert first.kept() == {"step": 1}
    with unfinished(tmp_path / "m", {"of": 2}) as then:
        assert then.kept() is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("encoder", [False, True])
def test_a_course_gone_on_with_ends_where_one_without_a_break_does(
    tmp_path: Path, encoder: bool
) -> None:
    session, _ = project(tmp_path / "rings.gpkg", 8)
    source, pupil = source_of(session), read_pupil(TINY, encoder=encoder)
    held = np.arange(8) >= 7
    lessons = read_lessons([source], [held], pupil, TINY, Amounts(4, 1, 0), lambda *_: None)
    options = LearnOptions(steps=4, batch=1, ordinary=1, every=2)
    states: list[dict] = []

    def keep(state: dict) -> None:
        torch.save(state, tmp_path / "state.pt")
        states.append(torch.load(tmp_path / "state.pt", weights_only=True))

    whole = learn(Course(pupil, options), lessons, keep=keep)
    again = Course(pupil, options)
    again.take(states[0])
    assert again.step == 2
    parted = learn(again, lessons)
    assert parted.ious == whole.ious
    for name, one in whole.pupil.state_dict().items():
        assert torch.equal(parted.pupil.state_dict()[name], one), name


def test_stopped_it_keeps_what_it_has_and_a_mistake_keeps_nothing(tmp_path: Path) -> None:
    session, _ = project(tmp_path / "rings.gpkg", 8)
    source, before = source_of(session), {path.name for path in tmp_path.iterdir()}

    def stop(what: str, done: int, whole: int) -> None:
        if what == "clicking, before":
            raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        make_own([source], tmp_path / "m", BRIEF, stop)
    assert sorted(path.name for path in (tmp_path / ".m.part").iterdir()) == [
        "state.pt",
        "task.json",
    ]

    def fail(what: str, done: int, whole: int) -> None:
        assert not what.startswith(("reading", "learning"))  # that was done before
        raise ModelError("out of order")

    with pytest.raises(ModelError):
        make_own([source], tmp_path / "m", BRIEF, fail)
    assert {path.name for path in tmp_path.iterdir()} == before


def test_what_is_held_out_is_whole_blocks_of_ground() -> None:
    raster = geoiseg.open_raster  # never read: the shapes alone count
    xy = np.stack(np.meshgrid(np.arange(10), np.arange(10)), -1).reshape(-1, 2) * 100.0
    shapes = tuple(shapely.Point(*one).buffer(20) for one in xy)
    source = Source(raster, None, shapes, ("a",) * 100)
    [out] = held_out([source], 0.25, 1)
    assert 15 <= out.sum() <= 33
    cells = (xy // 180.018).astype(int)
    assert len(np.unique(cells, axis=0)) == 25
    for cell in np.unique(cells, axis=0):
        inside = out[(cells == cell).all(1)]
        assert inside.all() or not inside.any()
    few = dataclasses.replace(source, shapes=shapes[:8], labels=("a",) * 8)
    [out] = held_out([few], 0.25, 1)
    assert out.sum() == 2


def test_an_outline_off_the_raster_or_tiny_does_not_count(tmp_path: Path) -> None:
    session, _ = project(tmp_path / "rings.gpkg", 8)
    dot = shapely.box(500_100, 4_499_900, 500_102, 4_499_902)
    session.add_features(gpd.GeoDataFrame({"label": ["dot"]}, geometry=[dot], crs=32631))
    source = source_of(session)
    assert (len(source.shapes), source.left_out) == (8, 1)
    with pytest.raises(GeoisegError, match="1 more are too small"):
        few = dataclasses.replace(source, shapes=source.shapes[:7])
        make_own([few], tmp_path / "m")
    with pytest.raises(ExportError, match="is there already"):
        make_own([source], tmp_path)


def test_the_old_scene_is_known_to_the_model_that_ships() -> None:
    with OldScene() as old:
        assert len(old.objects) == 4
        assert old_iou(TinyModel(), old.objects[:3]) > 0.5
