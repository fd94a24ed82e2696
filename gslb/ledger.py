"""How overrides look: the line that says what a server did, and the list of all there are.

Knows: the bodies of `/v1/overrides` (control.md). Refuses to know: who asked, terminals. Invariant:
the forced state never stands without the real one beside it, and what will not survive a restart
is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gslb.console import Line, Segment
from gslb.layout import Body, Row, lay_out, object_of, objects_of, text_of
from gslb.moment import parse_time, span_text, time_text

NOT_KEPT: Final = "it will not survive a restart of the server"
STYLES: Final = {"up": "bold green", "down": "bold red", "drain": "bold yellow"}
_NOTHING: Final = "nothing here has this name"  # `real` of what no longer exists, or not yet
_HEADS: Final = ("OBJECT", "STATE", "REAL", "SINCE", "UNTIL", "BY")


def compose_result(url: str, name: str, reply: Body) -> Line:
    """What a server did to what was called `name`, of a reply to PUT or DELETE."""
    cleared = object_of(reply, "cleared")
    if "cleared" in reply and not cleared:
        return (url, ": ", ("nothing to clear", "bold"), f": {name} has no override")
    if cleared:
        said = f" {text_of(cleared, 'state')} {_name(cleared)}{_real(cleared)}"
        return (url, ": ", ("cleared", "bold"), said)
    override = object_of(reply, "override")
    state, at = text_of(override, "state"), parse_time(override.get("at"))
    said = f" {_name(override)}"
    if at is not None:
        begins = parse_time(override.get("effective_at")) or at
        said += f" from {time_text(begins, at)} {_end(override, at)}"
        empty = parse_time(override.get("caches_empty_at"))
        if short := _shortness(override):
            said += f"; {short}"
        elif empty is not None:
            said += f"; caches are empty in {span_text(empty - at)}, at {time_text(empty, at)}"
    if state != "drain":
        said += _real(override)
    return (url, ": ", (state, STYLES.get(state, "")), said)


def find_warnings(reply: Body) -> Iterator[str]:
    """What somebody should know of an override that was accepted."""
    told = text_of(reply, "warning")
    if told:
        yield told
    if reply.get("kept") is False and NOT_KEPT not in told:
        yield NOT_KEPT
    if text_of(object_of(reply, "override"), "real") == _NOTHING:
        yield _NOTHING


def find_trouble(listing: Body) -> str:
    """Why a server does not keep its overrides; "" if it does."""
    if listing.get("kept") is not False:
        return ""
    problem = text_of(listing, "problem")
    return f"overrides will not survive a restart of the server{problem and f': {problem}'}"


def compose_overrides(listing: Body, now: float, width: int | None) -> list[Line]:
    """All overrides of a server; `now` in Unix seconds."""
    rows = [_row(override, now) for override in objects_of(listing, "overrides")]
    return lay_out(_HEADS, rows, width) if rows else [("(none)",)]


def _row(override: Body, now: float) -> Row:
    state, at = text_of(override, "state"), parse_time(override.get("at"))
    until = parse_time(override.get("until"))
    cells: tuple[Segment, ...] = (
        (_name(override), "bold"),
        (state, STYLES.get(state, "")),
        text_of(override, "real") or "-",
        time_text(at, now) if at is not None else "-",
        time_text(until, now) if until is not None else "-",
    )
    return Row(cells, text_of(override, "who"), tuple(_remarks(override, now)))


def _remarks(override: Body, now: float) -> Iterator[Segment]:
    why = text_of(override, "why")
    if why:
        yield why
    begins = parse_time(override.get("effective_at"))
    if begins is not None and begins > now:
        left = f"in {span_text(begins - now)}, at {time_text(begins, now)}"
        yield (f"takes effect {left}; TTLs are short until then", "yellow")
    empty = parse_time(override.get("caches_empty_at"))
    if empty is None:
        return
    if short := _shortness(override):
        yield (short, "yellow")
    elif empty > now:
        yield f"caches are empty in {span_text(empty - now)}, at {time_text(empty, now)}"
    else:
        yield (f"caches are empty since {time_text(empty, now)}", "green")


def _shortness(override: Body) -> str:
    """What to say of one that ends while caches still have answers from before it, else ""."""
    until, empty = parse_time(override.get("until")), parse_time(override.get("caches_empty_at"))
    if until is None or empty is None or until >= empty:
        return ""
    begins = parse_time(override.get("effective_at"))
    ttl = "" if begins is None else f" (largest TTL {span_text(empty - begins)})"
    return f"it ends before caches are empty{ttl}: give it longer"


def _real(override: Body) -> str:
    real = text_of(override, "real")
    return f"; the probes say: {real}" if real not in ("", _NOTHING) else ""


def _end(override: Body, now: float) -> str:
    until = parse_time(override.get("until"))
    return "until it is cleared" if until is None else f"until {time_text(until, now)}"


def _name(override: Body) -> str:
    return f"{text_of(override, 'kind')}/{text_of(override, 'name')}"
