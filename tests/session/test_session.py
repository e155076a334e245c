"""The session: prompts to features, undo over everything, nothing lost when a step fails."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize

import geoiseg
from geoiseg.errors import (
    CancelledError,
    GeoisegError,
    ModelError,
    PromptError,
    SessionError,
    UnknownModelError,
)
from geoiseg.features.feature import FIXED_COLUMNS, measured_anew
from geoiseg.models.protocol import Embedding, Masks, Model, ModelInfo
from geoiseg.outline.draw import OutlineOptions
from geoiseg.prompting.prompts import Box, PixelPrompts, Point, Text, prompt_to_dict
from geoiseg.raster import measure
from geoiseg.segment import Watch
from geoiseg.session.history import History
from tests.conftest import Disk, disk_pixels, write_raster


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def session_of(disk: Disk, **options) -> geoiseg.Session:
    return geoiseg.Session(disk.path, "grabcut", **options)


class Threshold:
    """A real, tiny model for tests of what happens around models: bright is object."""

    def __init__(self, fail: bool = False) -> None:
        self.embedded = self.decoded = 0
        self.fail = fail

    @property
    def info(self) -> ModelInfo:
        return ModelInfo("threshold", "test", "Apache-2.0", "bright pixels", 128, "1")

    def embed(self, image, valid) -> Embedding:
        self.embedded += 1
        return Embedding("threshold", valid.shape, {"grey": image.mean(axis=2)})

    def decode(self, embedding, prompts, previous=None) -> Masks:
        self.decoded += 1
        if self.fail:
            raise ModelError("the network is on strike")
        logits = (embedding.arrays["grey"] - 100).astype(np.float32)
        return Masks(logits[None], np.array([0.9], np.float32))


def test_a_click_makes_a_mask_and_its_exact_outline(disk: Disk) -> None:
    session = session_of(disk)
    assert session.mask is None
    assert session.geometry is None
    session.add_point(*disk.centre)
    mask = session.mask
    assert iou(mask.array, disk.truth) > 0.95
    assert 0 <= mask.score <= 1
    burned = rasterize([session.geometry], out_shape=mask.grid.shape, transform=mask.grid.transform)
    np.testing.assert_array_equal(burned.astype(bool), mask.array)


def test_positive_and_negative_clicks_are_obeyed(disk: Disk) -> None:
    session = session_of(disk)
    session.add_point(*disk.centre)
    session.add_point(*disk.outside, positive=False)
    assert session.geometry.contains(shapely.Point(disk.centre))
    assert not session.geometry.contains(shapely.Point(disk.outside))


def test_every_sort_of_prompt(disk: Disk) -> None:
    x, y = disk.centre
    session = session_of(disk)
    for add in (
        lambda: session.add_box(x - 90, y - 90, x + 90, y + 90),
        lambda: session.add_scribble([(x - 30, y), (x + 30, y)]),
        lambda: session.add_region(shapely.Point(disk.centre).buffer(60)),
    ):
        add()
        assert iou(session.mask.array, disk.truth) > 0.85
        session.clear()
        assert session.mask is None


def test_prompts_in_another_crs_land_on_the_same_pixel(disk: Disk) -> None:
    lonlat = pyproj.Transformer.from_crs("EPSG:32631", "EPSG:4326", always_xy=True)
    here, there = session_of(disk), session_of(disk)
    here.add_point(*disk.centre)
    there.add_point(*lonlat.transform(*disk.centre), crs="EPSG:4326")
    np.testing.assert_array_equal(here.mask.array, there.mask.array)


@pytest.mark.parametrize(
    "transform",
    [
        Affine.translation(5e5, 4e6) @ Affine.rotation(40) @ Affine.scale(2, -2),
        Affine(2, 0, 5e5, 0, 2, 4e6),
        Affine(2, 0.7, 5e5, -0.3, -3, 4e6),
    ],
    ids=["rotated", "south-up", "sheared"],
)
def test_odd_transforms(tmp_path: Path, transform: Affine) -> None:
    pixels, truth = disk_pixels()
    session = geoiseg.Session(
        write_raster(tmp_path / "a.tif", pixels, transform=transform), "grabcut"
    )
    session.add_point(*(transform @ (100.5, 90.5)))
    assert iou(session.mask.array, truth) > 0.95
    burned = rasterize([session.geometry], out_shape=truth.shape, transform=transform)
    np.testing.assert_array_equal(burned.astype(bool), session.mask.array)


def test_words_that_are_not_known_are_told_so(disk: Disk) -> None:
    with pytest.raises(PromptError, match=r"not in the vocabulary.*crop field"):
        session_of(disk).add_text("disk")
    with pytest.raises(PromptError, match="add_text"):
        session_of(disk).add([Text("water")])


# -- undo ------------------------------------------------------------------------------


def test_undo_and_redo_go_over_everything(disk: Disk) -> None:
    session = session_of(disk)
    assert not session.undo()
    session.add_point(*disk.centre)
    first = session.mask
    session.add_point(*disk.outside, positive=False)
    number = session.accept("disk", crop="rye")
    session.relabel(number, "plate", crop="oats")
    session.delete(number)
    assert session.features.empty
    assert session.undo()
    assert session.features.loc[0, "label"] == "plate"
    assert session.undo()
    assert session.features.loc[0, "crop"] == "rye"
    assert session.undo()
    assert session.features.empty
    assert len(session.prompts) == 2
    assert session.undo()
    assert session.mask is first
    while session.redo():
        pass
    assert session.features.empty
    assert not session.can_redo
    assert session.undo()
    session.add_point(*disk.centre)
    assert not session.can_redo, "a new step ends the old future"


def test_history_forgets_only_the_oldest() -> None:
    history = History(0, limit=3)
    for state in range(1, 10):
        history.push(state)
    while history.undo():
        pass
    assert history.present == 6


def test_an_undone_mask_is_refined_as_if_nothing_had_been(disk: Disk) -> None:
    one, other = session_of(disk), session_of(disk)
    for session in (one, other):
        session.add_point(*disk.centre)
    one.add_point(*disk.outside, positive=False)
    one.undo()
    for session in (one, other):
        session.add_point(disk.centre[0] + 30, disk.centre[1])
    np.testing.assert_array_equal(one.mask.array, other.mask.array)


# -- accept, edit, delete --------------------------------------------------------------


def test_accepted_features_carry_their_provenance(disk: Disk) -> None:
    session = session_of(disk)
    session.add_point(*disk.centre)
    session.add_point(*disk.outside, positive=False)
    geometry = session.geometry
    number = session.accept("disk", owner="Ana", trees=np.int64(3), grade=None)
    table = session.features
    assert table.crs == "EPSG:32631"
    assert list(table.columns[: len(FIXED_COLUMNS)]) == list(FIXED_COLUMNS)
    row = table.iloc[0]
    assert (row["id"], row["label"], row["model"]) == (number, "disk", "grabcut")
    assert (row["positive_points"], row["negative_points"], row["boxes"]) == (1, 1, 0)
    assert (row["owner"], row["trees"], row["grade"]) == ("Ana", 3, None)
    assert row["area_m2"] == pytest.approx(geometry.area)
    assert row["perimeter_m"] == pytest.approx(geometry.length)
    assert row["gsd"] == pytest.approx(2, rel=1e-3)
    assert row["geometry"].equals(geometry)
    assert session.mask is None, "ready for the next object"


def test_refining_an_accepted_feature_replaces_it(disk: Disk) -> None:
    session = session_of(disk)
    session.add_point(*disk.centre)
    first = session.mask.array
    number = session.accept("disk", owner="Ana")
    session.edit(number)
    np.testing.assert_array_equal(session.mask.array, first)
    assert session.editing == number
    session.add_point(*disk.outside, positive=False)
    assert session.accept() == number
    row = session.features.iloc[0]
    assert len(session.features) == 1
    assert (row["label"], row["owner"], row["negative_points"]) == ("disk", "Ana", 1)


def test_leaving_an_edit_keeps_the_feature(disk: Disk) -> None:
    session = session_of(disk)
    session.add_point(*disk.centre)
    number = session.accept("disk")
    before = session.features.geometry[0]
    session.edit(number)
    session.add_point(*disk.outside, positive=False)
    session.clear()
    assert session.editing is None
    assert session.features.geometry[0].equals(before)
    session.edit(number)
    session.delete(number)
    assert session.editing is None
    assert session.mask is None


def test_ids_are_never_given_twice_while_a_feature_has_them(disk: Disk) -> None:
    session = session_of(disk)
    numbers = []
    for _ in range(3):
        session.add_point(*disk.centre)
        numbers.append(session.accept())
    assert numbers == [1, 2, 3]
    session.delete(2)
    session.add_point(*disk.centre)
    assert session.accept() == 4


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda s: s.accept("x"), "nothing to accept"),
        (lambda s: s.edit(7), "no feature 7; accepted are: none"),
        (lambda s: s.delete(7), "no feature 7"),
        (lambda s: s.relabel(7), "no feature 7"),
        (lambda s: s.save(), "give a path"),
        (lambda s: s.accept(**{"": 1}), "name of an attribute"),
    ],
)
def test_steps_out_of_turn(disk: Disk, act, says: str) -> None:
    with pytest.raises(SessionError, match=says):
        act(session_of(disk))


def test_attributes_with_our_own_names_are_refused(disk: Disk) -> None:
    session = session_of(disk)
    session.add_point(*disk.centre)
    with pytest.raises(SessionError, match="'score' is a column"):
        session.accept("disk", score=1)
    assert session.mask is not None, "the object is still there to accept"


def test_outlines_from_elsewhere_can_be_taken_over_and_refined(disk: Disk) -> None:
    session = session_of(disk)
    rough = shapely.Point(disk.centre).buffer(65)
    layer = gpd.GeoDataFrame(
        {"label": ["disk"], "id": [99], "note": ["from a map"]}, geometry=[rough], crs="EPSG:32631"
    ).to_crs("EPSG:4326")
    (number,) = session.add_features(layer)
    row = session.features.iloc[0]
    assert (row["label"], row["note"], row["id_1"]) == ("disk", "from a map", 99)
    assert row["geometry"].symmetric_difference(rough).area < 1
    session.edit(number)
    assert iou(session.mask.array, disk.truth) > 0.9
    lines = gpd.GeoDataFrame(geometry=[shapely.LineString([(0, 0), (1, 1)])], crs="EPSG:32631")
    with pytest.raises(PromptError, match="row 1 of the layer is a LineString"):
        session.add_features(lines)


# -- when something goes wrong ---------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "y", "crs"),
    [(0, 0, None), (400_000, 4_499_000, None), (3, 95, "EPSG:4326"), (float("nan"), 1, None)],
)
def test_prompts_outside_change_nothing(disk: Disk, x: float, y: float, crs) -> None:
    session = session_of(disk)
    session.add_point(*disk.centre)
    before = session.mask
    with pytest.raises(GeoisegError):
        session.add_point(x, y, crs=crs)
    assert session.mask is before
    assert len(session.prompts) == 1


def test_no_data_under_the_click(tmp_path: Path) -> None:
    pixels, _ = disk_pixels()
    pixels[:, :, :50] = 0
    path = write_raster(tmp_path / "a.tif", pixels, nodata=0)
    session = geoiseg.Session(path, "grabcut")
    with pytest.raises(PromptError, match="no data under the prompts"):
        session.add_point(500_020, 4_499_900)
    empty = write_raster(tmp_path / "b.tif", np.zeros_like(pixels), nodata=0)
    with pytest.raises(PromptError, match="no data around the prompts"):
        geoiseg.Session(empty, "grabcut").add_point(500_020, 4_499_900)


def test_a_model_that_fails_loses_nothing(disk: Disk) -> None:
    model = Threshold()
    assert isinstance(model, Model)
    session = geoiseg.Session(disk.path, model)
    session.add_point(*disk.centre)
    session.accept("disk")
    model.fail = True
    with pytest.raises(ModelError, match="on strike"):
        session.add_point(*disk.centre)
    assert len(session.features) == 1
    assert not session.steps


def test_an_unknown_model_is_named_with_what_is_meant(disk: Disk) -> None:
    with pytest.raises(UnknownModelError, match="did you mean 'grabcut'"):
        geoiseg.Session(disk.path, "grabcutt")
    with pytest.raises(ModelError, match="got int"):
        geoiseg.Session(disk.path, 3)


def test_a_negative_click_alone_waits_for_the_object(disk: Disk) -> None:
    session = session_of(disk)
    session.add_point(*disk.outside, positive=False)
    assert session.mask is None
    session.add_point(*disk.centre)
    assert not session.geometry.contains(shapely.Point(disk.outside))


def test_a_step_can_be_followed_and_stopped(disk: Disk) -> None:
    session = session_of(disk)
    told: list[str] = []
    session.add_point(*disk.centre, watch=Watch(told.append))
    assert told == ["reading", "encoding", "decoding"]
    assert set(session.outcome.milliseconds) == {"read", "embed", "decode"}
    before = session.mask
    with pytest.raises(CancelledError):
        session.add_point(*disk.outside, positive=False, watch=Watch(cancelled=lambda: True))
    assert session.mask is before


# -- what is computed when -------------------------------------------------------------


def test_a_place_is_encoded_once(disk: Disk) -> None:
    model = Threshold()
    session = geoiseg.Session(disk.path, model)
    session.add_point(*disk.centre)
    embedded = model.embedded
    session.add_point(disk.centre[0] + 10, disk.centre[1])
    session.accept()
    session.add_point(*disk.centre)
    assert model.embedded == embedded
    assert model.decoded >= 3


def test_undo_computes_nothing(disk: Disk) -> None:
    model = Threshold()
    session = geoiseg.Session(disk.path, model)
    session.add_point(*disk.centre)
    session.add_point(disk.centre[0] + 10, disk.centre[1])
    decoded = model.decoded
    session.undo()
    session.redo()
    assert model.decoded == decoded


def test_an_object_larger_than_a_chip_is_seen_from_further_away(tmp_path: Path) -> None:
    pixels, truth = disk_pixels(800)
    session = geoiseg.Session(write_raster(tmp_path / "a.tif", pixels), Threshold())
    x, y = Affine(2, 0, 500_000, 0, -2, 4_500_000) @ (400, 360)
    session.add_point(x, y)
    mask = session.mask
    assert session.outcome.frame.level > 0
    exact = geoiseg.Grid("EPSG:32631", Affine(2, 0, 500_000, 0, -2, 4_500_000), (800, 800))
    burned = rasterize([session.geometry], out_shape=exact.shape, transform=exact.transform)
    assert iou(burned.astype(bool), truth) > 0.95
    assert mask.grid.pixel_size[0] >= 4
    session.clear()
    session.gsd = 2
    session.add_point(x, y)
    assert session.outcome.frame.level == 0, "asked for, so it stays"


class Sketching(Threshold):
    """Draws nothing of what goes on beyond its chip."""

    sketched = 0

    def decode_inside(
        self,
        embedding: Embedding,
        prompts: PixelPrompts,
        goes_on: Callable[[NDArray[np.float32]], bool],
    ) -> Masks | None:
        masks = self.decode(embedding, prompts)
        if goes_on(masks.logits[0]):
            self.sketched += 1
            return None
        return masks


def test_what_goes_on_beyond_its_chip_is_drawn_where_it_ends_alone(tmp_path: Path) -> None:
    pixels, _ = disk_pixels(1600)
    path = write_raster(tmp_path / "a.tif", pixels)
    plain, sketching = geoiseg.Session(path, Threshold()), geoiseg.Session(path, Sketching())
    for session in (plain, sketching):
        session.add_point(*Affine(2, 0, 500_000, 0, -2, 4_500_000) @ (800, 720))
    assert plain.outcome.frame.level > 1
    assert sketching.outcome.frame == plain.outcome.frame
    np.testing.assert_array_equal(sketching.mask.array, plain.mask.array)
    assert sketching.model.sketched == plain.outcome.frame.level


def test_changing_the_model_does_the_object_again(disk: Disk) -> None:
    session = geoiseg.Session(disk.path, Threshold())
    session.add_point(*disk.centre)
    before = session.mask
    session.model = "grabcut"
    assert session.model.info.name == "grabcut"
    assert session.mask is not before
    session.undo()
    assert session.model.info.name == "threshold"
    assert session.mask is before


def test_outline_options_can_be_changed_and_undone(disk: Disk) -> None:
    session = session_of(disk)
    session.add_point(*disk.centre)
    exact = session.geometry
    session.options = OutlineOptions(simplify=1.5)
    simple = session.geometry
    assert shapely.get_num_coordinates(simple) < 0.6 * shapely.get_num_coordinates(exact)
    assert simple.is_valid
    assert simple.area == pytest.approx(exact.area, rel=0.01)
    session.undo()
    assert session.geometry.equals(exact)
    for bad in ({"simplify": -1}, {"smooth": 9}, {"max_area_change": 0}):
        with pytest.raises(PromptError):
            OutlineOptions(**bad)


def test_many_threads_make_one_history(disk: Disk) -> None:
    session = geoiseg.Session(disk.path, Threshold())
    threads = [
        threading.Thread(target=session.add_point, args=(disk.centre[0] + k, disk.centre[1]))
        for k in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(session.prompts) == 8
    undone = 0
    while session.undo():
        undone += 1
    assert undone == 8


def test_batches_of_prompts_are_one_step(disk: Disk) -> None:
    session = session_of(disk)
    x, y = disk.centre
    session.add([Box(x - 90, y - 90, x + 90, y + 90), Point(x, y)])
    assert len(session.steps) == 1
    session.undo()
    assert not session.prompts
    with pytest.raises(PromptError, match="at least one"):
        session.add([])


# -- measures --------------------------------------------------------------------------


def test_measures_are_metres_on_the_ground() -> None:
    square = shapely.box(0, 0, 1000, 1000)
    assert measure(square, "EPSG:32631") == pytest.approx((1e6, 4000))
    feet = measure(shapely.box(0, 0, 1000, 1000), "EPSG:2263")  # US survey feet
    assert feet == pytest.approx((304.8006**2, 4 * 304.8006), rel=1e-4)
    geod = pyproj.Geod(ellps="WGS84")
    cell = shapely.box(5, 60, 5.01, 60.01)
    area, perimeter = geod.geometry_area_perimeter(cell)
    assert measure(cell, "EPSG:4326") == pytest.approx((abs(area), perimeter))
    to_mercator = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True)
    drawn = shapely.transform(cell, to_mercator.transform, interleaved=False)
    assert measure(drawn, "EPSG:3857") == pytest.approx((abs(area), perimeter), rel=1e-6)
    assert np.isnan(measure(square, None)).all()
    holed = shapely.box(0, 0, 10, 10).difference(shapely.box(2, 2, 4, 4))
    assert measure(holed, "EPSG:32631") == pytest.approx((96, 48))
    in_degrees = shapely.box(5, 60, 5.01, 60.01).difference(
        shapely.box(5.002, 60.002, 5.004, 60.004)
    )
    outer, inner = (abs(geod.geometry_area_perimeter(p)[0]) for p in
                    (cell, shapely.box(5.002, 60.002, 5.004, 60.004)))  # fmt: skip
    assert measure(in_degrees, "EPSG:4326")[0] == pytest.approx(outer - inner, rel=1e-9)


def test_tables_are_measured_anew() -> None:
    disc = shapely.Point(500_000, 0).buffer(100, quad_segs=64)
    bar = shapely.box(500_000, 0, 501_000, 10)

    def table(**columns: float) -> gpd.GeoDataFrame:
        return gpd.GeoDataFrame(columns, index=[7, 3], geometry=[disc, bar], crs="EPSG:32631")

    true = [1.0, 4 * np.pi * 10_000 / 2020**2]
    now = measured_anew(table(area_m2=1.0, perimeter_m=1.0, compactness=0.0, score=0.5))
    assert now["compactness"].tolist() == pytest.approx(true, rel=1e-3)
    assert now["perimeter_m"].tolist() == pytest.approx([disc.length, 2020])
    assert now.index.tolist() == [7, 3]
    older = measured_anew(table(area_m2=1.0, perimeter_m=1.0, score=0.5))
    assert older.columns.tolist() == [
        "area_m2", "perimeter_m", "compactness", "score", "geometry"]  # fmt: skip
    assert older["compactness"].tolist() == now["compactness"].tolist()
    cut = measured_anew(table(area_m2=1.0, perim_m=1.0, compact=0.0))  # a Shapefile's names
    assert cut.columns.tolist() == ["area_m2", "perim_m", "compact", "geometry"]
    assert cut["compact"].tolist() == now["compactness"].tolist()
    assert cut["perim_m"].tolist() == now["perimeter_m"].tolist()
    for theirs in (table(area=1.0), table(compact=1.0, perim_m=2.0)):  # nobody's are touched
        assert measured_anew(theirs) is theirs


def test_prompt_dictionaries_are_small() -> None:
    assert prompt_to_dict(Point(1, 2)) == {"kind": "point", "xy": [1, 2], "positive": True}
