"""`gslb serve`: from a path to a server that answers, until it is told to stop.

Knows: start-up order, signals, the ready line, what systemd wants to hear. Refuses to know:
what the server does in between. Invariant: sockets open only when there is something to
answer, and every way out has an exit status and one line that says why.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress
from typing import Literal

from gslb.app.child import load_in_child
from gslb.app.figure import durations, samples
from gslb.app.server import Server, report
from gslb.control.http import Control, Suppliers
from gslb.core.setting import Listen
from gslb.errors import ConfigError, EngineMissingError, ListenError
from gslb.observe.log import ERROR, configure, event
from gslb.observe.metrics import Metrics
from gslb.serve.holder import find_holder
from gslb.serve.listen import Listeners


def serve(path: str, engine: str | None, log: Literal["text", "json"]) -> int:
    """Serves until SIGTERM or SIGINT; the exit status: 0, or 1 if it could not start."""
    configure(log, sys.stderr)
    try:
        return asyncio.run(_serve(path, engine))
    except ConfigError as error:
        report(error.problems)
        event("stop", level=ERROR, why="the configuration has errors; `gslb check` lists them")
    except (ListenError, EngineMissingError) as error:
        event("stop", level=ERROR, why=str(error))
    except KeyboardInterrupt:
        return 0
    return 1


async def _serve(path: str, engine: str | None) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop_once, stop)
    early = asyncio.Event()  # a reload asked for before there is a server comes after the start
    loop.add_signal_handler(signal.SIGHUP, early.set)
    starting = asyncio.create_task(_start(path, engine))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        with suppress(asyncio.CancelledError):
            await starting
        return 0
    stopping.cancel()
    server = starting.result()
    loop.add_signal_handler(signal.SIGHUP, server.want_reload)
    if early.is_set():
        server.want_reload()
    await stop.wait()
    notify("STOPPING=1")
    await server.stop()
    event("stop", why="asked to")
    return 0


def _stop_once(stop: asyncio.Event) -> None:
    """The first signal stops cleanly, a second one at once."""
    if stop.is_set():
        os._exit(130)
    stop.set()


async def _start(path: str, engine: str | None) -> Server:
    delivery = await load_in_child(path, starting=True)
    report(delivery.loaded.warnings)
    settings = delivery.loaded.plan.config.settings
    wanted = engine or settings.engine
    if wanted == "native":
        raise EngineMissingError("engine native: this release has no native engine; say auto")
    server = Server(path, delivery)
    try:
        # Once for nothing, so that a port in use is said at once; for good only when the
        # first verdicts are in (health.md, Start), so that no query waits in a socket.
        await Listeners(settings.listen).stop()
        await server.settle()
        server.start(Listeners(settings.listen))
        if settings.control is not None:
            await _open_control(server, settings.control, settings.control_hosts)
    except BaseException:
        await server.stop()
        raise
    _announce(server)
    return server


async def _open_control(server: Server, listen: Listen, hosts: tuple[str, ...]) -> None:
    metrics = Metrics([lambda: samples(server)], [lambda: durations(server)])
    suppliers = Suppliers(
        ready=lambda: server.ready,
        metrics=metrics.render,
        explain=server.explain,
        holder=lambda host, port: find_holder("tcp", host, port),
    )
    server.control = Control(listen, hosts, suppliers)
    server.control_address = await server.control.start()


def _announce(server: Server) -> None:
    """The one `ready` line, for people and for whoever waits for it."""
    assert server.listeners is not None, "it has started"
    plan = server.world.plan
    listen = ",".join(_show(address) for address in server.listeners.addresses)
    control = "off" if server.control_address is None else _show(server.control_address)
    print(  # noqa: T201 - the result that `gslb serve` promises on standard output
        f"ready listen={listen} control={control} zones={len(plan.zones)}"
        f" engine={server.engine.name} generation={server.world.generation} pid={os.getpid()}",
        flush=True,
    )
    event("start", listen=listen, control=control, zones=len(plan.zones), engine="python")
    notify("READY=1")


def _show(listen: Listen) -> str:
    host, port = listen
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def notify(state: str) -> None:
    """Tells systemd (sd_notify(3)), if it started us."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(state.encode(), address)
