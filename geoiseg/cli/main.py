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
    "carry": "geoiseg.cli.carry:carry",
    "dataset": "geoiseg.cli.dataset:dataset",
    "train": "geoiseg.cli.train:train",
    "embed": "geoiseg.cli.embed:embed",
    "map": "geoiseg.cli.map:map_raster",
    "app": "geoiseg.cli.app:app",
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
