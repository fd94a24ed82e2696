"""Witnesses on real sockets: asked at once, and again when somebody wants to know."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from gslb.core.setting import Witness
from gslb.probe.connection import Means
from gslb.probe.witness import Witnesses

from endpoint import Endpoints, silence

Heard = asyncio.Queue[tuple[bool, float, float]]


@pytest.fixture
def heard() -> Heard:
    return asyncio.Queue()


@pytest.fixture
async def witnesses(heard: Heard) -> AsyncIterator[Witnesses]:
    made = Witnesses(lambda *what: heard.put_nowait(what), time.monotonic)
    yield made
    await made.stop()


async def test_a_witness_is_asked_at_once_and_again_when_wanted(
    endpoints: Endpoints, witnesses: Witnesses, heard: Heard, means: Means
) -> None:
    witness = Witness("tcp", "127.0.0.1", await endpoints.open(silence))
    assert witnesses.watch([witness], means)
    assert witnesses.latest == {witness: None}
    witnesses.start()
    ok, began_at, ended_at = await heard.get()
    assert ok
    assert began_at <= ended_at
    assert witnesses.latest == {witness: ""}
    wanted_at = time.monotonic()
    witnesses.ask()
    _, began_at, _ = await heard.get()
    assert began_at >= wanted_at


async def test_one_that_is_dead_says_why_and_holds_up_no_other(
    endpoints: Endpoints, witnesses: Witnesses, heard: Heard, means: Means, closed_port: int
) -> None:
    dead = Witness("tcp", "127.0.0.1", closed_port)
    alive = Witness("tcp", "127.0.0.1", await endpoints.open(silence))
    witnesses.watch([dead, alive], means)
    witnesses.start()
    assert {(await heard.get())[0] for _ in range(2)} == {True, False}
    assert witnesses.latest == {dead: "connect refused", alive: ""}


async def test_one_that_may_not_be_asked_at_all_fails(
    witnesses: Witnesses, heard: Heard, means: Means
) -> None:
    witness = Witness("tcp", "127.0.0.1", 80)
    witnesses.watch([witness], replace(means, allow=()))
    witnesses.start()
    assert not (await heard.get())[0]
    assert witnesses.latest[witness].startswith("not probed: 127.0.0.1 ")


async def test_our_own_shortage_is_a_failure_of_the_witness_that_says_so(
    witnesses: Witnesses, heard: Heard, means: Means, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def exhausted(*_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("gslb.probe.witness.probe_witness", exhausted)
    witness = Witness("icmp", "192.0.2.1")
    witnesses.watch([witness], means)
    witnesses.start()
    assert not (await heard.get())[0]
    assert witnesses.latest == {witness: "cannot be asked: Too many open files"}


async def test_a_reload_keeps_those_that_stay_and_stops_those_that_leave(
    endpoints: Endpoints, witnesses: Witnesses, heard: Heard, means: Means
) -> None:
    stays, leaves, comes = [
        Witness("tcp", "127.0.0.1", await endpoints.open(silence)) for _ in range(3)
    ]
    witnesses.watch([stays, leaves], means)
    witnesses.start()
    for _ in range(2):
        await heard.get()
    assert not witnesses.watch([leaves, stays], means)
    assert witnesses.watch([stays, comes], means)
    witnesses.start()
    assert witnesses.latest == {stays: "", comes: None}
    await heard.get()
    assert witnesses.latest == {stays: "", comes: ""}
    await witnesses.stop()
    assert len(asyncio.all_tasks()) == 1 + len(await _servers())


async def _servers() -> set[asyncio.Task[object]]:
    """Tasks of endpoints that still listen to a closed witness."""
    return {task for task in asyncio.all_tasks() if "talk" in repr(task.get_coro())}
