"""What survives of IN: hand-calculated tables, and random ones held against the table's own code."""

from __future__ import annotations

import html
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace

import pytest
from answered import answered
from made_rows import made

from dashboards.page import render
from dashboards.stability import stability as section_of
from sweeps.records.criteria import Criteria
from sweeps.records.stability_text import STABILITY
from sweeps.records.thresholds import Thresholds
from sweeps.records.trial_row import TrialRow
from sweeps.region import points, stability_bounds, stability_limits
from sweeps.region.point_table import best_point, entry_of, least_accuracy, recommend, region_of
from sweeps.region.points import bounded, gathered, modes_of
from sweeps.region.region_text import region_text
from sweeps.region.seed_modes import SeedModes
from sweeps.region.stability import stability
from sweeps.region.stability_changes import all_changes
from sweeps.statistics import seed_bounds
from sweeps.statistics.seed_bounds import Rate


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


def by_table(rows: Sequence[TrialRow], asked: Criteria, modes: SeedModes | None = None):
    """(IN by means, IN by bounds, recommended) as the table itself says; None where it cannot.
    modes: of all of the sweep's seeds, where some are left out."""
    found = gathered(rows, asked.measures, asked.seeds, asked.thresholds.confidence)
    if modes is not None:
        found = bounded(found, asked.thresholds.confidence, modes)
    least = least_accuracy(asked.thresholds, best_point(found))
    table = [entry_of(point, "", asked.measures, asked.thresholds, least) for point in found]
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


def test_equal_margins_are_decided_as_in_the_table() -> None:
    """All have the margin 0.03 of clean accuracy, the last but one of attack success."""
    rows = rows_of([[930], [930], [950], [930]], [[[150]], [[110]], [[170]], [[110]]])
    found = stability(rows, criteria(1, 1))
    assert found["recommended"] == by_table(rows, criteria(1, 1))[2] == "d1"


@pytest.mark.parametrize("seed", range(16))
def test_every_change_is_judged_as_the_table_would(seed: int) -> None:
    draw = random.Random(seed)
    attacks, seeds = draw.randint(1, 3), draw.randint(1, 4)
    asked = criteria(attacks, seeds, above_baseline=draw.random() < 0.4)
    if seed % 2:
        below = draw.choice([0.0, 0.03, 0.05])
        asked = replace(asked, thresholds=replace(asked.thresholds, clean_accuracy=None, below_best=below))  # fmt: skip
    rows = drawn(draw, attacks, seeds)
    agrees_with_the_table(rows, asked)


def agrees_with_the_table(rows: Sequence[TrialRow], asked: Criteria) -> None:
    found, before = stability(rows, asked), by_table(rows, asked)
    whole = gathered(rows, asked.measures, asked.seeds, 0.95)
    if found is None:
        assert not any(point.complete for point in whole)
        return
    modes = modes_of(whole)
    assert found["recommended"] == before[2]
    assert found["inside"]["means"] == len(before[0])
    changes = all_changes(asked)
    assert len(found["changes"]) == len(changes)
    for change, entry in zip(changes, found["changes"], strict=True):
        after = by_table(change.rows(rows), change.criteria, modes)
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


@pytest.mark.parametrize("seeds, above, inside", [(3, False, 0), (4, False, 1), (5, True, 1)])
def test_seeds_of_two_modes_are_judged_as_the_table_would(
    seeds: int, above: bool, inside: int, monkeypatch
) -> None:
    """Each attack takes with one seed, another one from point to point, and never at d0. Here four
    seeds are enough to prove that a point is IN."""
    for module in (seed_bounds, stability_bounds):
        monkeypatch.setattr(module, "FEWEST_BIMODAL", 4)
    asked, draw = criteria(2, seeds, above_baseline=above, attack_success=0.65), random.Random(1)
    rows = [
        trial(point, attack, seed, draw.randint(945, 955),
              draw.randint(870, 930) if attack != "clean" and point and seed == (point + (attack == "a1")) % seeds
              else draw.randint(10, 30))
        for point in range(9) for attack in ("a1", "a2", "clean") for seed in range(seeds)
    ]  # fmt: skip
    found = gathered(rows, asked.measures, asked.seeds, 0.95)
    assert modes_of(found).success.fired
    agrees_with_the_table(rows, asked)
    told = stability(rows, asked, found)
    assert told["inside"]["means"] >= 5 and told["inside"]["bounds"] >= inside
    left = {stay for stay, _, _ in changes_of(told, "seed", "bounds").values()}
    assert (told["inside"]["bounds"] > 0, max(left) > 0) == (seeds > 3, seeds > 4)


# --- by hand -----------------------------------------------------------------------------------


def changes_of(found, kind: str, basis: str = "means") -> dict[str, tuple[int, int, int]]:
    """Label to (stay, left, come in)."""
    return {
        change["label"]: tuple(change["verdicts"][basis][k] for k in ("stay", "left", "come_in"))
        for change in found["changes"]
        if change["kind"] == kind and basis in change["verdicts"]
    }


@pytest.fixture
def of_all_seeds(monkeypatch) -> None:
    """Bounds that a hand can calculate: the lowest and the highest seed."""

    def rates(cells, confidence: float, bimodal: bool) -> list[Rate]:
        found = [[k / n for k, n in counts] for counts in cells]
        return [Rate(sum(own) / len(own), min(own), max(own)) for own in found]

    monkeypatch.setattr(points, "rates", rates)
    limits = {"upper_limits": "max", "lower_limits": "min"}
    for name, end in limits.items():
        monkeypatch.setattr(
            stability_limits, name, lambda sample, *_, end=end: getattr(sample.rates, end)(axis=1)
        )


def test_a_table_by_hand(of_all_seeds) -> None:
    """Clean >= 0.9 and success <= 0.2 by means of three seeds. d0 is far inside; d1 has 0.905, so
    that 0.91 is too much; d2 has success 0.18, and 0.27 with seed 1 alone left out; d3 has 0.205,
    and 0.165 without seed 2; d4 fails by attack 2 alone, d5 by both."""
    clean = [[950, 950, 950], [905, 905, 905], [940] * 3, [930] * 3, [930] * 3, [930] * 3]
    success = [
        [[20, 20, 20], [10, 10, 10]],
        [[50, 50, 50], [50, 50, 50]],
        [[270, 0, 270], [10, 10, 10]],
        [[165, 165, 285], [10, 10, 10]],
        [[10, 10, 10], [700, 700, 700]],
        [[500, 500, 500], [700, 700, 700]],
    ]
    found = stability(rows_of(clean, success), criteria(2))
    assert found["inside"] == {"means": 3, "bounds": 2}  # d0, d1, d2; d0, d1
    assert found["recommended"] == "d0" and found["step"] == 0.01
    assert changes_of(found, "stricter") == {
        "clean accuracy >= 0.91": (2, 1, 0),
        "attack success <= 0.19": (3, 0, 0),
        "clean accuracy >= 0.91 and attack success <= 0.19": (2, 1, 0),
    }
    assert changes_of(found, "looser") == {
        "clean accuracy >= 0.89": (3, 0, 0),
        "attack success <= 0.21": (3, 0, 1),
        "clean accuracy >= 0.89 and attack success <= 0.21": (3, 0, 1),
    }
    assert changes_of(found, "seed") == {
        "without seed 0": (3, 0, 0),  # d2: 0.135; d3: 0.225
        "without seed 1": (2, 1, 0),  # d2: 0.27; d3: 0.225
        "without seed 2": (3, 0, 1),  # d2: 0.135; d3: 0.165
    }
    assert changes_of(found, "attack") == {
        "without attack 1 (patch(size=1))": (3, 0, 1),  # d3
        "without attack 2 (patch(size=2))": (3, 0, 1),  # d4
    }
    assert list(changes_of(found, "stricter", "bounds").values()) == [(1, 1, 0), (2, 0, 0), (1, 1, 0)]  # fmt: skip
    assert set(changes_of(found, "looser", "bounds").values()) == {(2, 0, 0)}
    assert list(changes_of(found, "seed", "bounds").values()) == [(2, 0, 0), (2, 0, 0), (2, 0, 1)]
    assert list(changes_of(found, "attack", "bounds").values()) == [(2, 0, 2), (2, 0, 1)]
    assert found["skipped"] == []
    assert found["text"] == [
        STABILITY,
        "  by bounds: 1 of 2 points stay IN with thresholds 0.01 stricter, 2 of 2 without any one "
        "seed, 2 of 2 without any one attack; come in: up to 1 without any one seed, up to 2 without "
        "any one attack.",
        "  by means: 2 of 3 points stay IN with thresholds 0.01 stricter, at least 2 of 3 without any "
        "one seed, 3 of 3 without any one attack; come in: 1 with thresholds 0.01 looser, up to 1 "
        "without any one seed, up to 1 without any one attack.",
        "  Attack 1 (patch(size=1)) limits the region most: without it 1 more point is IN by means.",
        "  The recommended point stays IN by bounds after each of 11 changes; it remains the "
        "recommended one after 11.",
    ]


def test_the_best_accuracy_is_computed_again() -> None:
    """best - 0.05: d0 is the best with 0.95 by attack 2, and 0.99 by attack 1, so that without
    attack 2 at least 0.94 is asked for; d1 has 0.93 by both. Without seed 0 the best is d1."""
    rows = [
        *(trial(0, "a1", seed, 990, 0) for seed in range(2)),
        *(trial(0, "a2", seed, clean, 0) for seed, clean in enumerate((980, 920))),
        *(trial(1, attack, seed, 930, 0) for attack in ("a1", "a2") for seed in range(2)),
    ]
    found = stability(rows, criteria(2, 2, clean_accuracy=None, below_best=0.05))
    assert changes_of(found, "attack") == {
        "without attack 1 (patch(size=1))": (2, 0, 0),
        "without attack 2 (patch(size=2))": (1, 1, 0),
    }
    labels = list(changes_of(found, "stricter"))
    assert labels[0] == "clean accuracy >= best - 0.04"
    seeds = [c for c in found["changes"] if c["kind"] == "seed"]
    assert [(c["label"], c["recommended"]) for c in seeds] == [
        ("without seed 0", "d1"),  # d0 has 0.92, d1 0.93; 0.88 is asked for
        ("without seed 1", "d0"),  # 0.98; 0.93 is asked for, which d1 has
    ]
    assert found["skipped"] == [
        "By bounds no seed is left out: one seed that is left has no bounds."
    ]


def test_a_broken_model_counts_no_more_once_its_seed_is_left_out(of_all_seeds) -> None:
    rows = rows_of([[950] * 3], [[[10] * 3]])
    rows[1] = replace(rows[1], collapsed=True)
    found = stability(rows, criteria())
    assert found["inside"] == {"means": 0, "bounds": 0} and found["recommended"] is None
    assert list(changes_of(found, "seed").values()) == [(0, 0, 0), (0, 0, 1), (0, 0, 0)]
    assert found["text"] == [
        STABILITY,
        "  by bounds: no point is IN; come in: up to 1 without any one seed.",
        "  by means: no point is IN; come in: up to 1 without any one seed.",
        "  The only attack cannot be left out.",
    ]


def test_one_seed_one_attack_one_point() -> None:
    found = stability(rows_of([[905]], [[[195]]]), criteria(1, 1))
    assert found["inside"] == {"means": 1}
    assert {change["kind"] for change in found["changes"]} == {"stricter", "looser"}
    assert found["text"] == [
        STABILITY,
        "  by means: 0 of 1 point stays IN with thresholds 0.01 stricter; none comes in.",
        "  The recommended point is not IN by means after 3 of 6 changes (clean accuracy >= 0.91, "
        "and 2 more); it remains the recommended one after 3.",
        "  The only seed cannot be left out, and there are no bounds with one seed. The only attack "
        "cannot be left out.",
    ]


def test_a_point_without_one_trial_is_judged_without_its_seed() -> None:
    rows = rows_of([[950] * 3] * 2, [[[10] * 3]] * 2)[:-1]
    found = stability(rows, criteria())
    assert found["inside"]["means"] == 1
    assert list(changes_of(found, "seed").values()) == [(1, 0, 0), (1, 0, 0), (1, 0, 1)]
    assert stability(rows[3:], criteria()) is None, "no point is complete"
    assert stability([], criteria()) is None


def test_thresholds_stay_within_their_range() -> None:
    found = stability(
        rows_of([[1000] * 2], [[[0] * 2]]), criteria(1, 2, clean_accuracy=1.0, attack_success=0.004)
    )
    assert list(changes_of(found, "stricter")) == ["attack success <= 0"]
    assert next(iter(changes_of(found, "looser"))) == "clean accuracy >= 0.99"
    found = stability(
        rows_of([[1000] * 2], [[[0] * 2]]),
        criteria(1, 2, clean_accuracy=None, below_best=0.0, attack_success=0.0),
    )
    assert changes_of(found, "stricter") == {}


def test_a_further_judge_sees_what_is_left() -> None:
    """A verdict of another kind, told of every change: here IN for points with an even number."""
    asked = criteria(2)
    seen = []

    def judge(rows: Sequence[TrialRow], left: Criteria) -> dict[str, str]:
        seen.append(({row.seed for row in rows}, {row.attack_id for row in rows}, left))
        return {"d0": "IN", "d1": "IN" if len(left.panel) == 1 else "OUT"}

    rows = rows_of([[950] * 3] * 2, [[[10] * 3] * 2] * 2)
    found = stability(rows, asked, judges={"model": judge})
    assert found["inside"]["model"] == 1
    assert set(changes_of(found, "attack", "model").values()) == {(1, 0, 1)}
    assert set(changes_of(found, "seed", "model").values()) == {(1, 0, 0)}
    assert [left for _, _, left in seen] == [asked, *(c.criteria for c in all_changes(asked))]
    assert all(seeds == set(left.seeds) for seeds, _, left in seen)
    assert all(attacks == set(left.measures) for _, attacks, left in seen)
    assert any(line.startswith("  by model: 1 of 1 point stays IN") for line in found["text"])


def test_bounds_are_left_out_where_they_would_take_too_long(of_all_seeds, monkeypatch) -> None:
    rows = rows_of([[950, 940, 945]] * 5, [[[10 + n, 20, 30]] for n in range(5)])
    whole = stability(rows, criteria())
    monkeypatch.setattr(stability_bounds, "MOST_BOUNDS", 3)
    found = stability(rows, criteria())
    assert changes_of(whole, "seed", "bounds") and not changes_of(found, "seed", "bounds")
    assert changes_of(found, "seed") == changes_of(whole, "seed")
    assert changes_of(found, "stricter", "bounds") == changes_of(whole, "stricter", "bounds")
    assert {c["recommended"] for c in found["changes"] if c["kind"] == "seed"} == {None}
    assert found["skipped"][0] == (
        "By bounds no seed is left out: that would take more than 3 new bounds."
    )


def test_it_is_said_of_a_table_where_that_is_asked_for() -> None:
    rows, asked = rows_of([[950] * 3] * 2, [[[10] * 3] * 2] * 2), criteria(2)
    ledger = SimpleNamespace(trials=lambda: rows, finished=rows, stopped=[], failed=[])
    region = answered(region_of(asked, ledger, with_stability=True), asked, rows)
    lines = region["stability"]["text"]
    assert region_text(region).endswith("\n" + "\n".join(lines))
    section = render("stability.html", stability=section_of(SimpleNamespace(region=region)))
    page = re.sub(r"\s+", " ", html.unescape(section))
    assert "<h2>How stable the region is</h2>" in page and f">{lines[-1].strip()}</li>" in page
    assert page.count('<th scope="row">without seed') == 3
    assert page.count('<th scope="row">') == len(region["stability"]["changes"])
    before = answered(region_of(asked, ledger), asked, rows)
    assert "stability" not in before and "Stability" not in region_text(before)
    assert section_of(SimpleNamespace(region=before)) is None
