"""Loading in a process of its own, so that the one that answers never waits for it.

Knows: how a child is started, niced, and how its plan comes back. Refuses to know: what is
loaded. Invariant: a child that dies, for whatever reason, is a ConfigError with the reason,
and nothing of the old plan is touched.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice

from gslb.app.loaded import Loaded
from gslb.app.parcel import pack, unpack
from gslb.errors import ConfigError, Problem, Where

NICENESS = 10
A_PART = 200  # objects that are unpacked without a pause
_LOAD, _REMAP, _RECOVER = "load", "remap", "recover"
_NOTHING = "-"  # no parcel: at a start nothing runs that could be compared with

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a child handed over; `parcel` is the file it stands in, for `remap`."""

    loaded: Loaded
    parcel: int

    def close(self) -> None:
        """Closes the file; what is mapped of it stays."""
        os.close(self.parcel)


async def load_in_child(path: str, running: int | None = None) -> Delivery:
    """`load` in a child; `running` is the parcel of what runs, None at a start.

    What is good is copied for a start that finds something else. Raises ConfigError.
    """
    if running is None:
        return await _run(path, (_LOAD, path, _NOTHING), ())
    return await _run(path, (_LOAD, path, str(running)), (running,))


async def recover_in_child(path: str) -> Delivery:
    """The last good configuration. Raises ConfigError, without problems if there is none."""
    return await _run(path, (_RECOVER, path, _NOTHING), ())


async def remap_in_child(path: str, parcel: int) -> Delivery:
    """The configuration of an earlier delivery with the databases as they are now.

    Zones and gslb.yaml are not read again: a new map must not bring in what somebody is
    editing. Raises ConfigError.
    """
    return await _run(path, (_REMAP, path, str(parcel)), (parcel,))


async def _run(path: str, words: Sequence[str], inherit: Sequence[int]) -> Delivery:
    try:
        parcel = os.memfd_create("gslb-plan")
    except OSError as error:
        raise _not_started(path, error) from error
    try:
        await _work(path, (str(parcel), *words), (parcel, *inherit))
        result = await _receive(parcel)
        if isinstance(result, Loaded):
            return Delivery(result, parcel)
        if isinstance(result, str):
            _log.error("the loading process failed\n%s", result)
            raise _failed(path, "the loading process failed", "its last words are in the log")
        assert isinstance(result, tuple), "the child packs a Loaded, problems or its last words"
        raise ConfigError(result)
    except BaseException:
        os.close(parcel)
        raise


async def _work(path: str, words: Sequence[str], inherit: Sequence[int]) -> None:
    """Runs the child until it ends. Raises ConfigError if it does not end well."""
    try:
        # A group of its own: Ctrl-C is for us, and what the child started ends with it.
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gslb.app.child",
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            pass_fds=inherit,
            process_group=0,
        )
    except OSError as error:
        raise _not_started(path, error) from error
    try:
        status = await process.wait()
    except asyncio.CancelledError:
        _kill(process.pid)
        await process.wait()
        raise
    if status:
        _kill(process.pid)
    if status < 0:
        what = f"the loading process was killed by {signal.Signals(-status).name}"
        hint = "the kernel does that when memory runs out: see dmesg" if status == -9 else ""
        raise _failed(path, what, hint)
    if status:
        what = f"the loading process ended with status {status}"
        raise _failed(path, what, "its last words are in the log")


def _kill(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


async def _receive(parcel: int) -> object:
    """What the child handed over, taken a few milliseconds at a time."""
    result: object = None
    gc.disable()  # what comes stays: looking through it again and again would double the time
    try:
        for part in unpack(parcel):
            result = part
            await asyncio.sleep(0)
        gc.collect(1)  # once is enough, in a turn of its own: 15 ms for 10 000 endpoints
        await asyncio.sleep(0)
    finally:
        gc.enable()
    return result


def _not_started(path: str, error: OSError) -> ConfigError:
    return _failed(path, f"the loading process cannot be started: {error.strerror}", "")


def _failed(path: str, what: str, hint: str) -> ConfigError:
    return ConfigError((Problem(Where(path), "", what, hint),))


def main(arguments: Sequence[str]) -> int:
    """The child: file descriptor of the parcel, what to do, PATH, and the parcel that runs."""
    parcel, what, path = int(arguments[0]), *arguments[1:3]
    running: Loaded | None = None
    try:
        if arguments[3] != _NOTHING:
            os.nice(NICENESS)
            *_, previous = unpack(int(arguments[3]))
            assert isinstance(previous, Loaded), "only a Loaded runs"
            running = previous
        loaded = _obey(what, path, running)
        pack(loaded, parcel, _parts(loaded))
    except ConfigError as error:
        pack(error.problems, parcel)
    except Exception:
        pack(traceback.format_exc(), parcel)
    return 0


def _obey(what: str, path: str, running: Loaded | None) -> Loaded:
    # Here, so that the process that answers does without what reads files.
    from gslb.app import lastgood
    from gslb.app.load import load, remap
    from gslb.app.secret import furnish
    from gslb.app.serial import compare_serials

    if what == _REMAP:
        assert running is not None, "what runs is remapped"
        return remap(running)
    if what == _RECOVER:
        copy = lastgood.find(path)
        if copy is None:
            raise ConfigError(())
        return furnish(load(path, starting=True, copy=copy), None)
    loaded = furnish(
        load(path, starting=running is None), None if running is None else running.plan
    )
    stale = compare_serials(loaded.zones, running.plan, loaded.plan) if running else ()
    return replace(loaded, read=(*loaded.read, *stale, *lastgood.keep(path, loaded)))


def _parts(loaded: Loaded) -> Iterator[Sequence[object]]:
    """What there may be thousands of, a part of each piece taking a millisecond to unpack."""
    plan = loaded.plan
    config = plan.config
    many: tuple[Iterable[object], ...] = (
        (endpoint for pool in config.pools for endpoint in pool.endpoints),
        config.pools,
        config.policies.values(),
        config.clients.values(),
        config.overrides,
        config.tests,
        plan.tables.values(),
        plan.targets.items(),
    )
    for things in many:
        rest = iter(things)
        while part := tuple(islice(rest, A_PART)):
            yield part


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
