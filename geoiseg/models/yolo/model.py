"""A network of ultralytics as a model: all masks of a chip at once, chosen by prompts."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import ModelError, PromptError, WeightsError, require
from geoiseg.models.options import ModelOptions
from geoiseg.models.protocol import Embedding, Masks, ModelInfo
from geoiseg.models.yolo.checkpoint import Plan, check_plan, read_plan
from geoiseg.prompting import PixelPrompts, inside_box
from geoiseg.raster import BoolArray

TERMS = (
    "runs by ultralytics, which is AGPL-3.0: whoever passes on a program with it, or offers it over"
    " a network, has to offer the whole source under that licence, or buy another from Ultralytics"
)
"""Said when such a model is loaded."""
CONFIDENCE, OVERLAP, MOST = 0.25, 0.7, 300
"""Least confidence of an object, most overlap of two, and most objects on a chip."""
LIMIT = 8.0
"""Logit of a pixel of a mask."""
FAINT = 0.05
"""Score of a mask that was only near what was asked for."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The objects of a chip."""

    masks: BoolArray
    """``(n, y, x)``."""
    scores: NDArray[np.float32]
    """``(n,)`` confidence, 0..1."""
    labels: tuple[str, ...]
    """Class of each."""


class YoloModel:
    """FastSAM, or any YOLO that segments.

    Args:
        info: What to tell users of it.
        network: Of ultralytics, with ``predict``.
        device: Where it runs.
    """

    def __init__(self, info: ModelInfo, network: Any, device: str) -> None:
        self._info = info
        self.network = network
        self.device = device
        self._lock = threading.Lock()

    @property
    def info(self) -> ModelInfo:
        """Name, licence, chip size and weights of the model."""
        return self._info

    @property
    def classes(self) -> tuple[str, ...]:
        """What it tells apart, by number."""
        return tuple(str(name) for _, name in sorted(self.network.model.names.items()))

    def embed(self, image: NDArray[np.uint8], valid: BoolArray) -> Embedding:
        """Return all masks of a chip: such a network finds them without being asked.

        Args:
            image: ``(y, x, 3)`` uint8, stretched, any size.
            valid: ``(y, x)`` True where there is data.
        """
        shape = (valid.shape[0], valid.shape[1])
        seen = np.ascontiguousarray(np.where(valid[..., None], image, 114)[..., ::-1])
        with self._lock:
            (result,) = self.network.predict(
                seen, imgsz=self._info.chip_size, conf=CONFIDENCE, iou=OVERLAP, max_det=MOST,
                retina_masks=True, device=self.device, verbose=False, save=False,
            )  # fmt: skip
        count = 0 if result.masks is None else len(result.masks)
        masks: BoolArray = np.zeros((count, *shape), bool)
        scores: NDArray[np.float32] = np.zeros(count, np.float32)
        classes: NDArray[np.int32] = np.zeros(count, np.int32)
        if count:
            masks = result.masks.data.cpu().numpy() > 0.5
            scores = result.boxes.conf.cpu().numpy().astype(np.float32)
            classes = result.boxes.cls.cpu().numpy().astype(np.int32)
        arrays: dict[str, NDArray[Any]] = {
            "masks": np.packbits(masks & valid, axis=2),
            "scores": scores,
            "classes": classes,
        }
        return Embedding(self._info.identity, shape, arrays)

    def objects(self, embedding: Embedding) -> Found:
        """Return all objects of a chip with their classes, the surest first.

        Args:
            embedding: What ``embed`` returned for this chip.

        Raises:
            ModelError: The embedding is another model's.
        """
        embedding.check_made_by(self._info.identity)
        arrays = embedding.arrays
        masks = np.unpackbits(arrays["masks"], axis=2, count=embedding.shape[1]).astype(bool)
        order = np.argsort(-arrays["scores"], kind="stable")
        names = self.network.model.names
        labels = tuple(str(names[int(number)]) for number in arrays["classes"][order])
        return Found(masks[order], arrays["scores"][order], labels)

    def listed(self, embedding: Embedding) -> tuple[BoolArray, NDArray[np.float32]]:
        """Return ``(n, y, x)`` masks and ``(n,)`` scores of all objects, the surest first."""
        found = self.objects(embedding)
        return found.masks, found.scores

    def decode(
        self,
        embedding: Embedding,
        prompts: PixelPrompts,
        previous: NDArray[np.float32] | None = None,  # noqa: ARG002 - the protocol's
    ) -> Masks:
        """Return the masks that the prompts mean, best first, each less what was said against.

        A point or stroke means the masks it lies on, the smallest first; a box the mask most like
        it, an outline the mask most like the outline. Where none is meant, the answer is empty.

        Args:
            embedding: What ``embed`` returned for this chip.
            prompts: All prompts so far.
            previous: Not looked at: the masks are what they are.

        Raises:
            PromptError: There is no prompt.
            ModelError: The embedding is another model's.
        """
        found = self.objects(embedding)
        if not prompts:
            raise PromptError("no prompt: give a point, a box, a scribble or an outline")
        wanted, unwanted = _places(prompts, embedding.shape)
        held: BoolArray = np.asarray(found.masks[:, wanted[:, 0], wanted[:, 1]])
        struck = np.asarray(found.masks[:, unwanted[:, 0], unwanted[:, 1]].any(axis=1))
        taken = struck & ~np.asarray(held.any(axis=1))
        against: BoolArray = np.asarray(found.masks[taken].any(axis=0))
        worth = np.where(taken, 0, _worth(found.masks, prompts, embedding.shape, held))
        order = [int(n) for n in np.argsort(-worth, kind="stable") if worth[n] > 0]
        if len(wanted) > 1 and order:
            return _joined(found, held, against)
        if not order:
            return _answer(np.zeros((1, *embedding.shape), bool), np.zeros(1, np.float32))
        chosen = order[:3]
        return _answer(found.masks[chosen] & ~against, found.scores[chosen])


def _answer(masks: BoolArray, scores: NDArray[np.float32]) -> Masks:
    return Masks(np.where(masks, LIMIT, -LIMIT).astype(np.float32), scores)


def _joined(found: Found, held: BoolArray, against: BoolArray) -> Masks:
    """Return the smallest mask at each place together: the places are of one object."""
    areas = found.masks.sum(axis=(1, 2))
    whole, scores = np.zeros(found.masks.shape[1:], bool), []
    for place in held.T:
        on = np.flatnonzero(place)
        if len(on):
            smallest = on[np.argmin(areas[on])]
            whole |= found.masks[smallest]
            scores.append(found.scores[smallest])
    score = np.array([np.mean(scores) if scores else FAINT], np.float32)
    return _answer((whole & ~against)[None], score)


def _worth(
    masks: BoolArray, prompts: PixelPrompts, shape: tuple[int, int], held: BoolArray
) -> NDArray[np.float64]:
    """Return how well each mask fits what was said; 0 where it does not."""
    wanted: BoolArray | None = prompts.mask
    if prompts.box is not None:
        wanted = inside_box(prompts.box, shape)
    if wanted is not None:
        union = (masks | wanted).sum(axis=(1, 2))
        return np.asarray((masks & wanted).sum(axis=(1, 2)) / np.maximum(union, 1))
    areas = masks.sum(axis=(1, 2))
    return np.where(held.any(axis=1), 1 / np.maximum(areas, 1), 0.0)


def _places(
    prompts: PixelPrompts, shape: tuple[int, int]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns of what was said to be the object, and of what was said not to be."""
    sides: tuple[list[Any], list[Any]] = ([], [])
    for xy, positive in zip(prompts.points, prompts.positive, strict=True):
        sides[0 if positive else 1].append(xy)
    for stroke, positive in prompts.scribbles:
        sides[0 if positive else 1].extend(stroke)
    last = np.array(shape) - 1
    rows, columns = (
        np.clip(np.floor(np.array(side, float).reshape(-1, 2)[:, ::-1]), 0, last).astype(np.intp)
        for side in sides
    )
    return rows, columns


def load_yolo(path: Path, name: str, options: ModelOptions) -> YoloModel:
    """Return the model of a checkpoint of ultralytics.

    Args:
        path: A ``.pt``; nothing in it is run.
        name: Name the model goes by.
        options: Device; precision and backend have no choice.

    Raises:
        MissingExtraError: ultralytics is not installed.
        WeightsError: The file is damaged, or its network does not segment.
        ModelError: An option is not possible.
    """
    if options.precision not in {"auto", "fp32"} or options.backend not in {"auto", "torch"}:
        raise ModelError(f"{name} has no choice of precision or backend; leave them out")
    os.environ.setdefault("YOLO_OFFLINE", "true")  # neither updates nor reports of use
    ultralytics = require("ultralytics", "yolo")
    if not path.is_file():
        raise WeightsError(f"there is no file of weights {str(path)!r}")
    plan = read_plan(path)
    network = _built(ultralytics, plan, path)
    _log.warning("%s %s", name, TERMS)
    from geoiseg.models.weights.store import file_hash

    info = ModelInfo(
        name=name,
        family="yolo",
        licence="AGPL-3.0-only",
        description=f"{len(plan.names)} classes, by ultralytics (AGPL-3.0)",
        chip_size=1024 if len(plan.names) == 1 else 640,
        weights_hash=str(file_hash(path)),
        parameters=sum(int(weight.numel()) for weight in network.model.parameters()),
        exact_embedding=True,
        takes_text=len(plan.names) > 1,  # FastSAM's one class is any object
    )
    device = "cpu" if options.device == "auto" else options.device
    return YoloModel(info, network, device)


def _built(ultralytics: Any, plan: Plan, path: Path) -> Any:
    """Return the network of a plan with its tensors."""
    import importlib
    import json

    layers = dict(plan.layers)
    check_plan(layers, importlib.import_module("ultralytics.nn.modules"), path)
    sizes = layers.get("scales")
    if isinstance(sizes, dict) and layers.get("scale") in sizes:
        layers["scales"] = {layers["scale"]: sizes[layers["scale"]]}  # the only one, so it is taken
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "plan-seg.yaml"  # JSON is YAML
        file.write_text(json.dumps(layers, default=str), encoding="utf-8")
        try:
            network = ultralytics.YOLO(str(file), task="segment", verbose=False)
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError, SyntaxError,
                AssertionError) as error:  # fmt: skip
            reason = " ".join(str(error).split())[:160]
            raise WeightsError(f"{path} has a plan that can not be built: {reason}") from error
    state = {name: tensor.float() if tensor.is_floating_point() else tensor
             for name, tensor in plan.state.items()}  # fmt: skip
    try:
        network.model.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:160]
        raise WeightsError(f"{path} does not fit its own plan: {reason}") from error
    network.model.names = dict(plan.names)
    network.model.eval()
    return network
