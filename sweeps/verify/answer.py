"""What a verification found, as plain values: answer.json, and `sweeps verify --json`.

schema_version   1
verification_id  twelve hex digits: the region, and what was asked
sweep            {sweep_id, name}
region           {kind: points | model, basis: means | bounds | verdict | probability, hash: of
                 all that was frozen, frozen: when}
target           median | share; claim: the share of draws inside that must pass
confidence       of every bound
thresholds       {clean_accuracy, rule, attack_success}, fractions
verdict          passed | not proven | empty (nothing is inside)
inside, border, outside
                 {draws, passed, share, lower_bound}; lower_bound: exact binomial, one-sided
reliability      null without probabilities; else bins {low, high, draws, passed, predicted,
                 observed}, predicted being the mean probability of passing in the bin
transfer         for each attack outside the panel {label, attack: its identity, draws, passed,
                 share, lower_bound}: no part of the claim
trials           {planned, finished, failed}; broken: models that diverged or collapsed, and
                 trainings that failed
earlier          how many other verifications of this sweep there are
draws            each one {stratum, label, defence, probability: of being inside, passing: of
                 passing as it is judged, seeds, clean_accuracy, attack_success, worst_attack,
                 passes, broken}; the figures are medians over the seeds, accuracy at its lowest
                 and success at its highest over the panel
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sweeps.ledger import Ledger, flatten_factors
from sweeps.region.labels import attack_label, point_labels
from sweeps.spec import SweepSpec
from sweeps.statistics.binomial import CONFIDENCE
from sweeps.verify.judge import Judged, count, judge, reliability
from sweeps.verify.plan import CLAIMS, Plan, content_hash, plan_id
from sweeps.verify.regions import BORDER, INSIDE, OUTSIDE

ANSWER_VERSION = 1
PASSED, NOT_PROVEN, EMPTY = "passed", "not proven", "empty"


def answer_of(
    plan: Plan, spec: SweepSpec, ledger: Ledger, sweep: Mapping[str, Any], earlier: int
) -> dict[str, Any]:
    """The answer as the ledger has it; the schema is in this module's docstring."""
    judged = judge(plan, spec, ledger)
    parts = {
        stratum: count(j.passes for j in judged if j.draw.stratum == stratum)
        for stratum in (INSIDE, BORDER, OUTSIDE)
    }
    region, claim = plan.frozen["region"], CLAIMS[plan.settings.target]
    return {
        "schema_version": ANSWER_VERSION,
        "verification_id": plan_id(plan.frozen, plan.settings, plan.transfer),
        "sweep": {key: sweep[key] for key in ("sweep_id", "name")},
        "region": {
            "kind": region["kind"], "basis": region["basis"],
            "hash": content_hash(plan.frozen), "frozen": plan.created,
        },
        "target": plan.settings.target,
        "claim": claim,
        "confidence": CONFIDENCE,
        "thresholds": plan.frozen["thresholds"],
        "verdict": _verdict(parts[INSIDE], claim),
        **parts,
        "reliability": reliability(judged),
        "transfer": _transfer(plan, judged),
        "trials": {
            "planned": len({trial.trial_id for trial in plan.trials(spec)}),
            "finished": len(ledger.finished),
            "failed": len(ledger.failed),
        },
        "broken": sum(j.broken for j in judged),
        "earlier": earlier,
        "draws": _draws(judged),
    }  # fmt: skip


def _verdict(inside: Mapping[str, Any], claim: float) -> str:
    if not inside["draws"]:
        return EMPTY
    return PASSED if inside["lower_bound"] >= claim else NOT_PROVEN


def _transfer(plan: Plan, judged: Sequence[Judged]) -> list[dict[str, Any]]:
    inside = [j for j in judged if j.draw.stratum == INSIDE]
    return [
        {
            "label": attack_label(attack),
            "attack": attack.identity(),
            **count(j.transfer[index].passes for j in inside),
        }
        for index, attack in enumerate(plan.transfer)
    ]


def _draws(judged: Sequence[Judged]) -> list[dict[str, Any]]:
    flat = [
        flatten_factors({"data": {}, "defence": j.draw.defence, "training": {}, "attack": None})
        for j in judged
    ]
    labels = point_labels([{k: v for k, v in f.items() if k.startswith("defence.")} for f in flat])
    return [
        {
            "stratum": j.draw.stratum,
            "label": label,
            "defence": j.draw.defence,
            "probability": j.draw.probability,
            "passing": j.draw.passing,
            "seeds": list(j.draw.seeds),
            "clean_accuracy": j.clean,
            "attack_success": j.worst.success,
            "worst_attack": attack_label(j.worst.attack),
            "passes": j.passes,
            "broken": j.broken,
        }
        for j, label in zip(judged, labels, strict=True)
    ]
