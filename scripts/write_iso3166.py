"""Write gslb/config/iso3166.txt from PyPI's `pycountry` (ISO 3166-1 alpha-2, ISO 3166-2).

Run by hand when ISO changes something, in an environment of its own:

    python -m venv /tmp/iso && /tmp/iso/bin/pip install pycountry
    /tmp/iso/bin/python scripts/write_iso3166.py

One line a country, its code first, then its subdivisions without the country. XK is a
user-assigned code (ISO 3166-1 section 8.1.3) that GeoIP databases use for Kosovo.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pycountry

TARGET = Path(__file__).parent.parent / "gslb" / "config" / "iso3166.txt"


def main() -> None:
    below: dict[str, list[str]] = {country.alpha_2: [] for country in pycountry.countries}
    below.setdefault("XK", [])
    for subdivision in pycountry.subdivisions:
        country, code = subdivision.code.split("-", 1)
        below[country].append(code)
    lines = [" ".join([country, *sorted(codes)]) for country, codes in sorted(below.items())]
    head = f"# ISO 3166 codes, from pycountry {version('pycountry')} by scripts/write_iso3166.py"
    TARGET.write_text("\n".join([head, *lines]) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
