"""Which draws pass, and what so many of them prove."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from backdoor.config import Attack, build_defence, measure_id
from sweeps.ledger import Ledger
from sweeps.records.trial_row import TrialRow
from sweeps.records.verification_file import DrawCount, ReliabilityBin
from sweeps.spec import SweepSpec
from sweeps.statistics.binomial import lower_bound
from sweeps.statistics.margins import DIGITS
from sweeps.verify.plan import Draw, Plan

#: Edges of the bins of a reliability table.
EDGES = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0)


@dataclass(frozen=True)
class SeedOutcome:
    """What one training contributes to its draw, as fractions. working: whether it finished with a
    working model. compared: what of its success is compared with the threshold: all of it, or what
    is above the clean baseline's.

    A training that failed, diverged or collapsed to one class has resisted nothing: it counts as
    no accuracy and as a success of the attack. So does one whose clean baseline has, where success
    is compared with it.
    """

    clean: float
    success: float
    working: bool
    compared: float


@dataclass(frozen=True)
class AttackVerdict:
    """One attack at one draw: medians over the draw's seeds, and whether both thresholds hold."""

    attack: Attack
    clean: float
    success: float
    passes: bool
    compared: float


@dataclass(frozen=True)
class JudgedDraw:
    """A draw and its outcome: by the panel, and by each attack outside it. broken: trainings that
    gave no working model."""

    draw: Draw
    panel: tuple[AttackVerdict, ...]
    transfer: tuple[AttackVerdict, ...]
    broken: int

    @property
    def passes(self) -> bool:
        """Whether both thresholds hold under every attack of the panel."""
        return all(verdict.passes for verdict in self.panel)

    @property
    def worst(self) -> AttackVerdict:
        """The attack of the panel that succeeds most, as success is compared."""
        return max(self.panel, key=lambda verdict: verdict.compared)

    @property
    def clean(self) -> float:
        """The lowest clean accuracy over the panel."""
        return min(verdict.clean for verdict in self.panel)


def judge(plan: Plan, spec: SweepSpec, ledger: Ledger) -> list[JudgedDraw]:
    """Every draw, judged by what the ledger holds."""
    rows = {row.trial_id: row for row in ledger.trials()}
    return [_judged(plan, spec, draw, rows) for draw in plan.draws]


def _judged(plan: Plan, spec: SweepSpec, draw: Draw, rows: Mapping[str, TrialRow]) -> JudgedDraw:
    defence = build_defence(draw.defence)
    least = plan.frozen["thresholds"]["clean_accuracy"]
    most = plan.frozen["thresholds"]["attack_success"]
    assert least is not None, "without it nothing is inside, and nothing is drawn"
    found, broken, baselines = [], 0, _baselines(plan, spec, draw, rows)
    for attack in plan.attacks(spec, draw):
        ids = [spec.trial(defence, attack, seed).trial_id for seed in draw.seeds]
        seeds = [_outcome(rows.get(name)) for name in ids]
        broken += sum(not seed.working for seed in seeds)
        if plan.above_baseline:
            measure = measure_id(attack)
            seeds = [_above(one, row, measure) for one, row in zip(seeds, baselines, strict=True)]
        found.append(_verdict(attack, seeds, least, most))
    broken += sum(not _works(row) for row in baselines)
    width = len(spec.panel)
    return JudgedDraw(draw, tuple(found[:width]), tuple(found[width:]), broken)


def _baselines(
    plan: Plan, spec: SweepSpec, draw: Draw, rows: Mapping[str, TrialRow]
) -> list[TrialRow | None]:
    """The clean baseline of each seed, where success is compared with it; else nothing."""
    if not plan.above_baseline:
        return []
    defence = build_defence(draw.defence)
    return [rows.get(spec.trial(defence, None, seed).trial_id) for seed in draw.seeds]


def _outcome(row: TrialRow | None) -> SeedOutcome:
    if row is None or not _works(row):
        return SeedOutcome(0.0, 1.0, False, 1.0)
    measured = row.measurements[0]
    success = measured.success / max(1, measured.total)
    return SeedOutcome(row.clean_accuracy or 0.0, success, True, success)


def _works(row: TrialRow | None) -> bool:
    """Whether a training has finished with a working model."""
    return row is not None and row.finished and not row.broken


def _above(seed: SeedOutcome, clean: TrialRow | None, measure: str) -> SeedOutcome:
    """The outcome with what its success is above that of the clean baseline of the same seed."""
    if not seed.working:
        return seed
    if clean is None or not _works(clean):
        return SeedOutcome(0.0, 1.0, False, 1.0)
    own = next((m for m in clean.measurements if m.measure_id == measure), None)
    floor = own.success / max(1, own.total) if own is not None else 0.0
    return replace(seed, compared=seed.success - floor)


def _verdict(
    attack: Attack, seeds: Sequence[SeedOutcome], least: float, most: float
) -> AttackVerdict:
    clean = statistics.median(seed.clean for seed in seeds)
    success = statistics.median(seed.success for seed in seeds)
    compared = statistics.median(seed.compared for seed in seeds)
    passes = round(min(clean - least, most - compared), DIGITS) >= 0
    return AttackVerdict(attack, clean, success, passes, compared)


# --- what it proves ----------------------------------------------------------------------------


def count(passes: Iterable[bool]) -> DrawCount:
    """Draws and passes, the share, and its lower bound; None where nothing was drawn."""
    known = list(passes)
    total, passed = len(known), sum(known)
    return {
        "draws": total,
        "passed": passed,
        "share": passed / total if total else None,
        "lower_bound": lower_bound(passed, total) if total else None,
    }


def reliability(judged: Sequence[JudgedDraw]) -> list[ReliabilityBin] | None:
    """Predicted against observed, over all draws; None where the region has no probabilities."""
    known = [(p, one.passes) for one in judged if (p := one.draw.predicted) is not None]
    if not known:
        return None
    table: list[ReliabilityBin] = []
    for low, high in itertools.pairwise(EDGES):
        last = high == EDGES[-1]
        inside = [(p, ok) for p, ok in known if low <= p < high or (last and p == high)]
        total, passed = len(inside), sum(ok for _, ok in inside)
        entry: ReliabilityBin = {
            "low": low,
            "high": high,
            "draws": total,
            "passed": passed,
            "predicted": sum(p for p, _ in inside) / total if total else None,
            "observed": passed / total if total else None,
        }
        table.append(entry)
    return table
