"""The exported graphs against torch: the same numbers from the same prompts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import needed

torch = needed("torch")
onnx = needed("onnx")

from onnx import numpy_helper

import geoiseg.models.tiny
import geoiseg.training
from geoiseg.models.classic.seeds import draw_seeds
from geoiseg.models.tiny import FILES, closer
from geoiseg.models.tiny.model import TinyModel
from geoiseg.models.tiny.outputs import obedient, sharpened
from geoiseg.prompting.pixel import PixelPrompts
from geoiseg.training.bank import SceneBank
from geoiseg.training.export import DECODED, digest, export, export_network, load_network
from geoiseg.training.features import Features
from geoiseg.training.loop import Trainer
from geoiseg.training.material import procedural_scene
from geoiseg.training.network import NetOptions, TinyNet
from geoiseg.training.options import TrainingOptions
from geoiseg.training.prompt_maps import Prompt

KEPT = Path(geoiseg.training.__file__).parent / "record" / "weights3.npz"
"""The weights that ship: every one of them matters."""
SHIPPED = Path(geoiseg.models.tiny.__file__).parent


def shipped():
    """The network that ships, as torch has it."""
    net = TinyNet()
    with np.load(KEPT, allow_pickle=False) as kept:
        net.load_state_dict({name: torch.from_numpy(kept[name]) for name in kept.files})
    return net.eval()


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    net, folder = shipped(), tmp_path_factory.mktemp("graphs")
    export_network(net, folder)
    names = ("encoder.onnx", "decoder.onnx")
    card = {"licence": "Apache-2.0", "parameters": net.parameter_count()}
    card["sha256"] = {name: digest(folder / name) for name in names}
    (folder / "card.json").write_text(json.dumps(card))
    return net, folder


def session(folder, name):
    import onnxruntime

    return onnxruntime.InferenceSession(folder / name, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("shape", [(96, 160), (256, 64)])
def test_graphs_and_torch_agree(pair, shape):
    net, folder = pair
    torch.manual_seed(shape[0])
    image, valid = torch.rand(1, 3, *shape) * 255, torch.ones(1, 1, *shape)
    valid[..., -9:] = 0
    half = (shape[0] // 2, shape[1] // 2)
    prompt = Prompt(
        points=(torch.rand(1, 5, 2) * torch.tensor([shape[1], shape[0]])).floor() + 0.5,
        signs=torch.tensor([[1.0, 1.0, -1.0, 0.0, 1.0]]),
        box=torch.tensor([[4.0, 8.0, 50.0, 60.0]]),
        previous=torch.rand(1, 1, *half),
        has_previous=torch.ones(1),
    )
    with torch.no_grad():
        features = net.encoder(image, valid)
        logits, score, others, scores = net.decoder.alternatives(features, prompt)
    given = {"image": image.numpy(), "valid": valid.numpy()}
    found = session(folder, "encoder.onnx").run(None, given)
    for name, ours, theirs in zip(Features._fields, found, features, strict=True):
        scale = float(theirs.abs().max())
        np.testing.assert_allclose(ours, theirs.numpy(), atol=4e-3 * scale, err_msg=name)
    tensors = {**{name: getattr(features, name) for name in DECODED}, **prompt._asdict()}
    decoded = session(folder, "decoder.onnx").run(None, {k: v.numpy() for k, v in tensors.items()})
    wanted = (logits, torch.sigmoid(score[:, 0]), others, torch.sigmoid(scores))
    for ours, theirs in zip(decoded, wanted, strict=True):
        scale = max(1.0, float(theirs.abs().max()))
        np.testing.assert_allclose(ours, theirs.numpy(), atol=4e-3 * scale)


def test_exported_convolutions_pad_by_themselves(pair):
    nodes = onnx.load(pair[1] / "encoder.onnx").graph.node
    assert "Conv" in {node.op_type for node in nodes}
    assert "Pad" not in {node.op_type for node in nodes}


def test_what_ships_are_the_kept_weights(pair):
    _, folder = pair
    card = json.loads((SHIPPED / "card.json").read_text())
    for name, wanted in card["sha256"].items():
        assert digest(SHIPPED / name) == wanted
    for name in FILES:  # the third is made of the first, and read by test_tiny_quick
        ours, theirs = (
            {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
            for path in (folder / name, SHIPPED / name)
        )
        assert ours.keys() == theirs.keys()
        for key, values in ours.items():
            # Norms are folded into convolutions before these are halved, or after.
            scale = float(np.abs(theirs[key]).max(initial=1e-3))
            np.testing.assert_allclose(values, theirs[key], atol=2e-3 * scale, err_msg=key)


def test_the_files_fit_in_the_package(pair):
    _, folder = pair
    assert sum(path.stat().st_size for path in folder.glob("*.onnx")) <= 9_000_000


def test_the_runtime_shows_the_network_what_training_did(pair, monkeypatch):
    monkeypatch.setattr(closer, "DEEP", 0.0)  # nothing is looked at enlarged
    net, folder = pair
    scene = procedural_scene(3, 128)
    image, valid = scene.image[:96, :110], scene.valid[:96, :110]
    model = TinyModel(folder, threads=1, patient=False)
    prompts = PixelPrompts(
        points=np.array([[40.5, 30.5], [80.5, 70.5]]), positive=np.array([True, False])
    )
    ours = model.decode(model.embed(image, valid), prompts).logits[0]
    padded = np.zeros((1, 3, 96, 128), np.float32)
    padded[0, :, :, :110] = image.transpose(2, 0, 1)
    seen = np.zeros((1, 1, 96, 128), np.float32)
    seen[..., :110] = 1
    prompt = Prompt(
        torch.tensor([[[40.5, 30.5], [80.5, 70.5]]]), torch.tensor([[1.0, -1.0]]),
        torch.zeros(1, 4), torch.zeros(1, 1, 48, 64), torch.zeros(1),
    )  # fmt: skip
    with torch.no_grad():
        features = net.encoder(torch.from_numpy(padded), torch.from_numpy(seen))
        theirs = net.decoder(features, prompt)[0][0, 0, :, :110].numpy()
    theirs = obedient(theirs, draw_seeds(prompts, valid), valid)
    theirs = sharpened(theirs, image * valid[..., None], prompts, valid)
    # Where the sign hangs on rounding, a part may be put aside in one and not in the other.
    same = (ours > 0) == (theirs > 0)
    assert same.mean() > 0.999
    np.testing.assert_allclose(ours[same], theirs[same], atol=0.03 * np.abs(theirs).max())


def test_a_checkpoint_becomes_a_model(tmp_path):
    small = NetOptions(
        stem=8, pyramid=12, key=6, fine_key=4, decoder=(8, 12, 16, 24), finish=8, dense=8,
        trunk=((3, 1, 1, 8, 1), (3, 2, 2, 8, 1), (5, 2, 2, 12, 1), (3, 2, 2, 16, 1), (3, 2, 2, 24, 1)),
    )  # fmt: skip
    options = TrainingOptions(steps=1, batch=2, sizes=((64, 1.0),), half=False, net=small)
    bank = SceneBank([procedural_scene(1, 128)], torch.device("cpu"))
    trainer = Trainer(options, bank, tmp_path / "run")
    trainer.run()
    checkpoint = tmp_path / "run" / "checkpoint.pt"
    net, trained = load_network(checkpoint)
    assert net.options == small
    assert trained["step"] == 1
    export(checkpoint, tmp_path / "out", {"iou1": 0.5})
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["figures"] == {"iou1": 0.5}
    assert card["training"]["seed"] == options.seed
    model = TinyModel(tmp_path / "out", threads=1)
    assert model.info.parameters == net.parameter_count()
    embedding = model.embed(np.zeros((33, 47, 3), np.uint8), np.ones((33, 47), bool))
    assert embedding.shape == (33, 47)
