"""Who asks and where they are: `clients:` and `geo.overrides`.

Knows: how an element of a client group is written, and which codes there are. Refuses to
know: databases, and which policies use a group. Invariant: a network is in a group once;
codes are upper case; an override's subdivisions lie in its country.
"""

from __future__ import annotations

from collections.abc import Iterator

from gslb.config.code import CONTINENTS, NICKNAMES, is_country, is_subdivision, subdivisions_of
from gslb.config.flat import as_mapping, named, read_flat
from gslb.config.model import OverrideModel
from gslb.config.report import Report, quote
from gslb.config.scalar import (
    ScalarError,
    has_host_bits,
    read_network,
    show,
    unquoted_hint,
)
from gslb.config.tree import Entry, Mapping, Scalar, Sequence, Tree, plain
from gslb.core.client import ClientGroup, Element, GeoOverride, Kind, Location, Network
from gslb.errors import Where


def read_clients(
    root: Mapping, max_scope: tuple[int, int], report: Report
) -> dict[str, ClientGroup]:
    """The client groups of the file, less the broken elements."""
    return {
        entry.key: _read_group(entry, max_scope, report)
        for entry in named(root, "clients", "client group", report)
    }


def read_element(value: object) -> Element:
    """One line of a client group. Raises ScalarError."""
    if isinstance(value, dict) and set(value) == {"continent"}:
        raise ScalarError("a space after continent:", f"write continent:{value['continent']}")
    if not isinstance(value, str):
        if hint := unquoted_hint(value):
            raise ScalarError("an address is a mapping to YAML", hint)
        hint = "write a country, US-CA, continent:EU, AS7922 or a network"
        raise ScalarError(f"{show(value)} is no element of a client group", hint)
    if "/" in value or "." in value or value.count(":") > 1:
        return Element(Kind.NETWORK, network=read_network(value))
    code = value.upper()
    if code.startswith("CONTINENT:"):
        return Element(Kind.CONTINENT, read_continent(code.removeprefix("CONTINENT:")))
    if code.startswith("AS") and code[2:].isdecimal() and code.isascii():
        if len(code) > 12 or not 1 <= int(code[2:]) <= 0xFFFFFFFF:
            raise ScalarError(f"{quote(value)} is no AS number", "AS1 to AS4294967295")
        return Element(Kind.ASN, asn=int(code[2:]))
    if "-" in code:
        return Element(Kind.SUBDIVISION, read_subdivision(value))
    return Element(Kind.COUNTRY, read_country(value))


def read_country(text: str) -> str:
    """An ISO 3166-1 alpha-2 code, in upper case. Raises ScalarError."""
    code = text.upper()
    if is_country(code):
        return code
    hint = "ISO 3166-1 has two letters, as DE"
    if code in NICKNAMES:
        hint = f"ISO 3166-1 says {NICKNAMES[code]}"
    elif code in CONTINENTS:
        hint = f"the continent is written continent:{code}"
    raise ScalarError(f"unknown country {quote(text)}", hint)


def read_subdivision(text: str) -> str:
    """An ISO 3166-2 code, in upper case. Raises ScalarError."""
    code = text.upper()
    if is_subdivision(code):
        return code
    country = code.split("-")[0]
    if not is_country(country):
        raise ScalarError(f"unknown subdivision {quote(text)}", f"{quote(country)} is no country")
    known = subdivisions_of(country)
    shown = ", ".join(known[:5]) + (", …" if len(known) > 5 else "")
    hint = f"ISO 3166-2 has {shown}" if known else f"ISO 3166-2 has none in {country}"
    raise ScalarError(f"unknown subdivision {quote(text)}", hint)


def read_continent(text: str) -> str:
    """One of the seven continents, in upper case. Raises ScalarError."""
    code = text.upper()
    if code not in CONTINENTS:
        known = ", ".join(sorted(CONTINENTS))
        raise ScalarError(f"unknown continent {quote(text)}", f"one of {known}")
    return code


def _read_group(entry: Entry, max_scope: tuple[int, int], report: Report) -> ClientGroup:
    subject = f"client group {quote(entry.key)}"
    elements: list[Element] = []
    places: dict[Network, Where] = {}
    for item in _items(entry.value, subject, report):
        try:
            element = read_element(plain(item))
        except ScalarError as error:
            report.error(item.where, subject, error.what, error.hint)
            continue
        if element.network is not None:
            look_at_network(item, element.network, max_scope, subject, report)
            if element.network in places:
                first = places[element.network].line
                what = f"network {quote(_text(item))} stands twice"
                report.error(item.where, subject, what, f"the first is in line {first}")
                continue
            places[element.network] = item.where
        elements.append(element)
    return ClientGroup(entry.key, tuple(elements))


def _items(tree: Tree, subject: str, report: Report) -> tuple[Tree, ...]:
    if isinstance(tree, Sequence):
        return tree.items
    if isinstance(tree, Scalar) and tree.is_null:
        report.error(tree.where, subject, "is empty", "write [DE], or take the group away")
    else:
        hint = f"write [{tree.text}]" if isinstance(tree, Scalar) else ""
        report.error(tree.where, subject, f"{show(plain(tree))} is not a list", hint)
    return ()


def look_at_network(
    tree: Tree, network: Network, max_scope: tuple[int, int], subject: str, report: Report
) -> None:
    """Warn of what loads and is probably not meant."""
    warn_of_host_bits(tree, subject, report)
    longest = max_scope[0 if network.family == 4 else 1]
    if network.length > longest:
        report.warn(
            tree.where,
            subject,
            f"{_text(tree)} is longer than geo.max_scope (/{longest})",
            f"a resolver that sends a /{longest} does not reach it",
        )


def warn_of_host_bits(tree: Tree, subject: str, report: Report) -> None:
    """Warn if the text of a network has bits set to the right of its length."""
    if meant := has_host_bits(_text(tree)):
        what = f"{_text(tree)} has host bits set"
        report.warn(tree.where, subject, what, f"{meant} is taken")


def _text(tree: Tree) -> str:
    return tree.text if isinstance(tree, Scalar) else ""


def read_overrides(
    tree: Tree | None, max_scope: tuple[int, int], report: Report
) -> tuple[GeoOverride, ...]:
    """`geo.overrides`: what is known better than the database."""
    table = as_mapping(tree, "geo.overrides", report)
    found: dict[Network, GeoOverride] = {}
    for entry in table.entries.values() if table is not None else ():
        subject = f"override {quote(entry.key)}"
        key = Scalar(entry.where, entry.key, plain=False)
        try:
            network = read_network(entry.key)
        except ScalarError as error:
            report.error(entry.where, subject, error.what, error.hint)
            continue
        look_at_network(key, network, max_scope, subject, report)
        if network in found:
            report.error(entry.where, subject, "the network stands twice")
            continue
        if (location := _read_location(entry, subject, report)) is not None:
            found[network] = GeoOverride(network, location)
    return tuple(found.values())


def _read_location(entry: Entry, subject: str, report: Report) -> Location | None:
    table = as_mapping(entry.value, subject, report)
    if table is None:
        return None
    if not table.entries:
        report.error(entry.where, subject, "says nothing", "add `country:` or `at:`")
        return None
    model = read_flat(OverrideModel, table, subject, report, frozenset())
    if model is None:
        return None
    wrong = False
    country, continent, subdivisions = "", "", list[str]()
    for place, kind, text in _codes(table, model):
        try:
            match kind:
                case "country":
                    country = read_country(text)
                case "continent":
                    continent = read_continent(text)
                case _:
                    subdivisions.append(read_subdivision(text))
        except ScalarError as error:
            wrong = True
            report.error(place, subject, error.what, error.hint)
    if wrong:
        return None
    country = country or (subdivisions[0].split("-")[0] if subdivisions else "")
    for code in subdivisions:
        if not code.startswith(f"{country}-"):
            report.error(entry.where, subject, f"{code} is not in {country}")
    return Location(continent, country, tuple(subdivisions), model.at)


def _codes(table: Mapping, model: OverrideModel) -> Iterator[tuple[Where, str, str]]:
    for key, text in (
        ("country", model.country),
        ("continent", model.continent),
        ("subdivision", model.subdivision),
    ):
        if text is not None:
            yield table.place(key), key, text
    for text in model.subdivisions:
        yield table.place("subdivisions"), "subdivision", text
