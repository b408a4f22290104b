"""The answer of a region search: what its model says of the whole defence space.

`model_answer` gives the value of `model` in region.json; `sweeps.records.model_answer` says what
its keys mean. A region search does not complete points, so that the table of points is no answer to
it.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy.special import expit

from sweeps.levelset.columns import Bools
from sweeps.levelset.membership import IN, OUT, UNDECIDED, probability, summary
from sweeps.levelset.volume import Draws, Volume, joint_draws, probability_of, volume
from sweeps.records.model_answer import (
    CategoryEntry,
    FrontEntry,
    LimitEntry,
    ModelAnswer,
    NextTrial,
    Shares,
    VolumeEntry,
)
from sweeps.region.fitted_region import FittedRegion
from sweeps.region.labels import attack_label
from sweeps.region.model_map import maps
from sweeps.region.model_points import most_accurate, most_likely_inside, recommended
from sweeps.region.model_rules import largest_box, short_rule


def model_answer(fitted: FittedRegion) -> ModelAnswer | None:
    """The answer as plain values; None where the model cannot answer."""
    if not fitted.can_answer:
        return None
    trials = fitted.search.trials()
    broken = 0 if trials.broken is None else int(trials.broken.sum())
    relative = fitted.spec.region.below_best is not None
    model, confidence = fitted.search.model(), fitted.spec.region.confidence
    drawn = joint_draws(model, fitted.points, np.random.default_rng(0))
    least, best = accuracy_thresholds(fitted)
    ended = fitted.search.ended(summary(fitted.inside, confidence, fitted.cutoff))
    answer: ModelAnswer = {
        "trials": fitted.search.trials_known,
        "target": fitted.spec.region.target,
        "clean_accuracy": least,
        "best_accuracy": best,
        "expected_f1": summary(fitted.inside, confidence).expected_f1,
        "cutoff": fitted.cutoff if np.isfinite(fitted.cutoff) else None,
        "space": _shares(fitted, np.ones(len(fitted.points), dtype=np.bool_)),
        "volume": _volume(fitted, drawn),
        "categories": _categories(fitted, drawn),
        "front": _front(fitted, drawn),
        "limits": _limits(fitted),
        "box": largest_box(fitted),
        "rule": short_rule(fitted),
        "recommended": recommended(fitted),
        "suspect": most_likely_inside(fitted),
        "most_accurate": most_accurate(fitted),
        "stopped_by": ended,
        "maps": maps(
            fitted.domain,
            partial(probability, model),
            fitted.points,
            fitted.inside,
            fitted.category,
        ),
        "next": [] if ended else _next(fitted),
    }
    if relative and broken:
        answer["left_out"] = broken
    return answer


def accuracy_thresholds(fitted: FittedRegion) -> tuple[float, float | None]:
    """The clean accuracy asked for, and the best one if the former depends on it."""
    model = fitted.search.model()
    thresholds = model.thresholds
    if thresholds.clean_accuracy is not None:
        return thresholds.clean_accuracy, None
    least = float(expit(model.accuracy_threshold.mean + model.centre[0]))
    return least, least + (thresholds.below_best or 0.0)


def _shares(fitted: FittedRegion, where: Bools) -> Shares:
    """Fractions of these points, (POINTS,), that are IN, OUT and UNDECIDED."""
    own = fitted.labels[where]
    return {
        "IN": float((own == IN).mean()),
        "OUT": float((own == OUT).mean()),
        "UNDECIDED": float((own == UNDECIDED).mean()),
    }


# --- how much ----------------------------------------------------------------------------------


def _plain(size: Volume) -> VolumeEntry:
    return {"fraction": size.fraction, "lower": size.lower, "upper": size.upper}


def _all_attacks(fitted: FittedRegion) -> Bools:
    return np.ones(len(fitted.spec.panel), dtype=np.bool_)


def _volume(fitted: FittedRegion, drawn: Draws) -> VolumeEntry:
    inside = drawn.inside(_all_attacks(fitted))
    return _plain(volume(inside, float(fitted.inside.mean())))


def _categories(fitted: FittedRegion, drawn: Draws) -> list[CategoryEntry]:
    """The volume of each combination of kinds."""
    inside = drawn.inside(_all_attacks(fitted))
    groups = fitted.domain.group(fitted.points)
    found: list[CategoryEntry] = []
    for group in np.unique(groups).tolist():
        where = groups == group
        part = inside[:, where[: inside.shape[1]]]  # there are draws of the first points only
        size = volume(part, float(fitted.inside[where].mean()))
        kinds = fitted.domain.space.branches[group].kinds
        label = ", ".join(f"{slot} {kind}" for slot, kind in kinds) or "all"
        found.append({"label": label, **_shares(fitted, where), "volume": _plain(size)})
    return found


def _front(fitted: FittedRegion, drawn: Draws) -> list[FrontEntry]:
    """The volume against the largest poison rate of the panel."""
    model, panel = fitted.search.model(), fitted.spec.panel
    found: list[FrontEntry] = []
    for rate in sorted({attack.poison_rate for attack in panel}):
        up_to = np.array([attack.poison_rate <= rate for attack in panel])
        fraction = float(probability_of(model, fitted.points, up_to).mean())
        size = volume(drawn.inside(up_to), fraction)
        found.append({"poison_rate": rate, "volume": _plain(size)})
    return found


def _limits(fitted: FittedRegion) -> list[LimitEntry]:
    """What fails first where the region ends, the most frequent first."""
    out = fitted.labels == OUT
    if not out.any():
        return []
    clean, attack = fitted.passing
    chances = np.column_stack([clean, attack])[out]
    names = ["clean accuracy", *(attack_label(attack) for attack in fitted.spec.panel)]
    shares = np.bincount(chances.argmin(axis=1), minlength=len(names)) / out.sum()
    found: list[LimitEntry] = [
        {"label": name, "share": share}
        for name, share in zip(names, shares.tolist(), strict=True)
        if share
    ]
    return sorted(found, key=lambda entry: -entry["share"])


def _next(fitted: FittedRegion) -> list[NextTrial]:
    """The trials that the search would choose now."""
    return [
        {
            "defence": trial.defence.active(),
            "attack": None if trial.attack is None else attack_label(trial.attack),
            "seed": trial.seed,
        }
        for trial in fitted.search.ask(fitted.spec.search.at_once)
    ]
