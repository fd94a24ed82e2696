"""The control address: HTTP for people, Prometheus and load balancers (control.md).

Knows: its socket, what every request has to satisfy before a handler sees it. Refuses to know: the
paths and what they do (route.py). Invariant: whatever a handler raises, the client gets a problem
document; nobody beyond loopback reads more than /healthz and /readyz without a token, and nobody
at all changes anything without one.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import os

from aiohttp import hdrs, web
from aiohttp.http import HttpProcessingError

from gslb.control.gate import MAX_CONNECTIONS, SLOW_S, Gate, GuardedConnection
from gslb.control.problem import challenge, describe, fault, problem, too_many
from gslb.control.route import TOKEN, Handler, Routes, Suppliers
from gslb.control.token import Access, Denial, admit
from gslb.core.setting import Settings, Token, is_loopback
from gslb.errors import ListenError

__all__ = ["Control", "Suppliers"]

LARGEST_BODY = 16 * 1024 * 1024  # octets; `max_body` is at most that

_log = logging.getLogger(__name__)
# What aiohttp itself would log, with a traceback, is a peer's doing: our handlers' is in _guard.
_peer_log = logging.getLogger(f"{__name__}.peer")
_peer_log.setLevel(logging.CRITICAL + 1)


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
        self._access: dict[Handler, Access] = {}
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
        app = web.Application(middlewares=[self._guard], client_max_size=LARGEST_BODY)
        for route in Routes(self._suppliers).table():
            self._access[route.handler] = route.access
            if route.method == hdrs.METH_GET:
                app.router.add_get(route.path, route.handler, expect_handler=_expect)
            else:
                app.router.add_route(
                    route.method, route.path, route.handler, expect_handler=_expect
                )
        app.on_response_prepare.append(_add_headers)
        runner = web.AppRunner(app, shutdown_timeout=1.0)
        await runner.setup()
        self._runner = runner
        behind = runner.server
        assert behind is not None
        refusal = too_many()
        host, port = self._listen
        try:
            # One connection a turn: out of file descriptors, asyncio complains once for each.
            self._server = await asyncio.get_running_loop().create_server(
                lambda: GuardedConnection(self._gate, _Connection(behind), refusal),
                host,
                port,
                backlog=1,
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
            response = problem(error.status, describe(request, error))
            if hdrs.ALLOW in error.headers:
                response.headers[hdrs.ALLOW] = error.headers[hdrs.ALLOW]
            if error.status == 408:  # what still comes of the body is no request
                response.force_close()
            return response
        except Exception as error:
            if isinstance(error, ValueError | LookupError) and (told := fault(error)):
                return told
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
        if refused := self._refuse_client(request):
            return refused
        if hdrs.TRANSFER_ENCODING in request.headers:
            return problem(411, "say how long the body is (RFC 9112 section 6.3)")
        if (request.content_length or 0) > self.max_body:
            self._too_large += 1
            return problem(413, f"a body has at most {self.max_body} octets (control.max_body)")
        return None

    def _refuse_client(self, request: web.Request) -> web.Response | None:
        """The refusal of who may not do this; else its token, if it shows one, is noted."""
        access = self._access.get(request.match_info.handler, Access.READ)
        credentials = request.headers.getall(hdrs.AUTHORIZATION, [])
        found = admit(access, self.tokens, credentials, is_loopback(request.remote))
        if isinstance(found, Denial):
            self._wrong_tokens += found.is_wrong
            return challenge(found.status, found.challenge, found.detail)
        if found is not None:
            request[TOKEN] = found
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


class _Connection(web.RequestHandler):
    """The requests of one connection; what is none is refused as everything else is."""

    __slots__ = ()

    def __init__(self, manager: web.Server) -> None:
        super().__init__(
            manager,
            loop=asyncio.get_running_loop(),
            access_log=_peer_log,
            logger=_peer_log,
            keepalive_timeout=SLOW_S,
            lingering_time=1.0,
            auto_decompress=False,  # 64 KiB of a body could become 64 MiB
        )

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The reply to what aiohttp cannot read."""
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)  # _guard leaves nothing
        # What follows the colon are octets of the request, a token maybe.
        why = (message or "").partition(":")[0].strip(". ")
        response = problem(status, f"this is no HTTP request (RFC 9112): {why}")
        response.force_close()
        _add_own(response)
        return response


async def _expect(request: web.Request) -> None:
    """Who asks before sending a body (RFC 9110 section 10.1.1) is told to go on by whoever takes
    the body, once everything else is in order."""


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    _add_own(response)


def _add_own(response: web.StreamResponse) -> None:
    response.headers[hdrs.SERVER] = "gslb"
    response.headers[hdrs.CACHE_CONTROL] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"


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
