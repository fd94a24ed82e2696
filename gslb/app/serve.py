"""`gslb serve`: from a path to a server that answers, until it is told to stop.

Knows: start-up order, signals, the ready line. Refuses to know: what the server does in
between. Invariant: DNS sockets open only when there is something to answer, and every way
out has an exit status and one line that says why.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

from gslb.app.child import Delivery, load_in_child, recover_in_child
from gslb.app.descriptor import find_shortage, raise_limit
from gslb.app.figure import durations, samples
from gslb.app.notify import notify
from gslb.app.report import report, tell_last_good
from gslb.app.server import Server
from gslb.app.succession import Predecessor, find_predecessor
from gslb.control.http import Control, Suppliers
from gslb.core.setting import Listen, Settings
from gslb.errors import ConfigError, EngineMissingError, ListenError, Problem, Where
from gslb.observe.log import ERROR, configure, event
from gslb.observe.metrics import Metrics
from gslb.serve.activation import activated_sockets
from gslb.serve.holder import find_holder
from gslb.serve.listen import Listeners

STAYS = "it has not ended and still answers beside this server; kill it"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Wishes:
    """What the command line says about a start."""

    engine: str | None
    strict: bool
    replace: bool


def serve(
    path: str,
    engine: str | None,
    log: Literal["text", "json"],
    strict: bool = False,
    replace: bool = False,
) -> int:
    """Serves until SIGTERM or SIGINT; the exit status: 0, or 1 if it could not start.

    `strict`: errors in the configuration refuse the start, whatever was served before. `replace`:
    takes over from the server of the same state directory.
    """
    configure(log, sys.stderr)
    raise_limit()
    try:
        return asyncio.run(_serve(path, _Wishes(engine, strict, replace)))
    except ConfigError as error:
        report(error.problems)
        event("stop", level=ERROR, why="the configuration has errors; `gslb check` lists them")
    except (ListenError, EngineMissingError) as error:
        event("stop", level=ERROR, why=str(error))
    except KeyboardInterrupt:
        return 0
    return 1


class Orders:
    """What signals ask for. Set up once, so that none falls between start and service."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.reload = asyncio.Event()
        self.why = ""  # to stop
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        loop.add_signal_handler(signal.SIGHUP, self.reload.set)

    def _stop(self, number: signal.Signals) -> None:
        """The first signal stops cleanly, a second one at once."""
        if self.stop.is_set():
            os._exit(128 + number)
        self.why = number.name
        self.stop.set()


async def _serve(path: str, wishes: _Wishes) -> int:
    asyncio.get_running_loop().set_exception_handler(_tell_fault)
    orders = Orders()
    starting = asyncio.create_task(_start(path, wishes, orders))
    stopping = asyncio.create_task(orders.stop.wait())
    await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        server = starting.result()
        await stopping
        notify("STOPPING=1")
        await server.stop()
    else:
        starting.cancel()
        with suppress(asyncio.CancelledError):
            await starting
    event("stop", why=orders.why)
    return 0


async def _start(path: str, wishes: _Wishes, orders: Orders) -> Server:
    started = time.monotonic()
    event("load", config=path, version=version("gslb"), pid=os.getpid())
    adopted = activated_sockets()
    delivery, is_recovered = await _load(path, wishes.strict)
    settings = delivery.loaded.plan.config.settings
    report((*delivery.loaded.warnings, *find_shortage(path, settings)))
    if (wishes.engine or settings.engine) == "native":
        raise EngineMissingError("engine native: this release has no native engine; say auto")
    server = Server(path, delivery, orders.reload, is_recovered)
    try:
        predecessor = find_predecessor(settings.state) if wishes.replace else None
        if predecessor is None:
            if wishes.replace:
                event("replace", why=f"no server has {settings.state}: an ordinary start")
            await _open(server, settings, adopted)
        else:
            await _replace(server, settings, adopted, predecessor)
        report(server.claim(settings.state))
    except BaseException:
        await server.stop()
        raise
    _announce(server, time.monotonic() - started)
    return server


async def _load(path: str, strict: bool) -> tuple[Delivery, bool]:
    """What is to be served, and whether that is the last good configuration instead."""
    try:
        return await load_in_child(path), False
    except ConfigError as error:
        if strict:
            raise
        try:
            delivery = await recover_in_child(path)
        except ConfigError as worse:
            raise ConfigError((*error.problems, *_tell_both(path, worse))) from None
        report(error.problems)
        errors = sum(problem.severity == "error" for problem in error.problems)
        tell_last_good(path, delivery.loaded, errors)
        return delivery, True


def _tell_both(path: str, error: ConfigError) -> tuple[Problem, ...]:
    """What keeps the last good configuration from being served; nothing if there is none."""
    if not error.problems:
        return ()
    what = "the last good configuration cannot be loaded either"
    return (
        Problem(Where(path), "", what, "its problems follow; mend one of them"),
        *error.problems,
    )


async def _open(server: Server, settings: Settings, adopted: Sequence[socket.socket]) -> None:
    """An ordinary start."""
    if not adopted:
        # Once for nothing, so that a port in use is said at once; for good only when the
        # first verdicts are in (health.md, Start), so that no query waits in a socket.
        await Listeners(settings.listen).stop()
    if settings.control is not None:
        await _open_control(server, settings.control, settings.control_hosts)
    await server.settle()
    server.start(Listeners(settings.listen, adopted))


async def _replace(
    server: Server,
    settings: Settings,
    adopted: Sequence[socket.socket],
    predecessor: Predecessor,
) -> None:
    """Takes over what clients ask from the server that runs, then ends it."""
    event("replace", predecessor=predecessor.pid, why="it answers until this server can")
    await server.settle()
    # Not earlier: what comes between binding and steering waits in the socket until then.
    server.start(Listeners(settings.listen, adopted, share=True))
    if await predecessor.end():
        event("replace", predecessor=predecessor.pid, why="it has ended, this server answers")
    else:
        event("replace", level=ERROR, predecessor=predecessor.pid, why=STAYS)
    if settings.control is None:
        return
    try:
        await _open_control(server, settings.control, settings.control_hosts)
    except ListenError as error:  # no reason not to answer: nobody else does any more
        event("replace", level=ERROR, predecessor=predecessor.pid, why=str(error))


async def _open_control(server: Server, listen: Listen, hosts: tuple[str, ...]) -> None:
    metrics = Metrics([lambda: samples(server)], [lambda: durations(server)])
    suppliers = Suppliers(
        ready=lambda: server.ready,
        metrics=metrics.render,
        explain=server.explain,
        holder=lambda host, port: find_holder("tcp", host, port),
    )
    max_body = server.world.plan.config.settings.max_body
    server.control = Control(listen, hosts, suppliers, max_body)
    server.control_address = await server.control.start()


def _announce(server: Server, took_s: float) -> None:
    """The one `ready` line, for people and for whoever waits for it."""
    assert server.listeners is not None, "it has started"
    listen = ",".join(_show(address) for address in server.listeners.addresses)
    control = "off" if server.control_address is None else _show(server.control_address)
    zones, name = len(server.world.plan.zones), server.engine.name
    generation = server.world.generation
    event(
        "start",
        listen=listen,
        control=control,
        zones=zones,
        engine=name,
        generation=generation,
        seconds=round(took_s, 3),
    )
    try:
        print(  # noqa: T201 - the result that `gslb serve` promises on standard output
            f"ready listen={listen} control={control} zones={zones}"
            f" engine={name} generation={generation} pid={os.getpid()}",
            flush=True,
        )
    except OSError as error:  # a full disk, a reader that has left: no reason not to answer
        _log.warning("the ready line cannot be written: %s", error.strerror)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    notify("READY=1")


def _show(listen: Listen) -> str:
    host, port = listen
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _tell_fault(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """What went wrong in a callback: one line if the world did, a traceback if we did."""
    error = context.get("exception")
    if isinstance(error, OSError):
        what = str(context.get("message", "")).partition("\n")[0]
        _log.warning("%s: %s", what, error.strerror or error)
    else:
        loop.default_exception_handler(context)
