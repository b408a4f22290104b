"""The point table: every defence point that was tried, judged by the worst attack of the panel.

Three verdicts stand side by side. `by_means` compares means over seeds with the thresholds. By
`by_bounds` a point is IN when one-sided bounds of both means hold for every attack, OUT when one of
them fails for some attack, and UNDECIDED otherwise; it says what the point's own seeds can prove.
`by_model` judges all points together, where their factors have an order (`seed_model`).
Equality with a threshold is IN. A point of which a model diverged or collapsed to one class is
never IN: an attack that fails on a broken model has not been resisted. Its figures have these
models all the same, while the best accuracy leaves them out (`best_accuracy`). A point of which a
trial was stopped early is INCOMPLETE: its final figures are not known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from sweeps.early_stopping.audit import prediction_audit
from sweeps.ledger import Ledger
from sweeps.records.criteria import REGION_SEARCH, Criteria
from sweeps.records.region_file import (
    REGION_VERSION,
    AttackEntry,
    LeftOutEntry,
    PointEntry,
    RegionFile,
    ThresholdsEntry,
)
from sweeps.records.thresholds import Thresholds
from sweeps.records.trial_row import FINISHED, STOPPED, TrialRow
from sweeps.region.caveats import broken_seeds, caveats, met_without_learning
from sweeps.region.compared_success import ComparedSuccess, add_excess, compared_success
from sweeps.region.labels import point_labels
from sweeps.region.left_out import left_out, left_out_words
from sweeps.region.points import AttackFigures, Point, gathered, modes_of
from sweeps.region.positive_controls import positive_controls
from sweeps.region.recommended import recommend as recommend  # also for those who judge points
from sweeps.region.seed_model import SeedModel, add_judgements, seed_model
from sweeps.region.stability import stability
from sweeps.statistics.margins import DIGITS
from sweeps.statistics.seed_bounds import Rate

IN, OUT, UNDECIDED, INCOMPLETE = "IN", "OUT", "UNDECIDED", "INCOMPLETE"


def region_of(
    criteria: Criteria, ledger: Ledger, planned: int | None = None, with_stability: bool = False
) -> RegionFile:
    """The region as region.json keeps it. planned: how many trials there are in all, if known.
    with_stability: whether it says what of it survives small changes, which takes time."""
    rows = [row for row in ledger.trials() if row.status in (FINISHED, STOPPED)]
    thresholds, measures = criteria.thresholds, criteria.measures
    points = gathered(rows, measures, criteria.seeds, thresholds.confidence)
    best = best_point(points)
    least = least_accuracy(thresholds, best)
    labels = point_labels([point.factors for point in points])
    table = [
        entry_of(point, label, measures, thresholds, least)
        for point, label in zip(points, labels, strict=True)
    ]
    out = left_out(points)
    region: RegionFile = {
        "schema_version": REGION_VERSION,
        "name": criteria.name,
        "thresholds": _thresholds(thresholds, best, least, out),
        "panel": list(criteria.panel),
        "counts": {
            "by_means": _count((entry["by_means"] for entry in table), (IN, OUT, INCOMPLETE)),
            "by_bounds": _count((entry["by_bounds"] for entry in table), (IN, OUT, UNDECIDED)),
        },
        "trials": {
            "finished": len(ledger.finished),
            "stopped": len(ledger.stopped),
            "failed": len(ledger.failed),
            "planned": planned,
        },
        "recommended": recommend(table),
        "points": table,
        "controls": positive_controls(criteria, points, labels, rows),
    }
    if criteria.search != REGION_SEARCH:  # which has a model of its own, and completes no points
        _add_seed_model(region, seed_model(points, criteria, modes_of(points), best, least))
    chosen = region["recommended"]
    by_model = chosen["defence_id"] if chosen and chosen["basis"] == "model" else None
    if with_stability and (found := stability(rows, criteria, points, None, by_model)) is not None:
        region["stability"] = found
    audit = prediction_audit(criteria, rows)
    if audit is not None:
        region["foretold"] = audit
    region["doubts"] = [
        *met_without_learning(least, rows),
        *caveats(region["panel"], table, audit),
        *left_out_words(out, {entry["defence_id"]: entry["label"] for entry in table}),
    ]
    return region


def _add_seed_model(region: RegionFile, model: SeedModel) -> None:
    add_judgements(region["points"], model)
    verdicts = (entry.get("by_model", UNDECIDED) for entry in region["points"])
    region["counts"]["by_model"] = _count(verdicts, (IN, OUT, UNDECIDED))
    region["seed_model"] = model.entry
    region["recommended"] = recommend(region["points"])


def _thresholds(
    asked: Thresholds, best: Point | None, least: float | None, out: list[LeftOutEntry]
) -> ThresholdsEntry:
    reference = best.reference if best else None
    entry: ThresholdsEntry = {
        "clean_accuracy": {
            "rule": asked.rule,
            "value": least,
            "best": reference.clean_accuracy if reference else None,
            "best_point": best.defence_id if best else None,
            "best_source": reference.source if reference else None,
            "left_out": out,
        },
        "attack_success": asked.attack_success,
        "confidence": asked.confidence,
    }
    if asked.above_baseline:
        entry["attack_rule"] = asked.attack_rule
    return entry


def best_point(points: Iterable[Point]) -> Point | None:
    """The point of highest validation accuracy, among those complete and those whose baseline
    replaces the panel: the test set does not choose."""
    known = [(found, point) for point in points if (found := point.reference) is not None]
    best = max(known, key=lambda pair: pair[0].validation_accuracy, default=None)
    return None if best is None else best[1]


def least_accuracy(thresholds: Thresholds, best: Point | None) -> float | None:
    """The clean accuracy asked for; None where that is below a best that is not known yet."""
    if thresholds.below_best is None:
        return thresholds.clean_accuracy
    reference = None if best is None else best.reference
    return None if reference is None else reference.clean_accuracy - thresholds.below_best


def _count(verdicts: Iterable[str], words: Sequence[str]) -> dict[str, int]:
    counted = Counter(verdicts)
    return {word: counted[word] for word in words}


# --- judging -----------------------------------------------------------------------------------


def entry_of(
    point: Point,
    label: str,
    measures: Mapping[str, str],
    thresholds: Thresholds,
    least: float | None,
) -> PointEntry:
    """The point as region.json has it. measures: attack id → measure id, in the order of the panel.
    least: the clean accuracy asked for, where known."""
    entry = _unjudged(point, label)
    compared = compared_success(point, measures, thresholds)
    if compared is None:
        return entry
    figures = point.figures
    clean = [f.clean_rate for f in figures.values()]
    success = [f.success_rate for f in figures.values()]
    entry["clean_accuracy"] = point.clean_accuracy
    entry["validation_accuracy"] = point.validation_accuracy
    entry["attack_success"] = point.attack_success
    entry["worst_attack"] = point.worst_attack
    entry["clean_lower"] = _extreme(min, [rate.lower for rate in clean])
    entry["clean_upper"] = _extreme(min, [rate.upper for rate in clean])
    entry["success_lower"] = _extreme(max, [rate.lower for rate in success])
    entry["success_upper"] = _extreme(max, [rate.upper for rate in success])
    entry["seeds"] = len(next(iter(figures.values())).clean)
    entry["attacks"] = [
        _attack_entry(name, figures[name], measure, point.baseline)
        for name, measure in measures.items()
    ]
    if thresholds.above_baseline:
        add_excess(entry, compared)
    _judge(entry, point, compared, least, thresholds.attack_success)
    return entry


def _judge(
    entry: PointEntry,
    point: Point,
    compared: Mapping[str, ComparedSuccess],
    least: float | None,
    most: float,
) -> None:
    """Adds the verdicts and what they follow from."""
    success = [own.rate for own in compared.values()]
    if least is None:
        # No best accuracy is known although this point is complete: it has no unbroken seed.
        entry["by_means"] = OUT
        entry["by_bounds"] = OUT if by_bounds([], success, 0.0, most) == OUT else UNDECIDED
        return
    broken = broken_seeds(point.rows)
    clean = [f.clean_rate for f in point.figures.values()]
    highest = max(rate.mean for rate in success)
    margin = round(min(point.clean_accuracy - least, most - highest), DIGITS)
    bounds = by_bounds(clean, success, least, most)
    entry["seeds_passing"] = seeds_passing(point.figures, compared, least, most, broken)
    entry["by_means"] = IN if margin >= 0 and not broken else OUT
    entry["by_bounds"] = OUT if broken and bounds == IN else bounds
    entry["margin"] = margin


def _unjudged(point: Point, label: str) -> PointEntry:
    """The entry of a point that has no figures."""
    return {
        "defence_id": point.defence_id,
        "label": label,
        "factors": point.factors,
        "clean_accuracy": None,
        "validation_accuracy": None,
        "attack_success": None,
        "worst_attack": None,
        "clean_lower": None,
        "clean_upper": None,
        "success_lower": None,
        "success_upper": None,
        "seeds": 0,
        "seeds_passing": 0,
        "stopped": point.stopped,
        "by_means": INCOMPLETE,
        "by_bounds": UNDECIDED,
        "margin": None,
        "attacks": [],
        "baseline_accuracy": _mean([row.clean_accuracy or 0.0 for row in point.baseline]),
        "broken": sum(row.broken for row in point.rows),
    }


def by_bounds(clean: Sequence[Rate], success: Sequence[Rate], least: float, most: float) -> str:
    """IN, OUT or UNDECIDED by the one-sided bounds of every attack; IN only by firm ones."""
    lowest = [r.lower for r in clean] + [None if r.upper is None else -r.upper for r in success]
    highest = [r.upper for r in clean] + [None if r.lower is None else -r.lower for r in success]
    limits = [least] * len(clean) + [-most] * len(success)
    inside = all(v is not None and v >= limit for v, limit in zip(lowest, limits, strict=True))
    if inside and all(rate.firm for rate in (*clean, *success)):
        return IN
    if any(v is not None and v < limit for v, limit in zip(highest, limits, strict=True)):
        return OUT
    return UNDECIDED


def seeds_passing(
    figures: Mapping[str, AttackFigures],
    compared: Mapping[str, ComparedSuccess],
    least: float,
    most: float,
    broken: Collection[int] = (),
) -> int:
    """Seeds for which clean accuracy holds and every attack of the panel fails, without those of
    which some model is broken."""

    def passes(name: str, seed: int) -> bool:
        correct, images = figures[name].clean[seed]
        margin = min(correct / images - least, most - compared[name].by_seed[seed])
        return round(margin, DIGITS) >= 0

    seeds = set(next(iter(figures.values())).clean) - set(broken)
    return sum(all(passes(name, seed) for name in figures) for seed in seeds)


def _attack_entry(
    name: str, figures: AttackFigures, measure_id: str, baseline: Sequence[TrialRow]
) -> AttackEntry:
    on_clean_models = [
        measured.success / measured.total
        for row in baseline
        for measured in row.measurements
        if measured.measure_id == measure_id and measured.total
    ]
    return {
        "attack_id": name,
        "clean_by_seed": {str(seed): k / n for seed, (k, n) in figures.clean.items()},
        "success_by_seed": {str(seed): k / n for seed, (k, n) in figures.success.items()},
        "clean_accuracy": figures.clean_rate.mean,
        "attack_success": figures.success_rate.mean,
        "images": min(total for _, total in figures.success.values()),
        "baseline_success": _mean(on_clean_models),
    }


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _extreme(
    choose: Callable[[list[float]], float], values: Sequence[float | None]
) -> float | None:
    known = [value for value in values if value is not None]
    return choose(known) if known else None
