"""One file over https: resumed where it stopped, checked, whole or not there."""

from __future__ import annotations

import errno
import http.client
import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from geoiseg.errors import WeightsError
from geoiseg.models.weights.catalogue import RemoteFile, check_url, readable
from geoiseg.models.weights.store import hash_of
from geoiseg.version import __version__

TIMEOUT = 30.0
"""Seconds without a byte after which a connection counts as lost."""
PAUSES = (0.5, 2.0, 5.0, 10.0)
"""Seconds before each new try; the count begins again whenever bytes came."""
TRY_AGAIN = (408, 425, 429, 500, 502, 503, 504)
OFFLINE_VARIABLES = ("GEOISEG_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CHUNK = 1 << 20


class Listener:
    """Hears how a long step gets on; this one is silent."""

    def say(self, line: str) -> None:
        """Hear one line for the user."""

    def bar(self, name: str, total: int, done: int) -> AbstractContextManager[Callable[[int], Any]]:
        """Begin a bar, and return what to call with each number of bytes.

        Args:
            name: Of the file.
            total: Bytes in all, or 0 where nobody knows.
            done: Bytes that are there already.
        """
        del name, total, done
        return nullcontext(lambda _: None)


def offline() -> str:
    """Return the variable that forbids the network, or an empty text."""
    for name in OFFLINE_VARIABLES:
        if os.environ.get(name, "").strip().lower() not in ("", "0", "no", "off", "false"):
            return name
    return ""


def fetch(file: RemoteFile, folder: Path, listener: Listener | None = None) -> Path:
    """Return the file in ``folder``, downloaded and checked.

    What came before is kept in ``NAME.part`` when the connection breaks, the disk is full
    or the user stops; the next call goes on from there if the source still has the same.

    Args:
        file: What to get; without a hash it is not checked.
        folder: Exists and can be written.
        listener: Told how it gets on.

    Raises:
        WeightsError: It can not be had, or is not what was published; one line says why.
    """
    target = folder / file.name
    if target.exists() and file.sha256 and hash_of(target) == file.sha256:
        return target
    listener = listener or Listener()
    part = _Part(folder, file)
    _download(part, listener)
    if file.size and part.size != file.size:
        part.discard()
        raise WeightsError(
            f"{file.url} has {part.size} bytes, {file.size} are published: it has changed"
        )
    if file.sha256:
        with listener.bar(f"checking {file.name}", part.size, 0) as advance:
            found = hash_of(part.path, advance)
        if found != file.sha256:
            part.discard()
            raise WeightsError(
                f"{file.url} has SHA-256 {found}, {file.sha256} is published: it has changed,"
                " or was changed on its way; nothing was kept"
            )
    part.finish(target)
    return target


class _Part:
    """What has come of a file so far, and which version of it that is."""

    def __init__(self, folder: Path, file: RemoteFile) -> None:
        self.file = file
        self.path = folder / f"{file.name}.part"
        self._note = folder / f"{file.name}.part.json"
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            same = note["url"] == file.url
            self.validator = str(note["validator"]) if same else ""
        except (OSError, ValueError, KeyError, TypeError):
            same, self.validator = False, ""
        if not (same and (self.validator or file.sha256)):
            self.path.unlink(missing_ok=True)

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def begin(self, validator: str) -> None:
        """Note the version that comes from now on."""
        self.validator = validator
        note = {"url": self.file.url, "validator": validator}
        self._note.write_text(json.dumps(note), encoding="utf-8")

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def finish(self, target: Path) -> None:
        with self.path.open("rb") as handle:
            os.fsync(handle.fileno())
        self.path.replace(target)
        self._note.unlink(missing_ok=True)


class _LostError(Exception):
    """The connection broke; what came is kept."""


def _download(part: _Part, listener: Listener) -> None:
    """Bring a part to its full size."""
    tries = 0
    while True:
        before = part.size
        try:
            _once(part, listener)
        except _LostError as lost:
            if part.size > before:
                tries = 0
            if tries == len(PAUSES):
                host = urlsplit(part.file.url).hostname
                raise WeightsError(
                    f"cannot get {part.file.name} from {host}: {lost};"
                    f" {readable(part.size)} are kept, the same command goes on from there"
                ) from lost
            time.sleep(PAUSES[tries])
            tries += 1
        except WeightsError:
            raise
        except OSError as error:
            raise disk_error(error, part.path.parent, part.file.size) from error
        else:
            return


def _once(part: _Part, listener: Listener) -> None:
    """Ask for what is missing and write it.

    Raises:
        _LostError: It stopped before the end.
        OSError: It can not be written.
        WeightsError: The source refuses.
    """
    have = part.size
    with _open(part, have) as reply:
        if reply.status != http.client.PARTIAL_CONTENT or _start_of(reply) != have:
            have = 0
        total = have + int(reply.headers.get("Content-Length") or 0)
        if have == 0:
            part.begin(_validator_of(reply))
        with (
            part.path.open("ab" if have else "wb") as out,
            listener.bar(part.file.name, total, have) as advance,
        ):
            while piece := _read(reply):
                out.write(piece)
                have += len(piece)
                advance(len(piece))
    if have < total:
        raise _LostError(f"the connection broke at {readable(have)} of {readable(total)}")


def _open(part: _Part, have: int) -> Any:
    url = part.file.url
    check_url(url)
    headers = {"User-Agent": f"geoiseg/{__version__}", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if part.validator:
            headers["If-Range"] = part.validator
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - checked above
    opener = urllib.request.build_opener(_SafeRedirects)
    try:
        return opener.open(request, timeout=TIMEOUT)
    except WeightsError:
        raise
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return _beyond(part, error)
        if error.code in TRY_AGAIN:
            raise _LostError(f"it answers {error.code} {error.reason}") from error
        raise WeightsError(f"cannot get {url}: it answers {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise _LostError(" ".join(str(error.reason).split())) from error
    except (OSError, http.client.HTTPException) as error:
        raise _LostError(_reason(error)) from error


def _beyond(part: _Part, error: urllib.error.HTTPError) -> Any:
    """Return an empty rest where the part is whole already, or begin again."""
    match = re.fullmatch(r"bytes \*/(\d+)", error.headers.get("Content-Range", ""))
    if match and int(match[1]) == part.size:
        return _Nothing(part.size)
    part.discard()
    return _open(part, 0)


class _Nothing:
    """The reply to a range that begins where the file ends."""

    status = http.client.PARTIAL_CONTENT

    def __init__(self, size: int) -> None:
        self.headers = {"Content-Length": "0", "Content-Range": f"bytes {size}-{size}/{size}"}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def read1(self, _: int) -> bytes:
        return b""


def _read(reply: Any) -> bytes:
    try:
        piece: bytes = reply.read1(_CHUNK)  # what is there, so that a stop loses little
    except (OSError, http.client.HTTPException) as error:
        raise _LostError(_reason(error)) from error
    return piece


def _start_of(reply: Any) -> int:
    match = re.match(r"bytes (\d+)-", reply.headers.get("Content-Range") or "")
    return int(match[1]) if match else -1


def _validator_of(reply: Any) -> str:
    """Return what names this version of the file; a weak tag can not be used for ranges."""
    tag = reply.headers.get("ETag") or ""
    if tag and not tag.startswith("W/"):
        return str(tag)
    return str(reply.headers.get("Last-Modified") or "")


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to https, or from this machine to itself."""

    def redirect_request(self, req: Any, *rest: Any) -> Any:
        """Return the request to the new address.

        Raises:
            WeightsError: It is not safe.
        """
        new = rest[-1]
        check_url(new)
        if urlsplit(new).scheme != "https" and urlsplit(req.full_url).scheme == "https":
            raise WeightsError(f"{req.full_url} leads to {new!r}; only https is followed")
        return super().redirect_request(req, *rest)


def disk_error(error: OSError, folder: Path, needed: int = 0) -> WeightsError:
    """Return the error to raise where a store can not be written."""
    if error.errno in FULL:
        of = f" of {readable(needed)}" if needed else ""
        return WeightsError(
            f"no space left in {folder}{of and f' for the rest{of}'}: {_reason(error)}; what came"
            " is kept: make room, or set GEOISEG_HOME to a larger disk, and run it again"
        )
    return WeightsError(
        f"cannot write to {folder}: {_reason(error)}; set GEOISEG_HOME to a folder you may write"
    )


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())
