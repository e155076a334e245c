"""Carries a script out: programs beside QGIS's window, progress, a log, and a stop at any time."""

from __future__ import annotations

import platform
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

from qgis.PyQt.QtCore import QLockFile, QObject, QProcess, QTimer, pyqtSignal

from ..environment import child_environment, own_home  # noqa: TID252 - QGIS names the package
from .index import index_of, without_login
from .machine import Machine
from .network import Reading, network_variables
from .script import (
    MISLEADING,
    PIP_SAYS,
    Fetch,
    Plan,
    Ran,
    Run,
    Script,
    SetupError,
    Sources,
    reason,
    variables_of,
)

HELD = "another window of QGIS is setting geoiseg up: wait for it"
KILL_MS = 3000
"""How long a program has to end before it is killed."""


def this_machine() -> Machine:
    """Return the computer that QGIS runs on."""
    surroundings = child_environment()
    variables = {name: surroundings.value(name) for name in surroundings.keys()}  # noqa: SIM118 - Qt's
    return Machine(sys.platform, platform.machine(), str(Path.home()), sys.base_prefix, variables)


def these_sources() -> Sources:
    """Return what the plugin brings."""
    plugin = Path(__file__).parents[1]
    return Sources(plugin / "requirements.txt", plugin / "wheels")


class Setup(QObject):
    """Makes the environment, beside everything else that QGIS does."""

    progressed = pyqtSignal(float, str)
    """Share of the work, and the title of what is being done."""
    logged = pyqtSignal(str)
    """A line for the log."""
    finished = pyqtSignal(str, object)
    """The version that was set up, or empty and the :class:`SetupError`."""

    def __init__(self, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self.log: List[str] = []
        self.home = own_home()
        self._script: Optional[Script] = None
        self._task: Any = None
        self._process: Optional[QProcess] = None
        self._reading: Optional[Reading] = None
        self._said, self._rest = b"", b""
        self._share = 0.0
        self._seen = 0
        self._variables: Dict[str, str] = {}
        self._lock: Optional[QLockFile] = None

    @property
    def busy(self) -> bool:
        """Whether it is at work."""
        return self._script is not None

    def start(self) -> None:
        """Begin; :attr:`finished` tells the end."""
        if self.busy:
            return
        sources, machine = these_sources(), this_machine()
        self.log, self._share, self._task = [], 0.0, None
        self._say(f"geoiseg's environment, {time.strftime('%Y-%m-%d %H:%M')}")
        self._say(f"{platform.platform()}, QGIS's Python {platform.python_version()}")
        self._say("from the bundle" if sources.offline else "from the package index")
        self._script = Plan(machine, self.home, sources).script()
        try:
            self.home.folder.mkdir(parents=True, exist_ok=True)
            self._lock = QLockFile(str(self.home.folder / ".lock"))
            self._lock.setStaleLockTime(0)
            if not self._lock.tryLock(100):
                held = self._lock.error() == QLockFile.LockError.LockFailedError
                self._lock = None
                if held:
                    QTimer.singleShot(0, lambda: self._end("", SetupError(HELD)))
                    return
            self._variables = {
                **variables_of(machine.variables, self.home),
                **network_variables(self.home.folder, index_of(machine.variables)),
            }
        except OSError as error:
            self._say(str(error))  # the script tells it better
        QTimer.singleShot(0, lambda: self._go_on(None))

    def stop(self) -> None:
        """Stop at once; the environment that was there before stays in use."""
        if self._script is None:
            return
        if self._reading is not None:
            self._reading.stop()
        process, self._process = self._process, None
        if process is not None:
            process.finished.disconnect()
            process.errorOccurred.disconnect()
            process.kill()
            process.waitForFinished(KILL_MS)
            process.deleteLater()
        self._end("", SetupError("stopped: nothing was changed"))

    # -- step by step ----------------------------------------------------------------

    def _go_on(self, answer: Any) -> None:
        script = self._script
        if script is None:
            return
        try:
            failed = isinstance(answer, SetupError)
            self._task = script.throw(answer) if failed else script.send(answer)
        except StopIteration as done:
            self._end(str(done.value), None)
            return
        except SetupError as error:
            self._end("", error)
            return
        except OSError as error:
            why = error.strerror or str(error)
            self._end("", SetupError("can not write {name}: {why}", name=error.filename, why=why))
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told and the lock goes
            step = self._task.title if self._task is not None else "Set up"
            why = f"{type(error).__name__}: {' '.join(str(error).split())}"
            self._end("", SetupError("{step} failed: {why}", step=step, why=why))
            return
        self.progressed.emit(self._share, self._task.title)
        if isinstance(self._task, Run):
            self._run(self._task)
        else:
            self._fetch(self._task)

    def _end(self, version: str, error: Optional[SetupError]) -> None:
        script, self._script = self._script, None
        if script is not None:
            script.close()
        self._process = self._reading = self._task = None
        if self._lock is not None:
            self.home.tidy()
            self._lock.unlock()
            self._lock = None
        self._say(f"geoiseg {version} is ready" if error is None else str(error))
        self.finished.emit(version, error)

    def _run(self, task: Run) -> None:
        self._say("$ " + " ".join(f'"{part}"' if " " in part else part for part in
                                  (line.replace("\n", "; ") for line in task.command)))  # fmt: skip
        process = QProcess(self)
        surroundings = child_environment()
        for name in MISLEADING:
            surroundings.remove(name)
        for name, value in self._variables.items():
            surroundings.insert(name, value)
        process.setProcessEnvironment(surroundings)
        process.setProcessChannelMode(QProcess.ProcessChannelMode.MergedChannels)
        process.setStandardInputFile(QProcess.nullDevice())  # who asks hears that nobody is there
        process.setWorkingDirectory(str(self.home.folder))
        process.readyReadStandardOutput.connect(self._listen)
        process.finished.connect(self._ran)
        process.errorOccurred.connect(self._broken)
        self._process, self._said, self._rest, self._seen = process, b"", b"", 0
        process.start(task.command[0], list(task.command[1:]))

    def _listen(self) -> None:
        if self._process is None:
            return
        data = bytes(self._process.readAllStandardOutput())
        self._said += data
        *lines, self._rest = (self._rest + data).replace(b"\r", b"\n").split(b"\n")
        self._pass_on(lines)

    def _pass_on(self, lines: List[bytes]) -> None:
        """Log whole lines, and see from them how far it is."""
        task = self._task
        if task.quiet:
            return
        for line in filter(None, (one.decode("utf-8", "replace").strip() for one in lines)):
            self._say(line)
            if PIP_SAYS.match(line):
                self._seen += 1
                part = min(self._seen / (2.2 * task.steps), 1.0)
                self.progressed.emit(self._share + (task.until - self._share) * part, line)

    def _ran(self, code: int, *_: Any) -> None:
        self._listen()
        process, self._process = self._process, None
        if process is None:
            return
        process.deleteLater()
        self._pass_on([self._rest])
        self._heard(Ran(code, self._said.decode("utf-8", "replace")))

    def _broken(self, error: Any) -> None:
        process = self._process
        if process is None or error != QProcess.ProcessError.FailedToStart:
            return
        self._process = None
        said = process.errorString()
        process.deleteLater()
        QTimer.singleShot(0, lambda: self._heard(Ran(127, said)))

    def _heard(self, ran: Ran) -> None:
        task = self._task
        if ran.code != 0:
            for line in ran.said.splitlines() if task.quiet else []:
                self._say(line)
            self._say(f"it ended with {ran.code}")
        if ran.code != 0 and not task.quiet:
            self._go_on(reason(task, ran))
            return
        self._share = max(self._share, task.until)
        self._go_on(ran)

    def _fetch(self, task: Fetch) -> None:
        self._say(f"reading {task.url}")

        def then(content: Optional[bytes], why: str) -> None:
            self._reading = None
            if content is None:
                line = "{url} can not be read ({why}): check the network and QGIS's proxy"
                self._go_on(SetupError(line, url=task.url, why=why))
                return
            self._share = max(self._share, task.until)
            self._go_on(content)

        self._reading = Reading(task.url, task.accept, then)

    def _say(self, line: str) -> None:
        line = without_login(line)  # the log is there to be shown to others
        self.log.append(line)
        self.logged.emit(line)
