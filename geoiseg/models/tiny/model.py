"""The small network at run time: two ONNX graphs, run by onnxruntime alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import ModelError
from geoiseg.models.classic.answer import empty_masks
from geoiseg.models.classic.seeds import draw_seeds
from geoiseg.models.options import ModelOptions
from geoiseg.models.own import FAMILY
from geoiseg.models.protocol import Candidates, DenseMaps, Embedding, Masks, ModelInfo
from geoiseg.models.tiny import DESCRIPTION, afar, between, hash_of_card
from geoiseg.models.tiny.afar import Reading
from geoiseg.models.tiny.answers import Answers, Readings, is_vague, padded
from geoiseg.models.tiny.batch import (
    LEAST,
    SMALLEST,
    decode_closely,
    decode_many,
    goes_on,
    moved,
)
from geoiseg.models.tiny.careful import asks_for_care, decoded_with_care, turned
from geoiseg.models.tiny.closer import TRUST, CloseUp, CloseUps, close_up
from geoiseg.models.tiny.dense import DENSE, dense_maps
from geoiseg.models.tiny.earlier import FIRST, first_folder, missing_first
from geoiseg.models.tiny.graphs import Graphs, threads_wanted
from geoiseg.models.tiny.inputs import PIXELS, VALID, encoder_inputs, features_in, validity
from geoiseg.models.tiny.look import Draft, Look
from geoiseg.models.tiny.one_click import OneClick
from geoiseg.models.tiny.outputs import LIMIT, obedient
from geoiseg.models.tiny.pieces import cut, part_of
from geoiseg.models.tiny.quick import codes
from geoiseg.prompting import PixelPrompts
from geoiseg.raster import BoolArray, Window

BY_HALF = -1.0
"""Stands for a chip that is turned by half where others say how much it is enlarged."""


class TinyModel:
    """A promptable network for any three bands; runs on a CPU, offline.

    Args:
        folder: Where the graphs and their card are; the package's own when None.
        threads: CPU threads per graph; 0 goes by ``GEOISEG_THREADS``, else leaves the
            choice to the library that runs them.
        options: By which library the encoder is run, and how exactly.
        patient: Whether the first prompts for a small object are decoded twice, the second
            time with the first answer to refine: a better first mask.
        name: In the registry.

    Raises:
        WeightsError: A file is missing or is not what the card says.
    """

    def __init__(
        self,
        folder: Path | None = None,
        threads: int = 0,
        *,
        options: ModelOptions | None = None,
        patient: bool = True,
        name: str = "tiny",
    ) -> None:
        self.folder = folder or Path(__file__).parent
        self._graphs = Graphs(self.folder, threads or threads_wanted(), options)
        self.card = self._graphs.card
        self._patient, self._name = patient, name
        self._answers = Answers(self._graphs)
        self._close_ups = CloseUps()

    @cached_property
    def info(self) -> ModelInfo:
        """Name, licence, chip size and weights of the model."""
        return ModelInfo(
            name=self._name,
            family="tiny",
            licence=str(self.card["licence"]),
            description=str(self.card.get("description", DESCRIPTION)),
            chip_size=512,
            weights_hash=hash_of_card(self.card),
            parameters=int(self.card["parameters"]),
            dense=DENSE in self._graphs.features,
            any_shape=self._graphs.has_others,
            bytes_hash=self._graphs.bytes_hash,
        )

    def embed(self, image: NDArray[np.uint8], valid: BoolArray) -> Embedding:
        """Return the features of a chip.

        Args:
            image: ``(y, x, 3)`` uint8, stretched, any size.
            valid: ``(y, x)`` True where there is data.

        Raises:
            ModelError: The arrays are not an image and its validity.
        """
        _check_chip(image, valid)
        return self._embedded(
            self._graphs.encode(encoder_inputs(image, valid, padded(valid))), image, valid
        )

    def embed_quickly(self, image: NDArray[np.uint8], valid: BoolArray) -> Embedding:
        """Return about the features that ``embed`` returns, for a map that asks besides.

        Where the CPU multiplies bytes, and precision is left to the model, they are computed in
        8-bit integers, see :mod:`geoiseg.models.tiny.quick`.

        Args:
            image: ``(y, x, 3)`` uint8, stretched, any size.
            valid: ``(y, x)`` True where there is data.

        Raises:
            ModelError: The arrays are not an image and its validity.
        """
        if not self._graphs.reads_bytes:
            return self.embed(image, valid)
        _check_chip(image, valid)
        found = self._graphs.quickly(codes(image, valid, padded(valid)))
        return self._embedded(found, image, valid)

    def _embedded(
        self, features: dict[str, NDArray[Any]], image: NDArray[np.uint8], valid: BoolArray
    ) -> Embedding:
        arrays = {**features, VALID: valid.astype(np.float16), PIXELS: image * valid[..., None]}
        return Embedding(self._identity, (valid.shape[0], valid.shape[1]), arrays)

    def decode(
        self,
        embedding: Embedding,
        prompts: PixelPrompts,
        previous: NDArray[np.float32] | None = None,
    ) -> Masks:
        """Return candidate masks, best first: one, or after a single click some more.

        One click may mean a part, the whole or a group. So it is looked at from twice as far,
        too, and from four times as far if it means something large; all readings of the views
        are weighed, and those that differ follow the likeliest, which is drawn a little narrower
        than the network says (:data:`~geoiseg.models.tiny.outputs.MODEST`).

        A small or thin object is decoded on its surroundings, too, enlarged. They are encoded
        with the first prompts for it, and kept for the next ones.

        Args:
            embedding: What ``embed`` returned for this chip.
            prompts: All prompts so far, not only the latest.
            previous: ``(y, x)`` logits of the last mask, to be refined.

        Raises:
            PromptError: No prompt at all, or one outside the chip.
            ModelError: The embedding is another model's.
        """
        self._check(embedding)
        valid = validity(embedding)
        if draw_seeds(prompts, valid, previous).empty:  # which checks the prompts, too
            return empty_masks(valid.shape)
        if previous is not None and not (previous > 0).any():
            previous = None  # an empty mask tells less than none
        if previous is None and self._is_open(prompts):
            return self._meant(OneClick(self, embedding, prompts))
        return self._decided(embedding, prompts, previous)

    def decode_with_care(
        self,
        embedding: Embedding,
        prompts: PixelPrompts,
        previous: NDArray[np.float32] | None = None,
    ) -> Masks:
        """Return what ``decode`` does, better after several clicks and for more time.

        From two clicks on there is a second look: at the chip itself, with the first answer to
        refine, and from the third click on at the chip turned by half, which is encoded once, and
        at the chip from a third further away. Where there is no mask yet, what each click may mean
        alone is asked first. Of two clicks a little less is drawn than the network says.

        Args:
            embedding: What ``embed`` returned for this chip.
            prompts: All prompts so far, not only the latest.
            previous: ``(y, x)`` logits of the last mask, to be refined.

        Raises:
            PromptError: No prompt at all, or one outside the chip.
            ModelError: The embedding is another model's.
        """
        self._check(embedding)
        # What was made with the first generation stays as it was.
        if not (self._graphs.has_others and asks_for_care(embedding, prompts, previous)):
            return self.decode(embedding, prompts, previous)
        return decoded_with_care(self, embedding, prompts, previous)

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

        Raises:
            PromptError: No prompt at all, or one outside the chip.
            ModelError: The embedding is another model's.
        """
        self._check(embedding)
        if draw_seeds(prompts, validity(embedding)).empty or not self._is_open(prompts):
            return self.decode(embedding, prompts)
        click = OneClick(self, embedding, prompts)
        roughly = afar.weighed(click.readings(), prompts.points[0])
        if roughly and goes_on(roughly[0].logits):
            return None
        return self._meant(click)

    def _is_open(self, prompts: PixelPrompts) -> bool:
        """Return whether first prompts may mean several things, of which the network knows."""
        return self._graphs.has_others and is_vague(prompts)

    def _meant(self, click: OneClick) -> Masks:
        """Return what a click may mean, the likeliest first."""
        prompts, embedding = click.prompts, click.embedding
        found = afar.weighed(click.readings(), prompts.points[0])
        if not found:
            return empty_masks(validity(embedding).shape)
        best = self.drawn(embedding, prompts, found[0])
        return afar.masks_of([best, *(one for one in found[1:] if afar.differ(one, best))])

    def readings(
        self, embedding: Embedding, prompts: PixelPrompts, *, all_views: bool = False
    ) -> list[Reading]:
        """Return all that a single click may mean, seen as it is, from afar and from further.

        Args:
            embedding: What ``embed`` returned for this chip.
            prompts: One click on the object.
            all_views: Whether to look from further away at what is small, too.
        """
        return OneClick(self, embedding, prompts).readings(all_views=all_views)

    def drawn(self, embedding: Embedding, prompts: PixelPrompts, reading: Reading) -> Reading:
        """Return a reading as an answer: drawn at the chip's resolution, up to its colours.

        Args:
            embedding: What ``embed`` returned for this chip.
            prompts: One click on the object.
            reading: Of that click.
        """
        valid = validity(embedding)
        if reading.times == 1:
            look = Look(Window(0, 0, *valid.shape), reading.logits, reading.score)
            draft = Draft(look, (), is_sharp=reading.is_sharp)
        else:
            draft = self.drafted(embedding, prompts, reading.logits)
        masks = self.answered(draft, embedding, prompts).masks(valid)
        return Reading(masks.logits[0], reading.score)

    def answered(self, draft: Draft, embedding: Embedding, prompts: PixelPrompts) -> Draft:
        """Return a draft as what a user is answered: less of few clicks, up to the colours.

        A model trained on one's own features knows the place, and is believed as it is.

        Args:
            draft: Of a chip.
            embedding: Of that.
            prompts: In its pixel frame.
        """
        if self.card.get("family") != FAMILY:
            draft = draft.modest(prompts, validity(embedding))
        return draft.finished(embedding, prompts)

    def from_afar(self, embedding: Embedding) -> Embedding:
        """Return the embedding of a chip at half its resolution, made now if it is not kept."""
        pixels, valid = embedding.arrays[PIXELS], validity(embedding)
        key = CloseUps.key(Window(0, 0, *valid.shape), 1 / afar.TIMES, pixels, valid)
        return self._close_ups.get_or_make(key, lambda: self.embed(*afar.halved(pixels, valid)))

    def between(self, embedding: Embedding) -> Embedding:
        """Return the embedding of a chip at three quarters of its resolution, made or kept."""
        pixels, valid = embedding.arrays[PIXELS], validity(embedding)
        key = CloseUps.key(Window(0, 0, *valid.shape), 1 / between.TIMES, pixels, valid)
        return self._close_ups.get_or_make(key, lambda: self.embed(*between.reduced(pixels, valid)))

    def turned(self, embedding: Embedding) -> Embedding:
        """Return the embedding of a chip turned by half, made now if it is not kept."""
        pixels, valid = embedding.arrays[PIXELS], validity(embedding)
        key = CloseUps.key(Window(0, 0, *valid.shape), BY_HALF, pixels, valid)
        return self._close_ups.get_or_make(key, lambda: self.embed(turned(pixels), turned(valid)))

    def _decided(
        self,
        embedding: Embedding,
        prompts: PixelPrompts,
        previous: NDArray[np.float32] | None,
    ) -> Masks:
        """Return the answer of the chip itself, and behind it other readings that differ."""
        draft = self.drafted(embedding, prompts, previous)
        return draft.finished(embedding, prompts).masks(validity(embedding))

    def drafted(
        self,
        embedding: Embedding,
        prompts: PixelPrompts,
        previous: NDArray[np.float32] | None,
    ) -> Draft:
        """Return the answer of the chip itself before its outline is moved to the colours.

        Args:
            embedding: What ``embed`` returned for this chip.
            prompts: In its pixel frame.
            previous: ``(y, x)`` logits of the last mask, to be refined.
        """
        near = None
        if previous is not None:
            near = self._closer(embedding, previous, prompts, refine=True)
        if near and near.score + TRUST >= 1:  # no other can be so much surer
            return Draft(near, (), is_sharp=True)
        far = self.look(embedding, prompts, previous, previous).likeliest()
        if near is None:
            known = far.masks(validity(embedding)).logits[0]
            near = self._closer(embedding, known, prompts, refine=previous is not None)
        if near and near.score + TRUST >= far.score:
            return Draft(near, far.others, is_sharp=True)
        return Draft(self._patiently(embedding, prompts, previous, far), far.others)

    def look(
        self,
        embedding: Embedding,
        prompts: PixelPrompts,
        previous: NDArray[np.float32] | None,
        known: NDArray[np.float32] | None = None,
        least: int = LEAST,
    ) -> Look:
        """Return the mask as the network draws it, at the resolution of the chip.

        Args:
            embedding: Of the chip.
            prompts: In its pixel frame.
            previous: ``(y, x)`` logits of the last mask, to be refined.
            known: ``(y, x)`` logits that tell about where the object is.
            least: Least sides in pixels of the piece that is looked at then.
        """
        features, valid = partial(cut, features_in(embedding)), validity(embedding)
        where = None if known is None else known > 0
        others: Readings = []
        vague = self._graphs.has_others and previous is None and is_vague(prompts)
        answer = partial(self._answers.piece, others=others if vague else None)
        found = decode_closely(features, valid, prompts, previous, answer, where, least)
        return Look(*found, tuple(Look(found[0], *other) for other in others))

    def _patiently(
        self,
        embedding: Embedding,
        prompts: PixelPrompts,
        previous: NDArray[np.float32] | None,
        look: Look,
    ) -> Look:
        """Return what a second look makes of the first one, if that was at a small piece."""
        window = look.window
        if not self._patient or previous is not None or max(window.shape) > SMALLEST:
            return look
        features, valid = cut(features_in(embedding), window), validity(embedding)
        part, said = valid[window.slices], moved(prompts, window)
        again = Look(window, *self._answers.piece(features, part, said, look.piece))
        if not goes_on(again.piece > 0, window, valid.shape):
            return again
        before = again.masks(valid).logits[0]
        return self.look(embedding, prompts, before, before)

    def _closer(
        self,
        embedding: Embedding,
        known: NDArray[np.float32],
        prompts: PixelPrompts,
        *,
        refine: bool,
    ) -> Look | None:
        """Return the mask of an object that is small or thin, enlarged.

        None where it is neither, or where it goes on beyond what is enlarged.

        Args:
            embedding: Of the chip.
            known: ``(y, x)`` logits that tell about where the object is.
            prompts: In the chip's pixel frame.
            refine: Whether what is known is to be refined, or only says where to look.
        """
        view = close_up(known > 0, prompts)
        if view is None:
            return None
        near, window, valid = self._enlarged(embedding, view), view.window, validity(embedding)
        about = view.enlarged(np.clip(known, -LIMIT, LIMIT).astype(np.float32))
        before, said = about if refine else None, view.seen(prompts)
        look = self.look(near, said, before, about, SMALLEST)
        look = self._patiently(near, said, before, look).sharpened(near, said)
        piece = view.reduced(look.masks(validity(near)).logits[0])
        if goes_on(piece > 0, window, valid.shape):
            return None
        part = valid[window.slices]
        seeds = draw_seeds(moved(prompts, window), part)
        return Look(window, obedient(piece, seeds, part), look.score)

    def _enlarged(self, embedding: Embedding, view: CloseUp) -> Embedding:
        """Return the embedding of a close-up, made now if it is not kept."""
        pixels, valid = embedding.arrays[PIXELS], validity(embedding)
        key = CloseUps.key(view.window, view.times, pixels, valid)
        return self._close_ups.get_or_make(
            key, lambda: self.embed(view.enlarged(pixels), view.repeated(valid))
        )

    def decode_batch(self, embedding: Embedding, prompts: Sequence[PixelPrompts]) -> Candidates:
        """Return one mask for each object, at half of the chip's resolution.

        Each is decoded on a piece of the chip around its prompts, so that a mask may differ
        a little from that of ``decode``.

        Args:
            embedding: What ``embed`` returned for this chip.
            prompts: One for each object.

        Raises:
            PromptError: A prompt is empty or outside the chip.
            ModelError: The embedding is another model's.
        """
        self._check(embedding)
        return decode_many(embedding, prompts, self._answers.piece)

    def part(self, embedding: Embedding, window: Window) -> Embedding:
        """Return the embedding of a part of a chip, which is as when the whole was looked at.

        Args:
            embedding: What ``embed`` returned for the chip.
            window: In its pixels; begins on cells of 32 pixels.

        Raises:
            ModelError: The embedding is another model's.
        """
        self._check(embedding)
        return part_of(embedding, window)

    def dense(self, embedding: Embedding) -> DenseMaps:
        """Return what the dense heads say of every cell of four pixels.

        Args:
            embedding: What ``embed`` returned for this chip.

        Raises:
            ModelError: The embedding is another model's, or of the first generation, which has
                no dense heads.
        """
        self._check(embedding)
        return dense_maps(embedding)

    def read(self, image: NDArray[np.uint8], valid: BoolArray) -> DenseMaps:
        """Return about what ``dense`` says of the embedding of a chip, which is not made.

        Where the CPU multiplies bytes, and precision is left to the model, it is computed in
        8-bit integers, see :mod:`geoiseg.models.tiny.quick`.

        Args:
            image: ``(y, x, 3)`` uint8, stretched, any size.
            valid: ``(y, x)`` True where there is data.

        Raises:
            ModelError: The network is of the first generation, which has no dense heads.
        """
        if not self.info.dense:
            raise ModelError(f"{self._name} has no dense heads; take another model")
        if self._graphs.reads_bytes:
            found = self._graphs.quickly(codes(image, valid, padded(valid)), only=DENSE)
        else:
            given = encoder_inputs(image, valid, padded(valid))
            found = self._graphs.encode(given, only=DENSE)
        return dense_maps(Embedding(self._identity, (valid.shape[0], valid.shape[1]), found))

    def _check(self, embedding: Embedding) -> None:
        if embedding.model != self._identity:
            raise ModelError(
                f"this embedding was made by {embedding.model!r}, not by {self._identity!r};"
                " embed the chip again"
            )

    @property
    def _identity(self) -> str:
        return f"{self.info.name}:{self.info.weights_hash}"


def _check_chip(image: NDArray[np.uint8], valid: BoolArray) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or valid.shape != image.shape[:2]:
        raise ModelError(
            f"an image is (y, x, 3) with (y, x) validity, got {image.shape}, {valid.shape}"
        )


def present(options: ModelOptions) -> TinyModel:
    """Return the network that ships."""
    return TinyModel(options=options)


def first_generation(options: ModelOptions | None = None) -> TinyModel:
    """Return the network that shipped first, for what was made with it.

    Raises:
        WeightsError: Its weights are not here; the message says what to do.
    """
    folder = first_folder()
    if folder is None:
        raise missing_first()
    return TinyModel(folder, options=options, name=FIRST)
