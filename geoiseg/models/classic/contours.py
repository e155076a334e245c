"""Engines ``geodesic-contour`` and ``chan-vese``: a contour that moves to where it fits.

Both start from the outline or box, or, of clicks alone, from where cheap paths lead. They
search the surroundings of that start, on a chip shrunk to :data:`COARSE` pixels; the outline is
then moved on all pixels within a narrow band.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from geoiseg.models.classic.answer import empty_masks, to_masks
from geoiseg.models.classic.appearance import examples
from geoiseg.models.classic.band import refine
from geoiseg.models.classic.evidence import growth
from geoiseg.models.classic.grabcut import soften
from geoiseg.models.classic.graph_engine import node_seeds
from geoiseg.models.classic.seeds import Seeds, draw_seeds
from geoiseg.models.classic.superpixels import SuperpixelGraph, build_graph
from geoiseg.models.protocol import Embedding, Masks, ModelInfo
from geoiseg.prompting import PixelPrompts
from geoiseg.raster import BoolArray

COARSE = 256
"""Longest side in pixels on which a contour moves."""
STEPS = 60
"""Times it moves."""
BAND = 4
"""Pixels by which it may move at last, on all pixels of the chip."""
SMOOTHING = 1
"""Morphological smoothings at each step."""
BALLOON = -1
"""A contour from outside shrinks."""
VANISHED = 0.25
"""Share of the start below which nothing has held a contour that shrinks."""
STEEPNESS, BLUR = 120.0, 1.5
"""How fast an edge stops the contour, and deviation in pixels of the smoothing before."""
STOP = 0.35
"""Quantile of the edge map under which a pixel is an edge."""
REACH = 0.35
"""Chan-Vese sees the surroundings of the start within so much of its size, not the whole chip."""
SPREAD = 6
"""Pixels by which a start of clicks is made wider than what they found."""

FloatArray = NDArray[np.float32]


class ContourEngine(ABC):
    """A contour that moves; subclasses say how."""

    info: ClassVar[ModelInfo]

    def embed(self, image: NDArray[np.uint8], valid: BoolArray) -> Embedding:
        """Return the chip's graph of superpixels, from which clicks find a start.

        Raises:
            PromptError: The chip is not ``(y, x, 3)`` uint8 with a bool ``valid``.
        """
        graph = build_graph(image, valid)
        return Embedding(self._key, (valid.shape[0], valid.shape[1]), graph.arrays())

    def decode(
        self,
        embedding: Embedding,
        prompts: PixelPrompts,
        previous: NDArray[np.float32] | None = None,
    ) -> Masks:
        """Return one mask of the object; an empty one where nothing says where it is.

        Raises:
            PromptError: There is no prompt, or one lies outside the chip.
            ModelError: The embedding was made by another engine.
        """
        embedding.check_made_by(self._key)
        graph = SuperpixelGraph(**dict(embedding.arrays))
        seeds = draw_seeds(prompts, graph.valid, previous)
        if seeds.empty:
            return empty_masks(embedding.shape)
        begin = start(graph, seeds, prompts.box)
        found = self._moved(graph, begin, seeds)
        if seeds.negative.any():
            found &= _near(_reached(graph, seeds, prompts.box) | seeds.positive)
        finer = refine(graph.image, found, seeds, graph.valid, BAND)
        return to_masks(soften(finer if finer.any() else found), seeds, graph.valid)

    def _moved(self, graph: SuperpixelGraph, begin: BoolArray, seeds: Seeds) -> BoolArray:
        """Return where the contour comes to rest; the start itself where it vanishes."""
        import cv2

        size = _size(graph.valid.shape)
        grey = cv2.cvtColor(graph.image, cv2.COLOR_RGB2LAB)
        small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        shrunk = cv2.resize(begin.astype(np.uint8), size, interpolation=cv2.INTER_AREA) > 0
        if not shrunk.any() or shrunk.all():
            return begin
        moved = self.move(np.asarray(small), np.asarray(shrunk), outlined=seeds.outline is not None)
        rows, columns = graph.valid.shape
        grown = cv2.resize(moved.astype(np.float32), (columns, rows))
        found = (grown > 0.5) & graph.valid & ~seeds.negative
        lost = seeds.positive.any() and not (found & seeds.positive).any()
        return begin if lost or not found.any() else found

    @abstractmethod
    def move(self, image: FloatArray, begin: BoolArray, *, outlined: bool) -> BoolArray:
        """Return the mask at rest.

        Args:
            image: ``(y, x, 3)`` L, a and b in 0..1.
            begin: ``(y, x)`` the mask to start from.
            outlined: Whether it is an outline, whose border is near where it should be.
        """

    @property
    def _key(self) -> str:
        return f"{self.info.name}@{self.info.weights_hash}"


def start(
    graph: SuperpixelGraph, seeds: Seeds, box: tuple[float, float, float, float] | None
) -> BoolArray:
    """Return the ``(y, x)`` mask to start from: the outline, the box, or what clicks reach."""
    if seeds.outline is not None and seeds.outline.any():
        begin = seeds.outline | seeds.positive
    elif seeds.box is not None:
        begin = seeds.box.copy()
    else:
        begin = _near(_reached(graph, seeds, box) | seeds.positive)
    return np.asarray(begin & graph.valid & ~seeds.negative)


def _reached(
    graph: SuperpixelGraph, seeds: Seeds, box: tuple[float, float, float, float] | None
) -> BoolArray:
    """Return ``(y, x)`` what cheaper paths lead to from the object than from its surroundings."""
    nodes = node_seeds(graph, seeds, box)
    front, back = examples(graph, nodes)
    back = back | ((nodes.inside < 0.5) & ~front)
    return np.asarray(graph.paint(growth(graph, front, back)) > 0.5)


def _near(mask: BoolArray) -> BoolArray:
    """Return the pixels within :data:`SPREAD` pixels of a mask."""
    import cv2

    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * SPREAD + 1, 2 * SPREAD + 1))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel) > 0)


def _size(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return columns and rows on which a contour moves."""
    factor = min(1.0, COARSE / max(shape))
    return max(1, round(shape[1] * factor)), max(1, round(shape[0] * factor))


class GeodesicContour(ContourEngine):
    """Morphological geodesic active contours (Márquez-Neila et al., PAMI 2014)."""

    info: ClassVar[ModelInfo] = ModelInfo(
        name="geodesic-contour",
        family="classic",
        licence="Apache-2.0",
        description="a contour shrinks from an outline or box until edges hold it",
        weights_hash="1",
    )

    def move(self, image: FloatArray, begin: BoolArray, *, outlined: bool) -> BoolArray:
        """Return the mask at rest."""
        import cv2

        segmentation: Any = importlib.import_module("skimage.segmentation")
        measure = segmentation.inverse_gaussian_gradient
        padded = cv2.copyMakeBorder(image, 2, 2, 2, 2, cv2.BORDER_REPLICATE)
        edges = [measure(padded[..., band], alpha=STEEPNESS, sigma=BLUR) for band in range(3)]
        stopping = np.min(edges, axis=0)
        threshold = float(np.quantile(stopping, STOP))

        def moved(level: BoolArray, balloon: int) -> BoolArray:
            kept = segmentation.morphological_geodesic_active_contour(
                stopping,
                num_iter=STEPS,
                init_level_set=np.pad(level, 2).astype(np.int8),
                smoothing=SMOOTHING,
                threshold=threshold,
                balloon=balloon,
            )
            return np.asarray(kept[2:-2, 2:-2] > 0)

        found = moved(_near(begin) if outlined else begin, BALLOON)
        return found if found.sum() >= VANISHED * begin.sum() else moved(begin, 0)


class ChanVese(ContourEngine):
    """Morphological active contours without edges (after Chan and Vese, 2001)."""

    info: ClassVar[ModelInfo] = ModelInfo(
        name="chan-vese",
        family="classic",
        licence="Apache-2.0",
        description="a contour moves until inside and outside are each of one colour",
        weights_hash="1",
    )

    def move(self, image: FloatArray, begin: BoolArray, *, outlined: bool) -> BoolArray:  # noqa: ARG002
        """Return the mask at rest."""
        segmentation: Any = importlib.import_module("skimage.segmentation")
        rows, columns = np.flatnonzero(begin.any(1)), np.flatnonzero(begin.any(0))
        reach = 3 + round(REACH * max(rows[-1] - rows[0], columns[-1] - columns[0]))
        window = tuple(
            slice(max(0, int(found[0]) - reach), int(found[-1]) + 1 + reach)
            for found in (rows, columns)
        )
        near = begin[window]
        if min(near.shape) < 3 or near.all():
            return begin
        axis = _axis(image[window], near)
        found = segmentation.morphological_chan_vese(
            axis, num_iter=STEPS, init_level_set=near.astype(np.int8), smoothing=SMOOTHING
        )
        inside = found > 0
        if inside.any() and not inside.all() and axis[inside].mean() < axis[~inside].mean():
            inside = ~inside  # inside and outside have changed places
        out = np.zeros_like(begin)
        out[window] = inside
        return out


def _axis(image: FloatArray, mask: BoolArray) -> FloatArray:
    """Return ``(y, x)``: how far each pixel lies from the colour outside to that inside."""
    if mask.all():
        return np.asarray(image[..., 0])
    inside, outside = image[mask].mean(axis=0), image[~mask].mean(axis=0)
    direction = inside - outside
    length = float(np.linalg.norm(direction))
    if length < 1e-6:
        return np.asarray(image[..., 0])
    return np.asarray((image - outside) @ (direction / length), np.float32)
