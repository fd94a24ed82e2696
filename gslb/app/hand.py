"""The operator's hand on a running server: the overrides there are, set, cleared, expired.

Knows: their set, that each change is an event with who and why, that it is kept before it is
acknowledged. Refuses to know: what an override does to answers (core/override.py), HTTP, files.
Invariant: what is in memory counts; a store that cannot be written costs the memory of a restart
and nothing else, and whoever asked is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from gslb.control.body import stamp
from gslb.control.state import StateStore
from gslb.core.override import SERVER, Override
from gslb.core.policy import Pool
from gslb.observe.log import WARNING, event

Key = tuple[str, str]
NOT_KEPT = "it will not survive a restart of the server: "


class Hand:
    """`changed` is called, in the loop, whenever the set of overrides is another one."""

    def __init__(self, store: StateStore, changed: Callable[[], None]) -> None:
        self._store = store
        self._changed = changed
        self._overrides: dict[Key, Override] = {}
        self._changed_here: set[Key] = set()
        self._writing: set[asyncio.Task[bool]] = set()
        # Another server still writes what is kept, and may have it newer: until `await_memory`.
        self.is_heir = False

    @property
    def overrides(self) -> tuple[Override, ...]:
        """All there are, in the order in which they were set."""
        return tuple(self._overrides.values())

    def find(self, kind: str, name: str) -> Override | None:
        """The override of an object, if there is one."""
        return self._overrides.get((kind, name))

    def restore(self, overrides: Iterable[Override]) -> None:
        """What was kept is in force again, but for what was changed here since `await_memory`;
        nothing is told, nothing called."""
        kept: dict[Key, Override] = {(each.kind, each.name): each for each in overrides}
        for key in self._changed_here:
            kept.pop(key, None)
            if key in self._overrides:
                kept[key] = self._overrides[key]
        self._overrides = kept

    def await_memory(self) -> None:
        """What is changed from now on is newer than what `restore` will bring."""
        self.is_heir = False
        self._changed_here.clear()

    async def put(self, override: Override, source: str) -> bool:
        """In force at once; True when it is kept as well."""
        before = self.find(override.kind, override.name)
        self._set(override)
        _tell(override, before, source)
        self._changed()
        return await self._store.put_override(override)

    async def drop(self, override: Override, who: str, why: str, source: str) -> bool:
        """No longer in force; True when that is kept as well."""
        self._remove(override)
        event(
            "override",
            level=WARNING,
            object=f"{override.kind}/{override.name}",
            **{"from": override.state},
            to="none",
            who=who,
            why=why,
            source=source,
        )
        self._changed()
        return await self._store.drop_override(override.kind, override.name)

    def expire(self, now: float) -> None:
        """Ends those whose time has come."""
        over = [each for each in self.overrides if each.until is not None and each.until <= now]
        for each in over:
            self._remove(each)
            event(
                "expiry",
                level=WARNING,
                object=f"{each.kind}/{each.name}",
                **{"from": each.state},
                to="none",
                who=each.who,
                why=each.why,
            )
            self._write(each, None)

    def hold(self, pool: Pool, now: float) -> None:
        """`manual_resume`: a pool that failed, and has no override, stays out until somebody says
        so (health.md)."""
        release = f"gslb override pool/{pool.name} clear --why TEXT"
        why = f"it failed; manual_resume: out until `{release}`"
        drain = Override("pool", pool.name, "drain", SERVER, why, now, now)
        self._set(drain)
        _tell(drain, None, SERVER)
        self._write(drain, drain)

    def _set(self, override: Override) -> None:
        key = (override.kind, override.name)
        self._overrides.pop(key, None)  # the newest is the last
        self._overrides[key] = override
        self._changed_here.add(key)

    def _remove(self, override: Override) -> None:
        key = (override.kind, override.name)
        self._overrides.pop(key, None)
        self._changed_here.add(key)

    def _write(self, about: Override, now_is: Override | None) -> None:
        """What nobody waits for; the store tries again by itself what it cannot write now."""
        if self.is_heir:
            return  # what is restored is looked at as this was
        store = self._store
        task = asyncio.create_task(
            store.drop_override(about.kind, about.name)
            if now_is is None
            else store.put_override(now_is)
        )
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)


def _tell(override: Override, before: Override | None, source: str) -> None:
    event(
        "override",
        level=WARNING,
        object=f"{override.kind}/{override.name}",
        **{"from": before.state if before is not None else "none"},
        to=override.state,
        who=override.who,
        why=override.why,
        source=source,
        **({} if override.until is None else {"until": stamp(override.until)}),
        **(
            {}
            if override.effective_at <= override.at
            else {"effective": stamp(override.effective_at)}
        ),
    )
