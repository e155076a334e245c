"""The training loop: resumable, reproducible from its seed, on a CPU or a GPU."""

from __future__ import annotations

import copy
import json
import logging
import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from geoiseg.errors import ModelError
from geoiseg.training.augment import Augment
from geoiseg.training.bank import SceneBank
from geoiseg.training.features import Features
from geoiseg.training.losses import (
    best_loss,
    dense_loss,
    edge_weights,
    mask_iou,
    mask_loss,
    ranking_loss,
    score_loss,
)
from geoiseg.training.network import TinyNet
from geoiseg.training.optimiser import Muon
from geoiseg.training.options import TrainingOptions
from geoiseg.training.prompt_maps import compact
from geoiseg.training.simulate import Objects, Simulator, another, objects_of
from geoiseg.training.trunk import LATE, pretrained_weights

log = logging.getLogger(__name__)
LOG_EVERY = 20
SMALLEST_TARGET = 16.0
"""Crops that show fewer pixels of their object do not count."""
DENSE_WEIGHT, OTHERS_WEIGHT = 0.4, 0.35
"""Of the loss of the dense heads and of that of the alternatives, beside that of the masks."""


class Trainer:
    """State of a training run; everything in it is saved and restored."""

    def __init__(self, options: TrainingOptions, bank: SceneBank, folder: Path) -> None:
        self.options, self.bank, self.folder = options, bank, folder
        torch.manual_seed(options.seed)
        device = torch.device(options.device)
        self.rank, self.ranks = _rank()
        self.generator = torch.Generator(device).manual_seed(options.seed + 1000 * self.rank)
        self.dice = torch.Generator().manual_seed(options.seed)
        self.net = TinyNet(options.net).to(device, memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.net).eval()
        self.optimiser = Muon(_groups(self.net, options), options.rate)
        self.augment, self.simulator = Augment(self.generator), Simulator(self.generator)
        self.step, self.seconds, self.began = 0, 0.0, time.perf_counter()
        self.encode: Any = self.net.encoder
        self.decode: Any = self.net.decoder
        self.decode_all: Any = self.net.decoder.alternatives
        if options.compile:
            self.encode, self.decode = torch.compile(self.encode), torch.compile(self.decode)
            self.decode_all = torch.compile(self.decode_all)

    @property
    def progress(self) -> float:
        """Share of the run that is done, 0..1."""
        if self.options.steps is not None:
            return min(1.0, self.step / max(1, self.options.steps))
        return min(1.0, self.seconds / (60 * self.options.minutes))

    def run(self) -> None:
        """Train to the end of the run, saving and logging on the way."""
        self.folder.mkdir(parents=True, exist_ok=True)
        saved = self.seconds
        rows: list[dict[str, float]] = []
        self.began = time.perf_counter()
        while self.progress < 1:
            rows.append(self.advance())
            if self.step % LOG_EVERY == 0 or self.progress >= 1:
                self._write_log(rows)
                rows = []
            if self.seconds - saved > 60 * self.options.save_every:
                self.save()
                saved = self.seconds
        self.save()

    def advance(self) -> dict[str, float]:
        """Make one step and return its figures."""
        rate = self._set_rates()
        size = _drawn(self.options.sizes, self.dice)
        count = max(2, round(self.options.batch * (224 / size) ** 2))
        crops = self.bank.sample(count, size, self.options.crops, self.generator)
        image = self.augment(crops.image, crops.valid)
        image = image.contiguous(memory_format=torch.channels_last)
        merge = another(crops.ids, crops.target, self.generator)
        merge = merge * (torch.rand(count, generator=self.generator, device=merge.device) < 0.12)
        objects = objects_of(crops.ids, crops.valid, crops.target, merge)
        losses, figures = [], {}
        kind = torch.device(self.options.device).type
        with torch.autocast(kind, torch.bfloat16, enabled=self.options.half):
            features = Features(*self.encode(image, crops.valid))
            with torch.autocast(kind, enabled=False):
                dense = dense_loss(features.dense.float(), crops)
            losses.append(DENSE_WEIGHT * dense)
            figures["dense"] = dense.detach()
            losses.append(self._clicked(features, objects, figures))
        loss = torch.stack(losses).sum()
        self._update(loss)
        figures["loss"] = loss.detach()
        numbers = torch.stack(list(figures.values())).tolist()
        return {"rate": rate, "crops": count, **dict(zip(figures, numbers, strict=True))}

    def _clicked(self, features: Features, objects: Objects, figures: dict[str, Tensor]) -> Tensor:
        """Return the loss of the answers to the simulated user, and put down its parts."""
        judge = _Judge(objects)
        prompt = self.simulator.first(objects)
        before = _drawn(self.options.corrections, self.dice)
        for turn in range(before):
            with torch.no_grad():
                answer = self.decode(features, compact(prompt))[0].float()
            prompt = self.simulator.correct(prompt, objects, answer, turn)
        losses, errors = [], []
        for turn in range(self.options.rounds):
            if turn + before == 0:
                logits, score, others, scores = self.decode_all(features, compact(prompt))
                other, figures["best1"] = judge.others(others.float(), scores.float())
                losses.append(self.options.rounds * OTHERS_WEIGHT * other)
            else:
                logits, score = self.decode(features, compact(prompt))
            logits = logits.float()
            loss, iou, error = judge.one(logits, score.float())
            if not before:
                figures[f"iou{turn + 1}"] = iou
            losses.append(loss)
            errors.append(error)
            if turn + 1 < self.options.rounds:
                prompt = self.simulator.correct(prompt, objects, logits.detach(), turn + before)
        if before:
            figures["late"] = iou
        figures["score_error"] = torch.stack(errors).mean()
        return torch.stack(losses).sum() / self.options.rounds

    def _set_rates(self) -> float:
        """Set what learns now, and how fast; return the rate of what learns fastest."""
        rate = self.options.rate * _schedule(self.progress, self.options.warm_up, self.options.hold)
        trunk = self.net.encoder.trunk
        stage = sum(self.progress >= share for share in self.options.thaw)
        frozen = (len(trunk.blocks), LATE, 0)[stage]
        if trunk.frozen != frozen or self.step == 0:
            trunk.freeze(frozen)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["factor"]
        return rate

    def save(self) -> Path:
        """Write the checkpoint, through a temporary sibling, and return its path."""
        path = self.folder / "checkpoint.pt"
        if self.rank:
            return path
        state = {
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "dice": self.dice.get_state(),
            "step": self.step,
            "seconds": self.seconds,
            "processes": self.ranks,
            "options": json.dumps(asdict(self.options)),
        }
        temporary = path.with_suffix(".part")
        torch.save(state, temporary)
        temporary.replace(path)
        return path

    def resume(self, path: Path) -> None:
        """Go on where a checkpoint of the same run stopped.

        Raises:
            ModelError: An earlier version made it, which learned otherwise.
        """
        state = torch.load(path, map_location=self.options.device, weights_only=True)
        if any("momentum" not in group for group in state["optimiser"]["param_groups"]):
            raise ModelError(f"{path} was made by another optimiser; begin from it with --start")
        self.start_from(path)
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"].cpu())
        self.dice.set_state(state["dice"].cpu())
        self.step, self.seconds = state["step"], state["seconds"]
        self._set_rates()
        self._cut_log()
        log.info("resumed at step %d", self.step)

    def start_from(self, path: Path) -> None:
        """Take the weights of a checkpoint, or those in an ``.npz``, but begin a new run."""
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as kept:
                weights = {name: torch.from_numpy(kept[name]) for name in kept.files}
        else:
            state = torch.load(path, map_location=self.options.device, weights_only=True)
            weights = state["net"]
        self.net.load_state_dict(weights)
        self.average.load_state_dict(weights if path.suffix == ".npz" else state["average"])

    def begin(self, earlier: Path | None) -> None:
        """Take the pre-trained trunk, and what of an earlier network's weights still fits."""
        known = {}
        if earlier is not None:
            with np.load(earlier, allow_pickle=False) as kept:
                known = {name: torch.from_numpy(kept[name]) for name in kept.files}
        self.net.begin(pretrained_weights(), known)
        self.average.load_state_dict(self.net.state_dict())

    def _update(self, loss: Tensor) -> None:
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        now = time.perf_counter()
        self.seconds, self.began = self.seconds + now - self.began, now
        if self.ranks > 1:
            self._share_gradients()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        keep = min(self.options.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            ours, theirs = self.average.state_dict(), self.net.state_dict()
            for name, value in theirs.items():
                if value.dtype.is_floating_point:
                    ours[name].lerp_(value, 1 - keep)
                else:
                    ours[name].copy_(value)

    def _share_gradients(self) -> None:
        """Average the gradients and the clock over all processes, so that they stay equal."""
        parts = [p.grad for p in self.net.parameters() if p.grad is not None]
        clock = torch.tensor([self.seconds], device=parts[0].device)
        flat = torch.cat([part.flatten() for part in parts] + [clock])
        torch.distributed.all_reduce(flat)
        flat /= self.ranks
        for part, mean in zip(parts, flat[:-1].split([p.numel() for p in parts]), strict=True):
            part.copy_(mean.view_as(part))
        self.seconds = float(flat[-1])

    def _cut_log(self) -> None:
        """Drop what a run that stopped had logged after its last checkpoint."""
        path = self.folder / "log.jsonl"
        if self.rank or not path.exists():
            return
        lines = path.read_text().splitlines(keepends=True)
        kept = [line for line in lines if json.loads(line)["step"] <= self.step]
        path.write_text("".join(kept))

    def _write_log(self, rows: list[dict[str, float]]) -> None:
        if self.rank:
            return
        mean = {}
        for key in sorted({key for row in rows for key in row}):
            told = [row[key] for row in rows if key in row]
            mean[key] = sum(told) / len(told)
        line = {"step": self.step, "seconds": round(self.seconds, 1), **mean}
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps({k: round(v, 5) for k, v in line.items()}) + "\n")


def _drawn(shares: tuple[tuple[int, float], ...], dice: torch.Generator) -> int:
    """Return one of some numbers, each as often as its share says."""
    draw = float(torch.rand((), generator=dice))
    for number, share in shares:
        draw -= share
        if draw < 0:
            return number
    return shares[0][0]


def _rank() -> tuple[int, int]:
    """Return this process's number and their count: ``torchrun`` may start several."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


class _Judge:
    """Compares answers with what is wanted of a batch of crops."""

    def __init__(self, objects: Objects) -> None:
        self.target, self.known = objects.target, objects.known
        self.weight = edge_weights(objects.target, objects.known)
        self.counts = (objects.target.sum((1, 2)) >= SMALLEST_TARGET).float()

    def one(self, logits: Tensor, score: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the mean loss, IoU and error of the score of ``(b, 1, y, x)`` masks."""
        with torch.autocast(logits.device.type, enabled=False):
            loss = mask_loss(logits[:, 0], self.target, self.known, self.weight)
            iou = mask_iou(logits[:, 0].detach(), self.target, self.known)
            error = score_loss(score[:, 0], iou)
        means = [_mean(part, self.counts) for part in (loss + 0.5 * error, iou, error)]
        return means[0], means[1], means[2]

    def others(self, logits: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean loss of ``(b, n, y, x)`` alternatives and the best one's mean IoU."""
        with torch.autocast(logits.device.type, enabled=False):
            given = self.target, self.known, self.weight
            loss = torch.stack([mask_loss(one, *given) for one in logits.unbind(1)], 1)
            masks = logits.detach().unbind(1)
            iou = torch.stack([mask_iou(one, self.target, self.known) for one in masks], 1)
            error = score_loss(scores, iou).mean(1)
            total = _mean(best_loss(loss) + 0.5 * error, self.counts)
            ranked = 0.5 * ranking_loss(scores, iou)
        return total + ranked, _mean(iou.amax(1), self.counts)


def _groups(net: TinyNet, options: TrainingOptions) -> list[dict[str, Any]]:
    """Return parameter groups: matrices and kernels decay, offsets and norms do not.

    Each has the factor of its learning rate: the trunk learns slowly.
    """
    trunk = net.encoder.trunk
    late = {id(p) for block in trunk.blocks[LATE:] for p in block.parameters()}
    parts: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in net.named_parameters():
        slow = options.trunk_rates[0 if id(parameter) in late else 1]
        factor = slow if name.startswith("encoder.trunk.") else 1.0
        shrinks = options.decay if parameter.ndim > 1 else 0.0
        parts.setdefault((factor, shrinks), []).append(parameter)
    return [
        {"params": found, "weight_decay": shrinks, "factor": factor}
        for (factor, shrinks), found in parts.items()
    ]


def _schedule(progress: float, warm_up: float, hold: float = 0.0) -> float:
    """Return the share of the peak rate: a linear rise, a plateau, half a cosine down to 1 %."""
    if progress < warm_up:
        return 0.05 + 0.95 * progress / warm_up
    start = max(warm_up, hold)
    fallen = max(0.0, progress - start) / (1 - start)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * fallen))


def _mean(values: Tensor, counts: Tensor) -> Tensor:
    return (values * counts).sum() / counts.sum().clamp(min=1)
