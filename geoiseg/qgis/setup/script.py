"""What set-up does, step by step: a generator that says what is to be run and hears how it went.

It runs nothing itself, so that what would be done on another system can be seen on any.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from pathlib import Path
from typing import Any, Callable, Dict, Generator, List, NamedTuple, Optional, Tuple, Union

from .home import NEEDED, TOOLS, Home
from .index import ACCEPT, index_of, newest, tags_of, without_login
from .machine import NEWEST, OLDEST, PROBE, Machine, Python, likely_pythons

UV_PYTHON = "3.12"
"""The Python that uv gets where the computer has none."""
CHECK = (
    "import numpy, cv2, rasterio, pyproj, shapely, geopandas, geoiseg\n"
    "from geoiseg.models import get_model\n"
    "get_model('tiny').embed(numpy.zeros((256, 256, 3), 'uint8'), numpy.ones((256, 256), bool))\n"
    "print(geoiseg.__version__)"
)
"""What the new environment must be able to do."""
FLAGS = ("--no-deps", "--only-binary", ":all:")
PIP = ("install", "--no-compile", "--no-warn-script-location", "--disable-pip-version-check")
PIP_SAYS = re.compile(r"^(Collecting|Processing|Downloading) ")
"""A line of pip's or uv's that tells that it goes on."""
MISLEADING = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_PYTHON", "UV_SYSTEM_PYTHON")
"""Variables that would have pip or uv install elsewhere."""


class SetupError(Exception):
    """Why it can not be done, and what to do: a line with named gaps, and what goes into them."""

    def __init__(self, line: str, **values: Any) -> None:
        self.line = line
        self.values = {name: without_login(one) if isinstance(one, str) else one
                       for name, one in values.items()}  # fmt: skip
        super().__init__(line.format(**self.values))


class Run(NamedTuple):
    """A program to run; the answer is a :class:`Ran`."""

    title: str
    command: Tuple[str, ...]
    until: float
    """Share of all work that is done with it, 0..1."""
    steps: int = 1
    """Lines of pip's from which progress is told, about."""
    quiet: bool = False
    """Whether what it prints is for this script alone."""


class Fetch(NamedTuple):
    """An address to read; the answer is its content, or a :class:`SetupError`."""

    title: str
    url: str
    until: float
    accept: str = "*/*"


class Ran(NamedTuple):
    """How a program went."""

    code: int
    said: str
    """What it printed, both outputs together."""


Task = Union[Run, Fetch]
Script = Generator[Task, Any, Any]


class Sources(NamedTuple):
    """What the plugin brings."""

    requirements: Path
    wheels: Path
    """A folder with geoiseg's wheel; in the bundle for use without a network with all others."""

    @property
    def own(self) -> Optional[Path]:
        """The wheel of geoiseg itself; None where the plugin was not packed."""
        return next(iter(sorted(self.wheels.glob("geoiseg-*.whl"))), None)

    @property
    def offline(self) -> bool:
        """Whether all wheels are there."""
        return any(self.wheels.glob("numpy-*.whl"))

    @property
    def pip(self) -> str:
        """A wheel of pip; empty where there is none."""
        return next((str(path) for path in sorted(self.wheels.glob("pip-*.whl"))), "")

    @property
    def stamp(self) -> str:
        """Names what an environment is made of: the same for the same plugin."""
        said = hashlib.sha256(self.requirements.read_bytes())
        if self.own is not None:
            said.update(hashlib.sha256(self.own.read_bytes()).digest())
        return said.hexdigest()[:16]

    @property
    def pythons(self) -> List[str]:
        """Versions that an offline bundle has wheels for, as ``311``; empty where any goes."""
        names = (path.name for path in self.wheels.glob("numpy-*.whl"))
        return sorted({part[2:] for name in names for part in re.findall(r"cp3\d+", name)[:1]})


class Plan:
    """Makes one environment.

    Args:
        machine: The computer.
        home: Where the environment goes.
        sources: What the plugin brings.
        exists: Whether there is a file of a path.
    """

    def __init__(
        self,
        machine: Machine,
        home: Home,
        sources: Sources,
        exists: Callable[[str], bool] = lambda path: Path(path).is_file(),
    ) -> None:
        self.machine, self.home, self.sources, self.exists = machine, home, sources, exists
        self.folder = home.next_folder()

    def script(self) -> Script:
        """Make an environment, check it and use it; returns what it answers.

        Raises:
            SetupError: It can not be made; the one before is as it was.
        """
        self._look_around()
        python, install = yield from self._environment()
        yield Run("Installing the libraries", (*install, *FLAGS, *self._from(), "-r",
                  str(self.sources.requirements)), 0.85, self._count())  # fmt: skip
        own = self.sources.own
        yield Run("Installing geoiseg", (*install, *FLAGS, "--no-index", str(own)), 0.9)
        yield Run(
            "Removing what nobody needs", (python, "-I", "-m", "geoiseg.companion.slim"), 0.93
        )
        ran = yield Run("Checking what was made", (python, "-I", "-c", CHECK), 0.99)
        version = ran.said.strip().rpartition("\n")[2]
        self.home.use(self.folder, self.sources.stamp, version)
        return version

    def _look_around(self) -> None:
        if self.sources.own is None:
            raise SetupError(
                "this plugin brings no geoiseg: install it from a zip that make qgis-plugin wrote"
            )
        try:
            room = self.home.room()
        except OSError as error:
            raise SetupError(
                "can not write to {folder}: {why}", folder=self.home.folder, why=error.strerror
            ) from error
        if room < NEEDED:
            raise SetupError(
                "the disk is too full: {need} MB are needed in {folder}, {room} MB are free",
                need=NEEDED >> 20, folder=self.home.folder, room=room >> 20,
            )  # fmt: skip

    # -- the environment -------------------------------------------------------------

    def _environment(self) -> Generator[Task, Any, Tuple[str, Tuple[str, ...]]]:
        """Make it; return its Python and the command that installs into it."""
        for path in likely_pythons(self.machine, self.exists):
            base = yield from self._probed(path)
            if base is None or not self._serves(base):
                continue
            making = (base.path, "-I", "-m", "venv", "--without-pip", "--clear", str(self.folder))
            ran = yield Run("Making the environment", making, 0.05, quiet=True)
            python = self.machine.python_in(str(self.folder))
            if ran.code == 0:
                ran = yield Run("Trying it", (python, "-I", "-c", "import ssl"), 0.06, quiet=True)
            if ran.code == 0:
                return python, (yield from self._installer(base, python))
        if self.sources.offline:
            raise SetupError(
                "no Python here fits the wheels of this bundle, which are for Python {versions}:"
                " install one of these",
                versions=", ".join(f"3.{one[1:]}" for one in self.sources.pythons),
            )
        return (yield from self._by_uv())

    def _probed(self, path: str) -> Generator[Task, Any, Optional[Python]]:
        ran = yield Run("Looking for a Python", (path, "-I", "-c", PROBE), 0.02, quiet=True)
        try:
            return Python.told(path, json.loads(ran.said.strip().rpartition("\n")[2]))
        except (ValueError, KeyError, TypeError):
            return None

    def _serves(self, base: Python) -> bool:
        wanted = self.sources.pythons if self.sources.offline else []
        return base.fits and (not wanted or "".join(map(str, base.version)) in wanted)

    def _installer(self, base: Python, python: str) -> Generator[Task, Any, Tuple[str, ...]]:
        """Return pip's command: the bundle's, the base's, the one that came with it, or fetched."""
        wheel = self.sources.pip
        if not wheel and base.pip:
            return (python, "-I", base.pip, *PIP)
        if not wheel:
            wheel = base.wheel or str((yield from self._fetched("pip", 0.08)))
        return (python, "-I", self.machine.join(wheel, "pip"), *PIP)

    def _by_uv(self) -> Generator[Task, Any, Tuple[str, Tuple[str, ...]]]:
        """Have uv get a Python and make the environment of it."""
        wheel = yield from self._fetched("uv", 0.08)
        self.folder = self.home.next_folder()  # not one that another Python has left half made
        uv = str(wheel.parent / ("uv.exe" if self.machine.windows else "uv"))
        unpack_program(wheel, Path(uv))
        making = (
            uv,
            "venv",
            "--no-project",
            "--no-config",
            "--python",
            UV_PYTHON,
            str(self.folder),
        )
        ran = yield Run("Getting a Python with uv", making, 0.25, quiet=True)
        if ran.code != 0:
            raise SetupError(
                "no Python from {oldest} to {newest} was found, and uv could not get one ({why}):"
                " install one, then try again",
                oldest=f"3.{OLDEST[1]}", newest=f"3.{NEWEST[1]}", why=last_line(ran.said),
            )  # fmt: skip
        python = self.machine.python_in(str(self.folder))
        return python, (uv, "pip", "install", "--no-config", "--python", python)

    def _fetched(self, project: str, until: float) -> Generator[Task, Any, Path]:
        """Return the wheel of a project from the index, checked."""
        tags = tags_of(project, self.machine.system, self.machine.cpu)
        page = f"{index_of(self.machine.variables)}/{project}/"
        title = f"Getting {project}"
        wheel = None
        if tags is not None:
            said = yield Fetch(title, page, until, ACCEPT)
            wheel = newest(said.decode("utf-8", "replace"), page, tags)
        if wheel is None:
            raise SetupError(
                "{page} has no {project} for this computer", page=page, project=project
            )
        content = yield Fetch(title, wheel.url, until)
        if wheel.sha256 and hashlib.sha256(content).hexdigest() != wheel.sha256:
            raise SetupError("{name} arrived damaged: try again", name=wheel.name)
        place = self.home.folder / TOOLS / wheel.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        return place

    # -- what is installed -----------------------------------------------------------

    def _from(self) -> Tuple[str, ...]:
        if not self.sources.offline:
            return ()
        return ("--no-index", "--find-links", str(self.sources.wheels))

    def _count(self) -> int:
        lines = self.sources.requirements.read_text("utf-8").splitlines()
        return sum(1 for line in lines if line.strip() and not line.startswith("#"))


def unpack_program(wheel: Path, program: Path) -> None:
    """Write the program of a wheel, of the name that it is to have.

    Raises:
        SetupError: The wheel has none.
    """
    damaged = SetupError("{name} arrived damaged: try again", name=wheel.name)
    try:
        with zipfile.ZipFile(wheel) as archive:
            end = f"/scripts/{program.name}"
            found = [name for name in archive.namelist() if name.endswith(end)]
            if not found:
                raise damaged
            program.write_bytes(archive.read(found[0]))
    except zipfile.BadZipFile as error:
        raise damaged from error
    program.chmod(0o755)


def variables_of(given: Dict[str, str], home: Home) -> Dict[str, str]:
    """Return the variables by which pip and uv ask nobody, and leave nothing elsewhere.

    Args:
        given: The user's.
        home: Where uv's Python goes, so that it is removed with the environment.
    """
    found = {
        "PYTHONUTF8": "1", "PYTHONNOUSERSITE": "1", "PIP_NO_INPUT": "1", "PIP_USER": "0",
        "UV_PYTHON_INSTALL_DIR": str(home.folder / "python"),
        "UV_CACHE_DIR": str(home.folder / TOOLS / "cache"),
    }  # fmt: skip
    if given.get("PIP_INDEX_URL") and not given.get("UV_INDEX_URL"):
        found["UV_DEFAULT_INDEX"] = given.get("UV_DEFAULT_INDEX") or index_of(given)
    return found


def last_line(said: str) -> str:
    """Return the line of a program's output that says best what went wrong."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    blamed = [line for line in lines if line.lower().startswith(("error", "fatal"))]
    return (blamed or lines or ["it said nothing"])[-1][:300]


def reason(task: Run, ran: Ran) -> SetupError:
    """Return the line for a program that failed."""
    said = ran.said
    if "No space left" in said or "Errno 28" in said:
        return SetupError("the disk is full: make room, then try again")
    if re.search(r"NewConnectionError|Name or service|getaddrinfo|Temporary failure|ProxyError"
                 r"|Max retries|ConnectionError|error sending request", said):  # fmt: skip
        return SetupError(
            "the package index can not be reached: check the network and QGIS's proxy"
            " (Settings > Options > Network), or install from the offline bundle"
        )
    if re.search(r"CERTIFICATE_VERIFY_FAILED|SSLError|certificate", said):
        return SetupError(
            "the package index's certificate is not trusted: add your organisation's to QGIS"
            " (Settings > Options > Authentication), then try again"
        )
    if re.search(r"BadZipFile|is not a valid wheel|has an invalid wheel|Wheel .* is invalid", said):
        return SetupError("a wheel is damaged ({why}): try again", why=last_line(said))
    return SetupError("{step} failed: {why}", step=task.title, why=last_line(said))
