"""The running server: one World at a time, and the jobs that replace it.

Knows: how plan, prober, engine, sockets and control address hang together, and in which
order they start, change and stop. Refuses to know: how any of them works. Invariant: a
World is replaced whole by one assignment in the loop that answers; jobs (reload, new map)
run one after the other, and one that fails leaves everything as it was.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from itertools import islice
from typing import Literal

from gslb.app.child import Delivery, load_in_child, remap_in_child
from gslb.app.notify import keep_alive, notify, notify_reloading
from gslb.app.question import Question, explain_question
from gslb.app.report import difference, reason_of, report, tell_fallback, unchangeable
from gslb.app.succession import claim
from gslb.control.http import Control
from gslb.core.check import Target
from gslb.core.explain import Explanation
from gslb.core.health import Health, State, all_unknown
from gslb.core.setting import Listen
from gslb.core.target import with_verdicts
from gslb.core.trail import TargetHealth
from gslb.core.world import Plan, World
from gslb.errors import ConfigError, Problem
from gslb.geo.database import open_maps
from gslb.geo.locate import Locator
from gslb.observe.log import ERROR, INFO, WARNING, event
from gslb.observe.log import limit as limit_log
from gslb.probe.monitor import Monitor
from gslb.serve.listen import Listeners
from gslb.serve.python import PythonEngine

GEO_LOOK_S = 2.0  # a new database is seen after two looks that agree
A_TURN = 500  # targets whose health is taken over without a pause for answers

Job = Callable[[], Awaitable[Delivery]]
Kind = Literal["reload", "geo_update"]
REFUSED = {"reload": "reload_failed", "geo_update": "geo_refused"}

_log = logging.getLogger(__name__)


class Server:
    """Owns the World. Make it, `start` it, `stop` it; everything runs in one event loop."""

    def __init__(
        self, path: str, delivery: Delivery, wanted: asyncio.Event, is_recovered: bool = False
    ) -> None:
        """`wanted` asks for a reload whenever it is set; several at once are one.

        `is_recovered`: the plan is that of the last good configuration, not of `path`.
        """
        self.path = path
        self.reloads: Counter[str] = Counter(ok=0, failed=0)
        self.transitions: Counter[tuple[str, str]] = Counter()
        self.reload_s = 0.0
        self.ready = False
        self.is_recovered = is_recovered
        self._delivery = delivery
        plan = delivery.loaded.plan
        self.world = World(plan, all_unknown(plan.config.pools), 1)
        self.engine = PythonEngine(self.world, tell=tell_fallback)
        self.monitor = Monitor(self._hear, plan.config.settings.probe)
        limit_log(plan.config.settings.limits.log_lines)
        self.listeners: Listeners | None = None
        self.control: Control | None = None
        self.control_address: Listen | None = None
        self._opened = plan.config.settings  # what was opened by these stays as it is
        self._probed = plan  # what the prober looks after; at a reload the coming plan
        self._maps, _ = open_maps(plan.config.settings.geo)
        self._locator: Locator | None = None  # made when somebody asks
        self._jobs = asyncio.Lock()
        self._claimed: int | None = None  # the lock on state/pid
        self._wanted = wanted
        self._tasks: list[asyncio.Task[None]] = []
        self._told: dict[Target, float] = {}
        self._missed: dict[Target, TargetHealth] | None = None  # heard while surveying

    # ---- life -------------------------------------------------------------------------

    async def settle(self) -> None:
        """Begins to probe, and waits for first verdicts (health.md, Start)."""
        plan = self.world.plan
        await self.monitor.watch(plan.config.checks, plan.targets)
        self.monitor.start()
        await self.monitor.settle(plan.config.settings.probe.settle_s)
        # What is here now stays: the collector need not look at it again (performance.md). Not
        # after a reload: what answers at that moment would stay for ever, and a full pass, which
        # alone could tell, takes 20 ms and more. Old plans go without it: they have no cycles.
        gc.collect()
        gc.freeze()

    def start(self, listeners: Listeners) -> None:
        """Answers from now on."""
        self.listeners = listeners
        settings = self.world.plan.config.settings
        listeners.start(self.engine, settings.tcp, settings.limits.udp_batch)
        self._tasks = [
            asyncio.create_task(self._reload_when_wanted()),
            asyncio.create_task(self._watch_maps()),
            asyncio.create_task(keep_alive()),
        ]
        self.ready = True

    def claim(self, state: str) -> tuple[Problem, ...]:
        """The state directory is this server's, for as long as it runs; a warning if it is not."""
        self._claimed, problems = claim(state)
        return problems

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
        if self._claimed is not None:
            os.close(self._claimed)
        self._delivery.close()

    # ---- health -----------------------------------------------------------------------

    def _hear(self, changed: Mapping[Target, TargetHealth]) -> None:
        """Verdicts make a new World at once."""
        world = self.world
        self._tell(changed)
        if self._missed is not None:
            self._missed.update(changed)
        health = with_verdicts(world.health, world.plan.targets, changed)
        if health is not world.health:
            self._publish(world.plan, health)

    def _publish(self, plan: Plan, health: Health) -> None:
        self.world = World(plan, health, self.world.generation + 1)
        self.engine.publish(self.world)

    def _tell(self, changed: Iterable[Target]) -> None:
        """One event for each target that changed its state."""
        trails = self.monitor.snapshot()
        config = self._probed.config
        for target in changed:
            trail = trails.get(target)
            change = trail.transition if trail is not None else None
            if change is None or self._told.get(target) == change.at:
                continue
            before_s = self._told.get(target)
            self._told[target] = change.at
            slots = self._probed.targets.get(target, ())
            pools = sorted({config.pools[slot.pool].name for slot in slots})
            to = change.after.name.lower()
            for name in pools:
                self.transitions[name, to] += 1
            event(
                "transition",
                level=WARNING if change.after is State.DOWN else INFO,
                check=target.check,
                address=target.address,
                port=target.port,
                pools=",".join(pools),
                **{"from": change.before.name.lower()},
                to=to,
                why=reason_of(change, config.checks[target.check]),
                **({} if before_s is None else {"after_s": round(change.at - before_s, 1)}),
            )

    # ---- plans ------------------------------------------------------------------------

    async def _reload_when_wanted(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            notify_reloading()
            await self.replace("reload", self._load)
            notify("READY=1")

    async def _watch_maps(self) -> None:
        """A database file that was replaced is swapped in, if the tests still hold."""
        while True:
            await asyncio.sleep(GEO_LOOK_S)
            changed = self._delivery.loaded.watch.look()
            if changed:
                await self.replace("geo_update", self._remap, files=",".join(changed))

    async def _load(self) -> Delivery:
        return await load_in_child(self.path, self._delivery.parcel)

    async def _remap(self) -> Delivery:
        return await remap_in_child(self.path, self._delivery.parcel)

    async def replace(self, kind: Kind, job: Job, **about: str) -> None:
        """Runs a job and takes over its plan; whatever goes wrong keeps everything as it is.

        `about` is told with the outcome.
        """
        async with self._jobs:
            started = time.monotonic()
            known = self._delivery.loaded.warnings if kind == "geo_update" else ()
            try:
                delivery = await job()
                report(delivery.loaded.warnings, known)
                about |= difference(self.world.plan, delivery.loaded.plan)
                await self._take_over(kind, delivery)
            except ConfigError as error:
                report(error.problems, known)
                errors = sum(problem.severity == "error" for problem in error.problems)
                self._refuse(kind, about, errors)
                return
            except Exception:
                _log.exception("%s failed", kind)
                self._refuse(kind, about, 1)
                return
            took_s = time.monotonic() - started
            if kind == "reload":
                self.reload_s = took_s
                self.reloads["ok"] += 1
                if self.is_recovered:
                    self.is_recovered = False
                    about["instead_of"] = "the last good configuration"
            event(
                kind,
                level=INFO,
                **about,
                generation=self.world.generation,
                seconds=round(took_s, 3),
            )

    def _refuse(self, kind: Kind, about: Mapping[str, str], errors: int) -> None:
        if kind == "reload":
            self.reloads["failed"] += 1
        kept = "the last good configuration" if self.is_recovered else "the old state"
        event(REFUSED[kind], level=ERROR, **about, errors=errors, kept=kept)

    async def _take_over(self, kind: Kind, delivery: Delivery) -> None:
        """Everything that takes long in slices; what changes answers, in one turn at the end."""
        plan = delivery.loaded.plan
        settings = plan.config.settings
        maps, _ = open_maps(settings.geo)
        if kind == "reload":
            report(unchangeable(self.path, self._opened, settings))
            self._probed = plan
            await self.monitor.watch(plan.config.checks, plan.targets, settings.probe)
            await self.monitor.settle(settings.probe.settle_s)
            self._told = {target: at for target, at in self._told.items() if target in plan.targets}
            await self._prepare(plan)
            health = await self._survey(plan)
            if self.listeners is not None:
                self.listeners.limit(settings.tcp, settings.limits.udp_batch)
            if self.control is not None:
                self.control.max_body = settings.max_body
                self.control.tokens = settings.tokens
            limit_log(settings.limits.log_lines)
        else:
            await self._prepare(plan)
            health = self.world.health
        self._publish(plan, health)
        self._maps, self._locator = maps, None
        previous, self._delivery = self._delivery, delivery
        previous.close()

    async def _prepare(self, plan: Plan) -> None:
        for _ in self.engine.prepare(plan):
            await asyncio.sleep(0)

    async def _survey(self, plan: Plan) -> Health:
        """The health of a plan's pools by what the prober knows at the end of this."""
        missed: dict[Target, TargetHealth] = {}
        self._missed = missed
        health = all_unknown(plan.config.pools)
        rest = iter(plan.targets)
        while some := tuple(islice(rest, A_TURN)):
            health = with_verdicts(health, plan.targets, self.monitor.health(some))
            await asyncio.sleep(0)
        self._missed = None
        return with_verdicts(health, plan.targets, missed)

    # ---- questions --------------------------------------------------------------------

    def explain(
        self, name: str, rrtype: str, client: str | None, down: tuple[str, ...]
    ) -> dict[str, object]:
        """The body of `/v1/explain`. Raises ValueError with what is wrong with the question."""
        if self._locator is None:
            self._locator = Locator(self.world.plan.config, self._maps)
        explanation: Explanation = explain_question(
            self.world, Question(name, rrtype, client, down), self._locator.locate
        )
        return explanation.body()
