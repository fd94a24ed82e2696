"""The client of a region: a process, a name server and pages on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import dns.message
import dns.rcode
import dns.rdatatype
import pytest
from aiohttp import ClientSession, web
from gslb.lab.page import open_session
from gslb.lab.region import CONDITION, Condition, make_app
from gslb.lab.resident import Resident
from gslb.lab.stub import NameServer, Patience

from nameserver import Answer, Server, found, serving

FRA, IAD, NOBODY, FRA6 = "127.10.1.1", "127.10.2.1", "127.10.3.1", "::1"
DEADLINE_S = 30.0


def free_port() -> int:
    with socket.socket(socket.AF_INET6) as sock:  # of both families
        sock.bind(("::", 0))
        return int(sock.getsockname()[1])


def to(ipv4: str, ipv6: str = FRA6) -> Answer:
    """Answers with an address of the family asked for."""

    def answer(query: dns.message.Message) -> dns.message.Message:
        return found(query, ipv4 if query.question[0].rdtype == dns.rdatatype.A else ipv6)

    return answer


def fail(rcode: dns.rcode.Rcode) -> Answer:
    def answer(query: dns.message.Message) -> dns.message.Message:
        reply = dns.message.make_response(query)
        reply.set_rcode(rcode)
        return reply

    return answer


@dataclass
class Town:
    """Two regions' pages on one port, and a resolver that says where to go."""

    server: Server
    port: int
    session: ClientSession
    conditions: dict[str, Condition] = field(default_factory=dict)

    def resident(self, say: Callable[[str], None] = print) -> Resident:
        resolver = NameServer("127.0.0.1", self.server.port)
        return Resident(resolver, self.port, self.session, say, Patience(1, 30.0))


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    """fra on IPv4 and IPv6, iad on IPv4; everybody is sent to fra."""
    async with serving(to(FRA)) as server, open_session() as session:
        town = Town(server, free_port(), session)
        runners = []
        for name, addresses in (("fra", (FRA, FRA6)), ("iad", (IAD,))):
            app = make_app(name)
            town.conditions[name] = app[CONDITION]
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
            await runner.setup()
            runners.append(runner)
            for address in addresses:
                await web.TCPSite(runner, address, town.port).start()
        yield town
        for runner in runners:
            await runner.cleanup()


async def test_a_visit_says_which_page_came_from_where_and_when(town: Town) -> None:
    resident = town.resident()
    before_s = time.monotonic()
    four, six = await resident.visit(4), await resident.visit(6)
    assert before_s <= four.began_s <= four.at_s <= six.began_s <= six.at_s <= time.monotonic()
    assert (four.family, four.region, four.address, four.failure) == (4, "fra", FRA, "")
    assert (six.family, six.region, six.address, six.failure) == (6, "fra", FRA6, "")


async def test_the_resolver_is_asked_for_every_visit(town: Town) -> None:
    resident = town.resident()
    for _ in range(3):
        await resident.visit(4)
    assert len(town.server.asked) == 3


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (dns.message.make_response, "no answer: no AAAA record"),
        (fail(dns.rcode.SERVFAIL), "no answer: SERVFAIL"),
        (fail(dns.rcode.NXDOMAIN), "no answer: NXDOMAIN"),
        (lambda query: found(query, FRA6).to_wire()[:50], "no answer: the reply is malformed"),
    ],
)
async def test_a_client_without_an_answer_has_lost_its_request(
    town: Town, answer: Answer, failure: str
) -> None:
    town.server.answer = answer
    entry = await town.resident().visit(6)
    assert (entry.region, entry.address, entry.failure) == ("", "", failure)


async def test_an_address_where_nobody_listens_refuses(town: Town) -> None:
    town.server.answer = to(NOBODY)
    entry = await town.resident().visit(4)
    assert (entry.region, entry.address) == ("", NOBODY)
    assert entry.failure == "connection refused"


async def test_a_lost_request_is_of_the_region_whose_page_came_from_there_last(town: Town) -> None:
    resident = town.resident()
    town.conditions["fra"].broken = True
    unknown = await resident.visit(4)
    town.conditions["fra"].broken = False
    await resident.visit(4)
    town.conditions["fra"].broken = True
    known = await resident.visit(4)
    assert (unknown.region, unknown.address, unknown.failure) == ("", FRA, "status 503")
    assert (known.region, known.address, known.failure) == ("fra", FRA, "status 503")


async def test_a_page_that_is_slower_than_a_second_is_lost(town: Town) -> None:
    town.conditions["fra"].slow_ms = 60_000
    entry = await town.resident().visit(4)
    assert entry.failure == "timed out"


@pytest.mark.parametrize("name", ["", "<html>", "two words", "x" * 33])
async def test_a_page_that_names_no_region_is_no_page(town: Town, name: str) -> None:
    town.conditions["fra"].region = name
    entry = await town.resident().visit(4)
    assert entry.region == ""
    assert entry.failure == f"a page of no region: {name!r}"


async def test_the_families_take_turns_and_every_change_is_told_once(town: Town) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    resident = town.resident(told.put_nowait)
    visits = asyncio.create_task(resident.run())
    async with asyncio.timeout(DEADLINE_S):
        assert await told.get() == f"IPv4 is at fra, {FRA}"
        assert await told.get() == f"IPv6 is at fra, {FRA6}"
        town.server.answer = to(IAD)
        assert await told.get() == f"IPv4 is at iad, {IAD}"
        town.conditions["iad"].broken = True
        assert await told.get() == f"IPv4 is lost (iad, {IAD}): status 503"
        town.conditions["iad"].broken = False
        assert (await told.get()).startswith(f"IPv4 is at iad, {IAD} after ")
    visits.cancel()
    with pytest.raises(asyncio.CancelledError):
        await visits
    assert told.empty()
    entries = [entry for _, entry in resident.logbook.list_after(0)]
    families = [entry.family for entry in entries]
    assert families == [4, 6] * (len(entries) // 2) + [4] * (len(entries) % 2)
    began_s = [entry.began_s for entry in entries]
    gaps_s = [later - earlier for earlier, later in itertools.pairwise(began_s)]
    assert min(gaps_s) >= 0.25 - 0.01  # the timer of the loop may be early by its resolution


async def read_json(session: ClientSession, url: str) -> dict[str, object]:
    async with session.get(url) as response:
        assert response.status == 200
        body: dict[str, object] = json.loads(await response.text())
        return body


@contextlib.asynccontextmanager
async def running(town: Town) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The program, and the root of its pages."""
    listen = f"127.0.0.1:{free_port()}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gslb.lab.resident", "fra", f"127.0.0.1:{town.server.port}"),
        *("--page-port", str(town.port), "--listen", listen),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process, f"http://{listen}"
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_program_tells_of_its_visits_until_a_signal_ends_it(
    town: Town, number: signal.Signals
) -> None:
    async with asyncio.timeout(DEADLINE_S), running(town) as (process, url):
        assert process.stdout is not None
        lines = [(await process.stdout.readline()).decode() for _ in range(3)]
        assert lines[0] == "ready: client fra\n"
        assert lines[1].endswith(f" fra: IPv4 is at fra, {FRA}\n")
        assert lines[2].endswith(f" fra: IPv6 is at fra, {FRA6}\n")
        town.server.answer = to(IAD)
        assert b"IPv4 is at iad" in await process.stdout.readline()

        body = await read_json(town.session, f"{url}/visits")
        visits = body["visits"]
        assert isinstance(visits, list)
        assert body["client"] == "fra"
        assert [visit["n"] for visit in visits] == list(range(1, len(visits) + 1))
        assert body["next"] == len(visits)
        assert set(visits[0]) == {
            *("n", "began_s", "at_s", "family", "region", "address", "failure"),
        }
        later = await read_json(town.session, f"{url}/visits?after={len(visits) - 1}")
        assert isinstance(later["visits"], list)
        assert later["visits"][0] == visits[-1]

        async with town.session.get(f"{url}/healthz") as response:
            assert (response.status, await response.text()) == (200, "ok\n")
        async with town.session.get(f"{url}/") as response:
            census = await response.text()
        assert census.startswith(f"client fra\nIPv4: iad, {IAD}\nIPv6: fra, {FRA6}\n")

        # It ends while it waits for a page, too.
        town.conditions["fra"].slow_ms = 60_000
        process.send_signal(number)
        assert await process.wait() == 0


async def test_visits_after_something_senseless_are_refused(town: Town) -> None:
    async with asyncio.timeout(DEADLINE_S), running(town) as (process, url):
        assert process.stdout is not None
        await process.stdout.readline()
        for after in ("", "-1", "x", "1.5", "٣", "9" * 16):
            async with town.session.get(f"{url}/visits", params={"after": after}) as response:
                assert response.status == 400, after
                assert (await response.text()).startswith("say /visits?after=N")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["fra", "resolver"], 'client fra: "resolver" is not an address and a port; say 127.0'),
        (["fra", "::1", "--listen", "8070"], 'client fra: "8070" is not an address and a port'),
        (["fra", "::1", "--page-port", "0"], "client fra: 0 is not a port"),
        (["fra", "::1", "--page-port", "65536"], "client fra: 65536 is not a port"),
    ],
)
def test_a_senseless_command_line_is_one_line(arguments: list[str], reason: str) -> None:
    command = [sys.executable, "-m", "gslb.lab.resident", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(reason)
    assert done.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_one_line() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        listen = f"127.0.0.1:{holder.getsockname()[1]}"
        command = [sys.executable, "-m", "gslb.lab.resident", "fra", "::1", "--listen", listen]
        done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("client fra: ")
    assert "address already in use" in done.stderr
    assert done.stderr.count("\n") == 1
