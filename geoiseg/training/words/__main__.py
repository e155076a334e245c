"""``python -m geoiseg.training.words``: fits the heads of words to the encoder that is there."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np

from geoiseg.atomic import written
from geoiseg.errors import GeoisegError
from geoiseg.models.tiny.model import TinyModel
from geoiseg.models.tiny.words import CARD, CLASSES, WEIGHTS, FloatArray, Layers
from geoiseg.training.words.fit import FitOptions, fit
from geoiseg.training.words.material import EVERY_HEAD, collect
from geoiseg.training.words.measure import figures

DATA_LICENCES = (
    "NAIP/USDA (public domain); agoro-field-boundary-detector (MIT); Humans in the Loop,"
    " Dubai (CC0); OpenAerialMap contributors (CC BY 4.0); OpenStreetMap contributors (ODbL);"
    " procedural scenes"
)


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True,
              help="Labelled scenes, as for training tiny.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, exists=True), required=True,
              help="Folder with tiny's encoder.onnx and card.json; the head is written there.",
              )  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--threads", type=int, default=1, show_default=True, help="CPU threads.")
def main(data: Path, out: Path, seed: int, threads: int) -> None:
    """Fit the heads that know a few words to the encoder in OUT, and measure them.

    Writes words.npz and words.json. Some eight minutes on one core; the same encoder, data
    and seed give the same heads.
    """
    try:
        _run(data, out, seed, threads)
    except GeoisegError as error:
        raise click.ClickException(str(error)) from error


def _run(data: Path, out: Path, seed: int, threads: int) -> None:
    cv2.setNumThreads(threads)
    started = time.process_time()
    model = TinyModel(out, threads)
    heads = []
    for number, shown in enumerate(EVERY_HEAD):
        places = collect(model, data, shown, np.random.default_rng([seed, number]))
        options = FitOptions(seed=seed + number)
        heads.append(_halved(fit(places.features, places.allowed, places.weights, options)))
        spent = time.process_time() - started
        click.echo(f"head {number + 1}: {len(places.bits)} places, {spent:.0f} CPU-s in all")
    found = figures(heads, model, data)
    spent = round(time.process_time() - started)
    for name, row in found.items():
        click.echo(f"{name:12} " + "  ".join(f"{key} {value:.3f}" for key, value in row.items()))
    arrays = {
        f"{number}.{name}": array
        for number, head in enumerate(heads)
        for name, array in _arrays(head).items()
    }
    with written(out / WEIGHTS) as target, target.open("wb") as file:
        halves: dict[str, Any] = {name: a.astype(np.float16) for name, a in arrays.items()}
        np.savez_compressed(file, **halves)
    card = {
        "name": "words",
        "licence": "Apache-2.0",
        "classes": list(CLASSES),
        "heads": len(heads),
        "parameters": sum(array.size for array in arrays.values()),
        "sha256": hashlib.sha256((out / WEIGHTS).read_bytes()).hexdigest(),
        "encoder": model.card["sha256"]["encoder.onnx"],
        "seed": seed,
        "cpu_seconds": spent,
        "data": DATA_LICENCES,
        "held_out": found,
    }
    with written(out / CARD) as target:
        target.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    click.echo(f"{out / WEIGHTS}: {(out / WEIGHTS).stat().st_size / 1e3:.0f} kB, {spent} CPU-s")


def _arrays(head: Layers) -> dict[str, FloatArray]:
    """Return the arrays of a head by the names under which they are kept."""
    return {
        "mean": head.mean,
        "scale": head.scale,
        **{f"matrix{k}": one for k, one in enumerate(head.matrices)},
        **{f"bias{k}": one for k, one in enumerate(head.biases)},
    }


def _halved(layers: Layers) -> Layers:
    """Return the network with the weights that half precision keeps."""

    def half(array: np.ndarray) -> np.ndarray:
        return array.astype(np.float16).astype(np.float32)

    return Layers(
        half(layers.mean), half(layers.scale),
        tuple(map(half, layers.matrices)), tuple(map(half, layers.biases)),
    )  # fmt: skip


if __name__ == "__main__":
    main()
