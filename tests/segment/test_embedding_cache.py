"""Embeddings on disk: found again after a restart, shared, bounded, and never in the way."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.shutil import copy as copy_raster
from rasterio.vrt import WarpedVRT

import geoiseg
from geoiseg.errors import CacheError
from geoiseg.models.classic import ENGINES
from geoiseg.models.protocol import Embedding, ModelInfo
from geoiseg.models.registry import get_model, model_names
from geoiseg.models.tiny import FILES
from geoiseg.models.tiny.graphs import session
from geoiseg.models.tiny.model import TinyModel
from geoiseg.models.tiny.padding import padded_within
from geoiseg.prompting.pixel import PixelPrompts
from geoiseg.raster.grid import Window
from geoiseg.raster.image import Stretch
from geoiseg.raster.readers import open_raster
from geoiseg.raster.readers.identity import remote_identity
from geoiseg.segment.embeddings import (
    DiskStore,
    EmbeddingCache,
    EmbeddingKey,
    Origin,
    default_store,
)
from geoiseg.segment.embeddings.entry import narrowed, read_entry, write_entry
from geoiseg.segment.embeddings.settings import parse_size, size_text
from geoiseg.segment.segmenter import Segmenter
from tests.conftest import Disk, disk_pixels, needed, write_raster

STRETCH = Stretch((0.0,) * 3, (255.0,) * 3)
ORIGIN = Origin("scene.tif", stretch_found=True)


def key(n: int = 0, source: str = "one", origin: Origin | None = ORIGIN) -> EmbeddingKey:
    return EmbeddingKey(source, STRETCH, 0, Window(n, 0, 8, 8), "model@1", origin)


def embedding(seed: int = 0, side: int = 64) -> Embedding:
    rng = np.random.default_rng(seed)
    arrays = {
        "file": rng.normal(size=(2, side, side)).astype(np.float32),
        "labels": rng.integers(0, 99, (side, side), np.int32),
        "about": rng.integers(0, 2, side).astype(bool),
        "empty": np.zeros((0, 3), np.float16),
    }
    return Embedding("model:1", (side, side), arrays)


def same(one: Embedding, other: Embedding) -> None:
    assert (one.model, one.shape, set(one.arrays)) == (other.model, other.shape, set(other.arrays))
    for name, array in one.arrays.items():
        assert other.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(other.arrays[name], array)


@pytest.fixture
def store(tmp_path: Path) -> DiskStore:
    return DiskStore(tmp_path / "cache")


def entries(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.npz"))


# -- one entry ---------------------------------------------------------------------------


def test_arrays_come_back_exactly(store: DiskStore) -> None:
    store.save(key(), embedding())
    found = DiskStore(store.folder).load(key())
    same(embedding(), found)
    assert all(array.flags.writeable for array in found.arrays.values())
    assert store.load(key(1)) is None
    assert store.has(key())
    assert not store.has(key(1))


def test_a_key_tells_apart_all_that_an_embedding_depends_on() -> None:
    keys = [
        key(), key(1), key(source="two"),
        EmbeddingKey("one", Stretch((0.0,) * 3, (254.0,) * 3), 0, Window(0, 0, 8, 8), "model@1"),
        EmbeddingKey("one", STRETCH, 1, Window(0, 0, 8, 8), "model@1"),
        EmbeddingKey("one", STRETCH, 0, Window(0, 0, 8, 8), "model@2"),
    ]  # fmt: skip
    assert len({one.digest for one in keys}) == len(keys)
    loose = Stretch(tuple(np.float64(0) for _ in range(3)), (255, 255, 255))
    assert EmbeddingKey("one", loose, 0, Window(0, 0, 8, 8), "model@1").digest == key().digest


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_half_precision_only_where_it_loses_nothing(data: st.DataObject) -> None:
    scale = 10.0 ** data.draw(st.integers(-12, 12))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    array = (rng.normal(size=50) * scale).astype(np.float32)
    labels = np.arange(5, dtype=np.int32)
    got = narrowed(Embedding("m", (1, 1), {"a": array, "b": labels})).arrays
    assert got["b"] is labels
    if got["a"].dtype == np.float32:
        assert got["a"] is array
        assert not 1e-3 < abs(array).max() < 65504
    else:
        error = np.abs(got["a"].astype(np.float64) - array).max()
        assert error <= np.abs(array).max() * 2.0**-10


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e6])
def test_what_does_not_fit_half_precision_stays(value: float) -> None:
    array = np.array([0.5, value], np.float32)
    assert narrowed(Embedding("m", (1, 1), {"a": array})).arrays["a"] is array


def damages() -> dict[str, bytes]:
    import io

    whole = io.BytesIO()
    write_entry(whole, key().digest, embedding())
    good = whole.getvalue()
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 4
    other = io.BytesIO()
    write_entry(other, key(1).digest, embedding())
    pickled = io.BytesIO()
    np.savez(pickled, about=np.array([print], dtype=object))
    return {
        "empty": b"", "cut": good[: len(good) // 2], "headless": good[100:], "a bit": bytes(flipped),
        "text": b"no archive", "other place": other.getvalue(), "pickle": pickled.getvalue(),
    }  # fmt: skip


@pytest.mark.parametrize("kind", list(damages()))
def test_damaged_entries_are_removed_and_made_again(
    store: DiskStore, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    store.save(key(), embedding())
    (path,) = entries(store.folder)
    path.write_bytes(damages()[kind])
    cache = EmbeddingCache(disk=store, worth=0)
    with caplog.at_level(logging.WARNING):
        made = cache.get_or_embed(key(), embedding)
    assert len(caplog.messages) == 1
    assert "damaged" in caplog.text
    same(made, read_entry(path, key().digest))


# -- bounds ------------------------------------------------------------------------------


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    one = embedding().nbytes + 2000
    store = DiskStore(tmp_path, limit=5 * one)
    for n in range(5):
        store.save(key(n), embedding(n))
        os.utime(next(path for path in entries(tmp_path) if key(n).digest in path.name), (n, n))
    assert store.load(key(0)) is not None  # used just now
    for n in (5, 6):
        store.save(key(n), embedding(n))
    kept = [n for n in range(7) if store.load(key(n)) is not None]
    assert kept[0] == 0
    assert {5, 6} <= set(kept)
    assert 1 not in kept
    assert sum(path.stat().st_size for path in entries(tmp_path)) <= store.limit


def test_what_is_larger_than_the_limit_is_not_written(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "cache", limit=1000)
    assert not store.save(key(), embedding())
    assert not store.folder.exists()


def test_leftovers_of_killed_processes_are_swept(store: DiskStore) -> None:
    store.save(key(), embedding())
    folder = entries(store.folder)[0].parent
    old, young = folder / ".a.1.ff.tmp", folder / ".b.1.ff.tmp"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    DiskStore(store.folder).save(key(1), embedding())
    assert not old.exists()
    assert young.exists()


def test_clear_removes_nothing_of_others(store: DiskStore) -> None:
    store.save(key(), embedding())
    store.save(key(0, "two", Origin("other.tif", stretch_found=False)), embedding())
    (store.folder / "thesis.npz").write_bytes(b"x")
    assert [(one.name, one.entries) for one in store.usage()] == [
        ("other.tif", 1),
        ("scene.tif", 1),
    ]
    assert store.clear("scene.tif") > embedding().nbytes
    assert [one.name for one in store.usage()] == ["other.tif"]
    store.clear()
    assert list(store.folder.iterdir()) == [store.folder / "thesis.npz"]


@pytest.mark.parametrize(
    ("text", "size"),
    [("20GB", 20 << 30), ("1.5 gib", 3 << 29), ("512m", 512 << 20), ("7", 7), ("off", 0),
     ("", 4 << 30), (None, 4 << 30)],
)  # fmt: skip
def test_sizes_are_read(text: str | None, size: int) -> None:
    assert parse_size(text, 4 << 30) == size


@pytest.mark.parametrize("text", ["lots", "-1", "4 parsecs"])
def test_a_size_that_is_none_is_one_line(text: str) -> None:
    with pytest.raises(CacheError, match="GEOISEG_CACHE_LIMIT") as told:
        parse_size(text, 1)
    assert text in str(told.value)


def test_sizes_are_written_for_people() -> None:
    assert [size_text(n) for n in (7, 2048, 5 << 20, 20 << 30)] == [
        "7 B",
        "2.0 KiB",
        "5.0 MiB",
        "20 GiB",
    ]


def test_off_means_off(monkeypatch: pytest.MonkeyPatch, disk: Disk, tmp_path: Path) -> None:
    monkeypatch.setenv("GEOISEG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GEOISEG_CACHE_LIMIT", "off")
    assert default_store() is None
    session = geoiseg.Session(disk.path, "grabcut")
    session.add_point(*disk.centre)
    assert not (tmp_path / "home").exists()


# -- trouble -----------------------------------------------------------------------------


def forked(run) -> int:
    """Run in a child process, where limits and rights may be given up; return its exit code."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = run() or 0
        except BaseException as error:  # noqa: BLE001 - the child must end here
            print(repr(error), file=sys.stderr)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_no_room_is_said_once_and_stops_nothing(store: DiskStore) -> None:
    def run() -> int:
        lines: list[str] = []
        handler = logging.Handler()
        handler.emit = lambda record: lines.append(record.getMessage())
        logging.getLogger("geoiseg").addHandler(handler)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        cache = EmbeddingCache(disk=store, worth=0)
        for n in range(3):
            same(embedding(n), cache.get_or_embed(key(n), lambda n=n: embedding(n)))
        left = [path for path in store.folder.rglob("*") if path.is_file()]
        return 0 if len(lines) == 1 and "without writing" in lines[0] and not left else 9

    assert forked(run) == 0


def test_a_folder_that_may_only_be_read_is_read(store: DiskStore, tmp_path: Path) -> None:
    store.save(key(), embedding())
    tmp_path.chmod(0o755)
    for path in (store.folder, *store.folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)

    def run() -> int:
        if os.getuid() == 0:
            os.setegid(65534)
            os.seteuid(65534)
        logging.disable(logging.WARNING)
        reader = EmbeddingCache(disk=DiskStore(store.folder), worth=0)
        same(embedding(), reader.get_or_embed(key(), lambda: 1 / 0))
        same(embedding(1), reader.get_or_embed(key(1), lambda: embedding(1)))
        try:
            DiskStore(store.folder).save(key(1), embedding(1))
        except CacheError as error:
            return 0 if "GEOISEG_HOME" in str(error) else 8
        return 9

    parents = [path for path in (tmp_path, *tmp_path.parents) if not path.stat().st_mode & 0o001]
    modes = [path.stat().st_mode for path in parents]
    try:
        for path in parents:
            path.chmod(0o711)
        assert forked(run) == 0
    finally:
        for path, mode in zip(parents, modes, strict=True):
            path.chmod(mode)
        for path in (store.folder, *store.folder.rglob("*")):
            path.chmod(0o755)
    assert len(entries(store.folder)) == 1


def test_a_shared_folder_is_read_after_ones_own(store: DiskStore, tmp_path: Path) -> None:
    store.save(key(), embedding())
    before = {path: path.stat().st_mtime_ns for path in store.folder.rglob("*")}
    own = DiskStore(tmp_path / "own", shared=(store.folder,))
    same(embedding(), own.load(key()))
    assert own.has(key())
    assert own.stretch("one") == STRETCH
    own.save(key(1), embedding(1))
    assert {path: path.stat().st_mtime_ns for path in store.folder.rglob("*")} == before


def write_and_read(folder: Path, seed: int, wrong) -> None:
    store = DiskStore(folder, limit=6 * embedding().nbytes)
    rng = np.random.default_rng(seed)
    for n in rng.integers(0, 12, 60).tolist():
        found = store.load(key(n))
        if found is None:
            store.save(key(n), embedding(n))
        elif not np.array_equal(found.arrays["file"], embedding(n).arrays["file"]):
            wrong.value += 1
    if seed == 0:
        store.clear()


def test_several_processes_write_read_and_evict_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    context = multiprocessing.get_context("fork")
    wrong = context.Value("i", 0)
    crowd = [context.Process(target=write_and_read, args=(tmp_path, n, wrong)) for n in range(4)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join(60)
    assert [one.exitcode for one in crowd] == [0] * 4
    assert wrong.value == 0
    for path in entries(tmp_path):
        read_entry(path, path.stem)
    assert not list(tmp_path.rglob(".*"))


# -- sessions ----------------------------------------------------------------------------


def click(path: Path | str, at: tuple[float, float], model: str, folder: Path) -> dict[str, object]:
    """Click once in a fresh session; tell what was read and encoded for it."""
    raster = open_raster(path)
    counts = {"read": 0, "embed": 0}
    plain = raster._read

    def read(*args):
        counts["read"] += 1
        return plain(*args)

    raster._read = read
    engine = TinyModel(threads=1) if model == "tiny" else get_model(model)
    encode = engine.embed

    class Counted:
        info, decode = engine.info, engine.decode

        def embed(self, image, valid):
            counts["embed"] += 1
            return encode(image, valid)

    cache = EmbeddingCache(disk=DiskStore(folder), worth=0)
    session = geoiseg.Session(raster, Counted(), cache=cache)
    session.add_point(*at)
    return {**counts, "wkt": session.geometry.wkt, "milliseconds": session.outcome.milliseconds}


@pytest.fixture
def grey(tmp_path: Path) -> Disk:
    """A disk in 16-bit grey values, so that a stretch has to be found."""
    pixels, truth = disk_pixels(700)
    path = write_raster(tmp_path / "grey.tif", pixels[:1].astype(np.uint16) * 37)
    transform = open_raster(path).grid.transform
    return Disk(path, truth, transform, transform @ (350, 315), transform @ (20, 20))


@pytest.mark.parametrize("model", model_names())
def test_a_place_seen_before_is_neither_read_nor_encoded(
    grey: Disk, tmp_path: Path, model: str
) -> None:
    if model != "tiny" and get_model(model).info.family != "classic":
        pytest.skip("its weights may not be there")
    first, second = (click(grey.path, grey.centre, model, tmp_path / "cache") for _ in range(2))
    assert first["read"] > 0
    assert first["embed"] > 0
    assert (second["read"], second["embed"]) == (0, 0)
    assert second["wkt"] == first["wkt"]


def test_nor_is_it_after_a_restart(grey: Disk, tmp_path: Path) -> None:
    code = (
        "import json; from pathlib import Path; from tests.segment.test_embedding_cache import click;"
        f"print(json.dumps(click(Path({str(grey.path)!r}), {grey.centre!r}, 'tiny',"
        f" Path({str(tmp_path / 'cache')!r}))))"
    )
    line = [sys.executable, "-c", code]
    first = click(grey.path, grey.centre, "tiny", tmp_path / "cache")
    done = subprocess.run(
        line, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    second = json.loads(done.stdout)
    assert (second["read"], second["embed"]) == (0, 0)
    assert set(second["milliseconds"]) == {"decode"}
    assert second["wkt"] == first["wkt"]


def test_a_moved_file_is_known_and_a_changed_one_is_not(grey: Disk, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    assert click(grey.path, grey.centre, "graphcut", folder)["embed"]
    moved = tmp_path / "elsewhere" / "moved.tif"
    moved.parent.mkdir()
    shutil.copy2(grey.path, moved)
    assert not click(moved, grey.centre, "graphcut", folder)["embed"]
    with moved.open("r+b") as file:  # one pixel, in the middle, where no sample is taken
        file.seek(moved.stat().st_size // 2 + 5000)
        file.write(b"\x00\x01")
    assert click(moved, grey.centre, "graphcut", folder)["embed"]


def test_what_a_raster_consists_of_belongs_to_it(tmp_path: Path) -> None:
    pixels, _ = disk_pixels(64)
    part = write_raster(tmp_path / "part.tif", pixels)
    vrt = tmp_path / "whole.vrt"
    with rasterio.open(part) as source, WarpedVRT(source, crs="EPSG:3857") as warped:
        shape, transform = warped.shape, warped.transform
        copy_raster(warped, vrt, driver="VRT")
    assert open_raster(vrt).grid.shape == shape
    assert open_raster(vrt).grid.transform == transform
    before = open_raster(vrt).source_id
    assert open_raster(vrt).source_id == before
    write_raster(part, 255 - pixels)
    assert open_raster(vrt).source_id != before

    plain = open_raster(part).source_id
    with rasterio.open(part, "r+") as target:
        target.build_overviews([2])
    assert open_raster(part).source_id != plain

    (tmp_path / "part.tif.aux.xml").write_text("<PAMDataset></PAMDataset>")
    with_notes = open_raster(part).source_id
    (tmp_path / "part.tif.aux.xml").write_text("<PAMDataset> </PAMDataset>")
    assert open_raster(part).source_id == with_notes


def test_rasters_in_an_archive_are_told_apart(tmp_path: Path) -> None:
    pixels, _ = disk_pixels(64)
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for name in ("one.tif", "two.tif"):
            packed.write(write_raster(tmp_path / name, pixels), name)
    one, two = (open_raster(f"/vsizip/{archive}/{name}") for name in ("one.tif", "two.tif"))
    assert one.lasting
    assert one.source_id != two.source_id
    before = one.source_id
    (tmp_path / "b").mkdir()
    moved = shutil.copy2(archive, tmp_path / "b" / "a.zip")
    assert open_raster(f"/vsizip/{moved}/one.tif").source_id == before
    os.utime(archive)
    assert one.source_id != before


def test_a_raster_elsewhere_is_known_by_its_header(tmp_path: Path) -> None:
    pixels, _ = disk_pixels(300)
    known = []
    for shown in (pixels, pixels, pixels[:, ::-1]):
        write_raster(tmp_path / "a.tif", shown, tiled=True, compress="deflate")
        with rasterio.open(tmp_path / "a.tif") as dataset:
            known.append(remote_identity("https://example.org/a.tif", dataset))
    assert known[0] == known[1] != known[2]


def test_a_place_of_a_url_is_known_again(
    grey: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = subprocess.Popen(
        [sys.executable, (Path(__file__).parents[1] / "range_server.py"), grey.path.parent],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        url = f"http://127.0.0.1:{int(server.stdout.readline())}/{grey.path.name}"
        first, second = (click(url, grey.centre, "graphcut", tmp_path / "cache") for _ in range(2))
    finally:
        server.kill()
        server.wait()
    assert first["read"] > 0
    assert (second["read"], second["embed"]) == (0, 0)
    (usage,) = DiskStore(tmp_path / "cache").usage()
    assert usage.name == url


def test_a_chosen_stretch_is_not_taken_for_the_rasters_own(grey: Disk, tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "cache")
    chosen = open_raster(grey.path, stretch=Stretch((0.0,), (9000.0,)))
    cache = EmbeddingCache(disk=store, worth=0)
    geoiseg.Session(chosen, "graphcut", cache=cache).add_point(*grey.centre)
    assert store.stretch(chosen.source_id) is None
    plain = open_raster(grey.path)
    geoiseg.Session(plain, "graphcut", cache=cache).add_point(*grey.centre)
    assert plain.stretch != chosen.stretch
    assert store.stretch(plain.source_id) == plain.stretch
    assert len(entries(store.folder)) == 2


def test_what_has_no_lasting_name_stays_in_memory(disk: Disk, tmp_path: Path) -> None:
    xarray = needed("xarray")
    store = DiskStore(tmp_path / "cache")
    pixels, _ = disk_pixels()
    array = xarray.DataArray(pixels, dims=("band", "y", "x"))
    cache = EmbeddingCache(disk=store, worth=0)
    geoiseg.Session(array, "graphcut", cache=cache).add_point(100, 90)

    class Nameless:
        decode, embed = get_model("graphcut").decode, get_model("graphcut").embed
        info = ModelInfo("mine", "own", "MIT", "under development")

    geoiseg.Session(disk.path, Nameless(), cache=cache).add_point(*disk.centre)
    assert not store.folder.exists()


def test_what_is_quick_to_make_is_not_written(disk: Disk, tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "cache")
    cache = EmbeddingCache(disk=store, worth=1e9)
    geoiseg.Session(disk.path, "graphcut", cache=cache).add_point(*disk.centre)
    assert not store.folder.exists()


def test_by_default_embeddings_are_kept_at_home(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEOISEG_HOME", str(tmp_path))
    session = geoiseg.Session(disk.path)
    cache = session.segmenter.cache
    assert cache.disk.folder == tmp_path / "embeddings"
    cache.worth = 0
    session.add_point(*disk.centre)
    (usage,) = cache.disk.usage()
    assert usage.name == str(disk.path)
    assert usage.entries == 1
    again = geoiseg.Session(disk.path)
    again.add_point(*disk.centre)
    assert again.geometry.equals(session.geometry)
    assert (again.segmenter.cache.hits, again.segmenter.cache.misses) == (1, 0)


def test_a_map_takes_a_cache(disk: Disk, tmp_path: Path) -> None:
    cache = EmbeddingCache(disk=DiskStore(tmp_path / "cache"), worth=0)
    seen = geoiseg.SegmentMap(str(disk.path), "graphcut", project=False, cache=cache)
    try:
        assert seen.session.segmenter.cache is cache
    finally:
        seen.close()
    project = tmp_path / "p.gpkg"
    for _ in range(2):
        kept = geoiseg.SegmentMap(str(disk.path), "graphcut", project=project, cache=cache)
        assert kept.session.segmenter.cache is cache
        kept.session.save(project)
        kept.close()


class Wide(TinyModel):
    """The small network with its features in float32, as other models give them, and so decoded."""

    def __init__(self) -> None:
        super().__init__(threads=1)
        graphs = self._graphs
        graphs._encoder = session(padded_within((self.folder / FILES[0]).read_bytes()), 1)
        graphs._results = {name: name for name in graphs.features}
        graphs._decoder = session((self.folder / FILES[1]).read_bytes(), 1)
        graphs._reads = [given.name for given in graphs._decoder.get_inputs()]

    def embed(self, image, valid):
        made = super().embed(image, valid)
        return replace(made, arrays={**made.arrays, "valid": valid.astype(np.float32)})

    def decode(self, embedding, prompts, previous=None):
        arrays = {name: array if name == "pixels" else array.astype(np.float32)
                  for name, array in embedding.arrays.items()}  # fmt: skip
        return super().decode(replace(embedding, arrays=arrays), prompts, previous)


@pytest.mark.realdata
def test_half_precision_does_not_show_in_masks(data: Path, tmp_path: Path) -> None:
    model = Wide()
    raster = open_raster(data / "scenes" / "fields_naip_00" / "image.tif")
    store = DiskStore(tmp_path)
    segmenter = Segmenter(raster, model, EmbeddingCache(disk=store, worth=0))
    chip = raster.chip(Window(0, 0, 512, 512))
    exact = model.embed(chip.rgb, chip.valid)
    kinds = {array.dtype for name, array in exact.arrays.items() if name != "pixels"}
    assert kinds == {np.dtype(np.float32)}
    store.save(key(), segmenter.encode(chip))
    kept = store.load(key())
    own = {name: array for name, array in kept.arrays.items() if name != "chip.valid"}
    kept = Embedding(kept.model, kept.shape, own)
    assert kept.nbytes < exact.nbytes * 0.54
    rng = np.random.default_rng(0)
    both = either = 0
    for x, y in rng.uniform(20, 490, (12, 2)):
        prompts = PixelPrompts(points=np.array([[x, y]]), positive=np.array([True]))
        one, other = (model.decode(of, prompts).logits[0] > 0 for of in (exact, kept))
        # The cut that draws the outline may tip over a few pixels at once.
        assert (one ^ other).sum() <= max(2, 0.01 * (one | other).sum())
        both, either = both + (one & other).sum(), either + (one | other).sum()
    assert both / either > 0.999


@pytest.mark.realdata
@pytest.mark.parametrize("model", list(ENGINES))
def test_what_engines_without_features_compute_is_kept_exactly(
    data: Path, store: DiskStore, model: str
) -> None:
    engine = get_model(model)
    raster = open_raster(data / "scenes" / "bldg_nepal_b1" / "image.tif")
    chip = raster.chip(Window(512, 512, 512, 512))
    store.save(key(), Segmenter(raster, engine).encode(chip))
    fresh = engine.embed(chip.rgb, chip.valid)
    kept = store.load(key())
    own = {name: array for name, array in kept.arrays.items() if name != "chip.valid"}
    same(fresh, Embedding(kept.model, kept.shape, own))


def test_damage_in_a_session_is_healed(grey: Disk, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    first = click(grey.path, grey.centre, "graphcut", folder)
    for path in entries(folder):
        path.write_bytes(path.read_bytes()[:-30])
    for note in folder.rglob("raster.json"):
        note.write_text("{")
    second = click(grey.path, grey.centre, "graphcut", folder)
    assert second["embed"] == first["embed"]
    assert second["wkt"] == first["wkt"]
    third = click(grey.path, grey.centre, "graphcut", folder)
    assert (third["read"], third["embed"]) == (0, 0)


def test_memory_is_bounded_too() -> None:
    cache = EmbeddingCache(memory_limit=3 * embedding().nbytes)
    for n in range(5):
        cache.put(key(n), embedding(n))
    assert cache.nbytes == 3 * embedding().nbytes
    assert cache.get(key(0)) is None
    assert cache.get(key(4)) is not None
    cache.clear()
    assert cache.nbytes == 0
