"""The paths of the control address and what each does (control.md, HTTP API).

Knows: paths, parameters, bodies, and what each path needs of who asks. Refuses to know: the World
and the metrics; what it tells comes from callables. Invariant: an order is carried out only once
its token is known and its whole body is here and understood; whoever is slow to send it is dropped.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, get_args

from aiohttp import ClientPayloadError, hdrs, web

from gslb.control import gate
from gslb.control.body import (
    Body,
    LoadOrder,
    Order,
    OverrideOrder,
    ReportOrder,
    parse,
    read_why,
    write,
    write_health,
)
from gslb.control.operation import AnyKind, By, Operations
from gslb.control.problem import challenge, problem
from gslb.control.token import TOO_LITTLE, Access, may_report
from gslb.core.override import ObjectKind
from gslb.core.setting import Token

INDEX: Final = """\
gslb: the control address

/healthz      the process is alive
/readyz       it answers: a configuration is loaded and every listening socket is open
/metrics      for Prometheus
/v1/explain   ?name=NAME&type=TYPE&from=ADDRESS-OR-NETWORK&down=OBJECT: a decision, every step
/v1/health    every (check, address, port): its state, since when, why
/v1/overrides what is forced up, down or drained, and beside it what the probes say
/v1/events    ?after=ID&limit=NUMBER: what happened, oldest first; without "after" the newest

With a token:
PUT    /v1/overrides/KIND/NAME       {"state": "drain", "why": "kernel upgrade", "until": "2h"}
DELETE /v1/overrides/KIND/NAME       ?why=TEXT
PUT    /v1/pools/POOL/load           {"load": 0.83}
PUT    /v1/checks/CHECK/ADDRESS      {"state": "up"}

KIND is datacenter, pool, endpoint, or object for what has only one of these names.
"""

MAX_NAME: Final = 255  # characters
MAX_EVENTS: Final = 1000
USUAL_EVENTS: Final = 100
MAX_ID: Final = 2**63 - 1
TOKEN: Final = web.RequestKey("token", Token)  # who asked, where that had to be known

_log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Suppliers:
    """What the control address tells, asked anew for every request, in the serving loop.

    `ready`: a World is published and every socket open. `metrics`: the body, in pieces between
    which others get their turn, and the content type.
    `explain(name, type, from, down)`: the body; ValueError says what is wrong with the question.
    `holder(host, port)`: who has the port that cannot be opened, "" if unknown.
    `operations`: what needs the server's objects; None where there is none yet.
    """

    ready: Callable[[], bool]
    metrics: Callable[[], tuple[Iterable[bytes], str]]
    explain: Callable[[str, str, str | None, tuple[str, ...]], dict[str, object]]
    holder: Callable[[str, int], str] = lambda host, port: ""
    operations: Operations | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """A method of a path, what it needs, who carries it out."""

    method: str
    path: str
    access: Access
    handler: Handler


class Routes:
    """The handlers. A ValueError or a LookupError of theirs is the fault of who asked; their
    subclasses are defects (problem.fault)."""

    def __init__(self, suppliers: Suppliers) -> None:
        self._suppliers = suppliers
        self._turn = asyncio.Lock()  # of who may work on a slice

    def table(self) -> tuple[Route, ...]:
        """Every route."""
        get, put, delete = hdrs.METH_GET, hdrs.METH_PUT, hdrs.METH_DELETE
        override = "/v1/overrides/{kind:[^/]+}/{name:[^/]+}"
        return (
            Route(get, "/", Access.READ, self._index),
            Route(get, "/healthz", Access.OPEN, self._healthz),
            Route(get, "/readyz", Access.OPEN, self._readyz),
            Route(get, "/metrics", Access.READ, self._metrics),
            Route(get, "/v1/explain", Access.READ, self._explain),
            Route(get, "/v1/health", Access.READ, self._health),
            Route(get, "/v1/overrides", Access.READ, self._overrides),
            Route(get, "/v1/events", Access.READ, self._events),
            Route(put, override, Access.OPERATE, self._set_override),
            Route(delete, override, Access.OPERATE, self._clear_override),
            Route(put, "/v1/pools/{pool:[^/]+}/load", Access.REPORT, self._report_load),
            Route(
                put, "/v1/checks/{check:[^/]+}/{address:[^/]+}", Access.REPORT, self._report_check
            ),
        )

    # ---- what is told -----------------------------------------------------------------

    async def _index(self, request: web.Request) -> web.Response:
        return web.Response(text=INDEX)

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def _readyz(self, request: web.Request) -> web.Response:
        if not self._suppliers.ready():
            return problem(503, "not ready: it is starting or stopping")
        return web.Response(text="ready\n")

    async def _metrics(self, request: web.Request) -> web.Response:
        pieces, content_type = self._suppliers.metrics()
        body = await _join(pieces)
        return web.Response(body=body, headers={hdrs.CONTENT_TYPE: content_type})

    async def _explain(self, request: web.Request) -> web.Response:
        query = _query(request, ("name", "type", "from", "down"), repeatable=("down",))
        if not query.get("name"):
            raise ValueError('parameter "name" is missing')
        try:
            body = self._suppliers.explain(
                query["name"],
                query.get("type") or "A",
                query.get("from") or None,
                tuple(request.query.getall("down", [])),
            )
        except ValueError as error:  # names and addresses have subclasses of it
            raise ValueError(str(error)) from None
        return _json(json.dumps(body).encode() + b"\n")

    async def _health(self, request: web.Request) -> web.StreamResponse:
        _query(request, ())
        head, slices = self._operations().health()
        return await self._stream(request, write_health(head, slices))

    async def _overrides(self, request: web.Request) -> web.Response:
        _query(request, ())
        return _tell(await self._operations().list_overrides())

    async def _events(self, request: web.Request) -> web.Response:
        query = _query(request, ("after", "limit"))
        after = _number("after", query["after"], 0, MAX_ID) if "after" in query else None
        limit = _number("limit", query.get("limit", str(USUAL_EVENTS)), 1, MAX_EVENTS)
        return _tell(await self._operations().events(after, limit))

    # ---- what is ordered --------------------------------------------------------------

    async def _set_override(self, request: web.Request) -> web.Response:
        kind, name = _object(request)
        _query(request, ())
        order = await _take(request, OverrideOrder)
        return _tell(await self._operations().set_override(kind, name, order, _by(request)))

    async def _clear_override(self, request: web.Request) -> web.Response:
        kind, name = _object(request)
        query = _query(request, ("why",))
        if request.body_exists:
            raise ValueError("a DELETE has no body; say why in the parameter: ?why=TEXT")
        try:
            why = read_why(query.get("why", ""))
        except ValueError as error:
            raise ValueError(f'parameter "why" {error}') from None
        return _tell(await self._operations().clear_override(kind, name, why, _by(request)))

    async def _report_load(self, request: web.Request) -> web.Response:
        pool = _name(request, "pool")
        _query(request, ())
        if denied := _deny_report(request, pool):
            return denied
        order = await _take(request, LoadOrder)
        return _tell(self._operations().report_load(pool, order.load, _by(request)))

    async def _report_check(self, request: web.Request) -> web.Response:
        check, text = _name(request, "check"), _name(request, "address")
        _query(request, ())
        if denied := _deny_report(request, check):
            return denied
        try:
            address = ip_address(text)
        except ValueError:
            raise ValueError(f'"{text}" is no IP address') from None
        if address.version == 6:  # as a socket of both families tells its own IPv4 address
            address = address.ipv4_mapped or address
        order = await _take(request, ReportOrder)
        return _tell(self._operations().report_check(check, str(address), order, _by(request)))

    async def _stream(self, request: web.Request, pieces: Iterator[bytes]) -> web.StreamResponse:
        """Sends JSON as it comes. However many ask, DNS answers wait for one piece at most."""
        form = {hdrs.CONTENT_TYPE: "application/json; charset=utf-8"}
        response = web.StreamResponse(headers=form)
        try:
            await response.prepare(request)
            if request.method == hdrs.METH_HEAD:
                return response
            while (piece := await self._take_turn(pieces)) is not None:
                await response.write(piece)
            await response.write_eof()
        except OSError:  # it has left
            pass
        except Exception:
            # Too late for a problem document: what is cut off in the middle is not taken for all.
            _log.exception("control: %s %s failed", request.method, request.path)
            if request.transport is not None:
                request.transport.abort()
        return response

    async def _take_turn(self, pieces: Iterator[bytes]) -> bytes | None:
        async with self._turn:
            await asyncio.sleep(0)
            return next(pieces, None)

    def _operations(self) -> Operations:
        if self._suppliers.operations is None:
            raise web.HTTPServiceUnavailable(reason="not ready: it is starting or stopping")
        return self._suppliers.operations


# ---- requests -----------------------------------------------------------------------------


def _by(request: web.Request) -> By:
    return By(request[TOKEN].name, request.remote or "")


def _deny_report(request: web.Request, name: str) -> web.Response | None:
    token = request[TOKEN]
    if may_report(token, name):
        return None
    what = f'token "{token.name}" may not report "{name}": its `only` does not name it'
    return challenge(403, TOO_LITTLE, what)


def _name(request: web.Request, part: str) -> str:
    """A part of the path, percent-decoded. Raises ValueError."""
    name = request.match_info[part]
    if len(name) > MAX_NAME or not name.isprintable():
        raise ValueError(f"the {part} in the path is no name")
    return name


def _object(request: web.Request) -> tuple[AnyKind, str]:
    kind = _name(request, "kind")
    known: dict[str, AnyKind] = {each: each for each in get_args(ObjectKind)}
    known["object"] = "object"
    if kind not in known:
        raise LookupError(f'"{kind}" is no kind of object; known: {", ".join(known)}')
    return known[kind], _name(request, "name")


def _query(
    request: web.Request, known: Collection[str], repeatable: Collection[str] = ()
) -> dict[str, str]:
    """The parameters, of what may be repeated the first. Raises ValueError."""
    query = request.query
    for key in query:
        if key not in known:
            names = f"known: {', '.join(known)}" if known else "there are none here"
            raise ValueError(f'unknown parameter "{key}"; {names}')
        if key not in repeatable and len(query.getall(key)) > 1:
            raise ValueError(f'parameter "{key}" is given twice')
    return {key: query[key] for key in query}


def _number(name: str, text: str, low: int, high: int) -> int:
    # The length first: reading a number takes the square of it.
    if len(text) <= len(str(high)) and text.isascii() and text.isdecimal():
        number = int(text)
        if low <= number <= high:
            return number
    raise ValueError(f'parameter "{name}" is no number from {low} to {high}')


async def _take(request: web.Request, model: type[Order]) -> Order:
    """The order in a request's body. Raises ValueError, web.HTTPException."""
    if request.content_type != "application/json" or hdrs.CONTENT_TYPE not in request.headers:
        raise web.HTTPUnsupportedMediaType(reason="send JSON, with Content-Type: application/json")
    if hdrs.CONTENT_ENCODING in request.headers:
        raise web.HTTPUnsupportedMediaType(reason="send the body as it is, not compressed")
    try:
        async with asyncio.timeout(gate.SLOW_S):
            if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
                await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                request.writer.output_size = 0  # of the reply, nothing is sent yet
            octets = await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout(reason="the body did not come in time") from None
    except (OSError, ClientPayloadError):
        raise web.HTTPBadRequest(reason="the body ended too early") from None
    return parse(model, octets)


# ---- replies ------------------------------------------------------------------------------


def _json(octets: bytes) -> web.Response:
    return web.Response(body=octets, content_type="application/json", charset="utf-8")


def _tell(body: Body) -> web.Response:
    return _json(write(body))


async def _join(pieces: Iterable[bytes]) -> bytes:
    """All of it; others get their turn after each piece."""
    body = bytearray()
    for piece in pieces:
        body += piece
        await asyncio.sleep(0)
    return bytes(body)
