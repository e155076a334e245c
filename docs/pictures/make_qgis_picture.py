"""Make the picture of the map tool for the manual, in a real QGIS.

    python docs/pictures/make_qgis_picture.py [OUT]

Needs the development environment, QGIS and Xvfb. Nothing is drawn into the picture.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from geoiseg.demo.scene import make_scene  # noqa: E402
from tests.qgis.qgis_app import Qgis  # noqa: E402

FIELDS = ((586250, 5790250), (585300, 5788980), (586850, 5791280))
FIELD, BEYOND = (586878, 5789748), (587163, 5789876)
"""A click in a field that spills over into the next, and where to say so."""
VIEW = (584900, 5788700, 587900, 5791500)


def main() -> None:
    """Click, accept, and take the picture."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "qgis-map.jpg"
    with tempfile.TemporaryDirectory() as folder:
        scene = Path(folder) / "scene.tif"
        make_scene(scene, 2048)
        qgis = Qgis.made(Path(folder) / "qgis")
        shot = Path(folder) / "shot.png"
        accepted = [
            step
            for xy in FIELDS
            for step in ({"do": "click", "xy": xy}, {"do": "key", "key": "enter"})
        ]
        qgis.drive(
            [
                {"do": "tidy"}, {"do": "activate"}, {"do": "new_layer"},
                {"do": "label", "text": "field"}, *accepted,
                {"do": "click", "xy": FIELD}, {"do": "click", "xy": BEYOND, "button": "right"},
                {"do": "picture", "path": str(shot), "window": True},
            ],
            name="scene", raster=str(scene), canvas_crs="EPSG:3857", extent=VIEW,
        )  # fmt: skip
        Image.open(shot).convert("RGB").save(out, quality=82, optimize=True, progressive=True)


if __name__ == "__main__":
    main()
