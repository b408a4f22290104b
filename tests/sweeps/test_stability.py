"""What survives of IN: hand-calculated tables, and random ones held against the table's own code."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from made_rows import made

from sweeps.records.criteria import Criteria
from sweeps.records.thresholds import Thresholds
from sweeps.records.trial_row import TrialRow
from sweeps.region.point_table import best_point, entry_of, least_accuracy, recommend
from sweeps.region.points import gathered
from sweeps.region.stability import stability
from sweeps.region.stability_changes import all_changes


def criteria(attacks: int = 1, seeds: int = 3, **thresholds) -> Criteria:
    panel = tuple(
        {"attack_id": f"a{n}", "measure_id": f"m{n}", "label": f"patch(size={n})", "trigger": "",
         "poison_rate": 0.03, "target": 0}
        for n in range(1, attacks + 1)
    )  # fmt: skip
    asked = Thresholds(**{"clean_accuracy": 0.9, "attack_success": 0.2, **thresholds})
    return Criteria(name="r", panel=panel, seeds=tuple(range(seeds)), thresholds=asked, search="grid")  # fmt: skip


def trial(point: int, attack: str, seed: int, clean: int, success: int, **columns) -> TrialRow:
    """Counts are of 1000 images; validation counts are the clean ones unless they are given. Clean
    models give every attacker's answer to `success` images."""
    names = ["m1", "m2", "m3"] if attack == "clean" else [attack.replace("a", "m")]
    return made(
        trial_id=f"{point}-{attack}-{seed}", defence_id=f"d{point}", attack_id=attack, seed=seed,
        config={"data": {}, "training": {}, "attack": None, "defence": {"weight_decay": point}},
        class_correct=[clean], class_total=[1000], validation_total=1000,
        measurements=[{"measure_id": n, "success": success, "robust": 0, "total": 1000} for n in names],
        **{"validation_correct": clean, **columns},
    )  # fmt: skip


def rows_of(clean: Sequence[Sequence[int]], success: Sequence[Sequence[Sequence[int]]]):
    """clean: of each point, by seed; success: of each point and attack, by seed."""
    return [
        trial(point, f"a{number}", seed, clean[point][seed], count)
        for point, attacks in enumerate(success)
        for number, by_seed in enumerate(attacks, 1)
        for seed, count in enumerate(by_seed)
    ]


def by_table(rows: Sequence[TrialRow], asked: Criteria):
    """(IN by means, IN by bounds, recommended) as the table itself says; None where it cannot."""
    points = gathered(rows, asked.measures, asked.seeds, asked.thresholds.confidence)
    least = least_accuracy(asked.thresholds, best_point(points))
    table = [entry_of(point, "", asked.measures, asked.thresholds, least) for point in points]
    means = {e["defence_id"] for e in table if e["by_means"] == "IN"}
    bounds = {e["defence_id"] for e in table if e["by_bounds"] == "IN"}
    chosen = recommend(table)
    return means, bounds, chosen and chosen["defence_id"]


def drawn(draw: random.Random, attacks: int, seeds: int) -> list[TrialRow]:
    """Points near the thresholds, some with missing, stopped or broken trials, some with a clean
    baseline."""
    found = []
    for point in range(draw.randint(1, 12)):
        clean, success = draw.gauss(920, 30), draw.gauss(150, 60)
        gaps = draw.random() < 0.4
        for number in range(attacks + 1):
            for seed in range(seeds):
                row = trial(
                    point, f"a{number}" if number else "clean", seed,
                    min(1000, int(draw.gauss(clean, 12))),
                    max(0, int(draw.gauss(success if number else 30, 30))),
                    validation_correct=min(1000, int(draw.gauss(clean, 12))),
                    collapsed=draw.random() < 0.02, diverged=draw.random() < 0.01,
                )  # fmt: skip
                if gaps and draw.random() < 0.1:
                    row = replace(row, status="stopped", collapsed=False, diverged=False)
                if not (gaps and draw.random() < 0.05):
                    found.append(row)
    return draw.sample(found, len(found))


@pytest.mark.parametrize("seed", range(40))
def test_every_change_is_judged_as_the_table_would(seed: int) -> None:
    draw = random.Random(seed)
    attacks, seeds = draw.randint(1, 3), draw.randint(1, 4)
    asked = criteria(attacks, seeds, above_baseline=draw.random() < 0.4)
    if seed % 2:
        below = draw.choice([0.0, 0.03, 0.05])
        asked = replace(asked, thresholds=replace(asked.thresholds, clean_accuracy=None, below_best=below))  # fmt: skip
    rows = drawn(draw, attacks, seeds)
    found, before = stability(rows, asked), by_table(rows, asked)
    if found is None:
        complete = gathered(rows, asked.measures, asked.seeds, 0.95)
        assert not any(point.complete for point in complete)
        return
    assert found["recommended"] == before[2]
    assert found["inside"]["means"] == len(before[0])
    changes = all_changes(asked)
    assert len(found["changes"]) == len(changes)
    for change, entry in zip(changes, found["changes"], strict=True):
        after = by_table(change.rows(rows), change.criteria)
        assert entry["recommended"] == after[2], change.label
        for number, basis in enumerate(("means", "bounds")):
            if basis == "bounds" and len(change.criteria.seeds) < 2:
                assert basis not in entry["verdicts"]
                continue
            assert entry["verdicts"][basis] == {
                "stay": len(before[number] & after[number]),
                "left": len(before[number] - after[number]),
                "come_in": len(after[number] - before[number]),
                "recommended_in": None if before[2] is None else before[2] in after[number],
            }, (change.label, basis)
