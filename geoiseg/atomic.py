"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from geoiseg.errors import ExportError

LOGS = ("-wal", "-journal")
"""What SQLite calls the changes beside a file that are not in it yet."""
PROBE = 1 << 16
"""Bytes written to find out why nothing can be."""
PARTS = {".shp": (".prj", ".cpg", ".qix", ".sbn", ".sbx")}
"""Files that tell of one: where a new one has none, those of the old one would tell wrong."""

PATIENCE, STALE = 60.0, 40.0
"""Seconds that a file is waited for, and after which nobody is believed to hold it."""


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Keep other processes of geoiseg from reading and rewriting a file at the same time.

    By a file beside it that is there as long, so that it works on any disk and system. One that
    a process left behind when it was killed counts no more after a while.

    Raises:
        ExportError: The folder can not be written, or somebody holds it for too long.
    """
    check_place(path)
    lock = path.absolute().with_name(f".{path.name}.lock")
    until = time.monotonic() + PATIENCE
    while True:
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            break
        except (FileExistsError, PermissionError) as error:
            if not lock.exists() and sys.platform != "win32":
                raise ExportError(f"can not write to {path.parent}: {_reason(error)}") from error
            _unless_stale(lock)
        except OSError as error:
            raise ExportError(f"can not write to {path.parent}: {_reason(error)}") from error
        if time.monotonic() > until:
            raise ExportError(f"can not write {path}: another session is writing it"
                              f" (or remove {lock.name})")  # fmt: skip
        time.sleep(0.02)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _unless_stale(lock: Path) -> None:
    with contextlib.suppress(OSError):  # gone meanwhile
        if time.time() - lock.stat().st_mtime > STALE:
            lock.unlink(missing_ok=True)


@contextlib.contextmanager
def written(path: Path) -> Iterator[Path]:
    """Give a temporary path of the same name to write to, and put the result in place.

    The temporary folder is a sibling, so that the last step is a rename. Every file that
    was made in it moves (a Shapefile has several), the one of the asked name last. On an
    error everything temporary is removed and what was there before is untouched.

    Raises:
        ExportError: The folder does not exist or can not be written, the disk is full, the name
            is too long, or another program has changes to the file under way.
    """
    path = path.absolute()
    check_place(path)
    try:
        settle(path)
        folder = Path(tempfile.mkdtemp(prefix=".geoiseg-", suffix=".tmp", dir=path.parent))
    except OSError as error:
        if isinstance(error, ExportError):
            raise
        raise ExportError(f"can not write {path}: {_reason(error)}") from error
    try:
        yield folder / path.name
        _move(folder, path)
    except OSError as error:
        if isinstance(error, ExportError):
            raise
        raise ExportError(f"can not write {path}: {_reason(error)}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_place(path: Path) -> None:
    """Make sure that a file can have this place, as far as that can be seen before it is made.

    Raises:
        ExportError: Its folder is missing or none, a folder has its place, or its name is too
            long.
    """
    folder = path.absolute().parent
    try:
        if not folder.is_dir():
            what = "is not a folder" if folder.exists() else "does not exist"
            raise ExportError(f"can not write {path.name}: the folder {folder} {what}")
        if path.is_dir():
            raise ExportError(f"can not write {path}: it is a folder")
    except (OSError, ValueError) as error:  # a name too long, or with a null in it
        if isinstance(error, ExportError):
            raise
        raise ExportError(f"can not write {str(path)[:80]!r}: {_reason(error)}") from error


def why_failed(error: BaseException, place: Path) -> str:
    """Return in one line why a file could not be written: what the system says, if it does.

    Libraries say little of the cause, so a little is written to the same place.

    Args:
        error: Of the library.
        place: What it was to write, while it still fills the disk.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno:
            return _reason(cause)
        cause = cause.__cause__ or cause.__context__
    said = " ".join(str(error).split())
    try:
        with tempfile.TemporaryFile(dir=place.parent) as probe:
            probe.write(bytes(PROBE))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as found:
        return _reason(found)
    return said or type(error).__name__


def _move(folder: Path, path: Path) -> None:
    """Put in place what was made in a folder."""
    made = sorted(folder.iterdir(), key=lambda file: file.name == path.name)
    if not made or made[-1].name != path.name:
        nothing = ExportError("nothing was made")
        raise ExportError(f"can not write {path}: {why_failed(nothing, folder / path.name)}")
    for file in made:
        _flush(file)
    settle(path)  # it may have been opened meanwhile
    for suffix in PARTS.get(path.suffix.lower(), ()):
        if not (folder / path.name).with_suffix(suffix).exists():
            path.with_suffix(suffix).unlink(missing_ok=True)
    for file in made:
        file.replace(path.parent / file.name)


def settle(path: Path) -> None:
    """Have SQLite put into a GeoPackage what is in a log beside it.

    The log of a program that has the file open, or died, would be taken for that of the file
    that replaces it, which is then damaged.

    Raises:
        ExportError: Another program has the file open.
    """
    logs = [path.with_name(path.name + end) for end in LOGS]
    if path.suffix.lower() != ".gpkg" or not any(map(_has_content, logs)):
        return
    if not path.exists():  # the log is nobody's; SQLite does the same
        for log in logs:
            log.unlink(missing_ok=True)
        return
    with (
        contextlib.suppress(sqlite3.Error, UnicodeDecodeError),
        contextlib.closing(sqlite3.connect(path)) as base,
    ):
        base.execute("SELECT count(*) FROM sqlite_master")
        base.execute("PRAGMA journal_mode = DELETE")
    if any(map(_has_content, logs)):
        raise ExportError(f"can not write {path}: another program has it open; close it there")


def _has_content(log: Path) -> bool:
    return log.exists() and log.stat().st_size > 0


def _flush(file: Path) -> None:
    """Make sure that the content is on the disk before the name is."""
    with file.open("rb") as handle:
        os.fsync(handle.fileno())


def _reason(error: BaseException) -> str:
    """Return what the system says of an error, in one line."""
    said = (isinstance(error, OSError) and error.strerror) or " ".join(str(error).split())
    return said or type(error).__name__
