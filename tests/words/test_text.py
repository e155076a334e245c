"""Words as prompts, with the vocabulary that needs no download."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.features import rasterize

import geoiseg
from geoiseg.demo.scene import Scene, make_scene
from geoiseg.errors import CancelledError, PromptError, SessionError, WeightsError
from geoiseg.models.tiny import words as head_module
from geoiseg.models.tiny.earlier import first_folder
from geoiseg.models.tiny.model import TinyModel, first_generation
from geoiseg.models.tiny.pixel_features import pixel_features
from geoiseg.models.tiny.words import CLASSES, WordsHead, words_head
from geoiseg.outline.vectorize.contour import SLACK
from geoiseg.prompting import Frame
from geoiseg.prompting.prompts import Text, prompt_from_dict, prompt_to_dict
from geoiseg.raster import Window
from geoiseg.raster.grid import Grid
from geoiseg.segment import Watch
from geoiseg.segment.embeddings import EmbeddingCache
from geoiseg.tiled.batch import segment_objects
from geoiseg.tiled.prompt_file import read_prompts
from geoiseg.training.words.labels import bit, drawn
from geoiseg.words.embedded import EmbeddedWords
from geoiseg.words.like import prototypes
from geoiseg.words.objects import ObjectOptions, find_instances, find_objects
from geoiseg.words.search import embedded_at
from geoiseg.words.view import MOST_PIXELS, SIDE, View, find_area
from geoiseg.words.vocabulary import read_words, vocabulary
from tests.conftest import write_raster

SEED = 6
"""Of a made scene with a wide sea."""
UTM = Affine(2, 0, 500_000, 0, -2, 4_500_000)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """A made scene on disk, and where there is water on it."""
    scene = drawn(SEED)
    path = write_raster(tmp_path_factory.mktemp("lake") / "lake.tif",
                        scene.image.transpose(2, 0, 1))  # fmt: skip
    return path, scene.bits == bit("water")


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return make_scene(tmp_path_factory.mktemp("demonstration") / "scene.tif", 1024)


@pytest.fixture
def session(lake: tuple[Path, np.ndarray]) -> geoiseg.Session:
    return geoiseg.Session(lake[0], cache=EmbeddingCache())


def says_the_same(one: Any, other: Any, grid: Grid) -> bool:
    """Return whether two outlines hold the same pixels and lie where the other does.

    Outlines of masks and of labels drop vertices from other ends, so which are left may differ.
    """
    burnt = [rasterize([shape], grid.shape, transform=grid.transform) for shape in (one, other)]
    apart = shapely.hausdorff_distance(one.boundary, other.boundary)
    return bool((burnt[0] == burnt[1]).all() and apart <= 2 * SLACK * grid.transform.a)


# -- the vocabulary --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        ("water", ("water",)), ("Irrigated  FIELDS", ("field",)), ("HÄUSER", ("building",)),
        ("haeuser, roads", None), ("ríos", ("water",)), ("les forêts", ("vegetation",)),
        ("灌溉农田", ("field",)), ("реки", ("water",)), ("النهر", ("water",)), ("खेत", ("field",)),
        ("buildings and roads", ("building", "road")), ("sol nu", ("land",)), ("道路", ("road",)),
        ("swimming pools", ("water",)), ("건물", ("building",)), ("поля", ("field",)),
        ("giraffe", None), ("", None), ("  ", None), ("\x00", None), ("🦒", None), ("x" * 501, None),
    ],
)  # fmt: skip
def test_words_of_many_languages_are_read(text: str, classes: tuple[str, ...] | None) -> None:
    if classes is None:
        with pytest.raises(PromptError) as caught:
            read_words(text)
        assert "\n" not in str(caught.value)
    else:
        assert read_words(text).classes == classes


def test_an_unknown_word_names_the_vocabulary_and_the_way_out() -> None:
    with pytest.raises(PromptError) as caught:
        read_words("giraffes")
    for part in ("giraffes", "water", "crop field", "open vocabulary", "geoiseg models pull"):
        assert part in str(caught.value)


def test_what_is_not_told_apart_is_said() -> None:
    assert read_words("red roof").ignored == ("red",)
    assert "red" in read_words("red roof").note


def test_every_known_word_means_its_class_in_any_case() -> None:
    for name, words in vocabulary().items():
        assert len(words) > 40
        for word in words:
            assert read_words(word.upper()).classes[-1] == name, word


@given(st.text(max_size=600))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    said = ""
    try:
        assert set(read_words(text).classes) <= set(vocabulary())
    except PromptError as error:
        said = str(error)
    assert len(said.splitlines()) <= 1


def test_words_that_found_something_survive_a_file() -> None:
    said = Text("water", "pool", "words@1", 0.5, (0.0, 1.0, 2.0, 3.0))
    assert prompt_from_dict(json.loads(json.dumps(prompt_to_dict(said)))) == said


# -- the head --------------------------------------------------------------------------


def test_the_head_belongs_to_the_encoder_that_ships() -> None:
    head, model = words_head(), TinyModel()
    assert head.card["encoder"] == model.card["sha256"]["encoder.onnx"]
    folder = Path(head_module.__file__).parent
    assert (folder / head_module.WEIGHTS).stat().st_size < 3_000_000
    assert set(head.card["held_out"]) == set(CLASSES)
    for row in head.card["held_out"].values():
        assert 0 <= row["iou"] <= min(row["precision"], row["recall"]) <= 1


def test_a_head_of_another_encoder_is_refused_clearly(tmp_path: Path) -> None:
    folder = Path(head_module.__file__).parent
    for name in (head_module.WEIGHTS, head_module.CARD, "card.json"):
        shutil.copy(folder / name, tmp_path / name)
    card = json.loads((tmp_path / "card.json").read_text())
    card["sha256"]["encoder.onnx"] = "f" * 64
    (tmp_path / "card.json").write_text(json.dumps(card))
    with pytest.raises(WeightsError, match=r"geoiseg\.training\.words"):
        WordsHead(tmp_path)
    for damaged in (b"PK damaged", b""):
        (tmp_path / head_module.WEIGHTS).write_bytes(damaged)
        with pytest.raises(WeightsError, match="cannot read the words head"):
            WordsHead(tmp_path)
    np.savez(tmp_path / head_module.WEIGHTS)
    with pytest.raises(WeightsError, match="cannot read the words head"):
        WordsHead(tmp_path)


def test_heads_that_are_not_what_their_card_says_are_refused(tmp_path: Path) -> None:
    folder = Path(head_module.__file__).parent
    for name in (head_module.WEIGHTS, head_module.CARD, "card.json"):
        shutil.copy(folder / name, tmp_path / name)
    with np.load(tmp_path / head_module.WEIGHTS) as kept:
        arrays: dict[str, Any] = {name: kept[name] for name in kept.files}
    np.savez(tmp_path / head_module.WEIGHTS, **arrays)  # the same, packed otherwise
    with pytest.raises(WeightsError, match="not what its card"):
        WordsHead(tmp_path)


@pytest.mark.skipif(first_folder() is None, reason="its weights are not here")
def test_the_head_of_the_first_generation_is_one() -> None:
    head = WordsHead(first_folder())
    model = first_generation()
    image = np.random.default_rng(0).integers(0, 255, (64, 96, 3)).astype(np.uint8)
    table = head.probabilities(model.embed(image, np.ones((64, 96), bool)))
    assert len(head.heads) == 1
    assert table.shape == (len(CLASSES), 16, 24)


def test_probabilities_cover_the_chip_whatever_its_size() -> None:
    model = TinyModel()
    for shape in ((64, 96), (101, 67), (33, 200)):
        image = np.zeros((*shape, 3), np.uint8)
        table = words_head().probabilities(model.embed(image, np.ones(shape, bool)))
        assert table.shape == (len(CLASSES), -(-shape[0] // 4), -(-shape[1] // 4))
        np.testing.assert_allclose(table.sum(axis=0), 1, atol=1e-4)


def test_the_mean_of_all_heads_and_of_both_looks_counts() -> None:
    model, head = TinyModel(threads=1), words_head()
    image = np.random.default_rng(0).integers(0, 255, (133, 190, 3)).astype(np.uint8)
    image[:60] //= 4
    valid = np.ones(image.shape[:2], bool)
    valid[:9] = False
    near = model.embed(image, valid)
    far = embedded_at(model, image, valid, 0.5)
    assert far.shape == (67, 95)
    assert len(head.heads) == head.card["heads"] > 1

    def said(embedding: Any) -> Any:
        features = pixel_features(embedding)
        flat = features.reshape(-1, features.shape[2])
        return np.mean([one(flat) for one in head.heads], axis=0).reshape(*features.shape[:2], -1)

    larger = cv2.resize(said(far), None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    wanted = (said(near) + larger[:34, :48]) / 2
    found = head.probabilities(near, far).transpose(1, 2, 0)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    np.testing.assert_allclose(head.probabilities(near).transpose(1, 2, 0), said(near), atol=1e-5)


@pytest.mark.parametrize(
    ("side", "factor", "wanted"),
    [(120, 1, [1]), (300, 1, [1, 0.5]), (129, 2, [2, 1]), (65, 2, [2, 1]), (63, 2, [2])],
)
def test_a_view_is_looked_at_from_twice_as_far_too_where_it_is_wide_enough(
    side: int, factor: int, wanted: list[float]
) -> None:
    model = TinyModel(threads=1)
    image = np.random.default_rng(1).integers(0, 255, (side, 261, 3)).astype(np.uint8)
    valid, asked = np.ones((side, 261), bool), []

    def embed(factor: float) -> Any:
        asked.append(factor)
        return embedded_at(model, image, valid, factor)

    view = View(Frame(0, Window(0, 0, side, 261)), image, valid, "", factor, embed)
    table = EmbeddedWords().probabilities(view)
    assert asked == wanted
    assert table.shape == (len(CLASSES), -(-side * factor // 4), -(-261 * factor // 4))


def test_a_chip_is_embedded_at_half_its_size_or_whole_numbers_of_it() -> None:
    model, nowhere = TinyModel(threads=1), np.zeros((130, 140), bool)
    image = np.full((130, 140, 3), 80, np.uint8)
    assert embedded_at(model, image, nowhere, 0.5).shape == (65, 70)
    assert embedded_at(model, image, ~nowhere, 2).shape == (260, 280)
    for factor in (0.25, 1.5):
        with pytest.raises(ValueError, match="as large"):
            embedded_at(model, image, nowhere, factor)


@pytest.mark.parametrize(
    ("word", "labels", "least"), [("water", ("sea", "lake"), 0.85), ("field", ("field",), 0.8)]
)
def test_the_demonstration_is_told_by_words(
    demonstration: Scene, word: str, labels: tuple[str, ...], least: float
) -> None:
    """What a new user tries first: heads that were fitted anew may lose it and no figure tell."""
    session = geoiseg.Session(demonstration.path, cache=EmbeddingCache())
    grid = session.raster.grid
    truth, found = (
        rasterize(shapes, grid.shape, transform=grid.transform) > 0
        for shapes in (
            [row.geometry for row in demonstration.truth if row.label in labels],
            [one.geometry for one in session.add_text(word)],
        )
    )
    assert (truth & found).sum() > least * (truth | found).sum()


# -- objects and areas -----------------------------------------------------------------


def test_objects_are_parts_that_hang_together_best_first() -> None:
    likelihood = np.zeros((60, 90), np.float32)
    likelihood[5:25, 5:25], likelihood[5:25, 40:80], likelihood[40:43, 5:8] = 0.6, 0.9, 0.95
    labels, scores = find_objects(likelihood, np.ones((60, 90), bool), ObjectOptions())
    assert sorted(np.unique(labels)) == [0, 1, 2]
    assert scores == pytest.approx([0.9, 0.6], abs=1e-6)
    assert labels[10, 50] == 1
    assert labels[10, 10] == 2
    assert labels[41, 6] == 0  # a speck


def test_necks_split_objects_where_asked() -> None:
    likelihood = np.zeros((80, 200), np.float32)
    likelihood[10:70, 10:90] = likelihood[10:70, 110:190] = likelihood[38:42, 90:110] = 0.9
    valid = np.ones(likelihood.shape, bool)
    assert find_objects(likelihood, valid, ObjectOptions())[0].max() == 1
    labels, _ = find_objects(likelihood, valid, ObjectOptions(neck=0.5))
    assert labels.max() == 2
    assert labels[40, 40] != labels[40, 150]


def test_neighbours_are_apart_where_an_outline_passes_between_them() -> None:
    likely = np.zeros((90, 122), np.float32)
    likely[5:85, 4:118] = 0.9
    border = np.zeros_like(likely)
    border[2:88, [3, 4, 5, 6, 116, 117, 118, 119]] = border[[3, 4, 5, 85, 86]] = 1
    valid = np.ones(likely.shape, bool)
    whole, _ = find_instances(likely, border, valid, ObjectOptions())
    assert set(whole[10:80, 10:110].ravel()) == {1}
    border[:, 60:64] = 1
    apart, scores = find_instances(likely, border, valid, ObjectOptions())
    assert scores == pytest.approx([0.9, 0.9])
    assert len({apart[40, 20], apart[40, 100], 0}) == 3
    assert set(apart[10:80, 10:57].ravel()) == {apart[40, 20]}
    assert set(apart[10:80, 67:110].ravel()) == {apart[40, 100]}
    assert ((apart > 0) == (whole > 0)).all()  # no ground of the class is lost


def test_an_area_is_covered_once_by_its_chips() -> None:
    grid = Grid("EPSG:32631", UTM, (3000, 2500))
    area = find_area(grid, None, 2.0)
    seen = np.zeros(grid.shape, int)
    for core in area.cores:
        seen[core.slices] += 1
        frame = area.frame(core, grid)
        assert frame.window.row <= core.row
        assert frame.window.stop[1] >= core.stop[1]
        assert frame.window.row % 32 == frame.window.col % 32 == 0
    assert (seen == 1).all()
    assert max(find_area(grid, None, None).window.shape) <= SIDE


def test_an_area_that_is_too_large_or_elsewhere_is_refused() -> None:
    grid = Grid("EPSG:32631", UTM, (30_000, 30_000))
    assert MOST_PIXELS < 30_000**2
    with pytest.raises(PromptError, match="geoiseg map --text"):
        find_area(grid, None, 2.0)
    with pytest.raises(PromptError, match="does not meet the raster"):
        find_area(grid, (0.0, 0.0, 1.0, 1.0), None)
    with pytest.raises(PromptError, match="xmin < xmax"):
        find_area(grid, (5.0, 0.0, 1.0, 1.0), None)


# -- the session -----------------------------------------------------------------------


def test_water_is_found_kept_and_undone(
    session: geoiseg.Session, lake: tuple[Path, np.ndarray]
) -> None:
    truth = lake[1]
    found = session.add_text("Wasser")
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert all(one.score >= session.threshold for one in found)
    shapes = [one.geometry for one in found]
    mask = rasterize(shapes, truth.shape, transform=session.raster.grid.transform) > 0
    assert (mask & truth).sum() / (mask | truth).sum() > 0.8

    best = found[0]
    number = session.accept_candidate(best.number, "sea", checked=True)
    row = session.features.set_index("id").loc[number]
    assert (row["words"], row["label"], row["model"]) == ("Wasser", "sea", "words")
    assert row["words_score"] == best.score
    assert row["words_engine"].startswith("words@")
    assert row["checked"]
    assert best.number not in [one.number for one in session.candidates]
    session.undo()
    assert not session.accepted
    assert best.number in [one.number for one in session.candidates]
    session.undo()
    assert session.search is None


def test_the_threshold_needs_no_inference(session: geoiseg.Session) -> None:
    session.add_text("water", threshold=0.0)
    everything = session.candidates
    misses = session._cache.misses
    for threshold in (0.3, 0.6, 0.9, 1.0):
        session.threshold = threshold
        assert session.candidates == tuple(c for c in everything if c.score >= threshold)
    assert session._cache.misses == misses
    with pytest.raises(PromptError, match="0 to 1"):
        session.threshold = 1.5


def test_a_second_word_uses_what_the_first_has_computed(session: geoiseg.Session) -> None:
    from geoiseg.words.engines import get_engine

    session.add_text("water")
    engine = get_engine("", session.model)
    kept = len(engine._kept)
    misses = session._cache.misses
    session.add_text("vegetation")
    assert len(engine._kept) == kept
    assert session._cache.misses == misses


def test_a_negative_word_takes_away(session: geoiseg.Session) -> None:
    alone = session.add_text("land, vegetation", threshold=0)
    less = session.add_text("land, vegetation", "trees", threshold=0)
    assert sum(c.area for c in less) < sum(c.area for c in alone)
    with pytest.raises(PromptError, match="mean the same"):
        session.add_text("water", "agua")


def test_reject_refine_and_accept(session: geoiseg.Session) -> None:
    first = session.add_text("water", threshold=0.3)[0]
    place = first.geometry.representative_point()
    assert session.candidate_at(place.x, place.y) == first
    assert session.pick(place.x, place.y) == first.number
    assert says_the_same(session.geometry, first.geometry, session.raster.grid)
    before = session.mask.array.copy()
    session.add_point(place.x, place.y, positive=False)
    assert session.mask.array.sum() < before.sum()
    session.undo()
    np.testing.assert_array_equal(session.mask.array, before)
    session.redo()
    number = session.accept("sea")
    feature = session.accepted[0]
    assert (feature.id, feature.model, feature.attributes["words"]) == (number, "tiny", "water")
    assert first.number not in [one.number for one in session.candidates]
    open_ones = len(session.candidates)
    if open_ones:
        session.reject(session.candidates[0].number)
        assert len(session.candidates) == open_ones - 1
    with pytest.raises(PromptError, match="no open candidate"):
        session.refine_candidate(first.number)
    while session.undo():
        pass
    assert session.search is None
    assert not session.accepted


def test_a_box_limits_where_to_look_and_a_click_chooses(session: geoiseg.Session) -> None:
    everything = session.add_text("water", threshold=0)
    xmin, ymin, xmax, ymax = session.raster.grid.bounds
    half = (xmin, ymin, (xmin + xmax) / 2, ymax)
    session.add_box(*half)
    inside = session.add_text("water", threshold=0)
    assert inside
    assert not session.steps
    area = shapely.box(*half).buffer(2.1)
    assert all(area.contains(one.geometry) for one in inside)
    assert session.search.query.within == pytest.approx(half)
    place = everything[0].geometry.representative_point()
    session.add_point(place.x, place.y)
    chosen = session.add_text("water", threshold=0)
    assert [one.geometry.intersects(place) for one in chosen] == [True]


def test_all_in_a_box_are_accepted_in_one_step(session: geoiseg.Session) -> None:
    found = session.add_text("vegetation", threshold=0)
    xmin, ymin, xmax, ymax = session.raster.grid.bounds
    box = (xmin, ymin, (xmin + xmax) / 2, ymax)
    expected = [c for c in found if c.geometry.intersects(shapely.box(*box))]
    ids = session.accept_candidates(within=box, label="wood")
    assert len(ids) == len(expected) > 0
    session.undo()
    assert not session.accepted
    session.threshold = 1.0
    with pytest.raises(SessionError, match="lower the threshold"):
        session.accept_candidates()


def test_accepted_together_they_share_borders_with_what_is_there(session: geoiseg.Session) -> None:
    found = session.add_text("vegetation", threshold=0)
    assert len(found) > 1
    largest = max(found, key=lambda one: one.geometry.area)
    other = next(
        one
        for one in found
        if not any(that.geometry.intersects(one.geometry.envelope) for that in found if that != one)
    )
    assert other is not largest
    xmin, ymin, _, ymax = largest.geometry.bounds
    middle = largest.geometry.centroid.x
    taken = shapely.union(shapely.box(xmin, ymin, middle, ymax), other.geometry.envelope.buffer(3))
    session.add_features(gpd.GeoDataFrame(geometry=[taken], crs=session.raster.grid.crs))
    session.snap = 3.0
    with pytest.raises(SessionError, match="all of this ground"):
        session.accept_candidate(other.number)
    ids = session.accept_candidates()
    assert ids == list(range(2, len(ids) + 2))
    assert other.number in [one.number for one in session.candidates], "nothing is left of it"
    assert largest.number not in [one.number for one in session.candidates]
    shapes = session.features.geometry.to_numpy()
    assert shapely.coverage_is_valid(shapes)
    assert shapes[0].symmetric_difference(taken).area < 0.01
    assert session.undo()
    assert [one.id for one in session.accepted] == [1]
    with pytest.raises(SessionError, match="all of this ground"):
        session.accept_candidates(within=other.geometry.buffer(-1).bounds)


def test_accepting_many_can_be_followed_and_stopped(session: geoiseg.Session) -> None:
    found = session.add_text("vegetation", threshold=0)
    told: list[str] = []
    with pytest.raises(CancelledError):
        session.accept_candidates(watch=Watch(told.append, lambda: len(told) == 1))
    assert not session.accepted
    assert len(session.candidates) == len(found) > 1
    told.clear()
    assert len(session.accept_candidates(watch=Watch(told.append))) == len(found)
    assert told[-1] == f"accepting {len(found)} of {len(found)}"


def test_what_is_accepted_is_not_accepted_once_more(session: geoiseg.Session) -> None:
    found = session.add_text("vegetation", threshold=0)
    assert len(found) > 2
    largest = max(found, key=lambda one: one.geometry.area)
    rest = [one for one in found if one is not largest]
    crs = session.raster.grid.crs
    session.add_features(gpd.GeoDataFrame(geometry=[largest.geometry.buffer(-1)], crs=crs))
    # found before it was accepted: it stays a candidate, the others are accepted
    ids = session.accept_candidates()
    assert len(ids) == len(rest)
    assert [one.number for one in session.candidates] == [largest.number]
    shapes = session.features.geometry.to_numpy()
    shared = [shapely.intersection(shapes[0], other).area for other in shapes[1:]]
    assert max(shared) < shapes[0].area / 2
    with pytest.raises(SessionError, match="have this ground already"):
        session.accept_candidates()
    assert session.accept_candidate(largest.number) == len(ids) + 2, "by itself it may be"
    assert session.undo()
    # looked for again: what is accepted is left out, for words as for examples
    assert session.add_text("vegetation", threshold=0) == ()
    assert len(session.search.gone) == len(found)
    session.delete(1)
    again = session.add_text("vegetation", threshold=0)
    assert [one.geometry.equals(largest.geometry) for one in again] == [True]


def test_a_candidate_around_an_accepted_feature_waits_for_a_word(session: geoiseg.Session) -> None:
    found = session.add_text("vegetation", threshold=0)
    largest = max(found, key=lambda one: one.geometry.area)
    small = shapely.buffer(largest.geometry.representative_point(), 3)
    session.add_features(gpd.GeoDataFrame(geometry=[small], crs=session.raster.grid.crs))
    session.accept_candidates()
    assert [one.number for one in session.candidates] == [largest.number]
    assert largest.number in [one.number for one in session.add_text("vegetation", threshold=0)]


def test_the_project_file_replays_to_the_same_pixels(
    session: geoiseg.Session, lake: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    session.add_text("water", "road", threshold=0.2)
    session.accept_candidates()
    path = session.save(tmp_path / "p.gpkg")
    again = geoiseg.Session.load(path, cache=EmbeddingCache())
    said = again.accepted[0].steps[0].prompts[0]
    assert isinstance(said, Text)
    assert (said.text, said.negative) == ("water", "road")
    assert said.engine == session.search.engine
    # looked for again from what the file says: the same candidates, all of them accepted
    assert again.add_text(said.text, said.negative, threshold=0.2, within=said.within) == ()
    same = [c for c in again.search.candidates if c.number in again.search.gone]
    assert [c.score for c in same] == [f.score for f in session.accepted]
    # and replayed without looking, by anybody who takes prompts
    other = geoiseg.Session(lake[0], "grabcut", cache=EmbeddingCache())
    objects = read_prompts(path, other.raster.grid.crs)
    results = segment_objects(other, objects)
    assert [result.error for result in results] == [None] * len(session.accepted)
    for mine, theirs in zip(session.accepted, other.accepted, strict=True):
        assert says_the_same(mine.geometry, theirs.geometry, other.raster.grid)
        assert theirs.attributes["words"] == "water"


def test_candidates_are_features_in_a_layer(session: geoiseg.Session, tmp_path: Path) -> None:
    session.add_text("water", threshold=0.2)
    session.accept_candidates(label="water")
    session.export(tmp_path / "w.geojson")
    layer = gpd.read_file(tmp_path / "w.geojson")
    assert layer["words"].unique().tolist() == ["water"]
    assert layer["words_score"].between(0, 1).all()


def test_what_can_not_be_asked_is_said_in_one_line(session: geoiseg.Session) -> None:
    for how in ({"limit": 0}, {"threshold": 2}, {"engine": "nobody"}, {"within": (0, 0, 1, 1)}):
        with pytest.raises(PromptError) as caught:
            session.add_text("water", **how)
        assert "\n" not in str(caught.value)
    assert session.search is None
    with pytest.raises(SessionError, match="add_text"):
        _ = session.threshold
    with pytest.raises(PromptError, match="no candidate"):
        session.pick(0, 0)


# -- more like this --------------------------------------------------------------------


def taught_places(session: geoiseg.Session, truth: np.ndarray) -> list[tuple[float, float, str]]:
    """Return five places on water and five off it, away from the shore."""
    deep = [np.argwhere(one) for one in (truth, ~truth)]
    places = []
    for cells, label in zip(deep, ("sea", "other"), strict=True):
        for row, col in cells[np.linspace(0, len(cells) - 1, 7).astype(int)[1:-1]]:
            x, y = session.raster.grid.to_crs([(col + 0.5, row + 0.5)])[0].tolist()
            places.append((x, y, label))
    return places


def test_more_like_finds_the_rest_of_the_same(
    session: geoiseg.Session, lake: tuple[Path, np.ndarray]
) -> None:
    truth, grid = lake[1], session.raster.grid
    cells = np.argwhere(truth)
    examples = []
    for row, col in cells[np.linspace(0, len(cells) - 1, 6).astype(int)[1:-1]]:
        corners = grid.to_crs([(col - 20, row - 20), (col + 20, row + 20)])
        examples.append(shapely.box(*corners.min(axis=0), *corners.max(axis=0)))
    frame = gpd.GeoDataFrame({"label": ["sea"] * 4}, geometry=examples, crs=grid.crs)
    with pytest.raises(SessionError, match="no example"):
        session.more_like("sea")
    session.add_features(frame)
    found = session.more_like("sea")
    assert found
    assert session.search.engine.startswith("like@")
    mask = rasterize([c.geometry for c in found], truth.shape, transform=grid.transform) > 0
    assert (mask & truth).sum() > 0.5 * truth.sum()
    assert (mask & truth).sum() > 0.5 * mask.sum()
    session.undo()
    assert session.search is None


def test_what_was_rejected_scores_less() -> None:
    rng = np.random.default_rng(0)
    kinds = np.eye(6, dtype=np.float32)[:3]
    cells = [np.repeat(kinds[[k]], 30, 0) + rng.normal(0, 0.05, (30, 6)) for k in range(3)]
    unit = [(c / np.linalg.norm(c, axis=1, keepdims=True)).astype(np.float32) for c in cells]
    meaning = np.stack(unit)  # rows of three kinds
    alone = prototypes([unit[0]], []).likelihood(meaning)
    assert (alone[0] > 0.5).mean() > 0.9
    assert (alone[1:] < 0.5).all()
    both = prototypes([unit[0], unit[1]], []).likelihood(meaning)
    less = prototypes([unit[0], unit[1]], [unit[1]]).likelihood(meaning)
    assert (less[1] < both[1]).all()
    assert (less[0] > 0.4).all()
    again = prototypes([unit[0], unit[1]], [unit[1]]).likelihood(meaning)
    np.testing.assert_array_equal(less, again)


def test_rejected_candidates_are_unwanted_examples(session: geoiseg.Session) -> None:
    session.add_text("vegetation", threshold=0)
    assert len(session.candidates) > 3
    session.accept_candidate(session.candidates[0].number, "wood")
    first = session.more_like("wood", threshold=0)
    assert first
    gone = first[0]
    session.reject(gone.number)
    again = session.more_like("wood", threshold=0)
    place = gone.geometry.representative_point()
    after = [one.score for one in again if one.geometry.intersects(place)]
    assert max(after, default=0) < gone.score


def test_a_few_clicks_teach_classes_that_the_project_keeps(
    session: geoiseg.Session, lake: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    truth = lake[1]
    with pytest.raises(SessionError, match="teach"):
        session.find_class("sea")
    places = taught_places(session, truth)
    with pytest.raises(PromptError, match="two classes"):
        session.teach(places[:3])
    with pytest.raises(PromptError, match="outside"):
        session.teach([*places, (0.0, 0.0, "sea")])
    known = session.teach(places)
    assert known.labels == ("sea", "other")
    found = session.find_class("sea")
    transform = session.raster.grid.transform
    mask = rasterize([c.geometry for c in found], truth.shape, transform=transform) > 0
    assert (mask & truth).sum() / (mask | truth).sum() > 0.7
    with pytest.raises(PromptError, match="knows sea, other, not 'wood'"):
        session.find_class("wood")
    path = session.save(tmp_path / "t.gpkg")
    again = geoiseg.Session.load(path, cache=EmbeddingCache())
    assert [c.score for c in again.find_class("sea")] == [c.score for c in found]
    session.undo()
    session.undo()
    assert session.classifier is None


# -- whole rasters ---------------------------------------------------------------------


def test_a_whole_raster_is_mapped_by_words_examples_and_taught_classes(
    session: geoiseg.Session, lake: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    from geoiseg.cli import main

    path, truth = lake

    def covered(out: Path) -> tuple[float, gpd.GeoDataFrame]:
        layer = gpd.read_file(out)
        transform = session.raster.grid.transform
        mask = rasterize(list(layer.geometry), truth.shape, transform=transform) > 0
        return float((mask & truth).sum() / (mask | truth).sum()), layer

    main(["map", str(path), str(tmp_path / "w.gpkg"), "--text", "lakes and rivers",
          "--scheduler", "serial"])  # fmt: skip
    share, layer = covered(tmp_path / "w.gpkg")
    assert share > 0.7
    assert layer["words"].unique().tolist() == ["lakes and rivers"]
    assert layer["label"].unique().tolist() == ["lakes and rivers"]
    assert layer["model"].unique().tolist() == ["words"]
    assert layer["score"].between(0.5, 1).all()

    layer.iloc[[int(np.argmax(layer.area))]].to_file(tmp_path / "examples.gpkg")
    main(["map", str(path), str(tmp_path / "l.gpkg"), "--like", str(tmp_path / "examples.gpkg"),
          "--label", "sea", "--scheduler", "serial"])  # fmt: skip
    share, layer = covered(tmp_path / "l.gpkg")
    assert share > 0.5
    assert layer["label"].unique().tolist() == ["sea"]

    session.teach(taught_places(session, truth))
    session.save(tmp_path / "p.gpkg")
    main(["map", str(path), str(tmp_path / "t.gpkg"), "--taught", str(tmp_path / "p.gpkg"),
          "--text", "sea", "--scheduler", "serial"])  # fmt: skip
    assert covered(tmp_path / "t.gpkg")[0] > 0.6


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--text", "giraffe"], "vocabulary"), (["--text", " "], "give words"),
        (["--negative", "water"], "go with --text"), (["--like", "nowhere.gpkg"], "not exist"),
        (["--text", "water", "--threshold", "3"], "0 to 1"),
    ],
)  # fmt: skip
def test_a_map_that_can_not_be_made_is_refused_in_one_line(
    lake: tuple[Path, np.ndarray], tmp_path: Path, capsys, options: list[str], said: str
) -> None:
    from geoiseg.cli import main

    with pytest.raises(SystemExit) as caught:
        main(["map", str(lake[0]), str(tmp_path / "o.gpkg"), *options])
    assert caught.value.code in (1, 2)
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err
    assert not (tmp_path / "o.gpkg").exists()
