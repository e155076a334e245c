"""Make the pictures of the map tool for the manual, in a real QGIS.

    python docs/pictures/make_qgis_picture.py [FOLDER] [--only map|words]

Needs the development environment, QGIS and Xvfb. Nothing is drawn into the pictures.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from geoiseg.demo.scene import make_scene  # noqa: E402
from tests.qgis.qgis_app import Qgis  # noqa: E402

FIELDS = ((586250, 5790250), (585300, 5788980), (586122, 5789678))
FIELD, BEYOND = (586878, 5789748), (587163, 5789876)
"""A click in a field that spills over into the next, and where to say so."""
VIEW = (584900, 5788700, 587900, 5791500)
CLASSES = ("field", "water", "wood")

Steps = list[dict[str, Any]]


def begun() -> Steps:
    """Return how both pictures begin: a layer for objects, and classes."""
    return [
        {"do": "tidy"}, {"do": "activate"}, {"do": "new_layer"},
        *({"do": "class", "name": name} for name in CLASSES), {"do": "key", "key": "1"},
    ]  # fmt: skip


def on_the_map(shot: Path) -> Steps:
    """Return what is done for the picture of clicks."""
    accepted: Steps = [
        step for xy in FIELDS for step in ({"do": "click", "xy": xy}, {"do": "key", "key": "enter"})
    ]
    return [
        *begun(), *accepted,
        {"do": "click", "xy": FIELD}, {"do": "click", "xy": BEYOND, "button": "right"},
        {"do": "picture", "path": str(shot), "window": True},
    ]  # fmt: skip


def by_words(shot: Path) -> Steps:
    """Return what is done for the picture of words."""
    return [
        *begun(), {"do": "key", "key": "3"}, {"do": "find", "words": "wood"},
        {"do": "threshold", "value": 85},
        {"do": "picture", "path": str(shot), "window": True},
    ]  # fmt: skip


def main() -> None:
    """Do it, and take the pictures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", type=Path, default=HERE)
    parser.add_argument("--only", choices=("map", "words"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scene = Path(folder) / "scene.tif"
        make_scene(scene, 2048)
        qgis = Qgis.made(Path(folder) / "qgis")
        for name, steps in (("map", on_the_map), ("words", by_words)):
            if given.only not in (None, name):
                continue
            shot = Path(folder) / f"{name}.png"
            extent = VIEW if name == "map" else None
            qgis.drive(steps(shot), name="scene", raster=str(scene), canvas_crs="EPSG:3857",
                       **({"extent": extent} if extent else {}))  # fmt: skip
            picture = Image.open(shot).convert("RGB")
            picture.save(
                given.folder / f"qgis-{name}.jpg", quality=82, optimize=True, progressive=True
            )


if __name__ == "__main__":
    main()
