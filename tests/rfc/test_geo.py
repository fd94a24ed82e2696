"""Answers that a policy tailors (RFC 7871 section 7.2.1): who gets which, what SCOPE promises."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from itertools import pairwise
from random import Random

import pytest

from conversation import Server, opt, query, subnet
from strict import NOERROR, Message, read

Network = IPv4Network | IPv6Network

CLIENT_SUBNET = 8
TRANSPORTS = pytest.mark.parametrize("transport", ["udp", "tcp"])
# Where answers change: the clients of gslb.yaml, and networks of geodata/lab.csv.
BLOCKS = {
    "geo": ["1.2.0.0/20", "1.2.3.0/24", "1.2.3.128/25", "1.2.16.0/20", "127.20.5.0/24"],
    "near": ["127.1.0.0/16", "127.2.0.0/16", "127.3.0.0/16", "198.51.100.0/24", "203.0.113.0/24"],
}
BLOCKS6 = {
    "geo": ["2a00:1::/32", "2a00:1:2::/48", "2a00:1:2:3::/64"],
    "near": ["2001:db8:1::/48", "2001:db8:2::/48", "2001:db8:3::/48", "2001:db8:300::/48"],
}


def answers(reply: Message) -> list[str]:
    """The addresses of a reply."""
    assert reply.rcode == NOERROR
    return [str(ip_address(record.data)) for record in reply.answer]


def look_up(
    server: Server, name: str, network: str, rrtype: str = "A", transport: str = "udp"
) -> tuple[list[str], int]:
    """(addresses, SCOPE) for a client subnet."""
    reply = server.says_by(transport, query(name, rrtype, opt(subnet(network))))
    return answers(reply), scope(reply)


def scope(reply: Message) -> int:
    assert reply.opt is not None
    data = reply.opt.option(CLIENT_SUBNET)
    assert data is not None
    return data[3]


def address_in(network: Network, dice: Random) -> str:
    return str(network[dice.randrange(network.num_addresses)])


def covered(address: str, length: int) -> Network:
    return ip_network(f"{address}/{length}", strict=False)


def draw(dice: Random, blocks: list[str], bits: int) -> list[str]:
    """Clients: a third anywhere, the others in and around the blocks."""
    clients = []
    for number in range(400):
        block = ip_network(dice.choice(blocks))
        if number % 3 == 0:
            address = str(ip_address(dice.getrandbits(bits)))
            if bits == 128 and dice.random() < 0.7:  # where there is somebody
                address = str(ip_address(0x2 << 124 | dice.getrandbits(124)))
        elif number % 3 == 1:
            address = address_in(block, dice)
        else:
            wide = block.supernet(new_prefix=max(block.prefixlen - 6, 0))
            address = address_in(wide, dice)
        clients.append(address)
    return clients


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ("1.2.1.0/24", "198.51.100.2"),
        ("1.2.3.0/25", "198.51.100.3"),
        ("1.2.3.128/25", "198.51.100.4"),
        ("1.2.3.200/32", "198.51.100.4"),
        ("1.2.16.0/24", "198.51.100.2"),
        ("1.2.32.0/24", "198.51.100.1"),
        ("1.1.255.0/24", "198.51.100.1"),
        ("2a00:1::/48", "198.51.100.2"),
        ("2a00:1:2::/48", "198.51.100.3"),
        ("2a00:1:2:3::/64", "198.51.100.4"),
        ("2a00:1:2:4::/64", "198.51.100.3"),
        ("2a00:2::/48", "198.51.100.1"),
    ],
)
def test_geo_01_the_longest_match_decides(server: Server, network: str, expected: str) -> None:
    assert look_up(server, "geo", network)[0] == [expected]


def walk(server: Server, name: str, rrtype: str, seed: int) -> dict[Network, list[str]]:
    """What many clients are told: the networks that replies name, and their answers."""
    dice = Random(seed)
    found: dict[Network, list[str]] = {}
    for blocks, bits, source in ((BLOCKS, 32, 24), (BLOCKS6, 128, 56)):
        clients = draw(dice, blocks[name], bits)
        networks = [f"{covered(client, source).network_address}/{source}" for client in clients]
        packets = [
            query(name, rrtype, opt(subnet(network)), number=number)
            for number, network in enumerate(networks)
        ]
        for network, octets in zip(networks, server.all_tcp(packets), strict=True):
            reply = read(octets)
            promised = covered(network.partition("/")[0], scope(reply))
            told = answers(reply)
            assert found.setdefault(promised, told) == told, f"two answers for {promised}"
    return found


@pytest.mark.parametrize("name", ["geo", "near"])
@pytest.mark.parametrize("rrtype", ["A", "AAAA"])
@pytest.mark.parametrize("seed", [1, 2])
def test_geo_02_03_scope_is_a_promise_and_no_two_promises_overlap(
    server: Server, name: str, rrtype: str, seed: int
) -> None:
    found = walk(server, name, rrtype, seed)
    assert len({tuple(told) for told in found.values()}) > 2
    for version in (4, 6):
        networks = sorted(network for network in found if network.version == version)
        assert len(networks) > 5
        for one, other in pairwise(networks):  # sorted: what overlaps lies side by side
            assert not one.overlaps(other), f"{one} and {other}"
    # Everybody inside is told the same: the ends and anybody between.
    dice = Random(seed)
    for network, told in dice.sample(sorted(found.items(), key=str), min(60, len(found))):
        for address in (network[0], network[-1], ip_address(address_in(network, dice))):
            source = 32 if network.version == 4 else 128
            inside, length = look_up(server, name, f"{address}/{source}", rrtype)
            assert inside == told
            assert covered(str(address), length) == network


def test_geo_03_the_block_around_an_exception_is_taken_apart(server: Server) -> None:
    dice = Random(3)
    block, exception = ip_network("1.2.0.0/20"), ip_network("1.2.3.0/24")
    found = set()
    for _ in range(200):
        address = address_in(block, dice)
        if ip_address(address) not in exception:
            told, length = look_up(server, "geo", f"{address}/32")
            assert told == ["198.51.100.2"]
            found.add(str(covered(address, length)))
    # The neighbour 1.2.16.0/20 has the same answer, and nobody can join it without 1.2.3.0/24.
    assert found == {"1.2.0.0/23", "1.2.2.0/24", "1.2.4.0/22", "1.2.8.0/21"}


def test_geo_03_the_default_has_no_scope_0_at_a_tailored_name(server: Server) -> None:
    for network in ("8.8.8.0/24", "200.1.2.0/24", "2001:4860::/48", "fc00::/48"):
        assert look_up(server, "geo", network)[1] > 0


@TRANSPORTS
@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0"])
def test_geo_04_source_0_is_answered_by_the_source_address(
    server: Server, network: str, transport: str
) -> None:
    packet = query("geo", "A", opt(subnet(network)))
    reply = (
        server.tcp(packet, "127.20.5.9")
        if transport == "tcp"
        else server.says(packet, "127.20.5.9")
    )
    assert (answers(reply), scope(reply)) == (["198.51.100.3"], 0)


@pytest.mark.parametrize(
    ("rrtype", "blocks", "bits", "source"), [("A", BLOCKS, 32, 24), ("AAAA", BLOCKS6, 128, 56)]
)
def test_geo_05_a_database_tells_no_more_apart_than_resolvers_ask_for(
    server: Server, rrtype: str, blocks: dict[str, list[str]], bits: int, source: int
) -> None:
    for client in draw(Random(5), blocks["near"], bits)[:150]:
        network = covered(client, source)
        assert look_up(server, "near", str(network), rrtype)[1] <= source


def test_geo_05_scope_is_no_longer_than_need_be(server: Server) -> None:
    # 1.2.32.0/19 is the largest network around it that nothing of 1.2.0.0/19 disturbs.
    assert look_up(server, "geo", "1.2.32.0/24") == (["198.51.100.1"], 19)
    assert look_up(server, "geo", "1.2.15.0/24") == (["198.51.100.2"], 21)


@pytest.mark.parametrize(
    ("network", "expected", "length"),
    [
        ("1.2.0.0/16", "198.51.100.2", 23),  # its first address lies in 1.2.0.0/23
        ("1.0.0.0/8", "198.51.100.1", 15),
        ("1.2.3.0/24", "198.51.100.3", 25),  # the other half is somebody else's
        ("2a00:1::/32", "198.51.100.2", 47),
    ],
)
def test_geo_06_a_scope_may_be_longer_than_the_source(
    server: Server, network: str, expected: str, length: int
) -> None:
    assert look_up(server, "geo", network) == ([expected], length)


@pytest.mark.parametrize("name", ["geo", "near", "one"])
@pytest.mark.parametrize("network", ["1.2.3.0/24", "5.6.7.0/24", "2a00:1:2::/48", "2600:1::/48"])
def test_geo_07_the_same_question_has_the_same_answer(
    server: Server, name: str, network: str
) -> None:
    first = look_up(server, name, network)
    for transport in ("udp", "tcp", "udp", "tcp"):
        assert look_up(server, name, network, transport=transport) == first
    longest = 32 if "." in network else 128
    assert look_up(server, name, f"{network.partition('/')[0]}/{longest}") == first


@pytest.mark.parametrize("network", ["1.2.3.0/24", "200.1.2.0/24", "2a00:1:2::/48"])
@pytest.mark.parametrize("rrtype", ["NS", "SOA", "MX", "DS", "HTTPS", "SRV", "CNAME", "TYPE1000"])
def test_geo_08_10_other_types_of_a_tailored_name_are_nodata_for_everybody(
    server: Server, rrtype: str, network: str
) -> None:
    reply = server.ask("near", rrtype, opt(subnet(network)))
    assert reply.rcode == NOERROR
    assert reply.aa
    assert not reply.answer
    assert [record.type for record in reply.authority] == [6]
    assert scope(reply) == 0


@TRANSPORTS
@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("127.0.0.1", "198.51.100.1"),
        ("127.20.4.1", "198.51.100.2"),
        ("127.20.5.1", "198.51.100.3"),
        ("127.20.6.1", "198.51.100.2"),
    ],
)
def test_geo_09_without_client_subnet_the_source_decides(
    server: Server, source: str, expected: str, transport: str
) -> None:
    for more in ((), (opt(),)):
        packet = query("geo", "A", *more)
        reply = server.tcp(packet, source) if transport == "tcp" else server.says(packet, source)
        assert answers(reply) == [expected]


@TRANSPORTS
@pytest.mark.parametrize(
    ("name", "chain"),
    [("togeo", 1), ("totogeo", 2), ("x.togeowild", 1)],
)
def test_geo_an_alias_of_a_steered_name_is_given_alone(
    server: Server, name: str, chain: int, transport: str
) -> None:
    reply = server.says_by(transport, query(name, "A", opt(subnet("1.2.3.0/24"))))
    assert [record.type for record in reply.answer] == [5] * chain
    assert (reply.rcode, reply.aa, scope(reply)) == (NOERROR, True, 0)
    assert not reply.authority
    assert not reply.additional


def test_geo_tailored_addresses_are_never_additional_data(server: Server) -> None:
    reply = server.ask("mxgeo", "MX", opt(subnet("1.2.3.0/24")))
    assert (len(reply.answer), scope(reply)) == (1, 0)
    assert not reply.additional


@pytest.mark.parametrize("network", ["::ffff:1.2.3.4/128", "::ffff:1.2.3.0/120"])
def test_geo_an_ipv4_address_inside_ipv6_is_not_taken_out(server: Server, network: str) -> None:
    told, length = look_up(server, "geo", network)
    assert told == ["198.51.100.1"]  # and not the exception of 1.2.3.0/24
    assert length > 0


@pytest.mark.parametrize("network", ["2002:102:300::/48", "2001:0:102:300::/64"])
def test_geo_6to4_and_teredo_are_not_taken_apart(server: Server, network: str) -> None:
    assert look_up(server, "geo", network)[0] == ["198.51.100.1"]


def test_geo_a_wildcard_is_steered_like_a_name(server: Server) -> None:
    assert look_up(server, "a.b.geowild", "1.2.3.0/24") == look_up(server, "geo", "1.2.3.0/24")


def test_geo_a_family_that_a_policy_has_not_is_nodata(server: Server) -> None:
    reply = server.ask("four", "AAAA", opt(subnet("1.2.3.0/24")))
    assert [record.type for record in reply.authority] == [6]
    assert look_up(server, "four", "1.2.3.0/24") == (["198.51.100.20"], 0)
