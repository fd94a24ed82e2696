"""What `make fuzz` runs: a flood of packets, zones beside other servers', and guided fuzzing.

    make fuzz                                  all of it, with a new seed
    make fuzz ARGS="flood --packets 100000"    a part of it
    make fuzz ARGS="packet zone yaml --seconds 600"
    make fuzz ARGS="--seed 7"                  what a run with that seed did

The exit status is 1 if a promise was broken. What guided fuzzing finds lies in tests/fuzz/crash
then, and is a test from now on.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from random import SystemRandom

from differential.compare import INSTALLED, compare_drawn
from fuzz.flood import flood
from fuzz.target import TARGETS, crashes, seeds

PARTS = ("flood", "zones", *TARGETS)
CORPUS = Path(".fuzz")  # what guided fuzzing has learnt, for the next run
SLOWEST_S = 10


def main() -> int:
    """The exit status."""
    asked = _arguments()
    seed = asked.seed if asked.seed is not None else SystemRandom().randrange(1 << 31)
    _say(f"seed {seed}")
    broken = [part for part in asked.parts or PARTS if not _run(part, asked, seed)]
    _say(f"broken: {', '.join(broken)}" if broken else "every promise was kept")
    return 1 if broken else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; else all")
    parser.add_argument("--seed", type=int, help="the run to do again; else a new one")
    parser.add_argument("--packets", type=int, default=1_000_000, help="of the flood")
    parser.add_argument("--zones", type=int, default=2000, help="to draw and to ask about")
    parser.add_argument("--seconds", type=int, default=60, help="for each guided target")
    asked = parser.parse_args()
    if unknown := set(asked.parts) - {*PARTS}:
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    return asked


def _run(part: str, asked: argparse.Namespace, seed: int) -> bool:
    if part == "flood":
        return _in_folder(part, lambda folder: str(flood(folder, seed, asked.packets)))
    if part == "zones":
        return _in_folder(part, lambda folder: _compare(folder, seed, asked.zones))
    return _guide(part, asked.seconds, seed)


def _in_folder(part: str, run: Callable[[Path], str]) -> bool:
    """Whether a run in a folder of its own has kept all promises; its figures are printed."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            _say(f"{part}: {run(Path(folder))}")
        except AssertionError:
            traceback.print_exc()
            return False
    return True


def _compare(folder: Path, seed: int, zones: int) -> str:
    if not INSTALLED:
        return "left out: neither knotd nor nsd is installed"
    tally = compare_drawn(folder, seed, zones, INSTALLED)
    assert not tally.unexplained, f"{tally}\n" + "\n".join(tally.unexplained[:3])
    return f"{zones} zones, {tally}"


def _guide(target: str, seconds: int, seed: int) -> bool:
    """libFuzzer prints its own figures."""
    if importlib.util.find_spec("atheris") is None:
        _say(f"{target}: left out: atheris is not made for this Python or machine")
        return True
    corpus, found = CORPUS / target, crashes(target)
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    _say(f"{target}: {seconds} s")
    limits = [f"-max_total_time={seconds}", f"-timeout={SLOWEST_S}", f"-seed={seed}"]
    output = [f"-artifact_prefix={found}/", "-print_final_stats=1", "-verbosity=0"]
    folders = [str(corpus), str(seeds(target))]
    command = [sys.executable, "-m", "fuzz.guided", target, *limits, *output, *folders]
    kept = subprocess.run(command, check=False).returncode == 0
    if not any(found.iterdir()):
        found.rmdir()
    return kept


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
