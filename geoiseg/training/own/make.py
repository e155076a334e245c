"""From features to a model of one's own in a folder: whole, or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import ExportError, ModelError
from geoiseg.evaluate.dataset import LabelledObject
from geoiseg.models.own import CARD, FAMILY
from geoiseg.models.tiny import FILES
from geoiseg.models.tiny.model import TinyModel
from geoiseg.training.own.graph import write_graph
from geoiseg.training.own.judge import FORGIVEN, Objects, OldScene, Score, measured, old_iou
from geoiseg.training.own.learn import Course, LearnOptions, Learnt, between, learn
from geoiseg.training.own.lessons import Amounts, Tell, counter, read_lessons
from geoiseg.training.own.material import Source, check_enough, held_out
from geoiseg.training.own.pupil import Pupil, read_pupil
from geoiseg.training.own.unfinished import Unfinished, task_of, unfinished
from geoiseg.version import __version__

SHARES = (1.0, 0.6, 0.35, 0.2)
"""Of the way from the old weights to the new ones, tried in turn until little is forgotten."""
MOST_HELD = 30
"""Features held out that are clicked on, at most."""


@dataclass(frozen=True, slots=True)
class OwnOptions:
    """How a model of one's own is made."""

    held: float = 0.25
    """Share of the features that is held out."""
    seed: int = 0
    """Of all chance."""
    crops: int = 240
    """Of features, in all."""
    ordinary: int = 60
    """Crops of ordinary places of the rasters, and as many of made scenes."""
    learn: LearnOptions = field(default_factory=LearnOptions)
    """How it learns."""
    encoder: bool = False
    """Whether the encoder's last stages learn, too: the model then has an encoder of its own."""


@dataclass(frozen=True, slots=True)
class Own:
    """What came of it."""

    folder: Path
    features: int
    """That it has learnt from."""
    before: Score
    """On what was held out."""
    after: Score
    old: tuple[float, float] | None = None
    """IoU at the first click on the old scene, before and after; None where nothing was learnt."""
    share: float = 0.0
    """Of the way from the old weights to those learnt."""
    step: int = 0
    """Of training, whose weights were the best."""
    written: bool = False
    """Whether there is a model now: only one that helps is written."""


def make_own(
    sources: Sequence[Source], folder: Path, options: OwnOptions | None = None,
    tell: Tell = lambda _what, _done, _whole: None,
) -> Own:  # fmt: skip
    """Train a model on the features of projects and write it, if it helps.

    Args:
        sources: What there is to learn from.
        folder: To be made: ``encoder.onnx``, ``decoder.onnx`` and ``card.json``.
        options: How.
        tell: Told how far it is.

    Raises:
        ModelError: There are too few features; or it forgets too much of what it knew.
        ExportError: The folder is there already, or can not be made.
        RasterError: A raster can not be read.
    """
    options = options or OwnOptions()
    check_enough(sources)
    check_free(folder)
    held = held_out(sources, options.held, options.seed)
    shipped = TinyModel()
    before = read_pupil(shipped.folder, encoder=options.encoder)
    objects = _objects(sources, held, options.seed)
    count = int(sum((~one).sum() for one in held))
    task = task_of(sources, asdict(options), shipped.info.weights_hash)
    with unfinished(folder, task) as making:
        check_free(folder)  # another training may have made it meanwhile
        learnt = _learnt(sources, held, before, shipped.folder, options, making, tell)
        known = measured(shipped, objects, counter(tell, "clicking, before", len(objects)))
        if not learnt.step:
            return Own(folder, count, known, known)
        share, old, after = _not_forgetting(before, learnt.pupil, shipped, making.model, tell)
        now = measured(after, objects, counter(tell, "clicking, after", len(objects)))
        own = Own(folder, count, known, now, old, share, learnt.step, now.helped(known))
        if own.written:
            _write_card(making.model, sources, shipped, own, options)
            making.model.rename(folder)
    return own


def check_free(folder: Path) -> None:
    """Make sure that a folder can be made.

    Raises:
        ExportError: There is something of that name.
    """
    if folder.exists():
        raise ExportError(f"{folder} is there already; choose another name, or remove it first")


def _learnt(
    sources: Sequence[Source], held: Sequence[NDArray[np.bool_]], before: Pupil, shipped: Path,
    options: OwnOptions, making: Unfinished, tell: Tell,
) -> Learnt:  # fmt: skip
    """Return a pupil that has learnt from what is not held out, gone on with where it was."""
    steps, kept = options.learn.steps, making.kept()
    course = Course(before, options.learn)
    if kept is not None:
        course.take(kept)
    if course.ended:
        return course.learnt()
    amounts = Amounts(options.crops, options.ordinary, options.seed)
    lessons = read_lessons(sources, held, before, shipped, amounts, tell)

    def told(step: int, iou: float) -> None:
        tell(f"learning, IoU {iou:.2f}", step, steps)

    return learn(course, lessons, told, making.keep)


def _objects(sources: Sequence[Source], held: Sequence[NDArray[np.bool_]], seed: int) -> Objects:
    """Return what is held out as objects to click on."""
    found = [
        (one.raster, one.gsd, LabelledObject(one.raster.name, number, one.labels[number], shape))
        for one, out in zip(sources, held, strict=True)
        for number, shape in enumerate(one.shapes) if out[number]
    ]  # fmt: skip
    chosen = np.random.default_rng([seed, 7]).permutation(len(found))[:MOST_HELD]
    return [found[one] for one in sorted(chosen)]


def _not_forgetting(
    before: Pupil, learnt: Pupil, shipped: TinyModel, making: Path, tell: Tell
) -> tuple[float, tuple[float, float], TinyModel]:
    """Write the model that has learnt most without forgetting, and return it.

    Returns:
        The share of the way to the weights learnt, the IoU on the old scene before and after,
        and the model.

    Raises:
        ModelError: All forget too much.
    """
    with OldScene() as old:
        count = len(old.objects)
        # Asked as the new weights are: what ships draws less of one click.
        write_model(before, shipped.folder, making)
        known = old_iou(TinyModel(making), old.objects, counter(tell, "old scene, before", count))
        now = known
        for share in SHARES:
            write_model(between(before, learnt, share), shipped.folder, making)
            model = TinyModel(making)
            now = old_iou(model, old.objects, counter(tell, "old scene, after", count))
            if now >= (1 - FORGIVEN) * known:
                return share, (known, now), model
    lost = 100 * (1 - now / known)
    raise ModelError(
        f"the model forgets too much: on an old scene its IoU at the first click falls by"
        f" {lost:.0f} %, and {100 * FORGIVEN:.0f} % may be lost; nothing was written: add features"
        " of more kinds, or check their outlines"
    )


def write_model(pupil: Pupil, shipped: Path, folder: Path) -> None:
    """Write the graphs of a model and a card with their hashes into a folder.

    Args:
        pupil: What has learnt.
        shipped: Folder of the model that it began from.
        folder: Where to; its files are replaced.
    """
    if pupil.encoder is None:
        shutil.copyfile(shipped / FILES[0], folder / FILES[0])
    else:
        write_graph(pupil.encoder, shipped / FILES[0], folder / FILES[0])
    write_graph(pupil.decoder, shipped / FILES[1], folder / FILES[1])
    card = json.loads((shipped / CARD).read_text(encoding="utf-8"))
    kept = {name: card[name] for name in ("licence", "generation", "parameters")}
    hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}
    _write_json(folder / CARD, {"family": FAMILY, **kept, "sha256": hashes})


def _write_card(
    folder: Path, sources: Sequence[Source], shipped: TinyModel, own: Own, options: OwnOptions
) -> None:
    """Add to the card of a model what it has learnt from, and what that brought."""
    card: dict[str, Any] = json.loads((folder / CARD).read_text(encoding="utf-8"))
    classes = sorted({label for source in sources for label in source.labels})
    some = ", ".join(classes[:3]) + (", ..." if len(classes) > 3 else "")
    card |= {
        "name": own.folder.name,
        "description": f"tiny, trained here on {own.features} features: {some}",
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "geoiseg": __version__,
        "began_from": {"name": shipped.info.name, "weights_hash": shipped.info.weights_hash},
        "data": [source.facts() for source in sources],
        "features": {"learnt_from": own.features, "held_out": own.before.objects},
        "held_out": {
            "before": own.before.as_dict(),
            "after": own.after.as_dict(),
            "note": "when training ended went by these, too",
        },
        "old_scene_iou_1": [round(one, 4) for one in own.old or ()],
        "training": {"best_step": own.step, "share_of_weights": own.share, **asdict(options)},
    }  # fmt: skip
    _write_json(folder / CARD, card)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
