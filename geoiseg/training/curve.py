"""The learning curve of a run as a picture."""

from __future__ import annotations

import json
import math
from pathlib import Path


def draw_curve(log: Path, out: Path) -> None:
    """Draw the figures of a log (JSON lines) over its steps into a PNG file."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    rows = [json.loads(line) for line in log.read_text().splitlines() if line]
    steps = [row["step"] for row in rows]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    left.plot(steps, [row["loss"] for row in rows], color="black", linewidth=0.8)
    left.set(xlabel="step", ylabel="loss", title="Loss")
    for name in sorted(key for key in rows[0] if key.startswith("iou")):
        values = [row.get(name, math.nan) for row in rows]
        right.plot(steps, values, linewidth=0.8, label=f"after prompt {name[3:]}")
    right.set(xlabel="step", ylabel="IoU", ylim=(0, 1), title="IoU on training crops")
    right.legend()
    figure.savefig(out, dpi=110)
    plt.close(figure)
