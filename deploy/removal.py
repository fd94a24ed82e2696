"""The removal of a lab, and of the networks of a lab that is no more.

Knows: what the engine has of a compose project, by its labels. Refuses to know: what a lab is for.
Invariant: what a container that exists is in, and what may be of a lab that is only starting, is
not touched. Standard library only.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from deploy.composition import Subnet
from deploy.preflight import PROJECT, DockerNetwork, ObstacleError, ask
from deploy.step import say

BROKEN = "deploy/lab/gslb/zones/broken-by-the-drill.zone"
CLEAR_TRIES = 5
# Compose makes networks first, then containers: so long one without any is no leftover.
STARTING_S = 60.0


def list_containers(project: str, folder: Path) -> tuple[str, ...]:
    """The project's containers; ObstacleError if they are another folder's."""
    form = '{{.ID}}|{{.Label "com.docker.compose.project.working_dir"}}'
    lines = ask(
        "docker", "ps", "--all", "--filter", f"label={PROJECT}={project}", "--format", form
    ).splitlines()
    for line in lines:
        origin = line.partition("|")[2]
        if origin and Path(origin).is_dir() and Path(origin).resolve() != folder:
            raise ObstacleError(
                f"a lab of the project {project} was started in {origin}:"
                " there can be one lab at a time; end it there with make compose-down"
            )
    return tuple(line.partition("|")[0] for line in lines)


def clear(project: str, folder: Path) -> str:
    """Remove every container, network and volume of the project; what that was, in words.

    Until a look finds none: the engine may still be at work for a command that was interrupted.
    """
    gone: dict[str, set[str]] = {"container": set(), "network": set(), "volume": set()}
    word = ""
    for _ in range(CLEAR_TRIES):
        found = {"container": list_containers(project, folder)}
        for kind in ("network", "volume"):
            label = f"label={PROJECT}={project}"
            found[kind] = tuple(ask("docker", kind, "ls", "--quiet", "--filter", label).split())
        if not any(found.values()):
            break
        for kind, names in found.items():
            gone[kind].update(names)
            # One after the other: of several at once Docker 20.10 was seen to forget that one had
            # left its network, which it then does not remove.
            for name in names:
                try:
                    remove(kind, name)
                except ObstacleError as refusal:
                    word = str(refusal)
                    time.sleep(0.5)
    else:
        raise ObstacleError(f"not everything of the lab can be removed: {word}")
    with suppress(FileNotFoundError):
        (folder / BROKEN).unlink()
    return ", ".join(count(names, kind) for kind, names in gone.items() if names)


def count(names: set[str], kind: str) -> str:
    """`13 containers`, `1 network`."""
    return f"{len(names)} {kind}{'s' if len(names) != 1 else ''}"


def remove(kind: str, name: str) -> None:
    """Remove a container, a network or a volume; ObstacleError with the engine's word."""
    if kind == "network":
        remove_network(name)
    else:
        options = ("--force", "--volumes") if kind == "container" else ()
        ask("docker", kind, "rm", *options, name)


def remove_network(name: str) -> None:
    """Remove a network, also one in which the engine believes a container that is gone."""
    try:
        ask("docker", "network", "rm", name)
    except ObstacleError:
        ghosts = find_ghosts(name)
        if not ghosts:
            raise
        for ghost in ghosts:
            ask("docker", "network", "disconnect", "--force", name, ghost)
        ask("docker", "network", "rm", name)


def find_ghosts(network: str) -> tuple[str, ...]:
    """Who is in a network and does not exist; nobody, if anybody there does exist."""
    if is_used(network):
        return ()
    form = "{{range .Containers}}{{.Name}} {{end}}"
    return tuple(ask("docker", "network", "inspect", "--format", form, network).split())


def is_used(network: str) -> bool:
    """Whether a container that exists, running or not, is in a network."""
    return bool(ask("docker", "ps", "--all", "--quiet", "--filter", f"network={network}"))


def find_leftovers(
    subnets: Mapping[str, Sequence[Subnet]], networks: Sequence[DockerNetwork], now_s: float
) -> tuple[DockerNetwork, ...]:
    """Networks of this docker-compose.yml whose lab is gone: its project has no container left.

    Only what compose made (its labels), under a name of the file and with that name's subnets.
    """
    return tuple(
        network
        for network in networks
        if network.project
        and network.subnets
        and set(network.subnets) == set(subnets.get(network.key, ()))
        and now_s - network.created_s >= STARTING_S
        and not ask("docker", "ps", "--all", "--quiet", "--filter",
                    f"label={PROJECT}={network.project}")
        and not is_used(network.name)
    )  # fmt: skip


def remove_leftovers(
    subnets: Mapping[str, Sequence[Subnet]], networks: Sequence[DockerNetwork]
) -> None:
    """Remove what `find_leftovers` finds, and say so; ObstacleError if the engine refuses."""
    for network in find_leftovers(subnets, networks, time.time()):
        try:
            remove_network(network.name)
        except ObstacleError as refusal:
            raise ObstacleError(
                f"the network {network.name} is left over from a lab that is gone (project"
                f" {network.project}), and the engine does not remove it ({refusal}): restart the"
                f" engine (systemctl restart docker), then docker network rm {network.name}"
            ) from None
        say(
            f"removed the network {network.name}: the lab of the project {network.project},"
            " which left it, is gone"
        )
