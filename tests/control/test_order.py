"""The HTTP API over real sockets: overrides, reports, and who may do what."""

from __future__ import annotations

import json

import pytest
from gslb.control import http
from gslb.control.body import stamp
from gslb.control.operation import By
from gslb.control.token import NO_TOKEN, NO_TOKEN_TO_CHANGE

from .desk import NOW, OBJECTS, Desk, request, serving
from .test_http import SUPPLIERS, assert_problem, get, send

ME = {"Authorization": "Bearer me's"}
AGENT = {"Authorization": "Bearer agent's"}
READER = {"Authorization": "Bearer prometheus's"}
DRAIN = {"state": "drain", "why": "kernel upgrade", "until": "2h", "lead": "10m"}


async def ask(address, method, path, headers=ME, **options):
    """Status and body; the body of an error must be a problem document."""
    reply = await get(address, path, method, headers=headers, **options)
    status, head, text = reply
    assert head["Server"] == "gslb"
    assert head["Cache-Control"] == "no-store"
    if status == 200:
        assert head["Content-Type"] == "application/json; charset=utf-8"
        return status, json.loads(text)
    return status, assert_problem(reply, status)


# ---- overrides ----------------------------------------------------------------------------


async def test_a_drain_is_set_listed_and_cleared():
    desk = Desk()
    async with serving(desk, SUPPLIERS) as address:
        put = await ask(address, "PUT", "/v1/overrides/pool/web-fra", json=DRAIN)
        override = {
            "kind": "pool",
            "name": "web-fra",
            "state": "drain",
            "who": "me",
            "why": "kernel upgrade",
            "at": "2026-11-18T13:06:40Z",
            "effective_at": "2026-11-18T13:16:40Z",
            "until": "2026-11-18T15:06:40Z",
            "real": "2 of 3 up",
            "caches_empty_at": "2026-11-18T13:17:10Z",
        }
        assert put == (200, {"override": override, "kept": True, "warning": None})
        listed = {"overrides": [override], "kept": True, "problem": None}
        assert await ask(address, "GET", "/v1/overrides", headers={}) == (200, listed)
        gone = await ask(address, "DELETE", "/v1/overrides/pool/web-fra?why=it+is+done")
        assert gone == (200, {"cleared": override, "kept": True, "warning": None})
        again = await ask(address, "DELETE", "/v1/overrides/pool/web-fra?why=again")
        assert again == (200, {"cleared": None, "kept": True, "warning": None})
        reply = await ask(address, "DELETE", "/v1/overrides/pool/web-frb?why=again")
        assert reply == (404, 'no pool "web-frb"; did you mean "web-fra"?')
    by = By("me", "127.0.0.1")
    assert desk.orders == [
        ("set", "pool", "web-fra", by),
        ("clear", "pool", "web-fra", "it is done", by),
    ]


async def test_what_is_not_kept_is_said():
    desk = Desk(kept=False)
    async with serving(desk, SUPPLIERS) as address:
        status, body = await ask(address, "PUT", "/v1/overrides/pool/web-fra", json=DRAIN)
        assert (status, body["kept"]) == (200, False)
        _, body = await ask(address, "GET", "/v1/overrides")
        assert (body["kept"], body["problem"]) == (False, "disk full")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/overrides/datacenter/fra", "fra"),
        ("/v1/overrides/endpoint/192.0.2.10", "192.0.2.10"),
        ("/v1/overrides/endpoint/2001:db8::1", "2001:db8::1"),
        ("/v1/overrides/endpoint/2001%3Adb8%3a%3a1", "2001:db8::1"),
        ("/v1/overrides/endpoint/a%2Fb%20%7Bc%7D%25", "a/b {c}%"),
        ("/v1/overrides/object/fra", "fra"),
        ("/v1/overrides/pool/w%65b%2Dfra", "web-fra"),
    ],
)
async def test_names_in_a_path_are_percent_decoded(path, name):
    desk = Desk()
    async with serving(desk, SUPPLIERS) as address:
        octets = json.dumps(DRAIN).encode()
        reply = await send(address, request("PUT", path, octets))
        assert reply.startswith(b"HTTP/1.1 200 "), reply
    assert desk.orders == [("set", OBJECTS[name], name, By("me", "127.0.0.1"))]


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("pool/web-frb", 404, 'no pool "web-frb"; did you mean "web-fra"?'),
        ("pool/fra", 404, 'no pool "fra"; did you mean "web-fra"?'),
        ("object/both", 400, '"both" is ambiguous; say datacenter/both or pool/both'),
        (
            "policy/web",
            404,
            '"policy" is no kind of object; known: datacenter, pool, endpoint, object',
        ),
        ("pool/a%00b", 400, "the name in the path is no name"),
        ("pool/a%0d%0ab", 400, "the name in the path is no name"),
        (f"pool/{'a' * 256}", 400, "the name in the path is no name"),
        ("pool/web-fra?until=2h", 400, 'unknown parameter "until"; there are none here'),
        ("pool", 404, "there is no /v1/overrides/pool here; / lists the paths"),
        ("pool/a/b", 404, "there is no /v1/overrides/pool/a/b here; / lists the paths"),
    ],
)
async def test_what_is_not_there_is_told_apart_from_what_is_wrong(path, status, detail):
    desk = Desk()
    async with serving(desk, SUPPLIERS) as address:
        assert await ask(address, "PUT", f"/v1/overrides/{path}", json=DRAIN) == (status, detail)
    assert not desk.orders


KNOWN = "known: state, why, until and lead"
TIMES = 'write it as "2026-11-21T18:40:00Z", or "2h" for two hours from now'
# (body, what is wrong with it)
WRONG_ORDERS = [
    (b"", "the body is empty where a JSON object has to be"),
    (b" \n", "the body is empty where a JSON object has to be"),
    (b"[]", "the body is no JSON object"),
    (b"null", "the body is no JSON object"),
    (b'"drain"', "the body is no JSON object"),
    (b"{", "the body is no JSON: EOF while parsing an object at line 1 column 1"),
    (b"state=drain", "the body is no JSON: expected value at line 1 column 1"),
    (b"\xff\xfe", "the body is no JSON: expected value at line 1 column 1"),
    (b"[" * 60_000, "the body is no JSON: recursion limit exceeded at line 1 column 202"),
    (b"{}", '"state" is missing; "why" is missing'),
    (b'{"state": "up", "why": "a"}', '"until" is missing: what is forced up needs an end'),
    (
        b'{"state": "down", "why": "a", "lead": "1m"}',
        '"lead" is for a drain only; down takes effect at once',
    ),
    (b'{"state": "drain", "why": "a", "till": "2h"}', f'unknown field "till"; {KNOWN}'),
    (b'{"state": "away", "why": "a"}', "\"state\": input should be 'up', 'down' or 'drain'"),
    (b'{"state": "drain", "state": "down", "why": "a"}', '"state" stands twice'),
    (b'{"state": "drain", "why": ""}', '"why": is empty; say why in one line'),
    (b'{"state": "drain", "why": "  "}', '"why": is empty; say why in one line'),
    (b'{"state": "drain", "why": 5}', '"why": input should be a valid string'),
    (
        b'{"state": "drain", "why": "a\\nb"}',
        '"why": has control characters or more than one line',
    ),
    (
        b'{"state": "drain", "why": "a\\u0000"}',
        '"why": has control characters or more than one line',
    ),
    (
        b'{"state": "drain", "why": "' + b"a" * 201 + b'"}',
        '"why": has 201 characters where 200 may be',
    ),
    (
        b'{"state": "drain", "why": "a", "until": "tomorrow"}',
        f'"until": "tomorrow" is neither a time nor a duration; {TIMES}',
    ),
    (
        b'{"state": "drain", "why": "a", "until": "2026-11-21T18:40:00"}',
        f'"until": "2026-11-21T18:40:00" is neither a time nor a duration; {TIMES}',
    ),
    (b'{"state": "drain", "why": "a", "until": 7200}', '"until": input should be a valid string'),
    (
        b'{"state": "drain", "why": "a", "until": "2020-01-01T00:00:00Z"}',
        '"2020-01-01T00:00:00Z" is in the past',
    ),
    (
        b'{"state": "drain", "why": "a", "until": "9999-12-31T23:59:59Z"}',
        '"9999-12-31T23:59:59Z" is more than ten years ahead',
    ),
    (
        b'{"state": "drain", "why": "a", "until": "999999999d"}',
        '"999999999d" is more than ten years ahead',
    ),
    (
        b'{"state": "drain", "why": "a", "until": "5m", "lead": "5m"}',
        '"until" is not after "lead": the drain would never take effect',
    ),
    (
        b'{"state": "drain", "why": "a", "lead": "soon"}',
        '"lead": "soon" is no duration; write it as "10m"',
    ),
    (b'{"state": "drain", "why": "a", "lead": "31d"}', '"lead": "31d" is longer than 30 days'),
]


@pytest.mark.parametrize(("octets", "detail"), WRONG_ORDERS, ids=range(len(WRONG_ORDERS)))
async def test_a_wrong_order_is_told_what_is_wrong_and_changes_nothing(octets, detail):
    desk = Desk()
    async with serving(desk, SUPPLIERS) as address:
        form = {"Content-Type": "application/json"}
        path = "/v1/overrides/pool/web-fra"
        reply = await ask(address, "PUT", path, headers=ME | form, data=octets)
    assert reply == (400, detail)
    assert not desk.orders


async def test_every_way_to_write_an_end_is_understood():
    async with serving(Desk(), SUPPLIERS) as address:
        for until, seconds in (
            ("2h", 7200),
            ("7d", 7 * 86400),
            ("2026-11-18T13:07:00Z", 20),
            ("2026-11-18t13:07:00z", 20),
            ("2026-11-18T14:07:00+01:00", 20),
            ("2026-11-18 13:07:00.9-00:00", 20.9),
            (None, None),
        ):
            order = {"state": "down", "why": "a", "until": until}
            _, body = await ask(address, "PUT", "/v1/overrides/pool/web-fra", json=order)
            ends = None if seconds is None else stamp(NOW + seconds)
            assert body["override"]["until"] == ends, until


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("", 'parameter "why" is empty; say why in one line'),
        ("?why=", 'parameter "why" is empty; say why in one line'),
        ("?why=a&why=b", 'parameter "why" is given twice'),
        ("?wy=a", 'unknown parameter "wy"; known: why'),
        ("?why=a%0ab", 'parameter "why" has control characters or more than one line'),
    ],
)
async def test_who_clears_says_why(query, detail):
    desk = Desk()
    async with serving(desk, SUPPLIERS) as address:
        reply = await ask(address, "DELETE", f"/v1/overrides/pool/web-fra{query}")
    assert reply == (400, detail)


async def test_a_delete_has_no_body():
    async with serving(Desk(), SUPPLIERS) as address:
        path = "/v1/overrides/pool/web-fra?why=a"
        status, detail = await ask(address, "DELETE", path, json={"why": "a"})
    assert (status, detail) == (400, "a DELETE has no body; say why in the parameter: ?why=TEXT")


# ---- who may ------------------------------------------------------------------------------

CHANGES = [
    ("PUT", "/v1/overrides/pool/web-fra", DRAIN),
    ("DELETE", "/v1/overrides/pool/web-fra?why=a", None),
    ("PUT", "/v1/pools/web-fra/load", {"load": 0.5}),
    ("PUT", "/v1/checks/backup/192.0.2.10", {"state": "up"}),
]


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
async def test_changing_anything_needs_a_token_on_this_machine_too(method, path, body):
    desk = Desk()
    async with serving(desk, SUPPLIERS) as address:
        status, detail = await ask(address, method, path, headers={}, json=body)
        assert (status, detail) == (401, NO_TOKEN_TO_CHANGE)
        for text in ("wrong", "", "me's me's", "me"):
            wrong = {"Authorization": f"Bearer {text}"}
            status, detail = await ask(address, method, path, headers=wrong, json=body)
            assert status == 401
            assert "shows no token" in detail
        in_url = f"{path}{'&' if '?' in path else '?'}access_token=me's"
        assert (await ask(address, method, in_url, headers={}, json=body))[0] == 401
    assert not desk.orders


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
async def test_a_reader_changes_nothing(method, path, body):
    desk = Desk()
    async with serving(desk, SUPPLIERS) as address:
        status, detail = await ask(address, method, path, headers=READER, json=body)
    does = "overrides" if "overrides" in path else "reports"
    assert (status, detail) == (403, f'token "prometheus" has the role read, which {does} nothing')
    assert not desk.orders


async def test_a_reporter_reports_what_its_only_names_and_nothing_else():
    desk = Desk()
    async with serving(desk, SUPPLIERS) as address:
        load, report = {"load": 0.5}, {"state": "up"}
        assert (await ask(address, "PUT", "/v1/pools/web-fra/load", AGENT, json=load))[0] == 200
        path = "/v1/checks/backup/192.0.2.10"
        assert (await ask(address, "PUT", path, AGENT, json=report))[0] == 200
        for path, name, body in (
            ("/v1/pools/web-iad/load", "web-iad", load),
            ("/v1/pools/nowhere/load", "nowhere", load),
            ("/v1/checks/web/192.0.2.10", "web", report),
        ):
            status, detail = await ask(address, "PUT", path, AGENT, json=body)
            told = f'token "agent" may not report "{name}": its `only` does not name it'
            assert (status, detail) == (403, told)
        reply = await ask(address, "PUT", "/v1/overrides/pool/web-fra", AGENT, json=DRAIN)
        assert reply == (403, 'token "agent" has the role report, which overrides nothing')
    assert [order[:2] for order in desk.orders] == [("load", "web-fra"), ("check", "backup")]


@pytest.mark.parametrize("path", ["/v1/health", "/v1/overrides", "/v1/events"])
async def test_beyond_loopback_reading_needs_a_reader(monkeypatch, path):
    # As in test_http.py: loopback is said to be something else.
    monkeypatch.setattr(http, "is_loopback", lambda address: False)
    async with serving(Desk(), SUPPLIERS) as address:
        assert await ask(address, "GET", path, headers={}) == (401, NO_TOKEN)
        for headers, status in ((READER, 200), (ME, 200), (AGENT, 403)):
            assert (await ask(address, "GET", path, headers=headers))[0] == status


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/v1/overrides", "GET,HEAD"),
        ("GET", "/v1/overrides/pool/web-fra", "DELETE,PUT"),
        ("POST", "/v1/overrides/pool/web-fra", "DELETE,PUT"),
        ("PATCH", "/v1/pools/web-fra/load", "PUT"),
        ("GET", "/v1/pools/web-fra/load", "PUT"),
        ("DELETE", "/v1/checks/backup/192.0.2.10", "PUT"),
        ("PUT", "/v1/health", "GET,HEAD"),
    ],
)
async def test_another_method_is_told_which_are_taken(method, path, allowed):
    async with serving(Desk(), SUPPLIERS) as address:
        reply = await get(address, path, method, headers=ME)
        assert method in assert_problem(reply, 405)
        assert reply[1]["Allow"] == allowed


# ---- reports ------------------------------------------------------------------------------


async def test_a_load_and_a_check_are_reported():
    desk = Desk()
    async with serving(desk, SUPPLIERS) as address:
        reply = await ask(address, "PUT", "/v1/pools/web-fra/load", AGENT, json={"load": 0.83})
        assert reply == (200, {"pool": "web-fra", "load": 0.83, "share": 100})
        path = "/v1/checks/backup/::ffff:192.0.2.10"  # as a socket of both families has it
        assert (await ask(address, "PUT", path, AGENT, json={"state": "up"}))[0] == 200
        path, order = "/v1/checks/backup/2001:DB8:0::1", {"state": "down", "why": "no backup"}
        reply = await ask(address, "PUT", path, AGENT, json=order)
        told = {"check": "backup", "address": "2001:db8::1", "state": "down", "targets": 1}
        assert reply == (200, told)
    by = By("agent", "127.0.0.1")
    assert desk.orders == [
        ("load", "web-fra", 0.83, by),
        ("check", "backup", "192.0.2.10", "up", "", by),
        ("check", "backup", "2001:db8::1", "down", "no backup", by),
    ]


@pytest.mark.parametrize(
    ("path", "octets", "status", "detail"),
    [
        ("pools/web-fra/load", b'{"load": NaN}', 400, '"load": input should be a finite number'),
        ("pools/web-fra/load", b'{"load": 1e999}', 400, '"load": input should be a finite number'),
        (
            "pools/web-fra/load",
            b'{"load": -1}',
            400,
            '"load": input should be greater than or equal to 0',
        ),
        ("pools/web-fra/load", b'{"load": "1"}', 400, '"load": input should be a valid number'),
        ("pools/web-fra/load", b'{"load": true}', 400, '"load": input should be a valid number'),
        ("pools/web-fra/load", b"{}", 400, '"load" is missing'),
        ("pools/fra/load", b'{"load": 1}', 404, 'no pool "fra"'),
        ("checks/backup/host", b'{"state": "up"}', 400, '"host" is no IP address'),
        ("checks/backup/::%2F64", b'{"state": "up"}', 400, '"::/64" is no IP address'),
        ("checks/backup/192.0.2.9", b'{"state": "up"}', 404, "no push check backup of 192.0.2.9"),
        (
            "checks/web/192.0.2.10",
            b'{"state": "up"}',
            400,
            'check "web" is of type http; only a push check takes reports',
        ),
        (
            "checks/backup/192.0.2.10",
            b'{"state": "unknown"}',
            400,
            "\"state\": input should be 'up' or 'down'",
        ),
    ],
)  # fmt: skip
async def test_a_wrong_report_is_told_what_is_wrong(path, octets, status, detail):
    desk = Desk()
    async with serving(desk, SUPPLIERS) as address:
        form = ME | {"Content-Type": "application/json"}
        reply = await ask(address, "PUT", f"/v1/{path}", headers=form, data=octets)
    assert reply == (status, detail)
    assert not desk.orders
