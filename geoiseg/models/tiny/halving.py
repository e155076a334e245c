"""What goes in and out of a graph in half precision, in which features are kept, in its bytes.

onnxruntime narrows and widens numbers several times faster than numpy, which takes them one by
one. Files are what they were, and so are their SHA-256: graphs are changed where they are loaded.
"""

from __future__ import annotations

from collections.abc import Collection

from geoiseg.models.tiny.protobuf import (
    BYTES,
    GIVEN,
    GRAPH,
    NODE,
    RESULT,
    VARINT,
    Field,
    as_varint,
    fields,
    joined,
)

HALF = "_in_half"
"""How the names of results end that were narrowed, and of inputs that are."""
FLOAT, FLOAT16 = as_varint(1), as_varint(10)
"""Types of a tensor's elements."""
NAME, TYPE = 1, 2
"""Of a result or an input; its type holds the next."""
TENSOR_TYPE, ELEMENT = 1, 1
INPUT, OUTPUT, KIND, ATTRIBUTE = 1, 2, 4, 5
"""Of a node; its attribute holds the next."""
INTEGER, ATTRIBUTE_KIND, AN_INTEGER = 3, 20, as_varint(2)


def halved(model: bytes) -> bytes:
    """Return a model whose results in single precision come out in half, see :data:`HALF`.

    Args:
        model: What an ``.onnx`` file holds; of anything else onnxruntime says what is wrong.
    """
    return _changed(model, RESULT, None)


def of_halves(model: bytes, names: Collection[str]) -> bytes:
    """Return a model of whose inputs in single precision some go in in half, see :data:`HALF`.

    Args:
        model: What an ``.onnx`` file holds; of anything else onnxruntime says what is wrong.
        names: Of these inputs.
    """
    return _changed(model, GIVEN, names)


def _changed(model: bytes, which: int, names: Collection[str] | None) -> bytes:
    try:
        return _with_casts(model, which, names)
    except (LookupError, ValueError, StopIteration):
        return model


def _with_casts(model: bytes, which: int, names: Collection[str] | None) -> bytes:
    """Return a model whose inputs or results are in half precision; all where none are named."""
    whole = list(fields(model))
    at = next(index for index, (number, _, _) in enumerate(whole) if number == GRAPH)
    graph = list(fields(whole[at][2]))
    made = []
    for place, (number, _, said) in enumerate(graph):
        name = _only(said, NAME) if number == which else b""
        if number != which or not (names is None or name.decode() in names):
            continue
        elements = list(fields(_only(_only(said, TYPE), TENSOR_TYPE)))
        if (ELEMENT, VARINT, FLOAT) not in elements:
            continue
        kept = [field for field in elements if field[0] != ELEMENT]
        tensor = joined([(ELEMENT, VARINT, FLOAT16), *kept])
        kind = joined([(TENSOR_TYPE, BYTES, tensor)])
        narrow = name + HALF.encode()
        graph[place] = (which, BYTES, joined([(NAME, BYTES, narrow), (TYPE, BYTES, kind)]))
        made.append(_cast(narrow, name, FLOAT) if which == GIVEN else _cast(name, narrow, FLOAT16))
    nodes = [place for place, field in enumerate(graph) if field[0] == NODE]
    start = nodes[0] if which == GIVEN else nodes[-1] + 1
    graph[start:start] = made
    whole[at] = (GRAPH, BYTES, joined(graph))
    return joined(whole)


def _only(message: bytes, wanted: int) -> bytes:
    return next(value for number, _, value in fields(message) if number == wanted)


def _cast(source: bytes, target: bytes, kind: bytes) -> Field:
    """Return a node that gives a value another type."""
    to = [(NAME, BYTES, b"to"), (INTEGER, VARINT, kind), (ATTRIBUTE_KIND, VARINT, AN_INTEGER)]
    parts = [(INPUT, BYTES, source), (OUTPUT, BYTES, target), (KIND, BYTES, b"Cast"),
             (ATTRIBUTE, BYTES, joined(to))]  # fmt: skip
    return NODE, BYTES, joined(parts)
