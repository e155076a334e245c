"""The computer as set-up sees it: its kind, its folders, and where Pythons are likely to be."""

from __future__ import annotations

import ntpath
import posixpath
from typing import Any, Callable, Dict, List, NamedTuple, Tuple

OLDEST, NEWEST = (3, 11), (3, 14)
"""Pythons that the pinned libraries have wheels for."""
NAMES = tuple(f"3.{minor}" for minor in (12, 13, 11, 14))
"""Versions to look for by name, the best supported first."""
PROBE = (
    "import json,struct,sys\n"
    "def has(n):\n"
    " try:\n  return __import__(n)\n"
    " except Exception: return None\n"
    "p=has('pip'); e=has('ensurepip')\n"
    "w=getattr(e,'_get_pip_whl_path_ctx',None)\n"
    "b=''\n"
    "if e:\n"
    " import glob,os\n"
    " at=[getattr(e,'_WHEEL_PKG_DIR',None), os.path.join(os.path.dirname(e.__file__),'_bundled')]\n"
    " b=next(iter(sorted(f for d in at if d for f in glob.glob(os.path.join(d,'pip-*.whl')))),'')\n"
    "import os\n"
    "r=os.path.join(os.path.dirname(p.__file__),'__pip-runner__.py') if p else ''\n"
    "print(json.dumps({'version':list(sys.version_info[:2]),'bits':struct.calcsize('P')*8,"
    "'venv':bool(has('venv')),'pip':r if os.path.exists(r) else '','wheel':b}))"
)
"""What a Python is asked about itself."""


class Machine(NamedTuple):
    """The computer and the user's folders."""

    system: str
    """As ``sys.platform`` says it: ``linux``, ``darwin`` or ``win32``."""
    cpu: str
    """As ``platform.machine()`` says it."""
    home: str
    """The user's folder."""
    prefix: str
    """Where QGIS's own Python lies, ``sys.base_prefix``."""
    variables: Dict[str, str]
    """Environment variables."""

    @property
    def windows(self) -> bool:
        """Whether paths are those of Windows."""
        return self.system == "win32"

    @property
    def paths(self) -> Any:
        """The module that knows paths of this system."""
        return ntpath if self.windows else posixpath

    def join(self, *parts: str) -> str:
        """Return a path of this system."""
        return str(self.paths.join(*parts))

    def python_in(self, folder: str) -> str:
        """Return where an environment in a folder has its Python."""
        inside = ("Scripts", "python.exe") if self.windows else ("bin", "python")
        return self.join(folder, *inside)


class Python(NamedTuple):
    """What a Python said of itself."""

    path: str
    version: Tuple[int, int]
    bits: int
    venv: bool
    """Whether it can make environments."""
    pip: str
    """What lets its pip work for another Python, as pip 22.3 and newer can; else empty."""
    wheel: str
    """A wheel of pip that comes with it; empty where there is none."""

    @classmethod
    def told(cls, path: str, said: Dict[str, Any]) -> Python:
        """Return what a Python's answer to :data:`PROBE` says."""
        major, minor = said["version"]
        return cls(
            path, (major, minor), said["bits"], said["venv"], str(said["pip"]), said["wheel"]
        )

    @property
    def fits(self) -> bool:
        """Whether an environment for geoiseg can be made of it."""
        return OLDEST <= self.version <= NEWEST and self.bits == 64 and self.venv


def likely_pythons(machine: Machine, exists: Callable[[str], bool]) -> List[str]:
    """Return Pythons that are there, QGIS's own first, without running any.

    Args:
        machine: The computer.
        exists: Whether there is a file of a path.
    """
    guesses = {"win32": _on_windows, "darwin": _on_mac}.get(machine.system, _elsewhere)(machine)
    found: List[str] = []
    for path in guesses:
        # what Windows has under this name opens its shop
        if "windowsapps" not in path.lower() and path not in found and exists(path):
            found.append(path)
    return found


def _on_windows(machine: Machine) -> List[str]:
    join, variables = machine.join, machine.variables
    found = [join(machine.prefix, name) for name in ("python.exe", "python3.exe")]
    roots = []
    if variables.get("LOCALAPPDATA"):
        roots.append(join(variables["LOCALAPPDATA"], "Programs", "Python"))
    roots += [variables[name] for name in ("ProgramW6432", "ProgramFiles") if variables.get(name)]
    for version in NAMES:
        found += [join(root, "Python" + version.replace(".", ""), "python.exe") for root in roots]
    found += [join(folder, "python.exe") for folder in _path(machine)]
    return found + [
        join(machine.home, base, "python.exe") for base in ("miniforge3", "miniconda3", "anaconda3")
    ]


def _on_mac(machine: Machine) -> List[str]:
    join = machine.join
    found = [join(machine.prefix, "bin", "python3")]
    frameworks = "/Library/Frameworks/Python.framework/Versions"
    for version in NAMES:
        name = f"python{version}"
        found.append(join(frameworks, version, "bin", name))
        found += [join(folder, name) for folder in ("/opt/homebrew/bin", "/usr/local/bin")]
    return found + [
        join(machine.home, base, "bin", "python3")
        for base in ("miniforge3", "miniconda3", "anaconda3")
    ]


def _elsewhere(machine: Machine) -> List[str]:
    folders = [*_path(machine), "/usr/bin", "/usr/local/bin"]
    found = [machine.join(machine.prefix, "bin", "python3")]
    for version in NAMES:
        found += [machine.join(folder, f"python{version}") for folder in folders]
    return [*found, *(machine.join(folder, "python3") for folder in folders)]


def _path(machine: Machine) -> List[str]:
    separator = ";" if machine.windows else ":"
    return [part for part in machine.variables.get("PATH", "").split(separator) if part]
