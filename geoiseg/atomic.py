"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from geoiseg.errors import ExportError


@contextlib.contextmanager
def written(path: Path) -> Iterator[Path]:
    """Give a temporary path of the same name to write to, and put the result in place.

    The temporary folder is a sibling, so that the last step is a rename. Every file that
    was made in it moves (a Shapefile has several), the one of the asked name last. On an
    error everything temporary is removed and what was there before is untouched.

    Raises:
        ExportError: The folder does not exist or can not be written, or the disk is full.
    """
    path = path.absolute()
    if not path.parent.is_dir():
        raise ExportError(f"can not write {path.name}: the folder {path.parent} does not exist")
    if path.is_dir():
        raise ExportError(f"can not write {path}: it is a folder")
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
    except OSError as error:
        raise ExportError(f"can not write to {path.parent}: {_reason(error)}") from error
    try:
        yield folder / path.name
        made = sorted(folder.iterdir(), key=lambda file: file.name == path.name)
        if not made or made[-1].name != path.name:
            raise ExportError(f"can not write {path}: nothing was made; is the disk full?")
        for file in made:
            _flush(file)
        for file in made:
            file.replace(path.parent / file.name)
    except OSError as error:
        if isinstance(error, ExportError):
            raise
        raise ExportError(f"can not write {path}: {_reason(error)}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _flush(file: Path) -> None:
    """Make sure that the content is on the disk before the name is."""
    with file.open("rb") as handle:
        os.fsync(handle.fileno())


def _reason(error: OSError) -> str:
    return error.strerror or " ".join(str(error).split())
