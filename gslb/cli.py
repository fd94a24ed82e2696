"""The command line: parses arguments, calls one function, sets the exit status (cli.md).

Knows: commands, options, exit statuses: 0 as asked, 1 what was asked about is wrong, 2 usage,
3 a server gives no answer. Refuses to know: how anything is done or printed. Invariant: importing
this module brings in typer and the standard library only, everything else is imported by the
command that needs it; whatever happens, the user sees a line and a status, never a traceback.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Literal

import typer

from gslb import operate
from gslb.errors import ConfigError, GslbError, Problem, UnreachableError
from gslb.option import ConfigOption, JsonOption
from gslb.place import CONFIGURATIONS, control_url, find_configuration, first_listen, read_settings

ANSWERS = {"NOERROR", "NXDOMAIN"}  # the other rcodes are refusals and failures: status 1

app = typer.Typer(
    name="gslb",
    epilog="Example: gslb lab",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help and plain errors: they are read in pipes and logs, too
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # a terminal may not know a character: never fail because of it
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Runs one command; the exit status. Every error becomes lines on standard error."""
    try:
        try:
            app(arguments, prog_name="gslb")
        except SystemExit as ended:
            if sys.stdout is not None:
                sys.stdout.flush()  # here, so that a full disk or a closed pipe is seen
            return ended.code if isinstance(ended.code, int) else 0
    except ConfigError as error:
        _complain("\n".join(str(problem) for problem in error.problems))
    except UnreachableError as error:
        _complain(f"gslb: {error}")
        return 3
    except GslbError as error:
        _complain(f"gslb: {error}")
    except BrokenPipeError:
        _discard_output()  # the reader has left
    except OSError as error:
        if error.filename is None:
            _discard_output()
        _complain(f"gslb: {error.filename or 'output'}: {error.strerror or error}")
    except Exception as error:
        if os.environ.get("GSLB_TRACEBACK"):
            raise
        what = f"{type(error).__name__}: {error}"
        _complain(f"gslb: this is a defect of gslb; GSLB_TRACEBACK=1 shows where: {what}")
    return 1


def _discard_output() -> None:
    """What is still buffered must not be written when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"gslb {version('gslb')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """An authoritative DNS server that sends every client to a near and healthy data center."""


@app.command()
def serve(
    config: ConfigOption = None,
    engine: Annotated[
        Literal["auto", "python", "native"] | None,
        typer.Option(help="The engine that answers, instead of server.engine."),
    ] = None,
    log: Annotated[Literal["text", "json"], typer.Option(help="How log lines look.")] = "text",
    strict: Annotated[
        bool, typer.Option("--strict", help="Errors refuse the start, whatever was served before.")
    ] = False,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Take over from the running server of server.state."),
    ] = False,
) -> None:
    """Serve DNS in the foreground.

    Prints one line when ready. SIGHUP reloads; SIGTERM or Ctrl-C stops.
    With errors in the configuration, the last good one is served (unless --strict).

    \b
    Examples:
      gslb serve -c gslb.yaml
      gslb serve -c gslb.yaml --replace
    """
    from gslb.app.serve import serve as serve_until_stopped

    path = find_configuration(config)
    raise typer.Exit(serve_until_stopped(path, engine, log, strict, replace))


@app.command()
def check(
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="The same as -c FILE.", show_default=False),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check the configuration, the zones and their tests, all at once.

    Exit status 0: it loads; 1: it has errors.

    \b
    Example: gslb check gslb.yaml
    """
    if file and config and file != config:
        raise typer.BadParameter("FILE and -c FILE name two configurations")
    from gslb import console

    problems: tuple[Problem, ...]
    path = file or config or CONFIGURATIONS[0]
    try:
        path = find_configuration(file or config)
        from gslb.app.load import load

        with console.progress(f"checking {path}") as tell:
            problems = load(path, progress=tell).warnings
    except ConfigError as error:
        problems = error.problems
    if as_json:
        console.print_json([console.problem_body(problem) for problem in problems])
    else:
        console.print_problems(path, problems)
    loads = all(problem.severity == "warning" for problem in problems)
    raise typer.Exit(0 if loads else 1)


@app.command()
def explain(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    rrtype: Annotated[str, typer.Argument(metavar="TYPE")] = "A",
    client: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="ADDRESS-OR-NETWORK", help="Who asks [default: this machine]."
        ),
    ] = None,
    down: Annotated[
        list[str] | None,
        typer.Option("--down", metavar="OBJECT", help="As if its probes failed; repeatable."),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="From the files, with everything up.")
    ] = False,
    server: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The server to ask [default: control.listen]."),
    ] = None,
    token_file: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The token for a server on another machine."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Explain an answer: every step that leads to it.

    Asks the running server; without one, the files, as if everything were up.

    \b
    Examples:
      gslb explain www.gslb.example.com --from 81.2.69.160
      gslb explain www.gslb.example.com AAAA --from 81.2.69.0/24 --down fra --offline
    """
    if offline and (server or token_file):
        raise typer.BadParameter("--offline asks no server, --server and --token-file do")
    from gslb import console, remote

    body, failing = None, tuple(down or ())
    if not offline:
        query = remote.compose_query(name, rrtype, client, failing)
        body = _explain_live(query, server, token_file, config)
    if body is None:
        path = find_configuration(config)
        from gslb.app.offline import explain_offline

        rest = "everything else up" if failing else "everything up"
        console.note(f"explained from {path}, with {rest}")
        try:
            with console.progress(f"loading {path}"):
                body = explain_offline(path, name, rrtype, client, failing).body()
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    if as_json:
        console.print_json(body)
    else:
        console.print_explanation(body)


def _explain_live(
    query: Sequence[tuple[str, str]], server: str | None, token_file: str | None, config: str | None
) -> dict[str, object] | None:
    """What the running server says; None (and a note) if there is none and none was named."""
    from gslb import console, remote

    try:
        url = remote.parse_url(server) if server else control_url(read_settings(config))
        if url is None:
            console.note("control.listen is off")
            return None
        token = remote.read_token(token_file) if token_file else None
        with console.progress(f"asking {url}"):
            return remote.fetch_explanation(url, token, query)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    except remote.RefusedError as error:
        if error.status == 400:
            raise typer.BadParameter(str(error)) from None
        raise
    except UnreachableError as error:
        if server:
            raise
        console.note(f"no server there: {error}")
        return None


@app.command()
def ask(
    name: Annotated[str, typer.Argument(metavar="NAME", show_default=False)],
    rest: Annotated[
        list[str] | None,
        typer.Argument(metavar="TYPE|@SERVER[:PORT]", help="In any order.", show_default=False),
    ] = None,
    subnet: Annotated[
        str | None,
        typer.Option("--from", "--subnet", metavar="NET", help="The client subnet to send."),
    ] = None,
    tcp: Annotated[bool, typer.Option("--tcp", help="Ask by TCP.")] = False,
    repeat: Annotated[
        int, typer.Option(metavar="N", min=1, help="Ask N times and count the answers.")
    ] = 1,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a DNS query as a client does.

    The server is the first server.listen of the configuration, unless one is named.

    \b
    Examples:
      gslb ask www.gslb.example.com --from 81.2.69.0/24
      gslb ask www.gslb.example.com AAAA @[::1]:5300 --tcp
      gslb ask api.gslb.example.com --repeat 1000
    """
    from gslb import console
    from gslb.ask import parse_question, parse_server, repeat_query, send_query, server_text

    words = [name, *(rest or ())]
    servers = [word[1:] for word in words if word.startswith("@")]
    names = [word for word in words if not word.startswith("@")]
    if not 1 <= len(names) <= 2 or len(servers) > 1:
        raise typer.BadParameter("ask for one NAME, at most one TYPE and one @SERVER")
    try:
        listen = parse_server(servers[0]) if servers else first_listen(read_settings(config))
        question = parse_question(names[0], "".join(names[1:]) or "A", listen, subnet, tcp)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    doing = f"asking {server_text(question.server)}"
    if repeat > 1:
        with console.progress(doing) as tell:
            tally = repeat_query(question, repeat, tell)
        console.print_json(tally.body()) if as_json else console.print_tally(tally)
        raise typer.Exit(0 if tally.rcodes.keys() <= ANSWERS else 1)
    with console.progress(doing):
        reply = send_query(question)
    console.print_json(reply.body()) if as_json else console.print_reply(reply)
    raise typer.Exit(0 if reply.rcode in ANSWERS else 1)


for command in (operate.health, operate.drain, operate.override, operate.overrides):
    app.command()(command)


@app.command()
def schema() -> None:
    """Print the JSON Schema of gslb.yaml, for editors.

    \b
    Example: gslb schema > gslb.schema.json
    """
    from gslb import console
    from gslb.config.schema import schema as compose_schema

    console.print_json(compose_schema(), indent=2)


@app.command()
def geo(
    addresses: Annotated[list[str], typer.Argument(metavar="ADDRESS", show_default=False)],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print what the databases and overrides say about addresses.

    \b
    Example: gslb geo 81.2.69.160 2001:db8::1
    """
    for address in addresses:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise typer.BadParameter(f'"{address}" is not an IP address') from None
    path = find_configuration(config)
    from gslb import console
    from gslb.app.offline import locator

    with console.progress(f"loading {path}"):
        locate = locator(path)
        locations = [locate.describe(address) for address in addresses]
    if as_json:
        console.print_json(locations)
        return
    for location in locations:
        console.print_facts(location)


@app.command()
def lab(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The drill.", show_default=False)
    ] = None,
    drill: Annotated[
        bool, typer.Option("--drill", help="Run a drill (default: failover) and exit.")
    ] = False,
    folder: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Where the lab writes its world.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run a world of three regions here, to break and to watch.

    \b
    Examples:
      gslb lab
      gslb lab --drill failover
    Drills: failover, everything-down, flapping, gray, capacity, prober-blind, caching
    """
    if name and not drill:
        raise typer.BadParameter(f"a drill runs with --drill: gslb lab --drill {name}")
    from gslb.lab.drill import UnknownDrillError
    from gslb.lab.run import run_lab

    try:
        status = run_lab(folder, (name or "failover") if drill else None, as_json)
    except UnknownDrillError as error:
        raise typer.BadParameter(str(error)) from None
    raise typer.Exit(status)


def _complain(text: str) -> None:
    if sys.stderr is not None:
        typer.echo(text, err=True)
