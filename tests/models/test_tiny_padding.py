"""Padding that becomes a convolution's own: the graph is another, the numbers are the same."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import geoiseg.models.tiny
from geoiseg.models.tiny.padding import padded_within
from geoiseg.training import export
from geoiseg.training.network import TinyNet

SHIPPED = Path(geoiseg.models.tiny.__file__).parent


def pads(data: bytes) -> int:
    return sum(node.op_type == "Pad" for node in onnx.load_from_string(data).graph.node)


def test_the_shipped_encoder_pads_within_its_convolutions():
    data = (SHIPPED / "encoder.onnx").read_bytes()
    assert pads(data) == 0
    assert padded_within(data) == data


def test_an_encoder_says_the_same_either_way(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(export, "padded_within", lambda data: data)
        export.export_network(TinyNet().eval(), tmp_path)
    data = (tmp_path / "encoder.onnx").read_bytes()
    made = padded_within(data)
    assert pads(data) == 5
    assert pads(made) == 0
    assert padded_within(made) == made
    one, other = (
        onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        for graph in (data, made)
    )
    rng = np.random.default_rng(0)
    given = {
        "image": rng.uniform(0, 255, (1, 3, 96, 160)).astype(np.float32),
        "valid": np.ones((1, 1, 96, 160), np.float32),
    }
    for name, before, after in zip(
        (output.name for output in one.get_outputs()),
        one.run(None, given),
        other.run(None, given),
        strict=True,
    ):
        np.testing.assert_allclose(after, before, rtol=0, atol=1e-5, err_msg=name)


def convolved(said: dict[str, object], *, shown: bool = False) -> bytes:
    """Return a graph that pads by (1, 200, 2, 3) as PyTorch's exporter says it, then convolves."""
    sides = numpy_helper.from_array(np.array([1, 200, 2, 3]))
    order = numpy_helper.from_array(np.array([4, 4, 2, 0, 4, 4, 3, 1]))
    weights = np.random.default_rng(0).normal(size=(1, 1, 3, 3)).astype(np.float32)
    tensor = partial(helper.make_tensor_value_info, elem_type=TensorProto.FLOAT)
    nodes = [
        helper.make_node("Constant", [], ["sides"], value=sides),
        helper.make_node("Constant", [], ["none"], value=numpy_helper.from_array(np.array([0]))),
        helper.make_node("Constant", [], ["order"], value=order),
        helper.make_node("Concat", ["sides", "none"], ["all"], axis=0),
        helper.make_node("Gather", ["all", "order"], ["pads"]),
        helper.make_node("Pad", ["image", "pads", ""], ["padded"], mode="constant"),
        helper.make_node("Conv", ["padded", "weights"], ["out"], kernel_shape=[3, 3], **said),
    ]
    results = [tensor("out", shape=[1, 1, None, None])]
    if shown:
        results.append(tensor("padded", shape=[1, 1, None, None]))
    graph = helper.make_graph(nodes, "convolved", [tensor("image", shape=[1, 1, 20, 30])], results,
                              [numpy_helper.from_array(weights, "weights")])  # fmt: skip
    opset = helper.make_opsetid("", 17)
    return helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString()


def test_wide_padding_is_the_same():
    data = convolved({"pads": [0] * 4, "auto_pad": "NOTSET"})
    made = padded_within(data)
    assert pads(made) == 0
    image = np.random.default_rng(1).normal(size=(1, 1, 20, 30)).astype(np.float32)
    before, after = (
        onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"]).run(
            None, {"image": image}
        )[0]
        for graph in (data, made)
    )
    assert before.shape == (1, 1, 23, 229)
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "data",
    [
        convolved({"pads": [0] * 4}, shown=True),
        convolved({"pads": [0] * 4, "auto_pad": "SAME_UPPER"}),
        convolved({}),
    ],
    ids=["shown", "automatic", "unsaid"],
)
def test_padding_that_is_of_use_or_unclear_stays(data):
    assert padded_within(data) == data


def test_one_that_stays_holds_no_other_back():
    graph = onnx.load_from_string(convolved({"pads": [0] * 4}))
    other = onnx.load_from_string(convolved({})).graph.node
    for node in other[-2:]:
        node.output[0] += " too"
    other[-1].input[0] += " too"
    graph.graph.node.extend(other[-2:])
    assert pads(padded_within(graph.SerializeToString())) == 1


@pytest.mark.parametrize("data", [b"", b"no graph", b"\x3a\x7f\x0a"])
def test_what_is_no_model_is_left_as_it_is(data):
    assert padded_within(data) == data
