"""Several answers to a vague click, and the choice among them."""

from __future__ import annotations

from dataclasses import replace

from geoiseg.errors import SessionError
from geoiseg.segment import Mask, Outcome, Step, Watch
from geoiseg.segment.alternatives import alike
from geoiseg.session.prompting import Prompting


class Choosing(Prompting):
    """A part, the whole, a group: the object in progress is one of them."""

    _answers: tuple[Outcome, tuple[Outcome, ...]] | None = None

    @property
    def alternatives(self) -> tuple[Mask, ...]:
        """What the prompts may mean, the smallest first: often a part, the whole, a group.

        The model is asked at the first look. One alone where it sees no other meaning; none of
        an object that was followed beyond its chip, or where there is none.
        """
        return tuple(one.mask for one in self._alternatives(None))

    @property
    def choice(self) -> int | None:
        """Which of the alternatives the object in progress is, or is most like."""
        outcome, found = self.first_seen, self._alternatives(None)
        if outcome is None or not found:
            return None
        return max(range(len(found)), key=lambda number: alike(found[number], outcome))

    def choose(self, number: int, *, watch: Watch | None = None) -> None:
        """Take one of the alternatives as the object in progress: one step to undo.

        It is replayed as every step; what is said next refines what was chosen.

        Args:
            number: Its place in ``alternatives``, from 0.
            watch: To follow or stop the work.

        Raises:
            SessionError: There is no object on a chip, or no such alternative.
        """
        with self._lock:
            state, found = self._state, self._alternatives(watch)
            if state.outcome is None:
                raise SessionError("there is no object yet: add a point or a box first")
            if not found:
                raise SessionError("choose an answer before the object is followed or sharpened")
            if isinstance(number, bool) or number not in range(len(found)):
                raise SessionError(
                    f"there are {len(found)} answers to choose from, from 0; got {number!r}"
                )
            steps, seen = self._plain(state)
            said = steps if steps[-1].choice is None else steps[:-1]
            last = said[-1]
            step = Step((), last.gsd, spectral=last.spectral, choice=int(number))
            steps = (*said, step)
            outcome = self.segmenter.run(steps, seen, watch)
            self._answers = (outcome, found)
            self._history.push(replace(state, steps=steps, outcome=outcome))

    def _alternatives(self, watch: Watch | None) -> tuple[Outcome, ...]:
        with self._lock:
            steps, outcome = self._plain(self._state)
            if outcome is None or outcome.mask.is_empty:
                return ()
            if self._answers is None or self._answers[0] is not outcome:
                found = self.segmenter.alternatives(steps, outcome, watch)
                self._answers = (outcome, found)
            return self._answers[1]
