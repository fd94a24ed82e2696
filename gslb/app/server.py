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
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from typing import Literal

from gslb.app import chronicle
from gslb.app.child import Delivery, load_in_child, remap_in_child
from gslb.app.desk import Desk
from gslb.app.notify import keep_alive, notify, notify_reloading
from gslb.app.outlook import Outlook
from gslb.app.question import Question, explain_question
from gslb.app.report import difference, report, tell_fallback, unchangeable
from gslb.app.succession import claim
from gslb.control.http import Control
from gslb.control.state import StateStore
from gslb.core.explain import Explanation
from gslb.core.health import Health, all_unknown
from gslb.core.setting import Listen
from gslb.core.world import Plan, World
from gslb.errors import ConfigError, Problem
from gslb.geo.database import open_maps
from gslb.geo.locate import Locator
from gslb.observe.log import ERROR, INFO, event
from gslb.observe.log import limit as limit_log
from gslb.serve.listen import Listeners
from gslb.serve.python import PythonEngine

GEO_LOOK_S = 2.0  # a new database is seen after two looks that agree
COLLECT_S = 60.0
NEVER = 1 << 30  # passes of the middle generation
CERTIFICATE_LOOK_S = 10.0
AGAIN_S = 10.0  # a job that broke off goes on after so long

Job = Callable[[], Awaitable[Delivery]]
Kind = Literal["reload", "geo_update"]
REFUSED = {"reload": "reload_failed", "geo_update": "geo_refused"}

_log = logging.getLogger(__name__)


async def persist(job: Callable[[], Awaitable[None]]) -> None:
    """Runs a job of the background until it is done: nobody looks at its task, so that a defect
    would end it in silence."""
    while True:
        try:
            return await job()
        except Exception:
            name = getattr(job, "__name__", "a job").strip("_")
            _log.exception("%s broke off; it goes on in %g s", name, AGAIN_S)
            await asyncio.sleep(AGAIN_S)


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
        self.reload_s = 0.0
        self.ready = False
        self.is_recovered = is_recovered
        self._delivery = delivery
        plan = delivery.loaded.plan
        settings = plan.config.settings
        self.world = World(plan, all_unknown(plan.config.pools), 1)
        self.store = StateStore(
            settings.state, tell=self._tell_state, keep_s=settings.events_keep_s
        )
        self.outlook = Outlook(plan, self.store, self._publish_health)
        self.desk = Desk(lambda: self.world, self.outlook, self.store)
        self.engine = PythonEngine(self.world, tell=tell_fallback)
        limit_log(settings.limits.log_lines)
        self.listeners: Listeners | None = None
        self.control: Control | None = None
        self.control_address: Listen | None = None
        self._opened = settings  # what was opened by these stays as it is
        self._maps, _ = open_maps(settings.geo)
        self._locator: Locator | None = None  # made when somebody asks
        self._jobs = asyncio.Lock()
        self._claimed: int | None = None  # the lock on state/pid
        self._wanted = wanted
        self._tasks: list[asyncio.Task[None]] = []
        self._kept = ExitStack()  # what hears of events
        self._is_unread = False  # what is kept could not be read at the start

    # ---- life -------------------------------------------------------------------------

    async def settle(self) -> None:
        """Remembers, begins to probe, and waits for first verdicts (health.md, Start)."""
        self._kept.enter_context(chronicle.keeping(self.store.keep_event, time.time))
        memory = await self.store.open()
        self._is_unread = bool(self.store.problem)
        await self.outlook.begin(memory)
        # What is here now stays: the collector need not look at it again (performance.md). Not
        # after a reload: what answers at that moment would stay for ever, and a full pass, which
        # alone could tell, takes 20 ms and more. Old plans go without it: they have no cycles.
        gc.collect()
        gc.freeze()
        # Every probe replaces a trail, and whenever a quarter of what is old was replaced Python
        # would look through all of it: 20 ms with 10 000 targets, every few seconds, in which
        # hundreds of queries pile up. Trails have no cycles; for what has, once a minute is enough.
        gc.set_threshold(*gc.get_threshold()[:2], NEVER)

    def start(self, listeners: Listeners) -> None:
        """Answers from now on."""
        self.listeners = listeners
        settings = self.world.plan.config.settings
        listeners.start(self.engine, settings.tcp, settings.limits.udp_batch)
        for job in (
            self._reload_when_wanted,
            self._watch_maps,
            keep_alive,
            self._watch_certificates,
            self._collect,
        ):
            self._begin(job)
        self.ready = True

    def _begin(self, job: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(asyncio.create_task(persist(job)))

    async def inherit(self) -> None:
        """What is kept now counts: a predecessor wrote it last (`--replace`), or it could not be
        read at the start."""
        self.outlook.hand.await_memory()
        self.outlook.restore(await self.store.reread())

    def claim(self, state: str) -> tuple[Problem, ...]:
        """The state directory is this server's, for as long as it runs; a warning if it is not."""
        self._claimed, problems = claim(state)
        return problems

    async def stop(self, why: str = "") -> None:
        """Answers what was received, then closes everything. `why` is told, and kept."""
        self.ready = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.listeners is not None:
            await self.listeners.stop()
        if self.control is not None:
            await self.control.stop()
        await self.outlook.stop()
        if why:
            event("stop", why=why)
        await self.store.close()
        self._kept.close()
        if self._claimed is not None:
            os.close(self._claimed)
        self._delivery.close()

    # ---- health -----------------------------------------------------------------------

    def _publish(self, plan: Plan, health: Health) -> None:
        self.world = World(plan, health, self.world.generation + 1)
        self.engine.publish(self.world)

    def _publish_health(self, health: Health) -> None:
        self._publish(self.world.plan, health)

    def _tell_state(self, why: str) -> None:
        """The store cannot be written (once a minute at most), had to be set aside, or is well."""
        state = self.store.problem
        words = "nothing survives a restart meanwhile; answers go on" if state else ""
        level = ERROR if why else INFO
        event("state", level=level, why=why or "kept again", **({"note": words} if words else {}))
        if not state and self._is_unread:
            self._is_unread = False
            self._begin(self.inherit)

    async def _watch_certificates(self) -> None:
        while True:
            self.outlook.look_at_certificates()
            await asyncio.sleep(CERTIFICATE_LOOK_S)

    async def _collect(self) -> None:
        while True:
            await asyncio.sleep(COLLECT_S)
            gc.collect()

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
                errors = [each for each in error.problems if each.severity == "error"]
                self._refuse(kind, about, len(errors), str(errors[0]) if errors else "")
                return
            except Exception:
                _log.exception("%s failed", kind)
                self._refuse(kind, about, 1, "a defect of gslb: the log has a traceback")
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

    def _refuse(self, kind: Kind, about: Mapping[str, str], errors: int, why: str) -> None:
        """`why` is the first error: the log has all, the history of events only this."""
        if kind == "reload":
            self.reloads["failed"] += 1
        kept = "the last good configuration" if self.is_recovered else "the old state"
        event(REFUSED[kind], level=ERROR, **about, errors=errors, kept=kept, why=why)

    async def _take_over(self, kind: Kind, delivery: Delivery) -> None:
        """Everything that takes long in slices; what changes answers, in one turn at the end."""
        plan = delivery.loaded.plan
        settings = plan.config.settings
        maps, _ = open_maps(settings.geo)
        if kind == "reload":
            report(unchangeable(self.path, self._opened, settings))
            await self.outlook.expect(plan)
            await self._prepare(plan)
            health = await self.outlook.survey(plan)
            self.outlook.take_over(plan, health)
            if self.listeners is not None:
                self.listeners.limit(settings.tcp, settings.limits.udp_batch)
            if self.control is not None:
                self.control.max_body = settings.max_body
                self.control.tokens = settings.tokens
            limit_log(settings.limits.log_lines)
            self.store.keep_s = settings.events_keep_s
            self.store.forget_health(plan.targets)
        else:
            await self._prepare(plan)
            self.outlook.follow(plan)
        self._publish(plan, self.outlook.health)
        self._maps, self._locator = maps, None
        previous, self._delivery = self._delivery, delivery
        previous.close()

    async def _prepare(self, plan: Plan) -> None:
        for _ in self.engine.prepare(plan):
            await asyncio.sleep(0)

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
