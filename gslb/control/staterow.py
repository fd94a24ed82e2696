"""Values as rows of the state file, and back.

Knows: which columns a value has, in which order. Refuses to know: SQL, files. Invariant: what has
become a row can be written, whatever a text holds; a row that no value became raises ValueError.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from gslb.core.check import Target
from gslb.core.health import State
from gslb.core.kept import Happening, Kept
from gslb.core.override import ForcedState, ObjectKind, Override

OVERRIDE: Final = "kind, name, state, who, why, at, effective_at, until"
HEALTH: Final = (
    "check_name, address, port, state, since, seen_at, held, silent_s, before, reasons, turns"
)
EVENT: Final = "id, at, kind, object, before, after, why, who"

Value = str | int | float | None
Row = tuple[Value, ...]

_KINDS: Final[Mapping[object, ObjectKind]] = {
    "datacenter": "datacenter",
    "pool": "pool",
    "endpoint": "endpoint",
}
_FORCED: Final[Mapping[object, ForcedState]] = {"up": "up", "down": "down", "drain": "drain"}
_STATES: Final[Mapping[object, State]] = {int(state): state for state in State}


def clean(text: str) -> str:
    """The text without what UTF-8 cannot say (half of a surrogate pair)."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _finite(seconds: float) -> float:
    return seconds if math.isfinite(seconds) else 0.0


def from_override(one: Override) -> Row:
    """As `OVERRIDE` has it."""
    texts = (one.kind, clean(one.name), one.state, clean(one.who), clean(one.why))
    until = None if one.until is None else _finite(one.until)
    return (*texts, _finite(one.at), _finite(one.effective_at), until)


def from_target(target: Target) -> Row:
    """The first three of `HEALTH`."""
    return clean(target.check), clean(target.address), target.port


def from_kept(kept: Kept) -> Row:
    """As `HEALTH` has it."""
    times = _finite(kept.since), _finite(kept.seen_at)
    silent_s = None if kept.silent_s is None else _finite(kept.silent_s)
    lists = _listed(map(clean, kept.reasons)), _listed(map(_finite, kept.turns))
    damping = int(kept.held), silent_s, int(kept.before)
    return (*from_target(kept.target), int(kept.state), *times, *damping, *lists)


def from_happening(one: Happening, number: int) -> Row:
    """As `EVENT` has it."""
    texts = (one.kind, one.object, one.before, one.after, one.why, one.who)
    return (number, _finite(one.at), *(clean(text) for text in texts))


def to_override(row: Sequence[object]) -> Override:
    """Raises ValueError."""
    kind, name, state, who, why, at, effective_at, until = row
    if kind not in _KINDS or state not in _FORCED:
        raise ValueError("an override of no kind there is")
    return Override(
        _KINDS[kind],
        _text(name),
        _FORCED[state],
        _text(who),
        _text(why),
        time_of(at),
        time_of(effective_at),
        None if until is None else time_of(until),
    )


def to_kept(row: Sequence[object], alive: float) -> Kept:
    """`alive`: when all that is kept was last known to be so. Raises ValueError."""
    check, address, port, state, since, seen_at, held, silent_s, before, reasons, turns = row
    if not {state, before} <= _STATES.keys() or held not in (0, 1) or not isinstance(port, int):
        raise ValueError("a target in no state there is")
    target = Target(_text(check), _text(address), port)
    seen = max(alive, time_of(seen_at))
    silent = None if silent_s is None else time_of(silent_s)
    return Kept(
        target,
        _STATES[state],
        time_of(since),
        seen,
        bool(held),
        silent,
        _STATES[before],
        tuple(_text(reason) for reason in _list(reasons)),
        tuple(time_of(turn) for turn in _list(turns)),
    )


def to_happening(row: Sequence[object]) -> Happening:
    """Raises ValueError."""
    number, at, kind, about, before, after, why, who = row
    if not isinstance(number, int):
        raise ValueError("an event without a number")
    return Happening(
        time_of(at),
        _text(kind),
        _text(about),
        _text(before),
        _text(after),
        _text(why),
        _text(who),
        number,
    )


def _listed(values: Iterable[Value]) -> str:
    return json.dumps(tuple(values))


def _list(value: object) -> list[object]:
    found: object = json.loads(_text(value))
    if not isinstance(found, list):
        raise ValueError("no list where one should be")
    return found


def time_of(value: object) -> float:
    """Raises ValueError."""
    if not isinstance(value, float) or not math.isfinite(value):
        raise ValueError("no time where one should be")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("no text where one should be")
    return value
