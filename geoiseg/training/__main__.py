"""``python -m geoiseg.training``: makes a small model like the shipped one."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from geoiseg.errors import GeoisegError

if TYPE_CHECKING:
    from geoiseg.training.bank import SceneBank
    from geoiseg.training.options import TrainingOptions


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), help="Labelled scenes; none: procedural.")
@click.option("--minutes", type=float, default=90.0, show_default=True, help="Time to train for.")
@click.option("--steps", type=int, help="Steps to make instead; exactly reproducible.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), help="Default: a GPU if any.")
@click.option("--batch", type=int, help="Crops of 224 px per step [16 on a CPU, 128 on a GPU].")
@click.option("--rate", type=float, default=8e-4, show_default=True, help="Peak learning rate.")
@click.option("--average", type=float, default=0.999, show_default=True, help="Decay of weights.")
@click.option("--seed", type=int, default=7, show_default=True)
@click.option("--procedural", type=int, help="Scenes made on the spot [200; 1200 on a GPU].")
@click.option("--workers", type=int, default=2, show_default=True, help="Processes for scenes.")
@click.option("--threads", type=int, default=1, show_default=True, help="CPU threads of torch.")
@click.option("--thaw", type=(float, float), help="Shares of the run at which the trunk learns.")
@click.option("--trunk-rates", type=(float, float),
              help="Rates of its late and early blocks, as shares [0.1 0.01].")  # fmt: skip
@click.option("--hold", type=float, default=0.0, help="Share of the run at the peak rate.")
@click.option("--earlier", type=click.Path(path_type=Path), help="Weights (.npz) that still fit.")
@click.option("--start", type=click.Path(path_type=Path), help="Checkpoint or .npz to begin from.")
@click.option("--share", type=(str, float), multiple=True,
              help="A family, and how many times as often as usual its objects come.")  # fmt: skip
@click.option("--compile", "compiled", is_flag=True, help="Compile the network first.")
@click.option("--bank", type=click.Path(path_type=Path), help="File that keeps all scenes ready.")
@click.option("--pack", type=click.Path(path_type=Path), help="Only pack the data, into here.")
@click.option("--export", "out", type=click.Path(path_type=Path), help="Write ONNX files here.")
@click.option(
    "--keep", type=click.Path(path_type=Path), help="Write the weights alone here (.npz)."
)
@click.option("--mix", type=click.Path(path_type=Path), multiple=True,
              help="With --only-export: other checkpoints to average the run's with.")  # fmt: skip
@click.option("--only-export", "only", is_flag=True, help="Do not train: export what is there.")
def main(**given: object) -> None:
    """Train into the folder RUN; goes on where a run there stopped.

    RUN receives checkpoint.pt, log.jsonl and curve.png. With several processes
    (``torchrun --nproc-per-node N -m geoiseg.training ...``) gradients are averaged.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        if given["pack"] is not None:
            _pack(given)
        elif given["only"]:
            _only_export(given)
        else:
            _train(given)
    except GeoisegError as error:
        raise click.ClickException(str(error)) from error


def _pack(given: dict[str, object]) -> None:
    from geoiseg.training.scenes import pack_scenes

    if given["data"] is None:
        raise click.UsageError("--pack needs --data, the folder to pack")
    pack_scenes(Path(str(given["data"])), Path(str(given["pack"])))


def _only_export(given: dict[str, object]) -> None:
    if given["out"] is None:
        raise click.UsageError("--only-export needs --export, the folder to write to")
    data = None if given["data"] is None else Path(str(given["data"]))
    checkpoint = Path(str(given["run"])) / "checkpoint.pt"
    others = cast("tuple[Path, ...]", given["mix"])
    if others:
        from geoiseg.training.export import mix_checkpoints

        mixed = checkpoint.with_name("mixed.pt")
        mix_checkpoints([checkpoint, *others], mixed)
        checkpoint = mixed
    if given["keep"] is not None:
        from geoiseg.training.export import keep_weights

        keep_weights(checkpoint, Path(str(given["keep"])))
    _export(checkpoint, Path(str(given["out"])), data)


def _train(given: dict[str, object]) -> None:
    import torch

    from geoiseg.training.curve import draw_curve
    from geoiseg.training.loop import Trainer
    from geoiseg.training.options import TrainingOptions, has_half

    device = str(given["device"] or ("cuda" if torch.cuda.is_available() else "cpu"))
    on_gpu = device == "cuda"
    torch.set_num_threads(_integer(given["threads"], 1))
    rank = int(os.environ.get("RANK", "0"))
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        torch.distributed.init_process_group("nccl" if on_gpu else "gloo")
    options = TrainingOptions(
        device=device,
        minutes=float(str(given["minutes"])),
        steps=None if given["steps"] is None else _integer(given["steps"], 0),
        batch=_integer(given["batch"], 128 if on_gpu else 16),
        rate=float(str(given["rate"])),
        seed=_integer(given["seed"], 7),
        procedural=_integer(given["procedural"], 1200 if on_gpu else 200),
        workers=_integer(given["workers"], 2),
        average=float(str(given["average"])),
        half=has_half(device),
        compile=bool(given["compiled"]),
        hold=float(str(given["hold"])),
    )
    if given["thaw"] is not None:
        options = replace(options, thaw=cast("tuple[float, float]", given["thaw"]))
    if given["trunk_rates"] is not None:
        rates = cast("tuple[float, float]", given["trunk_rates"])
        options = replace(options, trunk_rates=rates)
    if on_gpu:
        options = replace(options, sizes=((192, 0.4), (256, 0.3), (320, 0.2), (448, 0.1)))
    if given["data"] is None:
        options = replace(options, segments=False)
    data = None if given["data"] is None else Path(str(given["data"]))
    folder = Path(str(given["run"]))
    kept = None if given["bank"] is None else Path(str(given["bank"]))
    bank = _bank(options, data, rank, folder, kept)
    shares = cast("tuple[tuple[str, float], ...]", given["share"])
    bank.reweigh(dict(shares))
    trainer = Trainer(options, bank, folder)
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.exists():
        trainer.resume(checkpoint)
    elif given["start"] is not None:
        trainer.start_from(Path(str(given["start"])))
    else:
        earlier = given["earlier"]
        trainer.begin(None if earlier is None else Path(str(earlier)))
    trainer.run()
    if trainer.rank == 0:
        draw_curve(folder / "log.jsonl", folder / "curve.png")
        if given["out"] is not None:
            _export(checkpoint, Path(str(given["out"])), data)


def _bank(
    options: TrainingOptions, data: Path | None, rank: int, folder: Path, kept: Path | None
) -> SceneBank:
    """Return all scenes of a run: those of a file if it is there, else made now."""
    import torch

    from geoiseg.training.bank import SceneBank
    from geoiseg.training.banked import load_bank, save_bank
    from geoiseg.training.material import collect

    device = torch.device(options.device)
    if kept is not None and kept.exists():
        return load_bank(kept, device)
    bank = SceneBank(collect(options, data, rank, folder / "regions"), device)
    if kept is not None and rank == 0:
        save_bank(bank, kept)
    return bank


def _export(checkpoint: Path, out: Path, data: Path | None) -> None:
    """Write the model of a checkpoint, judge it on held-out scenes and put that on its card."""
    from geoiseg.models.tiny.model import TinyModel
    from geoiseg.training.export import export
    from geoiseg.training.validate import make_trials, validate

    export(checkpoint, out)
    figures = validate(TinyModel(out), make_trials(data))
    export(checkpoint, out, figures)
    for kind, row in figures.items():
        click.echo(f"{kind:12s}" + "  ".join(f"{name} {value:.3f}" for name, value in row.items()))


def _integer(value: object, default: int) -> int:
    return default if value is None else int(str(value))


if __name__ == "__main__":
    main()
