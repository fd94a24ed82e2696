"""Every error of the project, sorted by who must act on it.

Knows: the peer's mistakes (`FormatError`), the operator's (`Problem`, collected
into `ConfigError`). Refuses to know: how anybody prints, logs or answers them.
Invariant: a `FormatError` carries constant text only, so that building one from a
hostile packet costs nothing and leaks nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Severity = Literal["error", "warning"]


class GslbError(Exception):
    """The root: whatever this project raises on purpose."""


class FormatError(GslbError):
    """The peer's octets are not a DNS message (RFC 1035 section 4): answered FORMERR.

    `reason` is a constant text, `offset` the octet where reading stopped.
    """

    def __init__(self, reason: str, offset: int = 0) -> None:
        super().__init__(reason)
        self.reason: Final = reason
        self.offset: Final = offset


class EngineMissingError(GslbError):
    """`engine: native` was asked for and the native module is not there."""


class ListenError(GslbError):
    """A socket of `server.listen` cannot be opened; the text is one line for the operator."""


class UnreachableError(GslbError):
    """A server that a command asked gives no usable answer; says which and why."""


@dataclass(frozen=True, slots=True, order=True)
class Where:
    """A place in a file; line and column count from 1, and 0 means "the whole file"."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if not self.line:
            return self.file
        if not self.column:
            return f"{self.file}:{self.line}"
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing the operator has to mend (or may want to): where, what, and what to do.

    `subject` names the object (`policy "api"`), `hint` says what to do. Both may be empty.
    `cap` is the setting of `server.limits` that refused it, so that it can be counted.
    """

    where: Where
    subject: str
    what: str
    hint: str = ""
    severity: Severity = "error"
    cap: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.severity}: "
        if self.subject:
            text += f"{self.subject}: "
        text += self.what
        if self.hint:
            text += f"; {self.hint}"
        return text


class ConfigError(GslbError):
    """The configuration cannot be loaded; carries every problem found, in file order.

    Warnings found on the way are among `problems`, told apart by their severity.
    """

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems: Final = problems
