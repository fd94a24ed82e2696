"""What a drill sees of clients, verdicts and answers, and what it expects of them.

Knows: visits, arrivals, losses, how long a change may take and how much it may cost.
Refuses to know: what was broken, and where clients and servers run. Invariant: every wait
ends, and what did not happen in time is an expectation that failed, never a hang.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from gslb.lab.report import Passage, Report

STEP_S: Final = 0.05  # how often things are looked at: what is measured is this precise


@dataclass(frozen=True, slots=True)
class Note:
    """A visit that ended `at_s` on the loop's clock. `failure`: "" if the page came.

    `region`: whose page it was, or whose address was asked for it; "" if there was none.
    """

    at_s: float
    who: str
    region: str
    failure: str


@dataclass(slots=True)
class Diary:
    """The visits of one act: who moved where and when, and what was lost."""

    expected: dict[str, str]  # who → region
    notes: list[Note] = field(default_factory=list)
    arrived_s: dict[str, float] = field(default_factory=dict)

    def observe(self, note: Note) -> None:
        """Notes a visit; one has arrived at the first page from the expected region."""
        self.notes.append(note)
        if not note.failure and note.region == self.expected[note.who]:
            self.arrived_s.setdefault(note.who, note.at_s)

    @property
    def complete(self) -> bool:
        """True if everyone has arrived."""
        return len(self.arrived_s) == len(self.expected)

    @property
    def last(self) -> str:
        """Who arrived last, "" if nobody has."""
        return max(self.arrived_s, key=lambda who: self.arrived_s[who], default="")

    @property
    def lost(self) -> list[Note]:
        """The visits without a page."""
        return [note for note in self.notes if note.failure]

    def strays(self) -> list[Note]:
        """Visits to another region than the expected one after the arrival there.

        Who got no answer has lost a request, and gone nowhere.
        """
        return [
            note
            for note in self.notes
            if note.at_s > self.arrived_s.get(note.who, note.at_s)
            and note.region not in ("", self.expected[note.who])
        ]


@dataclass(frozen=True, slots=True)
class Limits:
    """How long each part of a change may take, in seconds; `ttl_s` is the record's."""

    verdict_s: float
    publish_s: float
    ttl_s: int
    slack_s: float  # beyond the TTL: clients pause between visits, and wait for one that fails

    @property
    def caches_s(self) -> float:
        """From the new answer to the last client."""
        return self.ttl_s + self.slack_s


@dataclass(frozen=True, slots=True)
class Bound:
    """How many requests a change may cost: `clients` at `rate` visits a second, all failing.

    A visit that times out takes longer than one that is refused, so mostly it costs less.
    """

    clients: int
    rate: int
    limits: Limits

    @property
    def requests(self) -> int:
        """The visits begun while the change takes its time, and one each that was on its way."""
        limits = self.limits
        window_s = limits.verdict_s + limits.publish_s + limits.caches_s
        return self.clients * (math.ceil(self.rate * window_s) + 1)

    def __str__(self) -> str:
        limits = self.limits
        noun = "client" if self.clients == 1 else "clients"
        return (
            f"at most {self.requests}: {self.clients} {noun} x ({self.rate} visits a second x"
            f" (verdict {limits.verdict_s:g} s + publish {limits.publish_s:g} s + TTL"
            f" {limits.ttl_s} s + {limits.slack_s:g} s) + 1 on its way)"
        )


@dataclass(slots=True)
class Sighting:
    """What was seen of a change, on the clock: a verdict per address, and the first new answer."""

    verdicts_s: list[float] = field(default_factory=list)
    answer_s: float | None = None

    @property
    def verdict_s(self) -> float | None:
        """The verdict that the answer followed: each address has its own, IPv4 and IPv6.

        It is the last one before the answer; both are seen by looking, so STEP_S may lie
        between what happened at once.
        """
        before = [at_s for at_s in self.verdicts_s if at_s <= (self.answer_s or 0.0) + 2 * STEP_S]
        return before[-1] if before else next(iter(self.verdicts_s), None)

    @property
    def publish_s(self) -> float | None:
        """From the verdict to the answer; None while one of them is missing."""
        if self.verdict_s is None or self.answer_s is None:
            return None
        # Both were seen by looking every STEP_S, so the answer may seem to come first.
        return max(0.0, self.answer_s - self.verdict_s)


async def wait_for(happened: Callable[[], Awaitable[bool]], at_most_s: float) -> bool:
    """Looks every STEP_S until it has happened; False if it has not in time."""
    clock = asyncio.get_running_loop().time
    deadline_s = clock() + at_most_s
    while not await happened():
        if clock() > deadline_s:
            return False
        await asyncio.sleep(STEP_S)
    return True


async def wait_until(happened: Callable[[], bool], at_most_s: float) -> bool:
    """`wait_for` of something that needs no waiting to see."""

    async def look_now() -> bool:
        return happened()

    return await wait_for(look_now, at_most_s)


def expect_places(report: Report, what: str, diary: Diary) -> None:
    """Everyone arrived where expected and stayed there."""
    missing = sorted(set(diary.expected) - set(diary.arrived_s))
    away = sorted({note.who for note in diary.strays()})
    detail = f"{len(diary.arrived_s)} of {len(diary.expected)}"
    if missing:
        detail += f"; never: {', '.join(missing)}"
    if away:
        detail += f"; left again: {', '.join(away)}"
    report.expect(what, not missing and not away, detail)


def expect_none(report: Report, what: str, notes: list[Note]) -> None:
    """Nothing was lost; else how much, and the first one's reason."""
    detail = f"{len(notes)}, the first from {notes[0].who}: {notes[0].failure}" if notes else ""
    report.expect(what, not notes, detail)


def expect_answers(report: Report, act: str, diary: Diary) -> None:
    """Whatever was lost, it was not for want of an answer."""
    expect_none(
        report,
        f"{act}: every question is answered",
        [note for note in diary.lost if not note.region],
    )


def expect_none_once_moved(report: Report, act: str, diary: Diary) -> None:
    """What a bound must not hide: nothing is lost when the last client is where it belongs."""
    last_s = max(diary.arrived_s.values(), default=0.0)
    expect_none(
        report,
        f"{act}: no request is lost after the last client moved",
        [note for note in diary.lost if note.at_s > last_s],
    )


def expect_losses(report: Report, act: str, diary: Diary, bound: Bound) -> None:
    """What was lost is within its bound, which is printed with how it is made up."""
    count = len(diary.lost)
    report.expect(
        f"{act}: the requests lost are bounded", count <= bound.requests, f"{count}; {bound}"
    )


def expect_passage(
    report: Report, act: str, began_s: float, seen: Sighting, diary: Diary, limits: Limits
) -> None:
    """The verdict, the first new answer and the last client came, each in its time."""
    verdict_s, answer_s, publish_s = seen.verdict_s, seen.answer_s, seen.publish_s
    report.expect(
        f"{act}: the verdict comes within {limits.verdict_s:.0f} s",
        verdict_s is not None and verdict_s - began_s <= limits.verdict_s,
        "" if verdict_s is None else f"{verdict_s - began_s:.2f} s",
    )
    report.expect(f"{act}: the answer changes", answer_s is not None)
    expect_places(report, f"{act}: every client goes where it should and stays", diary)
    if verdict_s is None or answer_s is None or publish_s is None or not diary.complete:
        return
    report.expect(
        f"{act}: the answer changes within {limits.publish_s:.0f} s of the verdict",
        publish_s <= limits.publish_s,
        f"{publish_s:.2f} s",
    )
    changed_s = max(verdict_s, answer_s)
    caches_s = max(0.0, max(diary.arrived_s.values()) - changed_s)
    report.expect(
        f"{act}: the last client moves within the TTL of {limits.ttl_s} s and {limits.slack_s:g} s",
        caches_s <= limits.caches_s,
        f"{caches_s:.2f} s after the answer changed",
    )
    report.measure(Passage(act, verdict_s - began_s, publish_s, caches_s))
