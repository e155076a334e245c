"""What the network's own average teaches: objects that nobody labelled, seen in mirrors."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import needed

torch = needed("torch")

import geoiseg.training
from geoiseg.training.bank import SceneBank
from geoiseg.training.crops import Crops
from geoiseg.training.loop import Trainer
from geoiseg.training.network import TinyNet
from geoiseg.training.teacher import LEAST_SURE, Teacher
from tests.training.made_scenes import disks
from tests.training.test_training import CPU, options

KEPT = Path(geoiseg.training.__file__).parent / "record" / "weights3.npz"
SIDE = 128


@pytest.fixture(scope="module")
def net():
    """The network that ships."""
    found = TinyNet()
    with np.load(KEPT, allow_pickle=False) as kept:
        found.load_state_dict({name: torch.from_numpy(kept[name]) for name in kept.files})
    return found.eval()


def teacher(net, seed=0):
    return Teacher(net, torch.Generator().manual_seed(seed), contextlib.nullcontext)


def crops(image, ids, valid=None):
    """Crops of ``(b, y, x, 3)`` pictures whose ``ids`` say what is labelled."""
    count = len(image)
    there = np.ones((count, 1, SIDE, SIDE), np.float32) if valid is None else valid
    noise = np.random.default_rng(3).normal(0, 3, image.shape)
    pixels = np.clip(image + noise, 0, 255).astype(np.float32).transpose(0, 3, 1, 2) * there
    return Crops(
        torch.from_numpy(np.ascontiguousarray(pixels)), torch.from_numpy(there),
        torch.from_numpy(ids.astype(np.int64)), torch.ones(count, dtype=torch.long),
        torch.zeros(ids.shape, dtype=torch.long), torch.ones(count),
    )  # fmt: skip


def ious(masks, truth):
    return [float((a & b).sum() / max(1, (a | b).sum())) for a, b in zip(masks, truth, strict=True)]


def test_a_click_on_what_nobody_labelled_gives_the_object(net):
    y, x = np.mgrid[:SIDE, :SIDE]
    middles = np.random.default_rng(1).uniform(40, SIDE - 40, (12, 2))
    disc = np.stack([np.hypot(y - a, x - b) < 30 for a, b in middles])
    image = np.where(disc[..., None], [50, 80, 160], [150, 140, 100]).astype(np.float64)
    valid = np.ones((12, 1, SIDE, SIDE), np.float32)
    valid[:, :, :, :8] = 0
    found = teacher(net).objects(crops(image, np.zeros(disc.shape), valid))
    there = valid[:, 0] > 0
    mask = found.target.numpy() > 0
    assert not mask[~there].any()
    assert not found.known.numpy()[~there].any()
    best = np.maximum(ious(mask, disc & there), ious(mask, ~disc & there))
    assert np.median(best) > 0.95
    sure = (found.target * found.known).sum((1, 2)) / found.target.sum((1, 2)).clamp(min=1)
    assert all(share == 0 or share > LEAST_SURE for share in sure.tolist())


def test_it_is_asked_about_what_carries_no_label(net):
    left = np.zeros((24, SIDE, SIDE), bool)
    left[:, :, : SIDE // 2] = True
    image = np.where(left[..., None], [40, 90, 40], [200, 190, 180]).astype(np.float64)
    found = teacher(net).objects(crops(image, left))
    on_right = [float(one[:, SIDE // 2 :].mean()) > 0.5 for one in found.target]
    assert sum(on_right) >= 20


def test_mirrored_crops_have_mirrored_objects(net):
    """Clicks fall on the same pixels where one crop is its own mirror image but for colours."""
    rng = np.random.default_rng(5)
    small = rng.uniform(0, 255, (6, 4, 4, 3)).repeat(16, 1).repeat(16, 2)
    image = np.concatenate([small, small[:, :, ::-1]], 2)
    image = np.concatenate([image, image[:, ::-1]], 1)
    pixels = torch.from_numpy(image.astype(np.float32).transpose(0, 3, 1, 2).copy())
    given = crops(image, np.zeros(image.shape[:3]))._replace(image=pixels)
    one = teacher(net).objects(given)
    other = teacher(net).objects(given._replace(image=pixels.flip((2, 3)).contiguous()))
    assert torch.equal(pixels, pixels.flip((2, 3)))
    torch.testing.assert_close(one.target, other.target)


def test_a_run_that_is_taught_resumes_as_the_same_run(tmp_path):
    bank = SceneBank(disks(3), CPU)
    whole = Trainer(options(steps=6, taught=0.5), bank, tmp_path / "whole")
    whole.run()
    first = Trainer(options(steps=6, taught=0.5), bank, tmp_path / "parts")
    for _ in range(3):
        first.advance()
    first.folder.mkdir()
    second = Trainer(options(steps=6, taught=0.5), bank, tmp_path / "parts")
    second.resume(first.save())
    second.run()
    for name, value in whole.net.state_dict().items():
        torch.testing.assert_close(second.net.state_dict()[name], value, msg=name)
    plain = Trainer(options(steps=6), bank, tmp_path / "plain")
    plain.run()
    told = [torch.equal(value, plain.net.state_dict()[name]) for name, value in
            whole.net.state_dict().items() if "decoder" in name]  # fmt: skip
    assert not all(told), "being taught changes nothing"
