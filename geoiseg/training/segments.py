"""Objects found by colour alone."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from geoiseg.training.scene import Scene


def segment_scene(scene: Scene) -> Scene:
    """Return the same image with objects found by colour alone, at a random coarseness.

    Regions of one colour are what a user means as often as what a map legend names; they
    keep the network from believing that only fields and houses are objects.

    Source: graph-based segmentation of Felzenszwalb and Huttenlocher, 2004.
    """
    from skimage.segmentation import felzenszwalb

    rng = np.random.default_rng([len(scene.name), *scene.name.encode()])
    share = 0.5
    small = cv2.resize(scene.image, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    smooth = cv2.bilateralFilter(small, 5, 25, 3)
    coarse = float(np.exp(rng.uniform(np.log(80), np.log(900))))
    parts = felzenszwalb(smooth, scale=coarse, sigma=0.6, min_size=60) + 1
    areas = np.bincount(parts.ravel())
    keep = (areas >= 80) & (areas <= 0.2 * parts.size)
    keep[0] = False
    chosen = np.flatnonzero(keep)
    chosen = rng.permutation(chosen)[:4000]
    number = np.zeros(len(areas), np.int16)
    number[chosen] = np.arange(1, len(chosen) + 1)
    ids = cv2.resize(number[parts], scene.ids.shape[::-1], interpolation=cv2.INTER_NEAREST)
    ids = cv2.medianBlur(ids.astype(np.uint16), 5).astype(np.int16)
    kinds = {int(i): "segment" for i in range(1, len(chosen) + 1)}
    return replace(scene, ids=ids, kinds=kinds, family="segment")
