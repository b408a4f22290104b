"""`controls` of region.json: of each attack of the panel, whether it takes anywhere at all.

An attack that takes nowhere is a weak attack, or one that every tried point resists: nothing tells
which, so that it is *not shown to be resisted*.
"""

from __future__ import annotations

from typing import Literal, TypedDict

TAKES: Literal["takes"] = "takes"
NOWHERE: Literal["nowhere"] = "nowhere"
UNKNOWN: Literal["unknown"] = "unknown"
State = Literal["takes", "nowhere", "unknown"]

PAIRED: Literal["paired"] = "paired"
POOLED: Literal["pooled"] = "pooled"
ERRORS: Literal["errors"] = "errors"
ControlBasis = Literal["paired", "pooled", "errors"]


class ControlEntry(TypedDict):
    """One attack on the tried points.

    attack_id: as in the panel. state: `takes`, `nowhere` (not shown to be resisted), or `unknown`.
    why: where that is `unknown`, the reason and the remedy; None otherwise. points: at how many the
    attack was trained. compared: at how many of them its success could be compared. takes_at: at
    how many of these it takes, by a bound of confidence 0.95 at the point and a test corrected for
    the number of points; None by basis `pooled`, which has no single points.

    basis: what success is compared with. `paired`: that of the clean baseline on the same triggered
    images, by seed, at each point. `pooled`: the same, but means over all points of a seed, where
    no point has two seeds of both. `errors`: where a region search trains no clean baseline, the
    same model's errors on the clean images. None where nothing could be compared.

    defence_id: of the point of the largest lower bound; None where nothing could be compared, and
    by basis `pooled`. label: of that point, in words; None as its id. excess: how far attack
    success is above there, a fraction, the mean over seeds; None where nothing could be compared.
    lower: the lower bound of the excess, at this point by itself; None as the excess. seeds: how
    many the excess is of.

    broken: models of the attack that were left out since they collapsed or diverged.
    broken_baselines: clean baselines that were left out for the same reason. stopped: trials of the
    attack that were left out since they were stopped early.
    """

    attack_id: str
    state: State
    why: str | None
    basis: ControlBasis | None
    points: int
    compared: int
    takes_at: int | None
    defence_id: str | None
    label: str | None
    excess: float | None
    lower: float | None
    seeds: int
    broken: int
    broken_baselines: int
    stopped: int
