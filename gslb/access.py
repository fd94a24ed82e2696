"""Which servers a command talks to, and which token each of them is shown.

Knows: `--server`, `control.listen`, `control.peers`, `--token-file`, the token that a server makes
at its first start (control.md, Who may). Refuses to know: what is asked, HTTP. Invariant: a token
that was found, not given, is shown to the servers of its configuration and to nobody else; a server
is told once, as far as its address says which one it is.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from urllib.parse import urlsplit

from gslb.core.setting import TOKEN_FILE, Settings, is_loopback
from gslb.errors import ConfigError, Problem, UnreachableError, Where
from gslb.place import control_url, find_settings
from gslb.remote import parse_url, read_token


@dataclass(frozen=True, slots=True)
class Contact:
    """A server by its URL; `token` None shows it none, `hint` is for whoever it refuses then."""

    url: str
    token: str | None = field(default=None, repr=False)
    hint: str = "give its file by --token-file"


def find_contacts(
    named: Sequence[str],
    token_file: str | None,
    config: str | None,
    *,
    changing: bool,
    here: bool = False,
    tell: Callable[[str], None] = lambda text: None,
) -> tuple[Contact, ...]:
    """The servers named, or else those of the configuration, each once, in their order.

    What changes something is for `control.peers`, too, unless it is for `here` only. `tell` gets
    a line for what should be known. Raises ValueError for what is no URL, ConfigError,
    UnreachableError if there is nobody to talk to, OSError for the file of a token.
    """
    urls = tuple(dict.fromkeys(parse_url(text) for text in named))
    settings = _find_settings(config, needed=not urls, tell=tell)
    given = read_token(token_file) if token_file else None
    if not urls:
        assert settings is not None, "settings were needed"
        urls = _urls_of(settings, changing and not here, tell)
    if given is not None:
        return tuple(Contact(url, given, f"look into {token_file}") for url in urls)
    found = None if settings is None else _Found(settings, changing)
    return tuple(Contact(url) if found is None else found.contact(url) for url in urls)


def _find_settings(
    config: str | None, *, needed: bool, tell: Callable[[str], None]
) -> Settings | None:
    """None if there is no configuration and none is needed: the servers are named."""
    try:
        return find_settings(config, tell)
    except ConfigError:
        if needed or config is not None:
            raise
        return None


def _urls_of(settings: Settings, with_peers: bool, tell: Callable[[str], None]) -> tuple[str, ...]:
    own = control_url(settings)
    peers = tuple(parse_url(peer) for peer in settings.peers) if with_peers else ()
    peers = tuple(peer for peer in peers if not _is_own(peer, settings))
    if own is None and not peers:
        raise UnreachableError("control.listen is off; name a server with --server")
    if own is None:
        tell("control.listen is off; only control.peers are told")
        return peers
    return tuple(dict.fromkeys((own, *peers)))


def _is_own(peer: str, settings: Settings) -> bool:
    """Whether a peer is this very server: two that read one file are both in it.

    Only by its address. A name would have to be looked up, and this may be the DNS that is down.
    """
    parts = urlsplit(peer)
    try:
        address = ip_address(parts.hostname or "")
    except ValueError:
        return False
    if settings.control is None or parts.scheme != "http":
        return False
    listen, port = ip_address(settings.control[0]), settings.control[1]
    is_any = listen.is_unspecified and listen.version == address.version
    if (parts.port or 80) != port or not (is_any or listen == address):
        return False
    return address.is_loopback or _is_here(address)


def _is_here(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is this machine's: what goes there then comes from it. Sends nothing."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((str(address), 9))
            return ip_address(sock.getsockname()[0]) == address
    except (OSError, ValueError):
        return False


class _Found:
    """The token in `server.state`, looked for only when somebody is to see it."""

    def __init__(self, settings: Settings, changing: bool) -> None:
        self._path = str(Path(settings.state, TOKEN_FILE))
        self._changing = changing
        self._tokens = settings.tokens
        own = control_url(settings)
        peers = (parse_url(peer) for peer in settings.peers)
        self._known = {*peers, *(() if own is None else (own,))}

    def contact(self, url: str) -> Contact:
        """With the token if this server may see it; reading is free on this machine anyway."""
        if url not in self._known or (not self._changing and is_loopback(urlsplit(url).hostname)):
            return Contact(url)
        token = self._read()
        if token is None:
            return Contact(url)
        hint = f"it does not know the one in {self._path}; give its own by --token-file"
        return Contact(url, token, hint)

    def _read(self) -> str | None:
        """None if there is none that could be right. Raises ConfigError if nobody can tell."""
        try:
            token = read_token(self._path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if not self._changing:
                return None
            what = f"cannot be read: {error.strerror or error}"
            hint = "be the user that runs the server, or give --token-file"
            raise ConfigError((Problem(Where(self._path), "", what, hint),)) from None
        digest = sha256(token.encode()).digest()
        if self._tokens and all(each.sha256 != digest for each in self._tokens):
            return None  # from the time before there were control.tokens
        return token
