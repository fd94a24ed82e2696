"""Whose token a request carries (control.md, Who may).

Knows: how a token stands in a request (RFC 6750 section 2.1), and how it is compared. Refuses to
know: what a token permits where. Invariant: a token is read from the header only, never from a
URL; comparing takes as long for every text of a length, whichever token it resembles.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

from gslb.core.setting import Token

CHALLENGE: Final = 'Bearer realm="gslb"'  # RFC 6750 section 3
WRONG: Final = f'{CHALLENGE}, error="invalid_token"'
TOO_LITTLE: Final = f'{CHALLENGE}, error="insufficient_scope"'


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
