"""What tells one raster file from another, and a file from its changed self.

Not the path: a file that was moved, copied with its time or mounted elsewhere by somebody
else is the same raster, so that embeddings of it are found again.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from rasterio.errors import RasterioError

from geoiseg.raster.readers.naming import part_name

HEAD = 1 << 16
"""Bytes looked at from the start, where a header is."""
PIECES = 16
PIECE = 1 << 12
"""Bytes of each of ``PIECES`` pieces looked at from there to the end."""
NOTES = (".aux.xml",)
"""Companions that viewers write; what matters of them is asked of the open dataset."""


@dataclass(frozen=True, slots=True)
class SourceIdentity:
    """What is known of a source without reading its pixels."""

    path: str
    """As it was given."""
    file: Path | None
    """The local file that it is, or lies in."""
    fixed: str
    """What was looked at once: of companions, or of a raster elsewhere."""

    @classmethod
    def of(cls, path: str, dataset: Any) -> SourceIdentity:
        """Return the identity of an open rasterio dataset."""
        if is_elsewhere(path):
            return cls(path, None, remote_identity(path, dataset))
        files = dataset.files
        file = local_file(path) or local_file(next(iter(files), ""))
        others = (other for other in files if other != path and local_file(other) != file)
        return cls(path, file, companions_identity(others))

    @property
    def lasting(self) -> bool:
        """Whether another process can tell the source from others."""
        return self.file is not None or is_elsewhere(self.path)

    def text(self) -> str:
        """Return a text that changes when the source does, but not when it is moved."""
        if self.file is None:
            return f"{self.path}|{self.fixed}"
        part = part_name(self.path)
        plain = not part.before and Path(self.path).absolute() == self.file
        inside = "" if plain else part.at(part.path.replace(str(self.file.parent), ""))
        if part.before:
            inside = part.at(self.file.name)
        try:
            return f"{content_identity(self.file)}|{inside}|{self.fixed}"
        except OSError:  # gone, though still open here: no other process is to know it
            return f"{self.path}|{secrets.token_hex(8)}"


def is_elsewhere(path: str) -> bool:
    """Return whether a path is a URL, or a VSI path of no local file."""
    return ("://" in path or path.startswith("/vsi")) and local_file(path) is None


def local_file(path: str) -> Path | None:
    """Return the file on this machine that a path, URL or VSI path is, or lies in.

    None for what is remote, in memory or a folder.
    """
    plain = re.sub(r"^(/vsi(zip|tar|gzip|7z|rar)/)+", "", part_name(path).path)
    plain = re.sub(r"^(zip|tar|gzip|file)(\+file)?://", "", plain).partition("!")[0]
    if "://" in plain or plain.startswith("/vsi"):
        return None
    try:
        for place in (Path(plain), *Path(plain).parents):
            mode = place.stat().st_mode if place.exists() else 0
            if mode:
                return place.absolute() if stat.S_ISREG(mode) else None
    except (OSError, ValueError):
        pass
    return None


def content_identity(path: Path) -> str:
    """Return a text that changes when a file does.

    Of its size, time of change, start, and pieces from there to its end.

    Raises:
        OSError: The file can not be read.
    """
    status = path.stat()
    return _content(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _content(path: Path, size: int, changed: int) -> str:
    digest = hashlib.sha256(f"{size}|{changed // 1000}".encode())  # SMB knows no nanoseconds
    with path.open("rb") as file:
        digest.update(file.read(HEAD))
        for n in range(1, PIECES + 1):
            start = HEAD + (size - HEAD - PIECE) * n // PIECES
            if start >= HEAD:
                file.seek(start)
                digest.update(file.read(PIECE))
    return digest.hexdigest()


def companions_identity(paths: Iterable[str]) -> str:
    """Return names, sizes and times of overviews, masks and whatever a VRT consists of."""
    found = []
    for path in paths:
        name = os.path.basename(path)  # noqa: PTH119 - of many files, some with VSI paths
        if name.endswith(NOTES):
            continue
        try:
            status = os.stat(path)  # noqa: PTH116
        except (OSError, ValueError):
            found.append(path)
        else:
            found.append(f"{name}|{status.st_size}|{status.st_mtime_ns // 1000}")
    return "|".join(sorted(found))


def remote_identity(path: str, dataset: Any) -> str:
    """Return a text that changes when a raster elsewhere does, as far as its header tells.

    The address, the tags, and place and length of three blocks of a TIFF.
    """
    down, across = (
        -(-side // block) - 1
        for side, block in zip(dataset.shape, dataset.block_shapes[0], strict=True)
    )
    blocks = [(0, 0), (across // 2, down // 2), (across, down)]
    return f"{path}|{sorted(dataset.tags().items())}|{list(_places(dataset, blocks))}"


def _places(dataset: Any, blocks: Iterable[tuple[int, int]]) -> Iterable[str | None]:
    for x, y in blocks:
        for what in ("OFFSET", "SIZE"):
            try:
                yield dataset.get_tag_item(f"BLOCK_{what}_{x}_{y}", "TIFF", bidx=1)
            except RasterioError:
                yield None
