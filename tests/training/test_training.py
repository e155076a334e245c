"""Training of the small network: it runs, it learns, it resumes, it exports what it learnt."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.conftest import needed

torch = needed("torch")

from geoiseg.training.augment import Augment
from geoiseg.training.bank import CropOptions, SceneBank
from geoiseg.training.curve import draw_curve
from geoiseg.training.export import keep_weights, load_network
from geoiseg.training.families import SHARES
from geoiseg.training.loop import Trainer
from geoiseg.training.losses import edge_weights, mask_iou, mask_loss
from geoiseg.training.network import NetOptions, TinyNet
from geoiseg.training.options import TrainingOptions
from geoiseg.training.prompt_maps import Prompt, coarse_maps, fine_maps
from geoiseg.training.scene import UNKNOWN, Scene
from geoiseg.training.simulate import SLOTS, Simulator, another, depth, objects_of
from geoiseg.training.stored import LABELS, Target, weights_of

CPU = torch.device("cpu")
SMALL = NetOptions(
    stem=8, widths=(12, 16, 24, 32), depths=(1, 1, 1, 1), pyramid=16, key=8, fine_key=6,
    decoder=(12, 16, 24, 32), finish=8,
)  # fmt: skip


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def disks(count=6, size=160):
    """Scenes of coloured disks on a plain ground, which a few dozen steps can learn."""
    scenes = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        ids = np.zeros((size, size), np.int16)
        image = np.full((size, size, 3), rng.integers(30, 120, 3), np.float64)
        y, x = np.mgrid[:size, :size]
        for number in range(1, 6):
            centre, radius = rng.uniform(20, size - 20, 2), rng.uniform(12, 30)
            inside = np.hypot(y - centre[0], x - centre[1]) < radius
            ids[inside] = number
            image[inside] = rng.integers(120, 250, 3)
        image = np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
        kinds = {int(n): "procedural" for n in np.unique(ids) if n}
        scenes.append(Scene(f"disks{seed}", image, np.ones(ids.shape, bool), ids, kinds))
    return scenes


def options(**changed):
    base = TrainingOptions(
        steps=60, batch=6, sizes=((64, 1.0),), rounds=2, rate=4e-3, average=0.9, half=False,
        net=SMALL,
    )  # fmt: skip
    return replace(base, **changed)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    trainer = Trainer(options(), SceneBank(disks(), CPU), folder)
    trainer.run()
    return trainer


def test_kept_weights_begin_another_run(trained, tmp_path):
    kept = tmp_path / "weights.npz"
    keep_weights(trained.folder / "checkpoint.pt", kept)
    other = Trainer(options(seed=8), SceneBank(disks(1), CPU), tmp_path)
    other.start_from(kept)
    wanted = load_network(trained.folder / "checkpoint.pt")[0].state_dict()
    for name, value in other.net.state_dict().items():
        assert torch.allclose(value.float(), wanted[name].float(), rtol=2e-3, atol=1e-4), name
    assert other.step == 0


def test_the_loss_falls(trained):
    rows = [json.loads(line) for line in (trained.folder / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [20, 40, 60]
    assert rows[-1]["loss"] < 0.92 * rows[0]["loss"]
    assert rows[-1]["iou2"] > rows[0]["iou2"] + 0.1


def test_the_curve_is_drawn(trained, tmp_path):
    from PIL import Image

    needed("matplotlib")
    draw_curve(trained.folder / "log.jsonl", tmp_path / "curve.png")
    with Image.open(tmp_path / "curve.png") as picture:
        assert picture.size[0] > 500
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 3


def test_a_run_that_stops_and_resumes_is_the_same_run(tmp_path):
    bank = SceneBank(disks(3), CPU)
    whole = Trainer(options(steps=6), bank, tmp_path / "whole")
    whole.run()
    first = Trainer(options(steps=6), bank, tmp_path / "parts")
    for _ in range(3):
        first.advance()
    first.folder.mkdir()
    saved = first.save()
    lines = ['{"step": 3}\n', '{"step": 20}\n']
    (first.folder / "log.jsonl").write_text("".join(lines))
    second = Trainer(options(steps=6), bank, tmp_path / "parts")
    second.resume(saved)
    assert (second.folder / "log.jsonl").read_text() == lines[0]
    second.run()
    assert second.step == whole.step == 6
    for name, value in whole.net.state_dict().items():
        torch.testing.assert_close(second.net.state_dict()[name], value, msg=name)


def test_the_shipped_network_is_small_enough():
    net = TinyNet()
    assert net.parameter_count() <= 3_000_000


@pytest.mark.parametrize("shape", [(32, 32), (64, 160), (96, 32)])
def test_every_size_in_steps_of_the_stride_works(shape):
    net = TinyNet(SMALL).eval()
    features = net.encoder(torch.rand(2, 3, *shape) * 255, torch.ones(2, 1, *shape))
    logits, scores = net.decoder(features, prompt(2, shape))
    assert logits.shape == (2, 1, *shape)
    assert scores.shape == (2,)


def prompt(count, shape, signs=(1.0, -1.0, 0.0)):
    torch.manual_seed(1)
    points = torch.rand(count, len(signs), 2) * torch.tensor([shape[1], shape[0]])
    half = (shape[0] // 2, shape[1] // 2)
    return Prompt(
        points, torch.tensor([signs] * count), torch.zeros(count, 4),
        torch.zeros(count, 1, *half), torch.zeros(count),
    )  # fmt: skip


def test_contrast_and_haze_barely_change_what_the_encoder_sees():
    from geoiseg.training.network import _standardised

    image, valid = torch.rand(1, 3, 32, 32) * 200, torch.ones(1, 1, 32, 32)
    plain, hazy = _standardised(image, valid), _standardised(image * 0.5 + 90, valid)
    torch.testing.assert_close(plain[:, 3:6], hazy[:, 3:6], atol=0.08, rtol=0.05)
    assert (plain[:, :3] - hazy[:, :3]).abs().max() > 0.3


def test_unused_points_say_nothing():
    net = TinyNet(SMALL).eval()
    features = net.encoder(torch.rand(1, 3, 64, 64) * 255, torch.ones(1, 1, 64, 64))
    short = prompt(1, (64, 64), (1.0, -1.0))
    longer = short._replace(
        points=torch.cat([short.points, torch.full((1, 2, 2), 30.0)], 1),
        signs=torch.cat([short.signs, torch.zeros(1, 2)], 1),
    )
    fine, same = fine_maps(features, short), fine_maps(features, longer)
    torch.testing.assert_close(fine, same)
    torch.testing.assert_close(
        coarse_maps(features, short, fine), coarse_maps(features, longer, fine)
    )


def test_maps_peak_at_their_points():
    net = TinyNet(SMALL).eval()
    features = net.encoder(torch.rand(1, 3, 64, 64) * 255, torch.ones(1, 1, 64, 64))
    one = prompt(1, (64, 64), (1.0,))._replace(points=torch.tensor([[[21.0, 41.0]]]))
    near, against, alike = fine_maps(features, one)[0, :3]
    assert np.unravel_index(int(near.argmax()), near.shape) == (20, 10)
    assert float(against.detach().max()) == 0
    assert float(alike[20, 10].detach()) == pytest.approx(1, abs=1e-5)


def test_depth_agrees_with_the_erosions_that_a_gpu_makes():
    from geoiseg.training import simulate

    mask = torch.zeros(1, 60, 60)
    mask[0, 10:50, 20:45] = 1
    exact = depth(mask)
    assert np.unravel_index(int(exact[0].argmax()), (60, 60))[1] in range(30, 35)
    eroded = simulate.eroded_depth(mask)
    assert ((eroded > 0) == (exact > 0)).all()
    deepest = exact.max()
    assert float(eroded.max()) == pytest.approx(float(deepest), abs=5)
    assert (exact[eroded == eroded.max()] > deepest - 6).all()


def test_first_prompts_lie_where_they_should():
    bank = SceneBank(disks(), CPU)
    crops = bank.sample(64, 96, CropOptions(), generator())
    objects = objects_of(crops.ids, crops.valid, crops.target, torch.zeros(64, dtype=torch.long))
    prompt = Simulator(generator(3)).first(objects)
    assert prompt.points.shape == (64, SLOTS, 2)
    enough = objects.target.sum((1, 2)) > 100
    x, y = (prompt.points[..., k].long().clamp(0, 95) for k in (0, 1))
    on = objects.target.flatten(1).gather(1, y * 96 + x)
    positive, negative = (prompt.signs > 0) & enough[:, None], (prompt.signs < 0) & enough[:, None]
    assert positive.sum() > 40
    assert negative.sum() > 10
    assert on[positive].mean() > 0.9
    assert on[negative].mean() < 0.1
    said = (prompt.signs != 0).any(1) | (prompt.box[:, 2] > 0) | (prompt.has_previous > 0)
    assert said.all()
    boxed = (prompt.box[:, 2] > 0) & enough
    for box, target in zip(prompt.box[boxed], objects.target[boxed], strict=True):
        rows, columns = np.nonzero(target.numpy())
        found = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        span = np.array([np.ptp(columns), np.ptp(rows)] * 2)
        assert (np.abs(box.numpy() - found) <= 0.3 * span + 4).all()


def test_corrections_lie_on_the_error():
    target = torch.zeros(2, 96, 96)
    target[:, 20:60, 20:60] = 1
    ids = target.long()
    objects = objects_of(
        ids, torch.ones(2, 1, 96, 96), torch.ones(2, dtype=torch.long), torch.zeros(2).long()
    )
    logits = torch.full((2, 1, 96, 96), -5.0)
    logits[1, 0, 10:90, 10:90] = 5
    empty = Prompt(
        torch.zeros(2, SLOTS, 2), torch.zeros(2, SLOTS), torch.zeros(2, 4),
        torch.zeros(2, 1, 48, 48), torch.zeros(2),
    )  # fmt: skip
    after = Simulator(generator()).correct(empty, objects, logits, 0)
    used = after.signs != 0
    assert used.sum(1).tolist() == [1, 1]
    assert after.signs[used].tolist() == [1.0, -1.0]
    (x, y), (u, v) = after.points[used].tolist()
    assert 18 <= x <= 62
    assert 18 <= y <= 62
    assert not (22 < u < 58 and 22 < v < 58)
    assert min(u, v) >= 8
    assert max(u, v) <= 92


def test_another_is_another():
    ids = torch.zeros(2, 8, 8, dtype=torch.long)
    ids[0, :4], ids[0, 4:], ids[1, :4] = 1, 2, 1
    assert another(ids, torch.tensor([1, 1]), generator()).tolist() == [2, 0]


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


def test_the_loss_prefers_the_truth_and_ignores_the_unknown():
    target = torch.zeros(1, 32, 32)
    target[:, 8:20, 8:20] = 1
    known = torch.ones_like(target)
    known[:, 25:] = 0
    weight = edge_weights(target, known)
    right = torch.where(target > 0, 6.0, -6.0)
    wrong = -right
    strange = torch.where(known > 0, right, 6.0)

    def loss(logits):
        return float(mask_loss(logits, target, known, weight))

    assert loss(right) < 0.1
    assert loss(wrong) > 1
    assert loss(strange) == pytest.approx(loss(right), abs=1e-4)
    assert float(mask_iou(strange, target, known)) == 1
    assert float(weight[0, 0, 0]) == 1
    assert float(weight[0, 8, 8]) == 1.5
    assert float(weight[0, 30, 0]) == 0
