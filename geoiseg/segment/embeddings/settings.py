"""The user's own cache of embeddings: where it is and how much it may hold."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path

from geoiseg.errors import CacheError
from geoiseg.home import home
from geoiseg.segment.embeddings.cache import EmbeddingCache
from geoiseg.segment.embeddings.remote import RemoteStore
from geoiseg.segment.embeddings.store import DISK_LIMIT, DiskStore

FOLDER = "embeddings"
"""Within the home of geoiseg."""
LIMIT_VARIABLE = "GEOISEG_CACHE_LIMIT"
SHARED_VARIABLE = "GEOISEG_SHARED_EMBEDDINGS"
"""Names folders and URLs of embeddings that others made, separated as in PATH."""
_URL = re.compile(r"(?:[a-z][a-z0-9+.-]*::)*[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_NEXT = re.compile(rf"[:;](?=$|~|\.|/(?!/)|{_URL.pattern})", re.IGNORECASE)
"""What may follow a separator after a URL, which has colons of its own."""
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def default_cache() -> EmbeddingCache:
    """Return a cache in memory before the user's own on disk.

    Raises:
        CacheError: ``GEOISEG_CACHE_LIMIT`` is no number of bytes.
    """
    return EmbeddingCache(disk=default_store())


def default_store(folder: Path | None = None) -> DiskStore | None:
    """Return the user's cache on disk, one object per process; None where it is off.

    Args:
        folder: Another place than the user's own.

    Raises:
        CacheError: ``GEOISEG_CACHE_LIMIT`` is no number of bytes; fsspec does not know a URL.
        MissingExtraError: fsspec, or its driver for a URL, is not installed.
    """
    limit = parse_size(os.environ.get(LIMIT_VARIABLE), DISK_LIMIT)
    if not limit:
        return None
    shared = shared_places(os.environ.get(SHARED_VARIABLE, ""))
    folders = tuple(Path(at).expanduser().absolute() for at in shared if not is_url(at))
    urls = tuple(at for at in shared if is_url(at))
    return _store(folder or home() / FOLDER, limit, folders, urls)


@lru_cache(maxsize=16)
def _store(folder: Path, limit: int, shared: tuple[Path, ...], urls: tuple[str, ...]) -> DiskStore:
    return DiskStore(folder, limit, shared, tuple(RemoteStore(url) for url in urls))


def is_url(place: str) -> bool:
    """Return whether a place is a URL rather than a folder."""
    return _URL.match(place) is not None


def shared_places(text: str, separator: str = os.pathsep) -> list[str]:
    """Return the folders and URLs of a text in which they are separated as in PATH.

    After a URL, a relative folder has to begin with a dot.
    """
    places = []
    while text:
        url = _URL.match(text)
        if url is not None:
            ends = (end for end in _NEXT.finditer(text, url.end()) if end[0] == separator)
            at = next((end.start() for end in ends), len(text))
        else:
            at = (text + separator).index(separator)
        places.append(text[:at])
        text = text[at + 1 :]
    return [place for place in places if place]


def parse_size(text: str | None, default: int) -> int:
    """Return the bytes of a text such as ``20GB`` or ``512 MiB``; 0 for ``off``.

    Units count in powers of 1024.

    Raises:
        CacheError: It is no size.
    """
    if text is None or not text.strip():
        return default
    plain = text.strip().lower()
    if plain == "off":
        return 0
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", plain)
    if match is None:
        raise CacheError(
            f"{LIMIT_VARIABLE} is a size such as 20GB, or off; got {text!r}; change or unset it"
        )
    return int(float(match[1]) * _UNITS[match[2]])


def size_text(nbytes: float) -> str:
    """Return a size as people read it, e.g. ``1.4 GiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if nbytes < 1000 or unit == "GiB":
            break
        nbytes /= 1024
    return f"{nbytes:.0f} {unit}" if nbytes >= 10 or unit == "B" else f"{nbytes:.1f} {unit}"
