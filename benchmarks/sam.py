"""SAM beside segment-anything's reference: encoding, a click, 64 prompts, memory; one table.

    python -m benchmarks.sam [--rounds 3] [--json out.json]          # CPU
    python -m benchmarks.sam --threads 1 --spend 0.1                 # on a busy machine
    python -m benchmarks.sam --device cuda [--json out.json]         # any CUDA machine

Weights are random, of the true architectures. Each variant runs in a process of its own,
all of them in turn, ``--rounds`` times over; ratios are medians of those within a round.
Glibc's tunables are switched off: nobody has large pages by default.
CPU time is user and system time of the process; the rate of a matrix product in each
process tells how busy the machine was. The first pass of everything does not count.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import sam_work as work

FLOPS = {"vit_b": 972e9, "vit_h": 5961e9}
"""Of encoding one image of 1024 pixels, twice the multiply-adds."""
GRAPHS = {"path": "graphs", "device": "cpu"}
OURS: dict[str, dict[str, Any]] = {
    "torch, fp32": {"path": "vit_b.pth", "backend": "torch", "precision": "fp32"},
    "torch, bf16": {"path": "vit_b.pth", "backend": "torch", "precision": "bf16"},
    "onnxruntime, fp32": {**GRAPHS, "backend": "onnxruntime", "precision": "fp32"},
    "OpenVINO, fp32": {**GRAPHS, "backend": "openvino", "precision": "fp32"},
    "OpenVINO, bf16": {**GRAPHS, "backend": "openvino", "precision": "bf16"},
}
MOBILE = {"path": "mobile-graphs", "backend": "openvino", "kind": "mobile", "many": False}
REFERENCE, TIMM = "segment-anything, fp32", "TinyViT in timm, fp32"


def cpu_variants() -> dict[str, dict[str, Any]]:
    """Return what is timed on a CPU, the references first."""
    shared = {"kind": "vit_b", "device": "cpu", "many": True, "autocast": False, "spend": 4.0}
    variants = {REFERENCE: {**shared, "run": "reference"}}
    variants |= {name: {**shared, **how, "run": "ours"} for name, how in OURS.items()}
    variants[TIMM] = {**shared, "run": "timm"}
    for precision in ("fp32", "bf16"):
        name = f"TinyViT in OpenVINO, {precision}"
        variants[name] = {**shared, **MOBILE, "run": "ours", "precision": precision}
    return variants


def cuda_variants() -> dict[str, dict[str, Any]]:
    """Return what is timed on a GPU."""
    variants: dict[str, dict[str, Any]] = {}
    for kind in FLOPS:
        shared = {"kind": kind, "device": "cuda", "many": kind == "vit_b", "spend": 3.0}
        for label, autocast in (("fp32", False), ("autocast", True)):
            name = f"{kind}: segment-anything, {label}"
            variants[name] = {**shared, "run": "reference", "autocast": autocast}
        for precision in ("fp32", "bf16"):
            how = {"path": f"{kind}.pth", "backend": "torch", "precision": precision, "batch": 16}
            variants[f"{kind}: ours, {precision}"] = {**shared, **how, "run": "ours"}
    return variants


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--threads", type=int, help="CPUs for each process, e.g. 1 where others work"
    )
    parser.add_argument("--spend", type=float, help="seconds for each figure of each process")
    parser.add_argument("--json", type=Path, help="write all figures there")
    parser.add_argument("--folder", type=Path, help="keep weights and graphs there")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        do(options.folder, json.loads(options.work))
        return
    if options.device == "cuda" and not in_process(Path(), {"run": "has-cuda"})["there"]:
        sys.exit("there is no CUDA device here: nothing was measured")
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        rows = measure(folder, options)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")
    print(cuda_table(rows) if options.device == "cuda" else cpu_table(rows))


def measure(folder: Path, options: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """Return the figures of each variant, one for each round."""
    cuda = options.device == "cuda"
    variants = cuda_variants() if cuda else cpu_variants()
    kinds = list(FLOPS) if cuda else ["vit_b"]
    if not (folder / f"{kinds[-1]}.pth").exists() or not (
        cuda or (folder / "mobile-graphs").exists()
    ):
        in_process(folder, {"run": "prepare", "kinds": kinds, "graphs": not cuda})
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in variants}
    for number in range(options.rounds):
        for name, how in variants.items():
            now = how | ({"spend": options.spend} if options.spend is not None else {})
            rows[name].append(in_process(folder, now | {"threads": options.threads}))
            print(f"round {number + 1}: {name}: {rows[name][-1]}", file=sys.stderr, flush=True)
    if cuda:
        rows["bf16 matrix products"] = [in_process(folder, {"run": "rate"})]
    return rows


def in_process(folder: Path, how: dict[str, Any]) -> dict[str, float]:
    """Return what a process of its own found."""
    command = [sys.executable, "-m", "benchmarks.sam", "--folder", str(folder)]
    env = os.environ | {"GEOISEG_HOME": str(folder / "home")}
    env.pop("GLIBC_TUNABLES", None)
    done = subprocess.run(
        [*command, "--work", json.dumps(how)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=env,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def do(folder: Path, how: dict[str, Any]) -> None:
    """Do one process's work and print what it found."""
    if how.get("threads"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-how["threads"] :])
    found: dict[str, Any] = {}
    if how["run"] == "prepare":
        work.prepare(folder, how["kinds"], graphs=how["graphs"])
    elif how["run"] == "has-cuda":
        import torch

        found = {"there": torch.cuda.is_available()}
    elif how["run"] == "rate":
        found = {"rate": work.matrix_rate()}
    else:
        runs = {"reference": work.time_reference, "ours": work.time_ours, "timm": work.time_timm}
        found = runs[how["run"]](folder, how)
    print(json.dumps(found))


def ratio(base: list[dict[str, float]], ours: list[dict[str, float]], key: str) -> float:
    """Return the median over the rounds of how many times less than the base ours took."""
    return statistics.median(a[key] / b[key] for a, b in zip(base, ours, strict=True))


def middle(rows: list[dict[str, float]], key: str) -> float:
    """Return the median over the rounds."""
    return statistics.median(row[key] for row in rows)


def cell(base: list[dict[str, float]], ours: list[dict[str, float]], key: str) -> str:
    """Return wall and CPU milliseconds and the ratios to the base."""
    if key + "_ms" not in ours[0] or key + "_ms" not in base[0]:
        return " | "
    wall, used = key + "_ms", key + "_cpu_ms"
    shown = f"{middle(ours, wall):,.0f} ({middle(ours, used):,.0f})"
    if ours is base:
        return f"{shown} | 1"
    return f"{shown} | {ratio(base, ours, wall):.1f} ({ratio(base, ours, used):.1f})"


def cpu_table(rows: dict[str, list[dict[str, float]]]) -> str:
    """Return the figures as a table in Markdown."""
    head = ["encoding, ms (CPU)", "times", "a click, ms (CPU)", "times", "64 prompts, ms (CPU)"]
    head += ["times", "peak MiB", "share", "error", "matrix product, GFLOP/s"]
    lines = [f"| | {' | '.join(head)} |", "|" + "---|" * (len(head) + 1)]
    for name, ours in rows.items():
        base = rows[TIMM if name.startswith("TinyViT") else REFERENCE]
        cells = [cell(base, ours, key) for key in ("encode", "click", "many")]
        held = "rss" if "rss" in ours[0] else "encode_rss"
        share = middle(ours, held) / middle(base, held)
        error = f"{middle(ours, 'error'):.0e}" if "error" in ours[0] else ""
        memory = f"{middle(ours, held):,.0f} | {share:.2f}"
        lines.append(
            f"| {name} | {' | '.join(cells)} | {memory} | {error} | {middle(ours, 'canary'):.0f} |"
        )
    return "\n".join(lines)


def cuda_table(rows: dict[str, list[dict[str, float]]]) -> str:
    """Return the figures of a GPU as a table in Markdown."""
    rate = rows["bf16 matrix products"][0]["rate"]
    head = ["encoding, ms", "times", "in batches, ms a tile", "share of the matrix rate"]
    head += ["a click, ms", "times"]
    lines = [f"bf16 matrix products: {rate / 1e12:.0f} TFLOP/s", ""]
    lines += [f"| | {' | '.join(head)} |", "|" + "---|" * (len(head) + 1)]
    for name, ours in rows.items():
        kind = name.partition(":")[0]
        if kind not in FLOPS:
            continue
        base = rows[f"{kind}: segment-anything, fp32"]
        many = "batch_ms" if "batch_ms" in ours[0] else "encode_ms"
        share = FLOPS[kind] / (middle(ours, many) / 1e3) / rate
        times = [f"{ratio(base, ours, key):.1f}" for key in ("encode_ms", "click_ms")]
        lines.append(
            f"| {name} | {middle(ours, 'encode_ms'):.1f} | {times[0]} | {middle(ours, many):.1f}"
            f" | {share:.0%} | {middle(ours, 'click_ms'):.1f} | {times[1]} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
