"""A whole monitor in leaping time, on a network that is made up: what its stories are told with."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import inf

import pytest
from gslb.core.check import Check, Target
from gslb.core.health import State
from gslb.core.setting import ProbeSettings, Witness
from gslb.core.trail import Result, TargetHealth, Trail
from gslb.probe.connection import Means
from gslb.probe.monitor import Monitor
from hypothesis import settings
from hypothesis import strategies as st

from leap import LeapingLoop

WITNESS = Witness("tcp", "192.0.2.53", 53)
OTHER = Witness("tcp", "192.0.2.54", 53)
WEB = Check("web", "tcp", 80, interval_s=5.0, timeout_s=2.0, fall=3, rise=2)
RTT_S = 0.01
NOTICED_S = 0.02  # a reply that has arrived waits for a busy loop, maybe longer than the cable
SETTLED_S = 15.0  # when every story's accident happens, at the earliest


@dataclass
class Network:
    """Targets by data center; a target or a witness answers until it dies, if we are not cut."""

    centers: dict[Target, str]
    cut: tuple[float, float] = (inf, inf)
    died: dict[Target | Witness, float] = field(default_factory=dict)
    rtt_s: dict[Target | Witness, float] = field(default_factory=dict)
    is_loud: bool = False  # a cut is told at once ("no route"), not found by waiting
    asked: list[tuple[float, Target]] = field(default_factory=list)

    def _is_cut(self) -> bool:
        return self.cut[0] <= asyncio.get_running_loop().time() < self.cut[1]

    async def _answers(self, who: Target | Witness, timeout_s: float) -> Result:
        now = asyncio.get_running_loop().time
        was_cut = self._is_cut()
        if was_cut and self.is_loud:
            return Result(False, "no route", None, now())
        rtt_s = self.rtt_s.get(who, RTT_S)
        await asyncio.sleep(rtt_s)
        if was_cut or self._is_cut() or self.died.get(who, inf) <= now():
            await asyncio.sleep(timeout_s - rtt_s)
            return Result(False, f"timeout after {timeout_s} s", None, now())
        await asyncio.sleep(NOTICED_S)
        return Result(True, "", RTT_S, now())

    async def attempt(self, check: Check, target: Target, means: Means) -> Result:
        self.asked.append((asyncio.get_running_loop().time(), target))
        return await self._answers(target, check.timeout_s)

    async def probe_witness(self, witness: Witness, means: Means, timeout_s: float) -> Result:
        return await self._answers(witness, timeout_s)


class Story:
    """A monitor on a network, and everything that it ever published."""

    def __init__(
        self,
        network: Network,
        *,
        checks: Mapping[str, Check] | None = None,
        witness: tuple[Witness, ...] = (),
        remembered: Mapping[Target, tuple[State, float]] | None = None,
        concurrency: int = 512,
    ) -> None:
        self.network = network
        self.states: dict[Target, State] = dict.fromkeys(network.centers, State.UNKNOWN)
        self.states |= {target: state for target, (state, _) in (remembered or {}).items()}
        self.falls: list[tuple[float, Target]] = []
        self.most_at_once = 0
        self.defects = 0  # of whoever is told next
        self.blind: list[tuple[float, str]] = []
        self.now = asyncio.get_running_loop().time
        self.monitor = Monitor(
            self._hear,
            ProbeSettings(witness=witness, concurrency=concurrency),
            clock=self.now,
            datacenters_up=self._count,
            tell_blind=self._hear_blind,
        )
        self._checks = checks or {"web": WEB}
        trails = {target: Trail(at, state) for target, (state, at) in (remembered or {}).items()}
        self.monitor.remember(trails)

    def _break(self) -> None:
        is_broken, self.defects = self.defects > 0, max(0, self.defects - 1)
        if is_broken:
            raise ValueError("a defect")

    def _hear_blind(self, why: str) -> None:
        self.blind.append((self.now(), why))
        self._break()

    def _hear(self, changed: Mapping[Target, TargetHealth]) -> None:
        if not self.monitor.blind:
            self._break()
        self.most_at_once = max(self.most_at_once, len(changed))
        for target, health in changed.items():
            if health.state is State.DOWN and self.states[target] is not State.DOWN:
                self.falls.append((self.now(), target))
            self.states[target] = health.state

    def _count(self) -> int:
        centers = self.network.centers
        return len({centers[t] for t, state in self.states.items() if state is State.UP})

    async def begin(self) -> None:
        await self.monitor.watch(self._checks, self.network.centers)
        self.monitor.start()
        await self.monitor.settle(10.0)

    async def until(self, at: float) -> None:
        await asyncio.sleep(at - self.now())

    def those(self, state: State) -> set[Target]:
        return {target for target, each in self.states.items() if each is state}


def stop_for(seconds: float) -> None:
    """The process stands still, and its clock does not."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, LeapingLoop)
    loop.stand_still(seconds)


def world(*centers: int, check: str = "web") -> dict[Target, str]:
    """So many targets in each data center."""
    return {
        Target(check, f"10.{number}.{n // 250}.{n % 250}", 80): f"dc{number}"
        for number, count in enumerate(centers)
        for n in range(count)
    }


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probes of the story that is told go to its network."""

    async def attempt(check: Check, target: Target, means: Means) -> Result:
        return await telling[0].attempt(check, target, means)

    async def probe_witness(witness: Witness, means: Means, timeout_s: float) -> Result:
        return await telling[0].probe_witness(witness, means, timeout_s)

    monkeypatch.setattr("gslb.probe.monitor.attempt", attempt)
    monkeypatch.setattr("gslb.probe.witness.probe_witness", probe_witness)


telling: list[Network] = []


def on(network: Network) -> Network:
    telling[:] = [network]
    return network


checks = st.builds(
    lambda interval_s, share, fall, rapid: replace(
        WEB, interval_s=interval_s, timeout_s=interval_s * share, fall=fall, rapid=rapid
    ),
    st.sampled_from([1.0, 5.0]),
    st.sampled_from([0.1, 0.4, 0.9]),
    st.integers(1, 4),
    st.booleans(),
)
few = settings(max_examples=30)  # each is a minute of a whole prober
sizes = st.lists(st.integers(1, 6), min_size=2, max_size=3)
witnesses = st.sampled_from([(), (WITNESS,), (WITNESS, OTHER)])
