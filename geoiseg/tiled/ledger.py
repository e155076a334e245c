"""What is known of every window of a run, in one SQLite file beside the output.

A window is written in one transaction: after a kill or a crash it is there whole or not at
all. One process writes; it holds the file for itself as long as it runs.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from geoiseg.atomic import check_place, why_failed
from geoiseg.errors import LedgerError
from geoiseg.tiled.window import PackedLabels, WindowResult

SUFFIX = ".ledger"
FORMAT = 2
"""Raised when the tables change; older ledgers can then not be resumed."""

CONSTANT = "constant "
"""How the name of a parameter begins that no option says, but the code."""

CHOICE = "scales"
"""Name of the reductions that were chosen, and why; earlier versions chose none."""

READING = "reading"
"""Name of what says by what windows are read in 8-bit integers; not there where it is in floats."""

TABLES = """
CREATE TABLE run (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE tile (number INTEGER PRIMARY KEY, state TEXT NOT NULL, attempts INTEGER NOT NULL,
                   error TEXT, seconds TEXT);
CREATE TABLE piece (tile INTEGER, label INTEGER, area INTEGER, score REAL, object INTEGER,
                    wkb BLOB NOT NULL, PRIMARY KEY (tile, label));
CREATE INDEX piece_object ON piece (object, tile, label);
CREATE TABLE band (first INTEGER, second INTEGER, tile INTEGER, height INTEGER, width INTEGER,
                   data BLOB NOT NULL, PRIMARY KEY (first, second, tile)) WITHOUT ROWID;
CREATE TABLE core (tile INTEGER PRIMARY KEY, height INTEGER, width INTEGER, data BLOB NOT NULL);
CREATE TABLE item (position INTEGER PRIMARY KEY, tile INTEGER, name TEXT, error TEXT,
                   properties TEXT, wkb BLOB);
"""


@dataclass(frozen=True, slots=True)
class Item:
    """What became of one prompted object."""

    position: int
    """In the file of prompts, from 0."""
    name: str
    error: str | None = None
    """Why there is no outline, or not of all its rows."""
    properties: str = "{}"
    """Its columns, as JSON."""
    wkb: bytes | None = None
    """Its outline in the raster's CRS."""


@dataclass(frozen=True, slots=True)
class FailedWindow:
    """A window that was given up."""

    number: int
    error: str
    attempts: int


def ledger_path(out: Path) -> Path:
    """Return where the ledger of an output is."""
    return out.with_name(out.name + SUFFIX)


def said_before(path: Path, name: str) -> Any:
    """Return a parameter of an unfinished run; None where there is no such run."""
    if not path.exists():
        return None
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=0.5)) as db:
            row = db.execute("SELECT value FROM run WHERE name = ?", (name,)).fetchone()
    except sqlite3.Error:  # whoever opens it for good says what is wrong
        return None
    return None if row is None else json.loads(row[0])


def check_free(path: Path, *, resume: bool) -> None:
    """Make sure, before anything takes time, that a run may have its ledger.

    Raises:
        LedgerError: There is an unfinished run and ``resume`` is False; or it is in use by
            another process, or is damaged.
    """
    if not path.exists():
        return
    if not resume:
        raise LedgerError(
            f"{path} holds an unfinished run: go on with it (--resume, or resume=True),"
            " or remove it"
        )
    _connected(path).close()


class Ledger:
    """The record of one run. Of one thread at a time."""

    def __init__(self, path: Path, parameters: Mapping[str, Any], *, resume: bool) -> None:
        """Open or make the ledger of a run.

        Args:
            path: The file.
            parameters: All on which the result depends, ready for JSON.
            resume: Whether an unfinished run is to be gone on with; it must have the same
                parameters. Without one, a new run begins.

        Raises:
            LedgerError: There is an unfinished run and ``resume`` is False; or it has other
                parameters, is in use by another process, or is damaged.
        """
        self.path = path
        check_free(path, resume=resume)
        check_place(path)
        self._db = _connected(path)
        try:
            self._begin({"format": FORMAT, **parameters})
        except BaseException:
            self._db.close()
            raise

    def _begin(self, parameters: Mapping[str, Any]) -> None:
        wanted = {name: json.dumps(value, sort_keys=True) for name, value in parameters.items()}
        try:
            tables = self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if not {name for (name,) in tables}:
                with self._db:
                    self._db.execute("BEGIN")
                    for statement in filter(str.strip, TABLES.split(";")):
                        self._db.execute(statement)
                    rows = wanted.items()
                    self._db.executemany("INSERT INTO run VALUES (?, ?)", rows)
                return
            found = dict(self._db.execute("SELECT name, value FROM run"))
        except sqlite3.Error as error:
            raise _trouble(error, self.path) from error
        _check_same(self.path, found, wanted)

    # -- windows ----------------------------------------------------------------------

    def states(self) -> dict[int, str]:
        """Return ``done`` or ``failed`` of every window that was tried."""
        return dict(self._db.execute("SELECT number, state FROM tile"))

    def forget_failures(self) -> None:
        """Give every window that failed a new chance."""
        with self._db:
            self._db.execute("DELETE FROM tile WHERE state = 'failed'")

    def keep(self, results: Iterable[WindowResult]) -> None:
        """Record what some windows have given, in place of anything recorded before."""
        with self._db:
            for result in results:
                self._keep(result)

    def _keep(self, result: WindowResult) -> None:
        number = result.number
        self._clear(number)
        self._db.executemany(
            "INSERT INTO piece VALUES (?, ?, ?, ?, NULL, ?)",
            ((number, p.label, p.area, p.score, p.wkb) for p in result.pieces),
        )
        self._db.executemany(
            "INSERT INTO band VALUES (?, ?, ?, ?, ?, ?)",
            ((*pair, number, *band.shape, band.data) for pair, band in result.bands.items()),
        )
        if result.labels is not None:
            row = (number, *result.labels.shape, result.labels.data)
            self._db.execute("INSERT INTO core VALUES (?, ?, ?, ?)", row)
        self._done(number, result.seconds)

    def keep_items(self, number: int, items: Iterable[Item], seconds: Mapping[str, float]) -> None:
        """Record what became of the prompted objects of a window."""
        with self._db:
            self._clear(number)
            self._db.executemany(
                "INSERT OR REPLACE INTO item VALUES (?, ?, ?, ?, ?, ?)",
                ((i.position, number, i.name, i.error, i.properties, i.wkb) for i in items),
            )
            self._done(number, seconds)

    def fail(self, number: int, error: str, attempts: int) -> None:
        """Record that a window was given up."""
        with self._db:
            self._clear(number)
            row = (number, "failed", attempts, error, None)
            self._db.execute("INSERT INTO tile VALUES (?, ?, ?, ?, ?)", row)

    def _clear(self, number: int) -> None:
        for table, column in (("tile", "number"), ("piece", "tile"), ("core", "tile")):
            self._db.execute(f"DELETE FROM {table} WHERE {column} = ?", (number,))  # noqa: S608

    def _done(self, number: int, seconds: Mapping[str, float]) -> None:
        row = (number, "done", 1, None, json.dumps(dict(seconds)))
        self._db.execute("INSERT INTO tile VALUES (?, ?, ?, ?, ?)", row)

    def failures(self) -> list[FailedWindow]:
        """Return the windows that were given up, by number."""
        rows = self._db.execute(
            "SELECT number, error, attempts FROM tile WHERE state = 'failed' ORDER BY number"
        )
        return [FailedWindow(*row) for row in rows]

    def seconds(self) -> dict[str, float]:
        """Return the wall time of each phase, all windows together."""
        total: dict[str, float] = {}
        for (text,) in self._db.execute("SELECT seconds FROM tile WHERE state = 'done'"):
            for phase, spent in json.loads(text).items():
                total[phase] = total.get(phase, 0.0) + spent
        return total

    # -- pieces ----------------------------------------------------------------------

    def band(self, first: int, second: int) -> tuple[PackedLabels, PackedLabels] | None:
        """Return what two neighbours see around their border; None unless both are there."""
        rows = self._db.execute(
            "SELECT height, width, data FROM band WHERE first = ? AND second = ?"
            " ORDER BY tile = second",
            (first, second),
        ).fetchall()
        if len(rows) != 2:
            return None
        one, other = (PackedLabels((height, width), data) for height, width, data in rows)
        return one, other

    def areas(self) -> Iterator[tuple[int, int, int]]:
        """Yield window, label and area of every piece, in order; other tables may change."""
        for number in sorted(self.states()):
            rows = self._db.execute(
                "SELECT tile, label, area FROM piece WHERE tile = ? ORDER BY label", (number,)
            )
            yield from rows.fetchall()

    def number_objects(self, rows: Iterable[tuple[int | None, int, int]]) -> None:
        """Record which object each piece belongs to, as object, window, label; None drops it."""
        with self._db:
            self._db.executemany("UPDATE piece SET object = ? WHERE tile = ? AND label = ?", rows)

    def pieces(self) -> Iterator[tuple[int, int, float, bytes]]:
        """Yield object, area, score and WKB of the numbered pieces, by object and window."""
        return self._db.cursor().execute(
            "SELECT object, area, score, wkb FROM piece WHERE object IS NOT NULL"
            " ORDER BY object, tile, label"
        )

    def core_labels(self, number: int) -> tuple[PackedLabels, dict[int, int]] | None:
        """Return the labels of a window's core, and the object of each; None without any."""
        row = self._db.execute(
            "SELECT height, width, data FROM core WHERE tile = ?", (number,)
        ).fetchone()
        if row is None:
            return None
        objects = self._db.execute(
            "SELECT label, object FROM piece WHERE tile = ? AND object IS NOT NULL", (number,)
        )
        return PackedLabels((row[0], row[1]), row[2]), dict(objects)

    def items(self) -> list[Item]:
        """Return what became of the prompted objects, in the order of their file."""
        rows = self._db.execute(
            "SELECT position, name, error, properties, wkb FROM item ORDER BY position"
        )
        return [Item(*row) for row in rows]

    # -- end -------------------------------------------------------------------------

    def remove(self) -> None:
        """Close and delete the file: the run is finished."""
        self.close()
        for path in (self.path, *(self.path.with_name(self.path.name + t) for t in
                                  ("-wal", "-shm", "-journal"))):  # fmt: skip
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file and keep it."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _connected(path: Path) -> sqlite3.Connection:
    """Return a connection that holds the file for itself."""
    try:
        db = sqlite3.connect(path, timeout=0.5, check_same_thread=False)
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA cache_size = -8192")
        db.execute("BEGIN IMMEDIATE")
        db.execute("COMMIT")
    except sqlite3.Error as error:
        raise _trouble(error, path) from error
    return db


def _check_same(path: Path, found: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    """Make sure that a run is gone on with by what it began with.

    Raises:
        LedgerError: It is not; the message says what differs. What is read in goes by the
            other parameters, so these are told first.
    """
    for name in sorted({*wanted, *found}, key=lambda name: (name == READING, name)):
        if wanted.get(name) == found.get(name):
            continue
        if name == READING and name not in wanted:
            raise LedgerError(
                f"{path} is of a run that reads in 8-bit integers, which this one does not: go on"
                " with the same options on a CPU that multiplies bytes, or remove it to begin anew"
            )
        by_code = name == READING or (name == CHOICE and name not in found)
        if by_code or name.startswith(CONSTANT):
            was, now = (_short(one.get(name)) for one in (found, wanted))
            raise LedgerError(
                f"{path} is of a run by another version of geoiseg, whose"
                f" {name.removeprefix(CONSTANT)} is {was} and not {now}: its parts would not"
                " go together; remove it to begin anew, or go on with that version"
            )
        raise LedgerError(
            f"{path} is of a run with {name} {_short(found.get(name))}, now it is"
            f" {_short(wanted.get(name))}: give the same, or remove it to begin anew"
        )


def _trouble(error: sqlite3.Error, path: Path) -> LedgerError:
    if "locked" in str(error):
        return LedgerError(f"{path} is in use by another run; wait for it, or stop it")
    reason = why_failed(error, path)
    hint = "; remove it to begin anew" if reason == str(error) else ""
    return LedgerError(f"{path} can not be used: {reason}{hint}")


def _short(text: str | None) -> str:
    plain = "nothing" if text is None else text
    return plain if len(plain) <= 60 else f"{plain[:57]}..."
