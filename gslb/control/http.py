"""The control address: HTTP for people, Prometheus and load balancers (control.md).

Knows: the paths, who may read them, how an error looks (RFC 9457). Refuses to know: the World and
the metrics; what it tells comes from three callables. Invariant: whatever a handler raises, the
client gets a problem document; nobody beyond loopback reads more than /healthz and /readyz
without a token of `control.tokens`.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import json
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import hdrs, web

from gslb.control.gate import MAX_CONNECTIONS, SLOW_S, Gate, GuardedConnection, is_loopback
from gslb.control.token import CHALLENGE, TOO_LITTLE, WRONG, find_token
from gslb.core.setting import Settings, Token
from gslb.errors import ListenError

OPEN_TO_ALL = ("/healthz", "/readyz")
READERS = ("read", "operate")  # roles
NO_TOKEN = (
    "reading from another machine needs a token of control.tokens: "
    'send "Authorization: Bearer TOKEN"'
)
INDEX = """\
gslb: the control address

/healthz      the process is alive
/readyz       it answers: a configuration is loaded and every listening socket is open
/metrics      for Prometheus
/v1/explain   ?name=NAME&type=TYPE&from=ADDRESS-OR-NETWORK&down=OBJECT: a decision, every step
"""

_log = logging.getLogger(__name__)
# aiohttp logs a traceback for requests that are not HTTP; that is the peer's doing, not ours.
_peer_log = logging.getLogger(f"{__name__}.peer")
_peer_log.setLevel(logging.CRITICAL + 1)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Suppliers:
    """What the control address tells, asked anew for every request, in the serving loop.

    `ready`: a World is published and every socket open. `metrics`: the body, in pieces between
    which others get their turn, and the content type.
    `explain(name, type, from, down)`: the body; ValueError says what is wrong with the question.
    `holder(host, port)`: who has the port that cannot be opened, "" if unknown.
    """

    ready: Callable[[], bool]
    metrics: Callable[[], tuple[Iterable[bytes], str]]
    explain: Callable[[str, str, str | None, tuple[str, ...]], dict[str, object]]
    holder: Callable[[str, int], str] = lambda host, port: ""


class Control:
    """The HTTP server on `listen` (literal address, port; 0 takes a free one).

    `max_body`, in octets, and `tokens` may be changed at any time.
    """

    def __init__(
        self,
        listen: tuple[str, int],
        hosts: tuple[str, ...],
        suppliers: Suppliers,
        max_body: int = Settings().max_body,
        tokens: tuple[Token, ...] = (),
    ) -> None:
        self.max_body = max_body
        self.tokens = tokens
        self._too_large = 0
        self._wrong_tokens = 0
        self._listen = listen
        self._hosts = frozenset(_host_name(host) for host in hosts)
        self._suppliers = suppliers
        self._gate = Gate()
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None

    def stats(self) -> dict[tuple[str, ...], int]:
        """How often its limits were reached and tokens were wrong, by (name, label value)."""
        return {
            ("dropped", "control_token"): self._wrong_tokens,
            ("cap", "max_body"): self._too_large,
            ("cap", "control_connections"): self._gate.refused,
        }

    async def start(self) -> tuple[str, int]:
        """Opens the socket; the address really bound. Raises ListenError."""
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/", self._index)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/v1/explain", self._explain)
        app.on_response_prepare.append(_add_headers)
        runner = web.AppRunner(
            app,
            access_log=None,
            logger=_peer_log,
            keepalive_timeout=SLOW_S,
            lingering_time=1.0,
            shutdown_timeout=1.0,
        )
        await runner.setup()
        self._runner = runner
        behind = runner.server
        assert behind is not None
        refusal = _refusal()
        host, port = self._listen
        try:
            # One connection a turn: out of file descriptors, asyncio complains once for each.
            self._server = await asyncio.get_running_loop().create_server(
                lambda: GuardedConnection(self._gate, behind(), refusal), host, port, backlog=1
            )
            with self._server.sockets[0].dup() as listening:
                listening.listen(MAX_CONNECTIONS)
        except OSError as error:
            await self.stop()
            holder = self._suppliers.holder(host, port) if error.errno == errno.EADDRINUSE else ""
            raise ListenError(_explain_failure(self._listen, error, holder)) from None
        bound = self._server.sockets[0].getsockname()
        return str(bound[0]), int(bound[1])

    async def stop(self) -> None:
        """Closes the socket and the connections; requests in progress get a second."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            refused = self._refuse(request)
            return refused or await handler(request)
        except web.HTTPException as error:
            response = problem(error.status, _http_detail(request, error))
            if hdrs.ALLOW in error.headers:
                response.headers[hdrs.ALLOW] = error.headers[hdrs.ALLOW]
            return response
        except Exception:
            _log.exception("control: %s %s failed", request.method, request.path)
            return problem(500, "this is a defect of gslb; its log has the traceback")

    def _refuse(self, request: web.Request) -> web.Response | None:
        """The refusal of a request that this client may not make, or None."""
        hosts = request.headers.getall(hdrs.HOST, [])
        if len(hosts) != 1 and not (request.version == (1, 0) and not hosts):
            return problem(400, "a request has one Host header (RFC 9112 section 3.2)")
        if hosts and not self._knows_host(request, hosts[0]):
            return problem(
                421,
                f'"{_host_name(hosts[0])}" is not a name of this server; '
                "list it under control.hosts",
            )
        if request.path not in OPEN_TO_ALL and (refused := self._refuse_reader(request)):
            return refused
        if hdrs.TRANSFER_ENCODING in request.headers:
            return problem(411, "say how long the body is (RFC 9112 section 6.3)")
        if (request.content_length or 0) > self.max_body:
            self._too_large += 1
            return problem(413, f"a body has at most {self.max_body} octets (control.max_body)")
        return None

    def _refuse_reader(self, request: web.Request) -> web.Response | None:
        """The refusal of who may not read, or None: loopback is free, others need a token."""
        credentials = request.headers.getall(hdrs.AUTHORIZATION, [])
        if not credentials:
            if is_loopback(request.remote):
                return None
            return _challenge(401, CHALLENGE, NO_TOKEN)
        token = find_token(self.tokens, credentials)
        if token is None:
            self._wrong_tokens += 1
            what = "the Authorization header shows no token of control.tokens"
            return _challenge(401, WRONG, what)
        if token.role not in READERS and not is_loopback(request.remote):
            what = f'token "{token.name}" has the role {token.role}, which reads nothing'
            return _challenge(403, TOO_LITTLE, what)
        return None

    def _knows_host(self, request: web.Request, host: str) -> bool:
        """DNS rebinding makes a browser send a foreign *name*, never a literal address.

        So every address is good: the one that a client knows may be forwarded to ours.
        """
        name = _host_name(host)
        if name in self._hosts or _is_address(name):
            return True
        transport = request.transport
        sockname = transport.get_extra_info("sockname") if transport is not None else None
        return name == "localhost" and is_loopback(str(sockname[0]) if sockname else None)

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
        body = bytearray()
        for piece in pieces:
            body += piece
            await asyncio.sleep(0)
        return web.Response(body=bytes(body), headers={hdrs.CONTENT_TYPE: content_type})

    async def _explain(self, request: web.Request) -> web.Response:
        query = request.query
        try:
            for key in query:
                if key not in ("name", "type", "from", "down"):
                    raise ValueError(f'unknown parameter "{key}"; known: name, type, from, down')
                if key != "down" and len(query.getall(key)) > 1:
                    raise ValueError(f'parameter "{key}" is given twice')
            if not query.get("name"):
                raise ValueError('parameter "name" is missing')
            body = self._suppliers.explain(
                query["name"],
                query.get("type") or "A",
                query.get("from") or None,
                tuple(query.getall("down", [])),
            )
        except ValueError as error:
            return problem(400, str(error))
        return web.Response(text=json.dumps(body) + "\n", content_type="application/json")


def problem(status: int, detail: str) -> web.Response:
    """An RFC 9457 problem document."""
    return web.Response(
        status=status, text=_problem_text(status, detail), content_type="application/problem+json"
    )


def _challenge(status: int, challenge: str, detail: str) -> web.Response:
    """The refusal of a client because of its token; without a right one it has no business here."""
    response = problem(status, detail)
    response.headers[hdrs.WWW_AUTHENTICATE] = challenge
    response.force_close()
    return response


def _problem_text(status: int, detail: str) -> str:
    title = HTTPStatus(status).phrase
    body: Mapping[str, object] = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
    }
    return json.dumps(body) + "\n"


def _refusal() -> bytes:
    """The whole answer to a connection that finds no place."""
    body = _problem_text(503, "too many connections").encode()
    head = (
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\nRetry-After: 5\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers[hdrs.SERVER] = "gslb"
    response.headers[hdrs.CACHE_CONTROL] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"


def _http_detail(request: web.Request, error: web.HTTPException) -> str:
    match error.status:
        case 404:
            return f"there is no {request.path} here; / lists the paths"
        case 405:
            return f"{request.path} does not take {request.method}"
        case _:
            return error.reason


def _host_name(host: str) -> str:
    """A Host header or an address without its port, brackets and final dot, in lower case."""
    name = host.strip().lower()
    if name.startswith("["):
        name = name[1:].partition("]")[0]
    elif name.count(":") == 1:
        name = name.partition(":")[0]
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name.removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _explain_failure(listen: tuple[str, int], error: OSError, holder: str) -> str:
    """One line for the operator: which address, why, what to do."""
    host, port = listen
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    match error.errno:
        case errno.EADDRINUSE:
            by = f" by {holder}" if holder else ""
            why = f"the port is in use{by}; stop that, or change control.listen"
        case errno.EACCES if port < 1024:
            why = "permission denied; change control.listen to a port of 1024 or more"
        case errno.EADDRNOTAVAIL:
            why = "this machine has no such address; change control.listen"
        case _:
            why = os.strerror(error.errno) if error.errno else str(error)
    return f"cannot listen on {where} (HTTP): {why}"
