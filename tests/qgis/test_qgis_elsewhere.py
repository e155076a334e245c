"""geoiseg on another machine, reached by ssh: a real sshd on this one."""

from __future__ import annotations

import base64
import errno
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import shapely

from geoiseg.companion.pipe import LONGEST
from geoiseg.qgis.place import (
    COMPANION,
    LARGEST,
    SSH_OPTIONS,
    command_of,
    is_elsewhere,
    mapped,
    parcel,
)
from tests.conftest import Disk, missing
from tests.qgis.qgis_app import COMPANION as PYTHON
from tests.qgis.qgis_app import Qgis
from tests.qgis.test_qgis_tool import iou


def test_a_place_is_a_python_or_a_command_line(tmp_path: Path) -> None:
    spaced = tmp_path / "my python"
    spaced.touch()
    assert command_of(str(spaced)) == (str(spaced), list(COMPANION))
    assert not is_elsewhere(str(spaced))
    assert not is_elsewhere("/nowhere/python")
    assert not is_elsewhere("")
    assert is_elsewhere("ssh me@there")
    assert command_of("ssh me@there") == (
        "ssh", [*SSH_OPTIONS, "me@there", "geoiseg-env/bin/python", *COMPANION]
    )  # fmt: skip
    program, given = command_of("ssh -p 2222 -i 'a key' me@there /opt/env/bin/python")
    assert program == "ssh"
    assert given[-7:-3] == ["-i", "a key", "me@there", "/opt/env/bin/python"]
    program, given = command_of("docker exec -i box python3")
    assert (program, given) == ("docker", ["exec", "-i", "box", "python3", *COMPANION])


def test_paths_are_mapped_by_their_longest_beginning() -> None:
    pairs = "/data = /mnt/data\n/data/big=/lake\nD:\\scenes = /srv/scenes\nnonsense"
    assert mapped("/data/a/b.tif", pairs) == "/mnt/data/a/b.tif"
    assert mapped("/data/big/b.tif", pairs) == "/lake/b.tif"
    assert mapped("D:\\scenes\\x.tif", pairs) == "/srv/scenes/x.tif"
    assert mapped("/database/b.tif", pairs) == ""


def test_a_parcel_has_the_picture_and_its_place(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"picture")
    (tmp_path / "1.png.aux.xml").write_text("<PAMDataset/>")
    one = parcel(str(tmp_path / "1.png"))
    assert one.raster.startswith("sent:")
    assert [put["name"] for put in one.puts] == [one.raster[5:] + ".aux.xml", one.raster[5:]]
    (tmp_path / "1.png.aux.xml").write_text("<PAMDataset> </PAMDataset>")
    assert parcel(str(tmp_path / "1.png")).raster != one.raster


def test_a_picture_that_no_request_can_hold_is_not_sent(tmp_path: Path) -> None:
    assert len(base64.b64encode(bytes(LARGEST))) + 1000 < LONGEST
    (tmp_path / "1.png.aux.xml").write_text("<PAMDataset/>")
    with (tmp_path / "1.png").open("wb") as file:
        file.truncate(LARGEST + 1)
    with pytest.raises(OSError, match="large") as told:
        parcel(str(tmp_path / "1.png"))
    assert told.value.errno == errno.EFBIG


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that lets this user in with a key, as a command line that reaches it."""
    program = shutil.which("sshd") or "/usr/sbin/sshd"
    if not Path(program).exists() or shutil.which("ssh") is None:
        missing("there is no sshd: apt-get install openssh-server openssh-client")
    folder = tmp_path_factory.mktemp("sshd")
    for name in ("host", "user"):
        key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(key, check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host'}\n"
        f"AuthorizedKeysFile {folder / 'user.pub'}\nStrictModes no\nUsePAM no\n"
        f"PasswordAuthentication no\nPidFile {folder / 'pid'}\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    server = subprocess.Popen(
        [program, "-D", "-e", "-f", str(folder / "config")], stderr=subprocess.PIPE
    )
    known = f"-o StrictHostKeyChecking=no -o UserKnownHostsFile={folder / 'known'}"
    line = f"ssh -p {port} -i {folder / 'user'} {known} {getpass.getuser()}@127.0.0.1"
    end = time.monotonic() + 30
    while subprocess.run([*line.split(), "true"], capture_output=True, check=False).returncode:
        if server.poll() is not None or time.monotonic() > end:
            pytest.fail(f"sshd does not answer: {server.stderr.read() if server.stderr else ''}")
        time.sleep(0.1)
    yield line
    server.terminate()
    server.wait(10)


@pytest.mark.qgis
@pytest.mark.slow
def test_another_machine_segments_by_the_same_pipe(
    sshd: str, disk: Disk, tmp_path_factory: pytest.TempPathFactory
) -> None:
    qgis = Qgis.made(tmp_path_factory.mktemp("qgis"), python=f"{sshd} {PYTHON}")
    there = tmp_path_factory.mktemp("there")
    shutil.copy(disk.path, there / "disk.tif")
    answer = qgis.drive(
        [
            {"do": "activate"},
            {"do": "new_layer"},
            {"do": "click", "xy": disk.centre},
            {"do": "kill"},
            {"do": "click", "xy": disk.outside, "button": "right"},
            {"do": "key", "key": "enter"},
            {"do": "paths", "text": f"{disk.path.parent} = {there}"},
            {"do": "click", "xy": disk.centre},
        ],
        raster=str(disk.path), canvas_crs="EPSG:32631",
    )  # fmt: skip
    _, _, one, _, two, accepted, _, by_path = answer["seen"]
    assert one["raster"].startswith("sent:")
    assert "drawn at" in one["layer"]
    for seen in (one, two):
        assert iou(shapely.from_wkt(seen["found"]), disk.truth, disk.transform) > 0.95
    assert two["starts"] == 2  # what was sent is sent again
    assert len(accepted["features"]) == 1
    assert by_path["raster"] == str(there / "disk.tif")
    assert iou(shapely.from_wkt(by_path["found"]), disk.truth, disk.transform) > 0.95


@pytest.mark.qgis
@pytest.mark.slow
def test_a_machine_that_is_not_there_is_told_in_a_line(
    disk: Disk, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if shutil.which("ssh") is None:
        missing("there is no ssh: apt-get install openssh-client")
    qgis = Qgis.made(tmp_path_factory.mktemp("qgis"), python="ssh -p 1 nobody@127.0.0.1")
    _, clicked = qgis.drive(
        [{"do": "activate"}, {"do": "click", "xy": disk.centre}],
        raster=str(disk.path), canvas_crs="EPSG:32631",
    )["seen"]  # fmt: skip
    assert clicked["found"] is None
    assert clicked["marks"] == [["point", True]]  # nothing is lost
    assert any("Connection refused" in line for line in clicked["said"])
