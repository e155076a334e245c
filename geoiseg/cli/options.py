"""Options that several commands share, and what parses and rejects them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import click

from geoiseg.errors import RasterError
from geoiseg.models import DEFAULT_MODEL, Model, ModelOptions, get_model
from geoiseg.models.options import BACKENDS, PRECISIONS
from geoiseg.raster import asked_for, sensor_named

_Command = TypeVar("_Command", bound=Callable[..., Any])
_META = "geoiseg.model_options"
_SENSOR = "geoiseg.sensor"
_AUGMENT = "geoiseg.augment"
AUGMENTS = ("none", "flip", "scale", "flip+scale")
"""What ``--augment`` takes; see ``geoiseg.models.augmented``."""


Bands = tuple[int | str, ...] | None
"""What ``open_raster`` takes as bands."""


def parse_bands(context: click.Context, parameter: click.Parameter, value: str | None) -> Bands:
    """Return the bands of a text such as ``4,3,2`` or ``nir,red,ndwi``, or fail as usage.

    With ``--sensor`` it comes first, as ``open_raster`` takes it.
    """
    sensor = context.meta.get(_SENSOR)
    said: tuple[int | str, ...] = () if sensor is None else (f"sensor={sensor}",)
    if value is None:
        return said or None
    try:
        asked = asked_for(value)
        shown = asked.shown or ()
        numbers = [one for one in shown if isinstance(one, int)]
        one_or_three = len(shown) in (0, 1, 3) and min(numbers, default=1) >= 1
        if len(numbers) == len(shown) and not one_or_three:
            raise RasterError(f"give one or three band numbers, e.g. 4,3,2; got {value!r}")
    except RasterError as error:
        raise click.BadParameter(str(error), context, parameter) from error
    told = tuple(f"{role}={number}" for role, number in asked.roles)
    inside = () if asked.sensor is None else (f"sensor={asked.sensor}",)
    return (*(said or inside), *told, *shown)


def _keep_sensor(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> str | None:
    """Put the sensor aside for ``parse_bands``, or fail as usage where there is none such."""
    if value is not None:
        try:
            context.meta[_SENSOR] = sensor_named(value).key
        except RasterError as error:
            raise click.BadParameter(str(error), context, parameter) from error
    return value


def bands_option(command: _Command) -> _Command:
    """Give a command ``--bands`` and ``--sensor``; it gets both as what ``open_raster`` takes."""
    decorate = click.option(
        "--bands", callback=parse_bands,
        help="Bands to show and segment: 4,3,2; names, indices or formulas as in nir,red,ndwi;"
        " infrared, agriculture or short-wave. nir=4 says what a band is. [default: the colours]",
    )  # fmt: skip
    sensor = click.option(
        "--sensor", callback=_keep_sensor, is_eager=True, expose_value=False,
        help="What took the picture, where RASTER does not say it, e.g. sentinel-2-l2a.",
    )  # fmt: skip
    return decorate(sensor(command))


columns_option = click.option(
    "--columns", type=click.Choice(("geoiseg", "fiboa")), default="geoiseg", show_default=True,
    help="Whose names columns have; fiboa: area in hectares, perimeter, determination_method.",
)  # fmt: skip
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


def _with_augment(context: click.Context, parameter: click.Parameter, value: str) -> str:  # noqa: ARG001 - click's own signature
    """Return the model's name with the views that were asked for, as the registry knows it."""
    views = context.meta.get(_AUGMENT, "none")
    return value if views == "none" else f"{value}+{views}"


def _keep_augment(context: click.Context, parameter: click.Parameter, value: str) -> None:  # noqa: ARG001 - click's own signature
    context.meta[_AUGMENT] = value


def model_option(command: _Command) -> _Command:
    """Give a command ``--model`` and how it runs; it gets the name, see ``chosen_model``."""
    views = click.option(
        "--augment", type=click.Choice(AUGMENTS), default="none", show_default=True,
        is_eager=True, expose_value=False, callback=_keep_augment,
        help="Answer with the mean over mirror images, scales, or both: slower, and steadier.",
    )  # fmt: skip
    decorate = click.option(
        "-m", "--model", default=DEFAULT_MODEL, show_default=True, callback=_with_augment,
        help="A name in: geoiseg models; a checkpoint's path; or hf:organisation/name.",
    )  # fmt: skip
    return views(decorate(running_options(command)))


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
