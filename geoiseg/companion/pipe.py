"""Lines of JSON on the process's own pipes, and on nothing else."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any, BinaryIO

from geoiseg.errors import GeoisegError
from geoiseg.plain_json import json_text

LONGEST = 64 << 20
"""Bytes of a request, at most."""


class RequestError(GeoisegError, ValueError):
    """A request that makes no sense."""


class Pipe:
    """Requests from one stream, answers to another; answers may come from any thread."""

    def __init__(self, source: BinaryIO, target: BinaryIO) -> None:
        self._source = source
        self._target = target
        self._lock = threading.Lock()

    @classmethod
    def standard(cls) -> Pipe:
        """Return the process's own input and output.

        What libraries print goes to the error output from then on: the answers are alone.
        """
        target = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)
        return cls(sys.stdin.buffer, target)

    def requests(self) -> Iterator[dict[str, Any] | RequestError]:
        """Yield what is asked, or what is wrong with it, until the other end is gone."""
        while line := self._source.readline(LONGEST):
            if not line.endswith(b"\n"):
                return
            try:
                asked = json.loads(line)
            except (ValueError, RecursionError) as error:
                yield RequestError(f"a request is a line of JSON, got {line[:60]!r} ({error})")
                continue
            if not isinstance(asked, dict):
                yield RequestError(f"a request is an object, got {line[:60]!r}")
                continue
            yield asked

    def send(self, **message: Any) -> None:
        """Send a message; lost without a word where nobody listens any more."""
        data = json_text(message).encode() + b"\n"
        with self._lock:
            try:
                view = memoryview(data)
                while view:
                    view = view[self._target.write(view) :]
            except (BrokenPipeError, ValueError, OSError):
                return
