"""Whether the server of this container answers: `python3 -m gslb.readiness`, the image's check.

Knows: how process 1 was told its configuration, `/readyz`, the shortest DNS query. Refuses to
know: zones and policies; whether they are good is not asked here. Invariant: one line on standard
output; exit status 0 only if the server itself has said so, and 1 in every other case.
"""

from __future__ import annotations

import http.client
import socket
import sys
import urllib.parse
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Final

from gslb.core.setting import Listen, Settings
from gslb.errors import ConfigError, GslbError, UnreachableError
from gslb.place import control_url, find_settings, first_listen
from gslb.remote import failure_text

TIMEOUT_S: Final = 3.0
SERVER: Final = "/proc/1/cmdline"  # by itself, or after an init that was told the same
MAX_BODY: Final = 64 * 1024
_ROOT_SOA: Final = (
    b"GS\0\0\0\1\0\0\0\0\0\0" + b"\0\0\6\0\1"
)  # not ours: refused, which is an answer


def main(server: str = SERVER) -> int:
    """Prints what is the matter; the exit status. `server` holds a command line as /proc does."""
    status, said = 1, ""
    try:
        said = ask(find_settings(named_configuration(_read_arguments(server))))
        status = 0
    except ConfigError as error:
        said = f"not ready: {error.problems[0]}"
    except (GslbError, OSError) as error:
        said = f"not ready: {error}"
    sys.stdout.write(" ".join(said.split()) + "\n")
    return status


def named_configuration(arguments: Sequence[str]) -> str | None:
    """The file that `-c` or `--config` names; the last one counts, as in the command itself."""
    named = None
    for argument, following in zip_longest(arguments, arguments[1:]):
        if argument in ("-c", "--config"):
            named = following
        elif argument.startswith("--config="):
            named = argument.removeprefix("--config=")
        elif argument.startswith("-c"):
            named = argument.removeprefix("-c")
    return named


def ask(settings: Settings) -> str:
    """What a ready server said. Raises UnreachableError."""
    url = control_url(settings)
    return _ask_control(url) if url is not None else _ask_dns(first_listen(settings))


def _ask_control(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        body = response.read(MAX_BODY).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        raise UnreachableError(f"{url}/readyz: {failure_text(error)}") from None
    finally:
        connection.close()
    if response.status != 200:
        raise UnreachableError(f"{url}/readyz: {response.status} {response.reason}")
    if body != "ready\n":
        raise UnreachableError(f"{url}/readyz: 200 OK, but not from gslb")
    return f"ready: {url}/readyz says so"


def _ask_dns(listen: Listen) -> str:
    """With `control.listen: off`: its DNS sockets are open only while it is ready."""
    host, port = listen
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(TIMEOUT_S)
        try:
            sock.connect(listen)
            sock.send(_ROOT_SOA)
            reply = sock.recv(512)
        except OSError as error:
            raise UnreachableError(f"DNS at {host} port {port}: {failure_text(error)}") from None
    if reply[:2] != _ROOT_SOA[:2] or len(reply) < 12 or not reply[2] & 0x80:
        raise UnreachableError(f"DNS at {host} port {port}: this is not an answer")
    return f"ready: {host} port {port} answers DNS queries"


def _read_arguments(path: str) -> list[str]:
    octets = Path(path).read_bytes()
    return octets.decode(errors="surrogateescape").split("\0")


if __name__ == "__main__":
    sys.exit(main())
