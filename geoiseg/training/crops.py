"""A batch of crops: what a step of training is made of."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Crops(NamedTuple):
    """A batch of crops."""

    image: Tensor
    """``(b, 3, y, x)`` float in 0..255."""
    valid: Tensor
    """``(b, 1, y, x)`` 1 where there is data."""
    ids: Tensor
    """``(b, y, x)`` int64 object numbers; ``UNKNOWN`` where nothing is known."""
    target: Tensor
    """``(b,)`` number of the object that the crop was made for."""
    classes: Tensor
    """``(b, y, x)`` int64 ``known << 8 | present``: bits of the classes of which is known
    whether they are there, and of those that are."""
    exhaustive: Tensor
    """``(b,)`` 1 where the object numbers are those of all labelled objects of the scene, 0
    where they are of what lies within or around these, or of regions that nobody labelled."""
