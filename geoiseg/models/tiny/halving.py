"""What goes in and out of a graph in half precision, in which features are kept, in its bytes.

onnxruntime narrows and widens numbers several times faster than numpy, which takes them one by
one. Files are what they were, and so are their SHA-256: graphs are changed where they are loaded.
"""

from __future__ import annotations

from collections.abc import Collection

from geoiseg.models.tiny.protobuf import (
    ATTRIBUTE,
    BYTES,
    GIVEN,
    INPUT,
    KIND,
    NAME,
    NODE,
    OUTPUT,
    RESULT,
    VARINT,
    Field,
    as_varint,
    fields,
    joined,
    only,
    with_graph,
)

HALF = "_in_half"
"""How the names of results end that were narrowed, and of inputs that are."""
FLOAT, FLOAT16 = as_varint(1), as_varint(10)
"""Types of a tensor's elements."""
TYPE, TENSOR_TYPE, ELEMENT = 2, 1, 1
"""Of a result or an input, of its type, and of that."""
INTEGER, ATTRIBUTE_KIND, AN_INTEGER = 3, 20, as_varint(2)
"""Of an attribute; and what the second is then."""


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
        return with_graph(model, lambda graph: _with_casts(graph, which, names))
    except (LookupError, ValueError):
        return model


def _with_casts(graph: list[Field], which: int, names: Collection[str] | None) -> list[Field]:
    """Return a graph whose inputs or results are in half precision; all where none are named."""
    made = []
    for place, (number, _, said) in enumerate(graph):
        name = only(said, NAME) if number == which else b""
        if number != which or not (names is None or name.decode() in names):
            continue
        elements = list(fields(only(only(said, TYPE), TENSOR_TYPE)))
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
    return [*graph[:start], *made, *graph[start:]]


def _cast(source: bytes, target: bytes, kind: bytes) -> Field:
    """Return a node that gives a value another type."""
    to = [(NAME, BYTES, b"to"), (INTEGER, VARINT, kind), (ATTRIBUTE_KIND, VARINT, AN_INTEGER)]
    parts = [(INPUT, BYTES, source), (OUTPUT, BYTES, target), (KIND, BYTES, b"Cast"),
             (ATTRIBUTE, BYTES, joined(to))]  # fmt: skip
    return NODE, BYTES, joined(parts)
