"""The reference names all that is public."""

from __future__ import annotations

import re
from pathlib import Path

import geoiseg

REFERENCE = Path(__file__).parents[1] / "docs" / "reference.md"


def test_the_reference_names_all_that_is_public() -> None:
    named = re.findall(r"^::: geoiseg\.(\w+)$", REFERENCE.read_text(), re.MULTILINE)
    assert sorted(named) == sorted(set(geoiseg.__all__) - {"__version__"})
