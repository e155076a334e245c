"""The command line: one thin command per module, all over the same library."""

from __future__ import annotations

from geoiseg.cli.main import main

__all__ = ["main"]
