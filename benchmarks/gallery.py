"""The worst objects before and after, side by side as one picture.

    $ python benchmarks/gallery.py OUT.png ../shared/data/train --before OLD --after NEW
    $ python benchmarks/gallery.py OUT.png ../shared/data/scenes --outside --before OLD --after NEW

Those with the lowest mean IoU over five clicks before: of the places held out of training, or
of a folder of evaluation scenes (to look at, not to tune to). Each is shown three times: as it
is with its true outline in green; what the earlier model drew after three clicks; what the
later one drew. A model is a name or a folder of a small network.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from held_out import HeldOut, held_out, load, outside
from numpy.typing import NDArray

from geoiseg.evaluate.metrics import iou
from geoiseg.evaluate.users import USERS, User, make_user
from geoiseg.models import Model
from geoiseg.prompting import PixelPrompts

TILE, CAPTION = 200, 18
"""Side of a picture and height of the line below it, in pixels."""
CLICKS, SHOWN = 5, 3
"""Clicks made, and the one after which the mask is shown."""
CUT = float(np.log(0.49 / 0.51))
"""Logit from which a pixel counts as object."""
TRUE, DRAWN, YES, NO = (80, 226, 120), (255, 120, 60), (90, 220, 255), (255, 60, 160)


class Work(NamedTuple):
    """What came of some clicks."""

    ious: list[float]
    shown: NDArray[np.bool_]
    points: list[tuple[tuple[float, float], bool]]
    """Pixel position and sign of the clicks until then."""


def work(model: Model, one: HeldOut, user: User) -> Work:
    """Return what a model makes of a user's clicks on an object."""
    image, valid, truth = one.trial.image, one.trial.valid, one.trial.truth
    embedding = model.embed(image, valid)
    mask, clicked, shown = np.zeros_like(truth), np.zeros_like(truth), np.zeros_like(truth)
    points: list[tuple[tuple[float, float], bool]] = []
    previous, ious = None, []
    for count in range(1, CLICKS + 1):
        click = user.next(truth, mask, clicked, valid)
        if click is not None:
            points.append((click.xy_pixel, click.positive))
            clicked[int(click.xy_pixel[1]), int(click.xy_pixel[0])] = True
            prompts = PixelPrompts(
                points=np.array([xy for xy, _ in points]),
                positive=np.array([positive for _, positive in points]),
            )
            previous = model.decode(embedding, prompts, previous).logits[0]
            mask = np.asarray(previous > CUT)
        ious.append(iou(mask, truth, valid))
        if count == SHOWN:
            shown = mask
    return Work(ious, shown, points[:SHOWN])


def row(one: HeldOut, before: Work, after: Work) -> NDArray[np.uint8]:
    """Return the three pictures of an object, side by side."""
    truth = one.trial.truth
    plain = _tile(one.trial.image, truth, TRUE, [])
    tiles = [_captioned(plain, f"{one.scene} {one.trial.kind}"[:30])]
    for name, done in (("before", before), ("after", after)):
        tile = _tile(one.trial.image, done.shown, DRAWN, done.points)
        said = f"{name} {done.ious[0]:.2f} {done.ious[2]:.2f} {done.ious[4]:.2f}"
        tiles.append(_captioned(tile, said))
    return np.hstack(tiles)


def _tile(
    image: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    colour: tuple[int, int, int],
    points: list[tuple[tuple[float, float], bool]],
) -> NDArray[np.uint8]:
    scale = TILE / max(mask.shape)
    size = (max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale)))
    picture = np.zeros((TILE, TILE, 3), np.uint8)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    drawn = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    outlines, _ = cv2.findContours(drawn, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    inked = np.ascontiguousarray(small)
    cv2.drawContours(inked, outlines, -1, colour, 1)
    for (x, y), positive in points:
        middle = (int(x * scale), int(y * scale))
        cv2.circle(inked, middle, 3, YES if positive else NO, -1)
        cv2.circle(inked, middle, 4, (0, 0, 0), 1)
    picture[: size[1], : size[0]] = inked
    return picture


def _captioned(tile: NDArray[np.uint8], words: str) -> NDArray[np.uint8]:
    line = np.full((CAPTION, tile.shape[1], 3), 255, np.uint8)
    cv2.putText(line, words, (3, CAPTION - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (0, 0, 0), 1)
    return np.vstack([tile, line])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, help="picture to write, .png or .jpg")
    parser.add_argument("data", type=Path, help="folder of scenes for training, or of others")
    parser.add_argument("--outside", action="store_true", help="the folder holds other scenes")
    parser.add_argument("--before", default="tiny", help="name or folder")
    parser.add_argument("--after", default="tiny", help="name or folder")
    parser.add_argument("--objects", type=int, default=12, help="of a family, or of a scene")
    parser.add_argument("--worst", type=int, default=20, help="objects shown")
    parser.add_argument("--user", choices=USERS, default="centre", help="who clicks")
    parser.add_argument("--without", nargs="*", default=[], help="families that are left out")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(arguments)
    models = load(args.before), load(args.after)
    pick = outside if args.outside else held_out
    done = []
    for one in pick(args.data, args.objects, args.seed):
        if one.family in args.without:
            continue
        both = [
            work(model, one, make_user(args.user, args.seed, one.number, *one.scene.encode()))
            for model in models
        ]
        done.append((one, both[0], both[1]))
    done.sort(key=lambda item: float(np.mean(item[1].ious)))
    rows = [row(*item) for item in done[: args.worst]]
    if not rows:
        print(f"no object in {args.data}", file=sys.stderr)
        return 1
    if len(rows) % 2:
        rows.append(np.full_like(rows[0], 255))
    picture = np.vstack([np.hstack(rows[k : k + 2]) for k in range(0, len(rows), 2)])
    quality = [cv2.IMWRITE_JPEG_QUALITY, 80]
    cv2.imwrite(str(args.out), np.ascontiguousarray(picture[..., ::-1]), quality)
    for one, old, new in done[: args.worst]:
        print(
            f"{one.family:10s} {one.scene:28s} {one.trial.kind:10s}"
            f" before {np.mean(old.ious):.2f} after {np.mean(new.ious):.2f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
