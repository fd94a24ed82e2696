"""One region: a small web application whose health can be broken.

    python -m gslb.lab.region NAME HOST:PORT…

Knows: its page, its health page, and what was done to it. Refuses to know: gslb. Invariant:
what is done to it is done for everybody, on every address, until /heal; only `errors` spares the
health page, as the fault does that a health page does not see.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Final

from aiohttp import web

from gslb.lab.address import parse_address
from gslb.lab.queue import Queue
from gslb.lab.termination import cancel_on_signals

USAGE: Final = "python -m gslb.lab.region NAME HOST:PORT…"
MAX_SLOW_MS: Final = 60_000
MAX_EVERY: Final = 1000
MAX_RPS: Final = 100_000


@dataclass(slots=True)
class Condition:
    """How a region is, and how many pages and probes it served.

    `errors_every`: one page in so many is an error, 0 for none; health page and load go on.
    `garbled`: every page says something else, with status 200. `capacity_rps`: requests a second
    that it can take, 0 for any number; `load`: those of the last seconds as a share of that;
    `breakdowns`: how often they were too many.
    """

    region: str
    broken: bool = False
    slow_ms: int = 0
    errors_every: int = 0
    garbled: bool = False
    capacity_rps: int = 0
    load: float = 0.0
    breakdowns: int = 0
    pages: int = 0
    probes: int = 0


CONDITION: Final = web.AppKey("condition", Condition)
QUEUE: Final = web.AppKey("queue", Queue)


async def serve_page(request: web.Request) -> web.Response:
    """GET /: the region's name, so that a client sees where it is."""
    condition = request.app[CONDITION]
    condition.pages += 1
    wait_s = request.app[QUEUE].enter(_now())
    if wait_s is None:
        return _refuse(condition)
    await asyncio.sleep(wait_s)
    if condition.errors_every and condition.pages % condition.errors_every == 0:
        return web.Response(status=500, text=f"{condition.region} has made a mistake\n")
    return await _respond(condition, web.Response(text=f"{condition.region}\n"))


async def serve_health(request: web.Request) -> web.Response:
    """GET /healthz: what the server probes; JSON with the load. It waits as pages do."""
    condition, queue = request.app[CONDITION], request.app[QUEUE]
    condition.probes += 1
    wait_s = queue.wait_s(_now())
    if wait_s is None:
        return _refuse(condition)
    await asyncio.sleep(wait_s)
    body = {"status": "ok", "region": condition.region, "load": round(queue.load(_now()), 3)}
    return await _respond(condition, web.json_response(body))


def _refuse(condition: Condition) -> web.Response:
    return web.Response(status=503, text=f"{condition.region} was overloaded and starts again\n")


async def _respond(condition: Condition, response: web.Response) -> web.Response:
    # The region's latency is made here, not by the kernel: before the first octet.
    await asyncio.sleep(condition.slow_ms / 1000)
    if condition.broken:
        return web.Response(status=503, text=f"{condition.region} is broken\n")
    if condition.garbled:
        return web.Response(text="We will be back soon.\n")
    return response


def _now() -> float:
    return asyncio.get_running_loop().time()


async def serve_condition(request: web.Request) -> web.Response:
    """GET /condition: the region's condition as JSON, whatever it is."""
    condition, queue = request.app[CONDITION], request.app[QUEUE]
    condition.load, condition.breakdowns = round(queue.load(_now()), 3), queue.breakdowns
    return web.json_response(asdict(condition))


async def break_region(request: web.Request) -> web.Response:
    """POST /break: from now on 503."""
    condition = request.app[CONDITION]
    condition.broken = True
    return web.Response(text=f"{condition.region} is broken; POST /heal mends it\n")


async def heal_region(request: web.Request) -> web.Response:
    """POST /heal: nothing is wrong with it any more; its capacity stays what it is."""
    condition = request.app[CONDITION]
    condition.broken, condition.slow_ms = False, 0
    condition.errors_every, condition.garbled = 0, False
    return web.Response(text=f"{condition.region} is healthy\n")


async def slow_region(request: web.Request) -> web.Response:
    """POST /slow?ms=300: every page waits so long."""
    condition = request.app[CONDITION]
    condition.slow_ms = _read_number(request, "ms", MAX_SLOW_MS)
    return web.Response(text=f"{condition.region} waits {condition.slow_ms} ms\n")


async def fault_region(request: web.Request) -> web.Response:
    """POST /errors?every=3: every third page is an error; the health page is not."""
    condition = request.app[CONDITION]
    condition.errors_every = _read_number(request, "every", MAX_EVERY)
    return web.Response(text=f"{condition.region} fails one page in {condition.errors_every}\n")


async def garble_region(request: web.Request) -> web.Response:
    """POST /garble: status 200, and a text that is not the page's."""
    condition = request.app[CONDITION]
    condition.garbled = True
    return web.Response(text=f"{condition.region} says something else; POST /heal mends it\n")


async def limit_region(request: web.Request) -> web.Response:
    """POST /capacity?rps=30: it can take so many requests a second; 0 for any number."""
    condition = request.app[CONDITION]
    condition.capacity_rps = _read_number(request, "rps", MAX_RPS)
    request.app[QUEUE].rps = condition.capacity_rps
    return web.Response(text=f"{condition.region} takes {condition.capacity_rps} requests/s\n")


def _read_number(request: web.Request, key: str, most: int) -> int:
    text = request.query.get(key, "")
    if not (text.isascii() and text.isdigit() and int(text[:9]) <= most):
        path = request.path
        raise web.HTTPBadRequest(text=f"say {path}?{key}=N with N from 0 to {most}\n")
    return int(text)


def make_app(name: str) -> web.Application:
    """The application of a region."""
    app = web.Application()
    app[CONDITION] = Condition(name)
    app[QUEUE] = Queue()
    app.add_routes(
        [
            web.get("/", serve_page),
            web.get("/healthz", serve_health),
            web.get("/condition", serve_condition),
            web.post("/break", break_region),
            web.post("/heal", heal_region),
            web.post("/slow", slow_region),
            web.post("/errors", fault_region),
            web.post("/garble", garble_region),
            web.post("/capacity", limit_region),
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
