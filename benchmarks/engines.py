"""All engines side by side: clicks to 85 %, IoU and time, family by family, as Markdown.

    $ python benchmarks/engines.py --limit 4 --keep results/

Runs ``geoiseg evaluate DATASET --model M --limit N --clicks K --user U --json`` once for each
engine, one process after the other, and keeps each answer in a folder: a run that was
stopped goes on where it was. The scenes are those under GEOISEG_TEST_DATA (default
../shared/data beside the repository), none of which the models were trained on.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from geoiseg.evaluate.users import USERS

ENGINES = (
    "tiny", "superpixel-walk", "grabcut", "graphcut", "random-walker", "region-growing",
    "seeded-growing", "region-merging", "watershed", "geodesic-contour", "chan-vese",
    "live-wire:pixel", "live-wire:hybrid",
)  # fmt: skip
LIVE_WIRE = "live-wire"
"""No model: borders followed from click to click, along what is said after the colon."""
COLUMNS = {
    "NoC@85": ("noc85", "{:.2f}"),
    "NoC@90": ("noc90", "{:.2f}"),
    "failures": ("failed85", "{:.0%}"),
    "IoU@1": ("iou1", "{:.3f}"),
    "IoU@3": ("iou3", "{:.3f}"),
    "IoU@5": ("iou5", "{:.3f}"),
    "box": ("box_iou", "{:.3f}"),
    "edge, m": ("boundary_m", "{:.1f}"),
    "ms a click": ("click_ms", "{:.0f}"),
}


def answer(engine: str, data: Path, asked: argparse.Namespace, keep: Path) -> dict[str, Any]:
    """Return what ``geoiseg evaluate`` says of an engine, measured now or kept from before."""
    name = (Path(engine).name if "/" in engine else engine).replace(":", "-")
    user = "" if asked.user == "centre" else f"-{asked.user}"
    path = keep / f"{name}-{asked.limit}-{asked.clicks}{user}.json"
    if not path.exists():
        kind, _, follows = engine.partition(":")
        how = ["--border", follows] if kind == LIVE_WIRE else ["--model", engine]
        command = [sys.executable, "-m", "geoiseg", "evaluate", str(data), *how]
        command += ["--limit", str(asked.limit), "--clicks", str(asked.clicks)]
        command += ["--user", asked.user, "--json"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        path.write_text(done.stdout)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def table(answers: dict[str, dict[str, Any]], group: str) -> str:
    """Return the figures of a group of objects as a Markdown table, an engine a row."""
    lines = ["| engine | " + " | ".join(COLUMNS) + " |", "|---|" + "--:|" * len(COLUMNS)]
    for engine, found in answers.items():
        row = next((row for row in found["groups"] if row["group"] == group), None)
        if row is None:
            continue
        cells = []
        for name, form in COLUMNS.values():
            value = row[name]["value"]
            cells.append("" if value is None else form.format(value))
        lines.append(f"| {engine} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    default = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
    data = Path(os.environ.get("GEOISEG_TEST_DATA", default))
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=data / "scenes", help="folder of scenes")
    parser.add_argument("--engine", action="append", help="engine, may be given several times")
    parser.add_argument("--limit", type=int, default=4, help="most objects of a scene")
    parser.add_argument("--clicks", type=int, default=20, help="most clicks on an object")
    parser.add_argument("--user", choices=USERS, default="centre", help="who clicks")
    parser.add_argument("--keep", type=Path, help="folder for the answers")
    args = parser.parse_args(arguments)
    if not args.data.is_dir():
        print(f"no scenes at {args.data}; set GEOISEG_TEST_DATA or --data", file=sys.stderr)
        return 1
    keep = args.keep or Path(tempfile.mkdtemp())
    keep.mkdir(parents=True, exist_ok=True)
    engines = args.engine or ENGINES
    answers = {engine: answer(engine, args.data, args, keep) for engine in engines}
    groups = [(row["group"], row["objects"]) for row in next(iter(answers.values()))["groups"]]
    for group, objects in groups:
        print(f"\n**{group}**, {objects} objects\n\n{table(answers, group)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
