from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.features
import shapely
from rasterio.enums import ColorInterp
from scipy import ndimage

from geoiseg.demo.drawing import Land
from geoiseg.demo.paint import paint
from geoiseg.demo.plan import make_plan, whole_largest
from geoiseg.demo.scene import CRS, Scene, make_scene, scene_transform
from geoiseg.errors import ExportError, GeoreferenceError

SIZE = 1024


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return make_scene(tmp_path_factory.mktemp("scene") / "scene.tif", SIZE, seed=3)


@pytest.fixture(scope="module")
def pixels(scene: Scene) -> np.ndarray:
    with rasterio.open(scene.path) as dataset:
        return dataset.read()


def burn(scene: Scene, geometry: shapely.Geometry) -> np.ndarray:
    transform = scene_transform(SIZE)
    return rasterio.features.rasterize([(geometry, 1)], (SIZE, SIZE), transform=transform) == 1


def test_the_file_is_a_tiled_georeferenced_pyramid(scene: Scene) -> None:
    with rasterio.open(scene.path) as dataset:
        assert dataset.crs.to_epsg() == 32631
        assert dataset.crs.to_string() == scene.crs == CRS
        assert dataset.transform == scene_transform(SIZE)
        assert dataset.res == (4.0, 4.0)
        assert (dataset.count, dataset.dtypes) == (3, ("uint8",) * 3)
        assert dataset.colorinterp == (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        assert dataset.profile["tiled"]
        assert dataset.block_shapes[0] == (512, 512)
        assert dataset.overviews(1) == [2, 4]
        assert dataset.compression is not None
    assert sorted(p.name for p in scene.path.parent.iterdir()) == ["scene.tif"]


def test_an_overview_is_the_average_of_its_pixels(scene: Scene, pixels: np.ndarray) -> None:
    with rasterio.open(scene.path, overview_level=0) as overview:
        small = overview.read().astype(float)
    mean = pixels.reshape(3, SIZE // 2, 2, SIZE // 2, 2).mean(axis=(2, 4))
    assert np.abs(small - mean).mean() < 3.0


def test_truth_is_what_was_painted(scene: Scene) -> None:
    labels = make_plan(np.random.default_rng([3, 1]), SIZE).labels
    for name, land in (("sea", Land.SEA), ("lake", Land.LAKE)):
        np.testing.assert_array_equal(burn(scene, scene.truth_of(name)), labels == land)
    fields = [row for row in scene.truth if row.label == "field"]
    assert len(fields) == len(np.unique(labels[labels >= Land.FIELD])) > 60
    burnt = rasterio.features.rasterize(
        [(row.geometry, k) for k, row in enumerate(fields, 1)],
        (SIZE, SIZE),
        transform=scene_transform(SIZE),
    )
    np.testing.assert_array_equal(burnt > 0, labels >= Land.FIELD)
    for k, row in enumerate(fields, 1):
        assert len(np.unique(labels[burnt == k])) == 1
        assert row.geometry.area == np.count_nonzero(burnt == k) * 16.0


def test_truth_is_valid_and_in_the_scene(scene: Scene) -> None:
    with rasterio.open(scene.path) as dataset:
        extent = shapely.box(*dataset.bounds)
    assert len({row.name for row in scene.truth}) == len(scene.truth)
    for row in scene.truth:
        assert row.geometry.is_valid
        assert extent.covers(row.geometry)
        assert row.label in {"sea", "lake", "field"}
        if row.label == "field":
            assert row.geometry.geom_type == "Polygon"
    assert 0.1 < scene.truth_of("sea").area / extent.area < 0.4


@pytest.mark.parametrize(("size", "seed"), [(512, 0), (512, 5), (1024, 3), (300, 1)])
def test_prompts_fit_their_objects(tmp_path: Path, size: int, seed: int) -> None:
    scene = make_scene(tmp_path / "scene.tif", size, seed)
    with rasterio.open(scene.path) as dataset:
        extent = shapely.box(*dataset.bounds)
    for prompt in scene.prompts:
        truth = scene.truth_of(prompt.object)
        place = shapely.MultiPoint(prompt.xy_crs)
        assert extent.covers(place)
        if prompt.kind == "box":
            box = shapely.box(*place.bounds)
            assert box.contains(truth)
            assert truth.area > 0.3 * box.area
        elif prompt.kind == "scribble":
            assert truth.contains(shapely.LineString(prompt.xy_crs))
        else:
            assert truth.contains(place) == prompt.positive
    names = list(dict.fromkeys(prompt.object for prompt in scene.prompts))
    assert {"sea", "lake"} < set(names)
    assert len(names) >= 7
    kinds = {prompt.kind for prompt in scene.prompts}
    assert kinds == {"point", "box", "scribble"}


def test_a_seed_gives_one_scene(tmp_path: Path, scene: Scene, pixels: np.ndarray) -> None:
    again = make_scene(tmp_path / "again.tif", SIZE, seed=3)
    other = make_scene(tmp_path / "other.tif", SIZE, seed=4)
    with rasterio.open(again.path) as dataset:
        np.testing.assert_array_equal(dataset.read(), pixels)
    assert again.prompts == scene.prompts
    assert [row.name for row in again.truth] == [row.name for row in scene.truth]
    for mine, theirs in zip(again.truth, scene.truth, strict=True):
        assert mine.geometry.equals(theirs.geometry)
    with rasterio.open(other.path) as dataset:
        assert np.abs(dataset.read().astype(int) - pixels).mean() > 10


def test_the_ground_is_the_same_at_every_size(tmp_path: Path, scene: Scene) -> None:
    small = make_scene(tmp_path / "small.tif", 512, seed=3)
    for name in ("sea", "lake"):
        a, b = small.truth_of(name), scene.truth_of(name)
        assert a.intersection(b).area / a.union(b).area > 0.97


def test_objects_differ_from_what_is_around_but_are_not_flat(
    scene: Scene, pixels: np.ndarray
) -> None:
    sea = burn(scene, scene.truth_of("sea"))
    lake = burn(scene, scene.truth_of("lake"))
    land = ~(sea | lake)
    red, _, blue = (band.astype(float) for band in pixels)
    warmth = red - blue
    assert warmth[land].mean() > warmth[sea].mean() + 20
    assert warmth[land].mean() > warmth[lake].mean() + 20
    for row in scene.truth:
        inside = burn(scene, row.geometry)
        assert pixels[:, inside].std(axis=1).min() > 2.0, row.name


def test_neighbouring_fields_differ(pixels: np.ndarray, scene: Scene) -> None:
    fields = [row for row in scene.truth if row.label == "field"]
    colours = np.array([pixels[:, burn(scene, row.geometry)].mean(axis=1) for row in fields])
    assert len({row.kind for row in fields}) >= 6
    assert colours.std(axis=0).min() > 12


def test_painting_leaves_the_plan_alone() -> None:
    plan = make_plan(np.random.default_rng(8), 256)
    before = plan.labels.copy()
    image, crops = paint(plan, np.random.default_rng(8))
    np.testing.assert_array_equal(plan.labels, before)
    assert image.shape == (256, 256, 3)
    assert image.dtype == np.uint8
    assert set(crops) == {int(v) for v in np.unique(before) if v >= Land.FIELD}


@pytest.mark.parametrize("size", [0, 64, 100_000])
def test_a_wrong_size_is_named(tmp_path: Path, size: int) -> None:
    with pytest.raises(GeoreferenceError, match=f"{size} pixels .* from 128 to 8192"):
        make_scene(tmp_path / "scene.tif", size)
    assert not list(tmp_path.iterdir())


def test_a_wrong_seed_is_named(tmp_path: Path) -> None:
    with pytest.raises(GeoreferenceError, match="seed is -1"):
        make_scene(tmp_path / "scene.tif", 128, seed=-1)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="nowhere"):
        make_scene(tmp_path / "nowhere" / "scene.tif", 128)


def test_a_failed_write_keeps_the_older_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "scene.tif"
    make_scene(target, 128, seed=1)
    before = target.read_bytes()

    def fail(self: Path, other: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(ExportError, match="No space left"):
        make_scene(target, 128, seed=2)
    assert target.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["scene.tif"]


def test_an_unknown_object_is_named(scene: Scene) -> None:
    with pytest.raises(GeoreferenceError, match="no object 'moon'"):
        scene.truth_of("moon")


def test_fields_have_their_bounds() -> None:
    plan = make_plan(np.random.default_rng([1, 1]), 256)
    boxes = enumerate(ndimage.find_objects(plan.labels.astype(int)), 1)
    assert plan.field_boxes() == [
        (label, box) for label, box in boxes if label >= Land.FIELD and box is not None
    ]


def test_the_largest_part_has_no_holes_but_what_goes_on_beyond_it_is_none() -> None:
    mask = np.zeros((200, 300), dtype=bool)
    mask[:90, 40:120] = True  # at the upper edge, with a bay to the right and a pond
    mask[20:25, 100:120] = False
    mask[40:60, 60:70] = False
    mask[:10, 110:112] = False  # a pocket that only the scene's edge closes
    mask[150:160, 200:210] = True
    wanted = np.zeros_like(mask)
    wanted[:90, 40:120] = True
    wanted[20:25, 100:120] = False
    assert np.array_equal(whole_largest(mask), wanted)


@pytest.mark.parametrize("seed", [1, 16])
def test_the_lake_is_never_a_puddle(seed: int) -> None:
    plan = make_plan(np.random.default_rng([seed, 1]), 256)
    hectares = np.count_nonzero(plan.labels == Land.LAKE) * 16.0**2 / 1e4
    assert 5 < hectares < 60
