"""A real server whose cable is pulled: it is in a network namespace of its own, and its data
centers and its witness are in another one behind it. Needs root and iproute2."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from running import Running, wait_for

FRA, IAD, WITNESS = "10.61.1.1", "10.61.2.1", "10.61.3.1"
PORT = 28080
CONFIG = """\
server: {{ listen: ["127.0.0.1:{dns}"], state: ./state, rate_limit: off }}
control: {{ listen: "127.0.0.1:{control}" }}
zones: zones/
probe: {{ witness: [%s] }}
datacenters:
  fra: {{ at: [50.11, 8.68] }}
  iad: {{ at: [39.04, -77.49] }}
checks:
  web: {{ type: tcp, port: {port}, interval: 1s, timeout: 400ms, fall: 2, rise: 1 }}
pools:
  web-fra: {{ datacenter: fra, check: web, endpoints: [{{ ipv4: 10.61.1.1 }}] }}
  web-iad: {{ datacenter: iad, check: web, endpoints: [{{ ipv4: 10.61.2.1 }}] }}
policies:
  web: [web-fra, web-iad]
"""
# Lives in a namespace and does there what it is told, a line each: open and close endpoints, ask.
AGENT = """\
import socket, sys, urllib.request
import dns.message, dns.query
opened = {}
for line in sys.stdin:
    what, *words = line.split()
    reply = "done"
    if what == "open":
        opened[words[0]] = socket.create_server((words[0], int(words[1])), backlog=256)
    elif what == "close":
        opened.pop(words[0]).close()
    elif what == "ask":
        query = dns.message.make_query("www.gslb.example.com.", "A")
        answer = dns.query.udp(query, "127.0.0.1", timeout=5, port=int(words[0])).answer
        reply = " ".join(str(rdata) for rrset in answer for rdata in rrset)
    elif what == "failed":
        with urllib.request.urlopen(f"http://127.0.0.1:{words[0]}/metrics", timeout=10) as page:
            rows = page.read().decode().splitlines()
        rows = [row for row in rows if row.startswith("gslb_probes_total{") and "failed" in row]
        reply = str(sum(float(row.split()[-1]) for row in rows))
    print(reply, flush=True)
"""


def run_ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=10)


class Agent:
    """Hands in a namespace."""

    def __init__(self, namespace: str) -> None:
        self._process = subprocess.Popen(
            ["ip", "netns", "exec", namespace, sys.executable, "-c", AGENT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, *words: object) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def stop(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


class Cabled(Running):
    """A server in a namespace, and the cable to the other one."""

    def __init__(self, folder: Path, near: str, far: str) -> None:
        super().__init__(folder, 25300, 28053, PORT)
        self.near, self.far = near, far
        self.here, self.there = Agent(near), Agent(far)
        for address in (FRA, IAD, WITNESS):
            self.there.tell("open", address, PORT)

    def launch(self, *arguments: str, **environment: str) -> None:
        command = [sys.executable, "-m", "gslb", "serve", "-c", str(self.config), *arguments]
        with open(self.folder / "log", "w") as log:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", self.near, *command],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=os.environ | environment,
            )

    def begin(self, witness: str) -> None:
        self.write(CONFIG % witness)
        self.start()
        assert self.answer() == FRA

    def answer(self) -> str:
        return self.here.tell("ask", self.dns)

    def failed(self) -> float:
        """Probes that failed so far."""
        return float(self.here.tell("failed", self.control))

    def stay_cut(self, probes: int = 6) -> None:
        """Until so many probes have failed since the server knows that it is blind."""
        self.wait_events("blind", 1)
        before = self.failed()
        wait_for(lambda: self.failed() >= before + probes, 20, lambda: self.log)


@pytest.fixture
def cabled(tmp_path: Path) -> Iterator[Cabled]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("pulling cables needs root and iproute2")
    near, far = f"gslb-{os.getpid()}-near", f"gslb-{os.getpid()}-far"
    server: Cabled | None = None
    try:
        try:
            for namespace in (near, far):
                run_ip("netns", "add", namespace)
                run_ip("-n", namespace, "link", "set", "lo", "up")
            run_ip("-n", near, "link", "add", "cable", "type", "veth", "peer", "name", "plug")
            run_ip("-n", near, "link", "set", "plug", "netns", far)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network namespaces here: {error.stderr.decode().strip()}")
        run_ip("-n", near, "address", "add", "10.61.0.1/24", "dev", "cable")
        run_ip("-n", far, "address", "add", "10.61.0.2/24", "dev", "plug")
        for address in (FRA, IAD, WITNESS):
            run_ip("-n", far, "address", "add", f"{address}/32", "dev", "lo")
        run_ip("-n", near, "link", "set", "cable", "up")
        run_ip("-n", far, "link", "set", "plug", "up")
        run_ip("-n", near, "route", "add", "default", "via", "10.61.0.2")
        server = Cabled(tmp_path, near, far)
        yield server
    finally:
        if server is not None:
            if server.process is not None:
                server.stop()
            server.here.stop()
            server.there.stop()
        for namespace in (near, far):
            subprocess.run(["ip", "netns", "del", namespace], check=False, capture_output=True)


def test_cut_off_from_everything_and_its_witness_a_server_goes_on_as_before(
    cabled: Cabled,
) -> None:
    cabled.begin(f"tcp://{WITNESS}:{PORT}")
    run_ip("-n", cabled.far, "link", "set", "plug", "down")  # nobody answers any more
    cabled.stay_cut()
    assert "every witness fails" in cabled.events("blind")[0]
    assert cabled.answer() == FRA
    assert len(cabled.events("transition")) == 2  # those of the start
    run_ip("-n", cabled.far, "link", "set", "plug", "up")
    cabled.wait_events("blind", 2)
    assert cabled.answer() == FRA
    for address in (FRA, IAD):  # the witness answers: everything may be down
        cabled.there.tell("close", address)
    cabled.wait_events("transition", 4, 20)
    assert len(cabled.events("blind")) == 2


def test_without_a_witness_too_and_all_but_one_endpoint_down_is_an_outage(cabled: Cabled) -> None:
    cabled.begin("")
    run_ip("-n", cabled.near, "link", "set", "cable", "down")  # nothing can even be sent
    cabled.stay_cut()
    assert "no probe has succeeded" in cabled.events("blind")[0]
    assert cabled.answer() == FRA
    assert len(cabled.events("transition")) == 2
    run_ip("-n", cabled.near, "link", "set", "cable", "up")
    run_ip("-n", cabled.near, "route", "add", "default", "via", "10.61.0.2")
    cabled.wait_events("blind", 2)
    cabled.there.tell("close", FRA)
    wait_for(lambda: cabled.answer() == IAD, 20, lambda: cabled.log)
    assert len(cabled.events("blind")) == 2
