"""What enlarging small and thin objects is worth to ``tiny``: clicks with it and without.

    $ python benchmarks/small_objects.py ../shared/data/train

The scenes that are held out of training are reduced 8 and 16 times, so that their fields are a
few pixels wide, and the buildings twice; eight objects of each, 10 clicks at most, through a
session.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
from held_out import load
from rasterio.enums import Resampling

from geoiseg.evaluate.dataset import scenes
from geoiseg.evaluate.metrics import clicks_to
from geoiseg.evaluate.protocol import EvaluationOptions, evaluate_scene
from geoiseg.models.tiny import closer

REDUCED = {
    "bldg_nairobi_b2": (1, 2),
    "fields_naip_05": (8, 16),
    "fields_naip_14": (8, 16),
    "fields_naip_27": (8, 16),
    "fields_naip_31": (8, 16),
}
"""Scenes and how many times they are reduced."""
TARGET = 0.85


def reduced(scene: Path, times: int, to: Path) -> None:
    """Write a scene with larger pixels beside the same labels."""
    to.mkdir()
    with rasterio.open(scene / "image.tif") as source:
        shape = (source.height // times, source.width // times)
        pixels = source.read(out_shape=(source.count, *shape), resampling=Resampling.average)
        larger = source.transform.scale(source.width / shape[1], source.height / shape[0])
        profile = {"driver": "GTiff", "height": shape[0], "width": shape[1],
                   "count": source.count, "dtype": pixels.dtype, "crs": source.crs,
                   "transform": source.transform * larger, "nodata": source.nodata}  # fmt: skip
    with rasterio.open(to / "image.tif", "w", **profile) as target:
        target.write(pixels)
    for path in scene.glob("*.*json"):
        shutil.copy(path, to)


def main() -> None:
    """Print a row without and a row with."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="folder of the scenes for training")
    parser.add_argument("--objects", type=int, default=8, help="of each scene")
    parser.add_argument("--model", default="tiny", help="name, or folder with graphs and a card")
    arguments = parser.parse_args()
    model = load(arguments.model)
    options = EvaluationOptions(max_clicks=10)
    usual = closer.DEEP
    print("| enlarged | objects | NoC@85 | failed | IoU@1 | IoU@3 | IoU@5 | box | CPU s |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        for name, ways in REDUCED.items():
            for times in ways:
                reduced(arguments.data / name, times, Path(folder) / f"{name}_{times}")
        for closer.DEEP in (0.0, usual):
            started = time.process_time()
            scores = [
                score
                for scene in scenes(Path(folder), limit=arguments.objects)
                for score in evaluate_scene(scene, model, options)
            ]
            clicks = [clicks_to(np.array(score.ious), TARGET, 10) for score in scores]
            failed = [max(score.ious) < TARGET for score in scores]
            ious = np.array([score.ious for score in scores]).mean(axis=0)
            print(
                f"| {'yes' if closer.DEEP else 'no'} | {len(scores)} | {np.mean(clicks):.2f}"
                f" | {np.mean(failed):.0%} | {ious[0]:.2f} | {ious[2]:.2f} | {ious[4]:.2f}"
                f" | {np.mean([score.box_iou for score in scores]):.2f}"
                f" | {time.process_time() - started:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
