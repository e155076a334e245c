"""The two graphs of the small network and their card, run by onnxruntime."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import WeightsError
from geoiseg.models.options import ModelOptions
from geoiseg.models.tiny import FILES
from geoiseg.models.tiny.filling import filled
from geoiseg.models.tiny.halving import HALF, halved, of_halves
from geoiseg.models.tiny.padding import padded_within
from geoiseg.models.tiny.pruning import pruned
from geoiseg.models.tiny.quick import FILE as QUICK
from geoiseg.models.tiny.quick import Codes, multiplies_bytes
from geoiseg.quiet import quiet_onnxruntime

THREADS_VARIABLE = "GEOISEG_THREADS"
ANSWER, OTHERS = ("logits", "score"), ("alternatives", "alternative_scores")
"""Outputs of the decoder: the answer, and other readings of the prompt; those the first
generation does not have."""


class Graphs:
    """Encoder and decoder of one network.

    Args:
        folder: Where the graphs and their card are.
        threads: CPU threads per graph; 0 leaves the choice to the library.
        options: By which library the encoder is run, and how exactly.

    Raises:
        WeightsError: A file is missing or is not what the card says.
        GeoisegError: The library is not installed, or does not compute so.
    """

    def __init__(self, folder: Path, threads: int, options: ModelOptions | None = None) -> None:
        onnxruntime: Any = quiet_onnxruntime()
        self.card = _read_card(folder)
        encoder, decoder = (
            _checked(folder / name, str(self.card["sha256"][name])) for name in FILES
        )
        self._encoder = session(halved(padded_within(encoder)), threads)
        self._folder, self._threads, self._options = folder, threads, options or ModelOptions()
        self._faster = None
        if self._options.backend == "openvino":
            from geoiseg.models.tiny.openvino_encoder import OpenVinoEncoder

            self._faster = OpenVinoEncoder(encoder, self._options, threads)
        results = [output.name for output in self._encoder.get_outputs()]
        self._results = {name.removesuffix(HALF): name for name in results}
        self.features = list(self._results)
        self._decoder = session(of_halves(decoder, self.features), threads)
        self._reads = [given.name for given in self._decoder.get_inputs()]
        told = {output.name for output in self._decoder.get_outputs()}
        self.has_others = told.issuperset(OTHERS)
        # Else what nobody asked for would be computed, too.
        self._sparing = onnxruntime.RunOptions()
        self._sparing.only_execute_path_to_fetches = True

    def encode(
        self, given: Mapping[str, NDArray[Any]], only: str | None = None
    ) -> dict[str, NDArray[Any]]:
        """Return the features by name, each ``(1, channels, y, x)`` in half precision.

        Args:
            given: The encoder's inputs.
            only: The one feature that is wanted; what no other needs is not computed then.
        """
        if self._faster is not None:
            return _in_half(self._faster.run(given, only))
        if only is not None:
            return {only: self._encoder.run([self._results[only]], given, self._sparing)[0]}
        return dict(zip(self.features, self._encoder.run(None, given), strict=True))

    @property
    def reads_bytes(self) -> bool:
        """Whether :meth:`quickly` computes in 8-bit integers here."""
        exact = self._options.precision != "auto"
        return not exact and QUICK in self.card["sha256"] and multiplies_bytes()

    @property
    def bytes_hash(self) -> str:
        """What the card says of the graph of :meth:`quickly`; empty where it is not taken."""
        return str(self.card["sha256"][QUICK]) if self.reads_bytes else ""

    def quickly(self, given: Codes, only: str | None = None) -> dict[str, NDArray[Any]]:
        """Return about what :meth:`encode` does, computed in 8-bit integers.

        Args:
            given: What the graph reads.
            only: The one feature that is wanted; what no other needs is not computed then.
        """
        return self._quick(given, only)

    @cached_property
    def _quick(self) -> Callable[[Codes, str | None], dict[str, NDArray[Any]]]:
        """What runs the graph of 8-bit integers; loaded by the first map.

        That is onnxruntime with any backend: over blocks of pixels it is the quicker one.
        """
        without, encoder = (
            _checked(self._folder / name, str(self.card["sha256"][name]))
            for name in (QUICK, FILES[0])
        )
        graph = filled(without, encoder)

        lock = threading.Lock()

        @cache
        def loaded(only: str | None) -> Any:
            return session(halved(graph if only is None else pruned(graph, only)), self._threads)

        def run(given: Codes, only: str | None) -> dict[str, NDArray[Any]]:
            with lock:  # else several threads would load it at a time
                one = loaded(only)
            names = [output.name.removesuffix(HALF) for output in one.get_outputs()]
            return dict(zip(names, one.run(None, given), strict=True))

        return run

    def decode(self, given: Mapping[str, NDArray[Any]], *, others: bool) -> list[NDArray[Any]]:
        """Return what the decoder says, in the order of :data:`ANSWER` and :data:`OTHERS`.

        Args:
            given: Its inputs; features are narrowed to half precision, in which they are kept, and
                what it does not read is left out.
            others: Whether other readings are wanted, too.
        """
        read = {}
        for name in self._reads:
            array = given[name.removesuffix(HALF)]
            read[name] = np.asarray(array, np.float16) if name.endswith(HALF) else array
        wanted = ANSWER + OTHERS if others else ANSWER
        found: list[NDArray[Any]] = self._decoder.run(wanted, read, self._sparing)
        return found


def _in_half(features: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name: array.astype(np.float16) for name, array in features.items()}


def threads_wanted() -> int:
    """Return the number of threads that ``GEOISEG_THREADS`` allows; 0 where it says none."""
    text = os.environ.get(THREADS_VARIABLE, "")
    return int(text) if text.isdecimal() else 0


def _checked(path: Path, wanted: str) -> bytes:
    """Return a graph whose SHA-256 is the wanted one."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"cannot read {str(path)!r}: {error.strerror}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != wanted:
        raise WeightsError(
            f"{str(path)!r} has SHA-256 {found}, its card says {wanted}; reinstall geoiseg,"
            " or copy the folder anew"
        )
    return data


def session(graph: bytes, threads: int) -> Any:
    """Return what runs a graph in onnxruntime."""
    onnxruntime: Any = quiet_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that spin while they wait would starve the map's server.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _read_card(folder: Path) -> dict[str, Any]:
    path = folder / "card.json"
    try:
        card: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise WeightsError(f"cannot read the card {str(path)!r}: {error}") from error
    return card
