"""Half precision in and out of a graph: the numbers that numpy makes of them, to the bit."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from geoiseg.models.tiny.graphs import session
from geoiseg.models.tiny.halving import HALF, halved, of_halves


@pytest.fixture
def graph() -> bytes:
    """Adds two numbers, and counts rows."""
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in "ab"]
    made = [helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["n"]),
            helper.make_tensor_value_info("shape", TensorProto.INT64, [1])]  # fmt: skip
    nodes = [helper.make_node("Add", ["a", "b"], ["sum"]),
             helper.make_node("Shape", ["sum"], ["shape"])]  # fmt: skip
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(
        helper.make_graph(nodes, "sum", given, made), opset_imports=opset, ir_version=8
    )
    return model.SerializeToString()


def test_results_come_out_as_numpy_narrows_them(graph):
    rng = np.random.default_rng(3)
    half = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    finite = half[np.isfinite(half)].astype(np.float32)
    between = finite * (1 + rng.normal(0, 2e-4, finite.shape)).astype(np.float32)
    values = between[np.abs(between) < 65504]
    loaded = session(halved(graph), 1)
    assert [one.name for one in loaded.get_outputs()] == ["sum" + HALF, "shape"]
    found, shape = loaded.run(None, {"a": values, "b": np.full_like(values, -0.0)})
    np.testing.assert_array_equal(found.view(np.uint16), values.astype(np.float16).view(np.uint16))
    assert list(shape) == [len(values)]


def test_inputs_go_in_as_numpy_widens_them(graph):
    half = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    half = half[np.isfinite(half)]
    changed = of_halves(graph, ["a", "c"])
    onnx.checker.check_model(onnx.load_from_string(changed))
    loaded = session(changed, 1)
    assert [one.name for one in loaded.get_inputs()] == ["a" + HALF, "b"]
    given = {"a" + HALF: half, "b": np.full(len(half), -0.0, np.float32)}
    found = loaded.run(["sum"], given)[0]
    np.testing.assert_array_equal(found, half.astype(np.float32))


def test_what_is_no_graph_is_left_to_onnxruntime():
    assert halved(b"no graph") == of_halves(b"no graph", "a") == b"no graph"
