"""The decoder learns: simulated clicks on features, and the memory of what it knew."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from geoiseg.training.features import Features
from geoiseg.training.losses import (
    best_loss,
    edge_weights,
    mask_iou,
    mask_loss,
    ranking_loss,
    score_loss,
)
from geoiseg.training.network import Decoder
from geoiseg.training.own.crops import Example, batched
from geoiseg.training.own.ordinary import Memory, click
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


@dataclass(frozen=True, slots=True)
class LearnOptions:
    """How the decoder learns."""

    steps: int = 160
    """At most."""
    batch: int = 4
    """Crops of features in a step."""
    ordinary: int = 4
    """Crops of ordinary places in a step."""
    rate: float = 6e-4
    """Of learning, at its peak."""
    decay: float = 0.01
    """Of weights."""
    keep: float = 1.0
    """Weight of what the decoder knew before."""
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
    """What became of a decoder."""

    decoder: Decoder
    """The best one."""
    step: int
    """That it comes from; 0 where none was better than the one it began with."""
    steps: int
    """Made in all."""
    ious: tuple[float, ...]
    """Mean IoU on what is held out at each look, the first one before the first step."""


def learn(
    before: Decoder, own: Sequence[Example], known: Sequence[Example], held: Sequence[Example],
    options: LearnOptions, tell: Callable[[int, float], object] = lambda _step, _iou: None,
) -> Learnt:  # fmt: skip
    """Return a decoder that has learnt from crops; the one before stays as it is.

    Args:
        before: Where it begins.
        own: Crops of features.
        known: Crops of ordinary places, on which the answers are to stay; or none.
        held: Crops of features held out: which weights are taken and when training ends goes by
            them.
        options: How it learns.
        tell: Told the step and the latest IoU on what is held out.
    """
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    simulator = Simulator(torch.Generator().manual_seed(options.seed))
    memory, mine = Memory(before, simulator), copy.deepcopy(before)
    optimiser = torch.optim.AdamW(mine.parameters(), lr=options.rate, weight_decay=options.decay)
    ious = [held_iou(mine, held)]
    best, best_step, step = copy.deepcopy(mine.state_dict()), 0, 0
    while step < options.steps:
        for group in optimiser.param_groups:
            group["lr"] = options.rate * _share(step / options.steps)
        loss = _own_loss(mine, simulator, *batched(_some(own, options.batch, rng)))
        if known:
            ordinary = batched(_some(known, options.ordinary, rng))
            loss = loss + options.keep * memory.loss(mine, *ordinary)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(mine.parameters(), 1.0)
        optimiser.step()
        step += 1
        if step % options.every == 0 or step == options.steps:
            ious.append(held_iou(mine, held))
            if ious[-1] > max(ious[:-1]) + options.gain:
                best, best_step = copy.deepcopy(mine.state_dict()), step
            elif step - best_step >= options.every * options.patience:
                tell(step, ious[-1])
                break
        tell(step, ious[-1])
    mine.load_state_dict(best)
    return Learnt(mine, best_step, step, tuple(ious))


def between(before: Decoder, after: Decoder, share: float) -> Decoder:
    """Return a decoder whose weights are so much of the way from one to another."""
    mixed, other = copy.deepcopy(before), after.state_dict()
    state = {name: one + share * (other[name] - one) for name, one in before.state_dict().items()}
    mixed.load_state_dict(state)
    return mixed


def held_iou(decoder: Decoder, examples: Sequence[Example]) -> float:
    """Return the mean IoU of the first answers to a user who clicks the middle of errors."""
    found: list[float] = []
    for start in range(0, len(examples), 8):
        features, objects = batched(examples[start : start + 8])
        logits = torch.full_like(objects.target, -1.0)[:, None]
        prompts: list[tuple[Tensor, Tensor]] = []
        for turn in range(CLICKS):
            prompts.append(_click_on_error(logits[:, 0], objects))
            prompt = _prompt(prompts, logits if turn else None)
            with torch.no_grad():
                logits, _ = decoder(features, prompt)
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
    decoder: Decoder, simulator: Simulator, features: Features, objects: Objects
) -> Tensor:
    """Return the loss of the answers to simulated prompts for features."""
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
