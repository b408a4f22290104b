"""Which draws pass, and what so many of them prove."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backdoor.config import Attack, build_defence
from sweeps.ledger import FINISHED, Ledger, accuracies
from sweeps.region.point_table import DIGITS
from sweeps.spec import SweepSpec
from sweeps.statistics.binomial import lower_bound
from sweeps.verify.plan import Draw, Plan

#: Edges of the bins of a reliability table.
EDGES = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0)


@dataclass(frozen=True)
class Seed:
    """What one training gives to its draw, as fractions. `sound`: finished, and a working model.

    A training that failed, diverged or collapsed to one class has resisted nothing: it counts as
    no accuracy and as a success of the attack.
    """

    clean: float
    success: float
    sound: bool


@dataclass(frozen=True)
class Verdict:
    """One attack at one draw: medians over the draw's seeds, and whether both thresholds hold."""

    attack: Attack
    clean: float
    success: float
    passes: bool


@dataclass(frozen=True)
class Judged:
    """A draw with what came of it: by the panel, and by each attack outside it."""

    draw: Draw
    panel: tuple[Verdict, ...]
    transfer: tuple[Verdict, ...]
    broken: int

    @property
    def passes(self) -> bool:
        return all(verdict.passes for verdict in self.panel)

    @property
    def worst(self) -> Verdict:
        """The attack of the panel that succeeds most."""
        return max(self.panel, key=lambda verdict: verdict.success)

    @property
    def clean(self) -> float:
        return min(verdict.clean for verdict in self.panel)


def judge(plan: Plan, spec: SweepSpec, ledger: Ledger) -> list[Judged]:
    """Every draw, judged by what the ledger holds."""
    rows = {row["trial_id"]: row for row in ledger.rows()}
    return [_judged(plan, spec, draw, rows) for draw in plan.draws]


def _judged(plan: Plan, spec: SweepSpec, draw: Draw, rows: Mapping[str, Any]) -> Judged:
    defence = build_defence(draw.defence)
    least = plan.frozen["thresholds"]["clean_accuracy"]
    most = plan.frozen["thresholds"]["attack_success"]
    found, broken = [], 0
    for attack in plan.attacks(spec, draw):
        ids = [spec.trial(defence, attack, seed).trial_id for seed in draw.seeds]
        seeds = [_seed(rows.get(name)) for name in ids]
        broken += sum(not seed.sound for seed in seeds)
        found.append(_verdict(attack, seeds, least, most))
    width = len(spec.panel)
    return Judged(draw, tuple(found[:width]), tuple(found[width:]), broken)


def _seed(row: Mapping[str, Any] | None) -> Seed:
    if row is None or row["status"] != FINISHED or row["collapsed"] or row["diverged"]:
        return Seed(0.0, 1.0, False)
    measured = row["measurements"][0]
    clean = accuracies(dict(row))["clean_accuracy"] or 0.0
    return Seed(clean, measured["success"] / max(1, measured["total"]), True)


def _verdict(attack: Attack, seeds: Sequence[Seed], least: float, most: float) -> Verdict:
    clean = statistics.median(seed.clean for seed in seeds)
    success = statistics.median(seed.success for seed in seeds)
    return Verdict(attack, clean, success, round(min(clean - least, most - success), DIGITS) >= 0)


# --- what it proves ----------------------------------------------------------------------------


def count(passes: Iterable[bool]) -> dict[str, Any]:
    """Draws and passes, the share, and its lower bound; None where nothing was drawn."""
    known = list(passes)
    total, passed = len(known), sum(known)
    return {
        "draws": total,
        "passed": passed,
        "share": passed / total if total else None,
        "lower_bound": lower_bound(passed, total) if total else None,
    }


def reliability(judged: Sequence[Judged]) -> list[dict[str, Any]] | None:
    """Predicted against observed, over all draws; None where the region has no probabilities."""
    known = [(p, j.passes) for j in judged if (p := j.draw.predicted) is not None]
    if not known:
        return None
    table = []
    for low, high in itertools.pairwise(EDGES):
        last = high == EDGES[-1]
        inside = [(p, ok) for p, ok in known if low <= p < high or (last and p == high)]
        total, passed = len(inside), sum(ok for _, ok in inside)
        table.append(
            {
                "low": low, "high": high, "draws": total, "passed": passed,
                "predicted": sum(p for p, _ in inside) / total if total else None,
                "observed": passed / total if total else None,
            }
        )  # fmt: skip
    return table
