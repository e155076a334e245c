"""The files of an embedding cache as files: what is there, how old, and what goes first."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from geoiseg.errors import RasterError
from geoiseg.raster import Stretch
from geoiseg.segment.embeddings.key import EmbeddingKey

NOTE = "raster.json"
"""The file that says which raster a folder is of."""
RULE = 2
"""Of how contrast limits are found; those of another one are found anew."""
SPARED = 0.9
"""Share of the limit that is left when it was passed, so that not every file trims."""
STALE = 3600.0
"""Seconds after which an unfinished file has no owner any more."""
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Note:
    """What the cache knows of a raster."""

    name: str
    stretch: Stretch | None
    """The one found in the raster itself; None where only others were used."""


@dataclass(frozen=True, slots=True)
class SourceUsage:
    """What is kept of one source."""

    name: str
    """Path or URL of the raster; empty where it is not known."""
    entries: int
    """Embeddings."""
    nbytes: int
    used: float
    """When one of them was last used, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """The folder of a cache; files may come and go while it is looked at."""

    folder: Path

    def trim(self, limit: int) -> int:
        """Remove the least recently used entries over ``limit``; return the bytes left."""
        self._sweep()
        found = sorted(
            ((status.st_mtime, status.st_size, path) for path, status in self._entries()),
            key=lambda item: item[0],
        )
        left = sum(size for _, size, _ in found)
        if left <= limit:
            return left
        for _, size, path in found[:-1]:
            if left <= limit * SPARED:
                break
            if _remove(path):
                left -= size
        self._remove_empty()
        return left

    def usage(self) -> list[SourceUsage]:
        """Return what is kept of each source, the last used first."""
        sizes: dict[Path, list[os.stat_result]] = {}
        for path, status in self._entries():
            sizes.setdefault(path.parent, []).append(status)
        found = []
        for folder, each in sizes.items():
            note = read_note(folder)
            total, used = sum(one.st_size for one in each), max(one.st_mtime for one in each)
            found.append(SourceUsage(note.name if note else "", len(each), total, used))
        return sorted(found, key=lambda item: -item.used)

    def clear(self, name: str | None) -> int:
        """Remove all entries, or those of the rasters of a name; return the bytes freed."""
        freed = 0
        for path, status in list(self._entries()):
            note = None if name is None else read_note(path.parent)
            if name is None or (note is not None and note.name == name):
                freed += status.st_size if _remove(path) else 0
        self._sweep(0.0 if name is None else STALE)
        self._remove_empty()
        return freed

    def _folders(self) -> Iterator[Path]:
        """Yield the folders of sources, and nothing that somebody else put there."""
        with contextlib.suppress(OSError), os.scandir(self.folder) as found:
            for item in found:
                if len(item.name) == 32 and _HEX.issuperset(item.name) and item.is_dir():
                    yield Path(item.path)

    def _files(self, suffixes: tuple[str, ...]) -> Iterator[tuple[Path, os.stat_result]]:
        for folder in self._folders():
            with contextlib.suppress(OSError), os.scandir(folder) as found:
                for item in found:
                    if item.name.endswith(suffixes):
                        with contextlib.suppress(OSError):
                            yield Path(item.path), item.stat()

    def _entries(self) -> Iterator[tuple[Path, os.stat_result]]:
        return self._files((".npz",))

    def _sweep(self, older_than: float = STALE) -> None:
        """Remove what processes left behind that did not live to finish it."""
        now = time.time()
        for path, status in list(self._files((".tmp", ".claim"))):
            if now - status.st_mtime > older_than:
                _remove(path)

    def _remove_empty(self) -> None:
        for folder in list(self._folders()):
            with contextlib.suppress(OSError):
                if {path.name for path in folder.iterdir()} <= {NOTE}:
                    _remove(folder / NOTE)
                    folder.rmdir()  # fails where somebody has just put something there


def read_note(folder: Path) -> Note | None:
    """Return what is known of the raster of a folder, or None."""
    try:
        return parse_note((folder / NOTE).read_bytes())
    except OSError:
        return None


def parse_note(data: bytes) -> Note | None:
    """Return what a note says, None where it is damaged."""
    try:
        read = json.loads(data)
        limits = read["stretch"] if read.get("rule") == RULE else None
        stretch = None if limits is None else Stretch(tuple(limits[0]), tuple(limits[1]))
        return Note(str(read["name"]), stretch)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RasterError):
        return None


def next_note(note: Note | None, key: EmbeddingKey) -> str | None:
    """Return the text to note for the raster of a key, None where all of it is noted.

    Args:
        note: What is noted already.
        key: Of an embedding of the raster.
    """
    if key.origin is None:
        return None
    if note is not None and (note.stretch is not None or not key.origin.stretch_found):
        return None
    stretch = key.stretch if key.origin.stretch_found else None
    limits = None if stretch is None else [list(stretch.low), list(stretch.high)]
    name = key.origin.name if note is None else note.name
    return json.dumps({"name": name, "stretch": limits, "rule": RULE})


def _remove(path: Path) -> bool:
    """Remove a file, and say whether it is gone; somebody may be reading it (Windows)."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True
