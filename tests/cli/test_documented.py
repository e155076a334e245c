"""The page about the command line names every command and option, and none that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from geoiseg.cli.main import COMMANDS, cli

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
BESIDE = {"--device", "--precision", "--backend", "--augment", "--sensor"}
"""Those that go with others, said once for all commands."""


def long_options(command: click.Command) -> Iterator[str]:
    """Yield the names of a command's options and of its commands', one of a pair of opposites."""
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            if parameter.secondary_opts:  # a switch: what it changes is its default
                yield parameter.secondary_opts[0] if parameter.default else parameter.opts[0]
            else:
                yield next(one for one in parameter.opts if one.startswith("--"))
    for one in getattr(command, "commands", {}).values():
        yield from long_options(one)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_names_every_option(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    said = [one for one in re.split(r"\n(?=geoiseg )", PAGE.read_text().split("```")[1].strip())
            if one.split()[1] == name]  # fmt: skip
    assert said
    assert set(re.findall(r"--[a-z0-9-]+", " ".join(said))) == set(long_options(command)) - BESIDE


def test_the_page_names_what_goes_with_others() -> None:
    assert set(re.findall(r"--[a-z0-9-]+", PAGE.read_text().split("```")[2])) >= BESIDE
