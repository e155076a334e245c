"""Weights in one file, for a machine without a network, and out of it again."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from geoiseg.atomic import written
from geoiseg.errors import WeightsError
from geoiseg.models.own import folders_here
from geoiseg.models.weights.archive import Members, reader, writer
from geoiseg.models.weights.catalogue import CATALOGUE, HUB_PREFIX, Checkpoint, RemoteFile, from_hub
from geoiseg.models.weights.download import Listener, disk_error
from geoiseg.models.weights.own_bundle import check_own, install_own, own_entry
from geoiseg.models.weights.pull import PullOptions, check_licence, land, room_for, staged
from geoiseg.models.weights.store import Manifest, installed, read_manifest, verify
from geoiseg.version import __version__

INDEX = "geoiseg-bundle.json"
_CHUNK = 1 << 20
_README = """\
Weights for geoiseg {version}: {names}

On the machine that is to use them:

  geoiseg models unbundle {file}

geoiseg itself, where it is not installed there yet: requirements.txt lists the packages of the
machine this was made on (Python {python}, {system}). With a network, and on the same kind of
machine, fetch them with

  pip download -r requirements.txt -d wheels

carry the folder over, and install without a network:

  pip install --no-index --find-links wheels -r requirements.txt

{notices}"""


def bundle(names: Sequence[str], out: Path, listener: Listener | None = None) -> Path:
    """Write installed weights, a list of packages and a README into one file, and return it.

    Args:
        names: Of models whose weights are in the store, or that were trained here; they are
            hashed on the way.
        out: ``.zip`` or ``.tar``; weights do not compress, so neither does this.
        listener: Told how it gets on.

    Raises:
        WeightsError: A name is not in the store, or its files are damaged.
        ExportError: The file can not be written.
    """
    listener = listener or Listener()
    if out.suffix not in (".zip", ".tar"):
        raise WeightsError(f"a bundle is a .zip or a .tar, got {out.name!r}")
    here, own = installed(), folders_here()
    entries = {name: own_entry(name, own[name]) for name in names if name in own}
    for name in names:
        if name not in here and name not in own:
            have = ", ".join((*here, *own)) or "none"
            raise WeightsError(
                f"the weights of {name!r} are not in the store (there are: {have});"
                f" run first: geoiseg models pull {name}"
            )
    manifests: dict[str, Manifest] = {}
    for name in dict.fromkeys(one for one in names if one not in own):
        manifest = read_manifest(here[name])
        assert manifest is not None  # noqa: S101 - installed() lists only those with one
        with listener.bar(f"checking {name}", _size(manifest), 0) as advance:
            verify(here[name], advance)
        manifests[name] = manifest
    with written(out) as target, writer(target) as add:
        index = {name: _portable(m) for name, m in manifests.items()} | entries
        add(INDEX, json.dumps(index, indent=2))
        add("README.txt", _readme(out, index))
        add("requirements.txt", requirements())
        for name, manifest in manifests.items():
            for file in manifest.files:
                add(_member(name, file), here[name] / file)
        for name, entry in entries.items():
            for file in entry["files"]:
                add(_member(name, file), own[name] / file)
    return out


def unbundle(
    path: Path,
    names: Sequence[str] = (),
    options: PullOptions | None = None,
    listener: Listener | None = None,
) -> tuple[str, ...]:
    """Install the weights of a bundle, all or some, and return their names.

    Raises:
        WeightsError: It is no bundle, a file in it is damaged or not what was published, or
            a licence was not accepted.
    """
    options, listener = options or PullOptions(), listener or Listener()
    with reader(path) as members:
        index = _read_index(members, path)
        unknown = [name for name in names if name not in index]
        if unknown:
            raise WeightsError(
                f"{path} holds no weights of {', '.join(unknown)}; it has: {', '.join(index)}"
            )
        chosen = tuple(names) or tuple(index)
        for name in chosen:
            if not index[name].get("own"):
                check_licence(_described(index[name]), options)
        for name in chosen:
            if index[name].get("own"):
                install_own(members, index[name], partial(_member, name), force=options.force,
                            listener=listener)  # fmt: skip
                continue
            _install(members, index[name], options, listener)
    return chosen


def is_bundle(path: Path) -> bool:
    """Return whether a file was made by ``bundle``; a checkpoint of PyTorch is a zip too."""
    try:
        with reader(path) as members:
            return members.size(INDEX) >= 0
    except WeightsError:
        return False


def install_file(
    checkpoint: Checkpoint, path: Path, options: PullOptions, listener: Listener
) -> Path:
    """Install a checkpoint that was downloaded by other means, and return where it is.

    Raises:
        WeightsError: It is not what was published, or the model has several files.
    """
    if len(checkpoint.files) != 1:
        raise WeightsError(
            f"{checkpoint.name} has several files: give a bundle, or use the folder by its path"
        )
    if not path.is_file():
        raise WeightsError(f"there is no file {str(path)!r}")
    check_licence(checkpoint, options)
    with staged(checkpoint, replace(options, force=True), listener) as stage:
        assert stage is not None  # noqa: S101 - by force there is always something to do
        room_for(path.stat().st_size, stage)
        try:
            shutil.copyfile(path, stage / checkpoint.files[0].name)
        except OSError as error:
            raise disk_error(error, stage, path.stat().st_size) from error
        return land(checkpoint, stage, checkpoint.files, listener)


def requirements() -> str:
    """Return the packages of this environment, one a line as pip reads them, without addresses.

    Builds of one machine (``2.4.0+cu121``) are listed by their public version.
    """
    found = {}
    for package in importlib.metadata.distributions():
        name, version = package.metadata["Name"], package.version
        if name and version:
            found[re.sub(r"[-_.]+", "-", name).lower()] = version.partition("+")[0]
    return "".join(f"{name}=={version}\n" for name, version in sorted(found.items()))


def _size(manifest: Manifest) -> int:
    return sum(int(facts["size"]) for facts in manifest.files.values())


def _member(name: str, file: str) -> str:
    return f"weights/{re.sub(r'[:/@]', '--', name)}/{file}"


def _portable(manifest: Manifest) -> dict[str, Any]:
    return {
        "name": manifest.name,
        "licence": manifest.licence,
        "source": manifest.source,
        "revision": manifest.revision,
        "restricted": manifest.accepted,
        "files": manifest.files,
    }


def _readme(out: Path, index: dict[str, dict[str, Any]]) -> str:
    notices = []
    for name, entry in index.items():
        known = CATALOGUE.get(name)
        notices.append(f"{name}: {entry['licence']}, {entry['source']}")
        if known is not None and known.notice:
            notices.append(f"  {known.notice}")
    return _README.format(
        version=__version__,
        names=", ".join(index),
        file=out.name,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        notices="\n".join(notices) + "\n",
    )


def _read_index(members: Members, path: Path) -> dict[str, dict[str, Any]]:
    try:
        with members.open(INDEX) as handle:
            index = json.loads(handle.read(1 << 22))
        for name, entry in index.items():
            if entry["name"] != name:
                raise ValueError(name)
            if entry.get("own"):
                check_own(entry)
            else:
                _described(entry)
    except (KeyError, ValueError, TypeError, AttributeError, OSError) as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"{path} is no bundle of geoiseg, or is damaged") from error
    return dict(index)


def _described(entry: dict[str, Any]) -> Checkpoint:
    """Return the checkpoint of an entry; what the catalogue knows overrules the bundle."""
    name = str(entry["name"])
    files = tuple(
        RemoteFile(file, sha256=facts["sha256"], size=int(facts["size"]))
        for file, facts in entry["files"].items()
    )
    known = CATALOGUE.get(name)
    if known is None:
        if not name.startswith(HUB_PREFIX):
            raise WeightsError(f"the catalogue has no weights {name!r}; is geoiseg too old?")
        known = from_hub(name)
        if entry.get("restricted"):
            known = replace(known, notice=f"The licence of {name} may forbid uses: read it.")
        known = replace(known, licence=str(entry.get("licence", "")))
    published = {file.name: file.sha256 for file in known.files}
    for file in files:
        wanted = published.get(file.name)
        if wanted and wanted != file.sha256:
            raise WeightsError(
                f"{file.name} of {name} has SHA-256 {file.sha256} in the bundle, {wanted} is"
                " published"
            )
    size = sum(file.size for file in files)
    return replace(known, files=files, bytes=size, revision=str(entry.get("revision", "")))


def _install(
    members: Members, entry: dict[str, Any], options: PullOptions, listener: Listener
) -> None:
    checkpoint = _described(entry)
    with staged(checkpoint, options, listener) as stage:
        if stage is None:
            listener.say(f"{checkpoint.name} is here already")
            return
        room_for(checkpoint.bytes, stage)
        for file in checkpoint.files:
            member = _member(checkpoint.name, file.name)
            if members.size(member) != file.size:
                raise WeightsError(f"{member} is missing in the bundle, or cut short")
            with (
                members.open(member) as source,
                (stage / file.name).open("wb") as out,
                listener.bar(file.name, file.size, 0) as advance,
            ):
                while piece := source.read(_CHUNK):
                    out.write(piece)
                    advance(len(piece))
        land(checkpoint, stage, checkpoint.files, listener)
