"""The whole of SAM in torch, built from its weights, and the engine that runs it."""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from geoiseg.errors import ModelError, WeightsError
from geoiseg.models.sam.attention import fastest
from geoiseg.models.sam.decoder import MaskDecoder, PromptEncoder
from geoiseg.models.sam.device import Place, in_batches
from geoiseg.models.sam.efficient_vit import EPS, EfficientVitEncoder, EfficientVitShape
from geoiseg.models.sam.engine import Arrays, FloatArray, Tokens
from geoiseg.models.sam.keys import meta_names
from geoiseg.models.sam.tiny_vit import TinyShape, TinyVitEncoder
from geoiseg.models.sam.vit import VitEncoder, VitShape

Encoder = VitEncoder | TinyVitEncoder | EfficientVitEncoder
TINY = "image_encoder.patch_embed.seq.0.c.weight"
EFFICIENT = "image_encoder.backbone.stages.0.op_list.0.conv.weight"
IMAGES_AT_ONCE = {"cuda": 8}
PROMPTS_AT_ONCE = {"cuda": 64}
"""By the kind of device; elsewhere few fit in the caches."""


class Sam(nn.Module):
    """Image encoder, prompt encoder and mask decoder, with Meta's names.

    Args:
        image_encoder: Any that gives ``(n, 256, grid, grid)``.
        side: Pixels along a side of its image, or of the square that prompts lie in, where its
            image is smaller.
    """

    def __init__(self, image_encoder: Encoder, side: int) -> None:
        super().__init__()
        self.side = side
        channels, grid = image_encoder.shape.out, side // 16
        self.image_encoder = image_encoder
        self.prompt_encoder = PromptEncoder(channels, grid, side)
        self.mask_decoder = MaskDecoder(channels)

    def encode(self, pixels: Tensor) -> Tensor:
        """Return ``(n, 256, grid, grid)`` features of ``(n, 3, side, side)`` pixels."""
        features: Tensor = self.image_encoder(pixels)
        return features

    def decode(
        self,
        features: Tensor,
        xy: Tensor,
        labels: Tensor,
        masks: Tensor | None = None,
        which: tuple[int, ...] = (0, 1, 2, 3),
    ) -> tuple[Tensor, Tensor]:
        """Return ``(n, m, 4 * grid, 4 * grid)`` logits and ``(n, m)`` expected IoU.

        Args:
            features: ``(1, 256, grid, grid)`` of one image.
            xy: ``(n, k, 2)`` points in pixels of the network's image, whole at centres.
            labels: ``(n, k)``: 1 on the object, 0 off it, 2 and 3 a box's corners, -1 nothing.
            masks: ``(n, 1, 4 * grid, 4 * grid)`` logits to refine; None where there are none.
            which: Masks to make: 0 is for clear prompts, 1 to 3 are for vague ones.
        """
        tokens = self.prompt_encoder.points(xy, labels)
        image = features.flatten(2).transpose(1, 2) + self.prompt_encoder.masks(masks)
        places = self.prompt_encoder.positions()
        logits, quality = self.mask_decoder(image, places, tokens, which)
        return logits, quality


def build_sam(state: Mapping[str, Tensor], where: str) -> Sam:
    """Return the network whose weights are in ``state``, in float32 on the CPU.

    Args:
        state: Tensors by Meta's, MobileSAM's or Hugging Face's names.
        where: Where they came from, for messages.

    Raises:
        WeightsError: Tensors are missing, of another shape, or unknown.
    """
    tensors = meta_names(state)
    try:
        with torch.device("meta"):
            network = _skeleton(tensors)
        network.load_state_dict(dict(tensors), assign=True)
    except KeyError as error:
        raise WeightsError(f"{where} lacks the tensor {error.args[0]!r} of a SAM") from error
    except (RuntimeError, IndexError, ValueError, ZeroDivisionError) as error:
        reason = " ".join(str(error).split()).partition(": ")[2] or str(error)
        raise WeightsError(f"{where} does not hold a whole SAM: {reason[:200]}") from error
    network.float().eval().requires_grad_(requires_grad=False)
    if isinstance(network.image_encoder, TinyVitEncoder):
        network.image_encoder.fuse()
    return network


def _skeleton(tensors: Mapping[str, Tensor]) -> Sam:
    if TINY in tensors:
        tiny = TinyShape.of(tensors)
        return Sam(TinyVitEncoder(tiny), tiny.side)
    if EFFICIENT in tensors:
        light = EfficientVitShape.of(tensors)
        return with_eps(Sam(EfficientVitEncoder(light), 2 * light.side))
    shape = VitShape.of(tensors)
    return Sam(VitEncoder(shape), shape.side)


def with_eps(network: Sam) -> Sam:
    """Return a network with EfficientViT-SAM's own small number in the decoder's layer norms."""
    for module in network.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = EPS
    return network


class TorchEngine:
    """Runs the network in torch.

    Args:
        network: In float32; moved to the place.
        place: Device, and number format of the image encoder. The decoder stays in float32.
        compiled: Whether torch compiles the image encoder at the first image: minutes, which
            pay for many images on a GPU.
    """

    def __init__(self, network: Sam, place: Place, *, compiled: bool = False) -> None:
        self.network = network.to(place.device)
        self.place = place
        encoder = network.image_encoder.to(place.dtype)
        if isinstance(encoder, VitEncoder):
            encoder.attend = fastest(place.device, place.dtype)
        self._features: Callable[[Tensor], Tensor] = network.encode
        if compiled:
            self._features = torch.compile(network.encode)

    @property
    def side(self) -> int:
        """Pixels along a side of the image that the network takes."""
        return int(self.network.side)

    def encode(self, pixels: Sequence[FloatArray]) -> list[Arrays]:
        """Return ``features`` of each image: ``(256, y, x)``, float16 where weights are 16 bit."""
        size = IMAGES_AT_ONCE.get(self.place.device.type, 1)
        return in_batches(self._encode, pixels, size)

    def _encode(self, pixels: Sequence[FloatArray]) -> list[Arrays]:
        batch = torch.from_numpy(np.stack(pixels))
        if self.place.device.type == "cuda":
            batch = batch.pin_memory()
        kept = torch.float32 if self.place.precision == "fp32" else torch.float16
        with torch.inference_mode():
            try:
                features = self._features(batch.to(self.place.device, non_blocking=True))
            except RuntimeError as error:
                if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
                    raise
                reason = " ".join(str(error).split())[:200]
                raise ModelError(
                    f"torch can not compile the model here; take backend='torch' ({reason})"
                ) from error
            arrays = features.to(kept).cpu().numpy()
        return [{"features": array} for array in arrays]

    def decode(self, features: Arrays, tokens: Tokens) -> tuple[FloatArray, FloatArray]:
        """Return ``(n, m, side / 4, side / 4)`` logits and ``(n, m)`` expected IoU."""
        on_device = torch.from_numpy(np.array(features["features"][None], np.float32))
        image = on_device.to(self.place.device)
        size = PROMPTS_AT_ONCE.get(self.place.device.type, 8)
        answers = in_batches(
            lambda part: self._decode(image, tokens, part), range(len(tokens)), size
        )
        return np.stack([logits for logits, _ in answers]), np.stack([iou for _, iou in answers])

    def _decode(
        self, image: Tensor, tokens: Tokens, part: Sequence[int]
    ) -> list[tuple[FloatArray, FloatArray]]:
        some = tokens[part[0] : part[-1] + 1]
        device = self.place.device
        masks = None if some.masks is None else torch.from_numpy(some.masks[:, None]).to(device)
        xy, labels = (torch.from_numpy(part).to(device) for part in (some.xy, some.labels))
        with torch.inference_mode():
            logits, quality = self.network.decode(image, xy, labels, masks, some.which)
        return list(zip(logits.cpu().numpy(), quality.cpu().numpy(), strict=True))
