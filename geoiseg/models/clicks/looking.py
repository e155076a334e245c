"""A chip as a click network sees it: windows of it, both ways round, and back in place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from geoiseg.models.clicks import zoom
from geoiseg.models.clicks.cdnet import CDNet
from geoiseg.models.clicks.focalclick import FocalClick
from geoiseg.models.clicks.network import ClickNetwork
from geoiseg.models.clicks.zoom import Window

LONGEST = 800
"""Longer side at which a network without a fixed side looks at a whole chip."""
PROGRESSIVE = 10
"""Clicks after which FocalClick changes nothing outside its focus."""
SURE = 1e-4
"""Probabilities are kept this far from 0 and 1."""

Forward = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From a picture in 0..1, clicks and the mask before to logits, as :class:`ClickNetwork`."""


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What is known of an object."""

    clicks: tuple[tuple[float, float, int], ...]
    """Row, column and sign of each, in order, counted from the centre of the first pixel."""
    before: Tensor | None = None
    """``(1, 1, y, x)`` probabilities of the mask before."""
    box: tuple[float, float, float, float] | None = None
    """``y0, y1, x0, x1`` in pixels around the object."""

    @property
    def positive(self) -> list[tuple[float, float]]:
        """Row and column of the clicks on the object."""
        return [(row, column) for row, column, sign in self.clicks if sign > 0]


class Onlooker:
    """Looks at chips with a network.

    Args:
        network: Ready for inference.
        forward: What to run in place of the network itself.
    """

    def __init__(self, network: ClickNetwork, forward: Forward | None = None) -> None:
        self.network = network
        self.habits = network.habits
        self.forward: Forward = forward or network

    def look(self, image: Tensor, said: Said) -> Tensor:
        """Return ``(1, 1, y, x)`` probabilities on the whole chip.

        Args:
            image: ``(1, 3, y, x)`` of the chip, in 0..1.
            said: What is known of the object.
        """
        window = self.window(image, said)
        whole = (0, image.shape[2], 0, image.shape[3])
        found = self.within(image, said, window)
        first = said.before is None and said.box is None
        if first and self.habits.zoom_first:
            seen = (found[0, 0] > self.habits.threshold).cpu().numpy()
            closer = zoom.of_object(seen, (), self.habits.smallest)
            if closer is not None and zoom.overlap(closer, whole) < zoom.APART:
                window = zoom.of_object(seen, said.positive, self.habits.smallest) or whole
                found = self.within(image, said, window)
        return found

    def window(self, image: Tensor, said: Said) -> Window:
        """Return where to look."""
        shape = (image.shape[2], image.shape[3])
        whole = (0, shape[0], 0, shape[1])
        if not self.habits.zoom:
            return whole
        if said.before is not None:
            seen = (said.before[0, 0] > self.habits.threshold).cpu().numpy()
            found = zoom.of_object(seen, said.positive, self.habits.smallest)
            if found is not None:
                return found
        if said.box is not None:
            return zoom.around(said.box, shape, self.habits.smallest)
        return whole

    def within(self, image: Tensor, said: Said, window: Window) -> Tensor:
        """Return ``(1, 1, y, x)`` probabilities; 0 outside the window."""
        before = said.before if said.before is not None else torch.zeros_like(image[:, :1])
        if isinstance(self.network, FocalClick):
            return self._focal(self.network, image, before, said, window)
        view = self._view(image, before, said, window)
        logits = self.forward(*view)
        if isinstance(self.network, CDNet):
            averaged = _averaged(logits)
            logits = self.network.spread(view[0][:1], view[1][:1], averaged)
        return _placed(_averaged(torch.sigmoid(logits)), window, image)

    def _view(
        self, image: Tensor, before: Tensor, said: Said, window: Window
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return picture, clicks and mask before of a window, and of its mirror image."""
        size = self._size(window, (image.shape[2], image.shape[3]))
        picture, mask = (_sized(_cut(x, window), size) for x in (image, before))
        clicks = _moved(said.clicks, window, size, image.device)
        if not self.habits.flip:
            return picture, clicks, mask
        mirrored = clicks.clone()
        mirrored[..., 1] = size[1] - 1 - mirrored[..., 1]
        return (
            torch.cat([picture, picture.flip(3)]),
            torch.cat([clicks, mirrored]),
            torch.cat([mask, mask.flip(3)]),
        )

    def _size(self, window: Window, shape: tuple[int, int]) -> tuple[int, int]:
        """Return rows and columns of what the network is shown."""
        if self.habits.side is not None:
            return self.habits.side, self.habits.side
        rows, columns = window[1] - window[0], window[3] - window[2]
        longest = max(rows, columns)
        whole = (rows, columns) == shape
        scale = min(1.0, LONGEST / longest) if whole else self.habits.target / longest
        return max(32, round(rows * scale)), max(32, round(columns * scale))

    def _focal(
        self, network: FocalClick, image: Tensor, before: Tensor, said: Said, window: Window
    ) -> Tensor:
        """Return ``(1, 1, y, x)`` probabilities: a coarse mask, refined around the last click."""
        picture, clicks, mask = self._view(image, before, said, window)
        logits, features = network.both(picture, clicks, mask)
        found = _placed(_averaged(torch.sigmoid(logits)), window, image)
        coarse = _logit(found)
        now, earlier = ((x[0, 0] > network.habits.threshold).cpu().numpy()
                        for x in (coarse, before))  # fmt: skip
        last = said.clicks[-1]
        place = zoom.focus(now, earlier, (last[0], last[1]), window)
        side = picture.shape[2]
        focused = _sized(_cut(image, place), (side, side))
        rows, columns = window[1] - window[0], window[3] - window[2]
        lies = ((place[0] - window[0]) * side / rows, (place[1] - window[0]) * side / rows,
                (place[2] - window[2]) * side / columns,
                (place[3] - window[2]) * side / columns)  # fmt: skip
        near = _moved(said.clicks, place, (side, side), image.device)
        finer = network.refined(focused, near, (logits[:1], features[:1]), lies)
        if len(said.clicks) > PROGRESSIVE and said.before is not None:
            coarse = _logit(before)
        out = torch.sigmoid(coarse)
        size = (place[1] - place[0], place[3] - place[2])
        out[..., place[0] : place[1], place[2] : place[3]] = torch.sigmoid(_sized(finer, size))
        return out


def _cut(x: Tensor, window: Window) -> Tensor:
    return x[..., window[0] : window[1], window[2] : window[3]]


def _sized(x: Tensor, size: tuple[int, int]) -> Tensor:
    return functional.interpolate(x, size, mode="bilinear", align_corners=True)


def _moved(
    clicks: Sequence[tuple[float, float, int]],
    window: Window,
    size: tuple[int, int],
    device: torch.device,
) -> Tensor:
    """Return ``(1, k, 3)`` clicks in a window at another size."""
    given: NDArray[np.float32] = np.array(clicks, np.float32).reshape(1, -1, 3)
    given[..., 0] = (given[..., 0] - window[0]) * size[0] / (window[1] - window[0])
    given[..., 1] = (given[..., 1] - window[2]) * size[1] / (window[3] - window[2])
    return torch.from_numpy(given).to(device)


def _averaged(x: Tensor) -> Tensor:
    """Return the mean of a map and its mirror image, or the map where it is alone."""
    return x if len(x) == 1 else 0.5 * (x[:1] + x[1:].flip(3))


def _placed(x: Tensor, window: Window, image: Tensor) -> Tensor:
    """Return a window's map on the whole chip, 0 outside."""
    out = torch.zeros_like(image[:, :1])
    size = (window[1] - window[0], window[3] - window[2])
    out[..., window[0] : window[1], window[2] : window[3]] = _sized(x, size)
    return out


def _logit(probability: Tensor) -> Tensor:
    return torch.logit(probability, SURE)
