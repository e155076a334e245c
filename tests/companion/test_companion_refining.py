"""Outlines that others drew, refined by the companion's long job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely

from geoiseg.companion.fields import Fields
from geoiseg.companion.jobs import refine
from geoiseg.errors import CancelledError, GeoisegError
from geoiseg.segment import Watch
from geoiseg.tiled import ledger_path
from tests.conftest import Disk


@pytest.fixture
def drawn(disk: Disk, tmp_path: Path) -> Path:
    """Return a GeoPackage of the disk, drawn a little off, and of something that is not there."""
    true = shapely.Point(disk.centre).buffer(np.sqrt(disk.truth.sum() * 4 / np.pi))
    shapes = [shapely.affinity.translate(true, 10, -8), shapely.Point(disk.outside).buffer(30)]
    frame = gpd.GeoDataFrame({"owner": ["Zoë", "Ned"]}, geometry=shapes, crs="EPSG:32631")
    frame.to_file(tmp_path / "drawn outlines.gpkg")
    return tmp_path / "drawn outlines.gpkg"


def test_outlines_move_and_say_whether_they_fit(disk: Disk, drawn: Path, tmp_path: Path) -> None:
    told: list[tuple[Any, str]] = []
    out = tmp_path / "refined.gpkg"
    fields = Fields({"raster": str(disk.path), "input": str(drawn), "out": str(out)})
    said = refine(fields, Watch(), lambda share, text: told.append((share, text)))
    assert (said["objects"], said["fit"]) == (2, 1)
    assert said["moved_m"] > 3
    assert told[0] == (0.0, f"opening {disk.path}")
    assert told[-1][0] == 1.0
    found = gpd.read_file(out, layer=0)
    assert found["owner"].tolist() == ["Zoë", "Ned"]
    assert found["fits"].tolist() == [True, False]
    assert not ledger_path(out).exists()


def test_it_can_be_stopped(disk: Disk, drawn: Path, tmp_path: Path) -> None:
    out = tmp_path / "refined.gpkg"
    fields = Fields({"raster": str(disk.path), "input": str(drawn), "out": str(out)})
    with pytest.raises(CancelledError):
        refine(fields, Watch(cancelled=lambda: True), lambda share, text: None)
    assert not out.exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"min_same": 2}, "min_same is 0 to 1"),
        ({"max_moved": 0}, "by more than 0 metres"),
        ({"colour": "blue"}, "'colour'"),
    ],
)
def test_mistakes_are_one_line(
    more: dict[str, Any], words: str, disk: Disk, drawn: Path, tmp_path: Path
) -> None:
    given = {"raster": str(disk.path), "input": str(drawn), "out": str(tmp_path / "o.gpkg")}
    with pytest.raises(GeoisegError, match=words) as told:
        refine(Fields({**given, **more}), Watch(), lambda share, text: None)
    assert "\n" not in str(told.value)
