"""``geoiseg lab``: JupyterLab on a notebook to begin with."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from geoiseg.errors import ExportError, GeoisegError, require

QUICK_START = "01-quick-start.ipynb"
QUIET = [
    "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
    "--LabApp.news_url=None",
    "--Application.log_level=WARN",
    "--ServerApp.tornado_settings={'ws_ping_timeout': 30000}",
]
"""JupyterLab by itself would ask PyPI for newer versions, and its makers for news, and tell forty
lines of itself before the address; a longer time for pings than between them is warned of."""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path())
@click.option("--port", type=click.IntRange(0, 65535), help="[default: JupyterLab's own]")
@click.option("--browser/--no-browser", default=True, help="Open the page. [default: yes]")
def lab(folder: Path, port: int | None, browser: bool) -> None:
    """Open JupyterLab on a copy of the quick-start notebook in FOLDER (here by default).

    A copy that is there already is opened as it is.
    """
    labapp = require("jupyterlab.labapp", "app")
    notebook = copy_quick_start(folder)
    click.echo(f"{notebook}", err=True)
    root = notebook.parent.resolve()
    arguments = [f"--ServerApp.root_dir={root}", f"--LabApp.default_url=/lab/tree/{notebook.name}"]
    arguments += QUIET
    arguments += [] if port is None else [f"--ServerApp.port={port}"]
    arguments += [] if browser else ["--no-browser"]
    labapp.LabApp.launch_instance(arguments)


def copy_quick_start(folder: Path) -> Path:
    """Return the copy of the quick-start notebook in a folder, made unless it is there.

    Raises:
        ExportError: It can not be written.
    """
    target = folder / QUICK_START
    if target.exists():
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(notebooks() / QUICK_START, target)
    except OSError as error:
        raise ExportError(f"can not write {target}: {error.strerror or error}") from error
    return target


def notebooks() -> Path:
    """Return the folder with the notebooks: in the package, or beside it in a checkout.

    Raises:
        GeoisegError: This installation came without them.
    """
    package = Path(__file__).parents[1]
    for folder in (package / "notebooks", package.parent / "notebooks"):
        if (folder / QUICK_START).is_file():
            return folder
    raise GeoisegError("this installation of geoiseg came without its notebooks")
