"""What is counted, under which name, for Prometheus.

Knows: every metric (`TABLE`), the text format, the process's own figures. Refuses to know:
who counts; `app` hands over suppliers that read plain integers when a scrape comes, so that
counting costs the packet path one addition. Invariant: labels are bounded by the
configuration and by constants, never a qname or a client's address.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, islice
from typing import Final, Literal

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

PREFIX: Final = "gslb_"
A_PIECE: Final = 200  # samples
HEADER_LINES: Final = 2  # HELP and TYPE, once for each family


@dataclass(frozen=True, slots=True)
class Metric:
    """Its kind, what it says to people, the names of its labels.

    `values` are those of its one label that are served as 0 before their first time.
    """

    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    values: tuple[str, ...] = ()


# The limits that somebody can reach (docs/configuration.md, Limits).
CAPS: Final = (
    "tcp_connections",
    "tcp_per_source",
    "tcp_idle",
    "tcp_message",
    "tcp_pipeline",
    "udp_batch",
    "cname_chain",
    "additional",
    "rrset",
    "types_per_name",
    "zone",
    "log_lines",
    "max_body",
    "control_connections",
    "probe_concurrency",
)
RRL_ACTIONS: Final = ("dropped", "slipped", "badcookie", "logged", "exempt")
FORCED: Final = ("up", "down", "drain")
COOKIE_RESULTS: Final = ("client", "valid", "renewed", "invalid", "malformed")


# The names under which everybody counts; counters are served with "_total" behind theirs.
TABLE: Final[Mapping[str, Metric]] = {
    "queries": Metric("counter", "DNS messages that came in.", ("transport", "family")),
    "responses": Metric("counter", "Replies that went out.", ("rcode", "transport")),
    "answers": Metric("counter", "Steered answers, by the pool handed out.", ("policy", "pool")),
    "dropped": Metric("counter", "What got no reply or lost its connection.", ("reason",)),
    "truncated": Metric("counter", "Replies cut short, with the TC bit set."),
    "errors": Metric("counter", "Queries answered SERVFAIL because of a fault of our own."),
    "cap": Metric("counter", "How often a limit was reached.", ("cap",), CAPS),
    "rrl": Metric(
        "counter", "Replies above the rate limit, or exempt from it.", ("action",), RRL_ACTIONS
    ),
    "cookies": Metric("counter", "COOKIE options, by what they held.", ("result",), COOKIE_RESULTS),
    "ecs": Metric("counter", "Client subnet options, by what became of them.", ("result",)),
    "policy_fallback": Metric(
        "counter", "Answers with nothing available, by the rule that made them.", ("policy", "rule")
    ),
    "endpoint_up": Metric("gauge", "1 unless the probes call it down.", ("pool", "endpoint")),
    "endpoint_forced": Metric(
        "gauge", "1 if an override decides about it, not the probes.", ("pool", "endpoint")
    ),
    "overrides": Metric("gauge", "Overrides there are.", ("state",), FORCED),
    "override_set_timestamp_seconds": Metric(
        "gauge",
        "When an override was set, in Unix time; ends: whether it does by itself.",
        ("kind", "object", "state", "ends"),
    ),
    "prober_blind": Metric("gauge", "1 while no probe can tell anything: verdicts stay."),
    "probes": Metric("counter", "Probes that ended.", ("check", "result")),
    "probe_seconds": Metric("histogram", "How long probes took.", ("check",)),
    "probe_lateness_seconds": Metric("histogram", "How far behind schedule probes began."),
    "transitions": Metric("counter", "Changes of an endpoint's state.", ("pool", "to")),
    "pool_available": Metric("gauge", "1 if the pool can be handed out.", ("pool",)),
    "pool_share_ratio": Metric(
        "gauge", "Share of answers for which a pool is available by its load.", ("pool",)
    ),
    "datacenter_load_ratio": Metric(
        "gauge", "The highest load that is known of a pool there; 1 is full.", ("datacenter",)
    ),
    "certificate_expiry_timestamp_seconds": Metric(
        "gauge", "When the first certificate expires that a check meets.", ("check",)
    ),
    "state_writable": Metric("gauge", "0 while nothing can be kept for after a restart."),
    "state_dropped": Metric("counter", "Events lost because too many waited to be kept."),
    "world_generation": Metric("gauge", "The generation of the World that answers."),
    "reload": Metric("counter", "Reloads of the configuration.", ("result",)),
    "events": Metric("counter", "Events, by kind, as the log tells them.", ("kind",)),
    "config_last_good": Metric(
        "gauge", "1 while the last good configuration answers because the one there has errors."
    ),
    "reload_seconds": Metric("gauge", "How long the latest reload took."),
    "geo_build_timestamp_seconds": Metric(
        "gauge", "When the database in use was built, in Unix time.", ("database",)
    ),
    "build_info": Metric("gauge", "Always 1; the labels tell.", ("version", "engine")),
    "tcp_connections": Metric("gauge", "TCP connections that are open."),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a counter or gauge. Raises ValueError if it does not fit `TABLE`."""

    name: str
    labels: tuple[str, ...]
    value: float

    def __post_init__(self) -> None:
        _fit(self.name, self.labels, histogram=False)


@dataclass(frozen=True, slots=True)
class Duration:
    """One histogram of seconds. Raises ValueError if it does not fit `TABLE`.

    `counts` has an entry for each upper bound, which does not include the entries before it,
    and a last one for what is above them all.
    """

    name: str
    labels: tuple[str, ...]
    bounds_s: Sequence[float]
    counts: Sequence[int]
    sum_s: float

    def __post_init__(self) -> None:
        _fit(self.name, self.labels, histogram=True)


def _fit(name: str, labels: tuple[str, ...], *, histogram: bool) -> None:
    metric = TABLE.get(name)
    if metric is None or (metric.kind == "histogram") != histogram:
        raise ValueError(f"there is no {'histogram' if histogram else 'metric'} {name!r}")
    if len(labels) != len(metric.labels):
        raise ValueError(f"metric {name!r} has the labels {metric.labels}")


Samples = Callable[[], Iterable[Sample]]
Durations = Callable[[], Iterable[Duration]]


def from_counts(counts: Mapping[tuple[str, ...], int]) -> Iterator[Sample]:
    """Samples of counts by (name, label values…), as `Engine.stats` has them."""
    for (name, *labels), count in counts.items():
        yield Sample(name, tuple(labels), count)


class Metrics:
    """Reads the suppliers at each scrape; samples with the same name and labels add up."""

    def __init__(self, samples: Sequence[Samples], durations: Sequence[Durations] = ()) -> None:
        self._samples: Final = samples
        self._durations: Final = durations
        self._page: Final = _Page()
        self._process: Final = CollectorRegistry()
        ProcessCollector(registry=self._process)

    def render(self) -> tuple[Iterator[bytes], str]:
        """The body, in pieces, and the content type of a reply to a scrape.

        A page of ten thousand endpoints takes a tenth of a second. Who has to answer meanwhile
        does so between the pieces, some of which are empty.
        """
        return self._pieces(), CONTENT_TYPE_LATEST

    def _pieces(self) -> Iterator[bytes]:
        # A count that is there from the start has its first event seen by increase(), too.
        values: dict[str, dict[tuple[str, ...], float]] = {
            name: {(value,): 0.0 for value in metric.values}
            if metric.labels or metric.kind != "counter"
            else {(): 0.0}
            for name, metric in TABLE.items()
        }
        for count, sample in enumerate(chain.from_iterable(supply() for supply in self._samples)):
            of_name = values[sample.name]
            of_name[sample.labels] = of_name.get(sample.labels, 0) + sample.value
            if not count % A_PIECE:
                yield b""
        durations = [duration for supply in self._durations for duration in supply()]
        for name, metric in TABLE.items():
            if metric.kind == "histogram":
                family = _histogram(name, (one for one in durations if one.name == name))
                yield self._page.compose(family)
                continue
            rest = iter(values[name].items())
            yield self._page.compose(_plain(name, islice(rest, A_PIECE)))
            while some := tuple(islice(rest, A_PIECE)):
                yield self._page.compose(_plain(name, some)).split(b"\n", HEADER_LINES)[-1]
        yield generate_latest(self._process)


Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


class _Page(Collector):
    """Prometheus' text form of one family at a time."""

    def __init__(self) -> None:
        self._registry: Final = CollectorRegistry()
        self._registry.register(self)
        self._family: Family | None = None

    def compose(self, family: Family) -> bytes:
        """The lines of a family: HELP, TYPE, samples."""
        self._family = family
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Family]:
        if self._family is not None:
            yield self._family


def _plain(name: str, values: Iterable[tuple[tuple[str, ...], float]]) -> Family:
    metric = TABLE[name]
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(PREFIX + name, metric.help, labels=metric.labels)
    for labels, value in values:
        family.add_metric(labels, value)
    return family


def _histogram(name: str, durations: Iterable[Duration]) -> Family:
    metric = TABLE[name]
    family = HistogramMetricFamily(PREFIX + name, metric.help, labels=metric.labels)
    for one in durations:
        bounds = (*(str(float(bound)) for bound in one.bounds_s), "+Inf")
        buckets = list(zip(bounds, accumulate(one.counts), strict=True))
        family.add_metric(one.labels, buckets, one.sum_s)
    return family
