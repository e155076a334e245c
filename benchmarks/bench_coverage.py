"""Cleaning, simplifying and exporting many polygons, beside the plain geopandas way.

    $ python benchmarks/bench_coverage.py
    $ python benchmarks/bench_coverage.py --polygons 10000 --json

The polygons are fields of 21 vertices that were drawn one by one: a metre of noise on every
vertex, a metre of gap, so that neighbours overlap here and leave slivers there. Each step
runs in a process of its own that says its wall time, its CPU time, and by how much its
memory peaked above what the polygons took. The plain way is what one writes by hand:
``make_valid``, ``overlay`` to resolve overlaps (each feature less the earlier ones), and
``simplify`` of each polygon alone.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
import shapely
from affine import Affine

from geoiseg.files.export import export_features
from geoiseg.outline.coverage import CleanOptions, clean
from geoiseg.raster.grid import Grid

SIDE, GAP, NOISE, CORNERS = 100.0, 1.0, 1.0, 5
WIDTH, TOLERANCE = 4.0, 2.0
FORMATS = ("gpkg", "shp", "geojson", "fgb", "parquet", "tif")


def fields(count: int, seed: int = 0) -> gpd.GeoDataFrame:
    """Return about ``count`` noisy fields side by side."""
    across = round(count**0.5)
    x, y = (np.arange(across) * SIDE for _ in range(2))
    corner = np.stack([axis.ravel() for axis in np.meshgrid(x, y)], axis=1)
    along = np.linspace(0, 1, CORNERS, endpoint=False)
    none, full = np.zeros(CORNERS), np.ones(CORNERS)
    ring = np.concatenate([np.c_[along, none], np.c_[full, along],
                           np.c_[1 - along, full], np.c_[none, 1 - along]])  # fmt: skip
    noise = np.random.default_rng(seed).normal(0, NOISE, (len(corner), 4 * CORNERS, 2))
    xy = ring * (SIDE - GAP) + corner[:, None] + noise + [500_000, 4_000_000]
    return gpd.GeoDataFrame(
        {"id": np.arange(len(corner)), "label": "field"},
        geometry=shapely.polygons(xy),
        crs="EPSG:32631",
    )


def cleaned(frame: gpd.GeoDataFrame, path: Path) -> dict[str, Any]:
    """Resolve overlaps, close gaps and simplify; keep the result."""
    result, report = clean(frame, CleanOptions(gap=WIDTH, simplify=TOLERANCE))
    result.to_parquet(path)
    return {key: report.as_dict()[key] for key in
            ("valid_after", "overlaps", "gaps_closed", "vertices_before", "vertices_after",
             "area_change")}  # fmt: skip


def cleaned_by_geos(frame: gpd.GeoDataFrame, path: Path) -> dict[str, Any]:
    """Resolve overlaps and close gaps through ``shapely.coverage_clean`` (GEOS 3.14)."""
    given = frame.geometry.to_numpy()
    result = shapely.coverage_clean(given, gap_width=WIDTH, merge_strategy="min_index")
    return {"valid_after": bool(shapely.coverage_is_valid(result)), **kept(given, result)}


def cleaned_only(frame: gpd.GeoDataFrame, path: Path) -> dict[str, Any]:
    """The same by ours: the earlier row keeps what two have."""
    given = frame.geometry.to_numpy()
    result, report = clean(frame, CleanOptions(gap=WIDTH))
    return {"valid_after": report.valid[1], **kept(given, result.geometry.to_numpy())}


def kept(given: Any, result: Any) -> dict[str, Any]:
    """Return what cleaning made of features, and whether the earlier row kept what two had."""
    one, other = shapely.STRtree(given).query(given, predicate="intersects")
    one, other = one[one < other], other[one < other]
    common = shapely.intersection(given[one], given[other])
    wrong = shapely.area(shapely.intersection(common, result[other]))
    union = shapely.get_parts(shapely.union_all(result))
    gaps = shapely.difference(shapely.polygons(shapely.get_exterior_ring(union)), union)
    opened = shapely.buffer(shapely.buffer(gaps, -WIDTH / 2), WIDTH / 2 + 0.01)
    return {
        "in_parts": int((shapely.get_num_geometries(result) > 1).sum()),
        "overlap_m2": round(float(shapely.area(common).sum())),
        "to_the_later_row_m2": round(float(wrong.sum())),
        "narrow_gaps_left_m2": round(float(shapely.area(shapely.difference(gaps, opened)).sum())),
        "vertices": int(shapely.get_num_coordinates(result).sum()),
    }


def simplified(frame: gpd.GeoDataFrame, path: Path) -> dict[str, Any]:
    """Simplify what is a coverage already."""
    result, report = clean(gpd.read_parquet(path), CleanOptions(simplify=2 * TOLERANCE))
    return {"valid_after": report.valid[1], "features": len(result)}


def simplified_by_geos(frame: gpd.GeoDataFrame, path: Path) -> dict[str, Any]:
    """The same through ``shapely.coverage_simplify``, which does not bound the change."""
    result = shapely.coverage_simplify(gpd.read_parquet(path).geometry.to_numpy(), 2 * TOLERANCE)
    return {"valid_after": bool(shapely.coverage_is_valid(result))}


def plain(frame: gpd.GeoDataFrame, path: Path) -> dict[str, Any]:
    """Clean with geopandas alone."""
    valid = frame.set_geometry(frame.make_valid())
    pairs = gpd.sjoin(valid, valid, predicate="intersects")
    earlier = pairs[pairs.index > pairs["index_right"]]
    rivals = valid.geometry.loc[earlier["index_right"]].set_axis(earlier.index)
    joined = gpd.GeoDataFrame(geometry=rivals, crs=frame.crs).dissolve(by=rivals.index)
    free = valid.geometry.copy()
    free.loc[joined.index] = free.loc[joined.index].difference(joined.geometry)
    simple = free.simplify(TOLERANCE)
    return {"valid_after": bool(shapely.coverage_is_valid(simple.to_numpy())), **faults(simple)}


def faults(geometry: gpd.GeoSeries) -> dict[str, float]:
    """Return overlaps as a share of the area."""
    array = np.asarray(geometry, dtype=object)
    one, other = shapely.STRtree(array).query(array, predicate="intersects")
    apart = one < other
    common = shapely.intersection(array[one[apart]], array[other[apart]])
    return {"overlap": float(shapely.area(common).sum() / shapely.area(array).sum())}


def exported(frame: gpd.GeoDataFrame, path: Path, suffix: str) -> dict[str, Any]:
    """Export what was cleaned, and count what arrived."""
    result = gpd.read_parquet(path)
    out = path.with_name(f"out.{suffix}")
    if suffix == "tif":
        left, bottom, right, top = result.total_bounds

        shape = (int((top - bottom) / 10) + 1, int((right - left) / 10) + 1)
        export_features(result, out, grid=Grid(result.crs, Affine(10, 0, left, 0, -10, top), shape))
        return {"bytes": out.stat().st_size}
    export_features(result, out)
    if suffix == "parquet":
        return {"rows": len(gpd.read_parquet(out)), "bytes": out.stat().st_size}
    layer = "features" if suffix == "gpkg" else None
    rows = pyogrio.read_info(out, layer=layer, force_feature_count=True)["features"]
    return {"rows": rows, "bytes": out.stat().st_size}


def measured(step: Callable[..., dict[str, Any]], count: int, path: Path, *args: str) -> Any:
    """Return what a step says with its time and memory, from a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_run, (step, count, path, args))


def _run(step: Any, count: int, path: Path, args: tuple[str, ...]) -> dict[str, Any]:
    frame = fields(count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = time.perf_counter(), time.process_time()
    said = step(frame, path, *args)
    return {
        "seconds": round(time.perf_counter() - wall, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "peak_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024,
        **said,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--polygons", type=int, default=100_000)
    parser.add_argument("--json", action="store_true", help="as JSON")
    asked = parser.parse_args()
    results: dict[str, Any] = {}

    def note(name: str, *step: Any) -> None:
        results[name] = measured(step[0], asked.polygons, path, *step[1:])
        if not asked.json:
            print(f"{name:<24} {results[name]}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clean.parquet"
        note("clean", cleaned)
        note("clean, no reshaping", cleaned_only)
        if hasattr(shapely, "coverage_clean"):
            note("coverage_clean", cleaned_by_geos)
        note("plain geopandas", plain)
        note("simplify", simplified)
        note("coverage_simplify", simplified_by_geos)
        for suffix in FORMATS:
            note(f"export {suffix}", exported, suffix)
    if asked.json:
        json.dump(results, sys.stdout, indent=2)


if __name__ == "__main__":
    main()
