"""Small zones drawn at random: few names, and everything that can go wrong between them."""

from __future__ import annotations

from itertools import product
from random import Random
from typing import Final

LABELS: Final = ("a", "b", "*")
# What "b" may be in a zone: any octets make a label (RFC 2181 section 11), and letters have a case.
_ODD: Final = (r"\000", r"b\.b", r"\032\255", r"\195B", "B", r"\@", "b" * 63)
_BIG: Final = 'TXT "{}"'
_DS: Final = f"DS 1 13 2 {'11' * 32}"


class Drawing:
    """One zone: its text, and the names worth asking for, relative to the apex."""

    def __init__(self, apex: str, dice: Random) -> None:
        self.apex: Final = apex
        self._dice: Final = dice
        self._b: Final = dice.choice(_ODD) if dice.random() < 0.15 else "b"
        parts = [part for size in (1, 2, 3) for part in product(LABELS, repeat=size)]
        self._names: Final = [self._name(part) for part in parts]
        self._targets: Final = [*self._names, "c", "c.c", "a.c", "@", "@", "out.example.net."]
        self._entries: Final[dict[str, list[str]]] = {}
        for name in dice.sample(self._names, dice.randint(2, 9)):
            self._entries.setdefault(name, self._draw(name))
        if dice.random() < 0.05:
            self._draw_dname()

    @property
    def text(self) -> str:
        """The master file."""
        dice = self._dice
        lines = [
            f"$ORIGIN {self.apex}",
            "$TTL 300",
            "@ SOA ns.example.net. h 1 7200 900 1209600 60",
        ]
        servers = ["ns1.example.net.", dice.choice(self._targets)]
        apex = [f"NS {server}" for server in dict.fromkeys(servers)]
        extra = ["A 192.0.2.1", "AAAA 2001:db8::1", f"MX 5 {self._target()}", 'TXT "apex"']
        extra += [f"HTTPS 1 {self._target()}", 'CAA 0 issue "ca.example.net"', _DS]
        apex += dice.sample(extra[:-1], dice.randint(0, 3))
        entries = [(name, entry) for name, found in self._entries.items() for entry in found]
        lines += [f"{name} {entry}" for name, entry in [*(("@", one) for one in apex), *entries]]
        return "\n".join(lines) + "\n"

    @property
    def asked(self) -> list[str]:
        """The names of the zone, those above them, and some below and beside."""
        found = {""}
        for name in self._entries:
            labels = self._labels(name)
            found |= {".".join(labels[at:]) for at in range(len(labels))}
        below = {f"{label}.{name}" for name in found for label in ("*", "c", "a")}
        deep = {f"c.c.{name}" for name in found}
        return sorted(name.rstrip(".") for name in found | below | deep)

    def _labels(self, name: str) -> list[str]:
        """The labels; of ours only `b\\.b` has a dot in it."""
        return [label.replace("\0", "\\.") for label in name.replace("\\.", "\0").split(".")]

    def _name(self, labels: tuple[str, ...]) -> str:
        return ".".join(self._b if label == "b" else label for label in labels)

    def _target(self) -> str:
        return self._dice.choice(self._targets)

    def _draw(self, name: str) -> list[str]:
        """The records of a name."""
        dice = self._dice
        host = f"192.0.2.{dice.randrange(256)}"
        kind = dice.random()
        if kind < 0.25:
            return [f"A {host}", *(["AAAA 2001:db8::2"] if kind < 0.1 else [])]
        if kind < 0.4:
            return [
                f"A {host}",
                'TXT "x" "y"',
                f"MX 10 {self._target()}",
                f"MX 20 {self._target()}",
            ]
        if kind < 0.45:
            return [
                f"SRV 1 2 3 {self._target()}",
                f"SVCB 1 {self._target()} alpn=h2",
                "A 192.0.2.3",
            ]
        if kind < 0.5:
            return [f"HTTPS 0 {self._target()}", r"TYPE65280 \# 4 00016101", 'CAA 0 issue ";"']
        if kind < 0.55:
            texts = [_BIG.format(chr(97 + n) * 99) for n in range(dice.randint(3, 14))]
            return [*texts, *(f"A 192.0.2.{n}" for n in range(dice.randint(20, 80)))]
        if kind < 0.75 or name.startswith("*"):  # a wildcard cut has no meaning (RFC 4592 4.2)
            return [f"CNAME {self._target()}"]
        return self._draw_cut(name)

    def _draw_cut(self, name: str) -> list[str]:
        """A delegation; its name servers may have glue, be elsewhere, or not be at all."""
        dice = self._dice
        servers = {self._target() for _ in range(dice.randint(1, 2))}
        if dice.random() < 0.5:
            servers |= {f"ns{n}.{name}" for n in range(dice.choice((1, 2, 2, 13)))}
        for server in servers:
            if server not in self._names and server.endswith(name) and dice.random() < 0.9:
                glue = ["A 192.0.2.9", "AAAA 2001:db8::9"][: dice.randint(1, 2)]
                self._entries.setdefault(server, glue)
        return [f"NS {server}" for server in sorted(servers)] + (
            [_DS] if dice.random() < 0.4 else []
        )

    def _draw_dname(self) -> None:
        """A DNAME; nothing may be below it (RFC 6672 section 2.4)."""
        self._entries["d"] = [f"DNAME {self._target()}"]
        self._entries["e"] = ["CNAME c.d"]
