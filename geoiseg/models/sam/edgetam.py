"""EdgeTAM: SAM 2 with a small convolutional image encoder, run by transformers and timm."""

from __future__ import annotations

from geoiseg.errors import require
from geoiseg.models.protocol import Model
from geoiseg.models.sam.convert_sam2 import edgetam_config, from_meta, is_meta
from geoiseg.models.sam.loader import Source
from geoiseg.models.sam.pretrained import Blueprint, build
from geoiseg.models.sam.sam2 import Sam2Engine, SquashAdapter, describe, place_of


def load_edgetam(source: Source) -> Model:
    """Return an EdgeTAM from Meta's ``.pt`` or from a folder with ``config.json``.

    Raises:
        WeightsError: The file is damaged, incomplete or of another architecture.
        MissingExtraError: timm, which has the image encoder, is not installed.
        ModelError: The device, precision or backend can not be had.
    """
    require("timm", "sam")
    place = place_of(source)
    _, state = source.architecture, source.state
    blueprint = Blueprint("EdgeTamModel", source.config or edgetam_config(), source.path)
    model = build(blueprint, from_meta(state) if is_meta(state) else state)
    engine = Sam2Engine(model, place)
    return SquashAdapter(describe(source, "edgetam", engine), engine)
