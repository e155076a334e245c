"""Crops of scenes: where they lie, what they show, and how their look is changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.conftest import needed

torch = needed("torch")

from geoiseg.errors import ModelError
from geoiseg.training.augment import Augment
from geoiseg.training.bank import CropOptions, SceneBank
from geoiseg.training.crops import Crops
from geoiseg.training.families import SHARES
from geoiseg.training.paste import NUMBER, paste_some
from geoiseg.training.scene import UNKNOWN
from geoiseg.training.simulate import another
from geoiseg.training.stored import LABELS, Target, weights_of
from tests.training.made_scenes import disks

CPU = torch.device("cpu")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_crop_at_the_images_own_size_is_the_image():
    scene = disks(1)[0]
    bank = SceneBank([scene], CPU)
    grid_options = CropOptions(native=0, squeeze=0)
    layer = torch.zeros(1, dtype=torch.long)
    steps = torch.arange(40) + 0.5
    grid = torch.stack(torch.meshgrid(steps + 30, steps + 50, indexing="xy"), -1)[None]
    image, valid = bank._colours(layer, grid, torch.ones(1))
    expected = torch.from_numpy(scene.image[50:90, 30:70]).permute(2, 0, 1).float()
    torch.testing.assert_close(image[0], expected)
    assert valid.all()
    assert (
        bank._looked_up(bank.ids, layer, LABELS, grid, UNKNOWN)[0].numpy()
        == scene.ids[50:90, 30:70]
    ).all()
    crops = bank.sample(40, 64, grid_options, generator())
    shown = (crops.ids == crops.target[:, None, None]).sum((1, 2))
    assert (shown >= 16).float().mean() > 0.9


def test_what_lies_beyond_a_scene_is_invalid_and_unknown():
    bank = SceneBank(disks(1), CPU)
    layer = torch.zeros(1, dtype=torch.long)
    grid = torch.tensor([[[[-5.0, 20.0], [20.0, 20.0], [500.0, 20.0]]]])
    image, valid = bank._colours(layer, grid, torch.ones(1))
    assert valid[0, 0, 0].tolist() == [0, 1, 0]
    assert image[0, :, 0, 0].tolist() == [0, 0, 0]
    assert bank._looked_up(bank.ids, layer, LABELS, grid, UNKNOWN)[0, 0, ::2].tolist() == [
        UNKNOWN,
        UNKNOWN,
    ]


def test_scenes_made_on_the_way_keep_their_own_images():
    bank = SceneBank((disk for seed in range(1, 9) for disk in disks(seed)[-1:]), CPU)
    assert len(torch.unique(bank.layers[:, 0])) == len(bank.layers) == 8


def test_classes_are_cropped_like_the_image():
    (scene,) = disks(1)
    known = np.full(scene.ids.shape, 0b1000_0011, np.uint8)
    known[:, 80:] = 0
    present = np.where(scene.ids > 0, 0b1000_0000, 1).astype(np.uint8)
    bank = SceneBank([replace(scene, known=known, present=present)], CPU)
    options = CropOptions(native=1, free=0, squeeze=0)
    crops = bank.sample(24, 64, options, generator())
    here, told = crops.classes & 255, crops.classes >> 8
    assert set(torch.unique(told).tolist()) == {0, 0b1000_0011}
    assert (here[told == 0] == 0).all()
    on, off = (told > 0) & (crops.ids > 0), (told > 0) & (crops.ids == 0)
    assert (here[on] == 0b1000_0000).float().mean() > 0.93
    assert (here[off] == 1).float().mean() > 0.93


def test_labels_at_a_half_of_the_resolution_fit_the_image():
    (scene,) = disks(1)
    halved = replace(scene, ids=np.ascontiguousarray(scene.ids[::2, ::2]))
    bank, half = SceneBank([scene], CPU), SceneBank([halved], CPU)
    one, other = (b.sample(16, 64, CropOptions(), generator(3)) for b in (bank, half))
    assert (bank.objects[:, 2:6] - half.objects[:, 2:6]).abs().max() <= 2
    assert (one.target == other.target).all()
    shown = (other.ids == other.target[:, None, None]).sum((1, 2))
    assert (shown >= 16).float().mean() > 0.9


def test_only_the_first_layer_of_an_image_holds_all_that_is_labelled():
    one, other = disks(2)
    within = replace(one, ids=(one.ids > 0).astype(np.int16), kinds={1: "procedural"})
    regions = replace(other, family="segment")
    bank = SceneBank([one, within, other, regions], CPU)
    assert bank.first_layers.tolist() == [1, 0, 1, 0]
    crops = bank.sample(40, 64, CropOptions(pasted=0), generator())
    assert set(crops.exhaustive.tolist()) == {0, 1}
    alone = SceneBank([other, regions], CPU).sample(40, 64, CropOptions(pasted=0), generator())
    assert 0 < alone.exhaustive.mean() < 1


def test_families_places_and_kinds_share_what_is_drawn():
    def row(family, place, scene, kind):
        return Target(0, 1, 0, 0, 9, 9, 60, kind, scene, place, family)

    town = [row("building", "town", f"town{k % 4}", "building") for k in range(4000)]
    village = [row("building", "village", "village", "building")]
    coast = [row("coast", "port", "port", kind) for kind in ["water"] * 4 + ["land"]]
    weights = weights_of([*town, *village, *coast])
    of_town, of_village, of_coast = weights[:4000].sum(), weights[4000], weights[4001:].sum()
    assert of_town + of_village == pytest.approx(SHARES["building"])
    assert of_town / of_village == pytest.approx(2)
    assert of_coast == pytest.approx(SHARES["coast"])
    assert weights[4001:4005].sum() / weights[-1] == pytest.approx(2)


def two_crops():
    """A square of 20 pixels on black, and a disk at the edge of a gray ground."""
    image = torch.zeros(2, 3, 64, 64)
    ids = torch.zeros(2, 64, 64, dtype=torch.long)
    ids[0, 20:40, 20:40] = 7
    image[0, :, 20:40, 20:40] = 200.0
    image[1] = 90.0
    ids[1, :12, :12] = 3
    image[1, :, :12, :12] = 250.0
    classes = torch.zeros_like(ids)
    classes[0, 20:40, 20:40] = 0x0202
    valid, both = torch.ones(2, 1, 64, 64), torch.ones(2)
    return Crops(image, valid, ids, torch.tensor([7, 3]), classes, both)


def test_objects_are_laid_into_other_crops():
    asked = set()
    for seed in range(12):
        crops = two_crops()
        found = paste_some(crops, 1.0, generator(seed))
        laid = found.ids[1] == NUMBER
        assert 0.9 * 400 <= laid.sum() <= 400
        assert (found.image[1, 0][laid] > 140).all()
        assert (found.image[1, 0][~laid & (crops.ids[1] == 0)] < 165).all()
        assert (found.classes[1][laid] == 0x0202).all()
        assert (found.classes[1][~laid] == 0).all()
        assert (crops.ids[1] != NUMBER).all()
        shown = (found.ids == found.target[:, None, None]).sum((1, 2))
        assert (shown > 0).all()
        asked.add(int(found.target[1]))
    assert asked == {3, NUMBER}


def test_nothing_is_laid_in_where_none_is_wanted_or_nothing_fits():
    crops = two_crops()
    assert paste_some(crops, 0.0, generator()) is crops
    crops.ids[:] = crops.target[:, None, None]
    found = paste_some(crops, 1.0, generator())
    assert (found.ids == crops.ids).all()
    assert (found.target == crops.target).all()


def test_augmented_crops_stay_in_range_and_invalid_pixels_black():
    image = torch.rand(32, 3, 64, 64) * 255
    valid = torch.ones(32, 1, 64, 64)
    valid[:, :, :10] = 0
    result = Augment(generator())(image, valid)
    assert result.shape == image.shape
    assert float(result.min()) >= 0
    assert float(result.max()) <= 255
    assert float(result[:, :, :10].abs().max()) == 0
    assert ((result - image)[:, :, 10:].abs().mean((1, 2, 3)) > 1).float().mean() > 0.6
    again = Augment(generator())(image, valid)
    torch.testing.assert_close(result, again)


def test_another_is_another():
    ids = torch.zeros(2, 8, 8, dtype=torch.long)
    ids[0, :4], ids[0, 4:], ids[1, :4] = 1, 2, 1
    assert another(ids, torch.tensor([1, 1]), generator()).tolist() == [2, 0]


def test_shares_say_how_often_a_family_comes():
    (scene,) = disks(1)[-1:]
    families = ("field", "lake")
    bank = SceneBank([replace(scene, family=name, name=name) for name in families], CPU)

    def chances():
        each = np.diff(bank.cumulative.numpy(), prepend=0)
        return [each[np.array(bank.families) == name].sum() for name in families]

    before = chances()
    bank.reweigh({"lake": 0.25})
    after = chances()
    assert after[0] == pytest.approx(before[0])
    assert after[1] == pytest.approx(before[1] / 4)
    bank.reweigh({"field": 0})
    crops = bank.sample(12, 64, CropOptions(pasted=0), torch.Generator().manual_seed(0))
    assert len(crops.image) == 12
    with pytest.raises(ModelError, match="shares are of field, lake"):
        bank.reweigh({"sea": 2})


def test_crops_may_lie_wholly_inside_what_is_larger():
    image = np.full((900, 900, 3), 90, np.uint8)
    ids = np.ones((900, 900), np.int32)
    ids[:, :60] = 0
    (one,) = disks(1)[-1:]
    sea = replace(
        one, image=image, ids=ids, valid=np.ones((900, 900), bool), known=None, present=None
    )
    bank = SceneBank([sea], CPU)
    crops = bank.sample(64, 128, CropOptions(pasted=0), torch.Generator().manual_seed(1))
    filled = [(ids == target).float().mean().item() for ids, target in
              zip(crops.ids, crops.target, strict=True)]  # fmt: skip
    assert sum(share > 0.99 for share in filled) > 6
