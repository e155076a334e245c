"""Of a graph what one of its results needs."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from geoiseg.models.tiny.graphs import session
from geoiseg.models.tiny.pruning import pruned


@pytest.fixture
def graph() -> bytes:
    """Gives a root, its square, and one more, for which alone there is a constant."""
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])]
    made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"])
            for name in ("root", "square", "more")]  # fmt: skip
    nodes = [helper.make_node("Sqrt", ["x"], ["root"]),
             helper.make_node("Mul", ["root", "root"], ["square"]),
             helper.make_node("Add", ["root", "one"], ["more"])]  # fmt: skip
    opset = [helper.make_opsetid("", 17)]
    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    whole = helper.make_graph(nodes, "root", given, made, [one])
    return helper.make_model(whole, opset_imports=opset, ir_version=8).SerializeToString()


def test_only_what_a_result_needs_is_left(graph):
    for wanted, nodes in {"root": ["Sqrt"], "square": ["Sqrt", "Mul"],
                          "more": ["Sqrt", "Add"]}.items():  # fmt: skip
        less = onnx.load_from_string(pruned(graph, wanted))
        onnx.checker.check_model(less)
        assert [node.op_type for node in less.graph.node] == nodes
        assert len(less.graph.initializer) == (wanted == "more")
        assert [output.name for output in less.graph.output] == [wanted]
    loaded = session(pruned(graph, "square"), 1)
    found = loaded.run(None, {"x": np.array([4, 9], np.float32)})
    np.testing.assert_allclose(found, [[4, 9]], rtol=1e-6)


def test_what_has_no_such_result_stays(graph):
    assert pruned(graph, "cube") == graph
    assert pruned(b"no graph", "root") == b"no graph"
