"""Where weights are on this machine, what is there, and whether it is still what it was."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import logging
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from geoiseg.errors import WeightsError
from geoiseg.home import home
from geoiseg.models.weights.catalogue import CATALOGUE, Checkpoint

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".onnx", ".xml")
_CHUNK = 1 << 22


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was installed, written beside it."""

    name: str
    licence: str
    source: str
    files: dict[str, dict[str, Any]]
    """``sha256`` and ``size`` of each file by its name."""
    revision: str = ""
    """Commit of the repository it came from."""
    pinned: str = "published"
    """``published`` where every hash was known before, ``first pull`` where one was taken then."""
    accepted: bool = False
    """Whether the user accepted what the licence forbids."""
    extra: dict[str, Any] = field(default_factory=dict)
    """What a newer version wrote; kept."""


def folder_of(checkpoint: Checkpoint) -> Path:
    """Return the folder of a set of weights, whether it is there or not."""
    return home() / "weights" / checkpoint.slug


def read_manifest(folder: Path) -> Manifest | None:
    """Return what was installed in a folder; None where nothing was.

    Raises:
        WeightsError: The manifest is damaged.
    """
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        known = {key: content.pop(key) for key in list(content) if key in _FIELDS}
        return Manifest(**known, extra=content)
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise WeightsError(f"cannot read {path}: {error}; pull the weights again") from error


_FIELDS = set(Manifest.__dataclass_fields__) - {"extra"}


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write what was installed in a folder.

    Raises:
        OSError: The folder can not be written.
    """
    content = asdict(manifest)
    content |= content.pop("extra")
    (folder / MANIFEST).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def pull_hint(checkpoint: Checkpoint) -> str:
    """Return what a user has to run, in one line."""
    hint = f"get them once with: geoiseg models pull {checkpoint.name} ({checkpoint.about})"
    if checkpoint.by_hand:
        hint = by_hand_hint(checkpoint)
    missing = missing_packages(checkpoint)
    if missing:
        hint += f"; {' and '.join(missing)} must be installed too: pip install 'geoiseg[sam]'"
    return hint


def by_hand_hint(checkpoint: Checkpoint) -> str:
    """Return what a user has to do where a page hands weights to people only, in one line."""
    return (
        f"download {checkpoint.files[0].name} from where {checkpoint.source} links to, then run:"
        f" geoiseg models pull {checkpoint.name} --from FILE ({checkpoint.about})"
    )


def missing_packages(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Return the packages it needs that are not installed; none is imported."""
    return tuple(name for name in checkpoint.needs if not is_installed(name))


@functools.cache
def is_installed(package: str) -> bool:
    """Return whether a package is installed; it is not imported."""
    return importlib.util.find_spec(package) is not None


def is_here(checkpoint: Checkpoint) -> bool:
    """Return whether the weights can be used without a download. Reads no weights."""
    try:
        find(checkpoint)
    except WeightsError:
        return False
    return True


def find(checkpoint: Checkpoint) -> Path:
    """Return the file of a set of weights, or its folder where it has several.

    Raises:
        WeightsError: It is not here, or not whole; the message says what to run.
    """
    folder = folder_of(checkpoint)
    manifest = read_manifest(folder)
    if manifest is not None:
        check_sizes(folder, manifest)
        return _entry(folder, manifest)
    if checkpoint.repo:
        cached = _in_hub_cache(checkpoint)
        if cached is not None:
            return cached
    raise WeightsError(f"the weights of {checkpoint.name} are not here; {pull_hint(checkpoint)}")


def check_sizes(folder: Path, manifest: Manifest) -> None:
    """Refuse a file that is missing or cut short.

    Raises:
        WeightsError: There is one.
    """
    for name, facts in manifest.files.items():
        try:
            size = (folder / name).stat().st_size
        except OSError:
            size = -1
        if size != facts["size"]:
            found = "is missing" if size < 0 else f"has {size} bytes instead of {facts['size']}"
            raise WeightsError(f"{folder / name} {found}; run: geoiseg models pull {manifest.name}")


def _entry(folder: Path, manifest: Manifest) -> Path:
    if len(manifest.files) == 1:
        return folder / next(iter(manifest.files))
    return folder


def _in_hub_cache(checkpoint: Checkpoint) -> Path | None:
    """Return the folder of a repository that Hugging Face's own tools have downloaded."""
    base = os.environ.get("HF_HUB_CACHE")
    root = os.environ.get("HF_HOME") or str(Path.home() / ".cache" / "huggingface")
    hub = Path(base) if base else Path(root).expanduser() / "hub"
    repo = hub / f"models--{checkpoint.repo.replace('/', '--')}"
    revision = checkpoint.revision
    try:
        if not revision or len(revision) != 40:
            revision = (repo / "refs" / (revision or "main")).read_text().strip()
    except OSError:
        return None
    snapshot = repo / "snapshots" / revision
    wanted = [file.name for file in checkpoint.files] or ["config.json"]
    if not all((snapshot / name).is_file() for name in wanted):
        return None
    if len(wanted) == 1 and checkpoint.files:
        return snapshot / wanted[0]
    return snapshot if any(snapshot.glob("*.safetensors")) else None


def installed() -> dict[str, Path]:
    """Return the folders of all weights in the store by name, also of unknown ones."""
    found = {}
    try:
        folders = sorted((home() / "weights").glob("[!.]*"))
    except OSError:
        return {}
    for folder in folders:
        try:
            manifest = read_manifest(folder)
        except WeightsError as error:
            log.warning("%s", error)
            continue
        if manifest is not None:
            found[manifest.name] = folder
    return found


def verify(folder: Path, advance: Callable[[int], object] = lambda _: None) -> None:
    """Hash the weights in a folder of the store again.

    Args:
        folder: One of ``installed()``.
        advance: Told the number of bytes after each piece.

    Raises:
        WeightsError: A file is missing, or is not what was installed or published.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        raise WeightsError(f"there are no weights in {folder}")
    check_sizes(folder, manifest)
    checkpoint = CATALOGUE.get(manifest.name)
    published = {file.name: file.sha256 for file in checkpoint.files} if checkpoint else {}
    for name, facts in manifest.files.items():
        found = hash_of(folder / name, advance)
        for wanted in (facts["sha256"], published.get(name)):
            if wanted and found != wanted:
                raise WeightsError(
                    f"{folder / name} has SHA-256 {found}, not {wanted};"
                    f" run: geoiseg models pull {manifest.name} --force"
                )


def hash_of(path: Path, advance: Callable[[int], object] = lambda _: None) -> str:
    """Return the SHA-256 of a file, read now.

    Raises:
        WeightsError: It can not be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as handle:
            while piece := handle.read(_CHUNK):
                digest.update(piece)
                advance(len(piece))
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from error
    return digest.hexdigest()


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file of weights, or one for all those in a folder.

    It is computed once, and remembered with the file's size and time of change.

    Raises:
        WeightsError: It can not be read.
    """
    path = path.absolute()
    if path.is_dir():
        names = sorted(p.name for p in path.iterdir() if p.suffix in WEIGHT_SUFFIXES)
        joined = "".join(f"{name} {file_hash(path / name)}\n" for name in names)
        return hashlib.sha256(joined.encode()).hexdigest()
    try:
        state = path.stat()
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        known = json.loads(_note_of(path).read_text(encoding="utf-8"))
        if known["of"] == _stamp(path, state):
            return str(known["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    found = hash_of(path)
    remember_hash(path, found)
    return found


def _stamp(path: Path, state: os.stat_result) -> list[Any]:
    return [str(path), state.st_size, state.st_mtime_ns]


def _note_of(path: Path) -> Path:
    return home() / "hashes" / f"{hashlib.sha256(str(path).encode()).hexdigest()[:24]}.json"


def remember_hash(path: Path, sha256: str) -> None:
    """Note the hash of a file as it is now; a store that can not be written only costs time.

    Args:
        path: Absolute.
        sha256: What ``hash_of`` has just returned.
    """
    note = _note_of(path)
    try:
        content = {"of": _stamp(path, path.stat()), "sha256": sha256}
        note.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=note.parent, suffix=".tmp", delete=False, encoding="utf-8"
        ) as handle:
            json.dump(content, handle)
        Path(handle.name).replace(note)
    except OSError as error:
        log.debug("%s is not remembered: %s", note, error)
