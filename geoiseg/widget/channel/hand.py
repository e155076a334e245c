"""Tools by hand on the map: their bar, the vertices to take hold of, and the brush's width."""

from __future__ import annotations

from pathlib import Path

import traitlets

from geoiseg.widget.channel.actions import HAND_TOOLS, table
from geoiseg.widget.channel.listener import Listener
from geoiseg.widget.channel.messages import MOST, Message, Ready


class Hand(Listener):
    """What outlines are corrected with; shown while there is one to correct."""

    _esm = Path(__file__).with_name("hand.js")
    _css = Path(__file__).with_name("hand.css")

    tools = traitlets.List(table(HAND_TOOLS)).tag(sync=True)
    most = traitlets.Float(MOST["brush"]).tag(sync=True)
    """Metres of the widest brush."""
    state = traitlets.Dict().tag(sync=True)
    """``tool``, ``on`` (whether there is an outline), ``width`` in ``unit`` of the brush, and
    ``ground``: the size of a screen pixel at zoom 0."""
    outline = traitlets.Dict().tag(sync=True)
    """The outline whose vertices can be taken hold of: ``rings``, the number of vertices of each,
    and ``xy``, longitude and latitude of all as little-endian doubles; or empty."""

    def take(self, message: Message) -> None:
        """Tell a bar that has just come up how things are; pass everything else on.

        What was sent while the page was still making it is lost.
        """
        if isinstance(message, Ready):
            self.send_state(["state", "outline"])
        else:
            super().take(message)
