"""The point table: every defence point that was tried, judged by the worst attack of the panel.

Two verdicts stand side by side. `by_means` compares means over seeds with the thresholds. By
`by_bounds` a point is IN when one-sided t-bounds of both figures hold for every attack, OUT when
one of them fails for some attack, and UNDECIDED otherwise; it says what the seeds can prove.
Equality with a threshold is IN. A point of which a model diverged or collapsed to
one class is never IN: an attack that fails on a broken model has not been resisted. A point of
which a trial was stopped early is INCOMPLETE: what it would have come to is not known.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backdoor.config import Attack, measure_id
from backdoor.settings.digest import digest
from sweeps.early_stopping.audit import prediction_audit
from sweeps.ledger import FINISHED, STOPPED, Ledger, flatten_factors
from sweeps.region.best import Reference, from_baseline
from sweeps.region.caveats import broken_seeds, doubts, learnt_nothing
from sweeps.region.labels import attack_label, goal_label, kind_label, point_labels
from sweeps.spec import SweepSpec, Thresholds
from sweeps.statistics.seed_bounds import Rate, rate

REGION_VERSION = 1
#: Decimal places to which a margin counts: 90 of 450 is 0.2, whatever floating point makes of it.
DIGITS = 12
IN, OUT, UNDECIDED, INCOMPLETE = "IN", "OUT", "UNDECIDED", "INCOMPLETE"
Row = Mapping[str, Any]


@dataclass(frozen=True)
class AttackFigures:
    """One attack at one defence point: counts by seed, and the rates behind them."""

    clean: dict[int, tuple[int, int]]
    success: dict[int, tuple[int, int]]
    validation: list[float]
    clean_rate: Rate
    success_rate: Rate


@dataclass(frozen=True)
class Point:
    """A defence point with its finished rows. `figures` is empty where the panel is not complete
    for every seed. stopped: how many of its trials were stopped early; stand_in: what it is then
    known by, if anything."""

    defence_id: str
    factors: dict[str, Any]
    rows: list[Row]
    figures: dict[str, AttackFigures]
    stopped: int = 0
    stand_in: Reference | None = None

    @property
    def reference(self) -> Reference | None:
        """What the point says of the best accuracy; None while it cannot say."""
        if not self.complete:
            return self.stand_in
        return Reference(self.validation_accuracy, self.clean_accuracy, "panel")

    @property
    def baseline(self) -> list[Row]:
        """The rows of the clean baseline."""
        return [row for row in self.rows if row["attack_id"] == "clean"]

    @property
    def complete(self) -> bool:
        return bool(self.figures)

    @property
    def clean_accuracy(self) -> float:
        """The lowest mean over the panel's poisoned models."""
        return min(f.clean_rate.mean for f in self.figures.values())

    @property
    def validation_accuracy(self) -> float:
        return min(sum(f.validation) / len(f.validation) for f in self.figures.values())

    @property
    def worst_attack(self) -> str:
        return max(self.figures, key=lambda name: self.figures[name].success_rate.mean)

    @property
    def attack_success(self) -> float:
        return self.figures[self.worst_attack].success_rate.mean


def region_of(spec: SweepSpec, ledger: Ledger, planned: int | None = None) -> dict[str, Any]:
    """The region as plain values, as region.json keeps them."""
    rows = [row for row in ledger.rows() if row["status"] in (FINISHED, STOPPED)]
    panel = panel_of(spec)
    points = _points(rows, panel, spec.seeds, spec.region.confidence)
    best = best_point(points)
    reference = best.reference if best else None
    least = least_accuracy(spec.region, best)
    labels = point_labels([point.factors for point in points])
    table = [
        entry_of(point, label, panel, spec.region, least)
        for point, label in zip(points, labels, strict=True)
    ]
    region = {
        "schema_version": REGION_VERSION,
        "name": spec.name,
        "thresholds": {
            "clean_accuracy": {
                "rule": spec.region.rule,
                "value": least,
                "best": reference.clean_accuracy if reference else None,
                "best_point": best.defence_id if best else None,
                "best_source": reference.source if reference else None,
            },
            "attack_success": spec.region.attack_success,
            "confidence": spec.region.confidence,
        },
        "panel": [_panel_entry(name, attack) for name, attack in panel.items()],
        "counts": {
            "by_means": _count(table, "by_means", (IN, OUT, INCOMPLETE)),
            "by_bounds": _count(table, "by_bounds", (IN, OUT, UNDECIDED)),
        },
        "trials": {
            "finished": len(ledger.finished),
            "stopped": len(ledger.stopped),
            "failed": len(ledger.failed),
            "planned": planned,
        },
        "recommended": recommend(table),
        "points": table,
    }
    region |= prediction_audit(spec, rows)
    return region | {"doubts": [*learnt_nothing(least, rows), *doubts(region)]}


def best_point(points: Sequence[Point]) -> Point | None:
    """The point of highest validation accuracy, among those complete and those that their baseline
    stands in for: the test set does not choose."""
    known = [(found, point) for point in points if (found := point.reference) is not None]
    best = max(known, key=lambda pair: pair[0].validation_accuracy, default=None)
    return None if best is None else best[1]


def recommend(table: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The IN point whose smallest margin is largest; among points IN by bounds where any is."""
    for basis in ("bounds", "means"):
        inside = [entry for entry in table if entry[f"by_{basis}"] == IN]
        if inside:
            chosen = max(inside, key=lambda entry: entry["margin"])
            return {
                "defence_id": chosen["defence_id"],
                "basis": basis,
                "margin": chosen["margin"],
            }
    return None


def panel_of(spec: SweepSpec) -> dict[str, Attack]:
    """Attack id → attack."""
    return {digest("attack", attack.identity()): attack for attack in spec.panel}


def least_accuracy(thresholds: Thresholds, best: Point | None) -> float | None:
    """The clean accuracy asked for; None where that is below a best that is not known yet."""
    if thresholds.below_best is None:
        return thresholds.clean_accuracy
    reference = None if best is None else best.reference
    return None if reference is None else reference.clean_accuracy - thresholds.below_best


def _count(table: Sequence[Mapping[str, Any]], key: str, words: Sequence[str]) -> dict[str, int]:
    counted = Counter(entry[key] for entry in table)
    return {word: counted[word] for word in words}


def _panel_entry(attack_id: str, attack: Attack) -> dict[str, Any]:
    return {
        "attack_id": attack_id,
        "measure_id": measure_id(attack),
        "label": attack_label(attack),
        "trigger": kind_label(attack.trigger.identity()),
        "poison_rate": attack.poison_rate,
        "target": None if attack.label_mode == "all_to_all" else attack.target,
        "goal": goal_label(attack.identity()),
    }


# --- gathering ---------------------------------------------------------------------------------


def _points(
    rows: Sequence[Row], panel: Mapping[str, Attack], seeds: Sequence[int], confidence: float
) -> list[Point]:
    by_point: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_point[row["defence_id"]].append(row)
    return in_order(point_of(members, panel, seeds, confidence) for members in by_point.values())


def point_of(
    rows: Sequence[Row], panel: Mapping[str, Attack], seeds: Sequence[int], confidence: float
) -> Point:
    """The point behind all of its finished and stopped rows, of which there is one at least."""
    finished = [row for row in rows if row["status"] == FINISHED]
    figures = _figures(finished, panel, seeds, confidence)
    stopped = len(rows) - len(finished)
    stand_in = from_baseline(finished, seeds) if stopped else None
    return Point(rows[0]["defence_id"], _factors(rows[0]), finished, figures, stopped, stand_in)


def in_order(points: Iterable[Point]) -> list[Point]:
    """The order of the table, which also settles ties."""
    return sorted(points, key=_order)


def _order(point: Point) -> list[tuple[str, bool, Any]]:
    """By factor, text and numbers apart, so that the table does not depend on who ended first."""
    return [(name, isinstance(v, str), v) for name, v in sorted(point.factors.items())]


def _factors(row: Row) -> dict[str, Any]:
    flat = flatten_factors(row["config"])
    return {name: value for name, value in flat.items() if name.startswith("defence.")}


def _figures(
    rows: Sequence[Row], panel: Mapping[str, Attack], seeds: Sequence[int], confidence: float
) -> dict[str, AttackFigures]:
    """Figures of every attack of the panel; nothing at all while a seed of one is missing."""
    found = {(row["attack_id"], row["seed"]): row for row in rows}
    if any((name, seed) not in found for name in panel for seed in seeds):
        return {}
    return {
        name: _attack_figures([found[name, seed] for seed in seeds], confidence) for name in panel
    }


def _attack_figures(rows: Sequence[Row], confidence: float) -> AttackFigures:
    clean = {r["seed"]: (sum(r["class_correct"]), sum(r["class_total"])) for r in rows}
    success = {
        r["seed"]: (r["measurements"][0]["success"], r["measurements"][0]["total"]) for r in rows
    }
    validation = [r["validation_correct"] / max(1, r["validation_total"]) for r in rows]
    return AttackFigures(
        clean, success, validation,
        rate(list(clean.values()), confidence), rate(list(success.values()), confidence),
    )  # fmt: skip


# --- judging -----------------------------------------------------------------------------------


def entry_of(
    point: Point, label: str, panel: Mapping[str, Attack], thresholds: Thresholds,
    least: float | None,
) -> dict[str, Any]:  # fmt: skip
    """The point as region.json has it. least: the clean accuracy asked for, where known."""
    baseline = point.baseline
    entry: dict[str, Any] = {
        "defence_id": point.defence_id,
        "label": label,
        "factors": point.factors,
        "clean_accuracy": None, "validation_accuracy": None,
        "attack_success": None, "worst_attack": None,
        "clean_lower": None, "clean_upper": None,
        "success_lower": None, "success_upper": None,
        "seeds": 0, "seeds_passing": 0, "stopped": point.stopped,
        "by_means": INCOMPLETE, "by_bounds": UNDECIDED, "margin": None,
        "attacks": [],
        "baseline_accuracy": _mean([_accuracy(row) for row in baseline]),
        "broken": sum(bool(row["collapsed"] or row["diverged"]) for row in point.rows),
    }  # fmt: skip
    if not point.complete or least is None:
        return entry
    figures = point.figures
    most = thresholds.attack_success
    clean = [f.clean_rate for f in figures.values()]
    success = [f.success_rate for f in figures.values()]
    margin = round(min(point.clean_accuracy - least, most - point.attack_success), DIGITS)
    broken = broken_seeds(point.rows)
    bounds = by_bounds(clean, success, least, most)
    return entry | {
        "clean_accuracy": point.clean_accuracy,
        "validation_accuracy": point.validation_accuracy,
        "attack_success": point.attack_success,
        "worst_attack": point.worst_attack,
        "clean_lower": _extreme(min, [r.lower for r in clean]),
        "clean_upper": _extreme(min, [r.upper for r in clean]),
        "success_lower": _extreme(max, [r.lower for r in success]),
        "success_upper": _extreme(max, [r.upper for r in success]),
        "seeds": len(next(iter(figures.values())).clean),
        "seeds_passing": seeds_passing(figures, least, most, broken),
        "by_means": IN if margin >= 0 and not broken else OUT,
        "by_bounds": OUT if broken and bounds == IN else bounds,
        "margin": margin,
        "attacks": [_attack_entry(name, figures[name], panel[name], baseline) for name in panel],
    }


def by_bounds(clean: Sequence[Rate], success: Sequence[Rate], least: float, most: float) -> str:
    """IN, OUT or UNDECIDED by the one-sided bounds of every attack."""
    lowest = [r.lower for r in clean] + [None if r.upper is None else -r.upper for r in success]
    highest = [r.upper for r in clean] + [None if r.lower is None else -r.lower for r in success]
    limits = [least] * len(clean) + [-most] * len(success)
    if all(v is not None and v >= limit for v, limit in zip(lowest, limits, strict=True)):
        return IN
    if any(v is not None and v < limit for v, limit in zip(highest, limits, strict=True)):
        return OUT
    return UNDECIDED


def seeds_passing(
    figures: Mapping[str, AttackFigures], least: float, most: float, broken: Collection[int] = ()
) -> int:
    """Seeds for which clean accuracy holds and every attack of the panel fails, without those of
    which some model is broken."""

    def passes(figure: AttackFigures, seed: int) -> bool:
        (correct, images), (success, total) = figure.clean[seed], figure.success[seed]
        margin = min(correct / images - least, most - success / max(1, total))
        return round(margin, DIGITS) >= 0

    seeds = set(next(iter(figures.values())).clean) - set(broken)
    return sum(all(passes(figure, seed) for figure in figures.values()) for seed in seeds)


def _attack_entry(
    name: str, figures: AttackFigures, attack: Attack, baseline: Sequence[Row]
) -> dict[str, Any]:
    wanted = measure_id(attack)
    floor = [
        m["success"] / m["total"]
        for row in baseline
        for m in row["measurements"]
        if m["measure_id"] == wanted and m["total"]
    ]
    return {
        "attack_id": name,
        "clean_by_seed": {str(seed): k / n for seed, (k, n) in figures.clean.items()},
        "success_by_seed": {str(seed): k / n for seed, (k, n) in figures.success.items()},
        "clean_accuracy": figures.clean_rate.mean,
        "attack_success": figures.success_rate.mean,
        "images": min(total for _, total in figures.success.values()),
        "baseline_success": _mean(floor),
    }


def _accuracy(row: Row) -> float:
    return float(sum(row["class_correct"]) / sum(row["class_total"]))


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _extreme(choose: Any, values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return choose(known) if known else None
