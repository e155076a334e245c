"""Whole rasters: the result is the truth, whatever the tiling, the driver or the accident."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import rasterio.features
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import label

import geoiseg
from geoiseg.demo.scene import make_scene
from geoiseg.errors import (
    CancelledError,
    ExportError,
    LedgerError,
    ModelError,
    PromptError,
    WorkerError,
)  # fmt: skip
from geoiseg.models.options import ModelOptions
from geoiseg.tiled import AutomaticOptions, MapOptions
from geoiseg.tiled.ledger import ledger_path
from geoiseg.tiled.plan import WindowPlan
from geoiseg.tiled.seams import Groups, matches
from geoiseg.tiled.tasks import Backlog
from tests.conftest import needed
from tests.flood_model import FloodModel
from tests.mosaic import BIG, PIXEL, RIVER, TRANSFORM, Mosaic, cut_off, make_mosaic, write_mosaic

ROOT = Path(__file__).parents[2]
DENSE = AutomaticOptions(spacing=8, scales=(1,))


def options(**values: object) -> MapOptions:
    given = {"tile": 256, "window": 256, "overlap": 64, "min_area": 1, "automatic": DENSE}
    return MapOptions(**{**given, **values})


@pytest.fixture(scope="module")
def mosaic(tmp_path_factory) -> Mosaic:
    return make_mosaic(tmp_path_factory.mktemp("mosaic") / "mosaic.tif")


@pytest.fixture(scope="module")
def mapped(mosaic, tmp_path_factory) -> tuple[gpd.GeoDataFrame, geoiseg.MapOptions]:
    out = tmp_path_factory.mktemp("mapped") / "out.gpkg"
    report = geoiseg.segment_raster(mosaic.path, out, model=FloodModel(), options=options())
    assert report.complete
    assert not ledger_path(out).exists()
    return gpd.read_file(out), report


@pytest.fixture
def small(tmp_path) -> Mosaic:
    """Nine tiles of 128 pixels with a field in each and one across them all."""
    truth = np.zeros((300, 300), np.int32)
    for number, (row, col) in enumerate(np.ndindex(5, 5), start=1):
        truth[row * 60 + 4 : row * 60 + 40, col * 60 + 4 : col * 60 + 50] = number
    truth[:, 145:155] = 99
    truth = label(truth, background=0, connectivity=1).astype(np.int32)
    return write_mosaic(tmp_path / "small.tif", truth)


SMALL = options(tile=128, window=128, overlap=32)


def same(one: gpd.GeoDataFrame, other: gpd.GeoDataFrame) -> bool:
    """Whether two results have the same rows, to the last vertex."""
    alike = one.drop(columns="geometry").equals(other.drop(columns="geometry"))
    return alike and bool(one.normalize().geom_equals(other.normalize()).all())


# -- the plan ------------------------------------------------------------------------------


@given(st.tuples(st.integers(1, 700), st.integers(1, 700)), st.integers(64, 200), st.data())
@settings(max_examples=60, deadline=None)
def test_cores_cover_each_pixel_once_and_bands_lie_in_both_tiles(shape, size, data):
    plan = WindowPlan(shape, size, 2 * data.draw(st.integers(1, size // 4)))
    count = np.zeros(shape, int)
    for number in range(len(plan)):
        core, window = plan.core(number), plan.window(number)
        count[core.slices] += 1
        assert window.intersection(core) == core
        assert plan.window_of(core.col, core.row) == number
        assert plan.window_of(core.stop[1] - 0.5, core.stop[0] - 0.5) == number
        for seam in plan.seams_of(number):
            assert number in (seam.first, seam.second)
            assert window.intersection(seam.band) == seam.band
    assert (count == 1).all()


@given(st.tuples(st.integers(1, 900), st.integers(1, 900)), st.integers(64, 600))
@settings(max_examples=60, deadline=None)
def test_tiles_are_whole_windows_and_no_larger_than_asked(shape, side):
    plan = WindowPlan(shape, 128, 32)
    tiles = plan.tiles(range(len(plan)), side)
    assert sorted(number for tile in tiles for number in tile) == list(range(len(plan)))
    for tile in tiles:
        windows = [plan.window(number) for number in tile]
        for axis in (0, 1):
            first = min((window.row, window.col)[axis] for window in windows)
            last = max(window.stop[axis] for window in windows)
            assert last - first <= max(side, 128)
    few = plan.tiles([0], side)
    assert few == [(0,)]


def test_a_tile_that_fails_is_tried_window_by_window():
    backlog = Backlog([(4, 5), (), (9,)], attempts=2)
    assert list(backlog.queue) == [0, 1]
    assert backlog.task(0).numbers == (4, 5)
    backlog.queue.clear()
    assert backlog.again(0)
    assert [backlog.task(number).numbers for number in backlog.queue] == [(4,), (5,)]
    alone = backlog.queue.pop()
    assert backlog.again(alone)
    assert backlog.queue.pop() == alone
    assert not backlog.again(alone)
    assert backlog.tried(alone) == 2
    assert backlog.tried(1) == 0


@pytest.mark.parametrize(("size", "overlap"), [(32, 8), (512, 300), (512, 65), (99999, 64)])
def test_a_plan_that_makes_no_sense_is_refused(size, overlap):
    with pytest.raises(PromptError, match=r"got \d+"):
        WindowPlan((1000, 1000), size, overlap)


# -- seams ---------------------------------------------------------------------------------


def test_parts_are_matched_where_they_overlap():
    one, other = np.zeros((2, 20, 8), int)
    one[0:5], other[0:6] = 3, 7
    one[10:12], other[11:20] = 4, 8
    one[14:18, :3] = 5
    assert matches(one, other) == [(3, 7), (5, 8)]


def test_a_river_that_turns_back_is_matched_at_both_arms():
    one, other = np.zeros((2, 20, 8), int)
    one[2:4], one[12:14] = 1, 2
    other[2:4], other[12:14] = 9, 9
    assert matches(one, other) == [(1, 9), (2, 9)]


def test_fields_seen_apart_by_one_tile_stay_apart():
    one, other = np.zeros((2, 20, 8), int)
    one[0:12], one[12:20] = 1, 2
    other[0:20] = 5
    assert matches(one, other) == [(1, 5)]


def test_what_hardly_overlaps_is_not_matched():
    one, other = np.zeros((2, 20, 8), int)
    one[0:8], other[5:13] = 1, 2
    assert matches(one, other) == []
    assert matches(one, np.zeros_like(one)) == []


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=40))
def test_groups_are_the_connected_parts_of_a_graph(pairs):
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    groups = Groups()
    groups.unite(pairs)
    one, other = np.array(pairs, int).reshape(-1, 2).T
    _, part = connected_components(coo_array((np.ones(len(one)), (one, other)), shape=(31, 31)))
    for a in range(31):
        least = min(b for b in range(31) if part[b] == part[a])
        assert groups.find(a) == least
        assert (a in groups) == any(a in pair for pair in pairs)


# -- the result is the truth ---------------------------------------------------------------


def test_every_object_comes_out_once_and_exact(mosaic, mapped):
    found, report = mapped
    assert report.objects == len(found) == len(np.unique(mosaic.truth)) - 1
    assert found["id"].tolist() == list(range(1, len(found) + 1))
    assert found.is_valid.all()
    assert found.crs == "EPSG:32631"
    burned = rasterio.features.rasterize(
        zip(found.geometry, found["id"], strict=True), mosaic.truth.shape, transform=TRANSFORM
    )
    pairs = np.unique(np.stack([burned.ravel(), mosaic.truth.ravel()]), axis=1)
    assert len(pairs[0]) == len(set(pairs[0])) == len(set(pairs[1]))
    assert report.area_m2 == pytest.approx((mosaic.truth > 0).sum() * PIXEL)


@pytest.mark.parametrize(("number", "tiles"), [(BIG, 40), (RIVER, 10)])
def test_an_object_over_many_tiles_is_one_valid_polygon(mosaic, mapped, number, tiles):
    found, _ = mapped
    inside = rasterio.features.geometry_mask
    centre = np.argwhere(mosaic.truth == number)[0]
    x, y = TRANSFORM @ (centre[1] + 0.5, centre[0] + 0.5)
    rows = found[found.contains(shapely.Point(x, y))]
    assert len(rows) == 1
    assert rows["pieces"].item() >= tiles
    geometry = rows.geometry.item()
    assert geometry.is_valid
    assert geometry.geom_type == "MultiPolygon"
    assert len(geometry.geoms) == 1
    assert geometry.area == pytest.approx(mosaic.area(number), rel=0.005)
    drawn = ~inside([geometry], mosaic.truth.shape, TRANSFORM)
    assert (drawn == (mosaic.truth == number)).mean() > 0.9999


@pytest.mark.parametrize(("window", "overlap"), [(512, 64), (384, 128), (1024, 128)])
def test_of_a_model_that_is_right_even_the_windows_do_not_matter(
    mosaic, mapped, tmp_path, window, overlap
):
    out = tmp_path / "out.gpkg"
    wanted = options(window=window, overlap=overlap)
    geoiseg.segment_raster(mosaic.path, out, model=FloodModel(), options=wanted)
    one, other = (frame.normalize() for frame in (mapped[0].geometry, gpd.read_file(out).geometry))
    assert set(shapely.to_wkb(one)) == set(shapely.to_wkb(other))


def test_tiny_finds_the_same_whatever_the_tiles(tmp_path):
    """The aim is an IoU above 0.9 for 95 % of the area; it is 1 for all, by construction."""
    scene = make_scene(tmp_path / "scene.tif", 1100)
    results = []
    for tile in (512, 1024, 2048):
        out = tmp_path / f"{tile}.gpkg"
        report = geoiseg.segment_raster(
            scene.path,
            out,
            model="tiny",
            options=MapOptions(tile=tile, window=512),
            progress=False,
        )
        results.append(gpd.read_file(out))
        assert report.windows == 9
    assert [len(frame) for frame in results] == [len(results[0])] * 3
    assert len(results[0]) > 15
    assert results[0]["pieces"].max() > 1
    assert same(results[0], results[1])
    assert same(results[0], results[2])


def test_a_raster_turned_on_the_ground_comes_out_as_seamless(small, tmp_path):
    turned = TRANSFORM @ TRANSFORM.rotation(30)
    path = tmp_path / "turned.tif"
    write_mosaic(path, small.truth, transform=turned)
    out = tmp_path / "out.gpkg"
    geoiseg.segment_raster(path, out, model=FloodModel(), options=SMALL)
    found = gpd.read_file(out)
    assert found.is_valid.all()
    assert found["pieces"].max() >= 3
    pixels = np.unique(small.truth, return_counts=True)[1][1:]
    assert sorted(found.area.round(3)) == sorted((pixels * PIXEL).tolist())


def test_small_objects_are_left_out_but_not_small_pieces(small, tmp_path):
    out = tmp_path / "out.gpkg"
    wanted = options(tile=128, window=128, overlap=32, min_area=1700)
    geoiseg.segment_raster(small.path, out, model=FloodModel(), options=wanted)
    found = gpd.read_file(out)
    numbers, pixels = np.unique(small.truth[small.truth > 0], return_counts=True)
    assert len(found) < len(numbers)
    assert found.area.sum() == pixels[pixels >= 1700].sum() * PIXEL


def test_only_the_area_of_interest_is_mapped(small, tmp_path):
    aoi = shapely.box(500_000, 4_500_000 - 240, 500_240, 4_500_000)
    file = tmp_path / "aoi.geojson"
    gpd.GeoSeries([aoi], crs="EPSG:32631").to_crs("EPSG:4326").to_file(file)
    results = []
    for name, area in (("file", file), ("shape", aoi)):
        out = tmp_path / f"{name}.gpkg"
        wanted = options(tile=128, window=128, overlap=32, aoi=area)
        report = geoiseg.segment_raster(small.path, out, model=FloodModel(), options=wanted)
        results.append(gpd.read_file(out))
        assert report.tiles == 4
    assert same(*results)
    assert results[0].area.sum() == (small.truth[:120, :120] > 0).sum() * PIXEL
    with pytest.raises(PromptError, match="does not meet"):
        elsewhere = options(aoi=shapely.box(0, 0, 1, 1))
        geoiseg.segment_raster(
            small.path, tmp_path / "x.gpkg", model=FloodModel(), options=elsewhere
        )


def test_at_a_coarser_level_shapes_are_of_its_pixels(small, tmp_path):
    out = tmp_path / "out.gpkg"
    geoiseg.segment_raster(
        small.path,
        out,
        model=FloodModel(),
        options=options(tile=64, window=64, overlap=16, gsd=4.0),
    )
    found = gpd.read_file(out)
    assert len(found) > 20
    assert set(np.unique(shapely.get_coordinates(found.geometry)[:, 0] % 4)) == {0.0}
    assert found["gsd"].unique() == pytest.approx([4.0], rel=1e-3)


# -- formats -------------------------------------------------------------------------------


def test_every_format_says_the_same(small, tmp_path):
    frames = {}
    for suffix in ("gpkg", "parquet", "tif"):
        out = tmp_path / f"out.{suffix}"
        look = tmp_path / "look.png"
        report = geoiseg.segment_raster(
            small.path, out, model=FloodModel(), options=SMALL, quicklook=look
        )
        frames[suffix] = report.objects, report.area_m2
        assert look.read_bytes()[:4] == b"\x89PNG"
    assert len(set(frames.values())) == 1
    gpkg, parquet = gpd.read_file(tmp_path / "out.gpkg"), gpd.read_parquet(tmp_path / "out.parquet")
    assert gpkg.crs == parquet.crs
    assert gpkg["area_m2"].tolist() == parquet["area_m2"].tolist()
    round_ones = 4 * np.pi * gpkg.area / gpkg.length**2
    for table in (gpkg, parquet):
        assert list(table.columns[:6]) == [
            "id", "label", "area_m2", "perimeter_m", "compactness", "score"]  # fmt: skip
        assert table["compactness"].tolist() == pytest.approx(round_ones.tolist())
        assert table["compactness"].between(0, 1).all()
    assert (
        parquet.normalize()
        .geom_equals(
            gpkg.geometry.map(
                lambda shape: shape.geoms[0] if len(shape.geoms) == 1 else shape
            ).normalize()
        )
        .all()
    )
    with rasterio.open(tmp_path / "out.tif") as labels:
        assert labels.transform == TRANSFORM
        assert labels.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        burned = rasterio.features.rasterize(
            zip(gpkg.geometry, gpkg["id"], strict=True), labels.shape, transform=TRANSFORM
        )
        assert (labels.read(1) == burned).all()


def test_many_objects_are_written_in_batches(small, tmp_path, monkeypatch):
    monkeypatch.setattr("geoiseg.tiled.writer.BATCH", 7)
    for suffix in ("gpkg", "parquet"):
        out = tmp_path / f"out.{suffix}"
        report = geoiseg.segment_raster(small.path, out, model=FloodModel(), options=SMALL)
        found = gpd.read_file(out) if suffix == "gpkg" else gpd.read_parquet(out)
        assert len(found) == report.objects > 20
        assert found["id"].is_monotonic_increasing


def test_a_raster_without_objects_gives_an_empty_layer(tmp_path):
    path = write_mosaic(tmp_path / "empty.tif", np.zeros((200, 200), np.int32)).path
    for suffix in ("gpkg", "parquet", "tif"):
        out = tmp_path / f"out.{suffix}"
        report = geoiseg.segment_raster(path, out, model=FloodModel(), options=SMALL)
        assert (report.objects, report.complete) == (0, True)
        assert out.exists()
    assert "area_m2" in gpd.read_file(tmp_path / "out.gpkg")


def test_what_can_not_be_is_refused_before_anything_is_done(small, tmp_path):
    def run(out="x.gpkg", **values):
        geoiseg.segment_raster(small.path, tmp_path / out, **{"model": FloodModel(), **values})

    with pytest.raises(ExportError, match=r"\.shp.*\.gpkg"):
        run("x.shp")
    with pytest.raises(ExportError, match="does not exist"):
        run("none/x.gpkg")
    with pytest.raises(PromptError, match="got 'ray'"):
        run(scheduler="ray")
    with pytest.raises(PromptError, match="got 0"):
        run(workers=0)
    with pytest.raises(WorkerError, match=r"no Dask scheduler at tcp://127\.0\.0\.1:9"):
        run(scheduler="tcp://127.0.0.1:9")
    with pytest.raises(ModelError, match="by name"):
        run(workers=2, model=geoiseg.get_model("tiny"))


# -- drivers -------------------------------------------------------------------------------


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_all_drivers_give_the_same(mosaic, mapped, tmp_path, scheduler):
    out = tmp_path / "out.gpkg"
    report = geoiseg.segment_raster(
        mosaic.path, out, model=FloodModel(), options=options(), scheduler=scheduler, workers=2
    )
    assert report.complete
    assert same(gpd.read_file(out), mapped[0])


def test_a_dead_dask_worker_costs_only_its_tiles(mosaic, mapped, tmp_path):
    distributed = needed("distributed")
    out, log = tmp_path / "out.gpkg", tmp_path / "log"
    killed = []
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        pids = list(client.run(os.getpid).values())
        assert len(set(pids)) == 2

        def kill() -> None:
            until(lambda: begun(log) >= 12)
            os.kill(pids[0], signal.SIGKILL)
            killed.append(begun(log))

        with Background(kill):
            report = geoiseg.segment_raster(
                mosaic.path, out, model=FloodModel(0.03, log), options=options(),
                scheduler=cluster.scheduler_address,
            )  # fmt: skip
        assert pids[0] not in client.run(os.getpid).values()
    assert killed
    assert 12 <= killed[0] < report.tiles
    assert report.complete
    assert same(gpd.read_file(out), mapped[0])


def test_a_dead_process_costs_only_its_tiles(small, tmp_path):
    import psutil

    out, log = tmp_path / "out.gpkg", tmp_path / "log"
    before = {child.pid for child in psutil.Process().children()}

    def kill() -> None:
        until(lambda: begun(log) >= 2)
        ours = [c for c in psutil.Process().children() if c.pid not in before and
                "spawn_main" in " ".join(c.cmdline())]  # fmt: skip
        ours[0].kill()

    with Background(kill):
        report = geoiseg.segment_raster(
            small.path, out, model=FloodModel(0.3, log), options=SMALL, workers=2
        )
    assert report.complete
    assert report.objects == len(gpd.read_file(out)) > 20


def dask(what: str, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def test_a_killed_scheduler_loses_no_finished_tile(mosaic, mapped, tmp_path):
    pytest.importorskip("distributed")
    out, log = tmp_path / "out.gpkg", tmp_path / "log"
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    scheduler = dask("scheduler", "--port", str(port), "--host", "127.0.0.1", "--no-dashboard")
    until(lambda: answers(port))
    worker = dask("worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny")

    def kill() -> None:
        until(lambda: begun(log) >= 15)
        scheduler.kill()

    try:
        with Background(kill, 300), pytest.raises(WorkerError, match="go on with --resume"):
            geoiseg.segment_raster(
                mosaic.path, out, model=FloodModel(0.03, log), options=options(),
                scheduler=address,
            )  # fmt: skip
    finally:
        for process in (scheduler, worker):
            process.kill()
            process.wait()
    log.unlink()
    report = geoiseg.segment_raster(
        mosaic.path, out, model=FloodModel(0.0, log), options=options(), resume=True
    )
    assert report.tiles - begun(log) >= 10
    assert same(gpd.read_file(out), mapped[0])


def test_only_workers_with_a_card_do_what_needs_one(small, tmp_path):
    distributed = needed("distributed")
    out, expected = tmp_path / "out.gpkg", tmp_path / "expected.gpkg"
    on_card = MapOptions(**{**{f: getattr(SMALL, f) for f in SMALL.__slots__},
                            "running": ModelOptions(device="cuda")})  # fmt: skip
    geoiseg.segment_raster(small.path, expected, model=FloodModel(), options=SMALL)
    nanny = {"nthreads": 1, "dashboard_address": None}
    workers = {
        "plain": {"cls": distributed.Nanny, "options": nanny},
        "card": {"cls": distributed.Nanny, "options": {**nanny, "resources": {"GPU": 1}}},
    }
    scheduler = {"cls": distributed.Scheduler, "options": {"dashboard": False}}
    with (
        distributed.SpecCluster(workers, scheduler) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.wait_for_workers(2)
        report = geoiseg.segment_raster(
            small.path, out, model=FloodModel(), options=on_card,
            scheduler=cluster.scheduler_address,
        )  # fmt: skip
        done = client.run(lambda dask_worker: (dask_worker.name, dask_worker.state.executed_count))
    assert dict(done.values()) == {"plain": 0, "card": report.tiles}
    assert same(gpd.read_file(out), gpd.read_file(expected))


class Background:
    """Something that goes on beside the test, and whose failure is the test's."""

    def __init__(self, work, seconds: float = 300) -> None:
        self.pool = ThreadPoolExecutor(1)
        self.work, self.seconds = work, seconds

    def __enter__(self) -> None:
        self.future = self.pool.submit(self.work)

    def __exit__(self, *_: object) -> None:
        self.future.result(timeout=self.seconds)
        self.pool.shutdown()


def until(happened, seconds: float = 240) -> None:
    """Wait for something, but not for ever."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def answers(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def begun(log: Path) -> int:
    """Number of tiles that a model with this log was given."""
    return log.stat().st_size if log.exists() else 0


# -- accidents -----------------------------------------------------------------------------

RUN = """
import sys, geoiseg
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.flood_model import FloodModel
from tests.tiled.test_tiled import options
geoiseg.segment_raster({path!r}, {out!r}, model=FloodModel({pause}, Path({log!r})), options=options(),
                       resume={resume})
print("finished")
"""


def start(path: Path, out: Path, pause: float = 0.0, resume: bool = False) -> subprocess.Popen:
    code = RUN.format(
        root=str(ROOT), path=str(path), out=str(out), pause=pause, resume=resume,
        log=str(out.with_suffix(".log")),
    )  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


@pytest.mark.parametrize("after", [1, 23, 60])
def test_a_killed_run_is_gone_on_with(mosaic, mapped, tmp_path, after):
    out = tmp_path / "out.gpkg"
    process = start(mosaic.path, out, pause=0.02)
    while begun(out.with_suffix(".log")) <= after and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not out.exists()
    with closing(sqlite3.connect(ledger_path(out))) as db:
        done = dict(db.execute("SELECT number, state FROM tile"))
        pieces = db.execute("SELECT COUNT(*) FROM piece").fetchone()[0]
    assert after <= len(done) < 100
    report = geoiseg.segment_raster(
        mosaic.path, out, model=FloodModel(), options=options(), resume=True
    )
    assert pieces <= sum(gpd.read_file(out)["pieces"])
    assert report.complete
    assert report.megapixels < mosaic.truth.size / 1e6
    assert same(gpd.read_file(out), mapped[0])
    assert not list(tmp_path.glob("*.ledger*"))


def test_an_unfinished_run_is_not_overwritten_or_mixed_up(small, tmp_path):
    out = tmp_path / "out.gpkg"

    def run(resume=True, **values):
        wanted = options(**{"window": 128, "overlap": 32, **values})
        return geoiseg.segment_raster(
            small.path, out, model=FloodModel(), options=wanted, resume=resume
        )

    process = start(small.path, out, pause=1)
    while not begun(out.with_suffix(".log")):
        time.sleep(0.02)
    with pytest.raises(LedgerError, match="in use by another run"):
        run(window=256, overlap=64)
    process.kill()
    process.communicate()
    with pytest.raises(LedgerError, match="unfinished run: go on with it"):
        run(resume=False)
    with pytest.raises(LedgerError, match="with overlap 64, now it is 32"):
        run()
    with pytest.raises(LedgerError, match="with min_area 1, now it is 9"):
        run(window=256, overlap=64, min_area=9)
    with pytest.raises(LedgerError, match="with window 256, now it is 384"):
        run(window=384, overlap=64)
    ledger_path(out).write_bytes(b"not a database" * 100)
    with pytest.raises(LedgerError, match="remove it to begin anew"):
        run()
    for path in tmp_path.glob("*.ledger*"):
        path.unlink()
    assert run().complete


def test_a_changed_raster_is_noticed(small, tmp_path):
    out = tmp_path / "out.gpkg"
    process = start(small.path, out, pause=1)
    while not begun(out.with_suffix(".log")):
        time.sleep(0.02)
    process.kill()
    process.communicate()
    write_mosaic(small.path, small.truth[::-1])
    with pytest.raises(LedgerError, match="of a run with raster"):
        geoiseg.segment_raster(small.path, out, model=FloodModel(), options=options(), resume=True)


@pytest.fixture
def damaged(small, tmp_path) -> Path:
    """The same, but the blocks of its last rows are gone."""
    return cut_off(write_mosaic(tmp_path / "damaged.tif", small.truth).path, 2)


def command(*arguments: object) -> subprocess.CompletedProcess:
    done = [sys.executable, "-m", "geoiseg", "map", *map(str, arguments)]
    return subprocess.run(done, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("tile", [128, 1024])
def test_windows_that_can_not_be_read_are_reported(small, damaged, tmp_path, tile):
    out = tmp_path / "out.gpkg"
    wanted = options(tile=tile, window=128, overlap=32)
    report = geoiseg.segment_raster(damaged, out, model=FloodModel(), options=wanted)
    assert not report.complete
    assert {failed.window for failed in report.failures} == {6, 7, 8}
    assert report.failures[0].attempts == 2
    assert "truncated or damaged" in report.failures[0].error
    assert report.failures[0].bounds == (500_000, 4_499_400, 500_224, 4_499_604)
    found = gpd.read_file(out)
    row = int((4_500_000 - report.failures[0].bounds[3]) / 2)
    assert found.area.sum() == (small.truth[:row] > 0).sum() * PIXEL
    assert ledger_path(out).exists()
    assert "failed 2 times" in report.text()


def test_the_command_says_what_failed_and_how_to_do_it_again(damaged, tmp_path):
    out = tmp_path / "out.gpkg"
    given = [damaged, out, "-m", "region-growing", "--window", 128, "--tile", 128, "--overlap", 32]
    done = command(*given)
    assert done.returncode == 1
    assert out.exists()
    assert "window 7 at (" in done.stdout
    again = done.stderr.splitlines()[-1].partition("again with: geoiseg map ")[2]
    assert again.split()[-1] == "--resume"
    again_done = command(*again.split(), "--json")
    assert again_done.returncode == 1
    told = json.loads(again_done.stdout)
    assert told["megapixels"] == 0
    assert [failed["window"] for failed in told["failures"]] == [6, 7, 8]
    assert told["objects"] > 0
    assert "Traceback" not in done.stderr + again_done.stderr


def test_the_command_takes_what_decides_how_objects_are_found(small, tmp_path):
    given = [small.path, tmp_path / "out.gpkg", "-m", "region-growing", "--window", 256]
    wrong = command(*given, "--scales", "2,x")
    assert wrong.returncode == 2
    assert "got '2,x'" in wrong.stderr
    assert "got (3,)" in command(*given, "--scales", "3").stderr
    found = {}
    for spacing in (16, 80):
        asked = ["--scales", "1", "--spacing", spacing, "--batch", 4, "--min-score", 0,
                 "--min-stability", 0, "--max-hidden", 0.9]  # fmt: skip
        done = command(*given, *asked, "--json")
        assert done.returncode == 0, done.stderr
        found[spacing] = json.loads(done.stdout)["objects"]
    assert found[16] > found[80] > 0


def test_stopping_by_hand_leaves_what_was_done(mosaic, tmp_path):
    out = tmp_path / "out.gpkg"
    given = [
        mosaic.path,
        out,
        "-m",
        "region-growing",
        "--window",
        256,
        "--tile",
        256,
        "--overlap",
        64,
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "geoiseg", "map", *map(str, given)], cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    log = ledger_path(out).with_name("out.gpkg.ledger-wal")
    while process.poll() is None and not (log.exists() and b'{"read": ' in log.read_bytes()):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate()
    assert process.returncode == 130
    assert "go on with: geoiseg map" in told
    assert "Traceback" not in told
    with closing(sqlite3.connect(ledger_path(out))) as db:
        assert db.execute("SELECT COUNT(*) FROM tile").fetchone()[0] >= 1


def test_a_notebook_shows_progress(small, tmp_path, monkeypatch):
    nbclient, nbformat = needed("nbclient"), needed("nbformat")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    code = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import geoiseg
from tests.flood_model import FloodModel
from tests.tiled.test_tiled import SMALL
geoiseg.segment_raster({str(small.path)!r}, "out.gpkg", model=FloodModel(), options=SMALL)
"""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    nbclient.NotebookClient(book, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = json.dumps(book.cells[0].outputs)
    assert "Mpx" in shown
    assert "9 done" in json.dumps(book) or "application/vnd.jupyter.widget-view+json" in shown


class Listener:
    """Takes what a run says of itself, and stops it at the ``stop``-th time."""

    def __init__(self, stop: int = 0):
        self.stop, self.heard = stop, []

    def __call__(self, done: int, total: int, text: str) -> None:
        self.heard.append((done, total, text))
        if len(self.heard) == self.stop:
            raise CancelledError("enough")


def test_a_callable_is_told_of_every_tile(small, tmp_path, capfd):
    told = Listener()
    geoiseg.segment_raster(
        small.path, tmp_path / "out.gpkg", model=FloodModel(), options=SMALL, progress=told
    )
    dones, totals, texts = zip(*told.heard, strict=True)
    assert len(dones) == 1 + 9
    assert set(totals) == {dones[-1]}
    assert dones[0] == 0 < dones[1]
    assert list(dones) == sorted(set(dones))
    assert texts[0] == f"0.0 of {dones[-1] / 1e6:.1f} Mpx"
    assert ", 4 done, 0" in texts[4]
    assert texts[4].endswith(" left")
    assert texts[-1] == f"{dones[-1] / 1e6:.1f} of {dones[-1] / 1e6:.1f} Mpx, 9 done"
    assert capfd.readouterr().err == ""  # and no bar beside it


@pytest.mark.parametrize("scheduler", ["serial", "threads", "processes"])
def test_a_callable_stops_a_run_that_is_gone_on_with(small, tmp_path, scheduler):
    whole, out = tmp_path / "whole.gpkg", tmp_path / "out.gpkg"
    geoiseg.segment_raster(small.path, whole, model=FloodModel(), options=SMALL)
    how = {"options": SMALL, "scheduler": scheduler, "workers": 2}
    told = Listener(stop=4)
    with pytest.raises(CancelledError, match="enough") as caught:
        geoiseg.segment_raster(small.path, out, model=FloodModel(), progress=told, **how)
    patience = time.monotonic() + 60
    while multiprocessing.active_children() and time.monotonic() < patience:
        time.sleep(0.05)  # the pool's own thread may be the one that learns of their end
    assert multiprocessing.active_children() == [], "workers outlive the run"
    assert caught.traceback  # held all the while
    assert not out.exists()
    with closing(sqlite3.connect(ledger_path(out))) as db:
        assert db.execute("SELECT COUNT(*) FROM tile WHERE state = 'done'").fetchone()[0] == 3
    again, log = Listener(), tmp_path / "log"
    model = FloodModel(log=log)
    geoiseg.segment_raster(small.path, out, model=model, progress=again, resume=True, **how)
    assert len(log.read_bytes()) == 9 - 3
    assert again.heard[0][0] == told.heard[-1][0] > 0
    assert again.heard[0][2].endswith("Mpx done by an earlier run")
    assert again.heard[-1][0] == again.heard[-1][1] == told.heard[0][1]
    assert same(gpd.read_file(out), gpd.read_file(whole))
    assert not ledger_path(out).exists()


def test_a_callable_can_stop_a_run_before_its_first_tile(small, tmp_path):
    log = tmp_path / "log"
    with pytest.raises(CancelledError):
        geoiseg.segment_raster(
            small.path, tmp_path / "out.gpkg", model=FloodModel(log=log), options=SMALL,
            progress=Listener(stop=1),
        )  # fmt: skip
    assert not log.exists()


def test_windows_that_are_given_up_count_as_done(damaged, tmp_path):
    told = Listener()
    report = geoiseg.segment_raster(
        damaged, tmp_path / "out.gpkg", model=FloodModel(), options=SMALL, progress=told
    )
    count = len(report.failures)
    assert count
    assert told.heard[-1][0] == told.heard[-1][1]
    assert told.heard[-1][2].endswith(f" Mpx, {9 - count} done, {count} failed")


# -- prompts -------------------------------------------------------------------------------


def test_prompted_objects_keep_their_ids_and_columns(small, tmp_path):
    centres = [(27, 22), (87, 142), (1000, 1000), (150, 150)]
    xy = [TRANSFORM @ place for place in centres]
    prompts = tmp_path / "prompts.gpkg"
    gpd.GeoDataFrame(
        {"object": ["a", "b", "off", "long"], "label": ["wheat", "rye", "x", "road"],
         "owner": [7, 8, 9, 10]},
        geometry=shapely.points(xy), crs="EPSG:32631",
    ).to_file(prompts)  # fmt: skip
    results = []
    for name, how in (("one", {}), ("two", {"workers": 2})):
        out = tmp_path / f"{name}.gpkg"
        report = geoiseg.segment_raster(
            small.path, out, model="superpixel-walk", prompts=prompts, options=SMALL, **how
        )
        assert [item.name for item in report.missing] == ["off"]
        assert "outside" in report.missing[0].error
        results.append(gpd.read_file(out).drop(columns=["created", "updated"]))
    found = results[0]
    assert same(found, results[1])
    assert found["object"].tolist() == ["a", "b", "long"]
    assert found["label"].tolist() == ["wheat", "rye", "road"]
    assert found["owner"].tolist() == [7, 8, 10]
    for place, shape in zip([xy[0], xy[1], xy[3]], found.geometry, strict=True):
        assert shape.contains(shapely.Point(place))
    assert found.geometry.iloc[0].area == pytest.approx(36 * 46 * PIXEL, rel=0.05)
