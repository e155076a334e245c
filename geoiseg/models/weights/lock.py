"""One process at a time: a lock that dies with whoever holds it."""

from __future__ import annotations

import contextlib
import errno
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

INTERVAL = 0.2
"""Seconds between two looks at a lock that somebody else holds."""
UNKNOWN = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)
"""What file systems say that know no locks: there everybody goes on."""


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock of a path, waiting until it is free.

    Args:
        path: A file that is made where it is missing, and stays.
        waiting: Called once where somebody else holds it.

    Raises:
        OSError: The file can not be made.
    """
    with path.open("ab") as handle:
        if not _take(handle):
            waiting()
            while not _take(handle):  # polled, so that Ctrl+C is heard everywhere
                time.sleep(INTERVAL)
        yield


def _take(handle: IO[Any]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            handle.seek(0)
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in UNKNOWN
    return True
