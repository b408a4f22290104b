"""Tags of a sweep's experiment: which attacks of its panel are known to take anywhere."""

from __future__ import annotations

from sweeps.ledger import Ledger
from sweeps.mirror.run_record import VALUE_LENGTH, clean_text
from sweeps.records.control_entry import NOWHERE, TAKES, UNKNOWN
from sweeps.records.control_text import control_summary
from sweeps.records.sweep_file import SweepFile
from sweeps.region.point_table import region_of
from sweeps.results.stored import ChangedByHandError, stored_criteria

#: State of an attack to the tag that has the labels of those attacks.
TAGS = {TAKES: "attacks_that_take", NOWHERE: "attacks_not_shown", UNKNOWN: "attacks_not_known"}


def panel_tags(sweep: SweepFile, ledger: Ledger) -> dict[str, str]:
    """Those of a sweep as its ledger is now; `none` where no attack has a state.

    None at all where sweep.json does not say what the panel is: it is of an earlier release, or was
    changed by hand.
    """
    try:
        criteria = stored_criteria(sweep)
    except ChangedByHandError:
        return {}
    if criteria is None:
        return {}
    found = control_summary(region_of(criteria, ledger))
    return {
        tag: clean_text("; ".join(found.get(state, [])) or "none", VALUE_LENGTH)
        for state, tag in TAGS.items()
    }
