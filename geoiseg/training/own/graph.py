"""Encoder and decoder between their graphs, as they ship, and torch, in which they learn."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from geoiseg.errors import WeightsError
from geoiseg.training.network import Decoder, Encoder, NetOptions

Part = TypeVar("Part", bound=nn.Module)
NORMS = {"conv": "norm", "second": "norm", "0": "1"}
"""Names of the convolutions into which a norm beside them is folded in the graph, and its name."""


def read_decoder(path: Path) -> Decoder:
    """Return the decoder of a graph, with its norms folded, in evaluation mode.

    Raises:
        WeightsError: The graph is not that of a decoder of this design.
    """
    return _read(Decoder(NetOptions()), path, "decoder")


def read_encoder(path: Path) -> Encoder:
    """Return the encoder of a graph, with its norms folded, in evaluation mode.

    Raises:
        WeightsError: The graph is not that of an encoder of this design.
    """
    return _read(Encoder(NetOptions()), path, "encoder")


def _read(part: Part, path: Path, what: str) -> Part:
    graph = _load(path)
    arrays = {name: _numbers(tensor) for name, tensor in _initialisers(graph).items()}
    part.eval()
    folded = _fold(part)
    missing = {name for name, one in folded.named_modules() if isinstance(one, _LEARNED)}
    try:
        for place, weight, bias in _layers(graph):
            layer = folded.get_submodule(place)
            kernel = torch.from_numpy(arrays[weight])
            kernel = kernel.T if isinstance(layer, nn.Linear) else kernel
            layer.load_state_dict({"weight": kernel, "bias": torch.from_numpy(arrays[bias])})
            missing.discard(place)
    except (AttributeError, KeyError, RuntimeError) as error:
        raise WeightsError(f"{path} is no {what} that can go on learning: {error}") from error
    if missing:
        raise WeightsError(f"{path} is no {what} that can go on learning: no {min(missing)}")
    return folded


def write_graph(part: nn.Module, begun: Path, path: Path) -> None:
    """Write the graph that an encoder or a decoder began from with what it has learnt since.

    Args:
        part: What ``read_encoder`` or ``read_decoder`` returned.
        begun: The graph that it was read from.
        path: Where to write.
    """
    import onnx
    from onnx import numpy_helper

    graph = _load(begun)
    tensors = _initialisers(graph)
    for place, weight, bias in _layers(graph):
        layer = part.get_submodule(place)
        kernel = layer.weight.detach()
        kernel = kernel.T if isinstance(layer, nn.Linear) else kernel
        for name, values in ((weight, kernel), (bias, layer.bias.detach())):
            tensor = tensors[name]
            kept = values.numpy().astype(numpy_helper.to_array(tensor).dtype)
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(kept), tensor.name))
    onnx.checker.check_model(graph)
    onnx.save(graph, str(path))


_LEARNED = (nn.Conv2d, nn.Linear)


def _fold(part: Part) -> Part:
    """Return an encoder or a decoder with offsets in the place of its norms; it is changed."""
    for module in list(part.modules()):
        for name, norm in NORMS.items():
            conv = getattr(module, name, None)
            if isinstance(conv, nn.Conv2d) and hasattr(module, norm):
                conv.bias = nn.Parameter(torch.zeros(conv.out_channels))
                setattr(module, norm, nn.Identity())
    return part


def _load(path: Path) -> Any:
    import onnx

    try:
        return onnx.load(str(path))
    except OSError as error:
        raise WeightsError(f"cannot read {str(path)!r}: {error.strerror}") from error


def _initialisers(graph: Any) -> dict[str, Any]:
    """Return the stored numbers by the names that the nodes which use them know them by."""
    stored = {tensor.name: tensor for tensor in graph.graph.initializer}
    cast = {
        node.output[0]: stored[node.input[0]]
        for node in graph.graph.node
        if node.op_type == "Cast" and node.input[0] in stored
    }
    return stored | cast


def _numbers(tensor: Any) -> Any:
    from onnx import numpy_helper

    array = numpy_helper.to_array(tensor)
    return array.astype(np.float32) if array.dtype == np.float16 else array.copy()


def _layers(graph: Any) -> Iterator[tuple[str, str, str]]:
    """Yield place in the encoder or the decoder, weight and bias of each layer that learns.

    Nodes are named after the modules that made them: ``/downs.0/shrink/conv/Conv``, and in a
    sequence ``/score/score.0/MatMul`` or ``/dense/dense.0/conv/Conv``.
    """
    stored = _initialisers(graph)
    for node in graph.graph.node:
        *names, _ = node.name.strip("/").split("/")
        parts = [one for one, then in pairwise([*names, ""]) if not then.startswith(f"{one}.")]
        if node.op_type == "Conv":
            yield ".".join(parts), node.input[1], node.input[2]
        elif node.op_type == "MatMul" and node.input[1] in stored:
            (add,) = (one for one in graph.graph.node if node.output[0] in one.input)
            (bias,) = (name for name in add.input if name in stored)
            yield parts[-1], node.input[1], bias
