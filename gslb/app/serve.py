"""`gslb serve`: from a path to a server that answers, until it is told to stop.

Knows: signals, exit statuses. Refuses to know: how a server comes to answer (app/start.py) and
what it does then. Invariant: every way out has an exit status and one line that says why; the
child that loads runs before what answers is imported: each takes half a second, and a server that
was killed is to be back within one.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

from gslb.app.child import load_in_child
from gslb.app.descriptor import raise_limit
from gslb.app.notify import notify
from gslb.errors import ConfigError, EngineMissingError, ListenError
from gslb.observe.log import ERROR, configure, event

if TYPE_CHECKING:
    from gslb.app.server import Server

_log = logging.getLogger(__name__)


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
        return asyncio.run(_serve(path, engine, strict, replace))
    except ConfigError as error:
        from gslb.app.report import report

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


async def _serve(path: str, engine: str | None, strict: bool, replace: bool) -> int:
    asyncio.get_running_loop().set_exception_handler(_tell_fault)
    orders = Orders()
    starting = asyncio.create_task(_start(path, engine, strict, replace, orders))
    stopping = asyncio.create_task(orders.stop.wait())
    await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        server = starting.result()
        await stopping
        notify("STOPPING=1")
        await server.stop(orders.why)
    else:
        starting.cancel()
        with suppress(asyncio.CancelledError):
            await starting
        event("stop", why=orders.why)
    return 0


async def _start(
    path: str, engine: str | None, strict: bool, replace: bool, orders: Orders
) -> Server:
    began = time.monotonic()
    loading = asyncio.create_task(load_in_child(path))
    await asyncio.sleep(0)  # from here on the child runs, beside these imports
    from importlib.metadata import version

    event("load", config=path, version=version("gslb"), pid=os.getpid())
    from gslb.app.start import Wishes, start

    return await start(path, loading, Wishes(engine, strict, replace, began), orders.reload)


def _tell_fault(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """What went wrong in a callback: one line if the world did, a traceback if we did."""
    error = context.get("exception")
    if isinstance(error, OSError):
        what = str(context.get("message", "")).partition("\n")[0]
        _log.warning("%s: %s", what, error.strerror or error)
    else:
        loop.default_exception_handler(context)
