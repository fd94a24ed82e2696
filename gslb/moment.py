"""Times as the API writes them and as people read them.

Knows: RFC 3339, how much of a date or a span is worth reading. Refuses to know: which clock is
right. Invariant: every time is shown in UTC, and what is no time is None, never an error.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

_FAR_S: Final = 300 * 86400
_MONTHS: Final = "JanFebMarAprMayJunJulAugSepOctNovDec"  # whatever the locale
_UNITS: Final = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def parse_time(value: object) -> float | None:
    """Unix seconds of RFC 3339 text with an offset (section 5.6); None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        when = datetime.fromisoformat(value)
        return when.timestamp() if when.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def time_text(at: float, now: float) -> str:
    """`18:40:00Z` on the date of `now`, else `Nov 20 18:40Z`, with the year if that is far away.

    Both in Unix seconds.
    """
    when = datetime.fromtimestamp(at, UTC)
    if when.date() == datetime.fromtimestamp(now, UTC).date():
        return f"{when:%H:%M:%SZ}"
    if abs(at - now) < _FAR_S:
        month = _MONTHS[when.month * 3 - 3 : when.month * 3]
        return f"{month} {when:%d %H:%MZ}"
    return f"{when:%Y-%m-%d %H:%MZ}"


def span_text(seconds: float) -> str:
    """`3 d 4 h`, `5 min 30 s`, `0 s`: the two largest units; a negative span is none."""
    parts: list[str] = []
    left = max(0, round(seconds))
    for unit, size in _UNITS:
        count, rest = divmod(left, size)
        if count or parts:
            parts.append(f"{count} {unit}" if count else "")
            left = rest
        if len(parts) == 2:
            break
    return " ".join(filter(None, parts)) or "0 s"
