"""Padding that becomes a convolution's own: the graph is another, the numbers are the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import geoiseg.models.tiny
from geoiseg.models.tiny.padding import padded_within

SHIPPED = Path(geoiseg.models.tiny.__file__).parent


def test_the_shipped_encoder_says_the_same():
    data = (SHIPPED / "encoder.onnx").read_bytes()
    made = padded_within(data)
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


@pytest.mark.parametrize("data", [b"", b"no graph", b"\x3a\x7f\x0a"])
def test_what_is_no_model_is_left_as_it_is(data):
    assert padded_within(data) == data
