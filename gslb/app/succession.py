"""Who serves from a state directory, and how a new server takes over from it.

Knows: `state/pid`: the process that serves has it locked (flock(2)) and its id stands in it.
Refuses to know: sockets, configurations. Invariant: a signal goes to a process that has the file
open, never to one that happens to have an old number; the lock ends with its holder, however that
ends, so a file that was left behind says nothing.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from gslb.errors import ListenError, Problem, Where

FILE: Final = "pid"
SUCCESSOR: Final = "successor"  # locked by the one that takes over
END_S: Final = 30.0  # how long a server that was told to end is waited for


@dataclass(frozen=True, slots=True)
class Predecessor:
    """The server that is to be replaced. `pidfd` stays this process's, whatever its number."""

    pid: int
    pidfd: int

    async def end(self) -> bool:
        """Tells it to stop and waits until it is gone; False if it hung and was killed."""
        loop = asyncio.get_running_loop()
        gone = asyncio.Event()
        loop.add_reader(self.pidfd, gone.set)  # readable once the process has ended
        try:
            self._send(signal.SIGTERM)
            async with asyncio.timeout(END_S):
                await gone.wait()
        except TimeoutError:
            self._send(signal.SIGKILL)
            await gone.wait()
            return False
        finally:
            loop.remove_reader(self.pidfd)
            os.close(self.pidfd)
        return True

    def _send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, number)


@contextmanager
def succeeding(state: str) -> Iterator[None]:
    """While a server takes over, no other one may: the second would end the first.

    Raises ListenError.
    """
    try:
        descriptor = os.open(os.path.join(state, SUCCESSOR), os.O_RDWR | os.O_CREAT, 0o644)
    except OSError:  # no state directory, or one that cannot be written: nobody to succeed
        yield
        return
    try:
        if not _lock(descriptor, fcntl.LOCK_EX):
            raise ListenError(f"another server is just taking over {state}; let it finish")
        yield
    finally:
        os.close(descriptor)


def find_predecessor(state: str) -> Predecessor | None:
    """The server that serves from a state directory, if there is one. Raises ListenError."""
    path = os.path.join(state, FILE)
    try:
        with open(path, "rb") as file:
            if _lock(file.fileno(), fcntl.LOCK_SH):
                return None
            pid = int(file.read(32))
            pidfd = os.pidfd_open(pid)
            try:
                if _has_open(pid, os.fstat(file.fileno())):
                    return Predecessor(pid, pidfd)
            except OSError:
                os.close(pidfd)
                raise
            os.close(pidfd)
    except PermissionError as error:
        what = f"cannot take over: {error.filename or path}: {error.strerror}"
        raise ListenError(f"{what}; be the user that the running server is") from error
    except (OSError, ValueError, OverflowError):
        pass  # no such file, nobody's number, or a process that has just ended
    return None


def claim(state: str) -> tuple[int | None, tuple[Problem, ...]]:
    """Locks `state/pid` and writes it: the descriptor to keep open, or a warning."""
    path = os.path.join(state, FILE)
    descriptor = None
    try:
        os.makedirs(state, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        if _lock(descriptor, fcntl.LOCK_EX):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
            return descriptor, ()
        what = "another server has this state directory"
        hint = "give each its own server.state, or use --replace"
    except OSError as error:
        what = f"cannot be written: {error.strerror}"
        hint = "this server answers, but `gslb serve --replace` will not find it"
    if descriptor is not None:
        os.close(descriptor)
    return None, (Problem(Where(path), "server.state", what, hint, "warning"),)


def _lock(descriptor: int, how: int) -> bool:
    """Whether nobody else has it."""
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _has_open(pid: int, file: os.stat_result) -> bool:
    folder = f"/proc/{pid}/fd"
    for name in os.listdir(folder):
        with suppress(OSError):  # closed meanwhile
            if os.path.samestat(os.stat(f"{folder}/{name}"), file):
                return True
    return False
