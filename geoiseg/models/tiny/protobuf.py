"""Messages of ONNX's protocol buffers, as far as graphs are changed where they are loaded.

The package ``onnx`` is not needed for anything else at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

Field = tuple[int, int, bytes]
"""Number, wire type and content of a field of a message; a number's bytes as they stand."""
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types."""
GRAPH = 7
"""Number of a model's field."""
NODE, INITIALIZER, GIVEN, RESULT = 1, 5, 11, 12
"""Of a graph's fields."""
DIMS, DATA_TYPE, FLOATS, TENSOR_NAME, RAW = 1, 2, 4, 8, 9
"""Of a tensor's fields."""
INPUT, OUTPUT, KIND, ATTRIBUTE = 1, 2, 4, 5
"""Of a node's fields."""
NAME = 1
"""Of an attribute's, and of those of an input or result of the graph."""


def fields(message: bytes) -> Iterator[Field]:
    """Yield the fields of a message in their order."""
    at = 0
    while at < len(message):
        key, at = varint(message, at)
        number, wire = key >> 3, key & 7
        start = at
        if wire == VARINT:
            _, at = varint(message, at)
        elif wire == BYTES:
            length, start = varint(message, at)
            at = start + length
        elif wire in (FIXED64, FIXED32):
            at += 8 if wire == FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire} is not of ONNX")
        yield number, wire, message[start:at]


def joined(fields: Iterable[Field]) -> bytes:
    """Return a message of fields."""
    parts = []
    for number, wire, content in fields:
        parts.append(as_varint(number << 3 | wire))
        if wire == BYTES:
            parts.append(as_varint(len(content)))
        parts.append(content)
    return b"".join(parts)


def with_graph(model: bytes, change: Callable[[list[Field]], Iterable[Field]]) -> bytes:
    """Return a model with the fields of its graph changed.

    Args:
        model: What an ``.onnx`` file holds.
        change: Gives the fields that the graph has then.

    Raises:
        LookupError: It is no model; or a ValueError.
    """
    whole = list(fields(model))
    places = [place for place, (number, _, _) in enumerate(whole) if number == GRAPH]
    at = places[0]
    whole[at] = (GRAPH, BYTES, joined(change(list(fields(whole[at][2])))))
    return joined(whole)


def only(message: bytes, wanted: int) -> bytes:
    """Return the first field of a number.

    Raises:
        LookupError: There is none.
    """
    for number, _, value in fields(message):
        if number == wanted:
            return value
    raise LookupError(f"the message has no field {wanted}")


def varint(message: bytes, at: int) -> tuple[int, int]:
    """Return a number and where it ends."""
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def as_varint(value: int) -> bytes:
    """Return a number as it stands in a message."""
    parts = bytearray()
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])
