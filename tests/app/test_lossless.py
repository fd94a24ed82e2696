"""Reloads as clients see them: nothing lost, nothing mixed, nothing forgotten."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import dns.message
import dns.query
import dns.rdatatype
import pytest

from running import CONFIG, ZONE, Client, Running, wait_for

# Two generations: no reply may hold something of both.
ZONES = [
    ZONE.replace("2026112001", f"202611200{number}")
    + f"mail MX {number}0 mx\nmx A 192.0.2.{number}\npair A 192.0.2.{number}1\n"
    f"pair A 192.0.2.{number}2\nalias CNAME target{number}\ntarget{number} A 192.0.2.{number}\n"
    for number in (1, 2)
]
RELOADS = 6


KINDS = (("www", "A"), ("mail", "MX"), ("pair", "A"), ("alias", "A"))


def sockets_of(running: Running) -> set[str]:
    """The sockets (by inode) that are bound to the DNS port."""
    folder = Path(f"/proc/{running.pid}")
    bound = set()
    for table in ("udp", "udp6", "tcp", "tcp6"):
        for line in (folder / "net" / table).read_text().splitlines()[1:]:
            field = line.split()
            listens = not table.startswith("tcp") or field[3] == "0A"
            if listens and int(field[1].rpartition(":")[2], 16) == running.dns:
                bound.add(f"socket:[{field[9]}]")
    held = set()
    for link in (folder / "fd").iterdir():
        with suppress(OSError):
            held.add(str(link.readlink()))
    return bound & held


def generations(reply: dns.message.Message) -> set[str]:
    """Which generations a reply holds something of, by the first digit that tells."""
    texts = [
        str(rdata).removesuffix("0 mx.gslb.example.com.").removeprefix("192.0.2.")
        for rrset in (*reply.answer, *reply.additional)
        if rrset.rdtype in (dns.rdatatype.MX, dns.rdatatype.A)
        for rdata in rrset
    ]
    texts += [str(rrset.name)[6] for rrset in reply.answer if str(rrset.name).startswith("target")]
    return {text[0] for text in texts}


class Connection:
    """Asks over one TCP connection from the beginning of a block to its end."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.asked = 0
        self.failures: list[BaseException] = []

    def __enter__(self) -> Connection:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        query = dns.message.make_query("txt.gslb.example.com.", "TXT")
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=10) as connection:
                while not self._done.wait(0.005):  # what is reloaded shares these cores
                    dns.query.send_tcp(connection, query)
                    reply, _ = dns.query.receive_tcp(connection)
                    assert reply.answer
                    self.asked += 1
        except BaseException as error:
            self.failures.append(error)


@dataclass
class Seen:
    """What clients saw of many reloads, and the sockets before and after."""

    clients: list[Client]
    connection: Connection
    sockets: tuple[set[str], set[str]]


@pytest.fixture(scope="module")
def seen(lasting: Running) -> Seen:
    """One generation after the other, each of them in use before the next."""
    lasting.write(zone=ZONES[0])
    lasting.reload()
    before = sockets_of(lasting)
    clients = [Client(lasting.dns, name, rrtype, 400) for name, rrtype in KINDS]
    with ExitStack() as stack:
        for client in clients:
            stack.enter_context(client)
        connection = stack.enter_context(Connection(lasting.dns))
        for number in range(1, RELOADS + 1):
            lasting.write(zone=ZONES[number % 2])
            lasting.reload()
    return Seen(clients, connection, (before, sockets_of(lasting)))


def test_reloads_lose_no_query_and_keep_the_sockets_and_a_tcp_connection(seen: Seen) -> None:
    for client in seen.clients:
        assert client.lost == 0
        assert client.asked > 400
    assert seen.connection.failures == []
    assert seen.connection.asked > 100
    before, after = seen.sockets
    assert len(before) == 4
    assert after == before


def test_no_reply_is_of_two_generations(seen: Seen) -> None:
    for client in seen.clients[1:]:  # those of www are the same in both
        found = [generations(reply) for reply in client.messages()]
        assert {"1"} in found
        assert {"2"} in found
        assert all(len(of_one_reply) == 1 for of_one_reply in found)


def test_a_reload_resets_neither_counters_nor_verdicts_nor_what_is_limited(
    running: Running,
) -> None:
    limit = "rate_limit: {{ per_second: 5, slip: 0 }}"
    config = CONFIG.replace("rate_limit: off", limit).replace("rise: 1", "rise: 1000")
    running.write(config)
    running.start()
    running.close("127.10.1.1")
    running.wait_log("to=down")
    running.open("127.10.1.1")  # good again, but for a long time not good enough
    client = Client(running.dns, "txt", "TXT")
    client.PATIENCE_S = 0  # nearly all of them get no reply
    with client:
        wait_for(lambda: running.metric('rrl_total{action="dropped"}') > 100)
        asked = 'queries_total{family="4",transport="udp"}'
        before = running.metric(asked)
        running.write(config, ZONE.replace("2026112001", "2026112002"))
        running.reload()
        answered = client.replies.total()
        sent = client.asked
        wait_for(lambda: client.asked > sent + 300)
        # A table that had been emptied would have let a second's worth through at once.
        assert client.replies.total() - answered <= 4
    assert running.metric(asked) > before
    assert running.metric('endpoint_up{endpoint="127.10.1.1",pool="web-fra"}') == 0


def test_a_zone_that_changed_under_the_same_serial_is_named(shared: Running) -> None:
    shared.write(zone=ZONE.replace('"hello"', '"changed"'))
    shared.reload()
    (line,) = shared.events("problem")
    assert "zone gslb.example.com.: its content changed, but its serial is still 2026112001" in line
    assert "raise it, to 2026112002 or more" in line
    assert shared.ask("txt", "TXT").answer[0][0].strings == (b"changed",)
    shared.reload()
    assert len(shared.events("problem")) == 1  # it has not changed since
