"""Words that start from an index where the bands are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.features import rasterize

import geoiseg
from geoiseg.errors import PromptError
from geoiseg.raster import open_raster
from geoiseg.segment import EmbeddingCache
from geoiseg.words.vocabulary import read_words

KINDS = {  # reflectances of blue, green, red, nir, swir16, swir22
    "water": (0.06, 0.07, 0.04, 0.02, 0.01, 0.01),
    "vegetation": (0.03, 0.07, 0.04, 0.45, 0.2, 0.1),
    "land": (0.12, 0.17, 0.24, 0.28, 0.42, 0.38),
    "snow": (0.9, 0.9, 0.88, 0.85, 0.1, 0.08),
    "burnt": (0.04, 0.05, 0.06, 0.1, 0.2, 0.25),
}
TOLD = {  # what each is told apart from: snow has a high MNDWI, too, and bare ground a low NBR
    "water": ("water", "vegetation", "land", "burnt"),
    "vegetation": tuple(KINDS),
    "land": ("water", "vegetation", "land"),
    "snow": ("water", "vegetation", "land", "snow"),
    "burnt": ("water", "vegetation", "burnt"),
}
ROLES = {"blue": 1, "green": 2, "red": 3, "nir": 4, "swir16": 5, "swir22": 6}


def patches(path: Path, kinds: tuple[str, ...]) -> tuple[Path, dict[str, np.ndarray]]:
    """Write a raster of one patch of each kind side by side; return it and where they are."""
    rng = np.random.default_rng(2)
    data, where = np.zeros((6, 160, 400), np.float32), {}
    for n, kind in enumerate(kinds):
        part = np.zeros((160, 400), bool)
        part[:, 400 * n // len(kinds) : 400 * (n + 1) // len(kinds)] = True
        where[kind] = part
        data[:, part] = np.array(KINDS[kind], np.float32)[:, None]
    data += rng.normal(0, 0.002, data.shape).astype(np.float32)
    place = rasterio.Affine(10, 0, 500_000, 0, -10, 4_500_000)
    with rasterio.open(path, "w", driver="GTiff", dtype="float32", count=6, height=160, width=400,
                       crs="EPSG:32631", transform=place) as target:  # fmt: skip
        target.write(np.clip(data, 0.001, 1))
    return path, where


@pytest.mark.parametrize(
    ("word", "kind"),
    [("Wasser", "water"), ("forêt", "vegetation"), ("neige", "snow"), ("雪", "snow"),
     ("burn scar", "burnt"), ("гарь", "burnt"), ("bare soil", "land")],
)  # fmt: skip
def test_words_of_many_languages_find_what_the_bands_say(
    tmp_path: Path, word: str, kind: str
) -> None:
    path, where = patches(tmp_path / "kinds.tif", TOLD[kind])
    session = geoiseg.Session(open_raster(path, ROLES), cache=EmbeddingCache())
    found = session.add_text(word)
    assert len(found) >= 1
    shapes = [one.geometry for one in found]
    mask = rasterize(shapes, (160, 400), transform=session.raster.grid.transform) > 0
    truth = where[kind]
    assert (mask & truth).sum() / (mask | truth).sum() > 0.95
    assert session.search is not None
    assert session.search.by
    assert session.search.by in session.search.note


def test_features_say_which_index_found_them(tmp_path: Path) -> None:
    path, _ = patches(tmp_path / "kinds.tif", TOLD["water"])
    session = geoiseg.Session(open_raster(path, ROLES), cache=EmbeddingCache())
    session.add_text("lake")
    session.accept_candidates()
    assert session.features["words_by"].str.startswith("mndwi > ").all()


def test_words_that_need_bands_say_which(tmp_path: Path) -> None:
    path, _ = patches(tmp_path / "kinds.tif", TOLD["water"])
    session = geoiseg.Session(open_raster(path), cache=EmbeddingCache())
    with pytest.raises(PromptError, match=r"snow is told by green, near infrared and short-wave"):
        session.add_text("snow")
    session.add_text("water")
    assert session.search is not None
    assert session.search.by == ""


def test_new_words_take_none_from_the_old_classes() -> None:
    assert read_words("glacier").classes == ("snow",)
    assert read_words("burnt forest").classes == ("burnt",)
    assert read_words("forest").classes == ("vegetation",)
