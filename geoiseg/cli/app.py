"""``geoiseg app``: the map as a web page of its own."""

from __future__ import annotations

import json
import tempfile
import webbrowser
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from geoiseg.cli.options import Bands, bands_option, chosen_model, chosen_options, model_option
from geoiseg.errors import ProjectError, require
from geoiseg.models import ModelOptions
from geoiseg.raster import open_raster
from geoiseg.session import is_project, load_project

CELL = """\
import os
from html import escape

os.chdir({folder!r})
import geoiseg
from IPython.display import HTML, display

display(HTML({style!r}))
try:
    model = geoiseg.load_model({model!r}, **{running!r})
    m = geoiseg.SegmentMap({shown}, model=model, project={project!r})
    m.map.layout.height = "100vh"
    display(m)
except geoiseg.GeoisegError as error:
    display(HTML("<p role='alert'>geoiseg: " + escape(str(error)) + "</p>"))
"""
STYLE = """\
<style>
  body { margin: 0; overflow: hidden; }
  #rendered_cells, .jp-Cell, .jp-Cell-outputWrapper, .jp-OutputArea-output { padding: 0 !important;
    margin: 0 !important; }
  .jp-OutputPrompt, .jp-OutputArea-prompt { display: none !important; }
  [role="alert"] { padding: 2em !important; font: 1.1em sans-serif; }
</style>"""


@click.command()
@click.argument("raster")
@click.option("--project", type=click.Path(path_type=Path, dir_okay=False),
              help="GeoPackage to save every accept to. [default: by RASTER's name]")  # fmt: skip
@bands_option
@model_option
@click.option("--host", default="127.0.0.1", show_default=True,
              help="Address to listen on; any other opens the map to the network.")  # fmt: skip
@click.option("--port", type=click.IntRange(0, 65535), help="[default: 8866 or the next free one]")
@click.option("--browser/--no-browser", default=True, help="Open the page. [default: yes]")
def app(
    *, raster: str, project: Path | None, bands: Bands, model: str, host: str,
    port: int | None, browser: bool,
) -> None:  # fmt: skip
    """Show RASTER as a map in a web page of its own, and segment objects by clicks.

    The page is served to this machine only, and to nobody without the token in its
    address. Ctrl+C ends it; what was accepted is in the project file.
    """
    require("voila.app", "app")
    from geoiseg.cli.app_server import Address, serve

    with open_raster(raster, bands):
        chosen_model(model)
    if project is not None and project.exists():
        if not is_project(project):
            raise ProjectError(f"{project} is no project of geoiseg; choose another name")
        load_project(project)
    address = Address(host, port)
    if not address.is_local:
        click.echo(
            "geoiseg: the page can be reached from the network, and is not encrypted", err=True
        )

    def ready(url: str) -> None:
        click.echo(f"{raster} is shown at\n  {url}\nCtrl+C ends it.")
        if browser:
            webbrowser.open(url)

    with tempfile.TemporaryDirectory(prefix="geoiseg-app-") as folder:
        notebook = Path(folder) / "geoiseg.ipynb"
        content = make_notebook(raster, model, project, chosen_options(), bands)
        notebook.write_text(json.dumps(content), encoding="utf-8")
        serve(notebook, address, ready)
    click.echo("geoiseg: stopped", err=True)


def make_notebook(
    raster: str,
    model: str,
    project: Path | None,
    options: ModelOptions | None = None,
    bands: Bands = None,
) -> dict[str, Any]:
    """Return the notebook whose output is the page, as JSON."""
    name = raster.rstrip("/").rpartition("/")[2]
    source = CELL.format(
        folder=str(Path.cwd()),
        style=STYLE,
        shown=repr(raster) if bands is None else f"geoiseg.open_raster({raster!r}, {bands!r})",
        model=model,
        running=asdict(options or ModelOptions()),
        project=True if project is None else str(project),
    )
    cell: dict[str, Any] = {
        "cell_type": "code", "execution_count": None, "id": "map", "metadata": {}, "outputs": [],
        "source": source,
    }  # fmt: skip
    kernel = {"display_name": "geoiseg", "language": "python", "name": "geoiseg"}
    metadata = {"kernelspec": kernel, "title": f"{name} - geoiseg"}
    return {"cells": [cell], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
