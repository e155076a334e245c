"""Weights onto this machine, on the user's word: fetched, checked, landed whole."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from geoiseg.errors import WeightsError
from geoiseg.home import home
from geoiseg.models.weights import hub
from geoiseg.models.weights.catalogue import Checkpoint, RemoteFile, readable
from geoiseg.models.weights.download import Listener, disk_error, fetch, offline
from geoiseg.models.weights.lock import locked
from geoiseg.models.weights.store import (
    Manifest,
    by_hand_hint,
    check_sizes,
    find,
    folder_of,
    hash_of,
    read_manifest,
    remember_hash,
    write_manifest,
)


@dataclass(frozen=True, slots=True)
class PullOptions:
    """What the user said."""

    accepts: Callable[[str], bool] = lambda _: False
    """Asked whether a notice about what the licence forbids is accepted."""
    force: bool = False
    """To fetch again what is here already."""


def pull(
    checkpoint: Checkpoint, options: PullOptions | None = None, listener: Listener | None = None
) -> Path:
    """Return where the weights are, after a download where they were not here.

    Raises:
        WeightsError: They can not be had, checked or written, the licence was not
            accepted, or a variable forbids the network.
    """
    options, listener = options or PullOptions(), listener or Listener()
    if not options.force and _whole(checkpoint):
        listener.say(f"{checkpoint.name} is here: {find(checkpoint)}")
        return find(checkpoint)
    if checkpoint.by_hand:
        raise WeightsError(
            f"the weights of {checkpoint.name} lie on a drive that hands them to people only;"
            f" {by_hand_hint(checkpoint)}"
        )
    variable = offline()
    if variable:
        raise WeightsError(
            f"{variable} is set, so {checkpoint.name} is not downloaded; unset it, or bring the"
            f" weights by hand: geoiseg models pull {checkpoint.name} --from FILE"
        )
    if not checkpoint.repo:
        check_licence(checkpoint, options)
        return _pull_files(checkpoint, options, listener)
    snapshot = hub.look_up(_at_pinned_commit(checkpoint))
    checkpoint = hub.with_terms(checkpoint, snapshot, listener)
    check_licence(checkpoint, options)
    return _pull_repository(checkpoint, snapshot, options, listener)


def check_licence(checkpoint: Checkpoint, options: PullOptions) -> None:
    """Stop before a download whose licence forbids a use, unless the user accepted it.

    Raises:
        WeightsError: It has to be accepted first; the message carries the notice.
    """
    with contextlib.suppress(WeightsError):
        before = read_manifest(folder_of(checkpoint))
        if before is not None and before.accepted:
            return
    if checkpoint.notice and not options.accepts(checkpoint.notice):
        raise WeightsError(
            f"{checkpoint.notice} If you accept that, run:"
            f" geoiseg models pull {checkpoint.name} --accept-licence"
        )


def _whole(checkpoint: Checkpoint) -> bool:
    try:
        find(checkpoint)
    except WeightsError:
        return False
    return True


def _pull_files(checkpoint: Checkpoint, options: PullOptions, listener: Listener) -> Path:
    with staged(checkpoint, options, listener) as stage:
        if stage is None:
            return find(checkpoint)
        room_for(checkpoint.bytes, stage)
        for file in checkpoint.files:
            fetch(_pinned(file, checkpoint), stage, listener)
        return land(checkpoint, stage, checkpoint.files, listener)


def _pull_repository(
    checkpoint: Checkpoint, snapshot: hub.Snapshot, options: PullOptions, listener: Listener
) -> Path:
    with staged(checkpoint, options, listener) as stage:
        if stage is None:
            return find(checkpoint)
        room_for(snapshot.size, stage)
        if not checkpoint.revision:
            listener.say(f"{checkpoint.name}: pinned to commit {snapshot.commit} of its repository")
        for file in snapshot.files:
            hub.fetch(checkpoint, snapshot, file, stage)
        pinned = replace(checkpoint, revision=snapshot.commit)
        return land(pinned, stage, snapshot.files, listener)


def _pinned(file: RemoteFile, checkpoint: Checkpoint) -> RemoteFile:
    """Return a file with the hash of its first pull, where nobody publishes one."""
    with contextlib.suppress(WeightsError):
        before = read_manifest(folder_of(checkpoint))
        if before is not None and not file.sha256 and file.name in before.files:
            return replace(file, sha256=str(before.files[file.name]["sha256"]))
    return file


def _at_pinned_commit(checkpoint: Checkpoint) -> Checkpoint:
    """Return a checkpoint at the commit of its first pull, where no other is pinned."""
    with contextlib.suppress(WeightsError):
        before = read_manifest(folder_of(checkpoint))
        if before is not None and not checkpoint.revision:
            return replace(checkpoint, revision=before.revision)
    return checkpoint


@contextlib.contextmanager
def staged(
    checkpoint: Checkpoint, options: PullOptions, listener: Listener
) -> Iterator[Path | None]:
    """Give the folder that the files of a checkpoint gather in, alone with it.

    It stays when something fails, so that the next pull goes on from there. None is given
    where another process has finished the work in the meantime.

    Raises:
        WeightsError: The store can not be written.
    """
    stage = home() / "partial" / checkpoint.slug
    busy = f"another process is getting {checkpoint.name}; waiting for it"
    waited = []

    def wait() -> None:
        waited.append(True)
        listener.say(busy)

    try:
        stage.mkdir(parents=True, exist_ok=True)
        (home() / "locks").mkdir(exist_ok=True)
        with locked(home() / "locks" / checkpoint.slug, wait):
            if _whole(checkpoint) and (waited or not options.force):
                yield None
                return
            stage.mkdir(parents=True, exist_ok=True)  # whoever we waited for has moved it
            yield stage
    except OSError as error:
        if isinstance(error, WeightsError):
            raise
        raise disk_error(error, home(), checkpoint.bytes) from error


def room_for(size: int, stage: Path) -> None:
    """Refuse to begin what can not fit.

    Raises:
        WeightsError: There is less room than is missing.
    """
    have = sum(path.stat().st_size for path in stage.rglob("*") if path.is_file())
    free = shutil.disk_usage(stage).free
    if size - have > free:
        raise WeightsError(
            f"no space left in {home()}: {readable(size - have)} are needed,"
            f" {readable(free)} are free; make room, or set GEOISEG_HOME to a larger disk"
        )


def land(
    checkpoint: Checkpoint, stage: Path, files: tuple[RemoteFile, ...], listener: Listener
) -> Path:
    """Check the gathered files, move them into the store in one step, and return where.

    Raises:
        WeightsError: One is not what was published or pinned.
        OSError: The store can not be written.
    """
    facts: dict[str, dict[str, Any]] = {}
    unknown: list[tuple[str, str]] = []
    for file in files:
        path, wanted = stage / file.name, _pinned(file, checkpoint).sha256
        with listener.bar(f"hashing {file.name}", path.stat().st_size, 0) as advance:
            found = hash_of(path, advance)
        if wanted and found != wanted:
            path.unlink()
            raise WeightsError(
                f"{file.name} of {checkpoint.name} has SHA-256 {found}, not {wanted};"
                " nothing was kept"
            )
        if not file.sha256 and file.name.endswith((".pth", ".pt", ".safetensors")):
            unknown.append((file.name, found))
        facts[file.name] = {"sha256": found, "size": path.stat().st_size}
    for name, found in unknown:
        listener.say(f"nobody publishes a hash of {name}; from now on it must have SHA-256 {found}")
    pinned = "first pull" if unknown else "published"
    manifest = Manifest(
        checkpoint.name,
        checkpoint.licence,
        checkpoint.source,
        facts,
        checkpoint.revision,
        pinned,
        bool(checkpoint.notice),
    )
    final = _move(checkpoint, stage, manifest)
    for name, fact in facts.items():
        remember_hash(final / name, fact["sha256"])
    listener.say(f"{checkpoint.name} is ready: {final}")
    return find(checkpoint)


def _move(checkpoint: Checkpoint, stage: Path, manifest: Manifest) -> Path:
    """Make the stage the folder of the store; readers see the old or the new, never half."""
    final = folder_of(checkpoint)
    final.parent.mkdir(parents=True, exist_ok=True)
    for path in stage.iterdir():
        if path.name in manifest.files:
            _flush(path)
        elif path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    write_manifest(stage, manifest)
    check_sizes(stage, manifest)
    old = final.with_name(f".{final.name}.{os.getpid()}.old")
    if final.exists():
        final.rename(old)
    stage.rename(final)
    shutil.rmtree(old, ignore_errors=True)
    return final


def _flush(path: Path) -> None:
    with path.open("rb") as handle:
        os.fsync(handle.fileno())
