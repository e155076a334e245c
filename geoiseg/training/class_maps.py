"""What is known of the classes of each pixel of a labelled scene.

A label says something of the class that it names, and most say nothing of the others: beside
an outlined field may lie a field that nobody outlined. So each class of each pixel is
there, not there, or not known, and only what is known counts. Sources differ in how they
look, and most name few classes; a network would learn the look. What can be told from the
colours alone, far from any doubt, serves as a negative within each source: what is green is
no road, what is brighter than all water of its scene is no water.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

CLASSES = ("water", "building", "road", "field", "tree", "grass", "bare", "snow")
"""Bit ``k`` of a map is the k-th of these."""
OUTLINED = {"coast": 2, "delta": 2, "lake": 2, "river": 2, "island": 6, "building": 3}
"""Pixels around an outline whose class is not known, by family; 1 elsewhere."""
SAID = {
    "clearing": ("", "tree snow"),
    "forest": ("tree", "*"),
    "land": ("", "water snow"),
    "island": ("", "water snow"),
    "water": ("water", "*"),
    "field": ("field", "water building road tree snow"),
    "tree": ("tree", "*"),
    "building": ("building", "water road field grass bare snow"),
    "ship": ("", "building road field tree grass bare snow"),
}
"""What a label of each kind says is there, and what is not; ``*`` stands for all else."""
COMPLETE = "pond"
"""What the family is called where labels leave out no water."""
GREEN, GREY = 18, 6
"""Excess of green, ``2 g - r - b`` in bytes, of what is surely leaves and surely is not."""
BRIGHTER = 18
"""Bytes by which a pixel must exceed the brightest water of a scene not to be water."""
POND = 400
"""Fewest pixels of a dark and smooth patch that is taken for water."""

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class ClassMap:
    """Which classes are there and of which that is known, as bits per pixel."""

    present: NDArray[np.uint8]
    known: NDArray[np.uint8]

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> ClassMap:
        """Return a map that knows nothing."""
        return cls(np.zeros(shape, np.uint8), np.zeros(shape, np.uint8))

    def say(self, where: BoolArray, yes: str = "", no: str = "") -> None:
        """Set classes, named with spaces between, to be there or not; later words count.

        Args:
            where: Pixels.
            yes: Classes that are there.
            no: Classes that are not; ``*`` means all that are not said to be there.
        """
        there = bits(*yes.split())
        gone = 255 & ~there if no == "*" else bits(*no.split())
        self.known[where] |= np.uint8(there | gone)
        self.present[where] = self.present[where] & np.uint8(255 & ~gone) | np.uint8(there)

    def forget(self, where: BoolArray, *classes: str) -> None:
        """Make nothing known of some classes, or of all when none is given."""
        kept = np.uint8(255 & ~bits(*(classes or CLASSES)))
        self.known[where] &= kept
        self.present[where] &= kept


def bits(*classes: str) -> int:
    """Return the bits of some classes."""
    return sum(1 << CLASSES.index(name) for name in classes)


def class_map(
    image: NDArray[np.uint8],
    valid: BoolArray,
    family: str,
    objects: dict[str, BoolArray],
    channels: str = "rgb",
) -> ClassMap:
    """Return what labels of one family say, and what the colours leave no doubt of.

    Args:
        image: ``(y, x, 3)``.
        valid: ``(y, x)`` True where there is data.
        family: Of the scene; :data:`COMPLETE` where all water is labelled.
        objects: Where labels of each kind lie, ``(y, x)`` by kind.
        channels: ``rgb`` in natural colours, ``nrg`` with infrared first, else bands of
            which nothing is known but that water is dark.
    """
    found = ClassMap.empty(valid.shape)
    if family == "photo":
        return found
    _by_colour(found, image, family, objects, channels)
    rim = _rim(valid.shape, objects, OUTLINED.get(family, 1))
    _by_label(found, image, family, objects)
    found.forget(rim)
    found.forget(~valid)
    return found


def _by_label(
    found: ClassMap, image: NDArray[np.uint8], family: str, objects: dict[str, BoolArray]
) -> None:
    if family == "building":
        # The towns' roofs are all drawn; trees hang over some of them.
        found.say(~_where(objects, "building", found), no="building snow")
    if family == COMPLETE:
        found.say(~_where(objects, "water", found), no="water")
    for kind, (there, gone) in SAID.items():
        where = _where(objects, kind, found)
        if kind == "forest":
            # Black rivers and burnt ground pass for forest where labels go by darkness.
            found.say(where, no="building road field bare snow")
            where = where & (_excess(image) > GREY)
        # Ice lies on islands.
        no = gone.replace(" snow", "") if family == "island" else gone
        found.say(where, yes=there, no=no)


def _where(objects: dict[str, BoolArray], kind: str, found: ClassMap) -> BoolArray:
    return objects[kind] if kind in objects else np.zeros(found.known.shape, bool)


def _by_colour(
    found: ClassMap,
    image: NDArray[np.uint8],
    family: str,
    objects: dict[str, BoolArray],
    channels: str,
) -> None:
    """Say what the colours leave no doubt of."""
    water = objects.get("water")
    if water is not None and water.any():
        most = np.percentile(image[water], 99.5, axis=0) + BRIGHTER
        found.say(np.asarray((_smooth(image) > most).any(axis=2)), no="water")
    if channels == "rgb":
        leaves, dry = _excess(image) > GREEN, _excess(image) < GREY
        bright = _smooth(image).max(axis=2) > 110
        found.say(leaves & bright, no="water building road bare snow")
        if family != "island":
            found.say(dry & bright, no="tree grass")
    elif channels == "nrg":
        near, red = (image[..., k].astype(np.float32) for k in (0, 1))
        index = (near - red) / (near + red + 1)
        found.say((index > 0.35) & (near > 90), no="water building road bare snow")
        found.say(index < 0.02, no="tree grass")
    if family == "field" and channels == "rgb":
        _ponds_and_woods(found, image, objects)
    if family == "island":
        _by_climate(found, image)


def _ponds_and_woods(
    found: ClassMap, image: NDArray[np.uint8], objects: dict[str, BoolArray]
) -> None:
    """Find water and woods in a farmland by how dark and how even they are."""
    light = image.astype(np.float32).mean(axis=2)
    rough = _roughness(light)
    drawn = np.zeros(light.shape, bool)
    for where in objects.values():
        drawn |= where
    low = float(np.percentile(light[light > 0], 25)) if (light > 0).any() else 0.0
    dark = (cv2.GaussianBlur(light, (0, 0), 2) < min(75.0, low)) & ~drawn
    blue = image[..., 2].astype(np.float32) + 4 >= image[..., 0]
    even = _large(dark & (rough < 5) & blue, POND)
    found.say(even, no="building road field tree grass bare snow")
    found.say(even & (_smooth(image).max(axis=2) < 60), yes="water", no="*")
    wood = _large(dark & (rough > 11), 2 * POND)
    found.say(wood, yes="tree", no="water building road field bare snow")


def _by_climate(found: ClassMap, image: NDArray[np.uint8]) -> None:
    """Tell snow and deserts on pictures of whole islands, where pixels are kilometres."""
    smooth = _smooth(image)
    found.say(np.ones(found.known.shape, bool), no="building road")
    white = (smooth.min(axis=2) > 190) & (np.ptp(smooth, axis=2) < 30)
    found.say(white, yes="snow", no="*")
    found.say(smooth.max(axis=2) < 130, no="snow")
    sand = (smooth[..., 0] > 140) & (smooth[..., 0] - smooth[..., 2] > 45) & ~white
    found.say(sand, yes="bare", no="*")
    found.say((smooth[..., 1] > smooth[..., 0] + 6) & (smooth[..., 1] > smooth[..., 2]), no="bare")


def dubai_map(image: NDArray[np.uint8], masks: dict[str, BoolArray]) -> ClassMap:
    """Return what class masks with all pixels of five kinds say.

    Args:
        image: ``(y, x, 3)``.
        masks: Where each of ``building, land, road, vegetation, water`` is.
    """
    found = ClassMap.empty(image.shape[:2])
    found.say(masks["building"], yes="building", no="*")
    found.say(masks["road"], yes="road", no="*")
    found.say(masks["water"], yes="water", no="*")
    found.say(masks["land"], yes="bare", no="*")
    plants = masks["vegetation"]
    found.say(plants, no="water building road field bare snow")
    light = image.astype(np.float32).mean(axis=2)
    rough = _roughness(light)
    lawn = plants & (rough < 6) & (_excess(image) > GREEN)
    found.say(lawn, yes="grass", no="*")
    found.say(plants & (rough > 16) & (light < 95), yes="tree", no="*")
    found.forget(_rim(image.shape[:2], masks, 1))
    return found


def _rim(shape: tuple[int, ...], objects: dict[str, BoolArray], reach: int) -> BoolArray:
    """Return the pixels within so many of an outline between what is and is not of a kind."""
    rim: BoolArray = np.zeros(shape, bool)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2)
    for where in objects.values():
        own = where.astype(np.uint8)
        near = cv2.dilate(own, kernel) != cv2.erode(own, kernel)
        rim |= near
    return np.asarray(rim)


def _excess(image: NDArray[np.uint8]) -> FloatArray:
    """Return ``(y, x)`` how much greener than gray each place is, in bytes."""
    r, g, b = (_smooth(image)[..., k] for k in range(3))
    return np.asarray(2 * g - r - b, np.float32)


def _smooth(image: NDArray[np.uint8]) -> FloatArray:
    return np.asarray(cv2.GaussianBlur(image.astype(np.float32), (0, 0), 1.5), np.float32)


def _roughness(light: FloatArray) -> FloatArray:
    """Return ``(y, x)`` the spread of brightness within some pixels."""
    mean = cv2.blur(light, (9, 9))
    return np.asarray(np.sqrt(np.maximum(cv2.blur(light * light, (9, 9)) - mean * mean, 0)))


def _large(mask: BoolArray, smallest: int) -> BoolArray:
    """Return the parts of a mask, opened a little, of at least so many pixels."""
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, parts, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    keep = stats[:, cv2.CC_STAT_AREA] >= smallest
    keep[0] = False
    return np.asarray(keep[parts])
