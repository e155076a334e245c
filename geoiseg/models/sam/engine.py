"""What an adapter asks of whatever runs a SAM network, in NumPy arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
Arrays = Mapping[str, NDArray[Any]]

MAPS = ("fine", "middle", "coarse")
"""Names of the feature maps of SAM 2 and its like: at 1/4, 1/8 and 1/16 of the square."""
SINGLE = (0,)
"""The mask for prompts that leave no doubt."""
SEVERAL = (1, 2, 3)
"""The masks for a prompt that may mean a part, a thing or a group."""


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """Prompts of ``n`` objects, as many points each."""

    xy: FloatArray
    """``(n, k, 2)`` in pixels of the network's image; its pixels' centres are whole."""
    labels: NDArray[np.int32]
    """``(n, k)``: 1 on the object, 0 off it, 2 and 3 a box's corners, -1 nothing."""
    masks: FloatArray | None
    """``(n, side, side)`` logits of masks to refine, at the resolution of the masks."""
    which: tuple[int, ...]
    """:data:`SINGLE` or :data:`SEVERAL`."""

    def __getitem__(self, part: slice) -> Tokens:
        """Return some of the objects."""
        masks = None if self.masks is None else self.masks[part]
        return Tokens(self.xy[part], self.labels[part], masks, self.which)

    def __len__(self) -> int:
        """How many objects."""
        return len(self.xy)


class Engine(Protocol):
    """Runs a network."""

    @property
    def side(self) -> int:
        """Pixels along a side of the image that the network takes."""
        ...

    def encode(self, pixels: Sequence[FloatArray]) -> list[Arrays]:
        """Return the features of each image.

        Args:
            pixels: Images as ``(3, side, side)`` float32, normalised.
        """
        ...

    def decode(self, features: Arrays, tokens: Tokens) -> tuple[FloatArray, FloatArray]:
        """Return ``(n, m, side / 4, side / 4)`` logits and ``(n, m)`` expected IoU."""
        ...
