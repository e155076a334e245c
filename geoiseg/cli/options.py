"""Options that several commands share, and what parses and rejects them."""

from __future__ import annotations

import click

from geoiseg.models.registry import DEFAULT_MODEL


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
model_option = click.option(
    "-m", "--model", default=DEFAULT_MODEL, show_default=True, help="See: geoiseg models."
)
gsd_option = click.option(
    "--gsd",
    type=click.FloatRange(min=0, min_open=True),
    help="Metres per pixel to work at. [default: the finest at which the object fits]",
)
