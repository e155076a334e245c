"""``python -m geoiseg.companion.slim``: leave out what nobody runs of the companion's libraries.

Their own tests and OpenCV's cascades for faces are a tenth of its environment.
"""

from __future__ import annotations

import shutil
import sys
import sysconfig
from pathlib import Path

LIBRARIES = ("geopandas", "numpy", "pandas", "shapely")
"""Packages whose folders named ``tests`` go."""
CASCADES = Path("cv2", "data")
"""Where OpenCV has its ``*.xml``."""


def unused(packages: Path) -> list[Path]:
    """Return folders and files of installed packages that geoiseg never reads.

    Args:
        packages: The environment's ``site-packages``.
    """
    folders = [path for name in LIBRARIES for path in (packages / name).rglob("tests")]
    # A folder of tests may hold another one, which goes with it.
    outermost = [path for path in folders if "tests" not in path.relative_to(packages).parts[:-1]]
    found = sorted(path for path in outermost if path.is_dir())
    found += sorted((packages / CASCADES).glob("*.xml"))
    # A package that is a link belongs to someone else: a checkout, another environment.
    own = packages.resolve()
    return [path for path in found if path.parent.resolve().is_relative_to(own)]


def slim(packages: Path) -> int:
    """Remove what is unused.

    Args:
        packages: The environment's ``site-packages``.

    Returns:
        The bytes of all files that are gone.

    Raises:
        OSError: Something cannot be removed; what was removed before stays so.
    """
    freed = 0
    for path in unused(packages):
        if path.is_dir() and not path.is_symlink():
            size = sum(file.lstat().st_size for file in path.rglob("*") if not file.is_dir())
            shutil.rmtree(path)
        else:
            size = path.lstat().st_size
            path.unlink()
        freed += size
    return freed


def main() -> int:
    """Slim the environment of the Python that runs this."""
    if sys.prefix == sys.base_prefix:
        sys.stderr.write(
            f"{sys.prefix} is no virtual environment, so nothing was removed:"
            " run this with the Python of the companion's own\n"
        )
        return 1
    try:
        freed = slim(Path(sysconfig.get_path("platlib")))
    except OSError as error:
        sys.stderr.write(f"cannot remove {error.filename!r}: {error.strerror}\n")
        return 1
    sys.stdout.write(f"{freed / 1e6:.0f} MB of tests and samples removed from {sys.prefix}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
