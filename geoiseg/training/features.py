"""What the encoder says of chips: all that the decoder and the maps of prompts go by."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


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
    p4: Tensor
    p8: Tensor
    p16: Tensor
    p32: Tensor
