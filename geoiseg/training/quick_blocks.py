"""The graph in 8-bit integers, fed with blocks of 2 x 2 pixels: the same numbers, sooner.

The first convolutions see three bands or seven and go by steps of two pixels. Over blocks they see
sixteen or 32 bands and go by steps of one, which is what instructions that multiply bytes are good
at. The mean of 2 x 2 pixels is a convolution of bytes, too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.models.tiny.quick import BANDS, EVEN, ROOM

SIDE = 2
"""Pixels of a block in each direction."""
POOL, SLICE = "/AveragePool_1", "/Slice"
"""Names in the encoder's graph of the mean of features, and of what cuts out evened colours."""
COLOURS = (3, 6)
"""The evened colours among the bands of the second input."""
MEAN = 64, 1 / 256
"""A quarter, as a byte and what that counts in."""


def in_blocks(model: Any) -> Any:
    """Return the graph with inputs in blocks, see :data:`geoiseg.models.tiny.quick.ROOM`.

    Args:
        model: In 8-bit integers, whose inputs are ``(1, bands, y, x)``; is changed.

    Raises:
        ValueError: It is not of this design.
    """
    import onnx
    from onnx import helper

    graph = model.graph
    made = {name: node for node in graph.node for name in node.output}
    given = []
    for name in BANDS:
        reader = _only(node for node in graph.node if name in node.input)
        planes = helper.make_tensor_value_info(
            name, onnx.TensorProto.UINT8, [1, "v", "u", SIDE * SIDE * ROOM[name]]
        )
        given.append(planes)
        first = helper.make_node("Transpose", [name], [name + "_planes"],
                                 name=name + "_planes", perm=[0, 3, 1, 2])  # fmt: skip
        reader.input[0] = first.output[0]
        graph.node.insert(0, first)
        convolution = _only(
            node for node in graph.node
            if node.op_type == "Conv" and node.input[0] == reader.output[0]
        )  # fmt: skip
        _over_blocks(graph, convolution, made[convolution.input[1]], ROOM[name])
        if name == EVEN:
            _colours(graph, reader.output[0])
    _mean(graph)
    del graph.input[:]
    graph.input.extend(given)
    _swept(graph)
    return model


def _swept(graph: Any) -> None:
    """Leave out what nobody reads any more."""
    while True:
        read = {name for node in graph.node for name in node.input}
        read |= {output.name for output in graph.output}
        idle = [node for node in graph.node if read.isdisjoint(node.output)]
        if not idle:
            break
        for node in idle:
            graph.node.remove(node)
    for tensor in [one for one in graph.initializer if one.name not in read]:
        graph.initializer.remove(tensor)


def _only(nodes: Any) -> Any:
    found = list(nodes)
    if len(found) != 1:
        raise ValueError(f"one node was looked for, {len(found)} were found: another encoder?")
    return found[0]


def blocked(weights: NDArray[Any], before: int, bands: int) -> NDArray[Any]:
    """Return ``(o, 2 * 2 * bands, 2, 2)`` weights over blocks.

    Args:
        weights: ``(o, c, 3, 3)``, by steps of two pixels.
        before: Pixels of padding at the top and on the left, 0 or 1.
        bands: For how many there is room in a block, ``>= c``.
    """
    count, known, height, width = weights.shape
    wide = np.zeros((count, bands, 2 * SIDE, 2 * SIDE), weights.dtype)
    wide[:, :known, before : before + height, before : before + width] = weights
    parts = wide.reshape(count, bands, SIDE, SIDE, SIDE, SIDE)  # o, c, block y, y, block x, x
    over = parts.transpose(0, 3, 5, 1, 2, 4).reshape(count, SIDE * SIDE * bands, SIDE, SIDE)
    return np.ascontiguousarray(over)


def _over_blocks(graph: Any, convolution: Any, dequantised: Any, bands: int) -> None:
    """Change a convolution of 3 x 3 by steps of two into one of 2 x 2 blocks."""
    from onnx import numpy_helper

    said = {one.name: one for one in convolution.attribute}
    before = said["pads"].ints[0]
    if list(said["strides"].ints) != [2, 2] or before not in (0, 1):
        raise ValueError(f"{convolution.name} does not go by steps of two: another encoder?")
    tensor = _only(one for one in graph.initializer if one.name == dequantised.input[0])
    weights = blocked(numpy_helper.to_array(tensor), before, bands)
    name = convolution.name + "_blocks"
    graph.initializer.append(numpy_helper.from_array(weights, name))
    dequantised.input[0] = name
    said["kernel_shape"].ints[:] = [SIDE, SIDE]
    said["strides"].ints[:] = [1, 1]
    said["pads"].ints[:] = [before, before, 1 - before, 1 - before]


def _colours(graph: Any, planes: str) -> None:
    """Change the mean of colours over 2 x 2 pixels into a convolution of a block's bytes."""
    from onnx import helper

    cut = _only(node for node in graph.node if node.name == SLICE)
    mean = _only(node for node in graph.node if cut.output[0] in node.input)
    first, last = COLOURS
    quarters = np.zeros((last - first, SIDE, SIDE, ROOM[EVEN]), np.int8)
    for number in range(last - first):
        quarters[number, :, :, first + number] = MEAN[0]
    weights = _in_bytes(graph, "colour", quarters.reshape(last - first, -1, 1, 1))
    counted = [EVEN + "_scale", EVEN + "_zero_point"]
    made = [
        helper.make_node("Conv", [planes, weights], ["colour_mean"], "colour", kernel_shape=[1, 1]),
        helper.make_node("QuantizeLinear", ["colour_mean", *counted], ["colour_bytes"], "colour_q"),
        helper.make_node(
            "DequantizeLinear", ["colour_bytes", *counted], list(mean.output), "colour_d"
        ),
    ]
    place = list(graph.node).index(mean)
    for node in reversed(made):
        graph.node.insert(place, node)
    graph.node.remove(mean)
    graph.node.remove(cut)


def _in_bytes(graph: Any, name: str, weights: NDArray[np.int8]) -> str:
    """Put weights that count in the second of :data:`MEAN` into a graph, and return their name."""
    from onnx import helper, numpy_helper

    count = len(weights)
    tensors = [
        numpy_helper.from_array(weights, name + "_codes"),
        numpy_helper.from_array(np.full(count, MEAN[1], np.float32), name + "_step"),
        numpy_helper.from_array(np.zeros(count, np.int8), name + "_zero"),
    ]
    graph.initializer.extend(tensors)
    parts = [tensor.name for tensor in tensors]
    node = helper.make_node("DequantizeLinear", parts, [name + "_weights"], name + "_w", axis=0)
    graph.node.insert(0, node)
    return name + "_weights"


def _mean(graph: Any) -> None:
    """Change the mean of features over 2 x 2 pixels into a convolution of bytes."""
    from onnx import helper

    pool = _only(node for node in graph.node if node.name == POOL)
    features = _only(one for one in graph.output if one.name == pool.input[0])
    count = features.type.tensor_type.shape.dim[1].dim_value
    weights = _in_bytes(graph, "mean", np.full((count, 1, SIDE, SIDE), MEAN[0], np.int8))
    how = {"kernel_shape": [SIDE, SIDE], "strides": [SIDE, SIDE], "group": count}
    made = helper.make_node("Conv", [pool.input[0], weights], list(pool.output), "mean", **how)
    place = list(graph.node).index(pool)
    graph.node.insert(place, made)
    graph.node.remove(pool)
