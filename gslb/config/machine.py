"""What checks need of the machine that runs them: programs, certificates, a kernel that allows it.

Knows: how to look without doing. Refuses to know: checks, severity: who looks may be another
machine than who probes. Invariant: every answer is "" or what is wrong, in words; nothing is run,
and nothing but a regular file is opened.
"""

from __future__ import annotations

import os
import shutil
import ssl
from typing import Final

_GROUPS: Final = "/proc/sys/net/ipv4/ping_group_range"
PING_HINT: Final = 'sysctl -w net.ipv4.ping_group_range="0 2147483647"'
# With an empty environment this is where a program without a slash is looked for.
PROGRAM_PATH: Final = os.defpath


def fault_of_ca_file(path: str) -> str:
    """Why this file gives no certificate authority."""
    if not os.path.isfile(path) or not os.access(path, os.R_OK):
        return "cannot be read"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(path)
    except ssl.SSLError:
        return "holds no certificate in PEM"
    except OSError:
        return "cannot be read"
    return "" if context.cert_store_stats()["x509"] else "holds no certificate in PEM"


def fault_of_program(program: str) -> str:
    """Why this cannot be run; a name without a slash is looked for in PROGRAM_PATH."""
    if "/" not in program:
        found = shutil.which(program, path=PROGRAM_PATH)
        return "" if found else f"is not in {PROGRAM_PATH.replace(':', ' or ')}"
    if not os.path.exists(program):
        return "does not exist"
    if not os.path.isfile(program):
        return "is not a file"
    return "" if os.access(program, os.X_OK) else "is not executable"


def fault_of_ping() -> str:
    """Why this process may not send an ICMP echo."""
    try:
        with open(_GROUPS, encoding="ascii") as file:
            low, high = (int(word) for word in file.read().split())
    except (OSError, ValueError):
        return ""  # no Linux that tells: the probe will
    if any(low <= group <= high for group in (os.getegid(), *os.getgroups())):
        return ""
    return "the kernel of this machine allows our groups no ICMP echo"
