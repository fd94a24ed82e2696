"""The bodies of the HTTP API: what is asked and what is told, as JSON (control.md).

Knows: their fields, types and ranges, how a time is written (RFC 3339 section 5.6, in UTC), what
to say about a body that is wrong. Refuses to know: HTTP, the objects of a configuration, clocks.
Invariant: `parse` gives a model or raises ValueError in words, whatever the octets; an order that
was parsed has no text with control characters, and no number that is not finite.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Final, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from gslb.config.report import listing, quote
from gslb.config.scalar import read_span
from gslb.core.override import ForcedState, ObjectKind

MAX_WHY: Final = 200  # characters
MAX_AHEAD_S: Final = 3660 * 86400.0  # beyond ten years somebody has mistyped a date
MAX_LEAD_S: Final = 30 * 86400.0

StateWord = Literal["unknown", "up", "down"]


# ---- values -------------------------------------------------------------------------------


def stamp(seconds: float) -> str:
    """Unix seconds as RFC 3339 in UTC, whole seconds."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def read_why(text: str) -> str:
    """One line of 1 to 200 characters that says why. Raises ValueError."""
    text = text.strip()
    if not text:
        raise ValueError("is empty; say why in one line")
    if len(text) > MAX_WHY:
        raise ValueError(f"has {len(text)} characters where {MAX_WHY} may be")
    if not text.isprintable():
        raise ValueError("has control characters or more than one line")
    return text


def read_when(text: str, now: float) -> float:
    """Unix seconds, from RFC 3339 text or from a duration that begins now (`2h`).

    Raises ValueError, also for what is over or more than ten years ahead.
    """
    seconds, is_relative = _parse_when(text)
    at = now + seconds if is_relative else seconds
    if at <= now:
        raise ValueError(f"{quote(text)} is in the past")
    if at - now > MAX_AHEAD_S:
        raise ValueError(f"{quote(text)} is more than ten years ahead")
    return at


def _parse_when(text: str) -> tuple[float, bool]:
    """Seconds, and whether they count from now on; else they are Unix time."""
    try:
        return read_span(text), True
    except ValueError:
        pass
    try:
        # fromisoformat takes dates without a time, weeks and more, which RFC 3339 has not.
        if text[10:11] not in ("T", "t", " ") or "W" in text.upper():
            raise ValueError
        when = datetime.fromisoformat(text.upper())
        if when.tzinfo is None:
            raise ValueError
        return when.timestamp(), False
    except (ValueError, OverflowError):
        hint = 'write it as "2026-11-21T18:40:00Z", or "2h" for two hours from now'
        raise ValueError(f"{quote(text)} is neither a time nor a duration; {hint}") from None


def _read_until(text: str) -> str:
    _parse_when(text)
    return text


def _read_lead(text: str) -> str:
    try:
        seconds = read_span(text)
    except ValueError:
        raise ValueError(f'{quote(text)} is no duration; write it as "10m"') from None
    if seconds > MAX_LEAD_S:
        raise ValueError(f"{quote(text)} is longer than 30 days")
    return text


def _read_note(text: str) -> str:
    return read_why(text) if text else ""


Time = Annotated[float, PlainSerializer(stamp, return_type=str)]  # Unix seconds; RFC 3339 outside
Why = Annotated[str, AfterValidator(read_why)]


class Body(BaseModel):
    """An object of known fields; nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


# ---- orders: what is asked ----------------------------------------------------------------


class OverrideOrder(Body):
    """`PUT /v1/overrides/{kind}/{NAME}`; `until` is a time or a duration, `lead` a duration."""

    state: ForcedState
    why: Why
    until: Annotated[str, AfterValidator(_read_until)] | None = None
    lead: Annotated[str, AfterValidator(_read_lead)] | None = None

    @model_validator(mode="after")
    def _look(self) -> Self:
        if self.state == "up" and self.until is None:
            raise ValueError('"until" is missing: what is forced up needs an end')
        if self.state != "drain" and self.lead is not None:
            raise ValueError(f'"lead" is for a drain only; {self.state} takes effect at once')
        return self

    @property
    def lead_s(self) -> float:
        """Seconds until a drain takes effect, 0 without a lead."""
        return 0.0 if self.lead is None else read_span(self.lead)

    def ends_at(self, now: float) -> float | None:
        """When it ends, in Unix seconds; None: never by itself.

        Raises ValueError if that is over, or before a drain with a lead takes effect.
        """
        if self.until is None:
            return None
        at = read_when(self.until, now)
        if at <= now + self.lead_s:
            raise ValueError('"until" is not after "lead": the drain would never take effect')
        return at


class LoadOrder(Body):
    """`PUT /v1/pools/{pool}/load`; 1.0 is full."""

    load: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class ReportOrder(Body):
    """`PUT /v1/checks/{check}/{address}`: what a push check is told."""

    state: Literal["up", "down"]
    why: Annotated[str, AfterValidator(_read_note)] = ""


# ---- what is told -------------------------------------------------------------------------


class OverrideBody(Body):
    """An override. `real` is what the probes say of the object: up, down, unknown, "2 of 3 up".

    `effective_at` is `at` plus the lead. `caches_empty_at`: when no cache has it any more.
    """

    kind: ObjectKind
    name: str
    state: ForcedState
    who: str
    why: str
    at: Time
    effective_at: Time
    until: Time | None
    real: str
    caches_empty_at: Time | None


class OverridesBody(Body):
    """`GET /v1/overrides`; `kept`: they survive a restart, else `problem` says why not."""

    overrides: tuple[OverrideBody, ...]
    kept: bool
    problem: str | None


class ChangeBody(Body):
    """An override that was set."""

    override: OverrideBody
    kept: bool
    warning: str | None


class ClearedBody(Body):
    """An override that was cleared, as it was; None: there was none, so nothing was done."""

    cleared: OverrideBody | None
    kept: bool
    warning: str | None


class EndpointBody(Body):
    """An endpoint that a target stands for; `forced` is the override that counts."""

    pool: str
    endpoint: str
    forced: ForcedState | None


class LatencyBody(Body):
    """Of successful probes: the moving average, and what the last 100 say; seconds."""

    ewma_s: float
    min_s: float
    mean_s: float
    p95_s: float


class EvidenceBody(Body):
    """The latest transition; `reasons` are of the failures behind it, oldest first."""

    at: Time
    before: Annotated[StateWord, Field(serialization_alias="from")]
    after: Annotated[StateWord, Field(serialization_alias="to")]
    reasons: tuple[str, ...]


class TargetBody(Body):
    """A (check, address, port). `held`: kept down by flap damping.

    `failing` are the reasons of the present run of failures, `load` is what was last reported,
    at `load_at`.
    """

    check: str
    type: str
    address: str
    port: int
    state: StateWord
    since: Time
    held: bool
    endpoints: tuple[EndpointBody, ...]
    latency: LatencyBody | None
    load: float | None
    load_at: Time | None
    certificate_expires: Time | None
    evidence: EvidenceBody | None
    failing: tuple[str, ...]


class BlindBody(Body):
    """Why the prober sees nothing, and since when."""

    why: str
    since: Time


class HealthBody(Body):
    """`GET /v1/health`."""

    at: Time
    blind: BlindBody | None
    targets: tuple[TargetBody, ...] = ()


class LoadBody(Body):
    """A load that was reported; `share` is the percentage of answers to which the pool is
    available now."""

    pool: str
    load: float
    share: int


class ReportBody(Body):
    """A push check's report, and for how many targets (ports) it counts."""

    check: str
    address: str
    state: Literal["up", "down"]
    targets: int


class EventBody(Body):
    """An event as it is kept."""

    id: int
    at: Time
    kind: str
    object: str
    before: Annotated[str, Field(serialization_alias="from")]
    after: Annotated[str, Field(serialization_alias="to")]
    why: str
    who: str


class EventsBody(Body):
    """`GET /v1/events`, oldest first; `last` is what to ask for `after` next time."""

    events: tuple[EventBody, ...]
    last: int


# ---- JSON ---------------------------------------------------------------------------------

_TARGETS: Final = TypeAdapter(tuple[TargetBody, ...])
Order = TypeVar("Order", bound=Body)


def write(body: Body) -> bytes:
    """The JSON of a body, with a line's end."""
    return body.model_dump_json(by_alias=True).encode() + b"\n"


def write_health(head: HealthBody, slices: Iterable[tuple[TargetBody, ...]]) -> Iterator[bytes]:
    """The JSON of `head` with the targets of all slices, a slice a piece."""
    opened, _, closed = write(head).rpartition(b"[]")  # `targets` is the last field
    yield opened + b"["
    is_first = True
    for targets in slices:
        elements = _TARGETS.dump_json(targets, by_alias=True)[1:-1]
        yield elements if is_first or not elements else b"," + elements
        is_first = is_first and not elements
    yield b"]" + closed


def parse(model: type[Order], octets: bytes) -> Order:
    """The order that a request's body holds. Raises ValueError with everything that is wrong."""
    if not octets.strip():
        raise ValueError("the body is empty where a JSON object has to be")
    try:
        order = model.model_validate_json(octets)
    except ValidationError as error:
        known = tuple(model.model_fields)
        found = error.errors(include_url=False, include_input=False)
        raise ValueError("; ".join(_say(each, known) for each in found[:_MOST])) from None
    json.loads(octets, object_pairs_hook=_refuse_twins)
    return order


def _refuse_twins(fields: Sequence[tuple[str, object]]) -> None:
    """Of two fields of one name the readers of JSON take this one or that (RFC 8259 section 4)."""
    names = [name for name, _ in fields]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{quote(name)} stands twice")


_MOST: Final = 5  # problems of one body


def _say(error: ErrorDetails, known: tuple[str, ...]) -> str:
    where = quote(".".join(str(part) for part in error["loc"]))
    context = error.get("ctx", {})
    match error["type"]:
        case "json_invalid":
            return f"the body is no JSON: {context.get('error', 'it is broken')}"
        case "model_type" | "dict_type" | "model_attributes_type":
            return "the body is no JSON object"
        case "missing":
            return f"{where} is missing"
        case "extra_forbidden":
            return f"unknown field {where}; known: {listing(known)}"
        case "value_error":
            what = str(context.get("error"))
            return what if not error["loc"] else f"{where}: {what}"
        case _:
            message = error["msg"]
            return f"{where}: {message[:1].lower()}{message[1:]}"
