"""COOK: who has shown that its address is its own (RFC 7873, RFC 9018; dns.md, section 3.2)."""

from __future__ import annotations

import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from conversation import DEADLINE_S, Server, head, opt, option, query, subnet
from differential.peer import find
from running import Running, free_ports, wait_for
from siphash import bake, siphash
from strict import BADCOOKIE, BADVERS, FORMERR, NOERROR, NOTIMP, NXDOMAIN, REFUSED, Message, read

COOKIE = 10
CLIENT = bytes.fromhex("2464c4abcf10c957")
SECRET = bytes.fromhex("e5e973e5a6b2a43f48e7dc849e37bfcf")  # conftest has given it to the server
NEXT = bytes.fromhex("445536bcd2513298075a5d379663c962")
SOURCE = "127.0.0.9"
TRANSPORTS = pytest.mark.parametrize("transport", ["udp", "tcp"])
NAMES = pytest.mark.parametrize("name", ["www", "geo", "near", "nope", "h.sub", "alias3"])

Another = Callable[..., AbstractContextManager[Running]]


def asking(cookie: bytes, name: str = "@", rrtype: str = "SOA", *more: bytes) -> bytes:
    """A query with a cookie."""
    return query(name, rrtype, opt(option(COOKIE, cookie), *more))


def cookie_of(reply: Message) -> bytes:
    """The cookie of a reply that must have one."""
    assert reply.opt is not None
    cookie = reply.opt.option(COOKIE)
    assert cookie is not None
    return cookie


def now() -> int:
    return int(time.time())


def is_fresh(cookie: bytes, address: str, *keys: bytes, client: bytes = CLIENT) -> bool:
    """Whether it is what RFC 9018 says for a moment of the last seconds."""
    stamp = int.from_bytes(cookie[12:16], "big")
    near = -5 <= now() - stamp <= 60
    return near and cookie in [bake(client, stamp, address, key) for key in keys or (SECRET,)]


def counts(running: Running) -> dict[str, float]:
    """The cookies of each kind that the server has seen."""
    _, page = running.get("/metrics")
    lines = [line for line in page.splitlines() if line.startswith("gslb_cookies_total{")]
    return {line.split('"')[1]: float(line.split()[1]) for line in lines}


@pytest.mark.parametrize(
    ("key", "address", "cookie"),
    [
        (SECRET, "198.51.100.100", "2464c4abcf10c957010000005cf79f111f8130c3eee29480"),
        (SECRET, "198.51.100.100", "2464c4abcf10c957010000005cf7a871d4a564a1442aca77"),
        (SECRET, "203.0.113.203", "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5"),
        (SECRET, "203.0.113.203", "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e"),
        (
            NEXT,
            "2001:db8:220:1:59de:d0f4:8769:82b8",
            "22681ab97d52c298010000005cf7c609a6bb79d16625507a",
        ),
        (
            bytes.fromhex("dd3bdf9344b678b185a6f5cb60fca715"),
            "2001:db8:220:1:59de:d0f4:8769:82b8",
            "22681ab97d52c298010000005cf7c57926556bd0934c72f8",
        ),
    ],
)
def test_cook_these_tests_agree_with_rfc_9018_appendix_a(
    key: bytes, address: str, cookie: str
) -> None:
    octets = bytes.fromhex(cookie)
    stamp = int.from_bytes(octets[12:16], "big")
    assert bake(octets[:8], stamp, address, key, octets[9:12]) == octets


def test_cook_these_tests_agree_with_the_paper_on_siphash() -> None:
    assert siphash(bytes(range(15)), bytes(range(16)))[::-1].hex() == "a129ca6149be45e5"


@TRANSPORTS
@NAMES
def test_cook_01_a_client_cookie_gets_a_server_cookie(
    server: Server, name: str, transport: str
) -> None:
    reply = server.says_by(transport, asking(CLIENT, name, "A"))
    plain = server.says_by(transport, query(name, "A", opt()))
    assert (reply.rcode, reply.records) == (plain.rcode, plain.records)
    assert len(cookie_of(reply)) == 24
    assert cookie_of(reply)[:8] == CLIENT


@TRANSPORTS
@pytest.mark.parametrize("length", [*range(8), *range(9, 16), 41, 42, 64, 255, 1000])
def test_cook_02_other_lengths_are_a_format_error(
    server: Server, length: int, transport: str
) -> None:
    for name in ("@", "geo", "elsewhere.example."):
        assert server.says_by(transport, asking(bytes(length), name)).rcode == FORMERR


@pytest.mark.parametrize("length", [8, *range(16, 41)])
def test_cook_02_those_between_are_a_cookie(server: Server, length: int) -> None:
    reply = server.says(asking(bytes(length)))
    assert (reply.rcode, len(cookie_of(reply))) == (NOERROR, 24)


@TRANSPORTS
@NAMES
def test_cook_03_and_12_a_good_cookie_comes_back_and_so_does_the_answer(
    server: Server, name: str, transport: str
) -> None:
    """Over TCP a client cookie alone is enough, and BADCOOKIE is never heard."""
    first = server.says_by(transport, asking(CLIENT, name, "A"))
    second = server.says_by(transport, asking(cookie_of(first), name, "A"))
    assert first.rcode == second.rcode != BADCOOKIE
    assert first.records == second.records
    assert cookie_of(second) == cookie_of(first)


@TRANSPORTS
@NAMES
@pytest.mark.parametrize("at", [8, 9, 12, 15, 16, 23])
def test_cook_04_a_wrong_cookie_gets_the_answer_and_a_fresh_one(
    server: Server, name: str, transport: str, at: int
) -> None:
    good = bytearray(cookie_of(server.says(asking(CLIENT))))
    good[at] ^= 0x55
    reply = server.says_by(transport, asking(bytes(good), name, "A"))
    plain = server.says_by(transport, query(name, "A", opt()))
    assert (reply.rcode, reply.records) == (plain.rcode, plain.records)
    assert cookie_of(reply) != bytes(good)
    assert is_fresh(cookie_of(reply), "127.0.0.1")


def test_cook_05_a_cookie_is_good_for_one_address(whole: Running, server: Server) -> None:
    cookie = cookie_of(server.says(asking(CLIENT), source=SOURCE))
    before = counts(whole)
    assert cookie_of(server.says(asking(cookie), source=SOURCE)) == cookie
    assert cookie_of(server.says(asking(cookie), source="127.0.0.10"))[16:] != cookie[16:]
    after = counts(whole)
    assert after["valid"] == before["valid"] + 1
    assert after["invalid"] == before["invalid"] + 1


def test_cook_06_and_for_one_client_cookie(whole: Running, server: Server) -> None:
    cookie = cookie_of(server.says(asking(CLIENT), source=SOURCE))
    other = bytes((cookie[0] ^ 1,)) + cookie[1:]
    before = counts(whole)
    fresh = cookie_of(server.says(asking(other), source=SOURCE))
    assert counts(whole)["invalid"] == before["invalid"] + 1
    assert is_fresh(fresh, SOURCE, client=other[:8])


@pytest.mark.parametrize(
    ("at", "source"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "127.200.1.254"),
        ("127.0.0.2", SOURCE),
        ("::1", "::1"),
    ],
)
@TRANSPORTS
def test_cook_07_and_08_a_cookie_is_what_rfc_9018_says_octet_for_octet(
    server: Server, at: str, source: str, transport: str
) -> None:
    there = server.asked_at(at)
    for client in (CLIENT, bytes(8), b"\xff" * 8):
        asked = asking(client)
        reply = there.tcp(asked, source) if transport == "tcp" else there.says(asked, source)
        cookie = cookie_of(reply)
        assert cookie[:12] == client + b"\1\0\0\0"
        assert is_fresh(cookie, source, client=client)


def test_cook_08_reserved_octets_are_hashed_as_they_came(whole: Running, server: Server) -> None:
    """RFC 9018 section 4.2 and appendix A.3."""
    strange = bake(CLIENT, now() - 10, SOURCE, SECRET, b"\xab\xcd\xef")
    before = counts(whole)
    server.says(asking(strange), source=SOURCE)
    assert counts(whole)["valid"] == before["valid"] + 1


@pytest.mark.parametrize(
    ("age_s", "result"),
    [
        (-400, "invalid"),
        (-310, "invalid"),
        (-280, "valid"),
        (20, "valid"),
        (1780, "valid"),
        (1820, "renewed"),
        (3580, "renewed"),
        (3620, "invalid"),
        (86_400, "invalid"),
        (-86_400, "invalid"),
        (2**31, "invalid"),
    ],
)
@TRANSPORTS
def test_cook_09_it_is_good_for_an_hour_and_renewed_after_half(
    whole: Running, server: Server, age_s: int, result: str, transport: str
) -> None:
    cookie = bake(CLIENT, now() - age_s, SOURCE, SECRET)
    before = counts(whole)
    asked = asking(cookie)
    reply = server.tcp(asked, SOURCE) if transport == "tcp" else server.says(asked, SOURCE)
    after = counts(whole)
    assert {kind for kind in after if after[kind] != before[kind]} == {result}
    if result == "valid":
        assert cookie_of(reply) == cookie
    else:
        assert is_fresh(cookie_of(reply), SOURCE)
    assert reply.rcode == NOERROR


@TRANSPORTS
def test_cook_10_without_a_question_there_is_a_cookie_alone(server: Server, transport: str) -> None:
    """RFC 7873 section 5.4; RFC 9619 keeps it."""
    for cookie in (CLIENT, cookie_of(server.says(asking(CLIENT)))):
        asked = head(counts=(0, 0, 0, 1)) + opt(option(COOKIE, cookie))
        reply = server.says_by(transport, asked)
        assert (reply.rcode, reply.question, reply.records) == (NOERROR, b"", ())
        assert is_fresh(cookie_of(reply), "127.0.0.1")
    broken = head(counts=(0, 0, 0, 1)) + opt(option(COOKIE, b"short"))
    assert server.says_by(transport, broken).rcode == FORMERR


@TRANSPORTS
def test_cook_11_errors_have_a_cookie_too(server: Server, transport: str) -> None:
    """So a client learns it whatever it asks."""
    with_cookie = opt(option(COOKIE, CLIENT))
    packets = {
        NXDOMAIN: query("nope", "A", with_cookie),
        REFUSED: query("elsewhere.example.", "A", with_cookie),
        NOTIMP: query("@", "SOA", with_cookie, opcode=2),
        BADVERS: query("@", "SOA", opt(version=1)),  # whose options nobody knows
        FORMERR: query("@", "SOA", opt(option(COOKIE, CLIENT), option(8, b"\0\1\x18\0"))),
    }
    for rcode, packet in packets.items():
        reply = server.says_by(transport, packet)
        assert reply.rcode == rcode
        if rcode not in (BADVERS, FORMERR):
            assert is_fresh(cookie_of(reply), "127.0.0.1")


def test_cook_13_a_cookie_and_a_subnet_together(server: Server) -> None:
    plain = server.ask("geo", "A", opt(subnet("1.2.3.0/24")))
    reply = server.says(asking(CLIENT, "geo", "A", subnet("1.2.3.0/24")))
    assert reply.records == plain.records
    assert reply.opt is not None
    assert plain.opt is not None
    assert reply.opt.option(8) == plain.opt.option(8)
    assert is_fresh(cookie_of(reply), "127.0.0.1")


# ---- secrets --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rolling(
    another: Another, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Running, Server]]:
    """A server whose secrets change."""
    with another(tmp_path_factory.mktemp("rolling")) as running:
        yield running, Server(running.dns)


def test_cook_rollover_needs_no_restart_and_loses_no_client(
    rolling: tuple[Running, Server],
) -> None:
    """RFC 9018 section 5: first all know the new one, then it signs, then the old one goes."""
    running, server = rolling
    secret = running.folder / "secret"
    old = cookie_of(server.says(asking(CLIENT), source=SOURCE))
    for lines, signer, good in (
        ((SECRET, NEXT), SECRET, True),
        ((NEXT, SECRET), NEXT, True),
        ((NEXT,), NEXT, False),
    ):
        secret.write_text("".join(f"{line.hex()}\n" for line in lines))
        running.reload()
        before = counts(running)
        fresh = cookie_of(server.says(asking(CLIENT), source=SOURCE))
        assert is_fresh(fresh, SOURCE, signer)
        answer = cookie_of(server.says(asking(old), source=SOURCE))
        after = counts(running)
        assert (after["invalid"] == before["invalid"]) == good
        assert is_fresh(answer, SOURCE, signer)


def test_cook_08_a_cookie_outlives_a_restart(rolling: tuple[Running, Server]) -> None:
    """Also when the server made the secret itself, which nobody else may read."""
    running, server = rolling
    secret = running.folder / "secret"
    running.stop()
    secret.unlink()
    running.start()
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    cookie = cookie_of(server.says(asking(CLIENT), source=SOURCE))
    assert is_fresh(cookie, SOURCE, bytes.fromhex(secret.read_text().split()[0]))
    running.stop()
    running.start()
    assert cookie_of(server.says(asking(cookie), source=SOURCE)) == cookie
    assert counts(running)["valid"] == 1


def test_cook_off_is_an_option_that_nobody_knows(rolling: tuple[Running, Server]) -> None:
    """No cookie comes back, of no length; without a question there is nothing to ask."""
    running, server = rolling
    text = running.config.read_text()
    try:
        running.config.write_text(text.replace("cookies: { secret_file: secret }", "cookies: off"))
        running.reload()
        for length in (0, 3, 8, 24, 41):
            reply = server.says(asking(bytes(length), "geo", "A"))
            assert (reply.rcode, len(reply.answer)) == (NOERROR, 1)
            assert reply.opt is not None
            assert reply.opt.options == ()
        asked = head(counts=(0, 0, 0, 1)) + opt(option(COOKIE, CLIENT))
        assert server.says(asked).rcode == FORMERR
    finally:
        running.config.write_text(text)
        running.reload()


# ---- other servers with the same secret --------------------------------------------------

KNOT = """
server:
    rundir: "{folder}"
    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 1
database:
    storage: "{folder}"
mod-cookies:
  - id: shared
    secret: 0x{secret}
    badcookie-slip: 1
template:
  - id: default
    storage: "{folder}"
    journal-content: none
    global-module: mod-cookies/shared
zone:
  - domain: example.test.
    file: peer.zone
"""
NSD = """
server:
    ip-address: 127.0.0.1@{port}
    server-count: 1
    username: ""
    chroot: ""
    zonesdir: "{folder}"
    database: ""
    pidfile: "{folder}/nsd.pid"
    xfrdfile: "{folder}/xfrd.state"
    zonelistfile: "{folder}/zone.list"
    rrl-ratelimit: 0
    answer-cookie: yes
    cookie-secret: "{secret}"
    cookie-secret-file: "{folder}/none"
remote-control:
    control-enable: no
zone:
    name: example.test.
    zonefile: peer.zone
"""
POWERDNS = """
launch=bind
bind-config={folder}/named.conf
local-address=127.0.0.1
local-port={port}
socket-dir={folder}
config-dir={folder}
edns-cookie-secret={secret}
webserver=no
api=no
guardian=no
daemon=no
receiver-threads=1
setuid=
setgid=
"""
NAMED = 'zone "example.test" {{ type master; file "{folder}/peer.zone"; }};\n'
ZONE = """\
$ORIGIN example.test.
@ 300 SOA ns1 h 1 7200 900 1209600 60
@ 300 NS ns1
ns1 300 A 192.0.2.1
"""


@contextmanager
def serving_peer(name: str, folder: Path) -> Iterator[Server]:
    """Another server with our secret until the end of the block."""
    program = find(name)
    if program is None:
        pytest.skip(f"{name} is not installed")
    (port,) = free_ports(1)
    values = {"folder": folder, "port": port, "secret": SECRET.hex()}
    template = {"knotd": KNOT, "nsd": NSD, "pdns_server": POWERDNS}[name]
    config = folder / ("pdns.conf" if name == "pdns_server" else "server.conf")
    config.write_text(template.format(**values))
    (folder / "named.conf").write_text(NAMED.format(**values))
    (folder / "peer.zone").write_text(ZONE)
    command = {
        "knotd": [program, "-c", str(config)],
        "nsd": [program, "-d", "-c", str(config)],
        "pdns_server": [program, f"--config-dir={folder}"],
    }[name]
    log = folder / "peer.log"
    with open(log, "wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as peer:
        server = Server(port)
        try:
            wait_for(lambda: is_answering(server) or peer.poll() is not None, 20, log.read_text)
            assert peer.poll() is None, log.read_text()
            yield server
        finally:
            peer.terminate()


def is_answering(server: Server) -> bool:
    """Whether a server has begun to listen; TCP says so at once."""
    try:
        server.connect().close()
    except ConnectionRefusedError:
        return False
    return ask_peer(server, query("@", "SOA")).rcode == NOERROR


def ask_peer(server: Server, packet: bytes) -> Message:
    """A peer's reply to the address that the cookies are for; it may have several threads."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((SOURCE, 0))
        sock.connect((server.at, server.port))
        sock.settimeout(DEADLINE_S)
        sock.send(packet)
        return read(sock.recv(65535))


@pytest.mark.parametrize("name", ["knotd", "nsd", "pdns_server"])
def test_cook_07_others_with_the_same_secret_know_our_cookies_and_we_theirs(
    whole: Running, server: Server, name: str, tmp_path: Path
) -> None:
    with serving_peer(name, tmp_path) as peer:
        # Ours there. NSD gives back a good cookie as it is, others say BADCOOKIE to bad ones.
        ours = bake(CLIENT, now() - 600, SOURCE, SECRET)
        assert cookie_of(server.says(asking(ours), source=SOURCE)) == ours
        fresh = cookie_of(server.says(asking(CLIENT), source=SOURCE))
        for good in (ours, fresh):
            reply = ask_peer(peer, asking(good))
            assert (reply.rcode, len(reply.answer)) == (NOERROR, 1)
            assert cookie_of(reply)[:9] == CLIENT + b"\1"
        bad = ours[:-1] + bytes((ours[-1] ^ 1,))
        refusal = ask_peer(peer, asking(bad))
        if name == "nsd":
            assert cookie_of(ask_peer(peer, asking(ours))) == ours
            assert cookie_of(refusal)[:16] != bad[:16]
        else:
            assert refusal.rcode == BADCOOKIE
        # Theirs here.
        theirs = cookie_of(ask_peer(peer, asking(CLIENT)))
        before = counts(whole)
        assert cookie_of(server.says(asking(theirs), source=SOURCE)) == theirs
        after = counts(whole)
        assert {kind for kind in after if after[kind] != before[kind]} == {"valid"}
        assert is_fresh(theirs, SOURCE)
