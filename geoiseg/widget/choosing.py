"""Several answers to a vague click, one after the other."""

from __future__ import annotations

from geoiseg.segment import Watch
from geoiseg.widget.reshaping import Reshaping


class Choosing(Reshaping):
    """An editor that goes through what a click may mean."""

    def next_answer(self, *, wait: bool = True) -> None:
        """Take the next larger answer as the object, after the largest the smallest.

        Raises:
            SessionError: There is no object in progress, or it was followed beyond its chip.
        """

        def change(watch: Watch) -> None:
            found, choice = self.session.alternatives, self.session.choice
            if len(found) == 1:
                self._say("The model sees no other answer here: a click more says what is meant")
                return
            number = 0 if choice is None else (choice + 1) % len(found)
            self.session.choose(number, watch=watch)
            self._say(f"Answer {number + 1} of {len(found)}, by size")
            self._prompted()

        self._ask(change, wait=wait, stoppable=True)
