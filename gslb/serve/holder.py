"""Who holds a port, from /proc (Linux, proc(5)).

Knows: /proc/net's socket tables and the descriptors of processes. Refuses to know: what a
socket is for. Invariant: only ever an explanation or a courtesy: whatever cannot be read is
left out.
"""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Collection, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final

from gslb.serve.engine import Transport

Address = IPv4Address | IPv6Address

_PROC: Final = Path("/proc")
_TCP_LISTEN: Final = "0A"


def find_holder(transport: Transport, host: str, port: int) -> str:
    """Who keeps us from binding: "dnsmasq (pid 812)", "a process of user bind", or ""."""
    wanted = ip_address(host.partition("%")[0])
    found = ""
    for address, uid, inode in _bound(transport, port):
        if not _clash(address, wanted):
            continue
        process = _process_with(f"socket:[{inode}]")
        if process:
            return process
        found = found or f"a process of user {_user(uid)}"
    return found


def count_others(transport: Transport, host: str, port: int, own: Collection[int] = ()) -> int:
    """Sockets bound to just this address and port beside those with the inodes of `own`."""
    wanted = ip_address(host.partition("%")[0])
    # A socket may stand there twice: the kernel's table moves while it is read.
    found = {int(inode) for address, _, inode in _bound(transport, port) if address == wanted}
    return len(found.difference(own))


def _clash(bound: Address, wanted: Address) -> bool:
    """A wildcard has every address of its family; another program's "::" may have IPv4 too."""
    if bound == wanted or bound == IPv6Address("::"):
        return True
    return bound.version == wanted.version and (bound.is_unspecified or wanted.is_unspecified)


def _bound(transport: Transport, port: int) -> Iterator[tuple[Address, int, str]]:
    """(local address, user id, inode) of each socket that is bound to the port."""
    for table in (transport, f"{transport}6"):
        for line in _read(_PROC / "net" / table).splitlines()[1:]:
            field = line.split()
            digits, _, hex_port = field[1].partition(":")
            if int(hex_port, 16) != port or (transport == "tcp" and field[3] != _TCP_LISTEN):
                continue
            yield _address(digits), int(field[7]), field[9]


def _address(digits: str) -> Address:
    """The kernel prints each 32-bit word of an address in the machine's own order."""
    raw = bytes.fromhex(digits)
    if sys.byteorder == "little":
        raw = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    return IPv4Address(raw) if len(raw) == 4 else IPv6Address(raw)


def _process_with(link: str) -> str:
    for process in _PROC.glob("[0-9]*"):
        try:
            held = any(os.readlink(fd) == link for fd in (process / "fd").iterdir())
        except OSError:  # not ours to read, or gone
            continue
        if held:
            return f"{_read(process / 'comm').strip()} (pid {process.name})"
    return ""


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")
    except OSError:
        return ""
