"""What the server says of itself on /metrics, in the Prometheus text format.

Knows: the format's sample lines, the few metrics the lab looks at. Refuses to know: how
the server counts. Invariant: what cannot be read is None, never a guess.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from aiohttp import ClientError, ClientSession

from gslb.lab.world import Region

_SAMPLE: Final = re.compile(r"^(?P<name>\w+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of /metrics; `labels` is empty if it has none."""

    name: str
    labels: dict[str, str]
    value: float


def parse_samples(text: str) -> list[Sample]:
    """The samples of a page in the Prometheus text format."""
    found = (_SAMPLE.match(line) for line in text.splitlines())
    return [
        Sample(match["name"], dict(_LABEL.findall(match["labels"] or "")), float(match["value"]))
        for match in found
        if match
    ]


async def read_samples(session: ClientSession, control_url: str) -> list[Sample]:
    """The server's samples; none if it does not answer."""
    try:
        async with session.get(f"{control_url}/metrics") as response:
            return parse_samples(await response.text())
    except (ClientError, OSError, TimeoutError):
        return []


def is_up(samples: list[Sample], region: Region) -> bool | None:
    """Whether the server believes that the region's endpoint is up; None: it did not say."""
    values = [
        sample.value
        for sample in samples
        if sample.name == "gslb_endpoint_up" and sample.labels["pool"] == f"web-{region.name}"
    ]
    return all(values) if values else None


def count_verdicts(samples: list[Sample], region: str, to: str) -> float:
    """How many of the region's addresses have become `up` or `down` so far, each time counted."""
    return sum(
        sample.value
        for sample in samples
        if sample.name == "gslb_transitions_total"
        and (sample.labels["pool"], sample.labels["to"]) == (f"web-{region}", to)
    )


def count_failed_probes(samples: list[Sample]) -> float:
    """How many probes have failed so far, of all checks together."""
    return sum(
        sample.value
        for sample in samples
        if sample.name == "gslb_probes_total" and sample.labels["result"] != "ok"
    )


def count_queries(samples: list[Sample]) -> float:
    """How many DNS messages came in so far."""
    return sum(sample.value for sample in samples if sample.name == "gslb_queries_total")


def count_reloads(samples: list[Sample], result: str) -> float:
    """How many reloads were `ok` or `failed` so far."""
    return sum(
        sample.value
        for sample in samples
        if sample.name == "gslb_reload_total" and sample.labels["result"] == result
    )


def find_generation(samples: list[Sample]) -> float | None:
    """The generation of the World that answers; None: it did not say."""
    values = [s.value for s in samples if s.name == "gslb_world_generation"]
    return values[0] if values else None


def find_value(samples: list[Sample], name: str) -> float | None:
    """The value of a metric without labels; None: there is none."""
    return next((s.value for s in samples if s.name == name and not s.labels), None)


def sum_values(samples: list[Sample], name: str) -> float:
    """The sum of a metric over all its labels."""
    return sum(s.value for s in samples if s.name == name)
