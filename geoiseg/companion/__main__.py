"""``python -m geoiseg.companion``: serve whoever holds the other end of the pipes."""

from __future__ import annotations

import sys

from geoiseg.companion.service import serve

if __name__ == "__main__":
    sys.exit(serve())
