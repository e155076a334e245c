"""Ordinary places, on which a model that learns is to go on answering as it did."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from geoiseg.training.own.crops import FEWEST, SIDE, Cutter, Example, Look, View, encoded
from geoiseg.training.own.pupil import Pupil
from geoiseg.training.procedural.scenes import make_scene
from geoiseg.training.prompt_maps import Prompt
from geoiseg.training.simulate import Objects, Simulator

FIRST_SEED = 40_000
"""Of the made scenes; none of them was shown to the network before."""
SCENE = 480
"""Side in pixels of a made scene."""
MOST_MADE = 6
"""Crops of one made scene."""
DENSE_WEIGHT = 4.0
"""Of what the dense heads say, beside masks."""
OVERLAP = 0.05
"""Share of a feature's pixels in an answer from which on the place is no ordinary one."""
TRIES = 4
"""Places that are tried for each one that is wanted."""


def made_views(rng: np.random.Generator, count: int) -> Iterator[View]:
    """Yield crops of scenes that are drawn by procedure: coasts, towns, fields, islands."""
    for number in range(-(-count // MOST_MADE)):
        canvas = make_scene(FIRST_SEED + int(rng.integers(10_000)), SCENE)
        pixels, ids = canvas.as_bytes(), canvas.ids.astype(np.int64)
        for _ in range(min(MOST_MADE, count - number * MOST_MADE)):
            row, col = rng.integers(0, SCENE - SIDE + 1, 2)
            window = slice(row, row + SIDE), slice(col, col + SIDE)
            yield View(pixels[window], np.ones((SIDE, SIDE), bool), ids[window])


def rasters_views(cutters: Sequence[Cutter], rng: np.random.Generator) -> Iterator[View]:
    """Yield crops of random places of the rasters, without end."""
    while True:
        yield cutters[int(rng.integers(len(cutters)))].anywhere(rng)


def ordinary(
    pupil: Pupil, look: Look, views: Iterator[View], count: int, rng: np.random.Generator,
    *, apart: bool, tell: Callable[[], object] = lambda: None,
) -> list[Example]:  # fmt: skip
    """Return crops whose object is what a network takes a click on a random place for.

    Args:
        pupil: As it was before it learnt.
        look: Gives what is kept of a crop.
        views: Where to look.
        count: Crops at most.
        rng: Where to click.
        apart: Whether what lies on features is left out.
        tell: Told of each one that was looked at.
    """
    found: list[Example] = []
    for view, _ in zip(views, range(TRIES * count), strict=False):
        place = _place(view, rng, apart=apart)
        if place is None:
            continue
        example = encoded(look, view, 1)
        answer = _answer(pupil, example, place) & view.valid
        held = view.ids[answer] if apart else view.ids[:0]
        if answer.sum() >= FEWEST and (held != 0).sum() <= OVERLAP * answer.sum():
            found.append(replace(example, ids=torch.from_numpy(answer.astype(np.int64))))
            tell()
        if len(found) == count:
            break
    return found


def _place(view: View, rng: np.random.Generator, *, apart: bool) -> tuple[float, float] | None:
    free = view.valid & (view.ids == 0) if apart else view.valid
    rows, cols = np.nonzero(free)
    if len(rows) < FEWEST:
        return None
    one = int(rng.integers(len(rows)))
    return float(cols[one]) + 0.5, float(rows[one]) + 0.5


def click(x: float, y: float) -> Prompt:
    """Return a single click on an object in a crop."""
    half = SIDE // 2
    return Prompt(
        torch.tensor([[[x, y]]]), torch.ones(1, 1), torch.zeros(1, 4),
        torch.zeros(1, 1, half, half), torch.zeros(1),
    )  # fmt: skip


def _answer(pupil: Pupil, example: Example, place: tuple[float, float]) -> NDArray[np.bool_]:
    with torch.no_grad():
        features = pupil.features([layer[None].float() for layer in example.layers])
        logits, _ = pupil.decoder(features, click(*place))
    return np.asarray(logits[0, 0].numpy() > 0)


class Memory:
    """Tells how far a pupil has gone from what it answered before.

    Args:
        before: The pupil as it was.
        simulator: Draws prompts.
    """

    def __init__(self, before: Pupil, simulator: Simulator) -> None:
        self._before, self._simulator = before, simulator

    def loss(self, pupil: Pupil, layers: Sequence[Tensor], objects: Objects) -> Tensor:
        """Return the mean divergence of masks, scores and dense heads from those before."""
        prompt = self._simulator.first(objects)
        with torch.no_grad():
            seen = self._before.features(layers)
            logits, score, others, scores = self._before.decoder.alternatives(seen, prompt)
        now = pupil.features(layers)
        mine, my_score, my_others, my_scores = pupil.decoder.alternatives(now, prompt)
        masks = _divergence(mine, logits, objects.known)
        rest = _divergence(my_others, others, objects.known)
        said = torch.cat([my_score, my_scores], 1).sigmoid()
        gone = (said - torch.cat([score, scores], 1).sigmoid()) ** 2
        dense = (now.dense.sigmoid() - seen.dense.sigmoid()) ** 2
        return masks + 0.3 * rest + gone.mean() + DENSE_WEIGHT * dense.mean()


def _divergence(mine: Tensor, before: Tensor, known: Tensor) -> Tensor:
    """Return how far masks are from those before, in all relative to what these cover."""
    wanted = torch.sigmoid(before)
    cross = functional.binary_cross_entropy_with_logits(mine, wanted, reduction="none")
    least = functional.binary_cross_entropy_with_logits(before, wanted, reduction="none")
    each = ((cross - least) * known[:, None]).sum((2, 3))
    return (each / wanted.sum((2, 3)).clamp(min=SIDE)).mean()
