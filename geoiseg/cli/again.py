"""What to run to go on with an interrupted command."""

from __future__ import annotations

import shlex
import sys


def command_again() -> str:
    """Return the command that was given, with ``--resume``."""
    given = [argument for argument in sys.argv[1:] if argument != "--resume"]
    return shlex.join(["geoiseg", *given, "--resume"])
