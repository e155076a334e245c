"""Of a graph what one of its results needs, in its bytes.

onnxruntime computes all that is in a graph, and what is not wanted costs it nearly as much where it
is told to leave it out as where it is not.
"""

from __future__ import annotations

from geoiseg.models.tiny.protobuf import (
    BYTES,
    GRAPH,
    INITIALIZER,
    NODE,
    RESULT,
    TENSOR_NAME,
    fields,
    joined,
)

INPUT, OUTPUT = 1, 2
"""Numbers of a node's fields."""
NAME = 1
"""Of a result's."""


def pruned(model: bytes, result: str) -> bytes:
    """Return a model that gives one of its results alone.

    Args:
        model: What an ``.onnx`` file holds; of anything else onnxruntime says what is wrong.
        result: Name of the one that is wanted.
    """
    try:
        return _pruned(model, result.encode())
    except (LookupError, ValueError, StopIteration):
        return model


def _pruned(model: bytes, result: bytes) -> bytes:
    whole = list(fields(model))
    at = next(index for index, (number, _, _) in enumerate(whole) if number == GRAPH)
    graph = list(fields(whole[at][2]))
    wanted, kept = {result}, []
    for number, wire, content in reversed(graph):  # a node comes after those that it reads
        parts = list(fields(content)) if number in (NODE, RESULT) else []
        made = [value for field, _, value in parts if field == (OUTPUT if number == NODE else NAME)]
        if parts and wanted.isdisjoint(made):
            continue
        if number == NODE:
            wanted.update(value for field, _, value in parts if field == INPUT)
        kept.append((number, wire, content))
    kept = [field for field in kept if field[0] != INITIALIZER or _named(field[2]) in wanted]
    if not any(number == RESULT for number, _, _ in kept):
        raise LookupError(f"no result {result!r}")
    whole[at] = (GRAPH, BYTES, joined(reversed(kept)))
    return joined(whole)


def _named(tensor: bytes) -> bytes:
    return next(value for number, _, value in fields(tensor) if number == TENSOR_NAME)
