"""Clicks on public sets by the protocol of RITM, and the row that papers print of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from geoiseg.evaluate.metrics import clicks_to, failed
from geoiseg.evaluate.outside import Labelled, objects_of, pairs_of
from geoiseg.evaluate.simulated_user import ClickOptions, click_embedding
from geoiseg.evaluate.users import make_user
from geoiseg.models import Model

TARGETS = (0.85, 0.90, 0.95)
"""IoU up to which clicks are counted."""
SHIFTED = ("ritm", "simpleclick", "focalclick", "cdnet", "dos")
"""Families whose logits are 0 at the probability from which they count a pixel as the object's."""


@dataclass(frozen=True, slots=True, eq=False)
class PublishedScore:
    """How the clicks on one object went."""

    name: str
    ious: tuple[float, ...]
    """IoU after each click, padded with the last."""
    clicks: int
    """Clicks made."""
    encode_seconds: float
    click_seconds: float
    """Of all clicks together."""


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """What a paper's table says of a model on a set."""

    objects: int
    noc: tuple[float, ...]
    """Mean number of clicks to each of :data:`TARGETS`."""
    nof: tuple[int, ...]
    """Objects that never reached it."""
    iou_1: float
    iou_5: float
    spc: float
    """Seconds per click, encoding included, as RITM counts them."""
    encode: float
    """Seconds of encoding per object."""

    def as_text(self, model: str, dataset: str) -> str:
        """Return a heading and the row, ready for a table in Markdown."""
        heads = [f"NoC@{100 * t:.0f}" for t in TARGETS] + [f"NoF@{100 * t:.0f}" for t in TARGETS]
        cells = [f"{n:.2f}" for n in self.noc] + [str(n) for n in self.nof]
        heads += ["IoU@1", "IoU@5", "SPC, s", "encode, s"]
        cells += [f"{n:.3f}" for n in (self.iou_1, self.iou_5, self.spc, self.encode)]
        lines = (["model", "set", "objects", *heads], ["---"] * (3 + len(heads)),
                 [model, dataset, str(self.objects), *cells])  # fmt: skip
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def as_json(self) -> dict[str, Any]:
        """Return the row by name."""
        named: dict[str, Any] = {"objects": self.objects}
        for target, noc, nof in zip(TARGETS, self.noc, self.nof, strict=True):
            named[f"noc{100 * target:.0f}"] = round(noc, 4)
            named[f"nof{100 * target:.0f}"] = nof
        return named | {"iou1": self.iou_1, "iou5": self.iou_5, "spc": self.spc,
                        "encode_s": self.encode}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PublishedOptions:
    """How a set is clicked on."""

    user: str = "centre"
    """Who clicks, one of ``users.USERS``."""
    seed: int = 0
    """Of the user's chance; each object has its own."""
    limit: int | None = None
    """At most so many objects of the set, of the pictures in the order of their names."""
    max_clicks: int = 20
    """On each object."""


def score_object(item: Labelled, model: Model, how: PublishedOptions) -> PublishedScore:
    """Return how a simulated user fares with one object.

    Args:
        item: The object.
        model: The engine.
        how: Who clicks, and how often.
    """
    options = ClickOptions(
        max_clicks=how.max_clicks,
        threshold=0.5 if model.info.family in SHIFTED else 0.49,
        stop_at=max(TARGETS),
        stop_after=min(5, how.max_clicks),
    )
    begin = perf_counter()
    embedding = model.embed(item.image, np.ones_like(item.valid))
    encode = perf_counter() - begin
    asks = make_user(how.user, how.seed, *item.name.encode())
    run = click_embedding(model, embedding, item.truth, item.valid, options, asks.next)
    spent = float(run.decode_seconds.sum())
    return PublishedScore(item.name, tuple(run.ious.tolist()), len(run.clicks), encode, spent)


def score_set(
    name: str,
    folder: Path,
    model: Model,
    how: PublishedOptions | None = None,
    told: Callable[[int, int], None] = lambda *_: None,
) -> list[PublishedScore]:
    """Return how a simulated user fares with the objects of a set.

    Args:
        name: Of the set, one of ``outside.LAYOUTS``.
        folder: Where it was unpacked.
        model: The engine.
        how: Who clicks, how often and on how many objects.
        told: Called with the pictures done and all of them.

    Raises:
        PromptError: The folder is not laid out like the set, or a file can not be read.
    """
    how = how or PublishedOptions()
    pairs = pairs_of(name, folder)
    scores: list[PublishedScore] = []
    for done, pair in enumerate(pairs, 1):
        for item in objects_of(name, pair):
            if how.limit is None or len(scores) < how.limit:
                scores.append(score_object(item, model, how))
        told(done, len(pairs))
        if how.limit is not None and len(scores) >= how.limit:
            break
    return scores


def row_of(scores: Sequence[PublishedScore]) -> PublishedRow:
    """Return the row of a table."""
    ious = [score.ious for score in scores]
    clicks = sum(score.clicks for score in scores)
    seconds = sum(score.encode_seconds + score.click_seconds for score in scores)
    return PublishedRow(
        objects=len(scores),
        noc=tuple(float(np.mean([clicks_to(i, t, len(i)) for i in ious])) for t in TARGETS),
        nof=tuple(sum(failed(i, t, len(i)) for i in ious) for t in TARGETS),
        iou_1=float(np.mean([i[0] for i in ious])),
        iou_5=float(np.mean([i[min(4, len(i) - 1)] for i in ious])),
        spc=seconds / max(clicks, 1),
        encode=sum(score.encode_seconds for score in scores) / len(scores),
    )
