"""Encoding rasters ahead: exactly the chips of clicks, resumable, shared, within bounds."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

import geoiseg
from geoiseg.errors import CacheError, PromptError
from geoiseg.models import ModelInfo
from geoiseg.models.registry import get_model
from geoiseg.prompting.framing import around, coarsest_level, place
from geoiseg.prompting.prompts import Point, Prompts
from geoiseg.raster.grid import Grid
from geoiseg.raster.readers import open_raster
from geoiseg.segment.embeddings import DiskStore, EmbeddingCache
from geoiseg.segment.embeddings.entry import read_entry
from geoiseg.tiled.encode import EmbedOptions, Estimate, chips_to_encode, embed_raster, read_area
from tests.cli.test_cli import run
from tests.conftest import UTM, disk_pixels, needed, write_raster

ROOT = Path(__file__).parents[2]


def entries(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.npz"))


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raster of 3 x 5 chips of 512 px at full resolution, with a gap without data."""
    pixels, _ = disk_pixels(1500)
    pixels = np.clip(pixels[:, :1000], 1, 255)
    pixels[:, :600, :600] = 0
    path = tmp_path_factory.mktemp("wide") / "wide.tif"
    return write_raster(path, pixels, nodata=0, tiled=True, blockxsize=256, blockysize=256)


grids = st.builds(
    lambda rows, cols, turn: Grid(
        UTM,
        Affine.translation(5e5, 4e6) @ Affine.rotation(turn) @ Affine.scale(2, -2),
        (rows, cols),
    ),
    st.integers(20, 6000),
    st.integers(20, 6000),
    st.sampled_from([0, 0, 30]),
)


def sized(side: int) -> ModelInfo:
    return ModelInfo("any", "any", "MIT", "", chip_size=side)


@settings(max_examples=60, deadline=None)
@given(grids, st.sampled_from([64, 512, 1024]), st.data())
def test_every_click_finds_its_chip(grid: Grid, size: int, data: st.DataObject) -> None:
    frames = set(
        chips_to_encode(
            grid, sized(size), EmbedOptions(levels=tuple(range(min(2, coarsest_level(grid)) + 1)))
        )
    )
    assert len(frames) == len(set(frames))
    x = data.draw(st.floats(0, grid.width))
    y = data.draw(st.floats(0, grid.height))
    point = Point(*grid.to_crs([(x, y)])[0].tolist())
    assert place(grid, Prompts((point,)), size) in frames
    for level in range(min(2, coarsest_level(grid)) + 1):
        assert around(grid, level, size, (x, y, x, y)) in frames


def test_a_click_on_the_far_border_finds_its_chip_where_rounding_puts_it_beyond() -> None:
    grid = Grid(UTM, Affine(2, 0, 5e5, 0, -2, 4e6), (401, 20))
    assert 401 * (grid.level(2).shape[0] / 401) > grid.level(2).shape[0]
    frames = set(chips_to_encode(grid, sized(64), EmbedOptions(levels=(2,))))
    assert around(grid, 2, 64, (0.0, 401.0, 0.0, 401.0)) in frames


@settings(max_examples=60, deadline=None)
@given(grids, st.data())
def test_an_area_takes_the_chips_of_clicks_in_it_and_no_others(
    grid: Grid, data: st.DataObject
) -> None:
    x0 = data.draw(st.floats(0, grid.width - 1))
    y0 = data.draw(st.floats(0, grid.height - 1))
    x1 = data.draw(st.floats(x0 + 0.5, grid.width))
    y1 = data.draw(st.floats(y0 + 0.5, grid.height))
    area = shapely.Polygon(grid.to_crs([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]))
    level = data.draw(st.integers(0, min(3, coarsest_level(grid))))
    frames = chips_to_encode(grid, sized(128), EmbedOptions(levels=(level,), area=area))
    xs, ys = np.linspace(x0, x1, 23), np.linspace(y0, y1, 23)
    asked = {around(grid, level, 128, (x, y, x, y)) for x in xs for y in ys}
    inner = {around(grid, level, 128, (x, y, x, y)) for x in xs[1:-1] for y in ys[1:-1]}
    assert inner <= set(frames)
    step = max(x1 - x0, y1 - y0) / 22 / (1 << level)
    if step < 32:  # fine enough to have met every chip
        assert len(set(frames) - asked) <= 4 + 2 * (
            len({f.window.row for f in frames}) + len({f.window.col for f in frames})
        )


def test_no_overlap_is_a_quarter_and_covers_the_raster() -> None:
    grid = Grid(UTM, Affine(2, 0, 5e5, 0, -2, 4e6), (4096, 6144))
    every = chips_to_encode(grid, sized(512), EmbedOptions(levels=(0,)))
    quarter = chips_to_encode(grid, sized(512), EmbedOptions(levels=(0,), overlap=False))
    assert (len(every), len(quarter)) == (15 * 23, 8 * 12)
    covered = np.zeros(grid.shape, int)
    for frame in quarter:
        covered[frame.window.slices] += 1
    assert (covered == 1).all()


def test_wrong_choices_are_one_line() -> None:
    grid = Grid(UTM, Affine(2, 0, 5e5, 0, -2, 4e6), (1000, 1000))
    with pytest.raises(PromptError, match="levels 0 to 5, got 9"):
        chips_to_encode(grid, sized(512), EmbedOptions(levels=(9,)))
    with pytest.raises(PromptError, match="does not meet"):
        chips_to_encode(grid, sized(512), EmbedOptions(area=shapely.box(0, 0, 1, 1)))
    with pytest.raises(PromptError, match="either levels or a gsd"):
        EmbedOptions(levels=(0,), gsd=2)
    with pytest.raises(PromptError, match="got 0"):
        EmbedOptions(workers=0)


def test_a_session_afterwards_neither_reads_nor_encodes(wide: Path, tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    seen: list[int] = []
    summary = embed_raster(
        wide, "graphcut", store=store, on_chip=lambda so_far: seen.append(so_far.done)
    )
    assert summary.chips == summary.made + summary.empty == seen[-1]
    assert summary.empty > 0
    assert summary.failed == summary.there == 0
    assert seen == sorted(seen)
    assert len(entries(tmp_path)) == summary.made

    raster = open_raster(wide)
    raster._read = None  # whoever reads, fails
    cache = EmbeddingCache(disk=DiskStore(tmp_path))
    session = geoiseg.Session(raster, "graphcut", cache=cache)
    for x, y in np.random.default_rng(0).uniform((610, 610), (1499, 999), (12, 2)):
        session.clear()
        session.add_point(*raster.grid.to_crs([(x, y)])[0])
    assert cache.misses == 0
    fresh = geoiseg.Session(wide, "graphcut", cache=EmbeddingCache())
    fresh.add_point(*raster.grid.to_crs([(x, y)])[0])
    assert fresh.geometry.equals(session.geometry)

    again = embed_raster(wide, "graphcut", store=DiskStore(tmp_path))
    assert (again.made, again.there) == (0, summary.made)


def test_it_goes_on_where_it_was_stopped(wide: Path, tmp_path: Path) -> None:
    def stop(summary) -> None:
        if summary.made == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_raster(wide, "graphcut", store=DiskStore(tmp_path), on_chip=stop)
    assert len(entries(tmp_path)) == 3
    assert not list(tmp_path.rglob("*.claim"))
    rest = embed_raster(wide, "graphcut", store=DiskStore(tmp_path))
    assert rest.there == 3
    assert rest.made == rest.chips - 3 - rest.empty


def test_killed_and_begun_again(wide: Path, tmp_path: Path) -> None:
    env = {**os.environ, "GEOISEG_HOME": str(tmp_path)}
    line = [sys.executable, "-m", "geoiseg", "embed", str(wide), "-m", "graphcut", "--json"]
    process = subprocess.Popen(
        line, env=env, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    for _ in range(1200):
        if len(entries(tmp_path)) >= 3 or process.poll() is not None:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL
    kept = {path: path.stat().st_ino for path in entries(tmp_path)}
    assert len(kept) >= 3
    done = subprocess.run(line, env=env, cwd=ROOT, capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    assert report["there"] == len(kept)
    assert report["made"] + report["there"] + report["empty"] == report["chips"]
    assert {path: path.stat().st_ino for path in kept} == kept
    for path in entries(tmp_path):
        read_entry(path, path.stem)
    assert "chips to encode" in done.stderr


def test_an_interrupt_keeps_what_is_done(wide: Path, tmp_path: Path) -> None:
    env = {**os.environ, "GEOISEG_HOME": str(tmp_path)}
    line = [sys.executable, "-m", "geoiseg", "embed", str(wide), "-m", "superpixel-walk", "--json"]
    process = subprocess.Popen(line, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    for _ in range(1200):
        if entries(tmp_path) or process.poll() is not None:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    report = json.loads(process.communicate(timeout=60)[0])
    assert process.returncode == 130
    assert report["stopped"]
    # One may have been kept whole and not been counted when the interrupt came.
    assert 0 <= len(entries(tmp_path)) - report["made"] <= 1
    assert entries(tmp_path)
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]


def test_large_work_is_begun_only_when_the_user_says_so(
    capsys, wide: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("geoiseg.cli.embed.ASK_SECONDS", 0.0)
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    code, out, err = run(capsys, "embed", wide, "-m", "grabcut", "--level", 0)
    assert code == 130
    assert "Go on?" in err
    assert out.startswith("1 of 15 chips encoded, ")
    assert "stopped; the same command goes on" in out
    code, out, err = run(capsys, "embed", wide, "-m", "grabcut", "--level", 0, "--yes")
    assert (code, "Go on?" in err) == (0, False)
    assert "1 were there" in out


def test_two_processes_share_the_work(wide: Path, tmp_path: Path) -> None:
    env = {**os.environ, "GEOISEG_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    line = [
        sys.executable,
        "-m",
        "geoiseg",
        "embed",
        str(wide),
        "-m",
        "graphcut",
        "--json",
        "--level",
        "0",
    ]
    both = [
        subprocess.Popen(
            line, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    reports = [json.loads(one.communicate(timeout=120)[0]) for one in both]
    assert [one.returncode for one in both] == [0, 0]
    kept = entries(tmp_path)
    expected = reports[0]["chips"] - reports[0]["empty"] if reports[0]["empty"] else len(kept)
    assert len(kept) == expected
    for path in kept:
        read_entry(path, path.stem)
    # Each chip is made once, but for the first ones and the last ones.
    assert len(kept) <= sum(one["made"] for one in reports) <= len(kept) + 5
    assert not list(tmp_path.rglob("*.claim"))
    assert not list(tmp_path.rglob("*.tmp"))


def test_what_does_not_fit_is_not_begun(wide: Path, tmp_path: Path) -> None:
    with pytest.raises(CacheError, match="GEOISEG_CACHE_LIMIT") as told:
        embed_raster(wide, "graphcut", store=DiskStore(tmp_path, limit=5 << 20))
    assert "5.0 MiB" in str(told.value)
    assert len(entries(tmp_path)) == 1
    with pytest.raises(CacheError, match="one embedding takes"):
        embed_raster(wide, "graphcut", store=DiskStore(tmp_path / "b", limit=1000))
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    with pytest.raises(CacheError, match="GEOISEG_HOME"):
        embed_raster(wide, "graphcut", store=DiskStore(blocked))


def test_the_estimate_is_that_of_the_work(wide: Path, tmp_path: Path) -> None:
    asked: list[Estimate] = []

    def no(estimate: Estimate) -> bool:
        asked.append(estimate)
        return False

    summary = embed_raster(
        wide, "graphcut", EmbedOptions(levels=(0,)), store=DiskStore(tmp_path), approve=no
    )
    assert summary.made == 1
    (estimate,) = asked
    assert estimate.chips == 3 * 5 == summary.chips
    assert estimate.missing == 15 - summary.done
    rest = embed_raster(wide, "graphcut", EmbedOptions(levels=(0,)), store=DiskStore(tmp_path))
    assert estimate.nbytes == pytest.approx(
        (rest.nbytes + summary.nbytes) / (rest.made + 1) * 15, rel=0.2
    )


def test_damaged_blocks_do_not_end_it(wide: Path, tmp_path: Path) -> None:
    broken = write_raster(
        tmp_path / "broken.tif", open_raster(wide).read(open_raster(wide).grid.whole)[0],
        tiled=True, blockxsize=256, blockysize=256, compress="deflate",
    )  # fmt: skip
    content = broken.read_bytes()
    broken.write_bytes(content[: len(content) * 9 // 10])
    stretch = geoiseg.Stretch((0.0,) * 3, (255.0,) * 3)
    raster = open_raster(broken, stretch=stretch)
    summary = embed_raster(
        raster, "grabcut", EmbedOptions(levels=(0,)), store=DiskStore(tmp_path / "c")
    )
    assert summary.failed > 0
    assert summary.made > 0
    assert "truncated or damaged" in summary.error


def test_what_has_no_lasting_name_is_refused(tmp_path: Path) -> None:
    xarray = needed("xarray")
    array = xarray.DataArray(disk_pixels()[0], dims=("band", "y", "x"))
    with pytest.raises(CacheError, match="no name that lasts"):
        embed_raster(array, "grabcut", store=DiskStore(tmp_path))


def test_an_area_comes_in_any_crs(wide: Path, tmp_path: Path) -> None:
    grid = open_raster(wide).grid
    xmin, ymin, *_ = grid.bounds
    middle = shapely.box(xmin + 900, ymin + 900, xmin + 1000, ymin + 1000)
    path = tmp_path / "aoi.geojson"
    gpd.GeoDataFrame(geometry=[middle], crs=UTM).to_crs("EPSG:4326").to_file(path)
    area = read_area(path, grid)
    assert area.symmetric_difference(middle).area < 1
    with pytest.raises(PromptError, match="does not exist"):
        read_area(tmp_path / "none.gpkg", grid)
    path.write_text("nothing")
    with pytest.raises(PromptError, match="can not read an area"):
        read_area(path, grid)


# -- command line ------------------------------------------------------------------------


def test_embed_then_cache_info_then_clear(capsys, wide: Path, tmp_path: Path) -> None:
    aoi = tmp_path / "aoi.gpkg"
    x, y = open_raster(wide).grid.to_crs([(1200, 800)])[0]
    gpd.GeoDataFrame(geometry=[shapely.box(x - 20, y - 20, x + 20, y + 20)], crs=UTM).to_file(aoi)
    code, out, err = run(capsys, "embed", wide, "-m", "graphcut", "--aoi", aoi, "--level", "0-1")
    assert code == 0
    assert out.startswith("2 of 2 chips encoded; ")
    assert "1 of 2 chips to encode" in err
    code, out, _ = run(capsys, "cache", "info", "--json")
    report = json.loads(out)
    assert [(one["name"], one["entries"]) for one in report["rasters"]] == [(str(wide), 2)]
    code, out, _ = run(capsys, "cache", "info")
    assert "2 chips" in out
    assert str(wide) in out
    code, out, _ = run(capsys, "cache", "clear", wide)
    assert (code, out.endswith("freed\n")) == (0, True)
    assert json.loads(run(capsys, "cache", "info", "--json")[1])["nbytes"] == 0


def test_a_shared_folder_made_with_embed_answers(
    capsys, wide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, *_ = run(capsys, "embed", wide, "-m", "graphcut", "--gsd", 4, "--to", tmp_path / "team")
    assert code == 0
    monkeypatch.setenv("GEOISEG_SHARED_EMBEDDINGS", str(tmp_path / "team"))
    session = geoiseg.Session(wide, "graphcut", gsd=4)
    session.add_point(*session.raster.grid.to_crs([(1200, 800)])[0])
    assert (session.segmenter.cache.hits, session.segmenter.cache.misses) == (1, 0)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--level", "x"), 2, "give levels"),
        (("--level", "0", "--gsd", "2"), 2, "not both"),
        (("--level", "40"), 1, "levels 0 to"),
        (("--aoi", "none.gpkg"), 1, "none.gpkg does not exist"),
        (("-m", "nothing"), 1, "nothing"),
    ],
)
def test_mistakes_are_told(capsys, wide: Path, arguments, code: int, said: str) -> None:
    got, _, err = run(capsys, "embed", wide, *arguments)
    assert got == code
    assert said in err


def test_off_is_told(capsys, wide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEOISEG_CACHE_LIMIT", "off")
    code, _, err = run(capsys, "embed", wide)
    assert (code, "GEOISEG_CACHE_LIMIT" in err) == (1, True)
    monkeypatch.setenv("GEOISEG_CACHE_LIMIT", "plenty")
    code, _, err = run(capsys, "segment", wide, "a.gpkg", "b.gpkg")
    assert (code, err.count("\n")) == (1, 1)
    assert "plenty" in err


@pytest.mark.realdata
def test_a_real_raster_with_the_small_network(data: Path, tmp_path: Path) -> None:
    scene = data / "scenes" / "bldg_nepal_b1" / "image.tif"
    options = EmbedOptions(levels=(1, 2))
    summary = embed_raster(scene, "tiny", options, store=DiskStore(tmp_path))
    assert summary.made == summary.chips == 9 + 1
    raster = open_raster(scene)
    cache = EmbeddingCache(disk=DiskStore(tmp_path))
    gsd = raster.grid.pixel_size_metres() * 2
    session = geoiseg.Session(raster, get_model("tiny"), gsd=gsd, cache=cache)
    session.add_point(*raster.grid.to_crs([(1000, 1000)])[0])
    assert (cache.hits, cache.misses) == (1, 0)
