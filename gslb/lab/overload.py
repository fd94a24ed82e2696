"""The drill "capacity": a region fails while all are busy, without `shed` and with it.

Knows: machines that can take so much (lab/queue.py), clients that do not slow down because a page
is late. Refuses to know: how the server divides what is too much. Invariant: both runs are the
same but for `shed` in gslb.yaml, each with a server of its own; the survivors together could hold
everybody, the nearest of them alone could not.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from statistics import mean
from typing import Final

from gslb.lab.city import City, rank
from gslb.lab.client import Visit
from gslb.lab.house import House
from gslb.lab.region import Condition
from gslb.lab.report import Report, Table
from gslb.lab.stage import Plot, Stage
from gslb.lab.world import LabError, Region, Scenery

BUSY: Final = 0.7  # of what each region can take, before
CAPACITY_RPS: Final = {"fra": 24, "iad": 36, "nrt": 60}  # as in drills/capacity.yaml
EVERY_S: Final = 2.0  # one visit of each client
TTL_S: Final = 1  # each visit asks anew: what is shed is shed soon
# `low` is above BUSY: else regions hand each other what is but noise.
SHED: Final = ", shed: { low: 0.75, high: 1.0, interval: 1s }"
WARM_S: Final = 3.0
BEFORE_S: Final = 4.0
WATCH_S: Final = 24.0  # after the failure
LEFT_S: Final = 8.0  # after which nobody has the dead region's address any more
LAST_S: Final = 10.0
STEP_S: Final = 0.5
SLANT: Final = 0.1  # how far from BUSY a busy machine may have it before


@dataclass(slots=True)
class Outcome:
    """What became of one run; loads as shares, by region. `late`: lost when fra was left."""

    requests: int = 0
    lost: int = 0
    late: int = 0
    before: dict[str, float] = field(default_factory=dict)
    peak: dict[str, float] = field(default_factory=dict)
    end: dict[str, list[float]] = field(default_factory=dict)  # seen in the last LAST_S
    breakdowns: dict[str, int] = field(default_factory=dict)

    @property
    def fell(self) -> tuple[str, ...]:
        """The survivors that broke down all the same."""
        return tuple(name for name, count in self.breakdowns.items() if count)


def make_plot(shed: bool) -> Plot:
    """The same world, with and without `shed` on its pools."""
    name = "busy"
    values = {"shed": SHED if shed else ""}
    scenery = Scenery(
        "drills/capacity.yaml",
        {name: TTL_S},
        f"{name}.gslb.example.com",
        TTL_S,
        dual=False,
        values=values,
    )
    return Plot(scenery, clients=False)


async def drill_overload(house: House, report: Report) -> None:
    """Runs the drill, about 70 seconds, and fills the report."""
    outcomes = []
    for part, shed in (("without-shed", False), ("with-shed", True)):
        async with house.open(make_plot(shed), part) as stage:
            outcomes.append(await act_failure(stage, report, part.replace("-", " ")))
    without, shedding = outcomes
    report.tabulate(compare(without, shedding))
    expect_difference(report, without, shedding)


def expect_difference(report: Report, without: Outcome, shedding: Outcome) -> None:
    """Both began alike; the one fell region by region, the other did not at all."""
    for part, outcome in (("without shed", without), ("with shed", shedding)):
        loads = ", ".join(f"{name} {load:.0%}" for name, load in outcome.before.items())
        report.expect(
            f"{part}: before, every region is at {BUSY:.0%}",
            all(abs(load - BUSY) <= SLANT for load in outcome.before.values()),
            loads,
        )
    report.expect(
        "without shed: one survivor after the other falls (the failure is worth a drill)",
        len(without.fell) == 2,
        ", ".join(without.fell),
    )
    report.expect(
        "with shed: no survivor falls", not shedding.fell, ", ".join(shedding.fell) or "none"
    )
    report.expect(
        f"with shed: {LEFT_S:.0f} s after the failure nobody loses a request any more",
        shedding.late == 0,
        f"{shedding.late}; without shed {without.late}",
    )


def compare(without: Outcome, shedding: Outcome) -> Table:
    """Both runs side by side."""

    def row(what: str, one: object, other: object) -> tuple[str, str, str]:
        return what, f"{one}", f"{other}"

    rows = [
        row("requests", without.requests, shedding.requests),
        row("requests lost", without.lost, shedding.lost),
        row(f"lost later than {LEFT_S:.0f} s after the failure", without.late, shedding.late),
    ]
    for name in without.peak:
        pair = (without.peak[name], shedding.peak[name])
        rows.append(row(f"highest load of {name}", *(f"{load:.0%}" for load in pair)))
        ends = (mean(without.end[name]), mean(shedding.end[name]))
        what = f"load of {name}, the last {LAST_S:.0f} s on average"
        rows.append(row(what, *(f"{load:.0%}" for load in ends)))
        pairs = (without.breakdowns[name], shedding.breakdowns[name])
        rows.append(row(f"breakdowns of {name}", *pairs))
    return Table("the same failure twice", ("", "without shed", "with shed"), tuple(rows))


async def act_failure(stage: Stage, report: Report, act: str) -> Outcome:
    """All are busy; one is killed; the others are watched."""
    outcome, (dead, *others) = Outcome(), stage.world.regions
    for region in stage.world.regions:
        if not await stage.order(region, f"capacity?rps={CAPACITY_RPS[region.name]}"):
            raise LabError(f"{region.name} does not take its capacity")
    count = add_clients(stage)
    await asyncio.sleep(EVERY_S + WARM_S)
    outcome.before = await read_loads(stage)
    began_s = asyncio.get_running_loop().time()

    def observe(visit: Visit) -> None:
        outcome.requests += 1
        if visit.failure:
            outcome.lost += 1
            outcome.late += visit.at_s > began_s + LEFT_S

    stage.observers[1:] = [observe]
    loads = ", ".join(f"{name} {load:.0%}" for name, load in outcome.before.items())
    report.mark(f"{act}: {count} clients, {loads}")
    await stage.regions[dead.name].kill()
    report.mark(f"{act}: {dead.name} is killed")
    outcome.peak = dict.fromkeys((region.name for region in others), 0.0)
    outcome.breakdowns = dict.fromkeys(outcome.peak, 0)
    outcome.end = {region.name: [] for region in others}
    while stage.clock() < began_s + WATCH_S:
        for region in others:
            condition = await _read_condition(stage, region)
            outcome.peak[region.name] = max(outcome.peak[region.name], condition.load)
            if stage.clock() > began_s + WATCH_S - LAST_S:
                outcome.end[region.name].append(condition.load)
            if condition.breakdowns > outcome.breakdowns[region.name]:
                outcome.breakdowns[region.name] = condition.breakdowns
                report.mark(f"{act}: {region.name} breaks down at load {condition.load:.0%}")
        await asyncio.sleep(STEP_S)
    report.mark(f"{act}: {outcome.lost} of {outcome.requests} requests were lost")
    return outcome


async def read_loads(stage: Stage) -> dict[str, float]:
    """The load of each region, on average over BEFORE_S. Raises LabError."""
    seen: dict[str, list[float]] = {region.name: [] for region in stage.world.regions}
    until_s = stage.clock() + BEFORE_S
    while stage.clock() < until_s:
        for region in stage.world.regions:
            seen[region.name].append((await _read_condition(stage, region)).load)
        await asyncio.sleep(STEP_S)
    return {name: mean(loads) for name, loads in seen.items()}


async def _read_condition(stage: Stage, region: Region) -> Condition:
    condition = await stage.read_condition(region)
    if condition is None:
        raise LabError(f"{region.name} says nothing of its condition")
    return condition


def add_clients(stage: Stage) -> int:
    """As many clients as make every region busy, each with a resolver of its own; how many."""
    cities: dict[str, list[City]] = {region.name: [] for region in stage.world.regions}
    names = tuple(region.name for region in stage.world.regions)
    for city in stage.cities:
        order = rank(city, stage.world.regions)
        # Those of fra all have iad next, so that it is iad that gets all of them.
        if order[0] != names[0] or order == names:
            cities[order[0]].append(city)
    total = 0
    for name, near in cities.items():
        count = round(BUSY * CAPACITY_RPS[name] * EVERY_S)
        for index in range(count):
            city = near[index % len(near)]
            delay_s = EVERY_S * index / count
            who = f"{city.name} {index // len(near) + 1}"
            stage.add_client(city, stage.add_resolver(city), delay_s, who, EVERY_S)
        total += count
    return total
