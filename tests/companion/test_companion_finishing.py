"""Objects that the companion follows and sharpens by itself, when a step asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import shapely

from geoiseg import Session
from geoiseg.companion.fields import Fields
from geoiseg.companion.objects import Objects
from geoiseg.companion.pipe import RequestError
from geoiseg.errors import CancelledError
from geoiseg.segment import Watch
from tests.segment.test_sharpening import lake_truth
from tests.session.test_finishing import SIZE, at, painted

FINISH = {"finish": True}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return painted(tmp_path_factory.mktemp("companion") / "lake.tif", lake_truth(SIZE))


def test_it_is_what_a_session_finishes_and_goes_on_from_there(lake: Path) -> None:
    objects = Objects()

    def asked(*steps: Any, watch: Watch | None = None) -> dict[str, Any]:
        params = {"raster": str(lake), "steps": list(steps)}
        return objects.answer(Fields(params), watch or Watch(), lambda *_: None)

    session = Session(lake)
    click = {
        "prompts": [{"kind": "point", "xy": at(session, SIZE * 0.18, SIZE / 2), "positive": True}]
    }
    assert asked(click)["coarse"]
    with pytest.raises(CancelledError):
        asked(click, FINISH, watch=Watch(cancelled=lambda: True))
    done = asked(click, FINISH)
    assert not done["coarse"]
    session.add_point(*at(session, SIZE * 0.18, SIZE / 2))
    session.finish(native=True)
    assert shapely.from_wkb(done["wkb"]).equals(session.geometry)
    off = {"kind": "point", "xy": at(session, 20, SIZE / 2), "positive": False}
    more = asked(click, FINISH, {"prompts": [off]})
    assert not more["coarse"]
    assert shapely.from_wkb(more["wkb"]).area > 0.95 * session.geometry.area
    assert not asked(click, FINISH, {"prompts": [], "grow": 300})["coarse"]
    assert asked(FINISH) == {"wkb": None}
    with pytest.raises(RequestError, match="at the raster's own resolution, got gsd 8"):
        asked(click, {**FINISH, "gsd": 8})
