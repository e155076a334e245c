"""From a folder of graphs to a model."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from geoiseg.errors import ModelError
from geoiseg.models.exported.card import DECODER, ENCODER, read_card
from geoiseg.models.exported.runtimes import (
    CPU_PROVIDER,
    Run,
    has_openvino,
    onnx_runner,
    openvino_precision,
    openvino_runner,
    provider_for,
)
from geoiseg.models.options import ModelOptions
from geoiseg.models.protocol import ModelInfo
from geoiseg.models.sam.adapter import SamModelAdapter
from geoiseg.models.sam.engine import Arrays, FloatArray, Tokens

PROMPTS_AT_ONCE = 16
"""More take memory, 35 MB each, and no less time."""
BACKENDS = ("auto", "onnxruntime", "openvino")

log = logging.getLogger(__name__)


class GraphEngine:
    """Runs a pair of graphs.

    Args:
        side: Pixels along a side of the image that the encoder takes.
        encoder: Runs the encoder's graph.
        decoder: Runs the decoder's graph.
        kept: Number format of the features that are handed out.
    """

    def __init__(self, side: int, encoder: Run, decoder: Run, kept: type = np.float32) -> None:
        self._side = side
        self._encoder, self._decoder = encoder, decoder
        self._kept = kept

    @property
    def side(self) -> int:
        """Pixels along a side of the image that the network takes."""
        return self._side

    def encode(self, pixels: Sequence[FloatArray]) -> list[Arrays]:
        """Return ``features`` of each image: ``(256, y, x)``."""
        return [
            {"features": self._encoder({"pixels": image[None]})[0][0].astype(self._kept)}
            for image in pixels
        ]

    def decode(self, features: Arrays, tokens: Tokens) -> tuple[FloatArray, FloatArray]:
        """Return ``(n, m, side / 4, side / 4)`` logits and ``(n, m)`` expected IoU."""
        image = np.asarray(features["features"][None], np.float32)
        which = slice(tokens.which[0], tokens.which[-1] + 1)
        answers = []
        for first in range(0, len(tokens), PROMPTS_AT_ONCE):
            part = tokens[first : first + PROMPTS_AT_ONCE]
            masks, scores = self._decoder({"features": image, **self._asked(part)})
            answers.append((masks[:, which], scores[:, which]))
        logits, quality = (np.concatenate(parts) for parts in zip(*answers, strict=True))
        return logits, quality

    def _asked(self, tokens: Tokens) -> Arrays:
        low = self._side // 4
        masks = tokens.masks
        return {
            "points": tokens.xy,
            "labels": tokens.labels,
            "mask_input": np.zeros((1, 1, low, low), np.float32)
            if masks is None
            else masks[:, None],
            "has_mask": np.array([masks is not None], np.float32),
        }


def load(folder: Path, name: str, options: ModelOptions) -> SamModelAdapter:
    """Return the model whose graphs are in a folder; see ``load_exported``.

    The decoder always runs in onnxruntime and in fp32: there it was measured faster than
    in OpenVINO, and in bfloat16 the places of points are lost.
    """
    if options.backend not in BACKENDS:
        raise ModelError(
            f"an exported model runs in {' or '.join(BACKENDS[1:])}, not in"
            f" {options.backend!r}; leave the backend out, or take the checkpoint"
        )
    card = read_card(folder)
    if _takes_openvino(options):
        precision, device = openvino_precision(options), "cpu"
        encoder, where = openvino_runner(folder / ENCODER, precision), f"OpenVINO, {precision}"
    else:
        precision, device = "fp32", options.device
        if options.precision not in {"auto", precision}:
            raise ModelError(
                f"onnxruntime runs an exported model in fp32, not in {options.precision};"
                " leave the precision out, or take backend 'openvino' on a CPU"
            )
        encoder = onnx_runner(folder / ENCODER, device)
        where = f"onnxruntime, {provider_for(device)[0].removesuffix('ExecutionProvider')}, fp32"
    decoder = onnx_runner(folder / DECODER, device)
    log.info("%s runs on %s", name, where)
    exact = precision == "fp32"
    kind = "exported" if card.int8 is None else f"exported as int8 ({card.int8['kind']})"
    engine = GraphEngine(card.side, encoder, decoder, np.float32 if exact else np.float16)
    info = ModelInfo(
        name=name,
        family="sam",
        licence=card.licence,
        description=f"{card.architecture}, {kind}, on {where}",
        chip_size=card.side,
        weights_hash=card.weights_in_use + ("" if exact else f"+{precision}"),
        parameters=card.parameters,
    )
    return SamModelAdapter(info, engine)


def _takes_openvino(options: ModelOptions) -> bool:
    if options.backend == "openvino":
        if options.device not in {"auto", "cpu"}:
            raise ModelError(
                f"OpenVINO runs on the CPU here, not on {options.device!r}; take backend"
                " 'onnxruntime'"
            )
        return True
    if options.backend == "onnxruntime" or options.device not in {"auto", "cpu"}:
        return False
    on_cpu = options.device == "cpu" or provider_for("auto")[0] == CPU_PROVIDER
    return on_cpu and has_openvino()
