"""Models that were trained here, in a bundle and out of it again."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

from geoiseg.errors import GeoisegError, WeightsError
from geoiseg.models.naming import NAME, place_for_new
from geoiseg.models.own import CARD, card_of, is_own
from geoiseg.models.weights.archive import Members
from geoiseg.models.weights.download import Listener

LARGEST = 256 << 20
"""Bytes of a file of such a model, at most; they have some 6 MB."""


def own_entry(name: str, folder: Path) -> dict[str, Any]:
    """Return what the index of a bundle says of a model.

    Raises:
        WeightsError: A file is missing, or is not what its card says.
    """
    card = card_of(folder)
    files: dict[str, Any] = {}
    for file, wanted in {**dict(card.get("sha256", {})), CARD: None}.items():
        try:
            data = (folder / file).read_bytes()
        except OSError as error:
            raise WeightsError(f"cannot read {str(folder / file)!r}: {error.strerror}") from error
        found = hashlib.sha256(data).hexdigest()
        if wanted not in (None, found):
            raise WeightsError(f"{folder / file} is damaged: it is not what its card says")
        files[file] = {"sha256": found, "size": len(data)}
    licence = str(card.get("licence", ""))
    return {"name": name, "own": True, "licence": licence, "source": "trained", "files": files}


def check_own(entry: dict[str, Any]) -> None:
    """Make sure that an entry of an index is that of a model that can be installed.

    Raises:
        WeightsError: It is none.
    """
    try:
        name = str(entry["name"])
        if not NAME.fullmatch(name):  # a path would be written to, and with --force replaced
            raise WeightsError(f"{name!r} is no name")
        place_for_new(name)
        for file, facts in entry["files"].items():
            plain = Path(file).name == file and file.endswith((".onnx", ".json"))
            if not plain or not facts["sha256"] or not 0 <= int(facts["size"]) <= LARGEST:
                raise WeightsError(f"{file!r} is no file of a model")
    except (GeoisegError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise WeightsError(f"the bundle holds no model that can be installed: {error}") from error


def install_own(
    members: Members, entry: dict[str, Any], member: Any, *, force: bool, listener: Listener
) -> None:
    """Install a model of a bundle under its name.

    Args:
        members: Of the bundle.
        entry: Of its index.
        member: Gives the name that a file of the model has in the bundle.
        force: Whether to replace a model of that name.
        listener: Told how it gets on.

    Raises:
        WeightsError: A file is damaged, or there is another model of that name.
    """
    name = str(entry["name"])
    folder = place_for_new(name)
    if folder.exists() and not force:
        if _holds(folder, name, entry):
            listener.say(f"{name} is here already")
            return
        raise WeightsError(f"another model {name!r} is here; take --force to replace it")
    making = folder.with_name(f".{name}.unbundled")  # a training keeps its own beside it
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    try:
        for file, facts in entry["files"].items():
            if members.size(member(file)) != facts["size"]:
                raise WeightsError(f"{file} of {name} is missing in the bundle, or cut short")
            with members.open(member(file)) as source:
                data = source.read(int(facts["size"]))
            if hashlib.sha256(data).hexdigest() != facts["sha256"]:
                raise WeightsError(f"{file} of {name} is damaged in the bundle")
            (making / file).write_bytes(data)
        hashes = {file: facts["sha256"] for file, facts in entry["files"].items() if file != CARD}
        if not is_own(making) or card_of(making).get("sha256") != hashes:
            raise WeightsError(f"{name} in the bundle is no model that was trained with geoiseg")
        if folder.exists():
            shutil.rmtree(folder)
        making.rename(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    listener.say(f"{name} is in {folder}")


def _holds(folder: Path, name: str, entry: dict[str, Any]) -> bool:
    """Return whether a folder has the files of an entry; what is damaged has not."""
    try:
        return bool(own_entry(name, folder)["files"] == entry["files"])
    except WeightsError:
        return False
