"""What every model is to the rest of geoiseg: embed a chip once, decode it per prompt.

A model keeps no image state. The embedding is a value that can be cached, stored and
handed to another process; the pixel frame of all prompts is the affine's: continuous,
``(0, 0)`` at the outer corner of the first pixel, ``(x, y)`` order. An adapter whose
network counts from pixel centres converts inside ``decode``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import ModelError, PromptError
from geoiseg.prompting import PixelPrompts
from geoiseg.raster import BoolArray, Window


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a user may want to know of a model before using it."""

    name: str
    """Name in the registry, also written into provenance."""
    family: str
    """Kind of model, e.g. ``classic`` or ``sam``."""
    licence: str
    """SPDX identifier of the code or weights."""
    description: str
    """One line for ``geoiseg models``."""
    chip_size: int = 512
    """Side in pixels of the square chip the model works best on."""
    weights_hash: str = ""
    """SHA-256 of the weights in use, or the version of a weight-free engine."""
    parameters: int = 0
    """Number of learned parameters; 0 for an engine without weights."""
    takes_text: bool = False
    """Whether ``Text`` prompts are understood."""
    exact_embedding: bool = False
    """Whether embeddings stay as they are; else, where there are parameters, they are features,
    which are kept in half precision."""
    dense: bool = False
    """Whether it says of all pixels at once what they are, without a prompt: a
    :class:`DenseModel`."""
    any_shape: bool = False
    """Whether a chip may be longer in one direction and shorter in the other."""
    bytes_hash: str = field(default="", compare=False)
    """SHA-256 of what a :class:`ReadingModel` reads with, and a :class:`QuickModel` embeds quickly
    with, where it does so in 8-bit integers here; empty where it does not."""

    @property
    def identity(self) -> str:
        """Name and weights, as embeddings say who made them."""
        return f"{self.name}:{self.weights_hash}"

    @property
    def reads_bytes(self) -> bool:
        """Whether a :class:`ReadingModel` reads in 8-bit integers here, see ``bytes_hash``.

        What it says then differs a little from what it says elsewhere.
        """
        return bool(self.bytes_hash)


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """The heavy half of a model's work on one chip.

    Only arrays inside, so that it can be cached in memory or on disk and pickled.
    """

    model: str
    """Name and weights hash of the model that made it; no other may decode it."""
    shape: tuple[int, int]
    """Rows and columns of the chip."""
    arrays: Mapping[str, NDArray[Any]]
    """The model's own arrays by name."""

    @property
    def nbytes(self) -> int:
        """Memory held by the arrays, in bytes."""
        return sum(array.nbytes for array in self.arrays.values())

    def check_made_by(self, model: str) -> None:
        """Check who made it.

        Args:
            model: Name and weights hash of the model that is to decode it.

        Raises:
            ModelError: It was another one.
        """
        if self.model != model:
            raise ModelError(
                f"this embedding was made by {self.model!r}, not by {model!r}; embed the chip again"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Masks:
    """One or more candidate masks of one object on a chip, best first."""

    logits: NDArray[np.float32]
    """``(n, y, x)`` in chip pixels; above 0 is the object."""
    scores: NDArray[np.float32]
    """``(n,)`` the model's own estimate of each mask's IoU, in 0..1."""

    def __post_init__(self) -> None:
        if self.logits.ndim != 3 or self.scores.shape != self.logits.shape[:1]:
            raise PromptError(
                f"logits must be (n, y, x) with n scores,"
                f" got {self.logits.shape} and {self.scores.shape}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Masks of many objects on one chip, at the model's own resolution."""

    logits: NDArray[np.float32]
    """``(n, v, u)``; above 0 is the object. The first pixel's outer corner is the chip's."""
    scores: NDArray[np.float32]
    """``(n,)`` the model's own estimate of each mask's IoU, in 0..1."""
    prompts: NDArray[np.intp]
    """``(n,)`` which of the prompts each mask answers; one prompt may have several masks."""
    scale: float
    """Chip pixels per mask pixel; the masks cover the whole chip, and may end beyond it."""


@dataclass(frozen=True, slots=True, eq=False)
class DenseMaps:
    """What a model says of every place of a chip without being asked; probabilities, 0..1."""

    interior: NDArray[np.float32]
    """``(v, u)`` that a cell lies on an object of any kind. The first cell's outer corner is
    the chip's; the last ones may reach beyond it."""
    border: NDArray[np.float32]
    """``(v, u)`` that an outline passes the cell."""
    classes: Mapping[str, NDArray[np.float32]]
    """``(v, u)`` that a cell is of a class, by name; classes do not add up to 1."""
    scale: int
    """Chip pixels per cell."""


@runtime_checkable
class Model(Protocol):
    """An engine that turns a chip and prompts into masks."""

    @property
    def info(self) -> ModelInfo:
        """Name, licence, chip size and weights of the model."""
        ...

    def embed(self, image: NDArray[np.uint8], valid: BoolArray) -> Embedding:
        """Return all that does not depend on prompts.

        Args:
            image: ``(y, x, 3)`` uint8, stretched, any size.
            valid: ``(y, x)`` True where there is data.
        """
        ...

    def decode(
        self,
        embedding: Embedding,
        prompts: PixelPrompts,
        previous: NDArray[np.float32] | None = None,
    ) -> Masks:
        """Return candidate masks for one object, best first.

        Args:
            embedding: What ``embed`` returned for this chip.
            prompts: All prompts so far, not only the latest.
            previous: ``(y, x)`` logits of the last mask, to be refined.

        Raises:
            PromptError: No prompt at all, or of a kind the model does not take.
        """
        ...


@runtime_checkable
class BatchModel(Model, Protocol):
    """A model that answers many prompts on one chip faster together than one by one."""

    def decode_batch(self, embedding: Embedding, prompts: Sequence[PixelPrompts]) -> Candidates:
        """Return masks of many objects at once.

        Args:
            embedding: What ``embed`` returned for this chip.
            prompts: One for each object; any of them may give several masks.

        Raises:
            PromptError: A prompt of a kind the model does not take, or an empty one.
        """
        ...


@runtime_checkable
class WideningModel(Model, Protocol):
    """A model that sees that an object goes on beyond its chip sooner than it can draw it."""

    def decode_inside(
        self,
        embedding: Embedding,
        prompts: PixelPrompts,
        goes_on: Callable[[NDArray[np.float32]], bool],
    ) -> Masks | None:
        """Return what ``decode`` does; None as soon as the object clearly goes on beyond the chip.

        Args:
            embedding: What ``embed`` returned for this chip.
            prompts: All prompts so far; there is no mask yet.
            goes_on: Whether ``(y, x)`` logits of the object, not yet drawn exactly, clearly do.
        """
        ...


@runtime_checkable
class CarefulModel(Model, Protocol):
    """A model that answers better where it may take more time: a user's later clicks."""

    def decode_with_care(
        self,
        embedding: Embedding,
        prompts: PixelPrompts,
        previous: NDArray[np.float32] | None = None,
    ) -> Masks:
        """Return what ``decode`` does of a first click or a box, and better of several clicks.

        Args:
            embedding: What ``embed`` returned for this chip.
            prompts: All prompts so far, not only the latest.
            previous: ``(y, x)`` logits of the last mask, to be refined.
        """
        ...


def with_care(model: Model) -> Callable[..., Masks]:
    """Return what answers a user's clicks: ``decode_with_care`` of a model that has it."""
    return model.decode_with_care if isinstance(model, CarefulModel) else model.decode


@runtime_checkable
class ListingModel(Model, Protocol):
    """A model that has found all objects of a chip once it has seen it."""

    def listed(self, embedding: Embedding) -> tuple[BoolArray, NDArray[np.float32]]:
        """Return ``(n, y, x)`` masks and ``(n,)`` scores in 0..1, the surest first.

        Args:
            embedding: What ``embed`` returned for this chip.
        """
        ...


@runtime_checkable
class FollowingModel(Model, Protocol):
    """A model that follows an object from picture to picture by a memory of its own."""

    def follow(
        self, pictures: Sequence[tuple[NDArray[np.uint8], BoolArray]], mask: BoolArray
    ) -> list[Masks]:
        """Return an object on each picture after the first one, one mask with its score each.

        Args:
            pictures: ``(y, x, 3)`` uint8, stretched, and ``(y, x)`` True where there is data; all
                of one shape and of the same ground.
            mask: ``(y, x)`` the object on the first one.
        """
        ...


@runtime_checkable
class DenseModel(Model, Protocol):
    """A model that may also say of a whole chip what it shows; see :attr:`ModelInfo.dense`."""

    def dense(self, embedding: Embedding) -> DenseMaps:
        """Return what it says of every place of a chip.

        Args:
            embedding: What ``embed`` returned for this chip.

        Raises:
            ModelError: The embedding is another model's, or of one without dense heads.
        """
        ...


@runtime_checkable
class ReadingModel(DenseModel, Protocol):
    """A dense model that reads a chip which nobody will prompt, for less than it embeds it."""

    def read(self, image: NDArray[np.uint8], valid: BoolArray) -> DenseMaps:
        """Return the same as ``dense(embed(image, valid))``, or nearly: as the info says.

        Args:
            image: ``(y, x, 3)`` uint8, stretched.
            valid: ``(y, x)`` True where there is data.
        """
        ...


@runtime_checkable
class QuickModel(ReadingModel, Protocol):
    """A reading model that also embeds a chip for less, nearly as well, where it is prompted."""

    def embed_quickly(self, image: NDArray[np.uint8], valid: BoolArray) -> Embedding:
        """Return the same as ``embed``, or nearly: as the info says.

        Args:
            image: ``(y, x, 3)`` uint8, stretched.
            valid: ``(y, x)`` True where there is data.
        """
        ...


@runtime_checkable
class PartingModel(BatchModel, Protocol):
    """A model that answers on a part of a chip for less than on all of it."""

    def part(self, embedding: Embedding, window: Window) -> Embedding:
        """Return the embedding of a part of a chip.

        Args:
            embedding: What ``embed`` returned for the chip.
            window: In its pixels; begins on cells of 32 pixels.
        """
        ...
