"""The Docker engine: a real one that has the lab's image, and a socket that refuses like one."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from aiohttp import web
from gslb.lab.diary import wait_for
from gslb.lab.engine import (
    NETWORK,
    ONE_OFF,
    PROJECT,
    SERVICE,
    Attachment,
    Container,
    Engine,
    EngineError,
    Execution,
    open_engine,
    parse_container,
    read_stream,
)
from gslb.lab.mishap import kill
from gslb.lab.scene import restore
from gslb.lab.world import LabError
from hypothesis import given
from hypothesis import strategies as st

IMAGE = "gslb-lab"
PROGRAM = "import signal; signal.signal(signal.SIGTERM, lambda *_: exit()); signal.pause()"

DESCRIPTION: dict[str, object] = {
    "Id": "0123abcd",
    "RestartCount": 2,
    "State": {"Running": True, "Paused": True, "Pid": 812},
    "Config": {"Labels": {PROJECT: "world", SERVICE: "ns1"}},
    "NetworkSettings": {
        "Networks": {
            "world_fra": {
                "IPAMConfig": {"IPv4Address": "198.18.1.11", "IPv6Address": "2001:db8:1::11"},
                "Aliases": ["ns1", "0123abcd"],
            },
            "world_edge": {"IPAMConfig": None, "Aliases": None},
        }
    },
}
FRA = Attachment("world_fra", "198.18.1.11", "2001:db8:1::11", ("ns1", "0123abcd"))


def test_a_container_is_read_from_the_engines_description() -> None:
    container = parse_container(DESCRIPTION)
    assert container == Container(
        *("0123abcd", "ns1", "world", True, True, 812, 2),
        (FRA, Attachment("world_edge", "", "", ())),
    )
    assert container.state == "paused"
    assert container.attachment("world_fra") == FRA
    assert container.attachment("world_iad") is None


@pytest.mark.parametrize("value", [None, [], "x", {}, {"State": 7, "Config": None}])
def test_what_is_no_description_is_a_container_of_nobody(value: object) -> None:
    container = parse_container(value)
    assert (container.id, container.service, container.state) == ("", "", "stopped")


@asynccontextmanager
async def playing(
    folder: Path, answer: Callable[[web.Request], web.StreamResponse]
) -> AsyncIterator[Engine]:
    """An engine whose every answer is `answer`'s, behind a real socket."""

    async def handle(request: web.Request) -> web.StreamResponse:
        await request.read()
        return answer(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.UnixSite(runner, str(folder / "engine.sock")).start()
    try:
        async with open_engine(folder / "engine.sock") as engine:
            yield engine
    finally:
        await runner.cleanup()


async def test_no_engine_is_one_line_that_names_the_socket(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "none.sock") as engine:
        with pytest.raises(EngineError, match=r"none\.sock: no such file or directory; the drill"):
            await engine.inspect("ns1")


async def test_a_socket_on_which_nobody_listens_is_no_engine(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    async with open_engine(tmp_path / "plain") as engine:
        with pytest.raises(EngineError, match=r"plain: connection refused"):
            await engine.find_services("world")


async def test_a_refusal_is_told_in_the_engines_own_words(tmp_path: Path) -> None:
    def refuse(request: web.Request) -> web.Response:
        return web.json_response({"message": "Container 01 is\nnot paused"}, status=500)

    async with playing(tmp_path, refuse) as engine:
        with pytest.raises(EngineError, match=r"/unpause: Container 01 is not paused$"):
            await engine.unpause(parse_container(DESCRIPTION))


async def test_a_container_that_is_not_there_is_none_but_an_order_to_it_fails(
    tmp_path: Path,
) -> None:
    def deny(request: web.Request) -> web.Response:
        return web.json_response({"message": "No such container: 01"}, status=404)

    async with playing(tmp_path, deny) as engine:
        assert await engine.inspect("01") is None
        with pytest.raises(EngineError, match="No such container: 01"):
            await engine.start(parse_container(DESCRIPTION))


async def test_an_answer_that_is_not_the_engines_finds_nothing(tmp_path: Path) -> None:
    async with playing(tmp_path, lambda request: web.Response(text="<html>")) as engine:
        assert await engine.find_services("world") == {}
        assert await engine.find_networks("world") == {}


async def test_services_are_looked_for_by_the_projects_label_and_without_one_offs(
    tmp_path: Path,
) -> None:
    asked: list[str] = []

    def answer(request: web.Request) -> web.Response:
        if request.path != "/containers/json":
            return web.json_response(DESCRIPTION)
        asked.extend(json.loads(request.query["filters"])["label"])
        return web.json_response([{"Id": "0123abcd"}])

    async with playing(tmp_path, answer) as engine:
        assert list(await engine.find_services("world")) == ["ns1"]
    assert asked == [f"{PROJECT}=world", f"{ONE_OFF}=False"]


def framed(*pieces: tuple[int, bytes]) -> bytes:
    return b"".join(
        bytes((stream, 0, 0, 0)) + len(piece).to_bytes(4, "big") + piece for stream, piece in pieces
    )


async def test_a_command_in_a_container_has_a_status_and_its_words(tmp_path: Path) -> None:
    asked: list[str] = []

    def answer(request: web.Request) -> web.Response:
        asked.append(f"{request.method} {request.path}")
        if request.path.endswith("/start"):
            return web.Response(body=framed((1, b"told "), (2, b"ns1\n"), (1, "été".encode())))
        found = {"Id": "07"} if request.method == "POST" else {"ExitCode": 3}
        return web.json_response(found)

    async with playing(tmp_path, answer) as engine:
        done = await engine.execute(parse_container(DESCRIPTION), ("gslb", "overrides"))
    assert done == Execution(3, "told ns1\nété")
    assert asked == ["POST /containers/0123abcd/exec", "POST /exec/07/start", "GET /exec/07/json"]


async def test_a_command_that_the_engine_has_lost_is_an_error(tmp_path: Path) -> None:
    def answer(request: web.Request) -> web.Response:
        return web.json_response({"Id": "07", "ExitCode": None})

    async with playing(tmp_path, answer) as engine:
        with pytest.raises(EngineError, match="gslb has not ended in ns1"):
            await engine.execute(parse_container(DESCRIPTION), ("gslb",))


@given(st.lists(st.tuples(st.sampled_from((1, 2)), st.binary(max_size=40))), st.binary(max_size=7))
def test_a_stream_is_read_piece_by_piece_and_what_is_cut_short_ends_it(
    pieces: list[tuple[int, bytes]], rest: bytes
) -> None:
    wanted = b"".join(piece for _, piece in pieces).decode(errors="replace")
    assert read_stream(framed(*pieces) + rest) == wanted


async def test_an_order_is_seen_to_its_end_when_who_gave_it_has_gone(tmp_path: Path) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()
    done: list[str] = []
    app = web.Application()

    async def stop(request: web.Request) -> web.Response:
        begun.set()
        await may_end.wait()
        done.append(request.path)
        return web.Response(status=204)

    app.router.add_post("/containers/0123abcd/stop", stop)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "engine.sock")).start()
    try:
        async with open_engine(tmp_path / "engine.sock") as engine:
            order = asyncio.create_task(engine.stop(parse_container(DESCRIPTION)))
            await asyncio.wait_for(begun.wait(), 10)
            order.cancel()
            with pytest.raises(asyncio.CancelledError):
                await order
            may_end.set()
            await engine.settle()
            assert done == ["/containers/0123abcd/stop"]
    finally:
        await runner.cleanup()


async def test_that_one_cannot_be_put_back_does_not_leave_the_others_as_they_are(
    tmp_path: Path,
) -> None:
    orders: list[str] = []

    def answer(request: web.Request) -> web.Response:
        if request.path.startswith("/containers/gone/"):
            return web.json_response({"message": "No such container: gone"}, status=404)
        if request.method == "POST":
            orders.append(request.path)
            return web.Response(status=204)
        return web.json_response(DESCRIPTION)

    paused = parse_container(DESCRIPTION)
    found = {"parent": replace(paused, id="gone", service="parent"), "ns1": paused}
    async with playing(tmp_path, answer) as engine:
        with pytest.raises(EngineError, match="parent has been removed"):
            await restore(engine, found)
    assert orders == ["/containers/0123abcd/unpause"]


# --- with a real engine ---------------------------------------------------------------------------


def docker(*arguments: str) -> str:
    run = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=60)
    if run.returncode:
        raise RuntimeError(run.stderr.strip())
    return run.stdout.strip()


def find_obstacle() -> str:
    """Why no container can be run here; "" if one can."""
    if shutil.which("docker") is None:
        return "no docker command"
    try:
        docker("version")
        docker("image", "inspect", IMAGE)
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        return f"no engine with the image {IMAGE}: {error}"
    return ""


@pytest.fixture(scope="module")
def project() -> Iterator[str]:
    """A project of one service, `ns1`, in two networks."""
    obstacle = find_obstacle()
    if obstacle:
        pytest.skip(obstacle)
    name = f"gslb-test-{uuid4().hex[:8]}"
    label = ["--label", f"{PROJECT}={name}"]
    networks = {"fra": "198.19.201", "iad": "198.19.202"}
    made: list[list[str]] = []
    try:
        for number, (network, prefix) in enumerate(networks.items(), start=201):
            docker(
                *("network", "create", "--internal", "--ipv6", *label),
                *("--label", f"{NETWORK}={network}"),
                *("--subnet", f"{prefix}.0/24", "--subnet", f"2001:db8:{number}::/64"),
                f"{name}_{network}",
            )
            made.append(["network", "rm", f"{name}_{network}"])
        docker(
            *("run", "--detach", "--restart", "always", "--name", f"{name}_ns1", *label),
            *("--label", f"{SERVICE}=ns1", "--label", f"{ONE_OFF}=False"),
            *("--network", f"{name}_fra", "--ip", "198.19.201.11", "--ip6", "2001:db8:201::11"),
            *("--network-alias", "ns1", IMAGE, "python", "-c", PROGRAM),
        )
        made.append(["rm", "--force", f"{name}_ns1"])
        docker("network", "connect", "--ip", "198.19.202.11", f"{name}_iad", f"{name}_ns1")
        yield name
    finally:
        for command in reversed(made):
            docker(*command)


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    async with open_engine() as engine:
        yield engine


async def find(engine: Engine, project: str) -> Container:
    return (await engine.find_services(project))["ns1"]


async def test_only_the_projects_containers_and_networks_are_found(
    project: str, engine: Engine
) -> None:
    found = await engine.find_services(project)
    assert list(found) == ["ns1"]
    assert (found["ns1"].project, found["ns1"].state) == (project, "running")
    assert found["ns1"].pid > 0
    assert await engine.find_networks(project) == {"fra": f"{project}_fra", "iad": f"{project}_iad"}
    assert await engine.find_services(f"{project}-other") == {}


async def test_a_container_is_stopped_and_started_and_keeps_its_addresses(
    project: str, engine: Engine
) -> None:
    before = await find(engine, project)
    await engine.stop(before)
    assert (await find(engine, project)).state == "stopped"
    await engine.start(before)
    after = await find(engine, project)
    assert after.state == "running"
    assert after.pid != before.pid
    fra = after.attachment(f"{project}_fra")
    assert fra is not None
    assert (fra.ipv4, fra.ipv6) == ("198.19.201.11", "2001:db8:201::11")


async def test_what_was_paused_cut_off_and_stopped_is_put_back(
    project: str, engine: Engine
) -> None:
    before = await find(engine, project)
    network = f"{project}_fra"
    await engine.disconnect(before, network)
    assert (await find(engine, project)).attachment(network) is None
    await engine.pause(before)
    assert (await find(engine, project)).state == "paused"
    done = await restore(engine, {"ns1": before})
    assert done == ["ns1 unpaused", f"ns1 connected to {network}"]
    after = await find(engine, project)
    place, was = after.attachment(network), before.attachment(network)
    assert place is not None
    assert was is not None
    assert (place.ipv4, place.ipv6) == (was.ipv4, was.ipv6)
    assert set(was.aliases) <= set(place.aliases)
    await engine.stop(before)
    assert await restore(engine, {"ns1": before}) == ["ns1 started"]
    assert await restore(engine, {"ns1": await find(engine, project)}) == []


async def test_a_killed_process_is_started_again_by_the_engine(
    project: str, engine: Engine
) -> None:
    before = await find(engine, project)
    assert await kill(before)

    async def started_again() -> bool:
        now = await find(engine, project)
        return now.restarts > before.restarts and now.pid > 0

    assert await wait_for(started_again, 30)
    after = await find(engine, project)
    assert after.restarts == before.restarts + 1
    assert after.pid != before.pid


async def test_a_process_of_somebody_else_is_never_killed(project: str, engine: Engine) -> None:
    container = await find(engine, project)
    other = await asyncio.create_subprocess_exec("sleep", "60")
    stranger = replace(container, pid=other.pid)
    try:
        with pytest.raises(LabError, match=r"is not of ns1: the drill has to run with `pid: host`"):
            await kill(stranger)
        assert other.returncode is None
    finally:
        other.terminate()
        await other.wait()


async def test_a_process_that_is_not_seen_is_one_line() -> None:
    ended = await asyncio.create_subprocess_exec("true")
    await ended.wait()
    gone = Container("0123abcd", "ns1", "world", True, False, ended.pid, 0, ())
    with pytest.raises(
        LabError, match=r"cannot see process \d+ of ns1: No such process; the drill"
    ):
        await kill(gone)
