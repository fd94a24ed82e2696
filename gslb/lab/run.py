"""`gslb lab`: makes a world, starts it, shows it or drills it, and stops it.

Knows: the order of these, signals, exit statuses. Refuses to know: all the rest. Invariant:
SIGINT and SIGTERM end the lab in order; nothing it started is left.
"""

from __future__ import annotations

import asyncio
import shutil

from gslb.lab.drill import Drill, find_drill
from gslb.lab.house import House
from gslb.lab.live import run_live
from gslb.lab.report import Report
from gslb.lab.screen import Screen
from gslb.lab.stage import Plot
from gslb.lab.termination import cancel_on_signals
from gslb.lab.world import LabError, claim, make_folder


def run_lab(folder: str | None, drill: str | None, json_output: bool = False) -> int:
    """Runs the lab until it is stopped, or a drill until it is done; the exit status.

    `folder`: where the world is written (None: a new temporary folder, removed after a drill
    that passed). `drill` None: the live lab. The status is 0, or 1 if a drill did not pass or was
    interrupted. Raises UnknownDrillError, LabError if the lab cannot run.
    """
    act = None if drill is None else find_drill(drill)
    screen = Screen(as_json=json_output)
    with claim(screen.say) as world:
        house = House(world, make_folder(folder))
        if act is None or drill is None:
            asyncio.run(_live(house, screen))
            screen.say(f"the lab has ended; its world and logs stay in {house.folder}")
            return 0
        passed = asyncio.run(_drill(house, screen, drill, act))
    if passed and folder is None:
        shutil.rmtree(house.folder)
    else:
        screen.say(f"the drill's world and logs stay in {house.folder}")
    return 0 if passed else 1


async def _live(house: House, screen: Screen) -> None:
    cancel_on_signals()
    try:
        screen.say("starting three regions, the server and the clients")
        async with house.open(Plot()) as stage:
            await run_live(stage, screen)
    except asyncio.CancelledError:
        screen.say()


async def _drill(house: House, screen: Screen, name: str, drill: Drill) -> bool:
    cancel_on_signals()
    clock = asyncio.get_running_loop().time
    report = Report(name, screen, clock, clock())
    screen.say(f"drill {name}: {drill.about}; about {drill.lasts_s} s")
    screen.say(f"the lab's world is in {house.folder}")
    try:
        await drill.act(house, report)
    except asyncio.CancelledError:
        screen.say(f"drill {name}: interrupted")
        return False
    except LabError as error:
        if not report.expectations:
            raise  # it never began
        report.expect("the drill comes to its end", False, str(error))
    report.close()
    return report.passed
