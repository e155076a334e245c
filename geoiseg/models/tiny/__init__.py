"""The small promptable network that ships with the package."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

DESCRIPTION = "small promptable network, ships with the package, CPU, offline"
"""Of a network whose card has none of its own."""
FILES = ("encoder.onnx", "decoder.onnx")
"""Its graphs, without which there is no model."""


def hash_of_card(card: Mapping[str, Any]) -> str:
    """Return one hash for the weights of a network, from those of its graphs in its card."""
    joined = "".join(str(card["sha256"][name]) for name in FILES)
    return hashlib.sha256(joined.encode()).hexdigest()
