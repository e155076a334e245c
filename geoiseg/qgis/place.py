"""Where the companion is: a Python of this machine, or a command line that reaches another one."""

from __future__ import annotations

import base64
import errno
import hashlib
import os
import shlex
import sys
from pathlib import Path
from typing import Dict, List, NamedTuple, Tuple

COMPANION = ("-I", "-m", "geoiseg.companion")
REMOTE_PYTHON = "geoiseg-env/bin/python"
"""The Python on the other machine, where ``ssh user@host`` names none."""
SSH_OPTIONS = ("-T", "-o", "BatchMode=yes", "-o", "ServerAliveInterval=15")
"""No terminal, no question that nobody sees, and an end when the other machine is gone."""
WITH_VALUE = "BbcDEeFIiJLlmOoPpQRSWw"
"""Letters of ssh's options that take a value."""
LARGEST = 40 << 20
"""Bytes of a picture that is sent, at most: the companion reads no longer line."""
SENT = "sent:"
"""Begins the names of rasters that were sent; see ``geoiseg.companion.sent``."""


def is_elsewhere(place: str) -> bool:
    """Return whether a place is a command line, and so perhaps another machine."""
    return bool(place) and not Path(place).exists() and len(split(place)) > 1


def split(place: str) -> List[str]:
    """Return the parts of a command line; a path with blanks that is there is one part."""
    if Path(place).exists():
        return [place]
    try:
        parts = shlex.split(place, posix=sys.platform != "win32")
    except ValueError:
        return [place]
    return [part.strip('"') for part in parts] if sys.platform == "win32" else parts


def command_of(place: str) -> Tuple[str, List[str]]:
    """Return the program and the arguments that start the companion at a place."""
    parts = split(place) or [place]
    program, given = parts[0], parts[1:]
    if Path(program).name.lower() in ("ssh", "ssh.exe"):
        rest = _after_host(given)
        given = [*SSH_OPTIONS, *given, *([] if rest else [REMOTE_PYTHON])]
    return program, [*given, *COMPANION]


def _after_host(given: List[str]) -> List[str]:
    """Return what ssh is told to run, after its options and the host."""
    number = 0
    while number < len(given) and given[number].startswith("-"):
        takes = len(given[number]) == 2 and given[number][1] in WITH_VALUE
        number += 2 if takes else 1
    return given[number + 1 :]


def mapped(path: str, pairs: str) -> str:
    """Return a path as the other machine has it; empty where it has not.

    Args:
        path: Of this machine.
        pairs: Lines as ``/data = /mnt/data``, the longer beginnings first.
    """
    plain = path.replace("\\", "/")
    found: Dict[str, str] = {}
    for line in pairs.splitlines():
        here, sign, there = (part.strip() for part in line.partition("="))
        here = here.replace("\\", "/").rstrip("/")
        if sign and here and (plain == here or plain.startswith(here + "/")):
            found[here] = there.rstrip("/") + plain[len(here) :]
    return found[max(found, key=len)] if found else ""


class Parcel(NamedTuple):
    """A picture of a raster, ready to be sent."""

    raster: str
    """Its name there."""
    puts: List[Dict[str, str]]
    """What ``put`` is asked with."""


def parcel(path: str) -> Parcel:
    """Return a picture and its georeference as they are sent.

    Raises:
        OSError: It can not be read; ``EFBIG`` where it is too large.
    """
    picture = Path(path)
    if picture.stat().st_size > LARGEST:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
    content, beside = picture.read_bytes(), Path(path + ".aux.xml").read_bytes()
    name = hashlib.sha256(content + beside).hexdigest()[:32] + ".png"
    puts = [
        {"name": one, "data": base64.b64encode(data).decode()}
        for one, data in ((name + ".aux.xml", beside), (name, content))
    ]
    return Parcel(SENT + name, puts)
