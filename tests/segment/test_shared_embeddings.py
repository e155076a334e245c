"""Embeddings under a URL: read, written, healed, and never in the way of a click."""

from __future__ import annotations

import logging
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import geoiseg
from geoiseg.errors import CacheError, MissingExtraError
from geoiseg.models.protocol import Embedding
from geoiseg.raster.grid import Window
from geoiseg.raster.image import Stretch
from geoiseg.segment.embeddings import DiskStore, EmbeddingCache, EmbeddingKey, Origin, RemoteStore
from geoiseg.segment.embeddings.settings import shared_places
from geoiseg.tiled.encode import EmbedOptions, embed_raster
from tests.conftest import Disk, needed

fsspec = needed("fsspec")
STRETCH = Stretch((0.0,) * 3, (255.0,) * 3)


def key(n: int = 0) -> EmbeddingKey:
    origin = Origin("scene.tif", stretch_found=True)
    return EmbeddingKey("one", STRETCH, 0, Window(n, 0, 8, 8), "model@1", origin)


def embedding(seed: int = 0) -> Embedding:
    array = np.random.default_rng(seed).normal(size=(2, 64, 64)).astype(np.float32)
    return Embedding("model:1", (64, 64), {"features": array})


def same(one: Embedding, other: Embedding | None) -> None:
    assert other is not None
    assert set(one.arrays) == set(other.arrays)
    for name, array in one.arrays.items():
        np.testing.assert_array_equal(other.arrays[name], array)


class Ftp:
    """A real FTP server of a folder, in a thread."""

    def __init__(self, folder: Path, port: int = 0, rights: str = "elradfmwMT") -> None:
        needed("pyftpdlib")
        from pyftpdlib.authorizers import DummyAuthorizer
        from pyftpdlib.handlers import FTPHandler
        from pyftpdlib.servers import FTPServer

        authorizer = DummyAuthorizer()
        authorizer.add_user("me", "secret", str(folder), perm=rights)
        handler = type("Handler", (FTPHandler,), {"authorizer": authorizer})
        logging.getLogger("pyftpdlib").setLevel(logging.ERROR)
        self.server = FTPServer(("127.0.0.1", port), handler)
        self.port = self.server.address[1]
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while not self.stop.is_set():
            self.server.serve_forever(timeout=0.05, blocking=False)
        self.server.close_all()

    @property
    def url(self) -> str:
        return f"ftp://me:secret@127.0.0.1:{self.port}/team/one"

    def close(self) -> None:
        self.stop.set()
        self.thread.join(20)


@dataclass
class Place:
    url: str

    def files(self) -> list[str]:
        files, root = fsspec.core.url_to_fs(self.url, skip_instance_cache=True)
        return sorted(path.rpartition("/")[2] for path in files.find(root))

    def write(self, name: str, data: bytes) -> None:
        files, root = fsspec.core.url_to_fs(self.url, skip_instance_cache=True)
        files.pipe_file(f"{root}/{name}", data)


@pytest.fixture(params=["file", "memory", "ftp"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "file":
        yield Place((tmp_path / "team").as_uri())
    elif request.param == "memory":
        yield Place(f"memory://{tmp_path.name}/team")
        fsspec.filesystem("memory").rm(f"/{tmp_path.name}", recursive=True)
    else:
        (tmp_path / "served").mkdir()
        server = Ftp(tmp_path / "served")
        yield Place(server.url)
        server.close()


def test_what_one_writes_another_reads(place: Place) -> None:
    store = RemoteStore(place.url)
    assert store.load(key()) is None
    assert not store.has(key())
    assert store.stretch("one") is None
    assert store.save(key(), embedding())
    store.keep(key(1), embedding(1))
    store.flush()
    assert place.files() == sorted(
        [f"{key().digest}.npz", f"{key(1).digest}.npz", "raster.json"]
    )  # and nothing unfinished
    other = RemoteStore(place.url)
    same(embedding(), other.load(key()))
    same(embedding(1), other.load(key(1)))
    assert other.has(key())
    assert not other.has(key(2))
    assert other.stretch("one") == STRETCH
    store.save(key(2), embedding(2))
    assert other.has(key(2))
    store.save(key(2), embedding(3))
    same(embedding(3), other.load(key(2)))


@pytest.mark.parametrize("damage", ["cut", "bit", "other"])
def test_damage_is_removed_and_made_again(
    place: Place, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = RemoteStore(place.url)
    store.save(key(), embedding())
    files, root = fsspec.core.url_to_fs(place.url, skip_instance_cache=True)
    name = f"{key().folder}/{key().digest}.npz"
    data = bytearray(files.cat_file(f"{root}/{name}"))
    data[len(data) // 2] ^= 4
    spoilt = {"cut": bytes(data[: len(data) // 2]), "bit": bytes(data), "other": b"no archive"}
    place.write(name, spoilt[damage])
    assert store.load(key()) is None
    assert "is damaged and is made again" in caplog.text
    assert "secret" not in caplog.text
    assert f"{key().digest}.npz" not in place.files()
    store.save(key(), embedding())
    same(embedding(), store.load(key()))


def test_ones_own_folder_keeps_what_came_from_elsewhere(place: Place, tmp_path: Path) -> None:
    first = DiskStore(tmp_path / "a", remotes=(RemoteStore(place.url),))
    first.keep(key(), embedding())
    first.flush()
    second = DiskStore(tmp_path / "b", remotes=(RemoteStore(place.url),))
    assert second.has(key())
    assert second.stretch("one") == STRETCH
    same(embedding(), second.load(key()))
    same(embedding(), DiskStore(tmp_path / "b").load(key()))


def test_a_click_elsewhere_reads_and_encodes_nothing(
    place: Place, disk: Disk, tmp_path: Path
) -> None:
    outlines = []
    for name, found in (("a", 0), ("b", 1)):
        store = DiskStore(tmp_path / name, remotes=(RemoteStore(place.url),))
        cache = EmbeddingCache(disk=store, worth=0)
        session = geoiseg.Session(str(disk.path), "graphcut", cache=cache)
        session.add_point(*disk.centre)
        store.flush()
        assert (cache.hits > 0, cache.misses) == (bool(found), 1 - found)
        outlines.append(session.geometry)
    assert outlines[0].equals(outlines[1])


def test_a_raster_is_encoded_ahead_to_a_url(place: Place, disk: Disk) -> None:
    options = EmbedOptions(levels=(0,))
    made = embed_raster(str(disk.path), "graphcut", options, store=RemoteStore(place.url))
    assert made.made == made.chips == 1
    assert "secret" not in str(made.folder)
    again = embed_raster(str(disk.path), "graphcut", options, store=RemoteStore(place.url))
    assert (again.made, again.there) == (0, 1)


def test_the_variable_takes_urls(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    team = tmp_path / "team"
    monkeypatch.setenv("GEOISEG_SHARED_EMBEDDINGS", f"{tmp_path / 'none'}:{team.as_uri()}")
    for n in range(2):
        monkeypatch.setenv("GEOISEG_HOME", str(tmp_path / f"home{n}"))
        session = geoiseg.Session(str(disk.path), "graphcut")
        session.segmenter.cache.worth = 0
        session.add_point(*disk.centre)
        session.segmenter.cache.disk.flush()
        assert session.segmenter.cache.hits == n
    assert len(list(team.rglob("*.npz"))) == 1


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("", []),
        ("/a:b::/c", ["/a", "b", "/c"]),
        ("s3://one/x:/two", ["s3://one/x", "/two"]),
        ("/two:s3://one:gs://b/c:~/d:./e", ["/two", "s3://one", "gs://b/c", "~/d", "./e"]),
        ("ftp://me:pw@host:21/x:/y", ["ftp://me:pw@host:21/x", "/y"]),
        ("simplecache::s3://one/x:memory://m", ["simplecache::s3://one/x", "memory://m"]),
        ("file:///a/b:", ["file:///a/b"]),
    ],
)
def test_urls_and_folders_are_told_apart(text: str, places: list[str]) -> None:
    assert shared_places(text, ":") == places
    assert shared_places(";".join(places), ";") == places


def test_a_store_that_is_gone_stops_nothing(
    disk: Disk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    remote = RemoteStore(f"ftp://me:secret@127.0.0.1:{port}/team")
    store = DiskStore(tmp_path / "own", remotes=(remote,))
    session = geoiseg.Session(str(disk.path), "graphcut", cache=EmbeddingCache(disk=store, worth=0))
    session.add_point(*disk.centre)
    store.flush()
    assert session.geometry is not None
    assert caplog.text.count("going on without it") == 1  # then it is left alone
    assert caplog.text.count("going on without sending any") == 1
    assert "secret" not in caplog.text
    assert len(list((tmp_path / "own").rglob("*.npz"))) == 1
    with pytest.raises(CacheError, match="can not write embeddings to ftp://127"):
        remote.save(key(), embedding())


def test_a_server_that_was_started_again_is_found_again(tmp_path: Path) -> None:
    server = Ftp(tmp_path)
    store = RemoteStore(server.url)
    store.save(key(), embedding())
    server.close()
    again = Ftp(tmp_path, server.port)
    try:
        store.save(key(1), embedding(1))
        same(embedding(), store.load(key()))
        same(embedding(1), store.load(key(1)))
    finally:
        again.close()


def test_a_store_that_may_only_be_read_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = Ftp(tmp_path)
    RemoteStore(server.url).save(key(), embedding())
    server.close()
    server = Ftp(tmp_path, rights="elr")
    try:
        store = DiskStore(tmp_path / "own", remotes=(RemoteStore(server.url),))
        same(embedding(), store.load(key()))
        for n in (1, 2):
            store.keep(key(n), embedding(n))
        store.flush()
        assert caplog.text.count("going on without sending any") == 1
        same(embedding(1), store.load(key(1)))
    finally:
        server.close()


def test_several_threads_share_one_connection(place: Place) -> None:
    store = RemoteStore(place.url)
    wrong = []

    def work(n: int) -> None:
        store.keep(key(n), embedding(n))
        for other in range(6):
            found = store.load(key(other))
            if found is not None and not np.array_equal(
                found.arrays["features"], embedding(other).arrays["features"]
            ):
                wrong.append(other)

    crowd = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join(60)
    store.flush()
    assert not wrong
    for n in range(6):
        same(embedding(n), store.load(key(n)))


def test_what_there_is_no_driver_for_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CacheError, match="fsspec knows no nothing://") as unknown:
        RemoteStore("nothing://me:secret@x/y")
    assert "\n" not in str(unknown.value)
    assert "secret" not in str(unknown.value)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(needed("fsspec.registry")._registry, "s3", raising=False)
    with pytest.raises(MissingExtraError, match="s3fs"):
        RemoteStore("s3://bucket/team")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    monkeypatch.setenv("GEOISEG_SHARED_EMBEDDINGS", "memory://without")
    with pytest.raises(MissingExtraError, match=r"pip install 'geoiseg\[remote\]'"):
        geoiseg.segment.embeddings.default_cache()
