"""Image encoders in 8-bit integers: how they are made of fp32 graphs, and what they must hold.

``weights`` keeps weights as int8, one scale for each output channel, and computes in
floating point: a quarter of the size. ``static`` multiplies in int8, with the ranges of
activations found on chips beforehand: faster, and less exact.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import ExportError
from geoiseg.models.exported.card import WEIGHTS
from geoiseg.quiet import quiet_quantization
from geoiseg.raster import BoolArray

KINDS = ("weights", "static")
LEAST_IOU = 0.97
"""Of masks with those of fp32, the mean; what is less like it is refused."""
SMALLEST = 4096
"""Weights of fewer numbers stay as they are."""
CHIPS = 8
"""Chips that are taken of a raster, half of them to calibrate and half to measure."""

Chips = Sequence[tuple[NDArray[np.uint8], BoolArray]]


@dataclass(frozen=True, slots=True, eq=False)
class Int8:
    """How an encoder is to be made int8, and on what it is tried."""

    kind: str
    """One of :data:`KINDS`."""
    chips: Chips
    """Image ``(y, x, 3)`` uint8 and validity ``(y, x)`` of each."""
    origin: str = ""
    """Where the chips are from, for the card."""
    least: float = LEAST_IOU
    """Mean IoU with fp32's masks under which the result is refused, 0..1."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ExportError(f"int8 is one of {', '.join(KINDS)}, got {self.kind!r}")
        if not self.chips:
            raise ExportError("int8 is tried on chips, and there are none; give a raster")

    @property
    def calibrating(self) -> Chips:
        """Every second chip; the only one where there is one."""
        return self.chips[::2]

    @property
    def measuring(self) -> Chips:
        """The other chips, which calibration never saw; the only one where there is one."""
        return self.chips[1::2] or self.chips


def weights_only(source: Path) -> Any:
    """Return a graph whose large weights are int8 and become floating point where they are used.

    Args:
        source: An fp32 graph.
    """
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(str(source))
    graph = model.graph
    constants = {constant.name: constant for constant in graph.initializer}
    added = []
    for name, axis in _heavy(model).items():
        codes, scale = _coded(numpy_helper.to_array(constants[name]), axis)
        graph.initializer.remove(constants[name])
        parts = {"_int8": codes, "_scale": scale}
        graph.initializer.extend(
            numpy_helper.from_array(part, name + ending) for ending, part in parts.items()
        )
        given = [name + ending for ending in parts]
        node = helper.make_node("DequantizeLinear", given, [name], name + "_wide", axis=axis)
        added.append(node)
    nodes = [*added, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def calibrated(source: Path, pixels: Iterator[NDArray[np.float32]]) -> Any:
    """Return a graph whose linear layers and dense convolutions multiply in int8.

    Args:
        source: An fp32 graph of an encoder.
        pixels: What the encoder takes, ``(1, 3, side, side)`` each: ranges are found on these.
    """
    import onnx

    quantization: Any = quiet_quantization()
    model = onnx.load(str(source), load_external_data=False)
    heavy = _heavy(model)
    wanted = [node.name for node in model.graph.node if set(node.input) & set(heavy)]
    with tempfile.TemporaryDirectory(prefix="geoiseg-int8-") as scratch, without_advice():
        made = Path(scratch) / source.name
        quantization.quantize_static(
            str(source),
            str(made),
            _Reader(pixels),
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            nodes_to_quantize=wanted,
            use_external_data_format=True,
            extra_options={"OpTypesToExcludeOutputQuantization": ["MatMul", "Gemm", "Conv"]},
        )
        return onnx.load(str(made))


def save_graph(model: Any, path: Path) -> None:
    """Write a graph; its weights go into a file beside it, which may be large."""
    import onnx

    onnx.save_model(
        model,
        str(path),
        save_as_external_data=True,
        location=path.with_suffix(WEIGHTS).name,
        size_threshold=SMALLEST,
    )


@contextmanager
def without_advice() -> Iterator[None]:
    """Keep onnxruntime's advice out of the log, and the log as it is set up."""
    root, silent = logging.getLogger(), logging.NullHandler()

    def is_ours(record: logging.LogRecord) -> bool:
        return "onnxruntime" not in record.pathname

    root.addHandler(silent)
    root.addFilter(is_ours)
    try:
        yield
    finally:
        root.removeFilter(is_ours)
        root.removeHandler(silent)


class _Reader:
    """Hands images to onnxruntime's calibration, which asks by this name."""

    def __init__(self, pixels: Iterator[NDArray[np.float32]]) -> None:
        self._pixels = pixels

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        one = next(self._pixels, None)
        return None if one is None else {"pixels": one}


def _heavy(model: Any) -> dict[str, int]:
    """Return the axis of the output channels of each large weight of a product, by name."""
    import onnx

    large = {
        constant.name: len(constant.dims)
        for constant in model.graph.initializer
        if constant.data_type == onnx.TensorProto.FLOAT and np.prod(constant.dims) >= SMALLEST
    }
    found: dict[str, int] = {}
    others: set[str] = set()
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            axis = _channels(node, large[name]) if place == 1 and name in large else None
            if axis is None:
                others.add(name)
            else:
                found[name] = axis
    return {name: axis for name, axis in found.items() if name not in others}


def _channels(node: Any, dimensions: int) -> int | None:
    """Return the axis of the output channels in a node's weights; None where it has none."""
    told = {attribute.name: attribute.i for attribute in node.attribute}
    if node.op_type == "Conv":
        return 0 if told.get("group", 1) == 1 else None
    if node.op_type == "Gemm":
        return 0 if told.get("transB", 0) else 1
    return 1 if node.op_type == "MatMul" and dimensions == 2 else None


def _coded(weights: NDArray[np.float32], axis: int) -> tuple[NDArray[np.int8], Any]:
    """Return weights as int8 and the scale of each channel along an axis."""
    others = tuple(n for n in range(weights.ndim) if n != axis)
    most = np.abs(weights).max(others, keepdims=True)
    scale = np.where(most > 0, most / 127, 1).astype(np.float32)
    codes = np.clip(np.rint(weights / scale), -127, 127).astype(np.int8)
    return codes, scale.ravel()
