"""Rasters that were sent through the pipe, to a companion on a machine that has not their files."""

from __future__ import annotations

import base64
import binascii
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from geoiseg.companion.fields import Fields
from geoiseg.companion.pipe import RequestError

PREFIX = "sent:"
"""Begins the names of rasters that were sent."""
NAME = re.compile(r"[0-9a-f]{16,64}\.png(\.aux\.xml)?")
KEPT = 24
"""Files that are kept, the latest."""


class Sent:
    """Files in a folder of their own, which goes with the process."""

    def __init__(self) -> None:
        self._folder: Path | None = None

    def put(self, fields: Fields, watch: Any, tell: Any) -> dict[str, Any]:  # noqa: ARG002
        """Keep a file that is part of a raster, and return its name."""
        name, data = fields.text("name"), fields.text("data")
        fields.done()
        if not NAME.fullmatch(name):
            raise RequestError(f"what is sent is a .png or its .aux.xml, got {name!r:.60}")
        try:
            content = base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError) as error:
            raise RequestError(f"data is base64 ({error})") from error
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="geoiseg-sent-"))
        (self._folder / name).write_bytes(content)
        for old in sorted(self._folder.iterdir(), key=lambda path: path.stat().st_mtime)[:-KEPT]:
            old.unlink(missing_ok=True)
        return {"raster": f"{PREFIX}{name}"}

    def place(self, raster: str) -> str:
        """Return the file of a raster that was sent; other names as they are.

        Raises:
            RequestError: Nothing of that name was sent.
        """
        if not raster.startswith(PREFIX):
            return raster
        name = raster.removeprefix(PREFIX)
        path = None if self._folder is None else self._folder / name
        if not NAME.fullmatch(name) or path is None or not path.exists():
            raise RequestError(f"{raster!r:.60} was not sent")
        return str(path)

    def clear(self) -> None:
        """Remove everything."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


SENT = Sent()
"""Of this process."""
