"""The failover drill, end to end, and the live lab."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from gslb.lab.client import Census, Visit
from gslb.lab.drill import UnknownDrillError, find_drill
from gslb.lab.run import run_lab


def test_a_census_counts_clients_where_they_were_last_and_losses_where_they_happened() -> None:
    census = Census()
    for visit in (
        Visit(1.0, "London", "fra", ""),
        Visit(2.0, "London", "fra", "timeout"),
        Visit(3.0, "London", "iad", ""),
        Visit(3.0, "Tokyo", "", "no answer: timed out"),
    ):
        census.observe(visit)
    assert (census.clients_on("fra"), census.clients_on("iad")) == (0, 1)
    assert (census.requests["fra"], census.lost["fra"], census.lost[""]) == (2, 1, 1)


def test_an_unknown_drill_is_an_error_that_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UnknownDrillError, match='no drill "earthquake"; there are: failover'):
        find_drill("earthquake")
    with pytest.raises(ValueError, match="earthquake"):
        run_lab(str(tmp_path / "world"), "earthquake")
    assert not (tmp_path / "world").exists()


def start_lab(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "gslb", "lab", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_failover_drill_passes(tmp_path: Path) -> None:
    world = tmp_path / "world"
    with start_lab("--drill", "--folder", str(world), "--json", "failover") as lab:
        output, _ = lab.communicate(timeout=170)
    report = json.loads(output)
    assert [e for e in report["expectations"] if not e["passed"]] == []
    assert lab.returncode == 0
    passages = [passage["what"] for passage in report["passages"]]
    assert passages == ["failover", "recovery", "drain", "undrain"]
    assert (world / "server.log").exists()


@pytest.mark.slow
async def test_the_live_lab_says_what_to_try_and_stops_at_a_signal(tmp_path: Path) -> None:
    world = tmp_path / "world"
    lab = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gslb", "lab", "--folder", str(world)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert lab.stdout is not None
    pids: list[int] = []
    seen: list[str] = []
    async with asyncio.timeout(60):
        async for raw in lab.stdout:
            line = raw.decode()
            seen.append(line)
            if "pid" in line:
                pids.append(int(line.split("pid ")[1].split(";")[0]))
            if "kill -9" in line:
                pids.append(int(line.split("kill -9")[1]))
            if "nrt: healthy, server says up" in line:
                break
        lab.terminate()
        seen.append((await lab.stdout.read()).decode())
        assert await lab.wait() == 0, "".join(seen)
    text = "".join(seen)
    assert "+subnet=81.2.69.0/24" in text
    assert "/break" in text
    assert f"-c {world}/gslb.yaml" in text
    assert len(pids) == 4
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
