"""Can poisoned models be distinguished from clean ones by how well they perform?

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
                        a higher loss; null for models that are not trained by it, ledgers of older
                        releases, and models whose loss is not finite
        classes         the same test for the accuracy on each true class; one with no test images
                        has n 0. These are not corrected for their number
        worst_class     number of the class that lost most by the mean, and `worst_loss`
        auc             how often a poisoned model is less accurate than a clean one of the same
                        point, over all pairs of seeds, ties half: 0.5 is chance, 1 is certain
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
                    bootstrap resamples defence points, with all their attacks

Points are those that somebody chose to sweep, not a sample of any population: intervals over them
say how much a figure depends on this choice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypedDict

from sweeps.analyses.trials import BySeed, PointTrials, attack_label, clean_accuracy, points_of
from sweeps.records.trial_row import TrialRow
from sweeps.statistics.equivalence import EquivalenceEntry, auc, bootstrap_mean, tost

SCHEMA_VERSION = 1


class Means(TypedDict):
    """Over seeds, and the test of their differences."""

    poisoned: float
    clean: float
    test: EquivalenceEntry


class Losses(Means):
    """Of mean cross-entropies in nats."""

    auc: float


class Broken(TypedDict):
    """Numbers of models."""

    poisoned: int
    clean: int


class PointEntry(TypedDict):
    """One defence point and attack."""

    defence_id: str
    label: str
    attack_id: str
    attack: str
    seeds: list[int]
    clean_accuracy: Means
    clean_loss: Losses | None
    classes: list[EquivalenceEntry]
    worst_class: int
    worst_loss: float
    auc: float
    attack_success: float | None
    worst_images: int
    broken: Broken


class Auc(TypedDict):
    """A mean over points, and its bootstrap interval."""

    mean: float | None
    lower: float | None
    upper: float | None


class LossSummary(TypedDict):
    """One figure over points."""

    points: int
    tested: int
    equivalent: int
    test: EquivalenceEntry
    auc: Auc


class Summary(LossSummary):
    """Of clean accuracy over points, and of clean loss."""

    clean_loss: LossSummary | None


class AttackSummary(Summary):
    """Of one attack."""

    attack_id: str
    attack: str


class Detectability(TypedDict):
    """What `detectability` returns."""

    schema_version: int
    margin: float
    loss_margin: float
    alpha: float
    confidence: float
    points: list[PointEntry]
    attacks: list[AttackSummary]
    overall: Summary


def detectability(
    rows: Iterable[TrialRow],
    margin: float = 0.02,
    alpha: float = 0.05,
    confidence: float = 0.95,
    loss_margin: float = 0.05,
) -> Detectability:
    """Plain values; see the module for their schema."""
    compared = _Compared(margin, alpha, confidence, loss_margin)
    entries = [
        compared.entry(point, attack_id)
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
            {
                "attack_id": some[0]["attack_id"],
                "attack": some[0]["attack"],
                **compared.over_points(some),
            }
            for some in by_attack
        ],
        "overall": compared.over_points(entries),
    }


def _order(by_seed: BySeed) -> tuple[str, float]:
    attack = next(iter(by_seed.values())).config["attack"]
    return str(attack["trigger"]), float(attack["poison_rate"])


@dataclass(frozen=True)
class _Compared:
    """Comparisons with the margins and levels that were asked for."""

    margin: float
    alpha: float
    confidence: float
    loss_margin: float

    def entry(self, point: PointTrials, attack_id: str) -> PointEntry:
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
            "attack": attack_label(poisoned[seeds[0]].config["attack"]),
            "seeds": seeds,
            "clean_accuracy": self._means(pairs, self.margin),
            "clean_loss": self._losses(poisoned, point.clean, seeds),
            "classes": [tost(some, self.margin, self.alpha).plain() for some in classes],
            "worst_class": worst,
            "worst_loss": -means[worst],
            "auc": auc(
                [clean_accuracy(row) for row in poisoned.values()],
                [clean_accuracy(row) for row in point.clean.values()],
            ),
            "attack_success": _success([poisoned[s] for s in seeds]),
            "worst_images": min(poisoned[s].class_total[worst] for s in seeds),
            "broken": {
                "poisoned": sum(poisoned[s].broken for s in seeds),
                "clean": sum(point.clean[s].broken for s in seeds),
            },
        }

    def _means(self, pairs: Sequence[tuple[float, float]], margin: float) -> Means:
        """pairs: of a poisoned and a clean model, by seed."""
        return {
            "poisoned": _mean(a for a, _ in pairs),
            "clean": _mean(b for _, b in pairs),
            "test": tost([a - b for a, b in pairs], margin, self.alpha).plain(),
        }

    def _losses(self, poisoned: BySeed, clean: BySeed, seeds: Sequence[int]) -> Losses | None:
        """Of the seeds of which both models have a loss; None where there is none."""
        known = [(poisoned[s].clean_loss, clean[s].clean_loss) for s in seeds]
        pairs = [(a, b) for a, b in known if a is not None and b is not None]
        if not pairs:
            return None
        worse, better = ([-pair[i] for pair in pairs] for i in (0, 1))
        return {**self._means(pairs, self.loss_margin), "auc": auc(worse, better)}

    def over_points(self, entries: Sequence[PointEntry]) -> Summary:
        """Over all points; a defence point counts once, by the mean of its attacks."""
        accuracies = [(e["defence_id"], e["clean_accuracy"]["test"], e["auc"]) for e in entries]
        losses = [
            (e["defence_id"], loss["test"], loss["auc"])
            for e in entries
            if (loss := e["clean_loss"]) is not None
        ]
        return {
            **self._summary(accuracies, self.margin),
            "clean_loss": self._summary(losses, self.loss_margin) if losses else None,
        }

    def _summary(
        self, figures: Sequence[tuple[str, EquivalenceEntry, float]], margin: float
    ) -> LossSummary:
        """figures: defence id, test and auc, one for every point and attack."""
        tested = [test for _, test, _ in figures if test["equivalent"] is not None]
        ids = list(dict.fromkeys(name for name, _, _ in figures))
        means = [(name, test["mean"] or 0.0) for name, test, _ in figures]  # each has a pair
        differences = [_mean(mean for own, mean in means if own == i) for i in ids]
        areas = [_mean(area for own, _, area in figures if own == i) for i in ids]
        interval = bootstrap_mean(areas, self.confidence)
        return {
            "points": len(ids),
            "tested": len(tested),
            "equivalent": sum(bool(test["equivalent"]) for test in tested),
            "test": tost(differences, margin, self.alpha).plain(),
            "auc": {
                "mean": _mean(areas) if areas else None,
                "lower": interval and interval[0],
                "upper": interval and interval[1],
            },
        }


def _class_differences(pairs: Sequence[tuple[TrialRow, TrialRow]]) -> list[list[float]]:
    """For each true class the differences of accuracy on it, of the seeds that have images."""
    found: list[list[float]] = [[] for _ in pairs[0][0].class_total]
    for poisoned, clean in pairs:
        for c, differences in enumerate(found):
            if poisoned.class_total[c] and clean.class_total[c]:
                rates = [row.class_correct[c] / row.class_total[c] for row in (poisoned, clean)]
                differences.append(rates[0] - rates[1])
    return found


def _success(rows: Sequence[TrialRow]) -> float | None:
    known = [row.attack_success for row in rows if row.attack_success is not None]
    return sum(known) / len(known) if known else None


def _mean(values: Iterable[float]) -> float:
    some = list(values)
    return sum(some) / len(some)
