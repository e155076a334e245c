"""Two sessions on one project file: what one has changed and what the other has, brought together.

A session remembers what the file held when it last read or wrote it. From there both ways lead:
what only one of them has changed is taken, from either; what both have changed, each in its own
way, is told, and nothing of it is taken.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from geoiseg.errors import CollisionError
from geoiseg.features import Feature, Schema
from geoiseg.features.kinds import joined
from geoiseg.prompting import prompt_to_dict
from geoiseg.segment import Step
from geoiseg.session.project import Project, load_project, save_project
from geoiseg.session.reviewing import agreed

OUTLINE = ("geometry", "drawn", "steps", "score", "model", "weights", "gsd", "source")
"""What of a feature belongs together: an outline, and how it was made."""
MINE = ("raster", "bands", "stretch", "crs", "model", "weights", "gsd", "options", "snap")
"""Settings of which the last that were changed are kept."""


@dataclass(frozen=True, slots=True, eq=False)
class Merged:
    """What two sessions have made of the same features."""

    features: tuple[Feature, ...]
    """By id."""
    numbers: Mapping[int, int] = field(default_factory=dict)
    """New ids of features of ours whose ids the others have given, too."""
    collisions: tuple[int, ...] = ()
    """Ids of features that both have changed; they are as the others have them."""
    taken: int = 0
    """How many features of ours are changed, new or gone because the others have it so."""


@dataclass(frozen=True, slots=True, eq=False)
class Common:
    """What both sessions have begun with."""

    ours: Mapping[int, Feature]
    """By id, as this session has them: those not changed since are these very ones."""
    stored: Mapping[int, Feature]
    """By id, as they come back from a file."""

    @classmethod
    def of(cls, project: Project) -> Common:
        """Return what a project was when it was last read or written."""
        return cls(_by_id(project.features), _by_id(as_stored(project).features))


def as_stored(project: Project) -> Project:
    """Return a project as it comes back from a file: with numbers and times as they are there."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "project.gpkg"
        save_project(replace(project, kept=None), path)
        return load_project(path)


def merge(common: Common, ours: Sequence[Feature], theirs: Sequence[Feature]) -> Merged:
    """Return the features that two sessions have, from what they had in common."""
    mine, others = _by_id(ours), _by_id(theirs)
    numbers: dict[int, int] = {}
    collisions: list[int] = []
    kept: dict[int, Feature] = {}
    taken = 0
    last = max([*mine, *others, *common.ours, 0])
    for number in sorted({*mine, *others, *common.ours}):
        my, other = mine.get(number), others.get(number)
        before, stored = common.ours.get(number), common.stored.get(number)
        found = my
        if not same(stored, other):
            if my is before or (my is not None and same(my, other)):
                found, taken = other, taken + 1
            elif before is None and my is not None and other is not None:
                last += 1  # two new ones that had the same next number
                numbers[number], found = last, other
                kept[last] = replace(my, id=last)
                taken += 1
            elif my is not None and other is not None and before and stored:
                found = both(my, before, other, stored)
                if found is None:
                    collisions.append(number)
                    found = other
            elif my is not other:
                collisions.append(number)
                found = other
        if found is not None:
            kept[number] = found
    features = tuple(kept[number] for number in sorted(kept))
    return Merged(features, numbers, tuple(collisions), taken)


def both(my: Feature, before: Feature, other: Feature, stored: Feature) -> Feature | None:
    """Return a feature of which two sessions changed different things; None if the same ones."""
    changes: dict[str, Any] = {}
    mine = _outline(my) != _outline(before)
    if _outline(other) != _outline(stored):
        if mine and _outline(my) != _outline(other):
            return None
        changes |= {name: getattr(other, name) for name in OUTLINE}
    if other.label != stored.label:
        if my.label not in (before.label, other.label):
            return None
        changes["label"] = other.label
    attributes = agreed(my, other, stored)
    for name in {**stored.attributes, **other.attributes}:
        old, new = stored.attributes.get(name), other.attributes.get(name)
        if old == new:
            continue
        own = attributes.get(name)
        if own not in (before.attributes.get(name), new):
            return None
        attributes[name] = new
        if name not in other.attributes:
            del attributes[name]
    updated = max(my.updated, other.updated)
    return replace(my, **changes, attributes=attributes, updated=updated)


def same(one: Feature | None, other: Feature | None) -> bool:
    """Return whether two features say the same."""
    if one is None or other is None:
        return one is other
    return (
        one.label == other.label
        and one.updated == other.updated
        and _outline(one) == _outline(other)
        and _said(one.attributes) == _said(other.attributes)
    )


def known(theirs: Project, ours: Project) -> bool:
    """Return whether all that a project holds is in another one, too, whoever made it."""
    mine = as_stored(ours).features
    held = {(one.label, _outline(one)[0], _text(_said(one.attributes))) for one in mine}
    new = [
        one for one in theirs.features
        if (one.label, _outline(one)[0], _text(_said(one.attributes))) not in held
    ]  # fmt: skip
    return not new and (not theirs.steps or steps_text(theirs.steps) == steps_text(ours.steps))


def settings(base: Project, ours: Project, theirs: Project) -> dict[str, Any]:
    """Return what a project holds besides features, of two that began with the same.

    Raises:
        CollisionError: Both have changed the same of it.
    """
    chosen: dict[str, Any] = {
        name: getattr(theirs if _equal(getattr(ours, name), getattr(base, name)) else ours, name)
        for name in MINE
    }
    chosen["kinds"] = joined(theirs.kinds, ours.kinds)
    chosen["classes"] = _classes(base.classes, ours.classes, theirs.classes)
    chosen["schema"] = _schema(base.schema, ours.schema, theirs.schema)
    taught = [None if one.classifier is None else _text(one.classifier.to_dict())
              for one in (base, ours, theirs)]  # fmt: skip
    if taught[1] not in (taught[0], taught[2]) and taught[2] != taught[0]:
        raise CollisionError("another session has taught its classes there meanwhile, too")
    chosen["classifier"] = (theirs if taught[1] == taught[0] else ours).classifier
    begun = [steps_text(one.steps) for one in (base, ours, theirs)]
    if (
        begun[1] not in (begun[0], begun[2])
        and begun[2] != begun[0]
        and ours.steps
        and theirs.steps
    ):
        raise CollisionError("another session has its object in progress there")
    mine = begun[2] == begun[0] or (begun[1] != begun[0] and bool(ours.steps))
    chosen["steps"] = (ours if mine else theirs).steps
    chosen["kept"] = (ours if mine else theirs).kept
    return chosen


def steps_text(steps: Sequence[Step]) -> str:
    """Return steps as text: the same for the same ones."""
    return _text([[[prompt_to_dict(one) for one in step.prompts], step.gsd, step.grow, step.sharpen,
                   step.middle, step.choice, step.onward, step.closer]
                  for step in steps])  # fmt: skip


def _classes(base: Any, ours: Any, theirs: Any) -> tuple[tuple[str, str], ...]:
    if base in (theirs, ours):
        return tuple(ours if theirs == base else theirs)
    before = dict(base)
    mine = {name: colour for name, colour in ours if before.get(name) != colour}
    gone = set(before) - {name for name, _ in ours}
    return tuple({**{name: c for name, c in theirs if name not in gone}, **mine}.items())


def _schema(base: Schema, ours: Schema, theirs: Schema) -> Schema:
    before, mine, others = base.to_dict(), ours.to_dict(), theirs.to_dict()
    found: dict[str, Any] = {}
    for label in {**others, **mine, **before}:
        old, my, other = (one.get(label) for one in (before, mine, others))
        if not _equal(my, old) and not _equal(other, old) and not _equal(my, other):
            raise CollisionError(f"another session has changed the fields of {label!r}, too")
        found[label] = other if _equal(my, old) else my
    return Schema.from_dict(
        {label: fields for label, fields in found.items() if fields is not None}
    )


def _equal(one: Any, other: Any) -> bool:
    """Return whether two values are the same in a file."""
    return one == other or (isinstance(one, (list, dict)) and _text(one) == _text(other))


def _outline(feature: Feature) -> tuple[Any, ...]:
    made = (feature.score, feature.model, feature.weights, feature.gsd, feature.source)
    return (feature.geometry.wkb, steps_text(feature.steps), *made)


def _said(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value is not None}


def _text(value: Any) -> str:
    return json.dumps(value, default=repr, sort_keys=True)


def _by_id(features: Sequence[Feature]) -> dict[int, Feature]:
    return {feature.id: feature for feature in features}
