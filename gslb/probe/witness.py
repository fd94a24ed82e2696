"""The witnesses: what shows that we see anything at all (health.md, Blindness).

Knows: how one is asked, how often, and that one may be asked at once. Refuses to know: targets,
what follows from what a witness says. Invariant: as a check's probe, a witness is asked through
`connection`, so that it is an address that may be probed; one task per witness, and never two
probes of the same at once; what it is told does not wait for other witnesses.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import assert_never

from gslb.core.setting import Witness
from gslb.core.trail import Result
from gslb.probe.connection import Means, connect
from gslb.probe.finding import Finding
from gslb.probe.icmp import ping
from gslb.probe.reason import ProbeError

INTERVAL_S = 1.0
TIMEOUT_S = 1.0

Hear = Callable[[bool, float, float], None]

log = logging.getLogger(__name__)


class Witnesses:
    """Asks every witness each second. `hear` gets: whether it answered, when asking it began and
    ended, in seconds of `clock`, after `latest` has it (as core/blindness.py wants it)."""

    def __init__(self, hear: Hear, clock: Callable[[], float]) -> None:
        self.latest: dict[Witness, str | None] = {}
        self._hear = hear
        self._clock = clock
        self._tasks: dict[Witness, asyncio.Task[None]] = {}
        self._wanted: dict[Witness, asyncio.Event] = {}
        self._means: Means | None = None

    def watch(self, witnesses: Iterable[Witness], means: Means) -> bool:
        """These and no others, from now on; True if they are others than before."""
        self._means = means
        wanted = dict.fromkeys(witnesses)
        if wanted.keys() == self.latest.keys():
            return False
        for gone in self._tasks.keys() - wanted.keys():
            self._tasks.pop(gone).cancel()
        self.latest = {witness: self.latest.get(witness) for witness in wanted}
        self._wanted = {w: self._wanted.get(w) or asyncio.Event() for w in wanted}
        return True

    def start(self) -> None:
        """Begin with those that are not asked yet; needs a running loop."""
        for witness in self.latest:
            if witness not in self._tasks:
                self._tasks[witness] = asyncio.create_task(self._watch(witness))

    def ask(self) -> None:
        """Ask every witness now; one that is being asked is asked again after that."""
        for wanted in self._wanted.values():
            wanted.set()

    async def stop(self) -> None:
        """No witness is asked any more, and no socket open."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, witness: Witness) -> None:
        wanted = self._wanted[witness]
        while True:
            wanted.clear()
            began_at = self._clock()
            reason = await self._ask(witness)
            self.latest[witness] = reason
            try:
                self._hear(not reason, began_at, self._clock())
            except Exception:  # nothing would ever go down, or come back, if this were the end
                log.exception("what the witness %s says could not be heard", witness.text)
            try:
                async with asyncio.timeout(max(0.0, began_at + INTERVAL_S - self._clock())):
                    await wanted.wait()
            except TimeoutError:
                pass

    async def _ask(self, witness: Witness) -> str:
        """Why it did not answer, "" if it did."""
        assert self._means is not None, "it is watched first"
        try:
            result: Result = await probe_witness(witness, self._means, TIMEOUT_S)
        except OSError as error:
            # Whoever cannot even ask does not see; loud, since nothing would ever go down.
            return f"cannot be asked: {error.strerror or error}"
        except Exception:
            log.exception("asking the witness %s broke", witness.text)
            return "cannot be asked: a defect, see the log"
        return result.reason


async def probe_witness(witness: Witness, means: Means, timeout_s: float) -> Result:
    """Connect to it, or ping it, once; the result's latency is of that.

    Raises OSError if this machine could not even try (no descriptors, ICMP forbidden).
    """
    finding = Finding()
    try:
        async with asyncio.timeout(timeout_s):
            await _try(witness, means, finding)
    except ProbeError as error:
        return Result(False, str(error), None, means.clock())
    except TimeoutError:
        return Result(False, f"timeout after {float(timeout_s)} s", None, means.clock())
    return Result(True, "", finding.latency_s, means.clock())


async def _try(witness: Witness, means: Means, finding: Finding) -> None:
    match witness.type:
        case "tcp":
            started = means.clock()
            (await connect(witness.address, witness.port, means)).close()
            finding.latency_s = means.clock() - started
        case "icmp":
            await ping(witness.address, means, finding)
        case _:
            assert_never(witness.type)
