"""The attacks that a spec's claims are about, with all else that a region is judged by."""

from __future__ import annotations

from backdoor.config import Attack, measure_id
from backdoor.settings.digest import digest
from sweeps.records.criteria import Criteria
from sweeps.records.region_file import PanelEntry
from sweeps.region.labels import attack_label, kind_label, target_label
from sweeps.spec import SweepSpec


def attacks_by_id(spec: SweepSpec) -> dict[str, Attack]:
    """Attack id → attack, in the order of the panel."""
    return {digest("attack", attack.identity()): attack for attack in spec.panel}


def criteria_of(spec: SweepSpec) -> Criteria:
    """What the sweep's region is judged by."""
    predicted = spec.stopping if spec.predicting else None
    return Criteria(
        name=spec.name,
        panel=tuple(_entry(name, attack) for name, attack in attacks_by_id(spec).items()),
        seeds=spec.seeds,
        thresholds=spec.region,
        search=spec.search.kind,
        prediction_confidence=predicted.confidence if predicted else None,
    )


def _entry(attack_id: str, attack: Attack) -> PanelEntry:
    return {
        "attack_id": attack_id,
        "measure_id": measure_id(attack),
        "label": attack_label(attack),
        "trigger": kind_label(attack.trigger.identity()),
        "poison_rate": attack.poison_rate,
        "target": None if attack.label_mode == "all_to_all" else attack.target,
        "goal": target_label(attack.identity()),
    }
