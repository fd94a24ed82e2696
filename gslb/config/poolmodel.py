"""The flat parts of `pools:`, as pydantic models.

Knows: which keys a pool and an endpoint have and what one value may be. Refuses to know: files,
marks, other objects. Invariant: as of model.py: no unions, one reader a field.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema

from gslb.config import scalar
from gslb.config.model import (
    Address,
    Duration,
    Flat,
    IPv4,
    IPv6,
    Line,
    Port,
    Span,
    Weight,
    as_schema,
    as_section_unless_off,
    unless_off,
)
from gslb.core.policy import Amount, Pick


def _read_panic(value: object) -> int | None:
    """A percentage between 0 and 100, None for off."""
    if value is not None and unless_off(value) is None:
        return None
    percent = round(scalar.read_share(value) * 100)
    if 0 < percent < 100:
        return percent
    raise scalar.ScalarError(
        f"{scalar.show(value)} is not between 0% and 100%", "write 50%, or off"
    )


class ShedModel(Flat):
    """`pools.NAME.shed`."""

    low: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    high: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    interval: Span = 10.0


class PoolModel(Flat):
    """`pools.NAME`, without its endpoints."""

    datacenter: str | None = None
    check: str | None = None
    min_healthy: Annotated[
        Amount,
        PlainValidator(scalar.read_amount),
        WithJsonSchema({"type": ["integer", "string"], "examples": [1, "50%"]}),
    ] = Amount(1)
    pick: Pick = "weighted"
    panic: Annotated[
        int | None,
        PlainValidator(_read_panic),
        as_schema("string", "50%", "off", pattern="^(0*[1-9][0-9]? ?%|off)$"),
    ] = None
    ramp: Duration = 0.0
    shed: Annotated[ShedModel | None, BeforeValidator(as_section_unless_off)] = None
    manual_resume: bool = False


class EndpointModel(Flat):
    """One of `pools.NAME.endpoints`, written as a mapping."""

    ipv4: IPv4 | None = None
    ipv6: IPv6 | None = None
    weight: Weight = 1
    name: Line | None = None
    check_address: Address | None = None
    check_port: Port | None = None
