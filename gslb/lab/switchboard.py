"""What an operator or a reporter does at the server's control address, as JSON over HTTP.

Knows: overrides, reports of checks, health as /v1 tells it, the token in the lab's state folder.
Refuses to know: why anybody does so. Invariant: what the server refuses, or does not answer, is a
LabError with its own words, never silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiohttp import ClientError

from gslb.lab.failure import explain_error
from gslb.lab.stage import Stage
from gslb.lab.world import LabError

Body = Mapping[str, object]
TOKEN_FILE: Final = "state/token"


class Switchboard:
    """The control address of a stage's server."""

    def __init__(self, stage: Stage) -> None:
        self._stage: Final = stage

    async def drain(self, datacenter: str, why: str, lead: str | None = None) -> Body:
        """Drains a data center, after `lead` ("6s") if it is given."""
        body = {"state": "drain", "why": why, "until": None, "lead": lead}
        return await self._send("PUT", f"/v1/overrides/datacenter/{datacenter}", body)

    async def undrain(self, datacenter: str, why: str) -> Body:
        """Takes the override of a data center away."""
        path = f"/v1/overrides/datacenter/{datacenter}"
        return await self._send("DELETE", path, None, {"why": why})

    async def read_overrides(self) -> list[Body]:
        """All there are."""
        listed = (await self._send("GET", "/v1/overrides"))["overrides"]
        return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []

    async def report(self, check: str, address: str, state: str, why: str) -> Body:
        """Says of an address that a push check finds it `up` or `down`."""
        return await self._send(
            "PUT", f"/v1/checks/{check}/{address}", {"state": state, "why": why}
        )

    async def read_health(self) -> Body:
        """Every target as the server sees it, and whether it is blind."""
        return await self._send("GET", "/v1/health")

    async def read_targets(self) -> list[Body]:
        """Every target there is."""
        targets = (await self.read_health()).get("targets")
        listed = targets if isinstance(targets, list) else []
        return [one for one in listed if isinstance(one, dict)]

    async def _send(
        self,
        method: str,
        path: str,
        body: Body | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Body:
        url = f"{self._stage.world.control_url}{path}"
        try:
            async with self._stage.session.request(
                method, url, json=body, params=params, headers=self._headers()
            ) as response:
                text = await response.text()
                if response.status != 200:
                    raise LabError(f"{method} {path}: status {response.status}: {text.strip()}")
                found = await response.json()
        except (ClientError, OSError, ValueError) as error:
            raise LabError(f"{method} {path}: {explain_error(error)}") from None
        if not isinstance(found, dict):
            raise LabError(f"{method} {path}: the reply is no object")
        return found

    def _headers(self) -> Mapping[str, str]:
        path = self._stage.folder / TOKEN_FILE
        try:
            token = path.read_text(encoding="ascii").strip()
        except OSError as error:
            raise LabError(f"{path}: no token: {error.strerror}") from None
        return {"Authorization": f"Bearer {token}"}
