"""Objects found by words, and by other objects like them."""

from geoiseg.words.search import Candidate, Query, Search, Searcher

__all__ = ["Candidate", "Query", "Search", "Searcher"]
