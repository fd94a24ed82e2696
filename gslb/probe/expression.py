"""Looking for a regular expression in what an endpoint sent, without being held up by it.

Knows: that Python's `re` keeps the interpreter to itself until it is done, may need longer than
the world lasts, and that therefore a process of its own searches (search.py), whom the kernel ends
after some processor time. Refuses to know: HTTP, checks. Invariant: there are two such processes
at most, each from its first search on; a search costs the loop two messages, whatever is searched,
and whose last one took too long is waited for by none but his like.
"""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import subprocess
import sys

from gslb.probe import search


class TooLongError(Exception):
    """The expression did not come to an end."""


class Searcher:
    """Searches, for those whose last search took too long in a process apart."""

    def __init__(self) -> None:
        self._slow: set[str] = set()
        self._quick_lane, self._slow_lane = _Lane(self._slow), _Lane(self._slow)

    async def is_in(self, pattern: str, body: bytes, who: str = "") -> bool:
        """Whether the expression matches anywhere in the text, which is UTF-8 or nearly.

        `who` said it. Raises TooLongError, or OSError if it is our own fault (no processes, no
        descriptors).
        """
        lane = self._slow_lane if who in self._slow else self._quick_lane
        return await lane.is_in(pattern, body, who)

    async def stop(self) -> None:
        """Nothing is searched any more, and the processes are gone."""
        await self._quick_lane.stop()
        await self._slow_lane.stop()


class _Lane:
    """Searches one text after the other, and notes who was too slow."""

    def __init__(self, slow: set[str]) -> None:
        self._slow = slow
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._turn = asyncio.Lock()
        self._searching: asyncio.Task[bool] | None = None

    async def is_in(self, pattern: str, body: bytes, who: str) -> bool:
        sought = pattern.encode(errors="surrogatepass")
        await self._turn.acquire()
        # Not cancelled with the probe: what is asked next would get the answer to this.
        self._searching = asyncio.create_task(self._search(sought, body, who))
        self._searching.add_done_callback(self._pass_on)
        return await asyncio.shield(self._searching)

    def _pass_on(self, searching: asyncio.Task[bool]) -> None:
        self._turn.release()
        if not searching.cancelled():
            searching.exception()  # seen: whoever waited for it may have been cancelled

    async def stop(self) -> None:
        if self._searching is not None:
            self._searching.cancel()
            await asyncio.gather(self._searching, return_exceptions=True)
        if self._process is not None:
            self._process.kill()
            self._end(self._process)

    async def _search(self, pattern: bytes, body: bytes, who: str) -> bool:
        process, line = self._begin()
        loop = asyncio.get_running_loop()
        sizes = len(pattern).to_bytes(4) + len(body).to_bytes(4)
        try:
            await loop.sock_sendall(line, sizes + pattern + body)
            found = await loop.sock_recv(line, 1)
        except ConnectionError:
            found = b""
        if found:
            self._slow.discard(who)
            return found == b"1"
        if self._end(process) == -signal.SIGPROF:
            self._slow.add(who)
            raise TooLongError
        raise OSError(errno.ECHILD, "the process that looks for body_regex was ended")

    def _begin(self) -> tuple[subprocess.Popen[bytes], socket.socket]:
        if self._process is not None and self._line is not None:
            return self._process, self._line
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                ours.setblocking(False)
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", search.__file__],
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=subprocess.DEVNULL,
                    cwd="/",
                    start_new_session=True,  # Ctrl-C is for us
                )
            except BaseException:
                ours.close()
                raise
        self._line = ours
        return self._process, ours

    def _end(self, process: subprocess.Popen[bytes]) -> int:
        """Its status; it has ended, or is about to."""
        assert self._line is not None
        self._line.close()
        self._process = self._line = None
        return process.wait()
