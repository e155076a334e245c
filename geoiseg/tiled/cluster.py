"""A Dask cluster on this machine: one worker per core, or one per card."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from geoiseg.errors import ModelError, require

GPU = "GPU"
"""What Dask workers call a card that they offer: ``dask worker --resources GPU=1``."""
VISIBLE = "CUDA_VISIBLE_DEVICES"
TUNABLES = "GLIBC_TUNABLES"
HUGE_PAGES = "glibc.malloc.hugetlb=1"
"""Has the C library ask for large pages: most of what a worker takes from it are whole features
and masks. Read when a process starts, so it is set for those that are started."""


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """A worker of one thread."""

    environment: dict[str, str] = field(default_factory=dict)
    resources: dict[str, int] = field(default_factory=dict)


def plan_workers(device: str, workers: int | None, cards: Sequence[str]) -> list[WorkerPlan]:
    """Return the workers of a machine: each with a card of its own where one is asked for.

    Args:
        device: Of the model, e.g. ``auto``, ``cuda`` (all cards) or ``cuda:1`` (this one).
        workers: How many, at most one per card; by default one per card or core.
        cards: What CUDA calls the cards of this machine.

    Raises:
        ModelError: A card is asked for that is not there.
    """
    if not device.startswith("cuda"):
        return [WorkerPlan() for _ in range(workers or os.cpu_count() or 1)]
    chosen = list(cards)
    _, _, number = device.partition(":")
    if number:
        chosen = chosen[int(number) : int(number) + 1] if number.isdecimal() else []
    if not chosen:
        raise ModelError(
            f"device {device!r} is not there: this machine has {len(cards)} cards;"
            " take 'cpu', or the address of a cluster that has one"
        )
    # With one card to be seen, ``cuda`` is this one; ``cuda:1`` is found among all of them.
    return [
        WorkerPlan({} if number else {VISIBLE: card}, {GPU: 1})
        for card in chosen[: workers or len(chosen)]
    ]


def visible_cards(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Return what CUDA calls the cards that may be used, without touching any of them."""
    chosen = environment.get(VISIBLE)
    if chosen is not None:
        cards = [card.strip() for card in chosen.split(",")]
        last = cards.index("-1") if "-1" in cards else len(cards)  # as CUDA reads it
        return tuple(card for card in cards[:last] if card)
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        found = subprocess.run(  # noqa: S603 - a fixed command
            command, capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in found.stdout.splitlines() if line.strip())


@contextlib.contextmanager
def huge_pages() -> Iterator[None]:
    """Have processes that are started meanwhile take memory in large pages."""
    said = os.environ.get(TUNABLES)
    os.environ.setdefault(TUNABLES, HUGE_PAGES)
    try:
        yield
    finally:
        if said is None:
            os.environ.pop(TUNABLES, None)


@contextlib.contextmanager
def local_cluster(plans: Sequence[WorkerPlan]) -> Iterator[Any]:
    """Yield a client of a cluster that is made here, and goes away after."""
    distributed: Any = require("distributed", "dask")
    dask: Any = require("dask", "dask")
    specs = {
        number: {
            "cls": distributed.Nanny,
            "options": {
                "nthreads": 1,
                "dashboard_address": None,
                "silence_logs": "ERROR",
                "env": plan.environment,
                "resources": plan.resources,
            },
        }
        for number, plan in enumerate(plans)
    }
    scheduler = {"cls": distributed.Scheduler, "options": {"dashboard": False}}
    with (
        huge_pages(),  # also for a worker that is started again
        dask.config.set({"distributed.worker.profile.enabled": False}),  # of every 10 ms
        distributed.SpecCluster(specs, scheduler, silence_logs="ERROR") as cluster,
        distributed.Client(cluster) as client,
    ):
        client.wait_for_workers(len(plans))
        yield client
