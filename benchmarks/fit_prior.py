"""Fits the prior of the engine ``superpixel-walk`` to simulated prompts on training scenes.

    $ python benchmarks/fit_prior.py --per-scene 12

Reads the labelled scenes under GEOISEG_TEST_DATA/train and writes the coefficients into
``geoiseg/models/classic/prior.json``. The prompts come from the engine as it is in the
first round (or from a rough rule, ``--rough``), then from the engine as fitted, since the
clicks that a user makes depend on the masks that he is shown.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from labelled_chips import LabelledChip, labelled_chips
from numpy.typing import NDArray
from scipy.optimize import minimize

from geoiseg.evaluate.simulated_user import box_of, next_click
from geoiseg.models.classic import prior
from geoiseg.models.classic.answer import to_masks
from geoiseg.models.classic.graph_engine import GRAPH_ARRAYS, NodeSeeds, node_seeds
from geoiseg.models.classic.merge_tree import tree_from
from geoiseg.models.classic.seeds import draw_seeds
from geoiseg.models.classic.superpixels import SuperpixelGraph
from geoiseg.models.classic.walk import RULES, Chip, SuperpixelWalk
from geoiseg.prompting.pixel import PixelPrompts

Rows = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
TABLE = Path(prior.__file__).with_name("prior.json")
NODES = 150
"""Superpixels drawn from inside each object, and as many again twice from outside."""


def states(engine: SuperpixelWalk, chip: LabelledChip, rough: bool) -> Iterator[tuple[str, Rows]]:
    """Yield the situations that a user comes through on one object, and what is true there."""
    arrays = engine.embed(chip.image, chip.valid).arrays
    read = Chip(SuperpixelGraph(**{name: arrays[name] for name in GRAPH_ARRAYS}), arrays)
    trees = [tree_from(arrays, name) for name in RULES]
    for box, clicks in ((None, 8), (jittered(chip), 4)):
        points: list[tuple[float, float]] = []
        signs: list[bool] = []
        mask = np.zeros_like(chip.truth)
        clicked = np.zeros_like(chip.truth)
        for step in range(clicks):
            if box is None or step:
                click = next_click(chip.truth, mask, clicked, chip.valid)
                if click is None:
                    break
                points.append(click.xy_pixel)
                signs.append(click.positive)
                clicked[int(click.xy_pixel[1]), int(click.xy_pixel[0])] = True
            prompts = PixelPrompts(np.array(points).reshape(-1, 2), np.array(signs, bool), box)
            seeds = draw_seeds(prompts, chip.valid)
            nodes = node_seeds(read.graph, seeds, box)
            if seeds.empty or (box is None and not nodes.positive.any()):
                break
            known = prior.situation(read.graph, nodes.positive, nodes.negative, box)
            yield known.name, sampled(read.graph, chip, prior.describe(read.graph, trees, known))
            solve: Callable[[Chip, NodeSeeds], NDArray[np.float64]] = (
                rough_rule if rough else engine.solve
            )
            plane = read.graph.paint(solve(read, nodes))
            mask = to_masks(plane, seeds, chip.valid).logits[0] > 0


def rough_rule(chip: Chip, nodes: NodeSeeds) -> NDArray[np.float64]:
    """Return a guess that decays with the distance in place, to begin with."""
    centres = chip.graph.centres
    fronts = centres[nodes.positive] if nodes.positive.any() else centres[nodes.inside > 0.5]
    near = np.linalg.norm(centres[:, None] - fronts[None], axis=2).min(1, initial=1e6)
    return np.where(nodes.negative, 0.0, np.exp(-near / 60.0))


def jittered(chip: LabelledChip) -> tuple[float, float, float, float]:
    """Return the object's box with each side moved by about 3 %, as a hand would draw it."""
    x0, y0, x1, y1 = box_of(chip.truth)
    rng = np.random.default_rng([chip.index, *chip.scene.encode()])
    dx, dy = rng.normal(0, 0.03, 2) * (x1 - x0), rng.normal(0, 0.03, 2) * (y1 - y0)
    return x0 - abs(dx[0]), y0 - abs(dy[0]), x1 + abs(dx[1]), y1 + abs(dy[1])


def sampled(graph: SuperpixelGraph, chip: LabelledChip, inputs: NDArray[np.float64]) -> Rows:
    """Return inputs, true shares and weights; every object weighs the same."""
    share = graph.mean(chip.truth)
    rng = np.random.default_rng(chip.index)
    chosen, weights = [], []
    for group, most in ((share > 0.5, NODES), (share <= 0.5, 2 * NODES)):
        members = np.flatnonzero(group)
        drawn = rng.choice(members, min(most, len(members)), replace=False)
        chosen.append(drawn)
        weights.append(graph.sizes[drawn] * len(members) / max(len(drawn), 1))
    nodes = np.concatenate(chosen)
    weight = np.concatenate(weights) / np.count_nonzero(chip.truth)
    return inputs[nodes], share[nodes], weight.astype(float)


def fit(rows: list[Rows], ridge: float = 1e-4) -> list[float]:
    """Return constant and weights of the logistic model of least weighted log loss."""
    inputs, share, weight = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    middle, spread = inputs.mean(0), inputs.std(0) + 1e-6
    scaled = np.column_stack([np.ones(len(inputs)), (inputs - middle) / spread])
    weight = weight / weight.sum()

    def loss(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logit = scaled @ theta
        cost = weight @ (np.logaddexp(0, logit) - share * logit)
        slope = scaled.T @ (weight * (1 / (1 + np.exp(-logit)) - share))
        shrunk = np.r_[0.0, theta[1:]]
        return float(cost + ridge * shrunk @ shrunk), slope + 2 * ridge * shrunk

    best = minimize(loss, np.zeros(scaled.shape[1]), jac=True, method="L-BFGS-B").x
    slopes = best[1:] / spread
    return [round(float(value), 4) for value in (best[0] - slopes @ middle, *slopes)]


def main(arguments: list[str] | None = None) -> int:
    default = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
    data = Path(os.environ.get("GEOISEG_TEST_DATA", default))
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=data / "train", help="folder of scenes")
    parser.add_argument("--per-scene", type=int, default=12, help="most objects of a scene")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--rough", action="store_true", help="begin without coefficients")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(arguments)
    engine = SuperpixelWalk()
    rows: dict[str, list[Rows]] = defaultdict(list)
    for turn in range(args.rounds):
        rough = args.rough and turn == 0
        seed = args.seed + turn
        for chip in labelled_chips(args.data, engine.info.chip_size, args.per_scene, seed):
            for name, state in states(engine, chip, rough):
                rows[name].append(state)
        table = {name: fit(part) for name, part in sorted(rows.items())}
        TABLE.write_text(json.dumps(table, indent=1) + "\n")
        prior.coefficients.cache_clear()
        print({name: len(part) for name, part in rows.items()}, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
