"""The client of a region, as a program: it visits the name again and again, and tells.

    python -m gslb.lab.resident NAME RESOLVER [--page-port 8080] [--listen 0.0.0.0:8070]

Knows: what a visit is, the pages on which others read of it. Refuses to know: which regions
there are: a page says whose it is. Invariant: one visit at a time, begun 250 ms after the
one before, or when that one ends if it takes longer; each is noted, kept or lost.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import re
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Final

from aiohttp import ClientSession, web

from gslb.lab.address import parse_address
from gslb.lab.logbook import Entry, Logbook
from gslb.lab.page import fetch_page, open_session
from gslb.lab.stub import AAAA, DNS_PORT, A, NameServer, NoAnswer, Patience, Question, ask
from gslb.lab.termination import cancel_on_signals
from gslb.lab.world import NAME

EVERY_S: Final = 0.25
# Five seconds, as a C library waits: a resolver that meets a silent server may need three.
PATIENCE: Final = Patience(tries=5, timeout_s=1.0)
RECORD: Final = {4: (A, "A"), 6: (AAAA, "AAAA")}
_REGION: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


@dataclass(frozen=True, slots=True)
class Resident:
    """A client. `say` is told where it is whenever that changes."""

    resolver: NameServer
    page_port: int
    session: ClientSession
    say: Callable[[str], None]
    patience: Patience = PATIENCE
    logbook: Logbook = field(default_factory=Logbook)
    # Filled by pages only, so it is no larger than the number of servers there are.
    _region_of: dict[str, str] = field(default_factory=dict)

    async def run(self) -> None:
        """Visits until cancelled, IPv4 and IPv6 in turn."""
        for family in itertools.cycle(RECORD):
            entry = await self.visit(family)
            news = self.logbook.add(entry)
            if news:
                self.say(news)
            await asyncio.sleep(max(0.0, entry.began_s + EVERY_S - time.monotonic()))

    async def visit(self, family: int) -> Entry:
        """Resolves, fetches, and says how it went."""
        began_s = time.monotonic()
        rrtype, text = RECORD[family]
        try:
            reply = await ask(self.resolver, Question(NAME, rrtype, recursion=True), self.patience)
        except NoAnswer as error:
            failure = f"no answer: {error}"
            return Entry(began_s, time.monotonic(), family, "", "", failure)
        if not reply.addresses:
            failure = f"no answer: no {text} record"
            return Entry(began_s, time.monotonic(), family, "", "", failure)
        address = reply.addresses[0]
        region, failure = await self._fetch(address)
        return Entry(began_s, time.monotonic(), family, region, address, failure)

    async def _fetch(self, address: str) -> tuple[str, str]:
        """(region, failure) of a page."""
        host = f"[{address}]" if ":" in address else address
        page = await fetch_page(self.session, f"http://{host}:{self.page_port}/")
        if page.failure:
            return self._region_of.get(address, ""), page.failure
        if not _REGION.fullmatch(page.text):
            return self._region_of.get(address, ""), f"a page of no region: {page.text[:40]!r}"
        self._region_of[address] = page.text
        return page.text, ""


NAMED: Final = web.AppKey("named", str)
LOGBOOK: Final = web.AppKey("logbook", Logbook)


async def serve_health(request: web.Request) -> web.Response:
    """GET /healthz: the program runs; whether its visits succeed is another matter."""
    return web.Response(text="ok\n")


async def serve_census(request: web.Request) -> web.Response:
    """GET /: where the client is, and what it lost."""
    text = f"client {request.app[NAMED]}\n{request.app[LOGBOOK].compose_census()}"
    return web.Response(text=text)


async def serve_visits(request: web.Request) -> web.Response:
    """GET /visits?after=N: the visits after the Nth; `next` is what to ask for then."""
    text = request.query.get("after", "0")
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise web.HTTPBadRequest(text="say /visits?after=N with the `next` that you had last\n")
    logbook = request.app[LOGBOOK]
    visits = [{"n": n, **asdict(entry)} for n, entry in logbook.list_after(int(text))]
    return web.json_response(
        {"client": request.app[NAMED], "next": logbook.count, "visits": visits}
    )


def make_app(name: str, logbook: Logbook) -> web.Application:
    """The pages of a client."""
    app = web.Application()
    app[NAMED], app[LOGBOOK] = name, logbook
    app.add_routes(
        [
            web.get("/", serve_census),
            web.get("/healthz", serve_health),
            web.get("/visits", serve_visits),
        ]
    )
    return app


async def live(name: str, resolver: NameServer, page_port: int, listen: tuple[str, int]) -> None:
    """Runs a client and its pages until SIGINT or SIGTERM."""

    def say(news: str) -> None:
        sys.stdout.write(f"{time.strftime('%H:%M:%S')} {name}: {news}\n")
        sys.stdout.flush()

    cancel_on_signals()
    with suppress(asyncio.CancelledError):
        async with open_session() as session:
            resident = Resident(resolver, page_port, session, say)
            runner = web.AppRunner(make_app(name, resident.logbook), access_log=None)
            await runner.setup()
            await web.TCPSite(runner, *listen).start()
            sys.stdout.write(f"ready: client {name}\n")
            sys.stdout.flush()
            await resident.run()


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser("python -m gslb.lab.resident", description="A client.")
    parser.add_argument("name", metavar="NAME", help="whose client it is")
    parser.add_argument("resolver", metavar="RESOLVER", help="ADDRESS or ADDRESS:PORT")
    parser.add_argument("--page-port", type=int, default=8080, help="where pages are")
    parser.add_argument("--listen", default="0.0.0.0:8070", help="where it tells of its visits")
    return parser


def main(arguments: list[str]) -> int:
    """Runs the client that the arguments describe until a signal ends it; the exit status."""
    options = make_parser().parse_args(arguments)
    try:
        resolver = NameServer(*parse_address(options.resolver, DNS_PORT))
        listen = parse_address(options.listen)
        if not 0 < options.page_port < 65536:
            raise ValueError(f"{options.page_port} is not a port")
    except ValueError as error:
        sys.stderr.write(f"client {options.name}: {error}\n")
        return 2
    try:
        asyncio.run(live(options.name, resolver, options.page_port, listen))
    except OSError as error:
        sys.stderr.write(f"client {options.name}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
