"""The network learns: simulated clicks on features, and the memory of what it knew."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from geoiseg.training.losses import (
    best_loss,
    edge_weights,
    mask_iou,
    mask_loss,
    ranking_loss,
    score_loss,
)
from geoiseg.training.optimiser import Muon
from geoiseg.training.own.crops import Example, batched
from geoiseg.training.own.lessons import Lessons
from geoiseg.training.own.ordinary import Memory, click
from geoiseg.training.own.pupil import Pupil
from geoiseg.training.prompt_maps import Prompt, compact
from geoiseg.training.simulate import Objects, Simulator, depth

ROUNDS = 2
"""Prompts in turn on each crop."""
CLICKS = 3
"""Of the simulated user on what is held out, by whose mean IoU training ends."""
OTHERS_WEIGHT, SCORE_WEIGHT = 0.35, 0.5
"""Of the losses of the alternatives and of the scores, beside that of the masks."""
WARM_UP = 0.08
"""Share of the steps in which the rate rises."""

State = dict[str, Any]
"""Of a training that is not finished."""


@dataclass(frozen=True, slots=True)
class LearnOptions:
    """How a pupil learns."""

    steps: int = 160
    """At most."""
    batch: int = 4
    """Crops of features in a step."""
    ordinary: int = 4
    """Crops of ordinary places in a step."""
    rate: float = 4e-4
    """Of learning, at its peak."""
    encoder_rate: float = 4e-5
    """The same of the encoder's last stages, where they learn."""
    decay: float = 0.01
    """Of weights."""
    keep: float = 1.0
    """Weight of what was known before."""
    every: int = 20
    """Steps between looks at what is held out."""
    patience: int = 3
    """Looks in turn without a gain after which training ends."""
    gain: float = 0.002
    """IoU that counts as a gain."""
    seed: int = 0
    """Of all chance."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """What became of a pupil."""

    pupil: Pupil
    """The best one."""
    step: int
    """That it comes from; 0 where none was better than the one it began with."""
    steps: int
    """Made in all."""
    ious: tuple[float, ...]
    """Mean IoU on what is held out at each look, the first one before the first step."""


def learn(
    course: Course, lessons: Lessons,
    tell: Callable[[int, float], object] = lambda _step, _iou: None,
    keep: Callable[[State], object] = lambda _state: None,
) -> Learnt:  # fmt: skip
    """Return what has learnt from crops, to the end of its course.

    Args:
        course: Where it is.
        lessons: What there is to learn from.
        tell: Told the step and the latest IoU on what is held out.
        keep: Given what there is to go on from, at each look at what is held out.
    """
    every, steps = course.options.every, course.options.steps
    if not course.ious:
        course.look(lessons.held)
    while not course.ended:
        course.learn_from(lessons.own, lessons.known)
        if course.step % every == 0 or course.step == steps:
            course.look(lessons.held)
            keep(course.state())
        tell(course.step, course.ious[-1])
    return course.learnt()


class Course:
    """A pupil on its way, which can be left at any step and be gone on with.

    Args:
        before: Where it begins; stays as it is.
        options: How it learns.
    """

    def __init__(self, before: Pupil, options: LearnOptions) -> None:
        torch.manual_seed(options.seed)
        self.options = options
        self._rng = np.random.default_rng(options.seed)
        self._chance = torch.Generator().manual_seed(options.seed)
        self._simulator = Simulator(self._chance)
        self._memory, self._mine = Memory(before, self._simulator), copy.deepcopy(before)
        self._rates = (options.rate, options.encoder_rate)
        parts = list(self._mine.decoder.parameters()), self._mine.encoder_parameters()
        self._optimiser = Muon(
            [{"params": part, "weight_decay": options.decay} for part in parts], options.rate
        )
        self._best, self._best_step = copy.deepcopy(self._mine.state_dict()), 0
        self.step = 0
        self.ious: list[float] = []
        """Mean IoU on what is held out at each look."""

    @property
    def ended(self) -> bool:
        """Whether all steps are made, or no more is gained."""
        options = self.options
        idle = self.step - self._best_step >= options.every * options.patience
        return self.step >= options.steps or (idle and self.step % options.every == 0)

    def learn_from(self, own: Sequence[Example], known: Sequence[Example]) -> None:
        """Make a step with some of the crops of features, and some of ordinary places."""
        options, mine = self.options, self._mine
        for group, rate in zip(self._optimiser.param_groups, self._rates, strict=True):
            group["lr"] = rate * _share(self.step / options.steps)
        loss = _own_loss(mine, self._simulator, *batched(_some(own, options.batch, self._rng)))
        if known:
            ordinary = batched(_some(known, options.ordinary, self._rng))
            loss = loss + options.keep * self._memory.loss(mine, *ordinary)
        self._optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(mine.parameters(), 1.0)
        self._optimiser.step()
        self.step += 1

    def look(self, held: Sequence[Example]) -> None:
        """Measure on what is held out, and take the weights if they are the best so far."""
        self.ious.append(held_iou(self._mine, held))
        if self.ious[-1] > self.ious[self._best_step // self.options.every] + self.options.gain:
            self._best, self._best_step = copy.deepcopy(self._mine.state_dict()), self.step

    def state(self) -> State:
        """Return all that is needed to go on from here, as ``torch.save`` takes it."""
        return {
            "step": self.step, "best_step": self._best_step, "ious": self.ious,
            "mine": self._mine.state_dict(), "best": self._best,
            "optimiser": self._optimiser.state_dict(), "chance": self._chance.get_state(),
            "rng": json.dumps(self._rng.bit_generator.state), "torch": torch.get_rng_state(),
        }  # fmt: skip

    def take(self, state: State) -> None:
        """Go on from a state."""
        self.step, self._best_step = state["step"], state["best_step"]
        self.ious, self._best = list(state["ious"]), state["best"]
        self._mine.load_state_dict(state["mine"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._chance.set_state(state["chance"])
        self._rng.bit_generator.state = json.loads(state["rng"])
        torch.set_rng_state(state["torch"])

    def learnt(self) -> Learnt:
        """Return the best pupil so far."""
        pupil = copy.deepcopy(self._mine)
        pupil.load_state_dict(self._best)
        return Learnt(pupil, self._best_step, self.step, tuple(self.ious))


def between(before: Pupil, after: Pupil, share: float) -> Pupil:
    """Return a pupil whose weights are so much of the way from one to another."""
    mixed, other = copy.deepcopy(before), after.state_dict()
    state = {name: one + share * (other[name] - one) for name, one in before.state_dict().items()}
    mixed.load_state_dict(state)
    return mixed


def held_iou(pupil: Pupil, examples: Sequence[Example]) -> float:
    """Return the mean IoU of the first answers to a user who clicks the middle of errors."""
    found: list[float] = []
    for start in range(0, len(examples), 8):
        layers, objects = batched(examples[start : start + 8])
        with torch.no_grad():
            features = pupil.features(layers)
        logits = torch.full_like(objects.target, -1.0)[:, None]
        prompts: list[tuple[Tensor, Tensor]] = []
        for turn in range(CLICKS):
            prompts.append(_click_on_error(logits[:, 0], objects))
            prompt = _prompt(prompts, logits if turn else None)
            with torch.no_grad():
                logits, _ = pupil.decoder(features, prompt)
            found += mask_iou(logits[:, 0], objects.target, objects.known).tolist()
    return float(np.mean(found))


def _click_on_error(logits: Tensor, objects: Objects) -> tuple[Tensor, Tensor]:
    """Return ``(b, 2)`` places in the middle of the largest error, and ``(b,)`` signs."""
    mask = (logits > 0).float()
    missed = depth(objects.target * (1 - mask) * objects.known)
    wrong = depth((1 - objects.target) * mask * objects.known)
    positive = missed.amax((1, 2)) >= wrong.amax((1, 2))
    error = torch.where(positive[:, None, None], missed, wrong).flatten(1)
    place, width = error.argmax(1), logits.shape[2]
    xy = torch.stack([place % width, place // width], 1).float() + 0.5
    return xy, torch.where(positive, 1.0, -1.0) * (error.amax(1) > 0)


def _prompt(clicks: list[tuple[Tensor, Tensor]], logits: Tensor | None) -> Prompt:
    """Return clicks and the last mask as a prompt."""
    one = click(0.0, 0.0)
    count = len(clicks[0][1])
    previous = one.previous.expand(count, -1, -1, -1)
    if logits is not None:
        previous = functional.avg_pool2d(torch.sigmoid(logits), 2)
    return Prompt(
        torch.stack([xy for xy, _ in clicks], 1),
        torch.stack([sign for _, sign in clicks], 1),
        torch.zeros(count, 4),
        previous,
        torch.full((count,), 0.0 if logits is None else 1.0),
    )


def _own_loss(
    pupil: Pupil, simulator: Simulator, layers: Sequence[Tensor], objects: Objects
) -> Tensor:
    """Return the loss of the answers to simulated prompts for features."""
    decoder, features = pupil.decoder, pupil.features(layers)
    given = objects.target, objects.known, edge_weights(objects.target, objects.known)
    prompt, losses = simulator.first(objects), []
    for turn in range(ROUNDS):
        if turn == 0:
            logits, score, others, scores = decoder.alternatives(features, compact(prompt))
            losses.append(ROUNDS * OTHERS_WEIGHT * _others_loss(others, scores, *given))
        else:
            logits, score = decoder(features, compact(prompt))
        iou = mask_iou(logits[:, 0].detach(), objects.target, objects.known)
        error = score_loss(score[:, 0], iou)
        losses.append((mask_loss(logits[:, 0], *given) + SCORE_WEIGHT * error).mean())
        if turn + 1 < ROUNDS:
            prompt = simulator.correct(prompt, objects, logits.detach(), turn)
    return torch.stack(losses).sum() / ROUNDS


def _others_loss(
    others: Tensor, scores: Tensor, target: Tensor, known: Tensor, weight: Tensor
) -> Tensor:
    each = others.unbind(1)
    loss = torch.stack([mask_loss(one, target, known, weight) for one in each], 1)
    iou = torch.stack([mask_iou(one.detach(), target, known) for one in each], 1)
    error = score_loss(scores, iou).mean(1)
    return (best_loss(loss) + SCORE_WEIGHT * error).mean() + 0.5 * ranking_loss(scores, iou)


def _some(examples: Sequence[Example], count: int, rng: np.random.Generator) -> list[Example]:
    return [examples[int(one)] for one in rng.integers(0, len(examples), count)]


def _share(progress: float) -> float:
    """Return the share of the peak rate: a rise, then half a cosine."""
    if progress < WARM_UP:
        return 0.1 + 0.9 * progress / WARM_UP
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))
