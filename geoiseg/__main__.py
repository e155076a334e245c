"""``python -m geoiseg``."""

from geoiseg.cli import main

main()
