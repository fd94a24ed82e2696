"""dnsperf: running it for a bounded time on its own core, and believing its output or not.

Knows: dnsperf 2.x's options and statistics. Refuses to know: which server answers. Invariant: a
run that lost too many queries, or got a wrong rcode, is never reported as a valid figure.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

CLIENTS = 8
# So many small queries fit into the receive buffer that Linux gives by default (208 KiB), which not
# every peer can be told to enlarge; more would measure who loses the first burst.
OUTSTANDING = 200
MAX_LOST = 0.001
ANSWER_TIMEOUT_S = 2


class DnsperfError(Exception):
    """dnsperf did not run, or printed something else than its statistics."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run: queries sent and answered, answers per second, answers by rcode."""

    sent: int
    answered: int
    qps: float
    rcodes: dict[str, int]

    @property
    def lost(self) -> float:
        """The share of queries without an answer."""
        return 1 - self.answered / self.sent if self.sent else 1.0

    def fault(self, rcode: str) -> str:
        """Why the figures mean nothing, or an empty text; every answer has to carry `rcode`."""
        if not self.answered:
            return "no answers"
        if self.lost > MAX_LOST:
            return f"{self.lost:.2%} lost"
        wrong = sorted(self.rcodes.keys() - {rcode})
        return f"{', '.join(wrong)} among the answers" if wrong else ""


def missing() -> str:
    """What to install first, or nothing."""
    return "" if shutil.which("dnsperf") else "dnsperf (the package of that name)"


def version() -> str:
    """`dnsperf 2.10.0`."""
    text = subprocess.run(["dnsperf", "-h"], capture_output=True, text=True).stdout
    found = re.search(r"Version (\S+)", text)
    return f"dnsperf {found[1]}" if found else "dnsperf"


def command(port: int, queries: Path, seconds: float, outstanding: int) -> list[str]:
    """dnsperf with a file of ready queries."""
    return (
        f"dnsperf -s 127.0.0.1 -p {port} -B -d {queries} -l {seconds:g} -T 1"
        f" -c {CLIENTS} -q {outstanding} -t {ANSWER_TIMEOUT_S} -O suppress=timeout"
    ).split()


def run(command: list[str], core: int, timeout_s: float) -> str:
    """Runs a dnsperf command on `core`; all that it printed."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DnsperfError(f"{' '.join(command)}: {error}") from error
    if done.returncode:
        raise DnsperfError(f"{' '.join(command)}: status {done.returncode}\n{done.stdout}")
    return done.stdout


def measure(
    port: int, queries: Path, seconds: float, core: int, outstanding: int = OUTSTANDING
) -> Run:
    """As many queries as the server answers, for that many seconds."""
    return parse(run(command(port, queries, seconds, outstanding), core, seconds + 30))


class Load:
    """dnsperf in the background; what it prints is kept until it is stopped."""

    def __init__(self, command: list[str], core: int) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
        self._text: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._text.append(line)

    def stop(self) -> str:
        """Ends dnsperf as Ctrl-C does, so that it prints its statistics; all that it printed."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait()
        self._reader.join()
        return "".join(self._text)


def parse(text: str) -> Run:
    """The statistics at the end of dnsperf's output."""

    def number(label: str) -> float:
        found = re.search(rf"^\s*{label}:\s+([\d.]+)", text, re.MULTILINE)
        if found is None:
            raise DnsperfError(f'dnsperf printed no "{label}":\n{text[-2000:]}')
        return float(found[1])

    line = re.search(r"^\s*Response codes:(.*)$", text, re.MULTILINE)
    rcodes = re.findall(r"(\w+) (\d+) \(", line[1]) if line else []
    return Run(
        sent=int(number("Queries sent")),
        answered=int(number("Queries completed")),
        qps=number("Queries per second"),
        rcodes={name: int(count) for name, count in rcodes},
    )


def parse_latencies(text: str) -> list[float]:
    """Seconds per answer from the lines of `-v`, `> NOERROR www.example A 0.000186`."""
    return [
        float(found) for found in re.findall(r"^> [A-Z]+ \S+ \S+ ([\d.]+)$", text, re.MULTILINE)
    ]
