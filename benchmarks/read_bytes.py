"""What it is worth that maps read in 8-bit integers: CPU time, and how far the heads' answers move.

    $ python benchmarks/read_bytes.py ../shared/data/scenes/fields_naip_00/image.tif

All read in turn, on one thread; the best and the median of some rounds.
"""

from __future__ import annotations

import argparse
import importlib.util
import time

import numpy as np
import rasterio

from geoiseg.models import load_model
from geoiseg.models.tiny.quick import multiplies_bytes

ROUNDS = 6


def main() -> None:
    """Print a line for each way to read."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("image", help="a raster of three bands")
    parser.add_argument("--side", type=int, default=1024)
    asked = parser.parse_args()
    if not multiplies_bytes():
        raise SystemExit("this CPU is not known to multiply bytes; maps read in floats here")
    with rasterio.open(asked.image) as source:
        pixels = source.read([1, 2, 3])[:, : asked.side, : asked.side]
    image, valid = np.ascontiguousarray(pixels.transpose(1, 2, 0)), np.ones(pixels.shape[1:], bool)
    backends = ["onnxruntime"] + ["openvino"] * (importlib.util.find_spec("openvino") is not None)
    ways = [(backend, "fp32") for backend in backends] + [("onnxruntime", "auto")]
    models = [load_model("tiny", backend=one, precision=precision) for one, precision in ways]
    spent = np.zeros((ROUNDS, len(models)))
    for row in spent:
        found = []
        for number, model in enumerate(models):
            started = time.process_time()
            found.append(model.read(image, valid))
            row[number] = 1e6 * (time.process_time() - started) / valid.size
    for number, (backend, precision) in enumerate(ways):
        moved = [float(np.abs(getattr(found[number], name) - getattr(found[0], name)).mean())
                 for name in ("interior", "border")]  # fmt: skip
        print(f"{backend}, {'bytes' if precision == 'auto' else precision}:"
              f" {spent[:, number].min():.3f} CPU-s a megapixel, median"
              f" {np.median(spent[:, number]):.3f}; interior moved by {moved[0]:.4f},"
              f" border by {moved[1]:.4f} on average")  # fmt: skip


if __name__ == "__main__":
    main()
