"""Weights in bytes come from the weights in half floats, so that they ship once.

The encoder's graph in 8-bit integers (see :mod:`geoiseg.models.tiny.quick`) has a scale
for each channel of each convolution; its weights are the encoder's, divided by these and rounded.
They are left out of the file and filled in where it is loaded, to the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import WeightsError
from geoiseg.models.tiny.protobuf import (
    BYTES,
    DATA_TYPE,
    DIMS,
    FLOATS,
    GRAPH,
    INITIALIZER,
    INPUT,
    KIND,
    NODE,
    OUTPUT,
    RAW,
    TENSOR_NAME,
    Field,
    fields,
    joined,
    only,
    varint,
    with_graph,
)

CODES, SCALE = "_quantized", "_scale"
"""How onnxruntime ends the names of weights in bytes, and of what they count in."""
INT8 = 3
"""A tensor's type where it holds bytes."""
MOST = 127

Weights = dict[str, NDArray[np.float32]]


def without_weights(graph: bytes, encoder: bytes) -> bytes:
    """Return a graph without the weights that :func:`filled` finds again.

    Args:
        graph: In 8-bit integers, whole.
        encoder: What ``encoder.onnx`` holds.
    """
    weights = _weights(encoder)

    def shorter(tensor: list[Field], scales: Weights) -> list[Field]:
        name, raw = _name(tensor), _raw(tensor)
        codes = _codes(name, weights, scales) if _type(tensor) == INT8 else None
        return tensor if codes is None or codes != raw else [f for f in tensor if f[0] != RAW]

    return _changed(graph, shorter)


def filled(graph: bytes, encoder: bytes) -> bytes:
    """Return a graph with the weights that are left out of its file.

    Args:
        graph: What ``quick.onnx`` holds.
        encoder: What ``encoder.onnx`` holds.

    Raises:
        WeightsError: The two do not belong together.
    """
    weights = _weights(encoder)

    def fuller(tensor: list[Field], scales: Weights) -> list[Field]:
        left_out = _type(tensor) == INT8 and _name(tensor).endswith(CODES)
        if not left_out or _raw(tensor) is not None:
            return tensor
        codes = _codes(_name(tensor), weights, scales)
        if codes is None:
            raise WeightsError(f"the encoder has no weights for {_name(tensor)!r}")
        return [*tensor, (RAW, BYTES, codes)]

    return _changed(graph, fuller)


def _changed(model: bytes, change: Callable[[list[Field], Weights], list[Field]]) -> bytes:
    """Return a model with its initial tensors changed, told by the scales among them."""

    def changed(graph: list[Field]) -> list[Field]:
        tensors = {place: list(fields(field[2])) for place, field in enumerate(graph)
                   if field[0] == INITIALIZER}  # fmt: skip
        scales = {_name(one): _floats(one) for one in tensors.values()
                  if _name(one).endswith(SCALE)}  # fmt: skip
        for place, tensor in tensors.items():
            graph[place] = (INITIALIZER, BYTES, joined(change(tensor, scales)))
        return graph

    return with_graph(model, changed)


def _weights(encoder: bytes) -> Weights:
    """Return what is multiplied, by the names that it has as full floats: casts of half ones."""
    graph = only(encoder, GRAPH)
    parts = [(number, list(fields(value))) for number, wire, value in fields(graph)
             if wire == BYTES and number in (NODE, INITIALIZER)]  # fmt: skip
    halves = {_name(one): one for number, one in parts if number == INITIALIZER}
    found = {}
    for _, node in ((number, one) for number, one in parts if number == NODE):
        if (KIND, BYTES, b"Cast") not in node:
            continue
        given, made = (next(value.decode() for number, _, value in node if number == wanted)
                       for wanted in (INPUT, OUTPUT))  # fmt: skip
        if given in halves:
            tensor = halves[given]
            shape = [varint(value, 0)[0] for number, _, value in tensor if number == DIMS]
            half = np.frombuffer(_raw(tensor) or b"", "<f2")
            found[made] = half.astype(np.float32).reshape(shape)
    return found


def _codes(name: str, weights: Weights, scales: Weights) -> bytes | None:
    """Return weights in bytes; None where they are none of the encoder's."""
    plain = name.removesuffix(CODES)
    values, scale = weights.get(plain), scales.get(plain + SCALE)
    if values is None or scale is None or values.ndim != 4 or len(scale) != len(values):
        return None
    codes = np.rint(values / scale.reshape(-1, 1, 1, 1)).clip(-MOST, MOST)
    found: bytes = codes.astype(np.int8).tobytes()
    return found


def _name(tensor: list[Field]) -> str:
    return next((value.decode() for number, _, value in tensor if number == TENSOR_NAME), "")


def _raw(tensor: list[Field]) -> bytes | None:
    return next((value for number, _, value in tensor if number == RAW), None)


def _floats(tensor: list[Field]) -> NDArray[np.float32]:
    held = [value for number, wire, value in tensor if number in (FLOATS, RAW) and wire == BYTES]
    return np.frombuffer(b"".join(held), "<f4")


def _type(tensor: list[Field]) -> int:
    return next((varint(value, 0)[0] for number, _, value in tensor if number == DATA_TYPE), 0)
