"""The other end of the pipe: a geoiseg process that is started, asked, stopped, started again.

Everything that is asked is kept until it is answered. Should the process die, it is started
again and asked again, so that nothing is lost but time.
"""

from __future__ import annotations

import json
import time
from collections import deque
from typing import Any, Callable, Deque, Dict, List, Optional

from qgis.PyQt.QtCore import QObject, QProcess, QTimer, pyqtSignal

from .environment import child_environment, log
from .place import command_of
from .words import tr

PROTOCOL = 2
"""Number of the way of speaking; see ``geoiseg.companion``."""
ATTEMPTS = 2
"""How often a request is made before it is blamed for the death of the process."""
GRACE_MS = 3000
"""How long the process has to end once its input is closed."""
SENT_AGAIN = 16
"""Files that a process which is started anew is sent again, the latest."""


class CompanionError(Exception):
    """What the companion answers instead of a result."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Request:
    """What was asked and is not answered yet."""

    def __init__(self, do: str, params: Dict[str, Any]) -> None:
        self.do = do
        self.params = params
        self.attempts = 0


class Channel(QObject):
    """A companion process and the requests that it has to answer.

    With an event loop, answers come as signals; without one, ``wait`` returns them. It is
    used in the thread that made it.
    """

    answered = pyqtSignal(int, object)
    failed = pyqtSignal(int, str, str)
    progressed = pyqtSignal(int, object, str)
    restarted = pyqtSignal(str)
    """The process had died, for the reason given; it was started and asked again."""

    def __init__(self, python: str, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self.python = python
        self.version = ""
        self.starts = 0
        self._process: Optional[QProcess] = None
        self._pending: Dict[int, Request] = {}
        self._last = 0
        self._buffer = b""
        self._said: Deque[str] = deque(maxlen=20)
        self._ready = False
        self._sent: Dict[str, Dict[str, str]] = {}
        self._starting = False
        self._stillborn = ""

    # -- asking ----------------------------------------------------------------------

    def ask(self, do: str, params: Optional[Dict[str, Any]] = None) -> int:
        """Ask for something, starting the process if need be, and return the request's number."""
        self._last += 1
        self._pending[self._last] = Request(do, params or {})
        if self.pid:
            self._send(self._last)
        else:
            self._start()
        return self._last

    def put(self, params: Dict[str, str]) -> None:
        """Send a file, now and to a process that is started anew."""
        if params["name"] in self._sent:
            return
        self._sent[params["name"]] = params
        for old in list(self._sent)[:-SENT_AGAIN]:
            del self._sent[old]
        if self.pid:
            self._write({"id": 0, "do": "put", "params": params})

    def cancel(self, number: int) -> None:
        """Call a request off; it fails with the kind ``CancelledError``, or is answered."""
        if number in self._pending:
            self._write({"id": number, "do": "cancel"})

    @property
    def pid(self) -> int:
        """Number of the process; 0 where none is running."""
        if self._process is None or self._process.state() == QProcess.ProcessState.NotRunning:
            return 0
        return int(self._process.processId())

    @property
    def busy(self) -> bool:
        """Whether anything is not answered yet."""
        return bool(self._pending)

    def wait(
        self, number: int, heed: Callable[[Any, str], bool] = lambda _share, _text: True
    ) -> Any:
        """Return the answer to a request, in a thread without an event loop.

        Args:
            number: Of the request.
            heed: Called with the progress, ``(share or None, text)``, and ten times a second
                with ``(None, "")``; False then calls the request off.

        Raises:
            CompanionError: It failed, or was called off.
        """
        outcome: Dict[str, Any] = {}
        off = 0.0
        slots = (
            (self.answered, lambda n, r: outcome.update(result=r) if n == number else None),
            (self.failed, lambda n, k, t: outcome.update(error=(k, t)) if n == number else None),
            (self.progressed, lambda n, s, t: heed(s, t) if n == number else None),
        )
        for signal, slot in slots:
            signal.connect(slot)
        try:
            while "result" not in outcome and "error" not in outcome:
                if self._process is not None and not self._process.waitForReadyRead(100):
                    self._notice()
                self._bury()
                if not off and not heed(None, ""):
                    off = time.monotonic()
                    self.cancel(number)
                elif off and time.monotonic() - off > GRACE_MS / 1000:
                    self.stop()  # it is deep in a computation that can not be interrupted
                    raise CompanionError("CancelledError", "stopped")
        finally:
            for signal, slot in slots:
                signal.disconnect(slot)
        if "error" in outcome:
            raise CompanionError(*outcome["error"])
        return outcome["result"]

    def stop(self) -> None:
        """End the process, and forget what was asked; waits for it, at most a few seconds."""
        process = self._let_go()
        if process is None:
            return
        if not process.waitForFinished(GRACE_MS):
            process.kill()
            process.waitForFinished(GRACE_MS)
        process.deleteLater()

    def part(self) -> None:
        """End the process, and forget what was asked, without waiting for it."""
        process = self._let_go()
        if process is None:
            return
        PARTING.append(process)  # Qt must not take it away while it still runs
        process.finished.connect(lambda *_: _gone(process))
        QTimer.singleShot(GRACE_MS, process.kill)
        if process.state() == QProcess.ProcessState.NotRunning:
            _gone(process)

    def _let_go(self) -> Optional[QProcess]:
        """Return the process, of which nothing is heard any more and whose input is closed."""
        self._pending.clear()
        process, self._process = self._process, None
        if process is None:
            return None
        for signal in (process.finished, process.errorOccurred, process.readyReadStandardOutput,
                       process.readyReadStandardError):  # fmt: skip
            signal.disconnect()
        process.setParent(None)
        process.closeWriteChannel()
        return process

    # -- the process -----------------------------------------------------------------

    def _start(self) -> None:
        process = QProcess(self)
        process.setProcessEnvironment(child_environment())
        program, arguments = command_of(self.python)
        process.setProgram(program)
        process.setArguments(arguments)
        process.readyReadStandardOutput.connect(self._read)
        process.readyReadStandardError.connect(self._listen)
        process.finished.connect(self._ended)
        process.errorOccurred.connect(self._broken)
        self._process, self._buffer, self._ready = process, b"", False
        self._said.clear()
        self.starts += 1
        self._starting = True
        process.start()
        self._starting = False
        for params in self._sent.values():
            self._write({"id": 0, "do": "put", "params": params})
        for number in list(self._pending):
            self._send(number)
        if self._stillborn:  # told once the asker knows the number of what was asked
            QTimer.singleShot(0, self._bury)

    def _send(self, number: int) -> None:
        request = self._pending.get(number)
        if request is None:
            return
        request.attempts += 1
        params = request.params
        if request.attempts > 1 and request.do in ("map", "refine"):
            params = {**params, "again": True}
        self._write({"id": number, "do": request.do, "params": params})

    def _write(self, message: Dict[str, Any]) -> None:
        if self._process is not None:
            self._process.write(json.dumps(message).encode() + b"\n")

    def _read(self) -> None:
        process = self._process
        if process is None:
            return
        self._buffer += bytes(process.readAllStandardOutput())
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            try:
                message = json.loads(line)
            except ValueError:
                log(f"not understood: {line[:200]!r}")
                continue
            self._take(message)
            if self._process is not process:
                return

    def _take(self, message: Dict[str, Any]) -> None:
        if "hello" in message:
            self._greet(message)
            return
        number = int(message.get("id", 0))
        if number not in self._pending:
            return
        if "progress" in message:
            self.progressed.emit(number, message["progress"], str(message.get("text", "")))
            return
        del self._pending[number]
        if "error" in message:
            error = message["error"]
            self.failed.emit(number, str(error["kind"]), str(error["text"]))
        else:
            self.answered.emit(number, message["result"])

    def _greet(self, message: Dict[str, Any]) -> None:
        self.version = str(message.get("version", ""))
        self._ready = True
        if message["hello"] != PROTOCOL:
            self._fail_all(
                "SetupError",
                tr(
                    "the geoiseg {version} of {python} does not fit this plugin: bring the older of"
                    " both up to date",
                    version=self.version,
                    python=self.python,
                ),
            )
            self.stop()

    def _listen(self) -> None:
        if self._process is not None:
            text = bytes(self._process.readAllStandardError()).decode("utf-8", "replace")
            for line in filter(None, map(str.strip, text.replace("\r", "\n").split("\n"))):
                self._said.append(line)
                log(line)

    def _notice(self) -> None:
        """See that the process is gone, where no event loop tells."""
        process = self._process
        if process is not None and process.state() == QProcess.ProcessState.NotRunning:
            self._ended(process.exitCode())

    def _broken(self, error: Any) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._stillborn = tr("{python} can not be started", python=repr(self.python))
            if not self._starting:  # Windows tells at once, others later
                self._bury()

    def _bury(self) -> None:
        """Give up a process that could not be started."""
        text, self._stillborn = self._stillborn, ""
        if text:
            self._process = None
            self._fail_all("SetupError", text)

    def _ended(self, code: int, *_: Any) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        self._process = process
        self._read()
        self._listen()
        self._process = None
        process.deleteLater()
        last = self._said[-1] if self._said else f"exit code {code}"
        if not self._ready:
            what = tr(
                "geoiseg can not be started with {python}: {why}", python=self.python, why=last
            )
            self._fail_all("SetupError", what)
            return
        for number, request in list(self._pending.items()):
            if request.attempts >= ATTEMPTS:
                del self._pending[number]
                text = tr(
                    "geoiseg's process ended {count} times on this: {why}", count=ATTEMPTS, why=last
                )
                self.failed.emit(number, "ProcessError", text)
        if self._pending:
            self._start()
            self.restarted.emit(last)
        else:
            self.restarted.emit(last)

    def _fail_all(self, kind: str, text: str) -> None:
        pending, self._pending = list(self._pending), {}
        for number in pending:
            self.failed.emit(number, kind, text)


PARTING: List[QProcess] = []
"""Processes that are ending."""


def _gone(process: QProcess) -> None:
    if process in PARTING:
        PARTING.remove(process)
        process.deleteLater()
