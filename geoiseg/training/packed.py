"""Scenes in a form that needs no GDAL to be read and takes little room."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import RasterError
from geoiseg.training.scene import Scene

ABOUT = "scene.json"
QUALITY = 80
"""Of the JPEG of an image."""
STEP = 2
"""Classes are kept at a half of the resolution, as the bank does."""


def is_packed(folder: Path) -> bool:
    """Return whether the folder holds one packed scene."""
    return (folder / ABOUT).exists()


def write_packed(layers: list[Scene], place: Path) -> None:
    """Write all layers of one scene into a folder."""
    place.mkdir(parents=True, exist_ok=True)
    first = layers[0]
    bgr = np.ascontiguousarray(first.image[..., ::-1])
    cv2.imwrite(str(place / "image.jpg"), bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    cv2.imwrite(str(place / "valid.png"), first.valid.astype(np.uint8) * 255)
    if first.known is not None and first.present is not None:
        cv2.imwrite(str(place / "known.png"), first.known[::STEP, ::STEP])
        cv2.imwrite(str(place / "present.png"), first.present[::STEP, ::STEP])
    for number, scene in enumerate(layers):
        cv2.imwrite(str(place / f"ids_{number}.png"), scene.ids.astype(np.uint16))
    about = {
        "family": first.family,
        "place": first.place,
        "kinds": [{str(k): kind for k, kind in scene.kinds.items()} for scene in layers],
    }
    (place / ABOUT).write_text(json.dumps(about))


def read_packed(folder: Path) -> Iterator[Scene]:
    """Yield the layers of one packed scene.

    Raises:
        RasterError: A part of it cannot be read.
    """
    about = json.loads((folder / ABOUT).read_text())
    bgr = _picture(folder / "image.jpg", cv2.IMREAD_COLOR)
    valid = _picture(folder / "valid.png") > 0
    image = np.ascontiguousarray(bgr[..., ::-1])
    image[~valid] = 0
    classes = (folder / "known.png").exists()
    known = _enlarged(folder / "known.png", valid.shape) if classes else None
    present = _enlarged(folder / "present.png", valid.shape) if classes else None
    family, place = about["family"], about["place"]
    for number, named in enumerate(about["kinds"]):
        ids = _picture(folder / f"ids_{number}.png").astype(np.int16)
        kinds = {int(key): str(kind) for key, kind in named.items()}
        yield Scene(folder.name, image, valid, ids, kinds, family, place, present, known)


def _picture(path: Path, flags: int = cv2.IMREAD_UNCHANGED) -> NDArray[Any]:
    found: NDArray[Any] | None = cv2.imread(str(path), flags)
    if found is None:
        raise RasterError(f"cannot read {path.name!r} of {str(path.parent)!r}; pack it again")
    return found


def _enlarged(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return the classes of every pixel."""
    found = _picture(path).repeat(STEP, axis=0).repeat(STEP, axis=1)
    return np.ascontiguousarray(found[: shape[0], : shape[1]], np.uint8)
