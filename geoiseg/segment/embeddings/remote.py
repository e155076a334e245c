"""Embeddings in an object store, or in whatever else fsspec reaches by a URL.

The layout is that of a folder, see ``DiskStore``; nothing here is ever trimmed. What goes
wrong there is noted, and the embedding is made as if there were no store.
"""

from __future__ import annotations

import io
import logging
import os
import re
import secrets
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from geoiseg.errors import CacheError, GeoisegError, MissingExtraError, require
from geoiseg.models import Embedding
from geoiseg.raster import Stretch
from geoiseg.segment.embeddings.entry import DAMAGE, read_entry, write_entry
from geoiseg.segment.embeddings.key import EmbeddingKey, folder_of
from geoiseg.segment.embeddings.shelf import NOTE, Note, next_note, parse_note

log = logging.getLogger(__name__)

T = TypeVar("T")
WHOLE = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"})
"""Protocols whose objects appear whole or not at all, and that have no folders to make."""
WAITING = 8
"""Embeddings that wait to be sent; who makes more waits, too."""
REST = 60.0
"""Seconds for which a store that failed is left alone, so that clicks do not wait for it."""


def shown(url: str) -> str:
    """Return a URL without the user and the password in it."""
    return re.sub(r"://[^/@]*(?:@[^/@]*)*@", "://", url)


@dataclass(slots=True)
class _Line:
    """What one process has open to a store; no child inherits it."""

    pid: int = field(default_factory=os.getpid)
    files: Any = None
    root: str = ""
    lock: threading.RLock = field(default_factory=threading.RLock)
    sender: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, "geoiseg-share")
    )
    room: threading.BoundedSemaphore = field(
        default_factory=lambda: threading.BoundedSemaphore(WAITING)
    )
    last: Future[None] | None = None


class RemoteStore:
    """Embeddings under a URL such as ``s3://bucket/team``. Thread-safe.

    Args:
        url: With a protocol that fsspec knows.

    Raises:
        MissingExtraError: fsspec is not installed.
        CacheError: fsspec does not know the protocol, or its driver is not installed.
    """

    limit = sys.maxsize
    """The store's own affair."""

    def __init__(self, url: str) -> None:
        self.url, self.folder = url, shown(url)
        self._line = _Line()
        self._resting = 0.0
        self._gave_up = False
        _check_driver(url)

    # -- reading ---------------------------------------------------------------------

    def load(self, key: EmbeddingKey) -> Embedding | None:
        """Return the embedding kept under ``key``, or None; never fails.

        A damaged one is removed where it may be, and logged.
        """
        data = self._read(_name(key))
        if data is None:
            return None
        try:
            return read_entry(io.BytesIO(data), key.digest)
        except (OSError, *DAMAGE) as error:
            reason = " ".join(str(error).split())
            log.warning("%s/%s is damaged and is made again (%s)", self.folder, _name(key), reason)
        self._quietly(lambda files, root: files.rm_file(f"{root}/{_name(key)}"))
        return None

    def has(self, key: EmbeddingKey) -> bool:
        """Return whether there is an embedding of that key, as far as the store answers."""

        def look(files: Any, root: str) -> bool:
            files.invalidate_cache()  # others write, too
            return bool(files.exists(f"{root}/{_name(key)}"))

        return bool(self._quietly(look))

    def stretch(self, source: str) -> Stretch | None:
        """Return the stretch that was found in a source before, or None."""
        note = self._note(folder_of(source))
        return None if note is None else note.stretch

    def _note(self, folder: str) -> Note | None:
        data = self._read(f"{folder}/{NOTE}")
        return None if data is None else parse_note(data)

    def _read(self, name: str) -> bytes | None:
        found = self._quietly(lambda files, root: files.cat_file(f"{root}/{name}"))
        return None if found is None else bytes(found)

    # -- writing ---------------------------------------------------------------------

    def keep(self, key: EmbeddingKey, embedding: Embedding) -> None:
        """Send an embedding beside other work; the first failure is the last try."""
        if self._gave_up:
            return
        line = self._own_line()
        line.room.acquire()
        line.last = line.sender.submit(self._send, line, key, embedding)

    def _send(self, line: _Line, key: EmbeddingKey, embedding: Embedding) -> None:
        try:
            if not self._gave_up:
                self.save(key, embedding)
        except CacheError as error:
            self._gave_up = True
            log.warning("%s; going on without sending any", error)
        finally:
            line.room.release()

    def flush(self) -> None:
        """Wait until everything that ``keep`` was given is sent, or given up."""
        last = self._own_line().last
        if last is not None:
            last.result()

    def save(self, key: EmbeddingKey, embedding: Embedding) -> bool:
        """Write an embedding, whole or not at all, and say that it is kept.

        Raises:
            CacheError: It can not be written.
        """
        data = io.BytesIO()
        write_entry(data, key.digest, embedding)
        note = next_note(self._note(key.folder), key)
        try:
            self._do(lambda files, root: _place(files, f"{root}/{_name(key)}", data.getvalue()))
            if note is not None:
                path = f"{key.folder}/{NOTE}"
                self._do(lambda files, root: _place(files, f"{root}/{path}", note.encode()))
        except GeoisegError:
            raise
        except Exception as error:  # each driver raises what it likes
            reason = self._reason(error)
            raise CacheError(f"can not write embeddings to {self.folder}: {reason}") from error
        return True

    def claim(self, key: EmbeddingKey) -> bool:  # noqa: ARG002 - as DiskStore has it
        """Return True: nobody can know what others are at in a store without locks."""
        return True

    def release(self, key: EmbeddingKey) -> None:
        """Do nothing; there are no claims."""

    # -- the store -------------------------------------------------------------------

    def _quietly(self, work: Callable[[Any, str], T]) -> T | None:
        """Return what some work on the store gives, None where it fails or nothing is there."""
        if time.monotonic() < self._resting:
            return None
        try:
            return self._do(work)
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001 - each driver raises what it likes
            self._resting = time.monotonic() + REST
            reason = self._reason(error)
            log.warning("%s does not answer: %s; going on without it", self.folder, reason)
            return None

    def _reason(self, error: Exception) -> str:
        """Return a line on what went wrong, without any password."""
        text = " ".join(str(error).split()) or type(error).__name__
        return shown(text.replace(self.url, self.folder))

    def _own_line(self) -> _Line:
        if self._line.pid != os.getpid():
            self._line = _Line()
        return self._line

    def _do(self, work: Callable[[Any, str], T]) -> T:
        """Return what some work on the store gives; a connection that was lost is made again."""
        line = self._own_line()
        with line.lock:  # some drivers have one connection, which can do one thing at a time
            fresh = line.files is None
            try:
                return work(*self._open(line))
            except (FileNotFoundError, GeoisegError):
                raise
            except Exception:  # each driver raises what it likes; the line may be lost
                line.files = None
                if fresh:
                    raise
            return work(*self._open(line))

    def _open(self, line: _Line) -> tuple[Any, str]:
        if line.files is None:
            fsspec: Any = require("fsspec.core", "remote")
            line.files, root = fsspec.url_to_fs(self.url, skip_instance_cache=True)
            line.root = str(root).rstrip("/")
        return line.files, line.root


def _check_driver(url: str) -> None:
    """Find out at once, without asking the store, whether there is a driver for a URL."""
    fsspec: Any = require("fsspec", "remote")
    protocols = [part for part in url.split("://", 1)[0].split("::") if part]
    for protocol in protocols:
        try:
            fsspec.get_filesystem_class(protocol)
        except ImportError as error:
            reason = " ".join(str(error).split())
            raise MissingExtraError(
                f"{shown(url)} needs a driver that is not installed: {reason}"
            ) from error
        except ValueError as error:
            raise CacheError(
                f"fsspec knows no {protocol}://, got {shown(url)!r}; take s3://, gs://, az://,"
                " ftp://, file:// or another of its protocols"
            ) from error


def _name(key: EmbeddingKey) -> str:
    return f"{key.folder}/{key.digest}.npz"


def _place(files: Any, path: str, data: bytes) -> None:
    """Write a file so that nobody ever reads half of it."""
    if WHOLE.intersection(_protocols(files)):
        files.pipe_file(path, data)
        return
    folder, _, name = path.rpartition("/")
    files.makedirs(folder, exist_ok=True)
    part = f"{folder}/.{name}.{secrets.token_hex(8)}.tmp"
    try:
        files.pipe_file(part, data)
        files.mv(part, path)
    except Exception:
        files.invalidate_cache()
        if files.exists(part):
            files.rm_file(part)
        if not files.exists(path):  # else somebody has just put the same there
            raise


def _protocols(files: Any) -> tuple[str, ...]:
    protocol = files.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)
