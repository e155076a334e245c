"""A card in one run: SAM, SAM 2.1 and tiny, encode, decode and map; all figures as JSON.

    python -m benchmarks.gpu --json card.json [--limit 440]       # benchmarks/gpu.sh
    python -m benchmarks.gpu --json small.json --device cpu --quick

Weights are random, of the true architectures. ``encode`` is the network with its transfers,
``embed`` the whole way from a chip's bytes, ``click`` one prompt up to a mask of the chip's size.
Operations are counted by torch as the network runs; their share is of the rate of large bf16
matrix products in the same process. ``map`` is ``segment_raster`` end to end in its defaults:
random masks hardly ever pass its filters, so that few outlines are drawn. With ``--quick`` all
is tiny and says nothing of speed. The file is written anew after each engine.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu_networks import NETWORKS, prepared

BATCHES = (1, 2, 4, 8)
"""Images given together; of more, the engines take 8 at a time."""
PROMPTS = (1, 16, 64, 256)
Figures = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", type=Path, required=True, help="where all figures go")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="tiny networks, to try the script")
    parser.add_argument("--limit", type=float, default=440, help="seconds for all")
    given = parser.parse_args()
    if not given.quick:
        signal.alarm(int(given.limit) + 35)  # what was found so far is in the file
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["GEOISEG_HOME"] = str(Path(scratch) / "home")
        Run(given, Path(scratch)).all()


class Run:
    """One run and what it has found so far."""

    def __init__(self, given: argparse.Namespace, scratch: Path) -> None:
        import torch

        if given.device.startswith("cuda") and not torch.cuda.is_available():
            raise SystemExit("there is no CUDA device here: nothing was measured")
        self.given, self.scratch = given, scratch
        self.quick, self.device = given.quick, given.device
        self.started = time.perf_counter()
        self.spend = 0.0 if given.quick else 2.0
        self.rate = matrix_rate(given.device, 256 if given.quick else 8192)
        name = torch.cuda.get_device_name() if self.on_card else "CPU"
        self.found: Figures = {
            "device": name,
            "torch": torch.__version__,
            "quick": given.quick,
            "bf16_matrix_flops": self.rate,
            "engines": {},
            "skipped": {},
        }

    @property
    def on_card(self) -> bool:
        """Whether a GPU is measured."""
        return str(self.device).startswith("cuda")

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return float(self.given.limit) - (time.perf_counter() - self.started)

    def all(self) -> None:
        """Measure each engine while there is time, and write what was found after each."""
        for name in (*NETWORKS, "tiny"):
            if self.left < (0 if self.quick else 40):
                self.found["skipped"][name] = "no time was left"
            else:
                self.found["engines"][name] = self.engine(name)
            self.found["seconds"] = round(time.perf_counter() - self.started, 1)
            self.given.json.write_text(json.dumps(self.found, indent=2) + "\n")
            print(f"{name}: {json.dumps(self.found['engines'].get(name))}", flush=True)

    def engine(self, name: str) -> Figures:
        """Return the figures of one engine."""
        from geoiseg.models.options import ModelOptions
        from geoiseg.models.registry import get_model

        path: str | Path = name
        options = ModelOptions()
        if name != "tiny":
            path = prepared(name, self.scratch / name, quick=self.quick)
            options = ModelOptions(self.device, "bf16" if self.on_card else "fp32", "auto")
        model: Any = get_model(path, options)
        out: Figures = {
            "description": model.info.description,
            "parameters": model.info.parameters,
            "runs_on": self.device if name != "tiny" else "cpu",
            "encode": self.encoding(model),
            "decode": self.decoding(model),
            "map": self.mapping(path, options),
        }
        return out | self.memory()

    def encoding(self, model: Any) -> Figures:
        """Return milliseconds an image, one at a time and in the best batch."""
        side = model.info.chip_size
        chip = (picture(side), np.ones((side, side), bool))
        out: Figures = {"side": side, "embed_ms": self.timed(lambda: model.embed(*chip))}
        if not hasattr(model, "engine"):
            return out | {"batches_ms": {"1": out["embed_ms"]}, "best_batch": 1}
        pixels = model._frame(chip[1].shape).pixel_values(*chip)  # noqa: SLF001 - as embed does
        batches: dict[str, float] = {}
        for size in BATCHES[: 2 if self.quick else None]:
            many = [pixels] * size
            batches[str(size)] = self.timed(lambda many=many: model.engine.encode(many)) / size
        best = min(batches, key=lambda size: batches[size])
        flops = operations(lambda: model.engine.encode([pixels]))
        out |= {"batches_ms": batches, "best_batch": int(best), "flops": flops}
        for label, size in (("share_at_1", "1"), ("share_at_best", best)):
            out[label] = flops / (batches[size] / 1e3) / self.rate
        return out

    def decoding(self, model: Any) -> Figures:
        """Return milliseconds of a click, and a prompt of several together."""
        from geoiseg.prompting.pixel import PixelPrompts

        side = model.info.chip_size
        embedding = model.embed(picture(side), np.ones((side, side), bool))
        places = np.random.default_rng(0).uniform(0, side, (max(PROMPTS), 1, 2))
        asked = [PixelPrompts(xy, np.ones(1, bool)) for xy in places]
        out: Figures = {"click_ms": self.timed(lambda: model.decode(embedding, asked[0]))}
        batches: dict[str, float] = {}
        for count in PROMPTS[: 2 if self.quick else None]:
            some = asked[:count]
            whole = self.timed(lambda some=some: model.decode_batch(embedding, some))
            batches[str(count)] = whole / count
        best = min(batches, key=lambda size: batches[size])
        return out | {"prompts_ms": batches, "best_prompts": int(best)}

    def mapping(self, path: str | Path, options: Any) -> Figures:
        """Return megapixels a second of a whole raster, from its file to a file."""
        from geoiseg.tiled import MapOptions, segment_raster

        side = 300 if self.quick else 2048
        if self.left < (0 if self.quick else 20):
            return {"skipped": "no time was left"}
        raster, out = self.scratch / f"{side}.tif", self.scratch / "objects.gpkg"
        if not raster.exists():
            write_raster(raster, picture(side))
        out.unlink(missing_ok=True)
        started = time.perf_counter()
        report = segment_raster(
            raster, out, model=str(path), options=MapOptions(running=options), progress=False
        )
        seconds = time.perf_counter() - started
        megapixels = side**2 / 1e6
        rate = megapixels / seconds
        return {"megapixels": megapixels, "seconds": seconds, "megapixels_per_second": rate,
                "objects": report.objects}  # fmt: skip

    def memory(self) -> Figures:
        """Return the most memory of the card so far, in MiB, and begin anew."""
        if not self.on_card:
            return {}
        import torch

        most = torch.cuda.max_memory_allocated() / 2**20
        torch.cuda.reset_peak_memory_stats()
        return {"card_mib": most}

    def timed(self, run: Callable[[], object]) -> float:
        """Return the median milliseconds of some runs after a first one that does not count."""
        run()
        self.settle()
        rows: list[float] = []
        until = time.perf_counter() + self.spend
        while not rows or (time.perf_counter() < until and len(rows) < 15):
            started = time.perf_counter()
            run()
            self.settle()
            rows.append((time.perf_counter() - started) * 1e3)
        return float(np.median(rows))

    def settle(self) -> None:
        """Wait until the card has done all."""
        if self.on_card:
            import torch

            torch.cuda.synchronize()


def matrix_rate(device: str, side: int) -> float:
    """Return a device's rate of square bf16 matrix products in operations a second."""
    import torch

    a = torch.randn(side, side, device=device, dtype=torch.bfloat16)
    times = []
    for _ in range(20):
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        started = time.perf_counter()
        product = a @ a
        float(product[0, 0])  # waits
        times.append(time.perf_counter() - started)
    return float(2 * side**3 / np.median(times[5:]))


def operations(run: Callable[[], object]) -> int:
    """Return the operations of matrix products and convolutions in a run, as torch counts them."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())


def picture(side: int) -> np.ndarray:
    """Return ``(side, side, 3)`` uint8 with structures of all sizes."""
    import cv2

    rng = np.random.default_rng(0)
    image = np.full((side, side, 3), 120, np.float32)
    for coarse in (6, 40, 200):
        noise = rng.normal(0, 35, (coarse, coarse, 3)).astype(np.float32)
        image += cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.clip(image, 1, 255).astype(np.uint8)


def write_raster(path: Path, image: np.ndarray) -> None:
    """Write a picture as a tiled GeoTIFF of half a metre a pixel."""
    import rasterio
    from affine import Affine

    rows, columns, _ = image.shape
    shape = {"width": columns, "height": rows, "count": 3, "dtype": "uint8", "tiled": True}
    place = {"crs": "EPSG:32633", "transform": Affine(0.5, 0, 5e5, 0, -0.5, 5e6)}
    with rasterio.open(path, "w", driver="GTiff", **shape, **place) as file:
        file.write(image.transpose(2, 0, 1))


if __name__ == "__main__":
    main()
