"""The questions are what they claim to be, as dnspython reads them, and the same every time."""

from __future__ import annotations

from ipaddress import ip_address
from itertools import islice
from pathlib import Path

import dns.edns
import dns.message
import dns.name
import dns.zone
import pytest
from bench.question import (
    CLIENT_COOKIE,
    client_subnets,
    garbage,
    parse,
    query,
    server_cookie,
    write,
)
from bench.workload import WORKLOADS, Workload
from bench.world import STATIC_NAMES, STEERED, ZONE, compose_zone, static_name


def test_a_query_carries_the_name_and_the_client_subnet() -> None:
    message = dns.message.from_wire(query(STEERED, subnet=bytes([81, 2, 69])))
    (option,) = message.options
    assert isinstance(option, dns.edns.ECSOption)
    assert message.question[0].to_text() == f"{STEERED}. IN A"
    assert message.payload == 1232
    assert (option.address, option.srclen, option.scopelen) == ("81.2.69.0", 24, 0)


def test_a_query_carries_the_cookie() -> None:
    cookie = CLIENT_COOKIE + bytes(range(16))
    (option,) = dns.message.from_wire(query(STEERED, cookie=cookie)).options
    assert isinstance(option, dns.edns.CookieOption)
    assert (option.client, option.server) == (CLIENT_COOKIE, bytes(range(16)))


def test_the_servers_cookie_is_read_from_its_reply() -> None:
    response = dns.message.make_response(dns.message.from_wire(query(STEERED)))
    assert server_cookie(response.to_wire()) == b""
    response.use_edns(options=[dns.edns.CookieOption(CLIENT_COOKIE, bytes(range(16)))])
    assert server_cookie(response.to_wire()) == bytes(range(16))


def test_the_garbage_is_the_same_each_time_and_none_of_it_a_query_of_the_bench() -> None:
    once, again = (list(islice(garbage(), 300)) for _ in range(2))
    assert once == again
    shape = query(f"{'x' * 12}.{ZONE}")
    assert all(0 < len(message) <= 100 for message in once)
    assert not any(
        len(message) == len(shape) and message[:13] + shape[13:25] + message[25:] == shape
        for message in once
    )


def test_the_client_subnets_are_distinct_and_public() -> None:
    subnets = list(islice(client_subnets(), 2000))
    assert len(set(subnets)) == 2000
    assert all(ip_address(subnet + b"\0").is_global for subnet in subnets)


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_a_workload_is_the_same_each_time(workload: Workload) -> None:
    once, again = (list(islice(workload.queries(CLIENT_COOKIE), 100)) for _ in range(2))
    assert once == again
    assert all(
        dns.message.from_wire(message).question[0].name.is_subdomain(dns.name.from_text(ZONE))
        for message in once
    )


def test_a_file_of_queries_holds_each_after_its_length(tmp_path: Path) -> None:
    write([b"one", b"three"], tmp_path / "queries")
    assert (tmp_path / "queries").read_bytes() == b"\0\3one\0\5three"


def test_the_zone_holds_every_static_name_and_one_steered_name() -> None:
    zone = dns.zone.from_text(compose_zone('TXT "steered"'), relativize=False)
    assert zone.get_rdataset(f"{STEERED}.", "TXT") is not None
    for number in (0, STATIC_NAMES - 1):
        assert zone.get_rdataset(f"{static_name(number)}.", "A") is not None


def test_a_reply_is_read_as_its_rcode_and_its_addresses() -> None:
    response = dns.message.make_response(dns.message.from_wire(query(STEERED)))
    response.answer.append(
        dns.rrset.from_text(f"{STEERED}.", 30, "IN", "A", "192.0.2.11", "192.0.2.10")
    )
    reply = parse(response.to_wire())
    assert reply is not None
    assert (reply.rcode, reply.addresses) == ("NOERROR", ("192.0.2.10", "192.0.2.11"))


def test_what_is_no_reply_is_none() -> None:
    assert parse(b"\0\0") is None
