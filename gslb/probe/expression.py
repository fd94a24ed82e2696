"""Looking for a regular expression in what an endpoint sent, without being held up by it.

Knows: that Python's `re` keeps the interpreter to itself until it is done, may need longer than
the world lasts, and looks for signals on its way. Refuses to know: HTTP, checks. Invariant: a turn
of the loop spends some 20 ms at most; who needs more gets no answer but TooLongError.

A thread would not help: `re` holds the interpreter's lock. So a timer of the process's own CPU time
(SIGVTALRM, which nobody else uses) ends it. A long text is not searched but tried position by
position, some hundred a turn: within one search of a short expression `re` may not look for
signals at all.
"""

from __future__ import annotations

import asyncio
import re
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Final

_SHORT: Final = 2048  # characters; a search that squares them takes less than 10 ms
_POSITIONS: Final = 512
_LIMIT_S: Final = 0.01


class TooLongError(Exception):
    """The expression did not come to an end."""


async def is_in(pattern: str, text: str) -> bool:
    """Whether the expression matches anywhere in the text. Raises TooLongError."""
    expression = re.compile(pattern)
    if len(text) <= _SHORT:
        return _twice(lambda: expression.search(text) is not None)
    for first in range(0, len(text) + 1, _POSITIONS):
        positions = range(first, min(first + _POSITIONS, len(text) + 1))
        if _twice(partial(_matches, expression, text, positions)):
            return True
        await asyncio.sleep(0)
    return False


def _matches(expression: re.Pattern[str], text: str, positions: range) -> bool:
    return any(expression.match(text, position) for position in positions)


def _twice(work: Callable[[], bool]) -> bool:
    """As `_limited`, but a collection of garbage that fell into the work is no fault of it."""
    try:
        return _limited(work)
    except TooLongError:
        return _limited(work)


def _limited(work: Callable[[], bool]) -> bool:
    """What the work gives. Outside the main thread, where no signal comes, without a limit."""
    if threading.current_thread() is not threading.main_thread():
        return work()
    is_running = True
    ends_at = 0.0

    def end(number: int, frame: FrameType | None) -> None:
        # One that comes late must not hit who is next; other threads' time is not ours.
        if is_running and time.thread_time() >= ends_at:
            raise TooLongError

    before = signal.signal(signal.SIGVTALRM, end)
    try:
        ends_at = time.thread_time() + _LIMIT_S
        signal.setitimer(signal.ITIMER_VIRTUAL, _LIMIT_S, _LIMIT_S)
        found = work()
        is_running = False
        return found
    finally:
        is_running = False
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
