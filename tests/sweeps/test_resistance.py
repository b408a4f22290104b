"""Resistance: crossings, their intervals, and Mithridates' points by loops of our own."""

import itertools
import json
import math

import numpy as np
import pytest
from made_rows import made
from small import begin, small_spec, sweep

from sweeps.analyses.measures_text import resistance_text
from sweeps.analyses.resistance import crossing, inflections, resistance
from sweeps.cli.main import main
from sweeps.runners.serial import SerialRunner

RATES = [0.001, 0.003, 0.01, 0.03, 0.1]


def row(rate, seed, success, point="a", total=1000):
    attack = {"trigger": {"kind": "patch"}, "poison_rate": rate, "label_mode": "all_to_one", "target": 0}  # fmt: skip
    measured = {"measure_id": "m", "success": round(success * total), "robust": 0, "total": total}
    return made(
        defence_id=point, attack_id=f"p{rate}" if rate else "clean", seed=seed, measurements=[measured],
        config={"attack": attack if rate else None, "defence": {"weight_decay": point}},
    )  # fmt: skip


def rows(table, rates=RATES):
    """table: seeds x rates of attack success."""
    return [row(r, s, v) for s, line in enumerate(table) for r, v in zip(rates, line, strict=True)]


def test_crossings() -> None:
    curve = [0.1, 0.3, 0.7, 0.9, 1.0]
    assert crossing(RATES, curve, 0.5) == pytest.approx(math.sqrt(0.003 * 0.01))
    assert crossing(RATES, curve, 0.7) == pytest.approx(0.01)
    assert crossing(RATES, curve, 0.05) == 0 and crossing(RATES, curve, 1.01) == math.inf
    assert crossing(RATES, [0.1, 0.6, 0.2, 0.9, 0.9], 0.5) == pytest.approx(
        math.exp(np.interp(0.5, [0.1, 0.6], np.log([0.001, 0.003])))
    )


def test_the_interval_is_over_all_draws_of_seeds() -> None:
    table = np.array([[0.0, 0.1, 0.9, 1, 1], [0.0, 0.4, 0.8, 1, 1], [0.1, 0.2, 0.3, 0.9, 1]])
    (entry,) = resistance(rows(table))["points"]
    found = entry["resistance"]

    def reached(curve):  # the first crossing of 0.5, from numpy's interpolation between two rates
        i = int(np.argmax(curve >= 0.5))
        return math.exp(np.interp(0.5, curve[i - 1 : i + 1], np.log(RATES[i - 1 : i + 1])))

    draws = sorted(reached(table[list(c)].mean(0)) for c in itertools.product(range(3), repeat=3))
    assert found["value"] == {"rate": pytest.approx(reached(table.mean(0))), "bound": "exact"}
    assert found["lower"] == {"rate": pytest.approx(draws[0]), "bound": "exact"}
    assert found["upper"] == {"rate": pytest.approx(draws[-1]), "bound": "exact"}
    assert entry["seeds"] == [0, 1, 2]
    inner = resistance(rows(table), confidence=0.5)["points"][0]["resistance"]
    assert (inner["lower"]["rate"], inner["upper"]["rate"]) == pytest.approx((draws[6], draws[20]))


def test_backdoors_that_take_at_once_or_never() -> None:
    always, never = [[0.9] * 5] * 2, [[0.1] * 5] * 2
    (entry,) = resistance(rows(always))["points"]
    assert entry["resistance"]["value"] == {"rate": 0.001, "bound": "at_most"}
    assert entry["simplified"] == 0.001
    (entry,) = resistance(rows(never))["points"]
    assert entry["resistance"]["value"] == {"rate": 0.1, "bound": "above"}
    assert entry["simplified"] is None and entry["inflection"] == []
    mixed = [[0.0, 0, 0, 0, 0.4], [0, 0.9, 0.9, 0.9, 0.9]]
    (entry,) = resistance(rows(mixed))["points"]
    assert entry["resistance"]["lower"]["bound"] == "exact"
    assert entry["resistance"]["upper"] == {"rate": 0.1, "bound": "above"}
    (entry,) = resistance(rows([[0, 0, 0.6, 0.9, 1]]))["points"]
    assert entry["resistance"]["lower"] is entry["resistance"]["upper"] is None


def test_seeds_that_lack_a_rate_and_the_clean_models_level() -> None:
    some = [*rows([[0, 0.2, 0.6, 0.9, 1]] * 2), row(0.001, 7, 0.5), row(0, 0, 0.04), row(0, 1, 0.02)]  # fmt: skip
    (entry,) = resistance(some)["points"]
    assert entry["seeds"] == [0, 1] and entry["curve"][0]["by_seed"]["7"] == 0.5
    assert entry["curve"][0]["attack_success"] == pytest.approx(0.5 / 3)
    assert entry["curve"][0]["baseline"] == pytest.approx(0.03)
    apart = [row(0.001, 0, 0.1), row(0.01, 1, 0.9)]
    (entry,) = resistance(apart)["points"]
    assert entry["seeds"] == [] and entry["resistance"] is None


def mithridates(rates, successes):
    """By loops: a Gaussian of sigma 2 cut at 4 sigma, edges mirrored; differences in the middle,
    one-sided at the ends; where the sign of the second changes."""
    n = len(successes)
    weights = {k: math.exp(-0.5 * (k / 2) ** 2) for k in range(-8, 9)}

    def at(i):  # d c b a | a b c d | d c b a
        i %= 2 * n
        return successes[i if i < n else 2 * n - 1 - i]

    smooth = [sum(w * at(i + k) for k, w in weights.items()) / sum(weights.values()) for i in range(n)]  # fmt: skip

    def slope(v):
        inner = [(v[i + 1] - v[i - 1]) / 2 for i in range(1, n - 1)]
        return [v[1] - v[0], *inner, v[-1] - v[-2]]

    bend = slope(slope(smooth))
    found = [i for i in range(n - 1) if (bend[i] > 0) != (bend[i + 1] > 0)]
    return [rates[i] for i in found if 0.15 < successes[i] < 0.9]


@pytest.mark.parametrize("middle", [4.0, 6.5, 9.0])
def test_inflections_by_loops(middle) -> None:
    rates = np.geomspace(0.0001, 0.3, 15).tolist()
    successes = [1 / (1 + math.exp(-1.1 * (i - middle))) for i in range(15)]
    found = inflections(rates, successes)
    assert found == mithridates(rates, successes) and len(found) >= 1
    assert abs(rates.index(found[0]) - middle) <= 1.5, "the steepest place of a logistic curve"
    assert inflections(rates[:2], successes[:2]) == []


def test_the_command(tmp_path, capsys) -> None:
    spec = small_spec(attack={"trigger": [{"kind": "patch", "size": 1}], "poison_rate": [0, 0.01, 0.03, 0.1]})  # fmt: skip
    paths = begin(tmp_path / "r", spec)
    sweep(paths, spec, SerialRunner())
    assert main(["probe", "resistance", str(paths.root), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert len(answer["points"]) == 4 and answer["success"] == 0.5
    assert [e["poison_rate"] for e in answer["points"][0]["curve"]] == [0.01, 0.03, 0.1]
    assert all(e["baseline"] is not None for e in answer["points"][0]["curve"])
    assert main(["probe", "resistance", str(paths.root)]) == 0
    out = capsys.readouterr().out
    assert "takes at" in out and "patch(size=1) to class 0" in out
    assert main(["probe", "resistance", str(paths.root), "--success", "0"]) == 2
    assert "--success: must be a fraction between 0 and 1" in capsys.readouterr().err
    assert resistance_text(resistance([])) == "No poisoned model has finished."
