"""Reloads with everything on. What else section 9 of the design asks is in tests/app."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from conversation import Server, framed, judge, opt, option, query, receive, subnet
from running import Running
from strict import NOERROR, Message

COOKIE = 10
SERIAL = 2026010101
RELOADS = 1


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory, another) -> Iterator[Running]:
    with another(tmp_path_factory.mktemp("reload")) as running:
        yield running


@pytest.fixture
def running(lasting: Running) -> Iterator[Running]:
    """The server of the module; its files, and what it serves, are put back."""
    path = zone_of(lasting)
    text = path.read_text()
    yield lasting
    if path.read_text() != text:
        path.write_text(text)
        lasting.reload()


def zone_of(running: Running) -> Path:
    return running.folder / "zones" / "example.test.zone"


def change(running: Running, number: int) -> None:
    """The next generation of the zone: another serial and other hosts of one name."""
    path = zone_of(running)
    text = path.read_text()
    text = text.replace(f" {SERIAL + number - 1} ", f" {SERIAL + number} ")
    for host in (1, 2, 3):
        text = text.replace(
            f"multi              A 192.0.{1 + number}.{host}",
            f"multi              A 192.0.{2 + number}.{host}",
        )
    path.write_text(text)


def cookie_of(reply: Message) -> bytes:
    assert reply.opt is not None
    cookie = reply.opt.option(COOKIE)
    assert cookie is not None
    return cookie


def test_reload_01_no_query_is_lost_and_no_reply_is_of_two_generations(running: Running) -> None:
    server = Server(running.dns)
    cookie = cookie_of(server.ask("www", "A", opt(option(COOKIE, bytes(8)))))
    steered = server.ask("geo", "A", opt(subnet("1.2.3.0/24")))
    asked, known = 0, len(running.events("reload"))
    for number in range(1, RELOADS + 1):
        change(running, number)
        running.signal(signal.SIGHUP)
        while len(running.events("reload")) < known + number:
            hosts = [record.data for record in server.ask("multi").answer]  # each one answered
            assert len(hosts) == 3
            assert {host[2] for host in hosts} in ({1 + number}, {2 + number})
            reply = server.ask("geo", "A", opt(subnet("1.2.3.0/24")))
            assert reply.octets[2:] == steered.octets[2:]
            asked += 2
        soa = server.ask("@", "SOA").answer[0].data
        assert int.from_bytes(soa[-20:-16], "big") == SERIAL + number
    assert asked > RELOADS
    # A cookie of before is as good as it was: the secret is the same.
    assert cookie_of(server.ask("www", "A", opt(option(COOKIE, cookie)))) == cookie


def test_reload_02_an_open_connection_goes_on(running: Running) -> None:
    with Server(running.dns).connect() as sock:
        for number in range(2):
            packet = query("www", "A", number=number)
            sock.sendall(framed(packet))
            assert judge(packet, receive(sock), "tcp").rcode == NOERROR
            if not number:
                change(running, 1)
                running.reload()


def test_reload_a_broken_zone_replaces_nothing(running: Running) -> None:
    server = Server(running.dns)
    path = zone_of(running)
    path.write_text(path.read_text() + "www CNAME alias\n")
    running.reload("reload_failed")
    assert "example.test.zone:" in running.log
    assert [record.type for record in server.ask("www").answer] == [1]
