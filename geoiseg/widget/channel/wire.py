"""A border in progress on the map: what was followed, and what follows under the cursor."""

from __future__ import annotations

from pathlib import Path

import traitlets

from geoiseg.segment import WIRE_LEVELS
from geoiseg.widget.channel.listener import Listener
from geoiseg.widget.channel.messages import Message, Ready


class WireBar(Listener):
    """Draws the border, and asks what it follows; shown while its tool is in use."""

    _esm = Path(__file__).with_name("wire.js")
    _css = Path(__file__).with_name("wire.css")

    levels = traitlets.List(list(WIRE_LEVELS)).tag(sync=True)
    state = traitlets.Dict().tag(sync=True)
    """``on``, whether the tool is in use, and ``follows``, one of the levels."""
    border = traitlets.Dict().tag(sync=True)
    """``clicks`` and ``path``, longitude and latitude as little-endian doubles; or empty."""
    ahead = traitlets.Dict().tag(sync=True)
    """``path`` from the last click to the cursor, likewise."""

    def take(self, message: Message) -> None:
        """Tell a page that has just come up how things are; pass everything else on."""
        if isinstance(message, Ready):
            self.send_state(["state", "border", "ahead"])
        else:
            super().take(message)
