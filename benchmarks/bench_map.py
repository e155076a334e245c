"""Whole rasters: quality, agreement of tilings, memory, speed, workers, accidents.

    $ python benchmarks/bench_map.py quality --size 4096      # the demo's scene, several tilings
    $ python benchmarks/bench_map.py quality --scenes ../shared/data/scenes   # a mosaic of them
    $ python benchmarks/bench_map.py modes --scenes ../shared/data/scenes     # side by side
    $ python benchmarks/bench_map.py families --scenes ../shared/data/scenes  # each as it is
    $ python benchmarks/bench_map.py loaded --scenes ../shared/data/scenes    # without a start
    $ python benchmarks/bench_map.py memory --gigapixels 0.1 1 10
    $ python benchmarks/bench_map.py workers --scenes ../shared/data/scenes --size 16384   # Dask
    $ python benchmarks/bench_map.py accidents --times 10     # kill -9 and --resume
    $ python benchmarks/bench_map.py tile --scenes ../shared/data/scenes --size 10980

``quality`` counts a found object as right where its IoU with a true one (sea, lake, fields) is
above 0.5; the demo's scene has woods, roads and houses besides, which count as wrong. The labels
of the scenes are not complete: there, only objects that lie on labelled ones by half are judged.
``agreement`` is the share of the first tiling's area whose objects have one of IoU above 0.9 in
the other.
``tile`` maps a mosaic of the scenes from start to GeoPackage, once undisturbed and once killed with
``kill -9`` in the middle and gone on with, and compares.
``families`` maps each scene as it is, small ones too, and judges those of a family together: the
first words of their names, or ``--families``.
``loaded`` maps the same in this process, whose model is loaded already, in turn, and prints the
least and the median CPU time of each mode.
``memory`` maps sparse rasters with the same four pieces of scene in each, so that only the size
differs; each runs in a process of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from affine import Affine
from rasterio.windows import Window
from scene_mosaic import make_mosaic

from geoiseg.demo.scene import make_scene
from geoiseg.evaluate.dataset import LabelledScene, scenes
from geoiseg.tiled import MapOptions, segment_raster
from geoiseg.tiled.judged import quality as measured
from geoiseg.words import WordsOptions


def run(*arguments: object, **variables: str) -> dict[str, Any]:
    """Return the report of ``geoiseg map``, run in a process of its own."""
    command = [sys.executable, "-m", "geoiseg", "map", *map(str, arguments), "--json"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **variables}
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def ious(one: Any, other: Any) -> np.ndarray:
    """Return for each geometry of one the greatest IoU with any of the other."""
    tree = shapely.STRtree(other)
    left, right = tree.query(one, predicate="intersects")
    shared = shapely.area(shapely.intersection(one[left], other[right]))
    union = shapely.area(one[left]) + shapely.area(other[right]) - shared
    best = np.zeros(len(one))
    np.maximum.at(best, left, shared / union)
    return best


def cpu_seconds() -> float:
    """Return the CPU time of all processes that were run."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def quality(arguments: argparse.Namespace, folder: Path) -> None:
    """Print precision and recall, tiling by tiling, and how far the tilings agree."""
    path = folder / "scene.tif"
    if arguments.scenes:
        truth = make_mosaic(arguments.scenes, path, arguments.size)
    else:
        scene = make_scene(path, arguments.size)
        truth = np.array([row.geometry for row in scene.truth], object)
    results: dict[int, Any] = {}
    print("| tile | objects | precision | recall | F1 | mAP@.5 | mAP@.5:.95 | mean IoU | Mpx/s"
          " | CPU-s/Mpx | peak MB | read |")  # fmt: skip
    print("|---|" + "---|" * 11)
    for tile in arguments.tiles:
        out = folder / f"{tile}.gpkg"
        before = cpu_seconds()
        told = run(path, out, "-m", arguments.model, "--tile", tile, *arguments.extra)
        effort = (cpu_seconds() - before) / told["megapixels"]
        frame = gpd.read_file(out)
        results[tile] = frame.geometry.to_numpy()
        judged = labelled(results[tile], truth) if arguments.scenes else results[tile]
        hit, found = ious(truth, results[tile]), ious(judged, truth)
        precision, recall = (found > 0.5).mean(), (hit > 0.5).mean()
        f1 = 2 * precision * recall / max(1e-9, precision + recall)
        good = measured(results[tile], frame["score"].to_numpy(), truth)
        phases = told["phases"]
        print(
            f"| {tile} | {told['objects']} | {precision:.2f} | {recall:.2f} | {f1:.2f}"
            f" | {good.ap50:.2f} | {good.ap:.2f} | {hit[hit > 0.5].mean():.2f}"
            f" | {told['megapixels_per_second']:.2f} | {effort:.2f} | {told['peak_mb']:.0f}"
            f" | {phases['read'] / sum(phases.values()):.1%} |",
            flush=True,
        )
    for one, other in zip(arguments.tiles, arguments.tiles[1:], strict=False):
        area = shapely.area(results[one])
        for limit in (0.5, 0.9):
            agreed = ious(results[one], results[other]) > limit
            share = area[agreed].sum() / area.sum()
            print(f"agreement of {one} with {other} at IoU {limit}: {share:.1%} of the area")


WAYS = {
    "release before": ("-m", "tiny-1", "--mode", "lattice"),
    "fast": ("--mode", "fast"),
    "best": ("--mode", "best"),
    "fast, openvino": ("--mode", "fast", "--backend", "openvino"),
    "best, openvino": ("--mode", "best", "--backend", "openvino"),
}
"""Ways to map that are compared, as arguments."""
MODES = {
    "release before": ("tiny-1", "lattice"), "fast": ("tiny", "fast"), "best": ("tiny", "best"),
}  # fmt: skip
"""The same as a model and a mode."""


def modes(arguments: argparse.Namespace, folder: Path) -> None:
    """Print the quality and the effort of several ways to map the same scenes, side by side."""
    path = folder / "scene.tif"
    truth = make_mosaic(arguments.scenes, path, arguments.size)
    print("| way | objects | precision | recall | F1 | mAP@.5 | mAP@.5:.95 | covered | CPU-s/Mpx"
          " | peak MB |")  # fmt: skip
    print("|---|" + "---|" * 9)
    for name in arguments.ways:
        out, before = folder / f"{name}.gpkg", cpu_seconds()
        told = run(path, out, *WAYS[name], *arguments.extra)
        effort = (cpu_seconds() - before) / told["megapixels"]
        frame = gpd.read_file(out)
        good = measured(frame.geometry.to_numpy(), frame["score"].to_numpy(), truth)
        print(
            f"| {name} | {told['objects']} | {good.precision:.2f} | {good.recall:.2f}"
            f" | {good.f1:.2f} | {good.ap50:.2f} | {good.ap:.2f} | {good.covered:.0%}"
            f" | {effort:.2f} | {told['peak_mb']:.0f} |",
            flush=True,
        )


def families(arguments: argparse.Namespace, folder: Path) -> None:
    """Print the quality of the modes, or of a word, on scenes as they are, family by family."""
    ways = {way: (model, MapOptions(mode=mode)) for way, (model, mode) in MODES.items()}
    if arguments.text:
        ways = {arguments.text: ("tiny", MapOptions(words=WordsOptions(arguments.text)))}
    groups: dict[str, list[LabelledScene]] = {}
    for scene in scenes(arguments.scenes):
        groups.setdefault(scene.name.strip("_").partition("_")[0], []).append(scene)
    print("| family | way | labels | objects | precision | recall | F1 | mAP@.5 | covered"
          " | CPU-s/Mpx |\n|---|---|" + "---|" * 8)  # fmt: skip
    for family in arguments.families or groups:
        for way, (model, options) in ways.items():
            found, scores, truth, effort, megapixels = [], [], [], 0.0, 0.0
            for number, scene in enumerate(groups[family]):
                out, grid = folder / f"{way}{scene.name}.gpkg", scene.raster.grid
                aside = np.array([1e6 * number, 0])
                before = time.process_time()
                segment_raster(scene.raster, out, model=model, options=options, progress=False)
                effort += time.process_time() - before
                megapixels += grid.height * grid.width / 1e6
                frame = gpd.read_file(out)
                for shapes, target in (
                    (frame.geometry, found), ([one.geometry for one in scene.objects], truth)
                ):  # fmt: skip
                    pixels = shapely.transform(np.array(shapes, object), grid.to_pixel)
                    apart = shapely.transform(pixels, lambda xy, a=aside: xy + a)
                    target.append(apart)
                scores.append(frame["score"].to_numpy())
            every = [np.concatenate(parts) for parts in (found, scores, truth)]
            good = measured(*every)
            print(
                f"| {family} | {way} | {len(every[2])} | {len(every[0])} | {good.precision:.2f}"
                f" | {good.recall:.2f} | {good.f1:.2f} | {good.ap50:.2f} | {good.covered:.0%}"
                f" | {effort / megapixels:.2f} |",
                flush=True,
            )


def loaded(arguments: argparse.Namespace, folder: Path) -> None:
    """Print the CPU time of modes whose model is loaded: the least and the median of rounds."""
    path = folder / "scene.tif"
    truth = make_mosaic(arguments.scenes, path, arguments.size)
    megapixels, effort = arguments.size**2 / 1e6, {mode: [] for mode in arguments.modes}
    for turn in range(arguments.times + 1):
        for mode, spent in effort.items():
            out, before = folder / f"{mode}{turn}.gpkg", time.process_time()
            segment_raster(
                path, out, model=arguments.model, options=MapOptions(mode=mode), progress=False
            )
            if turn:  # the first loads
                spent.append((time.process_time() - before) / megapixels)
    print("| mode | F1 | mAP@.5 | CPU-s/Mpx, least | median |\n|---|---|---|---|---|")
    for mode, spent in effort.items():
        frame = gpd.read_file(folder / f"{mode}1.gpkg")
        good = measured(frame.geometry.to_numpy(), frame["score"].to_numpy(), truth)
        print(
            f"| {mode} | {good.f1:.2f} | {good.ap50:.2f} | {min(spent):.2f}"
            f" | {statistics.median(spent):.2f} |"
        )


def labelled(found: Any, truth: Any) -> Any:
    """Return the objects that lie on labelled ones by half: what else there is, nobody knows."""
    ground = shapely.intersection(found, shapely.union_all(truth))
    return found[shapely.area(ground) > 0.5 * shapely.area(found)]


def sparse(path: Path, gigapixels: float, folder: Path, piece: int) -> Path:
    """Write a raster of that size in which four pieces of scene lie, far from each other."""
    side = round((gigapixels * 1e9) ** 0.5)
    scene = make_scene(folder / "piece.tif", piece)
    with rasterio.open(scene.path) as source:
        pixels = np.maximum(source.read(), 1)
    profile = {
        "driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8",
        "nodata": 0, "tiled": True, "blockxsize": 512, "blockysize": 512, "sparse_ok": True,
        "bigtiff": "yes", "compress": "deflate", "interleave": "pixel", "crs": "EPSG:32631",
        "transform": Affine(1, 0, 400_000, 0, -1, 5_900_000),
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as target:
        for row in (0, side - piece):
            for col in (0, side - piece):
                target.write(pixels, window=Window(col, row, piece, piece))
    return path


def memory(arguments: argparse.Namespace, folder: Path) -> None:
    """Print peak memory and time of rasters of several sizes."""
    print("| gigapixels | windows | objects | peak MB | seconds | finding, s | Mpx/s |")
    print("|---|---|---|---|---|---|---|")
    for gigapixels in arguments.gigapixels:
        path = sparse(folder / f"{gigapixels}.tif", gigapixels, folder, arguments.piece)
        out = folder / f"{gigapixels}.gpkg"
        told = run(path, out, "-m", arguments.model, *arguments.extra)
        print(
            f"| {gigapixels:g} | {told['windows']} | {told['objects']} | {told['peak_mb']:.0f}"
            f" | {told['seconds']:.0f} | {told['phases']['find']:.0f}"
            f" | {told['megapixels_per_second']:.2f} |",
            flush=True,
        )
        path.unlink()


def workers(arguments: argparse.Namespace, folder: Path) -> None:
    """Print the throughput of one and of two Dask workers with one thread each."""
    path = folder / "scene.tif"
    if arguments.scenes:
        make_mosaic(arguments.scenes, path, arguments.size)
    else:
        make_scene(path, arguments.size)
    rates = {}
    for count in (1, 2):
        out = folder / f"{count}.gpkg"
        told = run(
            path, out, "-m", arguments.model, "--scheduler", "dask", "--workers", count,
            *arguments.extra, GEOISEG_THREADS="1", OMP_NUM_THREADS="1",
        )  # fmt: skip
        rates[count] = told["megapixels_per_second"]
        print(
            f"{count} workers: {rates[count]:.3f} Mpx/s, {told['seconds']:.1f} s, of which each"
            f" worked {sum(told['phases'].values()) / count:.1f} s; {told['peak_mb']:.0f} MB each"
        )
    print(f"two give {rates[2] / rates[1]:.2f} times one")


def accidents(arguments: argparse.Namespace, folder: Path) -> None:
    """Kill runs at random, go on with them, and compare with an undisturbed one."""
    scene = make_scene(folder / "scene.tif", 1024)
    given = [scene.path, "-m", arguments.model, "--tile", 256, "--overlap", 64, *arguments.extra]
    started = time.perf_counter()
    run(given[0], folder / "whole.gpkg", *given[1:])
    whole = time.perf_counter() - started
    wanted = gpd.read_file(folder / "whole.gpkg")
    chance = random.Random(arguments.seed)
    for number in range(arguments.times):
        out = folder / f"{number}.gpkg"
        command = [sys.executable, "-m", "geoiseg", "map", *map(str, [given[0], out, *given[1:]])]
        kills, finished = 0, False
        while not finished:
            resume = ["--resume"] if out.with_name(out.name + ".ledger").exists() else []
            process = subprocess.Popen(
                command + resume, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            try:
                wait = chance.uniform(0.3, 0.9) * whole if kills < 2 else None
                process.communicate(timeout=wait)
                finished = True
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                kills += 1
        found = gpd.read_file(out)
        alike = same(found, wanted)
        print(f"{number}: killed {kills} times, {len(found)} objects, same: {alike}", flush=True)
        if not alike:
            raise SystemExit(1)


def tile(arguments: argparse.Namespace, folder: Path) -> None:
    """Time a map from start to GeoPackage, and one that is killed amid it and gone on with."""
    path, whole, out = (folder / name for name in ("tile.tif", "whole.gpkg", "out.gpkg"))
    truth = make_mosaic(arguments.scenes, path, arguments.size)
    before, started = cpu_seconds(), time.perf_counter()
    told = run(path, whole, "-m", arguments.model, *arguments.extra)
    seconds, effort = time.perf_counter() - started, cpu_seconds() - before
    frame = gpd.read_file(whole)
    good = measured(frame.geometry.to_numpy(), frame["score"].to_numpy(), truth)
    print(
        f"{arguments.size} px, {told['megapixels']:.1f} Mpx, {told['windows']} windows:"
        f" {seconds:.0f} s from start to GeoPackage, {effort:.0f} CPU-s,"
        f" {effort / told['megapixels']:.2f} a Mpx; {told['objects']} objects,"
        f" {told['peak_mb']:.0f} MB at most; {good.text()}",
        flush=True,
    )
    command = [sys.executable, "-m", "geoiseg", "map", str(path), str(out), "-m", arguments.model,
               *arguments.extra]  # fmt: skip
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=0.5 * seconds)
    process.kill()
    process.communicate()
    killed = time.perf_counter() - started
    again = run(path, out, "-m", arguments.model, *arguments.extra, "--resume")
    alike = same(gpd.read_file(out), frame)
    print(
        f"killed after {killed:.0f} s; {again['megapixels']:.1f} Mpx were left, done in"
        f" {again['seconds']:.0f} s; same features: {alike}"
    )


def same(found: gpd.GeoDataFrame, wanted: gpd.GeoDataFrame) -> bool:
    """Return whether two maps are equal, columns and vertices."""
    alike = found.drop(columns="geometry").equals(wanted.drop(columns="geometry"))
    return alike and bool(found.geometry.geom_equals_exact(wanted.geometry, 0).all())


def main() -> None:
    """Run one of the parts."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    parts = {"quality": quality, "memory": memory, "workers": workers, "accidents": accidents,
             "tile": tile, "modes": modes, "families": families, "loaded": loaded}  # fmt: skip
    parser.add_argument("part", choices=list(parts))
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--scenes", type=Path, help="folder of labelled scenes to join")
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--tiles", type=int, nargs="+", default=[1024])
    parser.add_argument("--gigapixels", type=float, nargs="+", default=[0.1, 1])
    parser.add_argument("--piece", type=int, default=2048)
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS)[:3])
    parser.add_argument("--modes", nargs="+", default=["fast", "best"], help="for loaded")
    parser.add_argument("--families", nargs="+", help="first words of scenes' names")
    parser.add_argument("--text", help="for families: what words name, in place of the modes")
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    arguments, arguments.extra = parser.parse_known_args()
    if arguments.extra and arguments.part in ("families", "loaded"):
        parser.error(f"{arguments.part} takes no {' '.join(arguments.extra)}")
    with tempfile.TemporaryDirectory() as folder:
        parts[arguments.part](arguments, Path(folder))


if __name__ == "__main__":
    main()
