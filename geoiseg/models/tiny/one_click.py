"""A single click on a chip, and all that is seen of it from several distances."""

from __future__ import annotations

from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from geoiseg.models.classic.seeds import draw_seeds
from geoiseg.models.protocol import Embedding
from geoiseg.models.tiny import afar
from geoiseg.models.tiny.afar import Reading
from geoiseg.models.tiny.inputs import validity
from geoiseg.models.tiny.look import Draft, Look
from geoiseg.models.tiny.outputs import obedient
from geoiseg.prompting import PixelPrompts


class Looking(Protocol):
    """A network that looks at chips."""

    def drafted(
        self,
        embedding: Embedding,
        prompts: PixelPrompts,
        previous: NDArray[np.float32] | None,
    ) -> Draft:
        """Return the answer of a chip itself."""
        ...

    def look(
        self,
        embedding: Embedding,
        prompts: PixelPrompts,
        previous: NDArray[np.float32] | None,
    ) -> Look:
        """Return the mask as the network draws it."""
        ...

    def from_afar(self, embedding: Embedding) -> Embedding:
        """Return the embedding of a chip at half its resolution."""
        ...


class OneClick:
    """A click that is looked at no further than is asked for, and no view of it twice.

    Args:
        model: What looks.
        embedding: Of the chip.
        prompts: One click on the object, in its pixel frame.
    """

    def __init__(self, model: Looking, embedding: Embedding, prompts: PixelPrompts) -> None:
        self.embedding, self.prompts = embedding, prompts
        self._model = model
        self._views, self._said = [embedding], prompts
        self._seen: list[list[Reading]] = []

    def readings(self, *, all_views: bool = False) -> list[Reading]:
        """Return all that the click may mean, seen as it is, from afar and from further.

        No outline has been moved to where colours change, but for what is small and thin.

        Args:
            all_views: Whether to look from further away at what is small, too.
        """
        masks = self._draft.masks(validity(self.embedding))
        found = [
            Reading(logits, float(score), is_sharp=self._draft.is_sharp and not number)
            for number, (logits, score) in enumerate(zip(masks.logits, masks.scores, strict=True))
        ]
        for number in range(afar.VIEWS):
            if number and not (all_views or afar.is_deep(found, self.prompts.points[0])):
                break
            found += self._from_afar(number)
        return found

    @cached_property
    def _draft(self) -> Draft:
        return self._model.drafted(self.embedding, self.prompts, None)

    def _from_afar(self, number: int) -> list[Reading]:
        """Return the readings of a view from afar, none where the one before is too narrow."""
        if number < len(self._seen):
            return self._seen[number]
        last = self._views[-1]
        if number > len(self._seen) or min(validity(last).shape) < afar.NARROWEST:
            return []
        self._views.append(self._model.from_afar(last))
        self._said = afar.seen(self._said)
        self._seen.append(self._latest())
        return self._seen[-1]

    def _latest(self) -> list[Reading]:
        """Return the readings of the click in the last view, as those of the chip."""
        valids = [validity(view) for view in self._views]
        seeds = draw_seeds(self.prompts, valids[0])
        look = self._model.look(self._views[-1], self._said, None)
        found = []
        for one in (look, *look.others):
            logits = one.masks(valids[-1]).logits[0]
            for valid in valids[-2::-1]:
                logits = afar.enlarged(logits, valid.shape)
            times = afar.TIMES ** (len(self._views) - 1)
            found.append(Reading(obedient(logits, seeds, valids[0]), one.score, times))
        return found
