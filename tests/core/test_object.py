"""What a name means."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from gslb.core.object import find_object
from gslb.core.policy import DataCenter

from sample import FRA, make_world

CONFIG = make_world().plan.config


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("fra", ("datacenter", "fra")),
        ("web-fra", ("pool", "web-fra")),
        ("192.0.2.10", ("endpoint", "192.0.2.10")),
        # A pair is one endpoint, whichever address names it.
        ("2001:DB8:0::10", ("endpoint", "192.0.2.10")),
        ("[2001:db8::10]", ("endpoint", "192.0.2.10")),
        ("::ffff:192.0.2.10", ("endpoint", "192.0.2.10")),
    ],
)
def test_a_bare_name_is_enough_where_one_object_has_it(name: str, found: tuple[str, str]) -> None:
    assert find_object(CONFIG, "object", name) == found
    assert find_object(CONFIG, found[0], name) == found  # type: ignore[arg-type]


def test_a_name_that_two_objects_have_needs_its_kind() -> None:
    both = replace(CONFIG, datacenters={"fra": FRA, "web-fra": DataCenter("web-fra")})
    with pytest.raises(ValueError, match=re.escape("say datacenter/web-fra or pool/web-fra")):
        find_object(both, "object", "web-fra")
    assert find_object(both, "pool", "web-fra") == ("pool", "web-fra")


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [
        (
            "object",
            "web-far",
            'no data center, pool or endpoint "web-far"; did you mean "web-fra"?',
        ),
        ("pool", "fra", 'no pool "fra"'),
        ("endpoint", "192.0.2.77", 'no endpoint "192.0.2.77"'),
        ("datacenter", "", 'no data center ""'),
        ("object", "2001:db8::10%eth0", 'no data center, pool or endpoint "2001:db8::10%eth0"'),
    ],
)
def test_an_unknown_name_is_said(kind: str, name: str, text: str) -> None:
    with pytest.raises(LookupError, match=re.escape(text)):
        find_object(CONFIG, kind, name)  # type: ignore[arg-type]
