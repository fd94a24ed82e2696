"""What a machine can take: requests are served one after the other, and wait for those before.

Knows: so many requests a second, the wait that more of them make, the load as a share, and that a
machine whose queue grows too long breaks down and has to start again. Refuses to know: HTTP,
clocks: the time is given. Invariant: below its capacity nobody waits for long and it never breaks.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

MAX_WAIT_S: Final = 1.2  # who would wait longer is one too many: memory is full
RESTART_S: Final = 8.0  # then nothing is served for so long
LOAD_OVER_S: Final = 2.0  # the load is that of the last so many seconds


@dataclass(slots=True)
class Queue:
    """`rps`: requests a second that can be served; 0: any number, nobody ever waits.

    `breakdowns` counts how often it was too much.
    """

    rps: float = 0.0
    breakdowns: int = 0
    _free_s: float = 0.0  # when all that was let in is served
    _back_s: float = 0.0  # when it has started again
    _arrivals_s: deque[float] = field(default_factory=deque)

    def enter(self, now_s: float) -> float | None:
        """How long a request waits that comes now; None: it gets nothing, the machine is down."""
        self._forget(now_s)
        self._arrivals_s.append(now_s)
        wait_s = self.wait_s(now_s)
        if wait_s is None or not self.rps:
            return wait_s
        if wait_s > MAX_WAIT_S:
            self.breakdowns += 1
            self._back_s = now_s + RESTART_S
            self._free_s = 0.0
            return None
        self._free_s = now_s + wait_s + 1 / self.rps
        return wait_s

    def wait_s(self, now_s: float) -> float | None:
        """How long one would wait now; None: the machine is down."""
        return None if now_s < self._back_s else max(0.0, self._free_s - now_s)

    def load(self, now_s: float) -> float:
        """Requests that came, as a share of those that can be served; 1.0 is full."""
        self._forget(now_s)
        return len(self._arrivals_s) / LOAD_OVER_S / self.rps if self.rps else 0.0

    def _forget(self, now_s: float) -> None:
        while self._arrivals_s and self._arrivals_s[0] <= now_s - LOAD_OVER_S:
            self._arrivals_s.popleft()
