"""Where the companion's Python is: as set, as found; and what surrounds the process."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Iterator

from qgis.core import Qgis, QgsApplication, QgsMessageLog, QgsSettings
from qgis.PyQt.QtCore import QProcessEnvironment

from .setup.home import NAME as HOME
from .setup.home import Home

VARIABLE = "GEOISEG_PYTHON"
"""Names the Python to use, before what the settings say."""
SETTING = "geoiseg/python"
FOLDER = "geoiseg-env"
"""Name of an environment that users make by hand, in their home."""
CONDA = ("miniconda3", "miniforge3", "mambaforge", "anaconda3", "micromamba", ".conda")
TOOLS = (".local/pipx/venvs", ".local/share/pipx/venvs", ".local/share/uv/tools")
"""Folders of the user's home in which conda, pipx and uv keep environments."""
QGIS_OWN = (
    "PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONEXECUTABLE", "VIRTUAL_ENV", "GDAL_DATA",
    "GDAL_DRIVER_PATH", "GDAL_FILENAME_IS_UTF8", "PROJ_LIB", "PROJ_DATA", "OSGEO4W_ROOT",
)  # fmt: skip
"""Variables that QGIS sets for its own Python and GDAL, and that would mislead another."""


def log(text: str) -> None:
    """Put a line into QGIS's log, under the plugin's name."""
    QgsMessageLog.logMessage(text, "geoiseg", Qgis.MessageLevel.Info)


def child_environment() -> QProcessEnvironment:
    """Return the surroundings of the companion: the user's, without what QGIS set for itself."""
    surroundings = QProcessEnvironment.systemEnvironment()
    for name in QGIS_OWN:
        surroundings.remove(name)
    return surroundings


def chosen_python() -> str:
    """Return the Python that is to be used; empty where none is set and none is found."""
    named = os.environ.get(VARIABLE, "") or QgsSettings().value(SETTING, "", type=str)
    return named or own_python() or next(candidates(), "")


def own_home() -> Home:
    """Return the folder of the user's profile for the environment that the plugin makes."""
    return Home(Path(QgsApplication.qgisSettingsDirPath()) / HOME)


def own_python() -> str:
    """Return the Python that the plugin has set up; empty where it has not."""
    python = own_home().python
    return str(python) if python is not None and python.exists() else ""


def choose_python(path: str) -> None:
    """Keep the path of a Python in the settings."""
    QgsSettings().setValue(SETTING, path)


def python_in(folder: Path) -> Path:
    """Return where an environment in a folder has its Python."""
    if sys.platform == "win32":
        inside = folder / "Scripts" / "python.exe"
        return inside if inside.exists() else folder / "python.exe"
    return folder / "bin" / "python"


def candidates() -> Iterator[str]:
    """Yield the Pythons of environments that are likely to have geoiseg, without running any."""
    home = Path.home()
    places = [home / FOLDER, Path(QgsApplication.qgisSettingsDirPath()) / FOLDER]
    if os.environ.get("VIRTUAL_ENV"):
        places.append(Path(os.environ["VIRTUAL_ENV"]))
    places += [home / base / "envs" / "geoiseg" for base in CONDA]
    places += [home / base / "geoiseg" for base in TOOLS]
    command = shutil.which("geoiseg")
    if command:
        places.append(Path(command).resolve().parent.parent)
    seen = set()
    for folder in places:
        python = python_in(folder)
        if python.exists() and str(python) not in seen:
            seen.add(str(python))
            yield str(python)
