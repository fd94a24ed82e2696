"""Whatever stands in gslb.yaml: a Configuration or problems with places, never an exception."""

from __future__ import annotations

import random

import pytest
from gslb.config.document import DEEPEST
from gslb.config.node import CHOICES
from gslb.config.reader import SECTIONS, Reading, read_configuration
from gslb.config.report import MOST_PROBLEMS
from gslb.core.policy import pools_below
from hypothesis import given
from hypothesis import strategies as st

from yamlcase import SMALL, edited, example, write

YAML, _ = example()

WORDS = st.sampled_from(
    [
        *SECTIONS,
        *CHOICES,
        *("web", "web-fra", "fra", "office", "a", "b", "from", "to", "fence", "weight", "bias"),
        *("max_km", "type", "port", "http", "tcp", "interval", "timeout", "endpoints", "ipv4"),
        *("ipv6", "datacenter", "check", "min_healthy", "pick", "answers", "when_all_down"),
        *("ask", "expect", "down", "overrides", "country", "at", "listen", "tcp", "allow"),
        *(
            "of",
            "need",
            "query",
            "rcode",
            "command",
            "send",
            "tls",
            "load",
            "ttl",
            "witness",
            "exec",
        ),
        *("dns", "icmp", "calculated", "push", "pool/web-fra", "check/web", "icmp://::1", "/a/~"),
        *("off", "all", "DE", "US-CA", "AS1", "continent:EU", "192.0.2.1", "192.0.2.0/24"),
        *("2001:db8::1", "::", "5s", "50%", "1KiB", "", "é", "\u202e", "a/b", "x" * 100),
    ]
)
SCALARS = (
    WORDS
    | st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=10)
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=30,
)


def to_yaml(tree) -> str:
    """Flow YAML of plain values, quoted as needed."""
    match tree:
        case None:
            return "null"
        case bool():
            return str(tree).lower()
        case float():
            return f"{tree:.6g}".replace("inf", ".inf").replace("nan", ".nan")
        case int():
            return str(tree)
        case str():
            safe = "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in tree)
            return '"' + safe.replace('"', "'") + '"' if tree[:1] != "o" else tree
        case list():
            return "[" + ", ".join(to_yaml(item) for item in tree) + "]"
        case dict():
            return "{" + ", ".join(f"{to_yaml(k)}: {to_yaml(v)}" for k, v in tree.items()) + "}"
    raise AssertionError(tree)


def holds(reading: Reading, path: str) -> None:
    """What is promised of every reading."""
    folder = path.removesuffix("gslb.yaml")
    failed = any(problem.severity == "error" for problem in reading.problems)
    assert failed == (reading.config is None)
    assert len(reading.problems) <= MOST_PROBLEMS + 10
    for problem in reading.problems:
        assert problem.what
        assert len(str(problem)) < 2000
        assert str(problem).isprintable()
        # Line 0: a folder, which `zones:` may put anywhere.
        assert not problem.where.line or problem.where.file.startswith(folder)
    if reading.config is not None:
        for policy in reading.config.policies.values():
            assert pools_below(policy.node)


@given(st.dictionaries(st.sampled_from(SECTIONS), TREES, max_size=6))
def test_any_tree_is_read_or_complained_of(tmp_path_factory, tree):
    folder = tmp_path_factory.mktemp("tree")
    path = write(folder, to_yaml(tree) + "\n", "")
    holds(read_configuration(path), path)


@pytest.mark.parametrize("name", ["a\\0b", "a\\e[31mb"])
@pytest.mark.parametrize(
    "place",
    [
        'zones: "{}"',
        'server: {{ state: "{}" }}',
        'geo: {{ city: "{}" }}',
        'checks: {{ a: {{ type: http, ca_file: "{}" }} }}',
    ],
)
def test_a_path_of_any_characters_is_complained_of_where_it_stands(tmp_path, place, name):
    path = write(tmp_path, place.format(name) + "\n", "")
    (problem,) = read_configuration(path).problems
    assert problem.where.line == 1
    assert "has control characters" in problem.what


def test_no_message_carries_what_a_terminal_obeys_or_a_whole_file(tmp_path):
    for value in ('"\\e[31mred"', '"\\u202e"', "x" * 1_000_000):
        for place in ("clients: {{ a: {} }}", "tests: [{{ ask: {} }}]", "zones: [{}]", "{}: 1"):
            path = write(tmp_path, place.format(value) + "\n", "")
            holds(read_configuration(path), path)


@given(TREES)
@pytest.mark.parametrize(
    "place",
    ["at: [50.11, 8.68]", "web: { type: http", "[203.0.113.0/24]", "web: { nearest:", "answers: 2"],
)
def test_any_value_anywhere_in_the_example_is_read_or_complained_of(tmp_path_factory, place, tree):
    folder = tmp_path_factory.mktemp("value")
    start = YAML.find(place)
    start = YAML.index(": ", max(start, 0)) + 2
    line_end = YAML.index("\n", start)
    path = write(folder, YAML[:start] + to_yaml(tree) + YAML[line_end:], "")
    holds(read_configuration(path), path)


@given(st.randoms(use_true_random=False))
def test_the_example_with_words_swapped_is_read_or_complained_of(tmp_path_factory, dice):
    folder = tmp_path_factory.mktemp("swapped")
    path = write(folder, mutate(YAML, dice), "www 30 STEER web\napi 20 STEER api\n")
    holds(read_configuration(path), path)


def mutate(text: str, dice: random.Random) -> str:
    """A few pieces of the text deleted, doubled, swapped or replaced."""
    pieces = text.split(" ")
    for _ in range(dice.randint(1, 6)):
        at, other = dice.randrange(len(pieces)), dice.randrange(len(pieces))
        match dice.randrange(5):
            case 0:
                del pieces[at]
            case 1:
                pieces.insert(at, pieces[other])
            case 2:
                pieces[at], pieces[other] = pieces[other], pieces[at]
            case 3:
                pieces[at] = dice.choice(["-1", "web:", "[", "}", "null", "'", "[x]", "\n", "é"])
            case _:
                cut = dice.randint(0, len(pieces[at]))
                pieces[at] = pieces[at][:cut]
    return " ".join(pieces)


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("value", ["[]", "{}", "x", "7", "[[]]", "{a: }", "{a: []}", "{a: {a: a}}"])
def test_a_section_of_any_shape_is_read_or_complained_of(tmp_path, section, value):
    path = write(tmp_path, f"{section}: {value}\n", "")
    holds(read_configuration(path), path)


def test_the_deepest_yaml_that_parses_is_read(tmp_path):
    levels = DEEPEST - 2
    policy = "[" * levels + "web-fra" + "]" * levels
    path = write(tmp_path, edited(SMALL, "[web-fra, web-iad]", policy))
    holds(read_configuration(path), path)


def flood(kind: str) -> str:
    """A big file with a mistake, or a near miss, in every line."""
    many = range(20_000)
    match kind:
        case "unknown pools":
            names = "".join(f"  some-pool-{n}: {{ endpoints: [192.0.2.1] }}\n" for n in many)
            return f"pools:\n{names}policies:\n" + "".join(
                f"  p{n}: [some-pol-{n}]\n" for n in many
            )
        case "aliases of a large policy":
            pools = "".join(f"  q{n}: {{ endpoints: [192.0.2.1] }}\n" for n in range(5000))
            every = ", ".join(f"q{n}" for n in range(5000))
            aliases = "".join(f"  p{n}: every\n" for n in many)
            return f"pools:\n{pools}policies:\n  every: [{every}]\n{aliases}"
        case "wrappers of a large policy":
            pools = "".join(f"  q{n}: {{ endpoints: [192.0.2.1] }}\n" for n in range(5000))
            every = ", ".join(f"q{n}" for n in range(5000))
            wrappers = "".join(f"  p{n}: [every, q1]\n" for n in many)
            return f"pools:\n{pools}policies:\n  every: [{every}]\n{wrappers}"
        case "one group in many routes":
            codes = ", ".join(f"AS{n}" for n in range(1, 3000))
            routes = "".join(f"  - {{ from: g, to: [w{n}] }}\n" for n in range(3000))
            return f"clients: {{ g: [{codes}] }}\npolicies:\n  web:\n    routes:\n    {routes}"
        case "a chain of policies":
            return "policies:\n" + "".join(f"  p{n}: p{n + 1}\n" for n in many)
        case "one pool with many endpoints":
            return "pools: { q: { endpoints: [" + "192.0.2.1, " * 20_000 + "] } }\n"
    raise AssertionError(kind)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "kind",
    [
        "unknown pools",
        "aliases of a large policy",
        "wrappers of a large policy",
        "one group in many routes",
        "a chain of policies",
        "one pool with many endpoints",
    ],
)
def test_a_flood_of_mistakes_ends(tmp_path, kind):
    path = write(tmp_path, flood(kind), "")
    reading = read_configuration(path)
    assert len(reading.problems) <= MOST_PROBLEMS + 10


def test_ten_thousand_endpoints_are_read(tmp_path):
    pools = "".join(
        f"  p{n}: {{ datacenter: fra, check: web, endpoints: ["
        + ", ".join(
            f"{{ ipv4: 10.{n}.0.{k}, ipv6: '2001:db8:{n:x}::{k:x}', weight: {k} }}"
            for k in range(1, 101)
        )
        + "] }\n"
        for n in range(100)
    )
    every = ", ".join(f"p{n}" for n in range(100))
    text = edited(SMALL, "pools:\n", f"pools:\n{pools}")
    path = write(tmp_path, edited(text, "web: [", f"all: {{ nearest: [{every}] }}\n  web: ["))
    reading = read_configuration(path)
    assert reading.config is not None
    assert sum(len(pool.endpoints) for pool in reading.config.pools) == 10_002
