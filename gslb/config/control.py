"""The section `control`: where the control address listens, whose tokens it knows, its peers.

Knows: what listening beyond loopback needs (control.md, Who may), how a token is written, that a
peer is another server. Refuses to know: requests, sockets. Invariant: no message shows what stands
as `sha256`: it may be the token itself, by mistake.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address
from typing import Final

from gslb.config.flat import as_mapping, named, read_flat
from gslb.config.model import ControlModel, TokenModel
from gslb.config.report import Report, quote
from gslb.config.tree import Entry, Mapping, Scalar, Sequence
from gslb.config.url import split_peer
from gslb.core.setting import Listen, Token, is_loopback

LATER_KEYS: Final = frozenset(("tls",))
_TOKENS: Final = "control.tokens"
_NONE: Final[frozenset[str]] = frozenset()
_FORM: Final = "NAME: { role: read, sha256: … }"


def read_control(table: Mapping, report: Report) -> tuple[ControlModel, tuple[Token, ...]]:
    """The section's flat keys and its tokens; defaults and no tokens where they are broken."""
    tokens = _read_tokens(table, report)
    beside = ("tokens",)
    model = read_flat(ControlModel, table.without(*beside), "control", report, LATER_KEYS, beside)
    if model is not None:
        _look_at_listen(model, table, report)
        _look_at_peers(model, table, report)
    return model or ControlModel(), tokens


def look_at_reporters(root: Mapping, known: Collection[str], report: Report) -> None:
    """Complain of what a token may report and what is no name of a pool or a check."""
    control = root.get("control")
    tokens = control.get("tokens") if isinstance(control, Mapping) else None
    for entry in tokens.entries.values() if isinstance(tokens, Mapping) else ():
        only = entry.value.get("only") if isinstance(entry.value, Mapping) else None
        for item in only.items if isinstance(only, Sequence) else (only,):
            name = item.value if isinstance(item, Scalar) else None
            if item is not None and isinstance(name, str) and name not in known:
                report.unknown(item.where, _subject(entry), "pool or check", name, known)


def _look_at_listen(model: ControlModel, table: Mapping, report: Report) -> None:
    """Who reads from another machine shows a token, and nobody on the way may read that."""
    listen = table.get("listen")
    if model.listen is None or listen is None or is_loopback(model.listen[0]):
        return
    no_tokens = "tokens" not in table.entries
    no_tls = not model.insecure and "tls" not in table.entries
    match no_tokens, no_tls:
        case True, True:
            lacks = "has neither tokens nor TLS"
            hint = "add `tokens:`, and `insecure: true` to do without TLS"
        case True, False:
            lacks, hint = "has no tokens", "add `tokens:`, or listen on 127.0.0.1"
        case False, True:
            lacks = "has no TLS"
            hint = "write `insecure: true` if nobody on the way to it can listen in"
        case _:
            return
    what = f"listen: {model.listen[0]} is beyond loopback and {lacks}"
    report.error(listen.where, "control", what, hint)


def _look_at_peers(model: ControlModel, table: Mapping, report: Report) -> None:
    """A command would go twice to a server that stands twice, or that is this one."""
    written = table.get("peers")
    for index, peer in enumerate(model.peers):
        where = written.items[index].where if isinstance(written, Sequence) else None
        where = where or table.place("peers")
        if peer in model.peers[:index]:
            report.error(where, "control", f"peers: {peer} stands twice", "take one away")
        elif model.listen is not None and _is_at(split_peer(peer), model.listen):
            what = f"peers: {peer} is this server itself"
            report.warn(where, "control", what, "name the others only")


def _is_at(peer: tuple[str, int], listen: Listen) -> bool:
    """Whether a peer is where this server listens, as far as one can tell from here."""
    host, port = peer
    if port != listen[1]:
        return False
    address = ip_address(listen[0])
    try:
        wanted = ip_address(host)
    except ValueError:
        return host == "localhost" and (address.is_unspecified or address.is_loopback)
    return wanted == address or (address.is_unspecified and wanted.is_loopback)


def _read_tokens(control: Mapping, report: Report) -> tuple[Token, ...]:
    entry = control.entries.get("tokens")
    if entry is None:
        return ()
    table = as_mapping(entry.value, _TOKENS, report)
    if table is None:
        return ()
    if not table.entries:
        report.error(table.where, _TOKENS, "is empty", f"write {_FORM}, or leave the key out")
    section = Mapping(control.where, {_TOKENS: Entry(entry.where, _TOKENS, table)})
    read = (_read_token(each, report) for each in named(section, _TOKENS, "token", report))
    tokens = [token for token in read if token is not None]
    _look_for_twins(tokens, table, report)
    return tuple(tokens)


def _read_token(entry: Entry, report: Report) -> Token | None:
    subject = _subject(entry)
    table = as_mapping(entry.value, subject, report)
    if table is None or (model := read_flat(TokenModel, table, subject, report, _NONE)) is None:
        return None
    if model.role == "report" and not model.only:
        hint = "name the pools and checks that it may report"
        report.error(table.where, subject, 'role report without "only"', hint)
    elif model.role != "report" and "only" in table.entries:
        what = f"only: a token with role {model.role} reports nothing"
        report.error(table.place("only"), subject, what, "take it away, or write role: report")
    return Token(entry.key, model.role, model.sha256, model.only)


def _look_for_twins(tokens: list[Token], table: Mapping, report: Report) -> None:
    """A token that two names have would be whose?"""
    owners: dict[bytes, str] = {}
    for token in tokens:
        owner = owners.setdefault(token.sha256, token.name)
        if owner != token.name:
            entry = table.entries[token.name]
            written = entry.value
            where = written.place("sha256") if isinstance(written, Mapping) else entry.where
            what = f"sha256: token {quote(owner)} has the same"
            report.error(where, _subject(entry), what, "make a token for each")


def _subject(entry: Entry) -> str:
    return f"token {quote(entry.key)}"
