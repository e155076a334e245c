"""Weights: fetched once, resumed, checked, packed; every mistake in one line."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import geoiseg
from geoiseg.cli import main
from geoiseg.errors import GeoisegError, MissingExtraError, UnknownModelError, WeightsError
from geoiseg.models import registry
from geoiseg.models.listing import built_in
from geoiseg.models.weights import store
from geoiseg.models.weights.bundle import bundle, install_file, requirements, unbundle
from geoiseg.models.weights.catalogue import (
    CATALOGUE,
    Checkpoint,
    RemoteFile,
    check_url,
    from_hub,
    readable,
)
from geoiseg.models.weights.click_rows import CLICK_ROWS
from geoiseg.models.weights.download import Listener, fetch
from geoiseg.models.weights.light_rows import LIGHT_ROWS
from geoiseg.models.weights.pull import PullOptions, pull
from tests.conftest import Disk, needed

CONTENT = bytes(i * i % 251 for i in range(1000)) * 700
SHA = hashlib.sha256(CONTENT).hexdigest()
SIZE = len(CONTENT)
YES = PullOptions(accepts=lambda _: True)


@dataclass(frozen=True)
class Server:
    folder: Path
    address: str

    def log(self) -> list[dict[str, object]]:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            f"{self.address}/log"
        ) as reply:
            return json.loads(reply.read())

    def checkpoint(self, faults: str = "plain", sha256: str = SHA, **changes: object) -> Checkpoint:
        file = RemoteFile("w.pth", f"{self.address}/{faults}/w.pth", sha256)
        row = Checkpoint("test-net", "sam", "sam-vit-b", 7, SIZE, "MIT", "https://x.org", (file,))
        return replace(row, **changes)


class Said(Listener):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "w.pth").write_bytes(CONTENT)
    script = Path(__file__).parents[1] / "weights_server.py"
    process = subprocess.Popen(
        [sys.executable, str(script), str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    yield Server(folder, f"http://127.0.0.1:{int(process.stdout.readline())}")
    process.kill()
    process.wait()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GEOISEG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    for name in os.environ:
        if name.lower().endswith(("_proxy", "_offline", "hf_endpoint", "hf_hub_cache")):
            monkeypatch.delenv(name)
    return tmp_path / "home"


def partial(home: Path) -> Path:
    return home / "partial" / "test-net" / "w.pth.part"


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    try:
        main([str(argument) for argument in arguments])
        code = 0
    except SystemExit as done:
        code = int(done.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


def python(code: str, home: Path, **options: object) -> subprocess.Popen[str]:
    """Start a process of its own that may pull."""
    start = (
        "from geoiseg.models.weights.catalogue import *\n"
        "from geoiseg.models.weights.pull import *\n"
        "from geoiseg.models.weights.download import *\n"
        "from geoiseg.errors import *\n"
        "import sys\n"
        "class L(Listener):\n"
        "    def say(self, line): print(line, flush=True)\n"
        "def made(url, sha):\n"
        "    file = RemoteFile('w.pth', url, sha)\n"
        f"    return Checkpoint('test-net', 'sam', 'sam-vit-b', 7, {SIZE}, 'MIT', 'https://x.org', (file,))\n"
    )
    environment = {**os.environ, "GEOISEG_HOME": str(home), **options.pop("env", {})}  # type: ignore[dict-item]
    return subprocess.Popen(
        [sys.executable, "-c", start + code], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env=environment, cwd=Path(__file__).parents[2], **options,
    )  # fmt: skip


# -- pulling -----------------------------------------------------------------------------


def test_weights_come_once_and_are_found(server: Server, home: Path) -> None:
    checkpoint = server.checkpoint()
    with pytest.raises(WeightsError, match=r"geoiseg models pull test-net \(700 kB, MIT\)"):
        store.find(checkpoint)
    path = pull(checkpoint)
    assert path.read_bytes() == CONTENT
    assert path == store.find(checkpoint) == home / "weights" / "test-net" / "w.pth"
    assert store.installed() == {"test-net": path.parent}
    said = Said()
    assert pull(checkpoint, None, said) == path
    assert len(server.log()) == 1
    assert "is here" in said.lines[0]
    assert not (home / "partial" / "test-net").exists()
    (note,) = (home / "hashes").iterdir()  # known from the download, not read again
    assert json.loads(note.read_text())["sha256"] == SHA == store.file_hash(path)


def test_a_broken_connection_is_taken_up_where_it_broke(server: Server) -> None:
    path = pull(server.checkpoint(f"cut={SIZE // 2 + 1}"))
    assert path.read_bytes() == CONTENT
    first, second = server.log()
    assert first["range"] is None
    assert second["range"] == f"bytes={SIZE // 2 + 1}-"
    assert second["if_range"] == f'"{SHA}"'
    assert int(str(first["sent"])) + int(str(second["sent"])) == SIZE


def test_what_changed_in_between_is_fetched_anew(server: Server, home: Path) -> None:
    old = bytes(SIZE)
    partial(home).parent.mkdir(parents=True)
    partial(home).write_bytes(old[: SIZE // 2])
    checkpoint = server.checkpoint(sha256="")
    note = {"url": checkpoint.files[0].url, "validator": '"another"'}
    Path(f"{partial(home)}.json").write_text(json.dumps(note))
    assert pull(checkpoint).read_bytes() == CONTENT
    assert server.log()[0]["if_range"] == '"another"'


@pytest.mark.parametrize("faults", ["lie", "weak", "once=1", "weak,lie"])
def test_servers_with_habits(server: Server, home: Path, faults: str) -> None:
    partial(home).parent.mkdir(parents=True)
    partial(home).write_bytes(CONTENT[:1000])
    checkpoint = server.checkpoint(faults)
    note = {"url": checkpoint.files[0].url, "validator": ""}
    Path(f"{partial(home)}.json").write_text(json.dumps(note))
    assert pull(checkpoint).read_bytes() == CONTENT


def test_a_part_that_is_whole_already_is_not_fetched(server: Server, home: Path) -> None:
    partial(home).parent.mkdir(parents=True)
    partial(home).write_bytes(CONTENT)
    checkpoint = server.checkpoint()
    note = {"url": checkpoint.files[0].url, "validator": f'"{SHA}"'}
    Path(f"{partial(home)}.json").write_text(json.dumps(note))
    assert pull(checkpoint).read_bytes() == CONTENT
    assert [entry["sent"] for entry in server.log()] == [0]


def test_a_part_longer_than_the_file_is_thrown_away(server: Server, home: Path) -> None:
    partial(home).parent.mkdir(parents=True)
    partial(home).write_bytes(CONTENT + b"more")
    checkpoint = server.checkpoint()
    note = {"url": checkpoint.files[0].url, "validator": f'"{SHA}"'}
    Path(f"{partial(home)}.json").write_text(json.dumps(note))
    assert pull(checkpoint).read_bytes() == CONTENT


def test_a_wrong_hash_keeps_nothing(server: Server, home: Path) -> None:
    wrong = "0" * 64
    with pytest.raises(WeightsError) as caught:
        pull(server.checkpoint(sha256=wrong))
    assert wrong in str(caught.value)
    assert SHA in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not partial(home).exists()
    assert not store.is_here(server.checkpoint())


def test_a_wrong_size_keeps_nothing(server: Server, home: Path) -> None:
    file = replace(server.checkpoint().files[0], size=SIZE + 1)
    with pytest.raises(WeightsError, match="it has changed"):
        pull(server.checkpoint(files=(file,)))
    assert not partial(home).exists()


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_said_at_once(server: Server, status: int) -> None:
    with pytest.raises(WeightsError, match=f"^cannot get http.*answers {status}"):
        pull(server.checkpoint(f"status={status}"))
    assert len(server.log()) == 1


def test_nobody_there(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    monkeypatch.setattr("geoiseg.models.weights.download.PAUSES", (0.0, 0.0))
    file = replace(server.checkpoint().files[0], url="http://127.0.0.1:9/w.pth")
    with pytest.raises(
        WeightsError, match=r"^cannot get w.pth from 127.0.0.1: .*refused; 0 bytes are kept"
    ):
        pull(server.checkpoint(files=(file,)))


def test_only_https_and_this_machine(server: Server) -> None:
    for url in ("http://example.org/x", "ftp://example.org/x", "file:///etc/passwd", "x.pth"):
        with pytest.raises(WeightsError, match="https only"):
            RemoteFile("x.pth", url)
    check_url("https://example.org/x")
    for target in ("http://example.org/w.pth", "file:///etc/passwd"):
        url = f"{server.address}/redirect?{target}"
        with pytest.raises(
            WeightsError, match=r"^weights are downloaded by https only|not allowed$"
        ):
            pull(server.checkpoint(files=(RemoteFile("w.pth", url, SHA),)))
    url = f"{server.address}/redirect?{server.address}/plain/w.pth"
    assert pull(server.checkpoint(files=(RemoteFile("w.pth", url, SHA),))).read_bytes() == CONTENT


def test_names_that_are_paths_are_refused() -> None:
    for name in ("../x.pth", "a/b.pth", "/etc/x", ".hidden", "", "..", "a\\b"):
        with pytest.raises(WeightsError, match="can not be the name"):
            RemoteFile(name)


def test_a_proxy_is_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.address)
    file = RemoteFile("w.pth", "http://127.0.0.1:1/plain/w.pth", SHA)
    assert pull(server.checkpoint(files=(file,))).read_bytes() == CONTENT
    assert server.log()[0]["path"] == "http://127.0.0.1:1/plain/w.pth"


@pytest.mark.parametrize("variable", ["GEOISEG_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline(server: Server, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "1")
    with pytest.raises(WeightsError, match=f"{variable} is set, so test-net is not downloaded"):
        pull(server.checkpoint())
    assert server.log() == []
    monkeypatch.setenv(variable, "0")
    pull(server.checkpoint())


def test_without_a_published_hash_the_first_pull_pins_it(server: Server, home: Path) -> None:
    checkpoint, said = server.checkpoint(sha256=""), Said()
    path = pull(checkpoint, None, said)
    assert any(SHA in line and "nobody publishes" in line for line in said.lines)
    manifest = store.read_manifest(path.parent)
    assert manifest is not None
    assert manifest.pinned == "first pull"
    assert manifest.files["w.pth"] == {"sha256": SHA, "size": SIZE}
    (server.folder / "w.pth").write_bytes(CONTENT[::-1])
    with pytest.raises(WeightsError, match=SHA):
        pull(checkpoint, PullOptions(force=True))
    assert path.read_bytes() == CONTENT


def test_a_licence_that_forbids_a_use_is_accepted_first(server: Server) -> None:
    asked = []

    def decline(notice: str) -> bool:
        asked.append(notice)
        return False

    checkpoint = server.checkpoint(notice="Not for war.")
    with pytest.raises(WeightsError, match=r"Not for war\. .*--accept-licence"):
        pull(checkpoint, PullOptions(decline))
    assert asked == ["Not for war."]
    assert server.log() == []
    pull(checkpoint, YES)
    pull(checkpoint, PullOptions(decline, force=True))
    assert asked == ["Not for war."]


def test_damage_is_found_and_mended(
    server: Server, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = server.checkpoint()
    monkeypatch.setitem(CATALOGUE, "test-net", checkpoint)
    path = pull(checkpoint)
    assert run(capsys, "models", "verify")[:2] == (0, "test-net: as it should be\n")
    data = bytearray(CONTENT)
    data[SIZE // 2] ^= 1
    path.write_bytes(data)
    code, out, err = run(capsys, "models", "verify", "test-net")
    assert (code, out) == (1, "")
    assert SHA in err
    assert "--force" in err
    assert err.count("\n") == 1
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(WeightsError, match=f"has {SIZE - 1} bytes instead of {SIZE}"):
        store.find(checkpoint)
    assert run(capsys, "models", "verify")[0] == 1
    assert pull(checkpoint).read_bytes() == CONTENT
    (path.parent / "manifest.json").write_text("{")
    with pytest.raises(WeightsError, match="pull the weights again"):
        store.find(checkpoint)
    assert pull(checkpoint).read_bytes() == CONTENT


# -- disks, signals, several processes ------------------------------------------------------


def test_no_room_is_said_before_the_first_byte(server: Server, home: Path) -> None:
    checkpoint = server.checkpoint(bytes=1 << 60)
    with pytest.raises(WeightsError, match=r"^no space left in .*are needed"):
        pull(checkpoint)
    assert server.log() == []


def test_a_disk_that_fills_up_keeps_what_came(server: Server, home: Path) -> None:
    code = (
        f"try: pull(made('{server.address}/plain/w.pth', '{SHA}'))\n"
        "except WeightsError as error: print(error)\n"
    )
    limit = 256 << 10

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    out, err = python(code, home, preexec_fn=small_disk).communicate(timeout=60)
    assert out.startswith(f"no space left in {home}"), err
    assert out.count("\n") == 1
    assert 0 < partial(home).stat().st_size <= limit
    assert pull(server.checkpoint()).read_bytes() == CONTENT
    assert server.log()[1]["range"]


def test_a_store_that_can_not_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    out = python(
        f"try: pull(made('{server.address}/plain/w.pth', '{SHA}'))\n"
        "except WeightsError as error: print(error)\n",
        tmp_path / "file" / "home",
    ).communicate(timeout=60)[0]
    assert out.startswith("cannot write to")
    assert "GEOISEG_HOME" in out


def test_a_read_only_store_is_used_as_it_is(server: Server) -> None:
    folder = Path(tempfile.mkdtemp(prefix="geoiseg-"))  # one that others may enter
    try:
        folder.chmod(0o755)
        home = folder / "home"
        os.environ["GEOISEG_HOME"] = str(home)
        pull(server.checkpoint())
        for path in (home, *home.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        code = (
            "import os, encodings.idna, http.client, importlib, geoiseg.models.weights.store as s\n"
            "if os.geteuid() == 0: os.seteuid(65534)\n"
            f"here = made('{server.address}/plain/w.pth', '{SHA}')\n"
            "path = s.find(here)\n"
            "print(s.file_hash(path))\n"
            "print(pull(here) == path)\n"
            "try: pull(here, PullOptions(force=True))\n"
            "except WeightsError as error: print(error)\n"
        )
        out, err = python(code, home).communicate(timeout=60)
        lines = out.splitlines()
        assert lines[:2] == [SHA, "True"], err
        assert lines[2].startswith(f"cannot write to {home}: Permission denied")
    finally:
        for path in folder.rglob("*"):
            path.chmod(0o755)
        shutil.rmtree(folder)


def test_ctrl_c_keeps_what_came(server: Server, home: Path) -> None:
    code = (
        "from geoiseg.cli import main\n"
        f"CATALOGUE['test-net'] = made('{server.address}/slow=0.1/w.pth', '{SHA}')\n"
        "main(['models', 'pull', 'test-net'])\n"
    )
    process = python(code, home)
    deadline = time.monotonic() + 30
    while not (partial(home).exists() and partial(home).stat().st_size > 0):
        assert time.monotonic() < deadline, process.poll()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert [line for line in err.splitlines() if line][-2:] == [
        "geoiseg: what came is kept, the same command goes on from there",
        "geoiseg: stopped",
    ]
    kept = partial(home).stat().st_size
    assert 0 < kept < SIZE
    note = json.loads(Path(f"{partial(home)}.json").read_text())
    file = RemoteFile("w.pth", note["url"], SHA)
    assert pull(server.checkpoint(files=(file,))).read_bytes() == CONTENT
    assert server.log()[-1]["range"] == f"bytes={kept}-"


def test_two_processes_fetch_it_once(server: Server, home: Path) -> None:
    code = f"print(pull(made('{server.address}/slow=0.1/w.pth', '{SHA}'), None, L()))\n"
    both = [python(code, home) for _ in range(2)]
    outs = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], outs
    assert sum(int(str(entry["sent"])) for entry in server.log()) == SIZE
    path = home / "weights" / "test-net" / "w.pth"
    assert [out.splitlines()[-1] for out, _ in outs] == [str(path)] * 2
    assert sum("another process" in out for out, _ in outs) == 1
    assert path.read_bytes() == CONTENT


# -- bundles ---------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
def test_a_bundle_carries_weights_over(
    server: Server, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    checkpoint = server.checkpoint(notice="Not for war.")
    monkeypatch.setitem(CATALOGUE, "test-net", checkpoint)
    pull(checkpoint, YES)
    out = bundle(["test-net"], tmp_path / f"carry{suffix}")
    shutil.rmtree(home)
    monkeypatch.setenv("GEOISEG_OFFLINE", "1")
    with pytest.raises(WeightsError, match="Not for war"):
        unbundle(out)
    assert unbundle(out, (), YES) == ("test-net",)
    assert store.find(checkpoint).read_bytes() == CONTENT
    store.verify(store.folder_of(checkpoint))
    assert unbundle(out, (), YES) == ("test-net",)
    with pytest.raises(WeightsError, match="holds no weights of nothing"):
        unbundle(out, ["nothing"])


@pytest.mark.parametrize("name", ["../elsewhere", "{}/elsewhere", ".hidden", "tiny"])
def test_a_bundle_can_not_say_where_a_model_goes(tmp_path: Path, name: str) -> None:
    name, out, kept = name.format(tmp_path), tmp_path / "odd.zip", tmp_path / "elsewhere" / "kept"
    kept.parent.mkdir()
    kept.touch()
    data = b'{"family": "tiny-own", "sha256": {}}'
    card = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    entry = {"name": name, "own": True, "files": {"card.json": card}}
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("geoiseg-bundle.json", json.dumps({name: entry}))
        archive.writestr(f"weights/{name.replace('/', '--')}/card.json", data)
    with pytest.raises(WeightsError, match="no model that can be installed"):
        unbundle(out, (), PullOptions(force=True))
    assert kept.exists()


def test_what_is_in_a_bundle(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CATALOGUE, "test-net", server.checkpoint())
    pull(server.checkpoint())
    out = bundle(["test-net"], tmp_path / "carry.zip")
    with zipfile.ZipFile(out) as archive:
        assert archive.namelist() == [
            "geoiseg-bundle.json", "README.txt", "requirements.txt", "weights/test-net/w.pth",
        ]  # fmt: skip
        assert archive.read("weights/test-net/w.pth") == CONTENT
        readme = archive.read("README.txt").decode()
        listed = archive.read("requirements.txt").decode()
    assert "geoiseg models unbundle carry.zip" in readme
    assert "test-net: MIT, https://x.org" in readme
    assert str(Path.home()) not in readme + listed
    assert listed == requirements()
    lines = listed.splitlines()
    assert f"geoiseg=={geoiseg.__version__}" in lines
    assert all(re.fullmatch(r"[a-z0-9-]+==[\w.!]+", line) for line in lines)


def test_what_can_not_be_packed(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="geoiseg models pull sam-vit-b"):
        bundle(["sam-vit-b"], tmp_path / "x.zip")
    with pytest.raises(WeightsError, match=r"\.zip or a \.tar"):
        bundle(["sam-vit-b"], tmp_path / "x.7z")
    assert list(tmp_path.glob("*.zip")) == []


@pytest.mark.parametrize("trick", ["hash", "published", "short", "outside", "link", "json", "name"])
def test_a_bundle_somebody_has_changed(
    server: Server, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trick: str
) -> None:
    monkeypatch.setitem(CATALOGUE, "test-net", server.checkpoint())
    entry = {
        "name": "test-net",
        "licence": "MIT",
        "files": {"w.pth": {"sha256": SHA, "size": SIZE}},
    }
    data = CONTENT
    member = "weights/test-net/w.pth"
    if trick == "hash":
        data = CONTENT[::-1]
    elif trick == "published":
        data = CONTENT[::-1]
        entry["files"] = {"w.pth": {"sha256": hashlib.sha256(data).hexdigest(), "size": SIZE}}
    elif trick == "short":
        data = CONTENT[:-1]
    elif trick == "outside":
        entry["files"] = {"../../evil.pth": {"sha256": SHA, "size": SIZE}}
        member = "weights/test-net/../../evil.pth"
    elif trick == "name":
        entry["name"] = "../evil"
    out = tmp_path / "evil.tar"
    (tmp_path / "data").write_bytes(data)
    index = "{" if trick == "json" else json.dumps({str(entry["name"]): entry})
    (tmp_path / "index").write_text(index)
    with tarfile.open(out, "w") as archive:
        archive.add(tmp_path / "index", "geoiseg-bundle.json")
        if trick == "link":
            link = tarfile.TarInfo(member)
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(link)
        else:
            archive.add(tmp_path / "data", member)
    with pytest.raises(WeightsError) as caught:
        unbundle(out, (), YES)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.rglob("evil.pth"))
    assert store.installed() == {}


def test_a_checkpoint_carried_by_hand(
    server: Server,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(CATALOGUE, "test-net", server.checkpoint())
    monkeypatch.setenv("GEOISEG_OFFLINE", "1")
    brought = tmp_path / "from-a-stick.pth"
    brought.write_bytes(CONTENT[:-5])
    code, _, err = run(capsys, "models", "pull", "test-net", "--from", brought)
    assert code == 1
    assert SHA in err
    brought.write_bytes(CONTENT)
    assert run(capsys, "models", "pull", "test-net", "--from", brought)[0] == 0
    assert store.find(server.checkpoint()).read_bytes() == CONTENT
    assert brought.exists()
    assert run(capsys, "models", "bundle", "test-net", tmp_path / "b.zip")[0] == 0
    shutil.rmtree(tmp_path / "home")
    assert run(capsys, "models", "pull", "--from", tmp_path / "b.zip")[0] == 0
    assert store.is_here(server.checkpoint())
    with pytest.raises(WeightsError, match="several files"):
        install_file(CATALOGUE["sam3"], brought, YES, Listener())


def test_files_that_are_no_bundle(tmp_path: Path) -> None:
    for name, content in (("a.zip", b"PK\3\4nothing"), ("b.tar", b"x" * 600), ("c.tar", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(WeightsError, match="no bundle"):
            unbundle(tmp_path / name)
    with pytest.raises(WeightsError, match="there is no file"):
        unbundle(tmp_path / "missing.zip")


# -- the command line and the registry --------------------------------------------------------


def test_listing_loads_nothing() -> None:
    code = (
        "import sys; from geoiseg.cli import main\n"
        "try: main(['models'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'onnxruntime', 'cv2', 'skimage', 'huggingface_hub'}\n"
        "print('loaded', sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    out = done.stdout
    lines = out.splitlines()
    assert lines[-1] == "loaded []"
    assert re.search(r"^\* tiny +tiny +9 MB +Apache-2.0 +ready$", out, re.MULTILINE)
    assert re.search(r"^  sam-vit-b +sam +375 MB +Apache-2.0 +needs .*pull$", out, re.MULTILINE)
    assert re.search(
        r"^  sam3 +sam3 +3.45 GB +SAM License +needs .*\(licence\)$", out, re.MULTILINE
    )
    assert max(map(len, lines)) < 100


def test_the_list_tells_the_truth_about_what_ships() -> None:
    for listed in built_in():
        info = geoiseg.get_model(listed.name).info
        told = (listed.family, listed.licence, listed.description, listed.parameters)
        assert told == (info.family, info.licence, info.description, info.parameters)
    assert {listed.name for listed in built_in()} == set(registry.MODELS)


def test_only_what_is_ready_is_offered(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = {listed.name for listed in built_in()}
    assert set(geoiseg.model_names()) == shipped
    assert geoiseg.model_names()[0] == registry.DEFAULT_MODEL
    monkeypatch.setitem(CATALOGUE, "test-net", server.checkpoint(needs=()))
    assert "test-net" not in geoiseg.model_names()
    pull(server.checkpoint())
    assert set(geoiseg.model_names()) == {*shipped, "test-net"}
    monkeypatch.setitem(CATALOGUE, "test-net", server.checkpoint(needs=("surely_not_installed",)))
    assert "test-net" not in geoiseg.model_names()
    states = {model.name: model.state for model in registry.models()}
    assert states["test-net"] == "extra"
    with pytest.raises(MissingExtraError, match=r"surely_not_installed.*geoiseg\[sam\]"):
        geoiseg.get_model("test-net")


def test_the_catalogue_is_sound() -> None:
    for name, checkpoint in CATALOGUE.items():
        assert name == checkpoint.name
        assert checkpoint.source.startswith("https://")
        assert checkpoint.bytes > 1e7
        assert checkpoint.parameters > 1e6
        unpinned = checkpoint.architecture in {row.name for row in (*CLICK_ROWS, *LIGHT_ROWS)}
        assert unpinned or checkpoint.repo or all(f.url and f.sha256 for f in checkpoint.files)
        assert bool(checkpoint.notice) == (checkpoint.licence not in {"Apache-2.0", "MIT"})
    hashes = {
        file.sha256: (row.name if file.name.endswith((".pt", ".pth")) else file.name)
        for row in CATALOGUE.values()
        for file in row.files
        if file.sha256
    }
    assert len(set(hashes.values())) == len(hashes)  # only a vocabulary is shared
    assert CATALOGUE["sam-vit-b"].files[0].sha256.startswith("ec2df627")
    assert readable(375_042_383) == "375 MB"


def test_a_model_whose_weights_are_missing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, disk: Disk
) -> None:
    raster = disk.path
    prompts = tmp_path / "p.geojson"
    prompts.write_text(
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {},'
        ' "geometry": {"type": "Point", "coordinates": [3.0, 40.6]}}]}'
    )
    code, _, err = run(
        capsys,
        "segment",
        raster,
        prompts,
        tmp_path / "o.gpkg",
        "-m",
        "sam-vit-h",
        "--device",
        "cpu",
    )
    assert code == 1
    assert "geoiseg models pull sam-vit-h (2.56 GB, Apache-2.0)" in err
    assert err.count("\n") == 1
    for name in ("sam3", "hf:some/model"):
        with pytest.raises(WeightsError, match=f"geoiseg models pull {name} "):
            geoiseg.load_model(name, precision="fp32")
    with pytest.raises(WeightsError, match="there is no file of weights"):
        geoiseg.get_model("missing.pth")
    with pytest.raises(WeightsError, match=r"neither config\.json nor"):
        geoiseg.get_model(tmp_path)
    with pytest.raises(WeightsError, match="is no checkpoint"):
        geoiseg.get_model(prompts)
    with pytest.raises(WeightsError, match="hf:organisation/name"):
        geoiseg.get_model("hf:../../etc")
    with pytest.raises(UnknownModelError, match="did you mean 'sam-vit-b'"):
        geoiseg.get_model("sam-vit-bb")


def test_a_project_whose_model_can_not_be_used_opens(disk: Disk, tmp_path: Path) -> None:
    path = tmp_path / "p.gpkg"
    with contextlib.closing(geoiseg.SegmentMap(disk.path, model="grabcut", project=path)) as m:
        m.add_point(*disk.centre)
        m.accept("field")
        with pytest.raises(WeightsError, match="geoiseg models pull sam-vit-b") as caught:
            m.model = "sam-vit-b"
        assert "\n" not in str(caught.value)
        assert m.model == "grabcut"
        assert [name for name, _ in m.toolbar.state["models"]] == [
            "grabcut", *(name for name in geoiseg.model_names() if name != "grabcut"),
        ]  # fmt: skip
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE geoiseg SET value = ? WHERE key = 'model'", ('"sam-vit-b"',))
        database.commit()
    with contextlib.closing(geoiseg.SegmentMap(disk.path, project=path)) as m:
        assert m.model == registry.DEFAULT_MODEL
        assert m.features["label"].tolist() == ["field"]
        note = m.toolbar.status["note"]
        assert "Resumed p.gpkg: 1 feature with tiny instead of its own model" in note
        assert "geoiseg models pull sam-vit-b (375 MB, Apache-2.0)" in note
    with pytest.raises(WeightsError, match="sam-vit-b"):
        geoiseg.SegmentMap(disk.path, model="sam-vit-b", project=path)


def test_options_of_models_without_a_choice() -> None:
    model = geoiseg.load_model("grabcut", device="cpu", precision="fp32")
    assert model.info.name == "grabcut"
    assert geoiseg.load_model("grabcut", device="cpu", precision="fp32") is model
    assert geoiseg.load_model("tiny", backend="onnxruntime").info.name == "tiny"
    for option, value in (("device", "cuda"), ("precision", "bf16"), ("backend", "torch")):
        with pytest.raises(GeoisegError, match=f"grabcut has no choice of {option}, got '{value}'"):
            geoiseg.load_model("grabcut", **{option: value})
    with pytest.raises(GeoisegError, match="precision must be one of"):
        geoiseg.load_model("grabcut", precision="int3")


def test_the_command_line_refuses_in_one_line(
    capsys: pytest.CaptureFixture[str], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CATALOGUE, "test-net", server.checkpoint(notice="Not for war."))
    monkeypatch.setattr(sys, "stdin", open(os.devnull))  # noqa: SIM115, PTH123
    for arguments, code, said in (
        (["pull", "sam-vit-bb"], 1, "did you mean 'sam-vit-b'"),
        (["pull", "grabcut"], 1, "nothing to pull"),
        (["pull", "test-net"], 1, "Not for war."),
        (["verify", "sam-vit-b"], 1, "not in the store"),
        (["pull"], 2, "say which model"),
    ):
        found, _, err = run(capsys, "models", *arguments)
        assert (found, said in err) == (code, True), err
        assert code == 2 or err.count("\n") == 1
    code, _, err = run(capsys, "models", "pull", "test-net", "--accept-licence")
    assert code == 0
    assert err.index("Not for war.") < err.index("is ready")
    assert "no weights in the store" not in run(capsys, "models", "verify")[1]


# -- Hugging Face ---------------------------------------------------------------------------


HUB = """
import os
os.environ["HF_ENDPOINT"] = {address!r}
try: print(pull(from_hub({name!r}), PullOptions(accepts=lambda notice: {accept}), L()))
except GeoisegError as error: print(type(error).__name__, error)
"""


def hub_pull(server: Server, home: Path, name: str, accept: bool = True) -> list[str]:
    code = HUB.format(address=server.address, name=name, accept=accept)
    out, err = python(code, home, env={"HF_HUB_DISABLE_PROGRESS_BARS": "1"}).communicate(timeout=90)
    assert out, err
    return out.splitlines()


def make_repository(server: Server, name: str) -> Path:
    folder = server.folder / name
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "sam"}')
    (folder / "model.safetensors").write_bytes(CONTENT)
    (folder / "evil.py").write_text("raise SystemExit")
    (folder / "pytorch_model.bin").write_bytes(b"never")
    return folder


def test_a_repository_on_hugging_face(server: Server, home: Path) -> None:
    needed("huggingface_hub")
    commit = "0123456789abcdef0123456789abcdef01234567"
    make_repository(server, "org/net")
    lines = hub_pull(server, home, "hf:org/net")
    folder = home / "weights" / "hf--org--net"
    assert lines[-1] == str(folder), lines
    assert any(f"pinned to commit {commit}" in line for line in lines)
    assert any("licence apache-2.0" in line for line in lines)
    assert {p.name for p in folder.iterdir()} == {
        "config.json",
        "model.safetensors",
        "manifest.json",
    }
    assert (folder / "model.safetensors").read_bytes() == CONTENT
    manifest = store.read_manifest(folder)
    assert manifest is not None
    assert (manifest.revision, manifest.pinned) == (commit, "published")
    assert store.find(from_hub("hf:org/net")) == folder


def test_repositories_that_can_not_be_had(server: Server, home: Path) -> None:
    needed("huggingface_hub")
    (make_repository(server, "org/gated") / "gated").write_text("")
    pickled = make_repository(server, "org/pickled")
    (pickled / "model.safetensors").unlink()
    make_repository(server, "org/restricted")
    for name, accept, said in (
        ("hf:org/gated", True, "is gated: ask for access"),
        ("hf:org/missing", True, "there is no org/missing"),
        ("hf:org/pickled", True, "has no safetensors"),
        ("hf:org/restricted", False, "cc-by-nc-4.0"),
    ):
        last = hub_pull(server, home, name, accept)[-1]
        assert last.startswith("WeightsError"), last
        assert said in last
    assert store.installed() == {}
    assert not any("resolve" in str(entry["path"]) for entry in server.log())


def test_a_file_that_is_not_what_the_repository_lists(server: Server, home: Path) -> None:
    """The hub lists the hash of one content and sends another."""
    needed("huggingface_hub")
    make_repository(server, "org/net")
    code = HUB.format(address=server.address, name="hf:org/net", accept=True).replace(
        "try:",
        "from geoiseg.models.weights import hub\n"
        "import pathlib\n"
        "snapshot = hub.look_up(from_hub('hf:org/net'))\n"
        f"pathlib.Path({str(server.folder / 'org/net/model.safetensors')!r}).write_bytes(b'x' * {SIZE})\n"
        "hub.look_up = lambda _: snapshot\n"
        "try:",
    )
    out, err = python(code, home).communicate(timeout=90)
    assert f"not {SHA}" in out, err
    assert store.installed() == {}


def test_what_hugging_faces_own_tools_have_downloaded_is_used(tmp_path: Path) -> None:
    commit = CATALOGUE["sam3"].revision
    snapshot = tmp_path / "hf" / "hub" / "models--facebook--sam3" / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    assert not store.is_here(CATALOGUE["sam3"])
    (snapshot / "model.safetensors").write_bytes(CONTENT)
    assert store.find(CATALOGUE["sam3"]) == snapshot


# -- hashes ----------------------------------------------------------------------------------


def test_a_hash_is_remembered_until_the_file_changes(tmp_path: Path, home: Path) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(CONTENT)
    assert store.file_hash(path) == SHA
    note = next((home / "hashes").iterdir())
    stored = json.loads(note.read_text())
    note.write_text(json.dumps({**stored, "sha256": "remembered"}))
    assert store.file_hash(path) == "remembered"
    path.write_bytes(CONTENT + b"!")
    assert store.file_hash(path) == hashlib.sha256(CONTENT + b"!").hexdigest()
    note.write_text("{")
    assert store.file_hash(path) == hashlib.sha256(CONTENT + b"!").hexdigest()
    with pytest.raises(WeightsError, match="cannot read"):
        store.file_hash(tmp_path / "missing.pth")
    folder_hash = store.file_hash(tmp_path)
    path.write_bytes(CONTENT)
    assert store.file_hash(tmp_path) != folder_hash


def test_a_download_without_a_listener(server: Server, tmp_path: Path) -> None:
    file = server.checkpoint().files[0]
    assert fetch(file, tmp_path).read_bytes() == CONTENT
    assert fetch(file, tmp_path).read_bytes() == CONTENT
    assert len(server.log()) == 1
