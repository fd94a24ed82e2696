"""The whole server as a process: start, answers, failover, reload, stop."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys

import dns.rcode
import pytest

from running import CONFIG, ZONE, Running, wait_for


def test_it_answers_over_udp_and_tcp_and_stops_cleanly(running: Running) -> None:
    line = running.start()
    assert f"listen=127.0.0.1:{running.dns},[::1]:{running.dns}" in line
    assert running.addresses() == {"127.10.1.1"}
    reply = running.ask(network="203.0.113.0/24")
    assert str(reply.answer[0][0]) == "127.10.2.1"
    assert reply.options[0].scopelen == 24
    assert running.ask("txt", "TXT", tcp=True).answer[0][0].strings == (b"hello",)
    assert running.ask("nope").rcode() == dns.rcode.NXDOMAIN
    assert running.stop() == 0
    assert "Traceback" not in running.log


def test_a_region_that_fails_is_left_and_comes_back(shared: Running) -> None:
    shared.close("127.10.1.1")
    shared.wait_log("to=down")
    # The verdict is logged when it is published: the next answer already follows it.
    assert shared.addresses() == {"127.10.2.1"}
    shared.open("127.10.1.1")
    wait_for(lambda: shared.addresses() == {"127.10.1.1"})


def test_what_is_down_at_the_start_is_never_answered(running: Running) -> None:
    running.close("127.10.1.1")
    running.start()
    assert running.addresses() == {"127.10.2.1"}


def test_a_failing_endpoint_shortens_the_ttl_before_the_verdict(running: Running) -> None:
    running.write(CONFIG.replace("fall: 2", "fall: 10"))
    running.start()
    assert running.ask().answer[0].ttl == 30
    running.close("127.10.1.1")
    # Up to ten probes, one a second, are left until the verdict; ttl_min is 30 / 4.
    wait_for(lambda: running.ask().answer[0].ttl <= 10)
    assert running.addresses() == {"127.10.1.1"}


def test_a_reload_takes_over_zones_and_policies(shared: Running) -> None:
    shared.write(
        CONFIG.replace("[web-fra, web-iad]", "[web-iad, web-fra]"),
        ZONE.replace('"hello"', '"changed"'),
    )
    shared.reload()
    assert shared.addresses() == {"127.10.2.1"}
    assert shared.ask("txt", "TXT").answer[0][0].strings == (b"changed",)


@pytest.mark.parametrize(
    ("config", "zone", "place", "what"),
    [
        (CONFIG, ZONE + "bad IN A 1.2.3\n", "gslb.example.com.zone:10:", "1.2.3"),
        (CONFIG.replace("[web-fra, web-iad]", "[web-sfo]"), ZONE, "gslb.yaml:23:", "web-fra"),
        (CONFIG.replace("expect: [127.10.2.1]", "expect: [127.10.9.9]"), ZONE, "gslb.yaml:", "got"),
        (CONFIG + "zones: elsewhere/\n", ZONE, "gslb.yaml:", "zones"),
        (
            CONFIG.replace("type: tcp, port", "type: https, ca_file: typo.pem, port"),
            ZONE,
            'check "web"',
            'ca_file: "typo.pem" cannot be read',
        ),
    ],
)
def test_a_broken_reload_is_refused_and_answers_go_on(
    shared: Running, config: str, zone: str, place: str, what: str
) -> None:
    shared.write(config, zone)
    shared.reload("reload_failed")
    assert shared.addresses() == {"127.10.1.1"}
    problem = next(line for line in shared.log.splitlines() if place in line)
    assert what in problem
    shared.write()
    shared.reload()


def test_a_port_in_use_is_one_line_that_names_the_holder(running: Running) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", running.dns))
        done = subprocess.run(
            [sys.executable, "-m", "gslb", "serve", "-c", str(running.config)],
            capture_output=True,
            text=True,
            timeout=30,
        )
    assert done.returncode == 1
    assert "in use" in done.stderr
    assert "pid" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_configuration_does_not_start(running: Running) -> None:
    running.write(CONFIG.replace("policies:", "policy:"))
    done = subprocess.run(
        [sys.executable, "-m", "gslb", "serve", "-c", str(running.config)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 1
    assert 'did you mean "policies"' in done.stderr
    assert "Traceback" not in done.stderr


def test_failing_tests_do_not_prevent_a_start(running: Running) -> None:
    running.write(CONFIG.replace("expect: [127.10.2.1]", "expect: [127.10.9.9]"))
    running.start()
    assert running.addresses() == {"127.10.1.1"}
    assert "expected 127.10.9.9, got 127.10.2.1" in running.log


def test_the_control_address_tells(shared: Running) -> None:
    answers = 'answers_total{policy="web",pool="web-fra"}'
    before = shared.metric(answers)
    shared.ask()
    assert shared.get("/readyz")[0] == 200
    assert shared.metric(answers) == before + 1
    assert shared.metric('pool_available{pool="web-fra"}') == 1
    path = "/v1/explain?name=www.gslb.example.com&from=203.0.113.9&down=iad"
    body = json.loads(shared.get(path)[1])
    assert body["answer"] == ["127.10.1.1"]
    assert body["scope"] == 24
    assert body["steps"]


def test_every_line_and_the_ready_line_say_which_server_it_is(running: Running) -> None:
    ready = running.start("--log", "json")
    assert running.stop() == 0
    load, *_, start, stop = (json.loads(line) for line in running.log.splitlines())
    assert (load["kind"], load["pid"], load["config"]) == ("load", running.pid, str(running.config))
    assert (start["kind"], start["engine"], start["zones"]) == ("start", "python", 1)
    assert (stop["kind"], stop["why"]) == ("stop", "SIGTERM")
    assert f"generation={start['generation']} pid={running.pid}" in ready


def test_it_is_alive_but_not_ready_while_it_waits_for_the_first_verdicts(running: Running) -> None:
    running.write(CONFIG.replace("fall: 2", "fall: 60").replace("timeout: 500ms", "timeout: 999ms"))
    running.close("127.10.1.1")
    running.launch()
    wait_for(lambda: running.get("/healthz")[0] == 200, complaint=lambda: running.log)
    status, body = running.get("/readyz")
    assert (status, "not ready" in body) == (503, True)
    assert running.stop() == 0
    assert running.events("stop") == ["stop why=SIGTERM"]
    assert running.events("start") == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_ready_line_that_cannot_be_written_is_no_reason_not_to_answer(running: Running) -> None:
    with open("/dev/full", "w") as full, open(running.folder / "log", "w") as log:
        command = [sys.executable, "-m", "gslb", "serve", "-c", str(running.config)]
        running.process = subprocess.Popen(command, stdout=full, stderr=log, text=True)
    running.wait_log("the ready line cannot be written: No space left on device")
    assert running.addresses() == {"127.10.1.1"}
    running.signal(signal.SIGTERM)
    assert running.process.wait(20) == 0


def test_a_second_signal_stops_at_once(running: Running) -> None:
    running.start()
    running.signal(signal.SIGTERM)
    running.signal(signal.SIGINT)
    assert running.process is not None
    # The first may have done its work already; then the second finds Python about to end. If
    # both came in one turn, Python tells of them in the order of their numbers.
    assert running.process.wait(10) in (0, 130, 143, -signal.SIGINT)


@pytest.mark.parametrize(
    ("module", "others"),
    [
        # Before the loading process runs, nothing is imported that takes its time.
        ("gslb.app.serve", "aiohttp prometheus_client numpy gslb.core.world gslb.app.start"),
        # That process answers nobody, and does without numpy if nothing is steered.
        ("gslb.app.loading", "aiohttp prometheus_client asyncio numpy geoip2"),
    ],
)
def test_both_halves_of_a_start_do_without_what_the_other_needs(module: str, others: str) -> None:
    program = f"import sys, {module}; print([m for m in {others.split()} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (run.stdout.strip(), run.stderr) == ("[]", "")


def test_no_module_comes_from_the_working_folder(running: Running) -> None:
    for name in ("pickle", "uuid", "yaml", "ipaddress"):
        (running.folder / f"{name}.py").write_text("raise SystemExit('of the working folder')\n")
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "gslb", "serve", "-c", "gslb.yaml"],
        cwd=running.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    ready = process.stdout.readline()
    process.terminate()
    log = process.communicate()[1]
    assert ready.startswith("ready "), log
    assert process.returncode == 0


WITHOUT_IPV6 = """\
ip link set lo up
echo 1 > /proc/sys/net/ipv6/conf/lo/disable_ipv6
exec "$@"
"""


def _without_ipv6(running: Running) -> subprocess.Popen[str]:
    """The server in a network of its own that has no ::1."""
    if subprocess.run(["unshare", "-n", "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs network namespaces: root")
    command = ["unshare", "-n", "sh", "-c", WITHOUT_IPV6, "sh", sys.executable, "-m", "gslb"]
    return subprocess.Popen(
        [*command, "serve", "-c", str(running.config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_default_leaves_out_an_ipv6_loopback_that_is_not_there(running: Running) -> None:
    running.write(CONFIG.replace('  listen: ["127.0.0.1:{dns}", "[::1]:{dns}"]\n', ""))
    process = _without_ipv6(running)
    assert process.stdout is not None
    assert "listen=127.0.0.1:5300 " in process.stdout.readline()
    process.terminate()
    assert "this machine has no ::1" in process.communicate()[1]
    assert process.returncode == 0


def test_an_address_that_was_asked_for_and_is_not_there_refuses_the_start(running: Running) -> None:
    log = _without_ipv6(running).communicate()[1]
    assert f"cannot listen on [::1]:{running.dns}" in log
