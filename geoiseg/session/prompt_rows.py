"""What the user did as rows of a table, one a prompt, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from geoiseg.errors import PromptError
from geoiseg.features import plain_value
from geoiseg.prompting import Text, prompt_from_dict, prompt_to_dict
from geoiseg.segment import Step
from geoiseg.segment.growing import MOST_CHIPS
from geoiseg.segment.spectral import VERSION

GROW, SHARPEN, CHOOSE = "grow", "sharpen", "choose"
"""Kinds of the rows that say that an object was followed beyond its chip, sharpened, or chosen."""
MOST_ANSWERS = 100
"""Answers that can be chosen from."""


def prompt_rows(
    objects: Iterable[tuple[int | None, str | None, tuple[Step, ...]]], crs: Any
) -> gpd.GeoDataFrame:
    """Return one row per prompt.

    Args:
        objects: Id, label and steps of each; the object in progress has no id.
        crs: Of the raster.
    """
    rows: list[dict[str, Any]] = []
    geometries = []
    for number, label, steps in objects:
        for order, step in enumerate(steps):
            for kind, positive, definition, geometry in _said_in(step, crs):
                rows.append(
                    {
                        "object": number,
                        "step": order,
                        "label": label,
                        "kind": kind,
                        "positive": int(positive),
                        "gsd": step.gsd,
                        "spectral": step.spectral,
                        "definition": json.dumps(definition),
                    }
                )
                geometries.append(geometry)
    columns = ["object", "step", "label", "kind", "positive", "gsd", "spectral", "definition"]
    table = pd.DataFrame(rows, columns=columns).astype(
        {
            "object": "Int64",
            "step": "int64",
            "positive": "int64",
            "gsd": "float64",
            "spectral": "int64",
        }
    )
    return gpd.GeoDataFrame(table, geometry=np.array(geometries, object), crs=crs)


def _said_in(step: Step, crs: Any) -> Iterator[tuple[str, bool, dict[str, Any], Any]]:
    """Yield kind, sign, definition and geometry of all that a step consists of."""
    if step.grow:
        closer = {"closer": True} if step.closer else {}
        yield GROW, True, {"kind": GROW, "chips": step.grow, **closer}, None
    if step.sharpen:
        middle = {} if step.middle is None else {"middle": list(step.middle)}
        onward = {"onward": True} if step.onward else {}
        yield SHARPEN, True, {"kind": SHARPEN, "chips": step.sharpen, **middle, **onward}, None
    if step.choice is not None:
        yield CHOOSE, True, {"kind": CHOOSE, "answer": step.choice}, None
    for prompt in step.prompts:
        place = None if isinstance(prompt, Text) else prompt.geometry(crs)
        yield prompt.kind, prompt.positive, prompt_to_dict(prompt), place


def step_of(said: list[Any], gsd: float | None, spectral: Any = None) -> Step:
    """Return the step that rows of the prompts' table define.

    Args:
        said: Definitions of the rows.
        gsd: Of the step.
        spectral: Of the step; None where the table is older than the model in all bands, which
            then was not asked.

    Raises:
        PromptError: A definition is none, or a newer version is needed.
    """
    version = 0 if spectral is None else int(spectral)
    if not 0 <= version <= VERSION:
        raise PromptError(f"a step was made with version {version} of all bands; upgrade geoiseg")
    chips = {GROW: 0, SHARPEN: 0}
    prompts, choice, middle, onward, closer = [], None, None, False, False
    for one in said:
        kind = one.get("kind") if isinstance(one, dict) else None
        if kind in chips:
            count = one.get("chips")
            if not isinstance(count, int) or not 0 < count <= MOST_CHIPS:
                done = "followed" if kind == GROW else "sharpened"
                raise PromptError(f"an object is {done} through 1 to {MOST_CHIPS} chips: {one}")
            chips[kind] = count
            middle = _middle(one) if kind == SHARPEN else middle
            onward = onward or (kind == SHARPEN and one.get("onward") is True)
            closer = closer or (kind == GROW and one.get("closer") is True)
        elif kind == CHOOSE:
            choice = one.get("answer")
            if not isinstance(choice, int) or not 0 <= choice < MOST_ANSWERS:
                raise PromptError(f"an answer is chosen by its number from 0: {one}")
        else:
            prompts.append(prompt_from_dict(one))
    return Step(
        tuple(prompts), gsd, chips[GROW], version, chips[SHARPEN], choice, middle, onward, closer
    )


def _middle(said: dict[str, Any]) -> tuple[float, float] | None:
    """Return from where an object was sharpened outwards, where its first prompt was not it."""
    place = said.get("middle")
    if place is None:
        return None
    numbers = place if isinstance(place, list) else []
    if len(numbers) != 2 or not all(isinstance(n, (int, float)) and abs(n) < 1e30 for n in numbers):
        raise PromptError(f"an object is sharpened from [x, y] outwards: {said}")
    return float(numbers[0]), float(numbers[1])


def steps_of(rows: pd.DataFrame) -> dict[int | None, tuple[Step, ...]]:
    """Return the steps by object id; None is the object in progress."""
    steps: dict[int | None, tuple[Step, ...]] = {}
    for (number, _), group in rows.groupby(["object", "step"], dropna=False, sort=True):
        said = [json.loads(text) for text in group["definition"]]
        key = None if pd.isna(number) else int(number)
        spectral = plain_value(group["spectral"].iloc[0]) if "spectral" in group else None
        step = step_of(said, plain_value(group["gsd"].iloc[0]), spectral)
        steps[key] = (*steps.get(key, ()), step)
    return steps
