"""Automatic masks beside segment-geospatial's, in one run: CPU time per megapixel, and memory.

    $ python -m venv peer
    $ peer/bin/pip install segment-geospatial segment-anything torch torchvision
    $ python benchmarks/vs_samgeo.py peer/bin/python --sizes 2048 4096

Both are given the same picture (the demo's scene), the same checkpoint (SAM's vit_b as it is,
with random weights that are written here, so that nothing is downloaded) and the same grid of
points, each in a process of its own, in turns. segment-geospatial looks at the raster as a
whole, reduced to 1024 pixels; so geoiseg is told to do that, too (one window, one scale).

With random weights a mask is noise. So there are two cases: nothing passes the filters, and
every point is answered by both; or everything passes, and is enlarged and painted by both,
where geoiseg spares points that lie on what was found. CPU seconds are those of the mapping,
after libraries and weights were loaded; memory is the most that the process ever held.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SEEN = 1024
"""Side in pixels to which the network reduces what it is shown."""
CASES = {"none": 1.0, "all": 0.0}
"""Which answers pass, and the least score and stability that do it."""


def main() -> None:
    """Measure both in turns, or be one of those that are measured."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("peer", help="interpreter of an environment with segment-geospatial")
    parser.add_argument("--sizes", type=int, nargs="+", default=[2048, 4096])
    parser.add_argument("--points", type=int, default=8, help="on each side of the grid")
    parser.add_argument("--batch", type=int, default=16, help="points answered together")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=[*CASES])
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    from geoiseg.demo.scene import make_scene

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = folder / "sam_vit_b_01ec64.pth"
        child(arguments.peer, arguments, {"role": "weights", "weights": str(weights)})
        print("| pixels | pass | | CPU-s per Mpx | CPU-s | wall s | peak MB | masks |")
        print("|---|---|---|---|---|---|---|---|", flush=True)
        for size in arguments.sizes:
            scene = make_scene(folder / f"{size}.tif", size).path
            for case in arguments.cases:
                told = {"weights": str(weights), "scene": str(scene), "size": size, "case": case,
                        "points": arguments.points, "batch": arguments.batch,
                        "folder": name}  # fmt: skip
                compare(arguments, told)


def compare(arguments: argparse.Namespace, told: dict[str, Any]) -> None:
    """Print what both take for one raster, and the ratios."""
    found: dict[str, list[dict[str, float]]] = {"samgeo": [], "geoiseg": []}
    for _ in range(arguments.rounds):
        for role, python in (("samgeo", arguments.peer), ("geoiseg", sys.executable)):
            found[role].append(child(python, arguments, {**told, "role": role}))
    megapixels = told["size"] ** 2 / 1e6
    middle = {
        role: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        for role, runs in found.items()
    }
    for role, run in middle.items():
        print(
            f"| {told['size']} | {told['case']} | {role} | {run['cpu'] / megapixels:.2f}"
            f" | {run['cpu']:.1f} | {run['wall']:.1f} | {run['peak']:.0f} | {run['masks']:.0f} |"
        )
    cpu, peak = (middle["samgeo"][key] / middle["geoiseg"][key] for key in ("cpu", "peak"))
    print(f"| {told['size']} | {told['case']} | ratio | {cpu:.1f} | | | {peak:.1f} | |", flush=True)


def child(python: str, arguments: argparse.Namespace, told: dict[str, Any]) -> dict[str, float]:
    """Return what one of the roles reports, played by an interpreter of its own."""
    threads = str(arguments.threads)
    done = subprocess.run(
        [python, __file__], input=json.dumps(told), capture_output=True, text=True, check=False,
        env={**os.environ, "VS_SAMGEO": "1", "OMP_NUM_THREADS": threads, "HF_HUB_OFFLINE": "1",
             "GEOISEG_THREADS": threads, "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{told['role']} failed:\n{done.stderr[-3000:]}")
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def play(told: dict[str, Any]) -> None:
    """Play one role, and print what was measured."""
    roles = {"weights": write_weights, "samgeo": samgeo, "geoiseg": ours}
    print(json.dumps(roles[told["role"]](told)))


def write_weights(told: dict[str, Any]) -> dict[str, float]:
    """Write vit_b with random weights, as it would be downloaded."""
    import torch
    from segment_anything import sam_model_registry

    torch.manual_seed(0)
    torch.save(sam_model_registry["vit_b"]().state_dict(), told["weights"])
    return {}


class Meter:
    """Counts from where it is made."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def read(self, masks: int) -> dict[str, float]:
        """Return seconds since, and the most memory ever, in 10^6 bytes."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
        return {"wall": time.perf_counter() - self.wall, "cpu": time.process_time() - self.cpu,
                "peak": peak, "masks": masks}  # fmt: skip


def samgeo(told: dict[str, Any]) -> dict[str, float]:
    """Measure segment-geospatial, from the raster to a raster of masks."""
    import torch
    from samgeo import SamGeo

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    least = CASES[told["case"]]
    sam = SamGeo(
        model_type="vit_b", checkpoint=told["weights"], device="cpu", automatic=True,
        sam_kwargs={"points_per_side": told["points"], "points_per_batch": told["batch"],
                    "pred_iou_thresh": 1e9 if least else -1e9,
                    "stability_score_thresh": least},
    )  # fmt: skip
    out = Path(told["folder"]) / "samgeo.tif"
    meter = Meter()
    with contextlib.suppress(IndexError):  # it fails at the very end where nothing was found
        sam.generate(told["scene"], str(out), unique=True)
    return meter.read(len(sam.masks))


def ours(told: dict[str, Any]) -> dict[str, float]:
    """Measure geoiseg, from the raster to a raster of objects."""
    import torch

    import geoiseg
    from geoiseg.tiled import AutomaticOptions

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    least, scale = CASES[told["case"]], max(1, told["size"] // SEEN)
    found = AutomaticOptions(
        spacing=told["size"] // told["points"] // scale, scales=(scale,), batch=told["batch"],
        min_score=least, min_stability=least, max_hidden=1.0 - least,
    )  # fmt: skip
    options = geoiseg.MapOptions(
        window=told["size"], tile=told["size"], min_area=1, automatic=found
    )
    model = geoiseg.get_model(told["weights"])
    out = Path(told["folder"]) / "geoiseg.tif"
    meter = Meter()
    report = geoiseg.segment_raster(
        told["scene"], out, model=model, options=options, progress=False
    )
    answer = meter.read(report.objects)
    out.unlink()
    return answer


if __name__ == "__main__":
    if os.environ.get("VS_SAMGEO"):
        play(json.load(sys.stdin))
    else:
        main()
