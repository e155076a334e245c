"""EfficientViT-SAM: from a checkpoint to a model. Encoder of its own, SAM's decoder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoiseg.models.protocol import Model, ModelInfo
from geoiseg.models.sam.adapter import SamModelAdapter
from geoiseg.models.sam.frames import FloatArray, Frame
from geoiseg.models.sam.loader import Source
from geoiseg.models.sam.meta import licence_of
from geoiseg.raster import BoolArray


@dataclass(frozen=True)
class HalfFrame(Frame):
    """A chip within SAM's square, which the image encoder sees at half the resolution."""

    def pixel_values(self, image: NDArray[np.uint8], valid: BoolArray | None = None) -> FloatArray:
        """Return ``(3, side / 2, side / 2)``; the arguments are those of :class:`Frame`."""
        return Frame(self.shape, self.side // 2).pixel_values(image, valid)


class HalfAdapter(SamModelAdapter):
    """A network that sees images of half the side of the square that prompts lie in."""

    def _frame(self, shape: tuple[int, ...]) -> HalfFrame:
        return HalfFrame((shape[0], shape[1]), self.engine.side)


def load_efficientvit(source: Source) -> Model:
    """Return an EfficientViT-SAM (L0, L1, L2) from its authors' ``.pt``.

    Raises:
        WeightsError: The file is damaged, incomplete or of another architecture.
        ModelError: The device, precision or backend can not be had.
    """
    from geoiseg.models.sam.network import TorchEngine, build_sam
    from geoiseg.models.sam.sam2 import place_of

    place = place_of(source)
    architecture = source.architecture
    engine = TorchEngine(build_sam(source.state, repr(str(source.path))), place)
    info = ModelInfo(
        name=source.name,
        family="efficientvit-sam",
        licence=licence_of(source.name),
        description=f"{architecture}, on {place}",
        chip_size=engine.side // 2,
        weights_hash=source.weights_hash + place.suffix,
        parameters=sum(int(p.numel()) for p in engine.network.parameters()),
    )
    return HalfAdapter(info, engine)
