"""The process that loads: what it is told to load, and how it hands that over.

Knows: the order of things in it. Refuses to know: who started it (app/child.py). Invariant: it
hands over a Loaded, problems, or the traceback of a defect, and answers nobody.
"""

from __future__ import annotations

import gc
import os
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from gslb.app import lastgood
from gslb.app.load import load, remap
from gslb.app.loaded import Loaded
from gslb.app.parcel import pack, unpack
from gslb.app.secret import furnish, furnish_token
from gslb.app.serial import compare_serials
from gslb.errors import ConfigError

NICENESS = 10
A_PART = 200  # objects that are unpacked without a pause


def main(arguments: Sequence[str]) -> int:
    """The arguments: the parcel's file descriptor, what to do, PATH, the parcel served or "-"."""
    gc.disable()  # nearly all that comes stays, and this process ends when it is there
    parcel, what, path = int(arguments[0]), *arguments[1:3]
    running: Loaded | None = None
    try:
        if (served := arguments[3]) != "-":
            os.nice(NICENESS)
            *_, previous = unpack(int(served))
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
    if what == "remap":
        assert running is not None, "what runs is remapped"
        return remap(running)
    if what == "recover":
        copy = lastgood.find(path)
        if copy is None:
            raise ConfigError(())
        return furnish_token(furnish(load(path, starting=True, copy=copy), None))
    loaded = furnish(
        load(path, starting=running is None), None if running is None else running.plan
    )
    loaded = furnish_token(loaded)
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
        plan.formulas.items(),
    )
    for things in many:
        rest = iter(things)
        while part := tuple(islice(rest, A_PART)):
            yield part


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
