"""The order in which features are reviewed: the doubtful first."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from typing import Dict, Iterable, List, Optional, Tuple

from .reviewed import STATES, Item, Wanted

LONGEST = 200
"""Classes or flags to choose from, at most: the most frequent."""
Doubt = Tuple[int, float, bool, int, int]


def doubt(item: Item) -> Doubt:
    """Return by what a queue is sorted: most flags, then the least score, then the number.

    What has no score comes after what has one, and what is not saved yet after what is.
    """
    score = 2.0 if item.score is None else item.score
    return -len(item.flags), score, item.fid < 0, abs(item.number), abs(item.fid)


class Queue:
    """The features of a layer, and which of them a review goes through.

    A state changes no order, so that it costs nothing; what is shown is sorted anew only where
    features, classes, flags or scores are others, or something else is wanted.
    """

    def __init__(self) -> None:
        self._items: Dict[int, Item] = {}
        self._wanted = Wanted()
        self._sorted: Optional[Tuple[List[Doubt], List[int]]] = None

    def fill(self, items: Iterable[Item]) -> None:
        """Take these features in the place of all others."""
        self._items = {one.fid: one for one in items}
        self._sorted = None

    def put(self, item: Item) -> None:
        """Take a feature, or what is new of it."""
        before = self._items.get(item.fid)
        self._items[item.fid] = item
        if before is None or before._replace(state=item.state, own=item.own) != item:
            self._sorted = None

    def drop(self, fids: Iterable[int]) -> None:
        """Forget features."""
        for fid in fids:
            if self._items.pop(fid, None) is not None:
                self._sorted = None

    @property
    def wanted(self) -> Wanted:
        """Which features it goes through."""
        return self._wanted

    @wanted.setter
    def wanted(self, wanted: Wanted) -> None:
        if wanted._replace(state=None) != self._wanted._replace(state=None):
            self._sorted = None
        self._wanted = wanted

    def __len__(self) -> int:
        """Return how many features there are, also of those that are not wanted."""
        return len(self._items)

    def get(self, fid: int) -> Optional[Item]:
        """Return what is known of a feature; None where it is gone."""
        return self._items.get(fid)

    @property
    def shown(self) -> List[int]:
        """Ids of what is wanted, in any state, the most doubtful first."""
        return self._by_doubt()[1]

    @property
    def left(self) -> List[int]:
        """Ids of what is wanted, in the state that is wanted, the most doubtful first."""
        return [fid for fid in self.shown if self._takes(fid)]

    def sorted(self, items: Iterable[Item]) -> List[Item]:
        """Return features, the most doubtful first."""
        return sorted(items, key=doubt)

    def place(self, item: Item) -> Optional[int]:
        """Return the number from 1 of a feature among those that are shown, or None."""
        keys, fids = self._by_doubt()
        at = bisect_left(keys, doubt(item))
        return at + 1 if at < len(fids) and fids[at] == item.fid else None

    def counts(self) -> Dict[str, int]:
        """Return how many of what is shown are in each state."""
        found = Counter(self._items[fid].state for fid in self.shown)
        return {state: found[state] for state in STATES}

    def beside(self, item: Optional[Item], step: int) -> Optional[Item]:
        """Return what comes after a feature, or before it; None if there is nothing left.

        After the last it begins again with the first: what was skipped comes back.

        Args:
            item: Any feature, also one that is gone or is not shown; None for the beginning.
            step: 1 for after, -1 for before.
        """
        keys, fids = self._by_doubt()
        many = len(fids)
        if item is None:
            start = 0
        elif step > 0:
            start = bisect_right(keys, doubt(item))
        else:
            start = bisect_left(keys, doubt(item))
        ways = (range(start, many), range(start)) if step > 0 else (
            range(start - 1, -1, -1), range(many - 1, start - 1, -1)
        )  # fmt: skip
        found = next((fids[at] for way in ways for at in way if self._takes(fids[at])), None)
        return None if found is None else self._items[found]

    def labels(self) -> List[str]:
        """Return the classes that there are, in order of the alphabet."""
        return _frequent(Counter(one.label for one in self._items.values()))

    def flags(self) -> List[str]:
        """Return the flags that there are, in order of the alphabet."""
        return _frequent(Counter(flag for one in self._items.values() for flag in one.flags))

    def _takes(self, fid: int) -> bool:
        state = self._wanted.state
        return state is None or self._items[fid].state == state

    def _by_doubt(self) -> Tuple[List[Doubt], List[int]]:
        if self._sorted is None:
            found = [one for one in self._items.values() if self._wanted.shows(one)]
            keyed = sorted((doubt(one), one.fid) for one in found)
            self._sorted = [key for key, _ in keyed], [fid for _, fid in keyed]
        return self._sorted


def _frequent(counts: Counter[str]) -> List[str]:
    return sorted(name for name, _ in counts.most_common(LONGEST))
