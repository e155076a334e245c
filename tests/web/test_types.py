"""The page's modules keep their types and their format."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

WEB = Path(__file__).parents[2] / "web"


def test_types_and_format() -> None:
    """Run ``npm run check``; ``npm ci`` in ``web/`` sets it up, which no other test needs."""
    if shutil.which("npm") is None or not (WEB / "node_modules" / "typescript").is_dir():
        pytest.skip("run 'npm ci' in web/ first")
    command = ["npm", "run", "check"]
    done = subprocess.run(command, cwd=WEB, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
