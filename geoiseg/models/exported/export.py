"""From a checkpoint to a folder of graphs."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoiseg.errors import ExportError, WeightsError, require
from geoiseg.models.exported.card import (
    CARD,
    DECODER,
    ENCODER,
    HALF,
    PADDED,
    SQUASHED_HALF,
    SQUASHED_IMAGENET,
    Card,
    hashes,
    write_card,
)
from geoiseg.models.exported.int8 import Int8, save_graph
from geoiseg.models.options import ModelOptions
from geoiseg.models.sam.loader import Source
from geoiseg.models.weights.catalogue import CATALOGUE, HUB_PREFIX, from_hub
from geoiseg.models.weights.store import find

OPSET = 17
ARCHITECTURES = (
    "sam-vit", "mobile-sam", "slimsam", "efficientvit-sam", "sam2", "edgetam", "sam3",
)  # fmt: skip
"""Beginnings of the names of those that can be exported."""
SQUASHED = ("sam2", "edgetam", "sam3")
"""Those of transformers, whose decoder takes three maps."""
EXACT = ModelOptions(device="cpu", precision="fp32")
"""How a network is loaded of which graphs are made."""
FREE = {
    "points": {0: "n", 1: "k"},
    "labels": {0: "n", 1: "k"},
    "mask_input": {0: "m"},
    "masks": {0: "n"},
    "scores": {0: "n"},
}
"""Lengths that may differ from call to call; m is n or 1."""


def export(name: str | Path, out: Path, options: ModelOptions, int8: Int8 | None) -> None:
    """Write graphs and card into a new folder; see ``export_model``."""
    require("onnx", "openvino")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ExportError(f"{out} is there already; give a new folder, or remove it first")
    given = Path(name).expanduser()
    made = int8 is not None and (given / CARD).is_file()
    source = given if made else _exportable(name)
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.absolute().parent))
        try:
            _fill(folder, source, int8, options)
            folder.chmod(0o755)
            folder.replace(out)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        if isinstance(error, (ExportError, WeightsError)):
            raise
        raise ExportError(f"can not write {out}: {error.strerror or error}") from error


def _fill(folder: Path, source: Source | Path, int8: Int8 | None, options: ModelOptions) -> None:
    """Write the graphs of a checkpoint, or of an exported model's folder, into an empty folder."""
    exact = folder if int8 is None else folder / "fp32"
    if isinstance(source, Path):
        exact = source
    else:
        exact.mkdir(exist_ok=True)
        _from_checkpoint(source, exact)
    if int8 is not None:
        from geoiseg.models.exported.shrink import shrink

        shrink(exact, folder, int8, options)
        shutil.rmtree(folder / "fp32", ignore_errors=True)


def _exportable(name: str | Path) -> Source:
    """Return the checkpoint of a name or path.

    Raises:
        WeightsError: It is not here, or of an architecture that can not be exported.
    """
    require("torch", "sam")
    source = _source(name, EXACT)
    words = source.architecture == "sam3-words"  # which has no decoder of clicks
    if words or not source.architecture.startswith(ARCHITECTURES):
        raise WeightsError(
            f"{source.architecture} can not be exported, only {', '.join(ARCHITECTURES)}; it"
            " runs in torch: take its name or checkpoint as the model"
        )
    return source


def _from_checkpoint(source: Source, folder: Path) -> None:
    """Write the graphs of a checkpoint and their card into an empty folder."""
    write = _squashed if source.architecture.startswith(SQUASHED) else _padded
    made = write(source, folder)
    known = CATALOGUE.get(source.name)
    card = Card(
        name=source.name if known else Path(source.name).name,
        architecture=source.architecture,
        side=made.side,
        parameters=made.parameters,
        weights_hash=source.weights_hash,
        licence=known.licence if known else "unknown",
        source=known.source if known else "",
        sha256=hashes(folder),
        frame=made.frame,
    )
    write_card(folder, card)


@dataclass(frozen=True, slots=True)
class _Made:
    """What was written, for the card."""

    side: int
    parameters: int
    frame: str


def _padded(source: Source, folder: Path) -> _Made:
    """Write the graphs of a network with SAM's own decoder."""
    from geoiseg.models.sam.network import build_sam

    network = build_sam(source.state, repr(str(source.path)))
    write_graphs(network, folder)
    half = network.image_encoder.shape.side < network.side
    count = sum(int(p.numel()) for p in network.parameters())
    return _Made(network.side, count, HALF if half else PADDED)


def _squashed(source: Source, folder: Path) -> _Made:
    """Write the graphs of a network of transformers."""
    from geoiseg.models.sam.loader import load_sam

    model: Any = load_sam(source.path, source.architecture, source.name, source.options)
    engine = model.engine
    write_squash_graphs(engine, folder)
    whole = source.architecture.startswith("sam3")
    count = sum(int(p.numel()) for p in engine.model.parameters())  # of the tracker alone
    return _Made(engine.side, count, SQUASHED_HALF if whole else SQUASHED_IMAGENET)


def write_squash_graphs(engine: Any, folder: Path) -> None:
    """Write ``encoder.onnx`` and ``decoder.onnx`` of a ``Sam2Engine`` in fp32 into a folder."""
    import torch

    from geoiseg.models.exported.squash_graphs import MapsGraph, SquashDecoderGraph
    from geoiseg.models.sam.engine import MAPS

    pixels = torch.zeros(1, 3, engine.side, engine.side)
    maps = MapsGraph(engine).eval()
    with torch.no_grad():
        levels = dict(zip(MAPS, maps(pixels), strict=True))
        encoder = torch.export.export(maps, (pixels,)).module()
    _write(encoder, {"pixels": pixels}, folder / ENCODER, list(MAPS))
    asked = {
        "points": torch.zeros(2, 3, 2),
        "labels": torch.ones(2, 3, dtype=torch.int32),
        "mask_input": torch.zeros(2, 1, engine.masks, engine.masks),
        "has_mask": torch.ones(1),
    }
    decoder = SquashDecoderGraph(engine).eval()
    _write(decoder, {**levels, **asked}, folder / DECODER, ["masks", "scores"])


def write_graphs(network: Any, folder: Path) -> None:
    """Write ``encoder.onnx`` and ``decoder.onnx`` of a ``Sam`` in fp32 into a folder."""
    import torch

    from geoiseg.models.exported.graphs import DecoderGraph, EncoderGraph

    grid, seen = network.side // 16, network.image_encoder.shape.side
    channels = network.image_encoder.shape.out
    pixels = torch.zeros(1, 3, seen, seen)
    # Lengths that follow from the image's are numbers then, not computed in the graph.
    encoder = torch.export.export(EncoderGraph(network.image_encoder).eval(), (pixels,)).module()
    _write(encoder, {"pixels": pixels}, folder / ENCODER, ["features"])
    given = {
        "features": torch.zeros(1, channels, grid, grid),
        "points": torch.zeros(2, 3, 2),
        "labels": torch.zeros(2, 3, dtype=torch.int32),
        "mask_input": torch.zeros(2, 1, 4 * grid, 4 * grid),
        "has_mask": torch.ones(1),
    }
    _write(DecoderGraph(network).eval(), given, folder / DECODER, ["masks", "scores"])


def _write(graph: Any, given: dict[str, Any], path: Path, outputs: list[str]) -> None:
    """Trace a module into a file; its weights go into one beside it, which may be large."""
    import onnx
    import torch

    named = {name: axes for name, axes in FREE.items() if name in [*given, *outputs]}
    with tempfile.TemporaryDirectory(prefix="export-", dir=path.parent) as scratch:
        traced = Path(scratch) / path.name
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                graph,
                tuple(given.values()),
                str(traced),
                input_names=list(given),
                output_names=outputs,
                dynamic_axes=named,
                opset_version=OPSET,
                dynamo=False,
                training=torch.onnx.TrainingMode.PRESERVE,
            )
        model = onnx.load(str(traced))
    save_graph(model, path)


def _source(name: str | Path, options: ModelOptions) -> Source:
    """Return the checkpoint of a name or path.

    Raises:
        WeightsError: It is not here.
    """
    text = str(name)
    known = CATALOGUE.get(text) or (from_hub(text) if text.startswith(HUB_PREFIX) else None)
    if known is not None:
        return Source(find(known), known.name, options, known.architecture)
    path = Path(name).expanduser()
    if not path.exists():
        raise WeightsError(
            f"there is no model {text!r} to export: give a name in geoiseg models, or the path"
            " of a checkpoint"
        )
    return Source(path, text, options)
