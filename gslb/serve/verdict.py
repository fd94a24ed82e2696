"""What is to be said to a query, before anything of EDNS and of limits.

Knows: records that are ready, an rcode, which account pays for it, what people may be told.
Refuses to know: how it came about. Invariant: a value; the engine makes the reply of it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from gslb.serve.entry import ERROR
from gslb.serve.ready import Packed, pack
from gslb.wire.edns import compose_error
from gslb.wire.reply import EMPTY

# RFC 8914 section 4, and IANA's "Extended DNS Error Codes".
PROHIBITED: Final = compose_error(18, "no zone transfers")
NOT_AUTHORITATIVE: Final = compose_error(20)
NOT_IN: Final = compose_error(20, "class IN only")
NOT_SUPPORTED: Final = compose_error(21)


class Verdict(NamedTuple):
    """What is to be said, before anything of EDNS.

    `scope` None: the client's subnet was not used (SCOPE 0). `kind` is for rate limiting,
    `error` an option for people.
    """

    packed: Packed
    rcode: int
    kind: int = ERROR
    scope: int | None = None
    error: bytes = b""


def plain(rcode: int, error: bytes = b"") -> Verdict:
    """A reply without records."""
    return Verdict(pack(EMPTY, rcode, False, ()), rcode, error=error)
