"""Graphs of SAM 2, EdgeTAM and SAM 3's tracker for single pictures: encoder and decoder, no memory.

The modules are those of transformers; what is put around them makes the number of prompts free, and
answers with all masks at once, so that one graph serves clear prompts and vague ones.
"""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

import torch
from torch import Tensor, nn

from geoiseg.models.sam.engine import MAPS
from geoiseg.models.sam.sam2 import Sam2Engine


class MapsGraph(nn.Module):
    """``(1, 3, side, side)`` pixel values to the three maps of :data:`MAPS`."""

    def __init__(self, engine: Sam2Engine) -> None:
        super().__init__()
        self.model = engine.model
        self._engine = engine

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Return ``(1, channel, y, x)`` each, the finest first."""
        found = self._engine.image_features(pixels)
        return tuple(found[name] for name in MAPS)


class SquashDecoderGraph(nn.Module):
    """Prompts on maps to masks; any number of prompts, any number of points in each."""

    kinds: Tensor
    places: Tensor

    def __init__(self, engine: Sam2Engine) -> None:
        super().__init__()
        model = engine.model
        self.prompts, self.decoder = model.prompt_encoder, model.mask_decoder
        kinds = [self.prompts.not_a_point_embed.weight, self.prompts.point_embed.weight]
        self.register_buffer("kinds", torch.cat([table.detach() for table in kinds]))
        self.grid = int(engine.masks) // 4
        places = model.get_image_wide_positional_embeddings()
        self.register_buffer("places", places.detach())

    def forward(
        self, fine: Tensor, middle: Tensor, coarse: Tensor, points: Tensor, labels: Tensor,
        mask_input: Tensor, has_mask: Tensor,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Return ``(n, 4, v, u)`` logits and ``(n, 4)`` scores, the single mask's first.

        Args:
            fine: ``(1, c / 8, 4 * y, 4 * x)``.
            middle: ``(1, c / 4, 2 * y, 2 * x)``.
            coarse: ``(1, c, y, x)``.
            points: ``(n, k, 2)`` as ``x, y``, counted from pixel centres.
            labels: ``(n, k)`` int32: 0 off, 1 on the object, 2 and 3 the corners of a box.
            mask_input: ``(m, 1, v, u)`` logits; m is n, or 1 for all.
            has_mask: ``(1,)`` 1 where the masks count, else 0.
        """
        decoder = self.decoder
        dense = self.prompts.mask_embed(mask_input) * has_mask
        nothing = self.prompts.no_mask_embed.weight.reshape(1, -1, 1, 1)
        image = coarse + dense + nothing * (1 - has_mask)
        image = image.expand(points.shape[0], -1, -1, -1)
        own = [decoder.obj_score_token, decoder.iou_token, decoder.mask_tokens]
        first = torch.cat([table.weight for table in own]).unsqueeze(0)
        start = torch.cat([first.expand(points.shape[0], -1, -1), self._said(points, labels)], 1)
        tokens, image = decoder.transformer(
            point_embeddings=start.unsqueeze(1),
            image_embeddings=image,
            image_positional_embeddings=self.places,
            attention_similarity=None,
        )[:2]
        tokens, image = tokens.squeeze(1), image.squeeze(1)
        masks = self._masks(tokens[:, 2:], image, (fine, middle))
        scores = decoder.iou_prediction_head(tokens[:, 1])
        if decoder.dynamic_multimask_via_stability:
            return self._steadied(masks, scores)
        return masks, scores

    def _said(self, points: Tensor, labels: Tensor) -> Tensor:
        """Return ``(n, k + 1, channel)`` tokens: the network expects a void point after all."""
        side = self.prompts.input_image_size
        place = self.prompts.shared_embedding((points + 0.5).unsqueeze(1), (side, side)).squeeze(1)
        known = (labels >= 0).to(place.dtype).unsqueeze(-1)
        said = place * known + self.kinds[(labels + 1).long()]
        void = self.kinds[:1].unsqueeze(0).expand(points.shape[0], -1, -1)
        return torch.cat([said, void], 1)

    def _masks(self, tokens: Tensor, image: Tensor, finer: tuple[Tensor, Tensor]) -> Tensor:
        decoder, grid = self.decoder, self.grid
        laid = image.transpose(1, 2).reshape(-1, image.shape[-1], grid, grid)
        x = decoder.upscale_conv1(laid) + finer[1]
        x = decoder.activation(decoder.upscale_layer_norm(x))
        x = decoder.activation(decoder.upscale_conv2(x) + finer[0])
        heads = decoder.output_hypernetworks_mlps
        weights = torch.stack([head(tokens[:, n]) for n, head in enumerate(heads)], 1)
        masks = weights @ x.flatten(2)
        return masks.reshape(-1, len(heads), 4 * grid, 4 * grid)

    def _steadied(self, masks: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Put the best of the others in place of a single mask whose border is unsure."""
        decoder = self.decoder
        delta = decoder.dynamic_multimask_stability_delta
        single = masks[:, 0].flatten(1)
        sure = (single > delta).float().sum(1)
        likely = (single > -delta).float().sum(1)
        share = torch.where(likely > 0, sure / likely.clamp(min=1.0), torch.ones_like(sure))
        steady = (share >= decoder.dynamic_multimask_stability_thresh).reshape(-1, 1)
        others = scores[:, 1:]
        best = others.argmax(1).reshape(-1, 1)
        chosen = (torch.arange(others.shape[1]) == best).to(masks.dtype)
        mask = (masks[:, 1:] * chosen[..., None, None]).sum(1)
        score = (others * chosen).sum(1, keepdim=True)
        mask = torch.where(steady.unsqueeze(-1), masks[:, 0], mask)
        score = torch.where(steady, scores[:, :1], score)
        return torch.cat([mask.unsqueeze(1), masks[:, 1:]], 1), torch.cat([score, others], 1)
