"""Public sets of labelled pictures in their own folder layouts, and the objects in them.

Reading alone: nothing is downloaded, and no file is written into the folders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import PromptError
from geoiseg.raster import BoolArray

UNKNOWN = 128
"""Grey value of pixels that GrabCut and Berkeley leave undecided."""
ROOM = 2.0
"""Side of the window around an object of an overhead picture, as a multiple of the object's."""
WINDOW = 512
"""Pixels along a side of the smallest such window."""
SMALLEST = 256
"""Pixels of the smallest patch of a land cover map that counts as an object."""
LOVEDA = {2: "building", 3: "road", 4: "water", 5: "barren", 6: "forest", 7: "agriculture"}
"""Values of LoveDA's masks; 0 is no data and 1 background."""
POTSDAM = {
    (0, 0, 255): "building",
    (0, 255, 255): "low vegetation",
    (0, 255, 0): "tree",
    (255, 255, 0): "car",
}
"""Red, green and blue of the ISPRS labels of things; the others are ground and clutter."""

Rgb = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """One object on a picture."""

    name: str
    image: Rgb
    """``(y, x, 3)`` of the picture, or of the part of it around the object."""
    truth: BoolArray
    """``(y, x)``."""
    valid: BoolArray
    """``(y, x)`` False where nobody decided what is true, or where there is no data."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A picture and what says which objects are on it."""

    image: Path
    labels: Path


@dataclass(frozen=True, slots=True)
class Layout:
    """How a set of pictures is laid out."""

    title: str
    expects: str
    """What a folder has to hold, in words."""
    pairs: Callable[[Path], list[Pair]]
    objects: Callable[[Path], tuple[list[BoolArray], BoolArray | None]]
    """From a file of labels to the objects, and to where they are decided; None all over."""
    windows: bool = False
    """Whether objects are looked at in a window around them: overhead pictures are large."""


def layout_of(name: str) -> Layout:
    """Return the layout of a set by name.

    Raises:
        PromptError: There is no such set.
    """
    if name not in LAYOUTS:
        raise PromptError(f"there is no set {name!r}; known are {', '.join(LAYOUTS)}")
    return LAYOUTS[name]


def pairs_of(name: str, folder: Path) -> list[Pair]:
    """Return the pictures of a set, by name, with their labels.

    Args:
        name: One of :data:`LAYOUTS`.
        folder: Where it was unpacked.

    Raises:
        PromptError: The folder is not laid out like the set, or labels are missing.
    """
    layout = layout_of(name)
    found = layout.pairs(folder) if folder.is_dir() else []
    if not found:
        raise PromptError(f"{folder} is no {layout.title}: it should hold {layout.expects}")
    missing = [pair.labels for pair in found if not pair.labels.is_file()]
    if missing:
        raise PromptError(f"{len(missing)} pictures have no labels, the first is {missing[0]}")
    return found


def objects_of(name: str, pair: Pair) -> Iterator[Labelled]:
    """Yield the objects on a picture.

    Raises:
        PromptError: A file can not be read, or the labels are not of the picture's size.
    """
    layout = layout_of(name)
    image = read_rgb(pair.image)
    masks, valid = layout.objects(pair.labels)
    decided = np.ones(image.shape[:2], bool) if valid is None else valid
    for number, truth in enumerate(masks):
        if truth.shape != image.shape[:2]:
            raise PromptError(f"{pair.labels} is {truth.shape}, its picture {image.shape[:2]}")
        if not (truth & decided).any():
            continue
        label = f"{pair.image.stem}:{number}" if len(masks) > 1 else pair.image.stem
        part = window_of(truth) if layout.windows else (slice(None), slice(None))
        yield Labelled(label, image[part], truth[part], decided[part])


def window_of(truth: BoolArray) -> tuple[slice, slice]:
    """Return rows and columns around an object, within the picture."""
    sides = []
    for axis in (1, 0):
        found = np.flatnonzero(truth.any(axis=axis))
        first, last = int(found[0]), int(found[-1]) + 1
        length = truth.shape[1 - axis]
        size = min(length, max(WINDOW, round(ROOM * (last - first))))
        begin = int(np.clip((first + last - size) // 2, 0, length - size))
        sides.append(slice(begin, begin + size))
    return sides[0], sides[1]


def read_rgb(path: Path) -> Rgb:
    """Return ``(y, x, 3)`` uint8 of a picture, red first.

    Raises:
        PromptError: It can not be read.
    """
    import cv2

    found = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if found is None:
        raise PromptError(f"{path} is no picture that can be read")
    return np.asarray(cv2.cvtColor(found, cv2.COLOR_BGR2RGB), np.uint8)


def _files(folder: Path) -> list[Path]:
    """Return the files of a folder by name; none where there is no folder."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))


def _beside(images: Path, labels: Path) -> list[Pair]:
    """Return pictures with the file of the same stem in another folder."""
    by_stem = {path.stem: path for path in _files(labels)}
    return [
        Pair(path, by_stem.get(path.stem, labels / f"{path.stem}.png")) for path in _files(images)
    ]


def _folders(*names: tuple[str, str]) -> Callable[[Path], list[Pair]]:
    """Return what pairs the files of one or more folders of pictures and of labels."""
    return lambda folder: [
        pair for images, labels in names for pair in _beside(folder / images, folder / labels)
    ]


def _trimap(path: Path) -> tuple[list[BoolArray], BoolArray | None]:
    grey = read_rgb(path)[..., 2]
    return [grey > UNKNOWN], np.asarray(grey != UNKNOWN)


def _any(path: Path) -> tuple[list[BoolArray], BoolArray | None]:
    return [np.asarray(read_rgb(path).max(axis=2) > 0)], None


def _bright(path: Path) -> tuple[list[BoolArray], BoolArray | None]:
    return [np.asarray(read_rgb(path)[..., 2] > UNKNOWN)], None


def _instances(path: Path) -> tuple[list[BoolArray], BoolArray | None]:
    """Return the instances of a file of the Semantic Boundaries Dataset."""
    from scipy.io import loadmat

    try:
        numbers: Any = loadmat(str(path))["GTinst"][0][0][0]
    except Exception as error:  # loadmat raises whatever a damaged file leads it to
        raise PromptError(f"{path} holds no instances: {' '.join(str(error).split())}") from error
    return _by_value(np.asarray(numbers, np.int64)), None


def _by_value(numbers: NDArray[np.int64]) -> list[BoolArray]:
    return [np.asarray(numbers == value) for value in np.unique(numbers) if value > 0]


def _coloured(path: Path) -> tuple[list[BoolArray], BoolArray | None]:
    """Return the instances of iSAID, each of a colour of its own on black."""
    channels = read_rgb(path).astype(np.int64)
    return _by_value(channels[..., 0] + 256 * channels[..., 1] + 65536 * channels[..., 2]), None


def _patches(mask: BoolArray) -> list[BoolArray]:
    """Return the connected parts of a class that are large enough to be objects."""
    import cv2

    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    large = [n for n in range(1, count) if stats[n, cv2.CC_STAT_AREA] >= SMALLEST]
    return [np.asarray(parts == number) for number in large]


def _buildings(path: Path) -> tuple[list[BoolArray], BoolArray | None]:
    return _patches(np.asarray(read_rgb(path)[..., 0] > 0)), None


def _land_cover(path: Path) -> tuple[list[BoolArray], BoolArray | None]:
    classes = read_rgb(path)[..., 0]
    found = [part for value in LOVEDA for part in _patches(np.asarray(classes == value))]
    return found, np.asarray(classes > 0)


def _isprs(path: Path) -> tuple[list[BoolArray], BoolArray | None]:
    colours = read_rgb(path)
    masks = (np.asarray((colours == np.array(colour)).all(axis=2)) for colour in POTSDAM)
    return [part for mask in masks for part in _patches(mask)], None


def _sbd(folder: Path) -> list[Pair]:
    listed = folder / "val.txt"
    if not listed.is_file():
        return []
    names = listed.read_text(encoding="utf-8").split()
    return [Pair(folder / "img" / f"{n}.jpg", folder / "inst" / f"{n}.mat") for n in names]


def _whu(folder: Path) -> list[Pair]:
    base = folder / "test" if (folder / "test").is_dir() else folder
    return _beside(base / "image", base / "label")


def _loveda(folder: Path) -> list[Pair]:
    base = folder / "Val" if (folder / "Val").is_dir() else folder
    return _folders(*((f"{p}/images_png", f"{p}/masks_png") for p in ("Rural", "Urban")))(base)


def _isaid(folder: Path) -> list[Pair]:
    base = folder / "val" if (folder / "val").is_dir() else folder
    labels = base / "Instance_masks" / "images"
    return [
        Pair(path, labels / f"{path.stem}_instance_id_RGB.png")
        for path in _files(base / "images" / "images")
    ]


def _potsdam(folder: Path) -> list[Pair]:
    labels = folder / "5_Labels_all"
    return [
        Pair(path, labels / f"{path.stem.removesuffix('_RGB')}_label.tif")
        for path in _files(folder / "2_Ortho_RGB")
        if path.suffix == ".tif"
    ]


_THIN = "thin_object_detection"
LAYOUTS: dict[str, Layout] = {
    "grabcut": Layout("GrabCut", "data_GT and boundary_GT",
                      _folders(("data_GT", "boundary_GT")), _trimap),
    "berkeley": Layout("Berkeley", "images and masks", _folders(("images", "masks")), _trimap),
    "davis": Layout("DAVIS of RITM's authors", "img and gt", _folders(("img", "gt")), _any),
    "sbd": Layout("Semantic Boundaries Dataset", "val.txt, img and inst", _sbd, _instances),
    "coco-mval": Layout("COCO MVal of f-BRS's authors", "img and gt",
                        _folders(("img", "gt")), _bright),
    "hqseg44k": Layout("HQSeg-44K (its part for validation)",
                       f"DIS5K/DIS-VD and {_THIN}/COIFT, HRSOD, ThinObject5K",
                       _folders(("DIS5K/DIS-VD/im", "DIS5K/DIS-VD/gt"),
                                (f"{_THIN}/COIFT/images", f"{_THIN}/COIFT/masks"),
                                (f"{_THIN}/HRSOD/images", f"{_THIN}/HRSOD/masks_max255"),
                                (f"{_THIN}/ThinObject5K/images_test",
                                 f"{_THIN}/ThinObject5K/masks_test")), _bright),
    "whu": Layout("WHU buildings", "test/image and test/label", _whu, _buildings, windows=True),
    "loveda": Layout("LoveDA", "Val/Rural and Val/Urban with images_png and masks_png",
                     _loveda, _land_cover, windows=True),
    "isaid": Layout("iSAID", "val/images/images and val/Instance_masks/images",
                    _isaid, _coloured, windows=True),
    "potsdam": Layout("ISPRS Potsdam", "2_Ortho_RGB and 5_Labels_all",
                      _potsdam, _isprs, windows=True),
}  # fmt: skip
"""Sets by the name that ``--dataset`` takes."""
