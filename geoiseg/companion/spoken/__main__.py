"""``python -m geoiseg.companion.spoken``: serve whoever holds the other end of the pipes."""

from __future__ import annotations

from geoiseg.companion.spoken.server import run

if __name__ == "__main__":
    run()
