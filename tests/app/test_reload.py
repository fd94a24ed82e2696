"""Bad days: reloads and databases that fail, children that die, nothing left to open."""

from __future__ import annotations

import os
import resource
import shutil
import signal
from pathlib import Path

import pytest

from globe import city, write_database
from running import CONFIG, ZONE, Running, wait_for

GEODATA = Path(__file__).parents[2] / "geodata"
CITY = CONFIG.replace("zones: zones/", "zones: zones/\ngeo: {{ city: city.mmdb, asn: asn.mmdb }}")


def install(running: Running, content: bytes, name: str = "city.mmdb") -> None:
    """A new database, moved into its place."""
    draft = running.folder / "draft"
    draft.write_bytes(content)
    os.replace(draft, running.folder / name)


def test_a_hangup_is_heard_whenever_it_comes(running: Running) -> None:
    running.launch()
    assert running.process is not None
    assert running.process.stdout is not None
    running.wait_events("load", 1)
    running.signal(signal.SIGHUP)  # before there is anything to reload
    running.process.stdout.readline()
    running.signal(signal.SIGHUP)  # as soon as anybody can know that it is ready
    running.wait_events("reload", 1)
    running.signal(signal.SIGHUP)
    running.wait_events("reload", 2)
    assert running.addresses() == {"127.10.1.1"}


def test_a_hundred_hangups_are_a_few_reloads_and_leave_nothing_open(running: Running) -> None:
    running.start()
    folder = Path(f"/proc/{running.pid}/fd")
    for _ in range(3):
        done = len(running.events("reload"))
        before = len(list(folder.iterdir()))
        for _ in range(100):
            running.signal(signal.SIGHUP)
        running.wait_events("reload", done + 1)
    wait_for(lambda: not running.children())
    wait_for(lambda: len(list(folder.iterdir())) <= before)
    generations = [line.split("generation=")[1].split()[0] for line in running.events("reload")]
    assert len(generations) < 100
    assert generations == sorted(set(generations), key=int)


def test_a_loading_process_that_is_killed_changes_nothing(shared: Running) -> None:
    shared.signal(signal.SIGHUP)
    wait_for(lambda: bool(shared.children()))
    os.kill(shared.children()[0], signal.SIGKILL)
    shared.wait_events("reload_failed", 1)
    assert "killed by SIGKILL" in shared.log
    assert shared.addresses() == {"127.10.1.1"}
    shared.reload()


def test_out_of_descriptors_a_reload_fails_and_the_next_one_works(shared: Running) -> None:
    failed = shared.metric('reload_total{result="failed"}')
    before = resource.prlimit(shared.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(shared.pid, resource.RLIMIT_NOFILE, (3, before[1]))
    shared.reload("reload_failed")
    assert "cannot be started: Too many open files" in shared.log
    assert shared.addresses() == {"127.10.1.1"}
    resource.prlimit(shared.pid, resource.RLIMIT_NOFILE, before)
    shared.reload()
    assert shared.metric('reload_total{result="failed"}') == failed + 1
    assert "Traceback" not in shared.log


def test_a_process_that_may_open_few_files_raises_its_limit_or_says_so(lasting: Running) -> None:
    soft, hard = resource.prlimit(lasting.pid, resource.RLIMIT_NOFILE)
    assert soft == hard
    log = (lasting.folder / "log").read_text()  # since the start
    assert ("files may be open" in log) == (0 < hard < 1000 + 512)


def test_what_only_a_restart_changes_is_said_at_each_reload(shared: Running) -> None:
    shared.write(CONFIG.replace('"[::1]:{dns}"', '"127.0.0.2:{dns}"'))
    for _ in range(2):
        shared.reload()
    lines = shared.events("problem")
    assert len(lines) == 2
    assert all("server.listen: is as it was at the start" in line for line in lines)


def test_a_reload_names_what_changed_and_the_pools_of_new_endpoints(shared: Running) -> None:
    up = 'transitions_total{pool="web-iad",to="up"}'
    before = shared.metric(up)
    shared.open("127.10.3.1")
    known = "[{{ ipv4: 127.10.2.1 }}]"
    more = "[{{ ipv4: 127.10.2.1 }}, {{ ipv4: 127.10.3.1 }}]"
    config = CONFIG.replace(known, more).replace("[127.10.2.1]", "[127.10.2.1, 127.10.3.1]")
    shared.write(config, ZONE.replace("2026112001", "2026112002"))
    shared.reload()
    (line,) = shared.events("reload")
    assert 'zones="gslb.example.com. 2026112001..2026112002"' in line
    (new,) = (line for line in shared.events("transition") if "127.10.3.1" in line)
    assert "pools=web-iad" in new
    assert shared.metric(up) == before + 1


@pytest.mark.slow
def test_a_database_that_comes_late_is_swapped_in_and_bad_ones_are_refused(
    running: Running,
) -> None:
    good = (GEODATA / "lab.mmdb").read_bytes()
    running.write(CITY)
    running.start()
    assert len(running.events("problem")) == 2  # both are missing: no reason not to start
    install(running, good)
    (line,) = running.wait_events("geo_update", 1)
    assert "city.mmdb" in line
    assert 'databases="city of ' in line
    install(running, good[: len(good) // 2])
    (refused,) = running.wait_events("geo_refused", 1)
    assert 'errors=1 kept="the old state"' in refused
    assert "city.mmdb" in refused.partition("why=")[2]
    (running.folder / "city.mmdb").unlink()
    install(running, (GEODATA / "lab-asn.mmdb").read_bytes(), "asn.mmdb")
    # The map in use has gone from the disk, so this would lose it.
    running.wait_events("geo_refused", 2)
    install(running, good)
    assert 'databases="asn of ' in running.wait_events("geo_update", 2)[1]
    # What was known from the start was not told again and again.
    assert sum("asn.mmdb" in line for line in running.events("problem")) == 1
    assert 'gslb_events_total{kind="geo_refused"} 2.0' in running.get("/metrics")[1]
    assert running.addresses() == {"127.10.1.1"}


def test_a_database_under_which_tests_fail_is_refused(running: Running) -> None:
    config = CITY.replace(", asn: asn.mmdb", "").replace(
        "routes:", "routes:\n      - {{ from: brits, to: [web-iad, web-fra] }}"
    )
    config = config.replace("clients:", "clients:\n  brits: [GB]")
    test = "{{ ask: www.gslb.example.com A, from: 81.2.69.160, expect: [127.10.2.1] }}"
    running.write(f"{config}  - {test}\n")
    shutil.copy(GEODATA / "lab.mmdb", running.folder / "city.mmdb")
    running.start()
    assert running.addresses("81.2.69.0/24") == {"127.10.2.1"}
    france = {"81.2.69.0/24": city("FR", (48.9, 2.4), "EU")}
    write_database(running.folder / "city.mmdb", france)  # in place, too
    running.wait_events("geo_refused", 1)
    assert "expected 127.10.2.1, got 127.10.1.1" in running.log
    assert running.addresses("81.2.69.0/24") == {"127.10.2.1"}
