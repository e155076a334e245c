"""What the encoder says of chips: all that the decoder and the maps of prompts go by."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

OBJECTNESS = ("interior", "border", "distance")
"""What the dense heads say of objects of any kind: that a cell lies on one, that an outline
passes it, and how far from the outline it lies, as a share of :data:`FARTHEST`."""
FARTHEST = 12
"""Cells of four pixels from an outline that count as 1."""


class Features(NamedTuple):
    """What the encoder says of a batch of chips; all ``(b, channels, y, x)``."""

    shallow: Tensor
    """At 1/2."""
    fine_key: Tensor
    """At 1/2, of unit length."""
    colour: Tensor
    """At 1/2, the three bands with contrast evened out."""
    key: Tensor
    """At 1/4, of unit length."""
    dense: Tensor
    """At 1/4, logits of :data:`OBJECTNESS` and of the classes."""
    p4: Tensor
    p8: Tensor
    p16: Tensor
    p32: Tensor
