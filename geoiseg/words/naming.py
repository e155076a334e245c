"""A network that finds and names all by itself, YOLO, as an engine: words are its classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from geoiseg.errors import PromptError
from geoiseg.models import Model
from geoiseg.words.engine import Asked
from geoiseg.words.objectwise import Found, ObjectEngine
from geoiseg.words.view import View

NAMED = 12
"""Classes that a message names."""


class ClassNames(ObjectEngine):
    """The session's model has found all objects, each with its class.

    Args:
        model: With ``classes`` and ``objects``.
    """

    kind = "classes"
    threshold = 0.25

    def __init__(self, model: Model) -> None:
        super().__init__(model.info.name, model.info.weights_hash, model)

    def ask(self, text: str, negative: str) -> Asked:
        """Return the class that is meant, whatever its case.

        Raises:
            PromptError: The text is empty, too long, or none of the classes.
        """
        asked = super().ask(text, negative)
        answer: Any = self._model
        known = {name.casefold(): name for name in answer.classes}
        for word in (asked.wanted, *asked.unwanted):
            if word.casefold() not in known:
                some = ", ".join(answer.classes[:NAMED]) + (", …" if len(known) > NAMED else "")
                raise PromptError(
                    f"{self.name} knows {len(known)} classes by name, and {word!r} is none of them:"
                    f" {some}; for other words name an engine, e.g. 'words' or 'clip-vit-b-32'"
                )
        wanted, *others = (known[word.casefold()] for word in (asked.wanted, *asked.unwanted))
        return Asked(asked.note, wanted, tuple(others))

    def find(self, view: View, text: str, others: Sequence[str]) -> list[Found]:  # noqa: ARG002
        """Return the objects of a class on a chip; each has one class, so others say nothing."""
        answer: Any = self._model
        found = answer.objects(self.embedding(view))
        named = zip(found.masks, found.scores, found.labels, strict=True)
        return [Found(m, float(s)) for m, s, name in named if name == text and m.any()]
