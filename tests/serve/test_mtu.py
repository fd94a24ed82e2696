"""Replies larger than the way out, in a network namespace whose loopback has a small MTU."""

import shutil
import subprocess
import sys

import pytest

# Asks a server in this process over the loopback; prints the size of the reply, whether TC is
# set, how many octets follow the header, and what was counted.
SCRIPT = """
import asyncio, socket, struct, subprocess, sys
from gslb.core.setting import TcpLimits
from gslb.serve.listen import Listeners

bound, asked, mtu = sys.argv[1], sys.argv[2], sys.argv[3]
subprocess.run(["ip", "link", "set", "lo", "mtu", mtu, "up"], check=True)
QUESTION = b"\\3big\\0\\0\\x10\\0\\1"
QUERY = struct.pack("!HHHHHH", 7, 0, 1, 0, 0, 0) + QUESTION
RECORD = b"\\xc0\\x0c\\0\\x10\\0\\1\\0\\0\\0\\0\\0\\xc9\\xc8" + b"x" * 200
OPT = b"\\0\\0\\x29\\x04\\xd0\\0\\0\\0\\0\\0\\0"

class Big:
    def answer(self, packet, peer, transport):
        head = struct.pack("!HHHHHH", 7, 0x8400, 1, 6, 0, 1)
        return head + QUESTION + RECORD * 6 + OPT

async def main():
    listeners = Listeners([(bound, 5300)])
    listeners.start(Big(), TcpLimits())
    family = socket.AF_INET6 if ":" in asked else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect((asked, 5300))
        sock.send(QUERY)
        async with asyncio.timeout(20):
            reply = await asyncio.get_running_loop().sock_recv(sock, 65535)
    whole = reply[12:] == QUESTION + RECORD * 6 + OPT
    short = reply[12:] == QUESTION + OPT
    print(bool(reply[2] & 2), whole, short, listeners.stats())
    await listeners.stop()

asyncio.run(main())
"""


def ask(bound: str, asked: str, mtu: int) -> str:
    """In a namespace of its own: truncated, whole, question and OPT only, counts."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-n", "true"], check=False).returncode:
        pytest.skip("a network namespace needs root")
    command = [unshare, "-n", sys.executable, "-c", SCRIPT, bound, asked, str(mtu)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize("bound", ["::1", "::"])
def test_over_ipv6_a_reply_above_the_mtu_is_sent_truncated_and_no_fragment(bound):
    counts = "{('truncated',): 1, ('tcp_connections',): 0}"
    assert ask(bound, "::1", 1280) == f"True False True {counts}"


@pytest.mark.parametrize("bound", ["::1", "::"])
def test_over_ipv6_a_reply_within_the_mtu_is_sent_whole(bound):
    assert ask(bound, "::1", 1500) == "False True False {('tcp_connections',): 0}"


@pytest.mark.parametrize("bound", ["127.0.0.1", "0.0.0.0"])
def test_over_ipv4_the_interface_alone_decides_and_nothing_is_lost(bound):
    assert ask(bound, "127.0.0.1", 600) == "False True False {('tcp_connections',): 0}"
