"""The operator's commands: what is healthy, what is forced, and forcing it (cli.md).

Knows: their options, what is asked of which path of the API, what a round of answers means as an
exit status. Refuses to know: what a server does about it, how results look. Invariant: a command
that changes something says in a line for every server what became of it; what can be seen to be
wrong is a usage error before any server has heard of it.
"""

from __future__ import annotations

import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from gslb.option import (
    ConfigOption,
    ForOption,
    HereOption,
    JsonOption,
    ObjectArgument,
    ServersOption,
    TokenOption,
    ToldOption,
    WhyOption,
)

if TYPE_CHECKING:
    from gslb.access import Contact
    from gslb.errand import Outcome

KINDS: Final = ("datacenter", "pool", "endpoint")
STATES: Final = ("up", "down", "clear")
LATE: Final = "it may have heard: see `gslb overrides`"  # of whoever was told and says nothing


def _complete_state(incomplete: str) -> list[str]:
    return [state for state in STATES if state.startswith(incomplete)]


def drain(
    name: ObjectArgument,
    why: WhyOption,
    lasting: ForOption = None,
    lead: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Take it out after TIME; until then TTLs are short."),
    ] = None,
    here: HereOption = False,
    server: ToldOption = None,
    token_file: TokenOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take something out of new answers.

    Says when caches are empty: when nobody is sent there by an older answer any more.

    Exit status 0: every server did it; 1: one refused; 3: one could not be reached, all others
    did it. To say it again is harmless.

    \b
    Examples:
      gslb drain fra --for 2h --why "kernel upgrade"
      gslb drain endpoint/192.0.2.10 --lead 10m --why "new disk"
    """
    until, ahead = _read_time("--for", lasting), _read_time("--lead", lead)
    order = {"state": "drain", "why": _read_why(why), "until": until, "lead": ahead}
    contacts = _find(server, token_file, config, changing=True, here=here)
    _tell(name, order, why, contacts, as_json)


def override(
    name: ObjectArgument,
    state: Annotated[
        str,
        typer.Argument(metavar="up|down|clear", show_default=False, autocompletion=_complete_state),
    ],
    why: WhyOption,
    lasting: ForOption = None,
    here: HereOption = False,
    server: ToldOption = None,
    token_file: TokenOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Force something up or down, or clear what is forced.

    A drain is cleared the same way. up hides failures, so it needs --for. Of overrides of a data
    center, a pool and an endpoint the narrowest counts.

    Exit status 0: every server did it; 1: one refused, or none had anything to clear; 3: one
    could not be reached, all others did it. To say it again is harmless.

    \b
    Examples:
      gslb override pool/web-fra down --for 30m --why "returns garbage"
      gslb override fra clear --why "upgrade done"
    """
    until = _read_time("--for", lasting)
    if state not in STATES:
        other = "use `gslb drain`" if state == "drain" else "it is up, down or clear"
        raise typer.BadParameter(f'"{state}" is no state to force: {other}')
    if state == "clear" and until is not None:
        raise typer.BadParameter("clear is at once and for good: leave --for out")
    if state == "up" and until is None:
        raise typer.BadParameter("up hides failures: say for how long, as --for 30m")
    order = {"state": state, "why": _read_why(why), "until": until}
    contacts = _find(server, token_file, config, changing=True, here=here)
    _tell(name, None if state == "clear" else order, why, contacts, as_json)


def overrides(
    server: ServersOption = None,
    token_file: TokenOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what is forced, and beside it what the probes say.

    Exit status 0: every server answered; 1: one refused; 3: one could not be reached.

    \b
    Example: gslb overrides
    """
    from gslb import console
    from gslb.errand import exit_status
    from gslb.ledger import compose_overrides, find_trouble

    outcomes = _ask("/v1/overrides", _find(server, token_file, config))
    if as_json:
        _print_bodies(outcomes)
    else:
        width = console.terminal_width()
        for body in _take_turns(outcomes):
            console.print_lines(compose_overrides(body, time.time(), width))
            if trouble := find_trouble(body):
                console.warn(trouble)
    raise typer.Exit(exit_status(outcomes))


def health(
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Again every second; in a pipe a line for every change."),
    ] = False,
    server: ServersOption = None,
    token_file: TokenOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what the probes say of every target, the worst first.

    Exit status 0: nothing is down; 1: a target is down, the prober is blind, or a server refused;
    3: one could not be reached. --watch runs until Ctrl-C: 0.

    \b
    Examples:
      gslb health
      gslb health --watch
    """
    if watch and as_json:
        raise typer.BadParameter("--watch is for people, --json for machines: leave one out")
    from gslb import console
    from gslb.chart import compose_health, is_well
    from gslb.errand import exit_status

    contacts = _find(server, token_file, config)
    outcomes = _ask("/v1/health", contacts)
    status = exit_status(outcomes)
    if watch and status == 0:
        from gslb.display import keep_watch

        keep_watch(outcomes, lambda: _ask("/v1/health", contacts, quietly=True))
        return
    if as_json:
        _print_bodies(outcomes)
    else:
        width = console.terminal_width()
        for body in _take_turns(outcomes):
            console.print_lines(compose_health(body, time.time(), width))
    well = all(is_well(outcome.body) for outcome in outcomes if outcome.body is not None)
    raise typer.Exit(status if well else 1)


def _tell(
    name: str,
    order: Mapping[str, object] | None,
    why: str,
    contacts: Sequence[Contact],
    as_json: bool,
) -> NoReturn:
    """Sets an override everywhere, or clears it where `order` is None; a line for each server."""
    from gslb import console, remote
    from gslb.errand import exit_status, run_errand
    from gslb.ledger import compose_result, find_warnings

    path = _path_of(name)

    def tell(contact: Contact) -> dict[str, object]:
        if order is None:
            return remote.delete_json(contact.url, path, (("why", why),), contact.token)
        return remote.put_json(contact.url, path, order, contact.token)

    with console.progress(f"telling {_listed(contacts)}"):
        outcomes = run_errand(contacts, tell, LATE)
    if as_json:
        _print_bodies(outcomes)
    for outcome in outcomes:
        if outcome.body is None:
            if not as_json:
                console.note(outcome.error)
            continue
        if not as_json:
            console.say(*compose_result(outcome.url, name, outcome.body))
        for warning in find_warnings(outcome.body):
            console.warn(f"{outcome.url}: {warning}")
    # A server without the override is as it was ordered; that none had it was hardly meant.
    bodies = [each.body for each in outcomes]
    nobody = all(body is not None and not body.get("cleared") for body in bodies)
    raise typer.Exit(1 if order is None and nobody else exit_status(outcomes))


def _find(
    server: Sequence[str] | None,
    token_file: str | None,
    config: str | None,
    *,
    changing: bool = False,
    here: bool = False,
) -> tuple[Contact, ...]:
    """Whom to talk to; a usage error for what is no URL."""
    if here and server:
        raise typer.BadParameter("--here is the server of the configuration, --server others")
    from gslb import console
    from gslb.access import find_contacts

    try:
        return find_contacts(
            server or (), token_file, config, changing=changing, here=here, tell=console.note
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _ask(path: str, contacts: Sequence[Contact], quietly: bool = False) -> tuple[Outcome, ...]:
    from gslb import console, remote
    from gslb.errand import run_errand

    def ask(contact: Contact) -> dict[str, object]:
        return remote.fetch_json(contact.url, path, (), contact.token)

    with nullcontext() if quietly else console.progress(f"asking {_listed(contacts)}"):
        return run_errand(contacts, ask)


def _print_bodies(outcomes: Sequence[Outcome]) -> None:
    """For `--json`: the body, or of several servers each one's by its URL."""
    from gslb import console

    if len(outcomes) > 1:
        console.print_json({outcome.url: outcome.shown() for outcome in outcomes})
        return
    (outcome,) = outcomes
    if outcome.body is None:
        console.note(outcome.error)
    else:
        console.print_json(outcome.body)


def _take_turns(outcomes: Sequence[Outcome]) -> Iterator[dict[str, object]]:
    """The bodies, for printing: under the URL of each if there are several; failures are told."""
    from gslb import console

    for number, outcome in enumerate(outcomes):
        if outcome.body is None:
            console.note(outcome.error)
            continue
        if len(outcomes) > 1:
            console.print_lines([*([()] if number else []), ((outcome.url, "bold"),)])
        yield outcome.body


def _path_of(name: str) -> str:
    """The path of an override: `fra`, `pool/web-fra`; a usage error for anything else."""
    kind, slash, rest = name.partition("/")
    if not slash:
        kind, rest = "object", name  # the server knows what has this name
    if not rest or (slash and kind not in KINDS):
        kinds = ", ".join(f"{kind}/NAME" for kind in KINDS)
        raise typer.BadParameter(f'"{name}" is neither a NAME nor one of {kinds}')
    return f"/v1/overrides/{kind}/{urllib.parse.quote(rest, safe='')}"


def _read_why(text: str) -> str:
    if not text.strip():
        raise typer.BadParameter("--why is empty: say it for whoever sees this later")
    return text


def _read_time(option: str, text: str | None) -> str | None:
    """A duration as it was written, known to be one; a usage error for anything else."""
    if text is None:
        return None
    from gslb.config.scalar import ScalarError, read_span

    try:
        read_span(int(text) if text.isdecimal() else text)
    except ScalarError as error:
        hint = f"; {error.hint}" if error.hint else ""
        raise typer.BadParameter(f"{option}: {error.what}{hint}") from None
    return text


def _listed(contacts: Sequence[Contact]) -> str:
    return ", ".join(contact.url for contact in contacts)
