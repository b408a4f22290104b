"""Whole sweeps from rows that are made by hand, judged as a results folder is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from answered import answered
from made_rows import made

from sweeps.records.criteria import Criteria
from sweeps.records.region_file import RegionFile
from sweeps.records.thresholds import Thresholds
from sweeps.records.trial_row import TrialRow
from sweeps.region.point_table import region_of

PATCH = "patch"
#: Images of the clean and of the triggered test set of every made trial, two classes of equal size.
IMAGES = 1000


def asked(
    attacks: Sequence[str] = (PATCH,), seeds: int = 3, search: str = "grid", **thresholds: Any
) -> Criteria:
    """Accuracy 0.8 and success 0.2, unless the thresholds say otherwise. Each attack has a poison
    rate of its own."""
    panel: tuple[Any, ...] = tuple(
        {"attack_id": name, "measure_id": f"m-{name}", "label": f"{name} at {number} %",
         "trigger": name, "poison_rate": number / 100, "target": 0}
        for number, name in enumerate(attacks, 1)
    )  # fmt: skip
    given = {"attack_success": 0.2, **thresholds}
    if "below_best" not in given:
        given.setdefault("clean_accuracy", 0.8)
    return Criteria(name="made", panel=panel, seeds=tuple(range(seeds)), search=search,
                    thresholds=Thresholds(**given))  # fmt: skip


def trial(
    factors: Any, attack: str, seed: int, correct: int, success: Any, **columns: Any
) -> TrialRow:
    """A model, `correct` of IMAGES clean images. factors: of the defence, or its weight decay.
    success: of IMAGES triggered ones; of a clean baseline by attack."""
    of = success if isinstance(success, Mapping) else {attack: success}
    triggered = columns.pop("triggered", IMAGES)
    measured = [
        {"measure_id": f"m-{name}", "success": k, "robust": 0, "total": triggered}
        for name, k in of.items()
    ]
    defence = dict(factors) if isinstance(factors, Mapping) else {"weight_decay": factors}
    name = "-".join(map(str, defence.values()))
    clean = attack == "clean"
    config = {
        "data": {}, "training": {}, "defence": defence,
        "attack": None if clean else {"target": 0, "label_mode": "all_to_one"},
    }  # fmt: skip
    half = IMAGES // 2
    return made(**{
        "trial_id": f"{name}-{attack}-{seed}", "defence_id": f"d{name}", "attack_id": attack,
        "seed": seed, "config": config, "measurements": measured,
        "class_correct": (min(half, correct), max(0, correct - half)), "class_total": (half, half),
        "validation_correct": correct, "validation_total": IMAGES, **columns,
    })  # fmt: skip


def trials(
    factors: Any, correct: Iterable[int], success: Iterable[int], attack: str = PATCH
) -> list[TrialRow]:
    """The models of a point under one attack, one for each seed from 0 on."""
    pairs = enumerate(zip(correct, success, strict=True))
    return [trial(factors, attack, seed, k, s) for seed, (k, s) in pairs]


def judged(rows: Sequence[TrialRow], criteria: Criteria, **options: Any) -> RegionFile:
    """The region of these rows, with its answer."""
    of = {s: [row for row in rows if row.status == s] for s in ("finished", "stopped", "failed")}
    ledger: Any = SimpleNamespace(trials=lambda: list(rows), **of)
    return answered(region_of(criteria, ledger, **options), criteria, rows)


def by_decay(region: RegionFile) -> dict[Any, Any]:
    """The points of a region by their weight decay."""
    return {point["factors"]["defence.weight_decay"]: point for point in region["points"]}
