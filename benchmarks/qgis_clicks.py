"""How long a click takes in a real QGIS until its outline is drawn, and a preview under the mouse.

    python benchmarks/qgis_clicks.py [OUT.json]

Needs the development environment, QGIS and Xvfb. Prints medians, beside those of a session in this
process on the same clicks, which is what a notebook waits for before it draws. A click includes its
chip, which is read and encoded; a preview is asked for after that.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from geoiseg import Session
from geoiseg.demo.scene import make_scene
from tests.qgis.qgis_app import Qgis

CLICKS = 15


def middles(values: list[float]) -> dict[str, float]:
    """Return the first of some times, and the median of the others, in milliseconds."""
    return {"first": values[0] * 1e3, "median": statistics.median(values[1:]) * 1e3}


def in_session(scene: Path, places: list[list[float]], gsd: float) -> list[float]:
    """Return the seconds of each click in a session."""
    session = Session(scene, gsd=gsd)
    times = []
    for xy in places:
        since = time.perf_counter()
        session.add_point(*xy)
        _ = session.geometry
        times.append(time.perf_counter() - since)
        session.clear()
    return times


def main() -> None:
    """Time clicks and previews, and print the medians."""
    with tempfile.TemporaryDirectory() as folder:
        scene = make_scene(Path(folder) / "scene.tif", 1024)
        fields = [row.geometry for row in scene.truth if row.name not in ("sea", "lake")]
        largest = sorted(fields, key=lambda field: -field.area)[:CLICKS]
        inside = [field.representative_point() for field in largest]
        places = [[at.x, at.y] for at in inside]
        qgis = Qgis.made(Path(folder) / "qgis")
        steps = [{"do": "activate"}, {"do": "time", "places": places}]
        seen = qgis.drive(steps, raster=str(scene.path), canvas_crs=str(scene.crs))["seen"][-1]
        gsd = 10.0
        told = {
            "click to outline in QGIS, ms": middles(seen["about"]["clicks"]),
            "mouse to preview in QGIS, ms": middles(seen["about"]["hovers"]),
            "click in a session, ms": middles(in_session(scene.path, places, gsd)),
        }
    text = json.dumps(told, indent=1)
    print(text)
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
