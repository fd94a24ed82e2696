"""How health looks: what the probes say of every target, the worst first.

Knows: the body of `/v1/health` (control.md). Refuses to know: who asked, terminals, clocks: the
body says when it was made. Invariant: a blind prober is the first thing that is said, and every
state stands there as a word, not only as a colour.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from gslb.console import Line, Segment
from gslb.layout import (
    Body,
    Row,
    fold,
    lay_out,
    number_of,
    object_of,
    objects_of,
    text_of,
    texts_of,
)
from gslb.moment import parse_time, span_text, time_text

STYLES: Final = {"up": "green", "down": "bold red", "unknown": "yellow"}
CERTIFICATE_S: Final = 30 * 86400  # a certificate that lasts longer is not worth a line
OLD_S: Final = 60  # a load that is older may no longer be true
MOST_QUIET: Final = 20  # targets that are well, listed one by one on a terminal
MOST_LINES: Final = 40  # of a picture that needs its first lines at its end as well
_HEADS: Final = ("STATE", "CHECK", "ADDRESS", "FOR", "LATENCY", "P95", "POOLS")

Key = tuple[str, str, int]


def is_well(body: Body) -> bool:
    """False if a target is down, or the prober is blind."""
    down = (text_of(target, "state") == "down" for target in objects_of(body, "targets"))
    return not object_of(body, "blind") and not any(down)


def summarize(body: Body) -> Line:
    """How many targets there are in which state, on one line."""
    targets = objects_of(body, "targets")
    if not targets:
        return ("no checks, so everything counts as up",)
    count = Counter(text_of(target, "state") for target in targets)
    segments: list[Segment] = [f"{_count(len(targets), 'target')}: "]
    for state in sorted(count, key=_rank_of):
        comma = ", " if len(segments) > 1 else ""
        segments += [comma, (f"{count[state]} {state}", STYLES.get(state, ""))]
    forced = {
        (text_of(each, "pool"), text_of(each, "endpoint"))
        for target in targets
        for each in objects_of(target, "endpoints")
        if text_of(each, "forced")
    }
    if forced:
        segments += ["; ", (f"{_count(len(forced), 'endpoint')} forced by hand", "yellow")]
    return tuple(segments)


def compose_health(body: Body, now: float, width: int | None) -> list[Line]:
    """The whole picture; `now` in Unix seconds, for a body that does not say when it was made.

    On a terminal, of `width`, what is well is only counted where it would push the rest away.
    """
    now = parse_time(body.get("at")) or now
    first: list[Line] = []
    blind = object_of(body, "blind")
    if blind:
        first += fold((_blind_text(blind, now), "bold white on red"), width)
    first.append(summarize(body))
    targets = sorted(objects_of(body, "targets"), key=_order)
    shown = [each for each in targets if _is_notable(each) or _lasts(each, now) is not None]
    quiet = len(targets) - len(shown)
    if width is None or quiet <= MOST_QUIET:
        quiet, shown = 0, targets
    lines = list(first)
    if shown:
        lines += [(), *lay_out(_HEADS, [_row(target, now) for target in shown], width)]
    if quiet:
        where = "a pipe (gslb health | less) and --json have them all"
        lines += [
            (),
            *fold(f"{quiet} {'more are' if shown else 'are'} up and well; {where}", width),
        ]
    if width is not None and len(lines) > MOST_LINES:
        lines += [(), *first]  # where the eye is once it has all gone by
    return lines


def compose_changes(before: Body | None, body: Body, now: float) -> list[Line]:
    """A line for each thing that is another than before; all that is not well if `before` is None.

    `now` as above.
    """
    now = parse_time(body.get("at")) or now
    at, lines = time_text(now, now), list[Line]()
    blind = object_of(body, "blind")
    if bool(blind) != bool(before and object_of(before, "blind")):
        text = _blind_text(blind, now) if blind else "the prober sees again"
        lines.append((f"{at} ", (text, "bold white on red" if blind else "bold green")))
    known = {} if before is None else {_key(each): each for each in objects_of(before, "targets")}
    for target in sorted(objects_of(body, "targets"), key=_order):
        last = known.pop(_key(target), None)
        quiet = last is None and not _is_notable(target)
        if not quiet and (last is None or _gist(last) != _gist(target)):
            lines.append((f"{at} ", *_change(last, target)))
    return lines + [(f"{at} ", f"{_place(gone)}: no longer checked") for gone in known.values()]


def _change(last: Body | None, target: Body) -> Line:
    state, endpoints = text_of(target, "state"), _endpoints(target)
    was = "" if last is None else text_of(last, "state")
    before = f"{was} -> " if was not in ("", state) else ""
    telling = before or state == "down"
    about = [_cause(target, state)] if telling else []
    about += ["held down, it flaps"] if target.get("held") is True else []
    text = "".join(f"; {part}" for part in (*filter(None, about), endpoints))
    return (f"{_place(target)}: {before}", (state, STYLES.get(state, "")), text)


def _row(target: Body, now: float) -> Row:
    state, since = text_of(target, "state"), parse_time(target.get("since"))
    latency = object_of(target, "latency")
    style = STYLES.get(state, "")
    cells: tuple[Segment, ...] = (
        (state, style),
        text_of(target, "check"),
        (_address(target), "bold" if _is_notable(target) else ""),
        "-" if since is None else span_text(now - since),
        _milliseconds(number_of(latency, "ewma_s")),
        _milliseconds(number_of(latency, "p95_s")),
    )
    forced = any(text_of(each, "forced") for each in objects_of(target, "endpoints"))
    aside = (_endpoints(target), "yellow" if forced else "")
    return Row(cells, aside, tuple(_remarks(target, now)))


def _remarks(target: Body, now: float) -> Iterator[Segment]:
    state, evidence = text_of(target, "state"), object_of(target, "evidence")
    if target.get("held") is True:
        yield ("held down: it changed too often, and has to be good for longer", "yellow")
    reasons, failing = texts_of(evidence, "reasons"), texts_of(target, "failing")
    at = parse_time(evidence.get("at"))
    if at is not None and (reasons or state == "down"):
        after = text_of(evidence, "to")
        why = f": {_cause(target, after)}" if reasons else ""
        yield f"{time_text(at, now)} {text_of(evidence, 'from')} -> {after}{why}"
    if failing and (state != "down" or failing[-1:] != reasons[-1:]):
        yield (f"failing now: {_reasons(failing)}", "yellow")
    load = number_of(target, "load")
    if load is not None:
        told = parse_time(target.get("load_at"))
        age = 0.0 if told is None else now - told
        yield f"load {load:.2f}{f', {span_text(age)} ago' if age > OLD_S else ''}"
    left = _lasts(target, now)
    if left is not None:
        when = f"expires in {span_text(left)}" if left > 0 else f"expired {span_text(-left)} ago"
        yield (f"its certificate {when}", "bold yellow")


def _lasts(target: Body, now: float) -> float | None:
    """For how many seconds its certificate is still good; None if that is no worry."""
    expires = parse_time(target.get("certificate_expires"))
    return expires - now if expires is not None and expires - now < CERTIFICATE_S else None


def _blind_text(blind: Body, now: float) -> str:
    since = parse_time(blind.get("since"))
    when = "" if since is None else f" for {span_text(now - since)}, since {time_text(since, now)}"
    why = text_of(blind, "why")
    return f"BLIND{when}{why and f': {why}'}; states stay as they were, answers go on"


def _cause(target: Body, state: str) -> str:
    """Why its latest change came to this state; what came up did so in spite of its reasons."""
    why = _reasons(texts_of(object_of(target, "evidence"), "reasons"))
    # Of a calculated check they count what it is made of, whatever came of it.
    in_spite = why and state == "up" and text_of(target, "type") != "calculated"
    return f"was {why}" if in_spite else why


def _reasons(reasons: Sequence[str]) -> str:
    """`connect refused (3 in a row), status 503`."""
    runs = [(reason, len(list(run))) for reason, run in groupby(reasons)]
    return ", ".join(f"{reason} ({n} in a row)" if n > 1 else reason for reason, n in runs)


def _endpoints(target: Body) -> str:
    """The pools; with the endpoint where it has a name of its own, and with what is forced."""
    texts = []
    for each in objects_of(target, "endpoints"):
        pool, endpoint = text_of(each, "pool"), text_of(each, "endpoint")
        forced = text_of(each, "forced")
        own = f"/{endpoint}" if endpoint not in ("", text_of(target, "address")) else ""
        texts.append(f"{pool}{own}{forced and f' (forced {forced})'}")
    return ", ".join(texts)


def _place(target: Body) -> str:
    return f"{text_of(target, 'check')} {_address(target)}"


def _address(target: Body) -> str:
    address, port = text_of(target, "address"), number_of(target, "port")
    if not port:
        return address
    return f"[{address}]:{port:.0f}" if ":" in address else f"{address}:{port:.0f}"


def _milliseconds(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    value = seconds * 1000
    return f"{value:.1f} ms" if value < 100 else f"{value:.0f} ms"


def _rank_of(state: str) -> int:
    return {"down": 0, "unknown": 1, "up": 3}.get(state, 2)


def _is_notable(target: Body) -> bool:
    return _order(target)[0] < 4


def _order(target: Body) -> tuple[int, Key]:
    """Down, unknown, in doubt, forced, and then the quiet rest."""
    rank = _rank_of(text_of(target, "state"))
    if rank == 3:
        doubtful = bool(texts_of(target, "failing"))
        forced = any(text_of(each, "forced") for each in objects_of(target, "endpoints"))
        rank = 2 if doubtful else 3 if forced else 4
    return rank, _key(target)


def _key(target: Body) -> Key:
    port = number_of(target, "port") or 0
    return text_of(target, "check"), text_of(target, "address"), int(port)


def _gist(target: Body) -> tuple[str, bool, str]:
    return text_of(target, "state"), target.get("held") is True, _endpoints(target)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
