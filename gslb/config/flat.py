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

from gslb.config.model import Flat
from gslb.config.report import Report, listing, quote
from gslb.config.scalar import ScalarError, show
from gslb.config.tree import Entry, Mapping, Scalar, Tree, place_of, plain
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
    model: type[M], table: Mapping, subject: str, report: Report, later: frozenset[str]
) -> M | None:
    """The model of a mapping, or None after complaining of all that is wrong with it."""
    kept = without_later(table, subject, report, later)
    try:
        return model.model_validate(plain(kept))
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            _complain(detail, model, kept, subject, report)
        return None


def read_defaults(
    model: type[Flat], table: Mapping, subject: str, report: Report, later: frozenset[str]
) -> Mapping:
    """The good keys of a mapping that may have any part of a model, after complaining of others."""
    kept = without_later(table, subject, report, later)
    try:
        model.model_validate(plain(kept))
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            if detail["type"] != "missing":
                _complain(detail, model, kept, subject, report)
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
    report.error(where, subject, f"{quote(word)} comes with a later release")


def as_mapping(tree: Tree | None, subject: str, report: Report) -> Mapping | None:
    """A mapping; an empty value is an empty mapping. None after complaining."""
    if isinstance(tree, Mapping):
        return tree
    if isinstance(tree, Scalar) and tree.is_null:
        return Mapping(tree.where)
    if tree is not None:
        report.error(tree.where, subject, f"{show(plain(tree))} is not a mapping of keys to values")
    return None


def named(root: Mapping, section: str, noun: str, report: Report) -> list[Entry]:
    """The entries of a section whose keys are names of objects, bad names complained of."""
    table = as_mapping(root.get(section), section, report)
    good: list[Entry] = []
    for entry in table.entries.values() if table is not None else ():
        if not _NAME.fullmatch(entry.key):
            hint = "use up to 63 letters, digits, -, _ and ."
            report.error(entry.where, noun, f"{quote(entry.key)} is not a name", hint)
        else:
            good.append(entry)
    return good


def _complain(
    detail: ErrorDetails, model: type[Flat], table: Mapping, subject: str, report: Report
) -> None:
    path = detail["loc"]
    key = ".".join(str(step) for step in path if isinstance(step, str))
    kind = detail["type"]
    if kind == "extra_forbidden":
        known = _keys(model, path)
        name = str(path[-1])
        hint = report.suggest(name, known) or f"known here: {listing(sorted(known))}"
        where = place_of(table, path, key=True)
        report.error(where, subject, f"unknown key {quote(name)}", hint)
    elif kind == "missing":
        where = place_of(table, path, key=False)
        report.error(where, subject, f"{quote(key)} is missing")
    else:
        what, hint = _say(detail)
        report.error(place_of(table, path, key=False), subject, f"{key}: {what}", hint)


def _keys(model: type[Flat], path: tuple[int | str, ...]) -> list[str]:
    """The keys of the model that the last step of a path stands in."""
    for step in path[:-1]:
        field = model.model_fields.get(str(step))
        inner = None if field is None else field.annotation
        if isinstance(inner, type) and issubclass(inner, Flat):
            model = inner
    return [field.alias or name for name, field in model.model_fields.items()]


def _say(detail: ErrorDetails) -> tuple[str, str]:
    context = detail.get("ctx", {})
    error = context.get("error")
    if isinstance(error, ScalarError):
        return error.what, error.hint
    value = show(detail["input"])
    kind = detail["type"]
    if detail["input"] is None:
        return "has no value", ""
    if kind in _WANTED:
        wanted = _WANTED[kind]
        return f"{value} is not {wanted}", "quote it" if wanted == "text" else ""
    match kind:
        case "literal_error":
            return f"{value} is not one of {context['expected']}".replace("'", ""), ""
        case "greater_than_equal":
            return f"{value} is below {context['ge']}", ""
        case "less_than_equal":
            return f"{value} is above {context['le']}", ""
        case "greater_than":
            return f"{value} is not above {context['gt']:g}", ""
        case "too_short" | "string_too_short":
            return "is empty", ""
        case _:
            return f"{value}: {detail['msg']}", ""
