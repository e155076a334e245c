"""The shell completes commands and options."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("typed", "wanted"), [("geoiseg segm", "segment"), ("geoiseg map --mod", "--model")]
)
def test_the_shell_completes(typed: str, wanted: str) -> None:
    asked = {
        **os.environ,
        "_GEOISEG_COMPLETE": "bash_complete",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split()) - 1),
    }
    code = "from geoiseg.cli import main; main()"
    said = subprocess.run(
        [sys.executable, "-c", code], env=asked, capture_output=True, text=True, check=True
    )
    assert f"plain,{wanted}" in said.stdout.splitlines()
