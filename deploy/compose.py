"""The container lab's program: `make compose-lab`, `-drill`, `-down` and `-build`.

Knows: the order of the steps, and what to tell the person before the terminal. Refuses to know:
what the containers do (docker-compose.yml). Invariant: a run that fails or is interrupted leaves
nothing running that it started; a mistake is one line and exit status 1. Standard library only.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from deploy import composition, preflight, removal
from deploy.composition import Composition
from deploy.ending import ENDING
from deploy.image import OWN_BASE, has_image, provide_images
from deploy.preflight import ONE_OFF, PROJECT, SERVICE, ObstacleError, Tool, ask
from deploy.step import LOG, end_session, run, say, step

ROOT = Path(__file__).resolve().parents[1]
FILE = "docker-compose.yml"
HEALTHY_LIMIT_S = 120.0  # it takes a quarter of this; a machine with two busy cores half
HOPELESS = ("exited", "dead", "restarting")  # no waiting makes these healthy


@dataclass(frozen=True, slots=True)
class Lab:
    """One lab: its folder, its compose project, the tool that starts it."""

    folder: Path
    project: str
    tool: Tool
    environment: Mapping[str, str]
    profiles: frozenset[str]
    limit_s: float  # until all are healthy

    def command(self, *arguments: str) -> tuple[str, ...]:
        """A command line of the compose tool for this lab."""
        profiles = (f"--profile={name}" for name in sorted(self.profiles))
        return (*self.tool.command, "-p", self.project, *profiles, *arguments)

    @property
    def source(self) -> str:
        """docker-compose.yml as it is written."""
        return (self.folder / FILE).read_text(encoding="utf-8")

    def read(self) -> Composition:
        """What docker-compose.yml says; ObstacleError with the tool's word if it is wrong."""
        as_json = ("--format", "json") if self.tool.version >= (2, 0) else ()
        source = self.source
        preflight.check_numbers(composition.port_variables(source, self.environment))
        text = ask(*self.command("config", *as_json))
        leaves = composition.read_json(text) if as_json else composition.read_block(text)
        return composition.read(leaves, self.profiles, source, self.environment)


def find_settings(folder: Path) -> Mapping[str, str]:
    """The environment over the lines of `.env`, as both compose tools have it."""
    settings: dict[str, str] = {}
    with suppress(OSError):
        for line in (folder / ".env").read_text(encoding="utf-8").splitlines():
            name, equals, value = line.partition("=")
            if equals and not name.startswith("#"):
                settings[name.strip()] = composition.unquote(value.strip())
    return {**settings, **os.environ}


def name_project(folder: Path, settings: Mapping[str, str]) -> str:
    """The name that both compose tools give a project."""
    name = settings.get("COMPOSE_PROJECT_NAME") or folder.name
    return re.sub(r"[^-_a-z0-9]", "", name.lower()).lstrip("-_") or "gslb"


# ---- before ---------------------------------------------------------------------------------


def prepare(folder: Path, profiles: frozenset[str], limit_s: float) -> Lab:
    """The lab of a folder, with an engine that answers and a compose tool."""
    os.chdir(folder)
    engine = preflight.find_engine()
    tool = preflight.find_tool()
    settings = find_settings(folder)
    lab = Lab(folder, name_project(folder, settings), tool, settings, profiles, limit_s)
    say(f"Docker Engine {engine}, {tool} {'.'.join(map(str, tool.version))}, project {lab.project}")
    return lab


def check_running(project: str) -> None:
    """Whether a lab that is up may be started again: not while a drill runs, or one is paused."""
    lab = f"label={PROJECT}={project}"
    if ask("docker", "ps", "--quiet", "--filter", lab, "--filter", f"label={SERVICE}=drill"):
        raise ObstacleError(
            f"a drill runs in this lab (project {project}): wait until it has ended,"
            " or make compose-down ends both"
        )
    form = ("--filter", "status=paused", "--format", "{{.Names}}")
    if names := " ".join(ask("docker", "ps", "--filter", lab, *form).split()):
        raise ObstacleError(f"paused: {names}; docker unpause {names}, then try again")


def check(lab: Lab, contents: Composition, up: bool) -> None:
    """Everything that can be known to be in the way; what the running lab has is its own.

    What a lab that is gone has left is taken out of the way.
    """
    preflight.check_ipv6()
    preflight.check_files(lab.folder, composition.mounts(lab.source))
    # Another lab is in the way of both; its networks say so best, unless there is no lab any more.
    removal.remove_leftovers(contents.subnets, preflight.list_networks())
    preflight.check_subnets(
        [subnet for subnets in contents.subnets.values() for subnet in subnets],
        lab.project,
        preflight.list_networks(),
        tuple(preflight.list_routes()),
    )
    if not up:
        preflight.check_ports(contents.ports)


# ---- up, drill, down ------------------------------------------------------------------------


def start(lab: Lab, services: Sequence[str], log: Path) -> None:
    """Start the containers and wait until all are well; who is not has the last word."""
    began_s = time.monotonic()
    try:
        with step(f"starting {len(services)} containers"):
            run(lab.command("up", "--detach", "--no-build", *services), log, lab.limit_s)
    except ObstacleError as refusal:
        raise ObstacleError(
            f"the containers do not start: {refusal}; all of it is in {LOG}"
        ) from None
    with step("waiting until all are healthy"):
        while ill := list_ill(lab.project, services):
            over = [one for one in ill if one[1] in HOPELESS]
            if over or time.monotonic() - began_s > lab.limit_s:
                break
            with ENDING.heard():
                time.sleep(0.5)
    if ill:
        name, condition = (over or ill)[0]
        tail_log(name)
        raise ObstacleError(
            f"{name} is {condition} {time.monotonic() - began_s:.0f} s after the start;"
            " its last words are above"
        )
    say(f"all are healthy {time.monotonic() - began_s:.0f} s after the start")


def list_ill(project: str, services: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """(container, condition) of every container of the services that is not well."""
    form = (
        f'{{{{index .Config.Labels "{SERVICE}"}}}} {{{{.Name}}}} '
        "{{if or .State.Paused .State.Restarting (not .State.Running)}}{{.State.Status}}"
        "{{else if .State.Health}}{{.State.Health.Status}}{{else}}healthy{{end}}"
    )
    # A container that `run` left behind is nobody's service.
    labels = (f"label={PROJECT}={project}", f"label={ONE_OFF}=False")
    filters = (word for label in labels for word in ("--filter", label))
    ids = ask("docker", "ps", "--all", "--quiet", *filters).split()
    lines = ask("docker", "inspect", "--format", form, *ids).splitlines() if ids else []
    states = (line.split() for line in lines if line)
    return tuple(
        (name.removeprefix("/"), condition)
        for service, name, condition in states
        if service in services and condition != "healthy"
    )


def tail_log(container: str) -> None:
    """Print the last words of a container, and of its health check."""
    health = "{{if .State.Health}}{{range .State.Health.Log}}{{.Output}}{{end}}{{end}}"
    done = subprocess.run(
        ("docker", "logs", "--tail", "15", container), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
    )  # fmt: skip
    for line in done.stdout.splitlines():
        say(f"    {container}: {line}")
    with suppress(ObstacleError):
        for line in ask("docker", "inspect", "--format", health, container).splitlines()[-3:]:
            say(f"    {container}, health check: {line}")


def take_down(project: str, folder: Path) -> None:
    """Remove the lab; Ctrl-C cannot leave half of it."""
    ENDING.ignore()
    with step("taking the lab down"):
        removed = removal.clear(project, folder)
    say(f"removed: {removed}" if removed else "there was nothing to remove")


def bring_up(lab: Lab, fresh: bool) -> Composition:
    """The whole way to a healthy lab. What fails on the way is taken down again if it was new."""
    contents = lab.read()
    up = bool(removal.list_containers(lab.project, lab.folder))
    if up and fresh:
        raise ObstacleError(
            f"the lab is up (project {lab.project}), and a drill needs a fresh one:"
            " make compose-down first"
        )
    if up:
        check_running(lab.project)
    check(lab, contents, up)
    log = lab.folder / LOG
    log.unlink(missing_ok=True)
    services = provide_images(contents, lab.source, log)
    try:
        start(lab, services, log)
    except BaseException:
        if up:
            say("the lab was up before, so it is left as it is; make compose-down removes it")
        else:
            take_down(lab.project, lab.folder)
        raise
    return replace(contents, services=services)


def build(lab: Lab) -> None:
    """The images alone: whoever comes next finds them in the engine's cache."""
    contents, log = lab.read(), lab.folder / LOG
    log.unlink(missing_ok=True)
    provide_images(contents, lab.source, log)


def drill(lab: Lab) -> int:
    """A lab of its own for the drill; its exit status."""
    bring_up(lab, fresh=True)
    command = replace(lab, profiles=frozenset({"drill"})).command("run", "--rm", "-T", "drill")
    try:
        # A session of its own: a Ctrl-C is ours, and the containers are gone a moment later.
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            with ENDING.heard():
                return child.wait()
        finally:
            end_session(child, patience_s=0)
    finally:
        take_down(lab.project, lab.folder)


def hint(lab: Lab, contents: Composition) -> str:
    """What to try, as lines to copy."""
    ports = {(port.service, port.inside): port.number for port in contents.ports}
    tool, make = str(lab.tool), "make"
    if name_project(lab.folder, {}) != lab.project:
        tool, make = f"{tool} -p {lab.project}", f"COMPOSE_PROJECT_NAME={lab.project} make"
    dns = ports[("ns1-net", 53)]
    lines = [
        ("Ask a server as a client in fra, iad or nrt would:", ""),
        *(
            (f"  dig @127.0.0.1 -p {dns} +short www.gslb.example.com +subnet=198.18.{n}.0/24", name)
            for n, name in ((1, "fra"), (2, "iad"), (3, "nrt"))
        ),
        ("Ask as a client in fra does, through its resolver and the parent zone:", ""),
        (f"  {tool} exec client-fra dig +short @198.18.1.53 www.gslb.example.com", ""),
        (f"  {tool} exec client-nrt curl -s http://www.gslb.example.com:8080", "the page"),
        ("Watch the clients while you break things:", ""),
        (f"  {tool} logs -f client-fra client-iad client-nrt", ""),
        (f"  {tool} stop web-fra", "a region; `start` brings it back"),
        (f"  {tool} pause ns1", "a name server; `unpause`"),
        (f"  {tool} kill -s HUP ns1 ns2", "reload deploy/lab/gslb/gslb.yaml"),
        (f"  {tool} logs --tail 5 ns1 ns2", "whether it was taken, or why not"),
        ("Take a region out as an operator does; one command tells both servers:", ""),
        (f'  {tool} exec ns1 gslb drain fra --for 10m --why "to see it"', ""),
        (f'  {tool} exec ns1 gslb override fra clear --why "seen"', "gives it back"),
        ("Why an answer is what it is:", ""),
        (f"  {tool} exec ns1 gslb explain www.gslb.example.com --from 198.18.1.21", ""),
    ]
    lines.append(("Metrics and graphs:", ""))
    for service, inside, text in (("prometheus", 9090, ""), ("grafana", 3000, "dashboards")):
        if service in contents.services:
            lines.append((f"  http://127.0.0.1:{ports[(service, inside)]}", text or service))
    if "prometheus" not in contents.services:
        lines.append((f'  {make} compose-lab ARGS="--observe"', "Prometheus and Grafana too"))
    lines += [
        ("The end:", ""),
        (f"  {make} compose-down", "removes it all"),
        (f"  {make} compose-drill", "does it all by itself, in a fresh lab"),
    ]
    width = max(len(text) for text, why in lines if why)
    return "\n".join(f"{text:<{width}}  # {why}" if why else text for text, why in lines)


def end(folder: Path) -> None:
    """`down`: remove the lab, and say what stays."""
    preflight.find_engine()
    settings = find_settings(folder)
    take_down(name_project(folder, settings), folder)
    source = (folder / FILE).read_text(encoding="utf-8")
    built = dict.fromkeys(re.findall(r"image: (gslb\S*)", source))
    stay = [name for name in (*built, OWN_BASE) if has_image(name)]
    if stay:
        say(f"the images stay; docker image rm {' '.join(stay)} removes them too")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0, the drill's own, 1 after a line that says why, 130 if interrupted."""
    parser = argparse.ArgumentParser(prog="compose", description=__doc__.partition("\n")[0])
    parser.add_argument("command", choices=("build", "up", "drill", "down"))
    parser.add_argument("--observe", action="store_true", help="Prometheus and Grafana too")
    parser.add_argument("--folder", type=Path, default=ROOT, help="where docker-compose.yml is")
    parser.add_argument(
        "--limit-s", type=float, default=HEALTHY_LIMIT_S, help="until all are healthy (%(default)g)"
    )
    given = parser.parse_args(arguments)
    ENDING.listen()
    profiles = frozenset({"observe"} if given.observe else ())
    folder = given.folder.resolve()
    try:
        if given.command == "down":
            end(folder)
            return 0
        lab = prepare(folder, profiles, given.limit_s)
        if given.command == "build":
            build(lab)
            return 0
        if given.command == "drill":
            return drill(lab)
        contents = bring_up(lab, fresh=False)
        say(hint(lab, contents))
    except ObstacleError as refusal:
        print(f"compose: {refusal}", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
