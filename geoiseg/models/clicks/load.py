"""From a checkpoint of a click network to a model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from geoiseg.errors import ModelError, WeightsError
from geoiseg.models.clicks.adapter import ClickModel
from geoiseg.models.clicks.cdnet import CDNet
from geoiseg.models.clicks.dos import Dos
from geoiseg.models.clicks.fbrs import Optimised
from geoiseg.models.clicks.focalclick import HRNETS, FocalHrnet, FocalSegformer
from geoiseg.models.clicks.looking import Onlooker
from geoiseg.models.clicks.mix_transformer import SIZES as MIXES
from geoiseg.models.clicks.network import ClickNetwork
from geoiseg.models.clicks.ritm import SIZES as RITM
from geoiseg.models.clicks.ritm import Ritm
from geoiseg.models.clicks.simpleclick import SIZES as VITS
from geoiseg.models.clicks.simpleclick import SimpleClick
from geoiseg.models.options import ModelOptions
from geoiseg.models.protocol import ModelInfo
from geoiseg.models.sam.device import Place, choose_place

if TYPE_CHECKING:
    from geoiseg.models.sam.loader import Source

TITLES = {
    "ritm": "RITM",
    "simpleclick": "SimpleClick",
    "focalclick": "FocalClick",
    "cdnet": "CDNet",
    "dos": "DOS",
}
SMALL = "s1"
"""Ending of the name of FocalClick's networks that are shown half of the side."""
_log = logging.getLogger(__name__)


def load_clicks(source: Source, brs: str = "") -> ClickModel:
    """Return the model of a checkpoint by its authors' names.

    Args:
        source: Where the weights are.
        brs: ``a``, ``b`` or ``c``: kind of f-BRS to run around it; empty for none.

    Raises:
        WeightsError: The file is damaged, incomplete or of another architecture.
        ModelError: The device, precision or backend can not be had, or f-BRS with this network.
    """
    place = _place(source.options, source.name)
    found, settings = source.architecture, source.settings
    network = build(found, settings, source.state)
    fill(network, source.state, repr(str(source.path)))
    network.eval().requires_grad_(False)  # noqa: FBT003 - torch's own signature
    network.to(place.device)
    forward: Callable[..., Any] | None = None
    if brs:
        if not isinstance(network, Ritm):
            raise ModelError(f"f-BRS runs around networks of RITM alone, and {found} is none")
        forward = Optimised(network, brs)
    _log.info("%s runs on %s", source.name, place)
    return ClickModel(_described(source, found, network, (place, brs)), Onlooker(network, forward),
                      place)  # fmt: skip


def _described(
    source: Source, architecture: str, network: ClickNetwork, how: tuple[Place, str]
) -> ModelInfo:
    from geoiseg.models.weights.catalogue import CATALOGUE

    place, brs = how
    family = architecture.partition("-")[0]
    known = CATALOGUE.get(source.name)
    title = f"{TITLES[family]} {architecture.partition('-')[2]}"
    return ModelInfo(
        name=f"{source.name}+f-brs-{brs}" if brs else source.name,
        family=family,
        licence="unknown" if known is None else known.licence,
        description=f"{title}{f', f-BRS-{brs.upper()}' if brs else ''}, on {place}",
        weights_hash=source.weights_hash + (f"+f-brs-{brs}" if brs else "") + place.suffix,
        parameters=sum(int(weight.numel()) for weight in network.parameters()),
        exact_embedding=True,
    )


def _place(options: ModelOptions, name: str) -> Place:
    """Return where and how exactly to run; in fp32 unless something else is asked for."""
    if options.backend not in {"auto", "torch"}:
        raise ModelError(f"backend {options.backend!r} does not run {name!r}; take 'torch'")
    precision = "fp32" if options.precision == "auto" else options.precision
    return choose_place(ModelOptions(options.device, precision, options.backend))


def build(architecture: str, settings: Mapping[str, Any], state: Mapping[str, Any]) -> ClickNetwork:
    """Return an empty network.

    Args:
        architecture: As ``detect.click_architecture`` names it, or with ``-s1`` at the end.
        settings: What the checkpoint says of how it was built; empty where it says nothing.
        state: Its tensors by name.

    Raises:
        WeightsError: It was built in a way that is not known here.
    """
    try:
        with torch.device("meta"):
            return _builder(architecture, settings, state)()
    except (LookupError, TypeError, ValueError) as error:
        family = architecture.partition("-")[0]
        raise WeightsError(
            f"this {TITLES[family]} was built in a way that is not known here"
            f" ({' '.join(str(error).split())[:120]}); take its authors' published file"
        ) from error


def _builder(
    architecture: str, settings: Mapping[str, Any], state: Mapping[str, Any]
) -> Callable[[], ClickNetwork]:
    family, _, size = architecture.partition("-")
    leaky = bool(settings.get("use_leaky_relu", True))
    if not settings.get("use_disks", True):
        raise WeightsError(
            f"this {TITLES[family]} was trained with distance maps, which only f-BRS's first"
            " networks were; take one that was trained with disks"
        )
    radius = float(settings.get("norm_radius", 5))
    if family == "ritm":
        remembers = state["maps_transform.0.weight"].shape[1] == 3
        return partial(Ritm, RITM[size], radius, remembers=remembers, leaky=leaky)
    if family == "simpleclick":
        return partial(SimpleClick, VITS[size], radius)
    if family == "cdnet":
        return partial(CDNet, leaky=leaky)
    if family == "dos":
        return partial(Dos, int(state["score_fr.weight"].shape[0]))
    small = size.endswith(SMALL) or settings.get("pipeline_version") == SMALL
    size = size.removesuffix("-s1").removesuffix("-s2")
    if size in HRNETS:
        return partial(FocalHrnet, HRNETS[size], small=small, leaky=leaky)
    return partial(FocalSegformer, MIXES[size], small=small)


def fill(network: ClickNetwork, state: Mapping[str, Any], where: str) -> None:
    """Put tensors into an empty network, in float32; every one has to have its place.

    Raises:
        WeightsError: One is missing, too many, or of another shape.
    """
    wanted = network.state_dict()
    missing = sorted(wanted.keys() - state.keys())
    if missing:
        raise WeightsError(
            f"{where} lacks {len(missing)} tensors of a {type(network).__name__}, the first is"
            f" {missing[0]!r}; is it another model's, or only a part?"
        )
    strange = sorted(state.keys() - wanted.keys())
    if strange:
        raise WeightsError(
            f"{where} has {len(strange)} tensors that a {type(network).__name__} has not, the"
            f" first is {strange[0]!r}; is it a later version?"
        )
    for name, tensor in wanted.items():
        if state[name].shape != tensor.shape:
            raise WeightsError(
                f"{where} has {name!r} as {tuple(state[name].shape)}, not {tuple(tensor.shape)}"
            )
    network.load_state_dict(
        {name: state[name].to(tensor.dtype) for name, tensor in wanted.items()}, assign=True
    )
