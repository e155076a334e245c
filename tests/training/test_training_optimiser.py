"""Muon: orthogonal steps for kernels, AdamW for the rest, and late clicks in the loop."""

from __future__ import annotations

import pytest

from tests.conftest import needed

torch = needed("torch")

from geoiseg.errors import ModelError
from geoiseg.training.bank import SceneBank
from geoiseg.training.loop import Trainer
from geoiseg.training.optimiser import LIKE_ADAM, Muon, mixes, orthogonal
from tests.training.made_scenes import disks
from tests.training.test_training import CPU, options


@pytest.mark.parametrize("shape", [(8, 40), (40, 8), (64, 72)])
def test_singular_values_are_brought_near_one(shape):
    chance = torch.Generator().manual_seed(1)
    matrix = torch.randn(*shape, generator=chance) * torch.logspace(0, 1, shape[1])
    made = orthogonal(matrix)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    size = torch.linalg.svdvals(made)
    assert 0.3 < size.min() <= size.max() < 1.3
    assert (made * (left @ right)).sum() / (made.norm() * (left @ right).norm()) > 0.9


def test_what_does_not_mix_channels_is_stepped_as_adamw_does():
    parameters = {"bias": torch.ones(7), "depthwise": torch.ones(8, 1, 3, 3),
                  "head": torch.ones(4, 8, 3, 3)}  # fmt: skip
    assert not any(mixes(value) for value in parameters.values())
    for value in parameters.values():
        ours, theirs = value.clone().requires_grad_(), value.clone().requires_grad_()
        mine = Muon([{"params": [ours], "weight_decay": 0.1}], 0.01)
        oracle = torch.optim.AdamW([theirs], lr=0.01, betas=(0.9, 0.98), weight_decay=0.1)
        chance = torch.Generator().manual_seed(2)
        for _ in range(4):
            ours.grad = torch.randn(value.shape, generator=chance)
            theirs.grad = ours.grad.clone()
            mine.step()
            oracle.step()
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_a_kernel_steps_by_its_rate_whatever_the_size_of_its_gradient():
    moved = []
    for times in (1e-4, 1e4):
        kernel = torch.zeros(16, 4, 3, 3, requires_grad=True)
        optimiser = Muon([{"params": [kernel], "weight_decay": 0.0}], 0.01)
        kernel.grad = times * torch.randn(16, 4, 3, 3, generator=torch.Generator().manual_seed(3))
        optimiser.step()
        moved.append(kernel.detach().clone())
    torch.testing.assert_close(moved[0], moved[1], rtol=0.02, atol=1e-5)
    size = (moved[0] ** 2).mean().sqrt() / (0.01 * LIKE_ADAM)
    assert 0.5 < size < 1.5
    assert optimiser.step(lambda: 3.0) == 3.0


def test_answers_after_many_clicks_are_learned_from_too(tmp_path, monkeypatch):
    trainer = Trainer(options(corrections=((4, 1.0),)), SceneBank(disks(1), CPU), tmp_path)
    clicks, correct = [], trainer.simulator.correct

    def counted(prompt, objects, logits, turn):
        after = correct(prompt, objects, logits, turn)
        clicks.append((turn, int((after.signs != 0).sum(1).max())))
        return after

    monkeypatch.setattr(trainer.simulator, "correct", counted)
    figures = trainer.advance()
    assert [turn for turn, _ in clicks] == [0, 1, 2, 3, 4]
    assert clicks[-1][1] >= 5
    assert "late" in figures
    assert "iou1" not in figures


def test_a_checkpoint_of_another_optimiser_is_not_resumed(tmp_path):
    trainer = Trainer(options(), SceneBank(disks(1), CPU), tmp_path)
    path = trainer.save()
    state = torch.load(path, weights_only=True)
    state["optimiser"] = torch.optim.AdamW(trainer.net.parameters()).state_dict()
    torch.save(state, path)
    with pytest.raises(ModelError, match="begin from it with --start"):
        trainer.resume(path)
