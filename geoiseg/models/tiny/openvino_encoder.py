"""The encoder of the small network, run by OpenVINO where somebody asks for it.

It compiles the same graph for the CPU at hand, which on one with AVX-512 takes half of
onnxruntime's time, and in bf16, where the CPU computes in it, a quarter.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.models.exported.runtimes import OPENVINO_HINTS, openvino_precision
from geoiseg.models.options import ModelOptions
from geoiseg.quiet import quiet_openvino


class OpenVinoEncoder:
    """An encoder's graph; of any number of threads.

    Args:
        graph: What an ``.onnx`` file holds.
        options: In which precision it runs.
        threads: CPU threads; 0 leaves the choice to OpenVINO.

    Raises:
        MissingExtraError: OpenVINO is not installed.
        ModelError: The CPU does not compute in the precision that was asked for.
    """

    def __init__(self, graph: bytes, options: ModelOptions, threads: int) -> None:
        openvino: Any = quiet_openvino()
        self.precision = openvino_precision(options)
        self._core, self._graph = openvino.Core(), graph
        self._how: dict[str, Any] = {"INFERENCE_PRECISION_HINT": OPENVINO_HINTS[self.precision],
                                     "NUM_STREAMS": 1}  # fmt: skip
        if threads:
            self._how["INFERENCE_NUM_THREADS"] = threads
        self._compiled: dict[str | None, Any] = {}
        self._lock = threading.Lock()
        self._own = threading.local()

    def run(
        self, given: Mapping[str, NDArray[Any]], only: str | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """Return the features by name, or the only one that is wanted.

        Args:
            given: The encoder's inputs.
            only: What others need besides is not computed.
        """
        model, request = self._request(only)
        answer = request.infer(dict(given))
        return {
            output.get_any_name(): np.array(answer[output], np.float32) for output in model.outputs
        }

    def _request(self, only: str | None) -> tuple[Any, Any]:
        """Return the compiled graph and what this thread runs it by."""
        kept: dict[str | None, tuple[Any, Any]] = self._own.__dict__.setdefault("requests", {})
        if only not in kept:
            with self._lock:
                if only not in self._compiled:
                    self._compiled[only] = self._compile(only)
            model = self._compiled[only]
            kept[only] = (model, model.create_infer_request())
        return kept[only]

    def _compile(self, only: str | None) -> Any:
        model = self._core.read_model(self._graph)
        if only is not None:
            openvino: Any = quiet_openvino()
            model = openvino.Model([model.output(only)], model.get_parameters(), only)
        return self._core.compile_model(model, "CPU", self._how)
