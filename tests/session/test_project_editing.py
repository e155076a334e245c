"""What was being refined when a project was saved goes on being refined."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import numpy as np
import shapely

import geoiseg
from tests.conftest import write_raster


def begun(tmp_path: Path) -> geoiseg.Session:
    """Return a session with a disc accepted twice, and the second taken up again, saved."""
    y, x = np.mgrid[:100, :160] + 0.5
    discs = (np.hypot(x - 40, y - 50) < 25) | (np.hypot(x - 115, y - 50) < 25)
    image = np.where(discs, 200, 60) + np.random.default_rng(0).normal(0, 3, (3, 100, 160))
    path = write_raster(tmp_path / "discs.tif", image.clip(1, 255).astype(np.uint8))
    session = geoiseg.Session(path, "grabcut", project=tmp_path / "p.gpkg")
    for col in (40, 115):
        session.add_box(500_000 + 2 * (col - 30), 4_499_840, 500_000 + 2 * (col + 30), 4_499_960)
        session.accept("disc")
    session.edit(2)
    session.save()
    return session


def test_a_feature_taken_up_again_is_replaced_after_loading(tmp_path: Path) -> None:
    begun(tmp_path)
    session = geoiseg.Session.load(tmp_path / "p.gpkg")
    assert session.editing == 2
    session.add_point(500_000 + 230, 4_499_900)
    assert session.accept("pond") == 2
    assert [one.label for one in session.accepted] == ["disc", "pond"]


def test_corrected_by_hand_it_is_still_the_same_one(tmp_path: Path) -> None:
    begun(tmp_path)
    session = geoiseg.Session.load(tmp_path / "p.gpkg")
    before = session.geometry.area
    session.erase([(500_230, 4_499_900)], 20.0, 2)
    assert session.geometry.area < before
    assert session.editing == 2
    again = geoiseg.Session.load(session.save())
    assert again.editing == 2
    assert shapely.symmetric_difference(again.geometry, session.geometry).area < 1e-6


def test_a_project_that_names_nobody_or_one_who_is_gone_opens(tmp_path: Path) -> None:
    begun(tmp_path)
    for said in (7, None, "x"):
        with sqlite3.connect(tmp_path / "p.gpkg") as database:
            value = json.dumps(said)
            database.execute("update geoiseg set value = ? where key = 'editing'", (value,))
        database.close()
        session = geoiseg.Session.load(tmp_path / "p.gpkg")
        assert session.editing is None
        assert session.geometry is not None
