"""Options that several commands share, and what parses and rejects them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import click

from geoiseg.models import DEFAULT_MODEL, Model, ModelOptions, get_model
from geoiseg.models.options import BACKENDS, PRECISIONS

_Command = TypeVar("_Command", bound=Callable[..., Any])
_META = "geoiseg.model_options"


def parse_bands(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[int, ...] | None:
    """Return band numbers of a text such as ``4,3,2``, or fail with a usage error."""
    if value is None:
        return None
    try:
        numbers = tuple(int(part) for part in value.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) not in (1, 3) or min(numbers) < 1:
        reason = f"give one or three band numbers, e.g. 4,3,2; got {value!r}"
        raise click.BadParameter(reason, context, parameter)
    return numbers


bands_option = click.option(
    "--bands",
    callback=parse_bands,
    help="Band numbers, e.g. 4,3,2. [default: the colours]",
)
gsd_option = click.option(
    "--gsd",
    type=click.FloatRange(min=0, min_open=True),
    help="Metres per pixel to work at. [default: the finest at which the object fits]",
)


def _keep(context: click.Context, parameter: click.Parameter, value: str) -> None:
    """Put one of the options that say how a model runs aside, for ``chosen_options``."""
    before = context.meta.get(_META, ModelOptions())
    context.meta[_META] = replace(before, **{str(parameter.name): value})


def running_options(command: _Command) -> _Command:
    """Give a command the options that say how a model runs; see ``chosen_model``."""
    shared: dict[str, Any] = {"default": "auto", "expose_value": False, "callback": _keep}
    for decorate in (
        click.option("--backend", type=click.Choice(BACKENDS),
                     help="Library that runs a model with weights. [default: the fastest]",
                     **shared),
        click.option("--precision", type=click.Choice(PRECISIONS),
                     help="fp32 is exact. [default: the fastest at hardly any loss]", **shared),
        click.option("--device",
                     help="cpu, cuda, cuda:1, mps. [default: a GPU where there is one]", **shared),
    ):  # fmt: skip
        command = decorate(command)
    return command


def model_option(command: _Command) -> _Command:
    """Give a command ``--model`` and how it runs; it gets the name, see ``chosen_model``."""
    decorate = click.option(
        "-m", "--model", default=DEFAULT_MODEL, show_default=True,
        help="A name in: geoiseg models; a checkpoint's path; or hf:organisation/name.",
    )  # fmt: skip
    return decorate(running_options(command))


def chosen_options() -> ModelOptions:
    """Return how the user of the running command wants a model to run."""
    options: ModelOptions = click.get_current_context().meta.get(_META, ModelOptions())
    return options


def chosen_model(name: str) -> Model:
    """Return the model of a name, running as the user of the running command wants it to.

    Raises:
        GeoisegError: As ``get_model``.
    """
    return get_model(name, chosen_options())
