"""Libraries that tell their makers of their use, kept from it.

onnxruntime from 1.29 on keeps a number of the machine in the user's cache and asks for its
maker's host while a session runs; OpenVINO does the same as soon as it is imported;
huggingface_hub and transformers say what is fetched and by what. All that geoiseg runs goes
through here, so that what a user does stays with the user.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from types import ModuleType

from geoiseg.errors import require

VARIABLES = {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
"""What onnxruntime, and huggingface_hub with transformers, read as they are loaded."""
REPORTER = "openvino_telemetry"
"""The package by which OpenVINO reports; it does without where it is not installed."""


def hush() -> None:
    """Tell the libraries of this process, and of those it starts, to report nothing.

    Cheap and of the environment alone: done by ``import geoiseg``, before any is loaded.
    """
    os.environ.update(VARIABLES)


def quiet_onnxruntime() -> ModuleType:
    """Return onnxruntime, which reports nothing, even where somebody else loaded it first."""
    hush()
    loaded = require("onnxruntime")
    stop = getattr(loaded, "disable_telemetry_events", None)  # not in every build
    if stop is not None:
        stop()
    return loaded


def quiet_quantization() -> ModuleType:
    """Return onnxruntime's tools that make 8-bit graphs, which report nothing either."""
    quiet_onnxruntime()
    return require("onnxruntime.quantization")


def quiet_openvino() -> ModuleType:
    """Return OpenVINO, loaded without what reports its use.

    Raises:
        MissingExtraError: OpenVINO is not installed.
    """
    with _left_out(REPORTER):
        return require("openvino", "openvino")


@contextlib.contextmanager
def _left_out(package: str) -> Iterator[None]:
    """Have a package be as if it were not installed, for what is loaded meanwhile."""
    names = [name for name in sys.modules if name.partition(".")[0] == package]
    there = {name: sys.modules.pop(name) for name in names}
    # None is how an import is told that there is none.
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[package]
        sys.modules.update(there)
