"""The desk spoken to through the Model Context Protocol, by the process's own pipes."""

from __future__ import annotations

import functools
import json
import logging
import os
import sys
from collections.abc import Callable
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Image
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations

from geoiseg.companion.spoken.desk import Desk
from geoiseg.errors import GeoisegError
from geoiseg.plain_json import json_text
from geoiseg.version import __version__

ABOUT = """\
Segment GeoTIFFs and other georeferenced rasters. Call open_raster, look at picture, say where an
object is with add_point, add_box or add_stroke (places in the raster's CRS; in another one named
by crs, e.g. EPSG:4326 as longitude and latitude; or with crs "picture" as pixels of the last
picture), correct it with further points on it and off it, then accept it with a class. export
writes files."""
READING = ("about", "models", "state", "suggest_click", "list_objects", "get_object")
CHANGING = (
    "open_raster", "add_point", "add_box", "add_stroke", "follow", "accept", "cancel", "undo",
    "redo", "find", "edit", "relabel", "delete", "review", "export", "save",
)  # fmt: skip
"""Methods of :class:`Desk` that are tools, as they are; ``picture`` is one, too."""


def make_server(desk: Desk | None = None) -> MCPServer[Any]:
    """Return a server whose tools are what a desk can do."""
    desk = desk or Desk()
    server: MCPServer[Any] = MCPServer(
        "geoiseg", version=__version__, instructions=ABOUT, log_level="WARNING"
    )
    for name in (*READING, *CHANGING):
        server.add_tool(_told(_plain(getattr(desk, name))), name=name, structured_output=False,
                        annotations=_READS if name in READING else None)  # fmt: skip

    def picture(bounds: list[float] | None = None, width: int = 1024) -> list[Any]:
        """Return the state as a PNG, and how it lies on the ground.

        Args:
            bounds: xmin, ymin, xmax, ymax in the raster's CRS; all of it by default.
            width: Pixels of the longer side.
        """
        data, told = desk.picture(bounds, width)
        return [Image(data=data, format="png"), json.dumps(told)]

    server.add_tool(_told(picture), name="picture", annotations=_READS, structured_output=False)
    return server


_READS = ToolAnnotations(read_only_hint=True)


def _plain(method: Callable[..., Any]) -> Callable[..., str]:
    """Return a method whose answer is JSON."""
    return functools.wraps(method)(lambda *args, **how: json_text(method(*args, **how)))


def _told(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method whose mistakes are one line for whoever asked."""

    @functools.wraps(method)
    def asked(*args: Any, **how: Any) -> Any:
        try:
            return method(*args, **how)
        except GeoisegError as error:
            raise ToolError(" ".join(str(error).split())) from error

    return asked


def run() -> None:
    """Serve the process's own pipes until the other end is gone.

    What libraries print goes to the error output from then on: the answers are alone.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    os.dup2(2, 1)
    sys.stdout = answers
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    make_server().run("stdio")
