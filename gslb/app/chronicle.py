"""Which events are kept, and as what (control.md, Events).

Knows: how the fields of a log line become an event's object, from, to, why and who. Refuses to
know: where events are kept. Invariant: nothing here can fail, whatever fields an event has; what
is no event of control.md (`load`, `problem`) stays in the log only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from gslb.core.kept import Happening
from gslb.observe.log import listeners

# The events there are.
KEPT: Final = (
    "transition",
    "override",
    "expiry",
    "fallback",
    "recovery",
    "blind",
    "certificate",
    "reload",
    "reload_failed",
    "last_good",
    "geo_update",
    "geo_refused",
    "start",
    "stop",
    "overload",
    "state",
)
# The fields that say what an event is about, the first that it has; of several, joined.
_OBJECTS: Final = ("object", "policy", "files", "config")
_OWN: Final = frozenset(("from", "to", "why", "who"))
MOST_WHY: Final = 500  # characters


@contextmanager
def keeping(keep: Callable[[Happening], object], wall: Callable[[], float]) -> Iterator[None]:
    """While this is open, `keep` gets every event that is one to keep. `wall` is Unix time."""

    def hear(kind: str, fields: Mapping[str, object]) -> None:
        if kind in KEPT:
            keep(compose(wall(), kind, fields))

    listeners.append(hear)
    try:
        yield
    finally:
        listeners.remove(hear)


def compose(at: float, kind: str, fields: Mapping[str, object]) -> Happening:
    """An event of a log line's fields; those that have no place of their own end up in `why`."""
    rest = {name: value for name, value in fields.items() if name not in _OWN}
    about = ""
    if "check" in rest and "address" in rest:
        about = f"{rest.pop('check')}/{rest.pop('address')}"
        if port := rest.pop("port", 0):
            about += f" port {port}"
    else:
        name = next((name for name in _OBJECTS if name in rest), None)
        if name is not None:
            about = str(rest.pop(name))
    why = str(fields.get("why", ""))
    more = " ".join(f"{name}={value}" for name, value in rest.items())
    if more:
        why = f"{why} ({more})" if why else more
    return Happening(
        at,
        kind,
        about,
        str(fields.get("from", "")),
        str(fields.get("to", "")),
        why[:MOST_WHY],
        str(fields.get("who", "")),
    )
