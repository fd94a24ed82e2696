"""From a mapping of the tree to a flat model, every mistake with its place and in our words.

Knows: pydantic's error types and how each is said to an operator. Refuses to know: what
the models mean. Invariant: a problem stands at the value that is wrong, at the key if the
key is unknown, at the mapping if a key is missing.
"""

from __future__ import annotations

import re
from typing import Final, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gslb.config.model import Flat, model_in
from gslb.config.report import Report, listing, quote
from gslb.config.scalar import ScalarError, show
from gslb.config.tree import MOST_DIGITS, Entry, Mapping, Scalar, Tree, place_of, plain
from gslb.errors import Where

M = TypeVar("M", bound=Flat)

# Names stand in URLs, metric labels and STEER records (one character-string).
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}", re.ASCII)

_WANTED: Final = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "float_type": "a number",
    "int_type": "a whole number",
    "model_type": "a mapping",
    "string_type": "text",
    "tuple_type": "a list",
}


def read_flat(
    model: type[M],
    table: Mapping,
    subject: str,
    report: Report,
    later: frozenset[str],
    beside: tuple[str, ...] = (),
) -> M | None:
    """The model of a mapping, or None after complaining of all that is wrong with it.

    `beside`: keys that are known and not in the mapping, because others read them.
    """
    kept = without_later(table, subject, report, later)
    try:
        return model.model_validate(plain(kept))
    except ValidationError as error:
        details = error.errors(include_url=False)
    unknown = [detail for detail in details if detail["type"] == "extra_forbidden"]
    meant = {_complain_of_key(d["loc"], model, kept, subject, report, beside) for d in unknown}
    for detail in details:
        # A key that is missing because it is misspelt is one mistake, and so is an item that is
        # none, without which pydantic finds the list too short.
        if detail in unknown or (_is_missing(detail) and detail["loc"][-1] in meant):
            continue
        if detail["type"] != "too_short" or not _is_within(details, detail["loc"]):
            _complain(detail, kept, subject, report)
    return None


def read_defaults(
    model: type[Flat], table: Mapping, subject: str, report: Report, later: frozenset[str]
) -> Mapping:
    """The good keys of a mapping that may have any part of a model, after complaining of others.

    What one key holds is whole: there are no defaults within it.
    """
    kept = without_later(table, subject, report, later)
    try:
        model.model_validate(plain(kept))
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            if detail["type"] == "extra_forbidden":
                _complain_of_key(detail["loc"], model, kept, subject, report)
            elif not _is_missing(detail) or len(detail["loc"]) > 1:
                _complain(detail, kept, subject, report)
            kept = kept.without(str(detail["loc"][0]))
    return kept


def without_later(table: Mapping, subject: str, report: Report, later: frozenset[str]) -> Mapping:
    """The mapping less the keys of later releases, each of which is complained of."""
    for key in table.entries:
        if key in later:
            comes_later(table.place(key), subject, key, report)
    return table.without(*later)


def comes_later(where: Where, subject: str, word: str, report: Report) -> None:
    """The message for a word of the design that this release does not know yet."""
    what = f"{quote(word)} comes with a later release"
    report.error(where, subject, what, "leave it out until then")


def as_mapping(tree: Tree | None, subject: str, report: Report) -> Mapping | None:
    """A mapping; an empty value is an empty mapping. None after complaining."""
    if isinstance(tree, Mapping):
        return tree
    if isinstance(tree, Scalar) and tree.is_null:
        return Mapping(tree.where)
    if tree is not None:
        what = f"{show(plain(tree))} is not a mapping of keys to values"
        unspaced = isinstance(tree, Scalar) and tree.plain and ":" in tree.text
        report.error(tree.where, subject, what, "write a space after ':'" if unspaced else "")
    return None


def named(root: Mapping, section: str, noun: str, report: Report) -> list[Entry]:
    """The entries of a section whose keys are names of objects, bad names complained of.

    Those are among the entries nevertheless: what refers to them is no mistake more.
    """
    table = as_mapping(root.get(section), section, report)
    entries = [] if table is None else list(table.entries.values())
    for entry in entries:
        if not _NAME.fullmatch(entry.key):
            hint = "use up to 63 letters, digits, -, _ and ."
            report.error(entry.where, noun, f"{quote(entry.key)} is not a name", hint)
    return entries


def _is_within(details: list[ErrorDetails], path: tuple[int | str, ...]) -> bool:
    """Whether something below a path is complained of."""
    length = len(path)
    return any(d["loc"][:length] == path and len(d["loc"]) > length for d in details)


def _is_missing(detail: ErrorDetails) -> bool:
    return detail["type"] == "missing"


def _complain_of_key(
    path: tuple[int | str, ...],
    model: type[Flat],
    table: Mapping,
    subject: str,
    report: Report,
    beside: tuple[str, ...] = (),
) -> str:
    """Say that a key is unknown; gives the known key that it probably means, or ""."""
    known = sorted((*_keys(model, path), *(beside if len(path) == 1 else ())))
    name = str(path[-1])
    near = report.nearest(name, known)
    hint = f"did you mean {quote(near)}?" if near else f"known here: {listing(known)}"
    report.error(place_of(table, path, key=True), subject, f"unknown key {quote(name)}", hint)
    return near


def _complain(detail: ErrorDetails, table: Mapping, subject: str, report: Report) -> None:
    path = detail["loc"]
    key = ".".join(str(step) for step in path if isinstance(step, str))
    where = place_of(table, path, key=False)
    if _is_missing(detail):
        report.error(where, subject, f"{quote(key)} is missing")
    else:
        what, hint = _say(detail)
        report.error(where, subject, f"{key}: {what}", hint)


def _keys(model: type[Flat], path: tuple[int | str, ...]) -> list[str]:
    """The keys of the model that the last step of a path stands in."""
    for step in path[:-1]:
        field = model.model_fields.get(str(step))
        model = (None if field is None else model_in(field.annotation)) or model
    return [field.alias or name for name, field in model.model_fields.items()]


def _say(detail: ErrorDetails) -> tuple[str, str]:
    if detail["input"] is None:
        return "has no value", ""
    context = detail.get("ctx", {})
    error = context.get("error")
    if isinstance(error, ScalarError):
        return error.what, error.hint
    given, kind = detail["input"], detail["type"]
    value = show(given)
    if kind in _WANTED:
        return f"{value} is not {_WANTED[kind]}", _write(kind, given)
    match kind:
        case "literal_error":
            return f"{value} is not one of {context['expected']}".replace("'", ""), ""
        case "greater_than_equal":
            return f"{value} is below {context['ge']}", ""
        case "less_than_equal":
            return f"{value} is above {context['le']}", ""
        case "greater_than":
            return f"{value} is not above {context['gt']:g}", ""
        case "finite_number":
            return f"{value} is not a finite number", ""
        case "too_short" | "string_too_short":
            return "is empty", ""
        case _:
            return f"{value}: {detail['msg']}", ""


def _is_number(text: str) -> bool:
    """Other scripts have digits, too, and none of them is one to YAML."""
    return text.isascii() and text.isdecimal()


def _write(kind: str, given: object) -> str:
    """What to write instead of a single value of the wrong type."""
    if isinstance(given, dict | tuple):
        return ""
    match kind:
        case "string_type":
            return "quote it"
        case "tuple_type":
            return f"write [{given}]"
        case "int_type" | "float_type" if isinstance(given, str) and _is_number(given):
            return "take the quotes away" if len(given) <= MOST_DIGITS else "it is too large"
        case _:
            return ""
