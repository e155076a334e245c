"""Engines of words that transformers runs, from a folder as on Hugging Face."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from geoiseg.errors import WeightsError, require
from geoiseg.models import Model
from geoiseg.prompting import PixelPrompts
from geoiseg.words.objects import ObjectOptions, find_objects
from geoiseg.words.objectwise import Found, ObjectEngine
from geoiseg.words.view import View

HEAT = ObjectOptions(likely=0.3, min_area=24)
"""What counts as an object of a heat map."""
BOX_LEAST, TEXT_LEAST = 0.1, 0.25
"""Least scores of a detection, and of a token that it is of."""
NAMES = {
    "owlv2": ("Owlv2ForObjectDetection", "Owlv2Processor"),
    "grounding-dino": ("GroundingDinoForObjectDetection", "GroundingDinoProcessor"),
    "clipseg": ("CLIPSegForImageSegmentation", "CLIPSegProcessor"),
    "clip": ("CLIPModel", "CLIPProcessor"),
}
"""Classes of transformers by the model's type in ``config.json``."""


class Pretrained(ObjectEngine):
    """A model and its processor.

    Args:
        name: Of the engine.
        folder: With config.json, the weights and the processor's files.
        model: Turns boxes and points into masks.

    Raises:
        WeightsError: The folder is incomplete or of another architecture.
        MissingExtraError: transformers or torch is not installed.
    """

    def __init__(self, name: str, folder: Path, model: Model) -> None:
        super().__init__(name, self.digest(folder), model)
        self._torch = require("torch", "text")
        self._network, self._processor = self._load(folder)

    @staticmethod
    def digest(folder: Path) -> str:
        """Return the SHA-256 of the weights in a folder.

        Raises:
            WeightsError: There are none.
        """
        files = sorted(folder.glob("*.safetensors"))
        if not files:
            raise WeightsError(f"{str(folder)!r} has no model.safetensors")
        total = hashlib.sha256()
        for path in files:
            with path.open("rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
        return total.hexdigest()

    def _load(self, folder: Path) -> tuple[Any, Any]:
        """Return the network and its processor."""
        transformers = require("transformers", "text")
        network, processor = (getattr(transformers, part) for part in NAMES[self.kind])
        try:
            made = processor.from_pretrained(folder, local_files_only=True)
            loaded = network.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        except (OSError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())[:200]
            raise WeightsError(f"{str(folder)!r} is no complete {self.kind}: {reason}") from error
        return loaded.eval(), made

    def _run(self, run: Callable[[], Any]) -> Any:
        with self._torch.inference_mode():
            return run()


class Owlv2(Pretrained):
    """OWLv2 boxes what words name; the session's model segments it."""

    kind = "owlv2"
    threshold = 0.2

    def find(self, view: View, text: str, others: Sequence[str]) -> list[Found]:
        """Return what is boxed for the text and not rather for other words."""
        words = [text, *others]
        given = self._processor(
            text=[words], images=view.rgb, return_tensors="pt", input_data_format="channels_last"
        )
        outputs = self._run(lambda: self._network(**given))
        best = self._processor.post_process_grounded_object_detection(
            outputs, threshold=BOX_LEAST, target_sizes=[view.shape]
        )[0]
        own = best["labels"] == 0
        return self.boxed(view, best["boxes"][own].tolist(), best["scores"][own].tolist())


class GroundingDino(Pretrained):
    """Grounding DINO boxes what words name; the session's model segments it."""

    kind = "grounding-dino"

    def find(self, view: View, text: str, others: Sequence[str]) -> list[Found]:
        """Return what is boxed for the text; boxes of other words are left out."""
        own = self._boxes(view, text)
        bad = [box for other in others for box, _ in self._boxes(view, other)]
        kept = [(box, score) for box, score in own if not any(_alike(box, b) for b in bad)]
        return self.boxed(view, [box for box, _ in kept], [score for _, score in kept])

    def _boxes(self, view: View, text: str) -> list[tuple[Any, float]]:
        phrase = text.lower().rstrip(". ") + "."
        given = self._processor(
            images=view.rgb, text=phrase, return_tensors="pt", input_data_format="channels_last"
        )
        outputs = self._run(lambda: self._network(**given))
        found = self._processor.post_process_grounded_object_detection(
            outputs, given["input_ids"], threshold=BOX_LEAST, text_threshold=TEXT_LEAST,
            target_sizes=[view.shape],
        )[0]  # fmt: skip
        return list(zip(found["boxes"].tolist(), found["scores"].tolist(), strict=True))


class ClipSeg(Pretrained):
    """CLIPSeg makes a heat map; its peaks and their surroundings prompt the session's model."""

    kind = "clipseg"

    def find(self, view: View, text: str, others: Sequence[str]) -> list[Found]:
        """Return what lies under the peaks of the heat map."""
        heat = self.heat(view, text, others)
        labels, scores = find_objects(heat, view.valid, HEAT)
        found = []
        for number, score in enumerate(scores.tolist(), 1):
            own = labels == number
            y, x = np.unravel_index(int(np.where(own, heat, -1).argmax()), heat.shape)
            rows, cols = np.flatnonzero(own.any(axis=1)), np.flatnonzero(own.any(axis=0))
            box = (float(cols[0]), float(rows[0]), float(cols[-1] + 1), float(rows[-1] + 1))
            peak = np.array([[x + 0.5, y + 0.5]])
            mask = self.segmented(view, PixelPrompts(peak, np.ones(1, bool), box))
            if mask.any():
                found.append(Found(mask, score))
        return found

    def heat(self, view: View, text: str, others: Sequence[str]) -> np.ndarray[Any, Any]:
        """Return ``(y, x)`` how likely each pixel is what the text names, 0..1."""
        words = [text, *others]
        given = self._processor(
            text=words, images=[view.rgb] * len(words), padding=True, return_tensors="pt",
            input_data_format="channels_last",
        )  # fmt: skip
        logits = self._run(lambda: self._network(**given).logits).reshape(len(words), 1,
                                                *self._sides())  # fmt: skip
        large = (
            self._torch.nn.functional.interpolate(
                logits, size=view.shape, mode="bilinear", align_corners=False
            )[:, 0]
            .sigmoid()
            .numpy()
        )
        rest = large[1:].max(axis=0) if len(words) > 1 else 0.0
        return np.asarray(np.where(large[0] > rest, large[0], 0), np.float32)

    def _sides(self) -> tuple[int, int]:
        side = int(self._network.config.vision_config.image_size)
        return side, side


def folder_kind(folder: Path) -> str:
    """Return the type of the model in a folder.

    Raises:
        WeightsError: There is no config.json.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{str(folder)!r} has no config.json to tell what it is") from error
    return str(config.get("model_type", ""))


def _alike(a: Sequence[float], b: Sequence[float]) -> bool:
    """Return whether two boxes are more than half the same."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    both = max(0.0, width) * max(0.0, height)
    sizes = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return both > 0.5 * (sizes - both)
