"""The operator's act: both servers have to obey, and it is released however it ends."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from gslb.lab.drain import DRAIN, RELEASE, TOLD, act_drained
from gslb.lab.engine import Container, EngineError, open_engine
from gslb.lab.metric import Sample
from gslb.lab.outage import expect_few_changes
from gslb.lab.report import Report
from gslb.lab.scene import Scene
from gslb.lab.screen import Screen

from .miniature import Miniature, open_miniature

NS1 = Container("01", TOLD.name, "world", True, False, 812, 0, ())
Obey = Callable[[Miniature, str], int]


def sends(mini: Miniature, region: str, *, servers: int = 2) -> int:
    """The servers do as they are told, and the client follows; the command's exit status."""
    for server in mini.servers[:servers]:
        server.region = region
    for family in (4, 6):
        mini.visit(region, family=family)
    return 0


@asynccontextmanager
async def operated(folder: Path, obey: Obey) -> AsyncIterator[tuple[Scene, list[str]]]:
    """A lab in which `gslb` in ns1 does what `obey` does; and the commands that came."""
    commands: list[str] = []
    async with open_miniature() as mini:

        async def make(request: web.Request) -> web.Response:
            commands.append(" ".join((await request.json())["Cmd"]))
            return web.json_response({"Id": "07"})

        async def start(request: web.Request) -> web.Response:
            status.append(obey(mini, "iad" if commands[-1] == " ".join(DRAIN) else "fra"))
            return web.Response(body=b"\1\0\0\0\0\0\0\4done")

        async def tell(request: web.Request) -> web.Response:
            return web.json_response({"ExitCode": status[-1]})

        status: list[int] = []
        app = web.Application()
        app.router.add_post("/containers/01/exec", make)
        app.router.add_post("/exec/07/start", start)
        app.router.add_get("/exec/07/json", tell)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.UnixSite(runner, str(folder / "engine.sock")).start()
        clock = asyncio.get_running_loop().time
        report = Report("test", Screen(io.StringIO()), clock, clock())
        watching = asyncio.create_task(mini.watch.run())
        try:
            async with open_engine(folder / "engine.sock") as engine:
                scene = Scene(engine, mini.watch, report, {TOLD.name: NS1}, {}, 0, quiet_s=0.0)
                yield scene, commands
        finally:
            watching.cancel()
            await runner.cleanup()


def failed(scene: Scene) -> list[str]:
    return [one.what for one in scene.report.expectations if not one.passed]


async def test_a_drain_that_reaches_everybody_and_is_released_is_well(tmp_path: Path) -> None:
    async with operated(tmp_path, sends) as (scene, commands):
        await act_drained(scene)
        assert failed(scene) == []
        assert commands == [" ".join(DRAIN), " ".join(RELEASE)]


async def test_a_server_that_was_not_told_is_found_out(tmp_path: Path) -> None:
    def tell_one(mini: Miniature, region: str) -> int:
        return sends(mini, region, servers=1)

    async with operated(tmp_path, tell_one) as (scene, _):
        await act_drained(scene)
        assert failed(scene) == ["drained: within 1 s both servers send fra's clients to iad"]
        (seen,) = (one.detail for one in scene.report.expectations if not one.passed)
        assert seen == "not: A of ns2, AAAA of ns2"


async def test_a_command_that_fails_is_told_with_its_last_word(tmp_path: Path) -> None:
    def fail(mini: Miniature, region: str) -> int:
        return sends(mini, region) + 3

    async with operated(tmp_path, fail) as (scene, _):
        await act_drained(scene)
        assert failed(scene) == [
            "drained: the command reaches both servers",
            "released: the command reaches both servers",
        ]
        assert scene.report.expectations[0].detail == "exit status 3: done"


async def test_an_act_that_is_interrupted_releases_what_it_has_forced(tmp_path: Path) -> None:
    def interrupt(mini: Miniature, region: str) -> int:
        if region == "iad":
            task.cancel()
        return 0

    async with operated(tmp_path, interrupt) as (scene, commands):
        task = asyncio.create_task(act_drained(scene))
        with pytest.raises(asyncio.CancelledError):
            await task
        assert commands == [" ".join(DRAIN), " ".join(RELEASE)]


async def test_an_engine_that_refuses_ends_the_act(tmp_path: Path) -> None:
    async with open_miniature() as mini, open_engine(tmp_path / "none") as engine:
        clock = asyncio.get_running_loop().time
        report = Report("test", Screen(io.StringIO()), clock, clock())
        with pytest.raises(EngineError):
            await act_drained(Scene(engine, mini.watch, report, {TOLD.name: NS1}, {}, ttl_s=0))


def changes(**counts: float) -> list[Sample]:
    return [
        Sample("gslb_transitions_total", {"pool": f"web-{region}", "to": to}, count)
        for region, count in counts.items()
        for to in ("up", "down")
    ]


@pytest.mark.parametrize(("fra", "passed"), [(2, True), (0, False), (3, True), (4, False)], ids=str)
async def test_a_region_that_changed_too_often_for_the_next_drill_is_told(
    fra: int, passed: bool
) -> None:
    clock = asyncio.get_running_loop().time
    report = Report("test", Screen(io.StringIO()), clock, clock())
    before = changes(fra=7, iad=1, nrt=1)
    # Each change is counted for each of two families, and here once up and once down.
    expect_few_changes(report, before, changes(fra=7 + fra, iad=3, nrt=3))
    assert [one.passed for one in report.expectations] == [passed]
