"""A region with the answer that region.json has, for tests that judge rows without a folder."""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.answer.add import add_answer
from sweeps.ledger import Ledger
from sweeps.records.criteria import Criteria
from sweeps.records.not_verified import not_verified
from sweeps.records.region_file import RegionFile
from sweeps.records.state_text import state_entry
from sweeps.records.trial_row import TrialRow
from sweeps.region.region_text import region_text


def answered(region: RegionFile, criteria: Criteria, rows: Sequence[TrialRow]) -> RegionFile:
    """The same region, of a sweep that has finished."""
    state = state_entry(region["trials"], "finished", False, None)
    add_answer(region, criteria, rows, state, not_verified())
    return region


def text_of(
    region: RegionFile, criteria: Criteria, ledger: Ledger, width: int | None = None
) -> str:
    """As `sweeps region` prints it."""
    return region_text(answered(region, criteria, ledger.trials()), width)
