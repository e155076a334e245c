"""Scenes to train on that a few lines make."""

from __future__ import annotations

import numpy as np

from geoiseg.training.scene import Scene


def disks(count=6, size=160):
    """Scenes of coloured disks on a plain ground, which a few dozen steps can learn."""
    scenes = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        ids = np.zeros((size, size), np.int16)
        image = np.full((size, size, 3), rng.integers(30, 120, 3), np.float64)
        y, x = np.mgrid[:size, :size]
        for number in range(1, 6):
            centre, radius = rng.uniform(20, size - 20, 2), rng.uniform(12, 30)
            inside = np.hypot(y - centre[0], x - centre[1]) < radius
            ids[inside] = number
            image[inside] = rng.integers(120, 250, 3)
        image = np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
        kinds = {int(n): "procedural" for n in np.unique(ids) if n}
        scenes.append(Scene(f"disks{seed}", image, np.ones(ids.shape, bool), ids, kinds))
    return scenes
