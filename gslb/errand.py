"""One thing asked of several servers at once, and what each of them said.

Knows: that a server which does not answer holds up nobody else, what a round of answers is worth
as an exit status. Refuses to know: what is asked, how an answer looks. Invariant: there is an
outcome for every contact, in their order, after `PATIENCE_S` at the latest.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from gslb.access import Contact
from gslb.errors import GslbError, UnreachableError
from gslb.remote import RefusedError, failure_text

PATIENCE_S: Final = 8.0  # more than one timeout of remote.py: names are looked up, octets trickle

_LATE: Final = failure_text(TimeoutError())

Status = Literal[0, 1, 3]  # of cli.md
Question = Callable[[Contact], dict[str, object]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one server said: a body, or why there is none; `error` begins with its URL."""

    url: str
    body: dict[str, object] | None
    error: str = ""
    status: Status = 0

    def shown(self) -> dict[str, object]:
        """For `--json`, beside the bodies of others."""
        return {"error": self.error} if self.body is None else self.body


def run_errand(contacts: Sequence[Contact], ask: Question, late: str = "") -> tuple[Outcome, ...]:
    """Asks all at the same time. `ask` raises GslbError for a server that did not do it.

    `late` is what else to say of one that does not answer in time.
    """
    outcomes: list[Outcome | None] = [None] * len(contacts)

    def visit(index: int) -> None:
        outcomes[index] = _visit(contacts[index], ask)

    # Threads that nobody waits for at the end: a pool's would keep the process.
    threads = [
        threading.Thread(target=visit, args=(index,), daemon=True) for index in range(len(contacts))
    ]
    for thread in threads:
        thread.start()
    ends = time.monotonic() + PATIENCE_S
    for thread in threads:
        thread.join(max(0.0, ends - time.monotonic()))
    return tuple(
        _remark(outcome or Outcome(contact.url, None, f"{contact.url}: {_LATE}", 3), late)
        for contact, outcome in zip(contacts, tuple(outcomes), strict=True)
    )


def exit_status(outcomes: Sequence[Outcome]) -> Status:
    """0: all did it; 1: one refused; 3: one was not there, and that is all that is wrong."""
    statuses = {outcome.status for outcome in outcomes}
    return 1 if 1 in statuses else 3 if 3 in statuses else 0


def _remark(outcome: Outcome, late: str) -> Outcome:
    if not late or outcome.status != 3 or not outcome.error.endswith(f": {_LATE}"):
        return outcome
    return replace(outcome, error=f"{outcome.error} ({late})")


def _visit(contact: Contact, ask: Question) -> Outcome:
    try:
        return Outcome(contact.url, ask(contact))
    except UnreachableError as error:
        return Outcome(contact.url, None, str(error), 3)
    except RefusedError as error:
        hint = f"; {contact.hint}" if error.status == 401 else ""
        return Outcome(contact.url, None, f"{error}{hint}", 1)
    except GslbError as error:
        return Outcome(contact.url, None, f"{contact.url}: {error}", 1)
    except Exception as error:  # in a thread: nobody else would hear of it
        what = f"this is a defect of gslb: {type(error).__name__}: {error}"
        return Outcome(contact.url, None, f"{contact.url}: {what}", 1)
