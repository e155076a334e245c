"""What learns, and what it learns from: the part of the network that stays as it is looks once."""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geoiseg.models.tiny import FILES
from geoiseg.models.tiny.graphs import Graphs, threads_wanted
from geoiseg.training.features import Features
from geoiseg.training.network import Decoder, Encoder
from geoiseg.training.own.crops import Look
from geoiseg.training.own.graph import read_decoder, read_encoder
from geoiseg.training.trunk import LATE


class Pupil(nn.Module):
    """The decoder, and the encoder's last stages where they are to learn, too.

    Args:
        decoder: Learns.
        encoder: Its trunk learns from block ``LATE`` on, and so does its pyramid with all that
            is made of it; None where all of it stays as it is.
    """

    def __init__(self, decoder: Decoder, encoder: Encoder | None = None) -> None:
        super().__init__()
        self.decoder, self.encoder = decoder, encoder
        if encoder is not None:
            encoder.trunk.freeze(LATE)
            for part in (encoder.stem, encoder.fine_key):
                part.requires_grad_(requires_grad=False)

    def features(self, layers: Sequence[Tensor]) -> Features:
        """Return the features of images from what is kept of them, each ``(b, channels, y, x)``."""
        if self.encoder is None:
            return Features(*layers)
        colour, shallow, *levels, x = layers
        more, _ = self.encoder.trunk.through(x, LATE)
        return self.encoder.pyramid(colour, shallow, [*levels, *more])

    def encoder_parameters(self) -> list[nn.Parameter]:
        """Return what learns in the encoder; nothing where it stays as it is."""
        parts = [] if self.encoder is None else list(self.encoder.parameters())
        return [one for one in parts if one.requires_grad]


def read_pupil(shipped: Path, *, encoder: bool) -> Pupil:
    """Return what is going to learn, as it is in the folder of a model.

    Args:
        shipped: The folder.
        encoder: Whether the encoder's last stages learn, too.

    Raises:
        WeightsError: The graphs are not of this design.
    """
    decoder = read_decoder(shipped / FILES[1])
    return Pupil(decoder, read_encoder(shipped / FILES[0]) if encoder else None)


def looking(pupil: Pupil, shipped: Path) -> Look:
    """Return what gives of an image all that stays as it is while a pupil learns.

    Args:
        pupil: Before it learns.
        shipped: Folder of the encoder.
    """
    encoder = pupil.encoder
    if encoder is None:
        graphs = Graphs(shipped, threads_wanted())

        def features(given: Mapping[str, NDArray[np.float32]]) -> tuple[Tensor, ...]:
            found = graphs.encode(given)
            return tuple(torch.from_numpy(found[name]).float() for name in Features._fields)

        return features

    def early(given: Mapping[str, NDArray[np.float32]]) -> tuple[Tensor, ...]:
        image, valid = (torch.from_numpy(given[name]) for name in ("image", "valid"))
        with torch.no_grad():
            levels, x = encoder.trunk.through(encoder.trunk.entered(image, valid), end=LATE)
            return (*encoder.branch(image, valid), *levels, x)

    return early
