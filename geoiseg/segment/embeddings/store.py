"""Embeddings on disk: one folder per source, one file per chip, the latest used are kept.

Made for several processes, users and machines at once, without a lock: a file appears by
a rename, whole or not at all; a reader takes whatever is there; whoever finds a file gone
or damaged makes the embedding again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from geoiseg.errors import CacheError
from geoiseg.models import Embedding
from geoiseg.raster import Stretch
from geoiseg.segment.embeddings.entry import DAMAGE, read_entry, write_entry
from geoiseg.segment.embeddings.key import EmbeddingKey, folder_of
from geoiseg.segment.embeddings.remote import RemoteStore
from geoiseg.segment.embeddings.shelf import NOTE, Shelf, SourceUsage, next_note, read_note

__all__ = ["DiskStore", "SourceUsage"]

log = logging.getLogger(__name__)

DISK_LIMIT = 4 << 30
"""Bytes of embeddings kept on disk by default."""
RECOUNT = 20
"""The folder is counted again after this part of the limit was written from here."""


class DiskStore:
    """Embeddings in a folder, up to a number of bytes. Thread- and process-safe.

    Args:
        folder: Where to read and write; made when something is written.
        limit: Bytes after which the least recently used are removed.
        shared: Folders made by others, which are only read.
        remotes: Stores elsewhere, which are read last and sent what is made here.
    """

    def __init__(
        self,
        folder: Path,
        limit: int = DISK_LIMIT,
        shared: tuple[Path, ...] = (),
        remotes: tuple[RemoteStore, ...] = (),
    ) -> None:
        self.folder, self.limit, self.shared, self.remotes = folder, limit, shared, remotes
        self._shelf = Shelf(folder)
        self._used: int | None = None
        self._uncounted = 0
        self._lock = threading.Lock()
        self._gave_up = False

    # -- reading ---------------------------------------------------------------------

    def load(self, key: EmbeddingKey) -> Embedding | None:
        """Return the embedding kept under ``key``, or None; never fails.

        A damaged file is removed where it may be, and logged.
        """
        for folder in (self.folder, *self.shared):
            path = _path(folder, key)
            try:
                embedding = read_entry(path, key.digest)
            except FileNotFoundError:
                continue
            except OSError as error:
                log.debug("can not read %s: %s", path, error)
                continue
            except DAMAGE as error:
                self._discard(path, folder, error)
                continue
            if folder == self.folder:
                with contextlib.suppress(OSError):  # a folder that may only be read
                    os.utime(path)
            return embedding
        return self._fetch(key)

    def _fetch(self, key: EmbeddingKey) -> Embedding | None:
        """Return an embedding from elsewhere, kept here from now on."""
        for remote in self.remotes:
            embedding = remote.load(key)
            if embedding is not None:
                self._try(key, embedding)
                return embedding
        return None

    def _discard(self, path: Path, folder: Path, error: BaseException) -> None:
        log.warning("%s is damaged and is made again (%s)", path, " ".join(str(error).split()))
        if folder == self.folder:
            with contextlib.suppress(OSError):
                path.unlink()

    def has(self, key: EmbeddingKey) -> bool:
        """Return whether there is an embedding of that key; it counts as used."""
        own = _path(self.folder, key)
        try:
            os.utime(own)
        except FileNotFoundError:
            near = any(_path(folder, key).exists() for folder in self.shared)
            return near or any(remote.has(key) for remote in self.remotes)
        except OSError:
            return own.exists()
        return True

    def stretch(self, source: str) -> Stretch | None:
        """Return the stretch that was found in a source before, or None."""
        for folder in (self.folder, *self.shared):
            note = read_note(folder / folder_of(source))
            if note is not None and note.stretch is not None:
                return note.stretch
        found = (remote.stretch(source) for remote in self.remotes)
        return next((stretch for stretch in found if stretch is not None), None)

    # -- writing ---------------------------------------------------------------------

    def keep(self, key: EmbeddingKey, embedding: Embedding) -> None:
        """Write an embedding where that is possible; the first failure is the last try."""
        self._try(key, embedding)
        self._send(key, embedding)

    def _try(self, key: EmbeddingKey, embedding: Embedding) -> None:
        if self._gave_up:
            return
        try:
            self._write(key, embedding)
        except CacheError as error:
            self._gave_up = True
            log.warning("%s; going on without writing any", error)

    def _send(self, key: EmbeddingKey, embedding: Embedding) -> None:
        for remote in self.remotes:
            remote.keep(key, embedding)

    def flush(self) -> None:
        """Wait until what was made is also where it is to be sent."""
        for remote in self.remotes:
            remote.flush()

    def save(self, key: EmbeddingKey, embedding: Embedding) -> bool:
        """Write an embedding, remove old ones over the limit, and say whether it is kept.

        One that is larger than the limit is not written.

        Raises:
            CacheError: It can not be written: no room, no right, no such disk.
        """
        kept = self._write(key, embedding)
        self._send(key, embedding)
        return kept

    def _write(self, key: EmbeddingKey, embedding: Embedding) -> bool:
        if embedding.nbytes > self.limit:
            return False
        folder = self.folder / key.folder
        size = 0

        def fill(file: BinaryIO) -> None:
            nonlocal size
            write_entry(file, key.digest, embedding)
            size = file.tell()

        try:
            _place(_path(self.folder, key), fill)
            note = next_note(read_note(folder), key)
            if note is not None:
                _place(folder / NOTE, lambda file: _put(file, note))
        except OSError as error:
            reason = error.strerror or " ".join(str(error).split())
            raise CacheError(
                f"can not write embeddings to {self.folder}: {reason}"
                " (GEOISEG_HOME chooses another place)"
            ) from error
        self._count(size)
        return True

    def claim(self, key: EmbeddingKey) -> bool:
        """Return False where another process has said that it makes this embedding."""
        path = _path(self.folder, key).with_suffix(".claim")
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.open("xb").close()
        except FileExistsError:
            return False
        except OSError:
            return True  # whether anything can be written is for ``save`` to find out
        return True

    def release(self, key: EmbeddingKey) -> None:
        """Take a claim back."""
        with contextlib.suppress(OSError):
            _path(self.folder, key).with_suffix(".claim").unlink()

    def _count(self, size: int) -> None:
        with self._lock:
            self._uncounted += size
            if self._used is not None:
                self._used += size
            full = self._used is None or self._used > self.limit
            if full or self._uncounted > self.limit // RECOUNT:
                self._used, self._uncounted = self._shelf.trim(self.limit), 0

    # -- looking after ---------------------------------------------------------------

    def usage(self) -> list[SourceUsage]:
        """Return what is kept of each source, the last used first; shared folders not."""
        return self._shelf.usage()

    def clear(self, name: str | None = None) -> int:
        """Remove everything, or what is kept of the rasters of a name; return the bytes."""
        with self._lock:
            self._used = None
            return self._shelf.clear(name)


def _path(folder: Path, key: EmbeddingKey) -> Path:
    return folder / key.folder / f"{key.digest}.npz"


def _put(file: BinaryIO, text: str) -> None:
    file.write(text.encode())


def _place(path: Path, fill: Callable[[BinaryIO], None]) -> None:
    """Write a file under another name and rename it. Not flushed: it can be made again."""
    for last_try in (False, True):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.stem}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
        try:
            with part.open("xb") as file:
                fill(file)
            part.replace(path)
        except FileNotFoundError:  # the folder was just removed by whoever cleared it
            if last_try:
                raise
        except PermissionError:  # Windows: somebody reads what another process has put there
            if not path.exists():
                raise
            return
        else:
            return
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
