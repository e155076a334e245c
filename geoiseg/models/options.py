"""How a model with weights is run: on what device, how exactly, by which library."""

from __future__ import annotations

from dataclasses import dataclass

from geoiseg.errors import ModelError

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
BACKENDS = ("auto", "torch", "torch-compile", "segment-anything", "onnxruntime", "openvino")


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """How to run a model; ``auto`` takes what is fastest on this machine at hardly any loss."""

    device: str = "auto"
    """``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``."""
    precision: str = "auto"
    """One of :data:`PRECISIONS`; ``fp32`` is exact."""
    backend: str = "auto"
    """One of :data:`BACKENDS`."""

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ModelError(
                f"precision must be one of {', '.join(PRECISIONS)}, got {self.precision!r}"
            )
        if self.backend not in BACKENDS:
            raise ModelError(f"backend must be one of {', '.join(BACKENDS)}, got {self.backend!r}")
