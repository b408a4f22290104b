"""How much of the region survives small changes: what `templates/stability.html` is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashboards.results import Results
from sweeps.records.stability_entry import StabilityChange, VerdictChange


@dataclass(frozen=True)
class ChangeRow:
    """One change. verdicts: by each basis, None where it was not judged. recommended: what becomes
    of the recommended point, in words."""

    label: str
    verdicts: list[VerdictChange | None]
    recommended: str


@dataclass(frozen=True)
class Stability:
    """What survives. step: of moved thresholds. inside: by basis, how many points are IN. told: the
    worst of each kind, a sentence each. rows: all changes."""

    step: float
    inside: dict[str, int]
    told: list[str]
    rows: list[ChangeRow]


def stability(results: Results) -> Stability | None:
    """The section; None where region.json does not say it."""
    found = results.region.get("stability")
    if found is None:
        return None
    bases = list(found["inside"])
    setting = results.region["setting"]
    by_model = setting is not None and setting["basis"] == "model"
    return Stability(
        step=found["step"],
        inside=found["inside"],
        told=[line.strip() for line in found["text"]],
        rows=[_row(change, bases, found["recommended"], by_model) for change in found["changes"]],
    )


def _row(
    change: StabilityChange, bases: Sequence[str], chosen: str | None, by_model: bool
) -> ChangeRow:
    verdicts = [change["verdicts"].get(basis) for basis in bases]
    return ChangeRow(change["label"], verdicts, _recommended(change, chosen, by_model))


def _recommended(change: StabilityChange, chosen: str | None, by_model: bool) -> str:
    """By means, which are never missing. by_model: whether a model recommends the point, which is
    not fitted again, so that what it would recommend then is not known."""
    if chosen is None:
        return "none" if change["recommended"] is None else "another one"
    if not change["verdicts"]["means"]["recommended_in"]:
        return "no longer IN"
    if by_model:
        return "still IN by means"
    same = change["recommended"] == chosen
    return "the same" if same else "still IN; another one would be recommended"
