"""Paired effects of regularizers against scipy.stats and rows made by hand."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from made_rows import made
from small import begin, small_spec, sweep

from sweeps.analyses.effects import effects
from sweeps.analyses.findings_text import effects_text
from sweeps.cli.main import main
from sweeps.ledger import Ledger
from sweeps.runners.serial import SerialRunner
from sweeps.statistics.intervals import mean_interval

SQUEEZED = {"kind": "logit_squeezing", "strength": 0.5, "form": "norm"}


@pytest.mark.parametrize("n", [2, 3, 12])
def test_intervals_are_scipys(n) -> None:
    values = np.random.default_rng(n).normal(0.1, 0.3, n)
    found, asked = mean_interval(values.tolist(), 0.9), scipy.stats.ttest_1samp(values, 0)
    interval = asked.confidence_interval(0.9)
    assert (found.lower, found.upper) == pytest.approx((interval.low, interval.high))
    assert found.mean == pytest.approx(values.mean())


def test_intervals_of_too_few_values() -> None:
    assert mean_interval([]).plain() == {"n": 0, "mean": None, "lower": None, "upper": None}
    assert mean_interval([0.2]).plain() == {"n": 1, "mean": 0.2, "lower": None, "upper": None}
    same = mean_interval([0.2, 0.2])
    assert (same.lower, same.upper) == (0.2, 0.2)


def row(regularizer, seed, success, correct, architecture="mlp", trigger="patch", **changes):
    """A ledger row: 100 triggered images, two classes of 100 clean ones; trigger None is rate 0."""
    attack = {"trigger": {"kind": trigger}, "poison_rate": 0.1, "label_mode": "all_to_one", "target": 0}  # fmt: skip
    defence = {"architecture": {"kind": architecture}, "regularizer": regularizer or {"kind": "none"}}  # fmt: skip
    config = {"data": {"kind": "digits"}, "attack": attack if trigger else None,
              "defence": defence, "training": {}, "seed": seed}  # fmt: skip
    measured = {"measure_id": "m", "success": success, "robust": 0, "total": 100}
    figures = {
        "class_correct": [correct, 90],
        "class_total": [100, 100],
        "measurements": [measured],
    }
    return made(
        **{"seed": seed, "attack_id": trigger or "clean", "config": config} | figures | changes
    )


def test_pairs_cells_and_intervals() -> None:
    rows = [
        *(row(None, s, 80 + s, 90) for s in range(3)),
        *(row(SQUEEZED, s, (60, 65, 58)[s], 80) for s in range(3)),
        *(row(None, s, 50, 90, trigger="sine") for s in range(3)),
        *(row(SQUEEZED, s, (50, 55, 40)[s], 92, trigger="sine") for s in range(3)),
        *(row(None, s, 3, 96, trigger=None) for s in range(3)),
        *(row(SQUEEZED, s, 9, 94, trigger=None) for s in range(3)),
    ]
    (entry,) = effects(rows)["regularizers"]
    assert entry["regularizer"] == "logit_squeezing(strength=0.5)"
    assert entry["strength"] == {"name": "strength", "value": 0.5}
    patch, _, clean = entry["cells"]
    moved = [-0.20, -0.16, -0.24]
    interval = scipy.stats.ttest_1samp(moved, 0).confidence_interval(0.95)
    assert patch["success_change"]["mean"] == pytest.approx(-0.2)
    assert patch["success_change"]["lower"] == pytest.approx(interval.low)
    assert patch["success_change"]["upper"] == pytest.approx(interval.high)
    assert patch["success"] == {"without": pytest.approx(0.81), "with": pytest.approx(0.61)}
    assert patch["clean_change"]["mean"] == pytest.approx(-0.05)
    assert clean["attack"] == "clean" and clean["success"] is clean["success_change"] is None
    assert clean["clean_change"]["mean"] == pytest.approx(-0.01)
    overall = entry["overall"]
    both = np.mean([moved, [0, 0.05, -0.1]], 0)
    interval = scipy.stats.ttest_1samp(both, 0).confidence_interval(0.95)
    assert overall["success_change"]["mean"] == pytest.approx(both.mean())
    assert overall["success_change"]["upper"] == pytest.approx(interval.high)
    assert overall["clean_change"]["mean"] == pytest.approx((-0.05 + 0.01) / 2)
    assert (overall["cells"], overall["seeds"], overall["broken"]) == (2, [0, 1, 2], 0)
    assert overall["pairs"] == {"lower": 4, "higher": 1, "equal": 1}
    assert (overall["cells_lower"], overall["cells_higher"]) == (1, 0)


def test_a_regularizer_that_helps_the_attacker() -> None:
    rows = [r for s in range(3) for r in (row(None, s, 10, 90), row(SQUEEZED, s, 60 + s, 90))]
    overall = effects(rows)["regularizers"][0]["overall"]
    assert overall["success_change"]["lower"] > 0 and overall["cells_higher"] == 1
    assert overall["pairs"] == {"lower": 0, "higher": 3, "equal": 0}
    assert "+0.510" in effects_text(effects(rows))


def test_collapsed_pairs_are_counted_and_left_out() -> None:
    rows = [
        row(None, 0, 80, 90), row(SQUEEZED, 0, 70, 90),
        row(None, 1, 80, 90), row(SQUEEZED, 1, 0, 0, collapsed=True),
        row(None, 2, 80, 90, diverged=True), row(SQUEEZED, 2, 80, 90),
    ]  # fmt: skip
    answer = effects(rows)
    (entry,) = answer["regularizers"]
    assert entry["cells"][0]["broken"] == entry["overall"]["broken"] == 2
    assert entry["cells"][0]["seeds"] == [0]
    assert entry["overall"]["success_change"]["mean"] == pytest.approx(-0.1)
    assert entry["overall"]["success_change"]["lower"] is None
    assert "2 pairs have one that collapsed or diverged and are left out." in effects_text(answer)
    every = effects([replace(r, collapsed=True) for r in rows])["regularizers"][0]
    assert every["overall"]["cells"] == 0 and every["overall"]["success_change"]["mean"] is None
    assert every["cells"][0]["clean"] == {"without": None, "with": None}


def test_seeds_in_common_no_images_and_no_partner() -> None:
    rows = [
        *(row(None, s, 80, 90) for s in range(3)), *(row(SQUEEZED, s, 70, 90) for s in range(3)),
        *(row(None, s, 80, 90, trigger="sine") for s in (1, 2)),
        *(row(SQUEEZED, s, 60, 90, trigger="sine") for s in (1, 2)),
        row(SQUEEZED, 7, 70, 90), row(SQUEEZED, 8, 70, 90, status="failed"),
    ]  # fmt: skip
    answer = effects(rows)
    overall = answer["regularizers"][0]["overall"]
    assert overall["seeds"] == [1, 2] and answer["unpaired"] == 1
    assert overall["success_change"]["mean"] == pytest.approx(-0.15)
    none = [replace(r, measurements=(replace(r.measurements[0], total=0),)) for r in rows]
    overall = effects(none)["regularizers"][0]["overall"]
    assert overall["cells"] == 0 and overall["seeds"] == []
    assert overall["pairs"] == {"lower": 0, "higher": 0, "equal": 0}
    assert "sweep `none` too" in effects_text(effects([row(SQUEEZED, 0, 1, 1)]))


def test_strengths_in_order_and_kinds_together() -> None:
    mixup = {"kind": "manifold_mixup", "alpha": 2.0, "layers": "0,1,2"}
    together = {"kind": "dropout+logit_squeezing", "dropout": {"rate": 0.5}, "logit_squeezing": {"strength": 0.5, "form": "norm"}}  # fmt: skip
    kinds = [{**SQUEEZED, "strength": x} for x in (1.0, 0.05)] + [mixup, together]
    rows = [row(None, 0, 50, 90), *(row(kind, 0, 40, 90) for kind in kinds)]
    found = effects(rows)["regularizers"]
    assert [(e["strength"] or {}).get("value") for e in found] == [None, 0.05, 1.0, 2.0]
    assert found[3]["strength"]["name"] == "alpha" and "+" in found[0]["regularizer"]


def test_the_command(tmp_path, capsys) -> None:
    spec = small_spec(
        defence={"architecture": [{"kind": "linear"}], "epochs": 2,
                 "regularizer": ["none", {"kind": "logit_squeezing", "strength": [0.05, 1]}]},
        attack={"trigger": [{"kind": "patch", "size": 1}], "poison_rate": [0, 0.05]},
    )  # fmt: skip
    paths = begin(tmp_path / "r", spec)
    sweep(paths, spec, SerialRunner())
    assert main(["probe", "effects", str(paths.root), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer == json.loads(json.dumps(effects(Ledger(paths.ledger).trials())))
    assert len(answer["regularizers"]) == 2 and answer["unpaired"] == 0
    assert [c["attack"] == "clean" for c in answer["regularizers"][0]["cells"]] == [False, True]
    assert not any(
        math.isnan(c["clean_change"]["mean"]) for c in answer["regularizers"][0]["cells"]
    )
    assert main(["probe", "effects", str(paths.root)]) == 0
    assert "logit_squeezing(strength=1)" in capsys.readouterr().out
