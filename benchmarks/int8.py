"""Image encoders in fp32 and int8, by torch, onnxruntime and OpenVINO: times as ratios, mask IoU.

    $ python benchmarks/int8.py --raster scene.tif                       # all families
    $ python benchmarks/int8.py --family mobile-sam --rounds 3 --json out.json

Weights are random, of the true architectures, unless a checkpoint is given for a family
(``--weights mobile-sam=mobile_sam.pt``): then the IoU is that of a network that has learned
something. Each variant is timed in a process of its own, all of them in turn, ``--rounds`` times
over: CPU time of encoding one chip, the median of a few passes after a first one; ratios are
medians of those within a round. Masks are compared as ``geoiseg models export --int8`` compares
them, on chips of the raster that calibration did not see, or on made pictures.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from geoiseg.models.exported import export_model, load_exported
from geoiseg.models.exported.agreement import agreement
from geoiseg.models.exported.chips import chips_of, made_chips
from geoiseg.models.exported.int8 import Int8
from geoiseg.models.options import ModelOptions

EXACT = ModelOptions(device="cpu", precision="fp32", backend="onnxruntime")
VARIANTS: dict[str, tuple[str, str, str]] = {
    "torch, fp32": ("weights", "torch", "fp32"),
    "onnxruntime, fp32": ("fp32", "onnxruntime", "fp32"),
    "OpenVINO, fp32": ("fp32", "openvino", "fp32"),
    "OpenVINO, bf16": ("fp32", "openvino", "bf16"),
    "onnxruntime, int8 weights": ("int8-weights", "onnxruntime", "fp32"),
    "OpenVINO, int8 weights": ("int8-weights", "openvino", "fp32"),
    "onnxruntime, int8 static": ("int8-static", "onnxruntime", "fp32"),
    "OpenVINO, int8 static": ("int8-static", "openvino", "fp32"),
}
"""What is run: what is in the folder of that name, by which backend, in which precision."""
FIRST = next(iter(VARIANTS))
PASSES = 3


def random_sam(encoder: Any, side: int, path: Path) -> Path:
    """Save a network with SAM's decoder under random weights, and return the file."""
    import torch

    from geoiseg.models.sam.network import Sam

    torch.save(Sam(encoder, side).state_dict(), path.with_suffix(".pth"))
    return path.with_suffix(".pth")


def mobile_sam(path: Path) -> Path:
    from geoiseg.models.sam.tiny_vit import TinyVitEncoder

    return random_sam(TinyVitEncoder(), 1024, path)


def efficientvit_l0(path: Path) -> Path:
    from geoiseg.models.sam.efficient_vit import EfficientVitEncoder

    return random_sam(EfficientVitEncoder(), 1024, path)


def random_pretrained(network: str, config: dict[str, Any], path: Path) -> Path:
    """Save a network of transformers under random weights, and return the folder."""
    import transformers

    kind = getattr(transformers, network)
    kind(kind.config_class.from_dict(config)).save_pretrained(path)
    return path


def sam2_tiny(path: Path) -> Path:
    from geoiseg.models.sam.convert_sam2 import sam2_config

    return random_pretrained("Sam2Model", sam2_config("sam2-hiera-tiny"), path)


def edgetam(path: Path) -> Path:
    from geoiseg.models.sam.convert_sam2 import edgetam_config

    return random_pretrained("EdgeTamModel", edgetam_config(), path)


FAMILIES: dict[str, Callable[[Path], Path]] = {
    "mobile-sam": mobile_sam,
    "efficientvit-sam-l0": efficientvit_l0,
    "sam2-hiera-tiny": sam2_tiny,
    "edgetam": edgetam,
}


def prepare(family: str, given: Path | None, folder: Path, chips: Any) -> dict[str, Any]:
    """Write all that is run of a family, and return the size and IoU of each int8 encoder.

    ``weights.txt`` names the checkpoint.
    """
    import torch

    torch.manual_seed(0)
    weights = given or FAMILIES[family](folder / "network")
    (folder / "weights.txt").write_text(str(weights))
    export_model(weights, folder / "fp32")
    exact = load_exported(folder / "fp32", family, EXACT)
    whole = size_of(folder / "fp32")
    found: dict[str, Any] = {}
    for kind in ("weights", "static"):
        how = Int8(kind, chips, "benchmark", least=0.0)
        out = folder / f"int8-{kind}"
        export_model(folder / "fp32", out, EXACT, how)
        alike = agreement(exact, load_exported(out, family, EXACT), how.measuring)
        found[kind] = {"iou": alike.mean, "worst": alike.worst, "size": size_of(out) / whole}
    return found


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("encoder.*"))


def spent(folder: Path, variant: str) -> float:
    """Return the CPU milliseconds of encoding a chip, in this process."""
    from geoiseg.models.registry import get_model

    part, backend, precision = VARIANTS[variant]
    where = (folder / "weights.txt").read_text() if part == "weights" else str(folder / part)
    model: Any = get_model(Path(where), ModelOptions("cpu", precision, backend))
    side = model.info.chip_size
    ((image, valid),) = made_chips(side, 1)
    pixels = [model.pixel_values(image, valid)]
    times = []
    for _ in range(PASSES + 1):
        started = time.process_time()
        model.engine.encode(pixels)
        times.append(1e3 * (time.process_time() - started))
    return float(np.median(times[1:]))


def measured(folder: Path, rounds: int) -> dict[str, list[float]]:
    """Return the milliseconds of each variant in each round; those that fail here are left out."""
    found: dict[str, list[float]] = {}
    failed: set[str] = set()
    for _ in range(rounds):
        for name in VARIANTS:
            if name in failed:
                continue
            command = [sys.executable, __file__, "--one", name, "--folder", str(folder)]
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            if done.returncode:
                failed.add(name)
                print(f"{name}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
            else:
                found.setdefault(name, []).append(float(done.stdout.split()[-1]))
    return found


def ratios(times: dict[str, list[float]]) -> dict[str, float]:
    """Return the median over rounds of each variant's time in times of the first one's."""
    base = times[FIRST]
    return {
        name: statistics.median(one / other for one, other in zip(own, base, strict=True))
        for name, own in times.items()
    }


def table(report: dict[str, Any]) -> str:
    """Return the ratios as Markdown, a variant a row, and the IoU and size of what is int8."""
    families = list(report)
    lines = ["| CPU time of encoding | " + " | ".join(families) + " |"]
    lines.append("|---|" + "--:|" * len(families))
    for name in VARIANTS:
        cells = [report[family]["ratios"].get(name) for family in families]
        shown = ["" if cell is None else f"{cell:.2f}" for cell in cells]
        lines.append(f"| {name} | " + " | ".join(shown) + " |")
    for kind in ("weights", "static"):
        for what, form in (("iou", "{:.3f}"), ("worst", "{:.3f}"), ("size", "{:.2f}")):
            cells = [form.format(report[family]["int8"][kind][what]) for family in families]
            lines.append(f"| int8 {kind}: {what} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--family", action="append", choices=tuple(FAMILIES))
    parser.add_argument("--weights", action="append", default=[], help="FAMILY=CHECKPOINT")
    parser.add_argument("--raster", type=Path, help="of which chips are taken")
    parser.add_argument("--chips", type=int, default=4, help="half of them calibrate")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.one:
        print(spent(args.folder, args.one))
        return 0
    given = dict(one.split("=", 1) for one in args.weights)
    report: dict[str, Any] = {}
    for family in args.family or list(FAMILIES):
        chips = made_chips(1024, args.chips)
        if args.raster is not None:
            from geoiseg.raster import open_raster

            chips = chips_of(open_raster(args.raster), 1024, args.chips)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            own = Path(given[family]) if family in given else None
            int8 = prepare(family, own, folder, chips)
            times = measured(folder, args.rounds)
        report[family] = {"ratios": ratios(times), "times": times, "int8": int8}
        print(f"\n{table(report)}", flush=True)
        if args.json:
            args.json.write_text(json.dumps(report, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
