"""Log lines: one an event, `key=value` for people or JSON for machines.

Knows: the two forms, the cap on lines per second and kind. Refuses to know: what is worth
telling. Invariant: what a value holds stays on its line, no kind of event can fill the disk, and a
reader that has stopped reading (a full pipe, Ctrl-S) stops no answers. That lines are left out is
told where it begins (`left_out of=KIND`), and how many on the kind's next line (`suppressed=12`).
What an operator's own doing came to (UNCAPPED) is not capped.

A record of the standard library's logging, from a package that may not import this one, has
its logger's name as kind and is capped by the place in the source that it comes from.
"""

from __future__ import annotations

import json
import logging
import math
import select
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final, Literal, TextIO

from gslb.core.setting import Limits

LINES_PER_S: Final = Limits().log_lines
# What a job came to is told whole: these come as often as an operator asks, not as a stranger does.
UNCAPPED: Final = frozenset(
    [
        "load",
        "start",
        "stop",
        "reload",
        "reload_failed",
        "last_good",
        "geo_update",
        "geo_refused",
        "problem",
        "override",
        "expiry",
    ]
)
LEFT_OUT: Final = "left_out"
INFO: Final = logging.INFO
WARNING: Final = logging.WARNING
ERROR: Final = logging.ERROR

_EVENT: Final = "gslb_event"
_FIELDS: Final = "gslb_fields"
_SUPPRESSED: Final = "gslb_suppressed"
_log: Final = logging.getLogger("gslb")

# How many events of each kind there were, those that no line was left for included.
counts: Final[Counter[str]] = Counter()
# Who else hears of every event, with its fields: what keeps them (app/chronicle.py).
listeners: Final[list[Callable[[str, Mapping[str, object]], None]]] = []
# How often the limits were reached that no object counts, as metrics.from_counts takes it: of log
# lines here, of zones where their problems are told.
caps: Final[Counter[tuple[str, ...]]] = Counter()


def event(kind: str, /, *, level: int = INFO, **fields: object) -> None:
    """Log one line. `kind` is a constant; what varies goes into the fields."""
    counts[kind] += 1
    for listener in listeners:
        listener(kind, fields)
    _log.log(level, kind, extra={_EVENT: kind, _FIELDS: fields})


def configure(
    form: Literal["text", "json"],
    stream: TextIO,
    *,
    lines_per_s: int = LINES_PER_S,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """From now on the logging of this whole process goes to `stream`, from level info up."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_JsonLine() if form == "json" else _TextLine())
    handler.addFilter(_Cap(lines_per_s, clock, _readiness(stream)))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)


def limit(lines_per_s: int) -> None:
    """From now on at most so many lines a second of each kind."""
    for handler in logging.getLogger().handlers:
        for each in handler.filters:
            if isinstance(each, _Cap):
                each.per_s = lines_per_s


def _readiness(stream: TextIO) -> Callable[[], bool]:
    """Whether a line can be written without waiting; what is no file never makes us wait."""
    watch = select.poll()
    try:
        watch.register(stream, select.POLLOUT)
    except (OSError, TypeError, ValueError):
        return lambda: True
    return lambda: bool(watch.poll(0))


class _Cap(logging.Filter):
    """Lets `per_s` lines through at once, and as many again each second, for each kind.

    None at all while the stream is not `ready`. Its table is bounded by the source: one entry
    a kind of event or place that logs.
    """

    def __init__(self, per_s: int, clock: Callable[[], float], ready: Callable[[], bool]) -> None:
        super().__init__()
        self.per_s = per_s
        self._clock: Final = clock
        self._ready: Final = ready
        self._allowances: Final[dict[object, _Allowance]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now = self._clock()
        source = getattr(record, _EVENT, None) or (record.pathname, record.lineno)
        allowance = self._allowances.get(source)
        if allowance is None:
            allowance = self._allowances[source] = _Allowance(self.per_s, now)
        is_spent = source not in UNCAPPED and not allowance.take(now, self.per_s)
        caps["cap", "log_lines"] += is_spent
        if is_spent or not self._ready():
            allowance.suppressed += 1
            return is_spent and self._ready() and self._announce(record, allowance, now)
        setattr(record, _SUPPRESSED, allowance.suppressed)
        allowance.suppressed = 0
        return True

    def _announce(self, record: logging.LogRecord, allowance: _Allowance, now: float) -> bool:
        """Makes the first line that is left out a line that says so, once a second at most.

        Else nobody who reads of ten endpoints would know of the thousand others before the kind's
        next line, which may be an hour away.
        """
        if allowance.suppressed > 1 or now - allowance.announced_at < 1:
            return False
        allowance.announced_at = now
        fields = {"of": getattr(record, _EVENT, None) or record.name, "lines_per_s": self.per_s}
        record.exc_info = None
        record.__dict__.update({_EVENT: LEFT_OUT, _FIELDS: fields})
        return True


class _Allowance:
    """A bucket that fills by `per_s` a second up to `per_s`."""

    __slots__ = ("_at", "_left", "announced_at", "suppressed")

    def __init__(self, per_s: int, now: float) -> None:
        self.announced_at = -math.inf
        self._left = float(per_s)
        self._at = now
        self.suppressed = 0

    def take(self, now: float, per_s: int) -> bool:
        """True if one more line may be written."""
        self._left = min(per_s, self._left + (now - self._at) * per_s)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def _head(record: logging.LogRecord) -> tuple[str, str, str]:
    """When (UTC), how grave, what kind."""
    at = datetime.fromtimestamp(record.created, UTC)
    kind = getattr(record, _EVENT, None) or record.name
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z", record.levelname.lower(), kind


def _fields(record: logging.LogRecord) -> Mapping[str, object]:
    """What else the line says, in order."""
    fields: dict[str, object] | None = getattr(record, _FIELDS, None)
    if fields is None:
        fields = {"message": record.getMessage()}
    if suppressed := getattr(record, _SUPPRESSED, 0):
        fields = {**fields, "suppressed": suppressed}
    return fields


class _TextLine(logging.Formatter):
    """`2026-11-21T09:06:00.123Z info reload changed=3 why="a reason"`.

    A traceback follows on lines of its own, indented.
    """

    def format(self, record: logging.LogRecord) -> str:
        fields = (f"{key}={_quote(value)}" for key, value in _fields(record).items())
        line = " ".join((*_head(record), *fields))
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
            line = line.replace("\n", "\n    ")
        return line


class _JsonLine(logging.Formatter):
    """One object a line; a traceback is its field `traceback`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = dict(zip(("at", "level", "kind"), _head(record), strict=True))
        line = {**line, **_fields(record), **line}  # the head comes first, and wins
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _quote(value: object) -> str:
    """The value bare if nobody could misread it, else in quotes: single ones around a text
    with double ones (most of ours name something), a JSON string if it has both."""
    match value:
        case str():
            text = value
        case list() | tuple():
            text = ",".join(map(str, value))
        case _:
            text = json.dumps(value, default=str)
    if text and text.isascii() and text.isprintable() and not set(text) & set(' "='):
        return text
    if '"' in text and "'" not in text and text.isprintable() and "\\" not in text:
        return f"'{text}'"
    return json.dumps(text)
