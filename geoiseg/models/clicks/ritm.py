"""RITM: HRNet with object context, shown the clicks and the mask before.

Source: Sofiiuk et al., Reviving Iterative Training with Mask Guidance for Interactive
Segmentation, ICIP 2022.
"""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

from torch import Tensor

from geoiseg.models.clicks.hrnet import HighResolutionNet, HrnetSize
from geoiseg.models.clicks.network import ClickNetwork, Habits, entrance

SIZES = {
    "h18s": HrnetSize(18, 48, small=True),
    "h18": HrnetSize(18, 64),
    "h32": HrnetSize(32, 128),
}
"""The sizes whose weights were published."""


class Ritm(ClickNetwork):
    """RITM's network.

    Args:
        size: How large.
        radius: Of a click's disk in pixels.
        remembers: Whether the mask before is shown (``IT-M`` in the paper).
        leaky: Whether the activation of click maps leaks.
    """

    habits = Habits(side=None, target=400)

    def __init__(
        self, size: HrnetSize, radius: float = 5, *, remembers: bool = True, leaky: bool = True
    ) -> None:
        super().__init__(radius, remembers=remembers)
        self.maps_transform = entrance(3 if remembers else 2, leaky=leaky)
        self.feature_extractor = HighResolutionNet(size)

    def coarse(self, image: Tensor, clicks: Tensor, before: Tensor) -> Tensor:
        """Return ``(n, 1, y / 4, x / 4)`` logits."""
        added = self.maps_transform(self.click_maps(clicks, before))
        logits: Tensor = self.feature_extractor(image, added)[0]
        return logits
