"""The ending: Ctrl-C, SIGTERM and SIGHUP, heard only where nothing is half done.

Knows: which signals end the program, and whether one came. Refuses to know: what has to be cleared
up then. Invariant: KeyboardInterrupt is raised inside `heard()` only, and once; a signal that comes
elsewhere, such as between starting a process and knowing its number, waits for the next `heard()`.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ending:
    """The state behind the signals; one for the program."""

    def __init__(self) -> None:
        self._came = False
        self._over = False
        self._open = 0

    def listen(self) -> None:
        """Take the signals over from Python."""
        for number in SIGNALS:
            signal.signal(number, self._hear)

    def ignore(self) -> None:
        """From here on nothing interrupts the program: make and timeout both pass signals on."""
        self._over = True

    @contextmanager
    def heard(self) -> Iterator[None]:
        """A place to stop at: a wait, or a command that changes nothing."""
        self._open += 1
        try:
            self._stop_if_due()
            yield
        finally:
            self._open -= 1

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        self._came = True
        self._stop_if_due()

    def _stop_if_due(self) -> None:
        if self._came and self._open and not self._over:
            self._over = True
            raise KeyboardInterrupt


ENDING = Ending()
