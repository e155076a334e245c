"""``python -m geoiseg.companion.bundle OUT.zip``: the QGIS plugin for machines without a network.

One zip with the plugin, geoiseg with its model, pip, and the wheels of all libraries, which pip
downloads here for one system and one or more versions of Python.
"""

from __future__ import annotations

import argparse
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from geoiseg.companion.plugin_zip import PLUGIN, write_zip
from geoiseg.errors import GeoisegError

PLATFORMS = {
    "linux-x86_64": [
        *(f"manylinux_2_{n}_x86_64" for n in range(28, 4, -1)),
        "manylinux2014_x86_64",
    ],
    "linux-aarch64": [
        *(f"manylinux_2_{n}_aarch64" for n in range(28, 16, -1)),
        "manylinux2014_aarch64",
    ],
    "windows": ["win_amd64"],
    "macos-arm64": ["macosx_14_0_arm64"],
    "macos-x86_64": ["macosx_14_0_x86_64"],
}
"""Systems by name, with the tags of wheels that fit them."""
SYSTEMS = {"linux": "linux", "windows": "win32", "macos": "darwin"}
"""What Python calls them."""
MARKER = re.compile(r'(python_version|sys_platform|platform_machine) (<|>=|==|!=) "([^"]+)"$')


class BundleError(GeoisegError, RuntimeError):
    """The bundle can not be made."""


def here() -> str:
    """Return the name of this machine's system, as :data:`PLATFORMS` has it."""
    cpu = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    names = {"win32": "windows", "darwin": f"macos-{cpu}"}
    return names.get(sys.platform, f"linux-{cpu}")


def wanted(lines: Sequence[str], system: str, python: str) -> list[str]:
    """Return the requirements that hold for a system and a version of Python.

    pip looks at the markers of the machine it runs on, which may be another one.

    Args:
        lines: Of ``requirements.txt``.
        system: One of :data:`PLATFORMS`.
        python: As ``3.12``.

    Raises:
        BundleError: A marker is of a kind that is not understood here.
    """
    name, _, cpu = system.partition("-")
    said = {
        "sys_platform": SYSTEMS[name], "python_version": python, "platform_machine": cpu or "AMD64",
    }  # fmt: skip
    found = []
    for line in lines:
        text, _, marker = line.partition(";")
        if not text.strip() or text.startswith("#"):
            continue
        if marker.strip() and not _holds(marker.strip(), said):
            continue
        found.append(text.strip())
    return found


def _holds(marker: str, said: dict[str, str]) -> bool:
    ways = (way.split(" and ") for way in marker.split(" or "))
    return any(all(_is_so(part.strip(), said) for part in way) for way in ways)


def _is_so(part: str, said: dict[str, str]) -> bool:
    match = MARKER.match(part)
    if match is None:
        raise BundleError(f"requirements.txt has a marker that is not known here: {part}")
    name, sign, value = match.groups()
    mine, other = said[name], value
    if name == "python_version":
        mine, other = (f"{int(text.partition('.')[2]):03}" for text in (mine, other))
    return {"<": mine < other, ">=": mine >= other, "==": mine == other, "!=": mine != other}[sign]


def download(folder: Path, system: str, python: str) -> None:
    """Download the wheels for a system and a version of Python, with pip, into a folder.

    Raises:
        BundleError: pip can not get one of them.
    """
    lines = (PLUGIN / "requirements.txt").read_text("utf-8").splitlines()
    tags = [part for tag in PLATFORMS[system] for part in ("--platform", tag)]
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:",
        "--implementation", "cp", "--python-version", python, *tags, "--dest", str(folder),
        "pip>=23.1", *wanted(lines, system, python),
    ]  # fmt: skip
    done = subprocess.run(  # noqa: S603 - pip, and no shell
        command, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        why = (said or done.stderr.splitlines() or ["pip failed"])[-1]
        raise BundleError(f"no wheels for {system} and Python {python}: {why}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the bundle, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m geoiseg.companion.bundle", description=__doc__)
    parser.add_argument("out", type=Path, help="the zip to write")
    parser.add_argument("--platform", choices=sorted(PLATFORMS), default=here())
    parser.add_argument(
        "--python", action="append", metavar="3.12",
        help="version of QGIS's Python on the machine, or of another one there; more than once for"
        " several; by default this one's",
    )  # fmt: skip
    asked = parser.parse_args(arguments)
    versions = asked.python or [f"3.{sys.version_info[1]}"]
    try:
        with tempfile.TemporaryDirectory() as temporary:
            for version in versions:
                if not re.fullmatch(r"3\.1[1-4]", version):
                    raise BundleError(f"--python is 3.11 to 3.14, got {version}")
                download(Path(temporary), asked.platform, version)
            asked.out.absolute().parent.mkdir(parents=True, exist_ok=True)
            write_zip(asked.out, Path(temporary).iterdir())
    except (GeoisegError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    size = asked.out.stat().st_size / 1e6
    sys.stdout.write(
        f"{asked.out}: {size:.0f} MB, {asked.platform}, Python {', '.join(versions)}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
