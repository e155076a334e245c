"""What the small network is trained on: procedural scenes and labelled ones."""

from __future__ import annotations

import numpy as np
import pytest

from tests.conftest import needed

needed("torch")

from geoiseg.errors import RasterError
from geoiseg.training.class_maps import CLASSES
from geoiseg.training.families import HELD_OUT, SHARES, family_of, kind_of, place_of
from geoiseg.training.material import procedural_layers, procedural_scene
from geoiseg.training.procedural.canvas import Canvas, components, fractal
from geoiseg.training.procedural.land import lay_ground
from geoiseg.training.procedural.scenes import RECIPES, make_scene
from geoiseg.training.procedural.shore import (
    add_delta,
    add_glare,
    add_harbour,
    add_islands,
    add_ships,
)
from geoiseg.training.procedural.town import add_terraces
from geoiseg.training.procedural.water import add_coast, add_river
from geoiseg.training.scene import UNKNOWN, Scene
from geoiseg.training.scenes import pack_scenes, read_scenes
from geoiseg.training.segments import segment_once, segment_scene


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


def patches():
    """A square with a smaller square in it, on two grounds."""
    rng = np.random.default_rng(0)
    image = np.full((240, 240, 3), 60, np.uint8)
    image[:, 120:] = (180, 160, 90)
    image[60:180, 40:200] = (90, 200, 220)
    image[90:140, 80:140] = (120, 170, 240)
    noisy = np.clip(image + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8)
    return Scene("patches", noisy, np.ones((240, 240), bool), np.zeros((240, 240), np.int16), {})


def covered(layers, box):
    """Return the greatest overlap of any region of any layer with a box in image pixels."""
    y0, y1, x0, x1 = box
    wanted = np.zeros((240, 240), bool)
    wanted[y0:y1, x0:x1] = True
    best = 0.0
    for layer in layers:
        ids = np.kron(layer.ids, np.ones((2, 2), np.int16))
        for number in layer.kinds:
            own = ids == number
            best = max(best, (own & wanted).sum() / (own | wanted).sum())
    return best


def test_regions_are_found_within_one_another():
    scene = patches()
    layers = segment_scene(scene)
    assert all(layer.image is scene.image for layer in layers)
    assert {layer.family for layer in layers} == {"segment"}
    assert {kind for layer in layers for kind in layer.kinds.values()} == {"segment"}
    assert covered(layers, (90, 140, 80, 140)) > 0.9
    assert covered(layers, (60, 180, 40, 200)) > 0.9
    for layer in layers:
        areas = np.bincount(layer.ids.ravel(), minlength=len(layer.kinds) + 1)[1:]
        assert (areas >= 60).all()


def test_what_has_no_data_is_in_no_region():
    scene = patches()
    scene.valid[:, 200:] = False
    for layer in segment_scene(scene):
        assert not layer.ids[:, 100:].any()


def test_regions_are_kept_for_the_next_time(tmp_path):
    scene = patches()
    first = segment_once(scene, tmp_path)
    (path,) = tmp_path.iterdir()
    changed = path.stat().st_mtime_ns
    again = segment_once(scene, tmp_path)
    assert path.stat().st_mtime_ns == changed
    for one, other in zip(first, again, strict=True):
        assert (one.ids == other.ids).all()
        assert one.kinds == other.kinds
    scene.image[:50] = 0
    other = segment_once(scene, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    assert not np.array_equal(other[0].ids, first[0].ids)


def canvas_with(*steps, seed=0, size=256):
    canvas = Canvas.empty(np.random.default_rng(seed), size)
    lay_ground(canvas, claim=False)
    for step in steps:
        step(canvas)
    return canvas


@pytest.mark.parametrize("step", [add_islands, add_delta, add_harbour])
def test_land_parted_by_water_is_an_object_with_all_that_is_on_it(step):
    lands = towns = 0
    for seed in range(4):
        canvas = canvas_with(add_terraces, step, seed=seed)
        water = np.isin(canvas.ids, [n for n, kind in canvas.classes.items() if kind == "water"])
        afloat = np.isin(canvas.ids, [n for n, kind in canvas.classes.items() if kind == "ship"])
        assert water.any()
        assert canvas.wholes is not None
        assert not (water & (canvas.wholes > 0)).any()
        assert not (afloat & (canvas.wholes > 0)).any()
        lands += len(np.unique(canvas.wholes)) - 1
        inside = canvas.ids[canvas.wholes > 0]
        towns += {canvas.classes.get(int(n)) for n in np.unique(inside)} >= {"building"}
    assert lands > 4
    assert towns >= 3


def test_ships_lie_on_the_water_and_differ_from_it():
    canvas = canvas_with(add_islands, seed=1)
    calm = canvas.image.copy()
    water = canvas.ids > 0
    add_ships(canvas)
    ships = [n for n, kind in canvas.classes.items() if kind == "ship"]
    assert len(ships) > 1
    for number in ships:
        hull = canvas.ids == number
        assert water[hull].all()
        assert 4 <= hull.sum() < 600
    afloat = np.isin(canvas.ids, ships)
    assert np.abs(canvas.image - calm)[afloat].mean() > 25


def test_glare_lightens_water_only():
    canvas = canvas_with(add_islands, seed=3)
    before, ids = canvas.image.copy(), canvas.ids.copy()
    add_glare(canvas)
    changed = np.abs(canvas.image - before).max(axis=2) > 0.5
    assert changed.any()
    assert (ids[changed] > 0).all()
    assert (canvas.ids == ids).all()


def test_a_dense_town_has_many_roofs_wall_to_wall():
    canvas = canvas_with(add_terraces, seed=5)
    assert len(canvas.targets) > 60
    assert set(canvas.classes.values()) == {"building"}
    side_by_side = (canvas.ids[:, 1:] != canvas.ids[:, :-1]) & (canvas.ids[:, 1:] > 0)
    walls = (side_by_side & (canvas.ids[:, :-1] > 0)).sum()
    assert walls > 300


def test_a_procedural_scene_is_a_scene():
    scene = procedural_scene(5, 128)
    assert set(scene.kinds.values()) == {"procedural"}
    assert scene.valid.all()
    assert set(np.unique(scene.ids)) - {0} <= set(scene.kinds)


def test_a_procedural_scene_with_wholes_has_a_layer_for_them():
    layers = [procedural_layers(seed, 128) for seed in range(20)]
    assert {len(of_one) for of_one in layers} == {1, 2}
    for parts, *wholes in layers:
        for whole in wholes:
            assert whole.image is parts.image
            assert whole.known is parts.known
            assert set(np.unique(whole.ids)) - {0} == set(whole.kinds)


def test_a_folder_without_scenes_is_said_to_be(tmp_path):
    with pytest.raises(RasterError, match="no labelled scene"):
        list(read_scenes(tmp_path, held_out=False))


@pytest.mark.realdata
def test_what_validates_never_trains(data):
    folder = data / "train"
    training = {scene.name: scene for scene in read_scenes(folder, held_out=False)}
    validation = {scene.name: scene for scene in read_scenes(folder, held_out=True)}
    assert {scene.place for scene in validation.values()} == set(HELD_OUT)
    assert not {scene.place for scene in training.values()} & set(HELD_OUT)
    families = {scene.family for scene in training.values()}
    assert families == set(SHARES) - {"procedural", "segment"}
    judged = {scene.family for scene in validation.values()}
    assert judged == families - {"delta", "river", "tree"}
    evaluated = {path.name for path in (data / "scenes").iterdir()}
    assert not (set(training) | set(validation)) & evaluated
    assert len(training) > 130


@pytest.mark.realdata
def test_labels_become_objects(data):
    scenes: dict[str, Scene] = {}
    for scene in read_scenes(data / "train", held_out=True):
        scenes.setdefault(scene.name, scene)
    field, photo = scenes["fields_naip_05"], scenes["t3_p001"]
    assert set(field.kinds.values()) == {"field"}
    assert 40 <= len(field.kinds) <= 64
    assert set(photo.kinds.values()) <= {"building", "land", "road", "vegetation", "water"}
    areas = np.bincount(photo.ids[photo.ids > 0])
    assert all(areas[number] >= 160 for number in photo.kinds)
    assert photo.ids.min() >= UNKNOWN


def test_packed_scenes_are_the_same_scenes(tmp_path):
    import cv2

    folder = tmp_path / "data"
    write_scene(folder / "fields_one")
    (folder / "_dubai").mkdir()
    classes = np.full((60, 80), 5, np.uint8)
    classes[10:30, 10:40], classes[40:, 40:] = 0, 4
    cv2.imwrite(str(folder / "_dubai" / "a.jpg"), np.full((60, 80, 3), 90, np.uint8))
    cv2.imwrite(str(folder / "_dubai" / "a_cls.png"), classes)
    pack_scenes(folder, tmp_path / "packed")
    plain = sorted(read_scenes(folder, held_out=False), key=lambda scene: scene.name)
    packed = list(read_scenes(tmp_path / "packed", held_out=False))
    assert [scene.name for scene in plain] == ["a", "a", "fields_one"]
    assert sorted(plain[0].kinds.values()) == ["building", "water"]
    assert plain[0].ids[0, 0] == UNKNOWN
    for scene, again in zip(plain, packed, strict=True):
        assert (again.ids == scene.ids).all()
        assert (again.valid == scene.valid).all()
        assert (again.kinds, again.name) == (scene.kinds, scene.name)
        assert (again.family, again.place) == (scene.family, scene.place)
        assert np.abs(again.image.astype(int) - scene.image).mean() < 4
        assert again.known is not None
        assert scene.known is not None
        assert again.known.shape == scene.known.shape
        assert (again.known[::2, ::2] == scene.known[::2, ::2]).all()
        assert (again.present[::2, ::2] == scene.present[::2, ::2]).all()
        assert (again.known != scene.known).mean() < 0.1
    assert packed[0].image is packed[1].image


def test_a_scene_says_its_family_and_its_place():
    names = ["coast_s2_algiers", "coast_s2_algiers_20m", "ships_s2_algiers_0"]
    assert {place_of(name) for name in names} == {"algiers"}
    assert place_of("coast_s2_marseille_20m_nir") == place_of("coast_s2_marseille_b") == "marseille"
    assert place_of("coast_s2_san_francisco") == "san_francisco"
    towns = ["bldg_banepa_01", "bldg_banepa_half_2", "bldg_banepa_quarter"]
    assert {place_of(name) for name in towns} == {"banepa"}
    assert (place_of("t3_p004"), place_of("photo_coco_1")) == ("dubai_t3", "photo_coco_1")
    assert place_of("islands_bm_madagascar") != place_of("delta_madagascar_l8_17")
    assert family_of("coast_s2_x", {"family": "coast/estuary"}) == "coast"
    assert family_of("forestd_amz_1", {"family": "forest_clearings"}) == "forest"
    assert (family_of("bldg_a_b1", {}), family_of("fields_naip_01", {})) == ("building", "field")
    assert kind_of({"class": "lake/pond"}, "lake") == "water"
    assert (kind_of({"class": "island"}, "coast"), kind_of({}, "field")) == ("island", "field")


def test_what_lies_within_another_object_gets_a_layer_of_its_own(tmp_path):
    whole, town, beside = (0, 0, 60, 60), (20, 20, 40, 30), (58, 0, 79, 60)
    named = {"class": "island"}, {"class": "building"}, {"class": "water"}
    write_scene(tmp_path / "islands_one", (town, whole, beside), (named[1], named[0], named[2]))
    layers = list(read_scenes(tmp_path, held_out=False))
    found = {kind: layer.ids == number for layer in layers for number, kind in layer.kinds.items()}
    expected = np.zeros((96, 96), bool)
    expected[0:60, 0:58] = True
    assert (found["island"][:, :58] == expected[:, :58]).all()
    assert found["building"].sum() == 200
    assert found["building"][20:30, 20:40].all()
    assert len({id(layer.image) for layer in layers}) == 1


def test_outlined_islands_make_a_sea(tmp_path):
    write_scene(tmp_path / "islands_one", ((10, 20, 50, 50),), ({"class": "island"},))
    island, sea = read_scenes(tmp_path, held_out=False)
    assert (island.family, island.kinds, sea.kinds) == ("island", {1: "island"}, {1: "water"})
    assert ((sea.ids == 1) == ((island.ids == 0) & sea.valid)).all()


def test_land_with_all_on_it_is_an_object_where_there_is_water(tmp_path):
    import cv2

    (tmp_path / "_dubai").mkdir()
    classes = np.full((80, 80), 4, np.uint8)
    classes[10:60, 10:60], classes[20:40, 20:40], classes[70:] = 1, 0, 5
    cv2.imwrite(str(tmp_path / "_dubai" / "a.jpg"), np.full((80, 80, 3), 90, np.uint8))
    cv2.imwrite(str(tmp_path / "_dubai" / "a_cls.png"), classes)
    parts, whole = read_scenes(tmp_path, held_out=False)
    assert sorted(parts.kinds.values()) == ["building", "land", "water"]
    assert whole.kinds == {1: "land"}
    assert (whole.ids == 1).sum() == 50 * 50
    assert (whole.ids[70:] == UNKNOWN).all()


def write_scene(folder, boxes=((10, 20, 50, 50),), about=({"id": 0},)):
    """Boxes (x0, y0, x1, y1) on a raster of 96 by 96 pixels, its right side without data."""
    import json

    import rasterio
    from affine import Affine

    folder.mkdir(parents=True)
    transform = Affine(2, 0, 500_000, 0, -2, 4_500_000)
    data = np.full((3, 96, 96), 120, np.uint8)
    data[:, 20:50, 10:50] = 60
    profile = {"driver": "GTiff", "count": 3, "height": 96, "width": 96, "dtype": "uint8"}
    path = folder / "image.tif"
    with rasterio.open(path, "w", crs="EPSG:32631", transform=transform, **profile) as target:
        target.write(data)
        mask = np.full((96, 96), 255, np.uint8)
        mask[:, 80:] = 0
        target.write_mask(mask)
    features = []
    for (x0, y0, x1, y1), properties in zip(boxes, about, strict=True):
        corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)]
        shape = {"type": "Polygon", "coordinates": [[list(transform @ c) for c in corners]]}
        features.append({"type": "Feature", "properties": properties, "geometry": shape})
    labels = {"type": "FeatureCollection", "features": features}
    (folder / "labels.geojson").write_text(json.dumps(labels))


def test_polygons_become_objects_on_the_grid(tmp_path):
    write_scene(tmp_path / "fields_one")
    (scene,) = read_scenes(tmp_path, held_out=False)
    assert scene.kinds == {1: "field"}
    expected = np.zeros((96, 96), bool)
    expected[20:50, 10:50] = True
    assert ((scene.ids == 1) == expected).all()
    assert not scene.valid[:, 80:].any()
    assert scene.valid[:, :80].all()


def test_a_procedural_scene_knows_the_classes_of_what_it_draws():
    found = set()
    for seed in range(12):
        scene = procedural_scene(seed, 128)
        assert scene.known is not None
        assert scene.present is not None
        assert not (scene.present & ~scene.known).any()
        for k, name in enumerate(CLASSES):
            where = (scene.present >> k & 1) > 0
            if where.any():
                found.add(name)
                assert (scene.ids[where] > 0).all()
    assert found == {"water", "building", "road", "field", "tree"}


@pytest.mark.realdata
def test_no_source_names_one_class_alone(data):
    told: dict[str, set[str]] = {}
    for scene in read_scenes(data / "train", held_out=False):
        assert scene.known is not None
        assert scene.present is not None
        for k, name in enumerate(CLASSES):
            known = (scene.known >> k & 1) > 0
            there = (scene.present >> k & 1) > 0
            if there.mean() > 0.005:
                told.setdefault(scene.family, set()).add(name)
            if (known & ~there).mean() > 0.005:
                told.setdefault(scene.family, set()).add(f"no {name}")
    for family in set(told) - {"ship", "photo", "tree"}:
        assert "no water" in told[family], family
        assert {"no building", "no road"} <= told[family], family
    assert {"water", "tree", "field", "no field"} <= told["field"]
    assert {"snow", "water", "no snow"} <= told["island"]
