"""From results to verdicts: the trails, and whether a failure may count at all.

Knows: that a failure which would take a target down waits until something that began after it
has succeeded (health.md, Blindness): a witness, or without one any probe, whereto some targets
that are up are asked out of turn. Refuses to know: schedules, sockets, tasks of probes; it is
told what came of them. Invariant: while we are blind no trail moves; what waits is bounded by
the number of targets, and a doubt asks at most a few of them at a time.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from gslb.core.blindness import Sight, every_witness_fails, nothing_answers, nothing_left
from gslb.core.check import PROBED, Check, Target
from gslb.core.health import State
from gslb.core.setting import Witness
from gslb.core.trail import (
    Result,
    TargetHealth,
    Trail,
    at_rest,
    health_of,
    in_motion,
    observe,
    would_fall,
)

Publish = Callable[[Mapping[Target, TargetHealth]], None]

DOUBT_GAP_S = 0.05  # a mass failure asks for proof so often, not once for each
FIRST_ROUND, GROWTH, LAST_ROUND = 4, 4, 256  # targets asked at once
LIVELY = 64  # that answered last: who is asked first
LOOK_GAP_S = RETRY_S = 1.0
A_TURN = 500
A_BATCH = 100  # verdicts counted at once: each is an event, too

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ways:
    """What a doubt needs of others: ask a target, or every witness, at once; say that all
    doubts are over, that we see or no longer do (why, "" when it ends); count data centers up;
    tell by how many seconds probes are behind their schedule, or were a moment ago."""

    ask: Callable[[Target], None]
    ask_witnesses: Callable[[], None]
    calm: Callable[[], None]
    tell_blind: Callable[[str], None]
    datacenters_up: Callable[[], int]
    late_s: Callable[[], float]


class Judge:
    """Owns the trails. `publish` is called in the loop with what changed, once a turn.

    `blind` says why we are, "" if we see. `loads` are the last ones reported and when, monotonic
    seconds; `certificates` when a target's expires, Unix seconds.
    """

    def __init__(self, publish: Publish, ways: Ways, clock: Callable[[], float]) -> None:
        self.trails: dict[Target, Trail] = {}
        self.checks: Mapping[str, Check] = {}
        self.loads: dict[Target, tuple[float, float]] = {}
        self.certificates: dict[Target, float] = {}
        self.blind = ""
        self.silent_s = 0.0
        self.witnesses: Mapping[Witness, str | None] = {}
        self.sight = Sight(None, clock())
        self._publish = publish
        self._ways = ways
        self._clock = clock
        self._changed: dict[Target, TargetHealth] = {}
        self._waiting: dict[Target, Result] = {}  # would be down
        self._lively: deque[Target] = deque(maxlen=LIVELY)
        self._round: set[Target] = set()  # asked, and not heard of since
        self._round_at, self._size = 0.0, FIRST_ROUND
        self._others: Iterator[Target] | None = None  # who may still be asked
        self._timer: asyncio.TimerHandle | None = None
        self._pursued_at = float("-inf")
        self._look_at = float("-inf")
        self._seeing_since = float("-inf")
        self._resting: asyncio.Task[None] | None = None
        self._is_starting = True  # until the first verdicts are in, or nothing answered

    # ---------- what comes in ----------

    def hear(self, target: Target, result: Result, began_at: float) -> None:
        """A probe has ended; it began at `began_at`."""
        check = self.checks[target.check]
        if result.load is not None:
            self.loads[target] = (result.load, result.at)
        if result.expires_at is not None:
            self.certificates[target] = result.expires_at
        if result.ok:
            self._believe_again(target)
            # What succeeds because nothing answers proves nothing.
            if not check.invert:
                self._lively.append(target)
                if not self.witnesses:
                    self._prove(began_at, result.at)
        elif not self.witnesses and not self.blind and result.at >= self._look_at:
            self._look_for_silence(result.at)
        if self._round:
            self._heard_of(target, result.ok and began_at < self._round_at)
        # What began before we saw again tells of the time when we did not.
        if not self.blind and (result.ok or began_at >= self._seeing_since):
            self._weigh(target, check, result)

    def break_off(self, target: Target) -> None:
        """A probe came to nothing by our own fault."""
        if self._round:
            self._heard_of(target, ask_again=False)

    def believe(self, target: Target, result: Result) -> None:
        """What was reported counts as it is said, also while we are blind."""
        if result.load is not None:
            self.loads[target] = (result.load, result.at)
        self._believe_again(target)
        self._record(target, observe(self.trails[target], result, self.checks[target.check]))

    def miss(self, target: Target, result: Result) -> None:
        """A report that should have come has not: a failure as of a probe."""
        if not self.blind and self.trails[target].state is not State.DOWN:
            self._weigh(target, self.checks[target.check], result)

    def hear_witness(self, ok: bool, began_at: float, ended_at: float) -> None:
        """A witness was asked; what it said stands in `witnesses`."""
        if ok:
            self._prove(began_at, ended_at)
        elif not self.blind and (why := every_witness_fails(self.witnesses)):
            self._go_blind(why)

    def conclude_start(self) -> None:
        """The start has had its time: if nothing at all answered, everything is unknown still,
        and what failed until now does not count. A report that was missed is told only once."""
        is_silent = self._is_silent_start and not self.witnesses
        self._is_starting = False
        if is_silent:
            missed = {t: r for t, r in self._waiting.items() if self.checks[t.check].type == "push"}
            self._begin_anew()
            for target, result in missed.items():
                self._weigh(target, self.checks[target.check], result)

    # ---------- what is looked after ----------

    def begin(self) -> None:
        """Probing begins."""
        self.sight = Sight(self.sight.proved_at, self._clock())

    def expect(self, silent_s: float) -> None:
        """A probe succeeds within so many seconds, if we see; 0: nothing is probed."""
        if silent_s != self.silent_s:  # nobody had to answer by this measure until now
            self.sight = Sight(self.sight.proved_at, self._clock())
        self.silent_s = silent_s
        if not silent_s and not self.witnesses:
            self._see()
            if self._waiting:
                self._pursue_soon()

    def forget(self, target: Target) -> None:
        """A target is gone."""
        del self.trails[target]
        self._changed.pop(target, None)
        self._believe_again(target)
        self.loads.pop(target, None)
        self.certificates.pop(target, None)
        if self._round:
            self._heard_of(target, ask_again=False)

    def see_by(self, witnesses: Mapping[Witness, str | None]) -> None:
        """These are the witnesses from now on."""
        self.witnesses = witnesses
        self.sight = Sight(self.sight.proved_at, self._clock())
        self._see()
        if self._waiting:
            self._pursue_soon()

    @property
    def is_in_doubt(self) -> bool:
        """True while a failure waits for a proof that we see."""
        return bool(self._waiting)

    def is_doubted(self, target: Target) -> bool:
        """True if a failure of this target waits."""
        return target in self._waiting

    def flush(self) -> None:
        """Publish what has changed. A defect there must not lose a verdict: it is tried again."""
        if not self._changed:
            return
        changed, self._changed = self._changed, {}
        try:
            self._publish(changed)
        except Exception:
            self._changed = changed | self._changed
            log.exception("verdicts could not be published; tried again in %g s", RETRY_S)
            asyncio.get_running_loop().call_later(RETRY_S, self.flush)

    async def stop(self) -> None:
        """Nothing more is published."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._resting is not None:
            self._resting.cancel()
            await asyncio.gather(self._resting, return_exceptions=True)
        self._waiting.clear()
        self._changed.clear()

    # ---------- trails ----------

    def _weigh(self, target: Target, check: Check, result: Result) -> None:
        trail = self.trails[target]
        if not result.ok and would_fall(trail, check) and (self.silent_s or self.witnesses):
            self._waiting.setdefault(target, result)
            self._pursue_soon()
            return
        self._record(target, observe(trail, result, check))

    def _record(self, target: Target, after: Trail) -> None:
        before = self.trails[target]
        self.trails[target] = after
        has_turned = after.transition is not before.transition
        if not (has_turned or in_motion(before) or in_motion(after)):
            return
        check = self.checks[target.check]
        was, now = health_of(before, check), health_of(after, check)
        if not has_turned and was.flip_s == now.flip_s:
            return
        if not self._changed:
            # Results of one turn are published together: a World costs the same for all.
            asyncio.get_running_loop().call_soon(self.flush)
        self._changed[target] = now

    async def _rest(self) -> None:
        """Ends every run: after blindness trails start again from the kept states."""
        for count, target in enumerate(tuple(self.trails), 1):
            trail = self.trails.get(target)
            if trail is not None and in_motion(trail):
                self._record(target, at_rest(trail))
            if not count % A_TURN:
                await asyncio.sleep(0)

    # ---------- sight ----------

    def _prove(self, began_at: float, ended_at: float) -> None:
        self.sight = self.sight.succeeded(began_at, ended_at)
        if self.blind:
            self._see()
        if self._waiting:
            self._round.clear()  # whoever is asked from now on may prove the rest
            self._others = None
            self._count_proved()

    def _count_proved(self) -> None:
        self._count(tuple(islice(self._proved(), A_BATCH)))
        if next(self._proved(), None) is not None:
            asyncio.get_running_loop().call_soon(self._count_proved)
        elif self._waiting:
            self._pursue_soon()
        else:
            self._calm()

    def _see(self) -> None:
        if self.blind:
            self.blind = ""
            self._seeing_since = self._clock()
            self._ways.tell_blind("")

    def _go_blind(self, why: str) -> None:
        self.blind = why
        self._begin_anew()
        self._ways.tell_blind(why)

    def _begin_anew(self) -> None:
        self._calm()
        self._resting = asyncio.get_running_loop().create_task(self._rest())

    def _look_for_silence(self, now: float) -> None:
        if now - self.sight.heard_at < self.silent_s:
            return
        self._look_at = now + LOOK_GAP_S
        # Who was not asked in time could not answer: overloaded, or stopped for a while.
        patience_s = self.silent_s + self._ways.late_s()
        why = nothing_answers(self.sight, now, patience_s, self._ways.datacenters_up())
        if why:
            self._go_blind(why)

    # ---------- doubt ----------

    def _pursue_soon(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            wait_s = max(0.0, self._pursued_at + DOUBT_GAP_S - loop.time())
            self._timer = loop.call_later(wait_s, self._pursue)

    def _pursue(self) -> None:
        """Ask for a proof that we see, of whoever can give one."""
        self._timer = None
        self._pursued_at = asyncio.get_running_loop().time()
        if not self._waiting:
            return
        if self.witnesses:
            self._ways.ask_witnesses()
        elif self._round:
            return  # they have not all been heard of
        elif not (self.silent_s and (self._is_silent_start or self._why_blind())):
            self._count_all()
        else:
            self._ask_others()

    @property
    def _is_silent_start(self) -> bool:
        return self._is_starting and self.sight.proved_at is None

    def _why_blind(self) -> str:
        return nothing_left(self.sight, self._clock(), self._ways.datacenters_up())

    def _proved(self) -> Iterator[Target]:
        return (t for t, result in self._waiting.items() if self.sight.proves(result.at))

    def _believe_again(self, target: Target) -> None:
        """A failure of this target does not count any more, if one was waiting."""
        if self._waiting.pop(target, None) is not None and not self._waiting:
            self._calm()

    def _count(self, targets: Iterable[Target]) -> None:
        for target in targets:
            result = self._waiting.pop(target)
            check = self.checks[target.check]
            self._record(target, observe(self.trails[target], result, check))

    def _count_all(self) -> None:
        self._count(tuple(islice(self._waiting, A_BATCH)))
        if not self._waiting:
            self._calm()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(0.0, self._pursue)

    def _calm(self) -> None:
        self._waiting.clear()
        self._round.clear()
        self._others = None
        self._ways.calm()

    def _ask_others(self) -> None:
        """Ask some that are up; when nobody is left to be asked, this is blindness."""
        if self._others is None:
            self._others, self._size = self._candidates(), FIRST_ROUND
        some = list(islice(self._others, self._size))
        self._size = min(self._size * GROWTH, LAST_ROUND)
        self._round, self._round_at = set(some), self._clock()
        for target in reversed(some):  # who is asked last goes first
            self._ways.ask(target)
        if some:
            return
        if self._is_silent_start:
            self.conclude_start()
        elif why := self._why_blind():
            self._go_blind(why)
        else:
            self._count_all()

    def _heard_of(self, target: Target, ask_again: bool) -> None:
        """One that was asked has answered or failed; one that began before that is asked again."""
        if target not in self._round:
            return
        if ask_again:  # when it is waiting for its time again
            asyncio.get_running_loop().call_soon(self._ways.ask, target)
            return
        self._round.discard(target)
        if not self._round:
            self._pursue_soon()

    def _candidates(self) -> Iterator[Target]:
        """Those that are not down, the latest to have answered first."""
        lively = tuple(dict.fromkeys(reversed(self._lively)))
        asked = set()
        for target in lively:
            if self._may_answer(target):
                asked.add(target)
                yield target
        for target in tuple(self.trails):
            if target not in asked and self._may_answer(target):
                yield target

    def _may_answer(self, target: Target) -> bool:
        trail = self.trails.get(target)
        if trail is None or trail.state is State.DOWN or target in self._waiting:
            return False
        check = self.checks[target.check]
        return check.type in PROBED and not check.invert
