"""Of a graph what one of its results needs, in its bytes.

onnxruntime computes all that is in a graph, and what is not wanted costs it nearly as much where it
is told to leave it out as where it is not.
"""

from __future__ import annotations

from geoiseg.models.tiny.protobuf import (
    INITIALIZER,
    INPUT,
    NAME,
    NODE,
    OUTPUT,
    RESULT,
    TENSOR_NAME,
    Field,
    fields,
    only,
    with_graph,
)


def pruned(model: bytes, result: str) -> bytes:
    """Return a model that gives one of its results alone.

    Args:
        model: What an ``.onnx`` file holds; of anything else onnxruntime says what is wrong.
        result: Name of the one that is wanted.
    """
    try:
        return with_graph(model, lambda graph: _needed(graph, result.encode()))
    except (LookupError, ValueError):
        return model


def _needed(graph: list[Field], result: bytes) -> list[Field]:
    wanted, kept = {result}, []
    for number, wire, content in reversed(graph):  # a node comes after those that it reads
        parts = list(fields(content)) if number in (NODE, RESULT) else []
        made = [value for field, _, value in parts if field == (OUTPUT if number == NODE else NAME)]
        if parts and wanted.isdisjoint(made):
            continue
        if number == NODE:
            wanted.update(value for field, _, value in parts if field == INPUT)
        kept.append((number, wire, content))
    if not any(number == RESULT for number, _, _ in kept):
        raise LookupError(f"no result {result!r}")
    return [field for field in reversed(kept)
            if field[0] != INITIALIZER or only(field[2], TENSOR_NAME) in wanted]  # fmt: skip
