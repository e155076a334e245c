"""From a folder of graphs to a model."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from geoiseg.errors import ModelError
from geoiseg.models.exported.card import (
    DECODER,
    ENCODER,
    HALF,
    PADDED,
    SQUASHED_HALF,
    read_card,
)
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
from geoiseg.models.sam.engine import MAPS, Arrays, FloatArray, Tokens
from geoiseg.models.sam.frames import Frame
from geoiseg.models.sam.light import HalfFrame
from geoiseg.models.sam.squash import HALVES, PlainSquash

PROMPTS_AT_ONCE = 16
"""More take memory, 35 MB each, and no less time."""
BACKENDS = ("auto", "onnxruntime", "openvino")

log = logging.getLogger(__name__)


class GraphEngine:
    """Runs a pair of graphs.

    Args:
        side: Pixels along a side of the square that prompts lie in.
        encoder: Runs the encoder's graph.
        decoder: Runs the decoder's graph.
        kept: Number format of the features that are handed out.
        frame: How a chip becomes the encoder's image, as the card says it.
    """

    def __init__(
        self, side: int, encoder: Run, decoder: Run, kept: type = np.float32,
        frame: str = PADDED,
    ) -> None:  # fmt: skip
        self._side, self._low = side, low_side(side, frame)
        self._encoder, self._decoder = encoder, decoder
        self._kept = kept
        self._maps = ("features",) if frame in (PADDED, HALF) else MAPS

    @property
    def side(self) -> int:
        """Pixels along a side of the image that the network takes."""
        return self._side

    def encode(self, pixels: Sequence[FloatArray]) -> list[Arrays]:
        """Return the features of each image by name, ``(channel, y, x)`` each."""
        found = [self._encoder({"pixels": image[None]}) for image in pixels]
        return [
            {name: level[0].astype(self._kept) for name, level in zip(self._maps, one, strict=True)}
            for one in found
        ]

    def decode(self, features: Arrays, tokens: Tokens) -> tuple[FloatArray, FloatArray]:
        """Return ``(n, m, side / 4, side / 4)`` logits and ``(n, m)`` expected IoU."""
        image = {name: np.asarray(features[name][None], np.float32) for name in self._maps}
        which = slice(tokens.which[0], tokens.which[-1] + 1)
        answers = []
        for first in range(0, len(tokens), PROMPTS_AT_ONCE):
            part = tokens[first : first + PROMPTS_AT_ONCE]
            masks, scores = self._decoder({**image, **self._asked(part)})
            answers.append((masks[:, which], scores[:, which]))
        logits, quality = (np.concatenate(parts) for parts in zip(*answers, strict=True))
        return logits, quality

    def _asked(self, tokens: Tokens) -> Arrays:
        masks = tokens.masks
        said = tokens.labels[0] >= -1 if self._maps == ("features",) else tokens.labels[0] >= 0
        return {
            "points": np.ascontiguousarray(tokens.xy[:, said]),
            "labels": np.ascontiguousarray(tokens.labels[:, said]),
            "mask_input": np.zeros((1, 1, self._low, self._low), np.float32)
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
    kept = np.float32 if exact else np.float16
    engine = GraphEngine(card.side, encoder, decoder, kept, card.frame)
    info = ModelInfo(
        name=name,
        family=family_of(card.architecture),
        licence=card.licence,
        description=f"{card.architecture}, {kind}, on {where}",
        chip_size=card.side // 2 if card.frame == HALF else card.side,
        weights_hash=card.weights_in_use + ("" if exact else f"+{precision}"),
        parameters=card.parameters,
    )
    return GraphAdapter(info, engine, card.frame)


class GraphAdapter(SamModelAdapter):
    """A pair of graphs as a model.

    Args:
        info: What to tell users of it.
        engine: What runs it.
        frame: How a chip becomes the encoder's image, as the card says it.
    """

    def __init__(self, info: ModelInfo, engine: GraphEngine, frame: str) -> None:
        super().__init__(info, engine)
        self._kind = frame

    def _frame(self, shape: tuple[int, ...]) -> Frame:
        chip, side = (shape[0], shape[1]), self.engine.side
        if self._kind == HALF:
            return HalfFrame(chip, side)
        if self._kind == PADDED:
            return Frame(chip, side)
        low = low_side(side, self._kind)
        if self._kind == SQUASHED_HALF:
            return PlainSquash(chip, side, masks=low, mean=HALVES, deviation=HALVES)
        return PlainSquash(chip, side, masks=low)


def low_side(side: int, frame: str) -> int:
    """Return the side of a network's masks: a quarter; of SAM 3's patches of 14 pixels, 4 each."""
    return side // 14 * 4 if frame == SQUASHED_HALF else side // 4


def family_of(architecture: str) -> str:
    """Return the family that a model of the catalogue with this architecture has."""
    for family in ("sam2", "sam3", "edgetam", "efficientvit-sam"):
        if architecture.startswith(family):
            return family
    return "sam"


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
