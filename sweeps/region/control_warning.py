"""A warning before a claim is used whose attacks are not known to take."""

from __future__ import annotations

from sweeps.ledger import Ledger
from sweeps.records.control_text import control_warning
from sweeps.records.criteria import Criteria
from sweeps.region.point_table import region_of


def recorded_warning(criteria: Criteria, ledger: Ledger) -> str | None:
    """`control_warning` by what the ledger holds now: region.json may be older, or of an earlier
    release."""
    return control_warning(region_of(criteria, ledger))
