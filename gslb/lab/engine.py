"""The Docker Engine, asked over its own socket: what runs, orders to stop, to run a command.

Knows: the few paths of the Engine API that a drill needs, Compose's labels. Refuses to know:
why something is stopped. Invariant: only containers and networks of one Compose project are
ever found, so nothing else on the machine can be ordered about; an order once sent is seen
to its end, even if who gave it has gone (`settle`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final, Literal

from aiohttp import ClientError, ClientSession, ClientTimeout, UnixConnector

from gslb.lab.failure import explain_error
from gslb.lab.world import LabError

SOCKET: Final = Path("/var/run/docker.sock")
PROJECT: Final = "com.docker.compose.project"
SERVICE: Final = "com.docker.compose.service"
NETWORK: Final = "com.docker.compose.network"
ONE_OFF: Final = "com.docker.compose.oneoff"  # what `docker-compose run` started

ANSWER_MAX_S: Final = 20.0  # a stop waits for the process; a busy machine for everything
GRACE_S: Final = 3  # between SIGTERM and SIGKILL
FRAME_HEAD: Final = 8  # a stream's number, three octets of nothing, and how long the piece is


class EngineError(LabError):
    """The engine is not there, or refuses: what it said, on one line."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A container's place in a network: fixed addresses ("" for none) and its names there."""

    network: str  # as the engine calls it
    ipv4: str
    ipv6: str
    aliases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Container:
    """A container at one instant. `pid`: the host's number of its first process, 0 for none."""

    id: str
    service: str
    project: str
    running: bool
    paused: bool
    pid: int
    restarts: int
    attachments: tuple[Attachment, ...]

    @property
    def state(self) -> str:
        """`running`, `paused` or `stopped`."""
        if not self.running:
            return "stopped"
        return "paused" if self.paused else "running"

    def attachment(self, network: str) -> Attachment | None:
        """Its place in the network of that name, None if it is not in it."""
        return next((place for place in self.attachments if place.network == network), None)


@dataclass(frozen=True, slots=True)
class Execution:
    """A command that ended in a container: its exit status, and all that it printed."""

    status: int
    text: str


class Engine:
    """One engine. Get it with `open_engine`. Every method may raise EngineError."""

    def __init__(self, session: ClientSession, socket: Path) -> None:
        self._session: Final = session
        self._socket: Final = socket
        self._orders: Final[set[asyncio.Task[Execution | None]]] = set()

    async def inspect(self, container: str) -> Container | None:
        """The container of that id or name; None if there is none."""
        answer = await self._ask("GET", f"/containers/{container}/json", missing_ok=True)
        return None if answer is None else parse_container(answer)

    async def find_services(self, project: str) -> dict[str, Container]:
        """The project's containers by service, the lowest number of each; stopped ones too."""
        labels = [f"{PROJECT}={project}", f"{ONE_OFF}=False"]
        listed = await self._ask(
            "GET", "/containers/json", {"all": "true", "filters": json.dumps({"label": labels})}
        )
        found: dict[str, Container] = {}
        for one in sorted(listed, key=_number) if isinstance(listed, list) else []:
            container = await self.inspect(_text(one, "Id"))
            if container is not None:
                found.setdefault(container.service, container)
        return found

    async def find_networks(self, project: str) -> dict[str, str]:
        """The engine's names of the project's networks, by the names in the Compose file."""
        filters = json.dumps({"label": [f"{PROJECT}={project}"]})
        listed = await self._ask("GET", "/networks", {"filters": filters})
        return {
            _text(one, "Labels", NETWORK): _text(one, "Name")
            for one in (listed if isinstance(listed, list) else [])
        }

    async def stop(self, container: Container) -> None:
        """SIGTERM, SIGKILL after GRACE_S; returns when it has ended."""
        await self._order(f"/containers/{container.id}/stop", {"t": str(GRACE_S)})

    async def start(self, container: Container) -> None:
        """Starts it with the addresses it had; nothing if it runs."""
        await self._order(f"/containers/{container.id}/start")

    async def pause(self, container: Container) -> None:
        """Freezes its processes: its address is there and nobody answers."""
        await self._order(f"/containers/{container.id}/pause")

    async def unpause(self, container: Container) -> None:
        """Lets its processes go on."""
        await self._order(f"/containers/{container.id}/unpause")

    async def signal(self, container: Container, name: Literal["HUP"]) -> None:
        """Sends its first process a signal."""
        await self._order(f"/containers/{container.id}/kill", {"signal": name})

    async def disconnect(self, container: Container, network: str) -> None:
        """Takes its interface in a network away, even if it is the last one."""
        body = {"Container": container.id, "Force": True}
        await self._order(f"/networks/{network}/disconnect", body=body)

    async def connect(self, container: Container, place: Attachment) -> None:
        """Gives it back the place that it had, with the same addresses and names."""
        addresses = {"IPv4Address": place.ipv4, "IPv6Address": place.ipv6}
        endpoint = {
            "IPAMConfig": {key: text for key, text in addresses.items() if text},
            "Aliases": list(place.aliases),
        }
        body = {"Container": container.id, "EndpointConfig": endpoint}
        await self._order(f"/networks/{place.network}/connect", body=body)

    async def execute(self, container: Container, command: Sequence[str]) -> Execution:
        """Runs a command in a container, as its user, and waits until it has ended."""

        async def run() -> Execution:
            body = {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True}
            made = await self._ask("POST", f"/containers/{container.id}/exec", body=body)
            path = f"/exec/{_text(made, 'Id')}"
            octets = await self._fetch("POST", f"{path}/start", body={"Detach": False})
            status = _pick(await self._ask("GET", f"{path}/json"), "ExitCode")
            if not isinstance(status, int):
                raise EngineError(f"{command[0]} has not ended in {container.service}")
            return Execution(status, read_stream(octets))

        done = await self._see_through(run())
        assert done is not None  # it is what `run` returned
        return done

    async def settle(self) -> None:
        """Waits for orders whose giver was cancelled: the engine carries them out regardless."""
        await asyncio.gather(*self._orders, return_exceptions=True)

    async def _order(
        self,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> None:
        async def send() -> None:
            await self._ask("POST", path, query, body)

        await self._see_through(send())

    async def _see_through(
        self, order: Coroutine[object, object, Execution | None]
    ) -> Execution | None:
        task = asyncio.create_task(order)
        self._orders.add(task)
        task.add_done_callback(self._orders.discard)
        return await asyncio.shield(task)

    async def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        *,
        missing_ok: bool = False,
    ) -> object:
        """The JSON that comes back, None for what is none."""
        octets = await self._fetch(method, path, query, body, missing_ok=missing_ok)
        return _parse(octets)

    async def _fetch(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        *,
        missing_ok: bool = False,
    ) -> bytes:
        """The body that comes back; empty if there is no such thing and that is as well."""
        # Without a version the engine takes its own, so that no engine is too old or too new.
        # The host of the URL is only there because HTTP wants one.
        try:
            async with self._session.request(
                method, f"http://engine{path}", params=query, json=body
            ) as response:
                octets = await response.read()
        except TimeoutError:
            raise EngineError(
                f"the Docker engine has not answered in {ANSWER_MAX_S:.0f} s"
            ) from None
        except (ClientError, OSError) as error:
            raise EngineError(
                f"no Docker engine answers at {self._socket}: {explain_error(error)}; the drill"
                " needs it (docker-compose.yml mounts it)"
            ) from None
        if response.status == HTTPStatus.NOT_FOUND and missing_ok:
            return b""
        if response.status >= HTTPStatus.BAD_REQUEST:
            text = _text(_parse(octets), "message") or octets.decode(errors="replace")
            said = " ".join(text.split())
            raise EngineError(f"the Docker engine refuses {method} {path}: {said}")
        return octets


@asynccontextmanager
async def open_engine(socket: Path = SOCKET) -> AsyncIterator[Engine]:
    """The engine behind a socket. That nobody listens there is seen at the first question."""
    # Kept connections would be cut when the engine pleases, in the middle of an order.
    connector = UnixConnector(str(socket), force_close=True, limit=0)
    timeout = ClientTimeout(total=ANSWER_MAX_S)
    async with ClientSession(connector=connector, timeout=timeout) as session:
        engine = Engine(session, socket)
        try:
            yield engine
        finally:
            await engine.settle()


def parse_container(value: object) -> Container:
    """A container of the engine's own description (GET /containers/ID/json)."""
    networks = _pick(value, "NetworkSettings", "Networks")
    return Container(
        id=_text(value, "Id"),
        service=_text(value, "Config", "Labels", SERVICE),
        project=_text(value, "Config", "Labels", PROJECT),
        running=_pick(value, "State", "Running") is True,
        paused=_pick(value, "State", "Paused") is True,
        pid=_whole(value, "State", "Pid"),
        restarts=_whole(value, "RestartCount"),
        attachments=tuple(
            _parse_attachment(str(name), place)
            for name, place in (networks.items() if isinstance(networks, dict) else ())
        ),
    )


def read_stream(octets: bytes) -> str:
    """What a command printed, out of the frames that the engine puts around each piece."""
    pieces, at = [], 0
    while at + FRAME_HEAD <= len(octets):
        length = int.from_bytes(octets[at + 4 : at + FRAME_HEAD], "big")
        at += FRAME_HEAD
        pieces.append(octets[at : at + length])
        at += length
    return b"".join(pieces).decode(errors="replace")


def _parse_attachment(network: str, value: object) -> Attachment:
    aliases = _pick(value, "Aliases")
    return Attachment(
        network,
        _text(value, "IPAMConfig", "IPv4Address"),
        _text(value, "IPAMConfig", "IPv6Address"),
        tuple(str(alias) for alias in aliases) if isinstance(aliases, list) else (),
    )


def _number(listed: object) -> int:
    text = _text(listed, "Labels", "com.docker.compose.container-number")
    return int(text) if text.isdigit() else 0


def _pick(value: object, *keys: str) -> object:
    """What lies below the keys; None if something on the way is not there."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _text(value: object, *keys: str) -> str:
    found = _pick(value, *keys)
    return found if isinstance(found, str) else ""


def _whole(value: object, *keys: str) -> int:
    found = _pick(value, *keys)
    return found if isinstance(found, int) else 0


def _parse(octets: bytes) -> object:
    try:
        answer: object = json.loads(octets)
    except ValueError:
        return None
    return answer
