"""Objects on the next date: found by colours or by the model, told how far they drifted."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import rasterio.warp
import shapely
from affine import Affine
from click.testing import CliRunner
from rasterio.features import rasterize

import geoiseg
from geoiseg.cli.main import cli
from geoiseg.errors import CancelledError, SessionError
from geoiseg.raster import measure
from geoiseg.segment import Watch
from geoiseg.segment.dates import Picture, onto, shift_between
from geoiseg.segment.likeness import deep_places, learnt, meeting
from geoiseg.session import Carried, CarryOptions, DriftOptions, date_in
from tests.conftest import UTM, write_raster

EAST, NORTH, SIDE = 500_000.0, 4_500_000.0, 10.0


def grid_of(size: int, side: float = SIDE) -> Affine:
    return Affine(side, 0, EAST, 0, -side, NORTH)


def lake(x: float, y: float, radius: float) -> shapely.Polygon:
    """Return a lake by its place in metres east and south of the corner."""
    return shapely.Point(EAST + x, NORTH - y).buffer(radius, 64)


def scene(
    path: Path, lakes: list[shapely.Polygon], *, light: tuple[float, float] = (1.0, 0.0),
    size: int = 160, side: float = SIDE, seed: int = 3, shift: tuple[float, float] = (0.0, 0.0),
) -> str:  # fmt: skip
    """Write land with lakes in four bands; the land's pattern is the same on all dates."""
    transform = grid_of(size, side)
    y, x = np.mgrid[:size, :size].astype(float) * side
    x, y = x - shift[0], y - shift[1]
    land = np.stack([90 + 12 * np.sin(x / 97 + k) * np.cos(y / 131 - k) for k in range(4)])
    drawn = [shapely.transform(one, lambda xy: xy + (shift[0], -shift[1])) for one in lakes]  # noqa: RUF005
    water = rasterize(drawn, out_shape=(size, size), transform=transform) if drawn else 0 * x
    colour = np.array([20, 25, 45, 60.0])[:, None, None]
    data = np.where(water.astype(bool), colour, land)
    data = data * light[0] + light[1] + np.random.default_rng(seed).normal(0, 3, data.shape)
    write_raster(path, np.clip(data, 1, 255).astype(np.uint8), transform=transform)
    return str(path)


def session_on(path: str, lakes: list[shapely.Polygon], **options) -> geoiseg.Session:
    session = geoiseg.Session(path, "grabcut", **options)
    frame = gpd.GeoDataFrame({"label": ["lake"] * len(lakes)}, geometry=lakes, crs=UTM)
    session.add_features(frame)
    return session


def iou(one: shapely.Polygon, other: shapely.Polygon) -> float:
    return one.intersection(other).area / one.union(other).area


def test_a_lake_that_moves_grows_and_is_lit_otherwise_is_found(tmp_path: Path) -> None:
    before, after = lake(600, 600, 180), lake(700, 650, 240)
    first = session_on(scene(tmp_path / "a.tif", [before]), [before])
    there = scene(tmp_path / "b_2020.tif", [after], light=(0.8, 20), seed=4)
    carried = first.carry(there)
    [one] = carried.session.accepted
    assert iou(one.geometry, after) > 0.93
    assert carried.date == "2020"
    [drift] = carried.drifts
    assert (drift.change, drift.how) == ("drifted", "colours")
    assert {"moved", "grown"} <= set(drift.flags)
    assert drift.iou_before == pytest.approx(iou(before, after), abs=0.03)
    assert drift.area_change == pytest.approx((240 / 180) ** 2 - 1, abs=0.08)
    assert drift.colour_change < 1
    assert carried.queue == (1,)
    assert one.attributes["date"] == "2020"
    assert first.accepted[0].attributes == {}
    row = carried.features.iloc[0]
    assert row["area_m2"] == pytest.approx(measure(one.geometry, UTM)[0])
    assert (row["object"], row["label"], row["change"]) == (1, "lake", "drifted")


def test_what_stays_is_kept_and_what_is_gone_has_no_geometry(tmp_path: Path) -> None:
    two = [lake(500, 500, 160), lake(1200, 1200, 160)]
    first = session_on(scene(tmp_path / "a.tif", two), two)
    carried = first.carry(scene(tmp_path / "b.tif", two[:1], seed=5), "2011-05-06")
    assert [one.change for one in carried.drifts] == ["kept", "vanished"]
    assert carried.queue == (2,)
    assert list(carried.features.geometry.isna()) == [False, True]
    assert [one.id for one in carried.session.accepted] == [1]
    assert list(carried.features["date"]) == ["2011-05-06"] * 2


def test_what_comes_back_is_found_again_by_what_was_learnt_first(tmp_path: Path) -> None:
    two = [lake(500, 500, 160), lake(1200, 1200, 160)]
    first = session_on(scene(tmp_path / "a.tif", two), two)
    dry = first.carry(scene(tmp_path / "b.tif", two[:1], seed=5))
    wet = dry.carry(scene(tmp_path / "c.tif", two, light=(0.9, 5), seed=6))
    assert [one.change for one in wet.drifts] == ["kept", "kept"]
    assert iou(wet.session.accepted[1].geometry, two[1]) > 0.93


def test_what_is_new_and_alike_is_a_candidate(tmp_path: Path) -> None:
    old, new = lake(600, 600, 200), lake(1000, 600, 120)
    first = session_on(scene(tmp_path / "a.tif", [old]), [old])
    carried = first.carry(scene(tmp_path / "b.tif", [old, new], seed=5),
                          options=CarryOptions(room=1.5))  # fmt: skip
    [(label, shape)] = carried.appeared
    assert label == "lake"
    assert iou(shape, new) > 0.9
    assert carried.drifts[0].change == "kept"


def test_what_is_new_gets_numbers_of_its_own_on_its_ground(tmp_path: Path) -> None:
    old, new = lake(600, 600, 200), lake(1000, 600, 120)
    there = scene(tmp_path / "a_2000.tif", [old])
    first = session_on(there, [lake(90, 90, 30), old], project=tmp_path / "p.gpkg")
    first.delete(1)
    for year, step in (("2001", (0.0, 0.0)), ("2002", (-34.0, 52.0))):
        scene(tmp_path / f"b_{year}.tif", [old, new], shift=step, seed=5)
    out = tmp_path / "out.gpkg"
    given = [
        tmp_path / "p.gpkg",
        *sorted(tmp_path.glob("b_*.tif")),
        out,
        "--appeared",
        "--register",
    ]
    said = CliRunner().invoke(cli, ["carry", *map(str, given)])
    assert said.exit_code == 0, said.output
    rows = gpd.read_file(out)
    found = rows[rows["change"] == "appeared"]
    assert rows["object"].tolist() == [2, 2, 3, 2, 4]
    assert found["date"].tolist() == ["2001", "2002"]
    assert all(iou(shape, new) > 0.85 for shape in found.geometry)


@pytest.mark.parametrize("step", [(-34.0, 52.0), (25.0, 15.0)])
def test_a_raster_that_lies_off_is_registered(tmp_path: Path, step: tuple[float, float]) -> None:
    lakes = [lake(500, 500, 160), lake(1000, 1100, 90)]
    first = session_on(scene(tmp_path / "a.tif", lakes), lakes)
    there = scene(tmp_path / "b.tif", lakes, shift=step, light=(0.9, 10), seed=5)
    carried = first.carry(there, options=CarryOptions(register=True))
    shift = carried.shift
    assert shift.believed
    assert (shift.dx, shift.dy) == pytest.approx((step[0], -step[1]), abs=2.0)
    assert shift.metres == pytest.approx(np.hypot(*step), abs=2.0)
    assert [one.change for one in carried.drifts] == ["kept", "kept"]
    assert iou(carried.features.geometry[0], lakes[0]) > 0.93  # in the frame of the first
    on_it = carried.session.accepted[0].geometry.centroid
    assert (on_it.x - EAST, NORTH - on_it.y) == pytest.approx((500 + step[0], 500 + step[1]), abs=4)


def test_sizes_and_crs_may_differ(tmp_path: Path) -> None:
    before, after = lake(600, 600, 180), lake(640, 600, 200)
    first = session_on(scene(tmp_path / "a.tif", [before]), [before])
    scene(tmp_path / "b.tif", [after], size=320, side=5.0, seed=6)
    warped = tmp_path / "warped.tif"
    with rasterio.open(tmp_path / "b.tif") as source:
        transform, width, height = rasterio.warp.calculate_default_transform(
            source.crs, "EPSG:4326", source.width, source.height, *source.bounds)  # fmt: skip
        profile = source.profile | {"crs": "EPSG:4326", "transform": transform, "width": width,
                                    "height": height, "nodata": 0}  # fmt: skip
        with rasterio.open(warped, "w", **profile) as target:
            rasterio.warp.reproject(
                rasterio.band(source, [1, 2, 3, 4]), rasterio.band(target, [1, 2, 3, 4]),
                resampling=rasterio.enums.Resampling.nearest)  # fmt: skip
    carried = first.carry(warped, options=CarryOptions(register=True))
    assert carried.session.raster.grid.crs.to_epsg() == 4326
    assert carried.features.crs.to_epsg() == 32631
    assert iou(carried.features.geometry[0], after) > 0.93
    assert abs(carried.shift.metres) < 3


def test_the_model_draws_what_colours_do_not_tell(tmp_path: Path) -> None:
    """A field among fields of its colour: only edges say where it ends."""
    size = 160
    y, x = np.mgrid[:size, :size]
    grey = np.full((size, size), 110.0)
    grey[(x % 40 < 2) | (y % 40 < 2)] = 40
    for seed, name in enumerate(("a.tif", "b.tif")):
        noise = np.random.default_rng(seed).normal(0, 4, (3, size, size))
        write_raster(tmp_path / name, np.clip(grey + noise, 1, 255).astype(np.uint8),
                     transform=grid_of(size))  # fmt: skip
    field = shapely.box(EAST + 420, NORTH - 800, EAST + 800, NORTH - 420)
    session = geoiseg.Session(tmp_path / "a.tif")
    session.add_features(gpd.GeoDataFrame(geometry=[field], crs=UTM))
    carried = session.carry(tmp_path / "b.tif")
    [drift] = carried.drifts
    assert drift.how == "model"
    [one] = carried.session.accepted
    assert iou(one.geometry, field) > 0.8
    kinds = [prompt.kind for step in one.steps for prompt in step.prompts]
    assert kinds[0] == "region"
    assert set(kinds[1:]) == {"point"}
    said = [shapely.Point(p.x, p.y) for step in one.steps for p in step.prompts[1:]]
    assert all(field.buffer(-20).contains(point) for point in said)


def test_a_carried_object_can_be_saved_loaded_and_refined(tmp_path: Path) -> None:
    old = lake(600, 600, 200)
    first = session_on(scene(tmp_path / "a.tif", [old]), [old])
    carried = first.carry(scene(tmp_path / "b_2020-02-03.tif", [old], seed=7))
    carried.session.save(tmp_path / "b.gpkg")
    again = geoiseg.Session.load(tmp_path / "b.gpkg")
    assert again.accepted[0].attributes["date"] == "2020-02-03"
    assert again.accepted[0].attributes["change"] == "kept"
    again.edit(1)
    assert iou(again.geometry, old) > 0.93
    again.add_point(EAST + 1300, NORTH - 1300, positive=False)
    again.accept()


def test_stopped_nothing_is_changed(tmp_path: Path) -> None:
    old = lake(600, 600, 200)
    first = session_on(scene(tmp_path / "a.tif", [old]), [old])
    there = scene(tmp_path / "b.tif", [old], seed=7)
    told: list[str] = []
    with pytest.raises(CancelledError):
        first.carry(there, watch=Watch(told.append, lambda: "comparing the rasters" in told))
    assert told == ["comparing the rasters"]
    assert len(first.accepted) == 1


def test_what_can_not_be_carried_says_why(tmp_path: Path) -> None:
    old = lake(600, 600, 200)
    path = scene(tmp_path / "a.tif", [old])
    with pytest.raises(SessionError, match="accept a feature first"):
        geoiseg.Session(path, "grabcut").carry(path)
    first = session_on(path, [old])
    far = np.full((4, 40, 40), 90, np.uint8)
    write_raster(tmp_path / "far.tif", far, transform=Affine(10, 0, EAST + 90_000, 0, -10, NORTH))
    with pytest.raises(SessionError, match="does not lie where the objects"):
        first.carry(tmp_path / "far.tif")
    with pytest.raises(SessionError, match="one of auto, colours, model, got 'magic'"):
        CarryOptions(how="magic")
    with pytest.raises(SessionError, match="moved is a number from 0 on"):
        DriftOptions(moved=-1)


def test_an_object_outside_of_the_next_raster_is_told(tmp_path: Path) -> None:
    two = [lake(300, 300, 150), lake(1300, 1300, 120)]
    first = session_on(scene(tmp_path / "a.tif", two), two)
    carried = first.carry(scene(tmp_path / "b.tif", two, size=90, seed=5))
    assert [one.change for one in carried.drifts] == ["kept", "outside"]


@pytest.mark.parametrize(
    ("name", "date"),
    [("S2A_MSIL2A_20240517T103021.tif", "2024-05-17"), ("x/river_1985/image.tif", "1985"),
     ("a_2011-02-03.tif", "2011-02-03"), ("b_2011_02_30x.tif", "2011-02-30"), ("12345678.tif", None),
     ("image.tif", None), ("C:\\data\\coast_1999.tif", "1999")],
)  # fmt: skip
def test_dates_are_read_from_names(name: str, date: str | None) -> None:
    assert date_in(name) == date


def test_colours_tell_themselves_apart_only_where_they_do() -> None:
    rng = np.random.default_rng(0)
    mask = np.zeros((96, 96), bool)
    mask[30:66, 30:66] = True
    noise = rng.normal(0, 1, (3, 96, 96)).astype(np.float32)
    valid = np.ones_like(mask)
    alike = learnt(noise, valid, mask)
    clear = learnt(noise + 8 * mask, valid, mask)
    assert alike is not None
    assert clear is not None
    assert clear.told > 0.95
    assert alike.told < 0.6
    np.testing.assert_array_equal(clear.odds(noise + 8 * mask) > 0, mask)
    assert learnt(noise, valid, np.zeros_like(mask)) is None


def test_parts_and_places_of_a_mask() -> None:
    mask = np.zeros((40, 60), bool)
    mask[5:15, 5:55] = True
    mask[30:35, 5:15] = True
    outline = np.zeros_like(mask)
    outline[5:15, 5:20] = True
    np.testing.assert_array_equal(meeting(mask, outline)[30:35], False)
    assert meeting(mask, outline)[5:15, 5:55].all()
    assert not meeting(mask, mask & False).any()
    places = deep_places(mask, 6)
    assert len(places) == 6
    columns, rows = places.astype(int).T
    assert mask[rows, columns].all()
    assert np.ptp(columns) > 30
    assert deep_places(mask & False, 4).shape == (0, 2)


def test_phase_correlation_finds_a_shift_below_a_pixel() -> None:
    from geoiseg.raster import Grid

    size = 128
    y, x = np.mgrid[:size, :size].astype(np.float32)
    grid = Grid(None, grid_of(size), (size, size))
    valid = np.ones((size, size), bool)

    def seen(dx: float, dy: float) -> Picture:
        u, v = x - dx, y - dy
        values = (
            np.sin(u / 5) * np.cos(v / 7)
            + np.sin((u + 2 * v) / 11)
            + 2 * (np.hypot(u - 60, v - 50) < 20)
        )
        return Picture(values[None].astype(np.float32), valid, grid)

    shift = shift_between(seen(0, 0), seen(2.5, -1.25))
    assert (shift.dx / SIDE, shift.dy / SIDE) == pytest.approx((2.5, 1.25), abs=0.15)
    assert onto(seen(0, 0), grid).values == pytest.approx(seen(0, 0).values)


@pytest.mark.realdata
def test_a_river_of_five_dates_has_the_area_of_its_labels(data: Path) -> None:
    """One outline of 1985; by 2020 hardly a tenth of it is still river."""
    names = [f"river_ucayali_{year}" for year in (1985, 1995, 2005, 2015, 2020)]
    folders = [data / "scenes" / name for name in names]
    labels = [gpd.read_file(folder / "labels.geojson") for folder in folders]
    rivers = [max(one.geometry, key=lambda shape: shape.area) for one in labels]
    session = geoiseg.Session(folders[0] / "image.tif")
    session.add_features(gpd.GeoDataFrame(geometry=rivers[:1], crs=labels[0].crs))
    at: geoiseg.Session | Carried = session
    for folder, river in zip(folders[1:], rivers[1:], strict=True):
        at = at.carry(folder / "image.tif")
        [one] = at.session.accepted
        crs = at.session.raster.grid.crs
        assert measure(one.geometry, crs)[0] == pytest.approx(measure(river, crs)[0], rel=0.06)
        assert iou(one.geometry, river) > 0.88
        assert at.date in folder.name
        assert at.queue == (1,)


@pytest.mark.parametrize("how", ["colours", "model"])
def test_what_is_shown_wider_is_not_widened_anew_on_each_date(tmp_path: Path, how: str) -> None:
    known = lake(800, 800, 300)
    first = session_on(scene(tmp_path / "a.tif", [known]), [known])
    plain = first.carry(scene(tmp_path / "b.tif", [known], seed=4), options=CarryOptions(how=how))
    first.reshape([1], grow=50)
    wide = first.carry(str(tmp_path / "b.tif"), options=CarryOptions(how=how))
    again = wide.carry(str(tmp_path / "b.tif"))
    for carried in (wide, again):
        [one], [drift] = carried.session.accepted, carried.drifts
        assert iou(one.geometry, lake(800, 800, 350)) > 0.93
        assert iou(one.drawn, known) > 0.93
        assert drift.flags == plain.drifts[0].flags
    wide.session.reshape([1], grow=0)
    assert wide.session.accepted[0].geometry.equals(plain.session.accepted[0].geometry)
