"""Objects by words and by example.

In: what the user calls them, or outlines of some. Out: :class:`Candidate` objects with scores.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoiseg.lazy import lazy

if TYPE_CHECKING:
    from geoiseg.words.engine import Labels, WordEngine
    from geoiseg.words.engines import get_engine, get_like_engine
    from geoiseg.words.like import Classifier, LikeEngine, Prototypes, prototypes, taught
    from geoiseg.words.options import WordsOptions
    from geoiseg.words.search import LIMIT, Candidate, Query, Search, Searcher, view_of
    from geoiseg.words.view import Area, Bounds, find_area

__all__ = [
    "LIMIT",
    "Area",
    "Bounds",
    "Candidate",
    "Classifier",
    "Labels",
    "LikeEngine",
    "Prototypes",
    "Query",
    "Search",
    "Searcher",
    "WordEngine",
    "WordsOptions",
    "find_area",
    "get_engine",
    "get_like_engine",
    "prototypes",
    "taught",
    "view_of",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "engine": ["Labels", "WordEngine"],
        "engines": ["get_engine", "get_like_engine"],
        "like": ["Classifier", "LikeEngine", "Prototypes", "prototypes", "taught"],
        "options": ["WordsOptions"],
        "search": ["LIMIT", "Candidate", "Query", "Search", "Searcher", "view_of"],
        "view": ["Area", "Bounds", "find_area"],
    },
)
