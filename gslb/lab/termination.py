"""How a program of the lab ends: in order, at the first SIGINT or SIGTERM.

Knows: signals. Refuses to know: what has to be closed; that is written with `finally`.
Invariant: it works for process 1 of a container too, for whom no signal has a default
action: without a handler it would be deaf until it is killed.
"""

from __future__ import annotations

import asyncio
import signal
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def cancel_on_signals() -> None:
    """Cancels the running task at the first signal; while things stop, more are ignored."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # called from a coroutine

    def stop() -> None:
        for number in SIGNALS:
            loop.add_signal_handler(number, lambda: None)
        task.cancel()

    for number in SIGNALS:
        loop.add_signal_handler(number, stop)
