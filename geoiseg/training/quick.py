"""``python -m geoiseg.training.quick``: makes tiny's encoder in 8-bit integers.

Every convolution multiplies bytes but the last of the dense heads and what the decoder is told of
them. The ranges of what lies between them are found on the scenes that train.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from geoiseg.atomic import written
from geoiseg.errors import GeoisegError
from geoiseg.models.exported.int8 import without_advice
from geoiseg.models.tiny import FILES
from geoiseg.models.tiny.filling import without_weights
from geoiseg.models.tiny.padding import padded_within
from geoiseg.models.tiny.quick import (
    BANDS,
    EVEN,
    FILE,
    RAW,
    ROOM,
    SPREAD,
    STEP,
    ZERO,
    codes,
)
from geoiseg.quiet import quiet_quantization
from geoiseg.training.export import digest
from geoiseg.training.quick_blocks import in_blocks
from geoiseg.training.scenes import read_scenes

SIDE = 256
"""Of the chips by which ranges are found."""
CHIPS = 12
REDUCTIONS = (1, 2)
KINDS = ["Conv", "Add", "Relu", "Clip", "Resize", "AveragePool"]
"""Nodes that compute in bytes."""
EXACT = ["/dense/dense.1/Conv", "/prior/Conv", "/Add_6", "/AveragePool"]
"""Nodes that do not: what the dense heads say, and what the decoder is told of that; and the
colours at half the resolution, which :mod:`geoiseg.training.quick_blocks` brings into bytes."""
READ = {RAW: "/trunk/Mul_output_0", EVEN: "/Concat_output_0"}
"""Names in the encoder's graph of what the two inputs are."""
COLOURS_AND_VALIDITY = [0, 1, 2, 6]
"""Bands of the second that are multiplied by :data:`SPREAD`."""
CODES = "_QuantizeLinear_Output"
"""How onnxruntime ends the name of an input's codes."""

Chip = tuple[NDArray[np.uint8], NDArray[np.bool_]]


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True,
              help="Labelled scenes, as for training tiny.")  # fmt: skip
@click.argument("folder", type=click.Path(path_type=Path, exists=True))
def main(data: Path, folder: Path) -> None:
    """Make quick.onnx in FOLDER, where tiny's graphs and card are, and write its hash there."""
    try:
        chips = list(chosen(data))
    except GeoisegError as error:
        raise click.ClickException(str(error)) from error
    encoder = (folder / FILES[0]).read_bytes()
    made = without_weights(quick_graph(encoder, chips), encoder)
    with written(folder / FILE) as target:
        target.write_bytes(made)
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    card["sha256"][FILE] = digest(folder / FILE)
    with written(folder / "card.json") as target:
        target.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    click.echo(f"{folder / FILE}: {len(made)} bytes, by {len(chips)} chips")


def chosen(data: Path) -> Iterator[Chip]:
    """Yield chips of scenes that train, spread over them, at each reduction in turn."""
    scenes = [path.parent.name for path in sorted(data.glob("[!_]*/image.*"))]
    step = max(1, len(scenes) // CHIPS)
    for number, name in enumerate(scenes[::step]):
        for scene in read_scenes(data, held_out=False, named=f"{name}$"):
            reduction = REDUCTIONS[number % len(REDUCTIONS)]
            size = tuple(side // reduction for side in scene.valid.shape[::-1])
            image = cv2.resize(scene.image, size, interpolation=cv2.INTER_AREA)
            valid = cv2.resize(scene.valid.view(np.uint8), size, interpolation=cv2.INTER_NEAREST)
            top, left = (max(0, side - SIDE) // 2 for side in valid.shape)
            part = np.s_[top : top + SIDE, left : left + SIDE]
            yield np.asarray(image[part], np.uint8), valid[part] > 0
            break  # its other layers are of the same image


def quick_graph(encoder: bytes, chips: list[Chip]) -> bytes:
    """Return the encoder's graph in 8-bit integers.

    Args:
        encoder: What ``encoder.onnx`` holds.
        chips: ``(y, x, 3)`` and validity; ranges are found on these.
    """
    import onnx

    with tempfile.TemporaryDirectory(prefix="geoiseg-quick-") as scratch:
        source, made = Path(scratch) / "float.onnx", Path(scratch) / "bytes.onnx"
        onnx.save(_float_graph(encoder), str(source))
        _quantised(source, made, chips)
        model = onnx.load(str(made))
    found = in_blocks(_cut(model, {name + CODES: name for name in READ}, onnx.TensorProto.UINT8))
    onnx.checker.check_model(found)
    data: bytes = found.SerializeToString()
    return data


def _float_graph(encoder: bytes) -> Any:
    """Return the encoder as it is, from the two inputs on."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load_from_string(padded_within(encoder))
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    casts = [node for node in model.graph.node if node.op_type == "Cast"]
    for node in (one for one in casts if one.input[0] in weights):
        half = numpy_helper.to_array(weights[node.input[0]])
        full = numpy_helper.from_array(half.astype(np.float32), node.output[0])
        weights[node.output[0]] = weights[node.input[0]]
        weights[node.input[0]].CopyFrom(full)
        model.graph.node.remove(node)
    first = next(node for node in model.graph.node
                 if node.op_type == "Conv" and node.input[0] == READ[EVEN])  # fmt: skip
    tensor = weights[first.input[1]]
    values = numpy_helper.to_array(tensor).copy()
    values[:, COLOURS_AND_VALIDITY] /= SPREAD
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    missing = set(EXACT).difference(node.name for node in model.graph.node)
    if missing:
        raise ValueError(f"the encoder has no nodes {sorted(missing)}")
    return _cut(model, {old: new for new, old in READ.items()}, onnx.TensorProto.FLOAT)


def _cut(model: Any, inputs: Mapping[str, str], kind: int) -> Any:
    """Return the graph from some values on, which are its inputs then.

    Args:
        model: Is changed.
        inputs: Names of the values, and what they are called then.
        kind: Type of their elements.
    """
    from onnx import helper

    graph = model.graph
    made = {name: node for node in graph.node for name in node.output}
    needed, left = set(), [output.name for output in graph.output]
    while left:
        name = left.pop()
        if name not in needed:
            needed.add(name)
            left += [] if name in inputs or name not in made else made[name].input
    kept = [node for node in graph.node if needed.intersection(node.output)]
    kept = [node for node in kept if node.output[0] not in inputs]
    for node in kept:
        for place, name in enumerate(node.input):
            node.input[place] = inputs.get(name, name)
    constants = [tensor for tensor in graph.initializer if tensor.name in needed]
    given = [helper.make_tensor_value_info(name, kind, [1, BANDS[name], "y", "x"])
             for name in inputs.values()]  # fmt: skip
    found = helper.make_graph(kept, FILE, given, graph.output, constants)
    return helper.make_model(found, opset_imports=model.opset_import, ir_version=model.ir_version)


def _quantised(source: Path, made: Path, chips: list[Chip]) -> None:
    """Write a graph whose nodes of :data:`KINDS` compute in bytes."""
    quantization: Any = quiet_quantization()
    fixed = {
        name: [
            {
                "scale": np.array(STEP[name], np.float32),
                "zero_point": np.array(ZERO[name], np.uint8),
            }
        ]
        for name in READ
    }
    with without_advice():
        quantization.quantize_static(
            str(source),
            str(made),
            _Reader(chips),
            per_channel=True,
            op_types_to_quantize=KINDS,
            nodes_to_exclude=EXACT,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            extra_options={"TensorQuantOverrides": fixed},
        )


class _Reader:
    """Hands chips to onnxruntime's calibration, which asks by this name."""

    def __init__(self, chips: list[Chip]) -> None:
        self._left = iter(chips)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        one = next(self._left, None)
        if one is None:
            return None
        rows, columns = (-(-side // 32) * 32 for side in one[1].shape)
        given = codes(*one, (rows, columns))
        return {
            name: np.float32(STEP[name]) * (_planes(code, name).astype(np.float32) - ZERO[name])
            for name, code in given.items()
        }


def _planes(code: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    """Return ``(1, bands, y, x)`` the codes of an input pixel by pixel."""
    _, rows, columns, _ = code.shape
    pixels = code.reshape(rows, columns, 2, 2, ROOM[name])[..., : BANDS[name]]
    return pixels.transpose(4, 0, 2, 1, 3).reshape(1, BANDS[name], 2 * rows, 2 * columns)


if __name__ == "__main__":
    main()
