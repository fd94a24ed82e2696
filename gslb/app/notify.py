"""What systemd is told, if it started us (sd_notify(3)).

Knows: the datagrams and when a sign of life is due. Refuses to know: what a server does.
Invariant: nobody there to be told is no error, and telling never blocks.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from contextlib import suppress

PINGS_A_DEADLINE = 3  # one that comes late must not look like a death


def notify(*lines: str) -> None:
    """Sends one message to the service manager."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.sendto("\n".join(lines).encode(), address)


def notify_reloading() -> None:
    """A reload begins; READY=1 ends it. The time tells systemd which request this answers."""
    notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


async def keep_alive() -> None:
    """Pings the watchdog from the loop that answers, for ever; returns if nobody watches."""
    deadline_s = _watchdog_s()
    while deadline_s is not None:
        notify("WATCHDOG=1")
        await asyncio.sleep(deadline_s / PINGS_A_DEADLINE)


def _watchdog_s() -> float | None:
    """How long we may be silent, in seconds; None if nobody watches, or another process."""
    text = os.environ.get("WATCHDOG_USEC", "")
    if not text.isdecimal() or os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(text) / 1e6 or None
