"""One region: a small web application whose health can be broken.

    python -m gslb.lab.region NAME HOST:PORT…

Knows: its page, its health page, and what was done to it. Refuses to know: gslb. Invariant:
what is broken is broken for everybody: page and health page, on every address, until /heal.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Final

from aiohttp import web

from gslb.lab.address import parse_address
from gslb.lab.termination import cancel_on_signals

USAGE: Final = "python -m gslb.lab.region NAME HOST:PORT…"
MAX_SLOW_MS: Final = 60_000


@dataclass(slots=True)
class Condition:
    """How a region is: broken, slowed by so much; and how many pages and probes it served."""

    region: str
    broken: bool = False
    slow_ms: int = 0
    pages: int = 0
    probes: int = 0


CONDITION: Final = web.AppKey("condition", Condition)


async def serve_page(request: web.Request) -> web.Response:
    """GET /: the region's name, so that a client sees where it is."""
    condition = request.app[CONDITION]
    condition.pages += 1
    return await _respond(condition, f"{condition.region}\n")


async def serve_health(request: web.Request) -> web.Response:
    """GET /healthz: what the server probes."""
    condition = request.app[CONDITION]
    condition.probes += 1
    return await _respond(condition, "ok\n")


async def _respond(condition: Condition, text: str) -> web.Response:
    # The region's latency is made here, not by the kernel: before the first octet.
    await asyncio.sleep(condition.slow_ms / 1000)
    if condition.broken:
        return web.Response(status=503, text=f"{condition.region} is broken\n")
    return web.Response(text=text)


async def serve_condition(request: web.Request) -> web.Response:
    """GET /condition: the region's condition as JSON, whatever it is."""
    return web.json_response(asdict(request.app[CONDITION]))


async def break_region(request: web.Request) -> web.Response:
    """POST /break: from now on 503."""
    condition = request.app[CONDITION]
    condition.broken = True
    return web.Response(text=f"{condition.region} is broken; POST /heal mends it\n")


async def heal_region(request: web.Request) -> web.Response:
    """POST /heal: neither broken nor slow."""
    condition = request.app[CONDITION]
    condition.broken, condition.slow_ms = False, 0
    return web.Response(text=f"{condition.region} is healthy\n")


async def slow_region(request: web.Request) -> web.Response:
    """POST /slow?ms=300: every page waits so long."""
    condition = request.app[CONDITION]
    text = request.query.get("ms", "")
    if not (text.isascii() and text.isdigit() and int(text[:9]) <= MAX_SLOW_MS):
        raise web.HTTPBadRequest(text=f"say /slow?ms=N with N from 0 to {MAX_SLOW_MS}\n")
    condition.slow_ms = int(text)
    return web.Response(text=f"{condition.region} waits {condition.slow_ms} ms\n")


def make_app(name: str) -> web.Application:
    """The application of a region."""
    app = web.Application()
    app[CONDITION] = Condition(name)
    app.add_routes(
        [
            web.get("/", serve_page),
            web.get("/healthz", serve_health),
            web.get("/condition", serve_condition),
            web.post("/break", break_region),
            web.post("/heal", heal_region),
            web.post("/slow", slow_region),
        ]
    )
    return app


async def serve(name: str, listen: list[tuple[str, int]]) -> None:
    """Serves the region on every (host, port) until SIGINT or SIGTERM; says when it is up.

    Then it ends at once: who still waits for a slow page is cut off, as by a machine that stops.
    """
    cancel_on_signals()
    with suppress(asyncio.CancelledError):
        runner = web.AppRunner(make_app(name), access_log=None)
        await runner.setup()
        for host, port in listen:
            await web.TCPSite(runner, host, port).start()
        sys.stdout.write(f"ready: region {name}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def main(arguments: list[str]) -> int:
    """Runs the region named by the arguments until a signal ends it; the exit status."""
    if len(arguments) < 2:
        sys.stderr.write(f"usage: {USAGE}\n")
        return 2
    name, *texts = arguments
    try:
        listen = [parse_address(text) for text in texts]
    except ValueError as error:
        sys.stderr.write(f"region {name}: {error}\n")
        return 2
    try:
        asyncio.run(serve(name, listen))
    except OSError as error:
        sys.stderr.write(f"region {name}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
