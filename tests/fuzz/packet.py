"""Any octets as a packet: the engine, with everything on."""

from __future__ import annotations

from functools import cache
from random import Random

from gslb.core.setting import Cookies, RateLimit, Settings
from gslb.serve.python import PythonEngine

from fuzz.promise import answer, judge
from sample import make_world

LONGEST = 1500
# (address, transport, whether the rate limit holds for it)
ASKERS = (
    ("192.0.2.1", "udp", False),
    ("2001:db8::1", "tcp", False),
    ("203.0.113.1", "udp", True),
)
NOW = 1_800_000_000  # the seeds with a server cookie are of this time
SETTINGS = Settings(
    nsid=b"fuzz",
    cookies=Cookies("", (bytes(range(16)), bytes(16))),
    rate_limit=RateLimit(per_second=5, exempt=("192.0.2.0/24",)),
)


@cache
def _engine() -> PythonEngine:
    return PythonEngine(make_world(settings=SETTINGS), Random(0), wall=lambda: NOW)


def check(data: bytes) -> None:
    """Raises if the reply to a packet breaks a promise."""
    engine = _engine()
    for address, transport, limited in ASKERS:
        reply = answer(engine, data, address, transport)
        judge(data, reply, transport, limited)
