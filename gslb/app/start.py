"""From a configuration that is being loaded to a server that answers.

Knows: the order of a start: what is loaded, the ports, the first verdicts, the ready line; also
of one that takes over from another server. Refuses to know: signals, what the server does
afterwards. Invariant: DNS sockets open only when there is something to answer.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import time
from collections.abc import Awaitable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from gslb.app.child import Delivery, recover_in_child
from gslb.app.descriptor import find_shortage
from gslb.app.figure import durations, samples
from gslb.app.notify import notify
from gslb.app.report import report, tell_last_good
from gslb.app.server import Server
from gslb.app.succession import Predecessor, find_predecessor, succeeding
from gslb.control.http import Control, Suppliers
from gslb.core.setting import Listen, Settings
from gslb.errors import ConfigError, EngineMissingError, ListenError, Problem, Where
from gslb.observe.log import ERROR, INFO, event
from gslb.observe.metrics import Metrics
from gslb.serve.activation import activated_sockets
from gslb.serve.holder import find_holder
from gslb.serve.listen import Listeners, is_here

DEFAULT_LISTEN = Settings().listen
MOST_FORCED = 10  # overrides that the `start` line names
KILLED = "it did not end when told to and was killed; this server answers"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line says about a start, and when it was said."""

    engine: str | None
    strict: bool
    replace: bool
    at: float


async def start(
    path: str, loading: Awaitable[Delivery], wishes: Wishes, wanted: asyncio.Event
) -> Server:
    """The server, answering; `wanted` asks it for reloads."""
    adopted = activated_sockets()
    delivery, is_recovered = await _load(path, loading, wishes.strict)
    settings = delivery.loaded.plan.config.settings
    listen, missing = _find_listen(path, settings)
    report((*delivery.loaded.warnings, *find_shortage(path, settings), *missing))
    if (wishes.engine or settings.engine) == "native":
        raise EngineMissingError("engine native: this release has no native engine; say auto")
    server = Server(path, delivery, wanted, is_recovered)
    try:
        with succeeding(settings.state) if wishes.replace else nullcontext():
            predecessor = find_predecessor(settings.state) if wishes.replace else None
            if predecessor is not None:
                await _replace(server, settings, listen, adopted, predecessor)
            else:
                if wishes.replace:
                    event("replace", why=f"no server has {settings.state}: an ordinary start")
                await _open(server, settings, listen, adopted)
            report(server.claim(settings.state))
    except BaseException:
        await server.stop()
        raise
    _announce(server, time.monotonic() - wishes.at)
    return server


async def _load(path: str, loading: Awaitable[Delivery], strict: bool) -> tuple[Delivery, bool]:
    """What is to be served, and whether that is the last good configuration instead."""
    try:
        return await loading, False
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


def _find_listen(path: str, settings: Settings) -> tuple[tuple[Listen, ...], tuple[Problem, ...]]:
    """Where to listen, and a warning if that is less than the default: a machine without IPv6 has
    no ::1. What somebody asked for by name is never left out."""
    if settings.listen != DEFAULT_LISTEN or is_here("::1"):
        return settings.listen, ()
    what = "listen: this machine has no ::1; this server answers on 127.0.0.1 only"
    problem = Problem(Where(path), "server", what, "name the addresses to listen on", "warning")
    return tuple(listen for listen in settings.listen if listen[0] != "::1"), (problem,)


async def _open(
    server: Server,
    settings: Settings,
    listen: Sequence[Listen],
    adopted: Sequence[socket.socket],
) -> None:
    """An ordinary start."""
    if not adopted:
        # Once for nothing, so that a port in use is said at once; for good only when the
        # first verdicts are in (health.md, Start), so that no query waits in a socket.
        await Listeners(listen).stop()
    if settings.control is not None:
        await _open_control(server, settings.control, settings.control_hosts)
    await server.settle()
    server.start(Listeners(listen, adopted))


async def _replace(
    server: Server,
    settings: Settings,
    listen: Sequence[Listen],
    adopted: Sequence[socket.socket],
    predecessor: Predecessor,
) -> None:
    """Takes over what clients ask from the server that runs, then ends it."""
    event("replace", predecessor=predecessor.pid, why="it answers until this server can")
    server.outlook.hand.is_heir = True
    await server.settle()
    # Not earlier: what comes between binding and steering waits in the socket until then.
    server.start(Listeners(listen, adopted, share=True))
    if await predecessor.end():
        event("replace", predecessor=predecessor.pid, why="it has ended, this server answers")
    else:
        event("replace", level=ERROR, predecessor=predecessor.pid, why=KILLED)
    await server.inherit()
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
        operations=server.desk,
    )
    settings = server.world.plan.config.settings
    server.control = Control(listen, hosts, suppliers, settings.max_body, settings.tokens)
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
        level=INFO,
        listen=listen,
        control=control,
        zones=zones,
        engine=name,
        generation=generation,
        seconds=round(took_s, 3),
        **_forced(server),
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


def _forced(server: Server) -> dict[str, str]:
    """What is in force since before, for the `start` line; nothing if there is no such thing."""
    told = [f"{each.state} {each.kind}/{each.name}" for each in server.outlook.hand.overrides]
    if len(told) > MOST_FORCED:
        told[MOST_FORCED:] = [f"{len(told) - MOST_FORCED} more"]
    return {"overrides": ", ".join(told)} if told else {}


def _show(listen: Listen) -> str:
    host, port = listen
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
