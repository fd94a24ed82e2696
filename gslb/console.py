"""How results look on a terminal and in a pipe.

Knows: rich, colours, widths. Refuses to know: where a value came from. Invariant: results go to
standard output, everything else to standard error; colour only on a terminal (NO_COLOR is
honoured); nothing that a foreign server sent reaches a terminal as a control character.
rich is imported inside functions, so that importing the command line costs nothing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from gslb.ask import Reply, Tally
    from gslb.errors import Problem

Segment = str | tuple[str, str]
Line = tuple[Segment, ...]
BAR = 40
_SEVERITY_STYLE = {"error": "bold red", "warning": "yellow"}


def say(*segments: Segment, to_stderr: bool = False) -> None:
    """One line; a segment is a text or (text, style). Lines are never wrapped."""
    _console(to_stderr).print(_text(segments))


def _text(segments: Line) -> Text:
    from rich.text import Text

    line = Text()
    for segment in segments:
        text, style = segment if isinstance(segment, tuple) else (segment, "")
        line.append(printable(text), style)
    return line


def terminal_width() -> int | None:
    """Columns of the terminal that standard output is; None if it is none."""
    return _console(False).width if _console(False).is_terminal else None


@contextmanager
def redrawing() -> Iterator[Callable[[Sequence[Line]], None]]:
    """Gives a function that draws lines in the place of those drawn before; for a terminal."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    # Its own, that wraps: what is drawn in its place has to know how many lines it takes.
    console = Console(highlight=False)
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:

        def draw(lines: Sequence[Line]) -> None:
            room = max(2, console.height - 1)
            if len(lines) > room:
                more = f"({len(lines) - room + 1} more lines; a pipe gets all)"
                lines = [*lines[: room - 1], ((more, "dim"),)]
            live.update(Text("\n").join(map(_text, lines)), refresh=True)

        yield draw


@cache
def _console(to_stderr: bool) -> Console:
    from rich.console import Console

    return Console(stderr=to_stderr, soft_wrap=True, highlight=False)


def note(text: str) -> None:
    """A diagnostic on standard error; one line for every line of the text."""
    for line in text.splitlines():
        say(("gslb: ", "bold"), line, to_stderr=True)


def warn(text: str) -> None:
    """What was done and is not as it should be; on standard error."""
    say(("gslb: ", "bold"), ("warning", "bold yellow"), f": {text}", to_stderr=True)


def print_lines(lines: Iterable[Line]) -> None:
    """Lines, as they are."""
    for line in lines:
        say(*line)


def printable(text: str) -> str:
    """The text with control characters written as \\xNN."""
    if text.isprintable():  # almost always, and thousands of rows have many of them
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def print_json(value: object, indent: int | None = None) -> None:
    """JSON: on one line for machines, indented on a terminal or where asked."""
    if indent is None and sys.stdout is not None and sys.stdout.isatty():
        indent = 2
    print(json.dumps(value, indent=indent))  # noqa: T201  JSON escapes control characters itself


@contextmanager
def progress(doing: str) -> Iterator[Callable[[str], None]]:
    """Shows on a terminal what is being done; gives a function that changes the text."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda text: None
        return
    with _console(True).status(printable(doing)) as status:
        yield lambda text: status.update(printable(text))


def print_problems(path: str, problems: Sequence[Problem]) -> None:
    """Every problem on a line, and the count of errors and warnings last."""
    for problem in problems:
        before, _, after = str(problem).partition(f": {problem.severity}: ")
        style = _SEVERITY_STYLE[problem.severity]
        say((before, "bold"), ": ", (problem.severity, style), f": {after}")
    errors = sum(problem.severity == "error" for problem in problems)
    summary = f"{_count(errors, 'error')}, {_count(len(problems) - errors, 'warning')}"
    say((path, "bold"), ": ", (summary, "bold red" if errors else "green"))


def problem_body(problem: Problem) -> dict[str, object]:
    """A problem for `--json`."""
    return {
        "file": problem.where.file,
        "line": problem.where.line,
        "column": problem.where.column,
        "severity": problem.severity,
        "subject": problem.subject,
        "what": problem.what,
        "hint": problem.hint,
    }


def print_explanation(body: dict[str, object]) -> None:
    """The body of `/v1/explain`: the answer, then every step, indented by its depth."""
    say((f"{body.get('name')} {body.get('type')}", "bold"))
    answer = body.get("answer")
    for data in answer if isinstance(answer, list) else []:
        say("  ", (str(data), "bold green"))
    facts = [str(body.get("rcode"))]
    if body.get("ttl") is not None:
        facts.append(f"TTL {body['ttl']}")
    if body.get("scope") is not None:
        facts.append(f"scope /{body['scope']}")
    say("  ", ", ".join(facts))
    say("")
    steps = body.get("steps")
    rows = [step for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []
    width = max((len(str(row.get("kind"))) for row in rows), default=0)
    for row in rows:
        depth = row.get("depth")
        indent = "  " * depth if isinstance(depth, int) else ""
        say((f"  {row.get('kind')!s:<{width}}", "cyan"), f"  {indent}{row.get('text')}")


def print_reply(reply: Reply) -> None:
    """A reply the way dig shows it: comments begin with `;;`."""
    from gslb.ask import server_text

    server = server_text(reply.question.server)
    style = "bold green" if reply.rcode == "NOERROR" else "bold red"
    how = f"{server} by {reply.transport}, {reply.size} octets, {reply.elapsed_ms:.1f} ms"
    say(";; ", (reply.rcode, style), f", flags {' '.join(reply.flags)}; {how}")
    if reply.question.subnet is not None:
        used = "no client subnet in the reply" if reply.scope is None else f"scope /{reply.scope}"
        say(f";; client subnet {reply.question.subnet}: {used}")
    for record in reply.answer:
        say((str(record), "bold"))
    if not reply.answer:
        say(";; no answer records")
    if reply.authority:
        say(";; authority")
    for record in reply.authority:
        say(str(record))


def print_tally(tally: Tally) -> None:
    """How often each answer came, and, when answers hold several addresses, each first one."""
    from gslb.ask import server_text
    from gslb.wire.name import to_text
    from gslb.wire.rrtype import type_text

    question = tally.question
    subnet = "" if question.subnet is None else f" for {question.subnet}"
    say(
        (f"{to_text(question.name)} {type_text(question.type)}", "bold"),
        f"{subnet}: {_count(tally.asked, 'query', 'queries')} to {server_text(question.server)}"
        f", {tally.lost} lost",
    )
    _print_shares(tally.shares(tally.answers))
    if any(" " in answer for answer in tally.answers if not answer.startswith("(")):
        say("first in the answer")
        _print_shares(tally.shares(tally.first))


def _print_shares(rows: Sequence[tuple[str, int, float]]) -> None:
    width = max((len(answer) for answer, _, _ in rows), default=0)
    for answer, count, share in rows:
        bar = "#" * round(share * BAR)
        say(f"  {answer:<{width}}  {count:>6}  {share:>6.1%}  ", (bar, "green"))


def print_facts(facts: dict[str, object]) -> None:
    """What is known of an address: the first fact is its title, the others have a line each."""
    _, title = next(iter(facts.items()))
    say((str(title), "bold"))
    width = max(len(key) for key in facts)
    for key, value in list(facts.items())[1:]:
        say((f"  {key:<{width}}", "cyan"), f"  {_fact(value)}")


def _fact(value: object) -> str:
    match value:
        case None | "":
            return "-"
        case list() | tuple():
            return ", ".join(_fact(item) for item in value) or "-"
        case dict():
            return ", ".join(f"{name} {_fact(item)}" for name, item in value.items()) or "-"
        case _:
            return str(value)


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
