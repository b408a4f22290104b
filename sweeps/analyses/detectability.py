"""Can poisoned models be told from clean ones by how well they perform?

Poisoned models are compared with the clean baselines of the same defence point. By seed, which is
a paired comparison: both saw the same images in the same order from the same initial weights. The
schema of what `detectability` returns, fractions in [0, 1], null where a figure does not exist:

    schema_version  1
    margin, loss_margin, alpha, confidence  as asked for; margin is a difference of accuracies,
                    loss_margin one of mean cross-entropies in nats
    points          one entry a defence point and attack:
        defence_id, label, attack_id, attack   what was trained
        seeds           seeds with both models
        clean_accuracy  {poisoned, clean: means over these seeds; test: an equivalence test of the
                        differences poisoned - clean, see `equivalence.Equivalence`}
        clean_loss      the same of the mean cross-entropy on the clean test images, with the auc of
                        a higher loss; null for what does not learn by it, ledgers of older
                        releases, and models whose loss is not finite
        classes         the same test for the accuracy on each true class; one with no test images
                        has n 0. These are not corrected for their number
        worst_class     number of the class that lost most by the mean, and `worst_loss`
        auc             how often a poisoned model is less accurate than a clean one of the same
                        point, over all pairs of seeds, ties half: 0.5 tells nothing, 1 all
        attack_success  mean over the seeds
        worst_images    test images of that class of the seed that has fewest
        broken          {poisoned, clean}: models among them that collapsed or diverged; they are
                        in all figures, as an inspection of performance would find them
    attacks         one entry an attack, over the defence points:
        attack_id, attack, points
        equivalent      points whose test says so, of `tested` with two seeds or more
        test            equivalence test of the points' mean differences, a point once
        auc             {mean, lower, upper}: mean of the points' auc, with a bootstrap interval
                        over points (`confidence`)
        clean_loss      the keys equivalent, tested, test and auc again, of the losses; null where
                        no pair has them
    overall         the same keys as of an attack, over all pairs of point and attack; its
                    interval draws defence points, with all their attacks

Points are what was chosen to be swept, not a sample of any population: intervals over them say how
much the figure depends on which of them were looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sweeps.analyses.trials import (
    PointTrials,
    Row,
    attack_label,
    clean_accuracy,
    is_broken,
    points_of,
)
from sweeps.statistics.equivalence import auc, bootstrap_mean, tost

SCHEMA_VERSION = 1
Entry = dict[str, Any]


def detectability(
    rows: Iterable[Row],
    margin: float = 0.02,
    alpha: float = 0.05,
    confidence: float = 0.95,
    loss_margin: float = 0.05,
) -> Entry:
    """Rows of `Ledger.rows` to plain values; see the module for their schema."""
    entries = [
        _entry(point, attack_id, margin, alpha, loss_margin)
        for point in points_of(rows)
        for attack_id in sorted(point.poisoned, key=lambda name: _order(point.poisoned[name]))
        if point.clean.keys() & point.poisoned[attack_id].keys()
    ]
    attacks = list(dict.fromkeys(entry["attack_id"] for entry in entries))
    by_attack = [[e for e in entries if e["attack_id"] == name] for name in attacks]
    return {
        "schema_version": SCHEMA_VERSION,
        "margin": margin,
        "loss_margin": loss_margin,
        "alpha": alpha,
        "confidence": confidence,
        "points": entries,
        "attacks": [
            {"attack_id": some[0]["attack_id"], "attack": some[0]["attack"]}
            | _over_points(some, margin, alpha, confidence, loss_margin)
            for some in by_attack
        ],
        "overall": _over_points(entries, margin, alpha, confidence, loss_margin),
    }


def _order(by_seed: Mapping[int, Row]) -> tuple[str, float]:
    attack = next(iter(by_seed.values()))["config"]["attack"]
    return str(attack["trigger"]), float(attack["poison_rate"])


def _entry(
    point: PointTrials, attack_id: str, margin: float, alpha: float, loss_margin: float
) -> Entry:
    poisoned = point.poisoned[attack_id]
    seeds = sorted(point.clean.keys() & poisoned.keys())
    pairs = [(clean_accuracy(poisoned[s]), clean_accuracy(point.clean[s])) for s in seeds]
    classes = _class_differences([(poisoned[s], point.clean[s]) for s in seeds])
    means = {c: sum(some) / len(some) for c, some in enumerate(classes) if some}
    worst = min(means, key=lambda c: means[c])
    return {
        "defence_id": point.defence_id,
        "label": point.label,
        "attack_id": attack_id,
        "attack": attack_label(poisoned[seeds[0]]["config"]["attack"]),
        "seeds": seeds,
        "clean_accuracy": {
            "poisoned": sum(a for a, _ in pairs) / len(pairs),
            "clean": sum(b for _, b in pairs) / len(pairs),
            "test": tost([a - b for a, b in pairs], margin, alpha).plain(),
        },
        "clean_loss": _losses(poisoned, point.clean, seeds, loss_margin, alpha),
        "classes": [tost(some, margin, alpha).plain() for some in classes],
        "worst_class": worst,
        "worst_loss": -means[worst],
        "auc": auc(
            [clean_accuracy(row) for row in poisoned.values()],
            [clean_accuracy(row) for row in point.clean.values()],
        ),
        "attack_success": _success([poisoned[s] for s in seeds]),
        "worst_images": min(poisoned[s]["class_total"][worst] for s in seeds),
        "broken": {
            "poisoned": sum(is_broken(poisoned[s]) for s in seeds),
            "clean": sum(is_broken(point.clean[s]) for s in seeds),
        },
    }


def _losses(
    poisoned: Mapping[int, Row], clean: Mapping[int, Row], seeds: Sequence[int], margin: float,
    alpha: float,
) -> Entry | None:  # fmt: skip
    """As `clean_accuracy` of an entry, and the auc, of the losses of both models of a seed."""
    known = [(poisoned[s].get("clean_loss"), clean[s].get("clean_loss")) for s in seeds]
    pairs = [(a, b) for a, b in known if a is not None and b is not None]
    if not pairs:
        return None
    worse, better = ([-pair[i] for pair in pairs] for i in (0, 1))
    return {
        "poisoned": _mean(a for a, _ in pairs),
        "clean": _mean(b for _, b in pairs),
        "test": tost([a - b for a, b in pairs], margin, alpha).plain(),
        "auc": auc(worse, better),
    }


def _class_differences(pairs: Sequence[tuple[Row, Row]]) -> list[list[float]]:
    """For each true class the differences of accuracy on it, of the seeds that have images."""
    found: list[list[float]] = [[] for _ in pairs[0][0]["class_total"]]
    for poisoned, clean in pairs:
        for c, into in enumerate(found):
            if poisoned["class_total"][c] and clean["class_total"][c]:
                rates = [
                    row["class_correct"][c] / row["class_total"][c] for row in (poisoned, clean)
                ]
                into.append(rates[0] - rates[1])
    return found


def _success(rows: Sequence[Row]) -> float | None:
    counted = [m for row in rows for m in row["measurements"][:1] if m["total"]]
    return sum(m["success"] / m["total"] for m in counted) / len(counted) if counted else None


def _over_points(
    entries: Sequence[Entry], margin: float, alpha: float, confidence: float, loss_margin: float
) -> Entry:
    """What the points say together; a defence point counts once, by the mean of its attacks."""
    accuracies = [(e["defence_id"], e["clean_accuracy"]["test"], e["auc"]) for e in entries]
    losses = [
        (e["defence_id"], e["clean_loss"]["test"], e["clean_loss"]["auc"])
        for e in entries
        if e["clean_loss"] is not None
    ]
    return _together(accuracies, margin, alpha, confidence) | {
        "clean_loss": _together(losses, loss_margin, alpha, confidence) if losses else None
    }


def _together(
    looks: Sequence[tuple[str, Entry, float]], margin: float, alpha: float, confidence: float
) -> Entry:
    """Of defence points with a test and an auc each, one for every attack."""
    tested = [test for _, test, _ in looks if test["equivalent"] is not None]
    ids = list(dict.fromkeys(name for name, _, _ in looks))
    differences = [_mean(test["mean"] for own, test, _ in looks if own == name) for name in ids]
    areas = [_mean(area for own, _, area in looks if own == name) for name in ids]
    interval = bootstrap_mean(areas, confidence)
    return {
        "points": len(ids),
        "tested": len(tested),
        "equivalent": sum(test["equivalent"] for test in tested),
        "test": tost(differences, margin, alpha).plain(),
        "auc": {
            "mean": _mean(areas) if areas else None,
            "lower": interval and interval[0],
            "upper": interval and interval[1],
        },
    }


def _mean(values: Iterable[float]) -> float:
    some = list(values)
    return sum(some) / len(some)
