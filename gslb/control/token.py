"""Whose token a request carries, and what that may do (control.md, Who may).

Knows: how a token stands in a request (RFC 6750 section 2.1), how it is compared, what each role
may do. Refuses to know: paths, HTTP messages. Invariant: a token is read from the header only,
never from a URL; comparing takes as long for every text of a length, whichever token it resembles;
without a token nobody changes anything, from wherever.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from typing import Final

from gslb.core.setting import Role, Token

CHALLENGE: Final = 'Bearer realm="gslb"'  # RFC 6750 section 3
WRONG: Final = f'{CHALLENGE}, error="invalid_token"'
TOO_LITTLE: Final = f'{CHALLENGE}, error="insufficient_scope"'

_HOW: Final = 'send "Authorization: Bearer TOKEN"'
NO_TOKEN: Final = f"reading from another machine needs a token of control.tokens: {_HOW}"
NO_TOKEN_TO_CHANGE: Final = (
    "changing anything needs a token of control.tokens, or without those the one in the file "
    f"`token` of server.state: {_HOW}"
)


class Access(Enum):
    """What a request needs: nothing, a reader, who may report, who may operate."""

    OPEN = "open"
    READ = "read"
    REPORT = "report"
    OPERATE = "operate"


_MAY: Final[Mapping[Access, frozenset[Role]]] = {
    Access.READ: frozenset(("read", "operate")),
    Access.REPORT: frozenset(("report", "operate")),
    Access.OPERATE: frozenset(("operate",)),
}
_LACKS: Final[Mapping[Access, str]] = {
    Access.READ: "reads nothing",
    Access.REPORT: "reports nothing",
    Access.OPERATE: "overrides nothing",
}


@dataclass(frozen=True, slots=True)
class Denial:
    """Why a request is refused: HTTP status, challenge, words. `is_wrong`: a token was shown and
    it is none of ours."""

    status: int
    challenge: str
    detail: str
    is_wrong: bool = False


def admit(
    access: Access, tokens: Iterable[Token], credentials: Sequence[str], is_local: bool
) -> Token | Denial | None:
    """The token of who may do this; None for who needs none; or why it is refused.

    `credentials` are the values of the Authorization header. Reading is free for `is_local`.
    """
    if access is Access.OPEN:
        return None
    is_free = access is Access.READ and is_local
    if not credentials:
        what = NO_TOKEN if access is Access.READ else NO_TOKEN_TO_CHANGE
        return None if is_free else Denial(401, CHALLENGE, what)
    token = find_token(tokens, credentials)
    if token is None:
        what = "the Authorization header shows no token of control.tokens"
        return Denial(401, WRONG, what, is_wrong=True)
    if token.role not in _MAY[access] and not is_free:
        what = f'token "{token.name}" has the role {token.role}, which {_LACKS[access]}'
        return Denial(403, TOO_LITTLE, what)
    return token


def may_report(token: Token, name: str) -> bool:
    """Whether a token may report a pool or check of this name."""
    return token.role == "operate" or (token.role == "report" and name in token.only)


def find_token(tokens: Iterable[Token], credentials: Sequence[str]) -> Token | None:
    """The token that the values of the Authorization header show; None if they show none."""
    if len(credentials) != 1:
        return None
    scheme, _, text = credentials[0].partition(" ")
    if scheme.lower() != "bearer":
        return None
    # aiohttp decodes headers so; every octet of the header comes back.
    digest = sha256(text.strip().encode("utf-8", "surrogateescape")).digest()
    found = None
    for token in tokens:  # all of them: when it ends must not tell which one came close
        if hmac.compare_digest(digest, token.sha256):
            found = token
    return found
