"""The drill in containers: `docker-compose run --rm drill`.

    python -m gslb.lab.exercise [--json] [--project NAME]

Knows: the order of the acts, what has to be there before the first one, the exit status.
Refuses to know: what an act does. Invariant: however it ends, everything that it broke is put
back, or a line says what is not and what to do; two drills never run in one lab.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import ClientSession, ClientTimeout, TCPConnector

from gslb.lab.drain import act_drained
from gslb.lab.engine import SOCKET, Container, Engine, EngineError, open_engine
from gslb.lab.mishap import BROKEN_ZONE, OTHER, act_killed, act_misled, act_paused
from gslb.lab.outage import (
    STOPPED,
    act_all_back,
    act_everything_down,
    act_first_back,
    act_steady,
    act_stopped,
    await_peace,
    expect_few_changes,
)
from gslb.lab.report import Report
from gslb.lab.scene import Scene, restore
from gslb.lab.screen import Screen
from gslb.lab.site import NETWORK_NUMBERS, SERVERS, SERVICES
from gslb.lab.stub import NoAnswer, Question, ask
from gslb.lab.termination import cancel_on_signals
from gslb.lab.watch import Watch
from gslb.lab.world import NAME, LabError

DRILL: Final = "containers"
LOOK_MAX_S: Final = 5.0  # a page of a client or a server, on a busy machine
RESTORE_MAX_S: Final = 25.0  # docker-compose.yml gives the drill 30 s to stop
REMEDY: Final = "`make compose-lab` starts what is missing or stopped"


@dataclass(frozen=True, slots=True)
class Tools:
    """Where the drill finds what it needs. `project` "": that of the container it runs in."""

    socket: Path
    world: Path  # the folder that ns1 and ns2 serve
    token: Path
    project: str


async def run_exercise(tools: Tools, screen: Screen) -> bool:
    """Runs the drill; True if every expectation held. Raises LabError if it cannot run."""
    cancel_on_signals()
    clock = asyncio.get_running_loop().time
    report = Report(DRILL, screen, clock, clock())
    with claim(tools.world):
        try:
            async with open_engine(tools.socket) as engine:
                await _run_in(engine, tools, report)
        except asyncio.CancelledError:
            screen.say(f"drill {DRILL}: interrupted")
            return False
        except LabError:
            if report.expectations:  # what held until then is worth telling
                report.close()
            raise
    report.close()
    return report.passed


async def _run_in(engine: Engine, tools: Tools, report: Report) -> None:
    project = tools.project or await find_own_project(engine)
    found = await engine.find_services(project)
    if not found:
        raise LabError(f"the lab is not up: project {project} has no containers; {REMEDY}")
    networks = await engine.find_networks(project)
    check_lab(found, networks)
    (tools.world / BROKEN_ZONE).unlink(missing_ok=True)  # of a drill that was killed
    found = {name: found[name] for name in SERVICES}
    # Each look is a connection of its own: kept ones would not outlive what the drill does.
    async with ClientSession(
        connector=TCPConnector(limit=0, force_close=True), timeout=ClientTimeout(total=LOOK_MAX_S)
    ) as session:
        watch = Watch(session, read_token(tools.token))
        for server in watch.servers:  # a wrong token is to be told before anything is broken
            await watch.read_samples(server)
        watching = asyncio.create_task(watch.run())
        try:
            scene = Scene(engine, watch, report, found, networks, await read_ttl())
            await run_acts(scene, tools.world)
        finally:
            watching.cancel()
            await asyncio.wait([watching])  # whatever became of it: putting back comes first
            await put_back(engine, found, report)


async def run_acts(scene: Scene, world: Path) -> None:
    """All of it, in order; a minute and a half. Raises LabError if it cannot begin."""
    await await_peace(scene)
    try:
        before = await scene.watch.read_samples(OTHER)
        await act_steady(scene)
        await act_stopped(scene)
        await act_killed(scene, STOPPED)
        await act_everything_down(scene)
        await act_first_back(scene)
        await act_all_back(scene)
        await act_drained(scene)
        await act_paused(scene)
        await act_misled(scene, world)
        expect_few_changes(scene.report, before, await scene.watch.read_samples(OTHER))
    except LabError as error:
        # What held until then is worth telling.
        scene.report.expect("the drill comes to its end", False, str(error))


async def put_back(engine: Engine, found: dict[str, Container], report: Report) -> None:
    """Puts back what is not as it was found, and says so. Raises EngineError if it cannot."""
    try:
        async with asyncio.timeout(RESTORE_MAX_S):
            done = await restore(engine, found)
    except TimeoutError:
        raise EngineError(
            f"not everything could be put back in {RESTORE_MAX_S:.0f} s; `docker-compose down`"
            " and `up -d` make the lab anew"
        ) from None
    if done:
        report.mark(f"put back: {', '.join(done)}")


@contextmanager
def claim(world: Path) -> Iterator[None]:
    """Keeps other drills out, for as long as this process lives at most. Raises LabError."""
    try:
        folder = os.open(world, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise LabError(
            f"{world}: {error.strerror}; the drill needs the folder that ns1 and ns2 serve"
            " (docker-compose.yml mounts it)"
        ) from None
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LabError(
                "another drill is running in this lab; wait until it has ended"
            ) from None
        yield
    finally:
        os.close(folder)


async def find_own_project(engine: Engine) -> str:
    """The Compose project of the container this runs in. Raises LabError."""
    own = await engine.inspect(socket.gethostname())
    if own is None or not own.project:
        raise LabError(
            "this is no container of docker-compose.yml; use `docker-compose run --rm drill`,"
            " or say --project NAME"
        )
    return own.project


def check_lab(found: dict[str, Container], networks: dict[str, str]) -> None:
    """Raises LabError unless the lab is up and whole; one line says all that is missing."""
    wrong = [f"{name} is missing" for name in SERVICES if name not in found]
    wrong += [
        f"{name} is {found[name].state}"
        for name in SERVICES
        if name in found and found[name].state != "running"
    ]
    wrong += [
        f"{server.name} is not in the network {network}"
        for server in SERVERS
        for network in NETWORK_NUMBERS
        if server.net in found and found[server.net].attachment(networks.get(network, "")) is None
    ]
    if not wrong:
        return
    remedies = [REMEDY]
    if any("paused" in what for what in wrong):
        remedies = ["`docker-compose unpause` lets go on what is paused", *remedies]
    if any("network" in what for what in wrong):
        remedies = ["`docker-compose up -d --force-recreate` makes the lab anew"]
    raise LabError(f"the lab is not up: {', '.join(wrong)}; {', '.join(remedies)}")


def read_token(path: Path) -> str:
    """What the servers' control addresses ask for. Raises LabError."""
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not ASCII"
        raise LabError(f"{path}: cannot read the token for /metrics: {why}") from None


async def read_ttl() -> int:
    """The TTL of the name that is watched, from a server itself. Raises LabError."""
    server = SERVERS[0]
    try:
        reply = await ask(server.dns, Question(NAME))
    except NoAnswer as error:
        raise LabError(f"{server.name} does not answer for {NAME}: {error}") from None
    return reply.ttl_s


def make_parser() -> argparse.ArgumentParser:
    """The command line; docker-compose.yml mounts everything where the defaults look for it."""
    parser = argparse.ArgumentParser(
        prog="python -m gslb.lab.exercise",
        description="Breaks one thing after the other in the lab of docker-compose.yml and checks "
        "what clients saw; exit status 0 only if every expectation held.",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object at the end")
    parser.add_argument("--project", default="", help="Compose's project; default: its own")
    parser.add_argument("--socket", type=Path, default=SOCKET, help="the Docker engine's socket")
    parser.add_argument(
        "--world", type=Path, default=Path("/world"), help="the folder that ns1 and ns2 serve"
    )
    parser.add_argument(
        "--token", type=Path, default=Path("/token"), help="the file with their token"
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Runs the drill; the exit status."""
    parsed = make_parser().parse_args(arguments)
    tools = Tools(parsed.socket, parsed.world, parsed.token, parsed.project)
    try:
        passed = asyncio.run(run_exercise(tools, Screen(as_json=parsed.json)))
    except LabError as error:
        sys.stderr.write(f"drill: {error}\n")
        return 1
    return 0 if passed else 1


if __name__ == "__main__":
    raise SystemExit(main())
