"""Repositories on Hugging Face: one commit, its hashes, no code of theirs."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from geoiseg.errors import WeightsError, require
from geoiseg.models.weights.catalogue import RESTRICTED, Checkpoint, RemoteFile, check_url
from geoiseg.models.weights.download import FULL, Listener, disk_error

WANTED = ("config.json", "preprocessor_config.json", "processor_config.json", "tokenizer.json",
          "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt",
          "LICENSE", "LICENSE.txt", "LICENSE.md", "model.safetensors",
          "model.safetensors.index.json")  # fmt: skip
"""What is taken of a repository whose files the catalogue does not list, besides shards."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A repository at one commit."""

    commit: str
    licence: str
    """As its page says; empty where it says nothing."""
    files: tuple[RemoteFile, ...]
    """With the size and, of large files, the SHA-256 that the repository lists."""

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(file.size for file in self.files)


def look_up(checkpoint: Checkpoint) -> Snapshot:
    """Return what the repository of a checkpoint lists, at its pinned commit or the latest.

    Raises:
        WeightsError: It does not exist, is gated, or can not be reached.
        MissingExtraError: huggingface_hub is not installed.
    """
    hub = require("huggingface_hub", "sam")
    check_url(os.environ.get("HF_ENDPOINT") or "https://huggingface.co")
    with _explained(checkpoint):
        info = hub.HfApi().model_info(
            checkpoint.repo, revision=checkpoint.revision or None, files_metadata=True
        )
    listed = {item.rfilename: item for item in info.siblings or ()}
    names = [file.name for file in checkpoint.files] or [n for n in listed if _wanted(n)]
    missing = [name for name in names if name not in listed]
    if missing or not any(name.endswith((".safetensors", ".pth", ".pt")) for name in names):
        what = ", ".join(missing) or "safetensors"
        raise WeightsError(f"{checkpoint.repo} on Hugging Face has no {what}: not a model to use")
    card = info.card_data
    licence = getattr(card, "license_name", None) or getattr(card, "license", None) or ""
    return Snapshot(str(info.sha), str(licence), tuple(_file(checkpoint, listed[n]) for n in names))


def _wanted(name: str) -> bool:
    return name in WANTED or (name.startswith("model-") and name.endswith(".safetensors"))


def _file(checkpoint: Checkpoint, item: Any) -> RemoteFile:
    known = {file.name: file for file in checkpoint.files}.get(item.rfilename)
    listed = str(getattr(item.lfs, "sha256", "") or "") if item.lfs else ""
    if known is not None and known.sha256:
        if listed and listed != known.sha256:
            raise WeightsError(
                f"{checkpoint.repo} lists SHA-256 {listed} of {known.name},"
                f" {known.sha256} is published: it has changed"
            )
        return replace(known, size=int(item.size or 0))
    return RemoteFile(item.rfilename, sha256=listed, size=int(item.size or 0))


def fetch(checkpoint: Checkpoint, snapshot: Snapshot, file: RemoteFile, folder: Path) -> Path:
    """Return a file of a repository in ``folder``, downloaded; hashes are for the caller.

    Raises:
        WeightsError: It can not be had or written.
    """
    hub = require("huggingface_hub", "sam")
    with _explained(checkpoint, folder):
        path = hub.hf_hub_download(
            checkpoint.repo, file.name, revision=snapshot.commit, local_dir=folder
        )
    return Path(path)


def with_terms(checkpoint: Checkpoint, snapshot: Snapshot, listener: Listener) -> Checkpoint:
    """Return a checkpoint that nobody had described, with what its page says of it."""
    if checkpoint.family != "hub":
        return checkpoint
    licence = snapshot.licence or "unknown"
    listener.say(f"{checkpoint.repo}: licence {licence}, see {checkpoint.source}")
    notice = ""
    if RESTRICTED.search(licence):
        notice = (
            f"The licence of {checkpoint.repo} is given as {licence!r}: it may forbid uses, for"
            f" instance commercial ones; read {checkpoint.source}"
        )
    return replace(checkpoint, licence=licence, bytes=snapshot.size, notice=notice)


@contextmanager
def _explained(checkpoint: Checkpoint, folder: Path | None = None) -> Iterator[None]:
    """Turn what huggingface_hub raises into one line."""
    errors = require("huggingface_hub.errors", "sam")
    broken: tuple[type[Exception], ...] = (OSError, ValueError, errors.HfHubHTTPError)
    if importlib.util.find_spec("httpx") is not None:
        broken += (importlib.import_module("httpx").HTTPError,)
    repo, page = checkpoint.repo, checkpoint.source
    try:
        yield
    except errors.GatedRepoError as error:
        raise WeightsError(
            f"{repo} is gated: ask for access on {page}, run: hf auth login, and pull again"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise WeightsError(
            f"{repo} on Hugging Face has no revision {checkpoint.revision}"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise WeightsError(f"there is no {repo} on Hugging Face, or it is private") from error
    except broken as error:
        full = folder is not None and isinstance(error, OSError) and error.errno in FULL
        if full and folder is not None and isinstance(error, OSError):
            raise disk_error(error, folder) from error
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise WeightsError(f"cannot get {repo} from Hugging Face: {reason}") from error
