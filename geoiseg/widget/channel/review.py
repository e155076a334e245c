"""The bar of the review on the map: where it is, what it goes through, and how much is done."""

from __future__ import annotations

from pathlib import Path

import traitlets

from geoiseg.widget.channel.actions import REVIEW, table
from geoiseg.widget.channel.listener import Listener
from geoiseg.widget.channel.messages import Message, Ready


class Review(Listener):
    """What features are reviewed with. It holds no state of its own: ``state`` says it all."""

    _esm = Path(__file__).with_name("review.js")
    _css = Path(__file__).with_name("review.css")

    actions = traitlets.List(table(REVIEW)).tag(sync=True)
    state = traitlets.Dict().tag(sync=True)
    """``open`` and ``count``; while it is open also ``counts`` by state, ``at`` (the feature that
    is looked at), ``labels`` and ``flags`` to choose from, and ``only``, what is chosen."""

    def take(self, message: Message) -> None:
        """Tell a bar that has just come up how things are; pass everything else on.

        What was sent while the page was still making it is lost.
        """
        if isinstance(message, Ready):
            self.send_state(["state"])
        else:
            super().take(message)
