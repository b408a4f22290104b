"""Which attacks of the panel are known to take anywhere, for `sweeps status`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sweeps.records.control_entry import NOWHERE, TAKES, UNKNOWN
from sweeps.records.control_text import NOT_SHOWN, NOTHING

if TYPE_CHECKING:
    from sweeps.cli.status_verdict import Verdict


def panel_states(verdict: Verdict) -> Iterator[str]:
    """Sentences, none where every attack takes somewhere, nothing has been tried, or nothing is
    known of the panel."""
    controls = verdict["controls"]
    silent, open_ = controls.get(NOWHERE, []), controls.get(UNKNOWN, [])
    if not verdict["points"] or not (silent or open_):
        return
    if silent and not open_ and TAKES not in controls:
        yield NOTHING
        return
    if silent:
        yield f"takes nowhere, {NOT_SHOWN}: {'; '.join(silent)}"
    if open_:
        yield f"not known to take anywhere: {'; '.join(open_)}"
