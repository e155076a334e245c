"""The small network as it ships: what it promises on any chip, and that its files are genuine."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import geoiseg.models.tiny
from geoiseg.errors import ModelError, PromptError, WeightsError
from geoiseg.evaluate.metrics import iou
from geoiseg.evaluate.simulated_user import ClickOptions, box_of, run_clicks
from geoiseg.models.classic.seeds import draw_seeds
from geoiseg.models.protocol import Embedding, Model
from geoiseg.models.tiny import FILES
from geoiseg.models.tiny.answers import Answers
from geoiseg.models.tiny.batch import decode_closely, pieces
from geoiseg.models.tiny.boxed import surroundings
from geoiseg.models.tiny.closer import CloseUp, close_up
from geoiseg.models.tiny.inputs import MOST_POINTS, click_middle, decoder_inputs, features_in
from geoiseg.models.tiny.model import TinyModel
from geoiseg.models.tiny.outputs import obedient
from geoiseg.models.tiny.pieces import cut
from geoiseg.prompting.pixel import PixelPrompts

FOLDER = Path(geoiseg.models.tiny.__file__).parent
SHAPE = (150, 210)
ROWS, COLUMNS = np.indices(SHAPE) + 0.5
DISK = np.hypot(ROWS - 70, COLUMNS - 100) < 36
EVERYWHERE = np.ones(SHAPE, bool)


@pytest.fixture(scope="module")
def model():
    return TinyModel(threads=1)


def painted(mask, inside=(150, 170, 80), outside=(90, 110, 120), noise=6.0):
    colours = np.where(mask[..., None], inside, outside)
    rng = np.random.default_rng(0)
    return np.clip(colours + rng.normal(0, noise, (*mask.shape, 3)), 0, 255).astype(np.uint8)


def clicks(*placed, **others):
    """Prompts of ``(x, y, positive)`` clicks."""
    points = np.array([place[:2] for place in placed], float).reshape(-1, 2)
    signs = np.array([place[2] for place in placed], bool)
    return PixelPrompts(points=points, positive=signs, **others)


@pytest.fixture(scope="module")
def embedded(model):
    return model.embed(painted(DISK), EVERYWHERE)


def answer(model, embedding, prompts, previous=None):
    masks = model.decode(embedding, prompts, previous)
    assert masks.logits.shape[1:] == embedding.shape
    assert 1 <= len(masks.logits) == len(masks.scores) <= 4
    assert masks.scores.argmax() == 0, "the answer comes first, other readings after it"
    assert masks.logits.dtype == np.float32
    assert np.isfinite(masks.logits).all()
    assert 0 <= float(masks.scores[0]) <= 1
    return masks.logits[0]


def test_it_is_a_model(model):
    assert isinstance(model, Model)
    assert model.info.name == "tiny"
    assert model.info.licence == "Apache-2.0"
    assert 0 < model.info.parameters <= 4_500_000
    assert len(model.info.weights_hash) == 64


def test_the_files_are_those_of_the_card():
    card = json.loads((FOLDER / "card.json").read_text())
    for name in FILES:
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == card["sha256"][name]
    assert sum((FOLDER / name).stat().st_size for name in FILES) <= 9_000_000
    assert card["training"]["step"] > 0
    assert card["figures"]


def test_changed_weights_are_refused(tmp_path):
    for name in (*FILES, "card.json"):
        shutil.copy(FOLDER / name, tmp_path / name)
    data = bytearray((tmp_path / "decoder.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "decoder.onnx").write_bytes(data)
    with pytest.raises(WeightsError, match="SHA-256"):
        TinyModel(tmp_path)
    (tmp_path / "decoder.onnx").unlink()
    with pytest.raises(WeightsError, match="cannot read"):
        TinyModel(tmp_path)
    (tmp_path / "card.json").unlink()
    with pytest.raises(WeightsError, match="card"):
        TinyModel(tmp_path)


def test_it_runs_without_torch():
    code = (
        "import sys, numpy as np; sys.modules['torch'] = None\n"
        "from geoiseg.models.tiny.model import TinyModel\n"
        "from geoiseg.models.protocol import PixelPrompts\n"
        "model = TinyModel(threads=1)\n"
        "e = model.embed(np.zeros((40, 50, 3), np.uint8), np.ones((40, 50), bool))\n"
        "p = PixelPrompts(points=np.array([[20., 20.]]), positive=np.array([True]))\n"
        "print(model.decode(e, p).logits.shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "(1, 40, 50)\n"


def test_one_click_and_a_box_find_a_disk(model, embedded):
    assert iou(answer(model, embedded, clicks((100, 70, True))) > 0, DISK) > 0.8
    assert iou(answer(model, embedded, PixelPrompts(box=(64, 34, 136, 106))) > 0, DISK) > 0.8


def test_a_scribble_and_an_outline_find_it_too(model, embedded):
    stroke = np.array([[80.0, 60.0], [100.0, 75.0], [120.0, 80.0]])
    scribbled = answer(model, embedded, PixelPrompts(scribbles=((stroke, True),)))
    assert iou(scribbled > 0, DISK) > 0.75
    rough = np.hypot(ROWS - 74, COLUMNS - 104) < 32
    refined = answer(model, embedded, PixelPrompts(mask=rough))
    assert iou(refined > 0, DISK) > iou(rough, DISK)


def test_clicks_of_a_user_lead_to_the_object(model):
    ring = DISK & ~(np.hypot(ROWS - 70, COLUMNS - 100) < 14)
    image = painted(ring, noise=10)
    run = run_clicks(model, image, EVERYWHERE, ring, ClickOptions(max_clicks=10))
    assert run.ious.max() > 0.85


def test_bands_and_contrast_do_not_matter_much(model):
    plain = painted(DISK)
    changes = [plain[..., ::-1], (plain * 0.5 + 100).astype(np.uint8), 255 - plain]
    for image in changes:
        embedding = model.embed(np.ascontiguousarray(image), EVERYWHERE)
        assert iou(answer(model, embedding, clicks((100, 70, True))) > 0, DISK) > 0.7


def test_prompted_pixels_obey(model, embedded):
    said = clicks((100, 70, True), (20, 20, True), (101, 60, False))
    mask = answer(model, embedded, said) > 0
    assert mask[70, 100]
    assert mask[20, 20]
    assert not mask[60, 101]


def test_invalid_pixels_are_never_part(model):
    valid = EVERYWHERE.copy()
    valid[:, 110:] = False
    embedding = model.embed(painted(DISK), valid)
    for said in (clicks((90, 70, True)), clicks((90, 70, True), (150, 70, True))):
        mask = answer(model, embedding, said) > 0
        assert mask[70, 90]
        assert not mask[~valid].any()


def test_what_lies_under_invalid_pixels_does_not_matter(model):
    valid = EVERYWHERE.copy()
    valid[:, 110:] = False
    image, other = painted(DISK), painted(DISK)
    other[~valid] = 255
    first, second = model.embed(image, valid), model.embed(other, valid)
    for name, array in first.arrays.items():
        assert (array == second.arrays[name]).all()


def test_a_previous_mask_changes_the_answer(model, embedded):
    said = clicks((100, 70, True))
    alone = answer(model, embedded, said)
    after = answer(model, embedded, said, alone)
    assert iou(after > 0, DISK) > 0.8
    wrong = np.where(ROWS < 30, 6, -6).astype(np.float32)
    assert not np.array_equal(answer(model, embedded, said, wrong), alone)


def test_patience_is_a_second_look_at_the_first_answer(model, embedded):
    hasty = TinyModel(threads=1, patient=False)
    said = clicks((100, 70, True))
    first = answer(hasty, embedded, said)
    assert not np.array_equal(answer(model, embedded, said), first)
    assert iou(answer(model, embedded, said) > 0, DISK) > 0.8
    assert np.array_equal(
        answer(model, embedded, said, first), answer(hasty, embedded, said, first)
    ), "later clicks are decoded once"


def test_only_as_much_of_a_chip_is_decoded_as_the_object_needs(model):
    """A small object on a small piece around it, a large one on all of the chip."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:512, :512]
    chip = np.clip(rng.normal(90, 6, (512, 512, 3)), 0, 255)
    small = np.hypot(y - 100, x - 400) < 40
    chip[small] += [80, 40, -40]
    valid = np.ones((512, 512), bool)
    embedding = model.embed(np.clip(chip, 0, 255).astype(np.uint8), valid)
    said = clicks((400, 100, True))
    assert iou(answer(model, embedding, said) > 0, small) > 0.8

    windows = list(pieces(said, (512, 512)))
    assert [window.shape for window in windows] == [(256, 256), (512, 512)]
    assert all(window.contains(said.points).all() for window in windows)
    asked = []

    def fills(_features, part, _prompts, _previous):
        asked.append(part.shape)
        return np.full(part.shape, 5, np.float32), 1.0

    features = partial(cut, features_in(embedding))
    window, logits, _ = decode_closely(features, valid, said, None, fills)
    assert asked == [(256, 256), (512, 512)], "the first answer ran over the piece's border"
    assert window.shape == logits.shape == (512, 512)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_the_piece_for_a_known_object_shows_it_and_its_prompts(data):
    rows, columns = (data.draw(st.integers(20, 900)) for _ in range(2))
    top, left = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))
    bottom = data.draw(st.integers(top + 1, rows))
    right = data.draw(st.integers(left + 1, columns))
    known = np.zeros((rows, columns), bool)
    known[top:bottom, left:right] = True
    x, y = data.draw(st.floats(0, columns)), data.draw(st.floats(0, rows))
    first, *others = pieces(clicks((x, y, False)), known.shape, known)
    assert known[first.slices].sum() == known.sum()
    corner, stop = np.array([first.col, first.row]), np.array(first.stop[::-1])
    assert (corner % 32 == 0).all()
    assert (corner <= (x, y)).all()
    assert ((x, y) <= stop).all()
    assert (others or [first])[-1].shape == known.shape
    ends = np.minimum(stop, (columns, rows)) - np.minimum((right, bottom), (columns, rows))
    reach = np.maximum((right, bottom), (x, y)) - np.minimum((left, top), (x, y))
    assert (np.array(first.shape[::-1]) <= np.maximum(192, reach + 2 * 24 + 64)).all()
    assert (ends >= 0).all()


def test_an_object_known_by_its_mask_is_decoded_on_a_piece_of_its_shape(model, monkeypatch):
    truth = np.zeros((512, 512), bool)
    truth[200:230, 60:450] = True
    embedding = model.embed(painted(truth), np.ones((512, 512), bool))
    said = clicks((250, 215, True))
    first = model.decode(embedding, said)
    asked, piece = [], Answers.piece

    def spied(answers, *given, **more):
        asked.append(given[1].shape)
        return piece(answers, *given, **more)

    monkeypatch.setattr(Answers, "piece", spied)
    more = clicks((250, 215, True), (250, 180, False))
    second = model.decode(embedding, more, first.logits[0])
    assert asked == [(192, 448)]
    assert iou(second.logits[0] > 0, truth) > 0.9


@pytest.mark.parametrize("side", [300, 512, 700])
def test_a_click_on_a_border_is_one_beside_it(model, side):
    """Chips are padded to multiples of 32: the padding begins where the far border is."""
    y, x = np.mgrid[:side, :side] + 0.5
    for column, row in ((side, side - 10.0), (side - 10.0, side), (0, 10.0), (10.0, 0)):
        disk = np.hypot(y - row, x - column) < 30
        embedding = model.embed(painted(disk), np.ones((side, side), bool))
        at, beside = (answer(model, embedding, clicks((*place, True))) > 0 for place in (
            (column, row), np.clip((column, row), 1.0, side - 1.0)))  # fmt: skip
        assert iou(at, beside) > 0.9
        assert side > 300 or iou(at, disk) > 0.8


def test_a_second_look_that_runs_over_its_piece_is_taken_further(model):
    rng = np.random.default_rng(0)
    chip = rng.integers(80, 100, (700, 700, 3), dtype=np.uint8)
    embedding = model.embed(chip, np.ones((700, 700), bool))
    mask = answer(model, embedding, clicks((0, 0, True))) > 0
    assert not mask[:256, 255].any() or mask[:256, 256].any()
    assert not mask[255, :256].any() or mask[256, :256].any()


def test_an_empty_last_mask_is_as_none(model, embedded):
    said = clicks((100, 70, True))
    alone = answer(model, embedded, said)
    for nothing in (-5.0, -12.0, np.nan):
        before = np.full(SHAPE, nothing, np.float32)
        np.testing.assert_array_equal(answer(model, embedded, said, before), alone)


def test_nothing_said_of_the_object_is_an_empty_mask(model, embedded):
    masks = model.decode(embedded, clicks((20, 20, False)))
    assert not (masks.logits > 0).any()
    assert masks.scores.tolist() == [0]
    with pytest.raises(PromptError, match="no prompt"):
        model.decode(embedded, PixelPrompts())


def test_the_embedding_is_plain_and_pickles(model, embedded):
    assert isinstance(embedded, Embedding)
    assert embedded.shape == SHAPE
    kinds = {name: array.dtype for name, array in embedded.arrays.items()}
    assert kinds.pop("pixels") == np.uint8
    assert set(kinds.values()) == {np.dtype(np.float16)}
    again = pickle.loads(pickle.dumps(embedded))
    said = clicks((100, 70, True))
    assert (answer(model, again, said) == answer(model, embedded, said)).all()


def test_a_foreign_embedding_is_refused(model, embedded):
    foreign = Embedding("grabcut:1", embedded.shape, embedded.arrays)
    with pytest.raises(ModelError, match="embed the chip again"):
        model.decode(foreign, clicks((100, 70, True)))


def test_what_is_no_image_is_refused(model):
    with pytest.raises(ModelError, match=r"\(y, x, 3\)"):
        model.embed(np.zeros((10, 12), np.uint8), np.ones((10, 12), bool))
    with pytest.raises(ModelError, match=r"\(y, x, 3\)"):
        model.embed(np.zeros((10, 12, 3), np.uint8), np.ones((12, 10), bool))


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(1, 100), columns=st.integers(1, 100), seed=st.integers(0, 99))
def test_every_size_works(rows, columns, seed):
    model = SHARED.setdefault("model", TinyModel(threads=1))
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (rows, columns, 3), dtype=np.uint8)
    embedding = model.embed(image, np.ones((rows, columns), bool))
    x, y = rng.uniform(0, columns), rng.uniform(0, rows)
    mask = answer(model, embedding, clicks((x, y, True))) > 0
    assert mask[min(int(y), rows - 1), min(int(x), columns - 1)]


def winding(rows=240, columns=300):
    """A river of eight pixels' width through dark woods, as image and mask."""
    x = np.arange(columns)
    middle = 120 + 62 * np.sin(x / 21.0)
    path = np.stack([x, middle], 1).round().astype(np.int32)
    mask = np.zeros((rows, columns), np.uint8)
    cv2.polylines(mask, [path[40:-40]], isClosed=False, color=1, thickness=8)
    river = mask > 0
    colours = np.where(river[..., None], (28, 40, 62), (70, 140, 40)).astype(float)
    grain = cv2.GaussianBlur(np.random.default_rng(4).normal(0, 60, river.shape), (0, 0), 3)
    return np.clip(colours + 2 * grain[..., None], 0, 255).astype(np.uint8), river


def test_a_box_around_a_winding_river_marks_the_river(model):
    image, river = winding()
    valid = np.ones(river.shape, bool)
    box = box_of(river)
    mask = model.decode(model.embed(image, valid), PixelPrompts(box=box)).logits[0] > 0
    assert iou(mask, river) > 0.6


def ditch(seed, width):
    """A winding line a few pixels wide and some fifty long."""
    rng = np.random.default_rng(seed)
    x = np.linspace(70, 125, 60)
    y = 75 + np.cumsum(rng.normal(0, 1.2, 60))
    mask = np.zeros(SHAPE, np.uint8)
    cv2.polylines(mask, [np.round(np.c_[x, y]).astype(np.int32)], False, 1, width)
    return mask > 0


def test_what_is_plain_to_see_is_not_lost_by_enlarging(model):
    for seed, width in enumerate((3, 4, 5, 6, 7)):
        truth = ditch(seed, width)
        run = run_clicks(
            model, painted(truth, noise=12.0), truth, EVERYWHERE,
            ClickOptions(max_clicks=3, stop_at=None),
        )  # fmt: skip
        assert run.ious[0] > 0.8
        assert run.ious[2] > 0.9


def test_what_is_enlarged_is_encoded_once(monkeypatch):
    model, truth = TinyModel(threads=1), ditch(0, 5)
    embedding = model.embed(painted(truth), EVERYWHERE)
    encoded = []
    embed = model.embed
    monkeypatch.setattr(
        model, "embed", lambda image, valid: encoded.append(image.shape) or embed(image, valid)
    )
    y, x = np.argwhere(truth)[len(np.argwhere(truth)) // 2]
    first = model.decode(embedding, clicks((x + 0.5, y + 0.5, True)))
    more = clicks((x + 0.5, y + 0.5, True), (x + 0.5, y + 12.5, False))
    second = model.decode(embedding, more, first.logits[0])
    assert encoded == [(512, 512, 3), (75, 105, 3)], "enlarged, and seen from afar"
    again = model.decode(pickle.loads(pickle.dumps(embedding)), more, first.logits[0])
    np.testing.assert_array_equal(again.logits, second.logits)
    assert len(encoded) == 2
    for masks in (first, second):
        assert masks.logits.shape[1:] == SHAPE
        assert masks.logits[0, y, x] > 0
        assert iou(masks.logits[0] > 0, truth) > 0.7
    assert second.logits[0, y + 12, x] < 0


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_close_up_holds_the_object_and_its_prompts(data):
    rows, columns = (data.draw(st.integers(20, 400)) for _ in range(2))
    mask = np.zeros((rows, columns), bool)
    top, left = data.draw(st.integers(0, rows - 8)), data.draw(st.integers(0, columns - 8))
    mask[
        top : top + data.draw(st.integers(1, 12)), left : left + data.draw(st.integers(1, 200))
    ] = 1
    place = (data.draw(st.floats(0, columns - 0.5)), data.draw(st.floats(0, rows - 0.5)))
    view = close_up(mask, clicks((*place, False)))
    if view is None:
        return
    window = view.window
    assert np.count_nonzero(mask[window.slices]) == np.count_nonzero(mask)
    seen = view.seen(clicks((*place, False), box=(left, top, left + 2, top + 3)))
    shape = (window.height * view.times, window.width * view.times)
    assert (seen.points >= 0).all()
    assert (seen.points <= shape[::-1]).all()
    np.testing.assert_allclose(seen.points / view.times + (window.col, window.row), [place])
    assert seen.box[2] - seen.box[0] == 2 * view.times
    assert view.repeated(mask).shape == shape
    np.testing.assert_array_equal(
        view.reduced(view.repeated(mask).astype(np.float32)) > 0.5, mask[window.slices]
    )


def test_what_needs_no_enlarging_is_left_as_it_is():
    point = clicks((100.0, 70.0, True))
    line = np.zeros((400, 400), bool)
    line[68:73, 20:390] = True  # thin, and too long
    assert close_up(line, point) is None
    assert close_up(DISK, point) is None  # deep
    assert close_up(np.zeros(SHAPE, bool), point) is None
    assert close_up(ditch(0, 5), clicks((100.0, 70.0, True), mask=DISK)) is None  # an outline
    assert close_up(ditch(0, 5), point) == CloseUp(close_up(ditch(0, 5), point).window, 4)
    assert close_up(ditch(0, 5), clicks((5.0, 70.0, False))).times == 2  # a click far away
    assert close_up(line[:, :200], clicks((399.0, 399.0, False))) is None


def test_surroundings_tell_an_object_from_what_goes_on_outside():
    image, river = winding()
    colour = cv2.resize(image.astype(np.float32) / 64, None, fx=0.5, fy=0.5)
    valid = np.ones(river.shape, bool)
    around = surroundings(colour.transpose(2, 0, 1)[None], box_of(river), valid)
    inside = np.zeros_like(river)
    x0, y0, x1, y1 = (int(side) for side in box_of(river))
    inside[y0:y1, x0:x1] = True
    right = np.where(river, 1, -1).astype(np.float32)
    wrong = np.where(inside & ~river, 1, -1).astype(np.float32)
    assert around.contrast(right) > 0.4
    assert around.contrast(wrong) < -0.4
    assert around.contrast(-np.ones_like(right)) == -1
    assert iou(around.odd_part(), river) > 0.6
    whole = surroundings(colour.transpose(2, 0, 1)[None], (0, 0, 300, 240), valid)
    assert whole is None


SHARED: dict[str, TinyModel] = {}


def test_small_parts_that_nothing_holds_are_put_aside():
    logits = np.full((60, 60), -3.0, np.float32)
    logits[5:25, 5:25], logits[40:44, 40:44], logits[30:50, 5:25] = 3, 3, 3
    valid = np.ones((60, 60), bool)
    said = clicks((10, 10, True), (12, 12, False))
    result = obedient(logits, draw_seeds(said, valid), valid)
    assert result[10, 10] > 0 > result[12, 12]
    assert (result[40:44, 40:44] < 0).all()
    assert (result[30:50, 5:25] > 0).all()
    both = clicks((10, 10, True), (42, 42, True))
    assert (obedient(logits, draw_seeds(both, valid), valid)[40:44, 40:44] > 0).all()


def test_a_prompt_that_was_passed_over_moves_the_whole_outline():
    distance = np.hypot(*(np.indices((60, 60)) - 30))
    logits = np.clip((20 - distance) / 4, -3, 3).astype(np.float32)
    valid = np.ones((60, 60), bool)

    def side(*placed):
        found = obedient(logits, draw_seeds(clicks(*placed), valid), valid) > 0
        return found, float(np.sqrt(found.sum() / np.pi))

    before = side((30, 30, True))[1]
    tight, smaller = side((30, 30, True), (47, 30, False))
    wide, larger = side((30, 30, True), (30, 53, True))
    assert before == pytest.approx(20, abs=0.7)
    assert smaller == pytest.approx(16.5, abs=1.2)
    assert not tight[30, 47]
    assert larger == pytest.approx(23.5, abs=1.2)
    assert wide[53, 30]
    # Passed over on both sides: nothing says whether it is too wide or too narrow.
    both = side((30, 30, True), (47, 30, False), (30, 53, True))[1]
    assert both == pytest.approx(before, abs=0.3)
    # A click in the very middle of what was marked cannot make all of it vanish.
    kept = side((30, 30, True), (32, 30, False))[1]
    assert kept > 8


def inputs(prompts, previous=None):
    return decoder_inputs(prompts, draw_seeds(prompts, EVERYWHERE, previous), (160, 224))


def test_a_box_is_cut_at_the_chip_and_unused_points_have_no_sign():
    given = inputs(PixelPrompts(box=(-20, 10, 300, 90)))
    assert given["box"].tolist() == [[0, 10, 210, 90]]
    assert given["signs"].tolist() == [[0]]
    assert given["has_previous"].tolist() == [0]
    assert given["previous"].shape == (1, 1, 80, 112)


def test_scribbles_become_points_along_them():
    stroke = np.array([[10.0, 20.0], [70.0, 20.0]])
    given = inputs(clicks((5, 5, False), scribbles=((stroke, True),)))
    points, signs = given["points"][0], given["signs"][0]
    assert points[0].tolist() == [5, 5]
    assert signs.tolist() == [-1] + [1] * (len(signs) - 1)
    assert (points[1:, 1] == 20).all()
    assert points[1:, 0].min() == 10
    assert points[1:, 0].max() == 70
    assert np.diff(points[1:, 0]).max() <= 6


def test_what_is_drawn_beyond_a_border_is_not_shown():
    valid = np.ones((200, 300), bool)
    for stroke in ([(200, 100), (900, 100)], [(100, 100), (-600, 100)]):
        said = PixelPrompts(scribbles=((np.array(stroke, float), True),))
        shown = decoder_inputs(said, draw_seeds(said, valid), (224, 320))["points"][0]
        assert 10 < len(shown) < 20
        assert (shown >= 0).all()
        assert (shown <= (300, 200)).all()


def test_the_middle_of_an_answer_is_clicked_within_the_box():
    logits = np.full(SHAPE, -5.0, np.float32)
    logits[20:41, 50:81], logits[100:150, 120:200] = 5, 5
    prompts = PixelPrompts(box=(40, 10, 110, 60))
    clicked = click_middle(prompts, logits, draw_seeds(prompts, EVERYWHERE))
    assert clicked.positive.tolist() == [True]
    assert clicked.points[0, 1] == 30.5
    assert 60 <= clicked.points[0, 0] <= 71
    assert clicked.box == prompts.box
    nothing = np.full(SHAPE, -5.0, np.float32)
    assert click_middle(prompts, nothing, draw_seeds(prompts, EVERYWHERE)) is None


def test_a_long_scribble_is_thinned_out():
    y = np.linspace(1, 149, 400)
    stroke = np.stack([100 + 90 * np.sin(y), y], axis=1)
    given = inputs(PixelPrompts(scribbles=((stroke, True),)))
    assert given["points"].shape[1] <= MOST_POINTS
    assert np.ptp(given["points"][0, :, 1]) > 130


def test_the_previous_mask_is_halved_probability():
    logits = np.full(SHAPE, -9.0, np.float32)
    logits[20:40, 50:80] = 9
    given = inputs(clicks((60, 30, True)), logits)
    half = given["previous"][0, 0]
    assert given["has_previous"].tolist() == [1]
    assert half[15, 30] > 0.99
    assert half[60, 90] < 0.01
    assert half[:, 105:].max() == 0
