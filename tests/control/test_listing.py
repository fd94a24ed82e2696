"""The HTTP API over real sockets: what it tells of health and events, and when it cannot."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest
from gslb.control.body import BlindBody, stamp

from .desk import NOW, Desk, serving
from .test_http import SUPPLIERS, get, send
from .test_order import DRAIN, ask


async def test_health_tells_every_target():
    async with serving(Desk(), SUPPLIERS) as address:
        status, body = await ask(address, "GET", "/v1/health", headers={})
    assert status == 200
    assert body["at"] == stamp(NOW)
    assert body["blind"] is None
    down, up, _ = body["targets"]
    assert down == {
        "check": "web",
        "type": "http",
        "address": "10.0.0.0",
        "port": 8080,
        "state": "down",
        "since": stamp(NOW),
        "held": False,
        "endpoints": [{"pool": "web-fra", "endpoint": "web-0", "forced": None}],
        "latency": {"ewma_s": 0.1, "min_s": 0.05, "mean_s": 0.1, "p95_s": 0.2},
        "load": None,
        "load_at": None,
        "certificate_expires": stamp(NOW),
        "evidence": {
            "at": stamp(NOW),
            "from": "up",
            "to": "down",
            "reasons": ["connect refused"],
        },
        "failing": ["connect refused"],
    }
    assert (up["state"], up["load"], up["load_at"]) == ("up", 0.5, stamp(NOW))
    assert (up["evidence"], up["failing"]) == (None, [])


@pytest.mark.parametrize("targets", [0, 1, 49, 50, 51, 100, 1234])
async def test_the_slices_of_health_make_one_list(targets):
    desk = Desk(targets=targets, blind=BlindBody(why="every witness fails []", since=NOW))
    async with serving(desk, SUPPLIERS) as address:
        _, body = await ask(address, "GET", "/v1/health")
    assert len({each["address"] for each in body["targets"]}) == targets == len(body["targets"])
    assert body["blind"] == {"why": "every witness fails []", "since": stamp(NOW)}


async def test_others_get_their_turn_between_two_slices_of_health():
    desk = Desk(targets=3_000)
    answered = 0
    turns = []
    desk.before_slice = lambda: turns.append(answered)
    async with serving(desk, SUPPLIERS) as address:

        async def others():
            nonlocal answered
            while len(turns) < 60:
                answered += 1
                await asyncio.sleep(0)

        async with asyncio.TaskGroup() as group:
            group.create_task(others())
            listing = group.create_task(ask(address, "GET", "/v1/health"))
    assert len(listing.result()[1]["targets"]) == 3_000
    assert len(set(turns)) == len(turns) == 60


async def test_however_many_ask_for_health_there_is_one_slice_a_turn():
    desk = Desk(targets=500)
    turn = 0
    turns = []
    desk.before_slice = lambda: turns.append(turn)
    async with serving(desk, SUPPLIERS) as address:

        async def count():
            nonlocal turn
            while len(turns) < 40:
                turn += 1
                await asyncio.sleep(0)

        async with asyncio.TaskGroup() as group:
            group.create_task(count())
            listings = [group.create_task(ask(address, "GET", "/v1/health")) for _ in range(4)]
    assert [len(listing.result()[1]["targets"]) for listing in listings] == [500] * 4
    assert len(set(turns)) == len(turns) == 40


async def test_what_fails_in_the_middle_of_health_is_cut_off_and_logged(caplog):
    desk = Desk(targets=3_000)
    slices = 0

    def fail_at_last():
        nonlocal slices
        slices += 1
        if slices == 50:
            raise ValueError("a bug")

    desk.before_slice = fail_at_last
    async with serving(desk, SUPPLIERS) as address:
        with pytest.raises(aiohttp.ClientError):
            await get(address, "/v1/health")
        slices = 1000
        assert (await ask(address, "GET", "/v1/health"))[0] == 200
    assert [record.exc_info[1].args for record in caplog.records] == [("a bug",)]


async def test_who_leaves_in_the_middle_of_health_leaves_no_trace(caplog):
    desk = Desk(targets=5_000)
    async with serving(desk, SUPPLIERS) as address, asyncio.timeout(20):
        for _ in range(3):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await reader.read(1000)
            writer.transport.abort()
        assert len((await ask(address, "GET", "/v1/health"))[1]["targets"]) == 5_000
    assert caplog.records == []


async def test_the_head_of_health_is_no_work():
    desk = Desk(targets=3_000)
    desk.before_slice = lambda: pytest.fail("nobody wants to know")
    async with serving(desk, SUPPLIERS) as address:
        status, headers, text = await get(address, "/v1/health", "HEAD")
        assert (status, text) == (200, "")
        assert headers["Content-Type"] == "application/json; charset=utf-8"
        old = await send(address, b"GET /v1/overrides HTTP/1.0\r\n\r\n")
        assert b'"overrides":[]' in old


async def test_a_client_of_http_1_0_gets_health_as_well():
    async with serving(Desk(targets=200), SUPPLIERS) as address:
        reply = await send(address, b"GET /v1/health HTTP/1.0\r\n\r\n")
    head, _, body = reply.partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert len(json.loads(body)["targets"]) == 200


async def test_events_are_told_from_an_id_on_and_without_one_the_newest():
    async with serving(Desk(), SUPPLIERS) as address:
        status, body = await ask(address, "GET", "/v1/events?after=7&limit=2", headers={})
        assert status == 200
        first = {
            "id": 8,
            "at": stamp(NOW + 8),
            "kind": "override",
            "object": "pool/web-fra",
            "from": "none",
            "to": "drain",
            "why": "",
            "who": "me",
        }
        assert body == {"events": [first, first | {"id": 9, "at": stamp(NOW + 9)}], "last": 9}
        _, body = await ask(address, "GET", "/v1/events")
        assert [event["id"] for event in body["events"]] == list(range(151, 251))
        assert await ask(address, "GET", "/v1/events?after=250") == (
            200,
            {"events": [], "last": 250},
        )


NO_ID = 'parameter "after" is no number from 0 to 9223372036854775807'


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("after=-1", NO_ID),
        ("after=9223372036854775808", NO_ID),
        ("after=x", NO_ID),
        ("after=", NO_ID),
        ("limit=0", 'parameter "limit" is no number from 1 to 1000'),
        ("limit=1001", 'parameter "limit" is no number from 1 to 1000'),
        ("limit=%D9%A1", 'parameter "limit" is no number from 1 to 1000'),
        ("limit=1&limit=2", 'parameter "limit" is given twice'),
        ("since=1", 'unknown parameter "since"; known: after, limit'),
    ],
)
async def test_a_wrong_question_for_events_is_told_what_is_wrong(query, detail):
    async with serving(Desk(), SUPPLIERS) as address:
        assert await ask(address, "GET", f"/v1/events?{query}") == (400, detail)


async def test_before_there_is_anything_to_ask_it_says_so():
    async with serving(None, SUPPLIERS) as address:
        for path in ("/v1/health", "/v1/overrides", "/v1/events"):
            status, detail = await ask(address, "GET", path)
            assert (status, detail) == (503, "not ready: it is starting or stopping")
        reply = await ask(address, "PUT", "/v1/overrides/pool/web-fra", json=DRAIN)
        assert reply == (503, "not ready: it is starting or stopping")


async def test_a_defect_behind_the_api_is_no_fault_of_who_asked(caplog):
    class Broken(Desk):
        async def list_overrides(self):
            return {}["overrides"]

        async def set_override(self, kind, name, order, by):
            return BlindBody(why=5, since="now")

    async with serving(Broken(), SUPPLIERS) as address:
        status, detail = await ask(address, "GET", "/v1/overrides")
        assert (status, detail) == (500, "this is a defect of gslb; its log has the traceback")
        reply = await ask(address, "PUT", "/v1/overrides/pool/web-fra", json=DRAIN)
        assert reply[0] == 500
    assert [record.exc_info[0].__name__ for record in caplog.records] == [
        "KeyError",
        "ValidationError",
    ]
