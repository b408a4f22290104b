"""`stability` of region.json: how much of IN survives small changes of what it is judged by."""

from __future__ import annotations

from typing import Literal, TypedDict

ChangeKind = Literal["stricter", "looser", "seed", "attack"]


class VerdictChange(TypedDict):
    """Points whose verdict is IN, as one change leaves them.

    stay: IN before and after the change. left: IN before only. come_in: IN after only.
    recommended_in: whether the recommended point is IN after it; None where none is recommended.
    """

    stay: int
    left: int
    come_in: int
    recommended_in: bool | None


class StabilityChange(TypedDict):
    """One change, after which all points are judged again, with the best accuracy computed again.

    kind: both or one of the thresholds `stricter` or `looser`, a `seed` or an `attack` left out.
    label: the thresholds that are moved, or what is left out, in words. clean_accuracy: the rule
    after the change, `best - 0.04`. attack_success: the most that is allowed, a fraction. seed: the
    one that is left out, else None. attack_id: that of the attack that is left out, else None.
    verdicts: by the basis of the verdict, `means`, `bounds`, or another one that was asked for; one
    that could not be judged is missing. recommended: `defence_id` of the point that would be
    recommended; None without one, where verdicts by bounds are missing, and where it was the model
    of all points that recommended one, which is not fitted again.
    """

    kind: ChangeKind
    label: str
    clean_accuracy: str
    attack_success: float
    seed: int | None
    attack_id: str | None
    verdicts: dict[str, VerdictChange]
    recommended: str | None


class StabilityEntry(TypedDict):
    """All changes.

    step: by how much thresholds are moved, a fraction. inside: how many points are IN as they were
    judged, by basis. recommended: `defence_id` of the recommended point, None without one. changes:
    thresholds first, then seeds, then attacks in the order of the panel. skipped: sentences on what
    was not tried, and why. text: the worst of each kind as lines for people.
    """

    step: float
    inside: dict[str, int]
    recommended: str | None
    changes: list[StabilityChange]
    skipped: list[str]
    text: list[str]
