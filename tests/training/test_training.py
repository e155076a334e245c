"""Training of the small network: it runs, it learns, it resumes, it exports what it learnt."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.conftest import needed

torch = needed("torch")

from geoiseg.training.bank import CropOptions, SceneBank
from geoiseg.training.curve import draw_curve
from geoiseg.training.export import keep_weights, load_network, mix_checkpoints
from geoiseg.training.loop import Trainer
from geoiseg.training.losses import edge_weights, mask_iou, mask_loss
from geoiseg.training.network import NetOptions, TinyNet
from geoiseg.training.options import TrainingOptions, has_half
from geoiseg.training.prompt_maps import Prompt, coarse_maps, compact, fine_maps
from geoiseg.training.simulate import SLOTS, Simulator, depth, objects_of
from tests.training.made_scenes import disks

CPU = torch.device("cpu")
SMALL = NetOptions(
    stem=8, pyramid=16, key=8, fine_key=6, decoder=(12, 16, 24, 32), finish=8, dense=8,
    trunk=((3, 1, 1, 8, 1), (3, 2, 3, 12, 2), (5, 2, 3, 16, 1), (3, 2, 3, 24, 1), (3, 2, 3, 32, 1)),
)  # fmt: skip


@pytest.mark.parametrize(
    ("told", "half"),
    [({"avx512_bf16": True}, True), ({"avx512_bf16": False, "avx2": True}, False), (None, False)],
)
def test_half_precision_is_for_processors_that_say_they_have_it(monkeypatch, told, half):
    if told is None:
        monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    else:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: told, raising=False)
    assert has_half("cpu") is half
    assert has_half("cuda") is True


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


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


def test_checkpoints_are_mixed_half_and_half(trained, tmp_path):
    other = Trainer(options(seed=8), SceneBank(disks(1), CPU), tmp_path)
    paths = [trained.folder / "checkpoint.pt", other.save()]
    mix_checkpoints(paths, tmp_path / "mixed.pt")
    parts = [load_network(path)[0].state_dict() for path in paths]
    for name, value in load_network(tmp_path / "mixed.pt")[0].state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, (parts[0][name] + parts[1][name]) / 2, msg=name)


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
    assert net.parameter_count() <= 4_000_000


@pytest.mark.parametrize("shape", [(32, 32), (64, 160), (96, 32)])
def test_every_size_in_steps_of_the_stride_works(shape):
    net = TinyNet(SMALL).eval()
    features = net.encoder(torch.rand(2, 3, *shape) * 255, torch.ones(2, 1, *shape))
    logits, scores = net.decoder(features, prompt(2, shape))
    assert logits.shape == (2, 1, *shape)
    assert scores.shape == (2, 1)
    again, _, others, told = net.decoder.alternatives(features, prompt(2, shape))
    torch.testing.assert_close(again, logits)
    assert others.shape == (2, 3, *shape)
    assert told.shape == (2, 3)


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


def test_unused_slots_of_prompts_change_nothing() -> None:
    chance = generator(1)
    net = TinyNet(SMALL).eval()
    image = torch.rand(3, 3, 64, 64, generator=chance) * 255
    points = torch.rand(3, 9, 2, generator=chance) * 64
    signs = torch.zeros(3, 9)
    signs[0, 7], signs[1, 2], signs[1, 8] = 1, 1, -1
    none = torch.zeros(3, 1, 32, 32), torch.zeros(3)
    prompt = Prompt(points, signs, torch.zeros(3, 4), *none)
    short = compact(prompt)
    assert short.points.shape == (3, 2, 2)
    assert short.signs.tolist() == [[1, 0], [1, -1], [0, 0]]
    with torch.no_grad():
        features = net.encoder(image, torch.ones(3, 1, 64, 64))
        for wanted, given in zip(
            net.decoder(features, prompt), net.decoder(features, short), strict=True
        ):
            torch.testing.assert_close(given, wanted)
