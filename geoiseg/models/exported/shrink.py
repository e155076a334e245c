"""An exported model's encoder becomes int8, if its masks stay what they are."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import ExportError
from geoiseg.models.exported.agreement import agreement
from geoiseg.models.exported.card import DECODER, ENCODER, hashes, read_card, write_card
from geoiseg.models.exported.int8 import Int8, calibrated, save_graph, weights_only
from geoiseg.models.exported.load import load
from geoiseg.models.options import ModelOptions
from geoiseg.models.sam.adapter import SamModelAdapter

EXACT = ModelOptions("cpu", "fp32", "onnxruntime")


def shrink(given: Path, folder: Path, int8: Int8, options: ModelOptions) -> None:
    """Write an exported model with its encoder in int8.

    Args:
        given: Of the model in fp32.
        folder: Where the new one goes; there already.
        int8: Kind, and chips to try it on.
        options: How it is going to be run; fp32, which it is compared with, runs exactly.

    Raises:
        ExportError: Masks are too unlike those of fp32, or the model is int8 already.
        WeightsError: The model is damaged.
        ModelError: The options are not possible.
    """
    card = read_card(given)
    if card.int8 is not None:
        raise ExportError(f"{given} is int8 already; give the folder that was exported in fp32")
    if int8.kind == "weights":
        graph = weights_only(given / ENCODER)
    else:
        graph = calibrated(given / ENCODER, _pixels(int8, load(given, card.name, EXACT)))
    save_graph(graph, folder / ENCODER)
    for name in card.sha256:
        if name.startswith(Path(DECODER).stem):
            shutil.copyfile(given / Path(name).name, folder / Path(name).name)
    trial: dict[str, Any] = {"kind": int8.kind, "origin": int8.origin, "run": asdict(options)}
    card = replace(card, sha256=hashes(folder), int8=trial)
    write_card(folder, card)
    found = agreement(load(given, card.name, EXACT), load(folder, card.name, options),
                      int8.measuring)  # fmt: skip
    if found.mean < int8.least:
        raise ExportError(
            f"int8 ({int8.kind}) is refused: its masks have an IoU of {found.mean:.3f} with"
            f" those of fp32, less than {int8.least:g}, over {found.prompts} prompts on"
            f" {int8.origin or 'the chips'}; {_instead(int8.kind)}"
        )
    measured = {"iou": round(found.mean, 4), "worst": round(found.worst, 4)}
    measured |= {"prompts": found.prompts, "chips": len(int8.measuring)}
    write_card(folder, replace(card, int8=trial | measured))


def _instead(kind: str) -> str:
    if kind == "static":
        return "take --int8 weights, or a raster with more of what you look for"
    return "take fp32"


def _pixels(int8: Int8, model: SamModelAdapter) -> Iterator[NDArray[np.float32]]:
    """Yield what the encoder takes for each chip to calibrate on: ``(1, 3, y, x)``."""
    for image, valid in int8.calibrating:
        yield model.pixel_values(image, valid)[None]
