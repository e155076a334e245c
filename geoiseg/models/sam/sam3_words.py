"""SAM 3's detector alone, with its own text encoder or LiteText's: words, and no clicks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from geoiseg.errors import ModelError
from geoiseg.models.protocol import Model
from geoiseg.models.sam.device import Place
from geoiseg.models.sam.engine import Arrays, FloatArray, Tokens
from geoiseg.models.sam.loader import Source
from geoiseg.models.sam.pretrained import Blueprint, build
from geoiseg.models.sam.sam2 import describe, place_of
from geoiseg.models.sam.sam3 import Sam3Adapter, Sam3Engine
from geoiseg.models.sam.squash import HALVES, Squash

DETECTORS = {"sam3": "Sam3Model", "sam3_lite_text": "Sam3LiteTextModel"}
"""Classes of transformers by the model's type in ``config.json``."""


def load_words(source: Source) -> Model:
    """Return a detector from a folder whose ``config.json`` has a type of :data:`DETECTORS`.

    Raises:
        WeightsError: The folder is incomplete, damaged, or of another architecture.
        ModelError: The device, precision or backend can not be had.
    """
    place = place_of(source)
    kind = str(source.config.get("model_type", ""))
    detector = build(Blueprint(DETECTORS[kind], source.config, source.path), source.state)
    engine = DetectorEngine(detector, place)
    info = describe(source, "sam3", engine, takes_text=True)
    return DetectorAdapter(info, engine, source.path)


class DetectorEngine(Sam3Engine):
    """Runs a detector, whose image encoder is its own.

    Args:
        detector: A ``Sam3Model`` or ``Sam3LiteTextModel`` of transformers.
        place: Device, and format the image encoder computes in.
    """

    def __init__(self, detector: Any, place: Place) -> None:
        self.model = self.detector = detector.to(place.device)
        self.place = place
        self.side = int(detector.config.vision_config.image_size)
        self.masks = self.side // 4
        self._texts: dict[tuple[int, ...], Any] = {}

    def frame(self, shape: tuple[int, int]) -> Squash:
        """Return where a chip of ``shape`` lies in the network's square."""
        return Squash(shape, self.side, masks=self.masks, mean=HALVES, deviation=HALVES)

    def image_features(self, images: Tensor) -> dict[str, Tensor]:
        """Return ``backbone``, what the detector goes on from."""
        vision = self.detector.vision_encoder
        flat = vision.backbone(images).last_hidden_state
        grid = self.side // vision.config.backbone_config.patch_size
        with torch.autocast(self.place.device.type, enabled=False):
            return {"backbone": flat.unflatten(1, (grid, grid)).permute(0, 3, 1, 2).float()}

    def decode(self, features: Arrays, tokens: Tokens) -> tuple[FloatArray, FloatArray]:  # noqa: ARG002
        """Refuse.

        Raises:
            ModelError: Always: it has no decoder of clicks.
        """
        raise ModelError(
            "this is SAM 3's detector alone, which takes words and no clicks: name it as the engine"
            " of words, and take another model for clicks"
        )


class DetectorAdapter(Sam3Adapter):
    """Words and examples for all of a kind; no clicks."""

    @property
    def longest(self) -> int:
        """Tokens of a text that its encoder takes."""
        text = self.engine.detector.config.text_config
        return min(super().longest, int(text.max_position_embeddings))
