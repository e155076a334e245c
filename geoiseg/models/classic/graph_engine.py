"""What the engines on superpixels share: embedding, seeds per superpixel, the way to a mask."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from geoiseg.models.classic.answer import empty_masks, to_masks
from geoiseg.models.classic.seeds import Seeds, draw_seeds
from geoiseg.models.classic.superpixels import SuperpixelGraph, build_graph
from geoiseg.models.protocol import Embedding, Masks, ModelInfo
from geoiseg.prompting import PixelPrompts
from geoiseg.raster import BoolArray

NodeArray = NDArray[np.float64]
GRAPH_ARRAYS = SuperpixelGraph.__slots__


@dataclass(frozen=True, slots=True, eq=False)
class NodeSeeds:
    """The prompts of one object, per superpixel."""

    positive: BoolArray
    """``(n,)`` holds a positive prompt, and no more negative than positive pixels."""
    negative: BoolArray
    """``(n,)`` holds a negative prompt, and more negative than positive pixels."""
    inside: NodeArray
    """``(n,)`` share within the box; 1 without a box."""
    outlined: NodeArray | None
    """``(n,)`` share within the outline to refine."""
    last: NodeArray | None
    """``(n,)`` mean probability of the last mask."""
    box: tuple[float, float, float, float] | None
    """``x0, y0, x1, y1`` in continuous pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Chip:
    """An embedding as the engines on superpixels read it."""

    graph: SuperpixelGraph
    """The superpixels."""
    arrays: Mapping[str, NDArray[Any]]
    """All arrays of the embedding, also what the engine prepared."""


def node_seeds(
    graph: SuperpixelGraph, seeds: Seeds, box: tuple[float, float, float, float] | None = None
) -> NodeSeeds:
    """Return the prompts per superpixel."""
    positive = graph.mean(seeds.positive)
    negative = graph.mean(seeds.negative)
    inside = np.ones(graph.count) if seeds.box is None else graph.mean(seeds.box)
    return NodeSeeds(
        positive=(positive > 0) & (positive >= negative),
        negative=(negative > positive) | (inside == 0) & (positive == 0),
        inside=inside,
        outlined=None if seeds.outline is None else graph.mean(seeds.outline),
        last=None if seeds.last is None else graph.mean(seeds.last),
        box=box,
    )


class GraphEngine(ABC):
    """An engine that decides per superpixel; subclasses say how probable each is."""

    info: ClassVar[ModelInfo]
    superpixels: ClassVar[int] = 1500

    def embed(self, image: NDArray[np.uint8], valid: BoolArray) -> Embedding:
        """Return the chip's graph of superpixels.

        Args:
            image: ``(y, x, 3)`` uint8, any size.
            valid: ``(y, x)`` True where there is data.

        Raises:
            PromptError: The chip is not of that form.
        """
        graph = build_graph(image, valid, self.superpixels)
        arrays = graph.arrays() | self.prepare(graph)
        return Embedding(self._key, (valid.shape[0], valid.shape[1]), arrays)

    def decode(
        self,
        embedding: Embedding,
        prompts: PixelPrompts,
        previous: NDArray[np.float32] | None = None,
    ) -> Masks:
        """Return one mask of the object; an empty one where nothing says where it is.

        Args:
            embedding: What :meth:`embed` returned.
            prompts: All prompts so far.
            previous: ``(y, x)`` logits of the last mask.

        Raises:
            PromptError: There is no prompt, or one lies outside the chip.
            ModelError: The embedding was made by another engine.
        """
        embedding.check_made_by(self._key)
        graph = SuperpixelGraph(**{name: embedding.arrays[name] for name in GRAPH_ARRAYS})
        chip = Chip(graph, embedding.arrays)
        valid = graph.valid
        seeds = draw_seeds(prompts, valid, previous)
        if seeds.empty:
            return empty_masks(embedding.shape)
        probability = self.solve(chip, node_seeds(graph, seeds, prompts.box))
        plane = split_contested(graph, graph.paint(probability), seeds)
        return to_masks(self.refine(chip, plane, seeds), seeds, valid)

    def prepare(self, graph: SuperpixelGraph) -> dict[str, NDArray[Any]]:  # noqa: ARG002
        """Return what else the engine keeps in the embedding; here nothing."""
        return {}

    @abstractmethod
    def solve(self, chip: Chip, nodes: NodeSeeds) -> NodeArray:
        """Return the ``(n,)`` probability that each superpixel is the object."""

    def refine(
        self,
        chip: Chip,  # noqa: ARG002
        probability: NDArray[np.float32],
        seeds: Seeds,  # noqa: ARG002
    ) -> NDArray[np.float32]:
        """Return the ``(y, x)`` probability with a finer outline; here as it came."""
        return probability

    @property
    def _key(self) -> str:
        return f"{self.info.name}@{self.info.weights_hash}"


def split_contested(
    graph: SuperpixelGraph, probability: NDArray[np.float32], seeds: Seeds
) -> NDArray[np.float32]:
    """Return the probability with superpixels of two signs split between their prompts.

    Each of their pixels goes to the prompted pixel of the same superpixel that is nearest
    in place and colour.
    """
    both = (graph.mean(seeds.positive) > 0) & (graph.mean(seeds.negative) > 0)
    if not both.any():
        return probability
    split = probability.copy()
    for node in np.flatnonzero(both):
        rows, columns = np.nonzero(graph.labels == node)
        colour = graph.image[rows, columns].astype(np.float64) / 8
        place = np.concatenate([np.stack([rows, columns], axis=1), colour], axis=1)
        distance = [
            ((place[:, None] - place[None, drawn[rows, columns]]) ** 2).sum(2).min(1)
            for drawn in (seeds.positive, seeds.negative)
        ]
        split[rows, columns] = np.where(distance[0] < distance[1], 0.9, 0.1)
    return split
