"""Parts of the plugin in QGIS's Python, without its window."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.qgis.qgis_app import PYTHON, Qgis

pytestmark = [pytest.mark.qgis]

PIECES = Path(__file__).parent / "pieces.py"
OWN = ("PYTHONPATH", "VIRTUAL_ENV", "GEOISEG_PYTHON")
"""Variables that would tell QGIS's Python of that of the tests."""


def piece(folder: Path, what: str, more: str = "", **variables: str) -> dict[str, Any]:
    """Return what a part of the plugin that is packed in a folder does."""
    Qgis.made(folder)
    plugins = folder / "profiles/default/python/plugins"
    mine = {name: value for name, value in os.environ.items() if name not in OWN}
    done = subprocess.run(
        [PYTHON, str(PIECES), str(plugins), what, str(folder), more], capture_output=True, text=True,
        env={**mine, "QT_QPA_PLATFORM": "offscreen", **variables}, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_a_password_in_the_index_s_address_is_in_no_line(tmp_path: Path) -> None:
    folder = tmp_path / "Zoë's QGIS"
    folder.mkdir()
    seen = piece(folder, "set_up", PIP_INDEX_URL="http://zoe:geheim@127.0.0.1:9/simple",
                 PIP_RETRIES="0", PIP_USER="1", UV_HTTP_RETRIES="0")  # fmt: skip
    assert len(seen["ends"]) == 1
    assert seen["ends"][0]
    assert not seen["busy"]
    assert any("127.0.0.1" in line for line in seen["log"])
    assert "geheim" not in "\n".join([*seen["log"], *seen["ends"]])
    assert not [
        name for name in seen["left"] if name.startswith(("env-", "old-", "tools", ".lock"))
    ]


def test_keys_with_alt_stay_those_of_qgis_menus(tmp_path: Path) -> None:
    seen = piece(tmp_path, "keys")
    assert seen.pop("held") == ["rejected"]  # once, however long the key is held
    assert seen == {"": list("EHILNPSX1"), "alt": [], "meta": []}


def test_the_offer_and_its_window_go_with_the_plugin(tmp_path: Path) -> None:
    seen = piece(tmp_path, "offer", HOME=str(tmp_path), PATH="/usr/bin:/bin")["seen"]
    assert seen == [1, 0, 0, 0]
