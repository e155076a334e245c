"""What it is worth that the encoder's convolutions pad by themselves: CPU time, and the outputs.

    $ python benchmarks/padding.py ../shared/data/scenes/fields_naip_00/image.tif

Both graphs run in turn, on one thread; the best and the median of some rounds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np
import onnxruntime
import rasterio

from geoiseg.models.tiny.graphs import session
from geoiseg.models.tiny.padding import padded_within
from geoiseg.training import export
from geoiseg.training.network import TinyNet

ROUNDS = 8


def main() -> None:
    """Print a line for each side of a chip."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("image", help="a raster of three bands")
    parser.add_argument("--sides", type=int, nargs="+", default=[512, 1024])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        with mock.patch.object(export, "padded_within", lambda data: data):
            export.export_network(TinyNet().eval(), Path(folder))  # weights by chance take as long
        data = (Path(folder) / "encoder.onnx").read_bytes()
    graphs = {"apart": session(data, 1), "within": session(padded_within(data), 1)}
    print(f"onnxruntime {onnxruntime.__version__}")
    for side in asked.sides:
        with rasterio.open(asked.image) as source:
            pixels = source.read([1, 2, 3])[:, :side, :side].astype(np.float32)
        given = {"image": pixels[None], "valid": np.ones((1, 1, *pixels.shape[1:]), np.float32)}
        one, other = (graph.run(None, given) for graph in graphs.values())
        apart = max(float(np.abs(a - b).max()) for a, b in zip(one, other, strict=True))
        spent: dict[str, list[float]] = {name: [] for name in graphs}
        for _ in range(ROUNDS):
            for name, graph in graphs.items():
                started = time.process_time()
                graph.run(None, given)
                spent[name].append(1e6 * (time.process_time() - started) / pixels[0].size)
        told = "; ".join(
            f"padding {name}: {min(times):.3f} CPU-s a megapixel, median {np.median(times):.3f}"
            for name, times in spent.items()
        )
        print(f"{side} px: {told}; outputs differ by {apart:.2g} at most")


if __name__ == "__main__":
    main()
