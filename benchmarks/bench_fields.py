"""Fields as tiny outlines them: cleaned as a coverage, beside each simplified alone.

    $ python benchmarks/bench_fields.py ../shared/data/scenes

Every labelled field of the fields_* scenes is prompted with the box around its label and a
click in its middle; the outlines follow the pixels. Then they are cleaned (gaps and slivers
of two pixels, borders simplified by one), and simplified one by one by the same tolerance.
Shares are of the area of all fields. Overlaps are measured exactly; gaps are the ground
between fields in which no disk of two pixels fits; slivers are detached parts of the same
kind. Shared borders are identical where ``shapely.coverage_is_valid`` says so.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely

import geoiseg
from geoiseg.outline.coverage import CleanOptions, clean_geometries
from geoiseg.outline.coverage.frame import Frame
from geoiseg.outline.coverage.gaps import MITRE
from geoiseg.outline.vectorize import simplify

PIXELS, TOLERANCE = 2.0, 1.0


def fields(scene: Path, model: str) -> tuple[Any, Any, float]:
    """Return the outlines of a scene's fields, their CRS, and the pixel's size in metres."""
    session = geoiseg.Session(scene / "image.tif", model)
    labels = pyogrio.read_dataframe(scene / "labels.geojson").to_crs(session.raster.grid.crs)
    found = []
    for label in labels.geometry:
        box = shapely.intersection(label, session.raster.grid.footprint)
        if box.is_empty:
            continue
        middle = shapely.point_on_surface(box)
        session.clear()
        session.add_box(*box.bounds)
        session.add_point(middle.x, middle.y)
        if session.geometry is not None and not session.geometry.is_empty:
            found.append(session.geometry)
    pixel = session.raster.grid.pixel_size_metres()
    return np.array(found, dtype=object), session.raster.grid.crs, float(pixel or 1.0)


def overlap(shapes: Any) -> float:
    """Return the area that more than one has."""
    one, other = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    apart = one < other
    return float(shapely.area(shapely.intersection(shapes[one[apart]], shapes[other[apart]])).sum())


def gaps(shapes: Any, width: float) -> float:
    """Return the area between different fields in which no disk of a width fits."""
    ground = shapely.union_all(shapes)
    reach = {"join_style": "mitre", "mitre_limit": MITRE}
    closed = shapely.buffer(shapely.buffer(ground, width / 2, **reach), -width / 2, **reach)
    narrow = shapely.get_parts(shapely.difference(closed, ground))
    narrow = narrow[shapely.area(narrow) > (width / 100) ** 2]
    one, _ = shapely.STRtree(shapes).query(narrow, predicate="dwithin", distance=width / 100)
    between = np.bincount(one, minlength=len(narrow)) > 1
    return float(shapely.area(narrow[between]).sum())


def slivers(shapes: Any, width: float) -> int:
    """Return how many detached parts no disk of a width fits in, the largest of each left out."""
    count = 0
    for shape in shapes:
        parts = sorted(shapely.get_parts(shape), key=lambda part: -part.area)[1:]
        count += sum(part.buffer(-width / 2).is_empty for part in parts)
    return count


def measured(scene: Path, model: str) -> dict[str, Any]:
    """Return the figures of one scene."""
    outlines, crs, pixel = fields(scene, model)
    options = CleanOptions(gap=PIXELS * pixel, simplify=TOLERANCE * pixel)
    cleaned, report = clean_geometries(outlines, options, crs)
    frame = Frame.of(outlines, crs, pixel)
    before, after = frame.into(outlines), frame.into(cleaned[~shapely.is_empty(cleaned)])
    alone = np.array([simplify(shape, TOLERANCE * pixel) for shape in before], dtype=object)
    whole = float(shapely.area(shapely.union_all(before)))
    told: dict[str, Any] = {"scene": scene.name, "fields": len(outlines), "lost": len(report.lost)}
    for name, shapes in (("before", before), ("clean", after), ("alone", alone)):
        told[name] = {
            "overlap": overlap(shapes) / whole,
            "gaps": gaps(shapes, PIXELS * pixel) / whole,
            "slivers": slivers(shapes, PIXELS * pixel),
            "coverage": bool(shapely.coverage_is_valid(shapes)),
            "vertices": int(shapely.get_num_coordinates(shapes).sum()),
            "area": float(shapely.area(shapely.union_all(shapes))) / whole - 1,
        }
    told["by_reshaping"] = report.reshaped
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenes", type=Path)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--json", action="store_true", help="as JSON")
    asked = parser.parse_args()
    rows = [measured(scene, asked.model) for scene in sorted(asked.scenes.glob("fields_*"))]
    if not rows:
        sys.exit(f"{asked.scenes} has no scenes named fields_*")
    if asked.json:
        json.dump(rows, sys.stdout, indent=2)
        return
    print("| scene | fields | overlap before / clean / alone | gaps before / clean / alone"
          " | slivers | area clean | by simplifying | vertices |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        three = [row[name] for name in ("before", "clean", "alone")]
        share = [" / ".join(f"{100 * one[key]:.3f}" for one in three)
                 for key in ("overlap", "gaps")]  # fmt: skip
        count = [" / ".join(str(one[key]) for one in three) for key in ("slivers", "vertices")]
        shared = "" if row["clean"]["coverage"] else " (no coverage)"
        print(f"| `{row['scene']}` | {row['fields']} | {share[0]} % | {share[1]} % |"
              f" {count[0]} | {row['clean']['area']:+.2%} | {row['by_reshaping']:+.2%} |"
              f" {count[1]}{shared} |")  # fmt: skip


if __name__ == "__main__":
    main()
