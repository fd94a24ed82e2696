"""Where something listens or is asked, as it stands on a command line.

Knows: `127.0.0.1:80`, `[::1]:80`. Refuses to know: names, so that nothing is looked up.
Invariant: a text that is not an address and a port is an error that says what would be.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

_PAIR: Final = re.compile(r"(?:([0-9.]+)|\[([0-9A-Fa-f:.]+)\]):([0-9]{1,5})")


def parse_address(text: str, default_port: int | None = None) -> tuple[str, int]:
    """(host, port) of `127.0.0.1:80` or `[::1]:80`; without a port if there is a default.

    Raises ValueError.
    """
    pair = _PAIR.fullmatch(text)
    try:
        if pair is None and default_port is not None:
            return str(ip_address(text)), default_port
        if pair is not None and int(pair[3]) < 65536:
            host = IPv4Address(pair[1]) if pair[1] else IPv6Address(pair[2])
            return str(host), int(pair[3])
    except ValueError:
        pass  # said below, with what would be right
    like = "say 127.0.0.1:8080 or [::1]:8080"
    if default_port is not None:
        like += f"; without a port it is {default_port}"
    raise ValueError(f'"{text}" is not an address and a port; {like}')
