"""Scenes laid one after another as flat parts, with a table of the objects on them."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.training.families import SHARES
from geoiseg.training.scene import Scene

LEVELS = 4
"""Resolutions kept of each image: 1, 1/2, 1/4 and 1/8."""
CLASS_STEP = 2
"""Classes are kept at a half of the resolution: what learns them works at a half, too."""
IMAGE, CLASSES_AT, LABELS = 0, 3 * LEVELS, 3 * LEVELS + 4
"""Columns of a layer's row where its image, classes and object numbers are described: the
start, height and width of each level of the image; start, height, width and step of labels."""


class Target(NamedTuple):
    """One target, with its box in image pixels."""

    layer: int
    number: int
    x0: int
    y0: int
    x1: int
    y1: int
    area: int
    kind: str
    scene: str
    place: str
    family: str


class Store:
    """Gathers scenes into flat parts."""

    def __init__(self) -> None:
        self.pixels: list[NDArray[np.int32]] = []
        self.classes: list[NDArray[np.int16]] = []
        self.ids: list[NDArray[np.int16]] = []
        self.rows: list[list[int]] = []
        self.objects: list[Target] = []
        self._ends = {"pixels": 0, "classes": 0, "ids": 0}
        # The image is kept with its row, or the next one made might get its id.
        self._images: dict[int, tuple[NDArray[np.uint8], list[int]]] = {}

    def add(self, scene: Scene) -> None:
        """Take in one layer of a scene; its image and classes only if they are new."""
        _, row = self._images.get(id(scene.image)) or self._add_image(scene)
        step = round(scene.image.shape[0] / scene.ids.shape[0])
        start = self._place("ids", scene.ids.size)
        self.ids.append(scene.ids.ravel())
        self.objects += _objects(scene, len(self.rows), step)
        self.rows.append([*row, start, *scene.ids.shape, step])

    def _add_image(self, scene: Scene) -> tuple[NDArray[np.uint8], list[int]]:
        row: list[int] = []
        for words in _pyramid(scene):
            row += [self._place("pixels", words.size), *words.shape]
            self.pixels.append(words.ravel())
        classes = _classes(scene)
        row += [self._place("classes", classes.size), *classes.shape, CLASS_STEP]
        self.classes.append(classes.ravel())
        self._images[id(scene.image)] = scene.image, row
        return self._images[id(scene.image)]

    def _place(self, what: str, size: int) -> int:
        start = self._ends[what]
        self._ends[what] += size
        return start


def _classes(scene: Scene) -> NDArray[np.int16]:
    """Return ``(y / 2, x / 2)`` what is known and what is present as one number."""
    thin = np.s_[::CLASS_STEP, ::CLASS_STEP]
    if scene.known is None or scene.present is None:
        return np.zeros_like(scene.valid[thin], np.int16)
    known = (scene.known & (scene.valid * np.uint8(255)))[thin].astype(np.uint16)
    return (known << 8 | scene.present[thin] & known).astype(np.int16)


def _pyramid(scene: Scene) -> list[NDArray[np.int32]]:
    rgba = np.dstack([scene.image, scene.valid.astype(np.uint8) * 255])
    levels = []
    for level in range(LEVELS):
        share = 1 / 2**level
        small = cv2.resize(rgba, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
        levels.append(np.ascontiguousarray(small).view(np.int32)[..., 0])
    return levels


def _objects(scene: Scene, layer: int, step: int) -> list[Target]:
    """Return the targets of a layer, of which ``step`` image pixels make a label's."""
    from scipy.ndimage import find_objects

    areas = np.bincount(scene.ids[scene.ids > 0].ravel())
    found = find_objects(np.maximum(scene.ids, 0))
    about = scene.name, scene.place or scene.name, scene.family or "procedural"
    rows = []
    for number, kind in scene.kinds.items():
        place = found[number - 1] if number <= len(found) else None
        if place is not None and areas[number] * step**2 >= 25:
            y, x = place
            x0, y0, x1, y1 = (step * edge for edge in (x.start, y.start, x.stop, y.stop))
            area = int(areas[number]) * step**2
            rows.append(Target(layer, number, x0, y0, x1, y1, area, kind, *about))
    return rows


def weights_of(objects: list[Target]) -> NDArray[np.float64]:
    """Return each object's chance.

    It is the family's share; within it a place counts as the root of its number of scenes,
    and all scenes of a place alike; in a scene a kind counts as the root of its number of
    objects; and within the kind an object as the fourth root of its area.
    """
    weights = np.clip([row.area for row in objects], 50, 1e5) ** 0.25
    keys = [(row.family, row.place, row.scene, row.kind) for row in objects]
    for depth in (4, 3, 2, 1):
        groups: dict[tuple[str, ...], list[int]] = {}
        for index, key in enumerate(keys):
            groups.setdefault(key[:depth], []).append(index)
        for group, members in groups.items():
            parts = {4: len(members), 3: 1, 2: len({keys[i][2] for i in members})}
            share = SHARES[group[0]] if depth == 1 else parts[depth] ** 0.5
            weights[members] *= share / weights[members].sum()
    return np.asarray(weights, np.float64)
