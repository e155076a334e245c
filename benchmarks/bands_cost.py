"""What all bands cost a click, in CPU time, on one chip.

    $ python benchmarks/bands_cost.py [--side 1024] [--bands 6] [--clicks 20]

A made scene of water, plants and soil. The network's answer is made, too: a disc around the click
with noise, so that what is measured is the joining alone. Each part is the median of all clicks,
in milliseconds of this process's CPU time; beside it, its ratio to a blur of the same chip's three
bands, which says how busy or quick the machine is. The first look at a chip is printed apart.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
from affine import Affine

from geoiseg.prompting import Frame, PixelPrompts
from geoiseg.raster import open_raster
from geoiseg.segment.masks import CleanOptions, roughly_clean
from geoiseg.segment.spectra import Spectra
from geoiseg.segment.spectral import fitted, joined

ROLES = ("blue", "green", "red", "nir", "swir16", "swir22")
KINDS = ((600, 700, 400, 200, 80, 50), (400, 700, 400, 3600, 1500, 700),
         (1200, 1500, 1900, 2300, 2700, 2500))  # fmt: skip
"""Reflectances of water, plants and soil, in ten thousandths."""


def written(path: Path, side: int, bands: int) -> Path:
    rng = np.random.default_rng(0)
    rough = cv2.GaussianBlur(rng.normal(size=(side, side)), (0, 0), side / 16)
    kind = np.digitize(rough, np.quantile(rough, (0.4, 0.7)))
    data = np.array(KINDS, np.float32)[kind].transpose(2, 0, 1)[:bands]
    data = data * (1 + rng.normal(0, 0.05, data.shape))
    with rasterio.open(
        path, "w", driver="GTiff", width=side, height=side, count=bands, dtype="uint16",
        crs="EPSG:32631", transform=Affine(10, 0, 500_000, 0, -10, 4_500_000), tiled=True,
    ) as target:  # fmt: skip
        target.write(data.clip(1, 65535).astype(np.uint16))
        target.descriptions = ROLES[:bands]
        target.scales = (1e-4,) * bands
    return path


def spent(do: Callable[..., Any], *args: Any) -> tuple[float, Any]:
    start = time.process_time()
    result = do(*args)
    return (time.process_time() - start) * 1000, result


def rough_mask(logits: Any, valid: Any, prompts: PixelPrompts) -> Any:
    return roughly_clean((logits > 0) & valid, valid, prompts, CleanOptions())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--side", type=int, default=1024, help="pixels of the chip")
    parser.add_argument("--bands", type=int, default=6, choices=range(4, 7))
    parser.add_argument("--clicks", type=int, default=20)
    given = parser.parse_args()
    side, rng = given.side, np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        raster = open_raster(written(Path(folder) / "chip.tif", side, given.bands))
        raster = raster.restyled((3, 2, 1))
        frame = Frame(0, raster.grid.whole)
        first, seen = spent(Spectra().of, raster, frame)
        rgb = raster.chip(frame.window, 0).rgb
    assert seen is not None
    assert seen.palette is not None
    valid = np.ones((side, side), bool)
    rows, cols = np.mgrid[:side, :side]
    took = []
    for _ in range(given.clicks):
        at = rng.integers(side // 5, side - side // 5, 2)
        away = np.hypot(cols - at[0], rows - at[1]).astype(np.float32)
        logits = np.clip((side / 8 - away) / 4, -12, 8) + rng.normal(0, 1, away.shape)
        logits = logits.astype(np.float32)
        prompts = PixelPrompts(at[None] + 0.5, np.array([True]))
        blur, _ = spent(cv2.GaussianBlur, rgb, (0, 0), 3)
        rough, mask = spent(rough_mask, logits, valid, prompts)
        fit, _ = spent(fitted, logits, mask, prompts, seen.palette)
        join, _ = spent(joined, logits, mask, prompts, seen)
        took.append((blur, rough, fit, join))
    blur, rough, fit, join = np.median(took, axis=0).tolist()
    print(f"{given.bands} bands, {side} px, CPU ms and ratio to a blur of {blur:.1f} ms")
    rows_of = {"rough mask": rough, "fit": fit, "fit and join": join, "a click": rough + join,
               "first look at the chip": first}  # fmt: skip
    for name, value in rows_of.items():
        print(f"{name:<24}{value:8.1f}{value / blur:8.2f}")


if __name__ == "__main__":
    main()
