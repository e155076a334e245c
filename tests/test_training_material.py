"""What the small network is trained on: procedural scenes and labelled ones."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from geoiseg.errors import RasterError
from geoiseg.training.material import procedural_scene
from geoiseg.training.procedural.canvas import Canvas, components, fractal
from geoiseg.training.procedural.scenes import RECIPES, make_scene
from geoiseg.training.procedural.water import add_coast, add_river
from geoiseg.training.scenes import HELD_OUT, UNKNOWN, Scene, read_scenes, segment_scene


@pytest.mark.parametrize("seed", range(8))
def test_a_scene_has_objects_to_ask_for(seed):
    canvas = make_scene(seed, 192)
    assert canvas.image.shape == (192, 192, 3)
    assert canvas.as_bytes().std() > 3
    assert np.isfinite(canvas.image).all()
    assert set(np.unique(canvas.ids)) <= {0, *canvas.targets}
    assert (np.bincount(canvas.ids.ravel())[1:] > 0).any()


def test_the_seed_decides():
    first, again, other = make_scene(3, 128), make_scene(3, 128), make_scene(4, 128)
    assert (first.as_bytes() == again.as_bytes()).all()
    assert (first.ids == again.ids).all()
    assert (first.as_bytes() != other.as_bytes()).any()


def test_recipes_make_up_the_whole():
    assert sum(share for share, _ in RECIPES) == pytest.approx(1)


def test_a_river_is_long_and_thin():
    shapes = []
    for seed in range(6):
        canvas = Canvas.empty(np.random.default_rng(seed), 256)
        canvas.image += 120
        add_river(canvas)
        areas = np.bincount(canvas.ids.ravel())[1:]
        river = canvas.ids == areas.argmax() + 1
        rows, columns = np.nonzero(river)
        extent = max(np.ptp(rows), np.ptp(columns))
        shapes.append((extent > 100, river.sum() < 0.35 * river.size))
        assert np.abs(canvas.image[river].mean() - 120) > 10
    assert np.mean(shapes) > 0.8


def test_a_sea_reaches_the_edge():
    canvas = Canvas.empty(np.random.default_rng(2), 128)
    canvas.image += 120
    add_coast(canvas)
    sea = canvas.ids == np.bincount(canvas.ids.ravel())[1:].argmax() + 1
    edge = np.concatenate([sea[0], sea[-1], sea[:, 0], sea[:, -1]])
    assert edge.any()
    assert 0.05 < sea.mean() < 0.95


def test_noise_is_normalised_and_parts_are_sorted():
    noise = fractal(np.random.default_rng(0), 100, 1.0, 4)
    assert noise.shape == (100, 100)
    assert noise.std() == pytest.approx(1, abs=0.01)
    mask = np.zeros((20, 20), bool)
    mask[1:3, 1:3], mask[5:15, 5:15], mask[18, 18] = True, True, True
    parts = components(mask, 2)
    assert [int(part.sum()) for part in parts] == [100, 4]


def test_regions_are_of_one_colour():
    rng = np.random.default_rng(0)
    image = np.full((200, 200, 3), 60, np.uint8)
    image[:, 100:] = (180, 160, 90)
    image[60:140, 60:140] = (90, 200, 220)
    noisy = np.clip(image + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8)
    scene = Scene("patches", noisy, np.ones((200, 200), bool), np.zeros((200, 200), np.int16), {})
    found = segment_scene(scene)
    assert found.image is scene.image
    inner = int(found.ids[100, 100])
    assert found.kinds[inner] == "segment"
    square = np.zeros((200, 200), bool)
    square[60:140, 60:140] = True
    mask = found.ids == inner
    assert (mask & square).sum() / (mask | square).sum() > 0.9


def test_a_procedural_scene_is_a_scene():
    scene = procedural_scene(5, 128)
    assert set(scene.kinds.values()) == {"procedural"}
    assert scene.valid.all()
    assert set(np.unique(scene.ids)) - {0} <= set(scene.kinds)


def test_a_folder_without_scenes_is_said_to_be(tmp_path):
    with pytest.raises(RasterError, match="no labelled scene"):
        list(read_scenes(tmp_path, held_out=False))


@pytest.mark.realdata
def test_what_validates_never_trains(data):
    folder = data / "train"
    training = {scene.name for scene in read_scenes(folder, held_out=False)}
    validation = {scene.name for scene in read_scenes(folder, held_out=True)}
    assert validation == set(HELD_OUT)
    assert not training & validation
    evaluated = {path.name for path in (data / "scenes").iterdir()}
    assert not (training | validation) & evaluated
    assert len(training) > 40


@pytest.mark.realdata
def test_labels_become_objects(data):
    scenes = {scene.name: scene for scene in read_scenes(data / "train", held_out=True)}
    field, photo = scenes["fields_naip_05"], scenes["t3_p001"]
    assert set(field.kinds.values()) == {"field"}
    assert 40 <= len(field.kinds) <= 64
    assert set(photo.kinds.values()) <= {"building", "land", "road", "vegetation", "water"}
    areas = np.bincount(photo.ids[photo.ids > 0])
    assert all(areas[number] >= 160 for number in photo.kinds)
    assert photo.ids.min() >= UNKNOWN
