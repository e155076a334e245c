"""Objects told apart by bands that the model does not see, and that only there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import geopandas as gpd
import numpy as np
import pytest
import rasterio
from scipy.ndimage import gaussian_filter

import geoiseg
from geoiseg.errors import PromptError
from geoiseg.prompting import Frame, PixelPrompts, Point, Prompts
from geoiseg.raster import open_raster
from geoiseg.segment import EmbeddingCache, Step
from geoiseg.segment.masks import CleanOptions, choose, roughly_clean
from geoiseg.segment.narrows import around_corners
from geoiseg.segment.palette import palette_of
from geoiseg.segment.parting import otsu
from geoiseg.segment.physics import Condition, parted, thresholds_for
from geoiseg.segment.spectra import Spectra, unseen
from geoiseg.segment.spectral import CAP, VERSION, ChipBands, fitted, joined
from geoiseg.segment.wetness import HELD, said_of_water, with_water
from geoiseg.session.prompt_rows import step_of

SIDE = 200


def halves() -> tuple[np.ndarray, np.ndarray]:
    """Return a scene that is water on the left: alike in colour, apart in the infrared."""
    rng = np.random.default_rng(5)
    water = np.zeros((SIDE, SIDE), bool)
    water[:, :120] = True
    same = 80 + 6 * gaussian_filter(rng.normal(size=(3, SIDE, SIDE)), (0, 2, 2))
    nir = np.where(water, 15.0, 140.0) + rng.normal(0, 3, water.shape)
    return np.concatenate([same, nir[None]]).clip(1, 255).astype(np.uint8), water


def written(path: Path, data: np.ndarray) -> Path:
    shape = {"count": len(data), "height": data.shape[1], "width": data.shape[2]}
    place = rasterio.Affine(10, 0, 500_000, 0, -10, 4_500_000)
    with rasterio.open(
        path, "w", driver="GTiff", dtype=data.dtype, crs="EPSG:32631", transform=place, **shape
    ) as target:
        target.write(data)
        target.colorinterp = [rasterio.enums.ColorInterp.undefined] * len(data)
    return path


ROLES = {"red": 1, "green": 2, "blue": 3, "nir": 4}


def clicked(path: Path, xy: tuple[int, int], roles: dict[str, int] | None) -> geoiseg.Session:
    session = geoiseg.Session(open_raster(path, roles), cache=EmbeddingCache())
    session.add_point(*session.raster.grid.to_crs([[xy[0] + 0.5, xy[1] + 0.5]])[0].tolist())
    return session


def test_a_palette_keeps_apart_what_differs_and_leaves_out_what_is_unknown() -> None:
    data, water = halves()
    valid = np.ones_like(water)
    valid[:20] = False
    palette = palette_of(data.astype(np.float32), valid)
    assert palette is not None
    assert not palette.valid[:20].any()
    assert palette.valid[20:].all()
    on, off = set(palette.codes[20:][water[20:]]), set(palette.codes[20:][~water[20:]])
    assert not on & off
    assert palette_of(np.ones((4, 9, 9), np.float32), np.ones((9, 9), bool)) is None


def test_a_model_of_the_object_raises_what_is_like_it_and_lowers_the_rest() -> None:
    data, water = halves()
    palette = palette_of(data.astype(np.float32), np.ones_like(water))
    assert palette is not None
    logits = np.where(water, -1.0, -4.0).astype(np.float32)  # the network finds most of the water
    logits[:, :100] = 2.0
    prompts = PixelPrompts(points=np.array([[30.5, 100.5]]), positive=np.array([True]))
    table = fitted(logits, logits > 0, prompts, palette)
    assert table is not None
    added = table[palette.codes]
    assert np.median(added[water]) > 0 > np.median(added[~water])
    assert np.abs(added).max() <= CAP
    assert (
        (joined(logits, logits > 0, prompts, ChipBands(palette, None)) > 0) >= (logits > 0)
    ).all()


def test_clicks_that_the_bands_contradict_turn_the_model_off() -> None:
    data, water = halves()
    palette = palette_of(data.astype(np.float32), np.ones_like(water))
    assert palette is not None
    logits = np.where(water, 2.0, -4.0).astype(np.float32)
    wrong = PixelPrompts(
        points=np.array([[30.5, 100.5], [60.5, 100.5]]), positive=np.array([True, False])
    )
    assert fitted(logits, logits > 0, wrong, palette) is None


@pytest.mark.parametrize(
    ("points", "signs", "expected"),
    [
        ([(30, 50)], [True], "water"),
        ([(180, 50)], [True], "land"),
        ([(30, 50), (60, 50)], [True, False], "unclear"),  # amid wide water
        ([(30, 50), (180, 50)], [True, True], "water"),
        ([(180, 50), (30, 50)], [True, True], "unclear"),
    ],
)
def test_clicks_say_whether_it_is_about_water(points, signs, expected) -> None:
    _, water = halves()
    odds = np.where(water, 4.0, -4.0).astype(np.float32)
    prompts = PixelPrompts(points=np.array(points) + 0.5, positive=np.array(signs))
    said = said_of_water(np.zeros_like(water), prompts, odds, VERSION)
    if expected == "unclear":
        assert said is None
    elif expected == "water":
        assert said.water
        assert (said.added == odds).all()
    else:
        assert not said.water
        assert (said.added[water] == -4).all()
        assert (said.added[~water] == 0).all()
    before = said_of_water(np.zeros_like(water), prompts, odds, 2)
    assert (before is None) == (expected == "unclear" or len(points) > 1)


def test_a_click_against_narrow_water_is_heard_there_alone() -> None:
    """Before version 3 it took all that the index knows with it, and the river fell apart."""
    odds = np.full((200, 300), -4, np.float32)
    odds[90:130] = 4  # a river
    odds[:90, 200:206] = 4  # a creek that joins it
    logits = np.full(odds.shape, -12, np.float32)
    logits[95:125, :60] = 5  # what the network looked at
    on, off = np.array([[20.5, 110.5]]), np.array([[202.5, 60.5]])
    prompts = PixelPrompts(np.concatenate([on, off]), np.array([True, False]))
    said = said_of_water(logits > 0, prompts, odds, VERSION)
    found = with_water(logits, prompts, said, VERSION) > 0
    assert found[90:130].all()
    assert not found[60, 200:206].any()
    kept = roughly_clean(found, np.ones_like(found), prompts, CleanOptions())
    assert not kept[:45].any()  # the creek is cut across, and what lies beyond is gone
    assert kept[90:130].all()
    assert said_of_water(logits > 0, prompts, odds, 2) is None


def test_flats_that_no_index_shows_are_heard_of_beside_water() -> None:
    odds = np.full((200, 300), -4, np.float32)
    odds[:, :150] = 4
    logits = np.full(odds.shape, -12, np.float32)
    logits[80:120, 150:180] = 8
    prompts = PixelPrompts(np.array([[20.5, 100.5], [160.5, 100.5]]), np.array([True, True]))
    said = said_of_water(logits > 0, prompts, odds, VERSION)
    np.testing.assert_array_equal(
        with_water(logits, prompts, said, VERSION) > 0, (odds > 0) | (logits > 0)
    )


def test_water_narrower_than_a_pixel_goes_on_seen_from_afar(tmp_path: Path) -> None:
    """A river of two pixels in halves of the resolution, bent so that it meets all phases."""
    side = 1200
    row, col = np.mgrid[:side, :side]
    river = np.abs(row - 600 - 120 * np.sin(col / 90)) <= np.where(col < 200, 40, 1.3)
    data = np.full((4, side, side), 90.0)
    data[3] = np.where(river, 10, 150)
    data += np.random.default_rng(2).normal(0, 1, data.shape)
    raster = open_raster(written(tmp_path / "river.tif", data.round().astype(np.uint8)), ROLES)
    coarse = Frame(1, raster.grid.level(1).whole)
    before, now = (Spectra().of(raster, coarse, version).water for version in (2, VERSION))
    reach = [_furthest(one > 1, 300) for one in (before, now)]
    assert reach[0] < 200 < reach[1] == side // 2 - 1
    fat = (now > 1) & (before <= 1)
    assert fat[:, :95].sum() < 5  # the banks of what is wide stay where they are


def test_narrow_water_that_runs_aslant_holds_together_by_sides() -> None:
    """Where it goes on one level finer; two ponds whose coarse pixels meet at a corner do not."""
    finer = np.full((12, 12), -3, np.float32)
    finer[np.arange(12), 11 - np.arange(12)] = 4  # a ditch through the corners
    coarse = finer.reshape(6, 2, 6, 2).max(axis=(1, 3))
    for way in (1, -1):
        found = around_corners(coarse[:, ::way], finer[:, ::way])
        assert cv2.connectedComponents((found > 1).astype(np.uint8), connectivity=4)[0] == 2
        assert (found > 1).sum() == 11
    ponds = np.full((4, 4), -3, np.float32)
    ponds[[0, 3], [0, 3]] = 4
    apart = ponds.reshape(2, 2, 2, 2).max(axis=(1, 3))
    np.testing.assert_array_equal(around_corners(apart, ponds), apart)


def _furthest(mask: np.ndarray, row: int) -> int:
    """Return the last column of the part of a mask that holds the start of a row."""
    _, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    return int(np.flatnonzero((parts == parts[row, 5]).any(axis=0)).max())


def test_the_network_holds_back_where_clicks_mean_water() -> None:
    """Version 1 added both: what the network ruled out stayed out, however wet. A box still does."""
    wet = np.full((40, 40), -4, np.float32)
    wet[10:30] = 3.0
    logits = np.full((40, 40), -7, np.float32)
    logits[15:25, :10] = 5.0
    logits[:5, :10] = 7.0  # a pier
    bands = ChipBands(None, wet)
    mask, click = logits > 0, PixelPrompts(np.array([[5.5, 20.5]]), np.array([True]))
    now, before = joined(logits, mask, click, bands), joined(logits, mask, click, bands, 1)
    np.testing.assert_array_equal(now > 0, wet > 0)
    np.testing.assert_array_equal(before > 0, logits > 0)
    assert np.abs(now - wet).max() == HELD
    boxed = replace(click, box=(0.0, 10.0, 10.0, 30.0))
    np.testing.assert_array_equal(joined(logits, mask, boxed, bands), before)


def test_steps_of_version_one_are_answered_as_they_were(tmp_path: Path) -> None:
    data, _ = halves()
    raster = open_raster(written(tmp_path / "four.tif", data), ROLES)
    segmenter = geoiseg.Session(raster, cache=EmbeddingCache()).segmenter
    point = Point(*raster.grid.to_crs([[60.5, 100.5]])[0].tolist())
    outcome = segmenter.run((Step((point,), spectral=1),))
    assert outcome.asked == 1
    embedding, valid, pixel = segmenter.view(outcome.frame, Prompts((point,)))
    one = segmenter.spectra.of(raster, outcome.frame, 1)
    assert one is not segmenter.spectra.of(raster, outcome.frame, 2)
    raw = choose(segmenter.model.decode(embedding, pixel))[0]
    mask = roughly_clean((raw > 0) & valid, valid, pixel, segmenter.cleaning)
    wanted = joined(raw, mask, pixel, one, 1)
    np.testing.assert_allclose(outcome.logits, wanted.astype(np.float16))


def test_one_click_takes_the_water_that_colours_do_not_show(tmp_path: Path) -> None:
    data, water = halves()
    path = written(tmp_path / "four.tif", data)
    session = clicked(path, (60, 100), ROLES)
    mask = session.mask
    assert mask is not None
    found = mask.array
    assert found.shape == water.shape
    assert (found & water).sum() / (found | water).sum() > 0.97


def test_three_bands_and_steps_that_ask_for_no_more_are_answered_as_before(tmp_path: Path) -> None:
    data, _ = halves()
    three = clicked(written(tmp_path / "three.tif", data[:3]), (60, 100), None)
    assert unseen(three.raster) == ()
    four = geoiseg.Session(
        open_raster(written(tmp_path / "four.tif", data), ROLES).restyled((1, 2, 3)),
        cache=EmbeddingCache(),
    )
    four.all_bands = False
    four.add_point(*four.raster.grid.to_crs([[60.5, 100.5]])[0].tolist())
    assert (four.mask.array == three.mask.array).all()
    four.all_bands = True
    four.undo()
    four.add_point(*four.raster.grid.to_crs([[60.5, 100.5]])[0].tolist())
    assert not (four.mask.array == three.mask.array).all()


def test_projects_replay_each_step_as_it_was_answered(tmp_path: Path) -> None:
    data, _ = halves()
    session = clicked(written(tmp_path / "four.tif", data), (60, 100), ROLES)
    session.all_bands = False
    session.add_point(*session.raster.grid.to_crs([[90.5, 100.5]])[0].tolist())
    saved = session.save(tmp_path / "p.gpkg")
    assert gpd.read_file(saved, layer="prompts")["spectral"].tolist() == [VERSION, 0]
    raster = open_raster(tmp_path / "four.tif", ROLES)
    again = geoiseg.Session.load(saved, raster=raster, cache=EmbeddingCache())
    assert (again.mask.array == session.mask.array).all()
    assert [step.spectral for step in again._state.steps] == [VERSION, 0]


def test_tables_without_the_column_asked_no_bands_and_newer_ones_are_refused() -> None:
    row = {"kind": "grow", "chips": 3}
    assert step_of([row], None).spectral == 0
    assert step_of([row], None, 1).spectral == 1
    with pytest.raises(PromptError, match="upgrade"):
        step_of([row], None, 99)


def test_what_is_kept_of_chips_stays_within_its_bound(tmp_path: Path) -> None:
    data, _ = halves()
    session = clicked(written(tmp_path / "four.tif", data), (60, 100), ROLES)
    frame = session._state.outcome.frame
    kept = Spectra(limit=1)
    one = kept.of(session.raster, frame)
    assert kept.of(session.raster, frame) is one
    other = replace(frame, window=replace(frame.window, width=frame.window.width - 8))
    assert kept.of(session.raster, other) is not one
    assert kept.nbytes == kept.of(session.raster, other).nbytes


def test_otsu_parts_two_heaps_and_the_prior_bounds_it() -> None:
    rng = np.random.default_rng(1)
    heaps = np.concatenate([rng.normal(-0.4, 0.05, 5000), rng.normal(0.3, 0.05, 5000)])
    cut = otsu(heaps.astype(np.float32))
    assert -0.25 < cut < 0.15
    far = parted((heaps + 3).astype(np.float32), Condition("x", 0.0))
    assert far.value == pytest.approx(0.0)
    assert parted(heaps[:50].astype(np.float32), Condition("x", 0.1)).value == 0.1


def test_the_threshold_is_the_scenes_own(tmp_path: Path) -> None:
    data, water = halves()
    raster = open_raster(written(tmp_path / "four.tif", data), ROLES)
    (found,) = thresholds_for(raster, "water")
    values, _ = raster.read_bands(raster.grid.whole, 0, ["ndwi"])
    assert values[0][~water].max() < found.value < values[0][water].min()
    assert thresholds_for(raster, "snow") == ()
    assert thresholds_for(open_raster(tmp_path / "four.tif"), "water") == ()


def test_of_several_borders_the_one_of_the_water_counts(tmp_path: Path) -> None:
    """Roofs and roads part from plants at 0 in this index: that is no border of water."""
    rng = np.random.default_rng(7)
    ground = np.where(rng.random((SIDE // 10, SIDE // 10)) < 0.5, 0.1, -0.25)
    index = np.kron(ground, np.ones((10, 10))) + rng.normal(0, 0.02, (SIDE, SIDE))
    index[:, :60] = 0.7
    green = 100 * (1 + index)
    data = np.stack([green, green, green, 200 - green]).round().astype(np.uint8)
    raster = open_raster(written(tmp_path / "town.tif", data), ROLES)
    (before,) = thresholds_for(raster, "water", 1)
    (now,) = thresholds_for(raster, "water")
    assert before.value < 0.1
    assert 0.1 < now.value <= 0.35
    assert now.half > 1.5 * before.half


def test_large_masks_are_cleaned_roughly_to_the_part_that_was_clicked() -> None:
    mask = np.zeros((1024, 1024), bool)
    mask[100:300, 100:300] = mask[600:900, 600:900] = True
    prompts = PixelPrompts(points=np.array([[200.5, 200.5]]), positive=np.array([True]))
    kept = roughly_clean(mask, np.ones_like(mask), prompts, CleanOptions())
    assert kept[100:300, 100:300].all()
    assert kept.sum() == 200 * 200
