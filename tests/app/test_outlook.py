"""What health is made of, on a real server: reports, counted checks, loads, certificates."""

from __future__ import annotations

import datetime
import json
import signal
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import trustme

from running import CONFIG, Running, wait_for

FRA, IAD = {"127.10.1.1"}, {"127.10.2.1"}
CHECK = "web: {{ type: tcp, port: {port}, interval: 1s, timeout: 500ms, fall: 2, rise: 1 }}"
PUSHED = CONFIG.replace(CHECK, "web: {{ type: push, ttl: 2s }}")
COUNTED = CONFIG.replace(
    CHECK,
    CHECK.replace("web:", "page:")
    + "\n  clients: {{ type: push, ttl: 1h }}"
    + "\n  web: {{ type: calculated, of: [page, clients], need: 2 }}",
)
ONE_TOLD = CONFIG.replace(CHECK, CHECK + "\n  agent: {{ type: push, ttl: 1h }}").replace(
    "datacenter: iad, check: web", "datacenter: iad, check: agent"
)
SHED = CONFIG.replace(
    "web-fra: {{ datacenter: fra,",
    "web-fra: {{ shed: {{ low: 0.5, high: 0.9, interval: 1s }}, datacenter: fra,",
)


def report(running: Running, check: str, state: str, why: str = "") -> dict[str, object]:
    status, body = running.call(
        "PUT", f"/v1/checks/{check}/127.10.1.1", {"state": state, "why": why}
    )
    assert status == 200, body
    return body


def test_what_is_pushed_counts_at_once_and_silence_is_down(running: Running) -> None:
    running.write(PUSHED)
    running.start()
    assert running.addresses() == FRA  # nobody has said anything yet
    assert report(running, "web", "down", "5 % errors")["targets"] == 1
    assert running.addresses() == IAD
    assert 'why="reported down by local: 5 % errors"' in running.events("transition")[0]
    report(running, "web", "up")
    assert running.addresses() == FRA
    wait_for(lambda: running.addresses() == IAD, 10)
    assert "no report for 2 s" in running.events("transition")[-1]


def test_an_inverted_report_is_the_opposite_and_one_of_a_check_that_is_off_is_refused(
    running: Running,
) -> None:
    running.write(PUSHED.replace("ttl: 2s", "ttl: 2s, invert: true"))
    running.start()
    report(running, "web", "up", "the standby listens")
    assert running.addresses() == IAD
    line = running.events("transition")[0]
    assert 'why="reported up by local: the standby listens, and invert is set"' in line
    report(running, "web", "down")
    assert running.addresses() == FRA
    wait_for(lambda: running.addresses() == IAD, 10)  # silence is no good news, inverted or not
    running.write(PUSHED.replace("ttl: 2s", "ttl: 2s, enabled: false"))
    running.signal(signal.SIGHUP)
    running.wait_events("reload", 1)
    status, body = running.call("PUT", "/v1/checks/web/127.10.1.1", {"state": "down"})
    assert status == 400
    assert "not enabled" in str(body["detail"])


def test_a_health_page_that_lies_is_outvoted_by_clients_that_fail(running: Running) -> None:
    running.write(COUNTED)
    running.start()
    report(running, "clients", "up")
    wait_for(lambda: running.addresses() == FRA, 10)
    report(running, "clients", "down", "one request in three fails")
    assert running.addresses() == IAD
    (line,) = [
        line for line in running.events("transition") if "check=web" in line and "down" in line
    ]
    assert "1 of 2 up, 2 needed: clients down" in line
    report(running, "clients", "up")
    assert running.addresses() == FRA
    running.close("127.10.1.1")
    wait_for(lambda: running.addresses() == IAD, 10)


def test_the_only_probed_data_center_may_die_beside_one_that_reports(running: Running) -> None:
    running.write(ONE_TOLD)
    running.start()
    status, body = running.call("PUT", "/v1/checks/agent/127.10.2.1", {"state": "up", "why": ""})
    assert status == 200, body
    assert running.addresses() == FRA
    running.close("127.10.1.1")
    wait_for(lambda: running.addresses() == IAD, 10)
    assert running.events("blind") == []


def test_the_health_of_every_target_is_told_with_its_evidence(running: Running) -> None:
    running.write(COUNTED)
    running.start()
    running.close("127.10.1.1")
    running.wait_events("transition", 3)
    status, body = running.call("GET", "/v1/health")
    assert status == 200
    assert body["blind"] is None
    targets = {(t["check"], t["address"]): t for t in body["targets"]}  # type: ignore[attr-defined]
    assert len(targets) == 6
    page = targets["page", "127.10.1.1"]
    assert (page["state"], page["evidence"]["to"]) == ("down", "down")
    assert page["evidence"]["reasons"] == ["connect refused", "connect refused"]
    assert targets["page", "127.10.2.1"]["latency"]["ewma_s"] > 0
    web = targets["web", "127.10.2.1"]
    assert web["endpoints"] == [{"pool": "web-iad", "endpoint": "127.10.2.1", "forced": None}]


def test_a_loaded_pool_sheds_to_where_its_policy_sends_it(running: Running) -> None:
    running.write(SHED)
    running.start()

    def share() -> object:
        status, body = running.call("PUT", "/v1/pools/web-fra/load", {"load": 0.8})
        assert status == 200, body
        return body["share"]

    assert share() == 100
    wait_for(lambda: share() != 100, 10)
    wait_for(lambda: any(running.addresses() == IAD for _ in range(100)), 10)
    assert any(running.addresses() == FRA for _ in range(100))
    assert "load 0.80" in running.events("overload")[0]
    status, problem = running.call("PUT", "/v1/pools/web-iad/load", {"load": 0.8})
    assert (status, problem["detail"]) == (
        400,
        'pool "web-iad" has no "shed": its load changes nothing',
    )


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"load": 0.25}).encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def secure_page(running: Running, days: float) -> Iterator[None]:
    """A page on both endpoints whose certificate expires in so many days."""
    authority = trustme.CA()
    ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    certificate = authority.issue_cert("127.10.1.1", "127.10.2.1", not_after=ends)
    authority.cert_pem.write_to_path(str(running.folder / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    running.close(*running.listeners)
    servers = [ThreadingHTTPServer((a, running.port), _Page) for a in ("127.10.1.1", "127.10.2.1")]
    threads = [threading.Thread(target=server.serve_forever, args=(0.05,)) for server in servers]
    for server, thread in zip(servers, threads, strict=True):
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread.start()
    yield
    for server, thread in zip(servers, threads, strict=True):
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_certificate_about_to_expire_is_an_event_while_all_is_well(running: Running) -> None:
    https = "web: {{ type: https, port: {port}, ca_file: ca.pem, load: /load, interval: 5s }}"
    running.write(CONFIG.replace(CHECK, https))
    with secure_page(running, 3.5):
        running.start()
        lines = running.wait_events("certificate", 2, 30)
        assert all("it expires in 3.5 d" in line for line in lines)
        assert running.addresses() == FRA

        def targets() -> list[dict[str, object]]:
            return running.call("GET", "/v1/health")[1]["targets"]  # type: ignore[return-value]

        wait_for(lambda: all(target["load"] == 0.25 for target in targets()), 30)
        assert all(str(target["load_at"]).startswith("20") for target in targets())
        assert str(targets()[0]["certificate_expires"]).startswith("20")
        _, kept = running.call("GET", "/v1/events")
        kinds = [each["kind"] for each in kept["events"]]  # type: ignore[attr-defined]
        assert kinds.count("certificate") == 2
        assert "start" in kinds
