"""The control address over real sockets."""

import asyncio
import json
import logging
import socket
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp
import pytest
from gslb.control import gate, http, token
from gslb.control.http import Control, Suppliers
from gslb.control.route import Routes
from gslb.errors import ListenError

EXPLANATION = {"name": "www.example.com.", "answer": ["192.0.2.10"], "steps": []}


def explain(name, rrtype, client, down):
    if rrtype == "NOPE":
        raise ValueError('"NOPE" is not a type')
    return EXPLANATION | {"asked": [name, rrtype, client, list(down)]}


SUPPLIERS = Suppliers(
    ready=lambda: True,
    metrics=lambda: ([b"gslb_up", b"", b" 1\n"], "text/plain; version=0.0.4; charset=utf-8"),
    explain=explain,
)


@asynccontextmanager
async def running(suppliers=SUPPLIERS, hosts=(), host="127.0.0.1"):
    control = Control((host, 0), hosts, suppliers)
    bound = await control.start()
    try:
        yield bound
    finally:
        await control.stop()


async def get(address, path, method="GET", **options):
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"http://{address[0]}:{address[1]}{path}", **options) as response,
    ):
        return response.status, response.headers, await response.text()


async def send(address, octets):
    """Raw octets in, whatever comes until the end out."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(octets)
    received = await reader.read()
    writer.close()
    await writer.wait_closed()
    return received


def assert_problem(reply, status):
    code, headers, text = reply
    assert code == status
    assert headers["Content-Type"].startswith("application/problem+json")
    body = json.loads(text)
    assert body["status"] == status
    assert body["type"] == "about:blank"
    return body["detail"]


async def test_it_says_that_it_is_alive_and_ready():
    async with running() as address:
        assert (await get(address, "/healthz"))[0] == 200
        assert (await get(address, "/readyz"))[::2] == (200, "ready\n")


async def test_it_is_alive_before_it_is_ready():
    async with running(replace(SUPPLIERS, ready=lambda: False)) as address:
        assert (await get(address, "/healthz"))[0] == 200
        assert "not ready" in assert_problem(await get(address, "/readyz"), 503)


async def test_metrics_come_as_they_were_given():
    async with running() as address:
        status, headers, text = await get(address, "/metrics")
        assert (status, text) == (200, "gslb_up 1\n")
        assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


async def test_the_root_lists_every_path():
    async with running() as address:
        status, headers, text = await get(address, "/")
        assert status == 200
        assert headers["Content-Type"].startswith("text/plain")
        listed = [line.split()[0] for line in text.splitlines() if line.startswith("/")]
        without = [200, 200, 200, 400, 503, 503, 503]  # nothing runs that has health or overrides
        assert [(await get(address, path))[0] for path in listed] == without
        routed = {route.path.partition("{")[0] for route in Routes(SUPPLIERS).table()}
        assert {path for path in routed if path not in text} == set()


async def test_explain_passes_the_question_on():
    async with running() as address:
        path = "/v1/explain?name=www.example.com&type=AAAA&from=2001:db8::/48&down=fra&down=iad"
        status, headers, text = await get(address, path)
        assert status == 200
        assert headers["Content-Type"].startswith("application/json")
        asked = ["www.example.com", "AAAA", "2001:db8::/48", ["fra", "iad"]]
        assert json.loads(text) == EXPLANATION | {"asked": asked}


async def test_explain_asks_for_a_from_nobody_unless_told():
    async with running() as address:
        body = json.loads((await get(address, "/v1/explain?name=www.example.com"))[2])
        assert body["asked"] == ["www.example.com", "A", None, []]


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("", 'parameter "name" is missing'),
        ("?name=a&form=192.0.2.1", 'unknown parameter "form"; known: name, type, from, down'),
        ("?name=a&name=b", 'parameter "name" is given twice'),
        ("?name=a&type=NOPE", '"NOPE" is not a type'),
    ],
)
async def test_a_wrong_question_is_told_what_is_wrong(query, detail):
    async with running() as address:
        assert assert_problem(await get(address, f"/v1/explain{query}"), 400) == detail


async def test_errors_are_problem_documents():
    async with running() as address:
        assert "/nowhere" in assert_problem(await get(address, "/nowhere"), 404)
        refused = await get(address, "/metrics", method="POST")
        assert "POST" in assert_problem(refused, 405)
        assert refused[1]["Allow"] == "GET,HEAD"
        assert_problem(await get(address, "/healthz", data=b"x" * 70_000), 413)


async def test_a_body_of_unknown_length_is_not_waited_for():
    async def parts():
        yield b"x"

    async with running() as address:
        assert "how long" in assert_problem(await get(address, "/healthz", data=parts()), 411)


async def test_a_defect_is_logged_once_and_answered(caplog):
    def fail():
        raise RuntimeError("a bug")

    async with running(replace(SUPPLIERS, metrics=fail)) as address:
        detail = assert_problem(await get(address, "/metrics"), 500)
    assert "a bug" not in detail
    assert [record.exc_info[1].args for record in caplog.records] == [("a bug",)]


async def test_a_foreign_host_name_is_refused():
    async with running(hosts=("gslb.example.com:8053",)) as address:
        rebound = await get(address, "/metrics", headers={"Host": "evil.example.net"})
        assert '"evil.example.net"' in assert_problem(rebound, 421)
        port = address[1]
        for host in (
            f"127.0.0.1:{port}", "127.0.0.1", f"localhost:{port}", "GSLB.example.com.", "[::1]",
        ):  # fmt: skip
            assert (await get(address, "/metrics", headers={"Host": host}))[0] == 200, host


async def test_one_host_header_is_the_law_except_for_http_1_0():
    async with running() as address:
        assert b" 400 " in await send(address, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert b" 200 " in await send(address, b"GET /healthz HTTP/1.0\r\n\r\n")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/healthz", 200),
        ("/readyz", 200),
        ("/metrics", 401),
        ("/v1/explain?name=a", 401),
        ("/", 401),
    ],
)
async def test_beyond_loopback_only_health_is_told(monkeypatch, path, status):
    # No address beyond loopback is sure to exist here, so loopback is said to be something else;
    # test_token.py has the real thing, where a namespace can be made.
    monkeypatch.setattr(http, "is_loopback", lambda address: False)
    async with running() as address:
        reply = await get(address, path)
        assert reply[0] == status
        if status == 401:
            assert assert_problem(reply, 401) == token.NO_TOKEN
            assert reply[1]["WWW-Authenticate"] == 'Bearer realm="gslb"'


async def test_it_listens_on_ipv6_too():
    async with running(host="::1") as (host, port):
        assert (await get((f"[{host}]", port), "/healthz"))[0] == 200


async def a_place(address):
    """Returns when this source has a place again; a busy server may take a moment to notice."""
    async with asyncio.timeout(10):
        while True:
            if (await get(address, "/readyz"))[0] == 200:
                return


async def test_the_ninth_connection_of_a_source_is_refused_and_a_place_comes_back():
    async with running() as address:
        held = [await asyncio.open_connection(*address) for _ in range(gate.PER_SOURCE)]
        detail = assert_problem(await get(address, "/readyz"), 503)
        assert detail == "too many connections"
        for _, writer in held:
            writer.close()
            await writer.wait_closed()
        await a_place(address)


@pytest.mark.parametrize("octets", [b"", b"GET / HTTP/1.1\r\nHo", b"GET / HTTP/1.1\r\nHost: a\r\n"])
async def test_a_client_that_is_slow_to_ask_is_dropped(monkeypatch, octets):
    monkeypatch.setattr(http, "SLOW_S", 0.05)
    async with running() as address, asyncio.timeout(10):
        assert await send(address, octets) == b""


async def test_a_client_that_does_not_read_loses_its_place(monkeypatch):
    monkeypatch.setattr(gate, "SLOW_S", 0.05)
    monkeypatch.setattr(http, "SLOW_S", 1000)  # the idle ones stay
    large = replace(SUPPLIERS, metrics=lambda: ([b"x" * 50_000_000], "text/plain"))
    async with running(large) as address:
        held = [await asyncio.open_connection(*address) for _ in range(gate.PER_SOURCE - 1)]
        with socket.create_connection(address) as lazy:
            lazy.sendall(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            await a_place(address)
        for _, writer in held:
            writer.close()


@pytest.mark.parametrize(
    "octets", [b"\0" * 100, b"GET\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"\r\n" * 9]
)
async def test_what_is_not_http_leaves_no_trace_in_the_log(octets, caplog):
    caplog.set_level(logging.WARNING)
    async with running() as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(octets)
        writer.write_eof()
        assert b"200" not in await reader.readline()
        writer.close()
        await writer.wait_closed()
        assert (await get(address, "/healthz"))[0] == 200
    assert caplog.records == []


async def test_a_taken_port_is_one_clear_line():
    async with running() as (host, port):
        holder = replace(SUPPLIERS, holder=lambda host, port: f"somebody (pid {port})")
        with pytest.raises(ListenError) as caught:
            await Control((host, port), (), holder).start()
    assert str(caught.value) == (
        f"cannot listen on 127.0.0.1:{port} (HTTP): the port is in use by somebody (pid {port});"
        " stop that, or change control.listen"
    )


async def test_an_address_of_another_machine_is_one_clear_line():
    with pytest.raises(ListenError) as caught:
        await Control(("192.0.2.1", 0), (), SUPPLIERS).start()
    assert str(caught.value).endswith("this machine has no such address; change control.listen")


async def test_stopping_frees_the_port_and_ends_idle_connections():
    control = Control(("127.0.0.1", 0), (), SUPPLIERS)
    address = await control.start()
    reader, writer = await asyncio.open_connection(*address)
    await control.stop()
    assert await reader.read() == b""
    writer.close()
    again = Control(address, (), SUPPLIERS)
    assert await again.start() == address
    await again.stop()
    await again.stop()
