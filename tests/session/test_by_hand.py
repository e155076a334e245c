"""Corrections by hand: exact, undoable, replayed from the file, and followed by neighbours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely

import geoiseg
from geoiseg.errors import GeoisegError, PromptError, SessionError
from tests.conftest import UTM, write_raster

EAST, NORTH = 500_000.0, 4_500_000.0


def box(left: float, bottom: float, right: float, top: float) -> shapely.Polygon:
    """Return a rectangle in metres east and south of the corner, ``bottom`` > ``top``."""
    return shapely.box(EAST + left, NORTH - bottom, EAST + right, NORTH - top)


def at(x: float, y: float) -> tuple[float, float]:
    return EAST + x, NORTH - y


@pytest.fixture
def path(tmp_path: Path) -> Path:
    data = np.random.default_rng(0).integers(1, 255, (3, 200, 200), dtype=np.uint8)
    return write_raster(tmp_path / "scene.tif", data)


@pytest.fixture
def session(path: Path) -> geoiseg.Session:
    """Two fields side by side that share their border at x = 200, and one apart."""
    session = geoiseg.Session(path, "grabcut", project=path.with_name("p.gpkg"))
    fields = [box(100, 200, 200, 100), box(200, 200, 300, 100), box(310, 380, 390, 300)]
    frame = gpd.GeoDataFrame({"label": ["a", "b", "c"]}, geometry=fields, crs=UTM)
    session.add_features(frame)
    return session


def shape(session: geoiseg.Session, number: int) -> shapely.Polygon:
    return next(one.geometry for one in session.accepted if one.id == number)


def is_coverage(session: geoiseg.Session) -> bool:
    return bool(shapely.coverage_is_valid(np.array([one.geometry for one in session.accepted])))


EDITS: dict[str, tuple[Callable[..., object], Callable[[shapely.Polygon], shapely.Geometry]]] = {
    "move_vertex": (
        lambda s, n: s.move_vertex(at(101, 101), at(90, 80), n),
        lambda _: shapely.Polygon([at(90, 80), at(200, 100), at(200, 200), at(100, 200)]),
    ),
    "add_vertex": (
        lambda s, n: s.add_vertex(at(150, 103), at(150, 90), n),
        lambda old: old.union(shapely.Polygon([at(100, 100), at(150, 90), at(200, 100)])),
    ),
    "delete_vertex": (
        lambda s, n: s.delete_vertex(at(99, 99), n),
        lambda _: shapely.Polygon([at(200, 100), at(200, 200), at(100, 200)]),
    ),
    "brush": (
        lambda s, n: s.brush([at(100, 150), at(80, 150)], 20, n),
        lambda old: old.union(shapely.LineString([at(100, 150), at(80, 150)]).buffer(10, 8)),
    ),
    "erase": (
        lambda s, n: s.erase([at(100, 150)], 30, n),
        lambda old: old.difference(shapely.Point(at(100, 150)).buffer(15, 8)),
    ),
    "cut_hole": (
        lambda s, n: s.cut_hole([at(120, 120), at(140, 120), at(140, 140), at(120, 140)], n),
        lambda old: old.difference(box(120, 140, 140, 120)),
    ),
    "move": (lambda s, n: s.move(at(0, 0), at(-20, 10), n), lambda _: box(80, 210, 180, 110)),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_an_accepted_feature_is_changed_in_one_step(session: geoiseg.Session, name: str) -> None:
    edit, wanted = EDITS[name]
    before = session.accepted
    edit(session, 1)
    found, hoped = shape(session, 1), wanted(before[0].geometry)
    assert shapely.symmetric_difference(found, hoped).area < 1e-6
    assert found.is_valid
    assert session.accepted[0].label == "a"
    assert session.accepted[0].updated >= before[0].updated
    assert session.accepted[1:] == before[1:]
    session.undo()
    assert session.accepted == before
    session.redo()
    assert shape(session, 1).equals_exact(found)


@pytest.mark.parametrize("name", EDITS)
def test_the_object_in_progress_is_changed_in_one_step(session: geoiseg.Session, name: str) -> None:
    edit, _ = EDITS[name]
    session.delete(1)
    session.add_region(box(100, 200, 200, 100))
    start = session.geometry
    edit(session, None)  # draws on whatever the model made of it
    session.undo()
    assert session.geometry.equals_exact(start)
    session.brush([at(100, 150), at(200, 150)], 40)
    session.erase([at(100, 60), at(300, 60)], 60)
    drawn = session.geometry
    edit(session, None)
    changed = session.geometry
    assert not changed.equals(drawn)
    number = session.accept("by hand")
    assert shape(session, number).equals_exact(changed)


@pytest.mark.parametrize("name", [name for name in EDITS if name != "move"])
def test_a_correction_replays_vertex_by_vertex(session: geoiseg.Session, name: str) -> None:
    EDITS[name][0](session, 1)
    found = shape(session, 1)
    again = geoiseg.Session.load(session.project)
    assert shape(again, 1).equals_exact(found)
    [step] = again.accepted[0].steps
    assert step.prompts[0].by in {"vertex", "brush", "eraser", "hole"}
    again.edit(1)
    assert again.geometry.equals_exact(found)
    mask = again.mask
    assert mask.array.any()
    again.accept()
    assert shape(again, 1).equals_exact(found)


def test_after_a_correction_clicks_refine_what_was_drawn(session: geoiseg.Session) -> None:
    session.add_point(*at(50, 50))
    session.brush([at(150, 300), at(250, 300)], 80)
    drawn = session.geometry
    assert len(session.steps) == 2
    session.add_point(*at(200, 300))
    assert [prompt.kind for prompt in session.prompts.items] == ["point", "region", "point"]
    again = session.segmenter.replay(session.steps)
    np.testing.assert_array_equal(again.mask.array, session.mask.array)
    session.undo()
    assert session.geometry.equals_exact(drawn)
    session.undo()
    session.undo()
    assert session.geometry is None


def test_a_hole_is_filled_and_a_place_without_one_is_told(session: geoiseg.Session) -> None:
    before = shape(session, 1)
    session.cut_hole([at(120, 120), at(140, 120), at(140, 140), at(120, 140)], 1)
    with pytest.raises(PromptError, match="no hole here"):
        session.fill_hole(at(160, 160), 1)
    session.fill_hole(at(130, 130), 1)
    assert shape(session, 1).equals(before)


def test_splitting_gives_parts_with_their_own_ids(session: geoiseg.Session) -> None:
    before = session.accepted
    ids = session.split([at(130, 50), at(130, 250)], 1)
    assert ids == [1, 4]
    assert shape(session, 1).equals(box(130, 200, 200, 100))
    assert shape(session, 4).equals(box(100, 200, 130, 100))
    assert [one.label for one in session.accepted] == ["a", "b", "c", "a"]
    assert is_coverage(session)
    session.undo()
    assert session.accepted == before
    with pytest.raises(PromptError, match="does not cut"):
        session.split([at(130, 50), at(130, 150)], 1)


def test_of_the_object_in_progress_the_largest_part_stays(session: geoiseg.Session) -> None:
    session.add_region(box(20, 80, 90, 20))
    session.brush([at(20, 50), at(90, 50)], 60)
    whole = session.geometry
    assert session.split([at(40, 0), at(40, 200)]) == []
    assert session.geometry.area == pytest.approx(
        max(
            whole.intersection(box(0, 200, 40, 0)).area,
            whole.intersection(box(40, 200, 300, 0)).area,
        )
    )


def test_merging_keeps_the_first(session: geoiseg.Session) -> None:
    before = session.accepted
    assert session.merge([1, 2]) == 1
    assert [one.id for one in session.accepted] == [1, 3]
    assert shape(session, 1).equals(box(100, 200, 300, 100))
    session.undo()
    assert session.accepted == before
    session.add_region(box(150, 260, 250, 200))
    session.brush([at(150, 230), at(250, 230)], 60)
    drawn = session.geometry
    assert session.merge([1]) is None
    assert session.geometry.equals(drawn.union(box(100, 200, 200, 100)))
    assert [one.id for one in session.accepted] == [2, 3]
    session.undo()
    assert [one.id for one in session.accepted] == [1, 2, 3]
    with pytest.raises(SessionError, match="takes two"):
        session.merge([2], into=2)


FOLLOWED = {
    "move_vertex": lambda s: s.move_vertex(at(200, 100), at(210, 90), 1),
    "add_vertex": lambda s: s.add_vertex(at(200, 150), at(215, 150), 1),
    "delete_vertex": lambda s: (s.add_vertex(at(200, 150), at(215, 150), 1),
                                s.delete_vertex(at(215, 150), 1)),
    "brush": lambda s: s.brush([at(200, 140), at(200, 160)], 30, 1),
    "erase": lambda s: s.erase([at(200, 140), at(200, 160)], 30, 1),
    "split": lambda s: s.split([at(50, 150), at(250, 150)], 1),
    "move": lambda s: s.move(at(0, 0), at(10, 5), 1),
}  # fmt: skip


@pytest.mark.parametrize("name", FOLLOWED)
def test_neighbours_follow_where_borders_are_shared(session: geoiseg.Session, name: str) -> None:
    session.snap = 2.0
    ground = shapely.union_all([one.geometry for one in session.accepted])
    far = shape(session, 3)
    FOLLOWED[name](session)
    assert is_coverage(session)
    assert shape(session, 3) is far or shape(session, 3).equals_exact(far)
    now = shapely.union_all([one.geometry for one in session.accepted])
    if name not in ("move", "move_vertex"):
        assert shapely.symmetric_difference(now, ground).area < 1e-6
    if name != "split":
        assert not shape(session, 2).equals(box(200, 200, 300, 100)) or name == "delete_vertex"
    session.undo()


def test_without_snapping_neighbours_stay(session: geoiseg.Session) -> None:
    session.brush([at(200, 140), at(200, 160)], 30, 1)
    assert shape(session, 2).equals_exact(box(200, 200, 300, 100))


def test_a_neighbour_is_not_swallowed(session: geoiseg.Session) -> None:
    session.snap = 1.0
    before = session.accepted
    with pytest.raises(SessionError, match="feature 3 would have no ground left: delete it first"):
        session.brush([at(300, 340), at(400, 340)], 200, 1)
    assert session.accepted == before


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda s: s.brush([at(1, 1)], 5), "no object in progress"),
        (lambda s: s.brush([at(1, 1)], 5, 9), "no feature 9"),
        (lambda s: s.brush([at(1, 1)], 0, 1), "positive length in metres, got 0"),
        (lambda s: s.brush([(float("nan"), 1)], 3, 1), "finite numbers"),
        (lambda s: s.erase([at(50, 150), at(250, 150)], 300, 1), "nothing of the outline"),
        (lambda s: s.cut_hole([at(1, 1), at(2, 1)], 1), "three vertices"),
        (lambda s: s.split([at(150, 90)], 1), "two vertices"),
        (lambda s: s.move(at(0, 0), at(1e5, 1e5), 1), "off the raster"),
        (lambda s: s.cut_hole([at(1, 1), at(2, 1), at(2, 2)], 1), "inside of the outline"),
    ],
)  # fmt: skip
def test_what_can_not_be_done_says_why_and_changes_nothing(
    session: geoiseg.Session, edit: Callable[[geoiseg.Session], object], said: str
) -> None:
    before = session.accepted
    with pytest.raises(GeoisegError, match=said):
        edit(session)
    assert session.accepted == before


def test_a_brush_is_as_wide_on_the_ground_in_degrees(tmp_path: Path) -> None:
    from affine import Affine
    from pyproj import Geod

    data = np.full((3, 100, 100), 90, np.uint8)
    grid = Affine(1e-4, 0, 10.0, 0, -1e-4, 60.0)
    path = write_raster(tmp_path / "lonlat.tif", data, crs="EPSG:4326", transform=grid)
    session = geoiseg.Session(path, "grabcut")
    field = shapely.box(10.001, 59.992, 10.008, 59.998)
    session.add_features(gpd.GeoDataFrame(geometry=[field], crs=4326))
    session.brush([(10.0085, 59.995)], 100, 1)
    dab = shapely.difference(shape(session, 1), field).union(
        shapely.Point(10.0085, 59.995).buffer(1e-5)
    )
    west, south, east, north = dab.bounds
    geod = Geod(ellps="WGS84")
    assert geod.inv(10.0085, 59.995, east, 59.995)[2] == pytest.approx(50, abs=0.3)
    assert geod.inv(10.0085, south, 10.0085, north)[2] == pytest.approx(100, abs=0.6)
    assert west < 10.0085


def test_ten_thousand_vertices_are_no_trouble(session: geoiseg.Session) -> None:
    angle = np.linspace(0, 2 * np.pi, 10_000, endpoint=False)
    ring = np.column_stack([EAST + 200 + 90 * np.cos(angle), NORTH - 200 + 90 * np.sin(angle)])
    session.add_features(gpd.GeoDataFrame(geometry=[shapely.Polygon(ring)], crs=UTM))
    number = session.accepted[-1].id
    session.move_vertex(ring[77], at(310, 200), number)
    assert len(shapely.get_coordinates(shape(session, number))) == 10_001
    session.add_vertex((ring[10] + ring[11]) / 2, None, number)
    session.delete_vertex(ring[500], number)
    assert len(shapely.get_coordinates(shape(session, number))) == 10_001
