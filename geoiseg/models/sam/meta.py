"""Meta's SAM, SlimSAM and MobileSAM: from a checkpoint to a model."""

from __future__ import annotations

import logging

from geoiseg.errors import ModelError
from geoiseg.models.protocol import Model, ModelInfo
from geoiseg.models.sam.adapter import SamModelAdapter
from geoiseg.models.sam.loader import Source

BACKENDS = ("auto", "torch", "torch-compile", "segment-anything")
"""Backends that run a checkpoint; the others run what was exported from one."""
TITLES = {
    "sam-vit-b": "Segment Anything, base",
    "sam-vit-l": "Segment Anything, large",
    "sam-vit-h": "Segment Anything, huge",
    "mobile-sam": "MobileSAM",
    "slimsam-77": "SlimSAM, 77 % pruned",
    "slimsam": "SlimSAM",
}
_log = logging.getLogger(__name__)


def load_meta(source: Source) -> Model:
    """Return the model of a checkpoint by Meta's, MobileSAM's or Hugging Face's names.

    Raises:
        WeightsError: The file is damaged or not what it should be.
        ModelError: The device, precision or backend can not be had.
    """
    if source.options.backend not in BACKENDS:
        raise ModelError(
            f"backend {source.options.backend!r} runs exported models, not {source.name!r};"
            f" take one of {', '.join(BACKENDS)}, or geoiseg models export it first"
        )
    from geoiseg.models.sam.device import choose_place
    from geoiseg.models.sam.network import TorchEngine, build_sam

    place = choose_place(source.options)
    where = repr(str(source.path))
    architecture, state = source.architecture, source.state
    if source.options.backend == "segment-anything":
        from geoiseg.models.sam.reference import ReferenceEngine, build_reference

        reference = ReferenceEngine(build_reference(state, where), place)
        engine: TorchEngine | ReferenceEngine = reference
    else:
        compiled = source.options.backend == "torch-compile"
        engine = TorchEngine(build_sam(state, where), place, compiled=compiled)
    _log.info("%s runs on %s", source.name, place)
    info = ModelInfo(
        name=source.name,
        family="sam",
        licence=licence_of(source.name),
        description=f"{TITLES.get(architecture, architecture)}, on {place}",
        chip_size=engine.side,
        weights_hash=source.weights_hash + place.suffix,
        parameters=sum(int(p.numel()) for p in engine.network.parameters()),
    )
    return SamModelAdapter(info, engine)


def licence_of(name: str) -> str:
    """Return the licence of weights in the catalogue; nobody knows that of a user's own."""
    from geoiseg.models.weights.catalogue import CATALOGUE

    known = CATALOGUE.get(name)
    return "unknown" if known is None else known.licence
