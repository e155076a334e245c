"""What training knows of the classes of pixels, and what it leaves open."""

from __future__ import annotations

import numpy as np
import pytest

from tests.conftest import needed

needed("cv2")

from geoiseg.training.class_maps import COMPLETE, ClassMap, bits, class_map, dubai_map

SIZE = 120


def plain(colour, spread=2.0, seed=0):
    noise = np.random.default_rng(seed).normal(0, spread, (SIZE, SIZE, 3))
    return np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)


def square(first, last):
    mask = np.zeros((SIZE, SIZE), bool)
    mask[first:last, first:last] = True
    return mask


def said(found, row, column):
    """Return what is there and what is not, by name, at a pixel."""
    from geoiseg.training.class_maps import CLASSES

    known, present = int(found.known[row, column]), int(found.present[row, column])
    assert present & ~known == 0
    there = {name for name in CLASSES if present & bits(name)}
    return there, {name for name in CLASSES if known & bits(name)} - there


def seen():
    return np.ones((SIZE, SIZE), bool)


def test_later_words_count_and_a_star_means_all_else():
    found = ClassMap.empty((2, 2))
    everywhere = np.ones((2, 2), bool)
    found.say(everywhere, yes="tree", no="water road")
    found.say(np.eye(2, dtype=bool), yes="water", no="*")
    assert said(found, 0, 1) == ({"tree"}, {"water", "road"})
    there, gone = said(found, 0, 0)
    assert there == {"water"}
    assert len(gone) == 7
    found.forget(everywhere, "water")
    assert said(found, 0, 1) == ({"tree"}, {"road"})
    found.forget(everywhere)
    assert not found.known.any()
    assert not found.present.any()


def test_beside_an_outlined_field_a_field_may_lie_that_nobody_outlined():
    found = class_map(plain((150, 130, 100)), seen(), "field", {"field": square(20, 60)})
    there, gone = said(found, 40, 40)
    assert there == {"field"}
    assert {"water", "building", "road", "tree"} <= gone
    assert "field" not in set.union(*said(found, 90, 90))
    assert said(found, 20, 40) == (set(), set())


def test_beside_outlined_roofs_there_is_no_roof():
    found = class_map(plain((100, 106, 100)), seen(), "building", {"building": square(20, 60)})
    assert said(found, 40, 40)[0] == {"building"}
    assert "tree" not in set.union(*said(found, 40, 40))
    assert "building" in said(found, 90, 90)[1]
    assert "field" not in set.union(*said(found, 90, 90))


@pytest.mark.parametrize(("family", "known"), [("lake", False), (COMPLETE, True)])
def test_water_that_is_not_outlined_may_be_there_unless_all_of_it_is(family, known):
    image = plain((40, 50, 60))
    image[90:] = (160, 150, 140)
    found = class_map(image, seen(), family, {"water": square(20, 60)})
    assert said(found, 40, 40)[0] == {"water"}
    assert len(said(found, 40, 40)[1]) == 7
    assert ("water" in said(found, 75, 75)[1]) is known
    # What is brighter than all water of the scene is none.
    assert "water" in said(found, 110, 60)[1]


def test_dark_even_ponds_and_rough_woods_are_told_among_fields():
    image = plain((150, 130, 100))
    image[70:110, 10:50] = plain((20, 28, 34), 1)[:40, :40]
    image[70:110, 60:110] = plain((40, 55, 38), 26)[:40, :50]
    found = class_map(image, seen(), "field", {"field": square(10, 50)})
    assert said(found, 90, 30)[0] == {"water"}
    assert "field" in said(found, 90, 30)[1]
    assert said(found, 90, 85)[0] == {"tree"}
    assert {"field", "water"} <= said(found, 90, 85)[1]


def test_green_is_no_road_and_gray_is_no_wood():
    image = plain((150, 150, 150))
    image[:60] = (110, 160, 90)
    found = class_map(image, seen(), "coast", {"land": seen()})
    assert {"road", "building", "water"} <= said(found, 30, 60)[1]
    assert "tree" not in said(found, 30, 60)[1]
    assert {"tree", "grass", "water"} <= said(found, 90, 60)[1]
    assert "building" not in set.union(*said(found, 90, 60))


def test_infrared_tells_plants_and_one_band_tells_nothing():
    image = plain((200, 60, 60))
    found = class_map(image, seen(), "coast", {}, "nrg")
    assert {"water", "building", "road"} <= said(found, 60, 60)[1]
    assert not class_map(image, seen(), "coast", {}, "other").known.any()


def test_snow_and_deserts_are_told_on_pictures_of_whole_islands():
    image = plain((60, 75, 50))
    image[:40], image[80:] = (235, 235, 238), (200, 170, 120)
    found = class_map(image, seen(), "island", {"island": square(0, 120)})
    assert said(found, 20, 60)[0] == {"snow"}
    assert said(found, 100, 60)[0] == {"bare"}
    assert {"snow", "water"} <= said(found, 60, 60)[1]


def test_black_water_within_forest_is_not_said_to_be_trees():
    image = plain((30, 60, 35))
    image[:60] = (25, 28, 30)
    found = class_map(image, seen(), "forest", {"forest": seen()})
    assert said(found, 90, 60)[0] == {"tree"}
    there, gone = said(found, 20, 60)
    assert not there
    assert "water" not in gone
    assert "building" in gone


def test_photographs_and_pixels_without_data_say_nothing():
    assert not class_map(plain((90, 90, 90)), seen(), "photo", {"boat": square(9, 60)}).known.any()
    valid = seen()
    valid[:30] = False
    found = class_map(plain((150, 130, 100)), valid, "field", {"field": square(0, 90)})
    assert not found.known[:30].any()
    assert found.known[40:80, 40:80].all()


def test_all_pixels_of_a_class_mask_speak():
    kinds = ("building", "land", "road", "vegetation", "water")
    codes = np.repeat(np.arange(5), SIZE // 5)[:, None] * np.ones(SIZE, int)
    image = plain((120, 120, 120))
    image[codes == 3] = (90, 160, 70)
    found = dubai_map(image, {kind: codes == k for k, kind in enumerate(kinds)})
    middle = [said(found, SIZE // 10 + k * SIZE // 5, 60) for k in range(5)]
    assert [there for there, _ in middle] == [
        {"building"},
        {"bare"},
        {"road"},
        {"grass"},
        {"water"},
    ]
    assert all(len(gone) == 7 for _, gone in middle)
    assert said(found, SIZE // 5, 60) == (set(), set())
