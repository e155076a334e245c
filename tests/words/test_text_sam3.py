"""SAM 3 as an engine of words and of examples: a small network, loaded the real way."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely

import geoiseg
from geoiseg.errors import PromptError, WeightsError
from geoiseg.models.registry import get_model
from geoiseg.models.weights.catalogue import CATALOGUE
from geoiseg.models.weights.store import Manifest, folder_of, write_manifest
from geoiseg.prompting.framing import Frame
from geoiseg.raster.grid import Window
from geoiseg.segment.embeddings import EmbeddingCache
from geoiseg.tiled import MapOptions, WordsOptions, segment_raster
from geoiseg.words.concept import Examples
from geoiseg.words.engines import get_engine
from geoiseg.words.view import View
from tests.conftest import needed, write_raster

torch = needed("torch")
needed("transformers")
needed("torchvision")

from tests.small_sams import picture, small_sam3

SHAPE = (96, 128)
FIELD, OTHER = (10.0, 12.0, 42.0, 40.0), (60.0, 20.0, 90.0, 70.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sam3")
    small_sam3(made)
    return made


@pytest.fixture(autouse=True)
def _anything_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geoiseg.words.concept.LEAST", 0.0)  # random weights are sure of nothing


@pytest.fixture
def session(tmp_path: Path) -> geoiseg.Session:
    pixels = picture(SHAPE, 3).transpose(2, 0, 1)
    raster = write_raster(tmp_path / "a.tif", pixels)
    return geoiseg.Session(raster, "grabcut", cache=EmbeddingCache())


def on_map(session: geoiseg.Session, box: tuple[float, ...]) -> Any:
    corners = session.raster.grid.to_crs([box[:2], box[2:]])
    return shapely.box(*corners.min(axis=0), *corners.max(axis=0))


def accept(session: geoiseg.Session, label: str) -> None:
    frame = gpd.GeoDataFrame(
        {"label": [label]}, geometry=[on_map(session, FIELD)], crs=session.raster.grid.crs
    )
    session.add_features(frame)


def heard(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return what the model will have been asked; it answers all the same."""
    model, asked = get_model(str(folder)), []
    answer = model.concepts

    def concepts(embedding: Any, words: Any, boxes: Any, threshold: float) -> Any:
        asked.append((embedding, words, list(boxes)))
        return answer(embedding, words, boxes, threshold)

    monkeypatch.setattr(model, "concepts", concepts)
    return asked


def test_examples_are_boxes_of_the_chip(session: geoiseg.Session) -> None:
    shapes = [on_map(session, box) for box in (FIELD, OTHER)]
    examples = Examples(session.raster.grid, (shapes[0],), (shapes[1],))
    whole = examples.boxes(Frame(0, Window(0, 0, *SHAPE)))
    assert [positive for _, positive in whole] == [True, False]
    np.testing.assert_allclose([box for box, _ in whole], [FIELD, OTHER], atol=1e-6)
    (part,) = examples.boxes(Frame(0, Window(8, 20, 64, 32)))  # the other lies mostly beyond
    np.testing.assert_allclose(part[0], (0, 4, 22, 32), atol=1e-6)
    halved = examples.boxes(Frame(1, Window(0, 0, 48, 64)))
    np.testing.assert_allclose([box for box, _ in halved], np.array([FIELD, OTHER]) / 2, atol=1e-6)


def test_more_like_hands_over_accepted_and_rejected_boxes(
    session: geoiseg.Session, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept(session, "field")
    asked = heard(folder, monkeypatch)
    session.more_like(threshold=0.0, engine=str(folder))
    embedding, words, boxes = asked[-1]
    assert words is None
    assert boxes == [(pytest.approx(FIELD), True)]
    found = get_model(str(folder)).concepts(embedding, None, [(FIELD, True)], 0.0)
    scores = [s for s, m in zip(found.scores, found.logits > 0, strict=True) if m.any()]
    assert session.search is not None
    assert session.search.candidates
    assert session.search.candidates[0].score == pytest.approx(scores[0], abs=1e-4)
    name, _, weights = session.search.engine.partition("@")
    model = get_model(str(folder))
    assert (name, weights) == (model.info.name, model.info.weights_hash)
    gone = session.candidates[0]
    session.reject(gone.number)
    session.more_like("field", threshold=0.0, engine=str(folder))
    _, words, boxes = asked[-1]
    assert words == "field"
    assert [positive for _, positive in boxes] == [True, False]
    negative = session.raster.grid.box_to_pixel(gone.geometry.bounds)
    assert boxes[1][0] == pytest.approx(negative)


def test_a_chip_without_an_example_is_asked_by_words_alone(
    session: geoiseg.Session, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept(session, "field")
    asked = heard(folder, monkeypatch)
    bounds = on_map(session, (70.0, 50.0, 128.0, 96.0)).bounds
    assert session.more_like(threshold=0.0, within=bounds, engine=str(folder)) == ()
    assert asked == []
    session.more_like("field", threshold=0.0, within=bounds, engine=str(folder))
    assert [(words, boxes) for _, words, boxes in asked] == [("field", [])]


def test_words_find_what_the_model_finds(folder: Path) -> None:
    engine: Any = get_engine(str(folder), get_model("grabcut"))
    rgb = picture(SHAPE, 3)
    valid = np.ones(SHAPE, bool)
    valid[:, :40] = False
    view = View(Frame(0, Window(0, 0, *SHAPE)), rgb, valid, "a chip", 1, lambda _: None)
    found = engine.find(view, "field", ())
    masks = get_model(str(folder)).concepts(engine.embedding(view), "field", (), 0.0)
    wanted = [m & valid for m in masks.logits > 0 if (m & valid).any()]
    assert len(found) == len(wanted) > 0
    for one, mask in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one.mask, mask)
    kept = engine.find(view, "field", ("water",))
    rivals = engine.find(view, "water", ())
    for one in found:
        beaten = any(
            rival.score > one.score and (one.mask & rival.mask).sum() > one.mask.sum() / 2
            for rival in rivals
        )
        assert beaten != any(np.array_equal(one.mask, other.mask) for other in kept)


def test_it_is_found_by_its_name_once_it_is_there(
    session: geoiseg.Session, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept(session, "field")
    monkeypatch.setenv("GEOISEG_HOME", str(tmp_path / "home"))
    for module in ("geoiseg.models.registry", "geoiseg.words.engines"):
        monkeypatch.setattr(f"{module}._loaded", {})
    with pytest.raises(WeightsError, match="geoiseg models pull sam3"):
        session.more_like("field", engine="sam3")
    place = folder_of(CATALOGUE["sam3"])
    shutil.copytree(folder, place)
    files = {p.name: {"sha256": "", "size": p.stat().st_size} for p in place.iterdir()}
    write_manifest(place, Manifest("sam3", "SAM License", "here", files, accepted=True))
    session.more_like("field", threshold=0.0, engine="sam3")
    assert session.search is not None
    assert session.search.query.engine == "sam3"
    assert session.search.engine.startswith("sam3@")


def test_an_engine_of_words_alone_takes_no_examples(session: geoiseg.Session) -> None:
    accept(session, "field")
    with pytest.raises(PromptError, match="takes words but no examples"):
        session.more_like("field", engine="words")
    assert session.search is None


def test_a_whole_raster_by_examples_and_their_name(
    session: geoiseg.Session, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = [on_map(session, box) for box in (FIELD, OTHER)]
    like = tmp_path / "like.gpkg"
    frame = gpd.GeoDataFrame({"positive": [1, 0]}, geometry=shapes, crs=session.raster.grid.crs)
    frame.to_file(like)
    asked = heard(folder, monkeypatch)
    words = WordsOptions("field", engine=str(folder), threshold=0.0, like=str(like))
    out = tmp_path / "fields.gpkg"
    report = segment_raster(session.raster, out, options=MapOptions(words=words))
    assert report.objects == len(gpd.read_file(out)) > 0
    assert asked[0][1] == "field"
    assert asked[0][2] == [(pytest.approx(FIELD), True), (pytest.approx(OTHER), False)]
    alone = WordsOptions(engine=str(folder), like=str(like))
    with pytest.raises(PromptError, match="--text"):
        segment_raster(session.raster, tmp_path / "b.gpkg", options=MapOptions(words=alone))
