"""What a region is judged by."""

from __future__ import annotations

from dataclasses import dataclass

from sweeps.records.region_file import PanelEntry
from sweeps.records.thresholds import Thresholds

#: The kind of search that answers from a model, since it completes no points.
REGION_SEARCH = "region"


@dataclass(frozen=True, kw_only=True)
class Criteria:
    """All of a spec that its table of points depends on, as plain values: neither torch nor a kind
    of a user has to be loaded to judge by them.

    name: of the sweep. panel: its attacks, in the order of the spec. seeds: those that every attack
    needs at a point. search: the kind of search. prediction_confidence: with which verdicts are
    predicted before the end (`stopping: certain`), in (0.5, 1); None where none is predicted.
    """

    name: str
    panel: tuple[PanelEntry, ...]
    seeds: tuple[int, ...]
    thresholds: Thresholds
    search: str
    prediction_confidence: float | None = None

    @property
    def measures(self) -> dict[str, str]:
        """Attack id → measure id, in the order of the panel."""
        return {attack["attack_id"]: attack["measure_id"] for attack in self.panel}
