"""A few damaged files of each kind; ``python -m tests.fuzz`` tries thousands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import fuzz

COUNT = {"tiff": 40, "gpkg": 25, "geojson": 25, "project": 30}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    fuzz.make(folder)
    return folder


@pytest.mark.parametrize("kind", fuzz.KINDS)
def test_damaged_files_are_read_or_refused_in_one_line(sound: Path, kind: str) -> None:
    found = fuzz.run(kind, COUNT[kind], sound)
    assert {number for number, *_ in found} == set(range(COUNT[kind]))
    assert not [item for item in found if item[3].startswith("BAD")]
    ends = {end for *_, end in found}
    assert len(ends) > 1, "some are still read, some are not"


def test_the_damage_of_a_number_is_always_the_same(sound: Path, tmp_path: Path) -> None:
    for kind in ("tiff", "geojson"):
        made = []
        for name in ("one", "two"):
            told = fuzz.damaged(kind, 7, sound, tmp_path / name)
            made.append((told, (tmp_path / name).read_bytes()))
        assert made[0] == made[1]


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        ("geojson", 52),
        ("geojson", 83),
        ("geojson", 210),
        ("gpkg", 218),
        ("gpkg", 826),
        ("tiff", 268),
    ],
)
def test_what_once_was_a_traceback_is_none(sound: Path, kind: str, number: int) -> None:
    found = fuzz.run(kind, 1, sound, number)
    assert found
    assert not [item for item in found if item[3].startswith("BAD")]
