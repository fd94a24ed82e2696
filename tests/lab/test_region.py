"""A region as a process of its own: what can be done to it over HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from gslb.lab.child import Child, start_child
from gslb.lab.world import LabError


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.10.1.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session


@pytest.fixture
async def urls(tmp_path: Path) -> AsyncIterator[list[str]]:
    """The two addresses of a running region."""
    listen = [f"127.10.1.1:{free_port()}", f"127.10.1.1:{free_port()}"]
    child = await start_child("fra", "gslb.lab.region", ["fra", *listen], tmp_path)
    try:
        await child.wait_ready()
        yield [f"http://{where}" for where in listen]
    finally:
        await child.stop()


async def get(session: aiohttp.ClientSession, url: str) -> tuple[int, str]:
    async with session.get(url) as response:
        return response.status, await response.text()


async def post(session: aiohttp.ClientSession, url: str) -> int:
    async with session.post(url) as response:
        return response.status


async def read_condition(session: aiohttp.ClientSession, where: str) -> dict[str, int]:
    async with session.get(f"http://{where}/condition") as response:
        condition: dict[str, int] = await response.json()
        return condition


async def test_a_page_says_which_region_it_is_on_every_address(
    session: aiohttp.ClientSession, urls: list[str]
) -> None:
    assert [await get(session, url) for url in urls] == [(200, "fra\n")] * 2


async def test_a_broken_region_fails_page_and_probe_until_it_is_healed(
    session: aiohttp.ClientSession, urls: list[str]
) -> None:
    page, probed = urls
    assert (await get(session, f"{probed}/healthz"))[0] == 200
    assert await post(session, f"{page}/break") == 200
    assert (await get(session, f"{probed}/healthz"))[0] == 503
    assert (await get(session, page))[0] == 503
    assert await post(session, f"{page}/heal") == 200
    assert (await get(session, f"{probed}/healthz"))[0] == 200
    assert await get(session, page) == (200, "fra\n")


async def test_the_condition_counts_what_was_asked_and_is_not_itself_broken(
    session: aiohttp.ClientSession, urls: list[str]
) -> None:
    page, probed = urls
    await get(session, page)
    await get(session, f"{probed}/healthz")
    await get(session, f"{probed}/healthz")
    await post(session, f"{page}/break")
    async with session.get(f"{page}/condition") as response:
        condition = await response.json()
    assert (condition["region"], condition["broken"]) == ("fra", True)
    assert (condition["pages"], condition["probes"]) == (1, 2)


async def test_the_health_page_tells_the_load(
    session: aiohttp.ClientSession, urls: list[str]
) -> None:
    page, probed = urls
    assert await post(session, f"{page}/capacity?rps=10") == 200
    for _ in range(8):
        await get(session, page)
    status, text = await get(session, f"{probed}/healthz")
    body = json.loads(text)
    assert (status, body["status"], body["region"]) == (200, "ok", "fra")
    assert 0 < body["load"] <= 0.4


async def test_one_page_in_three_is_an_error_and_the_health_page_says_that_all_is_well(
    session: aiohttp.ClientSession, urls: list[str]
) -> None:
    page, probed = urls
    assert await post(session, f"{page}/errors?every=3") == 200
    assert [(await get(session, page))[0] for _ in range(6)] == [200, 200, 500] * 2
    assert (await get(session, f"{probed}/healthz"))[0] == 200
    assert await post(session, f"{page}/heal") == 200
    assert {(await get(session, page))[0] for _ in range(3)} == {200}


async def test_a_garbled_region_says_something_else_with_a_good_status(
    session: aiohttp.ClientSession, urls: list[str]
) -> None:
    page, probed = urls
    assert await post(session, f"{page}/garble") == 200
    for url in (page, f"{probed}/healthz"):
        assert await get(session, url) == (200, "We will be back soon.\n")
    assert await post(session, f"{page}/heal") == 200
    assert await get(session, page) == (200, "fra\n")


async def test_a_region_that_gets_too_much_breaks_down_with_its_health_page(
    session: aiohttp.ClientSession, urls: list[str]
) -> None:
    page, probed = urls
    assert await post(session, f"{page}/capacity?rps=10") == 200
    pages = await asyncio.gather(*(get(session, page) for _ in range(30)))
    assert {status for status, _ in pages} == {200, 503}
    assert (await get(session, f"{probed}/healthz"))[0] == 503
    assert (await read_condition(session, page.removeprefix("http://")))["breakdowns"] == 1


async def test_a_region_is_slowed_and_healing_makes_it_quick_again(
    session: aiohttp.ClientSession, urls: list[str]
) -> None:
    page = urls[0]
    assert await post(session, f"{page}/slow?ms=60000") == 200
    with pytest.raises(TimeoutError):
        async with session.get(page, timeout=aiohttp.ClientTimeout(total=0.2)):
            pass
    assert await post(session, f"{page}/heal") == 200
    assert await get(session, page) == (200, "fra\n")


@pytest.mark.parametrize("number", ["", "-1", "quick", "100001", "1" * 5000, "٣"])
async def test_a_senseless_number_is_refused(
    number: str, session: aiohttp.ClientSession, urls: list[str]
) -> None:
    for path, key in (("slow", "ms"), ("errors", "every"), ("capacity", "rps")):
        async with session.post(f"{urls[0]}/{path}", params={key: number}) as response:
            assert response.status == 400
            assert (await response.text()).startswith(f"say /{path}?{key}=N with N from 0 to ")


async def test_a_change_needs_a_post(session: aiohttp.ClientSession, urls: list[str]) -> None:
    assert (await get(session, f"{urls[0]}/break"))[0] == 405
    assert (await get(session, urls[0]))[0] == 200


async def test_a_child_that_cannot_start_says_why(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.10.1.1", 0))
        holder.listen()
        listen = f"127.10.1.1:{holder.getsockname()[1]}"
        child = await start_child("fra", "gslb.lab.region", ["fra", listen], tmp_path)
        with pytest.raises(LabError, match=r"(?s)fra did not start; .*address already in use"):
            await child.wait_ready()
        await child.stop()
    assert child.status == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_a_region_at_once_and_well(
    number: signal.Signals, session: aiohttp.ClientSession
) -> None:
    where = f"127.10.1.1:{free_port()}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gslb.lab.region", "fra", where),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready: region fra\n"
    assert await post(session, f"http://{where}/slow?ms=60000") == 200
    # Somebody waits for a slow page, and will not be waited for.
    waiting = asyncio.create_task(get(session, f"http://{where}/"))
    async with asyncio.timeout(20):
        while (await read_condition(session, where))["pages"] == 0:
            pass
        process.send_signal(number)
        assert await process.wait() == 0
    with pytest.raises(aiohttp.ClientError):
        await waiting
    with pytest.raises(aiohttp.ClientConnectorError):
        await get(session, f"http://{where}/")


async def test_a_region_listens_on_every_address_of_both_families_on_one_port(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    port = free_port()
    listen = [f"0.0.0.0:{port}", f"[::]:{port}"]
    child = await start_child("fra", "gslb.lab.region", ["fra", *listen], tmp_path)
    await child.wait_ready()
    for host in ("127.10.1.1", "[::1]"):
        assert await get(session, f"http://{host}:{port}/") == (200, "fra\n")
    await child.stop()
    assert child.status == 0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "usage: python -m gslb.lab.region NAME HOST:PORT"),
        (["fra"], "usage: python -m gslb.lab.region NAME HOST:PORT"),
        (["fra", "8080"], 'region fra: "8080" is not an address and a port; say 127.0.0.1:8080'),
    ],
)
def test_a_senseless_command_line_is_one_line(arguments: list[str], reason: str) -> None:
    command = [sys.executable, "-m", "gslb.lab.region", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(reason)
    assert done.stderr.count("\n") == 1


async def test_a_killed_child_is_seen_to_be_gone(tmp_path: Path) -> None:
    arguments = ["fra", f"127.10.1.1:{free_port()}"]
    child: Child = await start_child("fra", "gslb.lab.region", arguments, tmp_path)
    await child.wait_ready()
    assert child.status is None
    await child.kill()
    assert child.status == -signal.SIGKILL
    await child.stop()


def test_what_the_lab_started_ends_with_it_even_by_kill_9() -> None:
    """A parent that starts a leashed child and is killed; the child's pipe then ends."""
    program = (
        "import os, subprocess, sys\n"
        "command = [sys.executable, '-m', 'gslb.lab.leash', str(os.getpid()),\n"
        "           sys.executable, '-c',\n"
        "           'import time; print(\"up\", flush=True); time.sleep(600)']\n"
        "subprocess.run(command, stdin=subprocess.DEVNULL)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "up\n"
        os.kill(parent.pid, signal.SIGKILL)
        # The child holds the other end of the pipe: it ends when the child does.
        assert parent.stdout.read() == ""


def test_a_leashed_command_whose_parent_is_gone_already_does_not_start() -> None:
    command = [sys.executable, "-m", "gslb.lab.leash", "1", sys.executable, "-c", "print('up')"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
