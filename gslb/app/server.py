"""The running server: one World at a time, and the jobs that replace it.

Knows: how plan, prober, engine, sockets and control address hang together, and in which
order they start, change and stop. Refuses to know: how any of them works. Invariant: a
World is replaced whole by one assignment in the loop that answers; jobs (reload, new map)
run one after the other, and one that fails leaves everything as it was.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

from gslb.app.child import Delivery, load_in_child, remap_in_child
from gslb.app.offline import open_locator
from gslb.app.question import Question, explain_question
from gslb.control.http import Control
from gslb.core.check import Target
from gslb.core.explain import Explanation
from gslb.core.health import Health, State, all_unknown
from gslb.core.policy import Family
from gslb.core.setting import Listen
from gslb.core.target import with_verdicts
from gslb.core.trail import TargetHealth, Transition
from gslb.core.world import Plan, World
from gslb.errors import ConfigError, Problem
from gslb.observe.log import ERROR, INFO, WARNING, event
from gslb.probe.monitor import Monitor
from gslb.serve.listen import Listeners
from gslb.serve.python import PythonEngine

GEO_LOOK_S = 2.0  # a new database is seen after two looks that agree

Job = Callable[[], Awaitable[Delivery]]


class Server:
    """Owns the World. Make it, `start` it, `stop` it; everything runs in one event loop."""

    def __init__(self, path: str, delivery: Delivery) -> None:
        self.path = path
        self.reloads: Counter[str] = Counter()
        self.transitions: Counter[tuple[str, str]] = Counter()
        self.reload_s = 0.0
        self.ready = False
        self._delivery = delivery
        plan = delivery.loaded.plan
        self.world = World(plan, all_unknown(plan.config.pools), 1)
        self.engine = PythonEngine(self.world, tell=_tell_fallback)
        self.monitor = Monitor(self._hear, plan.config.settings.probe)
        self.listeners: Listeners | None = None
        self.control: Control | None = None
        self.control_address: Listen | None = None
        self._locator = open_locator(plan.config)
        self._jobs = asyncio.Lock()
        self._wanted = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._told: dict[Target, float] = {}

    # ---- life -------------------------------------------------------------------------

    async def settle(self) -> None:
        """Begins to probe, and waits for first verdicts (health.md, Start)."""
        plan = self.world.plan
        self.monitor.watch(plan.config.checks, plan.targets)
        self.monitor.start()
        await self.monitor.settle(plan.config.settings.probe.settle_s)

    def start(self, listeners: Listeners) -> None:
        """Answers from now on."""
        self.listeners = listeners
        listeners.start(self.engine, self.world.plan.config.settings.tcp)
        self._tasks = [
            asyncio.create_task(self._reload_when_wanted()),
            asyncio.create_task(self._watch_maps()),
        ]
        _settle_memory()
        self.ready = True

    async def stop(self) -> None:
        """Answers what was received, then closes everything."""
        self.ready = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.listeners is not None:
            await self.listeners.stop()
        await self.monitor.stop()
        if self.control is not None:
            await self.control.stop()
        self._delivery.close()

    # ---- health -----------------------------------------------------------------------

    def _hear(self, changed: Mapping[Target, TargetHealth]) -> None:
        """Verdicts make a new World at once."""
        world = self.world
        self._tell(changed)
        health = with_verdicts(world.health, world.plan.targets, changed)
        if health is not world.health:
            self._publish(world.plan, health)

    def _publish(self, plan: Plan, health: Health) -> None:
        self.world = World(plan, health, self.world.generation + 1)
        self.engine.publish(self.world)

    def _tell(self, changed: Mapping[Target, TargetHealth]) -> None:
        """One event for each target that changed its state."""
        trails = self.monitor.snapshot()
        pools = self.world.plan.config.pools
        for target in changed:
            trail = trails.get(target)
            change: Transition | None = trail.transition if trail is not None else None
            if trail is None or change is None or change.at != trail.since:
                continue
            if self._told.get(target) == change.at:
                continue
            self._told[target] = change.at
            names = {pools[slot.pool].name for slot in self.world.plan.targets.get(target, ())}
            to = change.after.name.lower()
            for name in names:
                self.transitions[name, to] += 1
            event(
                "transition",
                level=WARNING if change.after is State.DOWN else INFO,
                check=target.check,
                address=target.address,
                port=target.port,
                pools=",".join(sorted(names)),
                before=change.before.name.lower(),
                to=to,
                why="; ".join(change.reasons[-3:]),
            )

    # ---- plans ------------------------------------------------------------------------

    def want_reload(self) -> None:
        """Asks for a reload (SIGHUP); several at once are one."""
        self._wanted.set()

    async def _reload_when_wanted(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await self.replace("reload", self._load)

    async def _watch_maps(self) -> None:
        """A database file that was replaced is swapped in, if the tests still hold."""
        while True:
            await asyncio.sleep(GEO_LOOK_S)
            changed = self._delivery.loaded.watch.look()
            if changed:
                event("geo_update", files=",".join(changed), state="compiling")
                await self.replace("geo", self._remap)

    async def _load(self) -> Delivery:
        return await load_in_child(self.path, starting=False)

    async def _remap(self) -> Delivery:
        return await remap_in_child(self.path, self._delivery.parcel)

    async def replace(self, kind: str, job: Job) -> None:
        """Runs a job and takes over its plan; a ConfigError keeps everything as it is."""
        async with self._jobs:
            started = time.monotonic()
            try:
                delivery = await job()
            except ConfigError as error:
                self.reloads["failed" if kind == "reload" else "geo_refused"] += 1
                report(error.problems)
                failed = "reload_failed" if kind == "reload" else "geo_refused"
                event(failed, level=ERROR, problems=len(error.problems), kept="the old state")
                return
            report(delivery.loaded.warnings)
            await self._take_over(kind, delivery)
            self.reload_s = time.monotonic() - started
            self.reloads["ok" if kind == "reload" else "geo_ok"] += 1
            event(
                "reload" if kind == "reload" else "geo_update",
                generation=self.world.generation,
                seconds=round(self.reload_s, 3),
                zones=len(delivery.loaded.plan.zones),
            )

    async def _take_over(self, kind: str, delivery: Delivery) -> None:
        plan = delivery.loaded.plan
        health = self.world.health
        if kind == "reload":
            config = plan.config
            self._warn_of_fixed(config.settings.listen, config.settings.control)
            self.monitor.watch(config.checks, plan.targets, config.settings.probe)
            await self.monitor.settle(config.settings.probe.settle_s)
            health = with_verdicts(all_unknown(config.pools), plan.targets, self.monitor.health())
            if self.listeners is not None:
                self.listeners.limit(config.settings.tcp)
        self._locator = open_locator(plan.config)
        self._publish(plan, health)
        previous, self._delivery = self._delivery, delivery
        previous.close()
        _settle_memory()

    def _warn_of_fixed(self, listen: tuple[Listen, ...], control: Listen | None) -> None:
        """Sockets stay as they were opened."""
        now = self.world.plan.config.settings
        if listen != now.listen or control != now.control:
            event("reload", level=WARNING, note="listen addresses change at the next restart")

    # ---- questions --------------------------------------------------------------------

    def explain(
        self, name: str, rrtype: str, client: str | None, down: tuple[str, ...]
    ) -> dict[str, object]:
        """The body of `/v1/explain`. Raises ValueError with what is wrong with the question."""
        explanation: Explanation = explain_question(
            self.world, Question(name, rrtype, client, down), self._locator.locate
        )
        return explanation.body()


def _tell_fallback(policy: str, family: Family, rule: str) -> None:
    """A policy has nothing available and answers by its last resort, or has again."""
    if rule:
        event("fallback", level=WARNING, policy=policy, family=f"IPv{family}", rule=rule)
    else:
        event("recovery", policy=policy, family=f"IPv{family}")


def report(problems: tuple[Problem, ...]) -> None:
    """One log line for each problem."""
    for problem in problems:
        level = ERROR if problem.severity == "error" else WARNING
        event("problem", level=level, text=str(problem))


def _settle_memory() -> None:
    """What was just loaded stays: the collector need not look at it again (performance.md)."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
