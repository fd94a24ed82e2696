"""The state store: what of a server outlives it (health.md, Persistence; control.md, Events).

Knows: when what waits is written, and what to do while it cannot be. Refuses to know: SQL
(statefile.py), what overrides and events mean. Invariant: no call waits for a disk but those that
are awaited, and these not for long; nothing is raised whatever a disk does; what is in memory is
the truth, and the file follows as soon as it can.

One thread does all that blocks; the lock on what it is to do is never held while it does.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final, TypeVar

from gslb.control.aside import set_aside
from gslb.control.backlog import Backlog, Batch
from gslb.control.rhythm import Rhythm
from gslb.control.statefile import (
    GoneError,
    Identity,
    StateError,
    StateFile,
    TornError,
    read_only,
)
from gslb.core.check import Target
from gslb.core.kept import Happening, Kept, Memory
from gslb.core.override import ObjectKind, Override

FILE: Final = "state.db"
MOST_EVENTS: Final = 100_000  # kept in the file
MOST_ASKED: Final = 1000  # events of one question
KEEP_S: Final = 90 * 86400.0
AT_EASE: Final = Rhythm()
NOWHERE: Final = (0, 0)  # a file that was given up, as an Identity

_log = logging.getLogger(__name__)
T = TypeVar("T")


class StateStore:
    """Made, opened, used and closed in one event loop."""

    def __init__(
        self,
        folder: str | os.PathLike[str],
        clock: Callable[[], float] = time.time,
        *,
        tell: Callable[[str], None] = lambda why: None,
        keep_s: float = KEEP_S,
        keep: int = MOST_EVENTS,
        rhythm: Rhythm = AT_EASE,
    ) -> None:
        """`folder` is `server.state`. `clock` gives Unix seconds.

        `tell` is called in the loop: with why nothing can be kept, once a minute at most while
        that lasts, and with "" once it is well again; also with what was wrong with a file that
        was set aside, while `problem` is empty. Events stay for `keep_s` (which may be set at any
        time), and at most `keep` of them. `problem`: why nothing can be kept now, or "".
        """
        self.tell = tell
        self.keep_s = keep_s
        self.problem = ""
        self._path: Final = os.path.join(os.path.abspath(folder), FILE)
        self._clock: Final = clock
        self._keep: Final = keep
        self._rhythm: Final = rhythm
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Final = threading.Thread(target=self._run, name="state", daemon=True)
        self._wake: Final = threading.Condition()  # and the lock on what follows
        self._backlog: Final = Backlog()
        self._waiting: list[asyncio.Future[bool]] = []
        self._jobs: list[Callable[[], None]] = []
        self._last = 0  # the newest event's id
        self._told: dict[str, float] = {}
        self._is_problem_told = False
        self._is_closed = False
        # What only the thread touches.
        self._file: StateFile | None = None
        self._known: Identity | None = None  # the file that agrees with what was remembered
        self._is_whole_due = False
        self._due = 0.0
        self._retry_s = rhythm.retry_s

    # ---- what the loop calls ------------------------------------------------------------

    async def open(self) -> Memory:
        """What is remembered; nothing where it cannot be read. Never raises.

        Where only a later attempt can read it, `reread` has what was there once that succeeded.
        """
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        return await self._ask(self._remember, Memory())

    async def reread(self) -> Memory:
        """After another process wrote the file (`--replace`): its overrides, our health.

        Never raises.
        """
        with self._wake:
            memory = self._backlog.memory
        return await self._ask(self._remember_again, memory)

    async def put_override(self, override: Override) -> bool:
        """True when it is durably kept; False if it cannot be yet. It will be once it can."""
        return await self._change(override.kind, override.name, override)

    async def drop_override(self, kind: ObjectKind, name: str) -> bool:
        """True when it is durably gone, False as in `put_override`."""
        return await self._change(kind, name, None)

    def keep_health(self, changed: Iterable[Kept]) -> None:
        """Queued; a later state of a target replaces an earlier one."""
        some = tuple(changed)
        self._queue(lambda: self._backlog.see(some))

    def forget_health(self, watched: Iterable[Target]) -> None:
        """Of all targets but these nothing is kept any more. Queued."""
        some = frozenset(watched)
        self._queue(lambda: self._backlog.forget(some))

    def keep_alive(self, at: float) -> None:
        """All that is kept of health was still so at `at` (Unix seconds). Queued."""
        self._queue(lambda: self._backlog.live(at))

    def keep_event(self, event: Happening) -> Happening:
        """The event with its id. Queued; of too many that wait the oldest are lost.

        An id is the milliseconds of Unix time, and one more than the id before where that is not
        below: ids rise for ever, also when a file is lost.
        """
        with self._wake:
            self._last = max(self._last + 1, int(self._clock() * 1000))
            event = replace(event, id=self._last)
            self._queue(lambda: self._backlog.add(event))
        return event

    async def events(
        self, after: int | None = None, limit: int = MOST_ASKED
    ) -> tuple[Happening, ...]:
        """At most `limit` (and 1000) events with an id above `after`, by id; None: the newest.
        Never raises."""
        most = max(0, min(limit, MOST_ASKED))
        return await self._ask(lambda: self._find(after, most), ())

    def stats(self) -> Mapping[tuple[str, ...], int]:
        """Counts, as metrics.from_counts takes them."""
        return {("state_dropped",): self._backlog.dropped}

    async def close(self) -> None:
        """Writes what waits if that can be done; nothing is kept from then on."""
        with self._wake:
            closed = self._post(self._shut, None)
            self._is_closed = True
        if closed is not None:
            await self._wait(closed, None)

    async def _change(self, kind: ObjectKind, name: str, override: Override | None) -> bool:
        with self._wake:
            self._backlog.put((kind, name), override)
            if self._loop is None or self._is_closed:
                return False
            future: asyncio.Future[bool] = self._loop.create_future()
            self._waiting.append(future)
            self._wake.notify()
        return await self._wait(future, False)

    def _queue(self, change: Callable[[], None]) -> None:
        with self._wake:
            was_empty = self._backlog.is_empty
            change()
            if was_empty:
                self._wake.notify()

    async def _ask(self, job: Callable[[], T], otherwise: T) -> T:
        """What the thread finds; `otherwise` if it cannot, or not in time."""
        future = self._post(job, otherwise)
        return otherwise if future is None else await self._wait(future, otherwise)

    def _post(self, job: Callable[[], T], otherwise: T) -> asyncio.Future[T] | None:
        def run() -> None:
            try:
                found = job()
            except Exception:
                _log.exception("the state store met a defect")
                found = otherwise
            self._hand_over([future], found)

        with self._wake:
            if self._loop is None or self._is_closed:
                return None
            future: asyncio.Future[T] = self._loop.create_future()
            self._jobs.append(run)
            self._wake.notify()
        return future

    async def _wait(self, future: asyncio.Future[T], otherwise: T) -> T:
        done, _ = await asyncio.wait((future,), timeout=self._rhythm.patience_s)
        if done:
            return future.result()
        self.problem = f"{self._path}: no answer from the disk for {self._rhythm.patience_s:g} s"
        self._complain("problem", self.problem)
        return otherwise

    # ---- what the thread does -----------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._wake:
                while (pause_s := self._pause_s()) != 0:
                    if self._waiting or self._jobs or self._is_closed:
                        break
                    self._wake.wait(pause_s)
                waiting, self._waiting = self._waiting, []
                jobs, self._jobs = self._jobs, []
                is_ending = self._is_closed
            if pause_s == 0 or waiting or is_ending or (jobs and not self.problem):
                self._hand_over(waiting, self._write())
            for job in jobs:
                job()
            if is_ending:
                return

    def _pause_s(self) -> float | None:
        """How long until something is to be written that nobody waits for; None: no such thing."""
        if self._backlog.is_empty and not self.problem:
            return None
        return max(0.0, self._due - time.monotonic())

    def _write(self) -> bool:
        """Writes what waits; True if nothing does any more."""
        for is_last in (False, False, True):
            batch = Batch()
            try:
                file = self._opened()
                with self._wake:
                    batch = self._backlog.take(self._is_whole_due)
                if batch:
                    last = file.write(batch, self.keep_s, self._keep, self._clock())
                    with self._wake:
                        self._last = max(self._last, last)
            except StateError as error:
                with self._wake:
                    self._backlog.put_back(batch)
                if self._is_replaced(error) and not is_last:
                    continue
                self._fail(str(error))
                return False
            except Exception:
                _log.exception("the state store met a defect")
                self._fail("a defect of gslb: the log has a traceback")
                return False
            self._is_whole_due = False
            self._succeed()
            return True
        raise AssertionError("the last has an outcome")

    def _opened(self) -> StateFile:
        if self._file is None:
            file = StateFile(self._path, self._rhythm.busy_s)
            try:
                if self._known is None:
                    memory, last = file.read(), file.last_event()
                    self._take_over(memory, last, file.identity)
            except BaseException:
                file.close()
                raise
            # Somebody may have removed it, or put back an old one.
            self._is_whole_due |= file.is_new or file.identity != self._known
            self._known = file.identity
            self._file = file
        return self._file

    def _take_over(self, memory: Memory, last: int, known: Identity) -> None:
        with self._wake:
            self._backlog.remember(memory)
            self._last = max(self._last, last)
        self._known = known

    def _shut(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _is_replaced(self, error: StateError) -> bool:
        """After an error the file is opened again; True if that is another one now."""
        self._shut()
        if isinstance(error, GoneError):
            return True
        if not isinstance(error, TornError):
            return False
        if self._known is None:
            self._take_over(Memory(error.saved), 0, NOWHERE)
        self._known = NOWHERE
        try:
            place = set_aside(self._path, self._clock())
        except FileNotFoundError:
            return True
        except OSError:
            return False  # the error stays the problem
        self._complain("aside", f"{error}; a new one is begun, this is now {place}")
        return True

    def _remember(self) -> Memory:
        if self._known is None:  # not by a write that came before
            self._write()
        if self._known is None:
            with suppress(StateError):
                self._take_over(*read_only(self._path, self._rhythm.busy_s))
        with self._wake:
            return self._backlog.memory

    def _remember_again(self) -> Memory:
        overrides = self._read(lambda file: file.overrides()) if self._write() else None
        with self._wake:
            if overrides is not None:
                self._backlog.adopt(overrides)
                # Its health is older than ours, and must not be taken for what we say is alive.
                self._is_whole_due = True
            return self._backlog.memory

    def _find(self, after: int | None, most: int) -> tuple[Happening, ...]:
        """Those of the file, then those that wait."""
        found: tuple[Happening, ...] | None = None
        if self._file is not None or not self.problem:
            found = self._read(lambda file: file.events(after, most))
        with self._wake:
            waiting = self._backlog.events(after or 0)
        every = (*(found or ()), *waiting)
        return every[:most] if after is not None else every[max(0, len(every) - most) :]

    def _read(self, job: Callable[[StateFile], T]) -> T | None:
        try:
            return job(self._opened())
        except StateError as error:
            if self._is_replaced(error):
                self._write()
            else:
                self._fail(str(error))
            return None

    # ---- how it goes

    def _succeed(self) -> None:
        self._due = time.monotonic() + self._rhythm.write_s
        self._retry_s = self._rhythm.retry_s
        self.problem = ""
        if self._is_problem_told:
            self._is_problem_told = False
            self._say("")

    def _fail(self, why: str) -> None:
        self._due = time.monotonic() + self._retry_s
        self._retry_s = min(2 * self._retry_s, self._rhythm.longest_retry_s)
        self.problem = why
        self._complain("problem", why)

    def _complain(self, kind: str, why: str) -> None:
        now = time.monotonic()
        with self._wake:
            if now - self._told.get(kind, -math.inf) < self._rhythm.tell_s:
                return
            self._told[kind] = now
            self._is_problem_told |= kind == "problem"
        self._say(why)

    def _say(self, why: str) -> None:
        with suppress(RuntimeError):  # the loop has ended
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self.tell, why)

    def _hand_over(self, futures: list[asyncio.Future[T]], found: T) -> None:
        with suppress(RuntimeError):
            if futures and self._loop is not None:
                self._loop.call_soon_threadsafe(_settle, futures, found)


def _settle(futures: list[asyncio.Future[T]], found: T) -> None:
    for future in futures:
        if not future.done():
            future.set_result(found)
