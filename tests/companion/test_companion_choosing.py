"""What the companion says that steps may mean, and the choice among it as a step of its own."""

from __future__ import annotations

from typing import Any

import pytest

from geoiseg.companion.fields import Fields
from geoiseg.companion.objects import Objects
from geoiseg.errors import GeoisegError
from geoiseg.segment import Watch
from tests.companion.test_companion import iou, point, shape
from tests.conftest import Disk


def silent(*_: Any) -> None:
    """Tell nobody."""


def alternatives(objects: Objects, disk: Disk, steps: list[Any], **more: Any) -> dict[str, Any]:
    params = {"raster": str(disk.path), "steps": steps, **more}
    return objects.alternatives(Fields(params), Watch(), silent)


def answer(objects: Objects, disk: Disk, steps: list[Any]) -> dict[str, Any]:
    params = {"raster": str(disk.path), "steps": steps}
    return objects.answer(Fields(params), Watch(), silent)


def test_answers_come_smallest_first_and_one_of_them_is_the_object(disk: Disk) -> None:
    objects, steps = Objects(), [point(disk.centre)]
    said = alternatives(objects, disk, steps)
    areas = [one["area_m2"] for one in said["answers"] if one["area_m2"] is not None]
    assert areas
    assert areas == sorted(areas)
    assert all(0 <= one["score"] <= 1 for one in said["answers"])
    chosen = said["answers"][said["choice"]]
    assert iou(shape(chosen), disk) > 0.95
    whole = shape(answer(objects, disk, steps))
    assert whole.intersection(shape(chosen)).area > 0.95 * whole.union(shape(chosen)).area


def test_an_answer_is_taken_by_its_number(disk: Disk) -> None:
    objects, steps = Objects(), [point(disk.centre)]
    for number, one in enumerate(alternatives(objects, disk, steps)["answers"]):
        taken = answer(objects, disk, [*steps, {"choose": number}])
        assert taken["wkb"] == one["wkb"]
    again = alternatives(objects, disk, [*steps, {"choose": 0}])
    assert again["choice"] == 0


def test_where_nothing_is_said_yet_there_is_no_answer(disk: Disk) -> None:
    nothing = {"answers": [], "choice": None}
    assert alternatives(Objects(), disk, []) == nothing
    off = [point(disk.outside, positive=False)]
    assert alternatives(Objects(), disk, off) == nothing


@pytest.mark.parametrize(
    ("step", "more", "words"),
    [
        ({"choose": -1}, {}, "by its number from 0, got -1"),
        ({"choose": True}, {}, "choose is a number, got True"),
        ({"choose": 0, "grow": 3}, {}, "a step has prompts, or says"),
        ({"choose": 0}, {"colour": "blue"}, "'colour'"),
    ],
)
def test_mistakes_are_one_line(
    step: dict[str, Any], more: dict[str, Any], words: str, disk: Disk
) -> None:
    with pytest.raises(GeoisegError, match=words) as told:
        alternatives(Objects(), disk, [point(disk.centre), step], **more)
    assert "\n" not in str(told.value)
