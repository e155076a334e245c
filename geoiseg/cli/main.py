"""The ``geoiseg`` command, its lazily imported commands, and its exit codes."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from typing import Any

import click

from geoiseg.console import streams
from geoiseg.errors import GeoisegError
from geoiseg.version import __version__

COMMANDS = {
    "demo": "geoiseg.cli.demo:demo",
    "info": "geoiseg.cli.info:info",
    "segment": "geoiseg.cli.segment:segment",
    "review": "geoiseg.cli.review:review",
    "carry": "geoiseg.cli.carry:carry",
    "dataset": "geoiseg.cli.dataset:dataset",
    "train": "geoiseg.cli.train:train",
    "embed": "geoiseg.cli.embed:embed",
    "map": "geoiseg.cli.map:map_raster",
    "app": "geoiseg.cli.app:app",
    "serve": "geoiseg.cli.serve:serve",
    "web": "geoiseg.cli.web:web",
    "lab": "geoiseg.cli.lab:lab",
    "evaluate": "geoiseg.cli.evaluate:evaluate",
    "models": "geoiseg.cli.models:models",
    "cache": "geoiseg.cli.cache:cache",
    "clean": "geoiseg.cli.clean:clean",
    "shoreline": "geoiseg.cli.shoreline:shoreline",
    "check": "geoiseg.cli.check:check",
    "doctor": "geoiseg.cli.doctor:doctor",
    "qgis-project": "geoiseg.cli.qgis_project:qgis_project",
}
"""Where each command is; imported when it is called, so that ``--help`` is quick."""
SAID = {
    "demo": "Segment a made scene, or RASTER, and report on it.",
    "info": "Show size, CRS, pixel size, bands and contrast of RASTER.",
    "segment": "Segment what points, boxes, lines or outlines mark.",
    "review": "List features to look at, or say what they are.",
    "carry": "Draw the objects of a project on rasters of other dates.",
    "dataset": "Write features as a data set for training, or read COCO.",
    "train": "Train tiny on the accepted features of projects.",
    "embed": "Encode RASTER ahead, so that clicks are quick.",
    "map": "Find all objects of RASTER, or those that words name.",
    "serve": "Take requests of the Model Context Protocol by pipe.",
    "app": "Show RASTER as a map in the browser, to click on.",
    "web": "Write a web page that segments GeoTIFFs without Python.",
    "lab": "Open JupyterLab on a copy of the quick-start notebook.",
    "evaluate": "Count the clicks that a model needs on labelled objects.",
    "models": "List the models; get, check, pack and export their weights.",
    "cache": "Look at, or clear, the embeddings kept on disk.",
    "clean": "Make polygons a coverage: no overlaps, gaps or slivers.",
    "shoreline": "Draw shorelines and centre lines, and how they change.",
    "check": "Flag polygons that are small, ragged, in parts or incomplete.",
    "doctor": "Say what is there, what is missing and how to get it.",
    "qgis-project": "Write a QGIS project of vector files and a raster.",
}
"""What each does, in words that fit a terminal of 80 characters."""


class LazyGroup(click.Group):
    """A group that imports a command when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return the command of a name, or None."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write what each command does, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, SAID[name]) for name in COMMANDS])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="geoiseg")
@click.option("-v", "--verbose", is_flag=True, help="Log what is going on; errors in full.")
def cli(verbose: bool) -> None:
    """Segment satellite, aerial and drone rasters by clicks, boxes, scribbles and words."""
    level = logging.DEBUG if verbose else logging.WARNING
    logging.basicConfig(level=level, format="geoiseg: %(message)s", stream=sys.stderr)
    for noisy in ("rasterio", "pyogrio", "fiona", "matplotlib"):
        logging.getLogger(noisy).setLevel(logging.ERROR)


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line. Exit codes: 0 done, 1 the data was at fault, 2 usage."""
    with streams():
        return _run(arguments)


def _run(arguments: list[str] | None) -> Any:
    try:
        return cli.main(args=arguments, prog_name="geoiseg", standalone_mode=False)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("geoiseg: stopped", err=True)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (GeoisegError, OSError, MemoryError) as error:
        logging.getLogger(__name__).debug("in full:", exc_info=error)
        reason = " ".join(str(error).split()) or type(error).__name__
        click.echo(f"geoiseg: {reason}", err=True)
        sys.exit(1)
