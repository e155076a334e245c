"""The buttons, classes, panels and the busy line on the map."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from geoiseg.widget.actions import COMMANDS, TOOLS, table
from geoiseg.widget.messages import FORMATS, MAX_UPLOAD, Message, MessageError, parse

log = logging.getLogger(__name__)


class Toolbar(anywidget.AnyWidget):
    """What is shown over the map. It holds no state of its own: ``state`` says it all."""

    _esm = Path(__file__).with_name("toolbar.js")
    _css = Path(__file__).with_name("toolbar.css")

    tools = traitlets.List(table(TOOLS)).tag(sync=True)
    commands = traitlets.List(table(COMMANDS)).tag(sync=True)
    formats = traitlets.List(list(FORMATS)).tag(sync=True)
    max_upload = traitlets.Int(MAX_UPLOAD).tag(sync=True)
    state = traitlets.Dict().tag(sync=True)
    """Tool, classes, model, layers and what is possible just now."""
    status = traitlets.Dict().tag(sync=True)
    """``phase`` and ``since`` while busy; ``error`` or ``note`` in one line."""

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self.heard: Callable[[Message], None] = lambda _: None
        """Told of every message that is well formed."""
        self.on_msg(self.receive)

    def receive(self, _: Any, content: Any, buffers: Any) -> None:
        """Take a message from the page; a malformed one is logged and goes no further."""
        try:
            message = parse(content, buffers or ())
        except MessageError as error:
            log.warning("refused a message from the page: %s", error)
        else:
            self.heard(message)
