"""Points that the model of a region search names, with what it expects of one new seed there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sweeps.levelset.columns import Floats
from sweeps.levelset.membership import IN
from sweeps.records.model_answer import ModelPointEntry, ResistsEntry
from sweeps.region.fitted_region import FittedRegion
from sweeps.region.labels import attack_label, kind_label, point_labels, target_label
from sweeps.region.new_seeds import new_seeds


def recommended(fitted: FittedRegion) -> ModelPointEntry | None:
    """The point that is IN with the largest margin; None where nothing is IN."""
    index = recommended_index(fitted)
    return None if index is None else _entry(fitted, index)


def recommended_index(fitted: FittedRegion) -> int | None:
    """The number of that point among `fitted.points`."""
    if not fitted.any_inside:
        return None
    margins = np.where(fitted.labels == IN, _deviations(fitted), -np.inf)
    return int(np.argmax(margins))


def most_likely_inside(fitted: FittedRegion) -> ModelPointEntry | None:
    """The point most likely to be inside, where nothing is IN."""
    return None if fitted.any_inside else _entry(fitted, int(np.argmax(fitted.inside)))


def most_accurate(fitted: FittedRegion) -> ModelPointEntry:
    """The point of highest expected clean accuracy."""
    return _entry(fitted, most_accurate_index(fitted))


def most_accurate_index(fitted: FittedRegion) -> int:
    """The number of that point among `fitted.points`."""
    return int(np.argmax(fitted.search.model().clean.at(fitted.points).mean))


def _deviations(fitted: FittedRegion) -> Floats:
    """The smallest margin of each point, in standard deviations of one new seed, (n,)."""
    model, points = fitted.search.model(), fitted.points
    clean, attack = model.clean.at(points), model.attack.at(model.crossed(points))
    mean, variance = model.clean_margin(clean)
    of_clean = mean / np.sqrt(variance + model.seed_noise(clean, 0))
    spread = np.sqrt(attack.variance() + model.seed_noise(attack, 1))
    of_attack = (-attack.mean / spread).reshape(-1, len(model.panel))
    return np.asarray(np.minimum(of_clean, of_attack.min(axis=1)), dtype=np.float64)


def _entry(fitted: FittedRegion, index: int) -> ModelPointEntry:
    (seed,) = new_seeds(fitted.search.model(), fitted.points[index : index + 1])
    factors = fitted.factors(index)
    return {
        "label": point_labels([factors, *fitted.examples])[0],
        "factors": factors,
        "defence": fitted.defence(index),
        "probability": float(fitted.inside[index]),
        "clean_accuracy": seed.clean,
        "attack_success": seed.attacks[seed.worst],
        "worst_attack": attack_label(fitted.spec.panel[seed.worst]),
        "resists": _resists(fitted, index),
    }


def _resists(fitted: FittedRegion, index: int) -> list[ResistsEntry]:
    """For each attack but its rate, how high a poison rate the point withstands."""
    _, chances = fitted.passing
    by_kind: dict[str, list[tuple[float, bool]]] = {}
    for attack, chance in zip(fitted.spec.panel, chances[index].tolist(), strict=True):
        name = f"{kind_label(attack.trigger.identity())} {target_label(attack.identity())}"
        passes = chance >= fitted.spec.region.confidence
        by_kind.setdefault(name, []).append((attack.poison_rate, passes))
    return [
        {"attack": name, "poison_rate": _largest(sorted(rates))} for name, rates in by_kind.items()
    ]


def _largest(rates: Sequence[tuple[float, bool]]) -> float | None:
    """The last rate before the first that is not passed."""
    found = None
    for rate, passes in rates:
        if not passes:
            break
        found = rate
    return found
