"""Padding apart from a convolution becomes the convolution's own, in the bytes of a graph.

PyTorch's exporter writes padding that differs from side to side as a node of its own, for which
onnxruntime leaves its blocked layout and comes back to it: a fifth of the encoder's time. What
is computed stays the same. Files are what they were, and so are their SHA-256: the graph is
changed where it is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geoiseg.models.tiny.protobuf import (
    ATTRIBUTE,
    BYTES,
    DATA_TYPE,
    INPUT,
    KIND,
    NAME,
    NODE,
    OUTPUT,
    RAW,
    RESULT,
    VARINT,
    Field,
    as_varint,
    fields,
    joined,
    with_graph,
)

INTEGER, TEXT, TENSOR, INTEGERS = 3, 4, 5, 8
"""Numbers of an attribute's fields."""
INT64 = 7
"""A tensor's type where it holds integers."""


@dataclass(frozen=True, slots=True)
class _Node:
    place: int
    """Among the fields of the graph."""
    kind: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, list[Field]]


def padded_within(model: bytes) -> bytes:
    """Return a model whose convolutions pad by themselves; unchanged where none can.

    Args:
        model: What an ``.onnx`` file holds; of anything else onnxruntime says what is wrong.
    """
    try:
        return with_graph(model, _padded_within)
    except (LookupError, ValueError, StopIteration):
        return model


def _padded_within(graph: list[Field]) -> list[Field]:
    nodes = [_node(place, field) for place, field in enumerate(graph) if field[0] == NODE]
    made = {name: node for node in nodes for name in node.outputs}
    results = {value.decode() for number, _, field in graph if number == RESULT
               for inner, _, value in fields(field) if inner == NAME}  # fmt: skip
    gone = set()
    for node in nodes:
        pad = made.get(node.inputs[0]) if node.kind == "Conv" else None
        if pad is None or pad.kind != "Pad" or _readers(nodes, pad.outputs[0]) != 1:
            continue
        sides = None if pad.outputs[0] in results else _sides(pad, made)
        if sides is None or not _pads_nothing(node):
            continue
        graph[node.place] = (NODE, BYTES, _padding(graph[node.place][2], pad.inputs[0], sides))
        gone.add(pad.place)
    return [field for place, field in enumerate(graph) if place not in gone]


def _readers(nodes: Sequence[_Node], name: str) -> int:
    return sum(node.inputs.count(name) for node in nodes)


def _pads_nothing(conv: _Node) -> bool:
    """Return whether a convolution says that it pads by 0 at each side."""
    said, automatic = (
        [value for number, _, value in conv.attributes.get(name, []) if number == kind]
        for name, kind in (("pads", INTEGERS), ("auto_pad", TEXT))
    )
    return said == [b"\0"] * 4 and automatic in ([], [b"NOTSET"])


def _sides(pad: _Node, made: dict[str, _Node]) -> list[int] | None:
    """Return by how much is padded at top, left, bottom and right; None if it is not plain.

    The exporter has PyTorch's four numbers (left, right, top, bottom) as a constant at the
    beginning of the nodes that bring them into ONNX's order.
    """
    mode = [value for number, _, value in pad.attributes.get("mode", []) if number == TEXT]
    if mode not in ([], [b"constant"]) or any(pad.inputs[2:]):
        return None
    found: list[list[int]] = []
    seen, left = set(), [pad.inputs[1]]
    while left:
        name = left.pop()
        node = made.get(name)
        if node is None or name in seen:
            continue
        seen.add(name)
        left += node.inputs
        numbers = _numbers(node)
        if numbers is not None and len(numbers) == 4:
            found.append(numbers)
    if len(found) != 1 or min(found[0]) < 0:
        return None
    first, last, top, bottom = found[0]
    return [top, first, bottom, last]


def _numbers(node: _Node) -> list[int] | None:
    """Return the integers of a constant."""
    if node.kind != "Constant":
        return None
    tensor = next((value for number, _, value in node.attributes.get("value", [])
                   if number == TENSOR), b"")  # fmt: skip
    parts = {number: value for number, _, value in fields(tensor)}
    if parts.get(DATA_TYPE) != bytes([INT64]):
        return None
    return [int(value) for value in np.frombuffer(parts.get(RAW, b""), "<i8")]


def _padding(node: bytes, source: str, sides: Sequence[int]) -> bytes:
    """Return a convolution that reads another input and pads it."""
    parts = list(fields(node))
    first = next(place for place, (number, _, _) in enumerate(parts) if number == INPUT)
    parts[first] = (INPUT, BYTES, source.encode())
    for place, (number, _, value) in enumerate(parts):
        inner = list(fields(value)) if number == ATTRIBUTE else []
        if (NAME, BYTES, b"pads") in inner:
            kept = [field for field in inner if field[0] != INTEGERS]
            said = [(INTEGERS, VARINT, as_varint(side)) for side in sides]
            parts[place] = (ATTRIBUTE, BYTES, joined([*kept, *said]))
    return joined(parts)


def _node(place: int, field: Field) -> _Node:
    parts = list(fields(field[2]))
    kind = next((value.decode() for number, _, value in parts if number == KIND), "")
    inputs, outputs = (
        [value.decode() for number, _, value in parts if number == wanted]
        for wanted in (INPUT, OUTPUT)
    )
    attributes = {}
    for inner in (list(fields(value)) for number, _, value in parts if number == ATTRIBUTE):
        attributes[next(value.decode() for number, _, value in inner if number == NAME)] = inner
    return _Node(place, kind, inputs, outputs, attributes)
