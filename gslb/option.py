"""The options that several commands have, spelled once.

Knows: their names, their help. Refuses to know: what a command does with them. Invariant: an
option means the same wherever it stands.
"""

from __future__ import annotations

from typing import Annotated

import typer

ConfigOption = Annotated[
    str | None,
    typer.Option(
        "-c",
        "--config",
        metavar="FILE",
        help="The configuration [default: ./gslb.yaml, then /etc/gslb/gslb.yaml].",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
ServersOption = Annotated[
    list[str] | None,
    typer.Option(
        "--server", metavar="URL", help="A server to ask [default: control.listen]; repeatable."
    ),
]
ToldOption = Annotated[
    list[str] | None,
    typer.Option(
        "--server",
        metavar="URL",
        help="A server to tell [default: control.listen and control.peers]; repeatable.",
    ),
]
HereOption = Annotated[
    bool, typer.Option("--here", help="Tell control.listen only, not control.peers.")
]
TokenOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", help="The token to show [default: `token` in server.state, if it is there]."
    ),
]
ObjectArgument = Annotated[
    str,
    typer.Argument(
        metavar="OBJECT",
        help="datacenter/NAME, pool/NAME, endpoint/NAME, or a NAME that only one of them has.",
        show_default=False,
    ),
]
WhyOption = Annotated[
    str, typer.Option("--why", metavar="TEXT", help="The reason, for whoever sees it later.")
]
ForOption = Annotated[
    str | None,
    typer.Option("--for", metavar="TIME", help="For how long, as 30m or 2h [default: no end]."),
]
