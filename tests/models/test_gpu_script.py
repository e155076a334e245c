"""``benchmarks/gpu.sh`` runs to its end, on a CPU and with tiny networks, and writes all figures."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import needed

needed("torch")
needed("transformers")
ROOT = Path(__file__).parents[2]
NETWORKS = ("vit_b", "vit_h", "sam2.1_tiny", "sam2.1_large")


def run(out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    command = [str(ROOT / "benchmarks" / "gpu.sh"), str(out), *more]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


def numbers(found: Any) -> list[float]:
    """Return all numbers in what was found."""
    if isinstance(found, dict):
        return [number for part in found.values() for number in numbers(part)]
    return [found] if isinstance(found, (int, float)) and not isinstance(found, bool) else []


def test_all_figures_are_there(tmp_path: Path) -> None:
    out = tmp_path / "card.json"
    done = run(out, "--device", "cpu", "--quick")
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert found["device"] == "CPU"
    assert found["quick"] is True
    assert found["skipped"] == {}
    assert list(found["engines"]) == [*NETWORKS, "tiny"]
    assert found["bf16_matrix_flops"] > 0
    for name in NETWORKS:
        engine = found["engines"][name]
        encode = engine["encode"]
        assert str(encode["best_batch"]) in encode["batches_ms"]
        assert encode["flops"] > 1e6
        wanted = encode["flops"] / (encode["batches_ms"]["1"] / 1e3) / found["bf16_matrix_flops"]
        assert math.isclose(encode["share_at_1"], wanted)
        assert encode["share_at_best"] >= encode["share_at_1"]
    for engine in found["engines"].values():
        assert min(engine["encode"]["batches_ms"].values()) > 0
        assert min(engine["decode"]["prompts_ms"].values()) > 0
        assert engine["decode"]["click_ms"] > 0
        assert engine["map"]["megapixels_per_second"] > 0
    assert all(math.isfinite(number) for number in numbers(found))


def test_operations_are_those_of_the_matrices() -> None:
    """A layer of known size: twice its multiply-adds, as the share's numerator has it."""
    torch = needed("torch")
    sys.path.insert(0, str(ROOT))
    try:
        from benchmarks.gpu import operations
    finally:
        sys.path.remove(str(ROOT))
    layer, given = torch.nn.Linear(30, 50), torch.zeros(7, 30)

    def run_it() -> None:
        with torch.inference_mode():
            layer(given)

    assert operations(run_it) == 2 * 7 * 30 * 50


def test_without_a_card_it_says_so(tmp_path: Path) -> None:
    if needed("torch").cuda.is_available():
        pytest.skip("there is a card here")
    done = run(tmp_path / "card.json")
    assert done.returncode != 0
    assert "no CUDA device here" in done.stderr
    assert not (tmp_path / "card.json").exists()
