"""What a model trained on one's own features brings on features that played no part in training.

    $ python benchmarks/train_own.py ../shared/data/scenes/bldg_nepal_b1 --features 5 10 20 50
    $ python benchmarks/train_own.py ../shared/data/scenes/fields_naip_04 --features 20 --encoder

The features of a scene are cut by a line: those on one side may be learnt from, those on the other
are clicked on by a simulated user, with ``tiny`` before and after. ``geoiseg train`` itself holds
out some of those that it is given; they are counted as given here. Minutes are those of one core.
With ``--encoder`` each number of features is learnt from once more, by the encoder's last stages,
too.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from itertools import product
from pathlib import Path

import numpy as np

from geoiseg.errors import ModelError
from geoiseg.evaluate.dataset import LabelledObject, LabelledScene, scenes
from geoiseg.models.tiny.model import TinyModel
from geoiseg.training.own.judge import measured
from geoiseg.training.own.learn import LearnOptions
from geoiseg.training.own.make import OwnOptions, make_own
from geoiseg.training.own.material import SMALLEST, Source


def sides(scene: LabelledScene) -> tuple[list[LabelledObject], list[LabelledObject]]:
    """Return the objects in the west and in the east of a scene, in some order."""
    least = SMALLEST * abs(scene.raster.grid.transform.determinant)
    objects = [one for one in scene.objects if one.geometry.area >= least]
    middle = np.median([one.geometry.centroid.x for one in objects])
    west = [one for one in objects if one.geometry.centroid.x < middle]
    east = [one for one in objects if one.geometry.centroid.x >= middle]
    rng = np.random.default_rng(0)
    return [west[one] for one in rng.permutation(len(west))], \
           [east[one] for one in rng.permutation(len(east))]  # fmt: skip


def trained(
    scene: LabelledScene, given: list[LabelledObject], folder: Path, options: OwnOptions
) -> str:
    """Train on some objects, and return what there is to say of it beside the model."""
    shapes = tuple(one.geometry for one in given)
    source = Source(scene.raster, None, shapes, tuple(one.family for one in given))
    begun = time.process_time()
    try:
        own = make_own([source], folder, options)
    except ModelError as error:
        return str(error).split(":")[0]
    minutes = (time.process_time() - begun) / 60
    if not own.written:
        return f"did not help, nothing written ({minutes:.1f} CPU minutes)"
    old = "" if own.old is None else f", old scene {own.old[0]:.3f} to {own.old[1]:.3f}"
    return f"best step {own.step}, {100 * own.share:.0f} % of it, {minutes:.1f} CPU minutes{old}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scene", type=Path)
    parser.add_argument("--features", type=int, nargs="+", default=[5, 10, 20, 50])
    parser.add_argument("--measure", type=int, default=25, help="objects clicked on, at most")
    parser.add_argument("--steps", type=int, default=LearnOptions().steps)
    parser.add_argument("--encoder", action="store_true", help="with the encoder, too")
    options = parser.parse_args()
    for scene in scenes(options.scene):
        learnable, rest = sides(scene)
        objects = [(scene.raster, None, one) for one in rest[: options.measure]]
        before = measured(TinyModel(), objects)
        print(f"{scene.name}: {len(objects)} objects; tiny: {before.as_dict()}", flush=True)
        for count, encoder in product(options.features, (False, True)[: 1 + options.encoder]):
            how = OwnOptions(learn=LearnOptions(steps=options.steps), encoder=encoder)
            with tempfile.TemporaryDirectory() as place:
                folder = Path(place) / "model"
                said = trained(scene, learnable[:count], folder, how)
                after = measured(TinyModel(folder), objects) if folder.exists() else before
            learns = "decoder and encoder" if encoder else "decoder"
            print(f"  {min(count, len(learnable))} features, {learns}: {after.as_dict()}; {said}",
                  flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
