"""`gslb health --watch`: the same question every second, until somebody has seen enough.

Knows: when to ask again, what to show of a server that has stopped answering. Refuses to know: how
health looks, how servers are asked. Invariant: on a terminal there is one picture, the newest; in
a pipe a line for each change, written at once, and none for what stays as it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from gslb import console
from gslb.chart import compose_changes, compose_health, summarize
from gslb.console import Line
from gslb.errand import Outcome

EVERY_S: Final = 1.0

Look = Callable[[], Sequence[Outcome]]


def keep_watch(outcomes: Sequence[Outcome], look: Look) -> None:
    """Shows `outcomes`, then what `look` gives, again and again; returns at Ctrl-C."""
    try:
        if console.terminal_width() is None:
            _follow(outcomes, look)
        else:
            _redraw(outcomes, look)
    except KeyboardInterrupt:
        return


def _redraw(outcomes: Sequence[Outcome], look: Look) -> None:
    with console.redrawing() as draw:
        while True:
            draw(_picture(outcomes))
            time.sleep(EVERY_S)
            outcomes = look()


def _picture(outcomes: Sequence[Outcome]) -> list[Line]:
    lines: list[Line] = []
    for outcome in outcomes:
        lines += [()] if lines else []
        if outcome.body is None:
            lines.append(((outcome.error, "bold red"),))
            continue
        lines.append(((outcome.url, "bold"),))
        lines += compose_health(outcome.body, time.time(), console.terminal_width())
    return lines


def _follow(outcomes: Sequence[Outcome], look: Look) -> None:
    known: dict[str, dict[str, object]] = {}  # the last body of each
    silent: set[str] = set()
    while True:
        for outcome in outcomes:
            for line in _news(outcome, known.get(outcome.url), outcome.url in silent):
                console.say(*([f"{outcome.url} "] if len(outcomes) > 1 else []), *line)
            if outcome.body is None:
                silent.add(outcome.url)
            else:
                silent.discard(outcome.url)
                known[outcome.url] = outcome.body
        time.sleep(EVERY_S)
        outcomes = look()


def _news(outcome: Outcome, before: dict[str, object] | None, was_silent: bool) -> Sequence[Line]:
    """What there is to say after one more look at a server."""
    body = outcome.body
    if body is None:
        return () if was_silent else (((outcome.error, "bold red"),),)
    first = [summarize(body)] if before is None else []
    back: list[Line] = [("it answers again",)] if was_silent else []
    return [*back, *first, *compose_changes(before, body, time.time())]
