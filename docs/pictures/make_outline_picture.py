"""Make the picture of outlines: along pixels, without stairs, sharpened, straight.

    python docs/pictures/make_outline_picture.py [OUT]

The demonstration's coast is clicked once, and one of its fields; the pictures are what the session
draws there, enlarged eight times.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

import geoiseg
from geoiseg.demo.scene import Scene, make_scene
from geoiseg.raster import Window

SIZE, SIDE, TIMES, CAPTION = 2048, 52, 8, 26
"""Pixels of the scene, of a piece of it, on the page for each of them; height of a caption."""
LINE, INK, PAPER = (40, 60, 255), (40, 40, 40), (255, 255, 255)
"""Colours, blue first."""

Picture = NDArray[np.uint8]


def piece(session: geoiseg.Session, shape: Any, middle: tuple[float, float], name: str) -> Picture:
    """Return a piece of the raster with an outline over it and a caption below.

    Args:
        session: On the raster.
        shape: In its CRS.
        middle: Of the piece, in its pixels.
        name: The caption.
    """
    raster = session.raster
    col, row = (round(place - SIDE / 2) for place in middle)
    chip = raster.chip(Window(row, col, SIDE, SIDE))
    bgr = np.ascontiguousarray(chip.rgb[..., ::-1])
    large = bgr.repeat(TIMES, axis=0).repeat(TIMES, axis=1)
    for ring in shapely.get_rings(shapely.get_parts(shape)):
        xy = (raster.grid.to_pixel(shapely.get_coordinates(ring)) - (col, row)) * TIMES
        line = np.rint(xy * 16 - 8).astype(np.int32)
        cv2.polylines(large, [line], isClosed=True, color=LINE, thickness=2,
                      lineType=cv2.LINE_AA, shift=4)  # fmt: skip
    below = np.full((CAPTION, large.shape[1], 3), PAPER, np.uint8)
    cv2.putText(below, name, (4, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, INK, 1, cv2.LINE_AA)
    return np.concatenate([large, below])


def drawn(session: geoiseg.Session, **how: Any) -> Any:
    """Return the object in progress as options draw it."""
    session.options = geoiseg.OutlineOptions(**how)
    return session.geometry


def coast(session: geoiseg.Session, scene: Scene) -> list[Picture]:
    """Return the coast as it was seen, along pixels and without stairs, and sharpened."""
    water = scene.truth_of("sea").buffer(-100).representative_point()
    session.add_point(water.x, water.y)
    inner = session.raster.grid.footprint.buffer(-SIDE * 3)
    edge = scene.truth_of("sea").boundary.intersection(inner)
    shore = edge.interpolate(0.85, normalized=True)
    middle = tuple(session.raster.grid.to_pixel([(shore.x, shore.y)])[0].tolist())
    seen = [
        piece(session, drawn(session, line="pixels"), middle, "as seen, along pixels"),
        piece(session, drawn(session), middle, "as seen, without stairs"),
    ]
    session.sharpen()
    return [*seen, piece(session, drawn(session), middle, "sharpened")]


def field(session: geoiseg.Session, scene: Scene) -> list[Picture]:
    """Return a field along pixels, without stairs, and with straight edges."""
    session.clear()
    fields = [row.geometry for row in scene.truth if row.label == "field"]
    whole = [one for one in fields if session.raster.grid.footprint.buffer(-50).contains(one)]
    one = min(whole, key=lambda shape: abs(float(shape.area) - (0.6 * SIDE * 2) ** 2))
    session.add_box(*one.buffer(4).bounds)
    middle = tuple(session.raster.grid.to_pixel([(one.centroid.x, one.centroid.y)])[0].tolist())
    ways: list[tuple[dict[str, Any], str]] = [
        ({"line": "pixels"}, "along pixels"),
        ({}, "without stairs"),
        ({"straight": 2}, "straight edges at any angle"),
    ]
    return [piece(session, drawn(session, **how), middle, name) for how, name in ways]


def main() -> None:
    """Click, draw, and write the picture."""
    out = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "outlines.jpg")
    with tempfile.TemporaryDirectory() as folder:
        scene = make_scene(Path(folder) / "scene.tif", SIZE)
        session = geoiseg.Session(scene.path)
        session.follow = False
        rows = [coast(session, scene), field(session, scene)]
    picture = np.concatenate([np.concatenate(row, axis=1) for row in rows])
    cv2.imwrite(str(out), picture, [cv2.IMWRITE_JPEG_QUALITY, 92])


if __name__ == "__main__":
    main()
