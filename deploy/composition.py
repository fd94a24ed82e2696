"""The composition: what docker-compose.yml says, as docker-compose itself understands it.

Knows: what both compose tools print of it (1.29 YAML, v2 JSON). Refuses to know: the engine.
Invariant: ports, subnets, images and profiles stand in docker-compose.yml and nowhere else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

Subnet = IPv4Network | IPv6Network
# Every scalar, by the keys that lead to it; the elements of a list are "0", "1", …
Leaves = Mapping[tuple[str, ...], str]


@dataclass(frozen=True, slots=True)
class Port:
    """A port of this machine that a service wants; `variable` (or "") is what moves it."""

    address: str
    number: int
    protocol: str
    service: str
    inside: int = 0  # the port in the container
    variable: str = ""

    def __str__(self) -> str:
        return f"{self.address}:{self.number}/{self.protocol}"


@dataclass(frozen=True, slots=True)
class Image:
    """An image that is built here."""

    name: str
    context: str
    target: str
    arguments: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Composition:
    """The services of some profiles (those without a profile always), and all networks."""

    services: tuple[str, ...]
    images: tuple[Image, ...]
    fetched: Mapping[str, str]  # service → image that is not built here
    ports: tuple[Port, ...]
    subnets: Mapping[str, tuple[Subnet, ...]]  # by network


def read_block(text: str) -> Leaves:
    """The leaves of YAML in the plain block style that tools print; it is no YAML parser.

    A deeper line under what already has its value continues that value, and is left out.
    """
    leaves: dict[tuple[str, ...], str] = {}
    # Where we are: (depth, key). A key has twice its column as depth; the dash of a list, which may
    # stand right under the list's key, one more, and its index as key.
    path: list[tuple[int, str]] = []
    done_at = -1  # the column of the last thing that got its value
    for line in text.splitlines():
        rest = line.strip()
        column = len(line) - len(line.lstrip())
        if not rest or 0 <= done_at < column:
            continue
        done_at = -1
        while rest.startswith("- "):
            path = [step for step in path if step[0] <= 2 * column + 1]
            last = path.pop() if path and path[-1][0] == 2 * column + 1 else (0, "-1")
            path.append((2 * column + 1, str(int(last[1]) + 1)))
            done_at, column, rest = column, column + 2, rest[2:].lstrip()
        key = re.match(r"""("[^"]*"|'[^']*'|[^'":][^:]*):(?: +(.*))?$""", rest)
        if key:
            path = [step for step in path if step[0] < 2 * column]
            path.append((2 * column, unquote(key[1])))
            done_at, rest = (column, key[2]) if key[2] else (-1, "")
        if rest:
            leaves[tuple(name for _, name in path)] = unquote(rest)
    return leaves


def read_json(text: str) -> Leaves:
    """The leaves of a JSON document."""
    return dict(walk((), json.loads(text)))


def walk(path: tuple[str, ...], value: object) -> Iterator[tuple[tuple[str, ...], str]]:
    """(path, scalar) of everything below a path in nested dicts and lists."""
    match value:
        case dict():
            for key, inner in value.items():
                yield from walk((*path, str(key)), inner)
        case list():
            for index, inner in enumerate(value):
                yield from walk((*path, str(index)), inner)
        case None:
            return
        case bool():
            yield path, str(value).lower()
        case _:
            yield path, str(value)


def unquote(scalar: str) -> str:
    """A scalar without its quotes; `$$` is compose's way to write `$`."""
    if len(scalar) > 1 and scalar[0] == scalar[-1] and scalar[0] in "\"'":
        scalar = scalar[1:-1]
    return scalar.replace("$$", "$")


def below(leaves: Leaves, *path: str) -> Leaves:
    """The leaves under a path, by the rest of their keys."""
    return {
        keys[len(path) :]: value
        for keys, value in leaves.items()
        if keys[: len(path)] == path and len(keys) > len(path)
    }


def heads(leaves: Leaves) -> tuple[str, ...]:
    """The first keys, each once, in their order."""
    return tuple(dict.fromkeys(keys[0] for keys in leaves))


def variables(source: str) -> Iterator[tuple[str, str]]:
    """(name, default) of every `${NAME:-default}` in the file as it is written."""
    for match in re.finditer(r"\$\{(\w+):-([^}]*)\}", source):
        yield match[1], match[2]


def port_variables(source: str, environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(name, port) of every variable of the file that moves a port."""
    for name, default in variables(source):
        if name.endswith("_PORT"):
            yield name, environment.get(name) or default


def mounts(source: str) -> tuple[str, ...]:
    """What is mounted into containers out of the folder, each once."""
    return tuple(dict.fromkeys(re.findall(r"\./([^:\s]+):/", source)))


def read(
    leaves: Leaves, profiles: frozenset[str], source: str, environment: Mapping[str, str]
) -> Composition:
    """The composition that a tool printed; `source` is the file, for the names of its variables."""
    moved = {number: name for name, number in port_variables(source, environment)}
    services = {
        name: part
        for name in heads(below(leaves, "services"))
        if (part := below(leaves, "services", name))
        and (not (wanted := set(below(part, "profiles").values())) or wanted & profiles)
    }
    images = {
        part[("image",)]: Image(
            name=part[("image",)],
            context=part.get(("build", "context"), part.get(("build",), ".")),
            target=part.get(("build", "target"), ""),
            arguments=tuple((key, value) for (key,), value in below(part, "build", "args").items()),
        )
        for part in services.values()
        if ("image",) in part and "build" in heads(part)
    }
    return Composition(
        services=tuple(services),
        images=tuple(images.values()),
        fetched={
            name: part[("image",)] for name, part in services.items() if "build" not in heads(part)
        },
        ports=tuple(
            port
            for name, part in services.items()
            for index in heads(below(part, "ports"))
            if (port := read_port(name, below(part, "ports"), index, moved))
        ),
        subnets={
            name: tuple(
                ip_network(value)
                for keys, value in below(leaves, "networks", name).items()
                if keys[-1] == "subnet"
            )
            for name in heads(below(leaves, "networks"))
        },
    )


def read_port(service: str, ports: Leaves, index: str, moved: Mapping[str, str]) -> Port | None:
    """A published port, from 127.0.0.1:5301:53/udp or by fields; None if the engine chooses."""
    whole = ports.get((index,))
    if whole is None:
        address = ports.get((index, "host_ip"), "0.0.0.0")
        number = ports.get((index, "published"), "")
        protocol = ports.get((index, "protocol"), "tcp")
        inside = ports.get((index, "target"), "0")
    else:
        rest, _, protocol = whole.partition("/")
        outside, _, inside = rest.rpartition(":")
        address, _, number = outside.rpartition(":")
    if not number.isdigit() or number == "0":
        return None
    return Port(
        address=address or "0.0.0.0",
        number=int(number),
        protocol=protocol or "tcp",
        service=service,
        inside=int(inside),
        variable=moved.get(number, ""),
    )
