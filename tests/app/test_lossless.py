"""Reloads as clients see them: nothing lost, nothing mixed, nothing forgotten."""

from __future__ import annotations

import re
import signal
import socket
import threading
from contextlib import suppress
from pathlib import Path

import dns.message
import dns.query
import dns.rdatatype

from running import CONFIG, ZONE, Client, Running, wait_for

# Two generations: no reply may hold something of both.
ZONES = [
    ZONE.replace("2026112001", f"202611200{number}")
    + f"mail MX {number}0 mx\nmx A 192.0.2.{number}\npair A 192.0.2.{number}1\n"
    f"pair A 192.0.2.{number}2\nalias CNAME target{number}\ntarget{number} A 192.0.2.{number}\n"
    for number in (1, 2)
]
RELOADS = 6


def reload_repeatedly(running: Running, zones: list[str] = ZONES, count: int = RELOADS) -> None:
    """One generation after the other, each of them in use before the next."""
    for number in range(count):
        done = len(running.events("reload"))
        running.write(zone=zones[number % len(zones)])
        running.signal(signal.SIGHUP)
        running.wait_events("reload", done + 1)


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


def test_reloads_lose_no_query_and_keep_the_sockets_and_a_tcp_connection(running: Running) -> None:
    running.write(zone=ZONES[0])
    running.start()
    before = sockets_of(running)
    assert len(before) == 4
    asked = 0
    done = threading.Event()
    failures: list[BaseException] = []
    query = dns.message.make_query("txt.gslb.example.com.", "TXT")

    def ask_by_tcp() -> None:
        nonlocal asked
        try:
            with socket.create_connection(("127.0.0.1", running.dns), timeout=10) as connection:
                while not done.is_set():
                    dns.query.send_tcp(connection, query)
                    reply, _ = dns.query.receive_tcp(connection)
                    assert reply.answer
                    asked += 1
        except BaseException as error:
            failures.append(error)

    by_tcp = threading.Thread(target=ask_by_tcp)
    with Client(running.dns) as client:
        by_tcp.start()
        reload_repeatedly(running)
        done.set()
        by_tcp.join()
    assert failures == []
    assert asked > 100
    assert client.lost == 0
    assert client.asked > 1000
    assert sockets_of(running) == before


def test_no_reply_is_of_two_generations(running: Running) -> None:
    running.write(zone=ZONES[0])
    running.start()
    kinds = (("mail", "MX"), ("pair", "A"), ("alias", "A"))
    clients = [Client(running.dns, name, rrtype, 400) for name, rrtype in kinds]
    with clients[0], clients[1], clients[2]:
        reload_repeatedly(running)
    for client in clients:
        assert client.lost == 0
        seen = [generations(reply) for reply in client.messages()]
        assert {"1"} in seen
        assert {"2"} in seen
        assert all(len(of_one_reply) == 1 for of_one_reply in seen)


def metric(page: str, name: str) -> float:
    """One sample of /metrics, 0 if it is not there."""
    found = re.search(rf"^gslb_{re.escape(name)} (\S+)$", page, re.MULTILINE)
    return float(found[1]) if found else 0.0


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
        wait_for(lambda: metric(running.get("/metrics")[1], 'rrl_total{action="dropped"}') > 100)
        asked = 'queries_total{family="4",transport="udp"}'
        before = metric(running.get("/metrics")[1], asked)
        running.write(config, ZONE.replace("2026112001", "2026112002"))
        running.signal(signal.SIGHUP)
        running.wait_events("reload", 1)
        answered = client.replies.total()
        sent = client.asked
        wait_for(lambda: client.asked > sent + 300)
        # A table that had been emptied would have let a second's worth through at once.
        assert client.replies.total() - answered <= 4
    page = running.get("/metrics")[1]
    assert metric(page, asked) > before
    assert metric(page, 'endpoint_up{endpoint="127.10.1.1",pool="web-fra"}') == 0


def test_a_zone_that_changed_under_the_same_serial_is_named(running: Running) -> None:
    running.start()
    running.write(zone=ZONE.replace('"hello"', '"changed"'))
    running.signal(signal.SIGHUP)
    running.wait_events("reload", 1)
    (line,) = running.events("problem")
    assert "zone gslb.example.com.: its content changed, but its serial is still 2026112001" in line
    assert "raise it, to 2026112002 or more" in line
    assert running.ask("txt", "TXT").answer[0][0].strings == (b"changed",)
    running.signal(signal.SIGHUP)
    running.wait_events("reload", 2)
    assert len(running.events("problem")) == 1  # it has not changed since
