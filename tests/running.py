"""A real `gslb serve` in a folder of its own, for tests: real sockets, real files."""

from __future__ import annotations

import json
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import SystemRandom

import dns.edns
import dns.message
import dns.query

ZONE = """\
$ORIGIN gslb.example.com.
$TTL 300
@       SOA   ns1 hostmaster 2026112001 7200 900 1209600 60
        NS    ns1
        NS    ns2
ns1     A     192.0.2.53
ns2     A     198.51.100.53
www  30 STEER web
txt     TXT   "hello"
"""

CONFIG = """\
server:
  listen: ["127.0.0.1:{dns}", "[::1]:{dns}"]
  state: ./state
  rate_limit: off  # all clients of a test are one network
control: {{ listen: "127.0.0.1:{control}" }}
zones: zones/
probe: {{ allow: [127.0.0.0/8] }}
clients:
  near: [127.0.0.0/8]
  far: [203.0.113.0/24]
datacenters:
  fra: {{ at: [50.11, 8.68] }}
  iad: {{ at: [39.04, -77.49] }}
checks:
  web: {{ type: tcp, port: {port}, interval: 1s, timeout: 500ms, fall: 2, rise: 1 }}
pools:
  web-fra: {{ datacenter: fra, check: web, endpoints: [{{ ipv4: 127.10.1.1 }}] }}
  web-iad: {{ datacenter: iad, check: web, endpoints: [{{ ipv4: 127.10.2.1 }}] }}
policies:
  web:
    routes:
      - {{ from: far, to: [web-iad, web-fra] }}
      - {{ to: [web-fra, web-iad] }}
tests:
  - {{ ask: www.gslb.example.com A, from: 203.0.113.7, expect: [127.10.2.1] }}
  - {{ ask: www.gslb.example.com A, from: 192.0.2.7, down: [fra], expect: [127.10.2.1] }}
"""


def free_ports(count: int) -> list[int]:
    """Ports that nobody has, below those that Linux gives to clients: the tests have many.

    A server binds them seconds later, so each of pytest-xdist's workers draws from its own.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % workers
    found: list[int] = []
    draw = SystemRandom()
    while len(found) < count:
        port = draw.randrange(20001 + worker, 32768, workers)
        try:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(socket.AF_INET6, kind) as sock:
                    sock.bind(("::", port))  # of both families
        except OSError:
            continue
        if port not in found:
            found.append(port)
    return found


@dataclass
class Running:
    """The server's folder and, once started, its process."""

    folder: Path
    dns: int
    control: int
    port: int
    process: subprocess.Popen[str] | None = None
    listeners: dict[str, socket.socket] = field(default_factory=dict)
    told_before: int = 0  # characters of the log, to the tests that had this server earlier

    @property
    def config(self) -> Path:
        return self.folder / "gslb.yaml"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()[self.told_before :]

    def write(self, config: str = CONFIG, zone: str = ZONE) -> None:
        """Writes gslb.yaml and the zone."""
        ports = {"dns": self.dns, "control": self.control, "port": self.port}
        self.config.write_text(config.format(**ports))
        (self.folder / "zones").mkdir(exist_ok=True)
        (self.folder / "zones" / "gslb.example.com.zone").write_text(zone)

    def open(self, *addresses: str) -> None:
        """Endpoints begin to accept connections."""
        for address in addresses:
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((address, self.port))
            sock.listen(64)
            self.listeners[address] = sock

    def close(self, *addresses: str) -> None:
        """Endpoints refuse connections."""
        for address in addresses:
            self.listeners.pop(address).close()

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def launch(self, *arguments: str, **environment: str) -> None:
        """Starts the server, and does not wait for it."""
        self.told_before = 0
        with open(self.folder / "log", "w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gslb", "serve", "-c", str(self.config), *arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=os.environ | environment,
            )

    def start(self, *arguments: str, **environment: str) -> str:
        """Starts the server and waits for its ready line."""
        self.launch(*arguments, **environment)
        assert self.process is not None
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            assert selector.select(30), f"no ready line in 30 s\n{self.log}"
        line = self.process.stdout.readline()
        assert line.startswith("ready "), f"{line}\n{self.log}"
        return line

    def reload(self, kind: str = "reload") -> None:
        """Has the files read again; until the log tells what came of it."""
        known = len(self.events(kind))
        self.signal(signal.SIGHUP)
        self.wait_events(kind, known + 1)

    def renew(self) -> None:
        """For the next test: all as at the start, and the log as if empty."""
        endpoints = {"127.10.1.1", "127.10.2.1"}
        self.close(*self.listeners.keys() - endpoints)
        self.open(*endpoints - self.listeners.keys())
        files = (self.config, self.folder / "zones" / "gslb.example.com.zone")
        found = [path.read_text() for path in files]
        self.write()
        if found != [path.read_text() for path in files]:
            self.reload()
        wait_for(lambda: self.metric('pool_available{pool="web-fra"}') == 1)
        assert self.addresses() == {"127.10.1.1"}
        self.told_before += len(self.log)

    def signal(self, number: int) -> None:
        """Sends a signal."""
        assert self.process is not None
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        """SIGKILL; the endpoints stay open."""
        self.signal(signal.SIGKILL)
        self._ended()

    def stop_process(self) -> int:
        """SIGTERM; the exit status. The endpoints stay open."""
        self.signal(signal.SIGTERM)
        return self._ended()

    def _ended(self) -> int:
        assert self.process is not None
        status = self.process.wait(20)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        status = self._ended()
        for address in list(self.listeners):
            self.close(address)
        return status

    def ask(
        self, name: str = "www", rrtype: str = "A", network: str | None = None, tcp: bool = False
    ) -> dns.message.Message:
        """One query over the wire."""
        options = [dns.edns.ECSOption.from_text(network)] if network else []
        query = dns.message.make_query(
            f"{name}.gslb.example.com.", rrtype, use_edns=0, options=options
        )
        send = dns.query.tcp if tcp else dns.query.udp
        return send(query, "127.0.0.1", timeout=5, port=self.dns)

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a page of the control address; status 0 if it is not open."""
        try:
            url = f"http://127.0.0.1:{self.control}{path}"
            with urllib.request.urlopen(url, timeout=10) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except urllib.error.URLError:
            return 0, ""

    def metric(self, sample: str) -> float:
        """One sample of /metrics, without `gslb_`; 0 if it is not there."""
        lines = (line.rpartition(" ") for line in self.get("/metrics")[1].splitlines())
        return next((float(value) for name, _, value in lines if name == f"gslb_{sample}"), 0.0)

    @property
    def token(self) -> str:
        """The token that the server made at its first start."""
        return (self.folder / "state" / "token").read_text().strip()

    def call(self, method: str, path: str, body: object = None) -> tuple[int, dict[str, object]]:
        """Status and JSON of a call with the server's own token."""
        data = None if body is None else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self.control}{path}"
        request = urllib.request.Request(url, data, method=method)
        request.add_header("Authorization", f"Bearer {self.token}")
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=10) as reply:
                return reply.status, json.loads(reply.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def force(
        self, name: str, state: str, why: str = "a test", **more: object
    ) -> dict[str, object]:
        """Sets an override by the API."""
        status, body = self.call(
            "PUT", f"/v1/overrides/{name}", {"state": state, "why": why, **more}
        )
        assert status == 200, body
        return body

    def children(self) -> list[int]:
        """The processes that it has started and that still run."""
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in listed.split()]

    def events(self, kind: str) -> list[str]:
        """The lines of one kind in the log, without time and level."""
        lines = (line.split(" ", 2) for line in self.log.splitlines())
        return [line[2] for line in lines if len(line) == 3 and line[2].split(" ")[0] == kind]

    def wait_events(self, kind: str, count: int, seconds: float = 60) -> list[str]:
        """Until there are so many lines of a kind; the lines."""
        wait_for(lambda: len(self.events(kind)) >= count, seconds, lambda: self.log)
        return self.events(kind)

    def addresses(self, network: str | None = None) -> set[str]:
        """The addresses of www."""
        return {str(rdata) for rrset in self.ask(network=network).answer for rdata in rrset}

    def wait_log(self, text: str, seconds: float = 60) -> None:
        """Until the log says so."""
        wait_for(lambda: text in self.log, seconds, lambda: f"{text!r} not in\n{self.log}")


def wait_for(
    condition: Callable[[], bool], seconds: float = 60, complaint: Callable[[], str] = str
) -> float:
    """Polls until the condition holds; seconds it took.

    The longer it takes, the more rarely: to look costs what is looked at its processor, too.
    """
    started = time.monotonic()
    while not condition():
        passed = time.monotonic() - started
        assert passed < seconds, complaint()
        time.sleep(min(max(0.01, passed / 20), 0.05))
    return time.monotonic() - started


class Client:
    """Asks over UDP, at a steady rate and from several ports, and counts every query."""

    PORTS = 16
    PATIENCE_S = 10.0  # for what is still out at the end

    def __init__(self, port: int, name: str = "www", rrtype: str = "A", per_s: int = 1000) -> None:
        query = dns.message.make_query(f"{name}.gslb.example.com.", rrtype, use_edns=0)
        self._packet = query.to_wire()[2:]
        self._pause_s = 1 / per_s
        self._sockets = [
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(self.PORTS)
        ]
        for sock in self._sockets:
            sock.connect(("127.0.0.1", port))
            sock.setblocking(False)
        self._waiting: dict[int, float] = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.asked = 0
        self.lost = 0
        self.slowest_s = 0.0
        self.replies: Counter[bytes] = Counter()  # without their ids

    def __enter__(self) -> Client:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Waits for what is still out; what never comes is lost."""
        self._done.set()
        self._thread.join()
        for sock in self._sockets:
            sock.close()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._done.is_set():
            self._send()
            due += self._pause_s
            self._receive(max(0.0, due - time.monotonic()))
        ends = time.monotonic() + self.PATIENCE_S
        while self._waiting and time.monotonic() < ends:
            self._receive(0.1)
        self.lost += len(self._waiting)

    def _send(self) -> None:
        number = self.asked % 65536
        self.lost += number in self._waiting  # for a whole round of ids
        self.asked += 1
        self._waiting[number] = time.monotonic()
        with suppress(OSError):  # refused: an earlier reply's ICMP error; this query is not sent
            self._sockets[number % self.PORTS].send(number.to_bytes(2, "big") + self._packet)

    def _receive(self, seconds: float) -> None:
        ready, _, _ = select.select(self._sockets, [], [], seconds)
        for sock in ready:
            with suppress(OSError):
                reply = sock.recv(4096)
                sent = self._waiting.pop(int.from_bytes(reply[:2], "big"), None)
                if sent is not None:
                    self.slowest_s = max(self.slowest_s, time.monotonic() - sent)
                    self.replies[reply[2:]] += 1

    @property
    def unanswered(self) -> list[float]:
        """When those of the last 65536 queries were sent that have no reply (monotonic)."""
        return list(self._waiting.values())

    def messages(self) -> list[dns.message.Message]:
        """Every different reply."""
        return [dns.message.from_wire(b"\0\0" + reply) for reply in self.replies]
