"""Files of weights that nobody vouches for: read without running anything, refused in one line."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from tests.conftest import needed

torch = needed("torch")

import geoiseg
from geoiseg.errors import WeightsError
from geoiseg.models.weights import store
from geoiseg.models.weights.bundle import install_file
from geoiseg.models.weights.catalogue import CATALOGUE, Checkpoint, RemoteFile
from geoiseg.models.weights.download import Listener
from geoiseg.models.weights.pull import PullOptions
from geoiseg.models.weights.safe_load import load_state
from tests.conftest import Disk
from tests.models.test_weights import run

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2, dtype=torch.float16)}


class Hostile:
    """What a pickle may hold: a command that is run when it is read."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.trace}",)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GEOISEG_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def same(found: dict[str, object]) -> bool:
    return found.keys() == STATE.keys() and all(torch.equal(found[k], STATE[k]) for k in STATE)


@pytest.mark.parametrize("wrapped", [None, "model", "state_dict"])
@pytest.mark.parametrize("zipped", [True, False])
def test_pickled_tensors(tmp_path: Path, wrapped: str | None, zipped: bool) -> None:
    path = tmp_path / "w.pth"
    content = STATE if wrapped is None else {wrapped: STATE, "epoch": 3}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    assert same(load_state(path))


def test_safetensors_whole_and_in_pieces(tmp_path: Path) -> None:
    save_file = needed("safetensors.torch").save_file
    save_file(STATE, tmp_path / "model.safetensors")
    assert same(load_state(tmp_path / "model.safetensors"))
    assert same(load_state(tmp_path))
    pieces = tmp_path / "pieces"
    pieces.mkdir()
    for number, (name, tensor) in enumerate(STATE.items()):
        save_file({name: tensor}, pieces / f"model-{number}.safetensors")
    index = pieces / "model.safetensors.index.json"
    index.write_text(
        '{"weight_map": {"a.weight": "model-0.safetensors", "a.bias": "model-1.safetensors"}}'
    )
    assert same(load_state(pieces))
    index.write_text('{"weight_map": {"a.weight": "../model.safetensors"}}')
    with pytest.raises(WeightsError, match="outside its folder"):
        load_state(pieces)


@pytest.mark.parametrize("how", ["zip", "old", "plain"])
def test_a_hostile_pickle_does_not_run(tmp_path: Path, how: str) -> None:
    trace, path = tmp_path / "trace", tmp_path / "w.pth"
    if how == "plain":
        path.write_bytes(pickle.dumps({"w": Hostile(trace)}, protocol=2))
    else:
        content = {"w": STATE["a.weight"], "more": Hostile(trace)}
        torch.save(content, path, _use_new_zipfile_serialization=how == "zip")
    with pytest.raises(WeightsError) as caught:
        load_state(path)
    assert not trace.exists()
    assert "\n" not in str(caught.value)
    if how != "plain":
        assert "asks to run posix.system" in str(caught.value)
    with path.open("rb") as handle:  # it would have: the test can fail
        if how == "plain":
            pickle.load(handle)
        else:
            torch.load(handle, weights_only=False)
    assert trace.exists()


def test_a_hostile_file_by_its_path(
    capsys: pytest.CaptureFixture[str], disk: Disk, tmp_path: Path
) -> None:
    trace, path = tmp_path / "trace", tmp_path / "w.pth"
    torch.save({"w": STATE["a.weight"], "more": Hostile(trace)}, path)
    code, _, err = run(
        capsys, "segment", disk.path, tmp_path / "p.gpkg", tmp_path / "o.gpkg", "-m", path
    )
    assert code == 1
    assert f"{path} was refused" in err
    assert err.count("\n") == 1
    assert not trace.exists()


def damaged(tmp_path: Path, how: str) -> Path:
    path = tmp_path / f"{how}.pth"
    torch.save(STATE, path)
    whole = path.read_bytes()
    content = {
        "cut": whole[: len(whole) // 2],
        "empty": b"",
        "noise": bytes(range(256)) * 20,
        "page": b"<!DOCTYPE html><html>sign in</html>",
        "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
    }
    if how in content:
        path.write_bytes(content[how])
    elif how == "list":
        torch.save([STATE["a.bias"]], path)
    elif how == "numbers":
        torch.save({"a": 1}, path)
    elif how == "safetensors":
        path = path.with_suffix(".safetensors")
        path.write_bytes(whole)
    return path


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("cut", "cut short"), ("empty", "is empty"), ("noise", "no PyTorch checkpoint"),
        ("page", "is a web page"), ("pointer", "git lfs pull"), ("list", "holds a list"),
        ("numbers", "no tensors by name"), ("safetensors", "no whole safetensors file"),
    ],
)  # fmt: skip
def test_damaged_files(tmp_path: Path, how: str, said: str) -> None:
    path = damaged(tmp_path, how)
    for read in (load_state, geoiseg.get_model):
        with pytest.raises(WeightsError) as caught:
            read(path)
        assert said in str(caught.value)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_checkpoint_of_something_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "resnet.pth"
    torch.save(STATE, path)
    with pytest.raises(WeightsError) as caught:
        geoiseg.get_model(path)
    assert str(path) in str(caught.value)
    row = Checkpoint(
        "test-net", "sam", "sam-vit-b", 7, 99, "MIT", "https://x.org", (RemoteFile("w.pth"),)
    )
    monkeypatch.setitem(CATALOGUE, "test-net", row)
    install_file(row, path, PullOptions(), Listener())
    assert store.is_here(row)
    with pytest.raises(WeightsError) as caught:
        geoiseg.get_model("test-net")
    assert "\n" not in str(caught.value)


def test_a_checkpoint_by_its_path_segments(
    capsys: pytest.CaptureFixture[str], disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.sam_reference import reference

    path = tmp_path / "small sam.pth"
    torch.save(reference().state_dict(), path)
    prompts = tmp_path / "p.csv"
    x, y = disk.centre
    prompts.write_text(f"x,y\n{x},{y}\n")
    out = tmp_path / "o.geojson"
    arguments = ("segment", disk.path, prompts, out, "--device", "cpu", "--precision", "fp32")
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, *arguments, "-m", path.name, "--project", tmp_path / "p.gpkg")
    assert code == 0, err
    assert out.exists()
    session = geoiseg.Session.load(tmp_path / "p.gpkg")  # the path is the name it is found by
    assert session.model.info.name == str(path)
    assert session.model.info.weights_hash.startswith(store.file_hash(path))
    code, _, err = run(capsys, *arguments, "-m", path, "--device", "tpu")
    assert code == 1
    assert "tpu" in err
    assert err.count("\n") == 1


def test_weights_of_another_architecture(tmp_path: Path) -> None:
    from tests.sam_reference import reference

    path = tmp_path / "small.pth"
    torch.save(reference().state_dict(), path)
    row = Checkpoint(
        "test-net", "sam2", "sam2-hiera-tiny", 7, 99, "MIT", "https://x.org", (RemoteFile("w.pth"),)
    )
    install_file(row, path, PullOptions(), Listener())
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CATALOGUE, "test-net", row)
        with pytest.raises(WeightsError, match="not of sam2-hiera-tiny"):
            geoiseg.load_model("test-net", device="cpu")
