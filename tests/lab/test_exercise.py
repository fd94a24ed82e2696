"""The drill in containers: what has to be there before it, and how it says what is not."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from gslb.lab.engine import Attachment, Container
from gslb.lab.exercise import check_lab, claim, main, read_token
from gslb.lab.mishap import BROKEN_ZONE, write_broken_zone
from gslb.lab.site import NETWORK_NUMBERS, SERVICES
from gslb.lab.world import LabError

NETWORKS = {name: f"world_{name}" for name in NETWORK_NUMBERS}
PLACES = tuple(Attachment(network, "", "", ()) for network in NETWORKS.values())
WHOLE = {name: Container(name, name, "world", True, False, 812, 0, PLACES) for name in SERVICES}


def refusal(found: dict[str, Container]) -> str:
    with pytest.raises(LabError) as raised:
        check_lab(found, NETWORKS)
    return str(raised.value)


def test_a_lab_that_is_up_and_whole_is_drilled() -> None:
    check_lab(WHOLE, NETWORKS)


def test_everything_that_is_missing_or_does_not_run_is_named_on_one_line() -> None:
    found = {name: one for name, one in WHOLE.items() if name != "parent"}
    found["web-iad"] = replace(found["web-iad"], running=False)
    assert refusal(found) == (
        "the lab is not up: parent is missing, web-iad is stopped;"
        " `make compose-lab` starts what is missing or stopped"
    )


def test_what_is_paused_is_to_be_unpaused() -> None:
    text = refusal({**WHOLE, "ns2": replace(WHOLE["ns2"], paused=True)})
    assert text.startswith("the lab is not up: ns2 is paused; `docker-compose unpause`")


def test_a_server_that_is_cut_off_already_is_to_be_made_anew() -> None:
    cut = replace(WHOLE["ns1-net"], attachments=PLACES[1:])
    assert refusal({**WHOLE, "ns1-net": cut}) == (
        "the lab is not up: ns1 is not in the network fra;"
        " `docker-compose up -d --force-recreate` makes the lab anew"
    )


def test_two_drills_never_run_in_one_lab(tmp_path: Path) -> None:
    another = pytest.raises(LabError, match="another drill is running in this lab")
    with claim(tmp_path), another, claim(tmp_path):
        pytest.fail("the second one runs")
    with claim(tmp_path):
        pass


def test_a_drill_that_was_killed_keeps_nobody_out(tmp_path: Path) -> None:
    program = (
        "import os, signal; from pathlib import Path; from gslb.lab.exercise import claim\n"
        "with claim(Path(os.environ['WORLD'])):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program], env={**os.environ, "WORLD": str(tmp_path)})
    with claim(tmp_path):
        pass


def test_without_the_servers_folder_it_says_who_mounts_it(tmp_path: Path) -> None:
    missing = pytest.raises(LabError, match="none: No such file or directory; the drill needs")
    with missing, claim(tmp_path / "none"):
        pytest.fail("it runs")


def test_the_token_is_a_line_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a-token\n", encoding="ascii")
    assert read_token(tmp_path / "token") == "a-token"
    (tmp_path / "token").write_bytes(b"\xff")
    with pytest.raises(LabError, match="cannot read the token for /metrics: it is not ASCII"):
        read_token(tmp_path / "token")
    with pytest.raises(LabError, match=r"No such file or directory$"):
        read_token(tmp_path / "none")


def test_the_broken_zone_can_be_read_by_every_server(tmp_path: Path) -> None:
    (tmp_path / "zones").mkdir()
    before = os.umask(0o077)
    try:
        write_broken_zone(tmp_path / BROKEN_ZONE)
    finally:
        os.umask(before)
    assert (tmp_path / BROKEN_ZONE).stat().st_mode & 0o777 == 0o644
    with pytest.raises(LabError, match=r"cannot write .*: No such file or directory"):
        write_broken_zone(tmp_path / "none" / BROKEN_ZONE)


def test_the_broken_zone_is_broken(tmp_path: Path) -> None:
    world = tmp_path / "world"
    (world / "zones").mkdir(parents=True)
    (world / "gslb.yaml").write_text("zones: zones/\n", encoding="utf-8")
    write_broken_zone(world / BROKEN_ZONE)
    run = subprocess.run(
        [sys.executable, "-m", "gslb", "check", "-c", str(world / "gslb.yaml")],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert '"198.18.1.999" is not an IPv4 address' in run.stdout + run.stderr


def test_without_an_engine_it_is_one_line_and_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--world", str(tmp_path), "--socket", str(tmp_path / "none"), "--project", "w"]
    assert main(arguments) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        f"drill: no Docker engine answers at {tmp_path}/none: no such file or directory;"
        " the drill needs it (docker-compose.yml mounts it)\n"
    )


def test_while_another_drill_runs_it_is_one_line_and_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with claim(tmp_path):
        assert main(["--world", str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        "drill: another drill is running in this lab; wait until it has ended\n"
    )
