"""Whether this process has run, and how old a packet is (Linux).

Knows: the loop's heartbeat, the kernel's receive time. Refuses to know: sockets, packets.
Invariant: an idle server is not a stopped one: the heart beats with nothing to do; and a wall
clock that jumps makes no packet stale.

A process that was stopped (SIGSTOP, a frozen guest, swapping) finds queries in its sockets that
nobody waits for any more: resolvers have asked elsewhere. Only after such a pause is it worth
to ask the kernel when a packet came, which costs more than an answer does.

The kernel stamps with the wall clock. If that jumps forward by a day, all that waits looks a day
old; but what waits cannot be much older than the pause, which the monotonic clock has measured,
so a higher age is not believed and the packet is answered. If it jumps back, packets look young
and are answered. Either way nothing is lost, and a late answer harms nobody.
"""

from __future__ import annotations

import asyncio
import math
import socket
import struct
import time
from collections.abc import Sequence
from typing import Final

BEAT_S: Final = 1.0
STALE_S: Final = 5.0  # resolvers give up on a server sooner
SLACK_S: Final = 1.0  # what may have waited already when the pause began

# <asm-generic/socket.h>; Python 3.11 has no name for it. A struct timespec of two longs.
SO_TIMESTAMPNS: Final = 35
_TIMESPEC: Final = struct.Struct("@ll")
SPACE: Final = socket.CMSG_SPACE(_TIMESPEC.size)

Control = tuple[int, int, bytes]


class Pulse:
    """The heartbeat of the running loop, from now until `stop`."""

    def __init__(self) -> None:
        self._loop: Final = asyncio.get_running_loop()
        self._at = time.monotonic()
        self._pauses = 0
        # Sockets that were handed over may hold what came before we were there.
        self._pause_s = math.inf
        self._timer = self._loop.call_later(BEAT_S, self._beat)

    def pauses(self) -> int:
        """How often the process did not run for longer than STALE_S."""
        now = time.monotonic()
        pause_s = now - self._at
        if pause_s > STALE_S:
            self._pauses += 1
            self._pause_s = pause_s
            self._at = now
        return self._pauses

    def is_stale(self, control: Sequence[Control]) -> bool:
        """Whether a packet with this control data came in a pause, more than STALE_S ago."""
        age_s = _age_s(control)
        return STALE_S < age_s < self._pause_s + SLACK_S

    def stop(self) -> None:
        """The last beat."""
        self._timer.cancel()

    def _beat(self) -> None:
        self.pauses()
        self._at = time.monotonic()
        self._timer = self._loop.call_later(BEAT_S, self._beat)


def _age_s(control: Sequence[Control]) -> float:
    for level, kind, data in control:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(data) == _TIMESPEC.size:
            seconds: int
            nanoseconds: int
            seconds, nanoseconds = _TIMESPEC.unpack(data)
            return time.time() - seconds - nanoseconds / 1e9
    return 0.0
