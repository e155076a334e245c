"""RemoteCLIP and GeoRSCLIP: checkpoints of open_clip, compared with open_clip itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import geoiseg
from geoiseg.errors import WeightsError
from geoiseg.models.registry import get_model
from geoiseg.models.weights.catalogue import CATALOGUE
from geoiseg.models.weights.store import Manifest, folder_of, write_manifest
from geoiseg.segment.embeddings import EmbeddingCache
from geoiseg.words.engines import engine_names, get_engine
from geoiseg.words.ranking import TEMPLATES
from tests.conftest import disk_pixels, needed, write_raster

torch = needed("torch")
needed("transformers")
needed("torchvision")
open_clip = needed("open_clip")

LETTERS = [chr(code) for code in range(33, 127)]
WORDS = 2 * len(LETTERS) + 2
SIDE, LENGTH = 64, 48


def vocabulary(folder: Path) -> None:
    """Write a vocabulary of single letters, as CLIP's two files."""
    tokens = [*LETTERS, *(f"{c}</w>" for c in LETTERS), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: n for n, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")


def small(*, quick_gelu: bool = True) -> Any:
    """Return a small CLIP of open_clip: two heads a tower, random weights of some size."""
    torch.manual_seed(1)
    vision = open_clip.CLIPVisionCfg(
        layers=3, width=128, head_width=64, patch_size=16, image_size=SIDE
    )
    text = open_clip.CLIPTextCfg(
        context_length=LENGTH, vocab_size=WORDS, width=128, heads=2, layers=2
    )
    network = open_clip.CLIP(32, vision, text, quick_gelu=quick_gelu).eval()
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name != "logit_scale":
                size = weight[0].numel() ** -0.5 if weight.ndim > 1 else 0.2
                weight.add_(torch.randn_like(weight) * size)
    return network


@pytest.fixture(scope="module")
def theirs() -> Any:
    return small()


@pytest.fixture
def checkpoint(theirs: Any, tmp_path: Path) -> Path:
    path = tmp_path / "clip" / "RemoteCLIP-small.pt"
    path.parent.mkdir()
    torch.save(theirs.state_dict(), path)
    vocabulary(path.parent)
    return path


def crops() -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    return [rng.integers(0, 255, (SIDE, SIDE, 3), np.uint8) for _ in range(3)]


def unit(vectors: Any) -> np.ndarray:
    return torch.nn.functional.normalize(vectors, dim=-1).numpy()


def tokens(word: str) -> Any:
    """Return the templates as open_clip writes tokens: filled up with zeros."""
    rows = np.zeros((len(TEMPLATES), LENGTH), np.int64)
    for row, template in zip(rows, TEMPLATES, strict=True):
        said = [WORDS - 2]
        for part in template.format(word).replace(".", " .").split():
            numbers = [LETTERS.index(letter) for letter in part]
            said += [*numbers[:-1], numbers[-1] + len(LETTERS)]
        said = [*said[: LENGTH - 1], WORDS - 1]
        row[: len(said)] = said
    return torch.from_numpy(rows)


def test_features_are_those_of_open_clip(theirs: Any, checkpoint: Path) -> None:
    engine: Any = get_engine(str(checkpoint), get_model("grabcut"))
    images = crops()
    norm = torch.tensor(open_clip.OPENAI_DATASET_MEAN), torch.tensor(open_clip.OPENAI_DATASET_STD)
    values = (torch.from_numpy(np.stack(images)) / 255 - norm[0]) / norm[1]
    with torch.no_grad():
        wanted = unit(theirs.encode_image(values.permute(0, 3, 1, 2).contiguous()))
        words = unit(torch.from_numpy(unit(theirs.encode_text(tokens("water")))).mean(dim=0))
        other = unit(torch.from_numpy(unit(theirs.encode_text(tokens("roof")))).mean(dim=0))
    np.testing.assert_allclose(engine.image_features(images), wanted, atol=1e-4)
    np.testing.assert_allclose(engine.text_features("water"), words, atol=1e-4)
    assert np.abs(words - other).max() > 1e-3
    assert np.abs(wanted[0] - wanted[1]).max() > 1e-2
    scale = engine._network.logit_scale.detach()
    assert float(scale) == pytest.approx(float(theirs.logit_scale.detach()))


def test_the_activation_is_openais(theirs: Any, checkpoint: Path) -> None:
    plain = small(quick_gelu=False)
    plain.load_state_dict(theirs.state_dict())
    engine: Any = get_engine(str(checkpoint), get_model("grabcut"))
    with torch.no_grad():
        words = unit(torch.from_numpy(unit(plain.encode_text(tokens("water")))).mean(dim=0))
    assert np.abs(engine.text_features("water") - words).max() > 1e-3


def test_a_session_finds_with_a_checkpoint_or_its_folder(checkpoint: Path, tmp_path: Path) -> None:
    raster = write_raster(tmp_path / "a.tif", disk_pixels()[0])
    session = geoiseg.Session(raster, "grabcut", cache=EmbeddingCache())
    by_file = session.add_text("water", threshold=0.0, engine=str(checkpoint))
    by_folder = session.add_text("water", threshold=0.0, engine=str(checkpoint.parent))
    assert by_file
    assert [one.score for one in by_file] == [one.score for one in by_folder]


def test_it_is_found_by_its_name_with_the_vocabulary_pulled_along(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEOISEG_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("geoiseg.words.engines._loaded", {})
    names = [name for name, row in CATALOGUE.items() if row.architecture == "open-clip"]
    assert set(names) <= set(engine_names())
    assert "commercial" in CATALOGUE["georsclip-vit-b-32"].notice
    for name in names:
        row = CATALOGUE[name]
        assert [file.name for file in row.files[1:]] == ["vocab.json", "merges.txt"]
        with pytest.raises(WeightsError, match=f"geoiseg models pull {name}"):
            get_engine(name, get_model("grabcut"))
        place = folder_of(row)
        place.mkdir(parents=True)
        for file in row.files:
            source = checkpoint if file.name.endswith(".pt") else checkpoint.parent / file.name
            (place / file.name).write_bytes(source.read_bytes())
        sizes = {p.name: {"sha256": "", "size": p.stat().st_size} for p in place.iterdir()}
        write_manifest(place, Manifest(name, row.licence, row.source, sizes))
        engine: Any = get_engine(name, get_model("grabcut"))
        assert engine.name == name
        assert engine.text_features("water").shape == (32,)


def test_the_vocabulary_of_another_clip_serves(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEOISEG_HOME", str(tmp_path / "home"))
    for name in ("vocab.json", "merges.txt"):
        (checkpoint.parent / name).unlink()
    with pytest.raises(WeightsError, match="geoiseg models pull clip-vit-b-32") as error:
        get_engine(str(checkpoint), get_model("grabcut"))
    assert "\n" not in str(error.value)
    row = CATALOGUE["clip-vit-b-32"]
    place = folder_of(row)
    place.mkdir(parents=True)
    vocabulary(place)
    files = {p.name: {"sha256": "", "size": p.stat().st_size} for p in place.iterdir()}
    write_manifest(place, Manifest(row.name, row.licence, row.source, files))
    engine: Any = get_engine(str(checkpoint), get_model("grabcut"))
    assert engine.text_features("water").shape == (32,)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"visual.proj": None}, "Missing key"),
        ({"text_projection": None}, "has no text_projection"),
        ({"visual.layer1.0.conv1.weight": (4, 4)}, "visual.layer1.0.conv1.weight"),
        ({"transformer.resblocks.1.ls_1.gamma": (128,)}, "ls_1"),
        ({"ln_final.weight": (64,)}, "ln_final|final_layer_norm"),
    ],
)
def test_what_is_no_such_clip_is_refused_in_one_line(
    theirs: Any, checkpoint: Path, change: dict[str, Any], said: str
) -> None:
    state = theirs.state_dict()
    for name, shape in change.items():
        state.pop(name, None)
        if shape is not None:
            state[name] = torch.zeros(shape)
    path = checkpoint.with_name("other.pt")
    torch.save(state, path)
    with pytest.raises(WeightsError, match=said) as error:
        get_engine(str(path), get_model("grabcut"))
    assert "\n" not in str(error.value)


def test_code_in_a_checkpoint_is_not_run(checkpoint: Path) -> None:
    path = checkpoint.with_name("evil.pt")
    torch.save({"state_dict": print}, path)
    with pytest.raises(WeightsError, match="was refused"):
        get_engine(str(path), get_model("grabcut"))


def test_a_vocabulary_of_another_size_is_refused(checkpoint: Path) -> None:
    tokens = json.loads((checkpoint.parent / "vocab.json").read_text())
    tokens["more"] = len(tokens)
    (checkpoint.parent / "vocab.json").write_text(json.dumps(tokens))
    with pytest.raises(WeightsError, match="it is of another model"):
        get_engine(str(checkpoint), get_model("grabcut"))
