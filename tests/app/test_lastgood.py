"""A start that finds a broken configuration serves the last good one, loudly."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from gslb.app import lastgood
from gslb.app.load import load

from running import CONFIG, ZONE, Running, wait_for

BROKEN = [
    pytest.param(CONFIG.replace("policies:", "policy:"), ZONE, id="an unknown key"),
    pytest.param(CONFIG + "\tzones: [", ZONE, id="no YAML"),
    pytest.param(CONFIG, ZONE + "bad A 1.2.3\n", id="a bad record"),
    pytest.param("", ZONE, id="an empty file"),
]


def keep(running: Running) -> None:
    """A copy of what is there now is kept, as by a start that finds nothing wrong with it."""
    path = str(running.config)
    assert lastgood.keep(path, load(path)) == ()


def ended(running: Running, *arguments: str) -> str:
    """The log of a start that is refused."""
    command = [sys.executable, "-m", "gslb", "serve", "-c", str(running.config), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize(("config", "zone"), BROKEN)
def test_a_broken_configuration_is_replaced_by_the_last_good_one(
    running: Running, config: str, zone: str
) -> None:
    keep(running)
    running.write(config, zone)
    running.start()
    assert running.addresses() == {"127.10.1.1"}
    assert running.get("/readyz")[0] == 200
    assert "gslb_config_last_good 1.0" in running.get("/metrics")[1]
    (line,) = running.events("last_good")
    assert f"config={running.config}" in line
    assert f"serves={running.folder}/state/last-good" in line
    assert "mend the new one and reload" in line
    assert [log for log in running.log.splitlines() if " error problem " in log]
    assert " error last_good " in running.log
    running.signal(signal.SIGHUP)
    (refused,) = running.wait_events("reload_failed", 1)
    assert 'kept="the last good configuration"' in refused
    running.write(zone=ZONE.replace('"hello"', '"mended"').replace("2026112001", "2026112002"))
    running.signal(signal.SIGHUP)
    (reload,) = running.wait_events("reload", 1)
    assert 'instead_of="the last good configuration"' in reload
    assert running.ask("txt", "TXT").answer[0][0].strings == (b"mended",)
    assert "gslb_config_last_good 0.0" in running.get("/metrics")[1]


def test_strict_refuses_what_is_broken_and_the_first_start_has_nothing_else(
    running: Running,
) -> None:
    running.write(CONFIG.replace("policies:", "policy:"))
    assert 'did you mean "policies"' in ended(running)
    running.write()
    keep(running)
    running.write(CONFIG.replace("policies:", "policy:"))
    said = ended(running, "--strict")
    assert 'did you mean "policies"' in said
    assert "last_good" not in said


def test_a_broken_secret_file_keeps_nobody_from_answers(running: Running) -> None:
    keep(running)
    (running.folder / "state" / "cookies").write_text("nonsense")
    assert "is no secret" in ended(running, "--strict")
    running.start()
    assert running.addresses() == {"127.10.1.1"}
    assert running.events("last_good")
    assert (running.folder / "state" / "cookies").read_text() == "nonsense"


def test_what_is_too_large_is_not_copied_and_the_copy_before_it_stays(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(running.config)
    copy = running.folder / "state" / "last-good" / "gslb.yaml"
    keep(running)
    before = copy.read_text()
    running.config.write_text(before + "# more\n")
    monkeypatch.setattr(lastgood, "MOST_OCTETS", len(before))
    (warning,) = lastgood.keep(path, load(path))
    assert warning.severity == "warning"
    assert "is not copied there: it has more than" in warning.what
    assert copy.read_text() == before


def test_a_good_reload_is_what_a_later_start_finds(running: Running) -> None:
    running.start()
    running.write(zone=ZONE.replace('"hello"', '"newer"').replace("2026112001", "2026112002"))
    running.signal(signal.SIGHUP)
    running.wait_events("reload", 1)
    running.write(zone="rubbish")
    running.signal(signal.SIGHUP)
    running.wait_events("reload_failed", 1)
    running.kill()
    running.start()
    assert running.ask("txt", "TXT").answer[0][0].strings == (b"newer",)


def test_a_copy_is_written_only_when_it_would_be_another_one(running: Running) -> None:
    keep(running)
    copy = running.folder / "state/last-good"
    first = copy.stat().st_ino
    running.start()
    assert copy.stat().st_ino == first
    running.signal(signal.SIGHUP)
    running.wait_events("reload", 1)
    assert copy.stat().st_ino == first
    (copy / "zones/gone.example.zone").write_text("")  # what is in it more would be served, too
    running.signal(signal.SIGHUP)
    running.wait_events("reload", 2)
    assert copy.stat().st_ino != first
    assert not (copy / "zones/gone.example.zone").exists()


def test_when_the_copy_is_broken_too_both_are_told(running: Running) -> None:
    keep(running)
    running.write(zone=ZONE + "bad A 1.2.3\n")
    copy = running.folder / "state/last-good/zones/gslb.example.com.zone"
    copy.write_text(ZONE + "\n\nworse A 4.5.6\n")
    said = ended(running)
    assert f"{running.folder}/zones/gslb.example.com.zone:10:" in said
    assert f"{copy}:12:" in said
    assert "the last good configuration cannot be loaded either" in said


def test_paths_mean_what_they_meant(running: Running, tmp_path: Path) -> None:
    """Zones outside the folder of gslb.yaml, included files, a state elsewhere."""
    zones = tmp_path.parent / f"{tmp_path.name}-zones"
    (zones / "parts").mkdir(parents=True)
    config = CONFIG.replace("zones: zones/", f"zones: ../{zones.name}\ngeo: {{{{ city: x.mmdb }}}}")
    config = config.replace("state: ./state", 'state: "var/my state"')
    running.write(config)
    text = ZONE + "$INCLUDE parts/more\n"
    (zones / "gslb.example.com.zone").write_text(text)
    (zones / "parts/more").write_text("more A 192.0.2.9\n$INCLUDE deep.inc\n")
    (zones / "parts/deep.inc").write_text("deep A 192.0.2.8\n")
    (zones / "unread").write_text("not copied")
    running.start()
    running.stop_process()
    kept = tmp_path / "var/my state/last-good"
    files = sorted(str(path.relative_to(kept)) for path in kept.rglob("*") if path.is_file())
    assert files == [
        "gslb.yaml",
        "origin",
        "zones/gslb.example.com.zone",
        "zones/parts/deep.inc",
        "zones/parts/more",
    ]
    assert kept.stat().st_mode & 0o777 == 0o700
    shutil.rmtree(zones)
    running.start()
    assert str(running.ask("deep").answer[0][0]) == "192.0.2.8"
    # A path in the copy leads where it did: relative to the real gslb.yaml.
    assert f"{tmp_path}/x.mmdb" in running.log
    assert not (kept.parent / "x.mmdb").exists()


def test_a_gslb_yaml_that_has_gone_is_known_by_its_path(running: Running) -> None:
    keep(running)
    running.config.unlink()
    running.start()
    assert running.addresses() == {"127.10.1.1"}
    running.stop_process()
    other = running.folder / "other.yaml"
    other.write_text("")
    running.folder.joinpath("state").rename(running.folder / "elsewhere")
    running.start(STATE_DIRECTORY=str(running.folder / "elsewhere"))
    running.stop_process()
    command = [sys.executable, "-m", "gslb", "serve", "-c", str(other)]
    state = {"STATE_DIRECTORY": str(running.folder / "elsewhere")}
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | state)
    assert done.returncode == 1  # what was kept is of another file
    assert "last_good" not in done.stderr


@pytest.fixture
def tiny(running: Running) -> Iterator[Path]:
    """The state directory, on a file system of its own."""
    state = running.folder / "state"
    state.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "gslb-test", str(state)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("cannot mount")
    yield state
    subprocess.run(["umount", "-l", str(state)], check=True)


def test_a_full_disk_costs_the_copy_and_nothing_else(running: Running, tiny: Path) -> None:
    running.start()
    with suppress(OSError), open(tiny / "filler", "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    before = sorted(path.name for path in tiny.iterdir())
    running.write(zone=ZONE.replace('"hello"', '"full"').replace("2026112001", "2026112002"))
    running.signal(signal.SIGHUP)
    running.wait_events("reload", 1)
    assert running.ask("txt", "TXT").answer[0][0].strings == (b"full",)
    (line,) = running.events("problem")
    assert "this configuration is not copied there: No space left on device" in line
    assert sorted(path.name for path in tiny.iterdir()) == before
    assert '"hello"' in (tiny / "last-good/zones/gslb.example.com.zone").read_text()
    (tiny / "filler").unlink()
    running.signal(signal.SIGHUP)
    running.wait_events("reload", 2)
    assert '"full"' in (tiny / "last-good/zones/gslb.example.com.zone").read_text()


def test_a_state_directory_that_is_read_only_is_said_and_answers_go_out(
    running: Running, tiny: Path
) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(tiny)], check=True)
    running.start()
    assert running.addresses() == {"127.10.1.1"}
    said = "\n".join(running.events("problem"))
    assert said.count("Read-only file system") == 4
    assert "the secret is in memory only: cookies will not survive a restart" in said
    subprocess.run(["mount", "-o", "remount,rw", str(tiny)], check=True)
    running.signal(signal.SIGHUP)
    running.wait_events("reload", 1)
    assert (tiny / "cookies").read_text().strip()
    assert (tiny / "last-good/gslb.yaml").exists()


def test_killed_in_the_middle_of_a_reload_a_start_finds_a_whole_copy(running: Running) -> None:
    running.start()
    draft = running.folder / "state/last-good.new"
    running.write(zone=ZONE.replace('"hello"', '"killed"').replace("2026112001", "2026112002"))
    for number in range(5):
        running.signal(signal.SIGHUP)
        wait_for(lambda: bool(running.children()))
        child = running.children()[0]
        wait_for(lambda: draft.exists() or not Path(f"/proc/{child}").exists())  # noqa: B023
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        wait_for(lambda: outcomes(running) > number)  # noqa: B023
    running.kill()
    running.write(zone="rubbish")
    running.start()
    assert running.ask("txt", "TXT").answer[0][0].strings in [(b"hello",), (b"killed",)]


def outcomes(running: Running) -> int:
    """How many reloads have ended."""
    return len(running.events("reload")) + len(running.events("reload_failed"))
