"""The containers' world in one process, for tests: two name servers and a client on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic

from aiohttp import ClientSession, ClientTimeout, TCPConnector, web
from dnslib import QTYPE, RR, DNSRecord
from gslb.lab.logbook import Entry, Logbook
from gslb.lab.resident import make_app
from gslb.lab.site import Dweller, Server, page_address
from gslb.lab.stub import NameServer
from gslb.lab.watch import Watch

TOKEN = "a-token"


@dataclass
class Answering(asyncio.DatagramProtocol):
    """A name server that sends everybody to one region, and says what it counts."""

    region: str = "fra"
    verdicts: int = 0  # "web-fra is down", each address counted
    others: int = 40  # "web-iad is down"
    failed_probes: int = 0
    token: str = TOKEN
    refused: asyncio.Event = field(default_factory=asyncio.Event)
    transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = DNSRecord.parse(data)
        reply = query.reply()
        rrtype = int(query.q.qtype)
        zone = f"{query.q.qname} 5 {QTYPE[rrtype]} {page_address(self.region, rrtype)}"
        reply.add_answer(*RR.fromZone(zone))
        assert self.transport is not None
        self.transport.sendto(reply.pack(), addr)

    async def serve_metrics(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            self.refused.set()
            return web.Response(status=401)
        return web.Response(
            text=(
                f'gslb_transitions_total{{pool="web-fra",to="down"}} {self.verdicts}.0\n'
                f'gslb_transitions_total{{pool="web-iad",to="down"}} {self.others}.0\n'
                f'gslb_probes_total{{check="web",result="timeout"}} {self.failed_probes}.0\n'
            )
        )


@dataclass
class Miniature:
    """Turn its knobs and see what the watch sees."""

    servers: list[Answering]
    logbook: Logbook
    watch: Watch

    def visit(self, region: str, failure: str = "", family: int = 4) -> float:
        """The client has been somewhere; when that was."""
        now_s = monotonic()
        self.logbook.add(Entry(now_s, now_s, family, region, "198.18.1.10", failure))
        return now_s


async def _serve(stack: AsyncExitStack, app: web.Application) -> str:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.0)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    return f"http://{host}:{port}"


@asynccontextmanager
async def open_miniature() -> AsyncIterator[Miniature]:
    """Two servers that send everybody to fra, and the client of fra, which was nowhere yet."""
    async with AsyncExitStack() as stack:
        answering, servers = [], []
        for name in ("ns1", "ns2"):
            transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
                Answering, local_addr=("127.0.0.1", 0)
            )
            stack.callback(transport.close)
            app = web.Application()
            app.router.add_get("/metrics", protocol.serve_metrics)
            dns = NameServer("127.0.0.1", transport.get_extra_info("sockname")[1])
            servers.append(Server(name, f"{name}-net", dns, await _serve(stack, app), frozenset()))
            answering.append(protocol)
        logbook = Logbook()
        client_url = await _serve(stack, make_app("fra", logbook))
        session = await stack.enter_async_context(
            ClientSession(
                connector=TCPConnector(force_close=True), timeout=ClientTimeout(total=5.0)
            )
        )
        dweller = Dweller("client-fra", "fra", f"{client_url}/visits")
        watch = Watch(session, TOKEN, (dweller,), tuple(servers))
        yield Miniature(answering, logbook, watch)
