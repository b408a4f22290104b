"""What the probe `influence` found on one poisoned model, in a few counts."""

from __future__ import annotations

from typing import Any, TypedDict


class InfluenceEntry(TypedDict):
    """One poisoned trial and setting of the probe; `sweeps.analyses.influential` describes it."""

    trial_id: str
    defence_id: str
    label: str
    attack_id: str
    attack: str
    seed: int
    probe_id: str
    probe: dict[str, Any]
    tested: int
    without: int
    images: int
    poisoned: int
    helping: int
    expected: float
