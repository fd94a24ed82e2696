"""What an operator and a reporter send to the control address, seen by one who answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from gslb.lab.page import open_session
from gslb.lab.stage import Plot, Stage
from gslb.lab.switchboard import Switchboard
from gslb.lab.world import LabError, World


@dataclass
class Answering:
    """A control address that takes everything with the right token, and writes it down."""

    status: int = 200
    body: dict[str, Any] = field(default_factory=dict)
    seen: list[tuple[str, str, str | None, dict[str, Any] | None]] = field(default_factory=list)

    async def serve(self, request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else None
        token = request.headers.get("Authorization")
        self.seen.append((request.method, request.path_qs, token, body))
        return web.json_response(self.body, status=self.status)


@asynccontextmanager
async def open_board(folder: Path, answering: Answering) -> AsyncIterator[Switchboard]:
    (folder / "state").mkdir()
    (folder / "state" / "token").write_text("a-token\n")
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answering.serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with open_session() as session:
        world = World(control_port=runner.addresses[0][1])
        yield Switchboard(Stage(world, folder, session, Plot()))
    await runner.cleanup()


async def test_orders_and_reports_carry_the_token_and_say_why(tmp_path: Path) -> None:
    answering = Answering()
    async with open_board(tmp_path, answering) as board:
        await board.drain("fra", "a test", "6s")
        await board.undrain("fra", "it is over")
        await board.report("felt", "127.10.1.1", "down", "7 of 20 visits failed")
    token = "Bearer a-token"
    drain = {"state": "drain", "why": "a test", "until": None, "lead": "6s"}
    felt = {"state": "down", "why": "7 of 20 visits failed"}
    assert answering.seen == [
        ("PUT", "/v1/overrides/datacenter/fra", token, drain),
        ("DELETE", "/v1/overrides/datacenter/fra?why=it+is+over", token, None),
        ("PUT", "/v1/checks/felt/127.10.1.1", token, felt),
    ]


async def test_what_is_told_is_read(tmp_path: Path) -> None:
    targets = [{"check": "web", "address": "127.10.1.1", "state": "up"}]
    answering = Answering(body={"blind": None, "targets": targets, "overrides": [{"name": "fra"}]})
    async with open_board(tmp_path, answering) as board:
        assert (await board.read_health())["blind"] is None
        assert await board.read_targets() == targets
        assert await board.read_overrides() == [{"name": "fra"}]


async def test_what_is_refused_is_told_in_the_servers_words(tmp_path: Path) -> None:
    answering = Answering(403, {"title": "Forbidden", "detail": "the token may only read"})
    async with open_board(tmp_path, answering) as board:
        with pytest.raises(LabError, match=r"PUT /v1/.*/fra: status 403: .*may only read"):
            await board.drain("fra", "a test")


async def test_a_server_that_is_gone_and_a_token_that_is_not_there_are_told(tmp_path: Path) -> None:
    answering = Answering()
    async with open_board(tmp_path, answering) as board:
        (tmp_path / "state" / "token").unlink()
        with pytest.raises(LabError, match="token: no token: No such file"):
            await board.read_overrides()
        (tmp_path / "state" / "token").write_text("a-token")
    async with open_session() as session:
        board = Switchboard(Stage(World(control_port=1), tmp_path, session, Plot()))
        with pytest.raises(LabError, match="GET /v1/overrides: "):
            await board.read_overrides()
