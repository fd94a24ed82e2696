"""The live lab: says what to try, shows the table, obeys the keys, until it is stopped.

Knows: commands worth copying, the keys 1, 2 and 3. Refuses to know: how anything is
started. Invariant: every command it prints works as printed, with the ports really taken.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gslb.lab.metric import is_up, read_samples
from gslb.lab.region import Condition
from gslb.lab.screen import Row, Screen
from gslb.lab.stage import Stage
from gslb.lab.world import NAME, LabError, Region

KEYBOARD: Final = 0  # standard input, also where Python has closed its own
LOOK_EVERY_S: Final = 1.0
VERDICTS: Final = {True: "up", False: "down", None: "nothing"}


async def run_live(stage: Stage, screen: Screen) -> None:
    """Shows the lab until the task is cancelled."""
    for line in compose_greeting(stage):
        screen.say(line)
    tasks: set[asyncio.Task[None]] = set()  # the loop itself keeps only weak references

    def obey(region: Region) -> None:
        task = asyncio.create_task(toggle(stage, region, screen))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    with read_keys(stage.world.regions, obey) as keys:
        if keys:
            screen.say("keys 1, 2, 3: break and heal fra, iad, nrt; Ctrl-C ends the lab\n")
        gone: set[str] = set()
        while True:
            screen.show(await look(stage))
            for line in say_gone(stage, gone):
                screen.say(line)
            await asyncio.sleep(LOOK_EVERY_S)


def _command() -> str:
    """How this installation's `gslb` is called from here: by its name, if PATH has it."""
    beside = Path(sys.executable).with_name("gslb")
    if shutil.which("gslb") or not beside.exists():
        return "gslb"
    here = Path.cwd()
    return str(beside.relative_to(here) if beside.is_relative_to(here) else beside)


def compose_greeting(stage: Stage) -> list[str]:
    """What runs where, and what to try, as lines to copy."""
    world, config = stage.world, shlex.quote(str(stage.config))
    dig = f"dig @127.0.0.1 -p {world.server_port} {NAME}"
    gslb = shlex.quote(_command())
    assert stage.server is not None  # the stage is open
    lines = [
        f"the lab's world is in {stage.folder}",
        f"the server answers on 127.0.0.1:{world.server_port}, pid {stage.server.pid}; "
        f"{world.control_url} lists what can be asked over HTTP",
        "",
        "try",
        f"  {dig} +subnet=81.2.69.0/24     # a Londoner",
        f"  {dig} -b 127.1.0.1             # a European",
        f"  {dig} -b 127.2.0.1             # an American",
        f"  {gslb} explain {NAME} A --from 81.2.69.160 -c {config}",
        f"  {gslb} ask api.gslb.example.com A --from 127.2.2.0/24 --repeat 20 -c {config}",
        f"  {gslb} drain fra --lead 10s --why 'a test' -c {config}",
        f"  {gslb} override fra clear --why 'it is over' -c {config}",
        f"  {gslb} health -c {config}",
        f"  {gslb} check -c {config}",
        f"  kill -HUP {stage.server.pid}     # after a change of {stage.config}",
        "",
    ]
    for region in world.regions:
        url = world.page_url(region.address)
        pid = stage.regions[region.name].pid
        lines += [
            f"break {region.name}: curl -sX POST {url}/break",
            f" heal {region.name}: curl -sX POST {url}/heal",
            f" slow {region.name}: curl -sX POST '{url}/slow?ms=300'",
            f"  err {region.name}: curl -sX POST '{url}/errors?every=3'",
            f" kill {region.name}: kill -9 {pid}",
        ]
    return [*lines, ""]


async def look(stage: Stage) -> list[Row]:
    """The table's rows, as things are now."""
    samples = await read_samples(stage.session, stage.world.control_url)
    conditions = await asyncio.gather(*map(stage.read_condition, stage.world.regions))
    census = stage.census
    return [
        Row(
            region.name,
            describe(condition),
            VERDICTS[is_up(samples, region)],
            census.clients_on(region.name),
            census.requests[region.name],
            census.lost[region.name],
        )
        for region, condition in zip(stage.world.regions, conditions, strict=True)
    ]


def describe(condition: Condition | None) -> str:
    """A region's condition in a word or two."""
    if condition is None:
        return "gone"
    if condition.broken:
        return "broken"
    if condition.garbled:
        return "garbled"
    if condition.errors_every:
        return f"errs 1 in {condition.errors_every}"
    return f"slow {condition.slow_ms} ms" if condition.slow_ms else "healthy"


def say_gone(stage: Stage, gone: set[str]) -> Iterator[str]:
    """Once for every process that ended by itself: how to start it again."""
    server = stage.server
    commands = {
        region.name: ["gslb.lab.region", *stage.region_arguments(region)]
        for region in stage.world.regions
    }
    commands["server"] = ["gslb", "serve", "-c", str(stage.config)]
    for child in [*stage.regions.values(), *([server] if server else [])]:
        key = f"{child.name} {child.pid}"
        if child.status is not None and key not in gone:
            gone.add(key)
            command = shlex.join([sys.executable, "-m", *commands[child.name]])
            yield f"{child.name} ended ({child.status}); start it again: {command}"


async def toggle(stage: Stage, region: Region, screen: Screen) -> None:
    """Breaks a healthy region, heals another, starts one that is gone."""
    condition = await stage.read_condition(region)
    if condition is None:
        try:
            await stage.start_region(region)
            screen.say(f"{region.name} is started again")
        except LabError as error:
            screen.say(str(error))
    elif describe(condition) != "healthy":
        screen.say(f"{region.name} is healed")
        await stage.order(region, "heal")
    else:
        screen.say(f"{region.name} is broken")
        await stage.order(region, "break")


@contextmanager
def read_keys(regions: tuple[Region, ...], obey: Callable[[Region], None]) -> Iterator[bool]:
    """Calls `obey` when the key of a region is pressed. Yields whether there is a keyboard."""
    if not has_keyboard():
        yield False
        return

    def read_key() -> None:
        pressed = os.read(KEYBOARD, 64)
        if not pressed:  # the terminal is gone
            loop.remove_reader(KEYBOARD)
        for key in pressed.decode("ascii", "ignore"):
            if key.isdigit() and 1 <= int(key) <= len(regions):
                obey(regions[int(key) - 1])

    before = termios.tcgetattr(KEYBOARD)
    loop = asyncio.get_running_loop()
    tty.setcbreak(KEYBOARD)
    loop.add_reader(KEYBOARD, read_key)
    try:
        yield True
    finally:
        loop.remove_reader(KEYBOARD)
        termios.tcsetattr(KEYBOARD, termios.TCSADRAIN, before)


def has_keyboard() -> bool:
    """True if standard input is a terminal and the lab is in its foreground.

    A program in the background that touches its terminal is stopped.
    """
    try:
        return os.tcgetpgrp(KEYBOARD) == os.getpgrp()
    except OSError:  # no terminal, or somebody else's
        return False
