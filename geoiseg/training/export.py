"""From a checkpoint to the files that ship: two ONNX graphs and a card.

Weights are stored in half precision and cast back when the file is loaded; the
arithmetic stays in single precision.
"""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from geoiseg.models.tiny.padding import padded_within
from geoiseg.training.features import Features
from geoiseg.training.network import Decoder, NetOptions, TinyNet
from geoiseg.training.prompt_maps import Prompt

DECODED = tuple(name for name in Features._fields if name != "dense")
"""Features that the decoder reads."""
OPSET = 17
GENERATION = 2
"""Of the design of the network; the first one's files are kept for old projects."""
SMALLEST_HALVED = 256
"""Weights of fewer numbers stay in single precision."""


class _FlatDecoder(nn.Module):
    """The decoder with all of its inputs side by side, as ONNX wants them."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        count = len(DECODED)
        parts = dict(zip(DECODED, given, strict=False))
        # The dense heads are for others; what they say is in the pyramid, too.
        features = Features(**parts, dense=parts["p4"][:, :0])
        prompt = Prompt(*given[count:])
        logits, score, others, scores = self.decoder.alternatives(features, prompt)
        return logits, torch.sigmoid(score[:, 0]), others, torch.sigmoid(scores)


def load_network(checkpoint: Path) -> tuple[TinyNet, dict[str, Any]]:
    """Return the averaged network of a checkpoint and the options it was trained with."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    options: dict[str, Any] = json.loads(state["options"])
    given: dict[str, Any] = {f.name: _tuples(options["net"][f.name]) for f in fields(NetOptions)}
    net = TinyNet(NetOptions(**given))
    net.load_state_dict(state["average"])
    trained = {"step": state["step"], "seconds": round(state["seconds"]), **options}
    if "processes" in state:
        trained["processes"] = state["processes"]
    return net.eval(), trained


def mix_checkpoints(checkpoints: Sequence[Path], path: Path) -> None:
    """Write a checkpoint whose averaged weights are the mean of those of several.

    Checkpoints of one run, early and late, often agree better with new places together than
    either alone (Izmailov et al., 2018).

    Args:
        checkpoints: Of networks of the same options; all else is the first one's.
        path: Where to write.
    """
    states = [torch.load(one, map_location="cpu", weights_only=True) for one in checkpoints]
    mixed = states[0]
    for name, value in mixed["average"].items():
        if value.is_floating_point():
            each = [state["average"][name].double() for state in states]
            mixed["average"][name] = torch.stack(each).mean(0).to(value.dtype)
    torch.save(mixed, path)


def _tuples(value: Any) -> Any:
    """Return what was a tuple before it was written as JSON as one again."""
    return tuple(_tuples(inner) for inner in value) if isinstance(value, list) else value


def keep_weights(checkpoint: Path, path: Path) -> None:
    """Write the averaged weights in half precision: what another run can begin from.

    Args:
        checkpoint: Of a run.
        path: Where to write, ending in ``.npz``.
    """
    net, _ = load_network(checkpoint)
    weights = {name: value.cpu().numpy() for name, value in net.state_dict().items()}
    halved = {
        name: value.astype(np.float16) if value.dtype == np.float32 else value
        for name, value in weights.items()
    }
    np.savez_compressed(path, **halved)


def export(checkpoint: Path, folder: Path, figures: Mapping[str, object] | None = None) -> None:
    """Write ``encoder.onnx``, ``decoder.onnx`` and ``card.json`` into a folder.

    Args:
        checkpoint: What training saved.
        folder: Where to.
        figures: Results on held-out scenes, for the card.
    """
    net, trained = load_network(checkpoint)
    folder.mkdir(parents=True, exist_ok=True)
    export_network(net, folder)
    card = {
        "name": "tiny",
        "licence": "Apache-2.0",
        "generation": GENERATION,
        "parameters": net.parameter_count(),
        "sha256": {name: digest(folder / name) for name in ("encoder.onnx", "decoder.onnx")},
        "training": trained,
        "figures": _rounded(figures or {}),
        "data": [
            "EfficientNet-Lite0, its authors and ml-illustrated, Apache-2.0, learnt from ImageNet",
            "NAIP imagery, USDA, public domain",
            "field outlines, agoro-field-boundary-detector, MIT",
            "aerial imagery and classes of Dubai, Humans in the Loop, CC0",
            "OpenAerialMap imagery of its contributors, CC BY 4.0",
            "buildings, OpenStreetMap contributors, ODbL",
            "roofs of Banepa, HOT and fAIr contributors, CC BY 4.0",
            "Copernicus Sentinel-2 data, free with attribution; outlines of ships, sen2ships, MIT",
            "Blue Marble, NASA, and outlines of islands, Natural Earth, public domain",
            "Landsat and aerial imagery, USGS, public domain",
            "trees, DeepForest, MIT, and NEON, CC0",
            "photographs of COCO, CC BY 2.0 and CC BY-SA 2.0, annotations CC BY 4.0",
            "procedural scenes of geoiseg.training",
        ],
    }
    (folder / "card.json").write_text(json.dumps(card, indent=2) + "\n")


def export_network(net: TinyNet, folder: Path) -> None:
    """Write the two graphs of a network in evaluation mode."""
    size = 128
    image, valid = torch.rand(1, 3, size, size) * 255, torch.ones(1, 1, size, size)
    with torch.no_grad():
        features = net.encoder(image, valid)
    prompt = Prompt(
        points=torch.rand(1, 3, 2) * size,
        signs=torch.tensor([[1.0, -1.0, 0.0]]),
        box=torch.tensor([[8.0, 8.0, 90.0, 100.0]]),
        previous=torch.rand(1, 1, size // 2, size // 2),
        has_previous=torch.ones(1),
    )
    names, prompt_names = list(Features._fields), list(Prompt._fields)
    free = {name: {2: f"{name}_y", 3: f"{name}_x"} for name in [*names, "image", "valid"]}
    _write(net.encoder, (image, valid), folder / "encoder.onnx", ["image", "valid"], names, free)
    free |= {"points": {1: "n"}, "signs": {1: "n"}, "previous": {2: "y2", 3: "x2"}}
    free |= {name: {2: "y", 3: "x"} for name in ("logits", "alternatives")}
    flat = _FlatDecoder(net.decoder).eval()
    given = [*DECODED, *prompt_names]
    out = ["logits", "score", "alternatives", "alternative_scores"]
    read = tuple(getattr(features, name) for name in DECODED)
    _write(flat, (*read, *prompt), folder / "decoder.onnx", given, out, free)


def _rounded(value: object) -> object:
    """Return the figures with their numbers cut to four digits."""
    if isinstance(value, Mapping):
        return {key: _rounded(inner) for key, inner in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write(
    module: nn.Module,
    given: tuple[Tensor, ...],
    path: Path,
    inputs: list[str],
    outputs: list[str],
    free: dict[str, dict[int, str]],
) -> None:
    import onnx

    temporary = path.with_suffix(".part")
    named = {name: axes for name, axes in free.items() if name in inputs + outputs}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            given,
            str(temporary),
            input_names=inputs,
            output_names=outputs,
            dynamic_axes=named,
            opset_version=OPSET,
            dynamo=False,
        )
    model = _halved(onnx.load(str(temporary)))
    onnx.checker.check_model(model)
    temporary.write_bytes(padded_within(model.SerializeToString()))
    temporary.replace(path)


def _halved(model: Any) -> Any:
    """Return the graph with its large weights stored in half precision, cast back on loading."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or array.size < SMALLEST_HALVED:
            continue
        name = tensor.name
        half = numpy_helper.from_array(array.astype(np.float16), f"{name}_half")
        tensor.CopyFrom(half)
        casts.append(helper.make_node("Cast", [half.name], [name], to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(casts + nodes)
    return model
