"""The buttons, classes, panels and the busy line on the map."""

from __future__ import annotations

from pathlib import Path

import traitlets

from geoiseg.widget.channel.actions import COMMANDS, HAND_TOOLS, TOOLS, table
from geoiseg.widget.channel.listener import Listener
from geoiseg.widget.channel.messages import FORMATS, MAX_UPLOAD, MOST


class Toolbar(Listener):
    """What is shown over the map. It holds no state of its own: ``state`` says it all."""

    _esm = Path(__file__).with_name("toolbar.js")
    _css = Path(__file__).with_name("toolbar.css")

    tools = traitlets.List(table(TOOLS)).tag(sync=True)
    by_hand = traitlets.List(table(HAND_TOOLS)).tag(sync=True)
    """For the list of keys alone; they have a bar of their own."""
    commands = traitlets.List(table(COMMANDS)).tag(sync=True)
    formats = traitlets.List(list(FORMATS)).tag(sync=True)
    max_upload = traitlets.Int(MAX_UPLOAD).tag(sync=True)
    max_snap = traitlets.Float(MOST["snap"]).tag(sync=True)
    state = traitlets.Dict().tag(sync=True)
    """Tool, classes, model, layers and what is possible just now."""
    status = traitlets.Dict().tag(sync=True)
    """``phase`` and ``since`` while busy; ``error`` or ``note`` in one line."""
