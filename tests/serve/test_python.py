"""The Python engine: malformed packets, limits, health, and the two ways agreeing."""

from __future__ import annotations

import logging
from ipaddress import ip_address
from random import Random

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest
from gslb.core.health import AddressHealth, Slot, State, with_addresses
from gslb.core.policy import Policy
from gslb.core.setting import Cookies, RateLimit, Settings
from gslb.core.world import World
from gslb.serve.python import PythonEngine
from hypothesis import given
from hypothesis import strategies as st

from sample import APEX, BY_NAME, make_world

NAMES = ["www", "txt", "nope", "a.b.img", "x.sub", "sub", "alias2", "towww", "big", "", "q.wild"]
NETWORKS = [
    None,
    "50.1.2.0/24",
    "150.0.0.0/8",
    "0.0.0.0/0",
    "203.0.113.9/32",
    "10.1.2.0/23",
    "2001:db8::/56",
]
PEER = "150.7.7.7"


def wire(name: str, rrtype: str = "A", network: str | None = None, **more) -> bytes:
    if network:
        more["options"] = [dns.edns.ECSOption.from_text(network)]
    more.setdefault("use_edns", 0 if network else -1)
    query = dns.message.make_query(f"{name}.{APEX}".lstrip("."), rrtype, **more)
    query.id = 4711
    return query.to_wire()


def ask(engine: PythonEngine, packet: bytes, peer: str = PEER, transport="udp"):
    reply = engine.answer(packet, peer, transport)
    assert reply is not None
    return dns.message.from_wire(reply)


def addresses(message: dns.message.Message) -> set[str]:
    return {str(rdata) for rrset in message.answer for rdata in rrset}


@pytest.fixture
def engine() -> PythonEngine:
    return PythonEngine(make_world(), Random(7))


def down(world: World, *names: str) -> World:
    changes = {
        Slot(BY_NAME[name].index, index, 4): AddressHealth(State.DOWN)
        for name in names
        for index in range(len(BY_NAME[name].endpoints))
    }
    return World(world.plan, with_addresses(world.health, changes), world.generation + 1)


# ---- malformed ----------------------------------------------------------------------------


@pytest.mark.parametrize("size", range(12))
def test_less_than_a_header_meets_silence(engine: PythonEngine, size: int) -> None:
    assert engine.answer(wire("www")[:size], PEER, "udp") is None


def test_a_response_meets_silence(engine: PythonEngine) -> None:
    packet = bytearray(wire("www"))
    packet[2] |= 0x80
    assert engine.answer(bytes(packet), PEER, "udp") is None
    assert engine.stats()["dropped", "response"] == 1


@pytest.mark.parametrize("opcode", [1, 2, 3, 4, 5, 6, 15])
def test_other_opcodes_are_not_implemented(engine: PythonEngine, opcode: int) -> None:
    packet = bytearray(wire("www"))
    packet[2] |= opcode << 3
    reply = engine.answer(bytes(packet[:12]), PEER, "udp")
    assert reply is not None
    assert (reply[:2], reply[2] >> 3 & 15, reply[3] & 15) == (bytes(packet[:2]), opcode, 4)


@pytest.mark.parametrize("count", [0, 2, 256, 65535])
def test_any_other_number_of_questions_is_a_format_error(engine: PythonEngine, count: int) -> None:
    packet = bytearray(wire("www"))
    packet[4:6] = count.to_bytes(2, "big")
    reply = engine.answer(bytes(packet), PEER, "udp")
    assert reply is not None
    assert reply[3] & 15 == 1


@pytest.mark.parametrize(
    "question",
    [
        b"\xc0\x0c\0\1\0\1",  # a pointer to itself
        b"\x40abc\0\0\1\0\1",  # an extended label type
        b"\x80abc\0\0\1\0\1",
        b"\x3fabc\0\0\1\0\1",  # runs past the end
        b"\x03www",
        b"\x03www\0\0\1",
        (b"\x3f" + b"x" * 63) * 4 + b"\0\0\1\0\1",  # 257 octets
    ],
)
def test_a_question_that_cannot_be_read_is_a_format_error(
    engine: PythonEngine, question: bytes
) -> None:
    reply = engine.answer(wire("www")[:12] + question, PEER, "udp")
    assert reply is not None
    assert reply[3] & 15 == 1
    assert len(reply) == 12


def test_a_name_of_255_octets_is_legal(engine: PythonEngine) -> None:
    name = b"\x01x" * 127 + b"\0"
    reply = engine.answer(wire("www")[:12] + name + b"\0\1\0\1", PEER, "udp")
    assert reply is not None
    assert dns.message.from_wire(reply).rcode() == dns.rcode.REFUSED


@pytest.mark.parametrize(
    "option",
    [
        "0001180078",  # too few octets
        "00011800c0a80105",  # too many
        "00011800c0a801ff",
        "00011700c0a801",  # a bit beyond SOURCE
        "00012100c0a80105" + "00",  # SOURCE above 32
        "00011818c0a801",  # SCOPE in a query
        "00031800c0a801",  # family 3
        "000118",  # cut
        "0000180000",  # family 0 with an address
    ],
)
def test_a_bad_client_subnet_is_a_format_error(engine: PythonEngine, option: str) -> None:
    data = bytes.fromhex(option)
    opt = b"\0\0\x29\x04\xd0\0\0\0\0" + (len(data) + 4).to_bytes(2, "big")
    packet = wire("www")[:10] + b"\0\1" + wire("www")[12:]
    packet += opt + b"\0\x08" + len(data).to_bytes(2, "big") + data
    for _ in range(2):
        assert ask(engine, packet).rcode() == dns.rcode.FORMERR


def test_an_edns_version_we_do_not_speak_is_badvers(engine: PythonEngine) -> None:
    reply = ask(engine, wire("www", use_edns=1))
    assert (reply.rcode(), reply.edns, reply.answer) == (dns.rcode.BADVERS, 0, [])


def test_another_class_is_refused(engine: PythonEngine) -> None:
    assert ask(engine, wire("txt", "TXT", rdclass="CH")).rcode() == dns.rcode.REFUSED


@pytest.mark.parametrize("rrtype", [0, 41, 128, 249, 250, 251, 252, 253, 254, 255, 65535])
def test_odd_types_get_a_reply(engine: PythonEngine, rrtype: int) -> None:
    packet = bytearray(wire("txt"))
    packet[-4:-2] = rrtype.to_bytes(2, "big")
    reply = engine.answer(bytes(packet), PEER, "udp")
    assert reply is not None
    assert reply[3] & 15 in (0, 5)


def test_a_fault_of_our_own_is_answered_servfail_and_logged(
    engine: PythonEngine, caplog: pytest.LogCaptureFixture
) -> None:
    engine._memory = None  # type: ignore[assignment]
    with caplog.at_level(logging.ERROR):
        assert ask(engine, wire("txt", "TXT")).rcode() == dns.rcode.SERVFAIL
    assert engine.stats()["errors",] == 1
    assert "Traceback" in caplog.text


# ---- the shape of replies -----------------------------------------------------------------


def test_the_case_of_the_question_comes_back(engine: PythonEngine) -> None:
    for _ in range(2):
        packet = wire("wWw").replace(b"gslb", b"GsLb")
        reply = engine.answer(packet, PEER, "udp")
        assert reply is not None
        assert reply[12 : len(packet)] == packet[12:]


@pytest.mark.parametrize(("size", "limit"), [(0, 512), (100, 512), (700, 700), (65535, 1232)])
def test_udp_replies_respect_the_smaller_of_both_sizes(
    engine: PythonEngine, size: int, limit: int
) -> None:
    packet = wire("big", "TXT", use_edns=0, payload=size)
    reply = engine.answer(packet, PEER, "udp")
    assert reply is not None
    assert len(reply) <= limit
    message = dns.message.from_wire(reply)
    assert message.flags & dns.flags.TC
    assert message.payload == 1232


def test_tcp_gives_the_whole(engine: PythonEngine) -> None:
    message = ask(engine, wire("big", "TXT"), transport="tcp")
    assert len(message.answer[0]) == 8
    assert not message.flags & dns.flags.TC


def test_rd_is_copied_and_ra_ad_cd_are_clear(engine: PythonEngine) -> None:
    packet = bytearray(wire("www"))
    packet[2] |= 1
    packet[3] |= 0x70  # Z, AD, CD
    for _ in range(2):
        reply = engine.answer(bytes(packet), PEER, "udp")
        assert reply is not None
        assert (reply[2] & 1, reply[3]) == (1, 0)


def test_do_is_copied_and_unknown_flags_and_options_are_not(engine: PythonEngine) -> None:
    option = dns.edns.GenericOption(100, b"x")
    query = dns.message.make_query(f"www.{APEX}", "A", use_edns=0, options=[option])
    query.ednsflags = 0x80FF
    reply = ask(engine, query.to_wire())
    assert (reply.ednsflags & 0xFFFF, reply.options) == (0x8000, ())


# ---- steering -----------------------------------------------------------------------------


def test_a_verdict_changes_the_answer_and_its_end_brings_it_back(engine: PythonEngine) -> None:
    world = make_world()
    engine = PythonEngine(world, Random(1))
    packet = wire("www", network="150.1.2.0/24")
    assert addresses(ask(engine, packet)) == {"198.51.100.10"}
    engine.publish(down(world, "web-iad"))
    assert addresses(ask(engine, packet)) == {"192.0.2.10", "192.0.2.11"}
    engine.publish(World(world.plan, world.health, 3))
    assert addresses(ask(engine, packet)) == {"198.51.100.10"}


def test_a_verdict_elsewhere_keeps_what_was_remembered() -> None:
    world = make_world()
    engine = PythonEngine(world, Random(1))
    packet = wire("www", network="150.1.2.0/24")
    ask(engine, packet)
    ask(engine, packet)
    entry = next(iter(engine._ready.values()))
    before = entry.steering.answers[1]
    engine.publish(down(world, "web-nrt"))
    ask(engine, packet)
    assert entry.steering.answers[1] is before


def test_without_a_client_subnet_the_source_decides_and_none_is_sent(
    engine: PythonEngine,
) -> None:
    for peer, expected in (("203.0.113.1", "203.0.113.10"), ("::ffff:203.0.113.1", "203.0.113.10")):
        for _ in range(2):
            reply = ask(engine, wire("www", use_edns=0), peer)
            assert (addresses(reply), reply.options) == ({expected}, ())


def test_a_mapped_address_in_a_client_subnet_is_ipv6(engine: PythonEngine) -> None:
    reply = ask(engine, wire("www", network="::ffff:203.0.113.0/120"))
    assert addresses(reply) == {"192.0.2.10", "192.0.2.11"}  # the lower half of the sample's IPv6


def test_ecs_off_ignores_the_client_subnet_and_echoes_scope_0() -> None:
    blind = Policy("web", make_world().plan.config.policies["web"].node, ecs=False)
    engine = PythonEngine(make_world(extra=[blind]), Random(1))
    for _ in range(2):
        reply = ask(engine, wire("www", network="203.0.113.0/24"))
        assert addresses(reply) == {"198.51.100.10"}
        assert reply.options[0].scopelen == 0


def test_only_believed_senders_steer_by_client_subnet() -> None:
    settings = Settings(ecs_from=("198.51.100.0/24", "2001:db8::/32"))
    engine = PythonEngine(make_world(settings=settings), Random(1))
    packet = wire("www", network="203.0.113.0/24")
    for _ in range(2):
        assert addresses(ask(engine, packet, "198.51.100.9")) == {"203.0.113.10"}
        assert addresses(ask(engine, packet, "2001:db8::9")) == {"203.0.113.10"}
        reply = ask(engine, packet, "150.1.1.1")
        assert addresses(reply) == {"198.51.100.10"}
        assert reply.options[0].scopelen == 0


def test_nodata_as_last_resort_has_the_soa_cut_to_the_ttl() -> None:
    world = make_world()
    shy = Policy("split", world.plan.config.policies["split"].node, last_resort="nodata")
    world = make_world(extra=[shy])
    engine = PythonEngine(down(world, "web-iad", "web-nrt"), Random(1))
    for _ in range(2):
        reply = ask(engine, wire("split", network="150.1.2.0/24"))
        assert (reply.rcode(), reply.answer) == (dns.rcode.NOERROR, [])
        assert reply.authority[0].ttl == 30  # the record's; the zone's SOA says 60
        assert reply.options[0].scopelen == 0


def test_servfail_as_last_resort() -> None:
    world = make_world()
    shy = Policy("list", world.plan.config.policies["list"].node, last_resort="servfail")
    engine = PythonEngine(down(make_world(extra=[shy]), "web-fra", "web-iad"), Random(1))
    assert ask(engine, wire("list")).rcode() == dns.rcode.SERVFAIL
    assert engine.stats()["policy_fallback", "list", "servfail"] == 1


def test_weights_show_in_the_answers(engine: PythonEngine) -> None:
    packet = wire("split")
    firsts = [addresses(ask(engine, packet)) for _ in range(2000)]
    share = firsts.count({"198.51.100.10"}) / len(firsts)
    assert share == pytest.approx(0.9, abs=0.03)
    counted = engine.stats()
    assert counted["answers", "split", "web-iad"] + counted["answers", "split", "web-nrt"] == 2000


# ---- properties ---------------------------------------------------------------------------

ENGINE = PythonEngine(make_world(), Random(3))


@given(st.binary(max_size=600), st.sampled_from(["udp", "tcp"]))
def test_no_octets_make_the_engine_fail(packet: bytes, transport) -> None:
    reply = ENGINE.answer(packet, PEER, transport)
    assert ("errors",) not in ENGINE.stats()
    if reply is not None:
        assert reply[:2] == packet[:2]
        assert reply[2] & 0x80


@given(
    st.sampled_from(NAMES),
    st.sampled_from(["A", "AAAA", "TXT", "NS", "ANY", "SOA", "TYPE65280"]),
    st.sampled_from(NETWORKS),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=4),
)
def test_mutated_queries_get_well_formed_replies(name, rrtype, network, changes) -> None:
    packet = bytearray(wire(name, rrtype, network))
    for place, octet in changes:
        packet[place % len(packet)] = octet
    reply = ENGINE.answer(bytes(packet), PEER, "udp")
    assert ("errors",) not in ENGINE.stats()
    if reply is not None:
        message = dns.message.from_wire(reply, ignore_trailing=False)
        assert reply[:2] == bytes(packet[:2])
        assert len(reply) <= 1232
        if message.question:
            end = reply.index(0, 12) + 5
            assert reply[12:end] == bytes(packet[12:end])


COOKIES = [b"clientco", b"clientco" + bytes(16), b"clientco\1", bytes(40), b""]
EVERYTHING = Settings(
    cookies=Cookies("/nowhere/cookies", (bytes(range(16)),)),
    rate_limit=RateLimit(per_second=5),
    nsid=b"ns1",
)


@given(
    st.sampled_from(["www", "txt", "nope", "a.b.img", "towww", "sub"]),
    st.sampled_from(["A", "AAAA", "TXT", "MX"]),
    st.integers(0, 32),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**16 - 1),
    st.sampled_from(["none", "subnet", "cookie", "both"]),
    st.sampled_from(COOKIES),
    st.sampled_from([Settings(), EVERYTHING]),
)
def test_the_quick_way_and_the_careful_way_give_the_same(
    name, rrtype, length, address, size, kind, cookie, settings
) -> None:
    bits = address & ~((1 << (32 - length)) - 1) & 0xFFFFFFFF
    options = []
    if kind in ("subnet", "both"):
        options.append(dns.edns.ECSOption(str(ip_address(bits)), length))
    if kind in ("cookie", "both"):
        options.append(dns.edns.GenericOption(10, cookie))
    packet = wire(name, rrtype, use_edns=0, payload=size, options=options)
    quick, careful = (
        PythonEngine(make_world(settings=settings), Random(5), wall=lambda: 1e9) for _ in range(2)
    )
    quick._dice.random = careful._dice.random = lambda: 0.3
    first = quick.answer(packet, PEER, "udp")  # learns
    assert quick.answer(packet, PEER, "udp") == careful._careful(packet, PEER, "udp") == first
