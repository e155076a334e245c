"""Words in many languages for the few classes that are known without any download."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

from geoiseg.errors import PromptError
from geoiseg.models.tiny.words import CLASSES
from geoiseg.prompting import MAX_TEXT
from geoiseg.words.synonyms import ARTICLES, SYNONYMS

TITLES = {
    "water": "water",
    "building": "building",
    "road": "road",
    "vegetation": "vegetation",
    "land": "bare land",
    "field": "crop field",
    "snow": "snow",
    "burnt": "burnt ground",
}
"""How each class is named to a user."""
KNOWN = (*CLASSES, "snow", "burnt")
"""All classes: those of the head, and those that only bands beyond the visible ones tell."""
OPEN_VOCABULARY = (
    "for other words take an engine with an open vocabulary: geoiseg models lists clip-vit-b-32,"
    " owlv2-base, grounding-dino-tiny, clipseg and sam3, and `geoiseg models pull NAME` fetches one"
)
_AND = re.compile(r"[,;/|+&、，和]|\b(?:and|or|und|oder|et|ou|y|e|i)\b|\sو\s")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text means in the closed vocabulary."""

    classes: tuple[str, ...]
    """Of :data:`KNOWN`, in the order of the text."""
    ignored: tuple[str, ...] = ()
    """Words that qualify and are not told apart, such as ``irrigated``."""

    @property
    def note(self) -> str:
        """What was understood, in one line."""
        said = " and ".join(TITLES[name] for name in self.classes)
        if not self.ignored:
            return f"looking for {said}"
        return f"looking for {said}; not told apart: {', '.join(self.ignored)}"


def read_words(text: str) -> Reading:
    """Return the classes that a text names.

    Case, accents, plurals and punctuation do not matter; ``,``, ``and`` and ``+`` join
    several. In a phrase the last known word counts: "irrigated field" is a field.

    Raises:
        PromptError: The text is empty or too long, or no word of a part of it is known; the
            message names the vocabulary.
    """
    text = check_text(text)
    classes: list[str] = []
    ignored: list[str] = []
    for phrase in filter(None, (_folded(part) for part in _AND.split(text.casefold()))):
        found, rest = _class_of(phrase)
        if found is None:
            raise PromptError(
                f"{_short(phrase)!r} is not in the vocabulary that needs no download:"
                f" {', '.join(TITLES.values())}, and their synonyms in many languages;"
                f" {OPEN_VOCABULARY}"
            )
        classes.append(found)
        ignored += rest
    if not classes:
        raise PromptError(f"{_short(text)!r} holds no word; try {', '.join(TITLES.values())}")
    return Reading(tuple(dict.fromkeys(classes)), tuple(dict.fromkeys(ignored)))


def check_text(text: str) -> str:
    """Return a text without surrounding blanks and control characters.

    Raises:
        PromptError: It is empty, too long or no text.
    """
    if not isinstance(text, str):
        raise PromptError(f"words are a text, got {type(text).__name__}")
    plain = "".join(c if c.isprintable() else " " for c in text)
    plain = " ".join(plain.split())
    if not plain:
        raise PromptError("a text prompt needs at least one word, got none")
    if len(plain) > MAX_TEXT:
        raise PromptError(f"a text prompt takes {MAX_TEXT} characters at most, got {len(plain)}")
    return plain


def vocabulary() -> dict[str, tuple[str, ...]]:
    """Return all known words of each class as they are written."""
    return {name: tuple(part.strip() for part in SYNONYMS[name].split(",") if part.strip())
            for name in KNOWN}  # fmt: skip


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def _folded(text: str) -> str:
    """Return a text in one case, without accents and punctuation."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(c for c in plain if not _is_accent(c)).replace("ß", "ss").replace("ı", "i")
    return " ".join(re.sub(r"[^\w\s]|_", " ", unicodedata.normalize("NFC", kept)).split())


def _is_accent(character: str) -> bool:
    """Return whether a combining mark may be left out; in Thai or Hindi it is a vowel."""
    return "\u0300" <= character <= "\u036f" or "\u064b" <= character <= "\u065f"


@cache
def _known() -> dict[str, str]:
    return {_folded(word): name for name, words in vocabulary().items() for word in words}


@cache
def _unspaced() -> tuple[tuple[str, str], ...]:
    """Return the words of scripts that put no blanks between words, longest first."""
    wide = [(word, name) for word, name in _known().items() if _is_wide(word)]
    return tuple(sorted(wide, key=lambda item: -len(item[0])))


def _is_wide(text: str) -> bool:
    return any("\u0e00" <= c <= "\u0eff" or "\u3040" <= c <= "\u9fff" for c in text)


def _lookup(word: str) -> str | None:
    known = _known()
    return next((known[form] for form in _forms(word) if form in known), None)


def _forms(word: str) -> tuple[str, ...]:
    """Return a word and what it may be the plural of."""
    forms = [word]
    if len(word) > 4 and word.endswith("ies"):
        forms.append(word[:-3] + "y")
    forms += [
        word[: -len(ending)]
        for ending in ("es", "en", "s", "n", "e")
        if len(word) > len(ending) + 2 and word.endswith(ending)
    ]
    if len(word) > 4 and word.startswith("ال"):  # the Arabic article
        forms.append(word[2:])
    return tuple(forms)


def _class_of(phrase: str) -> tuple[str | None, list[str]]:
    """Return the class of a phrase and the words in it that say nothing to us."""
    whole = _lookup(phrase)
    if whole is not None:
        return whole, []
    words = [word for word in phrase.split() if word not in ARTICLES]
    found, rest, place = None, [], 0
    while place < len(words):
        for size in (3, 2, 1):
            name = _lookup(" ".join(words[place : place + size]))
            if name is not None and place + size <= len(words):
                found, place = name, place + size
                break
        else:
            inner = next((name for word, name in _unspaced() if word in words[place]), None)
            found = found if inner is None else inner
            rest += [] if inner is not None else [words[place]]
            place += 1
    return found, rest
