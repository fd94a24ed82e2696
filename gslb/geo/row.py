"""What one record of a database says, as plain values.

Knows: coordinates, region, ASN. Refuses to know: databases, arrays. Invariant: it needs no
numpy, and so do none of those who only look one address up: the process that answers.
"""

from __future__ import annotations

from typing import Final

from gslb.core.nearest import Place

Region = tuple[str, str, tuple[str, ...]]  # continent, country, subdivisions
Row = tuple[Place | None, Region, int]  # coordinates, region, ASN

NO_ROW: Final[Row] = (None, ("", "", ()), 0)
