"""The classes a user gives to features, in order and with their colours. A value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from geoiseg.errors import SessionError
from geoiseg.files import PALETTE
from geoiseg.widget.channel.actions import MAX_CLASSES

FIRST = "object"
"""The class there is when none was named."""
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True, slots=True)
class Labels:
    """Names and colours."""

    items: tuple[tuple[str, str], ...] = ((FIRST, PALETTE[0]),)
    """``(name, colour)``; a colour is ``#rrggbb``."""

    @classmethod
    def of(
        cls, names: Iterable[str] | Mapping[str, str], saved: Iterable[tuple[str, str]] = ()
    ) -> Labels:
        """Return labels from names, or from names with colours, and then those saved before.

        A name that comes without a colour keeps the one it was saved with.

        Raises:
            SessionError: A name or a colour can not be used, or there are too many.
        """
        labels = cls(())
        for name, colour in saved:
            if name.strip() and not labels.full:  # written by whom we do not know
                labels = labels.plus(name, colour if _COLOUR.fullmatch(colour) else None)
        colours = names if isinstance(names, Mapping) else {}
        given = {name.strip(): colours.get(name) for name in names}
        for name, wanted in given.items():
            labels = labels.plus(name, wanted)
        place = {name: number for number, name in enumerate(given)}
        ordered = sorted(labels.items, key=lambda item: place.get(item[0], len(place)))
        return cls(tuple(ordered)) if ordered else cls()

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.items)

    def __contains__(self, name: object) -> bool:
        return any(name == known for known, _ in self.items)

    @property
    def full(self) -> bool:
        """Whether there is no room for one more."""
        return len(self) >= MAX_CLASSES

    def __len__(self) -> int:
        return len(self.items)

    def colour(self, name: str) -> str:
        """Return the colour of a class; white for one that is not listed."""
        return dict(self.items).get(name, "#ffffff")

    def plus(self, name: str, colour: str | None = None) -> Labels:
        """Return the labels with one more at the end; the same where it is there already.

        Raises:
            SessionError: The name or the colour can not be used, or there are too many.
        """
        name = name.strip()
        if name in self:
            return self if colour is None else self.recoloured(name, colour)
        if not name:
            raise SessionError("a class needs a name, got an empty one")
        if self.full:
            raise SessionError(f"there are {MAX_CLASSES} classes already; remove one first")
        used = {taken for _, taken in self.items}
        free = [one for one in PALETTE if one not in used]
        next_one = free[0] if free else PALETTE[len(self) % len(PALETTE)]
        chosen = check_colour(colour) if colour else next_one
        return replace(self, items=(*self.items, (name, chosen)))

    def renamed(self, old: str, new: str) -> Labels:
        """Return the labels with another name for one.

        Raises:
            SessionError: There is no such class, or the new name is empty or taken.
        """
        self._check(old)
        new = new.strip()
        if not new or (new in self and new != old):
            raise SessionError(f"a class can not be renamed to {new!r}: empty or taken")
        return replace(
            self, items=tuple((new if name == old else name, one) for name, one in self.items)
        )

    def recoloured(self, name: str, colour: str) -> Labels:
        """Return the labels with another colour for one.

        Raises:
            SessionError: There is no such class, or the colour is none.
        """
        self._check(name)
        colour = check_colour(colour)
        items = tuple((known, colour if known == name else one) for known, one in self.items)
        return replace(self, items=items)

    def _check(self, name: str) -> None:
        if name not in self:
            raise SessionError(f"there is no class {name!r}; there are: {', '.join(self)}")


def check_colour(colour: str) -> str:
    """Return a colour in lower case.

    Raises:
        SessionError: It is not written ``#rrggbb``.
    """
    if not _COLOUR.fullmatch(colour):
        raise SessionError(f"a colour is written #rrggbb, got {colour!r}")
    return colour.lower()
