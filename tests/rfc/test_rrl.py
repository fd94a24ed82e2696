"""RRL: what one network may be sent of one kind in a second (dns.md, section 8.3).

RRL-01 a network above the limit: one reply in `slip` is truncated, the others are silence
RRL-02 what does not exist counts by zone, referrals by cut, wildcards by wildcard
RRL-03 TCP, valid cookies and exempt networks are free; others learn a cookie
RRL-04 other networks, and the network's other questions, are served
RRL-05 all of it is counted, log_only only counts, and nothing grows

Time passes while a test runs, and brings some replies back; so bounds are of what was allowed by
the clock, never of one number.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from conversation import Server, opt, option, query
from running import Running
from strict import BADCOOKIE, NOERROR, NXDOMAIN, REFUSED, Message, read

PER_SECOND = 20
SLIP = 2
MANY = 400
LIMIT = f"{{ per_second: {PER_SECOND}, slip: {SLIP}, exempt: [127.7.7.0/24, 127.6.0.0/16] }}"
CLIENT = b"8 octets"

_networks = count(1)


def network() -> str:
    """The first three octets of a /24 that no test has used."""
    number = next(_networks)
    return f"127.{100 + number // 250}.{number % 250}"


@dataclass
class Flood:
    """What became of many packets: `whole` replies, truncated ones, BADCOOKIE, silence."""

    replies: list[Message | None]
    seconds: float

    @property
    def fates(self) -> Counter[str]:
        return Counter(map(_fate, self.replies))

    @property
    def allowed(self) -> int:
        """How many whole replies one network may have got of one kind."""
        return int(PER_SECOND * (1 + self.seconds)) + 1


def _fate(reply: Message | None) -> str:
    if reply is None:
        return "silence"
    if reply.rcode == BADCOOKIE:
        return "badcookie"
    return "truncated" if reply.tc else "whole"


def flood(server: Server, packets: list[bytes], source: str) -> Flood:
    """Sends packets with ids of their own, as fast as they are read."""
    packets = [number.to_bytes(2, "big") + packet[2:] for number, packet in enumerate(packets)]
    started = time.monotonic()
    replies = server.all_udp(packets, source)
    seconds = time.monotonic() - started
    return Flood([None if reply is None else read(reply) for reply in replies], seconds)


def flood_from_anew(server: Server, packets: list[bytes]) -> tuple[Flood, str]:
    """A flood from a network that has its whole limit, and its source.

    Two networks share a limit if they meet in one of half a million slots: a few runs of this
    module in a thousand see that. It does not happen twice.
    """
    for _ in range(2):
        source = f"{network()}.3"
        found = flood(server, packets, source)
        if found.fates["whole"] >= PER_SECOND:
            break
    return found, source


def is_half(part: int, whole: int) -> bool:
    """Whether one in SLIP was drawn, within six standard deviations."""
    return abs(part - whole / SLIP) <= 6 * (whole / SLIP * (1 - 1 / SLIP)) ** 0.5


def counted(running: Running) -> Counter[str]:
    """The server's own figures about its limits."""
    _, page = running.get("/metrics")
    lines = [line for line in page.splitlines() if line.startswith("gslb_rrl_total{")]
    return Counter({line.split('"')[1]: int(float(line.split()[1])) for line in lines})


@pytest.fixture(scope="module")
def limiting(
    another: Callable[..., AbstractContextManager[Running]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Running]:
    """A server with a low limit."""
    with another(tmp_path_factory.mktemp("rrl"), limit=LIMIT) as running:
        yield running


@pytest.fixture(scope="module")
def limited(limiting: Running) -> Server:
    """Where it is asked."""
    return Server(limiting.dns)


@pytest.mark.parametrize(
    ("name", "rrtype", "rcode"),
    [
        ("www", "A", NOERROR),
        ("geo", "A", NOERROR),
        ("near", "A", NOERROR),
        ("split", "A", NOERROR),
        ("www", "HINFO", NOERROR),
        ("nope", "A", NXDOMAIN),
        ("h.sub", "A", NOERROR),
        ("alias3", "A", NOERROR),
    ],
)
@pytest.mark.parametrize("more", [(), (opt(),)], ids=["plain", "edns"])
def test_rrl_01_above_the_limit_one_in_slip_is_truncated_and_the_rest_silence(
    limited: Server, name: str, rrtype: str, rcode: int, more: tuple[bytes, ...]
) -> None:
    found, _ = flood_from_anew(limited, [query(name, rrtype, *more)] * MANY)
    fates = found.fates
    assert PER_SECOND <= fates["whole"] <= found.allowed
    assert is_half(fates["truncated"], MANY - fates["whole"])
    assert fates["badcookie"] == 0
    assert all(reply.rcode == rcode for reply in found.replies if reply and not reply.tc)


def test_rrl_01_a_truncated_reply_is_no_longer_than_the_query(limited: Server) -> None:
    """So it is no use to who forges addresses, and leads a real client to TCP."""
    asked = query("www", "A", opt())
    found = flood(limited, [asked] * 100, f"{network()}.3")
    truncated = [reply for reply in found.replies if reply and reply.tc]
    assert truncated
    assert all(len(reply.octets) <= len(asked) for reply in truncated)


def test_rrl_01_errors_are_limited_too_and_slip_as_they_are(limited: Server) -> None:
    """TC would lead to TCP somebody who has nothing to gain there."""
    found = flood(limited, [query("elsewhere.example.")] * MANY, f"{network()}.3")
    fates = found.fates
    assert fates["truncated"] == 0
    assert is_half(fates["silence"], MANY - PER_SECOND)
    assert all(reply.rcode == REFUSED for reply in found.replies if reply)


def test_rrl_01_a_network_is_a_24(limited: Server) -> None:
    block = network()
    first = flood(limited, [query("www")] * 100, f"{block}.1")
    second = flood(limited, [query("www")] * 100, f"{block}.254")
    allowed = int(PER_SECOND * (1 + first.seconds + second.seconds)) + 2
    assert first.fates["whole"] + second.fates["whole"] <= allowed


def test_rrl_01_what_is_limited_comes_back_with_time(limited: Server) -> None:
    source = f"{network()}.3"
    assert flood(limited, [query("www")] * 100, source).fates["silence"]
    ends = time.monotonic() + 10
    while time.monotonic() < ends:
        reply = limited.udp(query("www"), source)
        if reply is not None and not reply.tc:
            return
    raise AssertionError("nothing in 10 s")


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param("n{}.random", id="NXDOMAIN"),
        pytest.param("n{}.wild", id="wildcard"),
        pytest.param("n{}.sub", id="referral"),
        pytest.param("n{}.elsewhere.example.", id="REFUSED"),
        pytest.param("n{}.geowild", id="steered-wildcard"),
    ],
)
def test_rrl_02_names_that_chance_makes_count_as_one(limited: Server, pattern: str) -> None:
    """Random names must not be a way around, nor a way to fill a table."""
    packets = [query(pattern.format(number)) for number in range(MANY)]
    found, source = flood_from_anew(limited, packets)
    if "elsewhere" in pattern:
        assert is_half(found.fates["silence"], MANY - PER_SECOND)
    else:
        assert PER_SECOND <= found.fates["whole"] <= found.allowed
    assert limited.says(query("www"), source).answer


def test_rrl_03_tcp_is_free(limited: Server) -> None:
    source = f"{network()}.3"
    flood(limited, [query("www")] * 100, source)
    packets = [query("www", number=number) for number in range(100)]
    replies = [read(reply) for reply in limited.all_tcp(packets, source)]
    assert all(len(reply.answer) == 1 for reply in replies)


@pytest.mark.parametrize("name", ["www", "geo", "nope", "elsewhere.example."])
def test_rrl_03_whoever_has_a_valid_cookie_is_always_served(limited: Server, name: str) -> None:
    source = f"{network()}.3"
    first = limited.says(query("ns1", "A", opt(option(10, CLIENT))), source)
    assert first.opt is not None
    cookie = first.opt.option(10)
    assert cookie is not None
    flood(limited, [query(name)] * 100, source)
    found = flood(limited, [query(name, "A", opt(option(10, cookie)))] * MANY, source)
    assert found.fates == {"whole": MANY}
    elsewhere = flood(limited, [query(name, "A", opt(option(10, cookie)))] * 100, f"{network()}.3")
    assert elsewhere.fates["whole"] < 100


def test_rrl_03_who_sends_a_cookie_learns_one_instead_of_truncation(limited: Server) -> None:
    """BADCOOKIE only here: a network that is being limited (RFC 7873 section 5.2.3)."""
    asked = [query("www", "A", opt(option(10, CLIENT)))] * MANY
    found, source = flood_from_anew(limited, asked)
    fates = found.fates
    assert fates["truncated"] == 0
    assert PER_SECOND <= fates["whole"] <= found.allowed
    assert is_half(fates["badcookie"], MANY - fates["whole"])
    last = [reply for reply in found.replies if reply and reply.rcode == BADCOOKIE][-1]
    assert last.opt is not None
    cookie = last.opt.option(10)
    assert cookie is not None
    again = flood(limited, [query("www", "A", opt(option(10, cookie)))] * 100, source)
    assert again.fates == {"whole": 100}


def test_rrl_03_exempt_networks_are_free(limiting: Running, limited: Server) -> None:
    before = counted(limiting)
    assert flood(limited, [query("www")] * MANY, "127.6.1.3").fates == {"whole": MANY}
    assert counted(limiting)["exempt"] > before["exempt"]


def test_rrl_04_other_networks_do_not_notice(limited: Server) -> None:
    attacker, others = f"{network()}.3", [f"{network()}.7" for _ in range(20)]
    asked = query("www", "A")
    for other in others:
        flood(limited, [asked] * 50, attacker)
        assert limited.says(asked, other).answer
    assert flood(limited, [asked] * 50, attacker).fates["silence"]


def test_rrl_04_nor_do_other_questions_of_the_network(limited: Server) -> None:
    """A classroom behind one address goes on while one pupil floods."""
    source = f"{network()}.3"
    flood(limited, [query("nope")] * 100, source)
    flood(limited, [query("elsewhere.example.")] * 100, source)
    flood(limited, [query("www")] * 100, source)
    for name in ("geo", "multi", "ns1", "mail", "foo.wild"):
        assert limited.says(query(name), source).answer
    assert limited.says(query("h.sub"), source).authority


def test_rrl_05_everything_is_counted(limiting: Running, limited: Server) -> None:
    before = counted(limiting)
    plain = flood(limited, [query("www")] * MANY, f"{network()}.3").fates
    baker = flood(limited, [query("www", "A", opt(option(10, CLIENT)))] * MANY, f"{network()}.3")
    fates = plain + baker.fates
    seen = counted(limiting) - before
    assert seen["slipped"] == fates["truncated"]
    assert seen["dropped"] == fates["silence"]
    assert seen["badcookie"] == fates["badcookie"]
    assert seen["logged"] == 0


def test_rrl_05_log_only_counts_and_serves(
    another: Callable[..., AbstractContextManager[Running]], tmp_path: Path
) -> None:
    limit = f"{{ per_second: {PER_SECOND}, log_only: true, exempt: [127.7.7.0/24] }}"
    with another(tmp_path, limit=limit) as running:
        server = Server(running.dns)
        found = flood(server, [query("www")] * MANY, f"{network()}.3")
        assert found.fates == {"whole": MANY}
        seen = counted(running)
        assert MANY - found.allowed <= seen["logged"] <= MANY - PER_SECOND
        assert seen["dropped"] == seen["slipped"] == seen["badcookie"] == 0


def memory_kib(running: Running) -> int:
    """The server's resident memory."""
    status = Path(f"/proc/{running.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def test_rrl_05_nothing_grows_with_networks_and_names(limiting: Running, limited: Server) -> None:
    """Each packet has a network and a name of its own: 500 to warm up, then 1000."""
    names = ("n{}.random", "n{}.wild", "n{}.sub", "n{}.elsewhere.example.", "n{}.geowild")

    def stroll(numbers: range) -> None:
        for number in numbers:
            name = names[number % len(names)].format(number)
            assert limited.says(query(name), f"127.{60 + number // 250}.{number % 250}.9")

    stroll(range(500))
    before = memory_kib(limiting)
    stroll(range(500, 1500))
    assert memory_kib(limiting) - before < 1024
