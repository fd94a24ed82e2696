"""Every limit there is: it holds, it counts, and its setting moves it (dns.md 8.4).

Each test reaches one limit of a running server, over its sockets, and reads the metric there.
"""

from __future__ import annotations

import http.client
import re
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dns.message
import dns.query
import pytest
from gslb.control.gate import PER_SOURCE
from gslb.core.setting import Limits, Settings, TcpLimits
from gslb.observe.metrics import CAPS

from running import ZONE, Running, free_ports, wait_for

TESTS = Path(__file__).parents[1]
# A chain of five aliases, and a name with more hosts than get their addresses added.
STATIC = """\
c1 CNAME c2
c2 CNAME c3
c3 CNAME c4
c4 CNAME c5
c5 CNAME txt
$GENERATE 1-5 mx MX 1 h$
$GENERATE 1-5 h$ A 192.0.2.$
"""
CONFIG = """\
server: {{ listen: "127.0.0.1:{dns}", state: ./state, rate_limit: off, {server} }}
control: {{ listen: "127.0.0.1:{control}", {more_control} }}
probe: {{ allow: [127.0.0.0/8], {probe} }}
checks: {{ web: {{ type: tcp, port: {port}, interval: 1s, timeout: 500ms, fall: 1, rise: 1 }} }}
pools:
  near: {{ check: web, endpoints: [127.10.1.1] }}
  far: {{ check: web, endpoints: [{endpoints}] }}
policies: {{ web: [near, far] }}
"""


class Capped(Running):
    """A server whose settings are written as a test wants them."""

    def set(
        self,
        server: str = "",
        control: str = "",
        probe: str = "",
        zone: str = "",
        endpoints: str = "127.10.2.1",
    ) -> None:
        """Write the files; `server`, `control` and `probe` are keys beside those of every test."""
        self.write("", ZONE + STATIC + zone)
        text = CONFIG.format(
            dns=self.dns,
            control=self.control,
            port=self.port,
            server=server,
            more_control=control,
            probe=probe,
            endpoints=endpoints,
        )
        self.config.write_text(text)

    def reached(self, cap: str) -> int:
        """How often a limit was reached, as Prometheus is told."""
        status, page = self.get("/metrics")
        assert status == 200
        (value,) = re.findall(rf'^gslb_cap_total{{cap="{cap}"}} (.*)$', page, re.MULTILINE)
        return int(float(value))

    def connect(self, port: int | None = None, source: str = "127.0.0.1") -> socket.socket:
        """A TCP connection to the server."""
        address = ("127.0.0.1", port or self.dns)
        return socket.create_connection(address, 5, source_address=(source, 0))


Start = Callable[..., Capped]

TIGHT = {
    "server": "limits: { cname_chain: 3, additional: 2, udp_batch: 2 }, "
    "tcp: { connections: 3, per_source: 2, idle: 1h, message: 100ms, pipeline: 2 }",
    "control": "max_body: 2KiB",
}
WIDE = {
    "server": "limits: { cname_chain: 5, additional: 5, udp_batch: 41 }, "
    "tcp: { connections: 4, per_source: 3, idle: 1h, message: 1h, pipeline: 100000 }",
    "control": "max_body: 3KiB",
}


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[Capped]:
    """A server with settings until the end of the block."""
    server = Capped(folder, *free_ports(3))
    server.set(**settings)
    server.open("127.10.1.1", "127.10.2.1")
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Capped]:
    """A server whose limits are low."""
    with serving(tmp_path_factory.mktemp("tight"), **TIGHT) as server:
        yield server


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Capped]:
    """A server that began with the same low limits, and was told higher ones."""
    with serving(tmp_path_factory.mktemp("wide"), **TIGHT) as server:
        server.set(**WIDE)
        server.reload()
        yield server


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Capped]:
    """A server whose files tests change."""
    with serving(tmp_path_factory.mktemp("plain")) as server:
        yield server


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a server with settings."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(serving(tmp_path, **settings))


def query(name: str = "txt", rrtype: str = "TXT") -> bytes:
    """A query as TCP frames it."""
    wire = dns.message.make_query(f"{name}.gslb.example.com.", rrtype).to_wire()
    return struct.pack("!H", len(wire)) + wire


def is_closed(sock: socket.socket) -> bool:
    """Whether the other side ends a connection; waits for it."""
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


def answers(sock: socket.socket) -> bool:
    """Whether a query on a connection is answered."""
    try:
        sock.sendall(query())
        return len(sock.recv(65535)) > 12
    except OSError:
        return False


# ---- aliases, additional data ----------------------------------------------------------


def test_a_chain_of_aliases_is_followed_so_far_and_no_farther(tight, wide):
    answer = tight.ask("c1", "TXT").answer
    assert [str(rrset.name)[:2] for rrset in answer] == ["c1", "c2", "c3", "c4"]
    assert tight.reached("cname_chain") == 1
    tight.ask("c3", "TXT")
    assert tight.reached("cname_chain") == 1
    assert len(wide.ask("c1", "TXT").answer) == 6
    assert wide.reached("cname_chain") == 0


def test_so_many_names_get_their_addresses_added(tight, wide):
    assert len(tight.ask("mx", "MX").additional) == 2
    assert tight.reached("additional") == 1
    assert len(wide.ask("mx", "MX").additional) == 5
    assert wide.reached("additional") == 0


# ---- zones -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cap", "least", "most", "zone"),
    [
        ("rrset", 5, 6, "$GENERATE 1-6 many A 192.0.2.$\n"),
        ("types_per_name", 3, 4, "t A 192.0.2.1\nt AAAA ::1\nt TXT a\nt LOC 1 N 1 E 1m\n"),
        ("zone", 20, 60, "$GENERATE 1-20 z$ A 192.0.2.1\n"),
    ],
)
def test_a_zone_that_is_over_a_limit_is_refused_and_the_old_one_answers(
    plain, cap, least, most, zone
):
    plain.set(server=f"limits: {{ {cap}: {least} }}", zone=zone)
    plain.reload("reload_failed")
    problem = plain.events("problem")[-1]
    assert re.search(rf"gslb\.example\.com\.zone:\d+:?\d*: error: .*server\.limits\.{cap}", problem)
    assert plain.reached(cap) == 1
    assert plain.ask("txt", "TXT").answer
    plain.set(server=f"limits: {{ {cap}: {most} }}", zone=zone)
    plain.reload()
    assert plain.reached(cap) == 1


# ---- TCP -------------------------------------------------------------------------------


def deserted(server: Capped) -> Capped:
    """The server, when it has seen the connections of other tests end."""
    wait_for(lambda: "\ngslb_tcp_connections 0.0\n" in server.get("/metrics")[1])
    return server


@pytest.mark.parametrize(
    ("cap", "sources"),
    [("connections", ("127.0.1.1", "127.0.2.1")), ("per_source", ("127.0.0.1",))],
)
def test_the_most_idle_connection_goes_when_one_too_many_comes(tight, wide, cap, sources):
    with ExitStack() as stack:
        deserted(tight)
        first, *others = (
            stack.enter_context(tight.connect(source=source)) for source in ("127.0.0.1", *sources)
        )
        assert all(answers(each) for each in (*others, first))
        assert tight.reached(f"tcp_{cap}") == 0
        last = stack.enter_context(tight.connect())
        assert is_closed(others[0])
        assert all(answers(each) for each in (first, *others[1:], last))
        assert tight.reached(f"tcp_{cap}") == 1
    with ExitStack() as stack:
        deserted(wide)
        connections = [
            stack.enter_context(wide.connect(source=source))
            for source in ("127.0.0.1", *sources, "127.0.0.1")
        ]
        assert all(answers(each) for each in connections)
        assert wide.reached(f"tcp_{cap}") == 0


def test_a_connection_that_says_nothing_is_closed(plain):
    plain.set(server="tcp: { idle: 100ms }")
    plain.reload()
    with plain.connect() as idle:
        assert is_closed(idle)
    assert plain.reached("tcp_idle") == 1
    plain.set(server="tcp: { idle: 1h, message: 1h }")
    plain.reload()
    with plain.connect() as patient:
        assert answers(patient)
        assert plain.reached("tcp_idle") == 1


def test_a_message_that_does_not_end_is_given_up(tight):
    with deserted(tight).connect() as slow:
        slow.sendall(query()[:9])
        assert is_closed(slow)
    assert tight.reached("tcp_message") == 1


def test_beyond_so_many_queries_reading_pauses_and_nothing_is_lost(tight, wide):
    assert pipelined(deserted(tight), 300) == 300
    assert tight.reached("tcp_pipeline") > 0
    assert pipelined(deserted(wide), 300) == 300
    assert wide.reached("tcp_pipeline") == 0


def pipelined(server: Capped, queries: int) -> int:
    """How many answers so many queries get that are sent at once."""
    with server.connect() as sock:
        sock.sendall(query() * queries)
        sock.shutdown(socket.SHUT_WR)
        return frames(sock)


def frames(sock: socket.socket) -> int:
    """How many messages come until the end."""
    data = bytearray()
    while part := sock.recv(1 << 20):
        data += part
    count = at = 0
    while at < len(data):
        (length,) = struct.unpack_from("!H", data, at)
        at += 2 + length
        count += 1
    assert at == len(data), "the last message is whole"
    return count


# ---- UDP -------------------------------------------------------------------------------


def test_a_socket_with_many_packets_leaves_others_their_turn(tight, wide):
    flood(tight, 40)
    assert tight.reached("udp_batch") >= 19
    flood(wide, 40)
    assert wide.reached("udp_batch") == 0


def flood(server: Capped, queries: int) -> None:
    """So many queries wait when the server comes to look; each is answered."""
    wire = query()[2:]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", server.dns))
        sock.settimeout(10)
        server.signal(signal.SIGSTOP)
        for _ in range(queries):
            sock.send(wire)
        server.signal(signal.SIGCONT)
        assert all(len(sock.recv(4096)) > 12 for _ in range(queries))


# ---- log -------------------------------------------------------------------------------


def test_so_many_lines_of_one_kind_are_logged_in_a_second(start):
    closed = ", ".join(f"127.10.3.{number}" for number in range(1, 31))
    server = start(server="limits: { log_lines: 2 }", endpoints=closed)
    # 31 verdicts at the start, all within a moment.
    assert len(server.events("transition")) < 10
    assert "left_out of=transition lines_per_s=2" in server.events("left_out")
    left_out = server.reached("log_lines")
    assert left_out >= 20
    for endpoints in (closed, closed.replace(".3.", ".4.")):
        server.set(server="limits: { log_lines: 1000 }", endpoints=endpoints)
        server.reload()
    # These are all told, and the first of them how many had not been.
    assert len(server.events("transition")) >= 30
    assert any(f"suppressed={left_out}" in line for line in server.events("transition"))
    assert server.reached("log_lines") == left_out


# ---- the control address ---------------------------------------------------------------


def post(server: Capped, octets: int) -> int:
    """The status of a request with a body of so many octets."""
    connection = http.client.HTTPConnection("127.0.0.1", server.control, timeout=10)
    connection.putrequest("POST", "/healthz")
    connection.putheader("Content-Length", str(octets))
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()
    return status


def test_a_body_that_is_too_large_is_refused(tight, wide):
    assert post(tight, 2049) == 413
    assert post(tight, 2048) == 405
    assert tight.reached("max_body") == 1
    assert post(wide, 2049) == 405
    assert wide.reached("max_body") == 0


def test_a_source_has_so_many_connections_to_the_control_address(plain):
    held = [plain.connect(plain.control) for _ in range(PER_SOURCE)]
    with plain.connect(plain.control) as refused:
        assert refused.recv(4096).startswith(b"HTTP/1.1 503 ")
    for each in held:
        each.close()
    wait_for(lambda: plain.get("/healthz")[0] == 200)
    assert plain.reached("control_connections") >= 1


# ---- probes ----------------------------------------------------------------------------


def test_so_many_probes_are_under_way_and_the_others_wait(start):
    server = start(probe="concurrency: 1")
    assert server.reached("probe_concurrency") > 0  # two were due at the start
    assert server.addresses() == {"127.10.1.1"}
    server.set(probe="concurrency: 100")
    server.reload()
    waited = server.reached("probe_concurrency")
    good = 'probes_total{check="web",result="ok"}'
    at = server.metric(good)
    wait_for(lambda: server.metric(good) >= at + 2)
    assert server.reached("probe_concurrency") == waited


# ---- all of them -----------------------------------------------------------------------


def test_every_limit_has_a_test_a_metric_a_default_and_its_row_on_the_page():
    text = Path(__file__).read_text().partition("def test_every_limit")[0]
    settings = Settings()
    defaults = {
        **{name: getattr(settings.limits, name) for name in Limits.__dataclass_fields__},
        "tcp_connections": settings.tcp.connections,
        "tcp_per_source": settings.tcp.per_source,
        "tcp_idle": f"{settings.tcp.idle_s:g}s",
        "tcp_message": f"{settings.tcp.message_s:g}s",
        "tcp_pipeline": settings.tcp.pipeline,
        "max_body": f"{settings.max_body >> 10}KiB",
        "probe_concurrency": settings.probe.concurrency,
        "control_connections": PER_SOURCE,
    }
    assert set(defaults) == set(CAPS)
    assert len(TcpLimits.__dataclass_fields__) == sum(cap.startswith("tcp_") for cap in CAPS)
    page = (TESTS.parent / "docs" / "configuration.md").read_text()
    rows = dict(re.findall(r"^\| (?:`[\w.]+`|–) \| `(\w+)` \| (\w+) \|", page, re.MULTILINE))
    assert rows == {cap: str(default) for cap, default in defaults.items()}
    for cap in CAPS:
        short = cap.removeprefix("tcp_")
        assert f'"{cap}"' in text or f'("{short}"' in text, f"no test reaches {cap}"
