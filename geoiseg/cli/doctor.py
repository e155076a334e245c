"""``geoiseg doctor``: what is there, what is slow, what is missing and how to get it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

import click
import numpy as np

from geoiseg.errors import GeoisegError
from geoiseg.home import home
from geoiseg.models import DEFAULT_MODEL, get_model
from geoiseg.models.tiny.earlier import FIRST, first_folder
from geoiseg.models.weights.store import installed
from geoiseg.plain_json import json_text
from geoiseg.prompting import PixelPrompts
from geoiseg.version import __version__

SLOW = 2.0
"""Seconds of a first click from which on it is called slow."""
LITTLE_MEMORY, LITTLE_DISK = 4, 2
"""Gigabytes below which something is said."""
OK, SLOWLY, MISSING, BROKEN = "ok", "slow", "none", "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    state: str
    """``ok``, ``slow``, ``none`` where an optional part is missing, ``bad`` where one must not."""
    part: str
    text: str
    """What was found, and what to do about it."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def doctor(as_json: bool) -> None:
    """Say what is there, what is slow, what is missing and how to get it.

    Changes nothing and asks nobody. The exit code is 1 where something that geoiseg can not do
    without does not work.
    """
    findings = list(examine())
    if as_json:
        click.echo(json_text([asdict(one) for one in findings], indent=2))
    else:
        width = max(len(one.part) for one in findings)
        for one in findings:
            click.echo(f"{one.state:<4}  {one.part:<{width}}  {one.text}")
    if any(one.state == BROKEN for one in findings):
        sys.exit(1)


def examine() -> Iterator[Finding]:
    """Yield what there is to say, part by part."""
    yield Finding(OK, "geoiseg", f"{__version__}, Python {platform.python_version()},"
                                 f" {platform.system()} {platform.machine()}")  # fmt: skip
    yield _machine()
    yield _gdal()
    yield _model()
    yield _graphics()
    yield _weights()
    yield _extra("map", "ipyleaflet", "", "in a notebook: geoiseg.SegmentMap")
    yield _extra("app", "voila", "app", "geoiseg app, geoiseg lab")
    yield _extra("cluster", "distributed", "dask", "geoiseg map --scheduler")
    yield _qgis()
    yield _cache(home())


def _machine() -> Finding:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    text = f"{usable} CPUs"
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return Finding(OK, "machine", text)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    text += f", {memory:.0f} GB of memory"
    if memory < LITTLE_MEMORY:
        return Finding(SLOWLY, "machine", f"{text}: larger models than {DEFAULT_MODEL} may not fit")
    return Finding(OK, "machine", text)


def _gdal() -> Finding:
    import rasterio
    from rasterio.drivers import raster_driver_extensions

    there = set(raster_driver_extensions().values())
    if "GTiff" not in there:
        text = f"GDAL {rasterio.__gdal_version__} reads no GeoTIFF; run: pip install -U rasterio"
        return Finding(BROKEN, "rasters", text)
    text = f"GDAL {rasterio.__gdal_version__}, {len(there)} kinds of files"
    return Finding(OK, "rasters", text)


def _model() -> Finding:
    """Have the default model answer one click on a picture made here."""
    image = np.random.default_rng(0).integers(60, 90, (512, 512, 3), np.uint8)
    valid, square = np.ones((512, 512), bool), np.zeros((512, 512), bool)
    square[150:350, 200:400] = True
    image[square] += 90
    click_on_it = PixelPrompts(points=np.array([[300.0, 250.0]]), positive=np.array([True]))
    try:
        model = get_model(DEFAULT_MODEL)
        started = time.perf_counter()
        embedding = model.embed(image, valid)
        encoded = time.perf_counter()
        found = model.decode(embedding, click_on_it)
    except GeoisegError as error:
        return Finding(BROKEN, "model", f"{DEFAULT_MODEL} does not work: {error}")
    mask = found.logits[0] > 0
    if (mask & square).sum() < 0.5 * (mask | square).sum():
        return Finding(BROKEN, "model", f"{DEFAULT_MODEL} does not find a bright square;"
                                        " run: pip install -U onnxruntime")  # fmt: skip
    next_click, first = time.perf_counter() - encoded, time.perf_counter() - started
    text = f"{DEFAULT_MODEL}: first click {first:.2f} s, next ones {next_click:.2f} s"
    if first > SLOW:
        return Finding(SLOWLY, "model", f"{text}; other programs may be using the CPUs")
    return Finding(OK, "model", text)


def _graphics() -> Finding:
    if find_spec("torch") is None:
        return Finding(MISSING, "torch", "larger models need it: pip install 'geoiseg[sam]'")
    import torch

    if torch.cuda.is_available():
        return Finding(OK, "torch", f"{torch.__version__} on {torch.cuda.get_device_name(0)}")
    if torch.backends.mps.is_available():
        return Finding(OK, "torch", f"{torch.__version__} on Apple's GPU")
    return Finding(OK, "torch", f"{torch.__version__}, no GPU: larger models take seconds a chip")


def _weights() -> Finding:
    names = sorted(installed())
    text = ", ".join(names) or f"{DEFAULT_MODEL} alone; for others: geoiseg models pull"
    if first_folder() is None:
        text += f"; {FIRST}, for old projects, is not here: geoiseg models pull {FIRST} says how"
    return Finding(OK if names else MISSING, "weights", text)


def _extra(part: str, module: str, extra: str, what: str) -> Finding:
    """Return whether a package is there that some commands need."""
    if find_spec(module) is not None:
        return Finding(OK, part, what)
    package = f"'geoiseg[{extra}]'" if extra else module
    return Finding(MISSING, part, f"{what}: pip install {package}")


def _qgis() -> Finding:
    found = shutil.which("qgis_process") or shutil.which("qgis")
    if found:
        return Finding(OK, "qgis", found)
    return Finding(MISSING, "qgis", "not on the path; its plugin is made by: make qgis-plugin")


def _cache(folder: Path) -> Finding:
    """Return whether embeddings and weights can be kept, and where."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not os.access(there, os.W_OK):
        return Finding(SLOWLY, "cache", f"{folder} can not be written, so nothing is kept between"
                                        " sessions; set GEOISEG_HOME")  # fmt: skip
    free = shutil.disk_usage(there).free / 1e9
    if free < LITTLE_DISK:
        return Finding(SLOWLY, "cache", f"{folder}: {free:.1f} GB free; geoiseg cache clear")
    return Finding(OK, "cache", f"{folder}, {free:.0f} GB free")
