"""The load that an endpoint reports in its reply (health.md, Load).

Knows: JSON pointers (RFC 6901), and what is a load: a finite number that is not negative. Refuses
to know: HTTP, what follows from a load. Invariant: whatever the endpoint sent, nothing is raised,
and it takes a millisecond at most.
"""

from __future__ import annotations

import json
import math
import re
from typing import Final, NoReturn

_MOST: Final = 64 * 1024  # octets of JSON that are read: half a millisecond of them
_NUMBER: Final = re.compile(r"[0-9]{1,20}(?:\.[0-9]{0,20})?(?:[eE][-+]?[0-9]{1,3})?", re.ASCII)
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)


def is_pointer(where: str) -> bool:
    """Whether a check's `load` is a JSON pointer; otherwise it is the name of a header."""
    return where.startswith("/")


def load_in(where: str, header: str | None, body: bytes) -> float | None:
    """The load where a check says it stands; None if there is no such number."""
    if not is_pointer(where):
        text = (header or "").strip()
        return _sound(float(text)) if _NUMBER.fullmatch(text) else None
    if len(body) > _MOST:
        return None
    try:
        value: object = json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError):  # of text that is no UTF-8, too
        return None
    for token in where.split("/")[1:]:
        value = _step(value, token.replace("~1", "/").replace("~0", "~"))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return _sound(float(value))
    except OverflowError:
        return None


def _step(value: object, token: str) -> object:
    match value:
        case dict():
            return value.get(token)
        case list() if _INDEX.fullmatch(token) and int(token) < len(value):
            return value[int(token)]
        case _:
            return None


def _sound(load: float) -> float | None:
    return load if math.isfinite(load) and load >= 0 else None


def _refuse(word: str) -> NoReturn:
    raise ValueError(word)
