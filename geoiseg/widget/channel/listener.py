"""A widget that hears checked messages from its page, and obeys nothing else from there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import anywidget

from geoiseg.widget.channel.messages import (
    Message,
    MessageError,
    TileCancel,
    TileRequest,
    parse,
    shown,
)

log = logging.getLogger(__name__)


class Listener(anywidget.AnyWidget):
    """The kernel's side of a part of the map.

    What it shows flows to the page alone: a page that sets a trait, or that sends what is
    no widget message at all, is refused.
    """

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self.heard: Callable[[Message], None] = lambda _: None
        """Told of every message that is well formed."""
        self.on_msg(self.receive)

    def receive(self, _: Any, content: Any, buffers: Sequence[Any] | None) -> None:
        """Take a message from the page; a malformed one is logged and goes no further."""
        try:
            self.take(parse(content, buffers or ()))
        except MessageError as error:
            refuse(error)

    def take(self, message: Message) -> None:
        """Act on a well-formed message.

        Raises:
            MessageError: It makes no sense here.
        """
        if isinstance(message, TileRequest | TileCancel):
            raise MessageError("no tiles are served here")
        self.heard(message)

    def _handle_msg(self, msg: dict[str, Any]) -> None:
        data = msg["content"].get("data")
        method = data.get("method") if isinstance(data, dict) else None
        if method == "request_state" or (method == "custom" and "content" in data):
            super()._handle_msg(msg)
        elif method == "update":
            refuse(f"it would change the map's own state: {shown(data.get('state'))}")
        else:
            refuse(f"it is none of a widget's: {shown(data)}")


def refuse(reason: object) -> None:
    """Log that a message from the page goes no further, in one line."""
    log.warning("refused a message from the page: %s", reason)
