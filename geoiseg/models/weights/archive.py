"""Zip and tar seen alike: texts and files by name."""

from __future__ import annotations

import contextlib
import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from geoiseg.errors import WeightsError


class Members(Protocol):
    """The files of an archive by name; nothing is ever unpacked to a path it names."""

    def size(self, name: str) -> int:
        """Return the bytes of a member, or -1."""

    def open(self, name: str) -> Any:
        """Return a member to read from."""


class _Zip:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def size(self, name: str) -> int:
        try:
            return self._archive.getinfo(name).file_size
        except KeyError:
            return -1

    def open(self, name: str) -> Any:
        return self._archive.open(name)


class _Tar:
    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self._members = {member.name: member for member in archive if member.isreg()}

    def size(self, name: str) -> int:
        member = self._members.get(name)
        return -1 if member is None else member.size

    def open(self, name: str) -> Any:
        member = self._members.get(name)
        handle = None if member is None else self._archive.extractfile(member)
        if handle is None:
            raise KeyError(name)
        return handle


@contextlib.contextmanager
def reader(path: Path) -> Iterator[Members]:
    """Open a zip or tar for reading.

    Raises:
        WeightsError: There is none, or it is damaged.
    """
    if not path.is_file():
        raise WeightsError(f"there is no file {str(path)!r}")
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                yield _Zip(archive)
        else:
            with tarfile.open(path, "r:") as tar:
                yield _Tar(tar)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise WeightsError(f"{path} is no bundle of geoiseg, or is damaged") from error


@contextlib.contextmanager
def writer(path: Path) -> Iterator[Callable[[str, str | Path], None]]:
    """Give what adds a text or a file under a name to a new archive."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:

            def add_to_zip(name: str, content: str | Path) -> None:
                if isinstance(content, Path):
                    archive.write(content, name)
                else:
                    archive.writestr(name, content)

            yield add_to_zip
        return
    with tarfile.open(path, "w") as tar:

        def add_to_tar(name: str, content: str | Path) -> None:
            if isinstance(content, Path):
                tar.add(content, name, recursive=False)
            else:
                data = content.encode()
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))

        yield add_to_tar
