"""SAM 3, run by transformers: clicks and boxes by its tracker, words by its detector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from geoiseg.errors import ModelError, PromptError, WeightsError, require
from geoiseg.models.protocol import Embedding, Masks, Model, ModelInfo
from geoiseg.models.sam.device import Place
from geoiseg.models.sam.engine import Arrays, FloatArray
from geoiseg.models.sam.loader import Source
from geoiseg.models.sam.pretrained import Blueprint, build
from geoiseg.models.sam.sam2 import Sam2Engine, SquashAdapter, describe, place_of
from geoiseg.models.sam.squash import HALVES, Squash

LIKELY = 0.3
"""Score from which transformers takes a detection for one."""
BY_EXAMPLE = "visual"
"""The word that stands where examples are given without any."""
TRACKER = (
    ("detector_model.vision_encoder.backbone.", "vision_encoder.backbone."),
    ("tracker_neck.", "vision_encoder.neck."),
    ("tracker_model.", ""),
)
"""How names of the tracker's tensors begin in the whole of SAM 3, and in a tracker alone."""
VOCABULARY = ("tokenizer.json", "vocab.json")
"""Files either of which tells what a text's tokens are."""
LONGEST = 32
"""Tokens of a text."""

Box = tuple[float, float, float, float]


def load_sam3(source: Source) -> Model:
    """Return a SAM 3 from a folder with ``config.json``, as on its page on Hugging Face.

    A folder with the tracker alone takes clicks and boxes, but no words.

    Raises:
        WeightsError: The folder is incomplete, damaged, or of another architecture.
        ModelError: The device, precision or backend can not be had.
    """
    place = place_of(source)
    _, config, state = source.architecture, source.config, source.state
    where = repr(str(source.path))
    kind = str(config.get("model_type", ""))
    if not config:
        raise WeightsError(
            f"{where} is Meta's own file of SAM 3, for which there is no map of names; give the"
            " folder with config.json and model.safetensors from the same page"
        )
    if kind not in {"sam3_video", "sam3_tracker", "sam3_tracker_video"}:
        raise WeightsError(f"{where} is a {kind!r}{_why_not(kind)}")
    own = config.get("tracker_config", config)
    tracker = build(Blueprint("Sam3TrackerModel", own, source.path), tracker_of(state))
    detector = None
    if kind == "sam3_video":
        detector = build(Blueprint("Sam3Model", config, source.path), state)
        detector.vision_encoder.backbone = tracker.vision_encoder.backbone
    engine = Sam3Engine(tracker, place, detector)
    info = describe(source, "sam3", engine, takes_text=detector is not None)
    return Sam3Adapter(info, engine, source.path)


def _why_not(kind: str) -> str:
    """Return why a kind of SAM 3 can not be loaded, and what can."""
    known: Any = require("transformers.models.auto.configuration_auto", "sam").CONFIG_MAPPING_NAMES
    if kind not in known:
        version = require("transformers", "sam").__version__
        return (
            f", which transformers {version} does not know; a newer one may, or take SAM 3"
            " (sam3_video) or its LiteText (sam3_lite_text)"
        )
    return (
        ", which takes no clicks; give a folder whose config.json says model_type sam3_video or"
        " sam3_tracker"
    )


def tracker_of(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tensors of the tracker by the names it has when it stands alone.

    Args:
        state: Tensors of the whole SAM 3, or of the tracker.
    """
    tensors: dict[str, Any] = {}
    for name, tensor in state.items():
        for whole, alone in TRACKER:
            if name.startswith(whole):
                tensors[alone + name.removeprefix(whole)] = tensor
    return tensors or dict(state)


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a detector makes of a concept."""

    probabilities: FloatArray
    """``(n, y, x)`` of each pixel of the chip."""
    scores: FloatArray
    """``(n,)`` that there is such a thing, best first."""


@dataclass(frozen=True, slots=True, eq=False)
class Concept:
    """A thing described by tokens of a text and by examples."""

    tokens: tuple[int, ...]
    attended: tuple[int, ...]
    """1 where a token counts, 0 where it fills up."""
    boxes: FloatArray
    """``(n, 4)`` of examples: centre and size as shares of the chip."""
    positive: tuple[bool, ...]
    """Whether each example is such a thing; else it is none."""


class Sam3Engine(Sam2Engine):
    """Runs SAM 3: one image encoder, whose output tracker and detector take on.

    Args:
        model: A ``Sam3TrackerModel`` of transformers.
        place: Device, and format the image encoder computes in.
        detector: A ``Sam3Model`` with the same image encoder, or None.
    """

    def __init__(self, model: Any, place: Place, detector: Any = None) -> None:
        super().__init__(model, place)
        self.detector: Any = None if detector is None else detector.to(place.device)
        self._texts: dict[tuple[int, ...], Any] = {}

    @property
    def parameters(self) -> int:
        """Number of learned parameters, those that are shared once."""
        both = [self.model] if self.detector is None else [self.model, self.detector]
        own = {id(weight): weight.numel() for model in both for weight in model.parameters()}
        return sum(own.values())

    def frame(self, shape: tuple[int, int]) -> Squash:
        """Return where a chip of ``shape`` lies in the network's square."""
        return Squash(shape, self.side, masks=self.masks, mean=HALVES, deviation=HALVES)

    def image_features(self, images: Tensor) -> dict[str, Tensor]:
        """Return the tracker's three maps, and ``backbone`` for the detector if there is one."""
        vision = self.model.vision_encoder
        flat = vision.backbone(images).last_hidden_state
        grid = self.side // vision.config.backbone_config.patch_size
        spatial = flat.unflatten(1, (grid, grid)).permute(0, 3, 1, 2)
        found = self.maps(vision.neck(spatial)[0])
        return found if self.detector is None else {**found, "backbone": spatial.float()}

    def find(
        self, features: Arrays, concept: Concept, shape: tuple[int, int], threshold: float
    ) -> Found:
        """Return all things on an image that a concept describes.

        Args:
            features: What ``encode`` returned for the image.
            concept: Text and examples.
            shape: Rows and columns of the chip.
            threshold: Least score of what is returned, 0..1.

        Raises:
            ModelError: The weights have no detector.
        """
        if self.detector is None:
            raise ModelError("these weights are SAM 3's tracker alone, which knows no words")
        with torch.inference_mode():
            attended = self.tensor(np.array([concept.attended]))
            asked: dict[str, Tensor] = {}
            if len(concept.boxes):
                require("torchvision", "sam")
                asked["input_boxes"] = self.tensor(concept.boxes[None])
                asked["input_boxes_labels"] = self.tensor(np.array([concept.positive], np.int64))
            out = self.detector(
                vision_embeds=self._pyramid(features),
                text_embeds=self._text(concept.tokens, attended),
                attention_mask=attended,
                **asked,
            )
            scores = (out.pred_logits.sigmoid() * out.presence_logits.sigmoid())[0]
            best = scores.argsort(descending=True, stable=True)
            best = best[scores[best] > threshold]
            # Probabilities are scaled, not logits, as transformers does.
            if not len(best):
                return Found(np.zeros((0, *shape), np.float32), np.zeros(0, np.float32))
            masks = torch.nn.functional.interpolate(
                out.pred_masks[:, best].sigmoid(), shape, mode="bilinear"
            )
            return Found(masks[0].float().cpu().numpy(), scores[best].float().cpu().numpy())

    def _pyramid(self, features: Arrays) -> Any:
        """Return the detector's view of an image, as its vision encoder would."""
        parts: Any = require("transformers.models.sam3.modeling_sam3", "sam")
        levels, places = self.detector.vision_encoder.neck(self.tensor(features["backbone"][None]))
        return parts.Sam3VisionEncoderOutput(fpn_hidden_states=levels, fpn_position_encoding=places)

    def _text(self, tokens: tuple[int, ...], attended: Tensor) -> Any:
        """Return what a text means; the same words are asked for on many chips."""
        if tokens not in self._texts:
            while len(self._texts) >= 64:
                self._texts.pop(next(iter(self._texts)))
            given = self.tensor(np.array([tokens]))
            self._texts[tokens] = self.detector.get_text_features(
                input_ids=given, attention_mask=attended, return_dict=True
            )
        return self._texts[tokens]


class Sam3Adapter(SquashAdapter):
    """SAM 3: besides clicks and boxes on one object, words and examples for all of a kind.

    Args:
        info: What to tell users of it.
        engine: What runs it.
        folder: Where the files of the text's tokens are.
    """

    engine: Sam3Engine

    def __init__(self, info: ModelInfo, engine: Sam3Engine, folder: Path) -> None:
        super().__init__(info, engine)
        self._folder = folder
        self._tokenizer: Any = None

    def concepts(
        self,
        embedding: Embedding,
        words: str | None,
        boxes: Sequence[tuple[Box, bool]] = (),
        threshold: float = LIKELY,
    ) -> Masks:
        """Return a mask of each thing that words and examples describe, best first.

        Args:
            embedding: What ``embed`` returned for this chip.
            words: A short noun phrase in English; None where examples say it all.
            boxes: Examples as ``x0, y0, x1, y1`` in the continuous pixel frame of the chip, and
                whether each is such a thing or just is none.
            threshold: Least score of what is returned, 0..1.

        Raises:
            PromptError: Neither words nor examples.
            ModelError: The embedding is another model's, or the weights have no detector.
            WeightsError: The files of the text's tokens are missing.
        """
        self._own(embedding)
        if self.engine.detector is None:
            raise ModelError(f"{self.info.name} is SAM 3's tracker alone, which knows no words")
        if not (words and words.strip()) and not boxes:
            raise PromptError("say what to look for: by words, or by a box around an example")
        concept = self._concept(words, boxes, embedding.shape)
        with self._lock:
            found = self.engine.find(embedding.arrays, concept, embedding.shape, threshold)
        whole = np.clip(found.probabilities, 1e-6, 1 - 1e-6)
        return Masks(np.log(whole / (1 - whole)).astype(np.float32), found.scores)

    def _concept(
        self, words: str | None, boxes: Sequence[tuple[Box, bool]], shape: tuple[int, int]
    ) -> Concept:
        text = (words or "").strip() or BY_EXAMPLE
        said = self._tokens(text)
        corners = np.array([box for box, _ in boxes], np.float64).reshape(-1, 2, 2)
        if (corners[:, 0] >= corners[:, 1]).any():
            raise PromptError("an example's box needs x0 < x1 and y0 < y1")
        shares = corners / (shape[1], shape[0])
        sizes = shares[:, 1] - shares[:, 0]
        return Concept(
            tuple(said["input_ids"]),
            tuple(said["attention_mask"]),
            np.concatenate([shares.mean(axis=1), sizes], axis=1).astype(np.float32),
            tuple(positive for _, positive in boxes),
        )

    def _tokens(self, text: str) -> Any:
        if self._tokenizer is None:
            tokenizer: Any = require("transformers", "sam").CLIPTokenizer
            try:
                if not any((self._folder / name).is_file() for name in VOCABULARY):
                    raise FileNotFoundError(VOCABULARY[0])  # transformers would make an empty one
                self._tokenizer = tokenizer.from_pretrained(self._folder, local_files_only=True)
            except (OSError, ValueError, TypeError) as error:
                raise WeightsError(
                    f"{str(self._folder)!r} has no readable tokenizer.json, without which words"
                    " mean nothing; fetch all files of the model's page"
                ) from error
        return self._tokenizer(text, padding="max_length", max_length=self.longest, truncation=True)

    @property
    def longest(self) -> int:
        """Tokens of a text that its encoder takes."""
        return LONGEST
