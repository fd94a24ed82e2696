"""The file behind the state store: what SQLite keeps, and when it is no file of ours.

Knows: SQL, how SQLite says that a disk is full or a file torn.
Refuses to know: threads, retries, what to keep. Invariant: a write is one transaction, durable
when it returns (WAL, synchronous=FULL); a file of somebody else is never written to; one that is
to be replaced is left as it is. Everything here blocks: it is called in the store's thread only.

Rows go in by the hundred: the module gives up the interpreter once a statement, and each time it
would have to wait until what answers lets go of it.
"""

from __future__ import annotations

import math
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from itertools import chain, islice
from pathlib import Path
from stat import S_ISREG
from typing import Final, TypeVar

from gslb.control.backlog import Batch, Key
from gslb.control.schema import APPLICATION, UPGRADES, VERSION, health_columns
from gslb.control.staterow import (
    EVENT,
    HEALTH,
    OVERRIDE,
    Row,
    Value,
    clean,
    from_happening,
    from_kept,
    from_override,
    from_target,
    time_of,
    to_happening,
    to_kept,
    to_override,
)
from gslb.core.check import Target
from gslb.core.kept import Happening, Kept, Memory
from gslb.core.override import Override

MOST_WAL: Final = 4 << 20  # octets it may keep between checkpoints
A_TIME: Final = 100  # rows of one statement: SQLite may be built for 999 values, and a row has 8
A_SLICE: Final = 500  # old events that one write removes, beside as many as it adds

Identity = tuple[int, int]  # device and inode
T = TypeVar("T")

_WORDS: Final = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "the file, its directory or the disk is read-only",
    sqlite3.SQLITE_BUSY: "another process has it locked",
    sqlite3.SQLITE_LOCKED: "another process has it locked",
    sqlite3.SQLITE_PROTOCOL: "another process has it locked",
}


class StateError(Exception):
    """The file cannot be read or written now; the text says which and why."""


class TornError(StateError):
    """The file is not one of ours, or no longer: it is to be set aside.

    `saved` are the overrides that could still be read, all of them or none.
    """

    def __init__(self, why: str, saved: tuple[Override, ...] = ()) -> None:
        super().__init__(why)
        self.saved = saved


class GoneError(StateError):
    """The file that is open no longer has its name: what is written there is lost."""


class StateFile:
    """An open state file. Every method raises StateError, TornError where it has to be replaced."""

    def __init__(self, path: str, busy_s: float) -> None:
        """Opens it, or begins a new one, with its directory. `is_new`: nothing was there.

        `busy_s`: how long each call waits for another process that has it locked.
        """
        self._path: Final = path
        self._events: int | None = None  # how many there are, once somebody has counted
        with _explaining(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            _refuse_what_is_no_file(path)
            self._base: Final = sqlite3.connect(path, timeout=busy_s, isolation_level=None)
            try:
                self.is_new: Final = self._prepare()
                self.identity: Final = _identify(path)
            except BaseException:
                self._base.close()
                raise

    def _prepare(self) -> bool:
        version = _examine(self._base)
        self._base.execute("PRAGMA journal_mode=WAL").fetchall()
        self._base.execute("PRAGMA synchronous=FULL")
        self._base.execute(f"PRAGMA journal_size_limit={MOST_WAL}")
        if version == VERSION:
            return False
        with self._transaction():
            version = _examine(self._base)  # another process may have been quicker
            with _saving(self._base):
                for statement in UPGRADES[version]:
                    self._base.execute(statement)
            self._base.execute(f"PRAGMA application_id={APPLICATION}")
            self._base.execute(f"PRAGMA user_version={VERSION}")
        _sync(os.path.dirname(self._path))
        return not version

    def read(self) -> Memory:
        """What is remembered."""
        with _explaining(self._path):
            return _read(self._base, VERSION)

    def overrides(self) -> tuple[Override, ...]:
        """Of what is remembered the overrides."""
        with _explaining(self._path):
            return _read_overrides(self._base)

    def last_event(self) -> int:
        """The id of the newest event, 0 without any."""
        with _explaining(self._path):
            return _last(self._base)

    def write(self, batch: Batch, keep_s: float, keep: int, now: float) -> int:
        """Writes all of it or nothing; returns the id of the newest event.

        Events get higher ids where theirs are not above those that are there. Of the events the
        last `keep` of the last `keep_s` stay, more of them until a few writes have removed them.
        """
        with _explaining(self._path):
            with self._transaction():
                if batch.whole:
                    self._base.execute("DELETE FROM override")
                    self._base.execute("DELETE FROM health")
                self._write_overrides(batch.overrides)
                self._write_health(batch.health)
                if batch.alive is not None:
                    statement = "INSERT OR REPLACE INTO alive (one, at) VALUES (1, ?)"
                    self._base.execute(statement, (batch.alive,))
                last = self._write_events(batch.events)
                count = self._trim(len(batch.events), keep_s, keep, now)
            self._events = count
            self._look_for_it()
            return last

    def _write_overrides(self, overrides: Mapping[Key, Override | None]) -> None:
        for kind, name in overrides:
            statement = "DELETE FROM override WHERE kind = ? AND name = ?"
            self._base.execute(statement, (kind, clean(name)))
        self._insert("override", OVERRIDE, map(from_override, _present(overrides.values())))

    def _write_health(self, health: Mapping[Target, Kept | None]) -> None:
        gone = (from_target(target) for target, kept in health.items() if kept is None)
        for places, values in _by_the_hundred(gone):
            where = f"(check_name, address, port) IN (VALUES {places})"
            self._base.execute(f"DELETE FROM health WHERE {where}", values)
        self._insert("health", HEALTH, map(from_kept, _present(health.values())))

    def _write_events(self, events: Iterable[Happening]) -> int:
        last = _last(self._base)
        rows = []
        for one in events:
            last = max(last + 1, one.id)
            rows.append(from_happening(one, last))
        self._insert("event", EVENT, rows)
        return last

    def _insert(self, table: str, columns: str, rows: Iterable[Row]) -> None:
        for places, values in _by_the_hundred(rows):
            statement = f"INSERT OR REPLACE INTO {table} ({columns}) VALUES {places}"
            self._base.execute(statement, values)

    def _trim(self, added: int, keep_s: float, keep: int, now: float) -> int:
        """Removes the oldest events, a few at a time; how many are left."""
        if self._events is None:
            (count,) = self._base.execute("SELECT count(*) FROM event").fetchone()
        else:
            count = self._events + added
        slice_ = A_SLICE + added
        surplus = min(max(0, count - keep), slice_)
        oldest = "id IN (SELECT id FROM event ORDER BY id LIMIT ?)"
        if surplus:
            count -= self._base.execute(f"DELETE FROM event WHERE {oldest}", (surplus,)).rowcount
        old = (slice_, now - keep_s)
        count -= self._base.execute(f"DELETE FROM event WHERE {oldest} AND at < ?", old).rowcount
        return int(count)

    def events(self, after: int | None, limit: int) -> tuple[Happening, ...]:
        """At most `limit` events with an id above `after`, by id; None: the newest."""
        with _explaining(self._path):
            if after is None:
                statement = f"SELECT {EVENT} FROM event ORDER BY id DESC LIMIT ?"
                newest = self._base.execute(statement, (limit,)).fetchall()
                return tuple(map(to_happening, reversed(newest)))
            statement = f"SELECT {EVENT} FROM event WHERE id > ? ORDER BY id LIMIT ?"
            rows = self._base.execute(statement, (after, limit)).fetchall()
            return tuple(map(to_happening, rows))

    def close(self) -> None:
        """Takes the WAL into the file, where that can be done."""
        with suppress(sqlite3.Error):
            self._base.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._base.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._base.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._base.execute("ROLLBACK")
            raise

    def _look_for_it(self) -> None:
        """SQLite goes on writing, to the WAL too, beside a file that was removed or emptied."""
        with suppress(FileNotFoundError):
            os.stat(f"{os.path.realpath(self._path)}-wal")  # beside the file, not a link to it
            if _identify(self._path) == self.identity:
                if not os.path.getsize(self._path):  # the next to open it would drop the WAL
                    raise TornError("it was emptied")
                return
        raise GoneError(f"{self._path}: it was removed or replaced")


def read_only(path: str, busy_s: float) -> tuple[Memory, int, Identity]:
    """What can be read of a file that cannot be written, its newest event's id. Raises StateError.

    SQLite needs `-shm` beside a WAL, and cannot make it in a directory that is read-only: then it
    is a copy that is read.
    """
    with _explaining(path):
        identity = _identify(path)
        try:
            return *_read_from(f"{Path(path).as_uri()}?mode=ro", busy_s), identity
        except sqlite3.OperationalError as error:
            if _code(error) != sqlite3.SQLITE_CANTOPEN:
                raise
        with tempfile.TemporaryDirectory() as folder:
            copy = shutil.copy(path, folder)
            with suppress(FileNotFoundError):
                shutil.copy(f"{path}-wal", folder)
            return *_read_from(Path(copy).as_uri(), busy_s), identity


def _read_from(address: str, busy_s: float) -> tuple[Memory, int]:
    with closing(sqlite3.connect(address, timeout=busy_s, uri=True)) as base:
        version = _examine(base)
        return (_read(base, version), _last(base)) if version else (Memory(), 0)


def _examine(base: sqlite3.Connection) -> int:
    """The version of a file of ours, 0 for an empty one. Raises TornError for any other."""
    (application,) = base.execute("PRAGMA application_id").fetchone()
    (version,) = base.execute("PRAGMA user_version").fetchone()
    (tables,) = base.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not (application or version or tables):
        return 0
    if application != APPLICATION:
        raise TornError("it is another program's database")
    if version not in range(1, VERSION + 1):
        saved = _read_what_can_be(base)
        raise TornError(f"it has version {version}, this gslb has version {VERSION}", saved)
    return int(version)


def _read(base: sqlite3.Connection, version: int) -> Memory:
    with _saving(base):
        overrides = _read_overrides(base)
        for table in ("override", "health"):
            (told,) = base.execute(f"PRAGMA quick_check({table})").fetchone()
            if told != "ok":
                raise ValueError(told)
        known = base.execute("SELECT at FROM alive").fetchone()
        alive = -math.inf if known is None else time_of(known[0])
        rows = base.execute(f"SELECT {health_columns(version)} FROM health").fetchall()
        health = tuple(to_kept(row, alive) for row in rows)
        base.execute(f"SELECT {EVENT} FROM event LIMIT 1").fetchall()
    return Memory(overrides, health)


@contextmanager
def _saving(base: sqlite3.Connection) -> Iterator[None]:
    """Damage that is met here is a TornError with the overrides that can be read all the same."""
    try:
        yield
    except (sqlite3.DatabaseError, ValueError) as error:
        if _is_damage(error) or _code(error) == sqlite3.SQLITE_ERROR:  # a table is missing
            raise TornError(f"it is damaged: {error}", _read_what_can_be(base)) from error
        raise


def _read_what_can_be(base: sqlite3.Connection) -> tuple[Override, ...]:
    with suppress(sqlite3.Error, ValueError):
        return _read_overrides(base)
    return ()


def _read_overrides(base: sqlite3.Connection) -> tuple[Override, ...]:
    rows = base.execute(f"SELECT {OVERRIDE} FROM override ORDER BY place").fetchall()
    return tuple(map(to_override, rows))


def _last(base: sqlite3.Connection) -> int:
    (last,) = base.execute("SELECT max(id) FROM event").fetchone()
    return int(last or 0)


def _present(values: Iterable[T | None]) -> Iterator[T]:
    return (value for value in values if value is not None)


def _by_the_hundred(rows: Iterable[Row]) -> Iterator[tuple[str, list[Value]]]:
    """Places for the values of at most `A_TIME` rows, and the values."""
    rest = iter(rows)
    while some := tuple(islice(rest, A_TIME)):
        place = "(" + ", ".join("?" * len(some[0])) + ")"
        yield ", ".join([place] * len(some)), list(chain.from_iterable(some))


def _identify(path: str) -> Identity:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _refuse_what_is_no_file(path: str) -> None:
    with suppress(FileNotFoundError):
        if not S_ISREG(os.stat(path).st_mode):
            raise TornError("it is no file")


def _sync(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _explaining(path: str) -> Iterator[None]:
    """Whatever goes wrong with a file is a StateError that says which file and what."""
    try:
        yield
    except TornError as error:
        raise TornError(f"{path}: {error}", error.saved) from error
    except (sqlite3.DatabaseError, ValueError) as error:
        if _is_damage(error):
            raise TornError(f"{path}: it is damaged: {error}") from error
        raise StateError(f"{path}: {_words(error, path)}") from error
    except OSError as error:
        raise StateError(f"{error.filename or path}: {error.strerror or error}") from error


def _code(error: Exception) -> int:
    """SQLite's primary result code, 0 if the error is not its own."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF if isinstance(code, int) else 0


def _is_damage(error: Exception) -> bool:
    if isinstance(error, ValueError) or "Could not decode to UTF-8" in str(error):
        return True
    return _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _words(error: Exception, path: str) -> str:
    code = _code(error)
    if code == sqlite3.SQLITE_CANTOPEN:
        if os.path.islink(path) and not os.path.exists(path):
            return f"it is a link to {os.readlink(path)}, which is not there"
        for place in (os.path.dirname(path), path):
            if not os.access(place, os.R_OK | os.W_OK):
                return f"{place} cannot be written: permissions, or a read-only disk"
    return _WORDS.get(code, str(error))
