"""What a verification found, as answer.json keeps it (`sweeps.records.verification_file`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backdoor.config import Attack
from sweeps.ledger import Ledger
from sweeps.records.sweep_file import SweepFile
from sweeps.records.verification_file import (
    VERIFICATION_VERSION,
    DrawCount,
    DrawEntry,
    RegionEntry,
    TransferEntry,
    Verdict,
    VerificationFile,
)
from sweeps.region.labels import attack_label, flat_defence, kind_label, point_labels
from sweeps.spec import SweepSpec
from sweeps.statistics.binomial import CONFIDENCE
from sweeps.verify.judge import JudgedDraw, count, judge, reliability
from sweeps.verify.plan import Plan, content_hash, plan_id
from sweeps.verify.regions import BORDER, INSIDE, OUTSIDE
from sweeps.verify.where_failed import where_failed

PASSED: Verdict = "passed"
NOT_PROVEN: Verdict = "not proven"
EMPTY: Verdict = "empty"


def answer_of(
    plan: Plan, spec: SweepSpec, ledger: Ledger, sweep: SweepFile, earlier: int
) -> VerificationFile:
    """The answer as the ledger has it. earlier: other verifications of this sweep."""
    judged = judge(plan, spec, ledger)
    inside = _part(judged, INSIDE)
    claim = plan.settings.claim
    return {
        "schema_version": VERIFICATION_VERSION,
        "verification_id": plan_id(plan.frozen, plan.settings, plan.transfer),
        "sweep": {"sweep_id": sweep["sweep_id"], "name": sweep["name"]},
        "region": _region(plan),
        "target": plan.settings.target,
        "claim": claim,
        "confidence": CONFIDENCE,
        "thresholds": plan.frozen["thresholds"],
        "verdict": _verdict(inside, claim),
        "inside": inside,
        "border": _part(judged, BORDER),
        "outside": _part(judged, OUTSIDE),
        "reliability": reliability(judged),
        "transfer": _transfer(plan, judged),
        "trials": {
            "planned": len({trial.trial_id for trial in plan.trials(spec)}),
            "finished": len(ledger.finished),
            "failed": len(ledger.failed),
        },
        "broken": sum(draw.broken for draw in judged),
        "earlier": earlier,
        "draws": _draws(judged, plan.above_baseline),
        "failed_where": where_failed(
            [flat_defence(one.draw.defence) for one in judged if one.draw.stratum == INSIDE],
            [not one.passes for one in judged if one.draw.stratum == INSIDE],
        ),
    }


def _region(plan: Plan) -> RegionEntry:
    region = plan.frozen["region"]
    return {
        "kind": region["kind"],
        "basis": region["basis"],
        "hash": content_hash(plan.frozen),
        "frozen": plan.created,
    }


def _part(judged: Sequence[JudgedDraw], stratum: str) -> DrawCount:
    return count(one.passes for one in judged if one.draw.stratum == stratum)


def _verdict(inside: DrawCount, claim: float) -> Verdict:
    if inside["lower_bound"] is None:
        return EMPTY
    return PASSED if inside["lower_bound"] >= claim else NOT_PROVEN


def _transfer(plan: Plan, judged: Sequence[JudgedDraw]) -> list[TransferEntry]:
    inside = [one for one in judged if one.draw.stratum == INSIDE]
    return [
        {
            "label": _named(attack, plan.frozen["panel"]),
            "attack": attack.identity(),
            **count(one.transfer[index].passes for one in inside),
        }
        for index, attack in enumerate(plan.transfer)
    ]


def _named(attack: Attack, panel: Sequence[Mapping[str, Any]]) -> str:
    """The attack's label, with the trigger's size also where that is the default and the panel has
    the same trigger of another size: `patch(size=3) at 1 % to class 0`."""
    label, trigger = attack_label(attack), attack.trigger.identity()
    kind, size = trigger["kind"], trigger.get("size")
    same = (own["trigger"] for own in panel if own["trigger"]["kind"] == kind)
    if kind_label(trigger) != kind or all(own.get("size") == size for own in same):
        return label
    return f"{kind}(size={size}){label.removeprefix(kind)}"


def _draws(judged: Sequence[JudgedDraw], above_baseline: bool) -> list[DrawEntry]:
    labels = point_labels([flat_defence(one.draw.defence) for one in judged])
    return [_draw(one, label, above_baseline) for one, label in zip(judged, labels, strict=True)]


def _draw(judged: JudgedDraw, label: str, above_baseline: bool) -> DrawEntry:
    draw = judged.draw
    entry: DrawEntry = {
        "stratum": draw.stratum,
        "label": label,
        "defence": draw.defence,
        "probability": draw.probability,
        "passing": draw.passing,
        "seeds": list(draw.seeds),
        "clean_accuracy": judged.clean,
        "attack_success": judged.worst.success,
        "worst_attack": attack_label(judged.worst.attack),
        "passes": judged.passes,
        "broken": judged.broken,
    }
    if above_baseline:
        entry["excess"] = judged.worst.compared
    return entry
