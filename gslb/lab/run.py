"""`gslb lab`: makes a world, starts it, shows it or drills it, and stops it.

Knows: the order of these, signals, exit statuses. Refuses to know: all the rest. Invariant:
SIGINT and SIGTERM end the lab in order; nothing it started is left.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from gslb.lab.drill import Drill, find_drill
from gslb.lab.live import run_live
from gslb.lab.report import Report
from gslb.lab.screen import Screen
from gslb.lab.stage import open_stage
from gslb.lab.termination import cancel_on_signals
from gslb.lab.world import World, claim, make_folder, write


def run_lab(folder: str | None, drill: str | None, json_output: bool = False) -> int:
    """Runs the lab until it is stopped, or a drill until it is done; the exit status.

    `folder`: where the world is written (None: a new temporary folder, removed after a drill
    that passed). `drill` None: the live lab. The status is 0, or 1 if a drill did not pass or was
    interrupted. Raises UnknownDrillError, LabError if the lab cannot run.
    """
    act = None if drill is None else find_drill(drill)
    screen = Screen(as_json=json_output)
    world = claim(screen.say)
    place = make_folder(folder)
    write(world, place)
    if act is None or drill is None:
        asyncio.run(_live(world, place, screen))
        screen.say(f"the lab has ended; its world and logs stay in {place}")
        return 0
    passed = asyncio.run(_drill(world, place, screen, drill, act))
    if passed and folder is None:
        shutil.rmtree(place)
    else:
        screen.say(f"the drill's world and logs stay in {place}")
    return 0 if passed else 1


async def _live(world: World, folder: Path, screen: Screen) -> None:
    cancel_on_signals()
    try:
        screen.say("starting three regions, the server and the clients")
        async with open_stage(world, folder) as stage:
            await run_live(stage, screen)
    except asyncio.CancelledError:
        screen.say()


async def _drill(world: World, folder: Path, screen: Screen, name: str, act: Drill) -> bool:
    cancel_on_signals()
    try:
        screen.say(f"drill {name}: about a minute; the lab's world is in {folder}")
        async with open_stage(world, folder) as stage:
            clock = asyncio.get_running_loop().time
            report = Report(name, screen, clock, clock())
            await act(stage, report)
    except asyncio.CancelledError:
        screen.say(f"drill {name}: interrupted")
        return False
    report.close()
    return report.passed
