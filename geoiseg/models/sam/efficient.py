"""EfficientSAM: from a checkpoint to a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from geoiseg.errors import WeightsError
from geoiseg.models.protocol import Model, ModelInfo
from geoiseg.models.sam.device import Place, in_batches
from geoiseg.models.sam.efficient_sam import EfficientSam, EfficientSamShape
from geoiseg.models.sam.engine import SINGLE, Arrays, FloatArray, Tokens
from geoiseg.models.sam.loader import Source
from geoiseg.models.sam.meta import licence_of
from geoiseg.models.sam.sam2 import SquashAdapter, place_of
from geoiseg.models.sam.squash import Squash

IMAGES_AT_ONCE = {"cuda": 8}
PROMPTS_AT_ONCE = {"cuda": 64}


def load_efficient_sam(source: Source) -> Model:
    """Return an EfficientSAM (Ti, S) from its authors' ``.pt``.

    Raises:
        WeightsError: The file is damaged, incomplete or of another architecture.
        ModelError: The device, precision or backend can not be had.
    """
    place = place_of(source)
    engine = EfficientSamEngine(build_efficient_sam(source), place)
    info = ModelInfo(
        name=source.name,
        family="efficient-sam",
        licence=licence_of(source.name),
        description=f"{source.architecture}, on {place}",
        chip_size=engine.side,
        weights_hash=source.weights_hash + place.suffix,
        parameters=sum(int(p.numel()) for p in engine.network.parameters()),
    )
    return SquashAdapter(info, engine)


def build_efficient_sam(source: Source) -> EfficientSam:
    """Return the network of a checkpoint, in float32 on the CPU.

    Raises:
        WeightsError: Tensors are missing, of another shape, or unknown.
    """
    where = repr(str(source.path))
    try:
        with torch.device("meta"):
            network = EfficientSam(EfficientSamShape.of(source.state))
        network.load_state_dict(source.state, assign=True)
    except KeyError as error:
        raise WeightsError(f"{where} lacks the tensor {error.args[0]!r} of a SAM") from error
    except (RuntimeError, IndexError, ValueError, ZeroDivisionError) as error:
        reason = " ".join(str(error).split()).partition(": ")[2] or str(error)
        raise WeightsError(f"{where} holds no whole EfficientSAM: {reason[:200]}") from error
    network.float().eval().requires_grad_(requires_grad=False)
    return network


class EfficientSamEngine:
    """Runs the network. It knows no mask before: each answer is from the points alone.

    Args:
        network: In float32; moved to the place.
        place: Device, and number format of the image encoder. The decoder stays in float32.
    """

    def __init__(self, network: EfficientSam, place: Place) -> None:
        self.network = network.to(place.device)
        self.network.image_encoder.to(place.dtype)
        self.place = place
        self.side = network.shape.side

    def frame(self, shape: tuple[int, int]) -> Squash:
        """Return where a chip of ``shape`` lies in the network's square."""
        return Squash(shape, self.side, masks=4 * self.network.shape.grid)

    def encode(self, pixels: Sequence[FloatArray]) -> list[Arrays]:
        """Return ``features`` of each image, float16 where weights are 16 bit."""
        size = IMAGES_AT_ONCE.get(self.place.device.type, 1)
        return in_batches(self._encode, pixels, size)

    def _encode(self, pixels: Sequence[FloatArray]) -> list[Arrays]:
        kept = torch.float32 if self.place.precision == "fp32" else torch.float16
        with torch.inference_mode():
            images = torch.from_numpy(np.stack(pixels)).to(self.place.device)
            found = self.network.image_encoder(images).to(kept).cpu().numpy()
        return [{"features": one} for one in found]

    def decode(self, features: Arrays, tokens: Tokens) -> tuple[FloatArray, FloatArray]:
        """Return ``(n, m, v, u)`` logits and ``(n, m)`` expected IoU.

        Its authors always take the best of the masks for vague prompts; so is done here where one
        is asked for.
        """
        image = torch.from_numpy(np.array(features["features"][None], np.float32))
        size = PROMPTS_AT_ONCE.get(self.place.device.type, 8)
        answers = in_batches(
            lambda part: self._decode(image.to(self.place.device), tokens, part),
            range(len(tokens)), size,
        )  # fmt: skip
        logits, quality = (np.stack(parts) for parts in zip(*answers, strict=True))
        if tokens.which != SINGLE:
            return logits, quality
        best = quality.argmax(axis=1)[:, None]
        return (
            np.take_along_axis(logits, best[..., None, None], axis=1),
            np.take_along_axis(quality, best, axis=1),
        )

    def _decode(
        self, image: torch.Tensor, tokens: Tokens, part: Sequence[int]
    ) -> list[tuple[FloatArray, FloatArray]]:
        some = tokens[part[0] : part[-1] + 1]
        xy, labels = (torch.from_numpy(a).to(self.place.device) for a in (some.xy, some.labels))
        with torch.inference_mode():
            logits, quality = self.network.decode(image, xy, labels)
        both = (logits[:, 1:].cpu().numpy(), quality[:, 1:].cpu().numpy())
        return list(zip(*both, strict=True))
