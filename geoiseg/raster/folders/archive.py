"""Products in archives, as they are downloaded: read in place, with nothing unpacked."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from geoiseg.errors import RasterError

HANDLERS = {".zip": "/vsizip/", ".tar": "/vsitar/", ".tgz": "/vsitar/", ".tar.gz": "/vsitar/"}
"""How GDAL reaches into archives, by their endings."""
_METADATA = ("MTD_MSIL*.xml", "*_MTL.txt", "HLS.*.Fmask.tif")
"""What a product's own folder has, and no other."""


class Place(Protocol):
    """What of ``pathlib.Path`` products are looked at by."""

    @property
    def name(self) -> str:
        """The last part of the path."""

    def __lt__(self, other: Any, /) -> bool: ...

    def __truediv__(self, name: str, /) -> Place: ...

    def is_file(self) -> bool:
        """Whether a file is there."""

    def is_dir(self) -> bool:
        """Whether a folder is there."""

    def iterdir(self) -> Iterator[Place]:
        """Yield what lies directly in it."""

    def glob(self, pattern: str) -> Iterator[Place]:
        """Yield what matches below it, part by part."""

    def rglob(self, pattern: str) -> Iterator[Place]:
        """Yield what is called so at any depth below it."""

    def read_bytes(self) -> bytes:
        """Return the content of the file."""

    def read_text(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the text of the file."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A place in an archive."""

    archive: Path
    inside: PurePosixPath
    names: frozenset[PurePosixPath]
    """All files of the archive."""

    def __str__(self) -> str:
        handler = HANDLERS[ending(self.archive) or ".zip"]
        inside = "" if self.inside == PurePosixPath() else f"/{self.inside}"
        return f"{handler}{{{self.archive.absolute().as_posix()}}}{inside}"

    def __lt__(self, other: Packed) -> bool:
        return self.inside < other.inside

    def __truediv__(self, name: str) -> Packed:
        return Packed(self.archive, self.inside / name, self.names)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.inside.name or self.archive.name

    def is_file(self) -> bool:
        """Whether a file is there."""
        return self.inside in self.names

    def is_dir(self) -> bool:
        """Whether there are files below it."""
        return any(self.inside in name.parents for name in self.names)

    def iterdir(self) -> Iterator[Packed]:
        """Yield what lies directly in it."""
        return self.glob("*")

    def glob(self, pattern: str) -> Iterator[Packed]:
        """Yield what matches below it, part by part."""
        parts, depth = pattern.split("/"), len(self.inside.parts)
        found = set()
        for name in self.names:
            if self.inside not in name.parents:
                continue
            below = name.parts[depth : depth + len(parts)]
            if len(below) == len(parts) and all(map(fnmatchcase, below, parts)):
                found.add(self.inside.joinpath(*below))
        return iter(Packed(self.archive, one, self.names) for one in sorted(found))

    def rglob(self, pattern: str) -> Iterator[Packed]:
        """Yield the files at any depth below it whose names match."""
        found = (name for name in sorted(self.names)
                 if self.inside in name.parents and fnmatchcase(name.name, pattern))  # fmt: skip
        return iter(Packed(self.archive, one, self.names) for one in found)

    def read_bytes(self) -> bytes:
        """Return the content of the file.

        Raises:
            OSError: It can not be read.
        """
        try:
            if ending(self.archive) == ".zip":
                with zipfile.ZipFile(self.archive) as packed:
                    return packed.read(str(self.inside))
            with tarfile.open(self.archive) as tar:
                names = {PurePosixPath(one.name): one for one in tar.getmembers()}
                file = tar.extractfile(names[self.inside])
                return b"" if file is None else file.read()
        except (KeyError, zipfile.BadZipFile, tarfile.TarError, RuntimeError) as error:
            raise OSError(f"{self.inside}: {error}") from error

    def read_text(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the text of the file.

        Raises:
            OSError: It can not be read.
        """
        return self.read_bytes().decode(encoding, errors)


def ending(path: Path) -> str | None:
    """Return the ending of an archive's name; None for other files."""
    name = path.name.lower()
    return next((one for one in HANDLERS if name.endswith(one)), None)


def packed_product(text: str) -> Packed | None:
    """Return the folder of the product in an archive; None where there is none.

    Args:
        text: Path of the archive, or a path into it as GDAL takes it.

    Raises:
        RasterError: The archive is damaged, or has several products.
    """
    archive, inside = _split(text)
    if archive is None:
        return None
    names = _names(archive)
    place = Packed(archive, inside, names)
    if inside in names:  # the metadata of a product, or any other file
        place = Packed(archive, inside.parent, names)
        return place if any(fnmatchcase(inside.name, one) for one in _METADATA[:2]) else None
    folders = sorted({
        one.inside.parent for pattern in _METADATA for one in place.rglob(pattern)
        if "GRANULE" not in one.inside.parts and "DATASTRIP" not in one.inside.parts
    })  # fmt: skip
    if len(folders) > 1:
        listed = ", ".join(str(one) for one in folders[:4])
        raise RasterError(f"{text} has {len(folders)} products ({listed}): give the path of one,"
                          f" {Packed(archive, folders[0], names)}")  # fmt: skip
    return Packed(archive, folders[0], names) if folders else None


def _split(text: str) -> tuple[Path | None, PurePosixPath]:
    """Return an archive and the place in it that a path is of."""
    handler = next((one for one in set(HANDLERS.values()) if text.startswith(one)), "")
    rest = text[len(handler) :]
    if handler and rest.startswith("{"):
        before, _, after = rest[1:].partition("}")
        return _file(Path(before)), PurePosixPath(after.strip("/"))
    path = Path(rest)
    if not handler:
        return _file(path), PurePosixPath()
    for folder in (path, *path.parents):
        if _file(folder) is not None:
            return folder, PurePosixPath(path.relative_to(folder).as_posix())
    return None, PurePosixPath()


def _file(path: Path) -> Path | None:
    try:
        return path if ending(path) is not None and path.is_file() else None
    except (OSError, ValueError):
        return None


def _names(archive: Path) -> frozenset[PurePosixPath]:
    try:
        if ending(archive) == ".zip":
            with zipfile.ZipFile(archive) as packed:
                names = [one.filename for one in packed.infolist() if not one.is_dir()]
        else:
            with tarfile.open(archive) as tar:
                names = [one.name for one in tar.getmembers() if one.isfile()]
    except (OSError, EOFError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise RasterError(f"{archive} can not be read as an archive: {error}") from error
    return frozenset(map(PurePosixPath, names))
