"""The libraries that run graphs: which are here, what they can, and how they are set up."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import ModelError, WeightsError
from geoiseg.models.options import ModelOptions
from geoiseg.quiet import quiet_onnxruntime, quiet_openvino

Feeds = Mapping[str, NDArray[Any]]
Run = Callable[[Feeds], list[NDArray[np.float32]]]
"""Takes a graph's inputs by name, gives its outputs in order."""

CPU_PROVIDER = "CPUExecutionProvider"
PROVIDERS = {
    "cuda": ("CUDAExecutionProvider",),
    "mps": ("CoreMLExecutionProvider",),
    "auto": ("CUDAExecutionProvider", "DmlExecutionProvider", "CoreMLExecutionProvider"),
}
"""onnxruntime's names for devices other than the CPU, the best first."""
OPENVINO_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}


def provider_for(device: str) -> tuple[str, dict[str, Any]]:
    """Return onnxruntime's provider for a device and its options.

    Args:
        device: As in :class:`ModelOptions`.

    Raises:
        ModelError: This onnxruntime has none for it.
    """
    onnxruntime: Any = quiet_onnxruntime()

    kind, _, number = device.partition(":")
    here = onnxruntime.get_available_providers()
    for provider in PROVIDERS.get(kind, ()):
        if provider in here:
            return provider, {"device_id": number} if number else {}
    if kind in {"auto", "cpu"}:
        return CPU_PROVIDER, {}
    raise ModelError(
        f"this onnxruntime has nothing for device {device!r}, only {', '.join(here)};"
        " take 'cpu', or install the onnxruntime made for that device"
    )


def onnx_runner(graph: Path, device: str) -> Run:
    """Return what runs a graph in onnxruntime, in fp32.

    Raises:
        WeightsError: It is no graph.
        ModelError: There is no such device.
    """
    onnxruntime: Any = quiet_onnxruntime()

    provider = provider_for(device)
    options = onnxruntime.SessionOptions()
    # Threads that spin while they wait would starve the map's server; an arena would keep
    # the memory of the largest pass for good.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    providers = [provider] if provider[0] == CPU_PROVIDER else [provider, CPU_PROVIDER]
    try:
        session = onnxruntime.InferenceSession(str(graph), options, providers=providers)
    except Exception as error:  # onnxruntime raises its own, which have no common name
        raise WeightsError(f"onnxruntime cannot load {str(graph)!r}: {_short(error)}") from error
    return lambda feeds: list(session.run(None, dict(feeds)))


def has_openvino() -> bool:
    """Return whether OpenVINO is installed; does not import it."""
    return importlib.util.find_spec("openvino") is not None


def openvino_precision(options: ModelOptions) -> str:
    """Return the precision in which OpenVINO runs an image encoder on this CPU.

    Raises:
        MissingExtraError: OpenVINO is not installed.
        ModelError: The CPU does not compute in the precision that was asked for.
    """
    openvino: Any = quiet_openvino()
    able = set(openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    if options.precision == "auto":
        return "bf16" if "BF16" in able else "fp32"
    if options.precision != "fp32" and options.precision.upper() not in able:
        raise ModelError(
            f"this CPU does not compute in {options.precision} in OpenVINO; take 'auto' or 'fp32'"
        )
    return options.precision


def openvino_runner(graph: Path, precision: str) -> Run:
    """Return what runs a graph in OpenVINO on the CPU.

    Args:
        graph: An ``.onnx`` file.
        precision: One of the keys of :data:`OPENVINO_HINTS`.

    Raises:
        MissingExtraError: OpenVINO is not installed.
        WeightsError: It is no graph.
    """
    openvino: Any = quiet_openvino()
    core = openvino.Core()
    how = {"INFERENCE_PRECISION_HINT": OPENVINO_HINTS[precision], "PERFORMANCE_HINT": "LATENCY"}
    try:
        model = core.compile_model(core.read_model(str(graph)), "CPU", how)
    except RuntimeError as error:
        raise WeightsError(f"OpenVINO cannot load {str(graph)!r}: {_short(error)}") from error
    request = model.create_infer_request()

    def run(feeds: Feeds) -> list[NDArray[np.float32]]:
        answer = request.infer(dict(feeds))
        return [np.array(answer[output], np.float32) for output in model.outputs]

    return run


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
