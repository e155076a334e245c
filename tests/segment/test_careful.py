"""Who is asked with care: a user's clicks, and nothing that follows, sharpens or previews them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from affine import Affine

import geoiseg
from geoiseg.models import CarefulModel, Masks, WideningModel, with_care
from geoiseg.models.classic.grabcut import GrabCut
from geoiseg.prompting import Point
from geoiseg.segment import Step
from tests.conftest import write_raster

SIZE = 900


class Noting(GrabCut):
    """A real engine that can take care, and notes how it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def decode(self, embedding: Any, prompts: Any, previous: Any = None) -> Masks:
        self.asked.append("quickly")
        return super().decode(embedding, prompts, previous)

    def decode_with_care(self, embedding: Any, prompts: Any, previous: Any = None) -> Masks:
        self.asked.append("with care")
        return super().decode(embedding, prompts, previous)


class Widening(Noting):
    """The same, that sees sooner that an object goes on."""

    def decode_inside(self, embedding: Any, prompts: Any, goes_on: Any) -> Masks | None:
        self.asked.append("inside")
        return super().decode(embedding, prompts)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A lake much larger than a chip of GrabCut's."""
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5 - SIZE / 2
    water = np.hypot(x, y) < 0.42 * SIZE
    image = np.where(water, np.array([40, 60, 150])[:, None, None],
                     np.array([70, 110, 60])[:, None, None]).astype(np.float32)  # fmt: skip
    image += np.random.default_rng(1).normal(0, 3, image.shape)
    return write_raster(
        tmp_path_factory.mktemp("lake") / "lake.tif", np.clip(image, 1, 255).astype(np.uint8),
        crs="EPSG:32633", transform=Affine(0.5, 0, 500_000, 0, -0.5, 5_200_000),
    )  # fmt: skip


def place(x: float, y: float) -> tuple[float, float]:
    return 500_000 + 0.5 * x, 5_200_000 - 0.5 * y


def test_clicks_are_answered_with_care_and_what_goes_on_by_itself_is_not(lake: Any) -> None:
    model = Noting()
    assert isinstance(model, CarefulModel)
    session = geoiseg.Session(lake, model=model)
    session.add_point(*place(450.5, 450.5))
    session.add_point(*place(600.5, 450.5))
    assert set(model.asked) == {"with care"}
    model.asked.clear()
    session.sharpen()
    assert set(model.asked) == {"quickly"}
    model.asked.clear()
    session.undo()
    session.grow(closer=True)
    assert "quickly" in model.asked


def test_several_clicks_are_answered_with_care_where_one_is_seen_to_go_on(lake: Any) -> None:
    model = Widening()
    assert isinstance(model, WideningModel)
    session = geoiseg.Session(lake, model=model)
    first, second = (Point(*place(x, 450.5)) for x in (450.5, 470.5))
    session.segmenter.run((Step((first,)),), None)
    assert "inside" in model.asked
    assert "with care" not in model.asked
    model.asked.clear()
    session.segmenter.run((Step((first, second)),), None)
    assert "with care" in model.asked
    assert "inside" not in model.asked


def test_a_preview_takes_no_care(lake: Any) -> None:
    model = Noting()
    session = geoiseg.Session(lake, model=model)
    session.add_point(*place(450.5, 450.5))
    session.add_point(*place(500.5, 450.5))
    model.asked.clear()
    replace(session.segmenter, careful=False).run(session.steps, None)
    assert set(model.asked) == {"quickly"}
    assert with_care(model) == model.decode_with_care
    assert with_care(GrabCut()).__name__ == "decode"
