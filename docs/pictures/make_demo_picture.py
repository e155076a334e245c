"""Make the picture of README and of the manual's first page: what `geoiseg demo` draws, smaller.

    python docs/pictures/make_demo_picture.py [OUT]

Nothing is drawn into it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image

from geoiseg.demo.run import DemoOptions, run_demo

SIDE = 1100
"""Pixels of the picture."""


def main() -> None:
    """Run the demonstration, and write its picture."""
    out = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "demo.jpg")
    with tempfile.TemporaryDirectory() as folder:
        run_demo(DemoOptions(out=Path(folder)), print)
        picture = Image.open(Path(folder) / "picture.png").convert("RGB")
    small = picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    small.save(out, quality=82, optimize=True, progressive=True)


if __name__ == "__main__":
    main()
