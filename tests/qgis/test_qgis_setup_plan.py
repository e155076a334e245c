"""What *Set up* would do on any system: the script told what programs answer, without Qt."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from geoiseg.companion import bundle
from geoiseg.companion.own_wheel import NAME as WHEEL
from geoiseg.companion.own_wheel import own_wheel
from geoiseg.companion.plugin_zip import PLUGIN
from geoiseg.qgis.setup.home import Home, wait_for_sweepers
from geoiseg.qgis.setup.index import hosts_of, listed, newest, tags_of, without_login
from geoiseg.qgis.setup.machine import PROBE, Machine, Python, likely_pythons
from geoiseg.qgis.setup.script import (
    CHECK,
    Fetch,
    Plan,
    Ran,
    Run,
    SetupError,
    Sources,
    last_line,
    reason,
    unpack_program,
    variables_of,
)

INDEX = "https://mirror.test/simple"
WINDOWS = Machine(
    "win32", "AMD64", r"C:\Users\Zoë B", r"C:\Program Files\QGIS 3.40\apps\Python312",
    {"LOCALAPPDATA": r"C:\Users\Zoë B\AppData\Local", "ProgramFiles": r"C:\Program Files",
     "PATH": r"C:\Windows;C:\Users\Zoë B\AppData\Local\Microsoft\WindowsApps",
     "PIP_INDEX_URL": INDEX},
)  # fmt: skip
MAC = Machine(
    "darwin", "arm64", "/Users/zoe", "/Applications/QGIS.app/Contents/MacOS", {"PATH": "/usr/bin"}
)
LINUX = Machine(
    "linux", "x86_64", "/home/zoe", "/usr", {"PATH": "/opt/bin:/usr/bin", "PIP_INDEX_URL": INDEX}
)
GOOD = {
    "version": [3, 12],
    "bits": 64,
    "venv": True,
    "pip": "/lib/pip/__pip-runner__.py",
    "wheel": "",
}


def sources(folder: Path, *wheels: str) -> Sources:
    made = Sources(folder / "requirements.txt", folder / "wheels")
    made.wheels.mkdir(parents=True, exist_ok=True)
    made.requirements.write_text("# pinned\nnumpy==2.0\nclick==8.0\n")
    for name in ("geoiseg-0.1.0-py3-none-any.whl", *wheels):
        (made.wheels / name).write_bytes(b"wheel")
    return made


def follow(
    plan: Plan, answer: Callable[[Any], Any], stop: Callable[[Any], bool] = lambda task: False
) -> tuple[list[Any], Any]:
    """Carry a script out with made answers; return its tasks, and what it returned."""
    tasks: list[Any] = []
    script = plan.script()
    said: Any = None
    while True:
        try:
            thrown = isinstance(said, SetupError)
            task = script.throw(said) if thrown else script.send(said)
        except StopIteration as done:
            return tasks, done.value
        tasks.append(task)
        if stop(task):
            script.close()
            return tasks, None
        said = answer(task)


def answering(probes: dict[str, Any], **more: Any) -> Callable[[Any], Any]:
    """Return a machine whose Pythons say this of themselves, and where the rest goes well."""

    def answer(task: Any) -> Any:
        if isinstance(task, Fetch):
            return more["fetched"](task)
        if PROBE in task.command:
            said = probes.get(task.command[0])
            return Ran(0, json.dumps(said)) if said else Ran(1, "no such program")
        if "venv" in task.command and task.command[0] in more.get("broken", ()):
            return Ran(1, "Error: can not be copied")
        return Ran(0, "0.1.0\n")

    return answer


def commands(tasks: list[Any]) -> list[tuple[str, ...]]:
    return [task.command for task in tasks if isinstance(task, Run) and PROBE not in task.command]


def home(tmp_path: Path, machine: Machine) -> Home:
    return Home(tmp_path / "profile" / "geoiseg", machine.windows)


def test_qgis_own_python_makes_the_environment_on_windows(tmp_path: Path) -> None:
    own = r"C:\Program Files\QGIS 3.40\apps\Python312\python.exe"
    plan = Plan(WINDOWS, home(tmp_path, WINDOWS), sources(tmp_path), lambda path: path == own)
    tasks, version = follow(plan, answering({own: GOOD}))
    env = plan.folder
    python = f"{env}\\Scripts\\python.exe"
    assert version == "0.1.0"
    venv, tried, libraries, geoiseg, slim, checked = commands(tasks)
    assert venv == (own, "-I", "-m", "venv", "--without-pip", "--clear", str(env))
    assert tried[0] == python
    assert libraries[:3] == (python, "-I", "/lib/pip/__pip-runner__.py")
    assert libraries[-2:] == ("-r", str(tmp_path / "requirements.txt"))
    assert {"--no-deps", "--only-binary", "--no-compile"} <= set(libraries)
    assert "--no-index" not in libraries
    assert geoiseg[-2:] == (
        "--no-index",
        str(tmp_path / "wheels" / "geoiseg-0.1.0-py3-none-any.whl"),
    )
    assert slim == (python, "-I", "-m", "geoiseg.companion.slim")
    assert checked == (python, "-I", "-c", CHECK)
    assert [task.until for task in tasks] == sorted(task.until for task in tasks)
    assert not any(
        command[0] == own for command in commands(tasks)[1:]
    )  # QGIS's own stays as it is


def test_an_older_qgis_takes_the_system_s_python(tmp_path: Path) -> None:
    own = r"C:\Program Files\QGIS 3.40\apps\Python312\python.exe"
    shop = r"C:\Users\Zoë B\AppData\Local\Microsoft\WindowsApps\python.exe"
    other = r"C:\Users\Zoë B\AppData\Local\Programs\Python\Python313\python.exe"
    there = {own, shop, other}
    assert likely_pythons(WINDOWS, there.__contains__) == [own, other]
    plan = Plan(WINDOWS, home(tmp_path, WINDOWS), sources(tmp_path), there.__contains__)
    tasks, _ = follow(plan, answering({own: {**GOOD, "version": [3, 9]}, other: GOOD}))
    assert commands(tasks)[0][0] == other


@pytest.mark.parametrize(
    "fault", [{"bits": 32}, {"venv": False}, {"version": [3, 15]}, {"version": [3, 10]}]
)
def test_a_python_that_does_not_fit_is_passed_over(fault: dict[str, Any]) -> None:
    assert Python.told("python", GOOD).fits
    assert not Python.told("python", {**GOOD, **fault}).fits


def test_on_a_mac_the_bundle_s_python_fails_and_the_next_is_taken(tmp_path: Path) -> None:
    own = "/Applications/QGIS.app/Contents/MacOS/bin/python3"
    brew = "/opt/homebrew/bin/python3.12"
    plan = Plan(MAC, home(tmp_path, MAC), sources(tmp_path), {own, brew}.__contains__)
    tasks, _ = follow(plan, answering({own: GOOD, brew: {**GOOD, "pip": "", "wheel": "/b/pip-24.whl"}},
                                      broken={own}))  # fmt: skip
    done = commands(tasks)
    assert [command[0] for command in done[:2]] == [own, brew]
    assert done[3][:3] == (f"{plan.folder}/bin/python", "-I", "/b/pip-24.whl/pip")


def wheel_of(name: str, files: dict[str, bytes]) -> tuple[str, bytes]:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    return name, packed.getvalue()


def serving(name: str, content: bytes, digest: str = "") -> Callable[[Fetch], Any]:
    digest = digest or hashlib.sha256(content).hexdigest()

    def fetched(task: Fetch) -> Any:
        if not task.url.endswith("/"):
            return content
        return f'<a href="../../f/{name}#sha256={digest}">{name}</a>'.encode()

    return fetched


def test_a_computer_without_python_gets_one_by_uv(tmp_path: Path) -> None:
    name, content = wheel_of(
        "uv-0.9.1-py3-none-win_amd64.whl", {"uv-0.9.1.data/scripts/uv.exe": b"program"}
    )
    plan = Plan(WINDOWS, home(tmp_path, WINDOWS), sources(tmp_path), lambda path: False)
    tasks, version = follow(plan, answering({}, fetched=serving(name, content)))
    assert version == "0.1.0"
    assert [task.url for task in tasks[:2]] == [
        f"{INDEX}/uv/",
        f"{INDEX.removesuffix('simple')}f/{name}",
    ]
    venv, libraries = commands(tasks)[:2]
    uv = venv[0]
    assert venv[1:] == ("venv", "--no-project", "--no-config", "--python", "3.12", str(plan.folder))
    assert libraries[:6] == (
        uv,
        "pip",
        "install",
        "--no-config",
        "--python",
        f"{plan.folder}\\Scripts\\python.exe",
    )
    assert Path(uv).name == "uv.exe"
    assert not Path(uv).exists()  # what was needed to get there is gone


def test_what_arrives_damaged_is_not_used(tmp_path: Path) -> None:
    name, content = wheel_of("uv-1.0-py3-none-win_amd64.whl", {"x": b""})
    plan = Plan(WINDOWS, home(tmp_path, WINDOWS), sources(tmp_path), lambda path: False)
    with pytest.raises(SetupError, match="arrived damaged: try again"):
        follow(plan, answering({}, fetched=serving(name, content, "0" * 64)))


def test_no_python_and_no_network_is_one_line(tmp_path: Path) -> None:
    plan = Plan(LINUX, home(tmp_path, LINUX), sources(tmp_path), lambda path: False)
    with pytest.raises(SetupError, match="can not be read"):
        follow(
            plan, answering({}, fetched=lambda task: SetupError("{u} can not be read", u=task.url))
        )
    strange = LINUX._replace(cpu="mips")
    with pytest.raises(SetupError, match="has no uv for this computer"):
        follow(
            Plan(strange, home(tmp_path, LINUX), sources(tmp_path), lambda path: False),
            answering({}),
        )


def test_the_bundle_asks_no_network_and_wants_its_own_python(tmp_path: Path) -> None:
    packed = sources(tmp_path, "numpy-2.4.6-cp311-cp311-manylinux_2_28_x86_64.whl",
                     "pip-26.0-py3-none-any.whl")  # fmt: skip
    assert packed.offline
    assert packed.pythons == ["311"]
    there = {"/opt/bin/python3.12", "/usr/bin/python3.11"}
    plan = Plan(LINUX, home(tmp_path, LINUX), packed, there.__contains__)
    probes = {"/opt/bin/python3.12": GOOD, "/usr/bin/python3.11": {**GOOD, "version": [3, 11]}}
    tasks, _ = follow(plan, answering(probes))
    assert not [task for task in tasks if isinstance(task, Fetch)]
    venv, _, libraries, *_ = commands(tasks)
    assert venv[0] == "/usr/bin/python3.11"
    assert libraries[2] == f"{packed.wheels}/pip-26.0-py3-none-any.whl/pip"
    assert libraries[-5:-2] == ("--no-index", "--find-links", str(packed.wheels))
    plan = Plan(LINUX, home(tmp_path, LINUX), packed, there.__contains__)
    with pytest.raises(SetupError, match=r"which are for Python 3\.11: install one of these"):
        follow(plan, answering({"/opt/bin/python3.12": GOOD}))


def test_what_fails_or_is_stopped_leaves_the_one_before(tmp_path: Path) -> None:
    place, packed = home(tmp_path, LINUX), sources(tmp_path)
    python = {"/usr/bin/python3"}
    answers = answering({"/usr/bin/python3": GOOD})
    follow(Plan(LINUX, place, packed, python.__contains__), answers)
    first = place.current["folder"]
    made = place.python
    assert made is not None
    made.parent.mkdir(parents=True)
    made.write_bytes(b"")
    assert place.state(packed.stamp) == "ready"
    assert place.state("another plugin") == "older"
    plan = Plan(LINUX, place, packed, python.__contains__)
    plan.folder.mkdir()
    follow(plan, answers, stop=lambda task: "Installing geoiseg" in task.title)
    assert place.current["folder"] == first
    place.tidy()
    assert not plan.folder.exists()
    assert made.exists()
    made.unlink()
    assert place.state(packed.stamp) == "broken"
    follow(Plan(LINUX, place, packed, python.__contains__), answers)
    assert place.current["folder"] != first
    assert not (place.folder / first).exists()
    place.remove()
    assert place.state(packed.stamp) == "none"
    assert not place.folder.exists()


def test_a_full_disk_or_a_locked_profile_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan(LINUX, home(tmp_path, LINUX), sources(tmp_path), lambda path: False)
    monkeypatch.setattr(Home, "room", lambda self: 5 << 20)
    with pytest.raises(
        SetupError, match=r"the disk is too full: 900 MB are needed in .* 5 MB are free"
    ):
        follow(plan, answering({}))

    def refuse(self: Home) -> int:
        raise PermissionError(13, "Permission denied", str(self.folder))

    monkeypatch.setattr(Home, "room", refuse)
    with pytest.raises(SetupError, match=r"can not write to .*: Permission denied"):
        follow(plan, answering({}))


def test_a_plugin_that_was_not_packed_says_so(tmp_path: Path) -> None:
    bare = Sources(PLUGIN / "requirements.txt", tmp_path / "none")
    with pytest.raises(SetupError, match="make qgis-plugin"):
        follow(Plan(LINUX, home(tmp_path, LINUX), bare, lambda path: False), answering({}))


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("ERROR: Could not install: [Errno 28] No space left on device", "the disk is full"),
        ("Retrying: NewConnectionError('Name or service not known')", "can not be reached"),
        ("SSLError(CERTIFICATE_VERIFY_FAILED)", "is not trusted"),
        ("ERROR: Wheel 'x' located at /x is invalid.\n", "a wheel is damaged (ERROR: Wheel"),
        (
            "WARNING: odd\nERROR: no matching distribution\nnotice",
            "Step failed: ERROR: no matching",
        ),
        ("", "Step failed: it said nothing"),
    ],
)
def test_what_went_wrong_is_one_line(said: str, line: str) -> None:
    error = reason(Run("Step", ("x",), 1.0), Ran(1, said))
    assert line in str(error)
    assert "\n" not in str(error)
    assert error.line.format(**error.values) == str(error)


def test_the_newest_wheel_of_an_index(tmp_path: Path) -> None:
    files = [
        {"filename": name, "url": f"/files/{name}", "hashes": {"sha256": "ab"}, "yanked": yanked}
        for name, yanked in (
            ("pip-9.0-py3-none-any.whl", False), ("pip-25.3-py3-none-any.whl", False),
            ("pip-26.1-py3-none-any.whl", "broken"), ("pip-27.0b1-py3-none-any.whl", False),
            ("pip-25.3.tar.gz", False),
        )
    ]  # fmt: skip
    found = newest(json.dumps({"files": files}), "https://a.test/simple/pip/", "none-any")
    assert found is not None
    assert (found.name, found.url, found.sha256) == (
        "pip-25.3-py3-none-any.whl", "https://a.test/files/pip-25.3-py3-none-any.whl", "ab",
    )  # fmt: skip
    page = '<a href="a/uv-1.0-py3-none-win_amd64.whl" data-yanked="x">n</a><a href="x">y</a>'
    assert newest(page, "https://a.test/simple/uv/", "win_amd64") is None
    assert listed("{", "https://a.test") == []
    assert tags_of("uv", "darwin", "arm64") == "macosx.*_arm64"
    assert last_line("a\nfatal: b\nc") == "fatal: b"


def test_the_pins_are_pins_and_the_bundle_reads_every_marker() -> None:
    lines = (PLUGIN / "requirements.txt").read_text().splitlines()
    named = [line for line in lines if line and not line.startswith("#")]
    free = {line.split()[0] for line in named if "==" not in line.partition(";")[0]}
    assert free == {"certifi", "tzdata"}
    for system in bundle.PLATFORMS:
        for python in ("3.11", "3.14"):
            kept = bundle.wanted(lines, system, python)
            assert sum(line.startswith("rasterio==") for line in kept) == 1
            assert sum(line.startswith("onnxruntime==") for line in kept) == 1
            assert ("tzdata" in kept) == (system == "windows")
    with pytest.raises(bundle.BundleError, match="marker that is not known"):
        bundle.wanted(['six ; os_name == "nt"'], "windows", "3.12")
    assert bundle.here() in bundle.PLATFORMS


def test_a_bundle_of_no_such_python_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert bundle.main([str(tmp_path / "b.zip"), "--python", "2.7"]) == 1
    assert capsys.readouterr().err == "--python is 3.11 to 3.14, got 2.7\n"
    assert not (tmp_path / "b.zip").exists()


def test_the_own_wheel_is_one_that_pip_takes(tmp_path: Path) -> None:
    packed = own_wheel()
    assert own_wheel() == packed
    place = tmp_path / WHEEL
    place.write_bytes(packed)
    into = tmp_path / "into"
    uv = [
        sys.executable,
        "-m",
        "uv",
        "pip",
        "install",
        "--offline",
        "--no-deps",
        "--target",
        str(into),
        str(place),
    ]
    subprocess.run(uv, check=True, capture_output=True)
    code = "import sys; sys.path.insert(0, sys.argv[1]); import geoiseg.companion.service; print(geoiseg.__file__)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(into)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(str(into))
    assert (into / "geoiseg/models/tiny/encoder.onnx").stat().st_size > 1e6
    assert not (into / "geoiseg/training").exists()
    assert [path.name for path in (into / "geoiseg/models/tiny/first").iterdir()] == ["card.json"]


def test_no_password_reaches_the_log_or_the_line() -> None:
    page = "https://zoe:p%40ss@host.test/simple/uv/"
    assert without_login(f"reading {page}") == "reading https://***@host.test/simple/uv/"
    assert (
        without_login("HTTP_PROXY=http://a:b@c@p.test:80 x") == "HTTP_PROXY=http://***@p.test:80 x"
    )
    assert without_login("see https://a.test/@x, mail zoe@a.test") == (
        "see https://a.test/@x, mail zoe@a.test"
    )
    error = SetupError("{page} has no {project}", page=page, project="uv")
    assert "p%40ss" not in str(error)
    assert "p%40ss" not in error.line.format(**error.values)


def test_no_question_is_asked_and_nothing_is_left_elsewhere(tmp_path: Path) -> None:
    place = home(tmp_path, LINUX)
    said = variables_of({"PIP_INDEX_URL": "https://mirror.test/simple/"}, place)
    assert said["PIP_NO_INPUT"] == "1"
    assert said["PIP_USER"] == "0"
    assert said["UV_DEFAULT_INDEX"] == "https://mirror.test/simple"
    for name in ("UV_PYTHON_INSTALL_DIR", "UV_CACHE_DIR"):
        assert Path(said[name]).is_relative_to(place.folder)
    assert "UV_DEFAULT_INDEX" not in variables_of({}, place)
    own = {"PIP_INDEX_URL": "https://mirror.test", "UV_DEFAULT_INDEX": "https://own.test"}
    assert variables_of(own, place)["UV_DEFAULT_INDEX"] == "https://own.test"


def test_hosts_without_proxy_are_told_of_one_address_too() -> None:
    assert hosts_of("http://in.test:80/x") == "in.test"
    assert hosts_of(["https://a.test", "b.test"]) == "a.test,b.test"
    assert hosts_of([]) == hosts_of(None) == hosts_of("") == ""


def test_uv_gets_a_folder_that_no_other_python_has_begun(tmp_path: Path) -> None:
    name, content = wheel_of(
        "uv-0.9.1-py3-none-manylinux_2_17_x86_64.whl", {"uv-0.9.1.data/scripts/uv": b"program"}
    )
    place = home(tmp_path, LINUX)
    plan = Plan(LINUX, place, sources(tmp_path), {"/usr/bin/python3"}.__contains__)
    half = plan.folder
    usual = answering({"/usr/bin/python3": GOOD}, fetched=serving(name, content))

    def answer(task: Any) -> Any:
        if isinstance(task, Run) and "import ssl" in task.command:
            half.mkdir(parents=True)
            return Ran(1, "ImportError: no _ssl")
        return usual(task)

    tasks, _ = follow(plan, answer)
    made = next(task for task in tasks if "uv" in task.title and isinstance(task, Run))
    assert made.command[-1] != str(half)
    assert place.current["folder"] == Path(made.command[-1]).name
    assert not half.exists()


def test_a_wheel_that_is_no_archive_is_one_line(tmp_path: Path) -> None:
    wheel = tmp_path / "uv-1.0-py3-none-any.whl"
    wheel.write_bytes(b"<html>log in</html>")
    with pytest.raises(SetupError, match="arrived damaged: try again"):
        unpack_program(wheel, tmp_path / "uv")


def test_what_is_left_is_set_aside_at_once_and_goes_beside_all_else(tmp_path: Path) -> None:
    place = home(tmp_path, LINUX)
    for name in ("env-1", "env-2", "old-dead", "tools/cache"):
        (place.folder / name / "lib").mkdir(parents=True)
    place.use(place.folder / "env-2", "stamp", "1")
    assert not (place.folder / "env-1").exists()
    assert place.next_folder().name == "env-3"
    wait_for_sweepers()
    assert {path.name for path in place.folder.iterdir()} == {"env-2", "current.json"}
    assert (place.folder / "env-2/lib").is_dir()


def test_without_pip_and_an_index_it_says_what_to_do(tmp_path: Path) -> None:
    plan = Plan(MAC, home(tmp_path, MAC), sources(tmp_path), lambda path: False)
    with pytest.raises(SetupError, match="no Python here has pip: install"):
        follow(plan, answering({}))
