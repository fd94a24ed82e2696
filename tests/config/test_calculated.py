"""What calculated checks count: `of` and `need`, and circles."""

from __future__ import annotations

from pathlib import Path

import pytest
from gslb.core.check import Member
from gslb.core.policy import Amount
from hypothesis import given, settings
from hypothesis import strategies as st

from yamlcase import SMALL, edited, read, said

WEB = "{ type: http, port: 8080 }"


def test_a_calculated_check_counts_checks_and_pools(tmp_path: Path) -> None:
    text = edited(SMALL, WEB, f"{WEB}\n  both: {{ type: calculated, of: [web, web-fra], need: 2 }}")
    checks = read(tmp_path, text).config.checks
    assert checks["both"].of == (Member("check", "web"), Member("pool", "web-fra"))
    assert (checks["both"].need, checks["both"].port) == (Amount(2), 0)
    share = edited(text, "need: 2", "need: 60%")
    assert read(tmp_path, share).config.checks["both"].need == Amount(60, percent=True)


def test_a_name_of_two_things_is_told_apart_by_its_kind(tmp_path: Path) -> None:
    text = edited(SMALL, WEB, f"{WEB}\n  web-fra: {{ type: calculated, need: 1, of: [web-iad] }}")
    text = edited(text, "datacenter: fra, check: web", "datacenter: fra, check: all")
    both = "\n  all: { type: calculated, need: 1, of: [pool/web-iad, check/web-fra] }"
    plain = edited(text, "of: [web-iad] }", "of: [web-iad] }" + both)
    assert read(tmp_path, plain).config.checks["all"].of == (
        Member("pool", "web-iad"),
        Member("check", "web-fra"),
    )
    bare = edited(plain, "check/web-fra", "web-fra")
    assert said(read(tmp_path, bare), "error") == [
        '12:56: check "all": of: "web-fra" is a check and a pool;'
        " write check/web-fra or pool/web-fra"
    ]


@pytest.mark.parametrize(
    ("of", "problem"),
    [
        ("[web-frb]", 'unknown check or pool "web-frb"; did you mean "web-fra"?'),
        ("[check/wep]", 'unknown check "wep"; did you mean "web"?'),
        ("[pool/web]", 'unknown pool "web"; known here: web-fra and web-iad'),
        ("[web, check/web]", 'of: "web" stands twice'),
        ("[web]", "need 2 is above the number of what counts, 1"),
    ],
)
def test_what_is_counted_has_to_be_there(tmp_path: Path, of: str, problem: str) -> None:
    text = edited(SMALL, WEB, f"{WEB}\n  two: {{ type: calculated, need: 2, of: {of} }}")
    (error,) = said(read(tmp_path, text), "error")
    assert error.endswith(f'check "two": {problem}')


@pytest.mark.parametrize(
    ("checks", "circle"),
    [
        ("{ type: calculated, need: 1, of: [web] }", "web → web"),
        (
            "{ type: calculated, need: 1, of: [b] }\n  b: { type: calculated, need: 1, of: [web] }",
            "web → b → web",
        ),
        ("{ type: calculated, need: 1, of: [web-fra] }", "web → pool/web-fra → web"),
    ],
)
def test_a_circle_is_refused_with_its_path(tmp_path: Path, checks: str, circle: str) -> None:
    (error,) = said(read(tmp_path, edited(SMALL, WEB, checks)), "error")
    assert error.endswith(f'check "web": checks in a circle: {circle}')


def test_a_circle_that_is_entered_at_a_pool_is_told_from_its_check(tmp_path: Path) -> None:
    enter = "a: { type: calculated, need: 1, of: [web-fra] }\n  web: "
    text = edited(SMALL, f"web: {WEB}", enter + "{ type: calculated, need: 1, of: [web-fra] }")
    assert said(read(tmp_path, text), "error") == [
        '11:3: check "web": checks in a circle: web → pool/web-fra → web'
    ]


def test_what_is_counted_by_two_ways_is_no_circle(tmp_path: Path) -> None:
    text = edited(
        SMALL,
        WEB,
        f"{WEB}\n  a: {{ type: calculated, need: 1, of: [web, b] }}\n"
        "  b: { type: calculated, need: 1, of: [web, web-fra] }",
    )
    assert said(read(tmp_path, text), "error") == []


def test_a_long_chain_of_checks_is_read(tmp_path: Path) -> None:
    rows = "".join(
        f"\n  c{n}: {{ type: calculated, need: 1, of: [c{n + 1}] }}" for n in range(1200)
    )
    text = edited(SMALL, WEB, f"{WEB}{rows}\n  c1200: {WEB}")
    assert said(read(tmp_path, text), "error") == []


def test_a_broken_check_that_is_counted_is_one_mistake(tmp_path: Path) -> None:
    text = edited(SMALL, WEB, "{ type: htp }\n  a: { type: calculated, need: 1, of: [web] }")
    assert len(said(read(tmp_path, text), "error")) == 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True), max_size=6))
def test_a_circle_is_found_exactly_if_there_is_one(
    tmp_path_factory: pytest.TempPathFactory, graph: list[list[int]]
) -> None:
    edges = {n: [to for to in below if to < len(graph)] for n, below in enumerate(graph)}

    def reaches_itself(start: int) -> bool:
        seen: set[int] = set()
        ahead = list(edges[start])
        while ahead:
            here = ahead.pop()
            if here == start:
                return True
            if here not in seen:
                seen.add(here)
                ahead += edges[here]
        return False

    rows = "".join(
        f"\n  c{n}: {{ type: calculated, need: 1, of: [{', '.join(f'c{to}' for to in below)}] }}"
        for n, below in edges.items()
        if below
    ) + "".join(f"\n  c{n}: {WEB}" for n, below in edges.items() if not below)
    reading = read(tmp_path_factory.mktemp("graph"), edited(SMALL, WEB, WEB + rows))
    found = any("in a circle" in text for text in said(reading, "error"))
    assert found == any(reaches_itself(n) for n in edges)


def test_a_flood_of_circles_ends(tmp_path: Path) -> None:
    rows = "".join(
        f"\n  c{n}: {{ type: calculated, need: 1, of: [c{n + 1}, c0] }}" for n in range(2000)
    )
    errors = said(read(tmp_path, edited(SMALL, WEB, f"{WEB}{rows}\n  c2000: {WEB}")), "error")
    assert 1 <= len(errors) <= 20
    assert errors[0].startswith('11:3: check "c0": checks in a circle: c0 → c1 → ')


def test_a_pool_that_only_a_check_counts_is_used(tmp_path: Path) -> None:
    text = edited(SMALL, WEB, f"{WEB}\n  all: {{ type: calculated, of: [db], need: 1 }}")
    text = edited(text, "datacenter: fra, check: web", "datacenter: fra, check: all")
    text = edited(text, "pools:\n", "pools:\n  db: { check: web, endpoints: [192.0.2.5] }\n")
    assert said(read(tmp_path, text)) == []
    alone = edited(text, "of: [db]", "of: [web]")
    assert said(read(tmp_path, alone)) == ['13:3: pool "db": no policy uses it']


BOTH = "{ ipv4: 192.0.2.10, ipv6: '2001:db8::1' }"


@pytest.mark.parametrize(
    ("endpoint", "db", "lacks"),
    [
        (BOTH, "192.0.2.5", "6"),
        (BOTH, "'2001:db8::5'", "4"),
        (BOTH, "{ ipv4: 192.0.2.5, ipv6: '2001:db8::5' }", ""),
        ("192.0.2.10", "192.0.2.5", ""),
        # What counts is the address at which the check is made.
        ("{ ipv4: 192.0.2.10, check_address: '2001:db8::9' }", "192.0.2.5", "6"),
        (f"{BOTH[:-1]}, check_address: 192.0.2.9 }}", "192.0.2.5", ""),
    ],
)
@pytest.mark.parametrize("way", ["of: [db]", "of: [deeper]"])
def test_a_check_that_can_never_be_up_for_a_family_is_a_warning(
    tmp_path: Path, endpoint: str, db: str, lacks: str, way: str
) -> None:
    checks = f"all: {{ type: calculated, {way}, need: 1 }}\n  "
    checks += "deeper: { type: calculated, of: [db], need: 1 }"
    place, name = ("11:3", "all") if "db" in way else ("12:3", "deeper")
    told = (
        f'{place}: check "{name}": of: no IPv{lacks} address in pool "db", so for those of pool'
        ' "web-fra" it is always down; add one, or lower need'
    )
    assert families_said(tmp_path, checks, endpoint, db) == ([told] if lacks else [])


@pytest.mark.parametrize(
    ("check", "warnings"),
    [
        ("of: [db, db6], need: 1", []),  # one for each family
        ("of: [db, db6, web], need: 2", []),
        ("of: [db, db6, web], need: 60%", []),
        (
            "of: [db, db6], need: 2",
            ['no IPv4 address in pool "db6"', 'no IPv6 address in pool "db"'],
        ),
        ("of: [db, db6], need: 51%, invert: true", ["it is always up", "it is always up"]),
    ],
)
def test_pools_of_one_family_are_no_matter_where_the_others_are_enough(
    tmp_path: Path, check: str, warnings: list[str]
) -> None:
    told = families_said(tmp_path, f"all: {{ type: calculated, {check} }}", BOTH, "192.0.2.5")
    assert len(told) == len(warnings)
    assert all(part in line for part, line in zip(warnings, told, strict=True))


def families_said(folder: Path, checks: str, endpoint: str, db: str) -> list[str]:
    """What is said of `of` if pool web-fra has the check "all"; pool db6 has no IPv4 address."""
    text = edited(SMALL, WEB, f"{WEB}\n  {checks}")
    web = "check: web, endpoints: [192.0.2.10]"
    text = edited(text, web, f"check: all, endpoints: [{endpoint}]")
    pools = f"pools:\n  db: {{ check: web, endpoints: [{db}] }}\n"
    pools += "  db6: { check: web, endpoints: ['2001:db8::6'] }\n"
    return [line for line in said(read(folder, edited(text, "pools:\n", pools))) if " of: " in line]
